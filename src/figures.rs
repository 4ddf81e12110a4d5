//! What a process has done, in numbers: counted where it happens, by the client and the journal, and shown by
//! those who report of the run.

use hdrhistogram::Histogram;
use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};
use std::collections::BTreeMap;
use std::time::Duration;

/// The longest time that is told apart, in microseconds: an hour, far beyond every timeout.
const LONGEST: u64 = 3_600_000_000;
/// Decimal digits to which times are told apart.
const DIGITS: u8 = 2;

/// How long calls took, to two digits, in memory that does not grow: some 25 KiB, or nothing while there are none.
#[derive(Debug, Clone, Default)]
pub(crate) struct Latencies(Option<Histogram<u64>>);

impl Latencies {
    /// Takes in how long a call took.
    pub(crate) fn add(&mut self, took: Duration) {
        if self.0.is_none() {
            // These bounds are good ones: it does not fail.
            self.0 = Histogram::new_with_bounds(1, LONGEST, DIGITS).ok();
        }
        if let Some(times) = &mut self.0 {
            times.saturating_record(micros(took));
        }
    }

    /// How many there are.
    pub(crate) fn count(&self) -> u64 {
        self.0.as_ref().map_or(0, Histogram::len)
    }

    /// How many took no longer than this.
    pub(crate) fn within(&self, time: Duration) -> u64 {
        self.0.as_ref().map_or(0, |times| times.count_between(0, micros(time)))
    }

    /// The time within which this share of the calls (0 to 1) were answered; nothing without any.
    pub(crate) fn quantile(&self, share: f64) -> Duration {
        Duration::from_micros(self.0.as_ref().map_or(0, |times| times.value_at_quantile(share)))
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX).clamp(1, LONGEST)
}

/// Calls to one endpoint.
#[derive(Debug, Clone, Default)]
pub(crate) struct EndpointCalls {
    /// Requests sent, every try counted.
    pub calls: u64,
    /// Requests by HTTP status; `none` where no answer came.
    pub statuses: BTreeMap<String, u64>,
    /// Time from sending to the last byte of the answer, in seconds, all calls together.
    pub seconds: f64,
    /// The same time of each call.
    pub latencies: Latencies,
}

/// With percentiles in the place of the latencies.
impl Serialize for EndpointCalls {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut calls = serializer.serialize_struct("EndpointCalls", 6)?;
        calls.serialize_field("calls", &self.calls)?;
        calls.serialize_field("statuses", &self.statuses)?;
        calls.serialize_field("seconds", &self.seconds)?;
        for (name, share) in QUANTILES {
            calls.serialize_field(name, &self.latencies.quantile(share).as_secs_f64())?;
        }
        calls.end()
    }
}

/// The percentiles that are shown, and the shares that they stand for.
pub(crate) const QUANTILES: [(&str, f64); 3] = [("p50", 0.5), ("p95", 0.95), ("p99", 0.99)];

/// The calls of one client.
#[derive(Debug, Clone, Default)]
pub(crate) struct CallTotals {
    /// Requests sent, every try counted.
    pub calls: u64,
    /// Of these, tries after a failed one.
    pub retries: u64,
    /// Answers 429.
    pub throttled: u64,
    /// Errors of the API in a row, up to the last call: no answer, a 5xx, or a refusal that is not about the object
    /// that was asked for (404, 409, 301) nor the rate limit's.
    pub errors_in_a_row: u64,
    /// The most that there were in a row.
    pub most_errors_in_a_row: u64,
    /// By endpoint.
    pub endpoints: BTreeMap<&'static str, EndpointCalls>,
}

/// What the circuit breaker is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Breaker {
    /// Calls go out.
    #[default]
    Closed,
    /// Calls wait, for so long from now.
    Open(Duration),
    /// One call probes whether the API is back.
    HalfOpen,
    /// It would not close: the run ends.
    GaveUp,
}

/// Where the time of a client went; what is left of the process's own time was spent on neither.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct ClientTime {
    /// At least one call was under way.
    pub calling: Duration,
    /// None was, because of a rate limit.
    pub held: Duration,
    /// A call waited for a rate limit, whether or not others were under way.
    pub waiting: Duration,
}

/// What this process needs of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct ProcessFigures {
    /// Memory, in bytes.
    pub resident: u64,
    /// The most that was seen so far, in bytes.
    pub peak: u64,
    /// Time on a CPU since the process began, of all threads together.
    pub cpu: Duration,
}

/// All of it: what was done so far, and what is being done just now.
#[derive(Debug, Clone, Default)]
pub(crate) struct Figures {
    /// Since this process began its work on the run.
    pub elapsed: Duration,
    /// Of that, the time that the look at the input took.
    pub parsing: Duration,
    /// The calls.
    pub calls: CallTotals,
    /// Where the client's time went.
    pub time: ClientTime,
    /// The limit that the client keeps by itself: calls in a period.
    pub rate: Option<(u32, Duration)>,
    /// How much longer the API wants no calls, if it does.
    pub closed_for: Option<Duration>,
    /// How long the next call will wait for a rate limit, the client's own included; `None` if none waits.
    pub next_call_in: Option<Duration>,
    /// What the circuit breaker is doing.
    pub breaker: Breaker,
    /// How often it has opened.
    pub breaker_openings: u64,
    /// How often the journal was made durable (fsync), and how long that took together.
    pub syncs: (u64, Duration),
    /// What this process needs, if it is measured (`--monitor`).
    pub process: Option<ProcessFigures>,
    /// How it follows topics, if it does.
    pub following: Option<Following>,
}

/// How a process follows topics, and what it has done so far.
#[derive(Debug, Clone, Default)]
pub(crate) struct Following {
    /// Whether the brokers answer.
    pub source_connected: bool,
    /// Whether the target answers.
    pub target_connected: bool,
    /// Messages that are still to be taken of the topics' partitions that this process has.
    pub lag: BTreeMap<(String, i64), u64>,
    /// Messages that were read.
    pub consumed: u64,
    /// Of these, messages that are dealt with, but for what was rejected.
    pub processed: u64,
    /// Records that were rejected.
    pub failed: u64,
    /// Messages of the last batch.
    pub batch_size: u64,
    /// How long batches took, from their transform to the target's commit.
    pub batches: Latencies,
    /// The same of all together, in seconds.
    pub batch_seconds: f64,
    /// Another prefix of the names of metrics, under which they are shown too.
    pub prefix: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_right_to_two_digits() {
        let mut times = Latencies::default();
        assert_eq!((times.count(), times.quantile(0.5)), (0, Duration::ZERO));
        for millis in 1..=1000 {
            times.add(Duration::from_millis(millis));
        }
        times.add(Duration::ZERO);
        times.add(Duration::MAX);
        assert_eq!(times.count(), 1002);
        for (share, millis) in [(0.5, 500.0), (0.95, 951.0), (0.99, 991.0)] {
            let found = times.quantile(share).as_secs_f64() * 1000.0;
            assert!((found - millis).abs() < millis * 0.01, "{share}: {found}");
        }
        let within = times.within(Duration::from_millis(250));
        assert!((249..=253).contains(&within), "{within}");
        assert_eq!(times.within(Duration::MAX), 1002);
    }
}
