//! What was done when, over the time of a process: for charts, in memory that does not grow with the run.

use super::reporter::{Reporter, TICK};
use super::summary::STATES;
use crate::engine::event::Event;
use crate::figures::Figures;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Points that are kept at most.
const MOST: usize = 240;
/// How long the points are in the beginning: nothing is known of what happens between two ticks.
const FIRST_STEP: Duration = TICK;

/// What was done in a span of time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Done {
    /// Rows that got their result, by state as in [`STATES`].
    pub rows: [u64; STATES.len()],
    /// Requests sent.
    pub calls: u64,
    /// Answers 429.
    pub throttled: u64,
    /// How long calls waited for a rate limit.
    pub waiting: Duration,
}

impl Done {
    fn add(&mut self, other: &Self) {
        for (ours, more) in self.rows.iter_mut().zip(other.rows) {
            *ours += more;
        }
        self.calls += other.calls;
        self.throttled += other.throttled;
        self.waiting += other.waiting;
    }

    /// Rows in any state.
    pub(crate) fn all_rows(&self) -> u64 {
        self.rows.iter().sum()
    }
}

/// What was done from one moment to another.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Point {
    /// From when, since the process began.
    pub from: Duration,
    /// How long; more than nothing.
    pub took: Duration,
    /// What was done.
    pub done: Done,
}

/// The points so far. When there are too many, each becomes one with its neighbour.
#[derive(Debug)]
struct Points {
    step: Duration,
    done: Vec<Done>,
    end: Duration,
}

impl Default for Points {
    fn default() -> Self {
        Self { step: FIRST_STEP, done: Vec::new(), end: Duration::ZERO }
    }
}

impl Points {
    /// Adds what was done since the last time.
    fn add(&mut self, until: Duration, done: &Done) {
        let until = until.max(self.end);
        // The middle: a tick that comes a little late still belongs to the point that it ends.
        let middle = self.end + until.saturating_sub(self.end) / 2;
        self.end = until;
        if *done == Done::default() {
            return;
        }
        let mut place = self.place(middle);
        while place >= MOST {
            self.done = self.done.chunks(2).map(sum).collect();
            self.step *= 2;
            place = self.place(middle);
        }
        if self.done.len() <= place {
            self.done.resize(place + 1, Done::default());
        }
        self.done[place].add(done);
    }

    fn place(&self, at: Duration) -> usize {
        usize::try_from(at.as_nanos() / self.step.as_nanos()).unwrap_or(usize::MAX)
    }

    /// The points up to the present.
    fn read(&self) -> Vec<Point> {
        let mut read: Vec<Point> = Vec::new();
        let mut from = Duration::ZERO;
        for done in &self.done {
            let took = self.end.saturating_sub(from).min(self.step);
            self.push(&mut read, Point { from, took, done: *done });
            from += self.step;
        }
        let took = self.end.saturating_sub(from);
        if !read.is_empty() && !took.is_zero() {
            // Nothing was done since.
            self.push(&mut read, Point { from, took, done: Done::default() });
        }
        read
    }

    /// Adds a point; one that is too short to say how much was done in a second becomes a part of the one before.
    fn push(&self, read: &mut Vec<Point>, point: Point) {
        match read.last_mut() {
            Some(last) if point.took < self.step / 2 => {
                last.took += point.took;
                last.done.add(&point.done);
            }
            _ => read.push(Point { took: point.took.max(Duration::from_millis(1)), ..point }),
        }
    }
}

fn sum(neighbours: &[Done]) -> Done {
    let mut both = Done::default();
    for one in neighbours {
        both.add(one);
    }
    both
}

/// The series of a process's work: kept by a [`Reporter`], and read when the run has ended.
#[derive(Debug, Clone, Default)]
pub(crate) struct Series(Arc<Mutex<Points>>);

impl Series {
    /// Who keeps it.
    pub(crate) fn keeper(&self) -> Keeper {
        Keeper { series: self.clone(), last: Figures::default(), now: Done::default() }
    }

    /// What was done when: none where nothing was.
    pub(crate) fn points(&self) -> Vec<Point> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).read()
    }
}

/// Keeps a [`Series`].
#[derive(Debug)]
pub(crate) struct Keeper {
    series: Series,
    last: Figures,
    /// Since the last tick.
    now: Done,
}

impl Reporter for Keeper {
    fn event(&mut self, event: &Event) {
        if let Event::Row { rows, settled } = event
            && let Some(state) = STATES.iter().position(|state| *state == settled.state())
        {
            self.now.rows[state] += rows.count();
        }
    }

