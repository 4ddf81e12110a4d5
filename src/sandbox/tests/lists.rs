//! Lists and their pages.

use super::*;

/// Every page of a list, as far as the cursors lead.
pub(super) async fn pages(rig: &Rig, path: &str, mut query: Value, name: &str) -> Vec<Vec<Value>> {
    let mut pages = Vec::new();
    loop {
        let answer = rig.good(path, &query).await;
        pages.push(answer[name].as_array().unwrap().clone());
        match answer.get("next_cursor") {
            Some(cursor) => query["cursor"] = cursor.clone(),
            None => return pages,
        }
    }
}

async fn numbers(rig: &Rig, query: Value) -> Vec<Vec<u64>> {
    let number = |work: &Value| work["display_id"].as_str().unwrap()[4..].parse().unwrap();
    let pages = pages(rig, "works.list", query, "works").await;
    pages.iter().map(|page| page.iter().map(number).collect()).collect()
}

#[tokio::test]
async fn several_creators_are_merged_over_several_pages() {
    let rig = plain().await;
    let found = numbers(&rig, json!({"created_by": ["REVU-3", "DEVU-1", "DEVU-77"], "limit": 3})).await;
    assert_eq!(found, [vec![1, 3, 4], vec![6, 7, 9], vec![10, 12]]);
    // The last page is full: nothing follows it all the same.
    let found = numbers(&rig, json!({"created_by": ["DEVU-1"], "limit": 2})).await;
    assert_eq!(found, [vec![1, 4], vec![7, 10]]);
    assert_eq!(numbers(&rig, json!({"created_by": ["DEVU-77"]})).await, [[] as [u64; 0]]);
}

#[tokio::test]
async fn filters_are_joined() {
    let rig = plain().await;
    let both = json!({"created_by": ["DEVU-1", "DEVU-2"], "owned_by": ["DEVU-2"], "limit": 2});
    assert_eq!(numbers(&rig, both).await, [vec![2, 4], vec![8, 10]]);
    let owned = json!({"owned_by": ["DEVU-2"], "limit": 4, "type": ["issue", "task"], "mode": "after"});
    assert_eq!(numbers(&rig, owned).await, [vec![2, 4, 6, 8], vec![10, 12]]);
    let reported = json!({"reported_by": ["REVU-3"], "owned_by": []});
    assert_eq!(numbers(&rig, reported).await, [[3, 6, 9, 12]]);
    assert_eq!(numbers(&rig, json!({"type": ["ticket"]})).await, [[] as [u64; 0]]);
}

#[tokio::test]
async fn every_issue_comes_once_whatever_the_page() {
    let rig = plain().await;
    for limit in 1..=13 {
        let found = numbers(&rig, json!({"limit": limit})).await;
        assert_eq!(found.concat(), (1..=12).collect::<Vec<u64>>(), "limit {limit}");
    }
}

#[tokio::test]
async fn a_cursor_belongs_to_its_query() {
    let rig = plain().await;
    let answer = rig.good("works.list", json!({"created_by": ["DEVU-1"], "limit": 2})).await;
    let cursor = answer["next_cursor"].as_str().unwrap();
    // The size of a page may change under way.
    let query = json!({"created_by": ["DEVU-1"], "limit": 1, "cursor": cursor});
    assert_eq!(ids(&rig.good("works.list", query).await), ["ISS-7"]);
    let mut flipped = cursor.to_owned();
    flipped.replace_range(33..34, if cursor.ends_with('9') { "8" } else { "9" });
    for (path, query) in [
        ("works.list", json!({"created_by": ["DEVU-2"], "cursor": cursor})),
        ("works.list", json!({"created_by": ["DEVU-1", "DEVU-2"], "cursor": cursor})),
        ("works.list", json!({"cursor": cursor})),
        ("groups.list", json!({"cursor": cursor})),
        ("works.list", json!({"created_by": ["DEVU-1"], "cursor": flipped})),
        ("works.list", json!({"created_by": ["DEVU-1"], "cursor": ""})),
        ("works.list", json!({"created_by": ["DEVU-1"], "cursor": "ééééééééééééééééééééééééé"})),
    ] {
        let got = rig.call(path, &query).await;
        let error = (got.status, got.kind(), &got.body["field_name"]);
        assert_eq!(error, (400, "value_not_permitted", &json!("cursor")), "{path} {query}");
    }
}

#[tokio::test]
async fn groups_and_their_members_are_listed() {
    let rig = plain().await;
    let groups = pages(&rig, "groups.list", json!({"limit": 2}), "groups").await;
    let names: Vec<_> = groups.concat().iter().map(|group| group["name"].clone()).collect();
    assert_eq!(
        (groups.len(), names),
        (2, ["Web", "Mobile", "Friends", "All Users"].map(Value::from).to_vec())
    );
    let friends = rig.good("groups.list", json!({"member_type": ["rev_user"]})).await;
    assert_eq!(friends["groups"][0]["display_id"], "GROUP-3");
    let mobile = rig.good("groups.list", json!({"name": ["Mobile", "Desk"]})).await;
    assert_eq!(mobile["groups"].as_array().unwrap().len(), 1);
    let group = rig.good("groups.get", json!({"id": "GROUP-2"})).await;
    assert_eq!(group["group"], mobile["groups"][0]);

    let mine = ["GROUP-1", "GROUP-2", "GROUP-3"].as_slice();
    for (filter, wanted) in [
        (json!({"is_default": false}), mine),
        (json!({"is_default": true}), &["GROUP-4"]),
        (json!({"group_type": ["static"]}), mine),
        (json!({"group_type": ["dynamic"]}), &["GROUP-4"]),
        (
            json!({"group_type": ["dynamic", "static"], "is_default": false, "member_type": ["dev_user"]}),
            &mine[..2],
        ),
        (json!({"group_type": ["dynamic"], "is_default": false}), &[]),
    ] {
        let found = rig.good("groups.list", &filter).await;
        let found: Vec<_> = found["groups"]
            .as_array()
            .unwrap()
            .iter()
            .map(|group| group["display_id"].as_str().unwrap())
            .collect();
        assert_eq!(found, wanted, "{filter}");
    }
    let all = rig.good("groups.get", json!({"id": "GROUP-4"})).await;
    assert_eq!((&all["group"]["is_default"], &group["group"]["is_default"]), (&json!(true), &json!(false)));
    let members = pages(&rig, "groups.members.list", json!({"group": "GROUP-4"}), "members").await;
    assert_eq!(members.concat().len(), 3, "a dynamic group's members are listed as any other's");

    let members =
        pages(&rig, "groups.members.list", json!({"group": "GROUP-1", "limit": 1}), "members").await;
    let members = members.concat();
    assert_eq!(
        (&members[0]["member"]["type"], &members[0]["member"]["email"]),
        (&json!("dev_user"), &json!("ana@example.com"))
    );
    let nested = json!({
        "type": "group",
        "id": "don:identity:dvrv-us-1:devo/TEST:group/2",
        "display_id": "GROUP-2",
        "name": "Mobile",
        "member_type": "dev_user",
    });
    assert_eq!(members[1], json!({"member": nested}));
}
