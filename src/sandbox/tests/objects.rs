//! Fields of works, accounts, workspaces and contacts, as the demonstration has them.

use super::*;

async fn demo() -> Rig {
    rig(Options::new(Data::demo())).await
}

#[tokio::test]
async fn a_ticket_takes_every_field_and_shows_it() {
    let rig = demo().await;
    let update = json!({
        "id": "TKT-41", "type": "ticket",
        "severity": "blocker", "stage": {"name": "completed"}, "account": "ACC-2", "rev_org": "REV-nowhere",
    });
    assert_eq!(rig.call("works.update", update).await.body["type"], "invalid_id");
    let update = json!({
        "id": "TKT-41", "type": "ticket",
        "severity": "blocker", "stage": {"name": "completed"}, "account": "ACC-2", "group": "GROUP-2",
        "applies_to_part": "FEAT-3", "tags": {"set": [{"id": "TAG-1"}, {"id": "TAG-2", "value": "high"}]},
        "channels": {"set": ["email"]}, "is_spam": true, "sentiment": 4, "target_close_date": "2026-12-01T00:00:00Z",
        "custom_fields": {"tnt__region": "emea", "tnt__impact": 2, "tnt__handled_by": "DEVU-3", "tnt__languages": ["de"]},
        "custom_schema_spec": {"tenant_fragment": true},
    });
    let work = &rig.good("works.update", update).await["work"];
    assert_eq!((&work["severity"], &work["stage"]["name"]), (&json!("blocker"), &json!("completed")));
    assert_eq!(
        (&work["account"]["display_id"], &work["group"]["display_id"]),
        (&json!("ACC-2"), &json!("GROUP-2"))
    );
    assert_eq!(
        (&work["applies_to_part"]["display_id"], &work["sentiment"]["label"]),
        (&json!("FEAT-3"), &json!("Unhappy"))
    );
    assert_eq!(
        (&work["tags"][1]["tag"]["name"], &work["tags"][1]["value"]),
        (&json!("churn risk"), &json!("high"))
    );
    let handled_by = "don:identity:dvrv-us-1:devo/DEMO:devu/3";
    assert_eq!(work["custom_fields"]["tnt__handled_by"], handled_by);
    let update = json!({
        "id": "TKT-41", "type": "ticket", "account": null, "target_close_date": null,
        "tags": {"add": [{"id": "TAG-3"}], "remove": [{"id": "TAG-2"}]},
    });
    let work = &rig.good("works.update", update).await["work"];
    let tags: Vec<_> = work["tags"].as_array().unwrap().iter().map(|tag| &tag["tag"]["display_id"]).collect();
    assert_eq!(tags, ["TAG-1", "TAG-3"]);
    assert!(work.get("account").is_none() && work.get("target_close_date").is_none());
    let found = rig.good("works.list", json!({"type": ["ticket"], "stage": {"name": ["completed"]}})).await;
    assert!(ids(&found).contains(&"TKT-41"), "{found}");
}

#[tokio::test]
async fn a_field_of_another_type_or_a_value_that_does_not_fit_is_refused() {
    let rig = demo().await;
    let custom =
        |fields: Value| json!({"custom_fields": fields, "custom_schema_spec": {"tenant_fragment": true}});
    for (id, kind, change, wanted) in [
        ("TASK-1", "task", json!({"severity": "low"}), "invalid_field"),
        ("OPP-1", "opportunity", json!({"value": {"amount": "5"}}), "missing_required_field"),
        ("OPP-1", "opportunity", json!({"probability": "0.5"}), "unexpected_json_type"),
        ("TKT-1", "ticket", json!({"severity": null}), "unexpected_json_type"),
        ("TKT-1", "ticket", json!({"sentiment": 9}), "value_not_permitted"),
        ("TKT-1", "ticket", json!({"tags": {"set": [{"id": "TAG-99"}]}}), "invalid_id"),
        ("TKT-1", "ticket", custom(json!({"tnt__region": "moon"})), "customization_validation_error"),
        ("TKT-1", "ticket", custom(json!({"tnt__promised_on": "soon"})), "customization_validation_error"),
        ("TKT-1", "ticket", custom(json!({"tnt__languages": "de"})), "customization_validation_error"),
    ] {
        let mut body = change.clone();
        (body["id"], body["type"]) = (json!(id), json!(kind));
        let got = rig.call("works.update", body).await;
        assert_eq!((got.status, got.kind()), (400, wanted), "{change}");
    }
    assert_eq!(rig.stats().await["writes"], 0);
}

