//! What hangs on contacts: tickets, conversations, timelines.

use super::contacts::with_contacts;
use super::lists::pages;
use super::*;

#[tokio::test]
async fn issues_and_tickets_are_listed_in_one_order() {
    let rig = with_contacts().await;
    let mut wanted: Vec<String> = (1..=12).map(|number| format!("ISS-{number}")).collect();
    wanted.extend((1..=5).map(|number| format!("TKT-{number}")));
    for limit in [1, 4, 5, 12, 16, 17] {
        let all = pages(&rig, "works.list", json!({"limit": limit}), "works").await.concat();
        let all: Vec<_> = all.iter().map(|work| work["display_id"].as_str().unwrap()).collect();
        assert_eq!(all, wanted, "limit {limit}");
    }
    for (query, found) in [
        (json!({"type": ["ticket"], "limit": 2}), vec!["TKT-1", "TKT-2", "TKT-3", "TKT-4", "TKT-5"]),
        (
            json!({"type": ["ticket"], "created_by": ["REVU-12", "DEVU-1"], "limit": 3}),
            vec!["TKT-2", "TKT-3", "TKT-4", "TKT-5"],
        ),
        (
            json!({"reported_by": ["REVU-12", "REVU-11"], "limit": 1}),
            vec!["ISS-1", "TKT-1", "TKT-3", "TKT-5"],
        ),
        (json!({"type": ["issue"], "reported_by": ["REVU-11"]}), vec!["ISS-1"]),
        (json!({"owned_by": ["REVU-10"], "created_by": ["REVU-12"]}), vec![]),
    ] {
        let all = pages(&rig, "works.list", query.clone(), "works").await.concat();
        let all: Vec<_> = all.iter().map(|work| work["display_id"].as_str().unwrap()).collect();
        assert_eq!(all, found, "{query}");
    }
}

#[tokio::test]
async fn a_ticket_looks_and_changes_like_one() {
    let rig = with_contacts().await;
    let work = &rig.good("works.get", json!({"id": "TKT-1"})).await["work"];
    let shown = [&work["type"], &work["id"], &work["display_id"], &work["title"], &work["body"]];
    assert_eq!(shown, ["ticket", "don:core:dvrv-us-1:devo/TEST:ticket/1", "TKT-1", "One", "Help"]);
    assert_eq!((work.get("priority"), work["severity"].is_string()), (None, true));
    assert_eq!(work["artifacts"][1]["file"], json!({"name": "note.txt", "size": 99, "type": "text/plain"}));
    assert_eq!(
        (&work["created_by"]["type"], &work["created_by"]["external_ref"]),
        (&json!("rev_user"), &json!("user_11"))
    );
    let update = json!({
        "id": "TKT-1", "type": "ticket", "title": "Uno", "body": "b",
        "owned_by": {"set": ["DEVU-2"]}, "reported_by": {"set": ["REVU-12"]},
    });
    let answer = rig.good("works.update", update).await;
    assert_eq!(answer, rig.good("works.get", json!({"id": "TKT-1"})).await);
    assert_eq!(
        ids(&rig.good("works.list", json!({"type": ["ticket"], "owned_by": ["DEVU-2"]})).await),
        ["TKT-1"]
    );
    for (body, kind, field) in [
        (json!({"id": "TKT-1", "type": "issue"}), "value_not_permitted", json!("type")),
        (
            json!({"id": "TKT-1", "type": "ticket", "reported_by": {"set": ["REVU-14"]}}),
            "invalid_id",
            json!("reported_by.set"),
        ),
        (json!({"id": "TKT-1", "type": "ticket", "priority": "p1"}), "invalid_field", json!("priority")),
        (
            json!({
                "id": "TKT-1", "type": "ticket", "custom_fields": {"tnt__cause": "x"},
                "custom_schema_spec": {"tenant_fragment": true},
            }),
            "customization_validation_error",
            json!("tnt__cause"),
        ),
    ] {
        let got = rig.call("works.update", &body).await;
        assert_eq!((got.status, got.kind(), &got.body["field_name"]), (400, kind, &field), "{body}");
    }
    assert_eq!(rig.stats().await["writes"], 1);
}

#[tokio::test]
async fn conversations_are_found_by_their_members() {
    let rig = with_contacts().await;
    let query = json!({"members": ["REVU-10", "REVU-11"], "limit": 1});
    let all = pages(&rig, "conversations.list", query, "conversations").await;
    assert_eq!(
        (all.len(), &all[0][0]["display_id"], &all[1][0]["title"]),
        (2, &json!("CONV-1"), &json!("Both"))
    );
    let types: Vec<_> =
        all[0][0]["members"].as_array().unwrap().iter().map(|one| one["type"].clone()).collect();
    assert_eq!(types, ["rev_user", "dev_user"]);
    let all = pages(&rig, "conversations.list", json!({"limit": 2}), "conversations").await;
    assert_eq!(all.iter().map(Vec::len).collect::<Vec<_>>(), [2, 1]);
    let one = rig.good("conversations.get", json!({"id": "CONV-3"})).await;
    assert_eq!(one["conversation"]["id"], "don:core:dvrv-us-1:devo/TEST:conversation/3");
    assert_eq!(rig.call("conversations.get", json!({"id": "CONV-9"})).await.status, 404);
    // Nobody owns a conversation here; a filter that names nobody lets all pass.
    for (owners, found) in [(json!(["DEVU-1"]), 0), (json!([]), 3)] {
        let all = rig.good("conversations.list", json!({"owned_by": owners})).await;
        assert_eq!(all["conversations"].as_array().unwrap().len(), found);
    }
    assert_eq!(rig.call("conversations.list", json!({"member": []})).await.kind(), "invalid_field");
}

#[tokio::test]
async fn timelines_are_listed_page_by_page() {
    let rig = with_contacts().await;
    let talk =
        pages(&rig, "timeline-entries.list", json!({"object": "CONV-1", "limit": 100}), "timeline_entries")
            .await;
    assert_eq!(talk.iter().map(Vec::len).collect::<Vec<_>>(), [100, 100, 50]);
    let mut ids: Vec<_> =
        talk.concat().iter().map(|entry| entry["id"].as_str().unwrap().to_owned()).collect();
    assert!(ids.iter().all(|id| id.starts_with("don:core:dvrv-us-1:devo/TEST:conversation/1:comment/")));
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 250);
    let entries = rig.good("timeline-entries.list", json!({"object": "TKT-1"})).await;
    let (comment, event) = (&entries["timeline_entries"][0], &entries["timeline_entries"][1]);
    assert_eq!(
        [&comment["type"], &comment["body"], &comment["object_display_id"]],
        ["timeline_comment", "Look", "TKT-1"]
    );
    assert_eq!(comment["artifacts"][0]["display_id"], "ARTIFACT-2");
    assert_eq!(
        (&event["type"], &event["event"]["type"], event.get("body")),
        (&json!("timeline_change_event"), &json!("updated"), None)
    );
    for (object, status) in [
        ("ISS-1", 200),
        ("TKT-2", 200),
        ("REVU-10", 200),
        ("TKT-9", 404),
        ("CONV-9", 404),
        ("REVU-14", 404),
        ("GROUP-1", 400),
    ] {
        let got = rig.call("timeline-entries.list", json!({"object": object})).await;
        assert_eq!(got.status, status, "{object}");
    }
    assert_eq!(rig.call("timeline-entries.list", "{}").await.kind(), "missing_required_field");
}
