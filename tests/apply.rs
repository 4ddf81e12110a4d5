//! `apply`: what a dry run planned, all of it and nothing else.

use crate::support::fixture::Trouble;
use crate::support::org::{GROUPLESS, Issue};
use crate::support::program::Program;
use crate::support::{Fixture, Merging, Org, People, Run};
use serde_json::{Value, json};

/// Makes a dry run; returns it.
#[track_caller]
fn plan(fixture: &Fixture, more: &[&str]) -> Run {
    let args = ["backfill-groups", "--csv", "issues.csv", "--dry-run"];
    fixture.program(args).args(more).run().exits(0);
    newest(fixture, |manifest| manifest["dry_run"] == true)
}

fn newest(site: &crate::support::site::Site, wanted: impl Fn(&Value) -> bool) -> Run {
    site.runs()
        .into_iter()
        .filter(|run| wanted(&run.manifest()))
        .max_by_key(|run| run.manifest()["created_at"].to_string())
        .unwrap()
}

fn applied(site: &crate::support::site::Site) -> Run {
    newest(site, |manifest| manifest.get("applies").is_some())
}

fn apply(fixture: &Fixture, run: &Run, more: &[&str]) -> Program {
    fixture.program(["apply", run.id(), "--yes", "--json"]).args(more)
}

#[test]
fn the_plan_is_carried_out_and_nothing_else() {
    let mut org = Org::of(30);
    org.issues.push(Issue { creator: GROUPLESS, group: None });
    let fixture = Fixture::new(&org);
    let dry = plan(&fixture, &[]);
    let ended = apply(&fixture, &dry, &[]).run().exits(0);
    let printed = ended.json();
    assert_eq!((&printed["states"], &printed["rows"]), (&json!({"done": 30}), &json!(30)));
    assert_eq!(printed["carries_out"], dry.id());
    fixture.assert_right();
    let run = applied(&fixture);
    let manifest = run.manifest();
    assert_eq!(manifest["parent"], dry.id());
    assert_eq!((&manifest["command"], &manifest["dry_run"]), (&json!("backfill-groups"), &json!(false)));
    assert_eq!(
        std::fs::read(run.file("plan.jsonl")).unwrap(),
        std::fs::read(dry.file("plan.jsonl")).unwrap()
    );
    assert_eq!(run.results("success.csv").len(), 30);
    assert!(
        ended.err.contains("the plan of ") && ended.err.contains("less than a minute old"),
        "{}",
        ended.all()
    );
    // Once more: what was planned is there, but for one that somebody has changed meanwhile. Nothing is written.
    let writes = fixture.writes();
    let theirs = fixture.issues()["ISS-4"].group.unwrap() % 4 + 1;
    fixture.set_group(4, Some(theirs));
    let again = apply(&fixture, &dry, &[]).run().exits(0);
    assert_eq!(again.json()["reasons"], json!({"already": {"set-in-devrev": 29}, "skipped": {"drifted": 1}}));
    apply(&fixture, &dry, &["--on-drift", "abort"])
        .run()
        .exits(6)
        .says("row 4 (ISS-4) has changed since it was planned");
    assert_eq!(fixture.writes(), writes);
}

#[test]
fn a_plan_is_carried_out_in_portions() {
    let fixture = Fixture::new(&Org::of(30));
    let dry = plan(&fixture, &[]);
    let done = |printed: &Value| printed["states"]["done"].as_u64().unwrap_or(0);
    let first = apply(&fixture, &dry, &["--limit", "10"]).run().exits(0).json();
    assert!(first["why"].as_str().unwrap().starts_with("the limit of 10 changes was reached; "), "{first}");
    assert_eq!((done(&first), fixture.writes()), (10, 10));
    // Both ways on: the run that was begun, or the plan again.
    let resumed = fixture.resume(&["--json", "--max-changes", "10"]).run().exits(0).json();
    assert_eq!((done(&resumed), fixture.writes()), (20, 20));
    let again = apply(&fixture, &dry, &["--limit", "10"]).run().exits(0).json();
    assert_eq!((done(&again), fixture.writes()), (10, 30));
    fixture.assert_right();
}

#[test]
fn a_portion_of_a_plan_is_a_plan() {
    let fixture = Fixture::new(&Org::of(30));
    let dry = plan(&fixture, &["--max-changes", "7"]);
    assert_eq!(dry.manifest()["counts"]["planned"], 7);
    let applied = apply(&fixture, &dry, &[]).run().exits(0).json();
    assert_eq!((&applied["states"], fixture.writes()), (&json!({"done": 7}), 7));
    apply(&fixture, &dry, &["--limit", "1", "--max-changes", "1"]).run().exits(2);
}

