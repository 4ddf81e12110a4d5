//! Sorting of more records than memory should hold, and ([`spool`]) keeping them unsorted.
//!
//! Records are three numbers. They gather in a buffer; full buffers are sorted and written to temporary files
//! that have no name, so that they vanish with the process however it ends; at the end the files are merged.

pub(crate) mod spool;

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, Write};
use std::path::{Path, PathBuf};

/// What is sorted: by the first number, then the second, then the third.
pub(crate) type Record = [u64; 3];

const RECORD_BYTES: usize = size_of::<Record>();
/// Records held in memory: 6 MiB.
const BUFFER_RECORDS: usize = 1 << 18;
/// Files merged at once, each of which holds a descriptor and a buffer.
const MOST_RUNS: usize = 64;
/// The buffer of a file that is merged: all of them together take 1.5 MiB.
const READ_BYTES: usize = RECORD_BYTES << 10;

/// Takes records in any order, in memory that does not grow with their number.
#[derive(Debug)]
pub(crate) struct Sorter {
    folder: PathBuf,
    limits: Limits,
    buffer: Vec<Record>,
    /// Sorted files by how often their records have been merged: the more often, the longer.
    levels: Vec<Vec<Run>>,
}

#[derive(Debug, Clone, Copy)]
struct Limits {
    records: usize,
    runs: usize,
}

impl Sorter {
    /// A sorter that keeps what memory does not hold in unnamed files in `folder`.
    pub(crate) fn new(folder: &Path) -> Self {
        Self::with_limits(folder, Limits { records: BUFFER_RECORDS, runs: MOST_RUNS })
    }

    fn with_limits(folder: &Path, limits: Limits) -> Self {
        Self { folder: folder.to_owned(), limits, buffer: Vec::new(), levels: Vec::new() }
    }

    /// Takes a record. Fails when a full buffer cannot be written.
    pub(crate) fn push(&mut self, record: Record) -> io::Result<()> {
        if self.buffer.len() >= self.limits.records {
            self.spill()?;
        }
        reserve(&mut self.buffer, self.limits.records);
        self.buffer.push(record);
        Ok(())
    }

    /// The records in ascending order. Fails when the disk does.
    pub(crate) fn finish(mut self) -> io::Result<Sorted> {
        if self.levels.is_empty() {
            sort(&mut self.buffer);
            return Ok(Sorted(Source::Memory(self.buffer.into_iter())));
        }
        self.spill()?;
        self.buffer = Vec::new();
        // The short files first: each record is then copied as seldom as can be.
        let mut runs = Vec::new();
        for level in std::mem::take(&mut self.levels) {
            if runs.len() + level.len() > self.limits.runs {
                runs = vec![self.merged(runs)?];
            }
            runs.extend(level);
        }
        if runs.len() > self.limits.runs {
            runs = vec![self.merged(runs)?];
        }
        Ok(Sorted(Source::Files(Merge::new(runs)?)))
    }

    /// Writes the buffer out, and merges the files of a level when there are as many as can be merged at once.
    fn spill(&mut self) -> io::Result<()> {
        sort(&mut self.buffer);
        let mut file = RunWriter::new(&self.folder)?;
        for record in &self.buffer {
            file.write(record)?;
        }
        self.buffer.clear();
        let mut run = file.finish()?;
        for level in 0.. {
            if level == self.levels.len() {
                self.levels.push(Vec::new());
            }
            let Some(runs) = self.levels.get_mut(level) else { break };
            runs.push(run);
            if runs.len() < self.limits.runs {
                break;
            }
            let full = std::mem::take(runs);
            run = self.merged(full)?;
        }
        Ok(())
    }

    fn merged(&self, runs: Vec<Run>) -> io::Result<Run> {
        let mut file = RunWriter::new(&self.folder)?;
        for record in Merge::new(runs)? {
            file.write(&record?)?;
        }
        file.finish()
    }
}

/// Sorts as arrays compare, but by their first two numbers as one: the processor does that without branching.
fn sort(records: &mut [Record]) {
    let front = |record: &Record| u128::from(record[0]) << 64 | u128::from(record[1]);
    records.sort_unstable_by(|a, b| front(a).cmp(&front(b)).then(a[2].cmp(&b[2])));
}

/// The records of a [`Sorter`] in ascending order. An error of the disk ends it.
#[derive(Debug)]
pub(crate) struct Sorted(Source);

#[derive(Debug)]
enum Source {
    Memory(std::vec::IntoIter<Record>),
    Files(Merge),
}

impl Iterator for Sorted {
    type Item = io::Result<Record>;

    fn next(&mut self) -> Option<Self::Item> {
        match &mut self.0 {
            Source::Memory(records) => records.next().map(Ok),
            Source::Files(merge) => merge.next(),
        }
    }
}

/// A sorted file.
#[derive(Debug)]
struct Run {
    file: File,
    records: u64,
}

struct RunWriter {
    file: BufWriter<File>,
    records: u64,
}

