//! Takes a load back: deletes what it added, puts back what it changed or deleted, as far as each row still is as the load
//! left it. A slice is a task and one transaction of the target, which also gives the ledger's line back that was there
//! before the load, or removes it.
//!
//! - [`kept`]: what a load keeps for it; [`command`]: the job; [`plan`]: what a dry run says

pub(crate) mod command;
pub(super) mod kept;
mod plan;

use super::error::LoadError;
use super::ledger::Line;
use super::slices::Slice;
use super::store::{Store, Terms, Undo, UndoEnd, Undone};
use crate::engine::job::{Applied, Applier, Asked, Planner, Steps, Verdict};
use crate::exit::{Exit, Failure};
use crate::jobs::undoing::feed::Made;
use crate::journal::record::{Outcome, State, raw};
use crate::journal::run_dir::RunDir;
use crate::report::units::counted;
use crate::run::drift::Plannable;
use crate::stop::Stop;
use kept::{KeptCounts, KeptReader};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::sync::Arc;

/// The reason of a slice of which some rows stay.
const CHANGED_SINCE: &str = "changed-since";

/// A slice that the run has loaded.
#[derive(Debug, Clone)]
pub(crate) struct Item {
    /// Its row in that run.
    row: u64,
    slice: Slice,
}

impl Made for Item {
    const COLUMNS: &'static [&'static str] = &["row", "slice", "name"];

    fn read(fields: &[&str]) -> Result<(String, Self), String> {
        let &[row, slice, name] = fields else { return Err("it lacks fields".to_owned()) };
        let row = row.parse().map_err(|_| "it has no row".to_owned())?;
        let slice = serde_json::from_str(slice).map_err(|error| format!("it is not a slice: {error}"))?;
        Ok((name.to_owned(), Self { row, slice }))
    }
}

/// A slice that is to be taken back.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct UndoChange {
    row: u64,
    slice: Slice,
    /// What the load did to the table's rows.
    kept: KeptCounts,
}

impl Plannable for UndoChange {}

/// The reading and deciding half.
#[derive(Debug)]
pub(crate) struct UndoPlanner {
    /// What the ledger has, by the slices' identities.
    lines: HashMap<String, Line>,
    /// The run that is undone.
    of: RunDir,
}

impl Planner for UndoPlanner {
    type Item = Item;
    type Change = UndoChange;

    async fn prepare(&mut self, batch: Vec<Asked<Item>>) -> Result<Vec<Verdict<UndoChange>>, Failure> {
        Ok(batch.into_iter().map(|asked| self.decide(asked)).collect())
    }
}

impl UndoPlanner {
    fn decide(&self, Asked { item: Item { row, slice }, in_doubt }: Asked<Item>) -> Verdict<UndoChange> {
        let settled = |state, reason, text: String| Verdict::Settled(Outcome::of(state, reason, text));
        let kept = match KeptReader::open(&kept::path(&self.of, row)) {
            Ok(kept) => kept,
            Err(error) => {
                let text = format!("what run {} changed cannot be read: {error}", self.of.id());
                return settled(State::Failed, "not-kept", text);
            }
        };
        let entry = self.lines.get(&slice.id());
        if entry.is_some_and(|line| line.entry.run == self.of.id()) {
            return Verdict::Change(UndoChange { row, slice, kept: kept.counts });
        }
        let is_back = is_as_before(entry, kept.head.ledger.as_ref());
        match in_doubt {
            // Its transaction has given the ledger's line back; only the answer was lost.
            Some(in_doubt) if is_back => {
                let told = in_doubt.steps.last().and_then(|step| serde_json::from_str(step.get()).ok());
                Verdict::Settled(done(told.unwrap_or_default()))
            }
            _ => Verdict::Settled(otherwise(entry.map(|line| line.entry.run.as_str()), is_back)),
        }
    }
}

/// Whether the ledger has of a slice what it had before the run.
fn is_as_before(now: Option<&Line>, before: Option<&Line>) -> bool {
    now.map(|line| &line.entry.run) == before.map(|line| &line.entry.run)
}

/// Why a slice is left alone that the ledger does not have of this run.
fn otherwise(other: Option<&str>, is_back: bool) -> Outcome {
    match other {
        Some(run) if !is_back => {
            let text = format!("run {run} has loaded it again since: undo that run first");
            Outcome::of(State::Failed, "loaded-since", text)
        }
        _ => {
            let text = "the ledger does not have it of this run any more: it was undone before, or `load ledger forget` removed \
                        it, and then its records stay";
            Outcome::of(State::Skipped, "not-in-ledger", text)
        }
    }
}

