//! The changes that a run has made: every row whose last word is `done`, with the change that was meant last, in
//! row order and in memory that does not grow with the journal.

use super::error::JournalError;
use super::in_order::{At, InOrder};
use super::line::Said;
use super::record::{Outcome, Rows, State};
use super::run_dir::RunDir;
use serde_json::value::RawValue;
use std::io;

/// A change that was made.
#[derive(Debug, Clone)]
pub struct Made {
    /// The rows in the input.
    pub rows: Rows,
    /// The object's ID as people know it.
    pub key: String,
    /// The change as it was meant last.
    pub change: Box<RawValue>,
    /// How it ended.
    pub outcome: Outcome,
}

/// The changes of a journal, as they were when this was made. Ends after an error.
#[derive(Debug)]
pub struct Done {
    lines: InOrder,
    /// The lines of the row that is looked at.
    of_row: Vec<At>,
    has_ended: bool,
}

impl Done {
    /// Reads the journal once; fails as [`Words::read`](super::ordered::Words::read) does.
    pub fn read(run: &RunDir) -> Result<Self, JournalError> {
        Ok(Self { lines: InOrder::read(run)?, of_row: Vec::new(), has_ended: false })
    }

    fn next_made(&mut self) -> io::Result<Option<Made>> {
        while let Some(at) = self.lines.next()? {
            self.of_row.push(at);
            if self.lines.goes_on(at.row) {
                continue;
            }
            let made = self.made(at)?;
            self.of_row.clear();
            if made.is_some() {
                return Ok(made);
            }
        }
        Ok(None)
    }

    /// The change of the row whose last line this is, if it was made and is written down under this row.
    fn made(&mut self, last: At) -> io::Result<Option<Made>> {
        let line = self.lines.line(last)?;
        let rows = line.rows();
        let Said::Outcome(ended) = line.said() else { return Ok(None) };
        if ended.state != State::Done || rows.row != last.row {
            return Ok(None);
        }
        let (key, outcome) = (ended.key.to_owned(), ended.to_outcome());
        for at in self.of_row.iter().rev() {
            if let Said::Intent { change, .. } = self.lines.line(*at)?.said() {
                return Ok(Some(Made { rows, key, change: change.to_owned(), outcome }));
            }
        }
        Ok(None)
    }
}

impl Iterator for Done {
    type Item = Result<Made, JournalError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.has_ended {
            return None;
        }
        let next = self.next_made().map_err(JournalError::io("read", self.lines.path())).transpose();
        self.has_ended = !matches!(next, Some(Ok(_)));
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::record::Record;
    use crate::journal::writer::Journal;
    use chrono::Utc;

    fn raw(text: &str) -> Box<RawValue> {
        RawValue::from_string(text.to_owned()).unwrap()
    }

    fn intent(rows: impl Into<Rows>, change: &str) -> Record {
        Record::Intent { rows: rows.into(), key: "k".into(), change: raw(change) }
    }

    fn outcome(rows: impl Into<Rows>, outcome: Outcome) -> Record {
        Record::Outcome { rows: rows.into(), key: "k".into(), outcome }
    }

    #[tokio::test]
    async fn changes_are_those_meant_last_of_rows_that_are_done() {
        let folder = tempfile::tempdir().unwrap();
        let run = RunDir::create(folder.path(), "apply", Utc::now()).unwrap();
        let journal = Journal::create(&run).unwrap();
        let pair = Rows { row: 2, also: Some(7) };
        let failed = || Outcome::of(State::Failed, "conflict", "no");
        let unknown = Outcome::of(State::Unknown, "lost", "?");
        let records = vec![
            intent(5, "5"),
            intent(1, "1"),
            outcome(1, unknown),
            Record::Step { rows: pair, step: raw("0") },
            intent(pair, "2"),
            outcome(5, Outcome::done(1)),
            intent(1, "11"),
            intent(3, "3"),
            outcome(3, failed()),
            outcome(pair, Outcome::done(1)),
            // Settled by reading: without an intent of its own.
            outcome(1, Outcome::done(2)),
            intent(4, "4"),
            outcome(6, Outcome::of(State::Already, "set", "")),
            intent(8, "8"),
            outcome(8, Outcome::done(1)),
            outcome(8, failed()),
        ];
        journal.append(records).await.unwrap();
        journal.close().await.unwrap();
        let made: Vec<_> = Done::read(&run).unwrap().map(Result::unwrap).collect();
        let short: Vec<_> = made.iter().map(|made| (made.rows.row, made.change.get())).collect();
        assert_eq!(short, [(1, "11"), (2, "2"), (5, "5")]);
        assert_eq!((made[1].rows, made[0].outcome.attempts), (pair, 2));
    }
}
