//! When a run stops itself: too many errors, or too many bad batches in a row.

use super::event::Tally;
use crate::journal::record::{Outcome, State};
use std::str::FromStr;

/// How many errors a run puts up with.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum MaxErrors {
    /// So many rows may fail; one more stops the run.
    Rows(u64),
    /// So much of the settled rows may fail; looked at after each batch, from [`PERCENT_FROM`] rows on.
    Percent(f64),
}

/// A share of fewer rows than this says little.
pub(crate) const PERCENT_FROM: u64 = 100;

impl FromStr for MaxErrors {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const SHAPE: &str = "is neither a number of rows (such as 25) nor a share of them (such as 10%)";
        if let Some(percent) = text.strip_suffix('%') {
            let percent: f64 = percent.trim().parse().map_err(|_| SHAPE)?;
            if (0.0..=100.0).contains(&percent) { Ok(Self::Percent(percent)) } else { Err(SHAPE) }
        } else {
            text.parse().map(Self::Rows).map_err(|_| SHAPE)
        }
    }
}

/// The conditions that stop a run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// `--max-errors`; none by default.
    pub max_errors: Option<MaxErrors>,
    /// `--max-batch-failures`: batches in a row that failed entirely.
    pub max_batch_failures: u32,
    /// `--max-same-failures`: attempted changes in a row that failed for one reason; 0 for no limit.
    pub max_same_failures: u32,
}

/// Watches a run against its limits. Counts this process's rows only: a resumed run starts again.
#[derive(Debug)]
pub(super) struct Watch {
    limits: Limits,
    settled: u64,
    errors: u64,
    bad_batches: u32,
    /// The reason for which the last attempted changes failed, and how many in a row did.
    same: Option<(String, u32)>,
}

impl Watch {
    pub(super) fn new(limits: Limits) -> Self {
        Self { limits, settled: 0, errors: 0, bad_batches: 0, same: None }
    }

    /// Takes in the errors of so many rows as they happen; says why the run has to stop, if so.
    pub(super) fn errors(&mut self, rows: u64) -> Option<String> {
        self.errors += rows;
        match self.limits.max_errors {
            Some(MaxErrors::Rows(most)) if self.errors > most => {
                Some(format!("{} rows failed, and --max-errors allows {most}", self.errors))
            }
            _ => None,
        }
    }

    /// Takes in how an attempted change ended; says why the run has to stop, if so. One that was left alone after all
    /// says nothing about the next.
    pub(super) fn attempted(&mut self, outcome: &Outcome) -> Option<String> {
        match outcome.state {
            State::Done => self.same = None,
            State::Already | State::Skipped => {}
            State::Failed | State::Unknown => {
                let reason = outcome.reason.as_deref().unwrap_or_default();
                match &mut self.same {
                    Some((same, times)) if same == reason => *times += 1,
                    same => *same = Some((reason.to_owned(), 1)),
                }
            }
        }
        let (reason, times) = self.same.as_ref()?;
        let most = self.limits.max_same_failures;
        (most > 0 && *times >= most).then(|| {
            let words = outcome.detail.as_deref().unwrap_or_default();
            format!("{times} changes in a row failed for the same reason, `{reason}` (--max-same-failures {most}): {words}")
        })
    }

