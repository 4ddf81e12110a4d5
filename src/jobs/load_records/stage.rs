//! A slice as it was fetched and transformed: kept in the run's folder until the target has it, so that no transaction of the
//! target waits for the network. It need not outlive a crash: what is not loaded is fetched again.
//!
//! A line is an array of cells, or an object `{"columns": [...]}` that says what the cells of the next lines are.

mod rejects;

#[cfg(feature = "kafka")]
pub(super) use rejects::forget_from;
pub(super) use rejects::{REJECTED, Rejects, RejectsMark, collect, records_were};

#[cfg(feature = "kafka")]
use super::positions::Partition;
use super::record::Record;
use super::rules::Broken;
use crate::journal::run_dir::RunDir;
use rejects::Origins;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

/// The folder of a run's slices.
pub(super) const FOLDER: &str = "slices";
/// A bound for a batch, in bytes.
const MAX_BATCH_BYTES: usize = 1 << 20;

/// Why a target that takes JSON does not take a record.
pub(super) fn not_json(record: &Record) -> Option<Broken> {
    let (name, _) = record.0.iter().find(|(_, cell)| !cell.is_json())?;
    let text = "it is not JSON: a number in it is infinite, or none".to_owned();
    Some(Broken { rule: "target", field: Some(name.to_string()), text })
}

/// Where it is written down what was sent of a slice, beside its records.
pub(super) fn sent_path(stage: &Path) -> PathBuf {
    stage.with_extension("sent.jsonl")
}

/// Where a slice is kept, by its row.
pub(super) fn paths(run: &Path, row: u64) -> (PathBuf, PathBuf) {
    let folder = run.join(FOLDER);
    (folder.join(format!("{row}.jsonl")), folder.join(format!("{row}.rejected.jsonl")))
}

/// Keeps records.
#[derive(Debug)]
pub(super) struct StageWriter {
    path: PathBuf,
    file: BufWriter<File>,
    columns: Vec<String>,
    /// Those of all records.
    all: Vec<String>,
    rejected: Rejects,
    records: u64,
    outside: u64,
    line: Vec<u8>,
    /// Whether cells are kept as JSON has them, and not as a database takes them.
    pub as_json: bool,
}

/// A slice that is whole.
#[derive(Debug)]
pub(super) struct Stage {
    path: PathBuf,
    /// The columns of all its records.
    pub columns: Vec<String>,
    /// Its records.
    pub records: u64,
    /// Records whose date is outside.
    pub outside: u64,
    /// Those that are not loaded.
    pub rejected: Rejects,
    /// Where what the slice changes is kept, if it is to be.
    pub undo: Option<PathBuf>,
}

/// Records that are written together; all have the same columns.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Batch {
    /// The number of its first record, from 0.
    pub first: u64,
    /// The names of the columns.
    pub columns: Vec<String>,
    /// The rows, a JSON array of cells each, with a line break after it.
    text: String,
    /// Where each ends.
    ends: Vec<usize>,
}

impl StageWriter {
    /// Begins a slice anew, that of this row.
    pub(super) fn create(run: &RunDir, row: u64, slice: String) -> io::Result<Self> {
        Self::create_in(run.path(), row, slice)
    }

