//! `auth-tokens.info`: what DevRev says of the token itself.

use super::operation::{Operation, Safety};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// `auth-tokens.info` of the token that the call is made with.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct AuthTokensInfo {}

/// The answer (schema `auth-tokens-info-response`). It says nothing of what the token may do.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct TokenAnswer {
    token: Token,
}

#[derive(Debug, Clone, Deserialize)]
struct Token {
    /// In seconds of the Unix epoch; 0 for a token without an end.
    #[serde(default)]
    expiry: i64,
}

impl TokenAnswer {
    /// When the token expires, if it does.
    pub(crate) fn expires(&self) -> Option<DateTime<Utc>> {
        DateTime::from_timestamp(self.token.expiry, 0).filter(|_| self.token.expiry > 0)
    }
}

impl Operation for AuthTokensInfo {
    const ENDPOINT: &'static str = "auth-tokens.info";
    const SAFETY: Safety = Safety::Read;
    type Answer = TokenAnswer;
}
