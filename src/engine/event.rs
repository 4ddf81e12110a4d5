//! What the engine tells its listeners.

use crate::journal::record::{Outcome, Rows, State};
use std::collections::BTreeMap;
use std::time::Duration;

/// A row's result.
#[derive(Debug, Clone)]
pub(crate) enum Settled {
    /// A dry run's: this would be changed.
    Planned,
    /// The row's outcome.
    Outcome(Outcome),
}

impl Settled {
    /// The state's name in files and summaries.
    pub(crate) fn state(&self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::Outcome(outcome) => outcome.state.name(),
        }
    }

    /// Writes it into the log. `took` is how long the change was under way, if there was one.
    pub(super) fn log(&self, rows: Rows, key: &str, took: Option<Duration>) {
        let latency_ms = took.map(|took| u64::try_from(took.as_millis()).unwrap_or(u64::MAX));
        let (reason, detail, attempts) = match self {
            Self::Planned => (None, None, 0),
            Self::Outcome(outcome) => {
                (outcome.reason.as_deref(), outcome.detail.as_deref(), outcome.attempts)
            }
        };
        let Rows { row, also } = rows;
        tracing::debug!(
            row,
            also,
            key,
            state = self.state(),
            reason,
            detail,
            attempts,
            latency_ms,
            "row ended"
        );
    }

    /// Whether this counts as an error: failed, or its state is unknown.
    pub(crate) fn is_error(&self) -> bool {
        matches!(self, Self::Outcome(Outcome { state: State::Failed | State::Unknown, .. }))
    }
}

/// Something that happened.
#[derive(Debug)]
pub(crate) enum Event {
    /// A row, or two that share one, has its result. It becomes durable with its batch.
    Row {
        /// The rows.
        rows: Rows,
        /// The result.
        settled: Settled,
    },
    /// A change is going to be made; its result follows.
    Meant {
        /// The rows.
        rows: Rows,
    },
    /// A step of a change that is made in several is durable.
    Step {
        /// The rows.
        rows: Rows,
        /// The step's name in the journal, such as `backed-up`.
        step: String,
    },
    /// A batch's results are durable.
    Batch {
        /// Its number in this process, from 1.
        number: u64,
        /// From the first call for it to its last answer.
        took: Duration,
    },
}

/// Rows by state and reason.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Tally {
    /// Rows by state.
    pub states: BTreeMap<String, u64>,
    /// Rows by state and reason, where there is one.
    pub reasons: BTreeMap<String, BTreeMap<String, u64>>,
}

impl Tally {
    /// Counts rows.
    pub(crate) fn add(&mut self, state: &str, reason: Option<&str>, rows: u64) {
        *entry(&mut self.states, state) += rows;
        if let Some(reason) = reason {
            *entry(entry(&mut self.reasons, state), reason) += rows;
        }
    }

    /// Counts a result of so many rows.
    pub(crate) fn count(&mut self, settled: &Settled, rows: u64) {
        match settled {
            Settled::Planned => self.add(settled.state(), None, rows),
            Settled::Outcome(outcome) => self.count_outcome(outcome, rows),
        }
    }

    /// Counts an outcome of so many rows.
    pub(crate) fn count_outcome(&mut self, outcome: &Outcome, rows: u64) {
        self.add(outcome.state.name(), outcome.reason.as_deref(), rows);
    }

    /// Adds what another tally has counted.
    pub(crate) fn add_all(&mut self, other: &Self) {
        for (state, rows) in &other.states {
            *entry(&mut self.states, state) += rows;
        }
        for (state, reasons) in &other.reasons {
            let ours = entry(&mut self.reasons, state);
            for (reason, rows) in reasons {
                *entry(ours, reason) += rows;
            }
        }
    }

    /// Rows in this state.
    pub(crate) fn of(&self, state: &str) -> u64 {
        self.states.get(state).copied().unwrap_or(0)
    }

    /// Rows in any state.
    pub(crate) fn total(&self) -> u64 {
        self.states.values().sum()
    }

    /// Rows that failed or whose state is unknown.
    pub(crate) fn errors(&self) -> u64 {
        self.of("failed") + self.of("unknown")
    }
}

/// The value at a key, made on first use without allocating on later ones.
fn entry<'a, V: Default>(map: &'a mut BTreeMap<String, V>, key: &str) -> &'a mut V {
    if !map.contains_key(key) {
        map.insert(key.to_owned(), V::default());
    }
    map.entry(key.to_owned()).or_default()
}
