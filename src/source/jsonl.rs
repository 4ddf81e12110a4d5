//! JSON Lines as a source: each line is an object, and a row of the CSV file that is made of them.
//!
//! The columns are the names of all objects, in the order in which they come up, so the input is read twice: once for
//! its names, once for its rows. Standard input is kept in a file without a name meanwhile.
//!
//! A value becomes text as a cell has it: a string as it is, a number digit for digit, `null` and a missing name as an
//! empty field, a list of plain values with `;` between them (`\;` is a semicolon in a value, `\\` a backslash), and
//! everything else as JSON. An object that is a reference or an amount stands in a cell as such a cell has it: `{"id": "X"}`
//! as `X`, `{"id": "X", "value": "y"}` as `X=y`, `{"amount": "5", "currency": "EUR"}` as `5 EUR`.

use super::dialect::other_format;
use super::error::SourceError;
use super::fingerprint::Stamp;
use super::query::Columns;
use super::rows_file::{KeepError, RowsFile, Spooled};
use super::tap::MAX_RECORD_BYTES;
use crate::files;
use crate::stop::Stop;
use serde::Deserializer as _;
use serde::de::{Error as _, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;
use std::collections::HashMap;
use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek};
use std::path::{Path, PathBuf};

/// The most names that are taken for columns.
const MAX_COLUMNS: usize = 1000;
const BUFFER_BYTES: usize = 64 << 10;
/// What is wrong with an object whose bytes are no text.
pub(super) const NOT_UTF8: &str = "is not UTF-8";
/// Lines between two looks at the stop signal.
const LINES_A_LOOK: u64 = 1024;

/// A JSON Lines input.
#[derive(Debug, Clone)]
pub struct Jsonl {
    /// The file; standard input if none.
    pub path: Option<PathBuf>,
    /// The columns that are needed: those of the first are there even where there is no object.
    pub columns: Vec<Columns>,
    /// Only the first objects.
    pub limit: Option<u64>,
}

/// Why rows could not be had from JSON Lines.
#[derive(Debug, thiserror::Error)]
pub enum JsonlError {
    /// The input cannot be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// A line is no object.
    #[error("{name}: line {line} {problem}")]
    Line {
        /// What the operator calls the input.
        name: String,
        /// The line's number, from 1.
        line: u64,
        /// What is wrong with it, and what to do.
        problem: String,
    },
    /// There is no object in it, and nothing else tells the columns.
    #[error("{0} has no rows, so its columns are not known")]
    Empty(String),
    /// The rows could not be kept.
    #[error("{name}: {error}")]
    Keep {
        /// What the operator calls the input.
        name: String,
        /// The reason.
        error: KeepError,
    },
    /// The stop signal.
    #[error("interrupted while the input was read")]
    Interrupted,
}

impl Jsonl {
    /// What the operator calls the input.
    pub fn name(&self) -> String {
        self.path.as_ref().map_or_else(|| "standard input".to_owned(), |path| path.display().to_string())
    }

    /// Keeps the rows as CSV in a new file at `to`, which is on the disk when this returns, and gone if it fails. Blocks.
    pub fn spool(&self, to: &Path, stop: &Stop) -> Result<Spooled, JsonlError> {
        let name = self.name();
        let unreadable = |error| SourceError::Unreadable { name: name.clone(), error };
        let Some(path) = &self.path else {
            let folder = files::folder_of(to);
            let kept =
                |error| SourceError::Spool { name: name.clone(), spool: folder.display().to_string(), error };
            let mut file = tempfile::tempfile_in(folder).map_err(kept)?;
            io::copy(&mut io::stdin().lock(), &mut file).map_err(kept)?;
            return self.spool_file(file, to, stop);
        };
        // Asked before opening: to open a named pipe would wait for a writer.
        if !std::fs::metadata(path).map_err(unreadable)?.is_file() {
            return Err(SourceError::NotAFile { name }.into());
        }
        let before = Stamp::of(path).map_err(unreadable)?;
        let spooled = self.spool_file(File::open(path).map_err(unreadable)?, to, stop)?;
        // Else the rows may be half of one export and half of the next.
        if Stamp::of(path).map_err(unreadable)? != before {
            // What was kept is not to be taken for the input; if it cannot be removed, the error says enough.
            let _ = std::fs::remove_file(to);
            return Err(SourceError::Changed { name }.into());
        }
        Ok(spooled)
    }

