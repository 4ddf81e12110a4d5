//! Rows of issues as the engine's tasks: judged, without those that have a result already.

use crate::devrev::ids::{Id, Names, id_text};
use crate::engine::job::Task;
use crate::exit::Failure;
use crate::finding::Rule;
use crate::jobs::backfill_groups::Item;
use crate::jobs::backfill_groups::scan::Preflight;
use crate::jobs::duplicates::{Duplicate, InRowOrder, Verdict};
use crate::jobs::rules::Column;
use crate::jobs::rules::issues::IssueColumns;
use crate::journal::record::{Outcome, State};
use crate::journal::replay::Replay;
use crate::row::{Place, Row};
use crate::run::feed::{self, RowFeed, invalid, number};
use crate::run::scan::header_failure;
use crate::source::Input;
use crate::stop::Stop;

/// The tasks of one run.
pub(crate) struct IssueFeed {
    rows: RowFeed,
    columns: IssueColumns,
    duplicates: InRowOrder,
}

impl IssueFeed {
    /// The tasks of an input's first `limit` rows, without those that the journal has settled.
    pub(crate) fn new(
        input: &Input,
        preflight: Preflight,
        limit: Option<u64>,
        replay: Replay,
        stop: Stop,
    ) -> Result<Self, Failure> {
        let mut rows = RowFeed::open(input, preflight.stamp, limit, replay, stop)?;
        let columns = IssueColumns::find(rows.header()).map_err(|error| header_failure(&error))?;
        rows.use_only(columns.used());
        Ok(Self { rows, columns, duplicates: InRowOrder::new(preflight.found.duplicates) })
    }

    fn task(&mut self, row: &Row) -> Result<Task<Item>, Failure> {
        let mut findings = Vec::new();
        let judged = self.columns.judge(row, &mut |finding| findings.push(finding));
        let key =
            judged.identity.map_or_else(|| format!("row {}", row.number), |id| format!("ISS-{}", id.key));
        let duplicate = self.duplicates.of(row.number)?;
        let item = if judged.item.is_none() {
            Err(invalid(&findings))
        } else if let Some(duplicate) = duplicate {
            Err(duplicated(duplicate))
        } else {
            self.item(row)
        };
        let in_doubt = self.rows.in_doubt(row.number);
        Ok(Task { rows: row.number.into(), key, item, in_doubt })
    }

    fn item(&self, row: &Row) -> Result<Item, Outcome> {
        let columns = &self.columns;
        let creator_group = columns.creator_group.map(|column| id(column, row)).transpose();
        Ok(Item {
            issue: id(columns.issue, row)?,
            creator: id(columns.creator, row)?,
            assigned_group: id(columns.assigned_group, row)?,
            // A value that is no ID was judged before: here it can only say that there is none.
            creator_group: creator_group.unwrap_or_default(),
        })
    }
}

impl Iterator for IssueFeed {
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

fn id<T: Names>(column: Column, row: &Row) -> Result<Id<T>, Outcome> {
    Id::parse(&id_text(column.text(row), T::TYPES))
        .map_err(|error| Outcome::of(State::Failed, "id-shape", error.to_string()))
}

fn duplicated(duplicate: Duplicate) -> Outcome {
    match duplicate.verdict {
        Verdict::SameAs(first) => {
            let text = format!("the same issue and values as row {}", Place::unpack(first).row);
            Outcome::of(State::Skipped, Rule::DuplicateSame.name(), text)
        }
        Verdict::ConflictsWith(other) => {
            let text = format!("row {} names the same issue with other values", Place::unpack(other).row);
            Outcome::of(State::Failed, Rule::DuplicateConflict.name(), text)
        }
    }
}