    /// The same for a run that is only a folder yet.
    pub(super) fn create_in(run: &Path, row: u64, slice: String) -> io::Result<Self> {
        let (path, rejected) = paths(run, row);
        for old in [&rejected, &sent_path(&path)] {
            match std::fs::remove_file(old) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Self::begin(run, row, slice, None)
    }

    /// Begins with messages of a slice that come after others; what was rejected of those stays.
    #[cfg(feature = "kafka")]
    pub(super) fn go_on(run: &RunDir, row: u64, slice: String, of: &Partition) -> io::Result<Self> {
        Self::begin(run.path(), row, slice, Some(Origins::new(of)))
    }

    fn begin(run: &Path, row: u64, slice: String, origins: Option<Origins>) -> io::Result<Self> {
        let (path, rejected) = paths(run, row);
        std::fs::create_dir_all(run.join(FOLDER))?;
        let file = crate::files::private().create(true).truncate(true).write(true).open(&path)?;
        let rejected = Rejects::new(rejected, slice, origins);
        Ok(Self {
            path,
            file: BufWriter::with_capacity(1 << 16, file),
            columns: Vec::new(),
            all: Vec::new(),
            rejected,
            records: 0,
            outside: 0,
            line: Vec::new(),
            as_json: false,
        })
    }

    /// Keeps a record.
    pub(super) fn push(&mut self, record: &Record) -> io::Result<()> {
        if self.as_json
            && let Some(broken) = not_json(record)
        {
            return self.reject(&record.text(), &broken);
        }
        self.line.clear();
        if self.records == 0
            || !self.columns.iter().map(String::as_str).eq(record.0.iter().map(|(name, _)| &**name))
        {
            self.columns = record.0.iter().map(|(name, _)| name.to_string()).collect();
            serde_json::to_writer(&mut self.line, &serde_json::json!({ "columns": self.columns }))?;
            self.line.push(b'\n');
            for name in &self.columns {
                if !self.all.contains(name) {
                    self.all.push(name.clone());
                }
            }
        }
        for (index, (_, cell)) in record.0.iter().enumerate() {
            self.line.push(if index == 0 { b'[' } else { b',' });
            if self.as_json { cell.write_json(&mut self.line) } else { cell.write(&mut self.line) }
        }
        if record.0.is_empty() {
            self.line.push(b'[');
        }
        self.line.extend_from_slice(b"]\n");
        self.records += 1;
        self.file.write_all(&self.line)
    }

    /// Keeps a record that breaks a rule.
    pub(super) fn reject(&mut self, record: &str, broken: &Broken) -> io::Result<()> {
        self.rejected.push(record, broken, self.records)
    }

    /// Says from which message the next records come.
    #[cfg(feature = "kafka")]
    pub(super) fn of_message(&mut self, offset: i64) {
        self.rejected.of_message(self.records, offset);
    }

    /// Counts a record of another slice.
    pub(super) fn outside(&mut self) {
        self.outside += 1;
    }

    /// What is rejected so far.
    #[cfg(feature = "kafka")]
    pub(super) fn mark(&mut self) -> io::Result<RejectsMark> {
        self.rejected.mark()
    }

    /// Forgets what was rejected since.
    #[cfg(feature = "kafka")]
    pub(super) fn back_to(&mut self, mark: &RejectsMark) -> io::Result<()> {
        self.rejected.back_to(mark)
    }

    /// Records so far, rejected ones included.
    pub(super) fn count(&self) -> u64 {
        self.records + self.rejected.count()
    }

    /// Ends the slice.
    pub(super) fn finish(mut self) -> io::Result<Stage> {
        self.file.flush()?;
        let Self { path, all: columns, rejected, records, outside, .. } = self;
        Ok(Stage { path, columns, records, outside, rejected, undo: None })
    }
}

impl Stage {
    /// A slice that was kept.
    #[cfg(feature = "clickhouse")]
    pub(super) fn again(
        path: PathBuf,
        columns: Vec<String>,
        (records, outside): (u64, u64),
        rejected: Rejects,
    ) -> Self {
        Self { path, columns, records, outside, rejected, undo: None }
    }

    /// The records, so many together.
    pub(super) fn batches(&self, size: usize) -> io::Result<Batches> {
        Ok(Batches {
            lines: BufReader::with_capacity(1 << 16, File::open(&self.path)?),
            size,
            bytes: MAX_BATCH_BYTES,
            columns: Vec::new(),
            line: String::new(),
            next: 0,
        })
    }

    /// What its records take on the disk, in bytes.
    pub(super) fn bytes(&self) -> io::Result<u64> {
        std::fs::metadata(&self.path).map(|data| data.len())
    }