    fn spool_file(&self, mut file: File, to: &Path, stop: &Stop) -> Result<Spooled, JsonlError> {
        let mut columns = Names::default();
        self.each_line(&mut file, stop, |fields| fields.iter().try_for_each(|(name, _)| columns.note(name)))?;
        if columns.names.is_empty() {
            let known = self.columns.first().ok_or_else(|| JsonlError::Empty(self.name()))?;
            columns.names = known.required.iter().map(|name| (*name).to_owned()).collect();
        }
        let keep = |error| JsonlError::Keep { name: self.name(), error };
        let mut rows = RowsFile::create(to, &columns.names).map_err(keep)?;
        let mut cells = vec![String::new(); columns.names.len()];
        let mut unkept = None;
        self.each_line(&mut file, stop, |fields| {
            cells.iter_mut().for_each(String::clear);
            for (name, value) in fields {
                // A name that was not there before: the file is being written, which the stamp shows.
                if let Some(cell) = columns.place(name).and_then(|place| cells.get_mut(place)) {
                    write_cell(value, cell)?;
                }
            }
            rows.push(cells.iter()).map_err(|error| {
                let text = error.to_string();
                unkept = Some(error);
                text
            })
        })
        .map_err(|error| match unkept {
            Some(error @ KeepError::Disk { .. }) => keep(error),
            _ => error,
        })?;
        rows.finish(None).map_err(keep)
    }

    /// Hands over the names and values of each object, from the first.
    fn each_line(
        &self,
        file: &mut File,
        stop: &Stop,
        mut take: impl FnMut(&[(String, &RawValue)]) -> Result<(), String>,
    ) -> Result<(), JsonlError> {
        let unreadable = |error| SourceError::Unreadable { name: self.name(), error };
        file.rewind().map_err(unreadable)?;
        let mut input = BufReader::with_capacity(BUFFER_BYTES, file);
        let (mut line, mut number, mut taken) = (Vec::new(), 0, 0);
        while self.limit.is_none_or(|limit| taken < limit) {
            line.clear();
            let most = MAX_RECORD_BYTES as u64 + 1;
            if input.by_ref().take(most).read_until(b'\n', &mut line).map_err(unreadable)? == 0 {
                break;
            }
            number += 1;
            if number % LINES_A_LOOK == 0 && stop.is_set() {
                return Err(JsonlError::Interrupted);
            }
            let wrong = |problem: String| JsonlError::Line { name: self.name(), line: number, problem };
            if number == 1
                && let Some(what) = other_format(&line)
            {
                return Err(SourceError::OtherFormat { name: self.name(), what }.into());
            }
            if line.len() > MAX_RECORD_BYTES {
                return Err(wrong("is longer than 1 MiB".to_owned()));
            }
            let text = line.strip_prefix("\u{feff}".as_bytes()).filter(|_| number == 1).unwrap_or(&line);
            let text = text.trim_ascii();
            if text.is_empty() {
                continue;
            }
            let advised = |problem: String| match &*problem {
                NOT_UTF8 => format!("{NOT_UTF8}: save the file as UTF-8"),
                _ => problem,
            };
            let fields = fields(text).map_err(|problem| wrong(advised(problem)))?;
            take(&fields).map_err(wrong)?;
            taken += 1;
        }
        Ok(())
    }
}

/// The names of the objects.
#[derive(Debug, Default)]
struct Names {
    names: Vec<String>,
    places: HashMap<String, usize>,
}

impl Names {
    fn note(&mut self, name: &str) -> Result<(), String> {
        if self.places.contains_key(name) {
            return Ok(());
        }
        if self.names.len() == MAX_COLUMNS {
            return Err(format!(
                "has the name `{}`, after {MAX_COLUMNS} others: too many columns",
                short(name)
            ));
        }
        self.places.insert(name.to_owned(), self.names.len());
        self.names.push(name.to_owned());
        Ok(())
    }

    fn place(&self, name: &str) -> Option<usize> {
        self.places.get(name).copied()
    }
}

