//! The creator-group field: what it is to an update, and what the organisation's schema says of it before anything is
//! written to it.

use crate::devrev::objects::{self, Clear, Kind, Object, Target, is_custom};
use crate::devrev::schemas::{Field, Schema};
use crate::jobs::update_fields::change::FieldChange;
use serde_json::Value;

/// How alike two names are (0 to 1) for one to be a slip for the other.
const ALIKE: f64 = 0.9;
/// Fields that are named at most.
const SHOWN: usize = 5;

/// What the schema says of the field.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum FieldCheck {
    /// It holds a group, or its type cannot be told. What there is to know of it.
    Fits(Vec<String>),
    /// It does not exist; those that may be meant.
    Missing(Vec<String>),
    /// It holds something else: what.
    WrongType(String),
    /// The schema does not tell, for this reason.
    NotTold(&'static str),
}

/// The type of object that has the field.
pub(crate) fn object() -> &'static Object {
    objects::named("issue").unwrap_or(&objects::OBJECTS[0])
}

/// The field with this name. Its prefix says where it stands: `custom_fields: {"tnt__creator_group": <group>}`, or as a
/// field of the object itself, as some gateways have it: `creator_group: {"id": <group>}`.
pub(crate) fn named(name: &str) -> objects::Field {
    let kind = if is_custom(name) { Kind::One(Target::Group) } else { Kind::Embedded(Target::Group) };
    objects::Field { name: name.to_owned().into(), kind, clear: Clear::Null }
}

/// The group's ID that the field holds; `None` if it holds none. A value of any other shape is given as its JSON: it is
/// there, and must not be overwritten unseen.
pub(crate) fn group(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(id) => Some(id.trim().to_owned()).filter(|id| !id.is_empty()),
        other => Some(other.to_string()),
    }
}

/// The change of the field from one group to another; `None` for none.
pub(crate) fn change(from: Option<&str>, to: Option<&str>) -> FieldChange {
    // No ID is JSON; what is, is a value of another shape.
    let value = |id: &str| serde_json::from_str(id).unwrap_or_else(|_| id.into());
    FieldChange {
        before: from.map_or(Value::Null, value),
        after: to.into(),
        add: Value::Null,
        remove: Value::Null,
    }
}

/// Holds the field of this name against the schema of issues.
pub(crate) fn check(schema: &Schema, name: &str) -> FieldCheck {
    let fields = if is_custom(name) { &schema.custom_fields } else { &schema.stock_fields };
    let Some(fields) = fields else { return FieldCheck::NotTold("DevRev's answer lists no fields") };
    let Some(found) = fields.iter().find(|field| field.name() == name) else {
        return if name.starts_with("tnt__") {
            FieldCheck::Missing(alike(fields, name))
        } else if is_custom(name) {
            FieldCheck::NotTold("it may be of a subtype or an app")
        } else {
            FieldCheck::NotTold("it is not a stock field of issues; only some gateways add fields")
        };
    };
    if found.holds_a_group() == Some(false) {
        return FieldCheck::WrongType(found.type_name());
    }
    let mut notes = Vec::new();
    if found.is_immutable() {
        notes.push(format!("`{name}` is immutable: DevRev refuses to change a value that is set"));
    }
    if found.is_required() || schema.may_be_required(name) {
        notes.push(format!("`{name}` is required: undo cannot empty it again"));
    }
    let custom = schema.custom_fields.iter().flatten();
    let others: Vec<_> =
        custom.filter(|other| other.name() != name && other.must_be_given()).map(Field::name).collect();
    if !others.is_empty() {
        let more = if others.len() > SHOWN { ", ..." } else { "" };
        let shown = others.iter().take(SHOWN).copied().collect::<Vec<_>>().join(", ");
        notes.push(format!("other fields of issues are required ({shown}{more}): DevRev may refuse to update issues without them"));
    }
    FieldCheck::Fits(notes)
}

