//! A backup that is being made: it has its name only when it is whole and on the disk.

use super::error::BackupError;
use super::layout::{Counts, FileEntry, Label, PARTIAL, RelPath, VERSION, Verification};
use super::messages::MessagesWriter;
use super::name;
use super::writer::FileWriter;
use crate::files;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

/// How many names are tried before giving up.
const MAX_TRIES: u32 = 1000;

/// A backup in the making, in `<root>/.partial-<run>-<name>`. Dropped without [`Self::finish`] it is removed,
/// as far as that goes; [`clear_partials`] removes what a killed process left.
#[derive(Debug)]
pub struct Draft {
    root: PathBuf,
    folder: PathBuf,
    name: String,
    files: BTreeMap<String, FileEntry>,
    /// Folders to be made durable.
    folders: BTreeSet<PathBuf>,
    /// Whether the folder is a backup now, and stays.
    finished: bool,
}

impl Draft {
    /// Begins a backup in a folder of its own (0700), and makes the root if there is none.
    ///
    /// Fails too when the same run has begun the same backup already in this second.
    pub fn begin(root: &Path, run: &str, label: &Label<'_>) -> Result<Self, BackupError> {
        files::make(root).map_err(BackupError::io("make the folder", root))?;
        let name = label.folder();
        let folder = root.join(format!("{}{name}", prefix(run)));
        files::private_folder().create(&folder).map_err(BackupError::io("make the folder", &folder))?;
        let folders = BTreeSet::from([folder.clone()]);
        Ok(Self { root: root.to_owned(), folder, name, files: BTreeMap::new(), folders, finished: false })
    }

    /// Makes a file. It counts once [`Self::add`] is told that it is finished.
    ///
    /// Fails when the file is there already, or when something else than a folder stands where one should.
    pub fn file(&mut self, path: &RelPath) -> Result<FileWriter, BackupError> {
        vouch(&self.folder)?;
        for folder in path.folders() {
            let folder = self.folder.join(folder);
            match files::private_folder().create(&folder) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => vouch(&folder)?,
                Err(error) => return Err(BackupError::io("make the folder", &folder)(error)),
            }
            self.folders.insert(folder);
        }
        FileWriter::create(&self.folder, path)
    }

    /// Removes the folders that were made for a file which never came, those that hold nothing.
    pub fn give_up(&mut self, path: &RelPath) {
        let folders: Vec<_> = path.folders().map(|folder| self.folder.join(folder)).collect();
        for folder in folders.iter().rev() {
            // One that is not empty stays, and all above it.
            if std::fs::remove_dir(folder).is_err() {
                return;
            }
            self.folders.remove(folder);
        }
    }

    /// Begins the `messages.json` of an object. The folder is the display ID as
    /// [`Names`](super::name::Names) gives it, for the files beside it too.
    pub fn messages(
        &mut self,
        folder: &str,
        object: &str,
        display_id: &str,
    ) -> Result<MessagesWriter, BackupError> {
        MessagesWriter::begin(self.file(&RelPath::messages(folder))?, object, display_id)
    }

    /// Writes a whole file as JSON.
    pub fn write_json(&mut self, path: &RelPath, value: &impl Serialize) -> Result<(), BackupError> {
        let mut file = self.file(path)?;
        serde_json::to_writer(file.sink(), value).map_err(BackupError::json(&path.below(&self.folder)))?;
        file.write(b"\n")?;
        self.add(file.finish()?);
        Ok(())
    }

    /// Lists a file that is finished.
    pub fn add(&mut self, entry: FileEntry) {
        self.files.insert(entry.path.clone(), entry);
    }

    /// Makes the backup durable and gives it its name, or the next free one with `~2` and so on. Returns its
    /// folder.
    pub fn finish(mut self, counts: Counts, expected_tickets: u64) -> Result<PathBuf, BackupError> {
        let files = std::mem::take(&mut self.files).into_values().collect();
        let verification = Verification { version: VERSION, files, counts, expected_tickets };
        let path = RelPath::VERIFICATION.below(&self.folder);
        let bytes = verification.to_bytes().map_err(BackupError::json(&path))?;
        let mut file = self.file(&RelPath::VERIFICATION)?;
        file.write(&bytes)?;
        // Lists all the others, and so not itself.
        file.finish()?;
        for folder in self.folders.iter().rev() {
            files::sync_folder(folder).map_err(BackupError::io("make durable", folder))?;
        }
        let folder = self.rename()?;
        self.finished = true;
        files::sync_folder(&self.root).map_err(BackupError::io("make durable", &self.root))?;
        Ok(folder)
    }

    fn rename(&self) -> Result<PathBuf, BackupError> {
        for number in 1..=MAX_TRIES {
            let name = if number == 1 { self.name.clone() } else { format!("{}~{number}", self.name) };
            let folder = self.root.join(name);
            // An empty folder would be replaced; one with files in it never is, should it come only now.
            if folder.symlink_metadata().is_ok() {
                continue;
            }
            match std::fs::rename(&self.folder, &folder) {
                Ok(()) => return Ok(folder),
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::AlreadyExists | io::ErrorKind::DirectoryNotEmpty
                    ) => {}
                Err(error) => return Err(BackupError::io("give its name to", &self.folder)(error)),
            }
        }
        let error = io::Error::new(io::ErrorKind::AlreadyExists, "every name that was tried is taken");
        Err(BackupError::io("give its name to", &self.folder)(error))
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.finished {
            // Best effort: its name says that it is not finished.
            let _ = std::fs::remove_dir_all(&self.folder);
        }
    }
}

/// Removes what a run has left unfinished, and nothing of another's. Returns how many backups that were.
pub fn clear_partials(root: &Path, run: &str) -> Result<usize, BackupError> {
    let failed = || BackupError::io("clear", root);
    let entries = match std::fs::read_dir(root) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(failed()(error)),
    };
    let (prefix, mut cleared) = (prefix(run), 0);
    for entry in entries {
        let entry = entry.map_err(failed())?;
        // What is no folder, a link perhaps, is nothing that a draft has left.
        if entry.file_name().as_encoded_bytes().starts_with(prefix.as_bytes())
            && entry.file_type().map_err(failed())?.is_dir()
        {
            let path = entry.path();
            std::fs::remove_dir_all(&path).map_err(BackupError::io("remove", &path))?;
            cleared += 1;
        }
    }
    Ok(cleared)
}

/// Refuses what is not a folder, links to folders included.
fn vouch(folder: &Path) -> Result<(), BackupError> {
    let metadata = folder.symlink_metadata().map_err(BackupError::io("look at", folder))?;
    if metadata.is_dir() { Ok(()) } else { Err(BackupError::NotAFolder(folder.to_owned())) }
}

/// How the folders of a run's drafts begin. Run IDs end in a random part, so that none begins another.
fn prefix(run: &str) -> String {
    format!("{PARTIAL}{}-", name::safe(run))
}

#[cfg(test)]
#[path = "draft_tests.rs"]
mod tests;