/// The beginning of a name, for a message.
fn short(name: &str) -> String {
    name.chars().take(40).collect()
}

/// The names and values of an object. The error says what is wrong with it, without its values.
pub(super) fn fields(line: &[u8]) -> Result<Vec<(String, &RawValue)>, String> {
    let text = std::str::from_utf8(line).map_err(|_| NOT_UTF8.to_owned())?;
    match text.chars().next() {
        Some('{') => {}
        Some('[') => {
            return Err(
                "is a list, where an object is needed: `jq -c '.[]'` writes one object per line".to_owned()
            );
        }
        _ => return Err("is not a JSON object".to_owned()),
    }
    let mut reader = serde_json::Deserializer::from_str(text);
    let read = reader.deserialize_map(Fields).and_then(|fields| reader.end().map(|()| fields));
    read.map_err(|error| match error.classify() {
        serde_json::error::Category::Eof => {
            "is not a whole JSON object: each object needs a line of its own (`jq -c .` does that)".to_owned()
        }
        _ => format!("is not a JSON object: {}", without_place(&error)),
    })
}

/// An error without its line, which is always the first here.
fn without_place(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    match text.strip_suffix(&place) {
        Some(text) => format!("{text} (character {})", error.column()),
        None => text,
    }
}

struct Fields;

impl<'de> Visitor<'de> for Fields {
    type Value = Vec<(String, &'de RawValue)>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut fields: Self::Value = Vec::new();
        while let Some(name) = map.next_key::<String>()? {
            if fields.len() >= MAX_COLUMNS {
                return Err(A::Error::custom(format!("it has more than {MAX_COLUMNS} names")));
            }
            if fields.iter().any(|(other, _)| *other == name) {
                return Err(A::Error::custom(format!("it has `{}` twice", short(&name))));
            }
            fields.push((name, map.next_value()?));
        }
        Ok(fields)
    }
}

/// Writes a value as a cell has it.
pub(super) fn write_cell(value: &RawValue, cell: &mut String) -> Result<(), String> {
    let json = value.get();
    match json.as_bytes().first() {
        Some(b'n') => {}
        Some(b'"') => cell.push_str(&string(json)?),
        Some(b'[') => match list(json)? {
            Some(list) => cell.push_str(&list),
            None => cell.push_str(json),
        },
        Some(b'{') => cell.push_str(&part(json)?),
        _ => cell.push_str(json),
    }
    Ok(())
}

fn string(json: &str) -> Result<String, String> {
    serde_json::from_str(json)
        .map_err(|error| format!("has a string that is not text: {}", without_place(&error)))
}

/// A list of plain values in a cell; `None` if other lists, objects or `null` are in it.
fn list(json: &str) -> Result<Option<String>, String> {
    let values: Vec<&RawValue> = serde_json::from_str(json).map_err(|error| without_place(&error))?;
    let mut cell = String::new();
    for (index, value) in values.iter().enumerate() {
        if index > 0 {
            cell.push(';');
        }
        match value.get().as_bytes().first() {
            Some(b'"') => cell.push_str(&escaped(&string(value.get())?)),
            Some(b'{') => cell.push_str(&escaped(&part(value.get())?)),
            Some(b'n' | b'[') => return Ok(None),
            _ => cell.push_str(value.get()),
        }
    }
    Ok(Some(cell))
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace(';', "\\;")
}

/// An object in a cell: a reference, an amount, or JSON.
fn part(json: &str) -> Result<String, String> {
    let members: Value = serde_json::from_str(json)
        .map_err(|error| format!("has an invalid object: {}", without_place(&error)))?;
    let member = |name: &str| members.get(name).and_then(Value::as_str);
    let count = members.as_object().map_or(0, serde_json::Map::len);
    Ok(match (count, member("id"), member("value"), member("amount"), member("currency")) {
        (1, Some(id), ..) => id.to_owned(),
        (2, Some(id), Some(value), ..) => format!("{id}={value}"),
        (2, _, _, Some(amount), Some(currency)) => format!("{amount} {currency}"),
        _ => json.to_owned(),
    })
}

#[cfg(test)]
#[path = "jsonl_tests.rs"]
mod tests;
