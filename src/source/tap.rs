//! The reader under the csv crate's: it keeps the raw bytes of the record in hand.
//!
//! From them come what the csv crate does not tell (the line on which a record begins, unsound quotes) and
//! what it does not limit (the length of a record).

use std::io::{self, Read};

use memchr::{memchr, memchr_iter};

use super::quotes::{self, Quotes};

/// The longest record that is read, in bytes as they stand in the file: a limit for garbage, far above any
/// real row.
pub(super) const MAX_RECORD_BYTES: usize = 1 << 20;

const BOM: &[u8] = b"\xef\xbb\xbf";

/// Passes an input on and holds what has been passed on since the last finished record.
pub(super) struct Tap<R> {
    input: R,
    delimiter: u8,
    held: Vec<u8>,
    /// The offset in the input of `held`'s first byte.
    base: u64,
    /// How much of `held` is finished with.
    done: usize,
    /// Where in `held` the record begins that was finished last.
    last: usize,
    /// Whether the input begins with a byte order mark.
    marked: bool,
    /// Where in `held` the next quote stands that may be asked for; the length of `held` if there is none.
    quote: usize,
    lines: Lines,
    overflowed: bool,
}

/// Counts physical lines. A line ends with a line feed, or with a lone carriage return that ends a record;
/// within quotes only line feeds count, as an editor counts them.
struct Lines {
    current: u64,
    after_return: bool,
}

impl Lines {
    fn terminator(&mut self, byte: u8) {
        let second_half = byte == b'\n' && self.after_return;
        self.current += u64::from(!second_half);
        self.after_return = byte == b'\r';
    }
}

/// What the raw bytes of a record say about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Record {
    /// The line on which it begins, from 1.
    pub(super) line: u64,
    /// How its quotes stand; each offset has become the number of a line.
    pub(super) quotes: QuoteLines,
    /// Its length in bytes, with its terminator.
    pub(super) bytes: usize,
}

/// [`Quotes`] with the lines on which the quotes stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum QuoteLines {
    Sound,
    Stray { opened: u64, closed: u64 },
    Unclosed { opened: u64 },
}

impl<R: Read> Tap<R> {
    /// An input whose fields this mark separates, and whose first line is the file's `line`-th.
    pub(super) fn new(input: R, delimiter: u8, line: u64) -> Self {
        let lines = Lines { current: line, after_return: false };
        Self {
            input,
            delimiter,
            held: Vec::new(),
            base: 0,
            done: 0,
            last: 0,
            marked: false,
            quote: 0,
            lines,
            overflowed: false,
        }
    }

    /// Whether the reading ended because a record is too long.
    pub(super) fn overflowed(&self) -> bool {
        self.overflowed
    }

    /// The record that was finished last, as it stands in the input: with its terminator, but of a carriage return
    /// and a line feed only the first. Gone once more is read.
    pub(super) fn raw(&self) -> &[u8] {
        self.held.get(self.last..self.done).unwrap_or_default()
    }

    /// Whether the input begins with a byte order mark.
    pub(super) fn is_marked(&self) -> bool {
        self.marked
    }

    /// Judges the record that ends at this offset of the input, and lets go of it.
    #[inline]
    pub(super) fn finish(&mut self, end: u64) -> Record {
        self.skip_blank_lines();
        let stop = usize::try_from(end.saturating_sub(self.base)).unwrap_or(usize::MAX);
        let stop = stop.clamp(self.done, self.held.len());
        if self.quote < self.done {
            self.quote = next_quote(&self.held, self.done);
        }
        let record = self.held.get(self.done..stop).unwrap_or_default();
        let quoted = self.quote < stop;
        let found = look_at(record, quoted.then_some(self.delimiter), self.lines.current);
        let (body, terminator) = match record.split_last() {
            Some((last @ (b'\r' | b'\n'), body)) => (body, Some(*last)),
            _ => (record, None),
        };
        self.lines.after_return = false;
        // Only quotes can hold a line feed.
        if quoted {
            self.lines.current += line_feeds(body);
        }
        if let Some(byte) = terminator {
            self.lines.terminator(byte);
        }
        self.last = self.done;
        self.done = stop;
        found
    }

    /// Judges what there is of a record that will not be read to its end.
    pub(super) fn abandon(&mut self) -> Record {
        self.finish(u64::MAX)
    }

    /// The csv crate skips line ends before a record; so does the account of lines.
    fn skip_blank_lines(&mut self) {
        if self.base == 0 && self.done == 0 && self.held.starts_with(BOM) {
            self.done = BOM.len();
            self.marked = true;
        }
        while let Some(byte @ (b'\r' | b'\n')) = self.held.get(self.done) {
            self.lines.terminator(*byte);
            self.done += 1;
        }
    }

    /// Reads; the first time enough for the csv crate to know a byte order mark, and a byte more: it takes a
    /// buffer with nothing but the mark for the end of the input.
    fn fill(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut filled = self.input.read(buffer)?;
        let first = self.base == 0 && self.held.is_empty() && filled > 0;
        while first && filled <= BOM.len() && filled < buffer.len() {
            match self.input.read(buffer.get_mut(filled..).unwrap_or_default()) {
                Ok(0) => break,
                Ok(more) => filled += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }
}

impl<R: Read> Read for Tap<R> {
    /// Called only when the csv crate has used up all that it was given: what is held and not done with is
    /// then the beginning of one record.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.skip_blank_lines();
        if self.held.len() - self.done > MAX_RECORD_BYTES {
            self.overflowed = true;
            return Err(io::Error::other("the record is too long"));
        }
        let filled = self.fill(buffer)?;
        // Where the search for a quote has not been yet; what it has found is found again at once.
        let unsearched = self.quote.saturating_sub(self.done);
        self.held.drain(..self.done);
        self.base += self.done as u64;
        (self.done, self.last) = (0, 0);
        self.held.extend_from_slice(buffer.get(..filled).unwrap_or_default());
        // All at once: an input without quotes then costs no search per record.
        self.quote = next_quote(&self.held, unsearched);
        Ok(filled)
    }
}

/// Where the next quote stands, or else the end.
fn next_quote(held: &[u8], from: usize) -> usize {
    let found = held.get(from..).and_then(|rest| memchr(b'"', rest));
    found.map_or(held.len(), |offset| from + offset)
}

#[inline]
fn look_at(record: &[u8], quoted: Option<u8>, line: u64) -> Record {
    let line_of = |offset| line + line_feeds(record.get(..offset).unwrap_or_default());
    let judged = quoted.map_or(Quotes::Sound, |delimiter| quotes::judge(record, delimiter));
    let lines = match judged {
        Quotes::Sound => QuoteLines::Sound,
        Quotes::Stray { opened, closed } => {
            QuoteLines::Stray { opened: line_of(opened), closed: line_of(closed) }
        }
        Quotes::Unclosed { opened } => QuoteLines::Unclosed { opened: line_of(opened) },
    };
    Record { line, quotes: lines, bytes: record.len() }
}

fn line_feeds(bytes: &[u8]) -> u64 {
    memchr_iter(b'\n', bytes).count() as u64
}
