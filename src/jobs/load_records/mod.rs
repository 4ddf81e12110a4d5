//! Moves records from a source to a target in slices, as a job file says, each slice exactly once.
//!
//! - [`file`]: the job file; [`template`]: text with places in it; [`span`]: where a mistake stands; [`dates`]: dates and steps;
//!   [`names`]: names that were mistyped
//! - [`slices`]: what a load is cut into; [`keys`]: ranges of a key; [`cut`]: how these are counted; [`ledger`]: what the target says it has
//! - [`source`]: where records come from; [`query`]: what a database is asked; [`filter`]: jq; [`record`]: a record; [`rules`]: what each has to keep
//! - [`fetch`]: all of that together, into the run's folder ([`stage`])
//! - `topics`: the topics of Kafka; [`offsets`]: their slices; `positions`: how far a load is in them; `messages` and `drain`: the way
//!   of messages; `follow`: the same without an end, as a member of a group
//! - [`devrev`]: a load into DevRev, which is an update
//! - [`store`]: where records go; [`target`]: the same, as what the run changes
//! - `fixed`: a slice of which a part may be in a target without transactions
//! - [`checks`]: what has to be so after it
//! - [`undo`]: takes a load back; [`look_after`]: `load ledger`; [`show`]: `load --show`; [`validate`]: `validate --job`
//! - [`options`] and [`command`]: the job; [`plan`]: what a dry run says

mod checks;
pub(crate) mod command;
mod cut;
mod dates;
mod devrev;
#[cfg(feature = "kafka")]
mod drain;
mod error;
mod fetch;
mod file;
mod filter;
#[cfg(feature = "clickhouse")]
mod fixed;
#[cfg(feature = "kafka")]
mod follow;
mod keys;
mod ledger;
mod look_after;
#[cfg(feature = "kafka")]
mod messages;
mod names;
mod offsets;
pub(crate) mod options;
mod plan;
#[cfg(feature = "kafka")]
mod positions;
mod query;
mod record;
mod rules;
mod show;
mod slices;
mod source;
mod span;
mod stage;
mod store;
pub(crate) mod target;
mod template;
#[cfg(feature = "kafka")]
mod topics;
pub(crate) mod undo;
pub(crate) mod validate;

use crate::engine::job::{Applied, Applier, Asked, Planner, Steps, Verdict};
use crate::exit::Failure;
use crate::journal::record::{Outcome, State, raw};
use crate::journal::run_dir::RunDir;
use crate::report::units::counted;
use crate::run::drift::Plannable;
use error::LoadError;
use fetch::Fetch;
use ledger::{Entry, Ledger};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use slices::Slice;
use stage::{Stage, StageWriter};
use std::collections::BTreeMap;
#[cfg(feature = "kafka")]
use std::collections::HashMap;
use std::sync::Arc;
use store::{Loaded, Store, Terms};

/// The reason of a slice that is in the target, but for records that were rejected.
const REJECTS: &str = "rejects";
/// The reason of a slice that an earlier run has loaded.
const LOADED: &str = "loaded";

/// A slice that is to be loaded.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct SliceChange {
    /// The slice.
    slice: Slice,
    /// Of all that decides what its records are.
    digest: String,
    /// Whether it is loaded, and is loaded again.
    again: bool,
}

impl Plannable for SliceChange {
    fn is_made(_planned: &RawValue, outcome: &Outcome) -> bool {
        outcome.reason.as_deref() == Some(LOADED)
    }
}

/// What an outcome says of a slice for the report.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
struct Counts {
    /// Records in the target.
    records: u64,
    /// Records that were not loaded.
    rejected: u64,
    /// Records of other dates.
    #[serde(default)]
    outside: u64,
    /// Rows that they took the place of.
    #[serde(default)]
    deleted: u64,
    /// Records of messages whose key came again.
    #[serde(default)]
    repeated: u64,
    /// Messages without a value.
    #[serde(default)]
    tombstones: u64,
    /// Offsets that brokers have removed before they were loaded.
    #[serde(default)]
    lost: u64,
}

/// The reading and deciding half: what the target's ledger has is not loaded again.
#[derive(Debug)]
pub(crate) struct LoadPlanner {
    ledger: Ledger,
    digest: String,
    reload: bool,
    run: String,
    /// How far the load is in its topics.
    #[cfg(feature = "kafka")]
    positions: HashMap<positions::Partition, positions::Position>,
}

impl Planner for LoadPlanner {
    type Item = Slice;
    type Change = SliceChange;

    async fn prepare(&mut self, batch: Vec<Asked<Slice>>) -> Result<Vec<Verdict<SliceChange>>, Failure> {
        Ok(batch.into_iter().map(|asked| self.decide(asked)).collect())
    }
}

impl LoadPlanner {
    fn decide(&self, Asked { item: slice, .. }: Asked<Slice>) -> Verdict<SliceChange> {
        let entry = self.ledger.get(&slice);
        let change =
            |again| Verdict::Change(SliceChange { slice: slice.clone(), digest: self.digest.clone(), again });
        #[cfg(feature = "kafka")]
        if let Some(offsets) = &slice.offsets {
            return match self.positions.get(&positions::Partition::of(offsets)) {
                Some(position) if position.next >= offsets.to => Verdict::Settled(taken(position, &self.run)),
                _ => change(false),
            };
        }
        let Some(entry) = entry else { return change(false) };
        let is_own = entry.run == self.run;
        let again = !is_own && (entry.open || self.reload);
        if again { change(true) } else { Verdict::Settled(loaded(entry, &self.run)) }
    }
}

