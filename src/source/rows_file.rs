//! The file that the rows of a source are kept in: CSV, written while the rows come.

use super::fingerprint::Fingerprint;
use super::spool::Spool;
use super::tap::MAX_RECORD_BYTES;
use std::io;
use std::path::{Path, PathBuf};

/// Rows that were kept.
#[derive(Debug, Clone)]
pub struct Spooled {
    /// The file's content.
    pub fingerprint: Fingerprint,
    /// How many there are.
    pub rows: u64,
    /// What the operator is to be told about their order.
    pub note: Option<String>,
}

/// Why a row cannot be kept.
#[derive(Debug, thiserror::Error)]
pub enum KeepError {
    /// The disk.
    #[error("cannot keep the rows in {path}: {error}; make room there, or set RUNS_DIR to another disk")]
    Disk {
        /// The file.
        path: String,
        /// The refusal.
        error: io::Error,
    },
    /// A row that no run could read again.
    #[error("row {row} is longer than 1 MiB")]
    TooLong {
        /// Its number, from 1.
        row: u64,
    },
}

/// The file as it grows. It is removed when this is dropped before it is finished.
pub(super) struct RowsFile {
    path: PathBuf,
    csv: csv::Writer<Spool>,
    rows: u64,
}

impl RowsFile {
    /// Creates the file, which must not exist yet, and writes the names of the columns.
    pub(super) fn create<T: AsRef<[u8]>>(
        path: &Path,
        names: impl IntoIterator<Item = T>,
    ) -> Result<Self, KeepError> {
        let disk = |error| KeepError::Disk { path: path.display().to_string(), error };
        let mut csv = csv::Writer::from_writer(Spool::create(path).map_err(disk)?);
        csv.write_record(names).map_err(|error| disk(error.into()))?;
        Ok(Self { path: path.to_owned(), csv, rows: 0 })
    }

    /// Writes a row: a text per column, empty for NULL.
    pub(super) fn push<T: AsRef<[u8]>>(
        &mut self,
        fields: impl Iterator<Item = T> + Clone,
    ) -> Result<(), KeepError> {
        // Quotes are doubled at the worst.
        let bytes: usize = fields.clone().map(|field| field.as_ref().len() + 3).sum();
        if bytes > MAX_RECORD_BYTES / 2 {
            let quotes = |field: T| memchr::memchr_iter(b'"', field.as_ref()).count();
            if bytes + fields.clone().map(quotes).sum::<usize>() > MAX_RECORD_BYTES {
                return Err(KeepError::TooLong { row: self.rows + 1 });
            }
        }
        self.csv.write_record(fields).map_err(|error| self.disk(error.into()))?;
        self.rows += 1;
        Ok(())
    }

    /// How many rows were written.
    pub(super) fn rows(&self) -> u64 {
        self.rows
    }

    /// Makes the file durable.
    pub(super) fn finish(self, note: Option<String>) -> Result<Spooled, KeepError> {
        let Self { path, csv, rows } = self;
        let disk = |error| KeepError::Disk { path: path.display().to_string(), error };
        let spool = csv.into_inner().map_err(|error| disk(error.into_error()))?;
        Ok(Spooled { fingerprint: spool.finish().map_err(disk)?, rows, note })
    }

    fn disk(&self, error: io::Error) -> KeepError {
        KeepError::Disk { path: self.path.display().to_string(), error }
    }
}

#[cfg(test)]
mod tests {
    use super::super::csv::CsvFile;
    use super::*;

    #[test]
    fn what_is_kept_can_be_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("input.csv");
        let mut file = RowsFile::create(&path, ["a", "b,\"c\""]).unwrap();
        let longest = "\"".repeat(MAX_RECORD_BYTES / 2 - 4);
        for row in [["1", ""], ["\n", "\u{1f600};"], [&longest, "1"]] {
            file.push(row.iter()).unwrap();
        }
        let too_long = "\"".repeat(MAX_RECORD_BYTES / 2);
        let error = file.push([&too_long, ""].iter()).unwrap_err();
        assert!(matches!(error, KeepError::TooLong { row: 4 }), "{error}");
        assert_eq!(file.finish(None).unwrap().rows, 3);
        let rows: Vec<_> =
            CsvFile::open(&path).unwrap().rows().map(|row| row.unwrap().unwrap().fields).collect();
        assert_eq!(rows[0].iter().collect::<Vec<_>>(), [&b"1"[..], b""]);
        assert_eq!(rows[1].iter().collect::<Vec<_>>(), ["\n".as_bytes(), "\u{1f600};".as_bytes()]);
        assert_eq!(rows[2][0].len(), longest.len());
    }

    #[test]
    fn half_a_file_does_not_stay() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("input.csv");
        let mut file = RowsFile::create(&path, ["a"]).unwrap();
        file.push(["1"].iter()).unwrap();
        // What is there already is not written over.
        assert!(matches!(RowsFile::create(&path, ["b"]), Err(KeepError::Disk { .. })));
        drop(file);
        assert!(!path.exists());
    }
}
