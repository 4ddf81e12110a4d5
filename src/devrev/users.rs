//! Users as other objects show them (schema `user-summary`, `user-base`).

use super::ids::{Key, Ref, USER_TYPES};
use serde::{Deserialize, Deserializer};

/// A user or other member, in the few members that this tool reads.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct UserSummary {
    /// The user's DON; empty where DevRev does not name it.
    #[serde(default)]
    pub id: String,
    /// The user's display ID.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_id: Option<String>,
    /// The name shown to others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
}

/// A user who may be shown as a summary, by an ID alone, or not at all.
pub(super) fn maybe<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<UserSummary>, D::Error> {
    #[derive(serde::Deserialize)]
    #[serde(untagged)]
    enum Shown {
        Summary(UserSummary),
        Id(String),
    }
    Ok(Option::<Shown>::deserialize(deserializer)?.map(|shown| match shown {
        Shown::Summary(summary) => summary,
        Shown::Id(id) => UserSummary { id, display_id: None, display_name: None },
    }))
}

impl UserSummary {
    /// Whether it names nobody at all.
    pub fn is_nobody(&self) -> bool {
        self.id.is_empty() && self.display_id.is_none()
    }

    /// What tells this user from others; `None` for what is no user (a group within a group).
    pub fn key(&self) -> Option<Key> {
        let parse = |text: &str| Ref::parse(text, USER_TYPES).ok().map(Ref::key);
        parse(&self.id).or_else(|| parse(self.display_id.as_deref()?))
    }
}
