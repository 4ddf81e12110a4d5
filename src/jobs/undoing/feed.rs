//! Rows that this tool made for a run of its own, as the engine's tasks; and the scan of them.

use crate::engine::job::Task;
use crate::exit::Failure;
use crate::journal::record::{Outcome, State};
use crate::journal::replay::Replay;
use crate::row::Row;
use crate::run::feed::{self, RowFeed, number};
use crate::run::job::Scan;
use crate::run::scan::{each_record, fingerprinted, header_failure};
use crate::source::Input;
use crate::stop::Stop;
use std::marker::PhantomData;

/// An item that stands in a row as this tool wrote it.
pub(crate) trait Made: Sized + Send + 'static {
    /// The columns that are read.
    const COLUMNS: &'static [&'static str];

    /// The object's ID as people know it, and the item. The fields are those of the columns, byte for byte. An
    /// error says what is wrong with them.
    fn read(fields: &[&str]) -> Result<(String, Self), String>;
}

/// Rows that this tool made.
pub(crate) type MadeRows = Scan<()>;

/// Scans rows with these columns. Blocks.
pub(crate) fn scan<T: Made>(input: &Input) -> Result<MadeRows, Failure> {
    let (fingerprint, stamp, rows) = fingerprinted(input, |file| {
        file.header().require(T::COLUMNS).map_err(|error| header_failure(&error))?;
        let mut rows = 0;
        each_record(file, |_, _| {
            rows += 1;
            Ok(())
        })?;
        Ok(rows)
    })?;
    Ok(Scan { fingerprint, stamp, rows, notes: Vec::new(), found: () })
}

/// The tasks of one run.
pub(crate) struct MadeFeed<T> {
    rows: RowFeed,
    columns: Vec<usize>,
    items: PhantomData<fn() -> T>,
}

impl<T: Made> MadeFeed<T> {
    /// The tasks of the first `limit` rows, without those that the journal has settled.
    pub(crate) fn new(
        input: &Input,
        scan: &MadeRows,
        limit: Option<u64>,
        replay: Replay,
        stop: Stop,
    ) -> Result<Self, Failure> {
        let rows = RowFeed::open(input, scan.stamp, limit, replay, stop)?;
        let columns = rows.header().require(T::COLUMNS).map_err(|error| header_failure(&error))?;
        Ok(Self { rows, columns, items: PhantomData })
    }

    fn task(&mut self, row: &Row) -> Task<T> {
        let field = |column: &usize| row.fields.get(*column).map(std::str::from_utf8)?.ok();
        let fields: Vec<&str> = self.columns.iter().filter_map(field).collect();
        let in_doubt = self.rows.in_doubt(row.number);
        let read = if fields.len() == T::COLUMNS.len() {
            T::read(&fields)
        } else {
            Err("it lacks fields, or they are not UTF-8".to_owned())
        };
        match read {
            Ok((key, item)) => Task { rows: row.number.into(), key, item: Ok(item), in_doubt },
            Err(problem) => {
                let outcome = Outcome::of(State::Failed, "invalid", problem);
                feed::unnamed(row.number, outcome, in_doubt)
            }
        }
    }
}

impl<T: Made> Iterator for MadeFeed<T> {
    type Item = Result<Task<T>, Failure>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            return Some(match self.rows.next()? {
                Err(failure) => Err(failure),
                Ok(row) if self.rows.settled(number(&row)) => continue,
                Ok(Ok(row)) => Ok(self.task(&row)),
                Ok(Err(bad)) => Ok(feed::bad(&bad)),
            });
        }
    }
}
