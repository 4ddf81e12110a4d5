//! A slice that is sent in batches to a target without transactions: fixed before the first of them is sent, since after a crash
//! the very same have to be sent again. Its records are on the disk as they are sent; beside them is written down what they
//! are, and before each batch which records it has. All records before the last batch that stands there are settled; that one
//! may be in the target, or not; none after it is.

use super::slices::Slice;
use super::stage::{Rejects, RejectsMark, Stage, paths, sent_path};
use crate::files;
use crate::source::hex;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

/// What is sent of a slice: the first line of what is written down.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Head {
    /// The slice.
    pub slice: String,
    /// The run that fixed it.
    pub run: String,
    /// The columns of all its records.
    pub columns: Vec<String>,
    /// Its records.
    pub records: u64,
    /// Records of other dates.
    pub outside: u64,
    /// Whether it ended in the future.
    pub open: bool,
    /// The bytes of the file with its records.
    bytes: u64,
    /// Their hash.
    hash: String,
    rejects: RejectsMark,
}

/// A batch that is about to be sent.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Step {
    from: u64,
    to: u64,
    /// When, in seconds since 1970.
    at: i64,
    /// What was rejected by then.
    rejects: RejectsMark,
    /// The records before it that the target has refused since the batch before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    refused: Vec<u64>,
}

/// What was sent of a slice.
#[derive(Debug)]
pub(super) struct Sent {
    path: PathBuf,
    file: File,
    /// What it is.
    pub head: Head,
    /// The batch that was sent last, and when.
    pub last: Option<(Range<u64>, i64)>,
    /// The records that the target has refused.
    pub refused: BTreeSet<u64>,
    /// Those that are not written down yet.
    new: Vec<u64>,
}

/// A slice of which something was sent, and whose batches cannot be sent again.
#[derive(Debug)]
pub(super) struct Unusable {
    /// What is wrong.
    pub why: String,
    /// Whether something may be in the target.
    pub was_sent: bool,
}

/// Writes the records of a slice as they will be sent, in place of those that are there.
#[derive(Debug)]
pub(super) struct Fixer {
    path: PathBuf,
    file: BufWriter<File>,
    columns: Vec<String>,
    hash: Sha256,
    bytes: u64,
    records: u64,
}

impl Fixer {
    /// Begins.
    pub(super) fn create(stage: &Stage) -> io::Result<Self> {
        let path = stage.path().with_extension("fixing");
        let file = files::private().create(true).truncate(true).write(true).open(&path)?;
        let file = BufWriter::with_capacity(1 << 16, file);
        Ok(Self { path, file, columns: Vec::new(), hash: Sha256::new(), bytes: 0, records: 0 })
    }

    /// Adds so many records, a JSON array of cells each, with a line break after it.
    pub(super) fn push(&mut self, columns: &[String], lines: &str, records: u64) -> io::Result<()> {
        if records > 0 && (self.records == 0 || self.columns != columns) {
            self.columns = columns.to_vec();
            let line = serde_json::json!({ "columns": columns }).to_string();
            self.write(&line)?;
            self.write("\n")?;
        }
        self.records += records;
        self.write(lines)
    }

    fn write(&mut self, text: &str) -> io::Result<()> {
        self.hash.update(text);
        self.bytes += text.len() as u64;
        self.file.write_all(text.as_bytes())
    }

    /// Puts them in their place; all is on the disk when this returns.
    pub(super) fn finish(
        mut self,
        run: &str,
        slice: &Slice,
        open: bool,
        stage: &mut Stage,
    ) -> io::Result<Sent> {
        self.file.flush()?;
        self.file.get_ref().sync_all()?;
        std::fs::rename(&self.path, stage.path())?;
        stage.records = self.records;
        let head = Head {
            slice: slice.id(),
            run: run.to_owned(),
            columns: stage.columns.clone(),
            records: self.records,
            outside: stage.outside,
            open,
            bytes: self.bytes,
            hash: hex(self.hash),
            rejects: stage.rejected.mark()?,
        };
        let path = sent_path(stage.path());
        let beside = path.with_extension("beside");
        let mut file = files::private().create(true).truncate(true).write(true).open(&beside)?;
        file.write_all(format!("{}\n", serde_json::to_string(&head)?).as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&beside, &path)?;
        files::sync_folder(files::folder_of(&path))?;
        Ok(Sent { path, file, head, last: None, refused: BTreeSet::new(), new: Vec::new() })
    }
}

