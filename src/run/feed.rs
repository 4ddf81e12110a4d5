//! Rows of an input as a run reads them: in order, from a file that must stay as it was looked at, and with
//! what the journal says of them.

use crate::engine::job::Task;
use crate::exit::Failure;
use crate::finding::{Finding, Severity};
use crate::journal::record::{Outcome, State};
use crate::journal::replay::{InDoubt, Replay};
use crate::row::{BadRow, Row};
use crate::run::scan::{source_failure, unchanged};
use crate::source::csv::CsvRows;
use crate::source::header::Header;
use crate::source::{Input, Stamp};
use crate::stop::Stop;
use std::path::PathBuf;

/// How often the file is looked at for changes, in rows. After its last row it is looked at again.
const LOOK_EVERY: u64 = 50;

/// The rows of one run.
pub(crate) struct RowFeed {
    rows: CsvRows,
    limit: u64,
    /// What earlier processes of the run have settled or left in doubt.
    replay: Replay,
    /// Ends the passing over of rows that have a result, of which there may be millions.
    stop: Stop,
    path: PathBuf,
    stamp: Stamp,
    ended: bool,
}

impl RowFeed {
    /// The first `limit` rows of an input that had this stamp when it was looked at.
    pub(crate) fn open(
        input: &Input,
        stamp: Stamp,
        limit: Option<u64>,
        replay: Replay,
        stop: Stop,
    ) -> Result<Self, Failure> {
        let file = input.open().map_err(|error| source_failure(&error))?;
        Ok(Self {
            rows: file.rows(),
            limit: limit.unwrap_or(u64::MAX),
            replay,
            stop,
            path: input.path().to_owned(),
            stamp,
            ended: false,
        })
    }

    /// The names of the columns.
    pub(crate) fn header(&self) -> &Header {
        self.rows.header()
    }

    /// Says which columns are used: a row is not bad for what stands in others.
    pub(crate) fn use_only(&mut self, columns: Vec<usize>) {
        self.rows.use_only(columns);
    }

    /// Whether the journal has settled a row, and it is not to be tried again.
    pub(crate) fn settled(&self, row: u64) -> bool {
        self.replay.settled.contains(row)
    }

    /// The change that an earlier process meant to make for a row and that is in doubt; it is handed out once.
    pub(crate) fn in_doubt(&mut self, row: u64) -> Option<InDoubt> {
        self.replay.unknown.remove(&row)
    }

    /// Ends the feed; says so if it ends because the file was changed.
    pub(crate) fn end(&mut self) -> Option<Failure> {
        self.ended = true;
        unchanged(&self.path, &self.stamp).err()
    }
}

impl Iterator for RowFeed {
    /// A row, settled ones included, or a record that is none; a failure ends the feed.
    type Item = Result<Result<Row, BadRow>, Failure>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let row = match self.rows.next() {
            Some(Ok(row)) => row,
            None => return self.end().map(Err),
            Some(Err(error)) => return Some(Err(self.end().unwrap_or_else(|| source_failure(&error)))),
        };
        let number = number(&row);
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
        Some(Ok(row))
    }
}

/// The number of a row, whether or not it is one.
pub(crate) fn number(row: &Result<Row, BadRow>) -> u64 {
    row.as_ref().map_or_else(|bad| bad.row.number, |row| row.number)
}

/// The task of a row that cannot be named by what it is about.
pub(crate) fn unnamed<I>(row: u64, outcome: Outcome, in_doubt: Option<InDoubt>) -> Task<I> {
    Task { rows: row.into(), key: format!("row {row}"), item: Err(outcome), in_doubt }
}

/// The task of a record that is not a row.
pub(crate) fn bad<I>(bad: &BadRow) -> Task<I> {
    unnamed(bad.row.number, invalid(&[Finding::of_problem(&bad.row, &bad.problem)]), None)
}

/// The outcome of a row that is wrong: its first rule as the reason, all of them in words.
pub(crate) fn invalid(findings: &[Finding]) -> Outcome {
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
