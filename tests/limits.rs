//! `--max-errors`, `--max-batch-failures`, `--max-same-failures`: a run that fails too much stops, and continues when
//! told to. `--max-changes`: a run that makes a portion of its changes.

use crate::support::fixture::Trouble;
use crate::support::{Fixture, Org};
use serde_json::json;

/// How many rows failed; the exit code and the words of the summary are held against the expected ones.
fn failed_rows(fixture: &Fixture, flags: &[&str], code: i32, why: &str) -> u64 {
    let summary =
        fixture.backfill(&[&["--json", "--concurrency", "1"], flags].concat()).run().exits(code).json();
    assert!(summary["why"].as_str().unwrap_or_default().contains(why), "{summary}");
    summary["states"]["failed"].as_u64().unwrap_or(0)
}

#[test]
fn so_many_errors_are_put_up_with_and_no_more() {
    let mut fixture = Fixture::broken(&Org::of(60), ["path=works.update,status=409,after=10,count=8"]);
    let why = "4 rows failed, and --max-errors allows 3";
    let failed = failed_rows(&fixture, &["--max-errors", "3", "--batch-size", "10"], 7, why);
    assert!((4..=5).contains(&failed), "{failed}");
    fixture.restart(&Trouble::none());
    fixture.resume(&["--retry-failed", "--max-errors", "3"]).run().exits(0);
    fixture.assert_right();
    fixture.the_run().assert_complete(60);

    let fixture = Fixture::broken(&Org::of(60), ["path=works.update,status=409,after=10,count=8"]);
    assert_eq!(failed_rows(&fixture, &["--max-errors", "8"], 3, ""), 8);
    let fixture = Fixture::broken(&Org::of(10), ["path=works.update,status=409,count=1"]);
    assert_eq!(failed_rows(&fixture, &["--max-errors", "0"], 7, "--max-errors allows 0"), 1);
}

#[test]
fn a_share_of_errors_is_looked_at_from_a_hundred_rows_on() {
    let fault = "path=works.update,status=409,count=30";
    let few = Fixture::broken(&Org::of(90), [fault]);
    assert_eq!(failed_rows(&few, &["--max-errors", "20%", "--max-same-failures", "0"], 3, ""), 30);
    let mut many = Fixture::broken(&Org::of(200), [fault]);
    let flags = [
        "--max-errors",
        "20%",
        "--batch-size",
        "10",
        "--max-batch-failures",
        "50",
        "--max-same-failures",
        "0",
    ];
    failed_rows(&many, &flags, 7, "% of 100 rows failed, and --max-errors allows 20 %");
    many.restart(&Trouble::none());
    many.resume(&["--retry-failed"]).run().exits(0);
    many.assert_right();
    many.the_run().assert_complete(200);
}

#[test]
fn bad_batches_in_a_row_stop_the_run() {
    let mut fixture = Fixture::broken(&Org::of(100), ["path=works.update,status=403,after=20"]);
    let why = "3 batches in a row failed entirely (--max-batch-failures 3)";
    let flags = ["--max-batch-failures", "3", "--batch-size", "10", "--max-same-failures", "0"];
    let failed = failed_rows(&fixture, &flags, 7, why);
    assert!((30..=32).contains(&failed), "{failed}");
    let run = fixture.the_run();
    assert_eq!(run.manifest()["state"], "stopped");
    fixture.restart(&Trouble::none());
    // Without --retry-failed the failed rows stay as they are.
    fixture.resume(&[]).run().exits(3);
    assert_eq!(run.manifest()["counts"]["failed"], failed);
    fixture.resume(&["--retry-failed"]).run().exits(0);
    fixture.assert_right();
    run.assert_complete(100);
}

#[test]
fn one_good_row_in_a_batch_is_enough() {
    let fixture = Fixture::broken(&Org::of(60), ["path=works.update,status=403,p=0.5,seed=3"]);
    let flags = ["--max-batch-failures", "1", "--batch-size", "20"];
    assert!(failed_rows(&fixture, &flags, 3, "") > 10);
}

#[test]
fn a_run_whose_every_write_is_refused_stops_with_the_reason() {
    let mut org = Org::of(100);
    for number in (5..100).step_by(2) {
        org.issues[number].group = org.right(number + 1);
    }
    let mut fixture = Fixture::broken(&org, ["path=works.update,status=403,after=2"]);
    let why = "20 changes in a row failed for the same reason, `forbidden` (--max-same-failures 20): ";
    let failed = failed_rows(&fixture, &["--batch-size", "10"], 7, why);
    assert!((20..=21).contains(&failed), "{failed}");
    let run = fixture.the_run();
    assert!(run.manifest()["counts"]["open"].as_u64().unwrap() > 0);
    fixture.restart(&Trouble::none());
    fixture.resume(&["--retry-failed"]).run().exits(0);
    run.assert_complete(100);
}

#[test]
fn batches_with_nothing_to_change_do_not_hide_that_all_writes_fail() {
    let mut org = Org::of(60);
    for number in (0..60).filter(|number| number % 10 != 0) {
        org.issues[number].group = org.right(number + 1);
    }
    let fixture = Fixture::broken(&org, ["path=works.update,status=403"]);
    let why = "2 batches in a row failed entirely";
    failed_rows(&fixture, &["--batch-size", "10", "--max-batch-failures", "2"], 7, why);
}

#[test]
fn portions_of_changes_advance() {
    let fixture = Fixture::new(&Org::of(30));
    let states = |ended: &crate::support::program::Ended| ended.json()["states"].clone();
    let first = fixture.backfill(&["--json", "--max-changes", "12", "--batch-size", "5"]).run().exits(0);
    assert_eq!((states(&first), fixture.writes()), (json!({"done": 12}), 12));
    assert_eq!(first.json()["state"], "stopped");
    let run = fixture.the_run();
    let next = format!("devrev-batch resume {} --max-changes 12 --yes", run.id());
    assert_eq!(first.json()["next"], json!([next]));
    let second = fixture.resume(&["--json", "--max-changes", "12"]).run().exits(0);
    assert_eq!((states(&second), fixture.writes()), (json!({"done": 24}), 24));
    let last = fixture.resume(&["--json", "--max-changes", "12"]).run().exits(0);
    assert_eq!((&last.json()["state"], fixture.writes()), (&json!("finished"), 30));
    fixture.assert_right();
    run.assert_complete(30);
    for wrong in ["0", "1.5", "many"] {
        fixture.backfill(&["--max-changes", wrong]).run().exits(2).says("--max-changes: `");
    }
}
