//! A CSV file as a stream of rows.
//!
//! What can be got over is a [`RowProblem`] of one record, and the reading continues: too many or too few
//! fields, text that is not UTF-8, text after a closing quote. What cannot is a [`SourceError`], and the
//! reading ends: after an unclosed quote nothing tells rows from the text of a field.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use ::csv::{ByteRecord, Reader, ReaderBuilder};

use super::dialect::{self, Decoded, Dialect, Opened};
use super::error::SourceError;
use super::header::Header;
use super::tap::{MAX_RECORD_BYTES, QuoteLines, Record, Tap};
use crate::row::{BadRow, Row, RowProblem};

/// How much is read from the file at once, in bytes.
const BUFFER_BYTES: usize = 64 << 10;

/// An opened CSV file whose header has been read.
pub struct CsvFile<R = File> {
    records: Records<R>,
    header: Header,
    /// How it is read, where that is not as usual.
    note: Option<String>,
    /// Whether records without any text are rows.
    blank_rows: bool,
    /// How many were left out.
    left_out: u64,
    ended: bool,
}

impl CsvFile {
    /// Opens a file and reads its header. The errors name the file by its path.
    pub fn open(path: &Path) -> Result<Self, SourceError> {
        Self::open_as(path, &path.display().to_string(), Dialect::default())
    }

    /// Opens a file that the operator knows by another name: standard input's spool file.
    pub fn open_as(path: &Path, name: &str, dialect: Dialect) -> Result<Self, SourceError> {
        let unreadable = |error| SourceError::Unreadable { name: name.to_owned(), error };
        // Asked before opening: to open a named pipe would wait for a writer.
        if !std::fs::metadata(path).map_err(unreadable)?.is_file() {
            return Err(SourceError::NotAFile { name: name.to_owned() });
        }
        Self::from_reader_as(File::open(path).map_err(unreadable)?, name, dialect)
    }
}

impl<R: Read> CsvFile<R> {
    /// Reads CSV from anything that can be read; `name` is for messages.
    pub fn from_reader(input: R, name: &str) -> Result<Self, SourceError> {
        Self::from_reader_as(input, name, Dialect::default())
    }

    /// The same, of an input of which something is known beforehand.
    pub fn from_reader_as(input: R, name: &str, dialect: Dialect) -> Result<Self, SourceError> {
        let Opened { input, delimiter, line, note } = dialect::open(input, name, dialect)?;
        let reader = ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .delimiter(delimiter)
            .buffer_capacity(BUFFER_BYTES)
            .from_reader(Tap::new(input, delimiter, line));
        let mut records = Records { reader, name: name.to_owned(), number: 0 };
        let mut names = ByteRecord::new();
        if records.next(&mut names)?.is_none() {
            return Err(SourceError::Empty { name: name.to_owned() });
        }
        let header = Header::new(names, name)?;
        Ok(Self { records, header, note, blank_rows: dialect.blank_rows, left_out: 0, ended: false })
    }

    /// The names of the columns.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Says which columns are used: a row is not bad for what stands in others.
    pub fn use_only(&mut self, columns: Vec<usize>) {
        self.header.use_only(columns);
    }

    /// The record that was read last, at first the header, byte for byte as it stands in the input and without
    /// the end of its line.
    pub fn raw(&self) -> &[u8] {
        let raw = self.records.reader.get_ref().raw();
        raw.strip_suffix(b"\n").or_else(|| raw.strip_suffix(b"\r")).unwrap_or(raw)
    }

