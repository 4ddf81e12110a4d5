//! Contacts from the file to the engine's tasks.

use super::*;
use crate::cli::choices::Keep;
use crate::jobs::merge_contacts::inputs::{ALL, csv};
use crate::jobs::merge_contacts::note::Scope;
use crate::jobs::merge_contacts::scan::scan;
use crate::journal::replay::InDoubt;
use crate::stop::Cause;
use std::path::Path;

const ROWS: [[&str; 4]; 8] = [
    ["REVU-1", "Ann@x.io", "REVU-1", "1"],
    ["REVU-2", "b@x.io", "user_2", "2"],
    ["REVU-3", "s@x.io", "", "3"],
    ["REVU-4", "r@x.io", "user_4", "4"],
    ["REVU-5", "r@x.io", "user_5", "5"],
    ["REVU-6", "v@x.io", "user_6", "x"],
    ["REVU-7", "B@x.io", "REVU-7", "7"],
    ["REVU-8", "ann@x.io ", "user_8", "8"],
];

fn feed(path: &Path, scope: Scope, replay: Replay) -> ContactFeed {
    let input = Input::file(path);
    let preflight = scan(&input, scope).unwrap();
    ContactFeed::new(&input, preflight, replay, Stop::default()).unwrap()
}

fn tasks(text: &str, scope: Scope, replay: Replay) -> Vec<Task<Pair>> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("in.csv");
    std::fs::write(&path, text).unwrap();
    feed(&path, scope, replay).map(Result::unwrap).collect()
}

/// A task in short: its rows, and the two IDs or state and reason.
fn short(task: &Task<Pair>) -> String {
    let rows: Vec<_> = task.rows.each().map(|row| row.to_string()).collect();
    let what = match &task.item {
        Ok(pair) => format!("{} <- {}", pair.primary.id, pair.secondary.id),
        Err(outcome) => format!("{} {}", outcome.state.name(), outcome.reason.as_deref().unwrap_or_default()),
    };
    format!("{} {what}", rows.join("+"))
}

fn shorts(scope: Scope, replay: Replay) -> Vec<String> {
    tasks(&csv(&ROWS), scope, replay).iter().map(short).collect()
}

fn replay(settled: &[u64]) -> Replay {
    Replay { settled: settled.iter().copied().collect(), ..Replay::default() }
}

#[test]
fn a_pair_comes_with_its_second_row() {
    let tasks = tasks(&csv(&ROWS), ALL, Replay::default());
    let expected = [
        "3 skipped no-duplicate",
        "4 skipped two-of-a-kind",
        "5 skipped two-of-a-kind",
        "6 failed ticket-count",
        "2+7 REVU-7 <- REVU-2",
        "1+8 REVU-1 <- REVU-8",
    ];
    assert_eq!(tasks.iter().map(short).collect::<Vec<_>>(), expected);
    let keys: Vec<_> = tasks.iter().map(|task| task.key.as_str()).collect();
    assert_eq!(keys, ["s@x.io", "r@x.io", "r@x.io", "row 6", "b@x.io", "ann@x.io"]);
    let pair = tasks[5].item.as_ref().unwrap();
    assert_eq!((pair.email.as_str(), pair.primary.row, pair.secondary.row), ("ann@x.io", 1, 8));
    let secondary = &pair.secondary;
    assert_eq!((secondary.email.as_str(), secondary.external_ref.as_str()), ("ann@x.io", "user_8"));
    assert_eq!((secondary.display_name.as_str(), secondary.tickets), ("Ann", 8));
    let words = tasks[1].item.as_ref().unwrap_err().detail.as_deref().unwrap();
    assert!(words.ends_with("; see row 5"), "{words}");
    let words = tasks[3].item.as_ref().unwrap_err().detail.as_deref().unwrap();
    assert_eq!(words, "line 7: TICKET_COUNT `x`: not a whole number, 0 or more");
}

#[test]
fn the_other_contact_may_be_kept() {
    let found = shorts(Scope { keep: Keep::User, ..ALL }, Replay::default());
    assert_eq!(found[4..], ["2+7 REVU-2 <- REVU-7", "1+8 REVU-8 <- REVU-1"]);
}

#[test]
fn what_is_out_of_the_run_is_passed_over() {
    let found = shorts(Scope { limit: Some(1), ..ALL }, Replay::default());
    assert_eq!(found, ["2+7 REVU-7 <- REVU-2"]);
    assert!(shorts(Scope { limit: Some(0), ..ALL }, Replay::default()).is_empty());
    let found = shorts(Scope { emails: vec!["ANN@x.io".into(), "s@x.io".into()], ..ALL }, Replay::default());
    assert_eq!(found, ["3 skipped no-duplicate", "1+8 REVU-1 <- REVU-8"]);
}

