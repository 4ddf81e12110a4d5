//! `resume`: which run is meant, and how it continues.

use crate::support::fixture::Trouble;
use crate::support::org::{AMBIGUOUS, GROUPLESS, HEADER, Issue};
use crate::support::terminal::OnTerminal;
use crate::support::{Fixture, Org, Run};
use serde_json::json;

/// A fixture with a run of 60 rows that was stopped in the middle.
fn stopped() -> (Fixture, Run) {
    let fixture = Fixture::broken(&Org::of(60), ["path=works.update,status=401,after=20,count=1"]);
    fixture.backfill(&["--batch-size", "10"]).run().exits(4);
    let run = fixture.the_run();
    (fixture, run)
}

#[test]
fn a_run_is_named_or_the_only_one_with_something_left() {
    for name in [true, false] {
        let (fixture, run) = stopped();
        let args: &[&str] = if name { &[run.id()] } else { &[] };
        let ended = fixture.resume(&[args, &["--json"]].concat()).run().exits(0);
        let summary = ended.json();
        assert_eq!((&summary["run"], &summary["states"]), (&json!(run.id()), &json!({"done": 60})));
        fixture.assert_right();
        run.assert_complete(60);
        assert_eq!(run.manifest()["state"], "finished");
    }
}

#[test]
fn it_may_be_called_from_elsewhere() {
    let (fixture, run) = stopped();
    let runs = fixture.path("runs");
    let program = fixture.resume(&["--runs-dir"]).arg(runs).folder(fixture.path("tmp"));
    program.run().exits(0);
    fixture.assert_right();
    run.assert_complete(60);
}

#[test]
fn without_a_run_there_is_nothing_to_resume() {
    let fixture = Fixture::new(&Org::of(3));
    fixture.resume(&[]).run().exits(2).says("has rows left");
    fixture
        .resume(&["20260101-000000-backfill-groups-0000"])
        .run()
        .exits(2)
        .says("no run was made there yet");
    fixture.backfill(&[]).run().exits(0);
    fixture.resume(&[]).run().exits(2).says("has rows left");
    // A job that begins with it continues.
    for flags in [&["--if-any"][..], &["--if-any", "--latest", "--retry-failed"]] {
        fixture.resume(flags).run().exits(0).says("has rows left");
        let ended = fixture.resume(flags).arg("--json").run().exits(0);
        assert_eq!((&ended.json()["run"], &ended.json()["exit"]), (&json!(null), &json!(0)));
    }
    let id = fixture.the_run().id().to_owned();
    fixture.resume(&["--if-any", &id]).run().exits(2).says("--if-any");
    fixture.resume(&[&id[..id.len() - 1]]).run().exits(2).says(&format!("did you mean {id}?"));
    fixture.resume(&["../runs"]).run().exits(2).says("there is no run");
}

#[test]
fn of_several_runs_one_is_to_be_named() {
    let fixture = Fixture::broken(&Org::of(30), ["path=works.update,status=401,count=3"]);
    for _ in 0..3 {
        fixture.backfill(&["--batch-size", "5", "--concurrency", "1"]).run().exits(4);
    }
    let runs = fixture.runs();
    let ended = fixture.resume(&[]).run().exits(2).says("several runs have something left");
    runs.iter().fold(ended, |ended, run| ended.says(run.id()));
    fixture.resume(&["--latest"]).run().exits(0);
    let finished = |run: &&Run| run.manifest()["state"] == "finished";
    assert_eq!(runs.iter().filter(finished).map(Run::id).collect::<Vec<_>>(), [runs[2].id()]);
    fixture.resume(&[runs[0].id()]).run().exits(0);
    // One is left now, and need not be named.
    fixture.resume(&[]).run().exits(0);
    fixture.assert_right();
    for run in runs {
        run.assert_complete(30);
    }
}

#[test]
fn a_finished_run_has_nothing_to_do_and_ends_as_before() {
    for (faults, code) in [(vec![], 0), (vec!["path=works.update,status=403,count=2"], 3)] {
        let fixture = Fixture::broken(&Org::of(20), faults);
        fixture.backfill(&[]).run().exits(code);
        let (calls, run) = (fixture.stats()["total"].clone(), fixture.the_run());
        let results = run.assert_complete(20);
        // Neither a token nor a confirmation is asked for where nothing is sent.
        let program = fixture.program(["resume", run.id(), "--json"]).without("DEVREV_API_TOKEN");
        let ended = program.run().exits(code);
        assert_eq!(ended.json()["calls_total"], 0);
        assert_eq!(fixture.stats()["total"], calls);
        assert_eq!(run.assert_complete(20), results);
    }
}

