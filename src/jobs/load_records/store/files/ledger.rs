//! The ledger of files: a JSON object per line, appended and synced after a file has its name.
//!
//! A line that a crash has torn off is ignored, and taken away by whoever writes next.

use super::{failed, unreadable};
use crate::jobs::load_records::error::LoadError;
use crate::jobs::load_records::ledger::{self, Entry, TABLE};
use crate::stop::Stop;
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, HashSet};
use std::fs::{File, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tempfile::NamedTempFile;

/// How files begin that have not got their name yet; the run follows.
const PREFIX: &str = ".devrev-batch-";
/// Between two tries for the lock.
const PAUSE: Duration = Duration::from_millis(20);

/// A line.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Line {
    /// The load.
    pub load: String,
    /// The slice; none for the file of all slices.
    pub slice: Option<String>,
    /// The slice for people.
    pub name: String,
    /// The file, from the folder that the target is in.
    pub file: String,
    /// See [`Entry`].
    pub digest: String,
    pub rows: u64,
    pub rejected: u64,
    pub run: String,
    pub open: bool,
    /// Whether the file is there; else the load is about to write it, and whatever is there by its name is the load's.
    pub is_whole: bool,
    /// Whether the slice is no longer said to be loaded; its file stays.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_forgotten: bool,
    /// When that was.
    pub at: String,
}

impl Line {
    /// What the ledger of any target says.
    pub(super) fn entry(&self) -> Entry {
        Entry {
            slice: self.slice.clone().unwrap_or_default(),
            digest: self.digest.clone(),
            rows: self.rows,
            rejected: self.rejected,
            run: self.run.clone(),
            open: self.open,
        }
    }

    /// The same with its name and time.
    pub(super) fn line(&self) -> ledger::Line {
        ledger::Line { entry: self.entry(), name: self.name.clone(), at: self.at.clone(), begun: false }
    }
}

/// What the lines say together: the last one of a slice counts.
#[derive(Debug, Default, Clone)]
pub(super) struct Lines {
    entries: HashMap<(String, String), Line>,
    owners: HashMap<String, Line>,
    /// Bytes that were read: whole lines.
    bytes: u64,
}

impl Lines {
    /// The slice of a load that is loaded.
    pub(super) fn entry(&self, load: &str, slice: &str) -> Option<&Line> {
        self.entries.get(&(load.to_owned(), slice.to_owned()))
    }

    /// All slices of a load that are loaded.
    pub(super) fn entries<'a>(&'a self, load: &'a str) -> impl Iterator<Item = &'a Line> {
        self.entries.values().filter(move |line| line.load == load)
    }

    /// Who writes a file.
    pub(super) fn owner(&self, file: &str) -> Option<&Line> {
        self.owners.get(file)
    }

    fn take(&mut self, line: Line) {
        self.owners.insert(line.file.clone(), line.clone());
        let Some(slice) = line.slice.clone().filter(|_| line.is_whole) else { return };
        let key = (line.load.clone(), slice);
        if line.is_forgotten {
            self.entries.remove(&key);
        } else {
            self.entries.insert(key, line);
        }
    }

    /// Reads on from where the last look ended.
    fn read(&mut self, file: &mut File, path: &Path) -> Result<(), LoadError> {
        let disk = |error: io::Error| unreadable(path, &error);
        let length = file.metadata().map_err(disk)?.len();
        if length < self.bytes {
            // Somebody has put another in its place.
            *self = Self::default();
        }
        file.seek(SeekFrom::Start(self.bytes)).map_err(disk)?;
        let mut text = Vec::new();
        file.take(length - self.bytes).read_to_end(&mut text).map_err(disk)?;
        for line in text.split_inclusive(|byte| *byte == b'\n') {
            if !line.ends_with(b"\n") {
                break;
            }
            let read = serde_json::from_slice(line).map_err(|error| {
                LoadError::Settings(format!(
                    "{} has a line at byte {} that is none of this tool's: {error}; restore the file",
                    path.display(),
                    self.bytes
                ))
            })?;
            self.take(read);
            self.bytes += line.len() as u64;
        }
        Ok(())
    }
}

/// The file.
#[derive(Debug)]
pub(super) struct LedgerFile {
    path: PathBuf,
    lines: Mutex<Lines>,
    /// The folders that this process has tidied up.
    tidy: Mutex<HashSet<PathBuf>>,
}

impl LedgerFile {
    /// That of a folder, which need not be there.
    pub(super) fn new(folder: &Path) -> Self {
        let path = folder.join(format!("{TABLE}.jsonl"));
        Self { path, lines: Mutex::default(), tidy: Mutex::default() }
    }

    /// What it says now.
    pub(super) fn lines(&self) -> Result<Lines, LoadError> {
        let mut lines = self.known();
        match File::open(&self.path) {
            Ok(mut file) => lines.read(&mut file, &self.path)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => *lines = Lines::default(),
            Err(error) => return Err(unreadable(&self.path, &error)),
        }
        Ok(lines.clone())
    }

