//! What is known of an object's creation: whether it may have been sent, whether DevRev keeps its key, and what became of it.

use super::change::ObjectChange;
use crate::devrev::objects::{Field, Object};
use crate::exit::{Exit, Failure};
use crate::journal::record::{raw, step_name};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

/// The step before the request goes out.
pub(super) const SENT: &str = "create-sent";
/// The step of one that DevRev created without its key.
pub(super) const WITHOUT_KEY: &str = "created-without-key";

/// What is known of the keys of created objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keys {
    /// DevRev keeps them.
    Kept,
    /// Nothing yet: the next creation goes alone.
    Unproven,
    /// The first one is not found by its key: nothing more is created.
    Lost,
}

impl Keys {
    /// What the API file says.
    pub(super) fn of(object: &Object) -> Self {
        if object.creation.knows_key { Self::Kept } else { Self::Unproven }
    }
}

/// Whether an earlier process announced that it would send the creation. Fails where it was sent, and DevRev dropped the
/// key.
pub(super) fn is_sent(object: &Object, steps: &[Box<RawValue>]) -> Result<bool, Failure> {
    if let Some(step) = steps.iter().find(|step| step_name(step) == WITHOUT_KEY) {
        let step: Value = serde_json::from_str(step.get()).unwrap_or_default();
        return Err(without_key(object, step["created"].as_str().unwrap_or("it"), step["key"].as_str()));
    }
    Ok(steps.iter().any(|step| step_name(step) == SENT))
}

pub(super) fn without_key(object: &Object, id: &str, key: Option<&str>) -> Failure {
    let text = format!(
        "DevRev created {id} without its `external_ref` ({}), so {} cannot be found by their keys here, and nothing more is \
         created. Delete {id} in DevRev if it is not wanted, and end the run with `devrev-batch runs close`",
        key.unwrap_or("unknown"),
        object.plural
    );
    Failure::new(Exit::Unexpected, text)
}

/// What the report has of a created object: its ID, and what DevRev made of the fields that the row does not speak of. By
/// that an undo knows whether someone has changed it.
pub(super) fn report<'a>(
    id: &str,
    change: &ObjectChange,
    values: impl Iterator<Item = (&'a Field, Value)>,
) -> Option<Box<RawValue>> {
    let others =
        values.filter(|(field, value)| !value.is_null() && !change.fields.contains_key(&*field.name));
    let others: Map<String, Value> = others.map(|(field, value)| (field.name.to_string(), value)).collect();
    raw(&json!({ "created": id, "others": others })).ok()
}
