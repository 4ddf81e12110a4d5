//! `backfill-groups`: which group an issue gets, and why some get none.

use crate::support::org::{AMBIGUOUS, Field, GROUPLESS, HEADER, Issue};
use crate::support::{Fixture, Org};
use serde_json::{Value, json};

/// Two issues by a creator in one group, two by one in two groups, one by one in no group, one that has a group.
fn mixed() -> Org {
    let mut org = Org::of(2);
    let by = |creator| Issue { creator, group: None };
    org.issues.extend([by(AMBIGUOUS), by(AMBIGUOUS), by(GROUPLESS), Issue { creator: 1, group: Some(4) }]);
    org
}

/// Runs with these flags; the summary, and the issues' groups.
fn run(fixture: &Fixture, flags: &[&str], code: i32) -> (Value, Vec<Option<u32>>) {
    let summary = fixture.backfill(&[&["--json"], flags].concat()).run().exits(code).json();
    let groups = fixture.issues().into_values().map(|issue| issue.group).collect();
    (summary, groups)
}

#[test]
fn a_creator_in_several_groups_is_handled_as_told() {
    // The rows of the ambiguous creator name GROUP-1 as the assigned group; one is changed to another.
    let csv = mixed().csv().replace("ISS-4,DEVU-5,GROUP-1", "ISS-4,DEVU-5,GROUP-2");
    let cases: [(&str, [Option<u32>; 2], Value); 4] = [
        ("", [None, None], json!({"ambiguous-creator": 2, "creator-in-no-group": 1})),
        ("skip", [None, None], json!({"ambiguous-creator": 2, "creator-in-no-group": 1})),
        ("first", [Some(1), Some(1)], json!({"creator-in-no-group": 1})),
        ("assigned", [Some(1), Some(2)], json!({"creator-in-no-group": 1})),
    ];
    for (choice, [third, fourth], skipped) in cases {
        let fixture = Fixture::new(&mixed());
        fixture.write("issues.csv", &csv);
        let flags: &[&str] = if choice.is_empty() { &[] } else { &["--on-ambiguous", choice] };
        let (summary, groups) = run(&fixture, flags, 0);
        assert_eq!(groups, [Some(1), Some(2), third, fourth, None, Some(4)], "{choice}: {summary}");
        assert_eq!(summary["reasons"]["skipped"], skipped, "{choice}");
        assert_eq!(summary["reasons"]["already"], json!({"set-in-devrev": 1}), "{choice}");
    }
}

#[test]
fn an_assigned_group_that_is_none_of_the_creators_is_not_taken() {
    let fixture = Fixture::new(&mixed());
    fixture.write("issues.csv", mixed().csv().replace("DEVU-5,GROUP-1", "DEVU-5,GROUP-3"));
    let (summary, _) = run(&fixture, &["--on-ambiguous", "assigned"], 0);
    assert_eq!(summary["reasons"]["skipped"]["ambiguous-creator"], 2);
    let row = &fixture.the_run().results("skipped.csv")[0];
    assert!(row.reason.contains("GROUP-1 (Team 1), GROUP-2 (Team 2)"), "{row:?}");
}

#[test]
fn the_group_map_goes_before_the_memberships() {
    let fixture = Fixture::new(&mixed());
    fixture.write("map.csv", "user,group\nDEVU-1,GROUP-3\nDEVU-6,don:identity:dvrv-us-1:devo/TEST:group/2\n");
    let (_, groups) = run(&fixture, &["--group-map", "map.csv"], 0);
    assert_eq!(groups, [Some(3), Some(2), None, None, Some(2), Some(4)]);
    assert!(fixture.the_run().file("group-map.csv").exists());
}

#[test]
fn a_group_map_that_is_wrong_is_told_in_one_go_and_nothing_is_written() {
    let fixture = Fixture::new(&mixed());
    fixture.backfill(&["--group-map", "none.csv"]).run().exits(2).says("none.csv");
    assert!(fixture.runs().is_empty());
    fixture.write("map.csv", "DEVU-1,GROUP-99\nISS-1,GROUP-1\nDEVU-2\nDEVU-3,GROUP-1\nDEVU-3,GROUP-2\n");
    let ended = fixture.backfill(&["--group-map", "map.csv"]).run().exits(2);
    let ended = ended
        .says("line 1: DevRev lists no group GROUP-99")
        .says("line 2: ")
        .says("line 3: 1 field where 2 are needed");
    ended.says("line 5: DEVU-3 has another group further up");
    assert_eq!(fixture.writes(), 0);
}

