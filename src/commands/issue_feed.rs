//! Rows of issues as the engine's tasks: judged, without those that have a result already.

use super::preflight::{Preflight, source_failure, unchanged};
use crate::devrev::ids::{Id, Names};
use crate::engine::job::Task;
use crate::exit::{Exit, Failure};
use crate::jobs::backfill_groups::Item;
use crate::jobs::duplicates::{Duplicate, Verdict, Verdicts};
use crate::jobs::rules::Column;
use crate::jobs::rules::finding::{Finding, Rule, Severity};
use crate::jobs::rules::issues::IssueColumns;
use crate::journal::record::{Outcome, State};
use crate::journal::replay::Replay;
use crate::row::{Place, Row};
use crate::source::csv::Rows;
use crate::source::{Input, Stamp};
use crate::stop::Stop;
use std::iter::Peekable;
use std::path::PathBuf;

/// How often the file is looked at for changes, in rows. After its last row it is looked at again.
const LOOK_EVERY: u64 = 50;

/// The tasks of one run.
pub struct IssueFeed {
    rows: Rows,
    columns: IssueColumns,
    duplicates: Peekable<Verdicts>,
    limit: u64,
    /// What earlier processes of the run have settled or left in doubt.
    replay: Replay,
    retry_failed: bool,
    /// Ends the passing over of rows that have a result, of which there may be millions.
    stop: Stop,
    path: PathBuf,
    stamp: Stamp,
    ended: bool,
}

impl IssueFeed {
    /// The tasks of an input's first `limit` rows, without those that the journal has settled.
    pub fn new(
        input: &Input,
        preflight: Preflight,
        limit: Option<u64>,
        replay: Replay,
        retry_failed: bool,
        stop: Stop,
    ) -> Result<Self, Failure> {
        let file = input.open().map_err(|error| source_failure(&error))?;
        let columns = IssueColumns::find(file.header())
            .map_err(|error| Failure::new(Exit::InvalidInput, error.to_string()))?;
        Ok(Self {
            rows: file.rows(),
            columns,
            duplicates: preflight.duplicates.peekable(),
            limit: limit.unwrap_or(u64::MAX),
            replay,
            retry_failed,
            stop,
            path: input.path().to_owned(),
            stamp: preflight.stamp,
            ended: false,
        })
    }

    fn settled(&self, row: u64) -> bool {
        self.replay.settled.contains(row) && !(self.retry_failed && self.replay.failed.contains(row))
    }

    /// The verdict about this row, if it is about the same issue as another.
    fn duplicate(&mut self, row: u64) -> Result<Option<Duplicate>, Failure> {
        loop {
            let at = match self.duplicates.peek() {
                Some(Ok(duplicate)) => Place::unpack(duplicate.row).row,
                Some(Err(error)) => {
                    return Err(Failure::new(
                        Exit::Unexpected,
                        format!("cannot read temporary data: {error}"),
                    ));
                }
                None => return Ok(None),
            };
            if at > row {
                return Ok(None);
            }
            let next = self.duplicates.next().and_then(Result::ok);
            if at == row {
                return Ok(next);
            }
        }
    }

    /// Ends the feed; says so if it ends because the file was changed.
    fn end(&mut self) -> Option<Failure> {
        self.ended = true;
        unchanged(&self.path, &self.stamp).err()
    }

    fn task(&mut self, row: &Row) -> Result<Task<Item>, Failure> {
        let mut findings = Vec::new();
        let judged = self.columns.judge(row, &mut |finding| findings.push(finding));
        let key =
            judged.identity.map_or_else(|| format!("row {}", row.number), |id| format!("ISS-{}", id.key));
        let duplicate = self.duplicate(row.number)?;
        let item = if judged.item.is_none() {
            Err(invalid(&findings))
        } else if let Some(duplicate) = duplicate {
            Err(duplicated(duplicate))
        } else {
            self.item(row, judged.identity.map_or(0, |id| id.key))
        };
        let in_doubt = self.replay.unknown.remove(&row.number);
        Ok(Task { rows: row.number.into(), key, item, in_doubt })
    }

    fn item(&self, row: &Row, number: u64) -> Result<Item, Outcome> {
        let columns = &self.columns;
        let creator_group = columns.creator_group.map(|column| id(column, row)).transpose();
        Ok(Item {
            number,
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
        while !self.ended {
            let row = match self.rows.next() {
                Some(Ok(Ok(row))) => Ok(row),
                Some(Ok(Err(bad))) => Err(bad),
                None => return self.end().map(Err),
                Some(Err(error)) => return Some(Err(self.end().unwrap_or_else(|| source_failure(&error)))),
            };
            let number = row.as_ref().map_or_else(|bad| bad.row.number, |row| row.number);
            if number > self.limit {
                return self.end().map(Err);
            }
            if number % LOOK_EVERY == 1 && self.stop.is_set() {
                self.ended = true;
                return None;
            }
            if number % LOOK_EVERY == 1
                && let Err(failure) = unchanged(&self.path, &self.stamp)
            {
                self.ended = true;
                return Some(Err(failure));
            }
            if self.settled(number) {
                continue;
            }
            return Some(match row {
                Ok(row) => self.task(&row),
                Err(bad) => Ok(Task {
                    rows: number.into(),
                    key: format!("row {number}"),
                    item: Err(invalid(&[Finding::of_problem(&bad.row, &bad.problem)])),
                    in_doubt: None,
                }),
            });
        }
        None
    }
}

fn id<T: Names>(column: Column, row: &Row) -> Result<Id<T>, Outcome> {
    Id::parse(column.text(row)).map_err(|error| Outcome::of(State::Failed, "id-shape", error.to_string()))
}

/// The outcome of a row that is wrong: its first rule as the reason, all of them in words.
fn invalid(findings: &[Finding]) -> Outcome {
    let wrong = || findings.iter().filter(|finding| finding.rule.severity() == Severity::Error);
    let words: Vec<_> = wrong()
        .map(|finding| match &finding.column {
            Some(column) => format!("{column} `{}`: {}", finding.value, finding.message),
            None => finding.message.clone(),
        })
        .collect();
    let line = findings.first().and_then(|finding| finding.line);
    let line = line.map(|line| format!("line {line}: ")).unwrap_or_default();
    let reason = wrong().next().map_or("invalid", |finding| finding.rule.name());
    Outcome::of(State::Failed, reason, format!("{line}{}", words.join("; ")))
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
