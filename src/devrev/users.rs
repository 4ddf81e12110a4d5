//! Users as other objects show them (schema `user-summary`, `user-base`).

use super::ids::{Key, Ref, USER_TYPES};

/// A user or other member, in the few members that this tool reads.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct UserSummary {
    /// The user's DON.
    pub id: String,
    /// The user's display ID.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_id: Option<String>,
    /// The name shown to others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
}

impl UserSummary {
    /// What tells this user from others; `None` for what is no user (a group within a group).
    pub fn key(&self) -> Option<Key> {
        let parse = |text: &str| Ref::parse(text, USER_TYPES).ok().map(Ref::key);
        parse(&self.id).or_else(|| parse(self.display_id.as_deref()?))
    }
}
