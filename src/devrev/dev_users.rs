//! `dev-users.*`: who the token belongs to, and whether a user exists.

use super::operation::{Operation, Safety};
use super::users::UserSummary;
use serde::{Deserialize, Serialize};

/// `dev-users.self`: the token's user.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct DevUsersSelf {}

/// `dev-users.get`.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct DevUsersGet {
    /// The user's ID, in either form.
    pub id: String,
}

/// The answer of both.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct DevUserAnswer {
    /// The user.
    pub dev_user: UserSummary,
}

impl Operation for DevUsersSelf {
    const ENDPOINT: &'static str = "dev-users.self";
    const SAFETY: Safety = Safety::Read;
    type Answer = DevUserAnswer;
}

impl Operation for DevUsersGet {
    const ENDPOINT: &'static str = "dev-users.get";
    const SAFETY: Safety = Safety::Read;
    type Answer = DevUserAnswer;
}

impl DevUserAnswer {
    /// The organisation that the user belongs to, from the DON: `devo/XXXX`.
    pub(crate) fn organisation(&self) -> Option<&str> {
        organisation(&self.dev_user.id)
    }
}

/// The organisation that a DON names: `devo/XXXX`.
pub(super) fn organisation(don: &str) -> Option<&str> {
    don.split(':').nth(3)
}
