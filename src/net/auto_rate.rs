//! `RATE_LIMIT_CALLS=auto`: a share of what the server's headers allow.
//!
//! The headers tell the calls of a window and when it ends, not how long it is. So the longest time to an end that
//! was seen stands for it. That is too short while the window in which the client began lasts; there the calls that
//! the server says are left are the bound ([`AutoRate::reserve`]).

use super::answer::RateHeaders;
use super::rate::Rate;
use std::num::NonZeroU32;
use std::time::Duration;

/// The shortest window that is believed: ends are told in whole seconds.
const SHORTEST_WINDOW: Duration = Duration::from_secs(1);

/// What was learnt from the headers.
#[derive(Debug)]
pub(crate) struct AutoRate {
    /// More than 0, at most 1.
    share: f64,
    limit: Option<u64>,
    window: Duration,
}

impl AutoRate {
    /// Nothing is known yet.
    pub(crate) fn new(share: f64) -> Self {
        Self { share, limit: None, window: SHORTEST_WINDOW }
    }

    /// Takes in what an answer says; returns the rate to keep, if that is known.
    pub(crate) fn learn(&mut self, headers: RateHeaders) -> Option<Rate> {
        // Without the calls that are left a window of unknown length could not be kept.
        if let RateHeaders { limit: Some(limit @ 1..), remaining: Some(_), resets_in: Some(resets_in) } =
            headers
        {
            self.limit = Some(limit);
            self.window = self.window.max(resets_in);
        }
        Some(Rate { calls: self.calls(self.limit?), period: self.window })
    }

    /// Calls of the server's window that are left to others.
    pub(crate) fn reserve(&self, limit: u64) -> u64 {
        limit.saturating_sub(u64::from(self.calls(limit).get()))
    }

    fn calls(&self, limit: u64) -> NonZeroU32 {
        share_of(limit, self.share)
    }
}

/// This share of a window's calls, rounded down; at least one.
pub(crate) fn share_of(limit: u64, share: f64) -> NonZeroU32 {
    // A limit beyond 2^32 is none; the cast cuts to the bounds of the type.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
    let calls = (limit as f64 * share + 1e-9) as u32;
    NonZeroU32::new(calls).unwrap_or(NonZeroU32::MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(limit: u64, remaining: u64, seconds: u64) -> RateHeaders {
        RateHeaders {
            limit: Some(limit),
            remaining: Some(remaining),
            resets_in: Some(Duration::from_secs(seconds)),
        }
    }

    #[test]
    fn the_rate_is_a_share_of_the_limit_in_the_longest_window_seen() {
        let mut auto = AutoRate::new(0.8);
        let mut learn = |headers| auto.learn(headers).map(|rate| (rate.calls.get(), rate.period.as_secs()));
        assert_eq!(learn(RateHeaders::default()), None);
        assert_eq!(learn(RateHeaders { remaining: None, ..headers(8000, 0, 60) }), None);
        assert_eq!(learn(headers(0, 0, 60)), None);
        assert_eq!(learn(headers(8000, 7999, 12)), Some((6400, 12)));
        assert_eq!(learn(headers(8000, 7000, 0)), Some((6400, 12)));
        assert_eq!(learn(headers(8000, 7999, 60)), Some((6400, 60)));
        assert_eq!(learn(headers(1000, 10, 3)), Some((800, 60)));
        assert_eq!(learn(RateHeaders::default()), Some((800, 60)), "what was learnt stays");
        assert_eq!(auto.reserve(1000), 200);
    }

    #[test]
    fn a_share_is_at_least_one_call() {
        for (limit, share, calls) in [(1, 0.5, 1), (10, 0.8, 8), (5, 0.99, 4), (u64::MAX, 1.0, u32::MAX)] {
            assert_eq!(share_of(limit, share).get(), calls);
        }
    }
}
