//! `plan.jsonl`: every change that a dry run planned, in the order of the rows; and the copy of it that the run keeps
//! which carries it out.

use super::atomic;
use super::error::JournalError;
use super::ordered::{Word, Words};
use super::run_dir::RunDir;
use crate::source::hex;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// Of so many lines one is known by its place: so many are read for one at the most.
const STRIDE: u64 = 64;

/// A line of `plan.jsonl`.
#[derive(Debug, Serialize, Deserialize)]
pub struct PlanLine<'a> {
    /// The row that the change is written down under.
    pub row: u64,
    /// The object's ID as people know it.
    #[serde(borrow)]
    pub key: Cow<'a, str>,
    /// The change.
    #[serde(borrow)]
    pub change: &'a RawValue,
}

impl PlanLine<'_> {
    /// Writes the line.
    pub fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        serde_json::to_writer(&mut *out, self)?;
        out.write_all(b"\n")
    }
}

/// What a plan amounts to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copied {
    /// The rows that it is about; a change of two rows counts twice.
    pub rows: u64,
    /// The SHA-256 of the file, in hex.
    pub sha256: String,
}

/// Writes the plan that a dry run's journal has into the folder of the run that carries it out. The dry run's own
/// `plan.jsonl` is not looked at: it is the same, unless somebody has changed it since.
///
/// Fails when the journal cannot be read or the file not be written.
pub fn copy(from: &RunDir, to: &RunDir) -> Result<Copied, JournalError> {
    let mut words = Words::read(from)?;
    let mut rows = 0;
    let mut unread = None;
    let path = to.plan();
    let mut hash = Sha256::new();
    let copied = atomic::replace(&path, |file| {
        let mut line = Vec::new();
        for word in &mut words {
            let (row, word) = word.map_err(|error| {
                unread = Some(error);
                io::Error::other("the journal cannot be read")
            })?;
            let Word::Planned { key, change } = word else { continue };
            rows += 1;
            if let Some(change) = change {
                line.clear();
                PlanLine { row, key: key.into(), change: &change }.write(&mut line)?;
                hash.update(&line);
                file.write_all(&line)?;
            }
        }
        Ok(())
    });
    match (copied, unread) {
        (Ok(()), _) => Ok(Copied { rows, sha256: hex(hash) }),
        (Err(_), Some(error)) => Err(error),
        (Err(error), None) => Err(JournalError::io("write", &path)(error)),
    }
}

/// A plan that is looked things up in. Memory: 16 bytes for every 64 lines.
#[derive(Debug)]
pub struct PlanFile {
    path: PathBuf,
    file: BufReader<File>,
    /// The row of every 64th line, and where that line begins.
    marks: Vec<(u64, u64)>,
    /// The line that was read last, and its row; 0 before the first.
    line: Vec<u8>,
    last: u64,
    /// Where the next line begins.
    at: u64,
}