#[tokio::test]
async fn accounts_and_workspaces_are_found_and_changed() {
    let rig = demo().await;
    let found = rig.good("accounts.list", json!({"external_refs": ["CRM-101"]})).await;
    assert_eq!(found["accounts"][0]["display_id"], "ACC-2");
    let update = json!({
        "id": "ACC-2", "tier": null, "owned_by": ["DEVU-7"], "websites": {"set": ["northwind.example.com"]},
        "custom_fields": {"tnt__seats": 7}, "custom_schema_spec": {"tenant_fragment": true},
    });
    let account = &rig.good("accounts.update", update).await["account"];
    assert_eq!(
        (&account["owned_by"][0]["display_id"], &account["custom_fields"]["tnt__seats"]),
        (&json!("DEVU-7"), &json!(7))
    );
    assert!(account.get("tier").is_none(), "{account}");
    let taken = rig.call("accounts.update", json!({"id": "ACC-2", "external_refs": ["CRM-100"]})).await;
    assert_eq!(taken.status, 409);
    let found = rig.good("rev-orgs.list", json!({"external_ref": ["WS-1"]})).await;
    let id = found["rev_orgs"][0]["id"].clone();
    let workspace = &rig.good("rev-orgs.update", json!({"id": id, "environment": "test"})).await["rev_org"];
    assert_eq!(
        (&workspace["environment"], &workspace["account"]["display_id"]),
        (&json!("test"), &json!("ACC-1"))
    );
    assert_eq!(rig.call("accounts.get", json!({"id": "ACC-99"})).await.status, 404);
}

#[tokio::test]
async fn names_are_found() {
    let rig = demo().await;
    let created = rig.call("tags.create", json!({"name": "night shift"})).await;
    assert_eq!((created.status, &created.body["tag"]["display_id"]), (201, &json!("TAG-7")));
    assert_eq!(rig.call("tags.create", json!({"name": "night shift"})).await.status, 409);
    assert_eq!(rig.call("tags.create", json!({"name": ""})).await.status, 400);
    let tags = rig.good("tags.list", json!({"name": ["night shift", "nobody"]})).await;
    assert_eq!(tags["tags"].as_array().unwrap().len(), 1);
    let parts = rig.good("parts.list", json!({"name": ["Billing"]})).await;
    assert_eq!(parts["parts"][0]["display_id"], "FEAT-3");
    let users = rig.good("dev-users.list", json!({"email": ["ana.sousa@example.com"]})).await;
    assert_eq!(users["dev_users"][0]["display_id"], "DEVU-1");
    let diagram = rig.good("stage-diagrams.get", json!({"leaf_type": "ticket"})).await;
    assert_eq!(diagram["stage_diagram"]["stages"][0]["stage"]["name"], "triage");
    let contact = json!({"id": "REVU-10", "tags": [{"id": "TAG-1"}], "display_picture": "ARTIFACT-1"});
    let contact = &rig.good("rev-users.update", contact).await["rev_user"];
    assert_eq!(contact["tags"][0]["tag"]["name"], "billing");
    assert_eq!(contact["display_picture"]["display_id"], "ARTIFACT-1");
}

fn new_ticket(external_ref: &str) -> Value {
    json!({
        "type": "ticket", "title": "New", "applies_to_part": "FEAT-3", "owned_by": ["DEVU-4", "DEVU-5"],
        "external_ref": external_ref, "severity": "high", "tags": [{"id": "TAG-1"}], "stage": {"name": "triage"},
        "custom_fields": {"tnt__region": "emea"}, "custom_schema_spec": {"tenant_fragment": true},
    })
}

