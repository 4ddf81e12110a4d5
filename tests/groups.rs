//! Which groups `backfill-groups` goes by, how old they may be, and whether there is a field to write them to.

use crate::support::program::Ended;
use crate::support::{Fixture, Org, test_data};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use std::path::PathBuf;

/// The one note of a run's summary.
#[track_caller]
fn note(ended: &Ended) -> String {
    let summary = ended.json();
    let notes = summary["notes"].as_array().unwrap();
    assert_eq!(notes.len(), 1, "{summary}");
    notes[0].as_str().unwrap().to_owned()
}

fn cache(fixture: &Fixture) -> PathBuf {
    let mut files = std::fs::read_dir(fixture.path("runs/.cache")).unwrap();
    files.next().unwrap().unwrap().path()
}

/// Makes the cached index older.
fn age_cache(fixture: &Fixture, seconds: i64) {
    let path = cache(fixture);
    let mut cached: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let at: DateTime<Utc> = serde_json::from_value(cached["fetched_at"].clone()).unwrap();
    cached["fetched_at"] = json!(at - TimeDelta::seconds(seconds));
    std::fs::write(&path, cached.to_string()).unwrap();
}

#[test]
fn default_groups_are_left_out_and_counted() {
    let fixture = Fixture::new(&Org::of(8));
    let ended = fixture.backfill(&["--json"]).run().exits(0);
    assert_eq!(ended.json()["states"], json!({"done": 8}));
    assert_eq!(
        note(&ended),
        "groups: 4 groups, listed by this run; 4 default groups left out (--include-default-groups uses them)"
    );
    assert_eq!((fixture.calls("groups.list"), fixture.calls("groups.members.list")), (1, 4));
    fixture.assert_right();
    let run = fixture.the_run();
    fixture.program(["runs", "show", run.id()]).run().exits(0).says("4 default groups left out");
}

#[test]
fn default_groups_count_where_they_are_included() {
    let fixture = Fixture::new(&Org::of(8));
    let flags = ["--dry-run", "--include-default-groups", "--json"];
    let ended = fixture.backfill(&flags).run().exits(0);
    // Everybody is in several groups then.
    assert_eq!(ended.json()["reasons"]["skipped"], json!({"ambiguous-creator": 8}));
    assert_eq!(note(&ended), "groups: 8 groups, listed by this run");
    // What was listed with them is no index for a run without.
    let ended = fixture.backfill(&["--json", "--use-cached-groups"]).run().exits(0);
    assert_eq!(ended.json()["states"], json!({"done": 8}));
}

#[test]
fn groups_of_contacts_are_listed_only_for_rows_that_contacts_created() {
    let fixture = Fixture::down(&Org::of(1));
    let row = |creator: &str| format!("{}ISS-59,{creator},GROUP-10,\n", crate::support::org::HEADER);
    for (creator, groups) in [("REVU-1", "12 groups"), ("DEVU-1", "11 groups")] {
        fixture.write("row.csv", row(creator));
        let program = fixture.program(["backfill-groups", "--sandbox", "--dry-run", "--json"]);
        let ended = program.args(["--csv", "row.csv"]).run().exits(0);
        assert!(note(&ended).starts_with(&format!("groups: {groups}, ")), "{}", note(&ended));
    }
}

#[test]
fn the_demonstration_has_default_groups_and_plans_as_without() {
    let fixture = Fixture::down(&Org::of(1));
    let dry_run = |more: &[&str]| {
        let program = fixture.program(["backfill-groups", "--sandbox", "--json", "--dry-run", "--csv"]);
        program.arg(test_data("issues.csv")).args(more).run().exits(3)
    };
    let ended = dry_run(&[]);
    assert_eq!(ended.json()["states"], json!({"planned": 203, "already": 37, "skipped": 57, "failed": 3}));
    assert!(note(&ended).contains("4 default groups left out"), "{}", note(&ended));
    assert_eq!(ended.json()["calls_total"], 23);
    let included = dry_run(&["--include-default-groups"]);
    assert_eq!(included.json()["states"]["planned"], 15, "{}", included.all());
}

#[test]
fn a_run_lists_groups_anew_unless_they_are_a_minute_old_or_it_is_told_not_to() {
    let fixture = Fixture::new(&Org::of(4));
    let lists = || fixture.calls("groups.list");
    let run = |more: &[&str]| note(&fixture.backfill(&[&["--json"], more].concat()).run().exits(0));
    assert!(run(&["--dry-run"]).contains("listed by this run"));
    age_cache(&fixture, 40);
    assert!(run(&[]).contains(", from the cache: listed 4"));
    assert_eq!(lists(), 1);
    age_cache(&fixture, 600);
    for flags in [&["--dry-run"][..], &["--use-cached-groups"]] {
        let note = run(flags);
        assert!(note.contains(", from the cache: listed 10 min 4") && note.contains(" UTC"), "{note}");
    }
    assert_eq!(lists(), 1);
    assert!(run(&[]).contains("listed by this run"));
    assert_eq!(lists(), 2);
    // The run has refreshed the cache.
    assert!(run(&["--dry-run"]).contains("from the cache: listed 0."));
}

