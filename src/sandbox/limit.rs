//! The rate limit: fixed windows, each of which begins with the first call after the end of the last one.

use super::clock::{epoch, whole_seconds};
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How many calls are allowed in a period, all endpoints together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit {
    /// Calls a window; at least 1.
    pub calls: u32,
    /// How long a window lasts; more than nothing.
    pub period: Duration,
}

/// A text that is no rate limit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a rate limit: write calls/seconds, such as 50/10")]
pub struct RateLimitError(String);

impl FromStr for RateLimit {
    type Err = RateLimitError;

    /// Reads `calls/seconds`, such as `50/10`; the seconds may have a fraction.
    fn from_str(text: &str) -> Result<Self, RateLimitError> {
        let parsed = text.split_once('/').and_then(|(calls, seconds)| {
            let calls = calls.trim().parse().ok().filter(|calls| *calls > 0)?;
            let period = Duration::try_from_secs_f64(seconds.trim().parse().ok()?).ok()?;
            (!period.is_zero()).then_some(Self { calls, period })
        });
        parsed.ok_or_else(|| RateLimitError(text.to_owned()))
    }
}

/// Counts calls against the limit.
#[derive(Debug)]
pub(super) struct Limiter {
    limit: RateLimit,
    window: Mutex<Window>,
}

#[derive(Debug, Default)]
struct Window {
    /// When it ends; `None` before the first call.
    end: Option<Instant>,
    used: u32,
}

/// Where a call leaves its window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Standing {
    /// Calls a window.
    pub(super) limit: u32,
    /// Calls left in this one.
    pub(super) remaining: u32,
    /// When it ends, in seconds since the epoch, rounded up.
    pub(super) reset: u64,
    /// Seconds to wait, for a call that was over the limit.
    pub(super) retry_after: Option<u64>,
}

impl Limiter {
    pub(super) fn new(limit: RateLimit) -> Self {
        Self { limit, window: Mutex::default() }
    }

    /// The length of a window.
    pub(super) fn period(&self) -> Duration {
        self.limit.period
    }

    /// Counts a call that arrives now.
    pub(super) fn take(&self) -> Standing {
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        // The clock is read under the lock: calls are counted in the order of their times.
        self.count(&mut window, Instant::now(), epoch())
    }

    fn count(&self, window: &mut Window, now: Instant, epoch: Duration) -> Standing {
        let end = match window.end {
            Some(end) if now < end => end,
            _ => {
                let end = now + self.limit.period;
                *window = Window { end: Some(end), used: 0 };
                end
            }
        };
        let left = end - now;
        let throttled = window.used >= self.limit.calls;
        window.used = window.used.saturating_add(1);
        Standing {
            limit: self.limit.calls,
            remaining: self.limit.calls.saturating_sub(window.used),
            reset: whole_seconds(epoch + left),
            retry_after: throttled.then(|| whole_seconds(left).max(1)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_calls_over_seconds() {
        let limit: RateLimit = "50/10".parse().unwrap();
        assert_eq!(limit, RateLimit { calls: 50, period: Duration::from_secs(10) });
        assert_eq!("5/0.25".parse::<RateLimit>().unwrap().period, Duration::from_millis(250));
        for text in ["", "50", "50/", "/10", "0/10", "50/0", "50/-1", "50/NaN", "50/inf", "x/10", "1/2/3"] {
            let error = text.parse::<RateLimit>().unwrap_err().to_string();
            assert!(error.starts_with(&format!("`{text}` is not a rate limit")), "{error}");
        }
    }

    #[test]
    fn a_window_begins_with_the_first_call_after_the_last_one() {
        let limiter = Limiter::new("2/10".parse().unwrap());
        let (start, mut window) = (Instant::now(), Window::default());
        let mut at = |millis: u64| {
            let passed = Duration::from_millis(millis);
            limiter.count(&mut window, start + passed, Duration::from_millis(500) + passed)
        };
        assert_eq!(at(0), Standing { limit: 2, remaining: 1, reset: 11, retry_after: None });
        assert_eq!(at(4_000), Standing { limit: 2, remaining: 0, reset: 11, retry_after: None });
        assert_eq!(at(4_500), Standing { limit: 2, remaining: 0, reset: 11, retry_after: Some(6) });
        assert_eq!(at(9_999).retry_after, Some(1));
        // Not at 10 seconds, but with the next call.
        assert_eq!(at(13_000), Standing { limit: 2, remaining: 1, reset: 24, retry_after: None });
    }
}
