//! A batch on its way through the stages.

use super::job::Verdict;
use crate::journal::record::{Outcome, Rows};
use std::time::{Duration, Instant};

/// A task with its verdict.
#[derive(Debug)]
pub(super) struct Entry<C> {
    pub(super) rows: Rows,
    pub(super) key: String,
    /// Whether an earlier process may have made the change, or begun to.
    pub(super) in_doubt: bool,
    pub(super) verdict: Verdict<C>,
}

/// A batch that is ready to be carried out.
#[derive(Debug)]
pub(super) struct Prepared<C> {
    pub(super) number: u64,
    pub(super) entries: Vec<Entry<C>>,
    pub(super) since: Instant,
}

/// How a row of a batch ended.
#[derive(Debug)]
pub(super) enum End<C> {
    Settled(Outcome),
    /// A dry run's.
    Planned(C),
    /// Its intent is in the journal, but nothing was sent: the row is open again.
    Withdrawn,
}

/// Rows of a batch that have ended: all of them, or those that are not recorded yet.
#[derive(Debug)]
pub(super) struct Finished<C> {
    pub(super) ended: Vec<(Rows, String, End<C>)>,
    /// Set with the last ones.
    pub(super) batch: Option<Whole>,
}

/// A batch whose rows have all ended.
#[derive(Debug)]
pub(super) struct Whole {
    pub(super) number: u64,
    pub(super) took: Duration,
}
