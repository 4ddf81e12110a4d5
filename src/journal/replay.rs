//! What a journal amounts to: the last word on every row, in two bytes a row.

use super::error::JournalError;
use super::line::{Line, Said};
use super::record::{State, step_name};
use super::row_set::{RowSet, RowWords};
use super::run_dir::RunDir;
use super::scan;
pub use super::scan::Torn;
use serde_json::value::RawValue;
use std::collections::{BTreeMap, HashMap};

/// A change of which nobody knows whether it was made.
#[derive(Debug, Clone, Default)]
pub struct InDoubt {
    /// The change that was last meant, where one was.
    pub change: Option<Box<RawValue>>,
    /// The steps of it that were recorded, in order.
    pub steps: Vec<Box<RawValue>>,
    /// Whether it is the second of two rows that share a change: the first has it.
    pub is_shared: bool,
}

/// The last word on every row of a run.
#[derive(Debug, Default)]
pub struct Replay {
    /// The number that the next line of the journal will have.
    pub next_seq: u64,
    /// Rows by the name of their state: `planned`, `done`, `already`, `skipped`, `failed`, `unknown`. A state
    /// without rows is absent. An intent without an outcome counts as `unknown`; a withdrawn row is not
    /// counted.
    pub counts: BTreeMap<String, u64>,
    /// Rows by the name of their state and their reason, where they have one.
    pub by_reason: BTreeMap<String, BTreeMap<String, u64>>,
    /// Rows that are planned, or ended in another state than unknown.
    pub settled: RowSet,
    /// Rows of which nobody knows whether they were changed: the last word is an intent, or an outcome that
    /// says `unknown`. None of them is settled. Of two rows that share a change, the first has it.
    pub unknown: BTreeMap<u64, InDoubt>,
    /// Rows of whose change steps were recorded, whatever became of them. Of two rows that share a change, the first is in.
    pub begun: RowSet,
    /// Rows that count as open again, by the reason that they had; see [`Retry`].
    pub reopened: BTreeMap<String, u64>,
    /// The length of the journal up to and with its last good line.
    pub good_bytes: u64,
    /// What a crash left behind that; see [`repair`](super::repair::repair).
    pub torn: Option<Torn>,
}

/// Which rows are to be tried again that have a result and were not changed.
#[derive(Debug, Clone, Default)]
pub struct Retry {
    /// All that failed.
    pub failed: bool,
    /// All that were skipped, found as they should be, or failed for one of these reasons.
    pub reasons: Vec<String>,
}

impl Replay {
    /// Reads a run's journal and changes nothing. Time follows the journal's length; memory, beyond two bytes
    /// and two bits a row, only the rows whose state is unknown.
    ///
    /// Fails when the journal is missing, cannot be read or is damaged other than by a crash.
    pub fn read(run: &RunDir) -> Result<Self, JournalError> {
        Self::retrying(run, &Retry::default())
    }

    /// As [`Replay::read`]; the rows that are to be tried again count as open.
    pub fn retrying(run: &RunDir, retry: &Retry) -> Result<Self, JournalError> {
        let mut words = LastWords::default();
        let scanned = scan::scan(run, |_, line| words.hear(line))?;
        let reopened = words.reopen(retry);
        let mut replay = words.sum();
        replay.next_seq = scanned.next_seq;
        replay.good_bytes = scanned.good_bytes;
        replay.torn = scanned.torn;
        replay.reopened = reopened;
        Ok(replay)
    }

    /// Whether a row is still to be done: neither settled nor in doubt.
    #[cfg(test)]
    pub(crate) fn is_open(&self, row: u64) -> bool {
        !self.settled.contains(row) && !self.unknown.contains_key(&row)
    }
}

/// The last word on a row in 16 bits: three for what it is, 13 for its reason. 0: nothing was said.
const REASON_BITS: u32 = 13;
/// More reasons than this are counted together as [`OTHER`]. Reasons are codes: a few dozen at most.
const MAX_REASONS: usize = (1 << REASON_BITS) - 1;
const OTHER: &str = "other";