    fn tick(&mut self, figures: &Figures) {
        let (calls, before) = (&figures.calls, &self.last);
        let mut done = std::mem::take(&mut self.now);
        done.calls = calls.calls.saturating_sub(before.calls.calls);
        done.throttled = calls.throttled.saturating_sub(before.calls.throttled);
        done.waiting = figures.time.waiting.saturating_sub(before.time.waiting);
        self.last.calls.calls = calls.calls;
        self.last.calls.throttled = calls.throttled;
        self.last.time.waiting = figures.time.waiting;
        let mut points = self.series.0.lock().unwrap_or_else(PoisonError::into_inner);
        points.add(figures.elapsed, &done);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::event::Settled;
    use crate::journal::record::{Outcome, Rows};

    fn figures(millis: u64, calls: u64, throttled: u64, waiting: u64) -> Figures {
        let mut figures = Figures { elapsed: Duration::from_millis(millis), ..Figures::default() };
        figures.calls.calls = calls;
        figures.calls.throttled = throttled;
        figures.time.waiting = Duration::from_millis(waiting);
        figures
    }

    fn row(keeper: &mut Keeper, rows: Rows, settled: Settled) {
        keeper.event(&Event::Row { rows, settled });
    }

    fn total(points: &[Point]) -> Done {
        let mut all = Done::default();
        for point in points {
            all.add(&point.done);
        }
        all
    }

    #[test]
    fn what_happened_between_two_ticks_belongs_to_the_time_between_them() {
        let series = Series::default();
        let mut keeper = series.keeper();
        assert_eq!(series.points(), []);
        keeper.tick(&figures(0, 0, 0, 0));
        row(&mut keeper, 1.into(), Settled::Planned);
        row(&mut keeper, Rows { row: 2, also: Some(3) }, Settled::Outcome(Outcome::done(1)));
        keeper.tick(&figures(201, 5, 1, 100));
        keeper.tick(&figures(402, 5, 1, 100));
        keeper.tick(&figures(603, 9, 1, 250));
        let points = series.points();
        assert_eq!(points.len(), 3, "{points:?}");
        assert_eq!(points[0].done.rows, [1, 2, 0, 0, 0, 0]);
        assert_eq!((points[0].done.calls, points[0].done.throttled), (5, 1));
        assert_eq!(points[1].done, Done::default());
        assert_eq!((points[2].done.calls, points[2].done.waiting), (4, Duration::from_millis(150)));
    }

    #[test]
    fn a_run_of_any_length_has_few_points_and_none_of_it_is_lost() {
        let series = Series::default();
        let mut keeper = series.keeper();
        let ticks = 100_000;
        for tick in 1..=ticks {
            row(&mut keeper, tick.into(), Settled::Planned);
            keeper.tick(&figures(tick * 200, tick * 2, tick, tick * 50));
        }
        let points = series.points();
        assert!((MOST / 2..=MOST).contains(&points.len()), "{}", points.len());
        let all = total(&points);
        assert_eq!((all.all_rows(), all.calls, all.throttled), (ticks, ticks * 2, ticks));
        assert_eq!(all.waiting, Duration::from_millis(ticks * 50));
        // Doubled until it all fits, and no further: 20,000 s in steps of 0.2 s times a power of two.
        assert_eq!(points[0].took, FIRST_STEP * 512);
        for pair in points.windows(2) {
            assert_eq!(pair[0].from + pair[0].took, pair[1].from);
        }
        let last = points.last().unwrap();
        assert_eq!(last.from + last.took, Duration::from_secs(20_000));
    }

    #[test]
    fn a_short_rest_says_nothing_of_the_speed_by_itself() {
        let series = Series::default();
        let mut keeper = series.keeper();
        keeper.tick(&figures(200, 10, 0, 0));
        keeper.tick(&figures(201, 20, 0, 0));
        let points = series.points();
        assert_eq!(points.len(), 1, "{points:?}");
        assert_eq!((points[0].took, points[0].done.calls), (Duration::from_millis(201), 20));
    }

    #[test]
    fn time_that_goes_back_or_leaps_breaks_nothing() {
        let series = Series::default();
        let mut keeper = series.keeper();
        for (seconds, calls) in [(3600 * 24 * 365, 1), (0, 2), (5, 1), (u64::MAX / 4_000_000, 9)] {
            keeper.tick(&figures(seconds * 1000, calls, 0, 0));
        }
        let points = series.points();
        assert!(points.len() <= MOST + 1 && points.iter().all(|point| point.took > Duration::ZERO));
        assert_eq!(total(&points).calls, 1 + 1 + 8);
    }
}
