//! What becomes of one object: what the journal and the plan hold of it, and the request that makes it so.

use super::tags::{self, TagIds};
use super::told::cell;
use super::value;
use crate::devrev::any_object::{Create, Patch};
use crate::devrev::objects::{Clear, Field, Kind, Object, Shape};
use crate::jobs::read_at::ReadAt;
use crate::jobs::update_fields::fields::{app_of, shape};
use crate::journal::record::Outcome;
use crate::run::drift::{AS_BEFORE, Plannable};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// The reason of a row whose object is as it is wanted already.
pub(crate) const AS_WANTED: &str = "as-wanted";

/// The fields of one object, before and after.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ObjectChange {
    /// The object's ID as DevRev gave it; empty for one that is to be created.
    pub id: String,
    /// The key of one that is to be created.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub create: Option<String>,
    /// Whether it is deleted: its fields are then all that it holds.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub delete: bool,
    /// Its subtype.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subtype: Option<String>,
    /// The fields that get another value, by name.
    pub fields: BTreeMap<String, FieldChange>,
    /// The fields that `--where` names, as they were. Of an object that an undo deletes, those that its creation did not set.
    #[serde(rename = "where", default, skip_serializing_if = "BTreeMap::is_empty")]
    pub condition: BTreeMap<String, Value>,
    /// Fields that are left alone, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left: Vec<String>,
    /// The tags that the row names and that exist, where others may be created. By them, a plan that was made before its
    /// tags were created is compared.
    #[serde(default, skip_serializing_if = "TagIds::is_empty")]
    pub tags: TagIds,
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
    const PASSING: &'static [&'static str] = &["left", "tags"];
    const OTHERWISE: &'static [&'static str] = &["not-found", "object-differs"];

    fn is_made(_planned: &RawValue, outcome: &Outcome) -> bool {
        matches!(outcome.reason.as_deref(), Some(AS_WANTED | AS_BEFORE))
    }

    fn as_of_now(&self, planned: &RawValue) -> serde_json::Result<Value> {
        serde_json::to_value(serde_json::from_str::<Self>(planned.get())?.with_tags(&self.tags))
    }

    fn difference(&self, planned: &RawValue) -> Option<String> {
        let planned = serde_json::from_str::<Self>(planned.get()).ok()?.with_tags(&self.tags);
        let mut all = Vec::new();
        for (name, was) in &planned.fields {
            let left = || self.left.iter().find(|left| left.split(' ').next() == Some(name));
            match (self.fields.get(name), left()) {
                (Some(now), _) if now.before != was.before => all.push(format!(
                    "{name} is {} now, and was {} when it was planned",
                    told(&now.before, &self.id),
                    told(&was.before, &self.id)
                )),
                (Some(now), _) if now != was => all.push(format!(
                    "{name} would become {}, and {} was planned",
                    told(&now.after, &self.id),
                    told(&was.after, &self.id)
                )),
                (Some(_), _) => {}
                (None, Some(left)) => all.push(left.clone()),
                (None, None) => all.push(format!("{name} is {} already", told(&was.after, &self.id))),
            }
        }
        let new = self.fields.iter().filter(|(name, _)| !planned.fields.contains_key(*name));
        all.extend(new.map(|(name, now)| format!("{name} is {} now", told(&now.before, &self.id))));
        let was = |name: &String| planned.condition.get(name).unwrap_or(&Value::Null);
        let conditions = self.condition.iter().filter(|(name, now)| was(name) != *now);
        all.extend(conditions.map(|(name, now)| {
            format!("{name} is {} now, and was {}", told(now, &self.id), told(was(name), &self.id))
        }));
        (!all.is_empty()).then(|| all.join("; "))
    }
}

/// A value of the object with this ID, in a sentence.
fn told(value: &Value, of: &str) -> String {
    match value {
        Value::Null => "empty".to_owned(),
        value => format!("`{}`", crate::finding::shown(&cell(&Kind::Other, value, of))),
    }
}

impl ObjectChange {
    /// A change of these fields of an object, which were read then.
    pub(crate) fn of(id: String, fields: BTreeMap<String, FieldChange>, read_at: ReadAt) -> Self {
        Self {
            id,
            create: None,
            delete: false,
            subtype: None,
            fields,
            condition: BTreeMap::new(),
            left: Vec::new(),
            tags: TagIds::new(),
            read_at,
        }
    }

    /// The names of its tags that do not exist yet.
    pub(crate) fn new_tags(&self) -> Vec<String> {
        let elements = self.fields.values().flat_map(|field| value::elements(&field.after));
        elements.filter_map(tags::new_name).map(str::to_owned).collect()
    }