impl Sent {
    /// What was sent of a slice, if it was fixed; the inner error says why its batches cannot be sent again.
    pub(super) fn open(stage: &Path) -> io::Result<Option<Result<Self, Unusable>>> {
        let path = sent_path(stage);
        let text = match std::fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        // A line that a crash has torn off is of a batch that was not sent.
        let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        let text = text.get(..whole).unwrap_or_default();
        let mut lines = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let head = lines.next().and_then(|line| serde_json::from_slice::<Head>(line).ok());
        let steps: Option<Vec<Step>> = lines.map(|line| serde_json::from_slice(line).ok()).collect();
        let (Some(head), Some(steps)) = (head, steps) else {
            let why = format!("{} cannot be read", path.display());
            return Ok(Some(Err(Unusable { why, was_sent: true })));
        };
        let was_sent = !steps.is_empty();
        if let Some(why) = other(stage, &head)? {
            return Ok(Some(Err(Unusable { why, was_sent })));
        }
        let mut file = files::private().write(true).open(&path)?;
        file.set_len(whole as u64)?;
        io::Seek::seek(&mut file, io::SeekFrom::End(0))?;
        let last = steps.last().map(|step| (step.from..step.to, step.at));
        let rejects = steps.last().map(|step| step.rejects.clone());
        let refused = steps.into_iter().flat_map(|step| step.refused).collect();
        let head = Head { rejects: rejects.unwrap_or_else(|| head.rejects.clone()), ..head };
        Ok(Some(Ok(Self { path, file, head, last, refused, new: Vec::new() })))
    }

    /// Writes down that these records are about to be sent. It is on the disk when this returns.
    pub(super) fn begin(&mut self, range: &Range<u64>, rejected: &mut Rejects) -> io::Result<()> {
        let at = chrono::Utc::now().timestamp();
        let refused = std::mem::take(&mut self.new);
        let step = Step { from: range.start, to: range.end, at, rejects: rejected.mark()?, refused };
        self.file.write_all(format!("{}\n", serde_json::to_string(&step)?).as_bytes())?;
        self.file.sync_data()?;
        self.last = Some((range.clone(), at));
        Ok(())
    }

    /// Notes that the target refuses a record.
    pub(super) fn refuse(&mut self, record: u64) {
        self.refused.insert(record);
        self.new.push(record);
    }

    /// What tells a batch from all others, and is the same whenever it is sent: which records it has of which.
    pub(super) fn token(&self, load: &str, range: &Range<u64>) -> String {
        let mut hash = Sha256::new();
        let Range { start, end } = range;
        let Head { run, slice, hash: all, .. } = &self.head;
        for part in [load, run, slice, all, &start.to_string(), &end.to_string()] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        hex(hash)
    }
}

/// A slice that was fixed, as it was then.
pub(super) fn again(
    run: &Path,
    row: u64,
    slice: &Slice,
) -> io::Result<Option<Result<(Stage, bool), Unusable>>> {
    let (path, rejected) = paths(run, row);
    let sent = match Sent::open(&path)? {
        None => return Ok(None),
        Some(Err(unusable)) => return Ok(Some(Err(unusable))),
        Some(Ok(sent)) => sent,
    };
    let Sent { head, last, path: of, .. } = sent;
    if head.slice != slice.id() {
        let why = format!("{} is of another slice", of.display());
        return Ok(Some(Err(Unusable { why, was_sent: last.is_some() })));
    }
    let rejected = Rejects::again(rejected, slice.name(), &head.rejects)?;
    let stage = Stage::again(path, head.columns, (head.records, head.outside), rejected);
    Ok(Some(Ok((stage, head.open))))
}

/// What is not as the first line says of the records.
fn other(stage: &Path, head: &Head) -> io::Result<Option<String>> {
    let file = match File::open(stage) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok(Some(format!("{} is gone", stage.display())));
        }
        Err(error) => return Err(error),
    };
    let (mut hash, mut bytes) = (Sha256::new(), 0_u64);
    let (mut file, mut buffer) = (BufReader::new(file), vec![0; 1 << 16]);
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            break;
        }
        bytes += read as u64;
        hash.update(buffer.get(..read).unwrap_or_default());
    }
    if bytes != head.bytes || hex(hash) != head.hash {
        return Ok(Some(format!("{} is not as it was when it was sent", stage.display())));
    }
    Ok(None)
}
