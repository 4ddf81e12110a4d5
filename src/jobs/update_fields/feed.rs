//! Rows as the engine's tasks: read, without those that have a result already.

use super::Item;
use super::change::AS_WANTED;
use super::options::UpdateOptions;
use super::rows::RowReader;
use super::scan::{Rows, duplicated};
use crate::engine::job::Task;
use crate::exit::Failure;
use crate::jobs::duplicates::InRowOrder;
use crate::journal::record::{Outcome, State};
use crate::journal::replay::Replay;
use crate::row::Row;
use crate::run::feed::{self, RowFeed, invalid, number};
use crate::run::job::Scan;
use crate::source::Input;
use crate::stop::Stop;

/// The tasks of one run.
pub(crate) struct UpdateFeed {
    rows: RowFeed,
    reader: RowReader,
    duplicates: InRowOrder,
}

impl UpdateFeed {
    /// The tasks of an input, without those that the journal has settled.
    pub(crate) fn new(
        options: &UpdateOptions,
        input: &Input,
        scan: Scan<Rows>,
        replay: Replay,
        stop: Stop,
    ) -> Result<Self, Failure> {
        let mut rows = RowFeed::open(input, scan.stamp, options.limit, replay, stop)?;
        let reader = options.reader(rows.header())?;
        rows.use_only(reader.columns.used());
        Ok(Self { rows, reader, duplicates: scan.found.duplicates })
    }

    fn task(&mut self, row: &Row) -> Result<Task<Item>, Failure> {
        let read = self.reader.read(row, None)?;
        let key = if read.shown.is_empty() { format!("row {}", row.number) } else { read.shown };
        let duplicate = self.duplicates.of(row.number)?;
        let item = match (read.item, duplicate) {
            (None, _) => Err(invalid(&read.findings)),
            (Some(_), Some(duplicate)) => Err(duplicated(duplicate.verdict)),
            (Some(item), None) if item.cells.is_empty() => {
                Err(Outcome::of(State::Already, AS_WANTED, "the row changes nothing"))
            }
            (Some(item), None) => Ok(item),
        };
        Ok(Task { rows: row.number.into(), key, item, in_doubt: self.rows.in_doubt(row.number) })
    }
}

impl Iterator for UpdateFeed {
    type Item = Result<Task<Item>, Failure>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let row = match self.rows.next()? {
                Ok(row) => row,
                Err(failure) => return Some(Err(failure)),
            };
            if self.rows.settled(number(&row)) {
                continue;
            }
            return Some(match row {
                Ok(row) => self.task(&row),
                Err(bad) => Ok(feed::bad(&bad)),
            });
        }
    }
}
