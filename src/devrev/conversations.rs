//! `conversations.list`: the conversations that users take part in.

use super::pages::{PAGE_LIMIT, list_endpoint};
use super::users::UserSummary;
use super::whole::Whole;
use crate::net::lenient;
use serde::{Deserialize, Serialize};

/// A conversation's members that are read by name.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Conversation {
    /// The conversation's DON.
    pub id: String,
    /// Its display ID.
    #[serde(default, deserialize_with = "lenient::word")]
    pub display_id: Option<String>,
    /// Who takes part.
    #[serde(default, deserialize_with = "lenient::list")]
    pub members: Vec<UserSummary>,
}

/// `conversations.list` by members.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct ConversationsList {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    members: Vec<String>,
    limit: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<String>,
}

impl ConversationsList {
    /// The conversations in which any of these users takes part; all of them, if there is none.
    pub(crate) fn with(members: Vec<String>) -> Self {
        Self { members, limit: PAGE_LIMIT, cursor: None }
    }
}

list_endpoint! {
    /// A page of conversations.
    ConversationsList = "conversations.list" -> ConversationsListAnswer { conversations: Whole<Conversation> }
}
