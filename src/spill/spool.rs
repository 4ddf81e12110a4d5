//! Records put by in the order in which they come, to be looked through once more.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Chain, Cursor, Read, Seek, Write};
use std::path::{Path, PathBuf};

use super::{RECORD_BYTES, Record, decoded, encoded, reserve};

/// Records held in memory: 3 MiB.
const BUFFER_RECORDS: usize = 1 << 17;
/// How much of a spool is read at once, in bytes.
const READ_BYTES: usize = 64 << 10;

/// Takes records, in memory that does not grow with their number: what memory does not hold is in a temporary
/// file without a name.
#[derive(Debug)]
pub(crate) struct Spool {
    folder: PathBuf,
    limit: usize,
    /// The latest records, as they go to the file.
    buffer: Vec<u8>,
    file: Option<File>,
    /// How much is in the file.
    written: u64,
}

impl Spool {
    /// A spool that keeps what memory does not hold in an unnamed file in `folder`.
    pub(crate) fn new(folder: &Path) -> Self {
        Self::with_limit(folder, BUFFER_RECORDS)
    }

    fn with_limit(folder: &Path, records: usize) -> Self {
        let limit = records * RECORD_BYTES;
        Self { folder: folder.to_owned(), limit, buffer: Vec::new(), file: None, written: 0 }
    }

    /// Takes a record. Fails when a full buffer cannot be written.
    #[inline]
    pub(crate) fn push(&mut self, record: Record) -> io::Result<()> {
        if self.buffer.len() >= self.limit {
            self.spill()?;
        }
        reserve(&mut self.buffer, self.limit);
        self.buffer.extend_from_slice(&encoded(&record));
        Ok(())
    }

    /// The records in the order in which they came. Fails when the disk does.
    pub(crate) fn finish(mut self) -> io::Result<Spooled> {
        if self.file.is_some() {
            self.spill()?;
            // Anyone who reads has a use for the memory.
            self.buffer = Vec::new();
        }
        if let Some(file) = &mut self.file {
            file.rewind()?;
        }
        let stored = Stored { file: self.file, left: self.written };
        let bytes = BufReader::with_capacity(READ_BYTES, stored.chain(Cursor::new(self.buffer)));
        Ok(Spooled { bytes, failed: false })
    }

    fn spill(&mut self) -> io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(tempfile::tempfile_in(&self.folder)?),
        };
        file.write_all(&self.buffer)?;
        self.written += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }
}

/// The records of a [`Spool`] in the order in which they came. An error of the disk ends it.
#[derive(Debug)]
pub(crate) struct Spooled {
    bytes: BufReader<Chain<Stored, Cursor<Vec<u8>>>>,
    failed: bool,
}

impl Iterator for Spooled {
    type Item = io::Result<Record>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let mut bytes = [0; RECORD_BYTES];
        let read = match self.bytes.fill_buf() {
            Ok([]) => return None,
            Ok(_) => self.bytes.read_exact(&mut bytes),
            Err(error) => Err(error),
        };
        self.failed = read.is_err();
        Some(read.map(|()| decoded(&bytes)))
    }
}

/// The part of a spool that memory did not hold, if there is any.
#[derive(Debug)]
struct Stored {
    file: Option<File>,
    left: u64,
}

impl Read for Stored {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let (Some(file), Some(wanted @ [_, ..])) = (&mut self.file, buffer.get_mut(..wanted)) else {
            return Ok(0);
        };
        let read = file.read(wanted)?;
        if read == 0 {
            // Without this what is in memory would follow upon what is lost.
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.left -= read as u64;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn spooled(records: &[Record], limit: usize) -> Vec<Record> {
        let folder = tempfile::tempdir().unwrap();
        let mut spool = Spool::with_limit(folder.path(), limit);
        for record in records {
            spool.push(*record).unwrap();
        }
        let found = spool.finish().unwrap().map(Result::unwrap).collect();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "no file has a name");
        found
    }

    #[test]
    fn the_real_limit_spills() {
        let records: Vec<Record> = (0..600_000).map(|n| [n, n / 3, u64::MAX - n]).collect();
        assert_eq!(spooled(&records, BUFFER_RECORDS), records);
    }

    #[test]
    fn a_folder_that_is_gone_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let mut spool = Spool::with_limit(&folder.path().join("none"), 1);
        spool.push([1, 2, 3]).unwrap();
        assert!(spool.push([1, 2, 3]).is_err());
    }

    #[test]
    fn a_file_that_was_cut_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let mut spool = Spool::with_limit(folder.path(), 1);
        (0..4).for_each(|n| spool.push([n, n, n]).unwrap());
        let file = spool.file.as_ref().unwrap().try_clone().unwrap();
        let spooled = spool.finish().unwrap();
        file.set_len(24).unwrap();
        let found: Vec<bool> = spooled.map(|record| record.is_ok()).collect();
        assert_eq!(found, [true, false]);
    }

    proptest! {
        #[test]
        fn everything_comes_back_in_its_order(
            records in prop::collection::vec(prop::array::uniform3(any::<u64>()), 0..100),
            limit in 1usize..20,
        ) {
            prop_assert_eq!(spooled(&records, limit), records);
        }
    }
}