#[test]
fn failed_rows_are_taken_again_only_when_asked_for() {
    let fixture = Fixture::broken(&Org::of(20), ["path=works.update,status=403,count=3"]);
    fixture.write("issues.csv", format!("{}not-an-issue,DEVU-1,GROUP-1,\n", fixture.org.csv()));
    fixture.backfill(&[]).run().exits(3);
    let run = fixture.the_run();
    assert_eq!(run.manifest()["counts"]["failed"], 4);
    let ended = fixture.resume(&["--retry-failed", "--json"]).run().exits(3);
    assert_eq!(ended.json()["states"], json!({"done": 20, "failed": 1}));
    fixture.assert_right();
    run.assert_complete(21);
}

#[test]
fn rows_are_taken_again_by_reason() {
    let mut org = Org::of(4);
    let by = |creator| Issue { creator, group: None };
    org.issues.extend([by(GROUPLESS), by(AMBIGUOUS), by(GROUPLESS)]);
    let mut fixture = Fixture::new(&org);
    fixture.backfill(&[]).run().exits(0);
    let run = fixture.the_run();
    fixture.restart_joined(2);
    let why = "--retry: no row of run ";
    let ended = fixture.resume(&["--retry", "no-such-reason"]).run().exits(2).says(why);
    ended.says("there is ambiguous-creator, creator-in-no-group");
    let ended = fixture.resume(&["--retry", "creator-in-no-group", "--json"]).run().exits(0);
    assert_eq!(ended.json()["states"], json!({"done": 6, "skipped": 1}));
    let groups: Vec<_> = fixture.issues().into_values().map(|issue| issue.group).collect();
    assert_eq!(groups[4..], [Some(2), None, Some(2)]);
    assert_eq!(fixture.writes(), 2, "rows that are done are not sent again");
    run.assert_complete(7);
    // None is left with that reason.
    fixture.resume(&["--retry", "creator-in-no-group"]).run().exits(2).says("there is ambiguous-creator");
    let ended = fixture.resume(&["--retry", "ambiguous-creator", "--json"]).run().exits(0);
    assert_eq!(ended.json()["states"], json!({"done": 6, "skipped": 1}));
}

#[test]
fn what_somebody_else_changed_meanwhile_is_left_alone() {
    let (fixture, run) = stopped();
    let open: Vec<usize> =
        (1..=60).filter(|number| fixture.issues()[&format!("ISS-{number}")].writes == 0).collect();
    let (first, second) = (open[0], open[open.len() - 1]);
    fixture.set_group(first, Some(3));
    fixture.set_group(second, Some(1));
    let before = fixture.issues();
    fixture.resume(&[]).run().exits(0);
    for number in [first, second] {
        let id = format!("ISS-{number}");
        assert_eq!(fixture.issues()[&id], before[&id], "{id}");
    }
    run.assert_complete(60);
}

#[test]
fn the_settings_of_the_run_go_on_and_those_of_the_process_may_change() {
    let mut org = Org::of(30);
    org.issues[29].creator = crate::support::org::AMBIGUOUS;
    let mut fixture = Fixture::broken(&org, ["path=works.update,status=401,after=5,count=1"]);
    fixture.write("map.csv", "DEVU-1,GROUP-4\n");
    let flags = ["--on-ambiguous", "first", "--group-map", "map.csv", "--limit", "30", "--batch-size", "5"];
    fixture.backfill(&flags).run().exits(4);
    std::fs::remove_file(fixture.path("map.csv")).unwrap();
    fixture.restart(&Trouble::none());
    let resume = || fixture.resume(&["--batch-size", "3", "--concurrency", "2"]);
    let ended = resume().env("CREATOR_GROUP_FIELD", "tnt__other").run().exits(2);
    ended
        .says("settled by the field `tnt__creator_group`, and the field is now `tnt__other`: change it back");
    assert_eq!(fixture.writes(), 0);
    resume().run().exits(0);
    let issues = fixture.issues();
    assert_eq!((issues["ISS-29"].group, issues["ISS-30"].group), (Some(4), Some(1)));
    assert!(issues.values().all(|issue| issue.writes == 1));
}

