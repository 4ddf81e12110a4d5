//! `runs watch`: a run at work as another terminal sees it.

use crate::support::fixture::Trouble;
use crate::support::program::Running;
use crate::support::{Fixture, Merging, Org, People, Run, eventually, files_below};
use std::path::PathBuf;
use std::time::SystemTime;

fn until_out_says(running: &Running, text: &str) {
    eventually(text, || running.out().contains(text));
}

/// Every file of a run, with its content and when it was written.
fn folder(run: &Run) -> Vec<(PathBuf, Vec<u8>, SystemTime)> {
    let file = |path: PathBuf| {
        let written = std::fs::metadata(&path).unwrap().modified().unwrap();
        (path.clone(), std::fs::read(path).unwrap(), written)
    };
    files_below(&run.0).into_iter().map(file).collect()
}

#[test]
fn failures_are_told_as_they_come_and_the_end_is() {
    let mut fixture = Fixture::broken(&Org::of(40), ["path=works.update,hang=before,after=10,count=1"]);
    // All are of one batch, of which the others wait.
    let running = fixture.backfill(&["--concurrency", "1"]).run_until(|| fixture.calls("works.update") >= 11);
    let run = fixture.the_run();
    let outcomes = || run.lines("journal.jsonl").iter().filter(|line| line["type"] == "outcome").count();
    eventually("ten rows in the journal", || outcomes() == 10);
    let before = folder(&run);
    let watch = fixture.program(["runs", "watch"]).spawn();
    until_out_says(&watch, "10 of 40 rows: done 10 | 0.0 rows/s\n");
    assert_eq!(folder(&run), before, "it wrote there");

    fixture.restart(&Trouble::faults(["path=works.update,status=409,count=7"]));
    running.wait().exits(3);
    let ended = watch.wait().exits(0).says("backfill-groups finished").says("failed for");
    assert_eq!(ended.out.matches(": failed for ").count(), 5, "{}", ended.all());
    assert_eq!(ended.out.matches("(more of these are only counted)").count(), 1, "{}", ended.all());
    let ended = ended.says(&format!("next: to retry the rows in runs/{}/failed.csv", run.id()));
    assert_eq!(ended.err, "");
}

#[test]
fn a_run_that_was_killed_is_seen_to_be_and_how_to_go_on() {
    let fixture = Fixture::broken(&Org::of(40), ["path=works.update,hang=before,after=10,count=1"]);
    let running = fixture.backfill(&[]).run_until(|| fixture.calls("works.update") >= 11);
    let run = fixture.the_run();
    let watch = fixture.program(["runs", "watch", run.id(), "--json"]).spawn();
    eventually("a first line", || watch.err().contains("of 40 rows: "));
    running.kill();
    let past = watch.wait().exits(0).json();
    assert_eq!((&past["state"], &past["run"]), (&"crashed".into(), &run.id().into()));
    assert_eq!(past["next"], format!("devrev-batch resume {} --yes", run.id()));
}

#[test]
fn a_reader_that_has_gone_ends_it() {
    let fixture = Fixture::broken(&Org::of(40), ["path=works.update,hang=before,after=10,count=1"]);
    let running = fixture.backfill(&[]).run_until(|| fixture.calls("works.update") >= 11);
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    fixture.program(["runs", "watch"]).stdout(writer.into()).run().exits(0);
    running.kill();
}

#[test]
fn pairs_are_seen_where_they_are() {
    let fixture = Merging::broken(&People::of(1), ["path=rev-users.merge,hang=before,count=1"]);
    let running = fixture.merge(&[]).run_until(|| fixture.calls("rev-users.merge") >= 1);
    let watch = fixture.quick(["runs", "watch"]).spawn();
    until_out_says(&watch, "0 of 4 rows: pairs: 1 sent | 0.0 rows/s\n");
    running.kill();
    watch.wait().exits(0).says("merge-contacts crashed");
}

#[test]
fn without_a_run_at_work_it_says_so() {
    let fixture = Fixture::new(&Org::of(3));
    let none = "no run in runs is being worked on; `runs list` shows those there are";
    fixture.program(["runs", "watch"]).run().exits(2).says(none);
    fixture.backfill(&[]).run().exits(0);
    fixture.program(["runs", "watch"]).run().exits(2).says(none);
    // One that has ended is shown at once.
    let id = fixture.the_run().id().to_owned();
    fixture.program(["runs", "watch", &id]).run().exits(0).says("3 of 3 rows: done 3").says("finished");
    fixture.program(["runs", "watch", &id, "--quiet", "--json"]).run().exits(0).json();
}