#[test]
fn a_row_that_has_drifted_is_left_alone_and_its_drift_is_named() {
    let fixture = Fixture::new(&Org::of(20));
    let dry = plan(&fixture, &[]);
    fixture.set_group(3, Some(4));
    let ended = apply(&fixture, &dry, &[]).run().exits(0);
    assert_eq!(ended.json()["states"], json!({"done": 19, "skipped": 1}));
    let skipped = applied(&fixture).results("skipped.csv");
    assert_eq!((skipped.len(), skipped[0].row), (1, 3));
    assert!(skipped[0].reason.starts_with("drifted: set-in-devrev: creator group is "), "{skipped:?}");
    assert_eq!(fixture.issues()["ISS-3"].writes, 0);
}

#[test]
fn another_decision_than_the_planned_one_is_drift_too() {
    let fixture = Fixture::new(&Org::of(4));
    // The operator's own map is copied: what becomes of it later is another matter.
    fixture.write("map.csv", "DEVU-1,GROUP-4\n");
    let dry = plan(&fixture, &["--group-map", "map.csv"]);
    fixture.write("map.csv", "DEVU-1,GROUP-3\n");
    apply(&fixture, &dry, &[]).run().exits(0);
    assert_eq!(fixture.issues()["ISS-1"].group, Some(4));
    // A plan that says something else than what would be decided now: of both, nothing is done.
    let fixture = Fixture::new(&Org::of(4));
    let dry = plan(&fixture, &[]);
    let change = |file: &str| {
        let text = std::fs::read_to_string(dry.file(file)).unwrap();
        let (head, tail) = text.split_once("\"ISS-2\"").unwrap();
        let group = format!("group/{}", fixture.org.right(2).unwrap());
        std::fs::write(dry.file(file), format!("{head}\"ISS-2\"{}", tail.replacen(&group, "group/4", 1)))
            .unwrap();
    };
    change("journal.jsonl");
    change("plan.jsonl");
    let ended = apply(&fixture, &dry, &[]).run().exits(0);
    assert_eq!(ended.json()["states"], json!({"done": 3, "skipped": 1}), "{}", ended.all());
    let skipped = applied(&fixture).results("skipped.csv");
    assert!(skipped[0].reason.starts_with("drifted: after: `don:"), "{skipped:?}");
}

#[test]
fn abort_stops_before_the_drifted_row_and_resume_may_skip_it() {
    let fixture = Fixture::new(&Org::of(40));
    let dry = plan(&fixture, &[]);
    fixture.set_group(25, Some(2));
    let small = ["--batch-size", "10", "--on-drift", "abort"];
    let ended = apply(&fixture, &dry, &small).run().exits(6);
    let why = ended.json()["why"].as_str().unwrap().to_owned();
    assert!(why.starts_with("row 25 (ISS-25) has changed since it was planned: "), "{why}");
    for (id, seen) in fixture.issues() {
        let number: u32 = id.trim_start_matches("ISS-").parse().unwrap();
        assert!(number <= 20 || seen.writes == 0, "{id} is of the drifted row's batch, or behind it");
    }
    let run = applied(&fixture);
    fixture.resume(&[run.id()]).run().exits(6).says("row 25");
    let ended = fixture.resume(&[run.id(), "--on-drift", "skip", "--json"]).run().exits(0);
    assert_eq!(ended.json()["states"], json!({"done": 39, "skipped": 1}));
}

#[test]
fn what_is_no_plan_is_refused_before_anything_is_sent() {
    let fixture = Fixture::new(&Org::of(6));
    let real = ["backfill-groups", "--csv", "issues.csv", "--yes", "--limit", "2"];
    fixture.program(real).run().exits(0);
    let real = fixture.the_run();
    let total = || fixture.stats()["total"].clone();
    let before = total();
    apply(&fixture, &real, &[]).run().exits(2).says("is not a dry run");
    fixture.program(["apply", "20260101-000000-x-0000", "--yes"]).run().exits(2).says(real.id());
    fixture.program(["apply", real.id(), "--yes", "--on-drift", "x"]).run().exits(2).says("--on-drift");
    fixture.resume(&[real.id(), "--on-drift", "skip"]).run().exits(2).says("does not apply a plan");
    assert_eq!(total(), before);
    let args = ["backfill-groups", "--csv", "issues.csv", "--dry-run", "--limit", "2"];
    fixture.program(args).run().exits(0);
    let empty = newest(&fixture, |manifest| manifest["dry_run"] == true);
    apply(&fixture, &empty, &[]).run().exits(2).says("planned no changes");
}

