//! DevRev's refusals, as its API file describes them (`error-bad-request` and its siblings).

use rustc_hash::FxHasher;
use serde_json::{Map, Value, json};
use std::hash::Hasher;

/// A status and the body that goes with it: `{"type": ..., "message": ..., ...}`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ApiError {
    /// The HTTP status.
    pub(super) status: u16,
    /// Where the object is now, for a redirection.
    pub(super) location: Option<String>,
    body: Map<String, Value>,
}

impl ApiError {
    /// An error with no more than a type and a message.
    pub(super) fn new(status: u16, kind: &str, message: impl Into<String>) -> Self {
        let mut body = Map::new();
        body.insert("type".to_owned(), kind.into());
        body.insert("message".to_owned(), message.into().into());
        Self { status, location: None, body }
    }

    /// The sentence for people.
    pub(super) fn message(&self) -> &str {
        self.body.get("message").and_then(Value::as_str).unwrap_or_default()
    }

    /// Adds a member to the body.
    pub(super) fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.body.insert(name.to_owned(), value.into());
        self
    }

    /// The body as it goes over the wire: `debug_message` ends in a reference to give to DevRev's support, which
    /// the bodies of internal errors carry as a member too.
    pub(super) fn body(&self) -> Vec<u8> {
        let mut body = self.body.clone();
        let words = body.get("message").and_then(Value::as_str).unwrap_or_default();
        if body.contains_key("type") {
            let mut hasher = FxHasher::default();
            hasher.write_u16(self.status);
            hasher.write(words.as_bytes());
            // The same for the same words: what is shown of an error is so too.
            let reference = format!("{:016x}", hasher.finish());
            let debug = format!("{words} (Ref: {reference})");
            if body.get("type").is_some_and(|kind| kind == "internal_error") {
                body.insert("reference_id".to_owned(), reference.into());
            }
            body.insert("debug_message".to_owned(), debug.into());
        }
        json!(body).to_string().into_bytes()
    }

    /// An unknown route has neither a type nor a reference.
    pub(super) fn unrouted(message: impl Into<String>) -> Self {
        let mut error = Self::new(404, "", message);
        error.body.remove("type");
        error
    }

    /// The error that DevRev answers with a status when there is nothing particular to say.
    pub(super) fn of_status(status: u16) -> Self {
        let (kind, message) = match status {
            301..=308 => ("moved", "the object's ID has changed, see Location"),
            401 => ("unauthenticated", "the token is missing or not valid"),
            403 => ("forbidden", "the user may not do this"),
            404 => ("not_found", "the object does not exist"),
            409 => ("conflict", "the request conflicts with the object's present state"),
            429 => ("too_many_requests", "the rate limit is used up"),
            503 => ("service_unavailable", "the service is unavailable"),
            500.. => ("internal_error", "an internal error occurred"),
            _ => ("bad_request", "the request is not valid"),
        };
        Self::new(status, kind, message)
    }

    /// The object's ID has changed to this DON.
    pub(super) fn moved(to: String) -> Self {
        Self { location: Some(to), ..Self::of_status(301) }
    }

    /// Another object has what the request wants.
    pub(super) fn conflict(message: impl Into<String>) -> Self {
        Self::new(409, "conflict", message)
    }

    pub(super) fn not_found(message: impl Into<String>) -> Self {
        Self::new(404, "not_found", message)
    }

    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "bad_request", message)
    }

    /// Refuses what DevRev knows and the sandbox does not imitate, so that nothing is silently ignored.
    pub(super) fn not_simulated(field: &str) -> Self {
        Self::bad_request(format!("the sandbox does not simulate the field `{field}`"))
    }

    pub(super) fn invalid_field(field: &str) -> Self {
        Self::field(field, "invalid_field", format!("unknown field `{field}`"))
    }

    pub(super) fn missing_field(field: &str) -> Self {
        Self::field(field, "missing_required_field", format!("the field `{field}` is required"))
    }

    pub(super) fn json_type(field: &str, expected: &str, actual: &Value) -> Self {
        let actual = json_type(actual);
        Self::field(
            field,
            "unexpected_json_type",
            format!("`{field}` is {actual} where {expected} is needed"),
        )
        .with("expected", expected)
        .with("actual", actual)
    }

    pub(super) fn enum_value(field: &str, allowed: &[&str], value: &str) -> Self {
        Self::field(field, "invalid_enum_value", format!("`{value}` is not a value of `{field}`"))
            .with("allowed_values", allowed)
            .with("value", value)
    }

    pub(super) fn not_permitted(field: &str, reason: impl Into<String>) -> Self {
        let reason = reason.into();
        Self::field(field, "value_not_permitted", format!("`{field}`: {reason}")).with("reason", reason)
    }

    pub(super) fn invalid_id(field: &str, message: impl Into<String>) -> Self {
        Self::field(field, "invalid_id", message)
    }

    pub(super) fn id_type(field: &str, message: impl Into<String>) -> Self {
        Self::field(field, "unexpected_id_type", message)
    }

    /// A custom field's value was refused; `subtype` is one of
    /// `error-bad-request-customization-validation-error-subtype`.
    pub(super) fn customization(subtype: &str, field: &str, reason: impl Into<String>) -> Self {
        let reason = reason.into();
        Self::field(field, "customization_validation_error", format!("custom field `{field}`: {reason}"))
            .with("subtype", subtype)
            .with("reason", reason)
    }

    fn field(field: &str, kind: &str, message: impl Into<String>) -> Self {
        Self::new(400, kind, message).with("field_name", field)
    }
}

/// A value's type in the words of `error-bad-request-unexpected-json-type-type`.
pub(super) fn json_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}