    /// Takes in a whole batch, whose errors were taken in before; says why the run has to stop, if so.
    ///
    /// A batch failed entirely when none of its rows came out right and changes were attempted, or when all of its rows
    /// are errors. Rows with nothing to change are neither right nor wrong.
    pub(super) fn batch(&mut self, tally: &Tally, attempted: bool) -> Option<String> {
        self.settled += tally.total();
        let right = tally.of("done") + tally.of("planned");
        if right > 0 {
            self.bad_batches = 0;
        } else if tally.errors() > 0 && (attempted || tally.errors() == tally.total()) {
            self.bad_batches += 1;
        }
        if self.bad_batches >= self.limits.max_batch_failures {
            return Some(format!(
                "{} batches in a row failed entirely (--max-batch-failures {})",
                self.bad_batches, self.limits.max_batch_failures
            ));
        }
        let Some(MaxErrors::Percent(most)) = self.limits.max_errors else { return None };
        // Rows stay far below 2^52: a share of them is exact enough.
        #[allow(clippy::cast_precision_loss)]
        let share = 100.0 * self.errors as f64 / self.settled.max(1) as f64;
        (self.settled >= PERCENT_FROM && share > most).then(|| {
            format!("{share:.1} % of {} rows failed, and --max-errors allows {most} %", self.settled)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(done: u64, failed: u64) -> Tally {
        let mut tally = Tally::default();
        tally.add("done", None, done);
        tally.add("failed", Some("not-found"), failed);
        tally
    }

    fn watch(max_errors: Option<MaxErrors>) -> Watch {
        Watch::new(Limits { max_errors, max_batch_failures: 2, max_same_failures: 3 })
    }

    #[test]
    fn a_number_or_a_share() {
        assert_eq!("25".parse(), Ok(MaxErrors::Rows(25)));
        assert_eq!("2.5%".parse(), Ok(MaxErrors::Percent(2.5)));
        for text in ["", "-1", "x", "%", "101%", "NaN%", "1 0"] {
            assert!(text.parse::<MaxErrors>().is_err(), "{text}");
        }
    }

    #[test]
    fn one_error_more_than_allowed_stops() {
        let mut watch = watch(Some(MaxErrors::Rows(1)));
        assert_eq!(watch.errors(1), None);
        assert!(watch.errors(1).unwrap().contains("2 rows failed"));
    }

    #[test]
    fn a_share_counts_from_a_hundred_rows_on() {
        let mut watch = watch(Some(MaxErrors::Percent(10.0)));
        for _ in 0..20 {
            assert_eq!(watch.errors(1), None);
        }
        assert_eq!(watch.batch(&tally(30, 20), true), None);
        assert!(watch.batch(&tally(50, 0), true).unwrap().contains("20.0 %"));
    }

    #[test]
    fn only_bad_batches_in_a_row_stop() {
        let mut watch = watch(None);
        assert_eq!(watch.batch(&tally(0, 5), true), None);
        assert_eq!(watch.batch(&tally(1, 5), true), None);
        assert_eq!(watch.batch(&tally(0, 5), true), None);
        assert_eq!(watch.batch(&tally(0, 0), false), None, "an empty batch is neither");
        assert!(watch.batch(&tally(0, 5), true).is_some());
    }

    #[test]
    fn rows_with_nothing_to_change_do_not_make_a_batch_good() {
        let mut mixed = tally(0, 1);
        mixed.add("already", None, 90);
        mixed.add("skipped", None, 9);
        let mut watch = watch(None);
        assert_eq!(watch.batch(&mixed, true), None);
        assert!(watch.batch(&mixed, true).is_some(), "every change that was attempted failed");

        let mut watch = super::tests::watch(None);
        for _ in 0..9 {
            assert_eq!(watch.batch(&mixed, false), None, "nothing was attempted");
        }
    }

    #[test]
    fn failures_of_one_reason_in_a_row_stop() {
        let failed = |reason| Outcome::of(State::Failed, reason, "403: quota exceeded");
        let mut watch = watch(None);
        assert_eq!(watch.attempted(&failed("forbidden")), None);
        assert_eq!(watch.attempted(&failed("forbidden")), None);
        assert_eq!(watch.attempted(&failed("conflict")), None, "another reason");
        assert_eq!(watch.attempted(&failed("forbidden")), None);
        assert_eq!(watch.attempted(&Outcome::done(1)), None);
        assert_eq!(watch.attempted(&failed("forbidden")), None, "one was done in between");
        assert_eq!(watch.attempted(&Outcome::of(State::Skipped, "drifted", "")), None);
        assert_eq!(watch.attempted(&failed("forbidden")), None);
        let why = watch.attempted(&failed("forbidden")).unwrap();
        assert!(
            why.contains("3 changes in a row failed for the same reason, `forbidden`")
                && why.contains("quota"),
            "{why}"
        );

        let limits = Limits { max_errors: None, max_batch_failures: 9, max_same_failures: 0 };
        let mut watch = Watch::new(limits);
        assert!((0..100).all(|_| watch.attempted(&failed("forbidden")).is_none()), "0: no limit");
    }
}
