//! The journal as a whole: what is written, torn, mended, replayed and read in order.

use super::error::JournalError;
use super::line::Line;
use super::mend::mend;
use super::ordered::{Word, Words};
use super::record::{MAX_ROW, Outcome, Record, State};
use super::replay::{Replay, Torn};
use super::run_dir::RunDir;
use super::writer::Journal;
use chrono::Utc;
use proptest::prelude::*;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs;
use std::future::Future;

const AT: &str = "2026-11-22T03:45:00.123Z";

pub(super) fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

pub(super) fn new_run() -> (tempfile::TempDir, RunDir) {
    let folder = tempfile::tempdir().unwrap();
    let run = RunDir::create(folder.path(), "undo", Utc::now()).unwrap();
    (folder, run)
}

fn json(text: &str) -> Box<RawValue> {
    RawValue::from_string(text.to_owned()).unwrap()
}

pub(super) fn intent(row: u64) -> Record {
    Record::Intent { row, key: format!("ISS-{row}"), change: json(&format!(r#"{{"to":{row}}}"#)) }
}

pub(super) fn outcome(row: u64, outcome: Outcome) -> Record {
    Record::Outcome { row, key: format!("ISS-{row}"), outcome }
}

/// Each inner slice is one write.
fn text(writes: &[Vec<Record>]) -> Vec<u8> {
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

fn replay_of(run: &RunDir, bytes: &[u8]) -> Result<Replay, JournalError> {
    fs::write(run.journal(), bytes).unwrap();
    Replay::read(run)
}

/// All that a replay says, in a form that can be compared.
fn said(replay: &Replay) -> String {
    let Replay { next_seq, counts, by_reason, settled, failed, unknown, .. } = replay;
    let (settled, failed): (Vec<_>, Vec<_>) = (settled.iter().collect(), failed.iter().collect());
    format!("{next_seq} {counts:?} {by_reason:?} {settled:?} {failed:?} {unknown:?}")
}

/// The same, found out in the plainest way.
fn model<'a>(records: impl Iterator<Item = &'a Record>) -> (String, BTreeMap<u64, Record>) {
    let mut last: BTreeMap<u64, Record> = BTreeMap::new();
    let mut meant: BTreeMap<u64, Option<Box<RawValue>>> = BTreeMap::new();
    let mut next_seq = 1;
    for record in records {
        next_seq += 1;
        let row = record.row();
        match record {
            Record::Intent { change, .. } => drop(meant.insert(row, Some(change.clone()))),
            Record::Outcome { outcome, .. } if outcome.state == State::Unknown => {
                meant.entry(row).or_insert(None);
            }
            _ => drop(meant.remove(&row)),
        }
        last.insert(row, record.clone());
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
        if name == "failed" {
            replay.failed.insert(*row);
        }
        if name != "unknown" {
            replay.settled.insert(*row);
        }
    }
    (said(&replay), last)
}

fn words_of(run: &RunDir) -> Vec<(u64, String)> {
    Words::read(run)
        .unwrap()
        .map(|word| word.map(|(row, word)| (row, format!("{word:?}"))).unwrap())
        .collect()
}

fn model_words(last: BTreeMap<u64, Record>) -> Vec<(u64, String)> {
    let word = |record| match record {
        Record::Planned { key, change, .. } => Word::Planned { key, change },
        Record::Intent { key, change, .. } => Word::Open { key, change },
        Record::Outcome { key, mut outcome, .. } => {
            outcome.reason = outcome.reason.map(|reason| Cow::Owned(reason.into_owned()));
            Word::Outcome { key, outcome }
        }
        Record::Withdrawn { .. } => unreachable!("was filtered"),
    };
    last.into_iter().map(|(row, record)| (row, format!("{:?}", word(record)))).collect()
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
    let outcome = (state, reason, prop::option::of(any::<String>()), any::<u32>()).prop_map(
        |(state, reason, detail, attempts)| Outcome {
            state,
            reason: reason.map(Cow::Borrowed),
            detail,
            attempts,
        },
    );
    (row, any::<String>(), change, outcome, 0u8..8).prop_map(|(row, key, change, outcome, kind)| {
        // Changes are compared as text, so they are laid out here as they will be read.
        let change = json(&change.replace(['\n', '\r'], " "));
        match kind {
            0 => Record::Planned { row, key, change },
            1..4 => Record::Intent { row, key, change },
            4..7 => Record::Outcome { row, key, outcome },
            _ => Record::Withdrawn { row },
        }
    })
}

fn writes() -> impl Strategy<Value = Vec<Vec<Record>>> {
    prop::collection::vec(prop::collection::vec(records(), 1..6), 0..8)
}

fn example() -> Vec<Vec<Record>> {
    vec![
        vec![intent(1), intent(2), intent(3)],
        vec![
            outcome(1, Outcome::done(1)),
            outcome(4, Outcome::of(State::Skipped, "no-group", "Pat is in none")),
        ],
        vec![
            outcome(2, Outcome::of(State::Failed, "refused", "\u{0}é").after(3)),
            Record::Withdrawn { row: 3 },
        ],
    ]
}

fn refusal(run: &RunDir, bytes: &[u8]) -> String {
    let error = replay_of(run, bytes).expect_err("it is refused");
    assert_eq!(crate::exit::Failure::from(error.clone()).exit, crate::exit::Exit::Changed);
    fs::read(run.journal()).map(|now| assert_eq!(now, bytes, "reading changes nothing")).unwrap();
    error.to_string()
}

/// The example's lines, to be spoilt and put together again.
fn lines() -> Vec<String> {
    String::from_utf8(text(&example())).unwrap().split_inclusive('\n').map(str::to_owned).collect()
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
        vec![intent(4), Record::Withdrawn { row: 4 }],
    ];
    let replay = replay_of(&run, &text(&writes)).unwrap();
    assert_eq!(replay.counts, BTreeMap::from([("done".to_owned(), 1), ("unknown".to_owned(), 2)]));
    assert_eq!(replay.by_reason["unknown"], BTreeMap::from([("interrupted".to_owned(), 2)]));
    assert!(!replay.by_reason.contains_key("failed") && replay.failed.is_empty());
    let unknown: Vec<_> =
        replay.unknown.iter().map(|(row, change)| (*row, change.as_ref().map(|c| c.get()))).collect();
    assert_eq!(unknown, [(2, Some(r#"{"to":2}"#)), (3, None)]);
    assert!(replay.is_open(4) && !replay.is_open(2) && !replay.is_open(1));
}

#[test]
fn more_reasons_than_there_are_numbers_are_counted_together() {
    let (_folder, run) = new_run();
    let reason = |row| Outcome {
        state: State::Skipped,
        reason: Some(Cow::Owned(format!("reason-{row}"))),
        detail: None,
        attempts: 0,
    };
    let writes: Vec<_> = (1..=9000).map(|row| vec![outcome(row, reason(row))]).collect();
    let replay = replay_of(&run, &text(&writes)).unwrap();
    let reasons = &replay.by_reason["skipped"];
    assert_eq!((reasons.len(), reasons.values().sum::<u64>()), (8191, 9000));
    assert_eq!(reasons["other"], 9000 - 8190);
}

#[test]
fn cut_at_every_byte_it_is_a_prefix_and_can_be_gone_on_with() {
    let (_folder, run) = new_run();
    let writes = example();
    let all: Vec<Record> = writes.concat();
    let bytes = text(&writes);
    let mut whole_lines = 0;
    let mut line_start = 0;
    for length in 0..=bytes.len() {
        if length > 0 && bytes[length - 1] == b'\n' {
            (whole_lines, line_start) = (whole_lines + 1, length);
        }
        let replay = replay_of(&run, &bytes[..length]).unwrap();
        assert_eq!(said(&replay), model(all[..whole_lines].iter()).0, "cut at {length}");
        let torn = (length > line_start)
            .then(|| Torn { bytes: (length - line_start) as u64, at_byte: line_start as u64 });
        assert_eq!(replay.torn, torn, "cut at {length}");
        assert_eq!(words_of(&run), model_words(model(all[..whole_lines].iter()).1));

        let journal = Journal::resume(&run, &replay).unwrap();
        block_on(async {
            journal.append(all[whole_lines..].to_vec()).await.unwrap();
            journal.close().await.unwrap();
        });
        let replay = Replay::read(&run).unwrap();
        assert_eq!(said(&replay), model(all.iter()).0, "gone on with from {length}");
        assert_eq!(replay.torn, None);
        let aside = fs::read(run.torn()).unwrap_or_default();
        assert_eq!(aside, &bytes[line_start..length], "set aside");
        let _ = fs::remove_file(run.torn());
    }
}

#[test]
fn tails_that_a_crash_leaves_are_torn() {
    let (_folder, run) = new_run();
    let good = text(&example());
    let next = |seq: u64, group| {
        let mut line = Vec::new();
        Line::of(&intent(9), seq, group, AT).write(&mut line).unwrap();
        line
    };
    let mut hole = vec![0; 120];
    hole.extend(next(9, 8));
    let mut hole_in_line = next(8, 8)[..40].to_vec();
    hole_in_line.extend([0; 50]);
    hole_in_line.extend(b"\"}\n");
    hole_in_line.extend(next(10, 8));
    hole_in_line.extend(&next(11, 8)[..20]);
    let tails: [&[u8]; 9] = [
        &[0; 4096],
        b"\n",
        b"{",
        b"{\"seq\":8}",
        b"garbage\nmore\n\n",
        b"7\n",
        b"{\"seq\":8,\xff}\n",
        &hole,
        &hole_in_line,
    ];
    for tail in tails {
        let replay = replay_of(&run, &[&good, tail].concat()).unwrap();
        assert_eq!(said(&replay), model(example().concat().iter()).0);
        let torn = Torn { bytes: tail.len() as u64, at_byte: good.len() as u64 };
        assert_eq!(replay.torn, Some(torn), "{:?}", String::from_utf8_lossy(tail));
        mend(&run, &replay).unwrap();
        mend(&run, &replay).unwrap();
        assert_eq!(fs::read(run.journal()).unwrap(), good);
        assert_eq!(fs::read(run.torn()).unwrap(), tail);
        fs::remove_file(run.torn()).unwrap();
    }
}

#[test]
fn a_tail_longer_than_any_line_is_torn() {
    let (_folder, run) = new_run();
    let good = text(&example());
    let mut bytes = good.clone();
    bytes.resize(good.len() + 2 * super::line::MAX_LINE + 10, 0);
    let torn = replay_of(&run, &bytes).unwrap().torn.unwrap();
    assert_eq!((torn.at_byte, torn.bytes), (good.len() as u64, (bytes.len() - good.len()) as u64));
}

#[test]
fn damage_that_no_crash_does_is_refused() {
    let (_folder, run) = new_run();
    let lines = lines();
    let spoilt = |place: usize, line: &str| {
        let mut lines = lines.clone();
        lines[place] = line.to_owned();
        lines.concat()
    };
    let second = lines[0].len();
    let place = format!("journal.jsonl, line 2 (byte {second}): ");
    for (line, problem) in [
        ("not JSON\n", "it is no record, and record 3 follows"),
        // A hole, but record 4 is of a later write: this one was durable.
        ("\0\0\0\0\n", "it is no record, and record 4 follows"),
        ("", "its `seq` is 3, and 2 follows"),
        (lines[0].as_str(), "its `seq` is 1, and 2 follows"),
        ("{\"seq\":2}\n", "missing field"),
        ("{\"at\":\"\"}\n", "missing field"),
        (&lines[1].replace("intent", "intend"), "unknown variant `intend`"),
        (&lines[1].replace("\"row\":2", "\"row\":0"), "rows are counted from 1"),
        (&lines[1].replace("\"row\":2", "\"row\":1152921504606846976"), "is not a row's number"),
        (&lines[1].replace("\"row\":2", "\"row\":-2"), "invalid value"),
        (&lines[1].replace("\"key\":\"ISS-2\",", ""), "`key` is missing"),
        (&lines[1].replace("\"change\"", "\"chance\""), "unknown field `chance`"),
        (&lines[1].replace("\"group\":1", "\"group\":5"), "its `group` is 5"),
        (&lines[1].replace("\"row\":2", "\"row\":2,\"row\":2"), "duplicate field `row`"),
    ] {
        let message = refusal(&run, spoilt(1, line).as_bytes());
        assert!(message.contains(&place) && message.contains(problem), "{line:?}: {message}");
        assert!(message.contains("start a new run"), "{message}");
    }
    // A whole object that is no record is refused at the very end, too.
    for line in [
        "{}\n",
        "{\"seq\":8,\"at\":\"\",\"type\":\"later\",\"row\":1}\n",
        lines[6].as_str(),
        lines[0].as_str(),
    ] {
        refusal(&run, format!("{}{line}", lines.concat()).as_bytes());
    }
    // An edit in the last write leaves no NUL.
    refusal(&run, spoilt(5, "no JSON\n").as_bytes());
}

#[test]
fn mending_a_journal_that_has_changed_is_refused() {
    let (_folder, run) = new_run();
    let replay = replay_of(&run, &text(&example())).unwrap();
    fs::write(run.journal(), "longer by some bytes").unwrap();
    assert!(matches!(Journal::resume(&run, &replay), Err(JournalError::Moved { .. })));
    let replay = replay_of(&run, b"torn").unwrap();
    fs::write(run.journal(), "torn and more").unwrap();
    assert!(matches!(mend(&run, &replay), Err(JournalError::Moved { .. })));
}

#[cfg(unix)]
#[test]
fn only_the_owner_may_read() {
    use std::os::unix::fs::PermissionsExt;
    let (_folder, run) = new_run();
    drop(Journal::create(&run).unwrap());
    fs::write(run.journal(), "torn").unwrap();
    mend(&run, &Replay::read(&run).unwrap()).unwrap();
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

    /// Whatever byte is spoilt, the result is the truth, a prefix of it that has lost no write but the last, or an error.
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
