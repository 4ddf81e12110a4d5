//! The third stage: outcomes become durable, then listeners hear of them.

use super::batch::{End, Finished, Whole};
use super::event::{Event, Settled, Tally};
use super::halt::Halt;
use crate::exit::Failure;
use crate::journal::record::{Record, raw};
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
        while let Some(some) = finished.recv().await {
            if let Err(failure) = self.record(some).await {
                // Nothing more can be recorded. These rows have a durable intent and no outcome:
                // `resume` settles them by reading.
                self.halt.with(failure);
            }
        }
        self.tally
    }

    async fn record<C: Serialize>(&mut self, finished: Finished<C>) -> Result<(), Failure> {
        let mut records = Vec::with_capacity(finished.ended.len());
        let mut tally = Tally::default();
        for (rows, key, end) in finished.ended {
            records.push(match end {
                End::Withdrawn => Record::Withdrawn { rows },
                End::Planned(change) => {
                    tally.count(&Settled::Planned, rows.count());
                    Record::Planned { rows, key, change: raw(&change)? }
                }
                End::Settled(outcome) => {
                    tally.count_outcome(&outcome, rows.count());
                    Record::Outcome { rows, key, outcome }
                }
            });
        }
        self.journal.append(records).await?;
        self.tally.add_all(&tally);
        if let Some(Whole { number, took }) = finished.batch {
            // Listeners may have left; the run continues without them.
            let _ = self.events.send(Event::Batch { number, took }).await;
        }
        Ok(())
    }
}