#[test]
fn a_field_that_was_wrong_is_corrected() {
    let mut org = Org::of(40);
    org.issues[39].creator = GROUPLESS;
    let mut fixture = Fixture::broken(&org, ["path=schemas.aggregated.get,status=403"]);
    fixture.backfill(&[]).env("CREATOR_GROUP_FIELD", "tnt__other").run().exits(7);
    let run = fixture.the_run();
    fixture.restart(&Trouble::none());
    // Not set now: the run's own continues.
    fixture.resume(&["--retry-failed"]).run().exits(2).says("issues have no field `tnt__other`");
    fixture.write(".env", "CREATOR_GROUP_FIELD=tnt__creator_group\n");
    fixture.resume(&["--retry-failed"]).run().exits(2).says("issues have no field `tnt__other`");
    let ended =
        fixture.resume(&["--retry-failed", "--json"]).env("CREATOR_GROUP_FIELD", "tnt__creator_group").run();
    let ended = ended
        .exits(0)
        .says("tnt__creator_group (CREATOR_GROUP_FIELD in the environment) replaces tnt__other");
    assert!(ended.json()["notes"][0].as_str().unwrap().contains("replaces tnt__other"), "{}", ended.all());
    assert_eq!(ended.json()["states"], json!({"done": 39, "skipped": 1}));
    run.assert_complete(40);
    assert_eq!(run.manifest()["settings"]["job"]["field"], "tnt__creator_group");
    assert_eq!(run.manifest()["settings"]["resolved"]["CREATOR_GROUP_FIELD"]["value"], "tnt__creator_group");
}

#[test]
fn rules_may_be_corrected_for_the_rows_that_are_left() {
    let mut org = Org::of(4);
    let by = |creator| Issue { creator, group: None };
    org.issues.extend([by(GROUPLESS), by(AMBIGUOUS)]);
    let fixture = Fixture::new(&org);
    fixture.backfill(&[]).run().exits(0);
    fixture.write("map.csv", "DEVU-6,GROUP-3\n");
    let retry = ["--retry", "creator-in-no-group", "--retry", "ambiguous-creator"];
    let rules = ["--on-ambiguous", "first", "--group-map", "map.csv"];
    let ended = fixture.resume(&[&retry[..], &rules[..]].concat()).run().exits(0);
    ended.says("--on-ambiguous first replaces skip").says("--group-map map.csv replaces none");
    let groups: Vec<_> = fixture.issues().into_values().map(|issue| issue.group).collect();
    assert_eq!(groups[4..], [Some(3), Some(1)]);
    assert_eq!(fixture.writes(), 6);
    let run = fixture.the_run();
    let wrong = |flags: [&str; 2]| fixture.resume(&[&[run.id()][..], &flags[..]].concat()).run().exits(2);
    wrong(["--on-count-mismatch", "warn"]).says("--on-count-mismatch: run ").says("is of `backfill-groups`");
    wrong(["--on-ambiguous", "last"]).says("invalid value 'last' for '--on-ambiguous");

    // A plan is made by one rule.
    let fixture = Fixture::new(&org);
    fixture.backfill(&["--dry-run"]).run().exits(0);
    let dry = fixture.the_run();
    let ended = fixture.resume(&[dry.id(), "--on-ambiguous", "first"]).run().exits(2);
    ended.says("planned with another value; make a new plan");
    let apply = |flags: &[&str]| fixture.program(["apply", dry.id(), "--yes"]).args(flags).run();
    apply(&["--on-ambiguous", "first"]).exits(2).says("--on-ambiguous: run ").says("make a new plan");
    let other = fixture.program(["apply", dry.id(), "--yes"]).env("CREATOR_GROUP_FIELD", "tnt__other");
    other.run().exits(2).says("CREATOR_GROUP_FIELD in the environment: run ").says("make a new plan");
    assert_eq!(fixture.writes(), 0);
    apply(&[]).exits(0);
    assert_eq!(fixture.writes(), 4);
}

#[test]
fn rows_without_a_call_are_settled_too() {
    let mut fixture = Fixture::broken(&Org::of(4), ["path=works.update,status=401,after=1"]);
    let csv = format!(
        "{HEADER}ISS-1,DEVU-1,GROUP-1,\nbad\nISS-2,DEVU-2,GROUP-2,\nISS-3,DEVU-3,GROUP-3,GROUP-3\nISS-2,DEVU-2,GROUP-2,\n"
    );
    fixture.write("issues.csv", csv);
    fixture.backfill(&["--batch-size", "1", "--concurrency", "1"]).run().exits(4);
    fixture.restart(&Trouble::none());
    fixture.resume(&[]).run().exits(3);
    let results = fixture.the_run().assert_complete(5);
    let states: Vec<_> = results.values().map(|row| row.status.as_str()).collect();
    assert_eq!(states, ["done", "failed", "done", "already", "skipped"]);
}