#[tokio::test]
async fn a_work_is_created_found_by_its_key_and_deleted() {
    let rig = demo().await;
    let created = rig.call("works.create", new_ticket("CRM-1")).await;
    let work = &created.body["work"];
    assert_eq!((created.status, &work["display_id"]), (201, &json!("TKT-233")), "{work}");
    assert_eq!((&work["external_ref"], &work["severity"]), (&json!("CRM-1"), &json!("high")));
    assert_eq!(
        (&work["owned_by"][1]["display_id"], &work["created_by"]["display_id"]),
        (&json!("DEVU-5"), &json!("DEVU-1"))
    );
    assert_eq!(work["custom_fields"]["tnt__region"], "emea");
    assert_eq!(rig.good("works.get", json!({"id": "TKT-233"})).await["work"], *work);
    let by_key = json!({"external_ref": ["CRM-1", "CRM-2"], "type": ["ticket"]});
    assert_eq!(ids(&rig.good("works.list", &by_key).await), ["TKT-233"]);
    assert_eq!(rig.call("works.create", new_ticket("CRM-1")).await.status, 409);
    // Unique within a type of work.
    let mut issue = new_ticket("CRM-1");
    issue["type"] = json!("issue");
    for member in ["severity", "custom_fields"] {
        issue.as_object_mut().unwrap().remove(member);
    }
    assert_eq!(rig.call("works.create", &issue).await.status, 201);
    let all = rig.good("works.list", json!({"external_ref": ["CRM-1"]})).await;
    assert_eq!(ids(&all), ["ISS-301", "TKT-233"]);
    assert_eq!(rig.good("works.delete", json!({"id": "TKT-233"})).await, json!({}));
    for (endpoint, status) in [("works.get", 404), ("works.delete", 404)] {
        assert_eq!(rig.call(endpoint, json!({"id": "TKT-233"})).await.status, status, "{endpoint}");
    }
    assert!(ids(&rig.good("works.list", &by_key).await).is_empty());
    let owned =
        rig.good("works.list", json!({"owned_by": ["DEVU-5"], "type": ["ticket"], "limit": 500})).await;
    assert!(!ids(&owned).contains(&"TKT-233"));
    // Its key is free; its number is not.
    assert_eq!(rig.call("works.create", new_ticket("CRM-1")).await.body["work"]["display_id"], "TKT-234");
    assert_eq!(rig.stats().await["writes"], 4);
}

#[tokio::test]
async fn a_work_that_does_not_fit_is_not_created() {
    let rig = demo().await;
    let with = |name: &str, value: Value| {
        let mut body = new_ticket("CRM-1");
        match value {
            Value::Null => drop(body.as_object_mut().unwrap().remove(name)),
            value => body[name] = value,
        }
        body
    };
    for (name, value, wanted) in [
        ("title", Value::Null, "missing_required_field"),
        ("applies_to_part", Value::Null, "missing_required_field"),
        ("owned_by", Value::Null, "missing_required_field"),
        ("type", Value::Null, "missing_required_field"),
        ("title", json!(""), "value_not_permitted"),
        ("owned_by", json!([]), "value_not_permitted"),
        ("owned_by", json!({"set": ["DEVU-1"]}), "unexpected_json_type"),
        ("applies_to_part", json!("FEAT-99"), "invalid_id"),
        ("external_ref", json!(""), "value_not_permitted"),
        ("priority", json!("p0"), "invalid_field"),
        ("is_frozen", json!(true), "invalid_field"),
        ("stage", json!({"name": "nowhere"}), "value_not_permitted"),
        ("custom_fields", json!({"tnt__region": "moon"}), "customization_validation_error"),
        ("type", json!("opportunity"), "missing_required_field"),
    ] {
        let got = rig.call("works.create", with(name, value.clone())).await;
        assert_eq!((got.status, got.kind()), (400, wanted), "{name}: {value}");
    }
    assert_eq!(rig.stats().await["writes"], 0);
}

#[tokio::test]
async fn some_tenants_know_no_external_ref_of_works() {
    for (word, found) in [("dropped", 0), ("unknown", 3)] {
        let mut data = data();
        data["works_external_ref"] = json!(word);
        let rig = rig(options(&data)).await;
        let issue = json!({
            "type": "issue", "title": "New", "applies_to_part": "FEAT-3", "owned_by": ["DEVU-1"], "external_ref": "CRM-1",
        });
        for _ in 0..2 {
            let created = rig.call("works.create", &issue).await;
            assert_eq!((created.status, created.body["work"].get("external_ref")), (201, None), "{word}");
        }
        let list = rig.good("works.list", json!({"external_ref": ["CRM-1"], "limit": 3})).await;
        assert_eq!(ids(&list).len(), found, "{word}");
    }
}