#[test]
fn a_dry_run_that_is_not_whole_is_gone_on_with_first() {
    let fixture = Fixture::with(&Org::of(200), &Trouble::delay(20));
    let args = ["backfill-groups", "--csv", "issues.csv", "--dry-run", "--batch-size", "5"];
    let running = fixture.program(args).run_until(|| fixture.calls("works.list") >= 2);
    running.signal("INT");
    running.wait().exits(130);
    let dry = fixture.the_run();
    apply(&fixture, &dry, &[]).run().exits(2).says(&format!("devrev-batch resume {}", dry.id()));
    assert_eq!(fixture.writes(), 0);
    fixture.program(["resume"]).run().exits(0);
    apply(&fixture, &dry, &[]).run().exits(0);
    fixture.assert_right();
}

#[test]
fn other_rows_another_plan_or_another_organisation_are_refused() {
    let fixture = Fixture::new(&Org::of(6));
    fixture.write(".env", "KEEP_INPUT_MAX=0\n");
    let dry = plan(&fixture, &[]);
    fixture.write("issues.csv", format!("{}ISS-1,DEVU-1,GROUP-2,\n", fixture.org.csv()));
    apply(&fixture, &dry, &[]).run().exits(6).says("has changed since run");
    std::fs::remove_file(fixture.path("issues.csv")).unwrap();
    apply(&fixture, &dry, &[]).run().exits(6).says("issues.csv");
    fixture.write("issues.csv", fixture.org.csv());
    let plan = std::fs::read_to_string(dry.file("plan.jsonl")).unwrap();
    let shorter: String = plan.lines().skip(1).flat_map(|line| [line, "\n"]).collect();
    std::fs::write(dry.file("plan.jsonl"), shorter).unwrap();
    apply(&fixture, &dry, &[]).run().exits(6).says("it was changed");
    std::fs::write(dry.file("plan.jsonl"), plan).unwrap();
    assert_eq!((fixture.writes(), fixture.runs().len()), (0, 1), "{:?}", fixture.runs());
    let mut fixture = fixture;
    fixture.restart_as("OTHER");
    apply(&fixture, &dry, &[]).run().exits(6).says("devo/OTHER");
    assert_eq!((fixture.writes(), fixture.runs().len()), (0, 1));
}

#[test]
fn off_a_terminal_it_needs_yes() {
    let fixture = Fixture::new(&Org::of(3));
    let dry = plan(&fixture, &[]);
    let total = fixture.stats()["total"].clone();
    fixture.program(["apply", dry.id()]).stdin("y\n").run().exits(14).says("--yes");
    assert_eq!((fixture.stats()["total"].clone(), fixture.runs().len()), (total, 1));
}

#[test]
fn rows_of_standard_input_are_those_of_the_dry_run() {
    let fixture = Fixture::new(&Org::of(5));
    let program = fixture.program(["backfill-groups", "--csv", "-", "--dry-run"]);
    program.stdin(fixture.org.csv()).run().exits(0);
    let dry = fixture.the_run();
    apply(&fixture, &dry, &[]).run().exits(0);
    let run = applied(&fixture);
    let input = run.manifest()["input"]["path"].as_str().unwrap().to_owned();
    assert!(run.file("input.csv").ends_with(input), "{run:?}");
    fixture.assert_right();
}

#[test]
fn an_old_plan_says_how_old_it_is() {
    let fixture = Fixture::new(&Org::of(3));
    let dry = plan(&fixture, &[]);
    let mut manifest = dry.manifest();
    manifest["created_at"] = json!("2026-01-02T03:04:05Z");
    std::fs::write(dry.file("run.json"), manifest.to_string()).unwrap();
    // That it ends once more makes no row of it any younger.
    fixture.program(["resume", dry.id()]).run().exits(0);
    apply(&fixture, &dry, &["--quiet"]).run().exits(0).says(" days old (made 2026-01-02 03:04 UTC)");
}

