//! Users as other objects show them (schema `user-summary`, `user-base`).

use super::ids::{Key, Ref, USER_TYPES};
use crate::net::lenient;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

/// A user or other member, in the few members that this tool reads. It may be shown as an object or as an ID alone;
/// whatever is neither names nobody.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct UserSummary {
    /// The user's DON; empty where DevRev does not name it.
    pub id: String,
    /// The user's display ID.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display_id: Option<String>,
    /// The name shown to others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
}

impl<'de> Deserialize<'de> for UserSummary {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Default, Deserialize)]
        struct Named {
            #[serde(default, deserialize_with = "lenient::word")]
            id: Option<String>,
            #[serde(default, deserialize_with = "lenient::word")]
            display_id: Option<String>,
            #[serde(default, deserialize_with = "lenient::word")]
            display_name: Option<String>,
        }
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        let named = serde_json::from_str::<Named>(raw.get())
            .unwrap_or_else(|_| Named { id: lenient::word_of(&raw), ..Named::default() });
        let Named { id, display_id, display_name } = named;
        Ok(Self { id: id.unwrap_or_default(), display_id, display_name })
    }
}

impl UserSummary {
    /// Whether it names nobody at all.
    pub(crate) fn is_nobody(&self) -> bool {
        self.id.is_empty() && self.display_id.is_none()
    }

    /// The key of a user that an object shows in this member.
    pub(crate) fn key_in(shown: &Value) -> Option<Key> {
        let parse = |text: &Value| Ref::parse(text.as_str()?, USER_TYPES).ok().map(Ref::key);
        parse(shown.get("id").unwrap_or(shown)).or_else(|| parse(shown.get("display_id")?))
    }

    /// What tells this user from others; `None` for what is no user (a group within a group).
    pub(crate) fn key(&self) -> Option<Key> {
        let parse = |text: &str| Ref::parse(text, USER_TYPES).ok().map(Ref::key);
        parse(&self.id).or_else(|| parse(self.display_id.as_deref()?))
    }
}
