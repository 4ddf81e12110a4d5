//! Contacts: `rev-users.get`, `list`, `scan`, `update` and `create`.

use super::lists::pages;
use super::*;

/// [`data`] with contacts 10 to 14, of whom 10 and 11 are one person; tickets 1 to 5, conversations 1 to 3,
/// artifacts and timelines. REVU-3 is a contact too.
pub(super) fn contacts() -> Value {
    let mut data = data();
    data["contacts"] = json!([
        {
            "number": 10, "display_name": "Eva", "full_name": "Eva Ek", "email": "eva@example.com",
            "external_ref": "REVU-500", "description": "Calls", "phone_numbers": ["+4681"], "rev_org": "Nordlys AS",
            "custom_fields": {"tnt__tier": "gold", "tnt__seats": 3}, "artifacts": [1],
            "created": "2024-03-01T08:00:00Z", "modified": "2024-04-01T08:00:00Z",
        },
        {"number": 11, "display_name": "eva", "email": "eva@example.com", "external_ref": "user_11"},
        {"number": 12, "display_name": "Finn", "email": "Finn@example.com", "external_ref": "user_12", "is_verified": false},
        {"number": 13, "email": "finn@example.com", "external_ref": "REVU-13", "state": "locked"},
        {"number": 14, "email": "eva@example.com", "external_ref": "user_11", "state": "deleted"},
    ]);
    data["tickets"] = json!([
        {"number": 1, "title": "One", "created_by": "REVU-11", "artifacts": [1, 2], "body": "Help"},
        {"number": 2, "title": "Two", "created_by": "DEVU-1", "owned_by": ["REVU-11", "REVU-10"]},
        {"number": 3, "title": "Three", "created_by": "DEVU-1", "reported_by": ["REVU-11"]},
        {"number": 4, "title": "Four", "created_by": "REVU-12", "reported_by": []},
        {"number": 5, "title": "Five", "created_by": "REVU-12"},
    ]);
    data["issues"][0]["reported_by"] = json!(["REVU-11"]);
    data["conversations"] = json!([
        {"number": 1, "title": "Hello", "members": ["REVU-11", "DEVU-1"]},
        {"number": 2, "title": "Both", "members": ["REVU-10", "REVU-11"]},
        {"number": 3, "title": "Other", "members": ["REVU-12"]},
    ]);
    data["artifacts"] = json!([
        {"number": 1, "name": "../../etc/passwd", "size": 200_000, "type": "image/png"},
        {"number": 2, "name": "note.txt", "content": "naïve", "stated_size": 99, "type": "text/plain"},
        {"number": 3, "name": "", "size": 0},
    ]);
    data["timelines"] = json!({
        "TKT-1": [
            {"type": "timeline_comment", "created_by": "REVU-11", "body": "Look", "artifacts": [2]},
            {"type": "timeline_change_event", "created_by": "DEVU-1"},
        ],
        "CONV-1": {"generated": 250},
        "ISS-1": [],
    });
    data["merge"] = json!({"delay_ms": 0});
    data
}

pub(super) async fn with_contacts() -> Rig {
    rig(options(&contacts())).await
}

