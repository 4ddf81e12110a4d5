//! `conversations.list`: the conversations that users take part in.

use super::client::{Operation, Safety};
use super::pages::{List, PAGE_LIMIT};
use super::users::UserSummary;
use super::whole::{self, Whole};
use serde::{Deserialize, Serialize};

/// A conversation's members that are read by name.
#[derive(Debug, Clone, Deserialize)]
pub struct Conversation {
    /// The conversation's DON.
    pub id: String,
    /// Its display ID.
    #[serde(default)]
    pub display_id: Option<String>,
    /// Who takes part.
    #[serde(default, deserialize_with = "whole::list")]
    pub members: Vec<UserSummary>,
}

/// `conversations.list` by members.
#[derive(Debug, Clone, Serialize)]
pub struct ConversationsList {
    members: Vec<String>,
    limit: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<String>,
}

impl ConversationsList {
    /// The conversations in which any of these users takes part.
    pub fn with(members: Vec<String>) -> Self {
        Self { members, limit: PAGE_LIMIT, cursor: None }
    }
}

/// A page of conversations.
#[derive(Debug, Deserialize)]
pub struct ConversationsListAnswer {
    conversations: Vec<Whole<Conversation>>,
    #[serde(default)]
    next_cursor: Option<String>,
}

impl Operation for ConversationsList {
    const ENDPOINT: &'static str = "conversations.list";
    const SAFETY: Safety = Safety::Read;
    type Answer = ConversationsListAnswer;
}

impl List for ConversationsList {
    type Item = Whole<Conversation>;

    fn after(&mut self, cursor: String) {
        self.cursor = Some(cursor);
    }

    fn split(answer: ConversationsListAnswer) -> (Vec<Whole<Conversation>>, Option<String>) {
        (answer.conversations, answer.next_cursor)
    }
}
