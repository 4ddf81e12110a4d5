//! How the engine works, what it does, and how it ended.

use super::limits::Limits;
use crate::exit::Failure;
use crate::stop::Cause;
use std::sync::Arc;
use std::time::Duration;

/// How the engine works.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Config {
    /// Tasks in a batch.
    pub batch_size: usize,
    /// Tasks in the first batch.
    pub first_batch: usize,
    /// Changes in flight.
    pub concurrency: usize,
    /// Stop conditions.
    pub limits: Limits,
    /// Changes that are made, or planned, at the most; then the run ends with rows left.
    pub max_changes: Option<u64>,
    /// Batches that may be under way at once: a slow change of one does not hold up the next ones.
    pub open_batches: usize,
    /// Whether an outcome is recorded as soon as it is there, and not with its batch.
    pub record_each: bool,
    /// How long changes in flight may continue after the stop signal.
    pub grace: Duration,
}

/// What a run does with what it has planned.
#[derive(Debug)]
pub(crate) enum Mode<A> {
    /// A dry run: the plan is recorded, nothing is changed.
    Plan,
    /// The plan is applied.
    Apply(Arc<A>),
}

/// How a run ended.
#[derive(Debug, Clone)]
pub(crate) enum How {
    /// Every task has its result.
    Finished,
    /// As many changes were made as were allowed; tasks may be left.
    Portion,
    /// A signal ended it.
    Interrupted(Cause),
    /// It stopped itself.
    Stopped(Failure),
}
