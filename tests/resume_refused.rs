//! What `resume` does not continue with, and what it says of it.

use crate::support::fixture::Trouble;
use crate::support::{Fixture, Org, Run};
use serde_json::{Value, json};

/// A fixture with a run that was stopped in the middle.
fn stopped() -> (Fixture, Run) {
    let fixture = Fixture::broken(&Org::of(60), ["path=works.update,status=401,after=20,count=1"]);
    // Without a copy, the file itself is read again.
    fixture.write(".env", "KEEP_INPUT_MAX=0\n");
    fixture.backfill(&["--batch-size", "10"]).run().exits(4);
    let run = fixture.the_run();
    (fixture, run)
}

/// Wants that a refused resume has sent nothing, and that the run continues once all is as it was.
fn assert_refused(fixture: &Fixture, run: &Run, code: i32, texts: &[&str]) {
    let calls = fixture.stats()["total"].clone();
    let ended = fixture.resume(&[run.id()]).run().exits(code);
    texts.iter().fold(ended, |ended, text| ended.says(text));
    assert_eq!(fixture.stats()["total"], calls, "something was sent");
}

#[test]
fn an_input_that_is_another_now() {
    let (fixture, run) = stopped();
    let before = run.manifest()["input"]["sha256"].as_str().unwrap().to_owned();
    let csv = fixture.org.csv();
    fixture.write("issues.csv", csv.replace("ISS-60,DEVU-4", "ISS-60,DEVU-3"));
    let now = devrev_batch::source::fingerprint(&fixture.path("issues.csv")).unwrap().sha256;
    assert_refused(&fixture, &run, 6, &[&before, &now]);
    for changed in ["", "x", "issue_id,creator_user_id,assigned_group\n\""] {
        fixture.write("issues.csv", changed);
        assert_refused(&fixture, &run, 6, &["has changed"]);
    }
    std::fs::remove_file(fixture.path("issues.csv")).unwrap();
    assert_refused(&fixture, &run, 6, &["has changed"]);
    fixture.write("issues.csv", csv);
    fixture.resume(&[]).run().exits(0);
    fixture.assert_right();
}

#[test]
fn a_copy_of_the_input_that_was_changed_is_named() {
    let fixture = Fixture::broken(&Org::of(9), ["path=works.update,status=401,count=1"]);
    fixture.backfill(&[]).run().exits(4);
    let run = fixture.the_run();
    let good = std::fs::read_to_string(run.file("input.csv")).unwrap();
    std::fs::write(run.file("input.csv"), good.replace("ISS-9", "ISS-8")).unwrap();
    let says = format!("runs/{}/input.csv, the copy of {}", run.id(), fixture.path("issues.csv").display());
    fixture.resume(&[run.id()]).run().exits(6).says(&says).says("restore the copy");
    std::fs::write(run.file("input.csv"), good).unwrap();
    fixture.resume(&[]).run().exits(0);
    fixture.assert_right();
}

#[test]
fn another_base_url() {
    let (fixture, run) = stopped();
    let program = fixture.resume(&[run.id()]).env("DEVREV_BASE_URL", "http://127.0.0.1:9/");
    program.run().exits(6).says("DEVREV_BASE_URL");
    let sandbox = fixture.resume(&[run.id(), "--sandbox"]).run().exits(2);
    sandbox.says("cannot continue in a sandbox");
    // The same one with a slash at its end is the same.
    let slash = format!("{}/", fixture.base_url());
    fixture.resume(&[]).env("DEVREV_BASE_URL", slash).run().exits(0);
    fixture.assert_right();
}

#[test]
fn another_organisation() {
    let (mut fixture, run) = stopped();
    fixture.restart_as("OTHER");
    fixture.resume(&[run.id()]).run().exits(6).says("devo/TEST").says("devo/OTHER");
    assert_eq!(fixture.writes(), 0);
    fixture.restart_as("TEST");
    fixture.resume(&[]).run().exits(0);
    fixture.assert_right();
    run.assert_complete(60);
}

#[test]
fn a_run_that_another_process_works_on() {
    let fixture = Fixture::with(&Org::of(300), &Trouble::delay(20));
    let running = fixture.backfill(&[]).run_until(|| fixture.writes() > 5);
    let run = fixture.the_run();
    let before = std::fs::read(run.file("run.json")).unwrap();
    fixture.resume(&[run.id()]).run().exits(11).says("another process (PID ");
    fixture.resume(&[]).run().exits(11).says("another process (PID ");
    assert_eq!(std::fs::read(run.file("run.json")).unwrap(), before);
    running.wait().exits(0);
    fixture.assert_right();
    run.assert_complete(300);
}

