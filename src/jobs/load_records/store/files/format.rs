//! CSV and JSON Lines: how records are written, and read again.
//!
//! CSV as in RFC 4180, with a line feed after each record; null is an empty cell, arrays and objects are JSON. The cells are data
//! for machines: nothing is put before what a spreadsheet would take for a formula.

use crate::jobs::load_records::stage::Batch;
use serde_json::Value;
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;

/// What files are written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::jobs::load_records) enum Format {
    Csv,
    Jsonl,
}

impl Format {
    /// What it is called in a job file, and the end of a part's name.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Jsonl => "jsonl",
        }
    }

    /// Hands over each record of a file, as long as more are wanted.
    pub(super) fn read(self, path: &Path, take: &mut dyn FnMut(Found<'_>) -> bool) -> io::Result<()> {
        let file = File::open(path)?;
        match self {
            Self::Csv => {
                let mut rows = csv::ReaderBuilder::new().flexible(true).from_reader(file);
                let names: HashMap<String, usize> = rows
                    .byte_headers()?
                    .iter()
                    .enumerate()
                    .map(|(place, name)| (String::from_utf8_lossy(name).into_owned(), place))
                    .collect();
                let mut row = csv::ByteRecord::new();
                while rows.read_byte_record(&mut row)? {
                    if !take(Found::Row(&names, &row)) {
                        break;
                    }
                }
            }
            Self::Jsonl => {
                let (mut lines, mut line) = (BufReader::with_capacity(1 << 16, file), Vec::new());
                while lines.read_until(b'\n', &mut line)? > 0 {
                    if !take(Found::Line(&line)) {
                        break;
                    }
                    line.clear();
                }
            }
        }
        Ok(())
    }
}

/// A record of a file.
#[derive(Debug, Clone, Copy)]
pub(super) enum Found<'a> {
    Row(&'a HashMap<String, usize>, &'a csv::ByteRecord),
    Line(&'a [u8]),
}

impl Found<'_> {
    /// A field as text; empty where it has no value.
    pub(super) fn text(self, name: &str) -> String {
        match self {
            Self::Row(names, row) => {
                let cell = names.get(name).and_then(|place| row.get(*place)).unwrap_or_default();
                String::from_utf8_lossy(cell).into_owned()
            }
            Self::Line(line) => {
                let object: Value = serde_json::from_slice(line).unwrap_or_default();
                match object.get(name) {
                    None | Some(Value::Null) => String::new(),
                    Some(Value::String(text)) => text.clone(),
                    Some(other) => other.to_string(),
                }
            }
        }
    }
}

/// Writes records of a slice.
pub(super) struct Writer<W: Write> {
    to: To<W>,
    rows: u64,
}

enum To<W: Write> {
    Csv { rows: Box<csv::Writer<W>>, places: HashMap<String, usize>, cells: Vec<String> },
    Jsonl(W),
}

impl<W: Write> Writer<W> {
    /// For records of these columns. What has none has no header.
    pub(super) fn new(format: Format, to: W, columns: &[String]) -> Self {
        let to = match format {
            Format::Jsonl => To::Jsonl(to),
            Format::Csv => {
                let places = columns.iter().cloned().enumerate().map(|(place, name)| (name, place)).collect();
                To::Csv { rows: Box::new(csv::Writer::from_writer(to)), places, cells: columns.to_vec() }
            }
        };
        Self { to, rows: 0 }
    }

    /// Writes a record; false where the format has no way to write it.
    pub(super) fn push(&mut self, batch: &Batch, row: usize) -> io::Result<bool> {
        match &mut self.to {
            To::Jsonl(to) => {
                to.write_all(batch.object(row).as_bytes())?;
                to.write_all(b"\n")?;
            }
            To::Csv { .. } if batch.columns.is_empty() => return Ok(false),
            To::Csv { rows, places, cells } => {
                if self.rows == 0 {
                    // The cells are the names yet.
                    rows.write_record(cells.iter())?;
                }
                cells.iter_mut().for_each(String::clear);
                for (name, text) in batch.columns.iter().zip(batch.cells(row)) {
                    if let (Some(text), Some(cell)) =
                        (text, places.get(name).and_then(|at| cells.get_mut(*at)))
                    {
                        cell.push_str(&text);
                    }
                }
                rows.write_record(cells.iter())?;
            }
        }
        self.rows += 1;
        Ok(true)
    }

    /// How many were written.
    pub(super) fn rows(&self) -> u64 {
        self.rows
    }

    /// Ends the file.
    pub(super) fn finish(self) -> io::Result<W> {
        match self.to {
            To::Jsonl(to) => Ok(to),
            To::Csv { rows, .. } => (*rows).into_inner().map_err(csv::IntoInnerError::into_error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_come_back_as_they_went() {
        let folder = tempfile::tempdir().unwrap();
        let batches = [
            Batch::of(&["a", "b,\"c\""], &[r#"[1,"x\n\"y\";,"]"#, r#"[null,["p",{"q":1.50}]]"#]),
            Batch::of(&["d"], &["[\"=1+1\"]"]),
        ];
        let columns = ["a", "b,\"c\"", "d"].map(str::to_owned);
        for (format, text) in [
            (
                Format::Csv,
                "a,\"b,\"\"c\"\"\",d\n1,\"x\n\"\"y\"\";,\",\n,\"[\"\"p\"\",{\"\"q\"\":1.50}]\",\n,,=1+1\n",
            ),
            (
                Format::Jsonl,
                "{\"a\":1,\"b,\\\"c\\\"\":\"x\\n\\\"y\\\";,\"}\n{\"a\":null,\"b,\\\"c\\\"\":[\"p\",{\"q\":1.50}]}\n{\"d\":\"=1+1\"}\n",
            ),
        ] {
            let mut out = Writer::new(format, Vec::new(), &columns);
            for batch in &batches {
                for row in 0..batch.len() {
                    assert!(out.push(batch, row).unwrap());
                }
            }
            assert_eq!(out.rows(), 3);
            let written = out.finish().unwrap();
            assert_eq!(String::from_utf8(written.clone()).unwrap(), text);
            let path = folder.path().join(format.name());
            std::fs::write(&path, written).unwrap();
            let mut found = Vec::new();
            let mut take = |record: Found<'_>| {
                found.push((record.text("a"), record.text("b,\"c\""), record.text("d")));
                true
            };
            format.read(&path, &mut take).unwrap();
            assert_eq!(found.len(), 3);
            assert_eq!(found[0], ("1".to_owned(), "x\n\"y\";,".to_owned(), String::new()));
            assert_eq!((found[1].0.as_str(), found[2].2.as_str()), ("", "=1+1"));
        }
        let mut none = Writer::new(Format::Csv, Vec::new(), &[]);
        assert!(!none.push(&Batch::of(&[], &["[]"]), 0).unwrap());
        assert!(none.finish().unwrap().is_empty());
    }
}
