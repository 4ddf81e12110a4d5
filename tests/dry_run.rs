//! `--dry-run`: a plan and nothing else; and the index of groups that it shares with the run after it.

use crate::support::fixture::Trouble;
use crate::support::org::{GROUPLESS, Issue};
use crate::support::{Fixture, Org};
use serde_json::json;

#[test]
fn the_plan_says_what_the_run_then_does() {
    let mut org = Org::of(30);
    org.issues.push(Issue { creator: GROUPLESS, group: None });
    let fixture = Fixture::new(&org);
    let dry =
        fixture.program(["backfill-groups", "--csv", "issues.csv", "--dry-run", "--json"]).run().exits(0);
    assert_eq!(dry.json()["states"], json!({"planned": 30, "skipped": 1}));
    assert_eq!((fixture.writes(), fixture.calls("works.update")), (0, 0));
    let run = fixture.the_run();
    assert_eq!(run.manifest()["dry_run"], true);
    let plan = run.lines("plan.jsonl");
    assert_eq!(plan.len(), 30);
    assert_eq!(plan[0]["key"], "ISS-1");
    assert_eq!(plan[0]["change"]["before"], json!(null));
    assert_eq!(plan[0]["change"]["after_name"], "Team 1");
    assert_eq!(run.results("skipped.csv").len(), 1);

    fixture.backfill(&[]).run().exits(0);
    for line in plan {
        let group = fixture.issues()[line["key"].as_str().unwrap()].group.unwrap();
        assert!(line["change"]["after"].as_str().unwrap().ends_with(&format!("group/{group}")), "{line}");
    }
    fixture.assert_right();
}

#[test]
fn groups_are_listed_once_for_dry_run_and_run() {
    for (ttl, lists) in [("3600", 4), ("0", 8)] {
        let fixture = Fixture::new(&Org::of(10));
        for flag in ["--dry-run", "--yes"] {
            let program = fixture.program(["backfill-groups", "--csv", "issues.csv", flag]);
            program.env("CACHE_TTL", ttl).run().exits(0);
        }
        assert_eq!(fixture.calls("groups.members.list"), lists, "CACHE_TTL={ttl}");
    }
}

#[test]
fn a_cache_that_is_spoilt_is_fetched_anew() {
    let fixture = Fixture::new(&Org::of(4));
    let dry = || fixture.program(["backfill-groups", "--csv", "issues.csv", "--dry-run"]).run().exits(0);
    dry();
    let cache = std::fs::read_dir(fixture.path("runs/.cache")).unwrap().next().unwrap().unwrap().path();
    for spoilt in ["", "{", "{\"format\":99}", "\0\0\0"] {
        std::fs::write(&cache, spoilt).unwrap();
        let before = fixture.calls("groups.members.list");
        dry();
        assert_eq!(fixture.calls("groups.members.list"), before + 4, "{spoilt:?}");
    }
}

#[test]
fn an_interrupted_dry_run_goes_on_and_needs_no_yes() {
    let fixture = Fixture::with(&Org::of(200), &Trouble::delay(20));
    let program = ["backfill-groups", "--csv", "issues.csv", "--dry-run", "--batch-size", "5"];
    let running = fixture.program(program).run_until(|| fixture.calls("works.list") >= 2);
    running.signal("INT");
    running.wait().exits(130);
    let ended = fixture.program(["resume", "--json"]).run().exits(0);
    assert_eq!(ended.json()["states"], json!({"planned": 200}));
    assert_eq!(fixture.the_run().lines("plan.jsonl").len(), 200);
    assert_eq!(fixture.writes(), 0);
}
