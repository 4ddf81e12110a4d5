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
