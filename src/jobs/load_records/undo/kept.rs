//! What a slice changes, kept in the run's folder: each row as it was before and as the load left it. It is written within
//! the transaction that loads the slice and is on the disk before the commit; it counts only if the ledger has the slice of
//! this run.
//!
//! The first line has the columns and what the ledger had of the slice before; then come the rows, `[before, after]`, where
//! `null` is no row and each store writes rows in its own way; the last line has how many there are.

use crate::backup::space;
use crate::files;
use crate::jobs::load_records::ledger::Line;
use crate::journal::run_dir::RunDir;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// The folder of a run's files.
const FOLDER: &str = "undo";
/// Bytes that are left free on the disk.
const RESERVE: u64 = 16 << 20;
/// How often it is looked whether the disk has room, in bytes.
const LOOK_EVERY: u64 = 8 << 20;
/// The longest last line, in bytes.
const LONGEST_END: u64 = 256;

/// Where what a slice changes is kept, by its row in the run.
pub(in crate::jobs::load_records) fn path(run: &RunDir, row: u64) -> PathBuf {
    run.path().join(FOLDER).join(format!("{row}.jsonl"))
}

/// The first line.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::jobs::load_records) struct Head {
    /// The columns of the rows.
    pub columns: Vec<String>,
    /// What the ledger had of the slice before.
    pub ledger: Option<Line>,
}

/// How many rows there are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::jobs::load_records) struct KeptCounts {
    /// Rows that the load added.
    pub inserted: u64,
    /// Rows that it changed.
    pub changed: u64,
    /// Rows that it deleted.
    pub deleted: u64,
}

/// A row before and after the load, as a store writes rows.
#[derive(Debug, Deserialize)]
pub(in crate::jobs::load_records) struct KeptRow(pub Option<Box<RawValue>>, pub Option<Box<RawValue>>);

/// Writes what a slice changes.
#[derive(Debug)]
pub(in crate::jobs::load_records) struct KeptWriter {
    path: PathBuf,
    file: BufWriter<File>,
    counts: KeptCounts,
    /// Bytes since it was looked whether there is room.
    written: u64,
}

impl KeptWriter {
    /// Begins anew. The caller knows that the ledger does not have the slice of this run.
    pub(in crate::jobs::load_records) fn create(path: &Path, head: &Head) -> io::Result<Self> {
        let folder = files::folder_of(path);
        files::make(folder)?;
        room(folder, 0)?;
        let file = files::private().create(true).truncate(true).write(true).open(path)?;
        let file = BufWriter::with_capacity(1 << 16, file);
        let mut writer = Self { path: path.to_owned(), file, counts: KeptCounts::default(), written: 0 };
        writer.line(&serde_json::to_string(head)?)?;
        Ok(writer)
    }

    /// Keeps a row: both as JSON, `None` for no row.
    pub(in crate::jobs::load_records) fn push(
        &mut self,
        before: Option<&str>,
        after: Option<&str>,
    ) -> io::Result<()> {
        match (before, after) {
            (None, None) => return Ok(()),
            (None, Some(_)) => self.counts.inserted += 1,
            (Some(_), Some(_)) => self.counts.changed += 1,
            (Some(_), None) => self.counts.deleted += 1,
        }
        self.line(&format!("[{},{}]", before.unwrap_or("null"), after.unwrap_or("null")))
    }

    fn line(&mut self, line: &str) -> io::Result<()> {
        self.written += line.len() as u64 + 1;
        if self.written > LOOK_EVERY {
            self.written = 0;
            room(files::folder_of(&self.path), 0)?;
        }
        self.file.write_all(line.as_bytes())?;
        self.file.write_all(b"\n")
    }

    /// Ends the file; it is on the disk when this returns.
    pub(in crate::jobs::load_records) fn finish(mut self) -> io::Result<()> {
        let end = serde_json::to_string(&self.counts)?;
        self.line(&end)?;
        self.file.flush()?;
        self.file.get_ref().sync_all()?;
        files::sync_folder(files::folder_of(&self.path))
    }
}

/// Fails where the disk has no room for so many bytes, and some more.
pub(in crate::jobs::load_records) fn room(folder: &Path, bytes: u64) -> io::Result<()> {
    let (left, wanted) = (space::available(folder)?, bytes.saturating_add(RESERVE));
    if left >= wanted {
        return Ok(());
    }
    let text = format!(
        "{} has {} MiB free, and keeping what the load changes (undo: true) needs {} MiB; make room, or give another \
         --runs-dir",
        folder.display(),
        left >> 20,
        wanted >> 20
    );
    Err(io::Error::new(io::ErrorKind::StorageFull, text))
}

/// Reads what a slice has changed.
#[derive(Debug)]
pub(in crate::jobs::load_records) struct KeptReader {
    /// The first line.
    pub head: Head,
    /// The last line.
    pub counts: KeptCounts,
    lines: BufReader<File>,
    line: String,
    left: u64,
}

impl KeptReader {
    /// Opens a file; fails where it is not whole.
    pub(in crate::jobs::load_records) fn open(path: &Path) -> io::Result<Self> {
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(LONGEST_END)))?;
        let mut end = Vec::new();
        file.read_to_end(&mut end)?;
        let end = String::from_utf8_lossy(&end);
        let last = end.strip_suffix('\n').and_then(|end| end.rsplit('\n').next()).unwrap_or_default();
        let counts: KeptCounts = serde_json::from_str(last).map_err(|_| {
            io::Error::new(io::ErrorKind::InvalidData, format!("{} is not whole", path.display()))
        })?;
        file.seek(SeekFrom::Start(0))?;
        let mut lines = BufReader::with_capacity(1 << 16, file);
        let mut line = String::new();
        lines.read_line(&mut line)?;
        let head = serde_json::from_str(&line)?;
        let left = counts.inserted + counts.changed + counts.deleted;
        Ok(Self { head, counts, lines, line, left })
    }

    /// The next row; none at the end.
    pub(in crate::jobs::load_records) fn next(&mut self) -> io::Result<Option<KeptRow>> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        self.line.clear();
        self.lines.read_line(&mut self.line)?;
        Ok(Some(serde_json::from_str(&self.line)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_back_and_a_file_that_is_cut_off_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("undo/7.jsonl");
        let head = Head { columns: vec!["a".to_owned()], ledger: None };
        let mut writer = KeptWriter::create(&path, &head).unwrap();
        writer.push(None, Some("[1]")).unwrap();
        writer.push(Some("[\"x\\n\"]"), Some("[2]")).unwrap();
        writer.push(Some("[3]"), None).unwrap();
        writer.push(None, None).unwrap();
        writer.finish().unwrap();
        let mut reader = KeptReader::open(&path).unwrap();
        assert_eq!(reader.counts, KeptCounts { inserted: 1, changed: 1, deleted: 1 });
        assert_eq!(reader.head.columns, ["a"]);
        let mut rows = Vec::new();
        while let Some(KeptRow(before, after)) = reader.next().unwrap() {
            rows.push((before.map(|row| row.get().to_owned()), after.map(|row| row.get().to_owned())));
        }
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(rows, [(None, some("[1]")), (some("[\"x\\n\"]"), some("[2]")), (some("[3]"), None)]);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        let bytes = std::fs::read(&path).unwrap();
        for length in [0, 1, 10, bytes.len() - 40, bytes.len() - 1] {
            std::fs::write(&path, &bytes[..length]).unwrap();
            assert!(KeptReader::open(&path).is_err(), "{length}");
        }
    }
}
