//! The first stage: tasks are read and gathered into batches, the job decides about each batch, and the
//! intents become durable before anything is sent.

use super::batch::{Entry, Prepared};
use super::halt::Halt;
use super::job::{Asked, Planner, Task, Verdict};
use crate::exit::{Exit, Failure};
use crate::journal::record::{Outcome, Record, State, raw};
use crate::journal::writer::Journal;
use crate::stop::Stop;
use serde::Serialize;
use std::time::Instant;
use tokio::sync::mpsc;
use tracing::Instrument;

/// Reads tasks and sends them on in batches, of which the first may be of another size. Runs on a thread of its own: files block.
pub(super) fn read<I>(
    feed: impl Iterator<Item = Result<Task<I>, Failure>>,
    (first_batch, batch_size): (usize, usize),
    tasks: &mpsc::Sender<Vec<Task<I>>>,
    halt: &Halt,
    stop: &Stop,
) {
    let mut wanted = first_batch;
    let mut batch = Vec::with_capacity(wanted.min(1024));
    for task in feed {
        match task {
            Ok(task) => batch.push(task),
            Err(failure) => return halt.with(failure),
        }
        if batch.len() >= wanted {
            wanted = batch_size;
            let full = std::mem::replace(&mut batch, Vec::with_capacity(batch_size.min(1024)));
            if tasks.blocking_send(full).is_err() {
                return;
            }
        }
        if stop.is_set() {
            return;
        }
    }
    if !batch.is_empty() {
        // The receiver is gone only when the run is ending.
        let _ = tasks.blocking_send(batch);
    }
}

/// Prepares batch after batch until there are no more or the run is being stopped.
///
/// With a journal, the intents of a batch are durable before it is sent on. After `max_changes` changes nothing more is
/// prepared: says whether it came to that.
pub(super) async fn prepare<P: Planner>(
    mut planner: P,
    mut tasks: mpsc::Receiver<Vec<Task<P::Item>>>,
    prepared: mpsc::Sender<Prepared<P::Change>>,
    journal: Option<Journal>,
    max_changes: Option<u64>,
    halt: Halt,
    stop: Stop,
) -> bool {
    let mut number = 0;
    let mut left = max_changes.unwrap_or(u64::MAX);
    while left > 0
        && let Some(Some(batch)) = stop.race(tasks.recv()).await
    {
        number += 1;
        let since = Instant::now();
        let done = async {
            let mut entries = decide(&mut planner, batch).await?;
            entries.retain(|entry| allowed(entry, &mut left));
            if let Some(journal) = &journal {
                journal.append(intents(&entries)?).await.map_err(Failure::from)?;
            }
            Ok(Prepared { number, entries, since })
        };
        match done.instrument(tracing::info_span!("batch", batch = number)).await {
            Ok(batch) => {
                if let Err(unsent) = prepared.send(batch).await {
                    withdraw(unsent.0, journal, &halt).await;
                    return false;
                }
            }
            Err(failure) => {
                halt.with(failure);
                return false;
            }
        }
    }
    left == 0
}

/// Whether a task is carried out, with so many changes left. A change in doubt always is: an earlier process may have
/// made it.
fn allowed<C>(entry: &Entry<C>, left: &mut u64) -> bool {
    let Verdict::Change(_) = entry.verdict else { return true };
    let allowed = *left > 0 || entry.in_doubt;
    *left = left.saturating_sub(1);
    allowed
}

/// Takes back the intents of a batch that nobody carries out any more: its rows are as open as before. What was
/// in doubt before stays so: its new intent says all that the old one did.
async fn withdraw<C>(batch: Prepared<C>, journal: Option<Journal>, halt: &Halt) {
    let Some(journal) = journal else { return };
    let changes =
        batch.entries.iter().filter(|entry| matches!(entry.verdict, Verdict::Change(_)) && !entry.in_doubt);
    let records = changes.map(|entry| Record::Withdrawn { rows: entry.rows }).collect();
    if let Err(error) = journal.append(records).await {
        // The rows stay in doubt, which costs a read each at resume.
        halt.with(error.into());
    }
}

async fn decide<P: Planner>(
    planner: &mut P,
    batch: Vec<Task<P::Item>>,
) -> Result<Vec<Entry<P::Change>>, Failure> {
    let mut asked = Vec::with_capacity(batch.len());
    let mut places = Vec::with_capacity(batch.len());
    for task in batch {
        let in_doubt = task.in_doubt.is_some();
        let settled = match task.item {
            Ok(item) => {
                asked.push(Asked { item, in_doubt: task.in_doubt });
                None
            }
            // The change that was meant may have been made: that the row looks otherwise now does not undo it.
            Err(outcome) if in_doubt => Some(still_in_doubt(outcome)),
            Err(outcome) => Some(outcome),
        };
        places.push((task.rows, task.key, in_doubt, settled));
    }
    let expected = asked.len();
    let verdicts = if asked.is_empty() { Vec::new() } else { planner.prepare(asked).await? };
    if verdicts.len() != expected {
        let text = format!("a defect: the job decided about {} of {expected} items", verdicts.len());
        return Err(Failure::new(Exit::Unexpected, text));
    }
    let mut verdicts = verdicts.into_iter();
    let entries = places.into_iter().filter_map(|(rows, key, in_doubt, settled)| {
        let verdict = settled.map(Verdict::Settled).or_else(|| verdicts.next())?;
        Some(Entry { rows, key, in_doubt, verdict })
    });
    Ok(entries.collect())
}

fn still_in_doubt(outcome: Outcome) -> Outcome {
    let reason = outcome.reason.unwrap_or_default();
    let detail = outcome.detail.unwrap_or_default();
    let text = format!(
        "an earlier process may have made a change, and the row is none any more: {reason}: {detail}"
    );
    Outcome::of(State::Unknown, "in-doubt", text)
}

fn intents<C: Serialize>(entries: &[Entry<C>]) -> Result<Vec<Record>, Failure> {
    let changes = entries.iter().filter_map(|entry| match &entry.verdict {
        Verdict::Change(change) => Some((entry, change)),
        Verdict::Settled(_) => None,
    });
    changes
        .map(|(entry, change)| {
            Ok(Record::Intent { rows: entry.rows, key: entry.key.clone(), change: raw(change)? })
        })
        .collect()
}