#[test]
fn killed_at_any_moment_it_ends_as_planned_and_nothing_is_written_twice() {
    let fixture = Fixture::with(&Org::of(60), &Trouble::delay(3));
    let dry = plan(&fixture, &[]);
    fixture.set_group(33, Some(2));
    let total = || fixture.stats()["total"].as_u64().unwrap();
    let mut next = apply(&fixture, &dry, &["--batch-size", "7"]);
    for step in [3, 9, 14, 5, 21, 11] {
        let until = total() + step;
        next.run_until(|| total() >= until).kill();
        let left = fixture.runs().into_iter().find(|run| run.id() != dry.id());
        next = match left {
            Some(run) if run.file("run.json").exists() => fixture.resume(&[run.id(), "--batch-size", "7"]),
            Some(run) => {
                std::fs::remove_dir_all(&run.0).unwrap();
                apply(&fixture, &dry, &["--batch-size", "7"])
            }
            None => apply(&fixture, &dry, &["--batch-size", "7"]),
        };
    }
    // It has its own copy of the plan: what became of the dry run meanwhile is all the same.
    std::fs::remove_dir_all(&dry.0).unwrap();
    next.run().exits(0);
    let run = applied(&fixture);
    fixture.assert_intents(&run);
    let issues = fixture.issues();
    assert_eq!((issues["ISS-33"].writes, issues["ISS-33"].group), (0, Some(2)));
    assert_eq!(issues.values().filter(|seen| seen.writes == 1).count(), 59);
    assert_eq!(run.all_results()[&33].status, "skipped");
}

#[test]
fn a_plan_is_carried_out_by_one_process_at_a_time() {
    let fixture = Fixture::with(&Org::of(100), &Trouble::delay(10));
    let dry = plan(&fixture, &[]);
    let running = apply(&fixture, &dry, &[]).run_until(|| fixture.writes() > 0);
    apply(&fixture, &dry, &[]).run().exits(11);
    fixture.program(["resume", dry.id(), "--retry-failed"]).run().exits(11);
    running.wait().exits(0);
    fixture.assert_right();
}

#[test]
fn a_run_whose_plan_was_changed_does_not_go_on() {
    let fixture = Fixture::with(&Org::of(60), &Trouble::delay(5));
    let dry = plan(&fixture, &[]);
    let running = apply(&fixture, &dry, &["--batch-size", "5"]).run_until(|| fixture.writes() > 0);
    running.signal("INT");
    running.wait().exits(130);
    let run = applied(&fixture);
    let whole = std::fs::read(run.file("plan.jsonl")).unwrap();
    std::fs::write(run.file("plan.jsonl"), &whole[..whole.len() / 2]).unwrap();
    fixture.resume(&[run.id()]).run().exits(6).says("is not the plan that this run began with");
    // What became of the dry run meanwhile is all the same.
    let elsewhere = fixture.path("elsewhere");
    std::fs::rename(&dry.0, &elsewhere).unwrap();
    std::fs::remove_file(run.file("plan.jsonl")).unwrap();
    fixture.resume(&[run.id()]).run().exits(6).says("plan.jsonl");
    // One that is lost is taken from it again.
    std::fs::rename(&elsewhere, &dry.0).unwrap();
    fixture.resume(&[run.id()]).run().exits(0);
    assert_eq!(std::fs::read(run.file("plan.jsonl")).unwrap(), whole);
    fixture.assert_right();
}

#[test]
fn merges_are_held_to_their_plan() {
    let fixture = Merging::new(&People::of(4));
    fixture
        .quick(["merge-contacts", "--csv", "contacts.csv", "--dry-run"])
        .run()
        .exits(0)
        .says("IRREVERSIBLE");
    let dry = fixture.the_run();
    let planned = dry.manifest()["counts"]["planned"].as_u64().unwrap();
    let (drifts, email) = (&fixture.people.couples[1].user, &fixture.people.couples[1].email);
    fixture.touch(drifts, &json!({"display_name": "Somebody Else"}));
    let ended = fixture.quick(["apply", dry.id(), "--yes", "--json"]).run().exits(0);
    assert_eq!(ended.json()["states"], json!({"done": planned - 2, "skipped": 2}), "{}", ended.all());
    let run = applied(&fixture);
    let skipped = run.results("skipped.csv");
    assert!(skipped[0].reason.starts_with("drifted: secondary.display_name: `"), "{skipped:?}");
    assert!(skipped[0].reason.ends_with(" -> `Somebody Else`"), "{skipped:?}");
    let report: Value = serde_json::from_slice(&std::fs::read(run.file("report.json")).unwrap()).unwrap();
    let pair = report["pairs"].as_array().unwrap().iter().find(|pair| pair["email"] == json!(email)).unwrap();
    assert_eq!((&pair["state"], &pair["reason"]), (&json!("skipped"), &json!("drifted")));
    assert_eq!(fixture.contacts()[drifts].merges, 0);
    // Once more: what was merged is.
    let merges = fixture.merges();
    let again = fixture.quick(["apply", dry.id(), "--yes", "--json"]).run().exits(0);
    let reasons = json!({"already": {"merged-before": planned - 2}, "skipped": {"drifted": 2}});
    assert_eq!((&again.json()["reasons"], fixture.merges()), (&reasons, merges));
}