#[test]
fn a_run_json_that_is_missing_or_not_one() {
    let (fixture, run) = stopped();
    let good = std::fs::read_to_string(run.file("run.json")).unwrap();
    let with = |change: fn(&mut Value)| {
        let mut value: Value = serde_json::from_str(&good).unwrap();
        change(&mut value);
        value.to_string()
    };
    let newer = with(|value| {
        value["format"] = json!(99);
        value["tool_version"] = json!("9.9.9");
    });
    let cases = [
        (String::new(), 6, "run.json"),
        ("garbage".to_owned(), 6, "run.json"),
        ("[]".to_owned(), 6, "run.json"),
        (good[..good.len() / 2].to_owned(), 6, "run.json"),
        (
            with(|value| drop(value.as_object_mut().unwrap().remove("base_url"))),
            6,
            "missing field `base_url`",
        ),
        (with(|value| value["id"] = json!("20260101-000000-x-0000")), 6, "this is the folder of"),
        (with(|value| value["settings"]["job"] = json!(3)), 6, "settings.job"),
        (with(|value| value["input"] = json!(null)), 6, "names no input"),
        (with(|value| value["command"] = json!("of-another-version")), 2, "of-another-version"),
        (newer, 2, "a newer devrev-batch (9.9.9) wrote it"),
    ];
    for (text, code, words) in cases {
        std::fs::write(run.file("run.json"), text).unwrap();
        assert_refused(&fixture, &run, code, &[words]);
    }
    std::fs::remove_file(run.file("run.json")).unwrap();
    assert_refused(&fixture, &run, 6, &["run.json"]);
    std::fs::write(run.file("run.json"), good).unwrap();
    fixture.resume(&[]).run().exits(0);
    fixture.assert_right();
}

#[test]
fn a_journal_that_is_missing_or_damaged() {
    let (fixture, run) = stopped();
    let path = run.file("journal.jsonl");
    let good = std::fs::read(&path).unwrap();
    let lines: Vec<&[u8]> = good.split_inclusive(|byte| *byte == b'\n').collect();
    let middle = lines.len() / 2;
    let with_middle = |line: &[u8]| [&lines[..middle].concat(), line, &lines[middle + 1..].concat()].concat();
    let mut flipped = lines[middle].to_vec();
    flipped[3] ^= 0x20;
    let damaged = [
        with_middle(&flipped),
        with_middle(b""),
        with_middle(b"garbage\n"),
        with_middle(b"{}\n"),
        with_middle(&[lines[middle], lines[middle]].concat()),
        lines[1..].concat(),
    ];
    for bytes in damaged {
        std::fs::write(&path, bytes).unwrap();
        assert_refused(&fixture, &run, 6, &["journal.jsonl, line "]);
    }
    std::fs::remove_file(&path).unwrap();
    assert_refused(&fixture, &run, 6, &["has no journal"]);
    std::fs::write(&path, &good).unwrap();
    fixture.resume(&[]).run().exits(0);
    fixture.assert_right();
    run.assert_complete(60);
}

#[test]
fn rows_that_another_run_works_on() {
    let fixture = Fixture::with(&Org::of(300), &Trouble::delay(20));
    let state = fixture.path("state");
    let backfill = |more: &[&str]| fixture.backfill(more).env("XDG_STATE_HOME", &state);
    let running = backfill(&[]).run_until(|| fixture.writes() > 5);
    let says = format!("run {} (", fixture.the_run().id());
    for more in [&[][..], &["--runs-dir", "other"]] {
        backfill(more).run().exits(11).says(&says).says("is working on the same rows in this organisation");
    }
    // They never began: resumed later, they would write rows that may be out of date by then.
    assert_eq!(fixture.runs().len(), 1);
    for entry in std::fs::read_dir(fixture.path("other")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(name.starts_with('.'), "{name} is left");
    }
    backfill(&["--dry-run"]).run().exits(0);
    running.wait().exits(0);
    fixture.resume(&[]).run().exits(2).says("has rows left");
    backfill(&["--runs-dir", "other"]).run().exits(0);
    fixture.assert_right();
}