#[test]
fn an_intent_that_cannot_be_read_stays_in_doubt() {
    let mut fixture = Fixture::broken(&Org::of(20), ["path=works.update,hang=before,after=5"]);
    fixture
        .backfill(&["--batch-size", "10", "--concurrency", "2"])
        .run_until(|| fixture.calls("works.update") > 6)
        .kill();
    let run = fixture.the_run();
    let path = run.file("journal.jsonl");
    let journal = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, journal.replace("\"after\":", "\"of_another_version\":")).unwrap();
    fixture.restart(&Trouble::none());
    let before = fixture.issues();
    let ended = fixture.resume(&["--json"]).run().exits(3);
    let states = ended.json()["states"].clone();
    let unknown = states["unknown"].as_u64().unwrap();
    assert!(unknown > 0, "{}", ended.all());
    for row in run.results("failed.csv") {
        assert!(row.status == "unknown" && row.reason.starts_with("journal-unreadable"), "{row:?}");
        let issue = String::from_utf8(row.fields[0].clone()).unwrap();
        assert_eq!(fixture.issues()[&issue], before[&issue], "{issue}");
    }
    run.assert_complete(20);
}

#[test]
fn a_correction_that_is_not_agreed_to_changes_nothing() {
    let (fixture, run) = stopped();
    fixture.write("map.csv", "DEVU-1,GROUP-4\n");
    let before = std::fs::read(run.file("run.json")).unwrap();
    let mut program = OnTerminal::start(&fixture, &["resume", run.id(), "--group-map", "map.csv"], &[]);
    program.until_it_shows("Continue? [y/N] ");
    program.types("n\n");
    program.exits(14);
    assert!(!run.file("group-map.csv").exists());
    assert_eq!(std::fs::read(run.file("run.json")).unwrap(), before);
}

#[test]
fn a_run_that_is_closed_is_left_alone() {
    let (fixture, run) = stopped();
    let close = |flags: &[&str]| fixture.program(["runs", "close", run.id()]).args(flags).run();
    close(&["--reason", "wrong export"]).exits(0).says("is closed; ").says("left without a result");
    close(&[]).exits(2).says("was closed already").says("wrong export");
    fixture.resume(&[run.id()]).run().exits(2).says("was closed (").says("start a new run");
    fixture.resume(&["--if-any", "--latest"]).run().exits(0).says("no run in runs has rows left");
    let list = fixture.program(["runs", "--json"]).run().exits(0).json();
    assert_eq!((&list["runs"][0]["state"], &list["runs"][0]["next"]), (&json!("closed"), &json!(null)));
    fixture.program(["runs", "show", run.id()]).run().exits(0).says("wrong export");
    fixture.program(["runs", "list", "--state", "closed"]).run().exits(0).says(run.id());
    fixture.program(["runs", "close", "20260102-000001-backfill-groups-0001"]).run().exits(2);
    // Its rows are taken by a new run.
    fixture.backfill(&[]).run().exits(0);
    fixture.assert_right();
    let ended = fixture.runs().into_iter().find(|other| other.id() != run.id()).unwrap();
    fixture.program(["runs", "close", ended.id()]).run().exits(2).says("nothing to close");
}

/// What a schedule does each night: finish what was left, then take the new export.
#[test]
fn a_schedule_gets_over_runs_that_cannot_be_resumed() {
    let mut fixture = Fixture::with(&Org::of(60), &Trouble::delay(10));
    let night = |fixture: &Fixture| {
        fixture.program(["resume", "--latest", "--if-any", "--yes"]).run().exits(0);
        fixture.backfill(&[]).run().exits(0);
    };
    // Killed, and the export is replaced before the next night.
    fixture.backfill(&["--batch-size", "5"]).run_until(|| fixture.writes() > 10).kill();
    let killed = fixture.the_run();
    fixture.restart(&Trouble::none());
    fixture.write("issues.csv", format!("{HEADER}ISS-1,DEVU-1,GROUP-1,\n"));
    night(&fixture);
    killed.assert_complete(60);
    // Killed without a copy: that run can never be resumed.
    fixture.write(".env", "KEEP_INPUT_MAX=0\n");
    let mut fixture = Fixture::with(&Org::of(60), &Trouble::delay(10));
    fixture.write(".env", "KEEP_INPUT_MAX=0\n");
    fixture.backfill(&["--batch-size", "5"]).run_until(|| fixture.writes() > 10).kill();
    let killed = fixture.the_run();
    fixture.restart(&Trouble::none());
    fixture.write("issues.csv", fixture.org.csv().replace("ISS-60,DEVU-4", "ISS-60,DEVU-3"));
    let ended = fixture.program(["resume", "--latest", "--if-any", "--yes"]).run().exits(0);
    let ended = ended.says(&format!("run {} is skipped: ", killed.id())).says("issues.csv has changed");
    ended.says(&format!("`devrev-batch runs close {}` ends it", killed.id()));
    night(&fixture);
}
