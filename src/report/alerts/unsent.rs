//! A message that was not taken, and how long a try may last.

use std::time::Duration;

/// How long one try may take.
pub(super) const TRY: Duration = Duration::from_secs(10);

/// Why a message was not taken.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unsent {
    /// For the operator.
    pub(super) why: String,
    /// Whether another try may fare better.
    pub(super) again: bool,
    /// How long the server wants to be left alone.
    pub(super) after: Option<Duration>,
}

impl Unsent {
    pub(super) fn for_now(why: impl Into<String>) -> Self {
        Self { why: why.into(), again: true, after: None }
    }

    pub(super) fn for_good(why: impl Into<String>) -> Self {
        Self { why: why.into(), again: false, after: None }
    }
}
