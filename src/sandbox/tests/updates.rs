//! `works.update`, and the control endpoints that show what it did.

use super::*;

const GROUP_2: &str = "don:identity:dvrv-us-1:devo/TEST:group/2";

fn native() -> Value {
    let mut data = data();
    data["native_fields"] = json!(["creator_group"]);
    data
}

#[tokio::test]
async fn a_creator_group_is_set_shown_and_taken_away() {
    let rig = plain().await;
    let answer = rig.good("works.update", set_group("ISS-3", "GROUP-2")).await;
    assert_eq!(answer["work"]["custom_fields"], json!({"tnt__creator_group": GROUP_2}));
    let read = rig.good("works.get", json!({"id": "ISS-3"})).await;
    assert_eq!(answer, read);
    let date = |value: &Value| chrono::DateTime::parse_from_rfc3339(value.as_str().unwrap()).unwrap();
    let age = chrono::Utc::now().signed_duration_since(date(&read["work"]["modified_date"]));
    assert!(age.num_minutes() == 0, "{read}");
    let answer = rig.good("works.update", set_group("ISS-3", Value::Null)).await;
    assert_eq!(answer["work"]["custom_fields"], json!({}));
    assert_eq!(rig.stats().await["writes"], 2);
}

#[tokio::test]
async fn the_other_fields_are_set() {
    let rig = plain().await;
    let update = json!({
        "id": "ISS-1",
        "type": "issue",
        "title": "é".repeat(256),
        "body": "",
        "owned_by": {"set": ["DEVU-2", "REVU-3"]},
        "reported_by": {"set": []},
        "custom_fields": {"tnt__cause": "cable"},
        "custom_schema_spec": {"tenant_fragment": true},
    });
    let work = &rig.good("works.update", update).await["work"];
    assert_eq!((&work["title"], &work["body"]), (&json!("é".repeat(256)), &json!("")));
    assert_eq!(work["custom_fields"], json!({"tnt__cause": "cable"}));
    assert_eq!((&work["owned_by"][1]["display_id"], &work["reported_by"]), (&json!("REVU-3"), &json!([])));
    let found = rig.good("works.list", json!({"owned_by": ["REVU-3"]})).await;
    assert_eq!(ids(&found), ["ISS-1"]);
}

#[tokio::test]
async fn a_custom_field_must_fit_the_tenants_schema() {
    let rig = plain().await;
    let fields = |fields: Value| json!({"id": "ISS-1", "type": "issue", "custom_fields": fields, "custom_schema_spec": {"tenant_fragment": true}});
    let without = |spec: Option<Value>| {
        let mut body = set_group("ISS-1", "GROUP-1");
        body.as_object_mut().unwrap().remove("custom_schema_spec");
        if let Some(spec) = spec {
            body["custom_schema_spec"] = spec;
        }
        body
    };
    for (body, subtype, field) in [
        (without(None), "field_not_in_schema", "tnt__creator_group"),
        (without(Some(json!({}))), "field_not_in_schema", "tnt__creator_group"),
        (without(Some(json!({"tenant_fragment": false}))), "field_not_in_schema", "tnt__creator_group"),
        (fields(json!({"tnt__other": "x"})), "field_not_in_schema", "tnt__other"),
        (fields(json!({"tnt__creator_group": 3})), "wrong_type", "tnt__creator_group"),
        (fields(json!({"tnt__creator_group": "Mobile"})), "id_parse_error", "tnt__creator_group"),
        (fields(json!({"tnt__creator_group": "DEVU-1"})), "id_type_not_allowed", "tnt__creator_group"),
        (fields(json!({"tnt__creator_group": "GROUP-9"})), "invalid_argument", "tnt__creator_group"),
        (fields(json!({"tnt__cause": []})), "wrong_type", "tnt__cause"),
    ] {
        let got = rig.call("works.update", &body).await;
        assert_eq!((got.status, got.kind()), (400, "customization_validation_error"), "{body}");
        assert_eq!(
            (&got.body["subtype"], &got.body["field_name"]),
            (&json!(subtype), &json!(field)),
            "{body}"
        );
        assert!(got.body["reason"].is_string());
    }
    // One bad value, and nothing at all is changed.
    let half = fields(json!({"tnt__cause": "cable", "tnt__creator_group": 3}));
    assert_eq!(rig.call("works.update", half).await.status, 400);
    let work = rig.good("works.get", json!({"id": "ISS-1"})).await;
    assert_eq!(work["work"]["custom_fields"], json!({}));
    assert_eq!(rig.stats().await["writes"], 0);
}

