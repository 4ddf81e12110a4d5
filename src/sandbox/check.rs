//! Holds a request's body against its endpoint's table, as strictly as DevRev does.

use super::error::ApiError;
use super::schema::{Field, Kind};
use crate::devrev::ids::{IdError, Ref};
use serde_json::{Map, Value};

/// A request's body, parsed once.
pub(super) type Body = Map<String, Value>;

/// Parses a body.
pub(super) fn parse(bytes: &[u8]) -> Result<Body, ApiError> {
    let value: Value = serde_json::from_slice(bytes).map_err(|error| {
        ApiError::new(400, "parse_error", "the body is not JSON").with("detail", error.to_string())
    })?;
    match value {
        Value::Object(body) => Ok(body),
        other => Err(ApiError::json_type("body", "object", &other)),
    }
}

/// Checks a body. `native` names the native fields that this tenant's gateway knows.
pub(super) fn fits(body: &Body, fields: &[Field], native: &[&str]) -> Result<(), ApiError> {
    Check { native }.record("", fields, body)
}

/// Refuses to write what the sandbox holds nothing of; to take it away, or to say that it is not so, is fine.
pub(super) fn holds(body: &Body, fields: &[Field]) -> Result<(), ApiError> {
    match unheld(body, fields) {
        Some(name) => {
            Err(ApiError::not_permitted(name, "the sandbox holds no such objects: only empty values"))
        }
        None => Ok(()),
    }
}

/// Whether a filter asks for something that no object here has, so that nothing passes it.
pub(super) fn nothing(body: &Body, fields: &[Field]) -> bool {
    unheld(body, fields).is_some()
}

fn unheld<'a>(body: &'a Body, fields: &[Field]) -> Option<&'a str> {
    let is_unheld =
        |name: &str| fields.iter().any(|field| field.name == name && matches!(field.kind, Kind::Unheld(_)));
    body.iter().find(|(name, value)| is_unheld(name) && !is_empty(value)).map(|(name, _)| name.as_str())
}

/// Whether a value says nothing: as a filter it lets everything pass.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Bool(true) | Value::Number(_) => false,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.values().all(is_empty),
    }
}

struct Check<'a> {
    native: &'a [&'a str],
}

impl Check<'_> {
    /// Checks an object's members; `within` is the path of the object itself, empty for the body.
    fn record(&self, within: &str, fields: &[Field], object: &Body) -> Result<(), ApiError> {
        for (name, value) in object {
            let field = fields.iter().find(|field| field.name == name);
            match field {
                Some(field) if within.is_empty() => self.value(name, &field.kind, value)?,
                Some(field) => self.value(&format!("{within}.{name}"), &field.kind, value)?,
                None if within.is_empty() => return Err(ApiError::invalid_field(name)),
                None => return Err(ApiError::invalid_field(&format!("{within}.{name}"))),
            }
        }
        let missing = fields.iter().find(|field| field.required && !object.contains_key(field.name));
        match missing {
            Some(field) if within.is_empty() => Err(ApiError::missing_field(field.name)),
            Some(field) => Err(ApiError::missing_field(&format!("{within}.{}", field.name))),
            None => Ok(()),
        }
    }

    fn value(&self, path: &str, kind: &Kind, value: &Value) -> Result<(), ApiError> {
        match (kind, value) {
            (Kind::Unheld(_) | Kind::Nullable(_), Value::Null) => Ok(()),
            (Kind::Unheld(kind) | Kind::Ignored(kind) | Kind::Nullable(kind), value) => {
                self.value(path, kind, value)
            }
            (Kind::NotSimulated, _) => Err(ApiError::not_simulated(path)),
            (Kind::Native(_), _) if !self.native.contains(&path) => Err(ApiError::invalid_field(path)),
            (Kind::Native(_), Value::Null)
            | (Kind::Bool, Value::Bool(_))
            | (Kind::Number, Value::Number(_))
            | (Kind::Free, Value::Object(_)) => Ok(()),
            (Kind::Text { min, max }, Value::String(text)) => length(path, *min, *max, text),
            (Kind::Id(types), Value::String(text)) => match Ref::parse(text, types) {
                Ok(_) => Ok(()),
                Err(error @ IdError::Shape { .. }) => Err(ApiError::invalid_id(path, error.to_string())),
                Err(error @ IdError::WrongType { .. }) => Err(ApiError::id_type(path, error.to_string())),
            },
            (Kind::Enum(allowed), Value::String(text)) => {
                let known = allowed.contains(&text.as_str());
                if known { Ok(()) } else { Err(ApiError::enum_value(path, allowed, text)) }
            }
            (Kind::Int { min, max }, Value::Number(number)) => {
                let fits = number.as_i64().is_some_and(|number| (*min..=*max).contains(&number));
                let reason = || format!("{number} is not a whole number from {min} to {max}");
                if fits { Ok(()) } else { Err(ApiError::not_permitted(path, reason())) }
            }
            (Kind::List(kind), Value::Array(items)) => {
                items.iter().try_for_each(|item| self.value(path, kind, item))
            }
            (Kind::Record(fields) | Kind::Native(fields), Value::Object(object)) => {
                self.record(path, fields, object)
            }
            (kind, value) => Err(ApiError::json_type(path, json_type_of(kind), value)),
        }
    }
}

fn length(path: &str, min: usize, max: usize, text: &str) -> Result<(), ApiError> {
    let count = text.chars().count();
    if (min..=max).contains(&count) {
        Ok(())
    } else {
        Err(ApiError::not_permitted(path, format!("{count} characters, where {min} to {max} are allowed")))
    }
}

fn json_type_of(kind: &Kind) -> &'static str {
    match kind {
        Kind::Text { .. } | Kind::Id(_) | Kind::Enum(_) => "string",
        Kind::Int { .. } | Kind::Number => "number",
        Kind::Bool => "bool",
        Kind::List(_) => "array",
        Kind::Unheld(kind) | Kind::Ignored(kind) | Kind::Nullable(kind) => json_type_of(kind),
        Kind::Record(_) | Kind::Free | Kind::Native(_) | Kind::NotSimulated => "object",
    }
}

/// Whether a time, in milliseconds since the epoch, is in the range that a filter of a checked body gives. Both ends
/// are in it; an end that is no time is none.
pub(super) fn in_range(body: &Body, field: &str, millis: u64) -> bool {
    let end = |name: &str| {
        let text = body.get(field)?.get(name)?.as_str()?;
        u64::try_from(chrono::DateTime::parse_from_rfc3339(text).ok()?.timestamp_millis()).ok()
    };
    end("after").is_none_or(|after| after <= millis) && end("before").is_none_or(|before| millis <= before)
}

/// A text of a checked body; empty where the field is absent.
pub(super) fn text<'a>(body: &'a Body, field: &str) -> &'a str {
    body.get(field).and_then(Value::as_str).unwrap_or_default()
}

/// The texts of a list in a checked body.
pub(super) fn texts<'a>(body: &'a Body, field: &str) -> impl Iterator<Item = &'a str> {
    body.get(field).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}
