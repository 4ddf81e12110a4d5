//! The table of objects, held against the facts of DevRev's API file: `test_data/api_fields.json` has what each update
//! request may hold, `test_data/api_creations.json` what each request for a new object may hold and has to.

use super::*;
use serde_json::{Map, Value};

/// Members of update requests that are no fields of the object.
const NO_FIELDS: [&str; 8] = [
    "id",
    "type",
    "custom_fields",
    "custom_schema_fragments",
    "custom_schema_spec",
    "schema_fragment_ids",
    "staged_info",
    "stage_validation_options",
];

fn facts() -> Map<String, Value> {
    serde_json::from_str(include_str!("../../test_data/api_fields.json")).unwrap()
}

#[test]
fn every_field_that_can_be_written_is_there_and_no_other() {
    let facts = facts();
    for object in OBJECTS.iter() {
        let known: Vec<&String> = facts[object.name]
            .as_object()
            .unwrap()
            .keys()
            .filter(|name| !NO_FIELDS.contains(&name.as_str()))
            .collect();
        let mut own: Vec<&str> = object.fields.iter().map(|field| &*field.name).collect();
        own.sort_unstable();
        assert_eq!(own, known, "{}", object.name);
        let takes_custom = facts[object.name].get("custom_fields").is_some();
        assert_eq!(object.has_custom_fields, takes_custom, "{}", object.name);
    }
}

#[test]
fn fields_are_what_the_api_file_says() {
    let facts = facts();
    for object in OBJECTS.iter() {
        for field in &object.fields {
            let fact = &facts[object.name][&*field.name];
            let (kind, format) = (fact["type"].as_str().unwrap(), fact["format"].as_str());
            let fits = match &field.kind {
                Kind::Text { min, max } => {
                    let limit = |name: &str| fact[name].as_u64().map(|limit| usize::try_from(limit).unwrap());
                    (kind, format) == ("string", None)
                        && *min == limit("minLength").unwrap_or(0)
                        && *max == limit("maxLength").unwrap_or(usize::MAX)
                }
                Kind::RichText { .. } => kind == "string" && format.is_none(),
                Kind::Number => (kind, format) == ("number", Some("double")),
                Kind::Money => fact["members"] == serde_json::json!(["amount", "currency"]),
                Kind::Flag => kind == "boolean",
                Kind::Time => (kind, format) == ("string", Some("date-time")),
                Kind::Word(words) => {
                    let mut words: Vec<&str> = words.iter().collect();
                    words.sort_unstable();
                    fact["enum"] == serde_json::json!(words)
                }
                Kind::Choice(_) => kind == "integer",
                Kind::Stage => fact["members"] == serde_json::json!(["name", "stage"]),
                Kind::One(_) => (kind, format) == ("string", Some("id")),
                Kind::List(_, shape) | Kind::Tags(shape) => match shape {
                    Shape::Array => kind == "array",
                    Shape::Set => kind == "set",
                    Shape::AddRemove => kind == "add+remove+set",
                },
                Kind::Int | Kind::Date | Kind::Embedded(_) | Kind::Other => false,
            };
            assert!(fits, "{}.{}: {:?} {fact}", object.name, field.name, field.kind);
            assert_eq!(
                field.clear == Clear::Null,
                fact["nullable"] == true,
                "{}.{}",
                object.name,
                field.name
            );
        }
    }
}

/// Members that newer descriptions of the API have than the file: those of DevRev's TypeScript SDK 1.1.71.
const NEWER: [(&str, &str); 1] = [("works.create", "external_ref")];

#[test]
fn creations_are_what_the_api_file_says() {
    let facts: Map<String, Value> =
        serde_json::from_str(include_str!("../../test_data/api_creations.json")).unwrap();
    for object in OBJECTS.iter() {
        let (name, creation) = (object.name, &object.creation);
        let texts = |member: &str| -> Vec<&str> {
            facts[name][member].as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect()
        };
        let (members, mut needed) = (texts("members"), creation.needed.to_vec());
        needed.extend(object.work_type.map(|_| "type"));
        needed.sort_unstable();
        assert_eq!(needed, texts("required"), "{name}");
        for field in &object.fields {
            let is_taken = members.contains(&&*field.name);
            assert_eq!(object.takes_when_created(&field.name), is_taken, "{name}.{}", field.name);
        }
        let key = object.keys.iter().find(|key| key.name == "external_ref").unwrap();
        assert_eq!(members.contains(&key.field), creation.knows_key, "{name}");
        assert!(creation.knows_key || NEWER.contains(&(creation.endpoint, key.field)), "{name}");
    }
}

#[test]
fn a_schemas_types_of_ids_become_what_names_are_looked_up_for() {
    for (types, target) in [
        (vec!["devu"], Target::DevUser),
        (vec!["devu", "revu"], Target::User),
        (vec!["feature", "product"], Target::Part),
        (vec!["account"], Target::Account),
        (vec!["account", "group"], Target::Any),
        (vec!["sprint"], Target::Any),
        (vec![], Target::Any),
    ] {
        assert_eq!(Target::of_schema(types.iter().copied()), target, "{types:?}");
    }
}