#[tokio::test]
async fn an_update_must_fit_the_issue() {
    let rig = plain().await;
    for (body, kind, field) in [
        (json!({"id": "ISS-1"}), "missing_required_field", json!("type")),
        (json!({"id": "ISS-1", "type": "ticket"}), "value_not_permitted", json!("type")),
        (json!({"id": "ISS-1", "type": "bug"}), "invalid_enum_value", json!("type")),
        (json!({"id": "ISS-1", "type": "issue", "title": ""}), "value_not_permitted", json!("title")),
        (
            json!({"id": "ISS-1", "type": "issue", "title": "é".repeat(257)}),
            "value_not_permitted",
            json!("title"),
        ),
        (
            json!({"id": "ISS-1", "type": "issue", "owned_by": ["DEVU-1"]}),
            "unexpected_json_type",
            json!("owned_by"),
        ),
        (
            json!({"id": "ISS-1", "type": "issue", "owned_by": {"set": []}}),
            "value_not_permitted",
            json!("owned_by.set"),
        ),
        (
            json!({"id": "ISS-1", "type": "issue", "owned_by": {"set": ["DEVU-9"]}}),
            "invalid_id",
            json!("owned_by.set"),
        ),
        (
            json!({"id": "ISS-1", "type": "issue", "owned_by": {"add": []}}),
            "invalid_field",
            json!("owned_by.add"),
        ),
        (
            json!({"id": "ISS-1", "type": "issue", "stage": {"name": "x"}}),
            "value_not_permitted",
            json!("stage.name"),
        ),
        (json!({"id": "ISS-1", "type": "issue", "severity": "low"}), "invalid_field", json!("severity")),
        (json!({"id": "ISS-1", "type": "issue", "priority": "p9"}), "invalid_enum_value", json!("priority")),
        (
            json!({"id": "ISS-1", "type": "issue", "target_close_date": "soon"}),
            "value_not_permitted",
            json!("target_close_date"),
        ),
        (
            json!({"id": "ISS-1", "type": "issue", "custom_schema_spec": {"apps": ["a"]}}),
            "value_not_permitted",
            json!("custom_schema_spec.apps"),
        ),
        (
            json!({"id": "ISS-1", "type": "issue", "creator_group": {"id": "GROUP-1"}}),
            "invalid_field",
            json!("creator_group"),
        ),
        (
            json!({"id": "ISS-1", "type": "issue", "creator_group": null}),
            "invalid_field",
            json!("creator_group"),
        ),
    ] {
        let got = rig.call("works.update", &body).await;
        assert_eq!((got.status, got.kind(), &got.body["field_name"]), (400, kind, &field), "{body}");
    }
}

