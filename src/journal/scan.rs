//! Reads a journal line by line, and tells a tail that a crash tore from damage that no crash does.
//!
//! The writer begins a write only when the one before is durable. So a crash, a power cut included, can spoil
//! nothing but the last write, of which no record was acknowledged: nobody acted on them. Its lines may be
//! cut off; or, since a file system may store the parts of one write in any order, stretches of it may be
//! missing, which reads as NUL.
//!
//! The rule: what follows the last good line is *torn* if it begins with something that is no JSON object,
//! and no whole record comes after that, unless NUL stands between and the record says that it is of the same
//! write (`group`). It is not torn if it begins with a whole record that something other than NUL follows, or a record of
//! a later write: then the newline between the two was spoilt, and it was once durable. All else is *damage*, and refused: a whole record of a later write proves that the bad
//! line was once durable; a whole object with a wrong number, an unknown type or a missing member was not
//! left by a crash, last line or not. What the rule cannot see is damage to the very last write by something
//! other than a crash: it is taken for torn.

use super::error::JournalError;
use super::line::{Line, MAX_LINE, Reading};
use super::run_dir::RunDir;
use serde::de::IgnoredAny;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

/// The end of a journal that a crash tore. Nothing in it was acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Torn {
    /// Its length.
    pub bytes: u64,
    /// Where it begins: the length of the good part.
    pub at_byte: u64,
}

/// What a journal is like as a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Scanned {
    /// The number that the next line will have.
    pub(super) next_seq: u64,
    /// The length up to and with the last good line.
    pub(super) good_bytes: u64,
    pub(super) torn: Option<Torn>,
}

/// Gives `each` every record, with the place in bytes where its line begins, in order. Memory is that of one
/// line.
pub(super) fn scan(run: &RunDir, mut each: impl FnMut(u64, &Line<'_>)) -> Result<Scanned, JournalError> {
    let path = &run.journal();
    let file = open(run, path)?;
    let mut lines = Lines { path, reader: BufReader::with_capacity(256 << 10, file), place: 0, number: 0 };
    let mut piece = Vec::new();
    let (mut next_seq, mut group) = (1, 0);
    loop {
        let start = lines.place;
        let Some(is_whole) = lines.next(&mut piece)? else {
            return Ok(Scanned { next_seq, good_bytes: start, torn: None });
        };
        match if is_whole { Line::read(&piece) } else { Reading::Garbage } {
            Reading::Record(line) => {
                if line.seq != next_seq {
                    let problem = format!("its `seq` is {}, and {next_seq} follows", line.seq);
                    return Err(lines.damaged(start, problem));
                }
                if line.group() != next_seq && line.group() != group {
                    let problem =
                        format!("its `group` is {}, and that of the line before is {group}", line.group());
                    return Err(lines.damaged(start, problem));
                }
                each(start, &line);
                group = line.group();
                next_seq += 1;
            }
            Reading::Wrong(problem) => return Err(lines.damaged(start, problem)),
            Reading::Garbage => {
                let torn = lines.torn(piece, is_whole, start, next_seq, group)?;
                return Ok(Scanned { next_seq, good_bytes: start, torn: Some(torn) });
            }
        }
    }
}

fn open(run: &RunDir, path: &Path) -> Result<File, JournalError> {
    File::open(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => {
            JournalError::NoJournal { run: run.id().to_owned(), file: path.to_owned() }
        }
        _ => JournalError::io("read", path)(error),
    })
}

struct Lines<'a> {
    path: &'a Path,
    reader: BufReader<File>,
    /// How far it has read, in bytes.
    place: u64,
    /// The number of the last line that was begun.
    number: u64,
}

impl Lines<'_> {
    /// Reads a line, or a piece of what has no newline for too long; says whether it ended with one, which is
    /// taken off. `None` at the end of the file.
    fn next(&mut self, piece: &mut Vec<u8>) -> Result<Option<bool>, JournalError> {
        piece.clear();
        let limit = MAX_LINE as u64 + 1;
        let read = (&mut self.reader)
            .take(limit)
            .read_until(b'\n', piece)
            .map_err(JournalError::io("read", self.path))?;
        self.place += read as u64;
        self.number += 1;
        Ok((read > 0).then(|| piece.pop_if(|last| *last == b'\n').is_some()))
    }

    fn damaged(&self, byte: u64, problem: String) -> JournalError {
        JournalError::Damaged { file: self.path.to_owned(), line: self.number, byte, problem }
    }

    /// Judges all that follows from a piece of garbage that begins at `start`, where the line `next_seq`
    /// should be.
    fn torn(
        &mut self,
        mut piece: Vec<u8>,
        mut is_whole: bool,
        start: u64,
        next_seq: u64,
        group: u64,
    ) -> Result<Torn, JournalError> {
        let line = self.number;
        if let Some(problem) = joined(&piece, next_seq, group) {
            return Err(self.damaged(start, problem));
        }
        let mut has_nul = piece.contains(&0);
        loop {
            let is_new_line = is_whole;
            let Some(whole) = self.next(&mut piece)? else { break };
            is_whole = whole;
            if is_new_line
                && is_whole
                && let Reading::Record(record) = Line::read(&piece)
            {
                let is_same_write = record.group() == next_seq || record.group() == group;
                if !(has_nul && is_same_write && record.seq > next_seq) {
                    self.number = line;
                    let problem = format!("it is no record, and record {} follows", record.seq);
                    return Err(self.damaged(start, problem));
                }
            }
            has_nul |= piece.contains(&0);
        }
        Ok(Torn { bytes: self.place - start, at_byte: start })
    }
}

/// What is wrong with a line that begins with the whole record `next_seq`, if no crash left it like that: its newline was
/// spoilt, and the next line became a part of it.
fn joined(piece: &[u8], next_seq: u64, group: u64) -> Option<String> {
    let mut values = serde_json::Deserializer::from_slice(piece).into_iter::<IgnoredAny>();
    values.next()?.ok()?;
    let (first, rest) = piece.split_at_checked(values.byte_offset())?;
    let Reading::Record(record) = Line::read(first) else { return None };
    let after = rest.iter().position(|byte| *byte != 0)?;
    let is_later = match Line::read(&rest[after..]) {
        Reading::Record(next) => next.group() != record.group(),
        _ => false,
    };
    let is_write = record.group() == next_seq || record.group() == group;
    (is_write && record.seq == next_seq && (after == 0 || is_later))
        .then(|| format!("record {next_seq} has no newline after it"))
}
