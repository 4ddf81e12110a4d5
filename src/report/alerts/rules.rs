//! What of a run is worth a message while it continues, and how often.

use crate::engine::event::{Settled, Tally};
use crate::figures::Figures;
use crate::settings::watch::AlertSettings;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;
use tokio::time::Instant;

/// Between two messages of a kind.
const AT_MOST_EVERY: Duration = Duration::from_secs(600);
/// A share of few rows says little.
const FEWEST_ROWS: u64 = 100;

/// Between two times at which it is remembered how long calls had waited, and how many of them: four hours.
const MARK_EVERY: Duration = Duration::from_secs(2);
const MOST_MARKS: usize = 7200;

/// Something that goes wrong in a run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Trouble {
    /// More rows failed than is put up with.
    ErrorRate {
        /// In percent.
        share: f64,
        /// Rows that failed or whose state is unknown.
        errors: u64,
        /// Rows that were settled.
        settled: u64,
    },
    /// A batch took too long.
    SlowBatch {
        /// Its number in this process.
        number: u64,
        /// How long it took, waits for the rate limit aside.
        took: Duration,
    },
    /// The API gave errors in a row.
    ApiErrors {
        /// So many.
        in_a_row: u64,
    },
    /// The circuit breaker opened.
    Breaker {
        /// How often it has by now.
        openings: u64,
    },
}

/// What is told at most once in [`AT_MOST_EVERY`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    ErrorRate,
    SlowBatch,
    ApiErrors,
    Breaker,
}

impl Trouble {
    fn kind(self) -> Kind {
        match self {
            Self::ErrorRate { .. } => Kind::ErrorRate,
            Self::SlowBatch { .. } => Kind::SlowBatch,
            Self::ApiErrors { .. } => Kind::ApiErrors,
            Self::Breaker { .. } => Kind::Breaker,
        }
    }
}

/// Watches a run.
#[derive(Debug)]
pub(super) struct Rules {
    error_rate: f64,
    batch_time: Duration,
    api_errors: u64,
    /// What this process has settled so far.
    pub(super) tally: Tally,
    /// Whether the error rate is too high just now, and that was told.
    too_many: bool,
    /// Whether errors of the API continue in a row that was told about.
    in_a_row: bool,
    most_in_a_row: u64,
    openings: u64,
    waits: Waits,
    told: BTreeMap<Kind, Instant>,
}

/// How long calls had waited for a rate limit, by when.
#[derive(Debug, Default)]
struct Waits {
    marks: VecDeque<(Instant, Duration)>,
    now: Duration,
}

impl Waits {
    fn note(&mut self, waited: Duration) {
        self.now = waited;
        let now = Instant::now();
        if self.marks.back().is_none_or(|(at, _)| *at + MARK_EVERY <= now) {
            self.marks.push_back((now, waited));
        }
        if self.marks.len() > MOST_MARKS {
            self.marks.pop_front();
        }
    }

    /// How long calls have waited since then, as far as that is remembered.
    fn since(&self, then: Instant) -> Duration {
        let after = self.marks.partition_point(|(at, _)| *at <= then);
        let mark = after.checked_sub(1).and_then(|mark| self.marks.get(mark));
        self.now.saturating_sub(mark.map_or(Duration::ZERO, |(_, waited)| *waited))
    }
}

impl Rules {
    pub(super) fn new(alerts: &AlertSettings) -> Self {
        Self {
            error_rate: alerts.error_rate,
            batch_time: alerts.batch_time,
            api_errors: alerts.api_errors,
            tally: Tally::default(),
            too_many: false,
            in_a_row: false,
            most_in_a_row: 0,
            openings: 0,
            waits: Waits::default(),
            told: BTreeMap::new(),
        }
    }

