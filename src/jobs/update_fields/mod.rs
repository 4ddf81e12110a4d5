//! Changes any field of any object, from rows: a row names an object and says what its fields get.
//!
//! - [`columns`]: which column says what; [`value`]: what a cell means; [`names`]: what the names in it stand for
//! - [`fields`]: the fields of the object in this organisation
//! - [`rows`]: a row as a run takes it; [`base`]: the export that rows were edited from
//! - [`lookup`]: the present state of a batch's objects, in few calls
//! - [`decide`]: from all that to a change, or a reason for none; [`change`]: that change, and its request
//! - [`tags`]: tags that do not exist yet
//! - [`apply`]: the change, and its proof; [`create`]: an object that is not there; [`created`]: what is known
//!   of its creation; [`delete`]: an object that a run created

pub(crate) mod apply;
pub(crate) mod base;
pub(crate) mod change;
pub(crate) mod columns;
pub(crate) mod command;
mod create;
pub(crate) mod created;
pub(crate) mod decide;
mod delete;
pub(crate) mod exports;
pub(crate) mod feed;
pub(crate) mod fields;
pub(crate) mod lookup;
pub(crate) mod names;
pub(crate) mod options;
pub(crate) mod plan;
pub(crate) mod rows;
pub(crate) mod scan;
mod spreadsheet;
pub(crate) mod tags;
mod told;
pub(crate) mod value;

use crate::devrev::ids::Ref;
use crate::devrev::objects::{Kind, Target};
use crate::devrev::read_only::ReadOnly;
use crate::engine::job::{Asked, Planner, Verdict};
use crate::exit::Failure;
use crate::jobs::track;
use crate::journal::record::{Outcome, State};
use change::ObjectChange;
use columns::Names as NamedBy;
use decide::{InDoubt, Rules, Wish};
use lookup::{Found, Lookup};
use names::Names;
use std::collections::{HashMap, HashSet};
use tags::TagIds;

/// What a row asks for.
#[derive(Debug, Clone)]
pub(crate) struct Item {
    /// The object's ID, or the value that names it.
    pub name: Box<str>,
    /// The line on which the row begins.
    pub line: u64,
    /// The cells that say something.
    pub cells: Box<[Cell]>,
}

/// A cell that says something of a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cell {
    /// The place of its column among those that say something.
    pub column: usize,
    /// What it says.
    pub text: Box<str>,
    /// What the base says in its place, if there is a base.
    pub base: Option<Box<str>>,
}

/// The job's reading and deciding half.
#[derive(Debug)]
pub(crate) struct Update {
    client: ReadOnly,
    lookup: Lookup,
    names: Names,
    rules: Rules,
}

impl Update {
    /// The job with its rules, reading through this client.
    pub(crate) fn new(client: ReadOnly, lookup: Lookup, names: Names, rules: Rules) -> Self {
        Self { client, lookup, names, rules }
    }

    /// Looks up the names that the cells of a batch hold.
    async fn learn(&mut self, batch: &[Asked<Item>]) -> Result<(), Failure> {
        let mut wanted: HashSet<(Target, String)> = HashSet::new();
        for cell in batch.iter().flat_map(|asked| &asked.item.cells) {
            let Some((_, field)) = self.rules.column(cell) else { continue };
            let texts = std::iter::once(&cell.text).chain(&cell.base);
            wanted.extend(texts.flat_map(|text| value::names(&field.kind, text.trim())));
        }
        wanted.extend(self.rules.names_of_condition());
        self.names.learn(&self.client, wanted).await
    }

    /// The state of every row's object, in the order of the rows.
    async fn states(&mut self, batch: &[Asked<Item>]) -> Result<Vec<Option<Found>>, Failure> {
        match self.rules.columns.names {
            NamedBy::Id(_) => {
                let wanted =
                    batch.iter().map(|asked| (asked.item.name.to_string(), asked.in_doubt.is_some()));
                let states = self.lookup.by_id(wanted.collect()).await?;
                let types = self.rules.object.types;
                let state = |asked: &Asked<Item>| {
                    states.get(&Ref::parse(&asked.item.name, types).ok()?.key()).cloned()
                };
                Ok(batch.iter().map(state).collect())
            }
            NamedBy::Key(_, key) => {
                let wanted = batch.iter().map(|asked| asked.item.name.to_string()).collect();
                let states: HashMap<String, Found> = self.lookup.by_key(key, wanted).await?;
                Ok(batch.iter().map(|asked| states.get(&key.folded(&asked.item.name)).cloned()).collect())
            }
        }
    }

    /// The tags that a row names and that exist; nothing is done with them unless others may be created.
    fn tags(&self, item: &Item) -> TagIds {
        if !self.names.creates_tags() {
            return TagIds::new();
        }
        let fields =
            item.cells.iter().filter_map(|cell| Some((&self.rules.column(cell)?.1.kind, &cell.text)));
        let tags = fields.filter(|(kind, _)| matches!(kind, Kind::Tags(_)));
        let names = tags.flat_map(|(kind, text)| value::names(kind, text.trim()));
        let known = |(target, name): (Target, String)| {
            Some((tags::folded(&name), self.names.id(target, &name).ok()?))
        };
        names.filter_map(known).collect()
    }

    fn verdict(&self, asked: &Asked<Item>, state: Option<Found>) -> Result<Verdict<ObjectChange>, Failure> {
        let in_doubt: Option<ObjectChange> = match track::sent(asked.in_doubt.as_ref()) {
            Ok(in_doubt) => in_doubt,
            Err(outcome) => return Ok(Verdict::Settled(outcome)),
        };
        let wishes: Vec<Wish> = match self.rules.wishes(&asked.item, &self.names) {
            Ok(wishes) => wishes,
            Err(problems) => {
                let text = format!("line {}: {}", asked.item.line, problems.join("; "));
                // What was in doubt stays so until a read succeeds.
                let (state, reason) = if in_doubt.is_some() {
                    (State::Unknown, "not-confirmed")
                } else {
                    (State::Failed, "value")
                };
                return Ok(Verdict::Settled(Outcome::of(state, reason, text)));
            }
        };
        // A creation that was announced may have been sent.
        let steps = asked.in_doubt.as_ref().map_or(&[][..], |in_doubt| &in_doubt.steps);
        let is_sent = created::is_sent(self.rules.object, steps)?;
        let tags = self.tags(&asked.item);
        let had_new_tags = in_doubt.as_ref().is_some_and(|change| !change.new_tags().is_empty());
        let in_doubt = in_doubt.map(|change| change.with_tags(&tags));
        let in_doubt = in_doubt.as_ref().map(|change| InDoubt { change, is_sent });
        Ok(match self.rules.decide(&asked.item, &wishes, state, in_doubt, &self.names) {
            Verdict::Change(change) => Verdict::Change(ObjectChange { tags, ..change }),
            Verdict::Settled(outcome) if had_new_tags => Verdict::Settled(tags::reported(outcome, &tags)),
            settled @ Verdict::Settled(_) => settled,
        })
    }
}

impl Planner for Update {
    type Item = Item;
    type Change = ObjectChange;

    async fn prepare(&mut self, batch: Vec<Asked<Item>>) -> Result<Vec<Verdict<ObjectChange>>, Failure> {
        self.learn(&batch).await?;
        let states = self.states(&batch).await?;
        let mut verdicts = Vec::with_capacity(batch.len());
        for (asked, state) in batch.iter().zip(states) {
            verdicts.push(self.verdict(asked, state)?);
        }
        Ok(verdicts)
    }
}