    /// The same change, in which tags that have an ID by now go by it.
    pub(crate) fn with_tags(mut self, ids: &TagIds) -> Self {
        for field in self.fields.values_mut() {
            field.after = tags::settled(&field.after, ids);
            field.add = tags::settled(&field.add, ids);
        }
        self
    }

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

impl ObjectChange {
    /// The request that creates the object.
    pub(crate) fn creation(&self, object: &Object, fields: &[Field], required: bool) -> Create {
        let mut body = Map::new();
        if let Some(kind) = object.work_type {
            body.insert("type".to_owned(), kind.into());
        }
        let mut custom = Map::new();
        for field in fields {
            let Some(change) = self.fields.get(&*field.name) else { continue };
            // Lists are arrays here, whatever they are in an update.
            let value = match field.kind {
                Kind::Stage => json!({ "name": change.after }),
                _ => change.after.clone(),
            };
            let to = if field.is_custom() { &mut custom } else { &mut body };
            to.insert(field.name.to_string(), value);
        }
        if !custom.is_empty() {
            body.insert("custom_schema_spec".to_owned(), spec(None, &custom, required));
            body.insert("custom_fields".to_owned(), custom.into());
        }
        Create::new(object.creation.endpoint, body)
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
            if !change.add.is_null() {
                parts.insert("add".to_owned(), change.add.clone());
            }
            if let Some(list) = change.remove.as_array() {
                // A tag is removed whatever its value is, and the API takes none.
                let element = |one: &Value| match one.get("id") {
                    Some(id) => json!({ "id": id }),
                    None => one.clone(),
                };
                parts.insert("remove".to_owned(), list.iter().map(element).collect());
            }
            parts.into()
        }
        (_, Some(Shape::Set | Shape::AddRemove)) => json!({ "set": list() }),
        (_, Some(Shape::Array)) if is_custom && after.is_null() => Value::Null,
        (_, Some(Shape::Array)) => list(),
        (Kind::Stage, None) => json!({ "name": after }),
        (Kind::Embedded(_), None) if !after.is_null() => json!({ "id": after }),
        (_, None) if after.is_null() && field.clear == Clear::Empty => "".into(),
        (_, None) => after.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::devrev::objects::{self, Target};
    use std::path::Path;

    /// A value of a kind, as a request has it.
    fn sample(kind: &Kind) -> Value {
        match kind {
            Kind::Text { .. } | Kind::RichText { .. } | Kind::Stage => json!("text"),
            Kind::Int => json!(1),
            Kind::Number => json!(0.5),
            Kind::Money => json!({"amount": "1.50", "currency": "EUR"}),
            Kind::Flag => json!(true),
            Kind::Time => json!("2026-12-01T00:00:00.000Z"),
            Kind::Date => json!("2026-12-01"),
            Kind::Word(words) => json!(words.iter().next()),
            Kind::Choice(choices) => json!(choices[0].id),
            Kind::One(Target::Any) => json!("don:core:dvrv-us-1:devo/X:vgi/1"),
            Kind::One(_) | Kind::Embedded(_) => json!("DEVU-1"),
            Kind::List(kind, _) => json!([sample(kind)]),
            Kind::Tags(_) => json!([{"id": "TAG-1"}, {"id": "TAG-2", "value": "high"}]),
            Kind::Other => Value::Null,
        }
    }

    fn request(object: &Object, field: &Field, after: Value, add: Value, remove: Value) -> Value {
        let change = FieldChange { before: Value::Null, after, add, remove };
        let fields = [(field.name.to_string(), change)].into_iter().collect();
        let change = ObjectChange::of("X-1".to_owned(), fields, ReadAt::now());
        serde_json::to_value(change.request(object, std::slice::from_ref(field), true)).unwrap()
    }

    /// The creation of an object without fields.
    fn creation() -> ObjectChange {
        serde_json::from_value(json!({"id": "", "create": "NEW-1", "fields": {}})).unwrap()
    }