fn found(answer: &Value) -> Vec<&str> {
    answer["rev_users"].as_array().unwrap().iter().map(|one| one["display_id"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_contact_looks_as_in_the_api_file() {
    let rig = with_contacts().await;
    let don = "don:identity:dvrv-us-1:devo/TEST:revu/10";
    let got = &rig.good("rev-users.get", json!({"id": don})).await["rev_user"];
    let org = &got["rev_org"];
    assert_eq!((&org["type"], &org["display_name"]), (&json!("rev_org"), &json!("Nordlys AS")));
    let mut rest = got.clone();
    rest.as_object_mut().unwrap().remove("rev_org");
    let artifact = json!({
        "id": "don:core:dvrv-us-1:devo/TEST:artifact/1",
        "display_id": "ARTIFACT-1",
        "file": {"name": "../../etc/passwd", "size": 200_000, "type": "image/png"},
    });
    let wanted = json!({
        "id": don, "display_id": "REVU-10", "display_name": "Eva", "full_name": "Eva Ek",
        "email": "eva@example.com", "external_ref": "REVU-500", "external_refs": ["REVU-500"],
        "state": "active", "is_verified": true, "description": "Calls", "phone_numbers": ["+4681"],
        "custom_fields": {"tnt__tier": "gold", "tnt__seats": 3}, "artifacts": [artifact],
        "created_date": "2024-03-01T08:00:00.000Z", "modified_date": "2024-04-01T08:00:00.000Z",
    });
    assert_eq!(rest, wanted);
    // A user of this kind is a contact too.
    let user = &rig.good("rev-users.get", json!({"id": "REVU-3"})).await["rev_user"];
    assert_eq!((&user["full_name"], &user["email"]), (&json!("Chi Nguyễn"), &json!("chi@example.com")));
    let deleted = rig.good("rev-users.get", json!({"id": "REVU-14"})).await;
    assert_eq!(deleted["rev_user"]["state"], "deleted");
}

#[tokio::test]
async fn contacts_are_listed_by_email_and_ref() {
    let rig = with_contacts().await;
    for endpoint in ["rev-users.list", "rev-users.scan"] {
        for (query, ids) in [
            (json!({}), vec!["REVU-3", "REVU-10", "REVU-11", "REVU-12", "REVU-13"]),
            (
                json!({"email": ["eva@example.com", "finn@example.com"]}),
                vec!["REVU-10", "REVU-11", "REVU-13"],
            ),
            (json!({"email": ["EVA@example.com"]}), vec![]),
            (json!({"external_ref": ["user_12", "user_11", "x"]}), vec!["REVU-11", "REVU-12"]),
            (json!({"email": ["eva@example.com"], "external_ref": ["user_11"]}), vec!["REVU-11"]),
            (json!({"email": ["finn@example.com"], "external_ref": ["user_11"]}), vec![]),
        ] {
            assert_eq!(found(&rig.good(endpoint, &query).await), ids, "{endpoint} {query}");
        }
    }
    for query in [json!({"limit": 2}), json!({"email": ["eva@example.com", "chi@example.com"], "limit": 1})] {
        let all = pages(&rig, "rev-users.list", query.clone(), "rev_users").await;
        assert_eq!(all.len(), 3, "{query}");
        assert!(
            all.concat()
                .iter()
                .is_sorted_by_key(|one| one["display_id"].as_str().unwrap()[5..].parse::<u32>().unwrap())
        );
    }
    let cursor = rig.good("rev-users.list", json!({"limit": 1})).await["next_cursor"].clone();
    assert_eq!(rig.call("rev-users.scan", json!({"cursor": cursor})).await.status, 400);
}

#[tokio::test]
async fn a_contact_is_updated() {
    let rig = with_contacts().await;
    let update = json!({
        "id": "REVU-10", "display_name": "Eva E.", "email": "ek@example.com", "external_ref": "user_99",
        "description": "", "phone_numbers": [], "artifacts": {"set": ["ARTIFACT-2"]},
        "custom_fields": {"tnt__tier": null, "tnt__seats": 4}, "custom_schema_spec": {"tenant_fragment": true},
    });
    let answer = rig.good("rev-users.update", update).await;
    let now = &answer["rev_user"];
    assert_eq!(
        [&now["display_name"], &now["email"], &now["external_ref"]],
        ["Eva E.", "ek@example.com", "user_99"]
    );
    assert_eq!((&now["custom_fields"], &now["phone_numbers"]), (&json!({"tnt__seats": 4}), &json!([])));
    assert_eq!((&now["artifacts"][0]["file"]["size"], now.get("description")), (&json!(99), None));
    assert_eq!(rig.good("rev-users.get", json!({"id": "REVU-10"})).await, answer);
    let by_email = rig.good("rev-users.list", json!({"email": ["ek@example.com"]})).await;
    assert_eq!(found(&by_email), ["REVU-10"]);
    assert_eq!(found(&rig.good("rev-users.list", json!({"email": ["eva@example.com"]})).await), ["REVU-11"]);
    // The ref that it had is free.
    rig.good("rev-users.update", json!({"id": "REVU-11", "external_ref": "REVU-500"})).await;
    assert_eq!(rig.stats().await["writes"], 2);
}

#[tokio::test]
async fn an_update_that_does_not_fit_changes_nothing() {
    let rig = with_contacts().await;
    let spec = json!({"tenant_fragment": true});
    for (body, status, kind, field) in [
        (
            json!({"id": "REVU-10", "display_name": "x", "external_ref": "user_12"}),
            409,
            "conflict",
            Value::Null,
        ),
        (json!({"display_name": "x"}), 400, "missing_required_field", "id".into()),
        (json!({"id": "DEVU-1"}), 400, "unexpected_id_type", "id".into()),
        (json!({"id": "REVU-10", "state": "deleted"}), 400, "invalid_field", "state".into()),
        (json!({"id": "REVU-10", "email": null}), 400, "unexpected_json_type", "email".into()),
        (json!({"id": "REVU-10", "tags": [{"id": "TAG-1"}]}), 400, "invalid_id", "tags".into()),
        (
            json!({"id": "REVU-10", "artifacts": {"set": ["ARTIFACT-9"]}}),
            400,
            "invalid_id",
            "artifacts.set".into(),
        ),
        (
            json!({"id": "REVU-10", "custom_fields": {"tnt__tier": "x"}}),
            400,
            "customization_validation_error",
            "tnt__tier".into(),
        ),
        (
            json!({"id": "REVU-10", "custom_fields": {"tnt__tier": 1}, "custom_schema_spec": spec}),
            400,
            "customization_validation_error",
            "tnt__tier".into(),
        ),
        (
            json!({"id": "REVU-10", "custom_fields": {"tnt__none": 1}, "custom_schema_spec": spec}),
            400,
            "customization_validation_error",
            "tnt__none".into(),
        ),
        (json!({"id": "REVU-14", "display_name": "x"}), 404, "not_found", Value::Null),
        (json!({"id": "REVU-99", "display_name": "x"}), 404, "not_found", Value::Null),
    ] {
        let got = rig.call("rev-users.update", &body).await;
        assert_eq!((got.status, got.kind(), &got.body["field_name"]), (status, kind, &field), "{body}");
    }
    assert_eq!(rig.good("rev-users.get", json!({"id": "REVU-10"})).await["rev_user"]["display_name"], "Eva");
    assert_eq!(rig.stats().await["writes"], 0);
}

#[tokio::test]
async fn a_contact_is_created() {
    let rig = with_contacts().await;
    let new = json!({
        "display_name": "Gil", "email": "gil@example.com", "external_ref": "user_20", "artifacts": ["ARTIFACT-3"],
    });
    let got = rig.call("rev-users.create", &new).await;
    assert_eq!((got.status, &got.body["rev_user"]["display_id"]), (201, &json!("REVU-15")));
    let got = rig.call("rev-users.create", &new).await;
    assert_eq!((got.status, got.kind()), (409, "conflict"));
    // That of a deleted contact is free, that of a living one is not.
    assert_eq!(rig.call("rev-users.create", json!({"external_ref": "user_11"})).await.status, 409);
    let found_now = rig.good("rev-users.list", json!({"email": ["gil@example.com"]})).await;
    assert_eq!(found(&found_now), ["REVU-15"]);
    rig.good("works.update", json!({"id": "TKT-5", "type": "ticket", "reported_by": {"set": ["REVU-15"]}}))
        .await;
    assert_eq!(ids(&rig.good("works.list", json!({"reported_by": ["REVU-15"]})).await), ["TKT-5"]);
    assert_eq!(rig.stats().await["writes"], 2);
}

#[test]
fn data_that_contradicts_itself_is_refused() {
    let problem = |place: &str, value: Value| {
        let mut data = contacts();
        *data.pointer_mut(place).unwrap() = value;
        Data::from_json(data.to_string().as_bytes()).err().map_or_else(String::new, |error| error.to_string())
    };
    for (place, value, part) in [
        (
            "/contacts/0/external_ref",
            json!("user_12"),
            "REVU-12: external_ref: `user_12` is that of another contact",
        ),
        ("/contacts/0/number", json!(3), "contacts: REVU-3 appears twice"),
        ("/contacts/0/artifacts", json!([9]), "REVU-10: artifacts: there is no artifact ARTIFACT-9"),
        ("/contacts/3/state", json!("lost"), "unknown variant `lost`"),
        ("/tickets/0/created_by", json!("REVU-9"), "TKT-1: created_by: there is no user REVU-9"),
        ("/tickets/2/reported_by", json!(["DEVU-9"]), "TKT-3: reported_by: there is no user DEVU-9"),
        ("/issues/0/reported_by", json!(["DEVU-9"]), "ISS-1: reported_by: there is no user DEVU-9"),
        ("/tickets/1/number", json!(1), "tickets: TKT-1 appears twice"),
        ("/conversations/0/members", json!(["DEVU-9"]), "CONV-1: members: there is no user DEVU-9"),
        ("/conversations/1/number", json!(1), "conversations: CONV-1 appears twice"),
        ("/artifacts/1/number", json!(1), "artifacts: ARTIFACT-1 appears twice"),
        ("/artifacts/0/size", Value::Null, "ARTIFACT-1: give one of size and content"),
        ("/timelines", json!({"TKT-9": []}), "timelines: there is no TKT-9"),
        ("/timelines", json!({"TKT-1": {"generate": 1}}), "unknown field `generate`"),
        (
            "/timelines/TKT-1/0/created_by",
            json!("DEVU-9"),
            "timelines: TKT-1: created_by: there is no user DEVU-9",
        ),
        ("/timelines/TKT-1/0/type", json!("timeline_change_event"), "has neither body nor artifacts"),
        ("/merge", json!({"ends": "lost"}), "unknown variant `lost`"),
        ("/self", json!("REVU-10"), "self: there is no user REVU-10"),
    ] {
        let problem = problem(place, value);
        assert!(problem.contains(part), "{place}: {problem}");
    }
}
