//! Calls spread evenly, by governor's token bucket.
//!
//! On its own a bucket lets more through than allowed: the tokens of a full bucket and those that come in during the
//! next period. So it only spreads; the bound is the pacer's window.

use super::rate::Rate;
use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use std::num::NonZeroU32;
use std::time::Duration;
use tokio::time::Instant;

/// tokio's clock for governor: its own would continue while tokio's is paused in tests.
#[derive(Debug, Clone)]
struct TokioClock(Instant);

impl Clock for TokioClock {
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.0.elapsed()
    }
}

type Bucket = RateLimiter<NotKeyed, InMemoryState, TokioClock, NoOpMiddleware<Duration>>;

/// The time after a 429 in which calls are spread.
#[derive(Debug)]
pub(crate) struct Spread {
    /// When it ends.
    pub(crate) until: Instant,
    bucket: Bucket,
    clock: TokioClock,
}

impl Spread {
    /// Spreads calls until then. Two in a hundred may follow one another without a pause, so that a high rate does not
    /// depend on how exactly this machine sleeps.
    pub(crate) fn new(rate: Rate, until: Instant) -> Self {
        let clock = TokioClock(Instant::now());
        let interval = (rate.period / rate.calls.get()).max(Duration::from_nanos(1));
        let quota = Quota::with_period(interval).unwrap_or_else(|| Quota::per_second(rate.calls));
        let burst = NonZeroU32::MIN.saturating_add(rate.calls.get() / 50);
        let bucket = RateLimiter::direct_with_clock(quota.allow_burst(burst), clock.clone());
        Self { until, bucket, clock }
    }

    /// What to wait for, if anything.
    pub(crate) fn holds(&self, now: Instant) -> Option<Instant> {
        let not_until = self.bucket.check().err()?;
        // tokio's timers tick in milliseconds: a shorter sleep would only spin.
        Some(now + not_until.wait_time_from(self.clock.now()).max(Duration::from_micros(100)))
    }
}
