//! The last word on every row, in row order, in memory that does not grow with the journal.

use super::error::JournalError;
use super::in_order::InOrder;
use super::line::Said;
use super::record::Outcome;
use super::run_dir::RunDir;
use serde_json::value::RawValue;
use std::io;

/// The last word on a row.
#[derive(Debug, Clone)]
pub enum Word {
    /// It ended.
    Outcome {
        /// The object's ID as people know it.
        key: String,
        /// How it ended.
        outcome: Outcome,
        /// Whether this is the only row, or the first of two that share it.
        first: bool,
    },
    /// A dry run would change it.
    Planned {
        /// The object's ID as people know it.
        key: String,
        /// The change; none with the second of two rows that share it.
        change: Option<Box<RawValue>>,
    },
    /// It was about to be changed, and nobody knows whether it was.
    Open {
        /// The object's ID as people know it.
        key: String,
        /// The change that was meant; none with the second of two rows that share it.
        change: Option<Box<RawValue>>,
    },
}

/// The last words of a journal, as they were when this was made. Ends after an error.
#[derive(Debug)]
pub struct Words {
    lines: InOrder,
    has_ended: bool,
}

impl Words {
    /// Reads the journal once to put its lines in order; what memory does not hold goes to unnamed files in
    /// the run's folder. A torn tail is left out. Withdrawn rows are, too.
    ///
    /// Fails as [`Replay::read`](super::replay::Replay::read) does, and when the disk has no room to sort.
    pub fn read(run: &RunDir) -> Result<Self, JournalError> {
        Ok(Self { lines: InOrder::read(run)?, has_ended: false })
    }

    fn next_word(&mut self) -> io::Result<Option<(u64, Word)>> {
        while let Some(at) = self.lines.next()? {
            if self.lines.goes_on(at.row) {
                continue;
            }
            let line = self.lines.line(at)?;
            if let Some(word) = word(line.said(), line.row == at.row) {
                return Ok(Some((at.row, word)));
            }
        }
        Ok(None)
    }
}

/// What a line says of a row. What it says of the change and its report is said with the first of two rows.
fn word(said: Said<'_>, first: bool) -> Option<Word> {
    let change = |change: &RawValue| first.then(|| change.to_owned());
    Some(match said {
        Said::Outcome(ended) => {
            let mut outcome = ended.to_outcome();
            outcome.report = outcome.report.filter(|_| first);
            Word::Outcome { key: ended.key.to_owned(), outcome, first }
        }
        Said::Planned { key, change: planned } => {
            Word::Planned { key: key.to_owned(), change: change(planned) }
        }
        Said::Intent { key, change: meant } => Word::Open { key: key.to_owned(), change: change(meant) },
        Said::Withdrawn | Said::Step(_) => return None,
    })
}

impl Iterator for Words {
    type Item = Result<(u64, Word), JournalError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.has_ended {
            return None;
        }
        let next = self.next_word().map_err(JournalError::io("read", self.lines.path())).transpose();
        self.has_ended = !matches!(next, Some(Ok(_)));
        next
    }
}
