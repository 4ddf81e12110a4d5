//! A file that rows are kept in while they come: for its owner's eyes only, fingerprinted on the way, and gone again
//! if it is not finished.

use super::fingerprint::{Fingerprint, hex};
use crate::files;
use sha2::{Digest, Sha256};
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// How much is written at once, in bytes.
const BUFFER_BYTES: usize = 64 << 10;

/// A new file that is being filled.
#[derive(Debug)]
pub(super) struct Spool {
    file: Option<BufWriter<File>>,
    path: PathBuf,
    hash: Sha256,
    bytes: u64,
}

impl Spool {
    /// Creates the file, which must not exist yet.
    pub(super) fn create(path: &Path) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = BufWriter::with_capacity(BUFFER_BYTES, options.open(path)?);
        Ok(Self { file: Some(file), path: path.to_owned(), hash: Sha256::new(), bytes: 0 })
    }

    /// Makes the file durable. Until then it is removed when this is dropped: part of an input must not pass for one.
    pub(super) fn finish(mut self) -> io::Result<Fingerprint> {
        self.flush()?;
        if let Some(file) = &self.file {
            file.get_ref().sync_all()?;
        }
        files::sync_folder(files::folder_of(&self.path))?;
        self.file = None;
        Ok(Fingerprint { bytes: self.bytes, sha256: hex(std::mem::take(&mut self.hash)) })
    }
}

impl Write for Spool {
    fn write(&mut self, part: &[u8]) -> io::Result<usize> {
        let Some(file) = &mut self.file else { return Ok(0) };
        let written = file.write(part)?;
        self.hash.update(part.get(..written).unwrap_or_default());
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.as_mut().map_or(Ok(()), Write::flush)
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        if self.file.is_some() {
            // If it cannot be removed, the error that brought this about has been told about.
            let _ = fs::remove_file(&self.path);
        }
    }
}
