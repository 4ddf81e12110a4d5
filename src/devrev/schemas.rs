//! `schemas.aggregated.get`: the fields that an object of the organisation has.

use super::objects::{Choice, Kind, Shape, Target, Words};
use super::operation::{Operation, Safety};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// `schemas.aggregated.get`: stock fields, and custom fields of the tenant. Those of subtypes and apps are not among
/// them, unless they are asked for.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct SchemaGet {
    leaf_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    custom_schema_spec: Option<SpecForRead>,
}

/// `custom-schema-spec-for-read`
#[derive(Debug, Clone, Default, Serialize)]
struct SpecForRead {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    apps: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subtype: Option<String>,
}

impl SchemaGet {
    /// The schema of a type of object.
    pub(crate) fn of(leaf_type: &'static str) -> Self {
        Self { leaf_type, custom_schema_spec: None }
    }

    /// The same with the fields of these apps and of a subtype.
    pub(crate) fn with(leaf_type: &'static str, apps: Vec<String>, subtype: Option<String>) -> Self {
        Self { leaf_type, custom_schema_spec: Some(SpecForRead { apps, subtype }) }
    }
}

/// `schemas.subtypes.list`
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct SubtypesList {
    /// Of which type of object.
    pub leaf_type: &'static str,
}

/// The answer (schema `subtypes-list-response`).
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct SubtypesAnswer {
    /// The subtypes.
    pub subtypes: Vec<Subtype>,
}

/// A subtype of a type of object.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Subtype {
    /// What `custom_schema_spec` calls it.
    pub value: String,
}

impl Operation for SubtypesList {
    const ENDPOINT: &'static str = "schemas.subtypes.list";
    const SAFETY: Safety = Safety::Read;
    type Answer = SubtypesAnswer;
}

/// The answer (schema `aggregated-schema-get-response`).
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct SchemaAnswer {
    /// The schema.
    pub schema: Schema,
}

impl Operation for SchemaGet {
    const ENDPOINT: &'static str = "schemas.aggregated.get";
    const SAFETY: Safety = Safety::Read;
    type Answer = SchemaAnswer;
}

/// `stage-diagrams.get`
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct StageDiagramGet {
    /// Of which type of object.
    pub leaf_type: &'static str,
}

/// The answer (schema `stage-diagrams-get-response`).
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct StageDiagramAnswer {
    stage_diagram: Value,
}

impl StageDiagramAnswer {
    /// The names of the stages.
    pub(crate) fn stages(&self) -> Vec<String> {
        let nodes = self.stage_diagram["stages"].as_array().into_iter().flatten();
        let in_use = nodes.filter(|node| node["is_deprecated"] != true);
        in_use.filter_map(|node| node["stage"]["name"].as_str()).map(str::to_owned).collect()
    }
}

impl Operation for StageDiagramGet {
    const ENDPOINT: &'static str = "stage-diagrams.get";
    const SAFETY: Safety = Safety::Read;
    type Answer = StageDiagramAnswer;
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
    #[serde(default)]
    allowed_values: Value,
    #[serde(default)]
    max_len: Value,
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

    /// What it holds.
    pub(crate) fn kind(&self) -> Kind {
        match self.kind.as_str() {
            Some("array") => match self.kind_of(self.base_type.as_str().unwrap_or_default()) {
                Kind::Other => Kind::Other,
                kind => Kind::List(Box::new(kind), Shape::Array),
            },
            Some(name) => self.kind_of(name),
            None => Kind::Other,
        }
    }

    fn kind_of(&self, name: &str) -> Kind {
        let max = self.max_len.as_u64().and_then(|max| usize::try_from(max).ok()).unwrap_or(usize::MAX);
        let allowed = || self.allowed_values.as_array().into_iter().flatten();
        match name {
            "bool" => Kind::Flag,
            "int" => Kind::Int,
            "double" => Kind::Number,
            "text" | "tokens" => Kind::Text { min: 0, max },
            "rich_text" => Kind::RichText { max },
            "date" => Kind::Date,
            "timestamp" => Kind::Time,
            "enum" => {
                Kind::Word(Words::Tenant(allowed().filter_map(Value::as_str).map(str::to_owned).collect()))
            }
            "uenum" => Kind::Choice(
                allowed()
                    .filter_map(|one| {
                        Some(Choice { id: one["id"].as_i64()?, label: one["label"].as_str()?.to_owned() })
                    })
                    .collect(),
            ),
            "id" => Kind::One(Target::of_schema(self.id_types())),
            _ => Kind::Other,
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