// What the three bits say.
const OPEN: usize = 0;
const PLANNED: usize = 1;
const DONE: usize = 2;
const ALREADY: usize = 3;
const SKIPPED: usize = 4;
const FAILED: usize = 5;
const UNKNOWN: usize = 6;
const INTENT: usize = 7;
/// The states as which they count.
const NAMES: [&str; 8] = ["", "planned", "done", "already", "skipped", "failed", "unknown", "unknown"];

/// How the rows stand while a process is at work.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// Rows by the name of their state.
    pub counts: BTreeMap<String, u64>,
    /// Rows by the name of their state and their reason, where they have one.
    pub by_reason: BTreeMap<String, BTreeMap<String, u64>>,
    /// Rows that are planned or have ended.
    pub rows: u64,
    /// Rows of changes that are being made.
    pub pending: u64,
    /// The rows of changes that are being made, each with the name of its last step; empty where none was recorded.
    pub under_way: Vec<(u64, String)>,
}

#[derive(Debug, Default)]
pub(super) struct LastWords {
    words: RowWords,
    settled: RowSet,
    unknown: BTreeMap<u64, InDoubt>,
    begun: RowSet,
    reasons: Reasons,
    /// By the row's word: how many rows have it.
    tally: HashMap<u16, u64, rustc_hash::FxBuildHasher>,
}

impl LastWords {
    pub(super) fn hear(&mut self, line: &Line<'_>) {
        if let Said::Step(step) = line.said() {
            // Of a change that is under way: else it would say nothing.
            if let Some(in_doubt) = self.unknown.get_mut(&line.row) {
                in_doubt.steps.push(step.to_owned());
                self.begun.insert(line.row);
            }
            return;
        }
        for row in line.rows().each() {
            self.hear_of(row, line);
        }
    }

    fn hear_of(&mut self, row: u64, line: &Line<'_>) {
        let (kind, reason) = match line.said() {
            Said::Withdrawn | Said::Step(_) => (OPEN, 0),
            Said::Planned { .. } => (PLANNED, 0),
            Said::Intent { .. } => (INTENT, 0),
            Said::Outcome(ended) => {
                let kind = match ended.state {
                    State::Done => DONE,
                    State::Already => ALREADY,
                    State::Skipped => SKIPPED,
                    State::Failed => FAILED,
                    State::Unknown => UNKNOWN,
                };
                (kind, ended.reason.map_or(0, |reason| self.reasons.number(reason)))
            }
        };
        match line.said() {
            Said::Intent { change, .. } => {
                let is_shared = row != line.row;
                let change = (!is_shared).then(|| change.to_owned());
                self.unknown.insert(row, InDoubt { change, steps: Vec::new(), is_shared });
            }
            // The change that was last meant stays, with its steps.
            _ if kind == UNKNOWN => {
                let is_shared = row != line.row;
                self.unknown.entry(row).or_insert_with(|| InDoubt { is_shared, ..InDoubt::default() });
            }
            _ => {
                self.unknown.remove(&row);
            }
        }
        if (PLANNED..=FAILED).contains(&kind) {
            self.settled.insert(row)
        } else {
            self.settled.remove(row)
        };

        let word = u16::try_from(kind << REASON_BITS | reason).unwrap_or_default();
        let before = self.words.replace(row, word);
        if before != 0 {
            self.tally.entry(before).and_modify(|rows| *rows -= 1);
        }
        if word != 0 {
            *self.tally.entry(word).or_default() += 1;
        }
    }