    /// Where its records are.
    #[cfg(feature = "clickhouse")]
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Removes the records: the target has them.
    pub(super) fn remove(&self) {
        // What cannot be removed does no harm: the ledger has the slice.
        let _ = std::fs::remove_file(sent_path(&self.path));
        let _ = std::fs::remove_file(&self.path);
    }
}

/// See [`Stage::batches`].
#[derive(Debug)]
pub(super) struct Batches {
    lines: BufReader<File>,
    size: usize,
    bytes: usize,
    columns: Vec<String>,
    /// A line that begins other columns, read ahead.
    line: String,
    /// The number of the next record.
    next: u64,
}

impl Batches {
    /// From now on so many together, and so many bytes.
    #[cfg(feature = "clickhouse")]
    pub(super) fn together(&mut self, size: usize, bytes: usize) {
        (self.size, self.bytes) = (size, bytes);
    }

    /// The next records; none at the end.
    pub(super) fn next(&mut self) -> io::Result<Option<Batch>> {
        #[derive(Deserialize)]
        struct Columns {
            columns: Vec<String>,
        }
        let mut batch = Batch { first: self.next, ..Batch::default() };
        while batch.len() < self.size && batch.text.len() < self.bytes {
            let start = batch.text.len();
            if self.line.is_empty() {
                if self.lines.read_line(&mut batch.text)? == 0 {
                    break;
                }
            } else {
                batch.text.push_str(&std::mem::take(&mut self.line));
            }
            let line = batch.text.get(start..).unwrap_or_default();
            if !line.starts_with('{') {
                let end = start + line.trim_end().len();
                batch.text.truncate(end);
                batch.text.push('\n');
                batch.ends.push(end);
                continue;
            }
            let line = batch.text.split_off(start);
            if batch.len() > 0 {
                self.line = line;
                break;
            }
            self.columns = serde_json::from_str::<Columns>(&line)?.columns;
        }
        batch.columns.clone_from(&self.columns);
        self.next += batch.len() as u64;
        Ok(Some(batch).filter(|batch| batch.len() > 0))
    }
}

/// Finds records of a slice by their number, each after the one before.
#[derive(Debug)]
pub(super) struct Finder {
    batches: Batches,
    batch: Batch,
    /// The number of the batch's first record.
    first: u64,
}

impl Finder {
    /// Finds records of this slice, from the first on.
    pub(super) fn new(stage: &Stage) -> io::Result<Self> {
        Ok(Self { batches: stage.batches(1000)?, batch: Batch::default(), first: 0 })
    }

    /// A record as a JSON object; the first has the number 0.
    pub(super) fn object(&mut self, number: u64) -> io::Result<String> {
        loop {
            let place = usize::try_from(number.saturating_sub(self.first)).unwrap_or(usize::MAX);
            if place < self.batch.len() {
                return Ok(self.batch.object(place));
            }
            self.first += self.batch.len() as u64;
            self.batch = self.batches.next()?.ok_or(io::ErrorKind::UnexpectedEof)?;
        }
    }
}

impl Batch {
    /// A batch of these rows.
    #[cfg(test)]
    pub(super) fn of(columns: &[&str], rows: &[&str]) -> Self {
        let mut batch =
            Self { columns: columns.iter().map(ToString::to_string).collect(), ..Self::default() };
        for row in rows {
            batch.text.push_str(row);
            batch.ends.push(batch.text.len());
            batch.text.push('\n');
        }
        batch
    }

    /// How many rows there are.
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// A row; empty where there is none.
    fn row(&self, row: usize) -> &str {
        self.ends.get(row).and_then(|end| self.text.get(self.start(row)..*end)).unwrap_or_default()
    }

    /// Where a row begins.
    fn start(&self, row: usize) -> usize {
        row.checked_sub(1).and_then(|before| self.ends.get(before)).map_or(0, |end| end + 1)
    }

    /// The rows.
    pub(super) fn rows(&self) -> impl Iterator<Item = &str> {
        (0..self.len()).map(|row| self.row(row))
    }

    /// These rows, with a line break after each but perhaps the last.
    #[cfg(feature = "clickhouse")]
    pub(super) fn lines(&self, rows: std::ops::Range<usize>) -> &str {
        let end = rows.end.checked_sub(1).and_then(|last| self.ends.get(last)).copied().unwrap_or_default();
        self.text.get(self.start(rows.start)..end).unwrap_or_default()
    }

