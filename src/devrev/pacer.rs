//! When a call may go out: a token bucket that spreads the calls, a window that bounds them, and a gate that
//! DevRev's own answers close.
//!
//! The bucket is governor's. On its own it would let more through than allowed: N tokens of a full bucket and
//! the N that come in during the next period. So it only spreads, and the bound is the window: a call may go
//! out when fewer than N others are in flight or were answered within the last period. A call arrives at
//! DevRev before its answer comes back, so however long each takes on its way, no period of DevRev's clock
//! sees more than N.

use super::answer::RateHeaders;
use super::queue::{Queue, Urgency};
use crate::figures::ClientTime;
use crate::stop::Stop;
use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

/// A rate: so many calls in any window of so long.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate {
    /// Calls in a window; not 0.
    pub calls: NonZeroU32,
    /// The window.
    pub period: Duration,
}

impl Rate {
    /// Calls that may follow one another without a pause: 2 % of a window, so that a high rate does not
    /// depend on how exactly this machine sleeps.
    fn burst(self) -> NonZeroU32 {
        NonZeroU32::MIN.saturating_add(self.calls.get() / 50)
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

/// What the pacer knows of the calls.
#[derive(Debug)]
struct Calls {
    in_flight: usize,
    /// Whether a call waits for the limit.
    is_waiting: bool,
    /// Where the time went, up to `reckoned`.
    time: ClientTime,
    reckoned: Instant,
    /// When those of the last period were answered, the oldest first; empty without a rate.
    answered: VecDeque<Instant>,
    /// The time until which DevRev wants no calls.
    closed_until: Option<Instant>,
}

/// Lets calls out one by one.
#[derive(Debug)]
pub struct Pacer {
    rate: Option<(Rate, Bucket, TokioClock)>,
    calls: Mutex<Calls>,
    /// Told of every answer.
    answers: Notify,
    /// Callers queue here; only the first of them waits.
    queue: Arc<Queue>,
    stop: Stop,
}

/// Leave to make one call; the call is in flight until this is dropped.
#[derive(Debug)]
pub(super) struct Permit<'a>(&'a Pacer);

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        let mut calls = self.0.calls();
        calls.reckon();
        calls.in_flight -= 1;
        if self.0.rate.is_some() {
            calls.answered.push_back(Instant::now());
        }
        drop(calls);
        self.0.answers.notify_one();
    }
}

/// The time for which a call waits, however it ends.
struct Waiting<'a>(&'a Pacer);

impl<'a> Waiting<'a> {
    fn begin(pacer: &'a Pacer) -> Self {
        pacer.waits(true);
        Self(pacer)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waits(false);
    }
}

/// What the next call waits for.
enum Wait {
    /// A time.
    Until(Instant),
    /// The answer to a call in flight.
    Answer,
}

impl Pacer {
    /// A pacer for this rate; without one, only DevRev's own answers slow the client.
    pub fn new(rate: Option<Rate>, stop: Stop) -> Self {
        let rate = rate.map(|rate| {
            let clock = TokioClock(Instant::now());
            let interval = (rate.period / rate.calls.get()).max(Duration::from_nanos(1));
            let quota = Quota::with_period(interval).unwrap_or_else(|| Quota::per_second(rate.calls));
            (rate, RateLimiter::direct_with_clock(quota.allow_burst(rate.burst()), clock.clone()), clock)
        });
        Self { rate, calls: Mutex::new(Calls::new()), answers: Notify::new(), queue: Arc::default(), stop }
    }