#[test]
fn merges_of_a_plan_that_were_killed_are_followed_and_never_sent_twice() {
    let fixture = Merging::with(&People::of(6), &Trouble::delay(2));
    fixture.quick(["merge-contacts", "--csv", "contacts.csv", "--dry-run"]).run().exits(0);
    let dry = fixture.the_run();
    let running = fixture.quick(["apply", dry.id(), "--yes"]).run_until(|| fixture.merges() > 0);
    running.kill();
    let run = applied(&fixture);
    // What was announced and never left the process is sent only when the operator says so.
    fixture.resume(&[run.id(), "--resend-unproven"]).run().exits(0);
    let stats = fixture.stats();
    assert_eq!(
        (&stats["double_merges"], &stats["merges"]),
        (&json!(0), &json!(fixture.people.couples.len()))
    );
}

#[test]
fn an_undo_may_be_planned_too() {
    let fixture = Fixture::new(&Org::of(10));
    fixture.backfill(&[]).run().exits(0);
    let done = fixture.the_run();
    fixture.program(["undo", done.id(), "--dry-run"]).run().exits(0).says("GROUP-1 -> none");
    let dry = newest(&fixture, |manifest| manifest["dry_run"] == true);
    fixture.set_group(4, Some(3));
    let ended = apply(&fixture, &dry, &[]).run().exits(0);
    assert_eq!(ended.json()["states"], json!({"done": 9, "skipped": 1}));
    assert_eq!(applied(&fixture).manifest()["parent"], done.id());
    let left = fixture.issues().values().filter(|seen| seen.group.is_some()).count();
    assert_eq!(left, 1);
    let again = apply(&fixture, &dry, &[]).run().exits(0);
    assert_eq!(again.json()["reasons"], json!({"already": {"as-before": 9}, "skipped": {"drifted": 1}}));
}

#[test]
fn an_undo_of_merges_that_was_planned_and_made_is_made() {
    let fixture = Merging::new(&People::of(3));
    fixture.merge(&[]).run().exits(0);
    let run = fixture.the_run();
    fixture.quick(["undo", run.id(), "--dry-run"]).run().exits(0);
    let dry = newest(&fixture, |manifest| manifest["dry_run"] == true);
    let apply = || fixture.quick(["apply", dry.id(), "--yes", "--json"]).run().exits(0).json();
    assert_eq!(apply()["states"], json!({"done": 3}));
    let writes = fixture.writes();
    assert_eq!(apply()["reasons"], json!({"already": {"as-before": 3}}));
    assert_eq!(fixture.writes(), writes);
    // Planned once more, there is nothing to do.
    let plan = fixture.quick(["undo", run.id(), "--dry-run", "--json"]).run().exits(0).json();
    assert_eq!(plan["states"], json!({"already": 3}));
    // And what was merged is not said to be.
    let merge =
        fixture.quick(["merge-contacts", "--csv", "contacts.csv", "--yes", "--json"]).run().exits(0).json();
    assert_eq!(merge["reasons"]["already"], json!(null));
}

#[test]
fn the_table_of_a_plan_shows_what_would_change_and_what_it_takes() {
    let fixture = Fixture::new(&Org::of(25));
    fixture.write("issues.csv", format!("{}ISS-999,DEVU-1,GROUP-1,\n", fixture.org.csv()));
    let args = ["backfill-groups", "--csv", "issues.csv", "--dry-run"];
    let ended = fixture.program(args).env("RATE_LIMIT_CALLS", "50").run().exits(3);
    assert!(ended.out.contains("  ISS-1         none -> GROUP-"), "{}", ended.all());
    assert!(ended.out.contains("... and 5 more, in plan.jsonl"), "{}", ended.all());
    assert!(ended.out.contains(" under the limit of 50 in 10 s."), "{}", ended.all());
}