    /// How lines end, as the record that was read last shows.
    pub fn line_end(&self) -> &'static [u8] {
        // Of both halves the second is passed over with the next record; alone it has not been seen for decades.
        if self.records.reader.get_ref().raw().ends_with(b"\r") { b"\r\n" } else { b"\n" }
    }

    /// Whether the input begins with a byte order mark, which is no part of the header.
    pub fn is_marked(&self) -> bool {
        self.records.reader.get_ref().is_marked()
    }

    /// What the operator should know of how it is read, and of what was left out of it so far.
    pub fn notes(&self) -> Vec<String> {
        let left_out = match self.left_out {
            0 => None,
            1 => Some("1 blank row was left out".to_owned()),
            rows => Some(format!("{rows} blank rows were left out")),
        };
        self.note.clone().into_iter().chain(left_out).collect()
    }

    /// Reads the next record into `row`, whose memory is used again. `None` at the end; after a problem
    /// `row` holds the bad record, and the next call reads on.
    pub fn read_into(&mut self, row: &mut Row) -> Result<Option<Result<(), RowProblem>>, SourceError> {
        let read = self.read_unjudged(row)?;
        Ok(read.map(|record| judge(&self.header, &row.fields, record).map_or(Ok(()), Err)))
    }

    /// Reads the next record into `row`; [`judge`] says what is wrong with it.
    pub(super) fn read_unjudged(&mut self, row: &mut Row) -> Result<Option<Record>, SourceError> {
        if self.ended {
            return Ok(None);
        }
        self.records.number += 1;
        let record = loop {
            let read = self.records.next(&mut row.fields);
            let Ok(Some(record)) = read else {
                self.ended = true;
                return read;
            };
            if self.blank_rows || !row.fields.as_slice().trim_ascii().is_empty() {
                break record;
            }
            self.left_out += 1;
        };
        row.number = self.records.number;
        row.line = record.line;
        Ok(Some(record))
    }

    /// The rows that are left, each in memory of its own. Ends after the first `Err`.
    pub fn rows(self) -> CsvRows<R> {
        CsvRows { file: self }
    }
}

/// What is wrong with a record that was read, if anything is.
pub(super) fn judge(header: &Header, fields: &ByteRecord, record: Record) -> Option<RowProblem> {
    if let QuoteLines::Stray { opened, closed } = record.quotes {
        return Some(RowProblem::StrayQuote { opened, closed });
    }
    let expected = header.names().len();
    if fields.len() != expected {
        return Some(RowProblem::Ragged { expected, found: fields.len() });
    }
    if fields.as_slice().is_ascii() {
        return None;
    }
    let is_wrong =
        |(column, field): (usize, &[u8])| std::str::from_utf8(field).is_err() && header.is_used(column);
    let column = fields.iter().enumerate().position(is_wrong)?;
    Some(RowProblem::NotUtf8 { column: header.name(column) })
}

/// The rows of a [`CsvFile`]: a row, a record that is none, or the error that ends the reading.
pub struct CsvRows<R = File> {
    file: CsvFile<R>,
}

impl<R> CsvRows<R> {
    /// Says which columns are used: a row is not bad for what stands in others.
    pub fn use_only(&mut self, columns: Vec<usize>) {
        self.file.header.use_only(columns);
    }

    /// The names of the columns.
    pub fn header(&self) -> &Header {
        &self.file.header
    }
}

impl<R: Read> Iterator for CsvRows<R> {
    type Item = Result<Result<Row, BadRow>, SourceError>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut row = Row { number: 0, line: 0, fields: ByteRecord::new() };
        let read = self.file.read_into(&mut row).transpose()?;
        Some(read.map(|read| match read {
            Ok(()) => Ok(row),
            Err(problem) => Err(BadRow { row, problem }),
        }))
    }
}

/// Records, the header too, before anything is known of columns.
struct Records<R> {
    reader: Reader<Tap<Decoded<R>>>,
    name: String,
    /// The record in hand; 0 is the header.
    number: u64,
}

impl<R: Read> Records<R> {
    fn next(&mut self, fields: &mut ByteRecord) -> Result<Option<Record>, SourceError> {
        let read = self.reader.read_byte_record(fields);
        let end = self.reader.position().byte();
        let tap = self.reader.get_mut();
        match read {
            Ok(false) => Ok(None),
            Ok(true) => {
                let record = tap.finish(end);
                match record.quotes {
                    _ if record.bytes > MAX_RECORD_BYTES => Err(self.too_long(record)),
                    QuoteLines::Unclosed { opened } => Err(SourceError::UnclosedQuote {
                        name: self.name.clone(),
                        row: self.number,
                        line: record.line,
                        quote_line: opened,
                    }),
                    _ => Ok(Some(record)),
                }
            }
            Err(_) if tap.overflowed() => {
                let record = tap.abandon();
                Err(self.too_long(record))
            }
            Err(error) => Err(SourceError::Unreadable { name: self.name.clone(), error: error.into() }),
        }
    }

    fn too_long(&self, record: Record) -> SourceError {
        let quote_line = match record.quotes {
            QuoteLines::Unclosed { opened } => Some(opened),
            _ => None,
        };
        SourceError::RecordTooLong {
            name: self.name.clone(),
            row: self.number,
            line: record.line,
            quote_line,
        }
    }
}

#[cfg(test)]
#[path = "csv_tests.rs"]
mod tests;
