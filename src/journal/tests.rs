//! The journal as a whole against a plain model: what is written is replayed and read in order.

use super::error::JournalError;
use super::line::Line;
use super::ordered::{Word, Words};
use super::record::{MAX_ROW, Outcome, Record, Rows, State};
use super::repair::repair;
use super::replay::{InDoubt, Replay, Retry};
use super::run_dir::RunDir;
use super::writer::Journal;
use chrono::Utc;
use proptest::prelude::*;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs;
use std::future::Future;

pub(super) const AT: &str = "2026-11-22T03:45:00.123Z";

pub(super) fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

pub(super) fn new_run() -> (tempfile::TempDir, RunDir) {
    // Thousands of fsyncs: in memory, where there is such a folder.
    let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
    let run = RunDir::create(folder.path(), "undo", Utc::now()).unwrap();
    (folder, run)
}

fn json(text: &str) -> Box<RawValue> {
    RawValue::from_string(text.to_owned()).unwrap()
}

pub(super) fn intent(row: u64) -> Record {
    Record::Intent {
        rows: row.into(),
        key: format!("ISS-{row}"),
        change: json(&format!(r#"{{"to":{row}}}"#)),
    }
}

pub(super) fn outcome(row: u64, outcome: Outcome) -> Record {
    Record::Outcome { rows: row.into(), key: format!("ISS-{row}"), outcome }
}

/// Each inner slice is one write.
pub(super) fn text(writes: &[Vec<Record>]) -> Vec<u8> {
    let (mut bytes, mut seq) = (Vec::new(), 1);
    for records in writes {
        let group = seq;
        for record in records {
            Line::of(record, seq, group, AT).write(&mut bytes).unwrap();
            seq += 1;
        }
    }
    bytes
}

pub(super) fn replay_of(run: &RunDir, bytes: &[u8]) -> Result<Replay, JournalError> {
    fs::write(run.journal(), bytes).unwrap();
    Replay::read(run)
}

/// All that a replay says, in a form that can be compared.
pub(super) fn said(replay: &Replay) -> String {
    let Replay { next_seq, counts, by_reason, settled, unknown, .. } = replay;
    let settled: Vec<_> = settled.iter().collect();
    format!("{next_seq} {counts:?} {by_reason:?} {settled:?} {unknown:?}")
}

/// The same, found out in the plainest way.
pub(super) fn model<'a>(records: impl Iterator<Item = &'a Record>) -> (String, BTreeMap<u64, Record>) {
    let mut last: BTreeMap<u64, Record> = BTreeMap::new();
    let mut meant: BTreeMap<u64, InDoubt> = BTreeMap::new();
    let mut next_seq = 1;
    for record in records {
        next_seq += 1;
        let first = record.rows().row;
        if let Record::Step { step, .. } = record {
            meant.entry(first).and_modify(|meant| meant.steps.push(step.clone()));
            continue;
        }
        for row in record.rows().each() {
            match record {
                Record::Intent { change, .. } => {
                    let is_shared = row != first;
                    let change = (!is_shared).then(|| change.clone());
                    meant.insert(row, InDoubt { change, steps: Vec::new(), is_shared });
                }
                Record::Outcome { outcome, .. } if outcome.state == State::Unknown => {
                    let is_shared = row != first;
                    meant.entry(row).or_insert_with(|| InDoubt { is_shared, ..InDoubt::default() });
                }
                _ => drop(meant.remove(&row)),
            }
            last.insert(row, record.clone());
        }
    }
    last.retain(|_, record| !matches!(record, Record::Withdrawn { .. }));
    let mut replay = Replay { next_seq, unknown: meant, ..Replay::default() };
    for (row, record) in &last {
        let (name, reason) = match record {
            Record::Planned { .. } => ("planned", None),
            Record::Outcome { outcome, .. } => (outcome.state.name(), outcome.reason.as_deref()),
            _ => ("unknown", None),
        };
        *replay.counts.entry(name.into()).or_default() += 1;
        if let Some(reason) = reason {
            *replay.by_reason.entry(name.into()).or_default().entry(reason.into()).or_default() += 1;
        }
        if name != "unknown" {
            replay.settled.insert(*row);
        }
    }
    (said(&replay), last)
}

pub(super) fn words_of(run: &RunDir) -> Vec<(u64, String)> {
    Words::read(run)
        .unwrap()
        .map(|word| word.map(|(row, word)| (row, format!("{word:?}"))).unwrap())
        .collect()
}

pub(super) fn model_words(last: BTreeMap<u64, Record>) -> Vec<(u64, String)> {
    let word = |row, record| match record {
        Record::Planned { key, change, rows } => {
            Word::Planned { key, change: Some(change).filter(|_| rows.row == row) }
        }
        Record::Intent { key, change, rows } => {
            Word::Open { key, change: Some(change).filter(|_| rows.row == row) }
        }
        Record::Outcome { key, mut outcome, rows } => {
            outcome.reason = outcome.reason.map(|reason| Cow::Owned(reason.into_owned()));
            outcome.report = outcome.report.filter(|_| rows.row == row);
            Word::Outcome { key, outcome, first: rows.row == row }
        }
        Record::Withdrawn { .. } | Record::Step { .. } => unreachable!("was filtered"),
    };
    last.into_iter().map(|(row, record)| (row, format!("{:?}", word(row, record)))).collect()
}

fn records() -> impl Strategy<Value = Record> {
    let row = prop_oneof![9 => 1u64..12, 1 => Just(MAX_ROW), 1 => 4000u64..5000];
    let change = prop_oneof![
        Just("null"),
        Just("7"),
        Just(r#"{"before":null,"after":"don:core:1"}"#),
        Just("{\n  \"laid\": \"out\\n\"\r\n}"),
    ];
    let state = prop_oneof![
        Just(State::Done),
        Just(State::Already),
        Just(State::Skipped),
        Just(State::Failed),
        Just(State::Unknown)
    ];
    let reason = prop::option::of(prop_oneof![Just("no-group"), Just("refused"), Just("\u{0}\"\n\u{2028}é")]);
    let report = prop::option::of(Just(r#"{"pair":"x"}"#));
    let outcome = (state, reason, prop::option::of(any::<String>()), any::<u32>(), report).prop_map(
        |(state, reason, detail, attempts, report)| Outcome {
            state,
            reason: reason.map(Cow::Borrowed),
            detail,
            attempts,
            report: report.map(json),
        },
    );
    let also = prop::option::weighted(0.3, 20u64..30);
    (row, also, any::<String>(), change, outcome, 0u8..10).prop_map(
        |(row, also, key, change, outcome, kind)| {
            let rows = Rows { row, also };
            // Changes are compared as text, so they are laid out here as they will be read.
            let change = json(&change.replace(['\n', '\r'], " "));
            match kind {
                0 => Record::Planned { rows, key, change },
                1..4 => Record::Intent { rows, key, change },
                4..7 => Record::Outcome { rows, key, outcome },
                7 => Record::Withdrawn { rows },
                _ => Record::Step { rows, step: change },
            }
        },
    )
}

fn writes() -> impl Strategy<Value = Vec<Vec<Record>>> {
    prop::collection::vec(prop::collection::vec(records(), 1..6), 0..8)
}

pub(super) fn example() -> Vec<Vec<Record>> {
    vec![
        vec![intent(1), intent(2), intent(3)],
        vec![
            outcome(1, Outcome::done(1)),
            outcome(4, Outcome::of(State::Skipped, "no-group", "Pat is in none")),
        ],
        vec![
            outcome(2, Outcome::of(State::Failed, "refused", "\u{0}é").after(3)),
            Record::Withdrawn { rows: 3.into() },
        ],
    ]
}

#[test]
fn lines_are_short_and_say_what_they_should() {
    let records =
        [intent(5), outcome(5, Outcome::done(1)), outcome(6, Outcome::of(State::Failed, "why", "Why."))];
    insta::assert_snapshot!(String::from_utf8(text(&[records.to_vec()])).unwrap(), @r#"
    {"seq":1,"at":"2026-11-22T03:45:00.123Z","type":"intent","row":5,"key":"ISS-5","change":{"to":5}}
    {"seq":2,"group":1,"at":"2026-11-22T03:45:00.123Z","type":"outcome","row":5,"key":"ISS-5","state":"done","attempts":1}
    {"seq":3,"group":1,"at":"2026-11-22T03:45:00.123Z","type":"outcome","row":6,"key":"ISS-6","state":"failed","reason":"why","detail":"Why."}
    "#);
}

#[test]
fn an_empty_journal_is_a_journal_and_a_missing_one_is_not() {
    let (_folder, run) = new_run();
    assert!(Replay::read(&run).unwrap_err().to_string().contains("has no journal"));
    let replay = replay_of(&run, b"").unwrap();
    assert_eq!((replay.next_seq, replay.good_bytes, replay.torn), (1, 0, None));
    assert!(replay.is_open(1));
}

#[test]
fn the_last_word_counts() {
    let (_folder, run) = new_run();
    let unknown = Outcome::of(State::Unknown, "interrupted", "No answer came.");
    let writes = vec![
        vec![intent(1), outcome(1, Outcome::of(State::Failed, "refused", "")), intent(1)],
        vec![outcome(1, Outcome::done(2)), intent(2), outcome(2, unknown.clone()), outcome(3, unknown)],
        vec![intent(4), Record::Withdrawn { rows: 4.into() }],
    ];
    let replay = replay_of(&run, &text(&writes)).unwrap();
    assert_eq!(replay.counts, BTreeMap::from([("done".to_owned(), 1), ("unknown".to_owned(), 2)]));
    assert_eq!(replay.by_reason["unknown"], BTreeMap::from([("interrupted".to_owned(), 2)]));
    assert!(!replay.by_reason.contains_key("failed"));
    let unknown: Vec<_> =
        replay.unknown.iter().map(|(row, meant)| (*row, meant.change.as_ref().map(|c| c.get()))).collect();
    assert_eq!(unknown, [(2, Some(r#"{"to":2}"#)), (3, None)]);
    assert!(replay.is_open(4) && !replay.is_open(2) && !replay.is_open(1));
}

#[test]
fn rows_are_taken_again_by_their_last_reason() {
    let (_folder, run) = new_run();
    let of = |row, state, reason| outcome(row, Outcome::of(state, reason, ""));
    let writes = vec![
        vec![of(1, State::Skipped, "no-group"), of(2, State::Already, "no-group")],
        vec![of(3, State::Failed, "no-group"), of(4, State::Failed, "refused"), outcome(5, Outcome::done(1))],
        // Only the last word counts.
        vec![of(6, State::Skipped, "no-group"), intent(6), of(6, State::Skipped, "assigned")],
        vec![
            of(7, State::Unknown, "no-group"),
            Record::Planned { rows: 8.into(), key: "ISS-8".to_owned(), change: json("{}") },
        ],
    ];
    replay_of(&run, &text(&writes)).unwrap();
    let open = |failed, reasons: &[&str]| {
        let reasons = reasons.iter().map(|reason| (*reason).to_owned()).collect();
        let replay = Replay::retrying(&run, &Retry { failed, reasons }).unwrap();
        let rows: Vec<_> = (1..9).filter(|row| !replay.settled.contains(*row)).collect();
        let counted: u64 = replay.counts.values().sum();
        (rows, replay.reopened.into_iter().collect::<Vec<_>>(), counted)
    };
    let reason = |reason: &str, rows| (reason.to_owned(), rows);
    assert_eq!(open(false, &[]), (vec![7], vec![], 8));
    assert_eq!(open(false, &["no-group"]), (vec![1, 2, 3, 7], vec![reason("no-group", 3)], 5));
    assert_eq!(
        open(true, &["assigned"]),
        (vec![3, 4, 6, 7], vec![reason("assigned", 1), reason("no-group", 1), reason("refused", 1)], 5)
    );
    assert_eq!(open(false, &["", "other"]), (vec![7], vec![], 8));
}

#[test]
fn more_reasons_than_there_are_numbers_are_counted_together() {
    let (_folder, run) = new_run();
    let reason = |row| Outcome {
        state: State::Skipped,
        reason: Some(Cow::Owned(format!("reason-{row}"))),
        detail: None,
        attempts: 0,
        report: None,
    };
    let writes: Vec<_> = (1..=9000).map(|row| vec![outcome(row, reason(row))]).collect();
    let replay = replay_of(&run, &text(&writes)).unwrap();
    let reasons = &replay.by_reason["skipped"];
    assert_eq!((reasons.len(), reasons.values().sum::<u64>()), (8191, 9000));
    assert_eq!(reasons["other"], 9000 - 8190);
}

#[test]
fn a_newline_that_is_spoilt_before_the_last_write_is_damage() {
    let done = |row| outcome(row, Outcome::of(State::Done, "set", ""));
    let (two_writes, one_write) = ([vec![done(1)], vec![done(2)]], [vec![done(1), done(2)]]);
    let with = |writes: &[Vec<Record>], byte| {
        let (_folder, run) = new_run();
        let mut bytes = text(writes);
        let newline = bytes.iter().position(|byte| *byte == b'\n').unwrap();
        bytes[newline] = byte;
        replay_of(&run, &bytes).map(|replay| replay.good_bytes)
    };
    for byte in [b'x', b' ', b'}', 0, 0xbb] {
        let error = with(&two_writes, byte).unwrap_err().to_string();
        assert!(error.contains("record 1 has no newline after it"), "{byte}: {error}");
    }
    // Of one write, a crash may have lost the stretch between the two: neither was acknowledged.
    assert_eq!(with(&one_write, 0).unwrap(), 0);
}

#[cfg(unix)]
#[test]
fn only_the_owner_may_read() {
    use std::os::unix::fs::PermissionsExt;
    let (_folder, run) = new_run();
    drop(Journal::create(&run).unwrap());
    fs::write(run.journal(), "torn").unwrap();
    repair(&run, &Replay::read(&run).unwrap()).unwrap();
    for path in [run.journal(), run.torn()] {
        assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn replays_and_orders_as_the_model_does(writes in writes()) {
        let (_folder, run) = new_run();
        let replay = replay_of(&run, &text(&writes)).unwrap();
        let (expected, last) = model(writes.concat().iter());
        prop_assert_eq!(said(&replay), expected);
        prop_assert_eq!(words_of(&run), model_words(last));
    }

    #[test]
    fn rubbish_at_the_end_is_set_aside_or_refused(writes in writes(), tail in prop::collection::vec(any::<u8>(), 0..300)) {
        let (_folder, run) = new_run();
        let good = text(&writes);
        let replay = replay_of(&run, &[&good[..], &tail].concat()).unwrap();
        prop_assert_eq!(said(&replay), model(writes.concat().iter()).0);
        prop_assert_eq!(replay.good_bytes, good.len() as u64);
        prop_assert_eq!(replay.torn.map(|torn| torn.bytes), (!tail.is_empty()).then_some(tail.len() as u64));
    }

    /// The last write is lost in stretches of any place and length, as after a power cut.
    #[test]
    fn holes_in_the_last_write_never_lose_what_was_before(
        writes in writes(),
        last in prop::collection::vec(records(), 1..20),
        holes in prop::collection::vec((any::<prop::sample::Index>(), 1usize..200), 1..4),
        cut in any::<prop::sample::Index>(),
    ) {
        let (_folder, run) = new_run();
        let durable = text(&writes).len();
        let all = [writes, vec![last]].concat();
        let mut bytes = text(&all);
        for (place, length) in holes {
            let start = durable + place.index(bytes.len() - durable);
            let end = (start + length).min(bytes.len());
            bytes[start..end].fill(0);
        }
        bytes.truncate(durable + cut.index(bytes.len() - durable + 1));
        let replay = replay_of(&run, &bytes).unwrap();
        prop_assert!(replay.good_bytes >= durable as u64);
        let good = usize::try_from(replay.next_seq - 1).unwrap();
        prop_assert_eq!(said(&replay), model(all.concat()[..good].iter()).0);
    }

    /// Whatever byte is spoilt, the result is the truth, a prefix of it that has lost no write but the last,
    /// or an error.
    #[test]
    fn a_spoilt_byte_never_loses_a_durable_write(writes in writes(), place in any::<prop::sample::Index>(), byte in any::<u8>()) {
        prop_assume!(!writes.is_empty());
        let (_folder, run) = new_run();
        let mut bytes = text(&writes);
        let place = place.index(bytes.len());
        bytes[place] = byte;
        if let Ok(replay) = replay_of(&run, &bytes) {
            let before_last = text(&writes[..writes.len() - 1]).len();
            prop_assert!(replay.good_bytes >= before_last as u64);
        }
    }
}
