//! An object as DevRev returned it, to the last member, together with the members that are read by name.

use serde::de::{Deserialize, DeserializeOwned, Deserializer, Error as _};
use serde_json::value::RawValue;

/// A list that may be `null`, as some servers write an empty one.
pub(super) fn list<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Ok(Option::<Vec<T>>::deserialize(deserializer)?.unwrap_or_default())
}

/// An object with its own text. What is backed up is the text.
#[derive(Debug, Clone)]
pub struct Whole<T> {
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