#[test]
fn records_that_are_no_rows_fail_by_themselves() {
    let text = csv(&ROWS[..1]) + "REVU-9,x\n" + csv(&ROWS[7..]).split_once('\n').unwrap().1;
    let found: Vec<_> = tasks(&text, ALL, Replay::default()).iter().map(short).collect();
    assert_eq!(found, ["2 failed ragged-record", "1+3 REVU-1 <- REVU-8"]);
}

#[test]
fn what_is_settled_is_passed_over() {
    let found = shorts(ALL, replay(&[2, 3, 4, 6, 7]));
    assert_eq!(found, ["5 skipped two-of-a-kind", "1+8 REVU-1 <- REVU-8"]);
    let found = shorts(ALL, replay(&[1, 3, 4, 5, 8]));
    assert_eq!(found, ["6 failed ticket-count", "2+7 REVU-7 <- REVU-2"]);
    assert!(shorts(ALL, replay(&[1, 2, 3, 4, 5, 6, 7, 8])).is_empty());
    // Half a pair is open: nothing may be lost that the journal does not know of.
    let found = shorts(ALL, replay(&[1, 3, 4, 5, 6, 7]));
    assert_eq!(found, ["2+7 REVU-7 <- REVU-2", "1+8 REVU-1 <- REVU-8"]);
}

#[test]
fn a_change_in_doubt_comes_with_its_pair() {
    let mut replay = replay(&[2, 3, 4, 5, 6, 7]);
    let change = serde_json::value::to_raw_value("meant").unwrap();
    replay.unknown.insert(1, InDoubt { change: Some(change), ..InDoubt::default() });
    replay.unknown.insert(8, InDoubt::default());
    let found = tasks(&csv(&ROWS), ALL, replay);
    assert_eq!(found.len(), 1);
    let in_doubt = found[0].in_doubt.as_ref().unwrap();
    assert_eq!(in_doubt.change.as_ref().unwrap().get(), "\"meant\"");
}

#[test]
fn a_file_that_changes_under_the_run_ends_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("in.csv");
    // Long enough that the reader has not read all of it when it changes.
    let ids: Vec<String> = (0..20_000).map(|number| format!("{number}")).collect();
    let rows: Vec<[String; 4]> = ids
        .iter()
        .map(|id| [format!("REVU-{id}"), format!("{id}@x.io"), "user_1".to_owned(), "1".to_owned()])
        .collect();
    let text = csv(&rows);
    std::fs::write(&path, &text).unwrap();
    let mut tasks = feed(&path, ALL, Replay::default());
    assert!(tasks.next().unwrap().is_ok());
    std::fs::write(&path, text + "\n").unwrap();
    let failure = tasks.find_map(Result::err).unwrap();
    assert_eq!(failure.exit, Exit::Changed);
    assert!(tasks.next().is_none());

    // Changed between the look and the reading, so that a row is not what it was.
    let input = Input::file(&path);
    std::fs::write(&path, csv(&ROWS)).unwrap();
    let preflight = scan(&input, ALL).unwrap();
    let mut rows = ROWS;
    rows[0][3] = "x";
    std::fs::write(&path, csv(&rows) + "\n").unwrap();
    let mut tasks = ContactFeed::new(&input, preflight, Replay::default(), Stop::default()).unwrap();
    assert_eq!(tasks.next().unwrap().unwrap_err().exit, Exit::Changed);
    assert!(tasks.next().is_none());
}

#[test]
fn a_stop_ends_the_passing_over() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("in.csv");
    std::fs::write(&path, csv(&ROWS)).unwrap();
    let input = Input::file(&path);
    let preflight = scan(&input, ALL).unwrap();
    let stop = Stop::default();
    stop.set(Cause::Interrupt);
    assert!(ContactFeed::new(&input, preflight, Replay::default(), stop).unwrap().next().is_none());
}

#[test]
fn inputs_that_cannot_be_paired() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("in.csv");
    let look = || scan(&Input::file(&path), ALL).unwrap_err();
    assert_eq!(look().exit, Exit::Usage);
    std::fs::write(&path, "REV_USER_ID,EMAIL\n").unwrap();
    let failure = look();
    assert_eq!(failure.exit, Exit::InvalidInput);
    assert!(failure.message.ends_with("; correct the header"), "{}", failure.message);
    std::fs::write(&path, csv(&ROWS) + "REVU-9,\"Ann\n").unwrap();
    assert_eq!(look().exit, Exit::InvalidInput);
}