    /// Holds a value against a schema of the API file, as far as requests need it.
    fn problem(api: &Value, schema: &Value, value: &Value, path: &str) -> Option<String> {
        if let Some(reference) = schema["$ref"].as_str() {
            let name = reference.rsplit('/').next().unwrap();
            return problem(api, &api["components"]["schemas"][name], value, path);
        }
        if value.is_null() {
            return (schema["nullable"] != true).then(|| format!("{path}: null"));
        }
        if let Some(words) = schema["enum"].as_array() {
            return (!words.contains(value)).then(|| format!("{path}: {value} is no word"));
        }
        let fits = match schema["type"].as_str() {
            Some("string") => value.is_string(),
            Some("boolean") => value.is_boolean(),
            Some("integer") => value.is_i64(),
            Some("number") => value.is_number(),
            Some("array") => value.is_array(),
            _ => value.is_object(),
        };
        if !fits {
            return Some(format!("{path}: {value} is no {}", schema["type"]));
        }
        if let Some(list) = value.as_array() {
            return list.iter().find_map(|item| problem(api, &schema["items"], item, path));
        }
        let object = value.as_object()?;
        let mut members = Map::new();
        gather(api, schema, object.get("type"), &mut members);
        if members.is_empty() {
            return None;
        }
        object.iter().find_map(|(name, value)| match members.get(name) {
            Some(schema) => problem(api, schema, value, &format!("{path}.{name}")),
            None => Some(format!("{path}.{name}: no such member")),
        })
    }

    fn gather(api: &Value, schema: &Value, variant: Option<&Value>, members: &mut Map<String, Value>) {
        if let Some(reference) = schema["$ref"].as_str() {
            let name = reference.rsplit('/').next().unwrap();
            return gather(api, &api["components"]["schemas"][name], variant, members);
        }
        for part in schema["allOf"].as_array().into_iter().flatten() {
            gather(api, part, variant, members);
        }
        members.extend(schema["properties"].as_object().cloned().unwrap_or_default());
        let mapped =
            variant.and_then(Value::as_str).map(|variant| &schema["discriminator"]["mapping"][variant]);
        if let Some(reference) = mapped.and_then(Value::as_str) {
            gather(api, &json!({ "$ref": reference }), None, members);
        }
    }

    #[test]
    fn requests_are_as_the_api_file_has_them() {
        // The file is not part of the project.
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/devrev/openapi-beta.subset.json");
        let Ok(text) = std::fs::read(&file) else { return };
        let api: Value = serde_json::from_slice(&text).unwrap();
        let mut checked = 0;
        for object in objects::OBJECTS.iter() {
            let endpoint = format!("/{}", object.endpoints.update);
            let body =
                &api["paths"][&endpoint]["post"]["requestBody"]["content"]["application/json"]["schema"];
            for field in &object.fields {
                let value = sample(&field.kind);
                let mut requests = vec![request(object, field, value.clone(), Value::Null, Value::Null)];
                if shape(&field.kind).is_some() {
                    requests.push(request(object, field, value.clone(), value.clone(), value.clone()));
                }
                if field.clear != Clear::Never {
                    requests.push(request(object, field, Value::Null, Value::Null, Value::Null));
                }
                for request in requests {
                    assert_eq!(problem(&api, body, &request, object.name), None, "{request}");
                    checked += 1;
                }
            }
        }
        assert!(checked > 120, "{checked}");
        for object in objects::OBJECTS.iter() {
            let endpoint = format!("/{}", object.creation.endpoint);
            let body =
                &api["paths"][&endpoint]["post"]["requestBody"]["content"]["application/json"]["schema"];
            for field in object.fields.iter().filter(|field| object.takes_when_created(&field.name)) {
                let after = sample(&field.kind);
                let change =
                    FieldChange { before: Value::Null, after, add: Value::Null, remove: Value::Null };
                let fields = [(field.name.to_string(), change)].into_iter().collect();
                let change = ObjectChange { fields, ..creation() };
                let request = change.creation(object, std::slice::from_ref(field), true);
                let request = serde_json::to_value(request).unwrap();
                assert_eq!(problem(&api, body, &request, object.name), None, "{request}");
            }
        }
    }

    #[test]
    fn a_request_names_the_schemas_of_its_custom_fields() {
        let object = objects::named("ticket").unwrap();
        let field = |name: &str| Field { name: name.to_owned().into(), kind: Kind::Int, clear: Clear::Null };
        let fields = ["tnt__a", "ctype__b", "app_mail__c"].map(field);
        let one = |after| FieldChange { before: Value::Null, after, add: Value::Null, remove: Value::Null };
        let changes = fields.iter().map(|field| (field.name.to_string(), one(json!(1)))).collect();
        let change = ObjectChange {
            subtype: Some("bug".to_owned()),
            ..ObjectChange::of("TKT-1".to_owned(), changes, ReadAt::now())
        };
        let request = serde_json::to_value(change.request(object, &fields, true)).unwrap();
        assert_eq!(request["custom_fields"], json!({"tnt__a": 1, "ctype__b": 1, "app_mail__c": 1}));
        let spec = json!({
            "tenant_fragment": true, "subtype": "bug", "apps": ["mail"], "validate_required_fields": true,
        });
        assert_eq!(request["custom_schema_spec"], spec);
    }
}
