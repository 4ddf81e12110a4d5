//! The tenant's schemas, and the token's owner.

use super::*;

fn names(schema: &Value, which: &str) -> Vec<String> {
    let fields = schema["schema"][which].as_array().unwrap();
    fields.iter().map(|field| field["name"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_schema_tells_each_field_its_type_and_whether_it_is_required() {
    let mut data = data();
    data["custom_fields"]["tnt__cause"]["required"] = json!(true);
    let rig = rig(options(&data)).await;
    let schema = rig.good("schemas.aggregated.get", json!({"leaf_type": "issue"})).await;
    assert_eq!(names(&schema, "custom_fields"), ["tnt__cause", "tnt__creator_group"]);
    let [cause, group] = [0, 1].map(|at| &schema["schema"]["custom_fields"][at]);
    assert_eq!((&group["field_type"], &group["id_type"]), (&json!("id"), &json!(["group"])));
    assert_eq!((&cause["field_type"], &cause["id_type"]), (&json!("text"), &Value::Null));
    assert_eq!([&cause["is_required"], &group["is_required"]], [true, false]);
    assert!(names(&schema, "stock_fields").contains(&"owned_by".to_owned()));
    for part in ["custom_composite_schemas", "stock_composite_schemas"] {
        assert_eq!(schema["schema"][part], json!([]));
    }
    // Fields of issues are no fields of tickets.
    let tickets = rig.good("schemas.aggregated.get", json!({"leaf_type": "ticket"})).await;
    assert_eq!(names(&tickets, "custom_fields"), [""; 0]);
}

#[tokio::test]
async fn a_gateways_own_field_stands_among_the_stock_fields() {
    let mut data = data();
    data["native_fields"] = json!(["creator_group"]);
    let native = rig(options(&data)).await;
    for (rig, known) in [(&plain().await, false), (&native, true)] {
        let schema = rig.good("schemas.aggregated.get", json!({"leaf_type": "issue"})).await;
        assert_eq!(names(&schema, "stock_fields").contains(&"creator_group".to_owned()), known);
    }
}

#[tokio::test]
async fn fields_of_contacts_are_those_that_they_have() {
    let mut data = data();
    data["contacts"] = json!([{"number": 9, "custom_fields": {"tnt__seats": 4, "tnt__tags": ["a"]}}]);
    let rig = rig(options(&data)).await;
    let schema = rig.good("schemas.aggregated.get", json!({"leaf_type": "rev_user"})).await;
    let fields = schema["schema"]["custom_fields"].as_array().unwrap();
    let types: Vec<_> = fields.iter().map(|field| (&field["name"], &field["field_type"])).collect();
    let cause = (&json!("tnt__cause"), &json!("text"));
    assert_eq!(
        types,
        [cause, (&json!("tnt__seats"), &json!("double")), (&json!("tnt__tags"), &json!("array"))]
    );
}

#[tokio::test]
async fn what_a_schema_is_asked_for_must_be_there() {
    let rig = plain().await;
    for (body, status, kind) in [
        (json!({}), 400, "bad_request"),
        (json!({"leaf_type": "campaign"}), 404, "not_found"),
        (json!({"leaf_type": "issue", "is_custom_leaf_type": true}), 404, "not_found"),
        // Observed: only requests that write know this member.
        (
            json!({"leaf_type": "issue", "custom_schema_spec": {"tenant_fragment": true}}),
            400,
            "invalid_field",
        ),
        (
            json!({"leaf_type": "issue", "custom_schema_spec": {"subtype": "bug"}}),
            400,
            "customization_validation_error",
        ),
    ] {
        let got = rig.call("schemas.aggregated.get", &body).await;
        assert_eq!((got.status, got.kind()), (status, kind), "{body}");
    }
}

#[tokio::test]
async fn fragments_name_their_fields_without_the_prefix() {
    let rig = plain().await;
    let all = rig.good("schemas.custom.list", "{}").await;
    let leaves: Vec<_> = all["result"].as_array().unwrap().iter().map(|one| &one["leaf_type"]).collect();
    assert_eq!(leaves, ["issue", "rev_user"]);
    let issue = &all["result"][0];
    assert_eq!((&issue["type"], &issue["is_deprecated"]), (&json!("tenant_fragment"), &json!(false)));
    assert_eq!(issue["fields"][1]["name"], "creator_group");
    for (filter, count) in [
        (json!({"leaf_type": ["issue"], "types": ["tenant_fragment"]}), 1),
        (json!({"leaf_type": ["ticket"]}), 0),
        (json!({"is_deprecated": false}), 2),
        (json!({"is_deprecated": true}), 0),
        (json!({"types": ["app_fragment"]}), 0),
        (json!({"subtype": ["bug"]}), 0),
    ] {
        let found = rig.good("schemas.custom.list", &filter).await;
        assert_eq!(found["result"].as_array().unwrap().len(), count, "{filter}");
    }
    let pruned = rig.good("schemas.custom.list", json!({"prune": ["fields"], "limit": 1})).await;
    assert!(pruned["result"][0].get("fields").is_none() && pruned["next_cursor"].is_string());
    let subtypes = rig.good("schemas.subtypes.list", json!({"leaf_type": "issue"})).await;
    assert_eq!(subtypes, json!({"subtypes": []}));
}

#[tokio::test]
async fn a_required_field_cannot_be_emptied_or_left_out_of_a_checked_update() {
    let mut data = data();
    data["custom_fields"]["tnt__cause"]["required"] = json!(true);
    let rig = rig(options(&data)).await;
    let spec = json!({"tenant_fragment": true, "validate_required_fields": true});
    let update = |fields: Value, spec: &Value| json!({"id": "ISS-1", "type": "issue", "custom_fields": fields, "custom_schema_spec": spec});
    let unchecked = json!({"tenant_fragment": true});
    let group = json!({"tnt__creator_group": "GROUP-1"});
    for (body, field) in [
        (update(group.clone(), &spec), "tnt__cause"),
        (update(json!({"tnt__cause": null}), &unchecked), "tnt__cause"),
    ] {
        let got = rig.call("works.update", &body).await;
        assert_eq!((got.status, &got.body["subtype"]), (400, &json!("field_required")), "{body}");
        assert_eq!(got.body["field_name"], field);
    }
    assert_eq!(rig.stats().await["writes"], 0);
    rig.good("works.update", update(group.clone(), &unchecked)).await;
    rig.good("works.update", update(json!({"tnt__cause": "cable"}), &spec)).await;
    rig.good("works.update", update(group, &spec)).await;
}

#[tokio::test]
async fn a_token_says_whose_it_is_and_how_long_it_is_good() {
    let mut data = data();
    data["token_expires_in_s"] = json!(3_600);
    let rig = rig(options(&data)).await;
    let info = rig.good("auth-tokens.info", "{}").await;
    let own = rig.good("dev-users.self", "{}").await;
    assert_eq!(info["user"]["id"], own["dev_user"]["id"]);
    assert_eq!((&info["user"]["type"], &info["token"]["subject"]), (&json!("dev_user"), &info["user"]["id"]));
    assert_eq!(info["organization"]["id"], "don:identity:dvrv-us-1:devo/TEST");
    assert_eq!(info["organization"]["display_id"], "DEV-TEST");
    let left = info["token"]["expiry"].as_i64().unwrap() - chrono::Utc::now().timestamp();
    assert!((3_500..=3_601).contains(&left), "{left}");
}
