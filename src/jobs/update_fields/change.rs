//! What becomes of one object: what the journal and the plan hold of it, and the request that makes it so.

use super::value;
use crate::devrev::any_object::Patch;
use crate::devrev::objects::{Clear, Field, Kind, Object, Shape};
use crate::jobs::read_at::ReadAt;
use crate::jobs::update_fields::fields::{app_of, shape};
use crate::journal::record::Outcome;
use crate::run::drift::Plannable;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// The reason of a row whose object is as it is wanted already.
pub(crate) const AS_WANTED: &str = "as-wanted";

/// The fields of one object, before and after.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ObjectChange {
    /// The object's ID as DevRev gave it.
    pub id: String,
    /// Its subtype.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subtype: Option<String>,
    /// The fields that get another value, by name.
    pub fields: BTreeMap<String, FieldChange>,
    /// The fields that `--where` names, as they were.
    #[serde(rename = "where", default, skip_serializing_if = "BTreeMap::is_empty")]
    pub condition: BTreeMap<String, Value>,
    /// Fields that are left alone, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left: Vec<String>,
    /// When the values were read. Not written down: another process reads again.
    #[serde(skip, default = "ReadAt::now")]
    pub read_at: ReadAt,
}

/// One field, before and after, as requests have it; `null` for none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct FieldChange {
    pub before: Value,
    pub after: Value,
    /// The elements that its list gets, where only some are spoken of.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub add: Value,
    /// The elements that its list loses.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub remove: Value,
}

impl FieldChange {
    /// Whether only some elements are spoken of.
    pub(crate) fn is_partial(&self) -> bool {
        !self.add.is_null() || !self.remove.is_null()
    }

    /// Whether a field that holds this now has got what it was to get. Others may have changed the rest of a list.
    pub(crate) fn is_made(&self, kind: &Kind, now: &Value) -> bool {
        if self.is_partial() {
            value::same(kind, now, &self.after(kind, now))
        } else {
            value::same(kind, now, &self.after)
        }
    }

    /// What the field gets if it holds this now.
    pub(crate) fn after(&self, kind: &Kind, now: &Value) -> Value {
        if self.is_partial() {
            value::with(kind, &value::without(kind, now, &self.remove), &self.add)
        } else {
            self.after.clone()
        }
    }
}

impl Plannable for ObjectChange {
    const PASSING: &'static [&'static str] = &["left"];
    const OTHERWISE: &'static [&'static str] = &["not-found", "object-differs"];

    fn is_made(_planned: &RawValue, outcome: &Outcome) -> bool {
        outcome.reason.as_deref() == Some(AS_WANTED)
    }
}

impl ObjectChange {
    /// The request that makes the change. `fields` has every field of it.
    pub(crate) fn request(&self, object: &Object, fields: &[Field], required: bool) -> Patch {
        let mut body = Map::new();
        body.insert("id".to_owned(), self.id.as_str().into());
        if let Some(kind) = object.work_type {
            body.insert("type".to_owned(), kind.into());
        }
        let mut custom = Map::new();
        for field in fields {
            let Some(change) = self.fields.get(&*field.name) else { continue };
            let value = requested(field, change);
            let to = if field.is_custom() { &mut custom } else { &mut body };
            to.insert(field.name.to_string(), value);
        }
        if object.has_custom_fields {
            let spec = spec(self.subtype.as_deref(), &custom, required);
            if !custom.is_empty() {
                body.insert("custom_fields".to_owned(), custom.into());
                body.insert("custom_schema_spec".to_owned(), spec);
            }
        }
        Patch::new(object.endpoints.update, body)
    }
}

/// The schemas that a request with these custom fields has to name.
fn spec(subtype: Option<&str>, custom: &Map<String, Value>, required: bool) -> Value {
    let mut spec = json!({ "tenant_fragment": true });
    let mut apps: Vec<&str> = custom.keys().filter_map(|name| app_of(name)).collect();
    apps.dedup();
    if !apps.is_empty() {
        spec["apps"] = json!(apps);
    }
    if let Some(subtype) = subtype.filter(|_| custom.keys().any(|name| name.starts_with("ctype__"))) {
        spec["subtype"] = subtype.into();
    }
    if required {
        spec["validate_required_fields"] = true.into();
    }
    spec
}

/// A field's value in the shape that the endpoint wants.
fn requested(field: &Field, change: &FieldChange) -> Value {
    let (kind, after, is_custom) = (&field.kind, &change.after, field.is_custom());
    let list = || if after.is_null() { json!([]) } else { after.clone() };
    match (kind, shape(kind)) {
        (_, Some(Shape::AddRemove)) if change.is_partial() => {
            let mut parts = Map::new();
            for (name, part) in [("add", &change.add), ("remove", &change.remove)] {
                if !part.is_null() {
                    parts.insert(name.to_owned(), part.clone());
                }
            }
            parts.into()
        }
        (_, Some(Shape::Set | Shape::AddRemove)) => json!({ "set": list() }),
        (_, Some(Shape::Array)) if is_custom && after.is_null() => Value::Null,
        (_, Some(Shape::Array)) => list(),
        (Kind::Stage, None) => json!({ "name": after }),
        (_, None) if after.is_null() && field.clear == Clear::Empty => "".into(),
        (_, None) => after.clone(),
    }
}
