//! One file of a backup, while it is written.

use super::error::BackupError;
use super::layout::{FileEntry, RelPath};
use crate::files;
use crate::source::hex;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

const BUFFER_BYTES: usize = 64 << 10;

/// Writes a file (0600) and hashes it on the way. It borrows nothing, so that a blocking task may have it.
/// Dropped without [`Self::finish`] it removes the file.
#[derive(Debug)]
pub struct FileWriter {
    path: RelPath,
    /// `None` once it is finished.
    file: Option<BufWriter<File>>,
    at: PathBuf,
    hash: Sha256,
    bytes: u64,
}

impl FileWriter {
    /// Makes a file that must not be there yet. The caller vouches for the folders that it is in.
    pub(super) fn create(folder: &Path, path: &RelPath) -> Result<Self, BackupError> {
        let at = path.below(folder);
        // A link in the file's place is something that is there: it is not followed.
        let file = files::private().write(true).create_new(true).open(&at);
        let file = file.map_err(BackupError::io("make the file", &at))?;
        let file = Some(BufWriter::with_capacity(BUFFER_BYTES, file));
        Ok(Self { path: path.clone(), file, at, hash: Sha256::new(), bytes: 0 })
    }

    /// Appends bytes. After a failure the file is of no use.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), BackupError> {
        self.append(bytes).map_err(BackupError::io("write", &self.at))
    }

    /// How many bytes were written.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Makes the file durable. The entry is for [`Draft::add`](super::draft::Draft::add).
    pub fn finish(mut self) -> Result<FileEntry, BackupError> {
        self.sync().map_err(BackupError::io("write", &self.at))?;
        self.file = None;
        let sha256 = hex(std::mem::take(&mut self.hash));
        Ok(FileEntry { path: self.path.to_string(), bytes: self.bytes, sha256 })
    }

    /// Where the file is.
    pub(super) fn path(&self) -> &Path {
        &self.at
    }

    /// For anyone who writes to an [`io::Write`].
    pub(super) fn sink(&mut self) -> impl Write {
        Sink(self)
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Some(file) = &mut self.file else { return Ok(()) };
        file.write_all(bytes)?;
        self.hash.update(bytes);
        self.bytes += bytes.len() as u64;
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        let Some(file) = &mut self.file else { return Ok(()) };
        file.flush()?;
        let file = file.get_ref();
        // Anyone who continues after a failed write must not get an entry for a file that has a hole.
        let found = file.metadata()?.len();
        if found != self.bytes {
            let text = format!("it has {found} bytes, and {} were written", self.bytes);
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, text));
        }
        file.sync_all()
    }
}

impl Drop for FileWriter {
    fn drop(&mut self) {
        if let Some(file) = self.file.take() {
            // What is still in the buffer is for a file that goes.
            drop(file.into_parts());
            // Best effort: what stays behind is in a folder that is not finished.
            let _ = std::fs::remove_file(&self.at);
        }
    }
}

struct Sink<'a>(&'a mut FileWriter);

impl Write for Sink<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.append(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
