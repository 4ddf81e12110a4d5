//! `schemas.aggregated.get`, `schemas.custom.list` and `schemas.subtypes.list`: which fields objects have.

use super::{Answer, Endpoint, json, paged};
use crate::devrev::objects::{Choice, Clear, Field, Kind, OBJECTS};
use crate::sandbox::check::{Body, text, texts};
use crate::sandbox::cursor::Page;
use crate::sandbox::dons::core_don_of;
use crate::sandbox::error::ApiError;
use crate::sandbox::format::{CustomField, FieldType};
use crate::sandbox::schema::{SCHEMAS_AGGREGATED_GET, SCHEMAS_CUSTOM_LIST, SCHEMAS_SUBTYPES_LIST};
use crate::sandbox::world::World;
use serde_json::{Value, json};

pub(super) const ENDPOINTS: &[Endpoint] = &[
    Endpoint::read("schemas.aggregated.get", SCHEMAS_AGGREGATED_GET, aggregated),
    Endpoint::read("schemas.custom.list", SCHEMAS_CUSTOM_LIST, fragments),
    Endpoint::read("schemas.subtypes.list", SCHEMAS_SUBTYPES_LIST, subtypes),
];

/// The types of object that have a schema here.
const LEAF_TYPES: &[&str] =
    &["issue", "ticket", "task", "opportunity", "account", "rev_org", "rev_user", "conversation"];
/// How the fields of the tenant's own fragment are called on objects. The fragment itself leaves it out.
const TENANT: &str = "tnt__";

fn aggregated(world: &World, body: &Body) -> Answer {
    let leaf = text(body, "leaf_type");
    if leaf.is_empty() {
        return Err(ApiError::bad_request("the sandbox wants a `leaf_type`"));
    }
    if flag(body, "is_custom_leaf_type") == Some(true) || !LEAF_TYPES.contains(&leaf) {
        return Err(ApiError::not_found(format!("there is no schema of the leaf type `{leaf}`")));
    }
    if let Some(spec) = body.get("custom_schema_spec").and_then(Value::as_object) {
        let subtype = Some(text(spec, "subtype")).filter(|subtype| !subtype.is_empty());
        if let Some(name) = subtype.or_else(|| texts(spec, "apps").next()) {
            let reason = format!("no fragment `{name}` of the leaf type `{leaf}`");
            return Err(ApiError::customization("fragment_not_found", "custom_schema_spec", reason));
        }
    }
    json(&json!({"schema": {
        "leaf_type": leaf,
        "is_custom_leaf_type": false,
        "custom_fields": custom_fields(world, leaf, ""),
        "custom_composite_schemas": [],
        "stock_fields": stock_fields(world, leaf),
        "stock_composite_schemas": [],
        "stock_field_overrides": [],
    }}))
}

/// The tenant's fragment of each type of object that has custom fields.
fn fragments(world: &World, body: &Body) -> Answer {
    let page = Page::of("schemas.custom.list", body)?;
    let among = |field: &str, value: &str| {
        let mut wanted = texts(body, field).peekable();
        wanted.peek().is_none() || wanted.any(|wanted| wanted == value)
    };
    // No fragment here is an app's or a subtype's, is of a custom type of object, or is deprecated.
    let none = ["is_custom_leaf_type", "is_deprecated", "deprecated"]
        .iter()
        .any(|name| flag(body, name) == Some(true))
        || ["app", "subtype"].iter().any(|name| texts(body, name).next().is_some());
    let pruned = texts(body, "prune").any(|what| what == "fields");
    let shown = (1..).zip(LEAF_TYPES).filter_map(|(number, leaf)| {
        let fields = custom_fields(world, leaf, TENANT);
        if none || fields.is_empty() || !among("leaf_type", leaf) || !among("types", "tenant_fragment") {
            return None;
        }
        let mut fragment = json!({
            "type": "tenant_fragment",
            "fragment_type": "tenant",
            "id": core_don_of(&world.org, "tenant_fragment", number),
            "leaf_type": leaf,
            "is_custom_leaf_type": false,
            "is_deprecated": false,
            "created_date": "2024-05-01T08:00:00.000Z",
            "modified_date": "2024-05-01T08:00:00.000Z",
        });
        if !pruned {
            fragment["fields"] = json!(fields);
        }
        Some(fragment)
    });
    paged(&page, "result", shown)
}

