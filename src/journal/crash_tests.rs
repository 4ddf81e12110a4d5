//! What crashes leave of a journal is set aside and gone on from; what they do not leave is refused.

use super::error::JournalError;
use super::line::{Line, MAX_LINE};
use super::record::Record;
use super::repair::repair;
use super::replay::{Replay, Torn};
use super::run_dir::RunDir;
use super::tests::{
    AT, block_on, example, intent, model, model_words, new_run, replay_of, said, text, words_of,
};
use super::writer::Journal;
use std::fs;

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
        assert_eq!(said(&replay), model(all.iter()).0, "continued from {length}");
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
        repair(&run, &replay).unwrap();
        repair(&run, &replay).unwrap();
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
    bytes.resize(good.len() + 2 * MAX_LINE + 10, 0);
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
fn repairing_a_journal_that_has_changed_is_refused() {
    let (_folder, run) = new_run();
    let replay = replay_of(&run, &text(&example())).unwrap();
    fs::write(run.journal(), "longer by some bytes").unwrap();
    assert!(matches!(Journal::resume(&run, &replay), Err(JournalError::Moved { .. })));
    let replay = replay_of(&run, b"torn").unwrap();
    fs::write(run.journal(), "torn and more").unwrap();
    assert!(matches!(repair(&run, &replay), Err(JournalError::Moved { .. })));
}
