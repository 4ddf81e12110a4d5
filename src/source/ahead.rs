//! Reading ahead: one thread reads rows while another works on those that are read.

use std::io::Read;
use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};
use std::thread;

use ::csv::ByteRecord;

use super::csv::{CsvFile, judge};
use super::error::SourceError;
use super::tap::Record;
use crate::row::{Row, RowProblem};

/// Rows that pass from thread to thread at once.
const BATCH_ROWS: usize = 512;
/// A batch is passed on earlier when its rows have this many bytes.
const BATCH_BYTES: usize = 256 << 10;
/// Batches that there are: enough that neither thread waits for the other at every turn.
const BATCHES: usize = 16;
/// A record longer than this does not keep its memory for the next one, in bytes.
const KEPT_BYTES: usize = 4 << 10;

/// How the reading of an input ended.
#[derive(Debug)]
pub struct Ended {
    /// How many records were handed on, bad ones included.
    pub rows: u64,
    /// Whether those were all.
    pub complete: bool,
    /// What kept the rest from being read, if anything did.
    pub error: Option<SourceError>,
}

/// Hands each record of a file, up to `limit` of them, to `take`: the row, and what is wrong with it if it is a
/// bad record. Stops early when `take` says so by `Ok(false)`, and fails when it does.
///
/// `take` runs on this thread and the reading on another, in bounded memory. Records are judged here: the
/// reading takes longer.
pub fn each_row<R: Read + Send, E>(
    file: &mut CsvFile<R>,
    limit: Option<u64>,
    mut take: impl FnMut(&Row, Option<&RowProblem>) -> Result<bool, E>,
) -> Result<Ended, E> {
    let header = file.header().clone();
    thread::scope(|scope| {
        // This closure's own, so that the reader sees them go when this thread leaves early.
        let (full, filled) = sync_channel(BATCHES);
        let (empty, emptied) = channel();
        let reader = thread::Builder::new()
            .name("rows".to_owned())
            .spawn_scoped(scope, move || read(file, limit.unwrap_or(u64::MAX), &full, &emptied));
        if let Err(error) = reader {
            let error = SourceError::Unreadable { name: "the input".to_owned(), error };
            return Ok(Ended { rows: 0, complete: false, error: Some(error) });
        }
        let mut rows = 0;
        while let Ok(mut batch) = filled.recv() {
            let Batch { slots, used, end } = &mut batch;
            for slot in slots.iter_mut().take(*used) {
                rows += 1;
                let problem = slot.record.and_then(|record| judge(&header, &slot.row.fields, record));
                if !take(&slot.row, problem.as_ref())? {
                    return Ok(Ended { rows, complete: false, error: None });
                }
                if slot.row.fields.as_slice().len() > KEPT_BYTES {
                    slot.row.fields = ByteRecord::new();
                }
            }
            match end.take() {
                None => {}
                Some(End::File) => return Ok(Ended { rows, complete: true, error: None }),
                Some(End::Limit) => return Ok(Ended { rows, complete: false, error: None }),
                Some(End::Error(error)) => return Ok(Ended { rows, complete: false, error: Some(error) }),
            }
            // The reader may have gone already: its last batch is on the way.
            let _ = empty.send(batch);
        }
        Ok(Ended { rows, complete: false, error: None })
    })
}

#[derive(Default)]
struct Batch {
    slots: Vec<Slot>,
    used: usize,
    /// Set in the last batch.
    end: Option<End>,
}

struct Slot {
    row: Row,
    record: Option<Record>,
}

enum End {
    File,
    Limit,
    Error(SourceError),
}

/// Fills batches until the input, the limit or the interest in them ends.
fn read<R: Read>(file: &mut CsvFile<R>, limit: u64, full: &SyncSender<Batch>, emptied: &Receiver<Batch>) {
    let mut left = limit;
    for number in 0.. {
        let batch = if number < BATCHES { Ok(Batch::default()) } else { emptied.recv() };
        let Ok(mut batch) = batch else { return };
        batch.end = fill(file, &mut batch, &mut left);
        let last = batch.end.is_some();
        if full.send(batch).is_err() || last {
            return;
        }
    }
}

fn fill<R: Read>(file: &mut CsvFile<R>, batch: &mut Batch, left: &mut u64) -> Option<End> {
    batch.used = 0;
    let mut bytes = 0;
    while batch.used < BATCH_ROWS && bytes < BATCH_BYTES {
        if *left == 0 {
            return Some(End::Limit);
        }
        if batch.used == batch.slots.len() {
            let row = Row { number: 0, line: 0, fields: ByteRecord::new() };
            batch.slots.push(Slot { row, record: None });
        }
        let slot = batch.slots.get_mut(batch.used)?;
        match file.read_unjudged(&mut slot.row) {
            Ok(None) => return Some(End::File),
            Ok(record) => slot.record = record,
            Err(error) => return Some(End::Error(error)),
        }
        *left -= 1;
        batch.used += 1;
        bytes += slot.row.fields.as_slice().len();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn collect(bytes: &[u8], limit: Option<u64>) -> (Vec<(u64, bool)>, Ended) {
        let mut file = CsvFile::from_reader(bytes, "in.csv").unwrap();
        let mut rows = Vec::new();
        let ended = each_row(&mut file, limit, |row, problem| {
            rows.push((row.number, problem.is_none()));
            Ok::<_, ()>(true)
        });
        (rows, ended.unwrap())
    }

    #[test]
    fn every_record_comes_in_its_order() {
        for count in [0, 1, 511, 512, 513, 5_000] {
            let text = format!("a,b\n{}", "1,2\n".repeat(count));
            let (rows, ended) = collect(text.as_bytes(), None);
            assert!(rows.iter().copied().eq((1..=count as u64).map(|number| (number, true))));
            assert!(ended.complete && ended.error.is_none() && ended.rows == count as u64);
        }
    }

    #[test]
    fn bad_records_limits_and_errors_come_through() {
        let (rows, ended) = collect(b"a,b\n1\n2,3\n", None);
        assert_eq!(rows, [(1, false), (2, true)]);
        assert!(ended.complete);
        let (rows, ended) = collect("a,b\n1,2\n".repeat(999).as_bytes(), Some(300));
        assert!(rows.len() == 300 && !ended.complete && ended.rows == 300);
        let (rows, ended) = collect(b"a,b\n1,2\n3,\"4\n", None);
        assert_eq!(rows.len(), 1);
        assert!(matches!(ended.error, Some(SourceError::UnclosedQuote { .. })));
    }

    #[test]
    fn who_takes_may_stop_or_fail() {
        let text = "a,b\n".repeat(9_999);
        let mut file = CsvFile::from_reader(text.as_bytes(), "in.csv").unwrap();
        let ended = each_row(&mut file, None, |row, _| Ok::<_, ()>(row.number < 400)).unwrap();
        assert!(ended.rows == 400 && !ended.complete);
        let mut file = CsvFile::from_reader(text.as_bytes(), "in.csv").unwrap();
        assert_eq!(each_row(&mut file, None, |_, _| Err("full")).unwrap_err(), "full");
    }

    #[test]
    fn long_records_keep_no_memory() {
        let long = format!("a,b\n{}", format!("{},2\n", "x".repeat(100_000)).repeat(1_000));
        assert_eq!(collect(long.as_bytes(), None).0.len(), 1_000);
    }
}