/// There are no subtypes here, and DevRev names none without a leaf type either.
fn subtypes(_: &World, _: &Body) -> Answer {
    json(&json!({"subtypes": []}))
}

/// The custom fields of a type of object whose names begin with this prefix, without it.
fn custom_fields(world: &World, leaf: &str, prefix: &str) -> Vec<Value> {
    let mut fields: Vec<Value> = Vec::new();
    let own = world.fields_of(leaf).into_iter().flatten();
    fields.extend(own.filter_map(|(name, field)| Some(custom_field(name.strip_prefix(prefix)?, field))));
    if leaf == "rev_user" {
        let own = world.contact_fields.iter();
        fields.extend(own.filter_map(|(name, json_type)| {
            let name = name.strip_prefix(prefix)?;
            let mut shown = descriptor(name, field_type(json_type), false);
            if *json_type == "array" {
                shown["base_type"] = json!("json_value");
            }
            Some(shown)
        }));
    }
    fields
}

fn custom_field(name: &str, field: &CustomField) -> Value {
    let kind = json!(field.kind);
    let mut shown = descriptor(name, kind.as_str().unwrap_or_default(), field.required);
    match field.kind {
        FieldType::Id => shown["id_type"] = json!(field.allowed),
        FieldType::Enum | FieldType::Uenum => shown["allowed_values"] = json!(field.allowed),
        _ => {}
    }
    if field.list {
        shown["base_type"] = shown["field_type"].take();
        shown["field_type"] = json!("array");
    }
    shown
}

/// `schema-field-descriptor-field-type` for values of a type of JSON.
fn field_type(json_type: &str) -> &'static str {
    match json_type {
        "string" => "text",
        "number" => "double",
        "bool" => "bool",
        "array" => "array",
        _ => "json_value",
    }
}

/// The fields of the API file that requests to the sandbox change.
fn stock_fields(world: &World, leaf: &str) -> Vec<Value> {
    let Some(object) = OBJECTS.iter().find(|object| object.leaf_type == leaf) else {
        return vec![descriptor("title", "text", false)];
    };
    let mut fields: Vec<Value> = object.fields.iter().map(stock_field).collect();
    if leaf == "issue" && world.native.contains(&"creator_group") {
        let mut shown = descriptor("creator_group", "id", false);
        shown["id_type"] = json!(["group"]);
        fields.push(shown);
    }
    fields
}

fn stock_field(field: &Field) -> Value {
    let is_required = matches!(&*field.name, "title" | "owned_by") && field.clear == Clear::Never;
    let mut shown = descriptor(&field.name, "", is_required);
    let kind = match &field.kind {
        Kind::List(kind, _) => {
            shown["field_type"] = json!("array");
            &**kind
        }
        kind => kind,
    };
    let own = match kind {
        Kind::Text { .. } => "text",
        Kind::RichText { .. } => "rich_text",
        Kind::Int => "int",
        Kind::Number => "double",
        Kind::Flag => "bool",
        Kind::Time => "timestamp",
        Kind::Date => "date",
        Kind::Word(words) => {
            shown["allowed_values"] = words.iter().collect();
            "enum"
        }
        Kind::Choice(choices) => {
            let choice = |one: &Choice| json!({"id": one.id, "label": one.label, "ordinal": one.id});
            shown["allowed_values"] = choices.iter().map(choice).collect();
            "uenum"
        }
        Kind::One(target) => {
            shown["id_type"] = target.types().iter().map(|object| object.don_name()).collect();
            "id"
        }
        _ => "composite",
    };
    let member = if shown["field_type"] == "array" { "base_type" } else { "field_type" };
    shown[member] = json!(own);
    shown
}

/// `schema-field-descriptor-base`
fn descriptor(name: &str, field_type: &str, required: bool) -> Value {
    let words = name.trim_start_matches(TENANT).replace('_', " ");
    json!({
        "field_type": field_type,
        "name": name,
        "is_required": required,
        "is_filterable": true,
        "ui": {"display_name": words},
    })
}

fn flag(body: &Body, field: &str) -> Option<bool> {
    body.get(field).and_then(Value::as_bool)
}