#[tokio::test]
async fn a_gateway_may_know_the_native_field() {
    let rig = rig(options(&native())).await;
    let update = |group: Value| json!({"id": "ISS-1", "type": "issue", "creator_group": group});
    let answer = rig.good("works.update", update(json!({"id": GROUP_2}))).await;
    let shown = json!({"id": GROUP_2, "display_id": "GROUP-2", "name": "Mobile"});
    assert_eq!(answer["work"]["creator_group"], shown);
    // The custom field, which this tenant has too, shows the same value.
    assert_eq!(answer["work"]["custom_fields"]["tnt__creator_group"], GROUP_2);
    for (group, kind, field) in [
        (json!({"id": "GROUP-9"}), "invalid_id", "creator_group.id"),
        (json!({"id": "DEVU-1"}), "unexpected_id_type", "creator_group.id"),
        (json!({}), "missing_required_field", "creator_group.id"),
        (json!("GROUP-1"), "unexpected_json_type", "creator_group"),
    ] {
        let got = rig.call("works.update", update(group)).await;
        assert_eq!((got.status, got.kind(), &got.body["field_name"]), (400, kind, &json!(field)));
    }
    let answer = rig.good("works.update", update(Value::Null)).await;
    assert!(answer["work"].get("creator_group").is_none());
}

#[tokio::test]
async fn a_tenant_may_name_the_field_otherwise_or_have_no_custom_one() {
    let mut named = data();
    named["custom_fields"] = json!({"tnt__team": {"type": "id", "allowed": ["group"]}});
    named["creator_group_field"] = "tnt__team".into();
    named["issues"][0]["creator_group"] = "GROUP-2".into();
    let named = rig(options(&named)).await;
    let work = named.good("works.get", json!({"id": "ISS-1"})).await;
    assert_eq!(work["work"]["custom_fields"], json!({"tnt__team": GROUP_2}));

    let mut only_native = native();
    only_native["custom_fields"] = json!({});
    only_native["issues"][0]["creator_group"] = "GROUP-2".into();
    let only_native = rig(options(&only_native)).await;
    let work = &only_native.good("works.get", json!({"id": "ISS-1"})).await["work"];
    assert_eq!((&work["custom_fields"], &work["creator_group"]["name"]), (&json!({}), &json!("Mobile")));
}

#[tokio::test]
async fn updates_at_the_same_time_are_all_counted() {
    let rig = std::sync::Arc::new(plain().await);
    let writers: Vec<_> = (0..8)
        .map(|writer| {
            let rig = std::sync::Arc::clone(&rig);
            tokio::spawn(async move {
                for turn in 0..12 {
                    let group = if (turn + writer) % 2 == 0 { "GROUP-1" } else { "GROUP-2" };
                    rig.good("works.update", set_group(&format!("ISS-{}", turn + 1), group)).await;
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    let lines: Vec<Value> =
        rig.text("issues").await.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 12);
    assert!(lines.iter().all(|line| line["writes"] == 8 && line["creator_group"].is_string()));
    let stats = rig.stats().await;
    assert_eq!([&stats["writes"], &stats["calls"]["works.update"]], [96, 96]);
}

#[tokio::test]
async fn somebody_else_may_change_an_issue() {
    let rig = plain().await;
    let set = |id: &str, group: Value| {
        rig.raw(rig.post(&format!("_sandbox/issues/{id}"), json!({"creator_group": group})))
    };
    assert_eq!(set("ISS-1", "GROUP-2".into()).await.status, 200);
    let work = rig.good("works.get", json!({"id": "ISS-1"})).await;
    assert_eq!(work["work"]["custom_fields"]["tnt__creator_group"], GROUP_2);
    let first = format!("{{\"id\":\"ISS-1\",\"creator_group\":\"{GROUP_2}\",\"writes\":0}}");
    let lines = rig.text("issues").await;
    assert_eq!(lines.lines().next(), Some(first.as_str()));
    assert_eq!(lines.lines().nth(1), Some(r#"{"id":"ISS-2","creator_group":null,"writes":0}"#));
    assert_eq!(set("ISS-1", Value::Null).await.status, 200);
    assert_eq!(set("ISS-1", 3.into()).await.status, 400);
    assert_eq!(set("ISS-1", "GROUP-9".into()).await.status, 404);
    assert_eq!(set("ISS-99", Value::Null).await.status, 404);
    let stats = rig.stats().await;
    assert_eq!([&stats["writes"], &stats["total"]], [0, 1]);
}