    /// Takes the lock, and reads what others have written since. Blocks until then, or until the stop signal.
    pub(super) fn hold(&self, stop: &Stop) -> Result<Held<'_>, LoadError> {
        let disk = |error: io::Error| failed(&self.path, &error);
        let is_new = !self.path.exists();
        let mut options = crate::files::private();
        let mut file =
            options.read(true).write(true).create(true).truncate(false).open(&self.path).map_err(disk)?;
        if is_new {
            crate::files::sync_folder(crate::files::folder_of(&self.path)).map_err(disk)?;
        }
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if stop.is_set() => return Err(LoadError::Interrupted),
                Err(TryLockError::WouldBlock) => std::thread::sleep(PAUSE),
                Err(TryLockError::Error(error)) => return Err(disk(error)),
            }
        }
        let mut lines = self.known();
        lines.read(&mut file, &self.path)?;
        // What is after the last whole line was torn off.
        file.set_len(lines.bytes).and_then(|()| file.seek(SeekFrom::End(0))).map_err(disk)?;
        Ok(Held { file, lines, path: &self.path })
    }

    /// Removes from a folder what a killed process of a run has left of files that it wrote. Once a process.
    pub(super) fn clear_leftovers(&self, folder: &Path, run: &str) {
        // Held to the end: nobody may begin a file of the run meanwhile.
        let mut tidy = self.tidy.lock().unwrap_or_else(PoisonError::into_inner);
        if !tidy.insert(folder.to_owned()) {
            return;
        }
        let prefix = prefix(run);
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().starts_with(&prefix) {
                // What cannot be removed does no harm.
                let _ = std::fs::remove_file(entry.path());
            }
        }
    }

    fn known(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn prefix(run: &str) -> String {
    format!("{PREFIX}{run}-")
}

/// A file of a run that has not got its name yet.
pub(super) fn beside(folder: &Path, run: &str) -> io::Result<NamedTempFile> {
    tempfile::Builder::new().prefix(&prefix(run)).tempfile_in(folder)
}

/// The ledger while nobody else writes.
#[derive(Debug)]
pub(super) struct Held<'a> {
    file: File,
    lines: MutexGuard<'a, Lines>,
    path: &'a Path,
}

impl Held<'_> {
    /// What it says.
    pub(super) fn lines(&self) -> &Lines {
        &self.lines
    }

    /// Adds a line, which is on the disk when this returns.
    pub(super) fn append(&mut self, line: &Line) -> Result<(), LoadError> {
        let disk = |error: io::Error| failed(self.path, &error);
        let mut text = serde_json::to_vec(line).map_err(|error| disk(error.into()))?;
        text.push(b'\n');
        let before = self.lines.bytes;
        if let Err(error) = self.file.write_all(&text).and_then(|()| self.file.sync_data()) {
            // If that fails too, the next one finds a torn line.
            let _ = self.file.set_len(before);
            return Err(disk(error));
        }
        self.lines.bytes += text.len() as u64;
        self.lines.take(line.clone());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(slice: &str, rows: u64, is_whole: bool) -> Line {
        Line {
            load: "l".to_owned(),
            slice: Some(slice.to_owned()),
            name: slice.to_owned(),
            file: format!("{slice}.csv"),
            digest: "d".to_owned(),
            rows,
            rejected: 0,
            run: "r".to_owned(),
            open: false,
            is_whole,
            is_forgotten: false,
            at: "now".to_owned(),
        }
    }

    #[test]
    fn the_last_whole_line_counts_and_a_torn_one_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let (ledger, stop) = (LedgerFile::new(folder.path()), Stop::default());
        assert_eq!(ledger.lines().unwrap().entries("l").count(), 0, "there is no file yet");
        let mut held = ledger.hold(&stop).unwrap();
        held.append(&line("a", 1, false)).unwrap();
        assert!(held.lines().entry("l", "a").is_none(), "it is only about to be written");
        assert_eq!(held.lines().owner("a.csv").unwrap().load, "l");
        held.append(&line("a", 1, true)).unwrap();
        held.append(&line("a", 2, true)).unwrap();
        drop(held);
        let path = folder.path().join("_devrev_batch_loads.jsonl");
        let whole = std::fs::read(&path).unwrap();
        let mut torn = whole.clone();
        torn.extend_from_slice(&whole[..whole.len() / 4]);
        std::fs::write(&path, &torn).unwrap();
        let other = LedgerFile::new(folder.path());
        assert_eq!(other.lines().unwrap().entry("l", "a").unwrap().rows, 2);
        other.hold(&stop).unwrap().append(&line("b", 3, true)).unwrap();
        let lines = ledger.lines().unwrap();
        assert_eq!((lines.entries("l").count(), lines.entry("l", "b").unwrap().rows), (2, 3));
        let forgotten = Line { is_forgotten: true, ..line("a", 2, true) };
        other.hold(&stop).unwrap().append(&forgotten).unwrap();
        let lines = ledger.lines().unwrap();
        assert!(lines.entry("l", "a").is_none(), "it is loaded again");
        assert_eq!(lines.owner("a.csv").unwrap().load, "l", "its file is the load's still");
        std::fs::write(&path, "{}\n").unwrap();
        assert!(ledger.lines().unwrap_err().to_string().contains("restore the file"));
    }

    #[test]
    fn two_that_write_wait_for_each_other_and_a_stop_ends_the_wait() {
        let folder = tempfile::tempdir().unwrap();
        let (one, other, stop) =
            (LedgerFile::new(folder.path()), LedgerFile::new(folder.path()), Stop::default());
        let held = one.hold(&stop).unwrap();
        stop.set(crate::stop::Cause::Interrupt);
        assert!(matches!(other.hold(&stop), Err(LoadError::Interrupted)));
        drop(held);
        other.hold(&Stop::default()).unwrap();
    }
}