/// The outcome of a slice that the ledger has, for this run.
fn loaded(entry: &Entry, run: &str) -> Outcome {
    if entry.run == run {
        // The transaction that loaded it has written that down; only the answer was lost.
        return done(Counts { records: entry.rows, rejected: entry.rejected, ..Counts::default() }, None);
    }
    let text = format!("run {} has loaded it: {}", entry.run, counted(entry.rows, "record"));
    Outcome::of(State::Already, LOADED, text)
}

/// The outcome of a partition of which all is taken, for this run.
#[cfg(feature = "kafka")]
fn taken(position: &positions::Position, run: &str) -> Outcome {
    if position.run == run {
        return done(Counts::of(position.taken), None);
    }
    let text = format!("nothing is new: run {} has come to offset {}", position.run, position.next);
    Outcome::of(State::Already, LOADED, text)
}

#[cfg(feature = "kafka")]
impl Counts {
    fn of(taken: positions::Taken) -> Self {
        let positions::Taken { records, rejected, repeated, tombstones, lost } = taken;
        Self { records, rejected, repeated, tombstones, lost, ..Self::default() }
    }
}

/// The outcome of a slice that is in the target.
fn done(counts: Counts, first: Option<&str>) -> Outcome {
    let outcome = Outcome::done(1).reported(raw(&counts).ok());
    if counts.rejected == 0 {
        return outcome;
    }
    let why = first.map(|first| format!("; the first: {first}")).unwrap_or_default();
    let detail = format!("{} rejected, in {}{why}", stage::records_were(counts.rejected), stage::REJECTED);
    Outcome { reason: Some(REJECTS.into()), detail: Some(detail), ..outcome }
}

/// The writing half.
#[derive(Debug, Clone)]
pub(crate) struct Loader {
    fetch: Fetch,
    store: Arc<Store>,
    terms: Terms,
    params: BTreeMap<String, Value>,
    run: RunDir,
    /// `undo: true`
    keeps_undo: bool,
    /// `--follow`
    #[cfg(feature = "kafka")]
    follows: bool,
}

impl Applier<SliceChange> for Loader {
    async fn apply(&self, change: SliceChange, steps: Steps) -> Applied {
        #[cfg(feature = "kafka")]
        if self.follows {
            // Never done: whoever goes on with the run goes on following.
            let halt = self.follow().await.err().map(LoadError::failure);
            return Applied { outcome: None, halt };
        }
        match self.load(&change.slice, steps.row()).await {
            Ok(outcome) => outcome.into(),
            // Nothing was written: what was begun in the target is taken back.
            Err(LoadError::Interrupted) => Applied { outcome: None, halt: None },
            Err(error) => {
                let outcome = Outcome::of(State::Failed, error.reason(), error.to_string()).after(1);
                if error.ends_the_run() {
                    return Applied { outcome: None, halt: Some(error.failure()) };
                }
                outcome.into()
            }
        }
    }
}

impl Loader {
    /// A slice as the source has it now, and whether it ends in the future.
    async fn fetched(&self, slice: &Slice, row: u64) -> Result<(Stage, bool), LoadError> {
        let stage = StageWriter::create(&self.run, row, slice.name())?;
        let values = slice.values(&self.params);
        // Before the first record is asked for: what comes in while it is read belongs to the next time.
        let open = slice.is_open(chrono::Utc::now());
        let stage = self.fetch.run(slice, &values, stage, None).await?;
        tracing::debug!(row, records = stage.records, outside = stage.outside, "slice fetched");
        Ok((stage, open))
    }

    async fn load(&self, slice: &Slice, row: u64) -> Result<Outcome, LoadError> {
        #[cfg(feature = "kafka")]
        if let Some(offsets) = &slice.offsets {
            return self.drain(slice, offsets, row).await;
        }
        let (mut stage, open) = match self.store.kept(&self.terms, self.run.path(), (row, slice))? {
            Some(kept) => kept,
            None => self.fetched(slice, row).await?,
        };
        if self.terms.strict && stage.rejected.count() > 0 {
            return Err(LoadError::Rejected(format!(
                "--strict: a record was rejected: {}",
                stage.rejected.first().unwrap_or_default()
            )));
        }
        stage.undo = self.keeps_undo.then(|| undo::kept::path(&self.run, row));
        let loaded = self.store.load(&self.terms, slice, open, &mut stage, &self.fetch.stop).await?;
        stage.remove();
        Ok(match loaded {
            Loaded::Before(entry) => self::loaded(&entry, &self.terms.run),
            Loaded::Now { rows, deleted } => {
                let rejected = stage.rejected.count();
                let counts =
                    Counts { records: rows, rejected, outside: stage.outside, deleted, ..Counts::default() };
                done(counts, stage.rejected.first())
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_run_itself_has_loaded_is_done_though_its_intent_was_withdrawn() {
        let slice = Slice::whole();
        let state = |by: &str, open: bool, reload: bool| {
            let entry = Entry {
                slice: slice.id(),
                digest: "d".to_owned(),
                rows: 7,
                rejected: 0,
                run: by.to_owned(),
                open,
            };
            let ledger = Ledger::new(vec![entry]);
            let planner = LoadPlanner {
                ledger,
                digest: "d".to_owned(),
                reload,
                run: "own".to_owned(),
                #[cfg(feature = "kafka")]
                positions: HashMap::new(),
            };
            match planner.decide(Asked { item: slice.clone(), in_doubt: None }) {
                Verdict::Change(change) => (None, change.again),
                Verdict::Settled(outcome) => (Some(outcome.state), false),
            }
        };
        assert_eq!(state("own", false, false), (Some(State::Done), false));
        assert_eq!(state("own", true, true), (Some(State::Done), false), "it has reloaded it");
        assert_eq!(state("other", false, false), (Some(State::Already), false));
        assert_eq!(state("other", false, true), (None, true));
        assert_eq!(state("other", true, false), (None, true), "it was not all there yet");
    }
}
