//! An object as DevRev returned it, to the last member, together with the members that are read by name.

use serde::de::{Deserialize, DeserializeOwned, Deserializer, Error as _};
use serde_json::value::RawValue;

/// An object with its own text. What is backed up is the text.
#[derive(Debug, Clone)]
pub(crate) struct Whole<T> {
    /// The object's JSON.
    pub raw: Box<RawValue>,
    /// The members that are read by name.
    pub read: T,
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for Whole<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        let read = serde_json::from_str(raw.get()).map_err(D::Error::custom)?;
        Ok(Self { raw, read })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::devrev::works::{OwnedWork, Role};

    #[test]
    fn an_object_is_kept_to_the_last_byte_and_read_as_far_as_it_is_understood() {
        let text = r#"{"id": "x",  "type":"ticket", "owned_by": null, "artifacts": null,
            "created_by": "don:identity:x:devo/1:revu/1", "reported_by": [{"type": "rev_user"}], "more": 1e400}"#;
        let work: Whole<OwnedWork> = serde_json::from_str(text).unwrap();
        assert_eq!(work.raw.get(), text);
        assert!(work.read.is_ticket() && work.read.artifacts.is_empty());
        let users = Role::ALL.iter().flat_map(|role| work.read.users_as(*role));
        let users: Vec<_> = users.map(|user| user.key().map(|key| key.to_string())).collect();
        assert_eq!(users, [Some("REVU-1".to_owned()), None]);
    }
}
