//! Records that are not loaded: kept beside the records of their slice, and in `rejected.jsonl` at the end of the run.

use super::FOLDER;
#[cfg(feature = "kafka")]
use crate::jobs::load_records::positions::Partition;
use crate::jobs::load_records::rules::Broken;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// The records that were not loaded, with the rule that each breaks.
pub(in crate::jobs::load_records) const REJECTED: &str = "rejected.jsonl";

/// `1 record was`, `2 records were`.
pub(in crate::jobs::load_records) fn records_were(count: u64) -> String {
    format!("{} {}", crate::report::units::counted(count, "record"), if count == 1 { "was" } else { "were" })
}

/// A line of `rejected.jsonl`.
#[derive(Debug, Serialize)]
struct RejectedLine<'a> {
    slice: &'a str,
    rule: &'a str,
    field: Option<&'a str>,
    problem: &'a str,
    #[serde(flatten)]
    message: Option<MessageRef<'a>>,
    record: &'a RawValue,
}

/// The message that a record came from.
#[derive(Debug, Clone, Copy, Serialize)]
struct MessageRef<'a> {
    topic: &'a str,
    partition: i64,
    offset: i64,
}

/// From which messages of a partition the records of a stage come.
#[derive(Debug)]
#[cfg_attr(not(feature = "kafka"), allow(dead_code, reason = "only messages have them"))]
pub(super) struct Origins {
    topic: String,
    partition: i64,
    /// Of each message the number of its first record, and its offset.
    starts: Vec<(u64, i64)>,
}

impl Origins {
    /// Those of a partition.
    #[cfg(feature = "kafka")]
    pub(super) fn new(of: &Partition) -> Self {
        Self { topic: of.topic.clone(), partition: of.partition, starts: Vec::new() }
    }

    fn of(&self, number: u64) -> Option<MessageRef<'_>> {
        // A message without records begins where the next one does.
        let after = self.starts.partition_point(|(first, _)| *first <= number);
        let (_, offset) = *self.starts.get(after.checked_sub(1)?)?;
        Some(MessageRef { topic: &self.topic, partition: self.partition, offset })
    }
}

/// Keeps records that are not loaded.
#[derive(Debug)]
pub(in crate::jobs::load_records) struct Rejects {
    path: PathBuf,
    file: Option<BufWriter<File>>,
    slice: String,
    count: u64,
    first: Option<String>,
    /// Where the source has messages.
    origins: Option<Origins>,
}

/// How many records were rejected at a moment.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(in crate::jobs::load_records) struct RejectsMark {
    bytes: u64,
    count: u64,
    first: Option<String>,
}

impl Rejects {
    /// None yet.
    pub(super) fn new(path: PathBuf, slice: String, origins: Option<Origins>) -> Self {
        Self { path, file: None, slice, count: 0, first: None, origins }
    }

    /// Says from which message the records from this number on come.
    #[cfg(feature = "kafka")]
    pub(super) fn of_message(&mut self, first: u64, offset: i64) {
        if let Some(origins) = &mut self.origins {
            origins.starts.push((first, offset));
        }
    }

    /// Those of a slice that was kept, as they were at a moment.
    #[cfg(feature = "clickhouse")]
    pub(in crate::jobs::load_records) fn again(
        path: PathBuf,
        slice: String,
        mark: &RejectsMark,
    ) -> io::Result<Self> {
        let mut rejects = Self { count: u64::MAX, ..Self::new(path, slice, None) };
        if mark.bytes > 0 || rejects.path.exists() {
            rejects.back_to(mark)?;
        }
        rejects.count = mark.count;
        rejects.first.clone_from(&mark.first);
        Ok(rejects)
    }

    /// Keeps a record that is not loaded: the one of this number, from 0, among those that are kept. What is no JSON is kept as
    /// text.
    pub(in crate::jobs::load_records) fn push(
        &mut self,
        record: &str,
        broken: &Broken,
        number: u64,
    ) -> io::Result<()> {
        if self.file.is_none() {
            let file = crate::files::private().create(true).append(true).open(&self.path)?;
            self.file = Some(BufWriter::new(file));
        }
        let Some(file) = &mut self.file else { return Ok(()) };
        let quoted;
        let record: &RawValue = if let Ok(record) = serde_json::from_str(record) {
            record
        } else {
            quoted = serde_json::value::to_raw_value(record)?;
            &quoted
        };
        let line = RejectedLine {
            slice: &self.slice,
            rule: broken.rule,
            field: broken.field.as_deref(),
            problem: &broken.text,
            message: self.origins.as_ref().and_then(|origins| origins.of(number)),
            record,
        };
        serde_json::to_writer(&mut *file, &line)?;
        file.write_all(b"\n")?;
        self.count += 1;
        if self.first.is_none() {
            self.first = Some(broken.to_string());
        }
        Ok(())
    }