    /// A row as a JSON object, for people and `rejected.jsonl`.
    pub(super) fn object(&self, row: usize) -> String {
        let cells: Vec<&RawValue> = serde_json::from_str(self.row(row)).unwrap_or_default();
        let members: Vec<String> = self
            .columns
            .iter()
            .zip(cells)
            .map(|(name, cell)| format!("{}:{}", serde_json::Value::from(name.as_str()), cell.get()))
            .collect();
        format!("{{{}}}", members.join(","))
    }

    /// A row's cells as text, `None` for null.
    pub(super) fn cells(&self, row: usize) -> Vec<Option<Cow<'_, str>>> {
        let cells: Vec<&RawValue> = serde_json::from_str(self.row(row)).unwrap_or_default();
        let text = |cell: &&'_ RawValue| -> Option<Cow<'_, str>> {
            match cell.get() {
                "null" => None,
                text if text.starts_with('"') => {
                    Some(Cow::Owned(serde_json::from_str(text).unwrap_or_default()))
                }
                text => Some(Cow::Owned(text.to_owned())),
            }
        };
        cells.iter().map(text).collect()
    }

    /// All rows as one JSON array.
    pub(super) fn json(&self, rows: std::ops::Range<usize>) -> String {
        let mut json = String::with_capacity(self.start(rows.end) - self.start(rows.start) + 2);
        json.push('[');
        for (index, row) in rows.enumerate() {
            if index > 0 {
                json.push(',');
            }
            json.push_str(self.row(row));
        }
        json.push(']');
        json
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(json: &serde_json::Value) -> Record {
        Record::of_json(json.as_object().unwrap())
    }

    #[test]
    fn records_come_back_in_batches_of_like_columns() {
        let folder = tempfile::tempdir().unwrap();
        let run = RunDir::create(folder.path(), "load", chrono::Utc::now()).unwrap();
        let mut stage = StageWriter::create(&run, 3, "s".to_owned()).unwrap();
        for n in 0..5 {
            stage.push(&record(&serde_json::json!({"a": n, "b": "x\n\u{2028}"}))).unwrap();
        }
        stage.push(&record(&serde_json::json!({"a": null}))).unwrap();
        stage.push(&record(&serde_json::json!({}))).unwrap();
        let broken = Broken { rule: "min", field: Some("a".to_owned()), text: "too small".to_owned() };
        stage.reject(r#"{"a":-1}"#, &broken).unwrap();
        stage.outside();
        let mut stage = stage.finish().unwrap();
        assert_eq!((stage.records, stage.outside, stage.rejected.count()), (7, 1, 1));
        let mut batches = stage.batches(2).unwrap();
        let mut sizes = Vec::new();
        while let Some(batch) = batches.next().unwrap() {
            sizes.push((batch.columns.len(), batch.len()));
            if sizes.len() == 1 {
                assert_eq!(batch.object(1), "{\"a\":1,\"b\":\"x\\n\u{2028}\"}");
                assert_eq!(batch.cells(1)[1].as_deref(), Some("x\n\u{2028}"));
                assert_eq!(batch.json(0..2).matches("x\\n").count(), 2);
            }
        }
        assert_eq!(sizes, [(2, 2), (2, 2), (2, 1), (1, 1), (0, 1)]);
        assert_eq!(stage.columns, ["a", "b"]);
        let mut finder = Finder::new(&stage).unwrap();
        assert_eq!(finder.object(1).unwrap(), "{\"a\":1,\"b\":\"x\\n\u{2028}\"}");
        assert_eq!(finder.object(5).unwrap(), "{\"a\":null}");
        assert_eq!(finder.object(6).unwrap(), "{}");
        assert!(finder.object(7).is_err());
        let mark = stage.rejected.mark().unwrap();
        stage.rejected.push("{}", &broken, 0).unwrap();
        stage.rejected.back_to(&mark).unwrap();
        assert_eq!(stage.rejected.count(), 1);
        stage.rejected.keep().unwrap();
        collect(run.path()).unwrap();
        let rejected = std::fs::read_to_string(run.path().join(REJECTED)).unwrap();
        assert_eq!(
            rejected,
            "{\"slice\":\"s\",\"rule\":\"min\",\"field\":\"a\",\"problem\":\"too small\",\"record\":{\"a\":-1}}\n"
        );
    }
}
