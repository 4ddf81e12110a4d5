//! The lines of a journal by row, and of each row in the order in which they were written, in memory that does
//! not grow with the journal.

use super::error::JournalError;
use super::line::{Line, MAX_LINE, Reading, Said};
use super::run_dir::RunDir;
use super::scan;
use crate::spill::{Sorted, Sorter};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::iter::Peekable;
use std::path::{Path, PathBuf};

/// A line about a row.
#[derive(Debug, Clone, Copy)]
pub(super) struct At {
    pub(super) row: u64,
    seq: u64,
    place: u64,
}

/// The lines, steps left out. A line about two rows is there with each of them.
#[derive(Debug)]
pub(super) struct InOrder {
    /// Row, number of the line, place of the line.
    sorted: Peekable<Sorted>,
    path: PathBuf,
    reader: BufReader<File>,
    /// Where the reader stands, in bytes.
    place: u64,
    text: Vec<u8>,
}

impl InOrder {
    /// Reads the journal once; what memory does not hold goes to unnamed files in the run's folder.
    pub(super) fn read(run: &RunDir) -> Result<Self, JournalError> {
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
        let sorted = pushed.and_then(|()| sorter.finish()).map_err(JournalError::io("sort", &path))?;
        let file = File::open(&path).map_err(JournalError::io("read", &path))?;
        let reader = BufReader::with_capacity(128 << 10, file);
        Ok(Self { sorted: sorted.peekable(), path, reader, place: 0, text: Vec::new() })
    }

    /// The journal.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Where the next line is.
    pub(super) fn next(&mut self) -> io::Result<Option<At>> {
        let next = self.sorted.next().transpose()?;
        Ok(next.map(|[row, seq, place]| At { row, seq, place }))
    }

    /// Whether the next line is about this row.
    pub(super) fn goes_on(&mut self, row: u64) -> bool {
        matches!(self.sorted.peek(), Some(Ok([next, ..])) if *next == row)
    }

    /// Reads a line.
    pub(super) fn line(&mut self, at: At) -> io::Result<Line<'_>> {
        self.seek(at.place)?;
        match Line::read(&self.text) {
            Reading::Record(line) if line.seq == at.seq && line.rows().each().any(|of| of == at.row) => {
                Ok(line)
            }
            _ => Err(io::Error::other(format!("line {} is not what it was a moment ago", at.seq))),
        }
    }

    /// Reads the line at a place. Rows are mostly in the order in which they were journalled: the buffer is
    /// kept when the place is in it.
    fn seek(&mut self, place: u64) -> io::Result<()> {
        self.reader.seek_relative(place.cast_signed().wrapping_sub(self.place.cast_signed()))?;
        self.text.clear();
        let read = (&mut self.reader).take(MAX_LINE as u64 + 1).read_until(b'\n', &mut self.text)?;
        self.place = place + read as u64;
        self.text.pop_if(|last| *last == b'\n');
        Ok(())
    }
}
