//! What a job gives the engine: tasks, a planner that reads and decides, an applier that changes.

use super::event::Event;
use crate::exit::Failure;
use crate::journal::record::{Outcome, Record, Rows, raw, step_name};
use crate::journal::replay::InDoubt;
use crate::journal::writer::Journal;
use serde::Serialize;
use std::future::Future;
use tokio::sync::mpsc;

/// One thing to be done, made of one row or two.
#[derive(Debug)]
pub(crate) struct Task<I> {
    /// The rows in the input.
    pub rows: Rows,
    /// The object's ID as people know it, such as `ISS-5`.
    pub key: String,
    /// What the row asks for, or the outcome that it has without any work: invalid, a duplicate.
    pub item: Result<I, Outcome>,
    /// The change that an earlier process meant to make for this row and of which nobody knows whether it
    /// was made: to be settled by a read before anything is sent.
    pub in_doubt: Option<InDoubt>,
}

/// What the planner is asked to decide.
#[derive(Debug)]
pub(crate) struct Asked<I> {
    /// What the row asks for.
    pub item: I,
    /// See [`Task::in_doubt`].
    pub in_doubt: Option<InDoubt>,
}

/// What a planner decides about an item.
#[derive(Debug)]
pub(crate) enum Verdict<C> {
    /// This is to be changed.
    Change(C),
    /// Nothing is to be done, for this reason.
    Settled(Outcome),
}

/// Reads what it needs to know about a batch, in as few calls as it can, and decides. It holds no way to
/// write: a dry run is a planner without an applier.
pub(crate) trait Planner: Send + 'static {
    /// What one row asks for.
    type Item: Send + 'static;
    /// A change from one state to another; written to the journal before it is made.
    type Change: Serialize + Clone + Send + Sync + 'static;

    /// Decides about every item of a batch, in order.
    ///
    /// An error ends the run: the batch stays open and a later `resume` prepares it again.
    fn prepare(
        &mut self,
        batch: Vec<Asked<Self::Item>>,
    ) -> impl Future<Output = Result<Vec<Verdict<Self::Change>>, Failure>> + Send;
}

/// How an attempt to make a change ended.
#[derive(Debug)]
pub(crate) struct Applied {
    /// The row's state; `None` when nothing was sent and the row is as open as before.
    pub outcome: Option<Outcome>,
    /// Set when the whole run has to end: refused credentials, an open circuit breaker.
    pub halt: Option<Failure>,
}

impl From<Outcome> for Applied {
    fn from(outcome: Outcome) -> Self {
        Self { outcome: Some(outcome), halt: None }
    }
}

/// Makes changes. Its intent is durable before it is called.
pub(crate) trait Applier<C>: Send + Sync + 'static {
    /// Makes one change and proves it.
    fn apply(&self, change: C, steps: Steps) -> impl Future<Output = Applied> + Send;
}

/// Where the steps of one change are written down, for changes that are made in several. A change in doubt is
/// handed to the planner with the steps that were recorded since its intent.
#[derive(Debug)]
pub(crate) struct Steps {
    journal: Journal,
    rows: Rows,
    events: mpsc::Sender<Event>,
}

impl Steps {
    pub(super) fn new(journal: Journal, rows: Rows, events: mpsc::Sender<Event>) -> Self {
        Self { journal, rows, events }
    }

    /// The row that the change is written down under.
    #[cfg(feature = "load")]
    pub(crate) fn row(&self) -> u64 {
        self.rows.row
    }

    /// Writes a step down; it is durable when this returns `Ok`. After an error nothing more may be sent.
    pub(crate) async fn record(&self, step: &impl Serialize) -> Result<(), Failure> {
        let step = raw(step)?;
        let (rows, name) = (self.rows, step_name(&step));
        self.journal.append(vec![Record::Step { rows, step }]).await?;
        // Listeners that have left, or lag: the change continues without them.
        let _ = self.events.try_send(Event::Step { rows, step: name });
        Ok(())
    }
}

/// The applier of a run that has none: there is no such value.
#[derive(Debug, Clone, Copy)]
pub(crate) enum NoApplier {}

impl<C: Send + 'static> Applier<C> for NoApplier {
    async fn apply(&self, _change: C, _steps: Steps) -> Applied {
        match *self {}
    }
}
