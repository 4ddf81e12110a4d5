//! What the journal says about rows.

use crate::exit::{Exit, Failure};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::borrow::Cow;

/// The greatest row number that is taken for one. No input has more rows; a damaged number may be anything.
pub const MAX_ROW: u64 = 10_000_000_000;

/// How a row ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// The change was made, and the target's own answer showed it.
    Done,
    /// There was nothing to change.
    Already,
    /// Nothing was to be done, for a reason that is no error.
    Skipped,
    /// It was not changed, for a reason that is an error.
    Failed,
    /// Sent, and nobody knows whether it took. To be settled by a read before anything is sent again.
    Unknown,
}

impl State {
    /// Its name in files and summaries.
    pub fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Already => "already",
            Self::Skipped => "skipped",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
        }
    }
}

/// How a row ended, and why.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// How it ended.
    pub state: State,
    /// A short stable code for machines, such as `ambiguous-creator`.
    pub reason: Option<Cow<'static, str>>,
    /// The sentence for people.
    pub detail: Option<String>,
    /// How many times the change was sent.
    pub attempts: u32,
    /// What the job has to say of it in `report.json`, as JSON that the journal does not look into.
    pub report: Option<Box<RawValue>>,
}

impl PartialEq for Outcome {
    fn eq(&self, other: &Self) -> bool {
        let text = |outcome: &Self| outcome.report.as_ref().map(|report| report.get().to_owned());
        (self.state, &self.reason, &self.detail, self.attempts)
            == (other.state, &other.reason, &other.detail, other.attempts)
            && text(self) == text(other)
    }
}

impl Outcome {
    /// An outcome for a reason, with nothing sent.
    pub fn of(state: State, reason: &'static str, detail: impl Into<String>) -> Self {
        Self {
            state,
            reason: Some(Cow::Borrowed(reason)),
            detail: Some(detail.into()),
            attempts: 0,
            report: None,
        }
    }

    /// The change was made, in so many attempts.
    pub fn done(attempts: u32) -> Self {
        Self { state: State::Done, reason: None, detail: None, attempts, report: None }
    }

    /// The same, after so many attempts.
    #[must_use]
    pub fn after(mut self, attempts: u32) -> Self {
        self.attempts = attempts;
        self
    }

    /// The same, with a word for the report.
    #[must_use]
    pub fn reported(mut self, report: Option<Box<RawValue>>) -> Self {
        self.report = report;
        self
    }
}

/// What an entry is about: a row of the input, or two of them that share one change and one fate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rows {
    /// The row that the change is written down under.
    pub row: u64,
    /// The other row, where there is one.
    pub also: Option<u64>,
}

impl Rows {
    /// How many rows these are.
    pub fn count(self) -> u64 {
        1 + u64::from(self.also.is_some())
    }

    /// Both.
    pub fn each(self) -> impl Iterator<Item = u64> {
        std::iter::once(self.row).chain(self.also)
    }
}

impl From<u64> for Rows {
    fn from(row: u64) -> Self {
        Self { row, also: None }
    }
}

/// The name of a step; empty for one without.
pub fn step_name(step: &RawValue) -> String {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Named {
        step: String,
    }
    serde_json::from_str::<Named>(step.get()).unwrap_or_default().step
}

/// One entry of the journal. Rows are counted from 1, up to [`MAX_ROW`].
#[derive(Debug, Clone)]
pub enum Record {
    /// A dry run would make this change.
    Planned {
        /// The rows in the input.
        rows: Rows,
        /// The object's ID as people know it.
        key: String,
        /// The change, as JSON that the journal does not look into.
        change: Box<RawValue>,
    },
    /// This change is about to be made. Durable before it is. It says all that is known of the change by then:
    /// steps that were recorded before it are no longer looked at.
    Intent {
        /// The rows in the input.
        rows: Rows,
        /// The object's ID as people know it.
        key: String,
        /// The change, as JSON that the journal does not look into.
        change: Box<RawValue>,
    },
    /// A step of the change that was meant last has been, or is about to be, taken.
    Step {
        /// The rows in the input.
        rows: Rows,
        /// The step, as JSON that the journal does not look into.
        step: Box<RawValue>,
    },
    /// A row ended.
    Outcome {
        /// The rows in the input.
        rows: Rows,
        /// The object's ID as people know it.
        key: String,
        /// How it ended.
        outcome: Outcome,
    },
    /// The row's intent was never sent: the row is open again.
    Withdrawn {
        /// The rows in the input.
        rows: Rows,
    },
}

impl Record {
    /// The rows in the input.
    pub fn rows(&self) -> Rows {
        match self {
            Self::Planned { rows, .. }
            | Self::Intent { rows, .. }
            | Self::Step { rows, .. }
            | Self::Outcome { rows, .. }
            | Self::Withdrawn { rows } => *rows,
        }
    }
}

/// A change as it stands in the journal.
pub fn raw<C: Serialize>(change: &C) -> Result<Box<RawValue>, Failure> {
    serde_json::value::to_raw_value(change).map_err(|error| {
        Failure::new(Exit::Unexpected, format!("a defect: a change is not JSON: {error}")).because(error)
    })
}
