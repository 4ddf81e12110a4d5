//! `rev-users.merge`: how it ends, what moves, and what is counted.

use super::contacts::contacts;
use super::*;

const DON_10: &str = "don:identity:dvrv-us-1:devo/TEST:revu/10";

async fn merging(options_text: &str) -> Rig {
    rig(Options { merge: Some(options_text.parse().unwrap()), ..options(&contacts()) }).await
}

fn merge() -> Value {
    json!({"primary_user": "REVU-10", "secondary_user": "REVU-11"})
}

async fn secondary(rig: &Rig) -> Got {
    rig.call("rev-users.get", json!({"id": "REVU-11"})).await
}

/// The line of an object in a control endpoint's list.
async fn line(rig: &Rig, list: &str, id: &str) -> Value {
    let lines = rig.text(list).await;
    let mut lines = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.find(|line| line["id"] == id).unwrap()
}

async fn listed(rig: &Rig) -> usize {
    let query = json!({"email": ["eva@example.com"]});
    rig.good("rev-users.list", query).await["rev_users"].as_array().unwrap().len()
}

#[tokio::test]
async fn everything_that_named_the_secondary_names_the_primary() {
    let rig = merging("delay=0").await;
    assert_eq!(rig.good("rev-users.merge", merge()).await, json!({}));
    let named = async |field: &str, user: &str| {
        let works = rig.good("works.list", json!({field: [user]})).await;
        ids(&works).into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(named("created_by", "REVU-10").await, ["TKT-1"]);
    assert_eq!(named("owned_by", "REVU-10").await, ["TKT-2"]);
    assert_eq!(named("reported_by", "REVU-10").await, ["ISS-1", "TKT-1", "TKT-3"]);
    for field in ["created_by", "owned_by", "reported_by"] {
        assert_eq!(named(field, "REVU-11").await, [] as [&str; 0]);
    }
    // Who was named beside the primary is not named twice.
    assert_eq!(line(&rig, "works", "TKT-2").await["owned_by"], json!(["REVU-10"]));
    let ticket = rig.good("works.get", json!({"id": "TKT-1"})).await;
    assert_eq!(ticket["work"]["created_by"]["display_id"], "REVU-10");
    let talks = rig.good("conversations.list", json!({"members": ["REVU-10"]})).await;
    assert_eq!(talks["conversations"].as_array().unwrap().len(), 2);
    assert_eq!(talks["conversations"][1]["members"].as_array().unwrap().len(), 1);
    let talks = rig.good("conversations.list", json!({"members": ["REVU-11"]})).await;
    assert_eq!(talks["conversations"], json!([]));
    assert_eq!(line(&rig, "contacts", "REVU-11").await["merged_into"], "REVU-10");
}

#[tokio::test]
async fn a_secondary_ends_as_ordered() {
    let rig = merging("delay=0,ends=gone").await;
    rig.good("rev-users.merge", merge()).await;
    assert_eq!((secondary(&rig).await.status, listed(&rig).await), (404, 1));

    let rig = merging("delay=0,ends=moved").await;
    rig.good("rev-users.merge", merge()).await;
    let got = secondary(&rig).await;
    assert_eq!((got.status, got.kind(), got.header("location")), (301, "moved", DON_10));
    assert_eq!(listed(&rig).await, 1);
    let update = rig.call("rev-users.update", json!({"id": "REVU-11", "display_name": "x"})).await;
    assert_eq!((update.status, rig.call("rev-users.merge", merge()).await.status), (301, 404));

    let rig = merging("delay=0,ends=deleted").await;
    rig.good("rev-users.merge", merge()).await;
    let got = secondary(&rig).await;
    assert_eq!((got.status, &got.body["rev_user"]["state"]), (200, &json!("deleted")));
    assert_eq!((listed(&rig).await, rig.call("rev-users.merge", merge()).await.status), (1, 404));

    let rig = merging("delay=0,ends=identity").await;
    rig.good("rev-users.merge", merge()).await;
    let got = secondary(&rig).await;
    let user = &got.body["rev_user"];
    assert_eq!((got.status, &user["primary_identity"]["id"]), (200, &json!(DON_10)));
    assert_eq!((&user["primary_identity"]["type"], &user["state"]), (&json!("rev_user"), &json!("active")));
    // It exists, so it has lost the ref that the primary may take now.
    assert_eq!((user.get("external_ref"), listed(&rig).await), (None, 2));

    let rig = merging("delay=0,ends=never").await;
    rig.good("rev-users.merge", merge()).await;
    let got = secondary(&rig).await;
    assert_eq!((got.status, got.body["rev_user"].get("primary_identity")), (200, None));
    let take = json!({"id": "REVU-10", "external_ref": "user_11"});
    assert_eq!((listed(&rig).await, rig.call("rev-users.update", take).await.status), (2, 409));
}

#[tokio::test]
async fn a_merge_settles_later_and_its_ref_later_still() {
    let rig = merging("delay=150,ends=gone,ref_delay=150").await;
    let begin = std::time::Instant::now();
    rig.good("rev-users.merge", merge()).await;
    let status = secondary(&rig).await.status;
    assert!(status == 200 || begin.elapsed() >= Duration::from_millis(150), "{status}");
    while secondary(&rig).await.status == 200 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(begin.elapsed() >= Duration::from_millis(150));
    let take = json!({"id": "REVU-10", "external_ref": "user_11"});
    while rig.call("rev-users.update", &take).await.status == 409 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(begin.elapsed() >= Duration::from_millis(300));
    let user = rig.good("rev-users.get", json!({"id": "REVU-10"})).await;
    assert_eq!(user["rev_user"]["external_ref"], "user_11");
    assert_eq!(rig.stats().await["writes"], 1);
}

#[tokio::test]
async fn a_second_call_is_accepted_and_counted() {
    let rig = merging("delay=60000").await;
    rig.good("rev-users.merge", merge()).await;
    rig.good("rev-users.merge", json!({"primary_user": "REVU-12", "secondary_user": "REVU-13"})).await;
    let stats = rig.stats().await;
    assert_eq!([&stats["merges"], &stats["double_merges"]], [2, 0]);
    rig.good(
        "rev-users.merge",
        json!({"primary_user": "REVU-12", "secondary_user": DON_10.replace("/10", "/11")}),
    )
    .await;
    let stats = rig.stats().await;
    assert_eq!([&stats["merges"], &stats["double_merges"], &stats["writes"]], [3, 1, 0]);
    assert_eq!(line(&rig, "contacts", "REVU-11").await["merges"], 2);
}

#[tokio::test]
async fn a_merge_of_what_is_not_there_is_refused() {
    let rig = merging("delay=0").await;
    for (primary, secondary, status) in [
        ("REVU-10", "REVU-10", 400),
        ("REVU-10", DON_10, 400),
        ("REVU-10", "DEVU-1", 400),
        ("REVU-10", "REVU-99", 404),
        ("REVU-99", "REVU-10", 404),
        ("REVU-10", "REVU-14", 404),
        ("REVU-14", "REVU-10", 404),
    ] {
        let got =
            rig.call("rev-users.merge", json!({"primary_user": primary, "secondary_user": secondary})).await;
        assert_eq!(got.status, status, "{primary} {secondary}");
    }
    assert_eq!(
        rig.call("rev-users.merge", json!({"primary_user": "REVU-10"})).await.kind(),
        "missing_required_field"
    );
    assert_eq!(rig.stats().await["merges"], 0);
}

#[tokio::test]
async fn merges_in_a_row_and_crosswise_end() {
    // All three have to be accepted before the first takes effect; a slow machine needs longer.
    let mut delay = 40;
    let rig = loop {
        let rig = merging(&format!("delay={delay}")).await;
        let begin = std::time::Instant::now();
        let mut accepted = true;
        for (primary, secondary) in [("REVU-11", "REVU-10"), ("REVU-12", "REVU-11"), ("REVU-10", "REVU-12")] {
            let merge = json!({"primary_user": primary, "secondary_user": secondary});
            accepted &= rig.call("rev-users.merge", merge).await.status == 200;
        }
        if accepted && begin.elapsed() < Duration::from_millis(delay) {
            break rig;
        }
        delay *= 4;
        assert!(delay < 60_000, "not all of them are accepted");
    };
    tokio::time::sleep(Duration::from_millis(delay + 20)).await;
    assert_eq!(line(&rig, "contacts", "REVU-10").await["merged_into"], "REVU-11");
    assert_eq!(line(&rig, "contacts", "REVU-11").await["merged_into"], "REVU-12");
    assert_eq!(line(&rig, "contacts", "REVU-12").await["merged_into"], Value::Null);
    assert_eq!(line(&rig, "works", "TKT-1").await["created_by"], "REVU-12");
    // The last of the three came to nothing: asking again is no second merge.
    rig.good("rev-users.merge", json!({"primary_user": "REVU-13", "secondary_user": "REVU-12"})).await;
    let stats = rig.stats().await;
    assert_eq!([&stats["merges"], &stats["double_merges"]], [4, 0]);
}

#[tokio::test]
async fn a_test_sees_and_changes_contacts_and_works() {
    let rig = merging("delay=0").await;
    let wanted = json!({
        "id": "REVU-10", "external_ref": "REVU-500", "email": "eva@example.com", "display_name": "Eva",
        "state": "active", "merged_into": null, "merges": 0, "writes": 0,
    });
    assert_eq!(line(&rig, "contacts", "REVU-10").await, wanted);
    let set = async |path: &str, body: Value| rig.raw(rig.post(&format!("_sandbox/{path}"), body)).await;
    let change = json!({"email": null, "external_ref": "user_77", "display_name": "E", "state": "locked"});
    assert_eq!(set("contacts/REVU-10", change).await.status, 200);
    let now = line(&rig, "contacts", "REVU-10").await;
    assert_eq!(
        [&now["email"], &now["external_ref"], &now["state"]],
        [&Value::Null, &json!("user_77"), &json!("locked")]
    );
    assert_eq!(set("contacts/REVU-10", json!({"external_ref": "user_12"})).await.status, 409);
    assert_eq!(set("contacts/REVU-10", json!({"name": "x"})).await.status, 400);
    assert_eq!(set("contacts/REVU-99", json!({})).await.status, 404);
    assert_eq!(set("contacts/REVU-11", json!({"state": "deleted"})).await.status, 200);
    rig.good("rev-users.update", json!({"id": "REVU-12", "external_ref": "user_11"})).await;

    let ticket = json!({
        "id": "TKT-2", "type": "ticket", "created_by": "DEVU-1", "owned_by": ["REVU-11", "REVU-10"],
        "reported_by": ["DEVU-1"], "writes": 0,
    });
    assert_eq!(line(&rig, "works", "TKT-2").await, ticket);
    assert_eq!(rig.text("works").await.lines().count(), 17);
    assert_eq!(set("works/TKT-2", json!({"reported_by": ["REVU-13"], "owned_by": []})).await.status, 200);
    assert_eq!(ids(&rig.good("works.list", json!({"reported_by": ["REVU-13"]})).await), ["TKT-2"]);
    assert_eq!(set("works/TKT-2", json!({"reported_by": ["REVU-99"]})).await.status, 400);
    assert_eq!(set("works/TKT-99", json!({})).await.status, 404);
    let new = set("tickets", json!({"created_by": "REVU-12", "owned_by": ["REVU-13"], "title": "New"})).await;
    assert_eq!((new.status, new.body), (200, json!({"id": "TKT-6"})));
    assert_eq!(ids(&rig.good("works.list", json!({"owned_by": ["REVU-13"]})).await), ["TKT-6"]);
    assert_eq!(set("tickets", json!({})).await.status, 400);
    assert_eq!(rig.stats().await["writes"], 1);
}
