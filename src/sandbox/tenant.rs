//! The tenant's own fields: what a request may write into them.

use super::error::{ApiError, json_type};
use super::format::{CustomField, FieldType};
use super::state::State;
use super::world::World;
use crate::devrev::ids::{IdError, ObjectType, Ref};
use chrono::{DateTime, NaiveDate};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// The types that IDs of custom fields may have, by their names in the schema.
const TARGETS: [(&str, ObjectType); 10] = [
    ("group", ObjectType::Group),
    ("devu", ObjectType::DevUser),
    ("revu", ObjectType::RevUser),
    ("svcacc", ObjectType::ServiceAccount),
    ("account", ObjectType::Account),
    ("revo", ObjectType::Workspace),
    ("product", ObjectType::Product),
    ("capability", ObjectType::Capability),
    ("feature", ObjectType::Feature),
    ("enhancement", ObjectType::Enhancement),
];

impl World {
    /// The custom fields of a type of object.
    pub(super) fn fields_of(&self, leaf: &str) -> Option<&BTreeMap<String, CustomField>> {
        if leaf == "issue" { Some(&self.custom_fields) } else { self.other_fields.get(leaf) }
    }

    /// Checks the custom fields of a request against the tenant's schema of a type of object; `null` takes a value
    /// away. IDs become DONs.
    pub(super) fn custom_of(
        &self,
        state: &State,
        leaf: &str,
        body: &Map<String, Value>,
    ) -> Result<Map<String, Value>, ApiError> {
        let spec = body.get("custom_schema_spec").and_then(|spec| spec.get("tenant_fragment"));
        let tenant = spec == Some(&Value::Bool(true));
        let mut taken = Map::new();
        for (name, value) in body.get("custom_fields").and_then(Value::as_object).into_iter().flatten() {
            let refuse =
                |subtype: &str, reason: &str| Err(ApiError::customization(subtype, name, reason.to_owned()));
            let field = match self.fields_of(leaf).and_then(|fields| fields.get(name)) {
                // Without the tenant's fragment no schema is asked for, and so no field is in it.
                Some(_) if !tenant => {
                    let reason =
                        "the request names no schema with this field: set custom_schema_spec.tenant_fragment";
                    return refuse("field_not_in_schema", reason);
                }
                None => return refuse("field_not_in_schema", "not a field of the tenant's schema"),
                Some(field) => field,
            };
            if value.is_null() && field.required {
                return refuse("field_required", &format!("required field {name} cannot be empty"));
            }
            taken.insert(name.clone(), self.custom_value(state, name, field, value)?);
        }
        Ok(taken)
    }

    /// With `validate_required_fields`, an object must have every field that the tenant requires once it is changed;
    /// `has` says which it has.
    pub(super) fn required(
        &self,
        leaf: &str,
        body: &Map<String, Value>,
        has: impl Fn(&String) -> bool,
    ) -> Result<(), ApiError> {
        let spec = body.get("custom_schema_spec").and_then(Value::as_object);
        let asked = |name: &str| spec.and_then(|spec| spec.get(name)) == Some(&Value::Bool(true));
        if !asked("validate_required_fields") || !asked("tenant_fragment") {
            return Ok(());
        }
        let given = body.get("custom_fields").and_then(Value::as_object);
        let is_given = |name: &String| given.is_some_and(|given| given.contains_key(name));
        let mut fields = self.fields_of(leaf).into_iter().flatten();
        match fields.find(|(name, field)| field.required && !is_given(name) && !has(name)) {
            Some((name, _)) => Err(ApiError::customization(
                "field_required",
                name,
                format!("required field {name} is not set"),
            )),
            None => Ok(()),
        }
    }

    fn custom_value(
        &self,
        state: &State,
        name: &str,
        field: &CustomField,
        value: &Value,
    ) -> Result<Value, ApiError> {
        match value {
            Value::Null => Ok(Value::Null),
            Value::Array(values) if field.list => {
                values.iter().map(|value| self.one_custom_value(state, name, field, value)).collect()
            }
            other if field.list => {
                let reason = format!("an array is needed, not {}", json_type(other));
                Err(ApiError::customization("wrong_type", name, reason))
            }
            value => self.one_custom_value(state, name, field, value),
        }
    }

    fn one_custom_value(
        &self,
        state: &State,
        name: &str,
        field: &CustomField,
        value: &Value,
    ) -> Result<Value, ApiError> {
        let refuse = |subtype: &str, reason: String| Err(ApiError::customization(subtype, name, reason));
        let text = value.as_str();
        let (fits, wanted) = match field.kind {
            FieldType::Bool => (value.is_boolean(), "bool"),
            FieldType::Int => (value.as_i64().is_some(), "whole number"),
            FieldType::Date => {
                let date = text.map(|text| NaiveDate::parse_from_str(text, "%Y-%m-%d"));
                (date.is_some_and(|date| date.is_ok()), "date")
            }
            FieldType::Timestamp => {
                (text.is_some_and(|text| DateTime::parse_from_rfc3339(text).is_ok()), "time")
            }
            FieldType::Enum if text.is_some() && !field.allowed.contains(value) => {
                return refuse("invalid_argument", format!("{value} is not an allowed value"));
            }
            FieldType::Uenum if value.is_number() && !field.allowed.iter().any(|one| one["id"] == *value) => {
                return refuse("invalid_argument", format!("{value} is not an allowed value"));
            }
            FieldType::Double | FieldType::Uenum => (value.is_number(), "number"),
            FieldType::Text | FieldType::RichText | FieldType::Enum | FieldType::Id => {
                (text.is_some(), "string")
            }
        };
        if !fits {
            return refuse("wrong_type", format!("a {wanted} is needed, not {}", json_type(value)));
        }
        let (FieldType::Id, Some(id)) = (field.kind, text) else { return Ok(value.clone()) };
        let is_allowed = |name: &str| field.allowed.iter().any(|allowed| allowed == name);
        let types: Vec<ObjectType> =
            TARGETS.into_iter().filter(|(name, _)| is_allowed(name)).map(|(_, object)| object).collect();
        match Ref::parse(id, &types) {
            Err(error @ IdError::Shape { .. }) => refuse("id_parse_error", error.to_string()),
            Err(error @ IdError::WrongType { .. }) => refuse("id_type_not_allowed", error.to_string()),
            Ok(named) => match self.reference(state, id) {
                None => refuse("invalid_argument", format!("there is no {} `{id}`", named.object.don_name())),
                Some(mut shown) => Ok(shown["id"].take()),
            },
        }
    }
}
