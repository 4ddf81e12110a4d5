//! What an export has written so far: a file in the run's folder, and a word on how far it is whole.

use crate::cli::choices::ExportFormat;
use crate::exit::{Exit, Failure};
use crate::files;
use crate::journal::atomic;
use crate::journal::run_dir::RunDir;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::HashSet;
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// Pages after which what was written is made durable.
const PAGES_A_SYNC: u32 = 50;

/// How far an export is.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Progress {
    /// Bytes of the file that are whole rows and durable.
    pub bytes: u64,
    /// Objects in them.
    pub rows: u64,
    /// When the last of all objects that were read was created.
    #[serde(default)]
    pub created: Option<String>,
    /// Whether objects have come in the order of their creation: only then may a resume begin after the last.
    pub in_order: bool,
    /// The hash of the whole, once nothing more is to come: it may be in its place already.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
}

/// The file that is being written.
pub(crate) struct Part {
    file: BufWriter<File>,
    path: PathBuf,
    note: PathBuf,
    /// How far it is, what is not durable yet included.
    pub progress: Progress,
    /// The objects in it: 16 bytes each.
    seen: HashSet<u128>,
    pages: u32,
}

fn hash(id: &str) -> u128 {
    let digest: [u8; 32] = Sha256::digest(id.as_bytes()).into();
    let mut half = [0; 16];
    half.copy_from_slice(&digest[..16]);
    u128::from_le_bytes(half)
}

fn failed(path: &Path) -> impl Fn(io::Error) -> Failure {
    move |error| {
        Failure::new(Exit::Unexpected, format!("cannot write {}: {error}", path.display())).because(error)
    }
}

impl Part {
    /// A new file in the run's folder.
    pub(crate) fn create(run: &RunDir) -> Result<Self, Failure> {
        let (path, note) = paths(run);
        let mut options = files::private();
        let file = options.read(true).write(true).create_new(true).open(&path).map_err(failed(&path))?;
        let progress = Progress { in_order: true, ..Progress::default() };
        let file = BufWriter::new(file);
        Ok(Self { file, path, note, progress, seen: HashSet::new(), pages: 0 })
    }

    /// The file that an earlier process began, without what was not durable. Blocks: reads it.
    pub(crate) fn open(run: &RunDir, format: ExportFormat) -> Result<Self, Failure> {
        let (path, note) = paths(run);
        let changed = |error: String| {
            let text = format!("run {} cannot continue: {}: {error}", run.id(), path.display());
            Failure::new(Exit::Changed, text)
        };
        let progress: Progress = match std::fs::read(&note) {
            Ok(json) => serde_json::from_slice(&json).map_err(|error| changed(error.to_string()))?,
            Err(_) => Progress { in_order: true, ..Progress::default() },
        };
        let mut options = files::private();
        let mut file = options
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(|error| changed(error.to_string()))?;
        let length = file.metadata().map_err(|error| changed(error.to_string()))?.len();
        if length < progress.bytes {
            return Err(changed(format!("it has {length} bytes, and {} were written", progress.bytes)));
        }
        file.set_len(progress.bytes).map_err(failed(&path))?;
        let seen = ids(&mut file, format).map_err(|error| changed(error.to_string()))?;
        if seen.len() as u64 != progress.rows {
            return Err(changed(format!(
                "it has {} objects, and {} were written",
                seen.len(),
                progress.rows
            )));
        }
        file.seek(SeekFrom::End(0)).map_err(failed(&path))?;
        Ok(Self { file: BufWriter::new(file), path, note, progress, seen, pages: 0 })
    }

    /// Whether an object is new; it counts as written from now on.
    pub(crate) fn is_new(&mut self, id: &str) -> bool {
        self.seen.insert(hash(id))
    }

    /// Writes whole rows.
    pub(crate) fn write(&mut self, rows: u64, bytes: &[u8]) -> Result<(), Failure> {
        self.file.write_all(bytes).map_err(failed(&self.path))?;
        self.progress.bytes += bytes.len() as u64;
        self.progress.rows += rows;
        Ok(())
    }

    /// Notes that a page is written; every so often, and at the end, that is made durable.
    pub(crate) fn end_page(&mut self) -> Result<(), Failure> {
        self.pages += 1;
        if self.pages.is_multiple_of(PAGES_A_SYNC) { self.sync() } else { Ok(()) }
    }

    /// Makes all of it durable.
    pub(crate) fn sync(&mut self) -> Result<(), Failure> {
        self.file.flush().and_then(|()| self.file.get_ref().sync_all()).map_err(failed(&self.path))?;
        let progress = &self.progress;
        atomic::replace(&self.note, |file| serde_json::to_writer(file, progress).map_err(Into::into))
            .map_err(failed(&self.note))
    }

    /// Notes that nothing more is to come. Returns the SHA-256 of the whole in hex.
    pub(crate) fn seal(&mut self) -> Result<String, Failure> {
        let sha256 = self.copy(&mut io::sink()).map_err(failed(&self.path))?;
        self.progress.sha256 = Some(sha256.clone());
        self.sync()?;
        Ok(sha256)
    }

    /// Copies all of it, and returns its SHA-256 in hex.
    pub(crate) fn copy(&mut self, to: &mut dyn Write) -> io::Result<String> {
        self.file.flush()?;
        let mut file = File::open(&self.path)?;
        let (mut buffer, mut hasher) = (vec![0; 64 << 10], Sha256::new());
        loop {
            let read = file.read(&mut buffer)?;
            if read == 0 {
                return Ok(crate::source::hex(hasher));
            }
            hasher.update(&buffer[..read]);
            to.write_all(&buffer[..read])?;
        }
    }

    /// Removes the file: its content is elsewhere.
    pub(crate) fn remove(self) {
        // It only takes up room.
        let _ = std::fs::remove_file(&self.path);
    }
}

fn paths(run: &RunDir) -> (PathBuf, PathBuf) {
    (run.path().join("export.part"), run.path().join("export.json"))
}

/// The IDs in a file that this tool has written.
fn ids(file: &mut File, format: ExportFormat) -> io::Result<HashSet<u128>> {
    file.seek(SeekFrom::Start(0))?;
    let mut seen = HashSet::new();
    match format {
        ExportFormat::Csv => {
            let mut reader = csv::Reader::from_reader(&*file);
            for record in reader.byte_records() {
                let record = record?;
                let id = record.get(0).unwrap_or_default();
                seen.insert(hash(&String::from_utf8_lossy(crate::report::formula::unguarded(id))));
            }
        }
        ExportFormat::Jsonl => {
            for line in BufReader::new(&*file).lines() {
                let object: Value = serde_json::from_str(&line?)?;
                seen.insert(hash(object["id"].as_str().unwrap_or_default()));
            }
        }
    }
    Ok(seen)
}