    fn calls(&self) -> MutexGuard<'_, Calls> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until a call may go out; `None` when the run is being stopped.
    pub(super) async fn permit(&self, urgency: Urgency) -> Option<Permit<'_>> {
        let _turn = self.stop.race(self.queue.turn(urgency)).await?;
        if self.stop.is_set() {
            return None;
        }
        while let Some(wait) = self.not_yet() {
            let _waiting = Waiting::begin(self);
            let over = match wait {
                Wait::Until(time) => self.stop.race(sleep_until(time)).await,
                Wait::Answer => self.stop.race(self.answers.notified()).await,
            };
            over?;
        }
        Some(Permit(self))
    }

    /// What to wait for before asking again; `None` counts the call as in flight.
    fn not_yet(&self) -> Option<Wait> {
        let now = Instant::now();
        let mut calls = self.calls();
        match calls.closed_until {
            Some(until) if until > now => return Some(Wait::Until(until)),
            _ => calls.closed_until = None,
        }
        if let Some((rate, bucket, clock)) = &self.rate {
            if let Some(wait) = calls.window_full(rate, now) {
                return Some(wait);
            }
            if let Err(not_until) = bucket.check() {
                // tokio's timers tick in milliseconds: a shorter sleep would only spin.
                let wait = not_until.wait_time_from(clock.now()).max(Duration::from_micros(100));
                return Some(Wait::Until(now + wait));
            }
        }
        calls.reckon();
        calls.in_flight += 1;
        None
    }

    fn waits(&self, is_waiting: bool) {
        let mut calls = self.calls();
        calls.reckon();
        calls.is_waiting = is_waiting;
    }

    /// Takes in what an answer says of the limit: with no more calls left than are in flight besides this
    /// one, the next would be refused, so the gate closes until DevRev's window ends. Unless all that was
    /// used up was used by this client within its own last window: that is bounded already.
    pub(super) fn heed(&self, headers: RateHeaders) {
        let (Some(remaining), Some(resets_in)) = (headers.remaining, headers.resets_in) else { return };
        let calls = self.calls();
        let others = calls.in_flight.saturating_sub(1) as u64;
        let ours = (calls.in_flight + calls.answered.len()) as u64;
        drop(calls);
        let all_ours = headers.limit.is_some_and(|limit| limit.saturating_sub(remaining) <= ours);
        if remaining <= others && !(self.rate.is_some() && all_ours) {
            self.close_for(resets_in);
        }
    }

    /// Closes the gate for a time (a 429's Retry-After); the longest such time counts.
    pub(super) fn close_for(&self, time: Duration) {
        let until = Instant::now() + time;
        let mut calls = self.calls();
        if calls.closed_until.is_none_or(|now| now < until) {
            calls.closed_until = Some(until);
        }
    }

    /// The rate that it keeps.
    pub fn rate(&self) -> Option<Rate> {
        self.rate.as_ref().map(|(rate, ..)| *rate)
    }

    /// How long the gate stays closed from now on, if it is.
    pub fn closed_for(&self) -> Option<Duration> {
        let until = self.calls().closed_until?;
        until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())
    }

    /// Where the time since this was made went.
    pub fn time(&self) -> ClientTime {
        let mut calls = self.calls();
        calls.reckon();
        calls.time
    }
}

impl Calls {
    fn new() -> Self {
        Self {
            in_flight: 0,
            is_waiting: false,
            time: ClientTime::default(),
            reckoned: Instant::now(),
            answered: VecDeque::new(),
            closed_until: None,
        }
    }

    /// Takes in the time since this was last called, before anything changes.
    fn reckon(&mut self) {
        let now = Instant::now();
        let passed = now - self.reckoned;
        self.reckoned = now;
        if self.in_flight > 0 {
            self.time.calling += passed;
        } else if self.is_waiting {
            self.time.held += passed;
        }
        if self.is_waiting {
            self.time.waiting += passed;
        }
    }

    /// What to wait for while the window holds as many calls as it may.
    fn window_full(&mut self, rate: &Rate, now: Instant) -> Option<Wait> {
        while self.answered.front().is_some_and(|answered| *answered + rate.period <= now) {
            self.answered.pop_front();
        }
        if self.in_flight + self.answered.len() < rate.calls.get() as usize {
            return None;
        }
        Some(self.answered.front().map_or(Wait::Answer, |oldest| Wait::Until(*oldest + rate.period)))
    }
}

#[cfg(test)]
#[path = "pacer_tests.rs"]
mod tests;
