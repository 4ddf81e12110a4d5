//! What a contact is created with, from what DevRev showed of it before; and what it cannot be given.

use crate::jobs::merge_contacts::after::is_nothing;
use serde_json::{Map, Value, json};

/// Members that are taken over as they are.
const PLAIN: [&str; 5] = ["display_name", "email", "external_ref", "description", "phone_numbers"];
/// Members that are taken over in another form.
const OTHERS: [&str; 4] = ["external_refs", "custom_fields", "tags", "rev_org"];
/// Members that say nothing of the contact itself, or that every contact is given again.
const OWN: [&str; 12] = [
    "id",
    "display_id",
    "type",
    "state",
    "created_by",
    "created_date",
    "modified_by",
    "modified_date",
    "object_version",
    "primary_identity",
    "custom_schema_fragments",
    "stock_schema_fragment",
];

/// The request that makes a contact like this one.
pub(crate) fn create(contact: &Value) -> Map<String, Value> {
    let mut members = Map::new();
    for name in PLAIN {
        if let Some(value) = contact.get(name).filter(|value| !is_nothing(value)) {
            members.insert(name.to_owned(), value.clone());
        }
    }
    // The reference alone is said already.
    let refs = contact.get("external_refs").filter(|refs| !is_nothing(refs));
    if let Some(refs) = refs
        && *refs != json!([contact.get("external_ref")])
    {
        members.insert("external_refs".to_owned(), refs.clone());
    }
    let fields = fields(contact);
    if !fields.is_empty() {
        members.insert("custom_schema_spec".to_owned(), schemas(contact, &fields));
        members.insert("custom_fields".to_owned(), Value::Object(fields));
    }
    let tags: Vec<Value> =
        contact.get("tags").and_then(Value::as_array).into_iter().flatten().filter_map(tag).collect();
    if !tags.is_empty() {
        members.insert("tags".to_owned(), Value::Array(tags));
    }
    if let Some(org) = contact.get("rev_org")
        && let Some(id) = org.get("id")
    {
        let member = if org.get("type") == Some(&json!("account")) { "account" } else { "rev_org" };
        members.insert(member.to_owned(), id.clone());
    }
    members
}

/// The names of members that hold something, and that a new contact cannot be given.
pub(crate) fn lost(contact: &Value) -> Vec<String> {
    let known = |name: &str| PLAIN.contains(&name) || OTHERS.contains(&name) || OWN.contains(&name);
    let members = contact.as_object().into_iter().flatten();
    // Files are counted by themselves; a new contact is not verified.
    let lost = members.filter(|(name, value)| {
        !known(name) && *name != "artifacts" && !is_nothing(value) && **value != json!(false)
    });
    lost.map(|(name, _)| name.clone()).collect()
}

/// The custom fields that hold something. An object that is named is shown whole, and given by its ID.
fn fields(contact: &Value) -> Map<String, Value> {
    let fields = contact.get("custom_fields").and_then(Value::as_object).into_iter().flatten();
    let given = |value: &Value| match (value, value.get("id")) {
        (Value::Array(items), _) => items.iter().map(|item| item.get("id").unwrap_or(item).clone()).collect(),
        (_, Some(id)) => id.clone(),
        _ => value.clone(),
    };
    fields.filter(|(_, value)| !value.is_null()).map(|(name, value)| (name.clone(), given(value))).collect()
}

/// The schemas that these fields are part of: each must be named.
fn schemas(contact: &Value, fields: &Map<String, Value>) -> Value {
    let mut spec = json!({"tenant_fragment": true});
    if let Some(subtype) = contact.get("subtype").filter(|subtype| !is_nothing(subtype)) {
        spec["subtype"] = subtype.clone();
    }
    let app = |name: &String| Some(name.strip_prefix("app_")?.split_once("__")?.0.to_owned());
    let mut apps: Vec<String> = fields.keys().filter_map(app).collect();
    apps.dedup();
    if !apps.is_empty() {
        spec["apps"] = json!(apps);
    }
    spec
}

fn tag(tag: &Value) -> Option<Value> {
    let id = tag.get("tag")?.get("id")?;
    Some(match tag.get("value").filter(|value| !is_nothing(value)) {
        Some(value) => json!({"id": id, "value": value}),
        None => json!({"id": id}),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_contact_is_created_with_all_that_it_can_be_given() {
        let contact = json!({
            "id": "don:7", "display_id": "REVU-7", "display_name": "Eva", "full_name": "Eva Lind",
            "email": "eva@x.io", "external_ref": "user_7", "external_refs": ["user_7"], "state": "active",
            "is_verified": true, "description": "", "phone_numbers": ["+4912"],
            "custom_fields": {"tnt__tier": "gold", "tnt__none": null, "tnt__owner": {"id": "don:1", "name": "A"},
                "app_crm__score": 5},
            "tags": [{"tag": {"id": "TAG-1", "name": "vip"}, "value": "x"}, {"tag": {"id": "TAG-2"}}],
            "rev_org": {"type": "rev_org", "id": "REV-1", "display_name": "Acme"},
            "artifacts": [{"id": "A-1"}], "created_date": "2024-01-01T00:00:00.000Z",
        });
        let expected = json!({
            "display_name": "Eva", "email": "eva@x.io", "external_ref": "user_7", "phone_numbers": ["+4912"],
            "custom_fields": {"tnt__tier": "gold", "tnt__owner": "don:1", "app_crm__score": 5},
            "custom_schema_spec": {"tenant_fragment": true, "apps": ["crm"]},
            "tags": [{"id": "TAG-1", "value": "x"}, {"id": "TAG-2"}], "rev_org": "REV-1",
        });
        assert_eq!(Value::Object(create(&contact)), expected);
        assert_eq!(lost(&contact), ["full_name", "is_verified"]);
    }

    #[test]
    fn several_references_and_accounts_are_given_as_such() {
        let contact = json!({"external_ref": "user_7", "external_refs": ["user_7", "crm-1"], "subtype": "vip",
            "custom_fields": {"ctype__level": 1}, "rev_org": {"type": "account", "id": "ACC-1"}});
        let expected = json!({"external_ref": "user_7", "external_refs": ["user_7", "crm-1"],
            "custom_fields": {"ctype__level": 1}, "account": "ACC-1",
            "custom_schema_spec": {"tenant_fragment": true, "subtype": "vip"}});
        assert_eq!(Value::Object(create(&contact)), expected);
        assert!(create(&json!({"custom_fields": {}, "tags": null, "email": null})).is_empty());
    }
}
