//! What limits the calls.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

/// A rate: so many calls in any window of so long.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Rate {
    /// Calls in a window; not 0.
    pub calls: NonZeroU32,
    /// The window.
    pub period: Duration,
}

/// What limits the calls.
#[derive(Debug, Clone, Default)]
pub(crate) struct PaceSettings {
    /// The rate; `None` for no limit but the API's own answers.
    pub rate: Option<Rate>,
    /// For `auto`: the share of the server's limit to use (more than 0, at most 1), once its headers have told it.
    pub share: Option<f64>,
    /// Where the times of recent calls may be kept for other processes: the first file that can be used is. None
    /// where no other process can call with this token.
    pub recent_calls: Vec<PathBuf>,
}
