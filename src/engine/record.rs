//! The third stage: outcomes become durable, then listeners hear of them.

use super::event::{Event, Settled, Tally};
use super::execute::{End, Finished};
use super::prepare::raw;
use super::run::Halt;
use crate::exit::Failure;
use crate::journal::record::Record;
use crate::journal::writer::Journal;
use serde::Serialize;
use tokio::sync::mpsc;

/// The stage.
pub(super) struct Recorder {
    journal: Journal,
    events: mpsc::Sender<Event>,
    halt: Halt,
    tally: Tally,
}

impl Recorder {
    pub(super) fn new(journal: Journal, events: mpsc::Sender<Event>, halt: Halt) -> Self {
        Self { journal, events, halt, tally: Tally::default() }
    }

    /// Records batches until there are no more; returns what was recorded.
    pub(super) async fn run<C: Serialize>(mut self, mut finished: mpsc::Receiver<Finished<C>>) -> Tally {
        while let Some(batch) = finished.recv().await {
            if let Err(failure) = self.batch(batch).await {
                // Nothing more can be recorded. The rows of this batch have a durable intent and no outcome:
                // `resume` settles them by reading.
                self.halt.with(failure);
            }
        }
        self.tally
    }

    async fn batch<C: Serialize>(&mut self, batch: Finished<C>) -> Result<(), Failure> {
        let mut records = Vec::with_capacity(batch.rows.len());
        let mut tally = Tally::default();
        for (row, key, end) in batch.rows {
            records.push(match end {
                End::Withdrawn => Record::Withdrawn { row },
                End::Planned(change) => {
                    tally.count(&Settled::Planned);
                    Record::Planned { row, key, change: raw(&change)? }
                }
                End::Settled(outcome) => {
                    tally.count_outcome(&outcome);
                    Record::Outcome { row, key, outcome }
                }
            });
        }
        self.journal.append(records).await?;
        self.tally.add_all(&tally);
        // Listeners may have left; the run goes on without them.
        let _ = self.events.send(Event::Batch { number: batch.number, tally, took: batch.took }).await;
        Ok(())
    }
}