impl PlanFile {
    /// Opens a plan; reads it once.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = BufReader::with_capacity(64 << 10, File::open(path)?);
        let path = path.to_owned();
        let mut plan = Self { path, file, marks: Vec::new(), line: Vec::new(), last: 0, at: 0 };
        let mut number = 0;
        loop {
            let (start, before) = (plan.at, plan.last);
            let Some(row) = plan.next_line()? else { return Ok(plan) };
            if row <= before {
                return Err(plan.wrong(&format!("row {row} stands after row {before}")));
            }
            if number % STRIDE == 0 {
                plan.marks.push((row, start));
            }
            number += 1;
        }
    }

    /// The change that is planned under this row, if there is one.
    pub fn change(&mut self, row: u64) -> io::Result<Option<Box<RawValue>>> {
        let after = self.marks.partition_point(|(first, _)| *first <= row);
        let Some((_, start)) = after.checked_sub(1).and_then(|mark| self.marks.get(mark)).copied() else {
            return Ok(None);
        };
        // Asked in order, nothing is read twice: the line that was read last may be the one, or stand before it.
        if row < self.last || self.at < start {
            self.file.seek(SeekFrom::Start(start))?;
            (self.at, self.last) = (start, 0);
        }
        while self.last < row {
            if self.next_line()?.is_none() {
                return Ok(None);
            }
        }
        Ok(if self.last == row { self.parsed()?.map(|line| line.change.to_owned()) } else { None })
    }

    /// Reads the next line.
    fn next_line(&mut self) -> io::Result<Option<u64>> {
        self.line.clear();
        self.at += self.file.read_until(b'\n', &mut self.line)? as u64;
        let row = self.parsed()?.map(|line| line.row);
        // Past the end, any other row is looked for again.
        self.last = row.unwrap_or(u64::MAX);
        Ok(row)
    }

    /// The line that was read last; none at the end of the file.
    fn parsed(&self) -> io::Result<Option<PlanLine<'_>>> {
        if self.line.is_empty() {
            return Ok(None);
        }
        serde_json::from_slice(&self.line).map(Some).map_err(|error| self.wrong(&error.to_string()))
    }

    fn wrong(&self, what: &str) -> io::Error {
        io::Error::other(format!("{}: {what}", self.path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::record::{Outcome, Record, Rows, State};
    use crate::journal::writer::Journal;
    use chrono::Utc;

    fn raw(text: &str) -> Box<RawValue> {
        RawValue::from_string(text.to_owned()).unwrap()
    }

    fn planned(rows: impl Into<Rows>) -> Record {
        let rows = rows.into();
        Record::Planned {
            rows,
            key: format!("k\"{}", rows.row),
            change: raw(&format!("{{\"n\":{}}}", rows.row)),
        }
    }

    async fn dry_run(folder: &Path, records: Vec<Record>) -> (RunDir, RunDir) {
        let run = RunDir::create(folder, "x", Utc::now()).unwrap();
        let journal = Journal::create(&run).unwrap();
        journal.append(records).await.unwrap();
        journal.close().await.unwrap();
        (run, RunDir::create(folder, "x", Utc::now()).unwrap())
    }

    #[tokio::test]
    async fn every_planned_change_is_found_by_its_row_in_any_order() {
        let folder = tempfile::tempdir().unwrap();
        let rows = (1..=1000_u64).filter(|row| row % 3 != 0);
        let mut records: Vec<_> = rows.clone().map(planned).collect();
        records.push(planned(Rows { row: 2001, also: Some(2500) }));
        records.push(Record::Outcome {
            rows: 3.into(),
            key: "k".into(),
            outcome: Outcome::of(State::Skipped, "x", ""),
        });
        let (from, to) = dry_run(folder.path(), records).await;
        let copied = copy(&from, &to).unwrap();
        assert_eq!(copied.rows, 667 + 2);
        assert_eq!(copied.sha256, crate::source::fingerprint(&to.plan()).unwrap().sha256);
        let mut plan = PlanFile::open(&to.plan()).unwrap();
        let asked = (0..=1001).chain((0..=1001).rev()).chain([2000, 2001, 2500, 2001, u64::MAX, 2001, 1]);
        for row in asked {
            let is_planned = row == 2001 || (1..=1000).contains(&row) && row % 3 != 0;
            let change = plan.change(row).unwrap().map(|change| change.get().to_owned());
            assert_eq!(change, is_planned.then(|| format!("{{\"n\":{row}}}")), "{row}");
        }
    }

    #[tokio::test]
    async fn an_empty_plan_has_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = dry_run(folder.path(), Vec::new()).await;
        assert_eq!(copy(&from, &to).unwrap().rows, 0);
        assert!(PlanFile::open(&to.plan()).unwrap().change(1).unwrap().is_none());
    }

    #[test]
    fn what_is_no_plan_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("plan.jsonl");
        let line = |row: u64| format!("{{\"row\":{row},\"key\":\"k\",\"change\":1}}\n");
        for text in ["{", "\0\n", "{\"row\":1}\n", &(line(2) + &line(1)), &(line(1) + &line(1)), "\n"] {
            std::fs::write(&path, text).unwrap();
            let error = PlanFile::open(&path).unwrap_err().to_string();
            assert!(error.contains("plan.jsonl: "), "{text:?}: {error}");
        }
    }
}
