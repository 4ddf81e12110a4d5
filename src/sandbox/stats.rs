//! What the sandbox counts, for tests to look at.

use super::clock::epoch;
use super::state::State;
use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The most arrival times that are remembered: `peak` never says more.
const MOST_ARRIVALS: usize = 1 << 20;

/// Counts calls and answers.
#[derive(Debug, Default)]
pub(super) struct Stats {
    /// The rate limit's period; without one no peak is measured.
    period: Option<Duration>,
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    calls: BTreeMap<&'static str, u64>,
    statuses: BTreeMap<u16, u64>,
    total: u64,
    throttled: u64,
    /// When the calls of the last period arrived.
    arrivals: VecDeque<Instant>,
    peak: usize,
    storage: u64,
    storage_with_token: u64,
    first_call: Option<Duration>,
    last_call: Option<Duration>,
}

impl Stats {
    pub(super) fn new(period: Option<Duration>) -> Self {
        Self { period, counts: Mutex::default() }
    }

    /// Counts a call of the API, whatever becomes of it.
    pub(super) fn arrived(&self, endpoint: &'static str) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.calls.entry(endpoint).or_default() += 1;
        counts.total += 1;
        let now = Some(epoch());
        counts.last_call = now;
        counts.first_call = counts.first_call.or(now);
        if let Some(period) = self.period {
            counts.arrived_at(Instant::now(), period);
        }
    }

    /// Counts an answer's status.
    pub(super) fn answered(&self, status: u16) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.statuses.entry(status).or_default() += 1;
    }

    /// Counts a call that was over the rate limit.
    pub(super) fn throttled(&self) {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).throttled += 1;
    }

    /// Counts a request to the host of the artifacts.
    pub(super) fn stored(&self, with_token: bool) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.storage += 1;
        counts.storage_with_token += u64::from(with_token);
    }

    /// All counts, with what `state` has counted; times are milliseconds since the epoch.
    pub(super) fn show(&self, state: &State) -> Value {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let millis = |time: Option<Duration>| time.map(|time| time.as_secs_f64() * 1000.0);
        json!({
            "calls": counts.calls,
            "total": counts.total,
            "throttled": counts.throttled,
            "statuses": counts.statuses,
            "peak": self.period.map(|_| counts.peak),
            "first_call": millis(counts.first_call),
            "last_call": millis(counts.last_call),
            "writes": state.writes,
            "merges": state.merges.accepted,
            "double_merges": state.merges.double,
            "storage": counts.storage,
            "storage_with_token": counts.storage_with_token,
        })
    }
}

impl Counts {
    /// A window is as long as the period, its end left out: calls that lie exactly a period apart are in
    /// no window together.
    fn arrived_at(&mut self, now: Instant, period: Duration) {
        while self.arrivals.front().is_some_and(|first| now.duration_since(*first) >= period) {
            self.arrivals.pop_front();
        }
        if self.arrivals.len() == MOST_ARRIVALS {
            self.arrivals.pop_front();
        }
        self.arrivals.push_back(now);
        self.peak = self.peak.max(self.arrivals.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_is_that_of_any_window() {
        let (start, period, mut counts) = (Instant::now(), Duration::from_secs(10), Counts::default());
        for second in [0, 9, 9, 10, 18, 19, 40] {
            counts.arrived_at(start + Duration::from_secs(second), period);
        }
        // 9, 9, 10 and 18; at 19 the two of 9 are out of it.
        assert_eq!(counts.peak, 4);
        assert_eq!(counts.arrivals.len(), 1);
    }
}
