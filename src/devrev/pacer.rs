//! When a call may go out: a token bucket for the allowed rate, and a gate that DevRev's own answers close.
//!
//! The bucket is governor's, set so that no window of the period, wherever it begins, holds more than the
//! allowed calls: with a burst `b` and a call every `T`, a window `P` holds at most `b + floor(P / T)`, so
//! `T` is a little over `P / (N - b + 1)`. The little is for the network: calls that leave evenly do not
//! arrive evenly.

use super::answer::RateHeaders;
use crate::stop::Stop;
use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// How much longer than needed the time between two calls is: 3 % of the period is left for calls that
/// arrive later than they left, and 97 % of the rate is used.
const SLACK: f64 = 1.03;

/// A rate: so many calls in any window of so long.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate {
    /// Calls in a window; not 0.
    pub calls: NonZeroU32,
    /// The window.
    pub period: Duration,
}

impl Rate {
    /// Calls that may follow one another without a pause: 1 % of a window, so that a high rate does not
    /// depend on how exactly this machine sleeps.
    fn burst(self) -> u32 {
        1 + self.calls.get() / 100
    }

    /// The time between two calls that the bucket lets through once the burst is used up.
    pub fn interval(self) -> Duration {
        self.period.mul_f64(SLACK) / (self.calls.get() - self.burst() + 1)
    }
}

/// tokio's clock for governor: its own would go on while tokio's is paused in tests.
#[derive(Debug, Clone)]
struct TokioClock(Instant);

impl Clock for TokioClock {
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.0.elapsed()
    }
}

type Bucket = RateLimiter<NotKeyed, InMemoryState, TokioClock, NoOpMiddleware<Duration>>;

/// Lets calls out one by one.
#[derive(Debug)]
pub struct Pacer {
    bucket: Option<(Bucket, TokioClock)>,
    /// The time until which DevRev wants no calls.
    gate: Mutex<Option<Instant>>,
    /// Callers queue here in the order in which they came; only the first of them sleeps.
    turn: tokio::sync::Mutex<()>,
    in_flight: AtomicU64,
    waited_micros: AtomicU64,
    stop: Stop,
}