    /// Takes in a result of so many rows.
    pub(super) fn row(&mut self, settled: &Settled, rows: u64) -> Option<Trouble> {
        self.tally.count(settled, rows);
        let (errors, settled) = (self.tally.errors(), self.tally.total());
        // Counts stay far below 2^52.
        #[allow(clippy::cast_precision_loss)]
        let share = errors as f64 * 100.0 / settled as f64;
        let too_many = settled >= FEWEST_ROWS && share > self.error_rate;
        let passed = too_many && !self.too_many;
        let told = self.unless_told(passed.then_some(Trouble::ErrorRate { share, errors, settled }));
        // What came too soon after the last message is told later, if it is still so by then.
        self.too_many = too_many && (self.too_many || told.is_some());
        told
    }

    /// Takes in a batch. That calls wait for the rate limit is as it should be, and not counted.
    pub(super) fn batch(&mut self, number: u64, took: Duration) -> Option<Trouble> {
        let waited = Instant::now().checked_sub(took).map_or(self.waits.now, |then| self.waits.since(then));
        let took = took.saturating_sub(waited);
        let slow = took > self.batch_time;
        self.unless_told(slow.then_some(Trouble::SlowBatch { number, took }))
    }

    /// Looks at the figures. Errors in a row that came and went since the last look are seen by their number.
    pub(super) fn look(&mut self, figures: &Figures) -> impl Iterator<Item = Trouble> + use<> {
        self.waits.note(figures.time.waiting);
        let (now, most) = (figures.calls.errors_in_a_row, figures.calls.most_errors_in_a_row);
        let before = std::mem::replace(&mut self.most_in_a_row, most);
        let in_a_row = if most > before { most } else { now };
        let new = !self.in_a_row && in_a_row >= self.api_errors;
        let errors = self.unless_told(new.then_some(Trouble::ApiErrors { in_a_row }));
        self.in_a_row = now >= self.api_errors && (self.in_a_row || errors.is_some());

        let openings = figures.breaker_openings;
        let opened = openings > std::mem::replace(&mut self.openings, openings);
        let breaker = opened.then_some(Trouble::Breaker { openings });
        [errors, self.unless_told(breaker)].into_iter().flatten()
    }

