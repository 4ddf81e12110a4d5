//! How fast a run goes that another process works on, from one look at its journal to the next.

use super::speed::{Mark, Speeds, TimeLeft, Work};
use super::under_way::UnderWay;
use crate::journal::replay::Now;
use std::time::Duration;

/// The period of usual rate limits: what is done in bursts is seen over several of them.
const PERIOD: Duration = Duration::from_secs(60);

/// The pace of a run.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    /// Rows that were settled at the first look, and those of them that were changed.
    before: Option<(u64, u64)>,
    speeds: Speeds,
    left: TimeLeft,
}

impl Pace {
    /// Whether there was a first look.
    pub(crate) fn has_begun(&self) -> bool {
        self.before.is_some()
    }

    /// Rows a second, and how long it may still take, so long after the beginning.
    pub(crate) fn look(
        &mut self,
        now: &Now,
        total: Option<u64>,
        elapsed: Duration,
    ) -> (f64, Option<Duration>) {
        let changed =
            ["done", "failed", "unknown"].iter().filter_map(|state| now.counts.get(*state)).sum::<u64>();
        let is_first = self.before.is_none();
        let (before, changed_before) = *self.before.get_or_insert((now.rows, changed));
        let mark = Mark { at: elapsed, rows: now.rows.saturating_sub(before), calls: 0 };
        let (rows, _) = self.speeds.look(mark);
        let changed = changed.saturating_sub(changed_before);
        // Two rows share what is done of a pair.
        #[allow(clippy::cast_precision_loss)]
        let rows_a_change = now.pending as f64 / now.under_way.len().max(1) as f64;
        let work = Work {
            left: total.map_or(0, |total| total.saturating_sub(now.rows)),
            pending: now.pending,
            credit: UnderWay::of(&now.under_way).credit() * rows_a_change,
            changed,
            free: mark.rows.saturating_sub(changed),
        };
        if is_first {
            self.left.begin(work);
        }
        (rows, self.left.look(elapsed, work, 0, Some((1, PERIOD))))
    }
}
