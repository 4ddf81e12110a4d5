//! How fast a run goes, and how long it may still take.

use std::collections::VecDeque;
use std::time::Duration;

/// Speeds are shown of the last so long: long enough to be steady, short enough to tell of a change.
const WINDOW: Duration = Duration::from_secs(30);

/// Estimates go by about this share of the time so far, within these bounds: calls go out in bursts under a limit of so
/// many a minute, and the speed must outlast the pauses between them; but it must tell of a change before long.
const SHARE: u32 = 4;
const SHORTEST: Duration = Duration::from_secs(60);
const LONGEST: Duration = Duration::from_secs(600);
/// Periods of a rate limit that a speed is taken over at the least.
const PERIODS: u32 = 5;
/// A new estimate that is greater by less than this share, and these seconds, is no news: the old one goes on to fall.
const NEWS: f64 = 1.25;
const MOMENT: Duration = Duration::from_secs(5);

/// What was done by when.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Mark {
    /// Since the beginning.
    pub(super) at: Duration,
    /// Rows that were settled by then.
    pub(super) rows: u64,
    /// Calls that were made by then.
    pub(super) calls: u64,
}

/// The last [`WINDOW`], oldest first; at most one mark a look.
#[derive(Debug, Default)]
pub(super) struct Speeds(VecDeque<Mark>);

impl Speeds {
    /// Rows and calls a second by now.
    pub(super) fn look(&mut self, now: Mark) -> (f64, f64) {
        while self.0.front().is_some_and(|mark| mark.at + WINDOW < now.at) {
            self.0.pop_front();
        }
        let then = self.0.front().copied().unwrap_or_default();
        self.0.push_back(now);
        let seconds = (now.at.saturating_sub(then.at)).as_secs_f64().max(0.001);
        // Counts stay far below 2^52.
        #[allow(clippy::cast_precision_loss)]
        let a_second = |now: u64, then: u64| now.saturating_sub(then) as f64 / seconds;
        (a_second(now.rows, then.rows), a_second(now.calls, then.calls))
    }
}

/// Estimates the time left from one look to the next.
#[derive(Debug, Default)]
pub(super) struct TimeLeft {
    last: Mark,
    /// When rows were last seen to end.
    moved: Duration,
    /// Rows and seconds, those of longer ago counting for less.
    rows: f64,
    seconds: f64,
    /// What was said last.
    said: Option<Duration>,
}

impl TimeLeft {
    /// Looks at the state by now: `left` rows are to be done, and calls are limited to `rate`. `None` until a row has
    /// ended, and at the end.
    pub(super) fn look(&mut self, now: Mark, left: u64, rate: Option<(u32, Duration)>) -> Option<Duration> {
        let passed = now.at.saturating_sub(self.last.at);
        if now.rows > self.last.rows {
            self.moved = now.at;
        }
        let period = rate.map_or(Duration::ZERO, |(_, period)| period);
        let memory = (now.at / SHARE).clamp(SHORTEST, LONGEST).max(period.saturating_mul(PERIODS));
        let kept = (-passed.as_secs_f64() / memory.as_secs_f64()).exp();
        // Counts stay far below 2^52.
        #[allow(clippy::cast_precision_loss)]
        let count = |count: u64| count as f64;
        self.rows = self.rows * kept + count(now.rows.saturating_sub(self.last.rows));
        self.seconds = self.seconds * kept + passed.as_secs_f64();
        self.last = now;
        self.said = if now.rows == 0 || left == 0 {
            None
        } else {
            let of_speed = count(left) * self.seconds / self.rows.max(f64::MIN_POSITIVE);
            // Never less than the calls need under the limit.
            let calls = count(left) * count(now.calls) / count(now.rows);
            let of_limit = rate.map_or(0.0, |(most, period)| calls * period.as_secs_f64() / f64::from(most));
            // A pause between two bursts is not lost: the next one comes nearer.
            let pause = (now.at.saturating_sub(self.moved)).min(period);
            let new = Duration::try_from_secs_f64(of_speed.max(of_limit)).ok();
            new.map(|new| self.falling(new.saturating_sub(pause), passed))
        };
        self.said
    }

    /// An estimate that does not sway with every burst.
    fn falling(&self, new: Duration, passed: Duration) -> Duration {
        match self.said.map(|said| said.saturating_sub(passed)) {
            Some(expected) if new > expected && new < expected.mul_f64(NEWS) + MOMENT => expected,
            _ => new,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn mark(seconds: u64, rows: u64, calls: u64) -> Mark {
        Mark { at: Duration::from_secs(seconds), rows, calls }
    }

    #[test]
    #[allow(clippy::float_cmp, reason = "exact")]
    fn speeds_are_those_of_the_last_half_minute() {
        let mut speeds = Speeds::default();
        speeds.look(mark(0, 0, 0));
        assert_eq!(speeds.look(mark(10, 100, 20)), (10.0, 2.0));
        // 30 s without a row: by then nothing is being done.
        speeds.look(mark(40, 100, 20));
        assert_eq!(speeds.look(mark(60, 100, 20)), (0.0, 0.0));
    }

    #[test]
    fn it_is_not_less_than_the_limit_allows() {
        // A hundred rows in one second, two calls each, where the limit allows 5 calls a second.
        let left = TimeLeft::default().look(mark(1, 100, 200), 100, Some((50, Duration::from_secs(10))));
        assert_eq!(left, Some(Duration::from_secs(40)));
    }

    #[test]
    fn nothing_is_known_before_the_first_row_and_nothing_is_left_after_the_last() {
        let mut left = TimeLeft::default();
        assert_eq!(left.look(mark(5, 0, 30), 10, None), None);
        assert!(left.look(mark(10, 1, 30), 9, None).is_some());
        assert_eq!(left.look(mark(11, 10, 30), 0, None), None);
    }

    /// 100 pairs, of which 8 end with each minute's burst of 45 calls, seen five times a second.
    #[test]
    fn it_is_there_and_falls_through_bursts_and_pauses() {
        let (mut left, mut said) = (TimeLeft::default(), Vec::new());
        for tick in 0_u32.. {
            let at = Duration::from_millis(200) * tick;
            let minutes = u64::from(tick / 300) + 1;
            let rows = (minutes * 16).min(200);
            if rows == 200 {
                break;
            }
            let now = Mark { at, rows, calls: minutes * 45 };
            said.push(left.look(now, 200 - rows, Some((45, MINUTE))).unwrap().as_secs_f64());
        }
        let rises = said.windows(2).filter(|pair| pair[1] > pair[0]).count();
        assert!(rises <= 5, "{rises} rises");
        for (tick, seconds) in said.iter().enumerate().skip(600) {
            // Twelve minutes and a bit, less the time so far.
            #[allow(clippy::cast_precision_loss)]
            let true_one = 12.0 * 60.0 - tick as f64 / 5.0;
            assert!((seconds - true_one).abs() < 120.0, "{tick}: {seconds} for {true_one}");
        }
    }

    #[test]
    fn after_a_long_pause_it_tells_of_the_present_speed_before_long() {
        let mut left = TimeLeft::default();
        let mut seconds = 0;
        // A row a second, an outage of ten minutes, a row a second.
        let mut rows = 0;
        let mut last = None;
        for phase in [300, 600, 600] {
            for _ in 0..phase {
                seconds += 1;
                rows += u64::from(!(300..900).contains(&seconds));
                last = left.look(mark(seconds, rows, rows), 2000 - rows, None);
            }
        }
        let left = 2000 - rows;
        assert!(last.unwrap().as_secs() < left * 2, "{last:?} for {left} rows");
    }
}