/// Leave to make one call; the call is in flight until this is dropped.
#[derive(Debug)]
pub(super) struct Permit<'a>(&'a Pacer);

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Pacer {
    /// A pacer for this rate; without one, only DevRev's own answers slow the client.
    pub fn new(rate: Option<Rate>, stop: Stop) -> Self {
        let bucket = rate.map(|rate| {
            let clock = TokioClock(Instant::now());
            let burst = NonZeroU32::new(rate.burst()).unwrap_or(NonZeroU32::MIN);
            let interval = rate.interval().max(Duration::from_nanos(1));
            let quota = Quota::with_period(interval).unwrap_or_else(|| Quota::per_second(rate.calls));
            (RateLimiter::direct_with_clock(quota.allow_burst(burst), clock.clone()), clock)
        });
        Self {
            bucket,
            gate: Mutex::new(None),
            turn: tokio::sync::Mutex::new(()),
            in_flight: AtomicU64::new(0),
            waited_micros: AtomicU64::new(0),
            stop,
        }
    }

    /// Waits until a call may go out; `None` when the run is being stopped.
    pub(super) async fn permit(&self) -> Option<Permit<'_>> {
        let _turn = self.stop.race(self.turn.lock()).await?;
        if self.stop.is_set() {
            return None;
        }
        while let Some(until) = self.not_before() {
            let since = Instant::now();
            let over = self.stop.race(sleep_until(until)).await;
            let waited = u64::try_from(since.elapsed().as_micros()).unwrap_or(u64::MAX);
            self.waited_micros.fetch_add(waited, Ordering::Relaxed);
            over?;
        }
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        Some(Permit(self))
    }

    /// The time to wait for before asking again; `None` takes a token.
    fn not_before(&self) -> Option<Instant> {
        let now = Instant::now();
        let mut gate = self.gate.lock().unwrap_or_else(PoisonError::into_inner);
        match *gate {
            Some(until) if until > now => return Some(until),
            _ => *gate = None,
        }
        drop(gate);
        let (bucket, clock) = self.bucket.as_ref()?;
        let wait = bucket.check().err()?.wait_time_from(clock.now());
        // tokio's timers tick in milliseconds: a shorter sleep would only spin.
        Some(now + wait.max(Duration::from_micros(100)))
    }

    /// Takes in what an answer says of the limit: with no more calls left than are in flight besides this
    /// one, the next would be refused, so the gate closes until the window ends.
    pub(super) fn heed(&self, headers: RateHeaders) {
        let (Some(remaining), Some(resets_in)) = (headers.remaining, headers.resets_in) else { return };
        let others = self.in_flight.load(Ordering::Relaxed).saturating_sub(1);
        if remaining <= others {
            self.close_for(resets_in);
        }
    }

    /// Closes the gate for a time (a 429's Retry-After); the longest such time counts.
    pub(super) fn close_for(&self, time: Duration) {
        let until = Instant::now() + time;
        let mut gate = self.gate.lock().unwrap_or_else(PoisonError::into_inner);
        if gate.is_none_or(|now| now < until) {
            *gate = Some(until);
        }
    }

    /// How long the gate stays closed from now on, if it is.
    pub fn closed_for(&self) -> Option<Duration> {
        let gate = self.gate.lock().unwrap_or_else(PoisonError::into_inner);
        gate.and_then(|until| until.checked_duration_since(Instant::now())).filter(|left| !left.is_zero())
    }

    /// The time in which no call went out because of the limit.
    pub fn waited(&self) -> Duration {
        Duration::from_micros(self.waited_micros.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::sync::Arc;

    fn rate(calls: u32, period: Duration) -> Rate {
        Rate { calls: NonZeroU32::new(calls).unwrap(), period }
    }

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap()
    }

    /// Lets callers come at these times (milliseconds after one another) and returns when each went out.
    fn departures(rate: Rate, gaps: &[u64]) -> Vec<Duration> {
        runtime().block_on(async {
            let pacer = Arc::new(Pacer::new(Some(rate), Stop::default()));
            let start = Instant::now();
            let mut callers = Vec::new();
            for gap in gaps {
                tokio::time::sleep(Duration::from_millis(*gap)).await;
                let pacer = pacer.clone();
                callers.push(tokio::spawn(async move {
                    drop(pacer.permit().await.unwrap());
                    start.elapsed()
                }));
            }
            let mut times = Vec::new();
            for caller in callers {
                times.push(caller.await.unwrap());
            }
            times.sort();
            times
        })
    }

    fn most_in_a_window(times: &[Duration], period: Duration) -> usize {
        let within = |i: usize| times[i..].iter().take_while(|t| **t < times[i] + period).count();
        (0..times.len()).map(within).max().unwrap_or(0)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn no_window_holds_more_than_the_limit(
            calls in 1u32..400,
            period_ms in 200u64..20_000,
            gaps in proptest::collection::vec(prop_oneof![4 => Just(0u64), 1 => 0u64..3_000], 1..900),
        ) {
            let period = Duration::from_millis(period_ms);
            let times = departures(rate(calls, period), &gaps);
            prop_assert_eq!(times.len(), gaps.len());
            prop_assert!(most_in_a_window(&times, period) <= calls as usize);
        }
    }

    #[test]
    fn at_least_95_percent_of_the_rate_is_used() {
        for (calls, seconds) in [(1, 1), (10, 10), (45, 60), (50, 10), (1000, 10), (2000, 10)] {
            let period = Duration::from_secs(seconds);
            let n = calls * 5;
            let times = departures(rate(calls, period), &vec![0; n as usize + 1]);
            let used =
                f64::from(n) / times[n as usize].as_secs_f64() / (f64::from(calls) / period.as_secs_f64());
            assert!(used >= 0.95, "{calls} in {seconds} s: {used}");
        }
    }

    #[test]
    fn a_closed_gate_holds_every_caller_and_the_longest_time_counts() {
        runtime().block_on(async {
            let pacer = Pacer::new(None, Stop::default());
            pacer.close_for(Duration::from_secs(30));
            pacer.close_for(Duration::from_secs(5));
            let start = Instant::now();
            drop(pacer.permit().await.unwrap());
            assert!(start.elapsed() >= Duration::from_secs(30));
            assert!(pacer.waited() >= Duration::from_secs(30));
        });
    }

    #[test]
    fn the_gate_closes_when_others_in_flight_may_use_up_what_is_left() {
        runtime().block_on(async {
            let pacer = Pacer::new(None, Stop::default());
            let _first = pacer.permit().await.unwrap();
            let headers = |remaining| RateHeaders {
                remaining: Some(remaining),
                resets_in: Some(Duration::from_secs(9)),
            };
            pacer.heed(headers(1));
            assert_eq!(pacer.closed_for(), None);
            let _second = pacer.permit().await.unwrap();
            pacer.heed(headers(1));
            assert_eq!(pacer.closed_for(), Some(Duration::from_secs(9)));
        });
    }

    #[test]
    fn a_stop_ends_the_wait() {
        runtime().block_on(async {
            let stop = Stop::default();
            let pacer = Arc::new(Pacer::new(None, stop.clone()));
            pacer.close_for(Duration::from_secs(300));
            let (first, second) = (pacer.clone(), pacer.clone());
            let first = tokio::spawn(async move { first.permit().await.is_none() });
            let second = tokio::spawn(async move { second.permit().await.is_none() });
            tokio::time::sleep(Duration::from_secs(1)).await;
            let start = Instant::now();
            stop.set(crate::stop::Cause::Interrupt);
            assert!(first.await.unwrap() && second.await.unwrap());
            assert!(start.elapsed() < Duration::from_secs(1));
        });
    }
}