/// Fields that hold a group, and those with a name much like this one.
fn alike(fields: &[Field], name: &str) -> Vec<String> {
    let is_alike = |field: &&Field| {
        field.holds_a_group() == Some(true) || strsim::jaro_winkler(field.name(), name) >= ALIKE
    };
    fields.iter().filter(is_alike).take(SHOWN).map(|field| field.name().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jobs::read_at::ReadAt;
    use crate::jobs::update_fields::change::ObjectChange;
    use crate::jobs::update_fields::value;
    use serde_json::json;

    fn check_of(schema: Value, name: &str) -> FieldCheck {
        check(&serde_json::from_value(schema).unwrap(), name)
    }

    fn custom(fields: impl Into<Value>) -> Value {
        json!({"custom_fields": fields.into(), "stock_fields": [], "custom_composite_schemas": []})
    }

    const NAME: &str = "tnt__creator_group";

    /// The group that an issue with these members holds.
    fn held(name: &str, issue: &Value) -> Option<String> {
        group(&value::of(&named(name), issue.as_object().unwrap()))
    }

    #[test]
    fn the_group_is_read_as_an_id_or_as_an_object() {
        let of = |shown: Value| held(NAME, &json!({"custom_fields": {NAME: shown}}));
        assert_eq!(of(json!("GROUP-1")).as_deref(), Some("GROUP-1"));
        assert_eq!(of(json!({"id": "GROUP-1", "name": "A"})).as_deref(), Some("GROUP-1"));
        for none in [json!(null), json!(""), json!(" "), json!([]), json!({}), json!({"id": null})] {
            assert_eq!(of(none.clone()), None, "{none}");
        }
        assert_eq!(held(NAME, &json!({"custom_fields": 7})), None);
        assert_eq!(held("creator_group", &json!({"custom_fields": {NAME: "GROUP-1"}})), None);
        let native = json!({"creator_group": {"id": "GROUP-2"}});
        assert_eq!(held("creator_group", &native).as_deref(), Some("GROUP-2"));
        for strange in [json!(["GROUP-2"]), json!(7), json!({"name": "A"})] {
            let held = held("creator_group", &json!({"creator_group": strange})).unwrap();
            assert_eq!(
                change(Some(&held), None).before,
                strange,
                "a value that is not understood is still one"
            );
        }
    }

    #[test]
    fn an_update_of_a_custom_field_names_its_schema() {
        let request = |name: &str, to: Option<&str>| {
            let fields = [(name.to_owned(), change(None, to))].into_iter().collect();
            let change = ObjectChange::of("ISS-1".to_owned(), fields, ReadAt::now());
            serde_json::to_value(change.request(object(), &[named(name)], false)).unwrap()
        };
        for to in [Some("GROUP-1"), None] {
            assert_eq!(
                request(NAME, to),
                json!({"id": "ISS-1", "type": "issue", "custom_fields": {NAME: to},
                       "custom_schema_spec": {"tenant_fragment": true}})
            );
        }
        assert_eq!(
            request("creator_group", Some("GROUP-1")),
            json!({"id": "ISS-1", "type": "issue", "creator_group": {"id": "GROUP-1"}})
        );
        let away = json!({"id": "ISS-1", "type": "issue", "creator_group": null});
        assert_eq!(request("creator_group", None), away);
    }

    #[test]
    fn the_type_has_to_be_that_of_a_group() {
        let of = |mut field: Value| {
            field["name"] = json!(NAME);
            check_of(custom(json!([field])), NAME)
        };
        let fits = || FieldCheck::Fits(Vec::new());
        let wrong = |found: &str| FieldCheck::WrongType(found.to_owned());
        for (field, expected) in [
            (json!({"field_type": "id", "id_type": ["group"]}), fits()),
            (json!({"field_type": "id", "id_type": ["account", "group"]}), fits()),
            (json!({"field_type": "id", "id_type": ["account"]}), wrong("id of account")),
            (json!({"field_type": "text"}), wrong("text")),
            (json!({"field_type": "array", "base_type": "id", "id_type": ["group"]}), wrong("array of id")),
            // What is not told is not held against it.
            (json!({"field_type": "id"}), fits()),
            (json!({"field_type": "id", "id_type": "group"}), fits()),
            (json!({"field_type": "unknown"}), fits()),
            (json!({"field_type": 7, "is_required": "yes"}), fits()),
        ] {
            assert_eq!(of(field.clone()), expected, "{field}");
        }
    }

    #[test]
    fn a_field_that_does_not_exist_is_missed_only_where_it_would_be_listed() {
        let fields = json!([
            {"name": "tnt__creator_grp", "field_type": "text"},
            {"name": "tnt__team", "field_type": "id", "id_type": ["group"]},
            {"name": "tnt__impact", "field_type": "text"}, {"name": null}, {},
        ]);
        let missing =
            |names: &[&str]| FieldCheck::Missing(names.iter().map(|name| (*name).to_owned()).collect());
        assert_eq!(check_of(custom(fields), NAME), missing(&["tnt__creator_grp", "tnt__team"]));
        assert_eq!(check_of(custom(json!([])), NAME), missing(&[]));
        for (schema, name) in [
            (custom(json!(null)), NAME),
            (json!({}), NAME),
            (custom(json!([])), "ctype__creator_group"),
            (custom(json!([])), "app_x__creator_group"),
            (custom(json!([])), "creator_group"),
        ] {
            assert!(matches!(check_of(schema.clone(), name), FieldCheck::NotTold(_)), "{schema} {name}");
        }
    }

    #[test]
    fn what_is_required_is_said() {
        let field = |name: &str, required: bool| json!({"name": name, "field_type": "id", "id_type": ["group"], "is_required": required});
        let notes = |schema: Value| match check_of(schema, NAME) {
            FieldCheck::Fits(notes) => notes,
            other => panic!("{other:?}"),
        };
        assert_eq!(notes(custom(json!([field(NAME, true)]))).len(), 1);
        let others = notes(custom(json!([field(NAME, false), field("tnt__a", true), field("tnt__b", true)])));
        assert!(others.len() == 1 && others[0].contains("(tnt__a, tnt__b)"), "{others:?}");
        let mut conditional = custom(json!([field(NAME, false)]));
        conditional["conditions"] =
            json!([{"effects": [{"fields": [NAME], "require": true}]}, {"effects": null}, {}]);
        assert!(notes(conditional)[0].contains("is required: undo cannot empty it"));
    }
}
