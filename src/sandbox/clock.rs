//! The wall clock in the units that answers use.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The time since the epoch.
pub(super) fn epoch() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// Milliseconds since the epoch.
pub(super) fn epoch_millis() -> u64 {
    u64::try_from(epoch().as_millis()).unwrap_or(u64::MAX)
}

/// A stretch of time in whole seconds, rounded up.
pub(super) fn whole_seconds(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}
