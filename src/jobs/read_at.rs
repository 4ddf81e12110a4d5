//! When something was read, by clocks that a sleeping laptop does not fool.

use std::time::{Duration, SystemTime};
use tokio::time::Instant;

/// When a value was read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ReadAt(pub(super) Instant, pub(super) SystemTime);

impl ReadAt {
    /// Just now.
    pub(crate) fn now() -> Self {
        Self(Instant::now(), SystemTime::now())
    }

    /// How old the value is: by the steady clock, or by the wall clock if that says more, for the steady one
    /// stands still while a laptop sleeps.
    pub(crate) fn age(self) -> Duration {
        self.0.elapsed().max(self.1.elapsed().unwrap_or_default())
    }
}
