//! What applying a plan takes: calls, and the time that they need under the rate limit.

use crate::net::rate::Rate;
use crate::report::units::span;
use std::time::Duration;

/// About so many calls.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cost {
    /// The calls.
    pub calls: u64,
    /// The limit that the run will keep; `None` for DevRev's own alone.
    pub rate: Option<Rate>,
}

impl Cost {
    /// How long they take under the limit at least: the calls of a window go out at once, then the next window has to
    /// begin.
    pub(crate) fn time(self) -> Option<Duration> {
        let rate = self.rate?;
        let windows = self.calls.saturating_sub(1) / u64::from(rate.calls.get());
        Some(rate.period.saturating_mul(u32::try_from(windows).unwrap_or(u32::MAX)))
    }

    /// The sentence.
    pub(crate) fn text(self) -> String {
        match (self.time(), self.rate) {
            (Some(Duration::ZERO), Some(rate)) => format!(
                "About {} calls: all at once under the limit of {} in {}.\n",
                self.calls,
                rate.calls,
                span(rate.period)
            ),
            (Some(time), Some(rate)) => format!(
                "About {} calls: {} under the limit of {} in {}.\n",
                self.calls,
                span(time),
                rate.calls,
                span(rate.period)
            ),
            _ => format!("About {} calls.\n", self.calls),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_is_that_of_the_limit() {
        let calls = std::num::NonZeroU32::new(45).unwrap();
        let rate = Some(Rate { calls, period: Duration::from_secs(60) });
        for (calls, seconds) in [(0, 0), (45, 0), (46, 60), (90, 60), (91, 120), (123, 120)] {
            assert_eq!(Cost { calls, rate }.time(), Some(Duration::from_secs(seconds)), "{calls}");
        }
        assert_eq!(Cost { calls: 90, rate: None }.time(), None);
        let few = Cost { calls: 45, rate }.text();
        assert_eq!(few, "About 45 calls: all at once under the limit of 45 in 1 min 0 s.\n");
        assert_eq!(
            Cost { calls: 90, rate }.text(),
            "About 90 calls: 1 min 0 s under the limit of 45 in 1 min 0 s.\n"
        );
    }
}
