//! `undo` of a backfill: every issue as before, but for those that somebody has changed since. And what cannot be
//! undone at all.

use crate::support::fixture::Trouble;
use crate::support::org::Field;
use crate::support::past::edit;
use crate::support::program::Program;
use crate::support::{Fixture, Org, Run, eventually};
use serde_json::json;

/// An organisation in which some issues have a group already, which the backfill is to overwrite.
fn org(issues: u32, field: Field) -> Org {
    let mut org = Org { field, ..Org::of(issues) };
    for issue in org.issues.iter_mut().step_by(3) {
        issue.group = Some(issue.creator % 4 + 1);
    }
    org
}

fn backfill(fixture: &Fixture) -> Program {
    let field = if fixture.org.field == Field::Native { "creator_group" } else { "tnt__creator_group" };
    fixture.backfill(&["--overwrite"]).env("CREATOR_GROUP_FIELD", field)
}

fn undo(fixture: &Fixture, more: &[&str]) -> Program {
    let run = backfill_run(fixture);
    fixture.program(["undo", run.id(), "--yes", "--json"]).args(more)
}

fn backfill_run(fixture: &Fixture) -> Run {
    fixture.runs().into_iter().find(|run| run.id().contains("-backfill-groups-")).unwrap()
}

fn undo_run(fixture: &Fixture) -> Run {
    fixture.runs().into_iter().rfind(|run| run.id().contains("-undo-")).unwrap()
}

/// Wants every issue as it was in the beginning, but for these.
#[track_caller]
fn assert_as_before(fixture: &Fixture, but: &[usize]) {
    for (id, seen) in fixture.issues() {
        let number: usize = id.trim_start_matches("ISS-").parse().unwrap();
        if !but.contains(&number) {
            assert_eq!(seen.group, fixture.org.issues[number - 1].group, "{id}");
            assert!(seen.writes <= 2, "{id} was written {} times", seen.writes);
        }
    }
}

#[test]
fn every_issue_is_as_before_and_what_was_changed_since_is_left() {
    for field in [Field::Custom, Field::Native] {
        let fixture = Fixture::new(&org(40, field));
        backfill(&fixture).run().exits(0);
        let written = fixture.writes();
        let ours = |number: usize| fixture.issues()[&format!("ISS-{number}")].group.unwrap();
        // One of them to another group, one to none, one back to what it was.
        let theirs = ours(2) % 4 + 1;
        fixture.set_group(2, Some(theirs));
        fixture.set_group(7, None);
        fixture.set_group(4, fixture.org.issues[3].group);
        let ended = undo(&fixture, &[]).run().exits(0);
        assert_eq!(ended.json()["states"], json!({"already": 1, "done": 37, "skipped": 2}), "{field:?}");
        assert_eq!(fixture.writes(), written + 37);
        assert_as_before(&fixture, &[2, 7]);
        assert_eq!((ours(2), fixture.issues()["ISS-7"].group), (theirs, None));
        let run = undo_run(&fixture);
        let results = run.assert_complete(40);
        assert!(
            results[&2].reason.starts_with("changed-since: the run set creator group don:"),
            "{results:?}"
        );
        assert_eq!(run.manifest()["parent"], backfill_run(&fixture).id());
        assert_eq!(run.manifest()["command"], "undo-backfill");
    }
}

#[test]
fn a_dry_run_plans_and_writes_nothing() {
    let fixture = Fixture::new(&org(30, Field::Custom));
    backfill(&fixture).run().exits(0);
    let written = fixture.writes();
    let ended = undo(&fixture, &["--preview", "--limit", "10"]).run().exits(0);
    assert_eq!(ended.json()["states"], json!({"planned": 10}));
    assert_eq!(fixture.writes(), written);
    let run = undo_run(&fixture);
    let plan = run.lines("plan.jsonl");
    assert_eq!(plan.len(), 10);
    assert!(plan[1]["change"]["before"].is_string() && plan[1]["change"]["after"].is_null(), "{plan:?}");
    // A dry run stands in nobody's way, and cannot be undone itself.
    fixture.program(["undo", run.id()]).run().exits(2).says("only runs of backfill-groups");
    undo(&fixture, &[]).run().exits(0);
    assert_as_before(&fixture, &[]);
}

#[test]
fn killed_and_resumed_it_comes_to_its_end() {
    let fixture = Fixture::with(&org(120, Field::Custom), &Trouble::delay(5));
    backfill(&fixture).run().exits(0);
    for (kills, writes) in [20, 25, 30].into_iter().enumerate() {
        let until = fixture.writes() + writes;
        let program = if kills == 0 {
            undo(&fixture, &["--batch-size", "20"])
        } else {
            let run = undo_run(&fixture);
            fixture.resume(&[run.id(), "--batch-size", "20"])
        };
        let mut running = program.run_until(|| fixture.writes() >= until);
        assert!(!running.has_ended());
        running.kill();
        let mut before = 0;
        eventually("the sandbox to be quiet", || {
            std::thread::sleep(std::time::Duration::from_millis(15));
            let now = fixture.writes();
            std::mem::replace(&mut before, now) == now
        });
    }
    // What is under way is not begun a second time.
    undo(&fixture, &[]).run().exits(2).says("is already undoing");
    let run = undo_run(&fixture);
    fixture.resume(&[run.id()]).run().exits(0);
    assert_as_before(&fixture, &[]);
    run.assert_complete(120);
    // Once more there is nothing to do.
    let again = undo(&fixture, &[]).run().exits(0);
    assert_eq!(again.json()["states"], json!({"already": 120}));
}

