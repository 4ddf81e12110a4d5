//! The last word on every row, in row order, in memory that does not grow with the journal.

use super::error::JournalError;
use super::line::{Line, MAX_LINE, Reading, Said};
use super::record::Outcome;
use super::run_dir::RunDir;
use super::scan;
use crate::spill::{Sorted, Sorter};
use serde_json::value::RawValue;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::iter::Peekable;
use std::path::PathBuf;

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
    /// Row, number of the line, place of the line.
    sorted: Peekable<Sorted>,
    path: PathBuf,
    reader: BufReader<File>,
    /// Where the reader stands, in bytes.
    place: u64,
    line: Vec<u8>,
    has_ended: bool,
}

impl Words {
    /// Reads the journal once to put its lines in order; what memory does not hold goes to unnamed files in
    /// the run's folder. A torn tail is left out. Withdrawn rows are, too.
    ///
    /// Fails as [`Replay::read`](super::replay::Replay::read) does, and when the disk has no room to sort.
    pub fn read(run: &RunDir) -> Result<Self, JournalError> {
        let path = run.journal();
        let mut sorter = Sorter::new(run.path());
        let mut pushed = Ok(());
        scan::scan(run, |place, line| {
            // A step is no last word.
            if matches!(line.said(), Said::Step(_)) {
                return;
            }
            for row in line.rows().each() {
                if pushed.is_ok() {
                    pushed = sorter.push([row, line.seq, place]);
                }
            }
        })?;
        let in_order = pushed.and_then(|()| sorter.finish()).map_err(JournalError::io("sort", &path))?;
        let file = File::open(&path).map_err(JournalError::io("read", &path))?;
        let reader = BufReader::with_capacity(128 << 10, file);
        Ok(Self { sorted: in_order.peekable(), path, reader, place: 0, line: Vec::new(), has_ended: false })
    }

    fn next_word(&mut self) -> io::Result<Option<(u64, Word)>> {
        while let Some(record) = self.sorted.next().transpose()? {
            let [row, seq, place] = record;
            if matches!(self.sorted.peek(), Some(Ok([next, ..])) if *next == row) {
                continue;
            }
            self.seek(place)?;
            match Line::read(&self.line) {
                Reading::Record(line) if line.seq == seq && line.rows().each().any(|of| of == row) => {
                    if let Some(word) = word(line.said(), line.row == row) {
                        return Ok(Some((row, word)));
                    }
                }
                _ => return Err(io::Error::other(format!("line {seq} is not what it was a moment ago"))),
            }
        }
        Ok(None)
    }

    /// Reads the line at a place. Rows are mostly in the order in which they were journalled: the buffer is
    /// kept when the place is in it.
    fn seek(&mut self, place: u64) -> io::Result<()> {
        self.reader.seek_relative(place.cast_signed().wrapping_sub(self.place.cast_signed()))?;
        self.line.clear();
        let read = (&mut self.reader).take(MAX_LINE as u64 + 1).read_until(b'\n', &mut self.line)?;
        self.place = place + read as u64;
        self.line.pop_if(|last| *last == b'\n');
        Ok(())
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
        let next = self.next_word().map_err(JournalError::io("read", &self.path)).transpose();
        self.has_ended = !matches!(next, Some(Ok(_)));
        next
    }
}
