//! `schemas.aggregated.get`: the fields that an object of the organisation has.

use super::operation::{Operation, Safety};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// `schemas.aggregated.get` of issues: stock fields, and custom fields of the tenant. Those of subtypes and apps are
/// not among them.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct IssueSchemaGet {
    leaf_type: &'static str,
}

impl Default for IssueSchemaGet {
    fn default() -> Self {
        Self { leaf_type: "issue" }
    }
}

/// The answer (schema `aggregated-schema-get-response`).
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct SchemaAnswer {
    /// The schema.
    pub schema: Schema,
}

impl Operation for IssueSchemaGet {
    const ENDPOINT: &'static str = "schemas.aggregated.get";
    const SAFETY: Safety = Safety::Read;
    type Answer = SchemaAnswer;
}

/// The fields of an object (schema `aggregated-schema`); a list that is not told is `None`.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Schema {
    /// Custom fields, by their full names (`tnt__...`).
    #[serde(default)]
    pub custom_fields: Option<Vec<Field>>,
    /// Fields that every organisation has.
    #[serde(default)]
    pub stock_fields: Option<Vec<Field>>,
    /// What applies to fields depending on others.
    #[serde(default)]
    conditions: Option<Vec<Condition>>,
}

/// A field (schema `schema-field-descriptor`). A member of an unexpected type counts as one that is not there.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Field {
    #[serde(default)]
    name: Value,
    #[serde(default, rename = "field_type")]
    kind: Value,
    #[serde(default)]
    base_type: Value,
    #[serde(default)]
    id_type: Value,
    #[serde(default)]
    is_required: Value,
    #[serde(default)]
    is_immutable: Value,
    #[serde(default)]
    default_value: Value,
}

/// `custom-schema-fragment-condition`
#[derive(Debug, Clone, Deserialize)]
struct Condition {
    #[serde(default)]
    effects: Value,
}

impl Field {
    /// Its name.
    pub(crate) fn name(&self) -> &str {
        self.name.as_str().unwrap_or_default()
    }

    /// Whether every object must have a value, and gets none by default.
    pub(crate) fn must_be_given(&self) -> bool {
        self.is_required() && self.default_value.is_null()
    }

    /// Whether every object must have a value.
    pub(crate) fn is_required(&self) -> bool {
        self.is_required == Value::Bool(true)
    }

    /// Whether a value that was set cannot be changed.
    pub(crate) fn is_immutable(&self) -> bool {
        self.is_immutable == Value::Bool(true)
    }

    /// Whether it may hold the ID of a group; `None` where that cannot be told.
    pub(crate) fn holds_a_group(&self) -> Option<bool> {
        match self.kind.as_str()? {
            "id" => {
                let types: Vec<&str> = self.id_types().collect();
                (!types.is_empty()).then(|| types.iter().any(|id| id.eq_ignore_ascii_case("group")))
            }
            "unknown" => None,
            _ => Some(false),
        }
    }

    /// Its type for people: `text`, `id of account`, `array of id`.
    pub(crate) fn type_name(&self) -> String {
        let name = self.kind.as_str().unwrap_or("unknown");
        match (name, self.base_type.as_str()) {
            ("array", Some(base)) => format!("array of {base}"),
            ("id", _) if self.id_types().next().is_some() => {
                format!("id of {}", self.id_types().collect::<Vec<_>>().join(" or "))
            }
            _ => name.to_owned(),
        }
    }

    fn id_types(&self) -> impl Iterator<Item = &str> {
        self.id_type.as_array().into_iter().flatten().filter_map(Value::as_str)
    }
}

impl Schema {
    /// Whether some condition makes a field required.
    pub(crate) fn may_be_required(&self, name: &str) -> bool {
        let effects = self.conditions.iter().flatten().filter_map(|condition| condition.effects.as_array());
        effects.flatten().any(|effect| {
            let fields = effect.get("fields").and_then(Value::as_array);
            effect.get("require") == Some(&Value::Bool(true))
                && fields.is_some_and(|fields| fields.iter().any(|field| field == name))
        })
    }
}