#[test]
fn rows_that_failed_are_taken_again() {
    let fixture = Fixture::broken(&org(20, Field::Custom), ["path=works.update,after=20,count=3,status=409"]);
    backfill(&fixture).run().exits(0);
    let ended = undo(&fixture, &[]).run().exits(3);
    assert_eq!(ended.json()["states"], json!({"done": 17, "failed": 3}));
    let run = undo_run(&fixture);
    fixture.resume(&[run.id(), "--retry-failed"]).run().exits(0);
    assert_as_before(&fixture, &[]);
    run.assert_complete(20);
}

#[test]
fn a_storm_over_the_writes_leaves_nothing_written_twice() {
    for fault in ["reset=after", "status=503,applied", "status=500", "truncate"] {
        let fault = format!("path=works.update,after=30,p=0.4,seed=3,{fault}");
        let fixture = Fixture::broken(&org(30, Field::Custom), [fault.clone()]);
        backfill(&fixture).run().exits(0);
        let program = undo(&fixture, &["--max-retries", "20"]).env("RETRY_BACKOFF", "0.001");
        program.env("BREAKER_THRESHOLD", "1000").run().exits(0);
        assert_as_before(&fixture, &[]);
    }
}

#[test]
fn what_cannot_be_taken_back_is_refused_and_leaves_no_folder() {
    let mut fixture = Fixture::new(&org(5, Field::Custom));
    let unknown = ["undo", "20261122-034500-backfill-groups-0000", "--yes"];
    fixture.program(unknown).run().exits(2).says("there is no run");
    fixture.backfill(&["--dry-run"]).run().exits(0);
    fixture.program(["undo", fixture.the_run().id(), "--yes"]).run().exits(2).says("is a dry run");
    std::fs::remove_dir_all(fixture.the_run().0).unwrap();

    // The demonstration's sandbox went with its process.
    let demo = crate::support::test_data("issues.csv");
    fixture.program(["backfill-groups", "--sandbox", "--csv"]).arg(&demo).run().exits(3);
    fixture.program(["undo", fixture.the_run().id(), "--yes"]).run().exits(6).says("against a sandbox");
    std::fs::remove_dir_all(fixture.the_run().0).unwrap();

    backfill(&fixture).run().exits(0);
    let run = fixture.the_run();
    let elsewhere = undo(&fixture, &[]).env("DEVREV_BASE_URL", "http://127.0.0.1:9");
    elsewhere.run().exits(6).says("DEVREV_BASE_URL");
    undo(&fixture, &["--sandbox"]).run().exits(2).says("cannot be undone in a sandbox");
    fixture.program(["undo", run.id()]).run().exits(14);
    fixture.restart_as("OTHER");
    let other = undo(&fixture, &[]).run().exits(6);
    other.says(&format!("run {} began in organisation devo/TEST", run.id()));
    assert_eq!(fixture.runs().len(), 1);
    assert_eq!(fixture.writes(), 0);
}

#[test]
fn a_run_without_changes_and_one_that_goes_on_are_refused() {
    let fixture = Fixture::new(&org(30, Field::Custom));
    backfill(&fixture).run().exits(0);
    // All of it is there already: nothing is done.
    std::fs::remove_dir_all(fixture.the_run().0).unwrap();
    fixture.backfill(&[]).run().exits(0);
    undo(&fixture, &[]).run().exits(2).says("changed nothing");
    assert_eq!(fixture.runs().len(), 1);

    let fixture = Fixture::with(&org(200, Field::Custom), &Trouble::delay(20));
    let running = backfill(&fixture).run_until(|| fixture.writes() > 3);
    undo(&fixture, &[]).run().exits(11).says("another process");
    running.kill();
    // Killed, it can be undone as far as it is known what it did.
    let writes = fixture.writes();
    undo(&fixture, &[]).run().exits(2).says("changed nothing");
    assert!(fixture.writes() >= writes);
}

#[test]
fn a_field_that_is_gone_stops_it_before_the_operator_is_asked() {
    let fixture = Fixture::new(&Org::of(4));
    fixture.backfill(&[]).run().exits(0);
    let written = fixture.writes();
    let run = backfill_run(&fixture);
    edit(&run, "run.json", |manifest| manifest["settings"]["job"]["field"] = "tnt__gone".into());
    for flags in [&["--dry-run"][..], &[]] {
        let text = format!(
            "run {} wrote a field that cannot be written now: issues have no field `tnt__gone`",
            run.id()
        );
        undo(&fixture, flags).run().exits(2).says(&text).says("restore the field in DevRev");
    }
    assert_eq!((fixture.writes(), fixture.runs().len()), (written, 1));
}
