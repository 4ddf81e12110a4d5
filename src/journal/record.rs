//! What the journal says about rows.

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
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// How it ended.
    pub state: State,
    /// A short stable code for machines, such as `ambiguous-creator`.
    pub reason: Option<Cow<'static, str>>,
    /// The sentence for people.
    pub detail: Option<String>,
    /// How many times the change was sent.
    pub attempts: u32,
}

impl Outcome {
    /// An outcome for a reason, with nothing sent.
    pub fn of(state: State, reason: &'static str, detail: impl Into<String>) -> Self {
        Self { state, reason: Some(Cow::Borrowed(reason)), detail: Some(detail.into()), attempts: 0 }
    }

    /// The change was made, in so many attempts.
    pub fn done(attempts: u32) -> Self {
        Self { state: State::Done, reason: None, detail: None, attempts }
    }

    /// The same, after so many attempts.
    #[must_use]
    pub fn after(mut self, attempts: u32) -> Self {
        self.attempts = attempts;
        self
    }
}

/// One entry of the journal. Rows are counted from 1, up to [`MAX_ROW`].
#[derive(Debug, Clone)]
pub enum Record {
    /// A dry run would make this change.
    Planned {
        /// The row's number in the input.
        row: u64,
        /// The object's ID as people know it.
        key: String,
        /// The change, as JSON that the journal does not look into.
        change: Box<RawValue>,
    },
    /// This change is about to be made. Durable before it is.
    Intent {
        /// The row's number in the input.
        row: u64,
        /// The object's ID as people know it.
        key: String,
        /// The change, as JSON that the journal does not look into.
        change: Box<RawValue>,
    },
    /// A row ended.
    Outcome {
        /// The row's number in the input.
        row: u64,
        /// The object's ID as people know it.
        key: String,
        /// How it ended.
        outcome: Outcome,
    },
    /// The row's intent was never sent: the row is open again.
    Withdrawn {
        /// The row's number in the input.
        row: u64,
    },
}

impl Record {
    /// The row's number in the input.
    pub fn row(&self) -> u64 {
        match self {
            Self::Planned { row, .. }
            | Self::Intent { row, .. }
            | Self::Outcome { row, .. }
            | Self::Withdrawn { row } => *row,
        }
    }
}