/// The outcome of a slice that was taken back.
fn done(undone: Undone) -> Outcome {
    let outcome = Outcome::done(1).reported(raw(&undone).ok());
    if undone.left == 0 {
        return outcome;
    }
    let rows = if undone.left == 1 {
        "1 row was".to_owned()
    } else {
        format!("{} were", counted(undone.left, "row"))
    };
    let detail = format!("{rows} changed since the load and left alone");
    Outcome { reason: Some(CHANGED_SINCE.into()), detail: Some(detail), ..outcome }
}

/// The writing half.
#[derive(Debug)]
pub(crate) struct Undoer {
    store: Arc<Store>,
    /// How the run that is undone wrote.
    terms: Terms,
    of: RunDir,
    stop: Stop,
}

impl Applier<UndoChange> for Undoer {
    async fn apply(&self, change: UndoChange, steps: Steps) -> Applied {
        match self.take_back(&change, &steps).await {
            Ok(outcome) => outcome.into(),
            // Nothing was written: what was begun in the target is taken back.
            Err(LoadError::Interrupted) => Applied { outcome: None, halt: None },
            Err(error) if error.ends_the_run() => Applied { outcome: None, halt: Some(error.failure()) },
            Err(error) => Outcome::of(State::Failed, error.reason(), error.to_string()).after(1).into(),
        }
    }
}

impl Undoer {
    async fn take_back(&self, change: &UndoChange, steps: &Steps) -> Result<Outcome, LoadError> {
        let path = kept::path(&self.of, change.row);
        let before_commit = |undone: Undone| -> futures_util::future::BoxFuture<'_, Result<(), LoadError>> {
            Box::pin(async move {
                // Should the answer to the commit be lost, this says what it was.
                steps
                    .record(&undone)
                    .await
                    .map_err(|failure| LoadError::Disk(std::io::Error::other(failure.message)))
            })
        };
        let undo =
            Undo { terms: &self.terms, slice: &change.slice, kept: &path, before_commit: &before_commit };
        Ok(match self.store.undo(undo, &self.stop).await? {
            UndoEnd::Now(undone) => done(undone),
            UndoEnd::Otherwise(entry) => {
                let before = KeptReader::open(&path)?.head.ledger.map(|line| line.entry.run);
                let run = entry.as_ref().map(|entry| entry.run.as_str());
                otherwise(run, run == before.as_deref())
            }
        })
    }
}

/// Refuses an undo while what a later run has loaded lies over it.
fn later(lines: &[Line], items: &[Item], of: &RunDir) -> Result<(), Failure> {
    let own: HashMap<String, &Item> = items.iter().map(|item| (item.slice.id(), item)).collect();
    let mut ours: Vec<(&Line, Slice)> = Vec::new();
    for line in lines.iter().filter(|line| line.entry.run == of.id()) {
        ours.extend(serde_json::from_str(&line.entry.slice).ok().map(|slice| (line, slice)));
    }
    for line in lines.iter().filter(|line| line.entry.run != of.id()) {
        let refuse = |slice: &str| {
            let text = format!(
                "slice {slice}: run {} has loaded {} since run {} did: undo that run first (`devrev-batch undo {0}`), or keep what \
                 it loaded",
                line.entry.run,
                if slice == line.name {
                    "it again".to_owned()
                } else {
                    format!("slice {} over it", line.name)
                },
                of.id()
            );
            Err(Failure::new(Exit::Changed, text))
        };
        if let Some(item) = own.get(&line.entry.slice) {
            let before = KeptReader::open(&kept::path(of, item.row)).ok().and_then(|kept| kept.head.ledger);
            if !is_as_before(Some(line), before.as_ref()) {
                return refuse(&line.name);
            }
            continue;
        }
        let Ok(other) = serde_json::from_str::<Slice>(&line.entry.slice) else { continue };
        let at = |line: &Line| chrono::DateTime::parse_from_rfc3339(&line.at).ok();
        if let Some((mine, _)) =
            ours.iter().find(|(mine, slice)| slice.overlaps(&other) && at(line) > at(mine))
        {
            return refuse(&mine.name);
        }
    }
    Ok(())
}