#[test]
fn overwrite_changes_a_group_that_is_wrong_and_only_that() {
    let mut org = mixed();
    org.issues.push(Issue { creator: 3, group: Some(3) });
    let fixture = Fixture::new(&org);
    let (summary, groups) = run(&fixture, &["--overwrite"], 0);
    assert_eq!(groups, [Some(1), Some(2), None, None, None, Some(1), Some(3)]);
    assert_eq!(summary["states"], json!({"done": 3, "already": 1, "skipped": 3}));
    assert_eq!(fixture.writes(), 3);
}

#[test]
fn a_row_that_names_its_group_costs_no_call() {
    let fixture = Fixture::new(&Org::of(3));
    fixture.write("issues.csv", format!("{HEADER}ISS-1,DEVU-1,GROUP-1,GROUP-1\n"));
    let (summary, _) = run(&fixture, &[], 0);
    assert_eq!(summary["reasons"]["already"], json!({"set-in-row": 1}));
    assert_eq!(fixture.calls("works.list") + fixture.calls("works.get") + fixture.writes(), 0);
}

#[test]
fn a_creator_other_than_the_row_says_is_left_to_a_person() {
    let fixture = Fixture::new(&Org::of(3));
    fixture.write(
        "issues.csv",
        format!("{HEADER}ISS-1,DEVU-2,GROUP-1,\nISS-2,DEVU-77,GROUP-1,\nISS-3,REVU-x,GROUP-1,\n"),
    );
    let (summary, groups) = run(&fixture, &[], 3);
    assert_eq!(groups, [None; 3]);
    assert_eq!(summary["reasons"]["skipped"], json!({"creator-differs": 2}));
    assert_eq!(summary["reasons"]["failed"], json!({"creator-not-found": 1}));
}

#[test]
fn a_limit_takes_the_first_rows() {
    let fixture = Fixture::new(&Org::of(30));
    let (summary, _) = run(&fixture, &["--limit", "7"], 0);
    assert_eq!((&summary["rows"], &summary["open"]), (&json!(7), &json!(0)));
    let written: Vec<_> = fixture.issues().into_iter().filter(|(_, issue)| issue.writes > 0).collect();
    assert_eq!(written.len(), 7, "{written:?}");
    fixture.the_run().assert_complete(7);
    let none = Fixture::new(&Org::of(3));
    assert_eq!(run(&none, &["--limit", "0"], 0).0["rows"], 0);
}

#[test]
fn a_native_field_is_written_in_its_own_shape() {
    let fixture = Fixture::new(&Org { field: Field::Native, ..mixed() });
    let ended = fixture.backfill(&["--json"]).env("CREATOR_GROUP_FIELD", "creator_group").run().exits(0);
    assert_eq!(ended.json()["states"], json!({"done": 2, "already": 1, "skipped": 3}));
    fixture.assert_right();
}

#[test]
fn a_field_that_the_tenant_lacks_stops_the_run_in_the_apis_words() {
    // The token may not read the schema, which would have told before the first row.
    let fixture = Fixture::broken(&Org::of(100), ["path=schemas.aggregated.get,status=403"]);
    let ended = fixture
        .backfill(&["--json", "--batch-size", "10"])
        .env("CREATOR_GROUP_FIELD", "tnt__other")
        .run()
        .exits(7);
    let summary = ended.json();
    assert!(
        summary["why"]
            .as_str()
            .unwrap()
            .contains("20 changes in a row failed for the same reason, `refused`"),
        "{summary}"
    );
    let failed = fixture.the_run().results("failed.csv");
    assert!(failed.len() >= 20 && failed.len() < 40, "{}", failed.len());
    for row in failed {
        let words = "custom field `tnt__other`: not a field of the tenant's schema";
        assert!(row.reason.starts_with("refused: ") && row.reason.contains(words), "{row:?}");
    }
    assert_eq!(fixture.writes(), 0);
}
