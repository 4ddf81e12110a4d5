//! Files as a source: each is a slice.

use super::Chunk;
use crate::exit::{Exit, Failure};
use crate::jobs::load_records::error::LoadError;
use crate::jobs::load_records::record::{Cell, Record};
use crate::jobs::load_records::slices::Slice;
use crate::source::csv::CsvFile;
use crate::source::dialect::Dialect;
use crate::stop::Stop;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::mpsc;

/// Records in a chunk.
const CHUNK: usize = 500;
/// The longest line of a JSON Lines file, in bytes.
const MAX_LINE: u64 = 16 << 20;

/// CSV or JSON Lines files.
#[derive(Debug, Clone)]
pub(in crate::jobs::load_records) struct Files {
    pub is_csv: bool,
    pub delimiter: Option<u8>,
}

/// The files of a path or a pattern, in order.
pub(in crate::jobs::load_records) fn find(pattern: &Path) -> Result<Vec<String>, Failure> {
    let text = pattern.to_string_lossy();
    let usage = |problem: String| Failure::new(Exit::Usage, format!("source: {text}: {problem}"));
    let found = glob::glob(&text).map_err(|error| usage(format!("not a pattern: {}", error.msg)))?;
    let mut files = Vec::new();
    for path in found {
        let path: PathBuf = path.map_err(|error| usage(error.to_string()))?;
        if path.is_file() {
            let path = std::path::absolute(&path).unwrap_or(path);
            let name =
                path.to_str().ok_or_else(|| usage("a file has a name that is not UTF-8".to_owned()))?;
            files.push(name.to_owned());
        }
    }
    if files.is_empty() {
        return Err(usage("there is no such file".to_owned()));
    }
    files.sort();
    Ok(files)
}

impl Files {
    pub(super) async fn fetch(
        &self,
        slice: &Slice,
        to: mpsc::Sender<Chunk>,
        stop: &Stop,
    ) -> Result<(), LoadError> {
        let path =
            slice.file.clone().ok_or_else(|| LoadError::Settings("a slice names no file".to_owned()))?;
        let (files, stop) = (self.clone(), stop.clone());
        let read = tokio::task::spawn_blocking(move || {
            let send = |records: Vec<Record>| {
                if stop.is_set() {
                    return Err(LoadError::Interrupted);
                }
                // Whoever took them has failed: why is known there.
                Ok(to.blocking_send(Chunk::Records(records)).is_ok())
            };
            if files.is_csv { files.csv(&path, send) } else { json_lines(&path, send) }
        });
        read.await.map_err(|error| LoadError::Refused(format!("a defect while reading a file: {error}")))?
    }

    fn csv(
        &self,
        path: &str,
        send: impl Fn(Vec<Record>) -> Result<bool, LoadError>,
    ) -> Result<(), LoadError> {
        let dialect = Dialect { delimiter: self.delimiter, ..Dialect::default() };
        let wrong = |error: crate::source::SourceError| LoadError::Refused(error.to_string());
        let file = CsvFile::open_as(Path::new(path), path, dialect).map_err(wrong)?;
        let names: Vec<Arc<str>> =
            file.header().names().iter().map(|name| String::from_utf8_lossy(name).trim().into()).collect();
        let mut records = Vec::with_capacity(CHUNK);
        for row in file.rows() {
            let row = row.map_err(wrong)?.map_err(|bad| {
                LoadError::Refused(format!("{path}, line {}: {}", bad.row.line, bad.problem))
            })?;
            let cells = names.iter().enumerate().map(|(place, name)| {
                let text =
                    row.fields.get(place).and_then(|cell| std::str::from_utf8(cell).ok()).unwrap_or_default();
                // An empty cell is no value: CSV has no other way to say so.
                let cell = if text.is_empty() { Cell::Null } else { Cell::Text(text.to_owned()) };
                (Arc::clone(name), cell)
            });
            records.push(Record(cells.collect()));
            if records.len() == CHUNK && !send(std::mem::take(&mut records))? {
                return Ok(());
            }
        }
        if !records.is_empty() {
            send(records)?;
        }
        Ok(())
    }
}

fn json_lines(path: &str, send: impl Fn(Vec<Record>) -> Result<bool, LoadError>) -> Result<(), LoadError> {
    let wrong = |line: u64, problem: &dyn std::fmt::Display| {
        LoadError::Refused(format!("{path}, line {line}: {problem}"))
    };
    let mut lines = BufReader::with_capacity(1 << 16, File::open(path).map_err(|error| wrong(0, &error))?);
    let (mut records, mut line, mut number) = (Vec::<Record>::with_capacity(CHUNK), Vec::new(), 0);
    loop {
        line.clear();
        number += 1;
        let read = (&mut lines)
            .take(MAX_LINE + 1)
            .read_until(b'\n', &mut line)
            .map_err(|error| wrong(number, &error))?;
        if read == 0 {
            break;
        }
        if read as u64 > MAX_LINE {
            return Err(wrong(number, &format!("is longer than {} MiB", MAX_LINE >> 20)));
        }
        let text = line.strip_prefix(b"\xef\xbb\xbf".as_slice()).filter(|_| number == 1).unwrap_or(&line);
        if text.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        // As the filter reads JSON: numbers keep their digits.
        let val = jaq_json::read::parse_single(text).map_err(|error| wrong(number, &error))?;
        let record = Record::of_val(&val, records.last()).map_err(|_| wrong(number, &"is not an object"))?;
        records.push(record);
        if records.len() == CHUNK && !send(std::mem::take(&mut records))? {
            return Ok(());
        }
    }
    if !records.is_empty() {
        send(records)?;
    }
    Ok(())
}