#[test]
fn a_group_that_is_deleted_meanwhile_is_left_out_with_a_warning() {
    let fixture = Fixture::broken(&Org::of(8), ["path=groups.members.list,after=2,count=1,status=404"]);
    let ended = fixture.backfill(&["--json"]).run().exits(0);
    let states = ended.json()["states"].clone();
    assert_eq!(states, json!({"done": 6, "skipped": 2}));
    assert!(ended.err.contains("GROUP-3 (Team 3) was deleted while the groups were listed"), "{}", ended.err);
    assert!(note(&ended).ends_with("; left out because they were deleted meanwhile: GROUP-3 (Team 3)"));
}

#[test]
fn a_group_that_may_not_be_read_stops_the_run_before_any_row() {
    for flag in ["--dry-run", "--json"] {
        let fixture = Fixture::broken(&Org::of(8), ["path=groups.members.list,after=2,status=403"]);
        let ended = fixture.backfill(&[flag]).run().exits(4);
        ended.says("cannot list the members of GROUP-3 (Team 3): groups.members.list: 403");
        assert_eq!((fixture.writes(), fixture.calls("works.list")), (0, 0));
        assert_eq!(fixture.the_run().manifest()["counts"]["open"], 8);
    }
}

#[test]
fn the_operators_own_map_may_name_a_default_group() {
    let fixture = Fixture::new(&Org::of(4));
    fixture.write("map.csv", "DEVU-1,GROUP-14\n");
    fixture.backfill(&["--group-map", "map.csv"]).run().exits(0);
    assert_eq!(fixture.issues()["ISS-1"].group, Some(14));
    assert_eq!(fixture.issues()["ISS-2"].group, Some(2));
}

#[test]
fn validate_knows_default_groups() {
    let fixture = Fixture::new(&Org::of(1));
    let input = |group: &str| format!("{}ISS-1,DEVU-1,{group},\n", crate::support::org::HEADER);
    for (group, code) in [("GROUP-11", 0), ("GROUP-99", 5)] {
        fixture.write("issues.csv", input(group));
        fixture.program(["validate", "--csv", "issues.csv", "--online"]).run().exits(code);
    }
}

#[test]
fn a_field_that_does_not_exist_stops_a_run_before_any_write() {
    let fixture = Fixture::new(&Org::of(4));
    for flags in [&["--dry-run"][..], &[]] {
        let program = fixture.backfill(flags).env("CREATOR_GROUP_FIELD", "tnt__creator_gruop");
        let ended = program.run().exits(2);
        let ended = ended.says("CREATOR_GROUP_FIELD: issues have no field `tnt__creator_gruop`");
        ended.says("did you mean tnt__creator_group?");
        assert_eq!((fixture.writes(), fixture.calls("groups.list"), fixture.runs().len()), (0, 0, 0));
    }
}

#[test]
fn a_field_of_another_type_stops_a_run_before_any_write() {
    let mut org = Org::of(4).json();
    org["custom_fields"]["tnt__team"] = json!({"type": "text"});
    let fixture = Fixture::down(&Org::of(4));
    let data = fixture.write("data.json", org.to_string());
    let sandbox = fixture.program(["sandbox", "--listen", "127.0.0.1:0", "--data"]).arg(data).spawn();
    crate::support::eventually("the sandbox", || sandbox.out().contains("http://"));
    let out = sandbox.out();
    let url = out.split_whitespace().find(|word| word.starts_with("http://")).unwrap().to_owned();
    let run = |field: &str| {
        fixture.backfill(&["--json"]).env("DEVREV_BASE_URL", &url).env("CREATOR_GROUP_FIELD", field).run()
    };
    let ended = run("tnt__team").exits(2);
    ended.says("the field `tnt__team` of issues holds no group, its type is text");
    assert!(fixture.runs().is_empty());
    run("tnt__creator_group").exits(0);
}

#[test]
fn a_schema_that_may_not_be_read_holds_nothing_up() {
    for fault in ["status=403", "status=404", "status=400", "status=503", "html", "reset=before"] {
        let fixture = Fixture::broken(&Org::of(4), [format!("path=schemas.aggregated.get,{fault}")]);
        fixture.backfill(&[]).run().exits(0);
        assert_eq!(fixture.calls("schemas.aggregated.get"), 1, "one try is enough: {fault}");
        fixture.assert_right();
    }
}

#[test]
fn an_input_of_a_header_alone_says_so() {
    let fixture = Fixture::new(&Org::of(1));
    let contacts = crate::support::people::HEADER;
    fixture.write("issues.csv", crate::support::org::HEADER);
    fixture.write("contacts.csv", contacts);
    for (csv, command) in [("issues.csv", "backfill-groups"), ("contacts.csv", "merge-contacts")] {
        for flag in ["--yes", "--dry-run"] {
            let ended = fixture.program([command, "--csv", csv, flag]).run().exits(0);
            ended.says(&format!("no rows: {}", fixture.path(csv).display())).says("has only a header");
        }
        let program = fixture.program([command, "--csv", "-", "--yes", "--json"]);
        let ended = program.stdin(std::fs::read(fixture.path(csv)).unwrap()).run().exits(0);
        assert_eq!(note(&ended), "no rows: standard input has only a header");
        fixture.program(["validate", "--csv", csv]).run().exits(0).says(": no rows of kind `");
        fixture
            .program(["sample", "--csv", csv, "--size", "4", "-o", "small.csv", "--force"])
            .run()
            .exits(0)
            .says("no rows: ");
        assert_eq!(
            std::fs::read(fixture.path("small.csv")).unwrap(),
            std::fs::read(fixture.path(csv)).unwrap()
        );
    }
    assert_eq!(fixture.stats()["total"], 0);
}