    /// How many there are.
    pub(in crate::jobs::load_records) fn count(&self) -> u64 {
        self.count
    }

    /// What the first of them was rejected for.
    pub(in crate::jobs::load_records) fn first(&self) -> Option<&str> {
        self.first.as_deref()
    }

    /// What is kept so far, for [`Rejects::back_to`].
    pub(in crate::jobs::load_records) fn mark(&mut self) -> io::Result<RejectsMark> {
        self.keep()?;
        let bytes = match std::fs::metadata(&self.path) {
            Ok(data) => data.len(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
            Err(error) => return Err(error),
        };
        Ok(RejectsMark { bytes, count: self.count, first: self.first.clone() })
    }

    /// Forgets what was kept since: it was kept by a transaction that came to nothing.
    pub(in crate::jobs::load_records) fn back_to(&mut self, mark: &RejectsMark) -> io::Result<()> {
        if self.count > mark.count {
            self.keep()?;
            File::options().write(true).open(&self.path)?.set_len(mark.bytes)?;
            self.count = mark.count;
            self.first.clone_from(&mark.first);
        }
        Ok(())
    }

    /// Removes them: they were a sample.
    pub(in crate::jobs::load_records) fn remove(&self) {
        // What cannot be removed does no harm.
        let _ = std::fs::remove_file(&self.path);
    }

    /// Writes all of them to the disk.
    pub(in crate::jobs::load_records) fn keep(&mut self) -> io::Result<()> {
        let Some(mut file) = self.file.take() else { return Ok(()) };
        file.flush()?;
        file.get_ref().sync_all()
    }
}

/// Drops what was rejected of messages of a slice from an offset on: they are taken again. Of the others all lines are whole, since
/// they were on the disk before the target had them.
#[cfg(feature = "kafka")]
pub(in crate::jobs::load_records) fn forget_from(
    run: &crate::journal::run_dir::RunDir,
    row: u64,
    next: i64,
) -> io::Result<()> {
    use std::io::{BufRead as _, BufReader};
    #[derive(Deserialize)]
    struct At {
        offset: i64,
    }
    let (_, path) = super::paths(run.path(), row);
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let mut lines = BufReader::with_capacity(1 << 16, file);
    let (mut line, mut kept, mut place) = (Vec::new(), 0, 0);
    // The lines of a batch are in the order in which they were rejected, and those of batches follow each other.
    while lines.read_until(b'\n', &mut line)? > 0 {
        place += line.len() as u64;
        let is_before = serde_json::from_slice::<At>(&line).is_ok_and(|at| at.offset < next);
        if !is_before || line.last() != Some(&b'\n') {
            break;
        }
        kept = place;
        line.clear();
    }
    let file = File::options().write(true).open(&path)?;
    if file.metadata()?.len() > kept {
        file.set_len(kept)?;
        file.sync_all()?;
    }
    Ok(())
}

/// Writes `rejected.jsonl` of what each slice of a run has left, in the order of the slices.
pub(in crate::jobs::load_records) fn collect(run: &Path) -> Result<(), String> {
    let folder = run.join(FOLDER);
    let row = |path: &Path| path.file_name()?.to_str()?.strip_suffix(".rejected.jsonl")?.parse::<u64>().ok();
    let mut parts: Vec<(u64, PathBuf)> = match std::fs::read_dir(&folder) {
        Ok(entries) => entries
            .filter_map(|entry| entry.ok().map(|entry| entry.path()))
            .filter_map(|path| Some((row(&path)?, path)))
            .collect(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(format!("cannot read {}: {error}", folder.display())),
    };
    parts.sort();
    let path = run.join(REJECTED);
    if parts.is_empty() {
        return match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(format!("cannot remove {}: {error}", path.display()))
            }
            _ => Ok(()),
        };
    }
    let copy = |to: &mut dyn Write| {
        parts.iter().try_for_each(|(_, part)| io::copy(&mut File::open(part)?, to).map(drop))
    };
    crate::journal::atomic::replace(&path, |file| copy(file))
        .map_err(|error| format!("cannot write {}: {error}", path.display()))
}