    /// Makes rows that are to be tried again open; returns how many had which reason.
    fn reopen(&mut self, retry: &Retry) -> BTreeMap<String, u64> {
        let mut reopened = BTreeMap::new();
        let again: HashMap<u16, &str> = self
            .tally
            .keys()
            .filter_map(|word| {
                let (kind, reason) = split(*word);
                let reason = self.reasons.name(reason).unwrap_or_default();
                let named =
                    (ALREADY..=FAILED).contains(&kind) && retry.reasons.iter().any(|asked| asked == reason);
                (named || retry.failed && kind == FAILED).then_some((*word, reason))
            })
            .collect();
        if again.is_empty() {
            return reopened;
        }
        for (row, word) in self.words.iter() {
            if let Some(reason) = again.get(&word) {
                self.settled.remove(row);
                *reopened.entry((*reason).to_owned()).or_default() += 1;
            }
        }
        self.tally.retain(|word, _| !again.contains_key(word));
        reopened
    }

    fn sum(self) -> Replay {
        let (counts, by_reason) = self.counts(|_| true);
        Replay {
            settled: self.settled,
            unknown: self.unknown,
            begun: self.begun,
            counts,
            by_reason,
            ..Replay::default()
        }
    }

    /// As it stands: an intent without an outcome is a change under way.
    pub(super) fn now(&self) -> Now {
        let (counts, by_reason) = self.counts(|kind| kind != INTENT);
        let is_meant = |row: u64| split(self.words.get(row)).0 == INTENT;
        let changes = self.unknown.iter().filter(|(row, change)| !change.is_shared && is_meant(**row));
        let last = |steps: &[Box<RawValue>]| steps.last().map_or_else(String::new, |step| step_name(step));
        Now {
            rows: counts.values().sum(),
            pending: self
                .tally
                .iter()
                .filter(|(word, _)| split(**word).0 == INTENT)
                .map(|(_, rows)| rows)
                .sum(),
            under_way: changes.map(|(row, change)| (*row, last(&change.steps))).collect(),
            counts,
            by_reason,
        }
    }

    /// Rows by state, and by state and reason, of the kinds that are asked for.
    #[allow(clippy::type_complexity, reason = "the two members of those who ask")]
    fn counts(
        &self,
        asked: impl Fn(usize) -> bool,
    ) -> (BTreeMap<String, u64>, BTreeMap<String, BTreeMap<String, u64>>) {
        let (mut counts, mut by_reason) = (BTreeMap::new(), BTreeMap::<_, BTreeMap<_, _>>::new());
        for (word, rows) in self.tally.iter().filter(|(_, rows)| **rows > 0) {
            let (kind, reason) = split(*word);
            if !asked(kind) {
                continue;
            }
            let name = NAMES.get(kind).copied().unwrap_or_default();
            *counts.entry(name.to_owned()).or_default() += rows;
            if let Some(reason) = self.reasons.name(reason) {
                *by_reason.entry(name.to_owned()).or_default().entry(reason.to_owned()).or_default() += rows;
            }
        }
        (counts, by_reason)
    }
}

/// What a word says: the kind, and the number of the reason.
fn split(word: u16) -> (usize, usize) {
    (usize::from(word) >> REASON_BITS, usize::from(word) & MAX_REASONS)
}

/// Reasons by number, from 1; 0 is none.
#[derive(Debug, Default)]
struct Reasons {
    names: Vec<String>,
    numbers: HashMap<String, usize, rustc_hash::FxBuildHasher>,
}

impl Reasons {
    fn number(&mut self, reason: &str) -> usize {
        if let Some(number) = self.numbers.get(reason) {
            return *number;
        }
        // The last number is that of all the reasons that found no other.
        if self.names.len() + 1 >= MAX_REASONS {
            return MAX_REASONS;
        }
        self.names.push(reason.to_owned());
        self.numbers.insert(reason.to_owned(), self.names.len());
        self.names.len()
    }

    fn name(&self, number: usize) -> Option<&str> {
        match number {
            0 => None,
            MAX_REASONS => Some(OTHER),
            _ => self.names.get(number - 1).map(String::as_str),
        }
    }
}
