//! Values for people: IDs as people know them.

use super::{tags, value};
use crate::devrev::ids::{Place, Ref};
use crate::devrev::objects::Kind;
use serde_json::Value;

/// DONs as display IDs, but for those of another organisation than that of the object.
pub(super) fn short(value: &Value, of: &str) -> Value {
    match value {
        Value::String(text) if text.starts_with("don:") => {
            let is_own = Place::of(of).zip(Place::of(text)).is_none_or(|(one, other)| one.agrees(&other));
            let named = Ref::of_any(text).filter(|_| is_own);
            named.map_or_else(|| value.clone(), |named| named.key().to_string().into())
        }
        Value::Array(list) => list.iter().map(|value| short(value, of)).collect(),
        Value::Object(members) => {
            members.iter().map(|(name, value)| (name.clone(), short(value, of))).collect()
        }
        other => other.clone(),
    }
}

/// A value of the object with this ID, in a cell for people.
pub(super) fn cell(kind: &Kind, value: &Value, of: &str) -> String {
    if matches!(kind, Kind::Choice(_)) {
        return value::cell(kind, value);
    }
    if let Some(name) = tags::new_name(value) {
        return tags::shown(name);
    }
    let part = |value: &Value| cell(&Kind::Other, value, of);
    match short(value, of) {
        Value::Null => String::new(),
        Value::String(text) => text,
        Value::Array(list) => list.iter().map(part).collect::<Vec<_>>().join("; "),
        Value::Object(members) => members.values().map(part).collect::<Vec<_>>().join("="),
        other => other.to_string(),
    }
}
