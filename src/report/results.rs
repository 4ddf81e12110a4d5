//! The result files of a run: what the journal says of each row, put beside the row.
//!
//! They are made again from the input and the journal whenever a process of the run ends, in the order of the
//! input. So every row is in exactly one of them, whatever crashed before, and memory stays flat: both
//! sources are streamed side by side.

use super::beside::{Beside, Own, writer};
use crate::engine::event::{Settled, Tally};
use crate::journal::atomic;
use crate::journal::error::JournalError;
use crate::journal::ordered::Word;
use crate::journal::plan::PlanLine;
use crate::journal::record::{Outcome, State};
use crate::journal::run_dir::RunDir;
use crate::source::csv::CsvRows;
use ::csv::Writer;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::io::{self, Write};
use std::iter::Peekable;

/// The columns that are added; if the input has them (it was a `failed.csv`), they are replaced.
const ADDED: [&str; 4] = ["_row", "_status", "_reason", "_attempts"];

/// The files that a row may go into.
struct Files<'a> {
    success: Writer<&'a mut (dyn Write + 'a)>,
    skipped: Writer<&'a mut (dyn Write + 'a)>,
    failed: Writer<&'a mut (dyn Write + 'a)>,
    plan: Option<&'a mut (dyn Write + 'a)>,
}

/// Writes the result files of a run and counts the rows by state and reason.
///
/// `words` are the last words of the journal in the order of the rows, `rows` the input, and `own` says whose it is.
pub(crate) fn write<W>(run: &RunDir, rows: CsvRows, own: Own, words: W, dry_run: bool) -> io::Result<Tally>
where
    W: Iterator<Item = Result<(u64, Word), JournalError>>,
{
    let mut tally = Tally::default();
    if dry_run {
        atomic::replace(&run.plan(), |plan| csv_files(run, (rows, own), words, Some(plan), &mut tally))?;
    } else {
        csv_files(run, (rows, own), words, None, &mut tally)?;
    }
    Ok(tally)
}

fn csv_files<W>(
    run: &RunDir,
    rows: (CsvRows, Own),
    words: W,
    plan: Option<&mut dyn Write>,
    tally: &mut Tally,
) -> io::Result<()>
where
    W: Iterator<Item = Result<(u64, Word), JournalError>>,
{
    atomic::replace(&run.success(), |success| {
        atomic::replace(&run.skipped(), |skipped| {
            atomic::replace(&run.failed(), |failed| {
                let files = Files {
                    success: writer(&mut *success),
                    skipped: writer(&mut *skipped),
                    failed: writer(&mut *failed),
                    plan: match plan {
                        Some(plan) => Some(&mut *plan),
                        None => None,
                    },
                };
                fill(rows, words, files, tally)
            })
        })
    })
}

fn fill<W>(
    (mut rows, own): (CsvRows, Own),
    words: W,
    mut files: Files<'_>,
    tally: &mut Tally,
) -> io::Result<()>
where
    W: Iterator<Item = Result<(u64, Word), JournalError>>,
{
    let mut lines = Beside::new(rows.header(), &ADDED, own);
    for file in [&mut files.success, &mut files.skipped, &mut files.failed] {
        file.write_byte_record(lines.header())?;
    }

    let mut words = words.peekable();
    while let Some(number) = next_row(&mut words)? {
        // Rows without a word are open: they are in no file yet.
        let fields = loop {
            match rows.next() {
                Some(Ok(Ok(row))) if row.number == number => break row.fields,
                Some(Ok(Err(bad))) if bad.row.number == number => break bad.row.fields,
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(io::Error::other(error.to_string())),
                None => {
                    return Err(io::Error::other(format!(
                        "the journal has a row {number}, the input has not"
                    )));
                }
            }
        };
        let Some(word) = words.next().transpose().map_err(io::Error::other)?.map(|(_, word)| word) else {
            break;
        };
        let (settled, change) = settled(word);
        tally.count(&settled, 1);
        if let (Some(plan), Some((key, change))) = (&mut files.plan, &change) {
            PlanLine { row: number, key: key.into(), change }.write(&mut **plan)?;
        }
        let file = match &settled {
            Settled::Planned => continue,
            Settled::Outcome(outcome) => match outcome.state {
                State::Done | State::Already => &mut files.success,
                State::Skipped => &mut files.skipped,
                State::Failed | State::Unknown => &mut files.failed,
            },
        };
        let (reason, attempts) = match &settled {
            Settled::Planned => (Cow::Borrowed(""), 0),
            Settled::Outcome(outcome) => (reason(outcome), outcome.attempts),
        };
        let added = [&number.to_string(), settled.state(), &reason, &attempts.to_string()];
        file.write_byte_record(lines.line(&fields, &added))?;
    }
    for file in [&mut files.success, &mut files.skipped, &mut files.failed] {
        file.flush()?;
    }
    Ok(())
}

fn next_row<W>(words: &mut Peekable<W>) -> io::Result<Option<u64>>
where
    W: Iterator<Item = Result<(u64, Word), JournalError>>,
{
    match words.peek() {
        Some(Ok((row, _))) => Ok(Some(*row)),
        Some(Err(error)) => Err(io::Error::other(error.to_string())),
        None => Ok(None),
    }
}

/// What a row's last word makes of it, and what was to be changed if it is a dry run's.
fn settled(word: Word) -> (Settled, Option<(String, Box<RawValue>)>) {
    match word {
        Word::Planned { key, change } => (Settled::Planned, change.map(|change| (key, change))),
        Word::Outcome { outcome, .. } => (Settled::Outcome(outcome), None),
        // The process ended between the intent and the outcome.
        Word::Open { .. } => {
            let text = "the process ended before it knew the answer";
            (Settled::Outcome(Outcome::of(State::Unknown, "no-outcome", text)), None)
        }
    }
}

/// The reason's code and its words.
fn reason(outcome: &Outcome) -> Cow<'_, str> {
    match (&outcome.reason, &outcome.detail) {
        (Some(reason), Some(detail)) => Cow::Owned(format!("{reason}: {detail}")),
        (Some(reason), None) => Cow::Borrowed(reason),
        (None, Some(detail)) => Cow::Borrowed(detail),
        (None, None) => Cow::Borrowed(""),
    }
}
