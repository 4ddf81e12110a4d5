//! What answers say beside their bodies: of the rate limit, and of the time.

use super::answer::{RateHeaders, server_time};
use reqwest::header::HeaderMap;
use std::time::{Duration, SystemTime};

/// What one answer said.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Heard {
    /// Calls that a window of the API's allows.
    pub limit: Option<u64>,
    /// Calls left in this window.
    pub remaining: Option<u64>,
    /// Time until this window ends, at most some five minutes.
    pub resets_in: Option<Duration>,
    /// The API's clock, in whole seconds.
    pub server_time: Option<SystemTime>,
    /// This machine's clock when the answer had come.
    pub at: SystemTime,
}

impl Heard {
    /// What an answer that has just come says.
    pub(crate) fn new(rate: RateHeaders, headers: &HeaderMap) -> Self {
        let RateHeaders { limit, remaining, resets_in } = rate;
        Self { limit, remaining, resets_in, server_time: server_time(headers), at: SystemTime::now() }
    }
}