    /// Passes on what its kind has not been told about for long enough.
    fn unless_told(&mut self, trouble: Option<Trouble>) -> Option<Trouble> {
        let kind = trouble?.kind();
        let now = Instant::now();
        if self.told.get(&kind).is_some_and(|told| now < *told + AT_MOST_EVERY) {
            return None;
        }
        self.told.insert(kind, now);
        trouble
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::choices::Notify;
    use crate::journal::record::{Outcome, State};

    fn rules() -> Rules {
        Rules::new(&AlertSettings {
            notify: Notify::Failure,
            slack: None,
            mail: None,
            error_rate: 10.0,
            batch_time: Duration::from_secs(60),
            api_errors: 5,
        })
    }

    fn rows(rules: &mut Rules, state: State, rows: u64) -> Vec<Trouble> {
        let settled = Settled::Outcome(Outcome { state, ..Outcome::done(1) });
        (0..rows).filter_map(|_| rules.row(&settled, 1)).collect()
    }

    fn calls(rules: &mut Rules, in_a_row: u64, most: u64, openings: u64) -> Vec<Trouble> {
        let mut figures = Figures { breaker_openings: openings, ..Figures::default() };
        figures.calls.errors_in_a_row = in_a_row;
        figures.calls.most_errors_in_a_row = most;
        rules.look(&figures).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn the_error_rate_counts_from_a_hundred_rows_on() {
        let mut rules = rules();
        assert_eq!(rows(&mut rules, State::Failed, 40), []);
        assert_eq!(rows(&mut rules, State::Done, 59), []);
        let told = rows(&mut rules, State::Done, 1);
        assert_eq!(told, [Trouble::ErrorRate { share: 40.0, errors: 40, settled: 100 }]);
        assert_eq!(rows(&mut rules, State::Unknown, 100), []);
    }

    #[tokio::test(start_paused = true)]
    async fn ten_percent_are_put_up_with_and_no_more() {
        let mut rules = rules();
        assert_eq!(rows(&mut rules, State::Done, 90), []);
        assert_eq!(rows(&mut rules, State::Failed, 10), []);
        assert_eq!(rows(&mut rules, State::Failed, 1).len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_kind_is_told_once_in_ten_minutes() {
        let mut rules = rules();
        let slow = Duration::from_secs(61);
        assert_eq!(rules.batch(1, Duration::from_secs(60)), None);
        assert!(rules.batch(2, slow).is_some());
        assert_eq!(rules.batch(3, slow), None);
        assert_eq!(calls(&mut rules, 0, 0, 1), [Trouble::Breaker { openings: 1 }], "another kind");
        tokio::time::advance(Duration::from_secs(599)).await;
        assert_eq!((rules.batch(4, slow), calls(&mut rules, 0, 0, 2)), (None, Vec::new()));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(rules.batch(5, slow), Some(Trouble::SlowBatch { number: 5, took: slow }));
        assert_eq!(calls(&mut rules, 0, 0, 2), [], "it has not opened since");
        assert_eq!(calls(&mut rules, 0, 0, 3), [Trouble::Breaker { openings: 3 }]);
    }

    #[tokio::test(start_paused = true)]
    async fn waits_for_the_rate_limit_make_no_batch_slow() {
        let mut rules = rules();
        let mut figures = Figures::default();
        // Of each ten seconds, nine are waited for.
        for _ in 0..60 {
            tokio::time::advance(Duration::from_secs(10)).await;
            figures.time.waiting += Duration::from_secs(9);
            assert_eq!(rules.look(&figures).count(), 0);
        }
        assert_eq!(rules.batch(1, Duration::from_secs(300)), None);
        let took = Duration::from_secs(61);
        // Of the whole time one in ten.
        assert_eq!(rules.batch(2, Duration::from_secs(601)), Some(Trouble::SlowBatch { number: 2, took }));
    }

    #[tokio::test(start_paused = true)]
    async fn errors_in_a_row_are_told_as_they_begin() {
        let mut rules = rules();
        assert_eq!(calls(&mut rules, 4, 4, 0), []);
        assert_eq!(calls(&mut rules, 5, 5, 0), [Trouble::ApiErrors { in_a_row: 5 }]);
        tokio::time::advance(AT_MOST_EVERY).await;
        assert_eq!(calls(&mut rules, 900, 900, 0), [], "the same row");
        assert_eq!(calls(&mut rules, 0, 900, 0), []);
        assert_eq!(calls(&mut rules, 5, 900, 0), [Trouble::ApiErrors { in_a_row: 5 }]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_came_too_soon_after_a_message_is_told_later_if_it_is_still_so() {
        let mut rules = rules();
        assert_eq!(calls(&mut rules, 5, 5, 0).len(), 1);
        assert_eq!(calls(&mut rules, 0, 5, 0), []);
        assert_eq!(rows(&mut rules, State::Failed, 100).len(), 1);
        assert_eq!(rows(&mut rules, State::Done, 900), []);
        tokio::time::advance(Duration::from_secs(599)).await;
        assert_eq!((calls(&mut rules, 5, 5, 0), rows(&mut rules, State::Failed, 20)), (vec![], vec![]));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(calls(&mut rules, 700, 700, 0), [Trouble::ApiErrors { in_a_row: 700 }]);
        assert_eq!(rows(&mut rules, State::Failed, 2).len(), 1);
        tokio::time::advance(AT_MOST_EVERY).await;
        assert_eq!((calls(&mut rules, 900, 900, 0), rows(&mut rules, State::Failed, 2)), (vec![], vec![]));
    }

    #[tokio::test(start_paused = true)]
    async fn errors_that_came_and_went_between_two_looks_are_told() {
        let mut rules = rules();
        assert_eq!(calls(&mut rules, 0, 7, 0), [Trouble::ApiErrors { in_a_row: 7 }]);
        tokio::time::advance(AT_MOST_EVERY).await;
        assert_eq!(calls(&mut rules, 0, 7, 0), []);
        assert_eq!(calls(&mut rules, 1, 9, 0), [Trouble::ApiErrors { in_a_row: 9 }]);
    }
}
