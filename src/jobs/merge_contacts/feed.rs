//! Rows of contacts as the engine's tasks: a pair when its second row comes, any other row by itself.

use crate::engine::job::Task;
use crate::exit::{Exit, Failure};
use crate::jobs::merge_contacts::kept::Kept;
use crate::jobs::merge_contacts::pair::{Pair, folded};
use crate::jobs::merge_contacts::pairing::{Pairing, Role};
use crate::jobs::merge_contacts::scan::ContactPreflight;
use crate::jobs::rules::contacts::ContactColumns;
use crate::journal::record::{Outcome, Rows, State};
use crate::journal::replay::Replay;
use crate::row::{BadRow, Row};
use crate::run::feed::{self, RowFeed, invalid, number};
use crate::run::scan::header_failure;
use crate::source::Input;
use crate::stop::Stop;
use std::collections::HashMap;

/// The tasks of one run.
///
/// Besides the pairing, memory holds the first contact of each pair whose second has not come yet: about 90 bytes
/// and the contact's texts.
pub(crate) struct ContactFeed {
    rows: RowFeed,
    columns: ContactColumns,
    pairing: Pairing,
    /// First contacts of pairs, by row.
    waiting: HashMap<u64, Kept, rustc_hash::FxBuildHasher>,
}

impl ContactFeed {
    /// The tasks of an input, as far as they are part of the run and the journal has not settled them.
    pub(crate) fn new(
        input: &Input,
        preflight: ContactPreflight,
        replay: Replay,
        stop: Stop,
    ) -> Result<Self, Failure> {
        // With a limit, most of a long input need not be read again.
        let limit = Some(preflight.found.last_row());
        let mut rows = RowFeed::open(input, preflight.stamp, limit, replay, stop)?;
        let columns = ContactColumns::find(rows.header()).map_err(|error| header_failure(&error))?;
        rows.use_only(columns.used());
        Ok(Self { rows, columns, pairing: preflight.found, waiting: HashMap::default() })
    }

    /// The task that a row completes, if it completes one that is open.
    fn take(&mut self, row: Result<Row, BadRow>) -> Result<Option<Task<Pair>>, Failure> {
        let number = number(&row);
        let role = self.pairing.role(number);
        let settled = self.rows.settled(number);
        let (reason, detail) = match role {
            Role::Out => return Ok(None),
            Role::Pair { partner, .. } if settled && self.rows.settled(partner) => return Ok(None),
            Role::Pair { partner, primary } => {
                let row = row.map_err(|_| self.differs(number))?;
                return self.half(&row, partner, primary);
            }
            _ if settled => return Ok(None),
            Role::Invalid => return self.invalid(row).map(Some),
            Role::Single => {
                let near = self.pairing.near(number).map(|near| format!("; {near}")).unwrap_or_default();
                ("no-duplicate", format!("no other row has this e-mail{near}"))
            }
            Role::Review(group) => (group.reason.code(), group.sentence(number)),
        };
        let row = row.map_err(|_| self.differs(number))?;
        Ok(Some(Task {
            rows: number.into(),
            key: folded(self.columns.email.text(&row)),
            item: Err(Outcome::of(State::Skipped, reason, detail)),
            in_doubt: self.rows.in_doubt(number),
        }))
    }

    /// The pair's task if this row is its second; the first is kept till then.
    fn half(&mut self, row: &Row, partner: u64, primary: bool) -> Result<Option<Task<Pair>>, Failure> {
        let Some(item) = self.columns.judge(row, &mut |_| ()).item else {
            return Err(self.differs(row.number));
        };
        let kept = Kept::of(row, &self.columns, &item);
        if row.number < partner {
            self.waiting.insert(row.number, kept);
            return Ok(None);
        }
        let rows = Rows { row: partner, also: Some(row.number) };
        let first = self.waiting.remove(&partner).and_then(|kept| kept.contact(partner));
        let (Some(first), Some(second)) = (first, kept.contact(row.number)) else {
            return Err(self.differs(row.number));
        };
        let key = folded(&second.email);
        let pair = if primary { Pair::of(second, first) } else { Pair::of(first, second) };
        // The hash of one organisation in four thousand million may be that of another.
        let item = pair.ok_or_else(|| {
            let text =
                format!("rows {partner} and {} are no pair when they are compared as text", row.number);
            Outcome::of(State::Skipped, "not-a-pair", text)
        });
        let in_doubt = self.rows.in_doubt(rows.row);
        // The first row's has the change.
        drop(self.rows.in_doubt(row.number));
        Ok(Some(Task { rows, key, item, in_doubt }))
    }

    fn invalid(&mut self, row: Result<Row, BadRow>) -> Result<Task<Pair>, Failure> {
        let row = match row {
            Ok(row) => row,
            Err(bad) => return Ok(feed::bad(&bad)),
        };
        let mut findings = Vec::new();
        if self.columns.judge(&row, &mut |finding| findings.push(finding)).item.is_some() {
            return Err(self.differs(row.number));
        }
        let in_doubt = self.rows.in_doubt(row.number);
        Ok(feed::unnamed(row.number, invalid(&findings), in_doubt))
    }

    /// A row is not what it was when the contacts were paired: the file was changed.
    fn differs(&mut self, row: u64) -> Failure {
        self.rows.end().unwrap_or_else(|| {
            let text = format!("a defect: row {row} is not what it was when the contacts were paired");
            Failure::new(Exit::Unexpected, text)
        })
    }
}

impl Iterator for ContactFeed {
    type Item = Result<Task<Pair>, Failure>;

    fn next(&mut self) -> Option<Self::Item> {
        while let Some(row) = self.rows.next() {
            if let Some(task) = row.and_then(|row| self.take(row)).transpose() {
                return Some(task);
            }
        }
        None
    }
}

#[cfg(test)]
#[path = "feed_tests.rs"]
mod tests;