impl RunWriter {
    fn new(folder: &Path) -> io::Result<Self> {
        let file = tempfile::tempfile_in(folder)?;
        Ok(Self { file: BufWriter::with_capacity(64 << 10, file), records: 0 })
    }

    fn write(&mut self, record: &Record) -> io::Result<()> {
        self.records += 1;
        self.file.write_all(&encoded(record))
    }

    fn finish(self) -> io::Result<Run> {
        let mut file = self.file.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.rewind()?;
        Ok(Run { file, records: self.records })
    }
}

#[derive(Debug)]
struct RunReader {
    file: BufReader<File>,
    left: u64,
}

impl RunReader {
    fn next(&mut self) -> io::Result<Option<Record>> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        let mut bytes = [0; RECORD_BYTES];
        self.file.read_exact(&mut bytes)?;
        Ok(Some(decoded(&bytes)))
    }
}

/// Gives a buffer all its room at once. Only what is used of it becomes memory, while a buffer that grows leaves
/// its former places behind, which the allocator keeps.
fn reserve<T>(buffer: &mut Vec<T>, room: usize) {
    if buffer.capacity() == 0 {
        buffer.reserve_exact(room);
    }
}

/// A record as it stands in a file.
#[inline]
fn encoded(record: &Record) -> [u8; RECORD_BYTES] {
    let mut bytes = [0; RECORD_BYTES];
    for (place, number) in bytes.as_chunks_mut().0.iter_mut().zip(record) {
        *place = number.to_le_bytes();
    }
    bytes
}

/// The record that was encoded.
fn decoded(bytes: &[u8; RECORD_BYTES]) -> Record {
    let mut record = [0; 3];
    for (number, place) in record.iter_mut().zip(bytes.as_chunks().0) {
        *number = u64::from_le_bytes(*place);
    }
    record
}

/// The next record of each file; the least of them is the next of all.
#[derive(Debug)]
struct Merge {
    files: Vec<RunReader>,
    heads: BinaryHeap<Reverse<(Record, usize)>>,
    failed: bool,
}

impl Merge {
    fn new(runs: Vec<Run>) -> io::Result<Self> {
        let mut heads = BinaryHeap::with_capacity(runs.len());
        let mut files = Vec::with_capacity(runs.len());
        for run in runs {
            let mut file =
                RunReader { file: BufReader::with_capacity(READ_BYTES, run.file), left: run.records };
            if let Some(record) = file.next()? {
                heads.push(Reverse((record, files.len())));
            }
            files.push(file);
        }
        Ok(Self { files, heads, failed: false })
    }
}

impl Iterator for Merge {
    type Item = io::Result<Record>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let mut head = self.heads.peek_mut()?;
        let Reverse((least, file)) = *head;
        match self.files.get_mut(file).map_or(Ok(None), RunReader::next) {
            Ok(Some(record)) => *head = Reverse((record, file)),
            Ok(None) => {
                PeekMut::pop(head);
            }
            Err(error) => {
                drop(head);
                self.failed = true;
                return Some(Err(error));
            }
        }
        Some(Ok(least))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sorted(records: &[Record], limits: Limits) -> Vec<Record> {
        let folder = tempfile::tempdir().unwrap();
        let mut sorter = Sorter::with_limits(folder.path(), limits);
        for record in records {
            sorter.push(*record).unwrap();
        }
        let found = sorter.finish().unwrap().map(Result::unwrap).collect();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "no file has a name");
        found
    }

    #[test]
    fn nothing_sorts_to_nothing() {
        assert!(sorted(&[], Limits { records: 4, runs: 2 }).is_empty());
    }

    #[test]
    fn many_passes() {
        let records: Vec<Record> =
            (0..5_000u64).map(|n| [n.wrapping_mul(0x9e37_79b9_7f4a_7c15), n % 7, n]).collect();
        let mut expected = records.clone();
        expected.sort_unstable();
        assert_eq!(sorted(&records, Limits { records: 3, runs: 4 }), expected);
    }

    #[test]
    fn the_real_limits_spill() {
        let records: Vec<Record> = (0..600_000u64).rev().map(|n| [n / 2, n, 0]).collect();
        let mut expected = records.clone();
        expected.reverse();
        assert_eq!(sorted(&records, Limits { records: BUFFER_RECORDS, runs: MOST_RUNS }), expected);
    }

    #[test]
    fn a_folder_that_is_gone_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let mut sorter = Sorter::with_limits(&folder.path().join("none"), Limits { records: 1, runs: 2 });
        sorter.push([1, 2, 3]).unwrap();
        assert!(sorter.push([1, 2, 3]).is_err());
    }

    proptest! {
        #[test]
        fn as_memory_sorts(
            records in prop::collection::vec(prop::array::uniform3(prop_oneof![0u64..4, any::<u64>()]), 0..200),
            buffer in 1usize..20,
            runs in 2usize..5,
        ) {
            let mut expected = records.clone();
            expected.sort_unstable();
            prop_assert_eq!(sorted(&records, Limits { records: buffer, runs }), expected);
        }
    }
}
