//! How fast a run goes, and how long it may still take.

use std::collections::VecDeque;
use std::time::Duration;

/// Speeds are shown of the last so long: long enough to be steady, short enough to show a change.
const WINDOW: Duration = Duration::from_secs(30);

/// Estimates go by about this share of the time so far, within these bounds: calls go out in bursts under a limit of so
/// many a minute, and the speed must outlast the pauses between them; but it must show a change before long.
const SHARE: u32 = 4;
const SHORTEST: Duration = Duration::from_secs(60);
const LONGEST: Duration = Duration::from_secs(600);
/// Periods of a rate limit that a speed is taken over at the least.
const PERIODS: u32 = 5;
/// A new estimate that is greater by less than this share, and these seconds, is no news: the old one continues to fall.
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

/// Rows by what there is to do about them. What takes time is changes: rows that need none are decided many at a time.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Work {
    /// Rows without a result.
    pub(super) left: u64,
    /// Of these, rows whose change is meant or under way.
    pub(super) pending: u64,
    /// How much of those changes is made: a share of these rows.
    pub(super) credit: f64,
    /// Rows whose change has ended.
    pub(super) changed: u64,
    /// Rows that ended without one.
    pub(super) free: u64,
}

impl Work {
    /// What is done and what is left, in rows that are changed, as far as can be told; in any rows as long as none is.
    fn amounts(self) -> (f64, f64) {
        // Counts stay far below 2^52.
        #[allow(clippy::cast_precision_loss)]
        let count = |count: u64| count as f64;
        let (changes, known) = (self.changed + self.pending, self.changed + self.pending + self.free);
        if changes == 0 {
            return (count(self.free), count(self.left));
        }
        let undecided = count(self.left.saturating_sub(self.pending)) * count(changes) / count(known);
        (count(self.changed) + self.credit, count(self.pending) - self.credit + undecided)
    }
}

/// Estimates the time left from one look to the next.
#[derive(Debug, Default)]
pub(super) struct TimeLeft {
    last_at: Duration,
    last_done: f64,
    /// When something was last seen to be done.
    moved: Duration,
    /// What was done and the seconds that it took, those of longer ago counting for less.
    done: f64,
    seconds: f64,
    /// What was said last.
    said: Option<Duration>,
}

impl TimeLeft {
    /// Begins in the midst of a run: what is done by now says nothing of its speed.
    pub(super) fn begin(&mut self, work: Work) {
        self.last_done = work.amounts().0;
    }

    /// Looks at the state at this time since the beginning, after so many calls, which are limited to `rate`. `None` until
    /// something is done, and at the end.
    pub(super) fn look(
        &mut self,
        at: Duration,
        work: Work,
        calls: u64,
        rate: Option<(u32, Duration)>,
    ) -> Option<Duration> {
        let passed = at.saturating_sub(self.last_at);
        let (done, left) = work.amounts();
        if done > self.last_done {
            self.moved = at;
        }
        let period = rate.map_or(Duration::ZERO, |(_, period)| period);
        let memory = (at / SHARE).clamp(SHORTEST, LONGEST).max(period.saturating_mul(PERIODS));
        let kept = (-passed.as_secs_f64() / memory.as_secs_f64()).exp();
        self.done = self.done * kept + (done - self.last_done).max(0.0);
        self.seconds = self.seconds * kept + passed.as_secs_f64();
        (self.last_at, self.last_done) = (at, done);
        self.said = if done <= 0.0 || work.left == 0 {
            None
        } else {
            let of_speed = left * self.seconds / self.done.max(f64::MIN_POSITIVE);
            // Never less than the calls need under the limit. Counts stay far below 2^52.
            #[allow(clippy::cast_precision_loss)]
            let calls = left * calls as f64 / done;
            let of_limit = rate.map_or(0.0, |(most, period)| calls * period.as_secs_f64() / f64::from(most));
            // A pause between two bursts is not lost: the next one comes nearer.
            let pause = (at.saturating_sub(self.moved)).min(period);
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
        let left =
            look(&mut TimeLeft::default(), mark(1, 100, 200), 100, Some((50, Duration::from_secs(10))));
        assert_eq!(left, Some(Duration::from_secs(40)));
    }

    /// A look at a run of which every row is changed.
    fn look(left: &mut TimeLeft, now: Mark, rows: u64, rate: Option<(u32, Duration)>) -> Option<Duration> {
        let work = Work { left: rows, changed: now.rows, ..Work::default() };
        left.look(now.at, work, now.calls, rate)
    }

    #[test]
    fn rows_that_need_no_change_are_no_sign_of_speed() {
        // 26 pairs: half of the rows need nothing, and are decided with the first calls. Each change takes 20 calls.
        let (mut left, mut said) = (TimeLeft::default(), Vec::new());
        for second in 1_u64..=600 {
            // 45 calls go out at the beginning of each minute.
            let calls = (second / 60 + 1) * 45;
            #[allow(clippy::cast_precision_loss)]
            let made = (calls as f64 / 10.0).min(26.0);
            let changed = calls / 10 / 8 * 8;
            if changed >= 26 {
                break;
            }
            #[allow(clippy::cast_precision_loss)]
            let credit = made - changed as f64;
            let work = Work { left: 26 - changed, pending: 26 - changed, credit, changed, free: 26 };
            said.extend(left.look(Duration::from_secs(second), work, calls, Some((45, MINUTE))));
        }
        let (first, last) = (said[0].as_secs(), said.last().unwrap().as_secs());
        assert!((200..400).contains(&first) && last < 60, "{first} {last}");
        let rises = said.windows(2).filter(|pair| pair[1] > pair[0]).count();
        assert!(rises <= 2, "{rises} rises: {said:?}");
    }

    #[test]
    fn what_was_done_before_the_first_look_is_no_sign_of_speed() {
        let mut left = TimeLeft::default();
        let work = |credit| Work { left: 10, pending: 10, credit, ..Work::default() };
        left.begin(work(4.0));
        assert_eq!(left.look(Duration::from_millis(1), work(4.0), 0, None), None);
        let later = left.look(Duration::from_secs(10), work(5.0), 0, None).unwrap();
        assert!((later.as_secs_f64() - 50.0).abs() < 0.1, "{later:?}");
    }

    #[test]
    fn a_run_that_changes_nothing_is_measured_by_its_rows() {
        let mut left = TimeLeft::default();
        let work = |free| Work { left: 1000 - free, free, ..Work::default() };
        left.look(Duration::ZERO, work(0), 0, None);
        assert_eq!(left.look(Duration::from_secs(10), work(100), 5, None), Some(Duration::from_secs(90)));
    }

    #[test]
    fn nothing_is_known_before_the_first_row_and_nothing_is_left_after_the_last() {
        let mut left = TimeLeft::default();
        assert_eq!(look(&mut left, mark(5, 0, 30), 10, None), None);
        assert!(look(&mut left, mark(10, 1, 30), 9, None).is_some());
        assert_eq!(look(&mut left, mark(11, 10, 30), 0, None), None);
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
            said.push(look(&mut left, now, 200 - rows, Some((45, MINUTE))).unwrap().as_secs_f64());
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
                last = look(&mut left, mark(seconds, rows, rows), 2000 - rows, None);
            }
        }
        let left = 2000 - rows;
        assert!(last.unwrap().as_secs() < left * 2, "{last:?} for {left} rows");
    }
}
