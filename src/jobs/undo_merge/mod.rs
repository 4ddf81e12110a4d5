//! Takes merges of contacts back, as far as that can be done: DevRev has no way to. What a merge took is put
//! together again from the backups, step by step, each of them journalled:
//!
//! - [`rows`]: the pairs, from the journal of the merges; [`before`]: both contacts, from verified backups
//! - [`decide`]: what is put back, and what somebody changed since and is left; [`members`]: what a contact can be
//!   created with
//! - [`command`]: what a run of it has of its own; [`plan`]: what a dry run sums up; [`page`]: what `report.html` says
//! - [`apply`], by the [`undoer`]: the steps in their order: the primary's reference, so that the secondary's is free; then
//!   [`create`]: the secondary, which gets a new ID; [`point`]: the works that named it; [`check`]: the proof, of what is [`shown`]
//! - [`change`], [`steps`]: what the journal holds; [`report`]: what the report says

pub(crate) mod apply;
pub(crate) mod before;
pub(crate) mod change;
pub(crate) mod check;
pub(crate) mod command;
pub(crate) mod create;
pub(crate) mod decide;

pub(crate) mod members;
pub(crate) mod page;
pub(crate) mod plan;
pub(crate) mod point;
pub(crate) mod report;
pub(crate) mod rows;
pub(crate) mod shown;
pub(crate) mod steps;
mod stepwise;
pub(crate) mod undoer;

use super::merge_contacts::elsewhere::Elsewhere;
use super::merge_contacts::look;
use super::merge_contacts::pair::Contact;
use super::track;
use crate::devrev::ids::{Key, RevUserId};
use crate::devrev::read_only::ReadOnly;
use crate::devrev::rev_users::{RevUser, contact_key};
use crate::devrev::works::OwnedWork;
use crate::engine::job::{Asked, Planner, Verdict};
use crate::exit::Failure;
use crate::jobs::failing;
use crate::jobs::merge_contacts::backups::on_disk;
use crate::jobs::merge_contacts::belongings;
use crate::jobs::read_at::ReadAt;
use crate::journal::record::{Outcome, State};
use crate::net::error::ApiError;
use crate::run::drift::{AS_BEFORE, Plannable};
use before::Before;
use change::{Backups, Counts, MergeUndo, Primary, Secondary, Seen, Work};
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use steps::{Stage, Step};

/// The command whose runs take merges back. Contacts that they made are told by it.
pub(crate) const COMMAND: &str = crate::jobs::merge_contacts::UNDO;

/// A pair that was merged.
#[derive(Debug, Clone)]
pub(crate) struct Item {
    /// Their address, in lower case.
    pub email: String,
    /// The ID of the contact that was kept.
    pub primary: String,
    /// The ID of the contact that was merged away.
    pub secondary: String,
    /// The primary's backup.
    pub primary_backup: PathBuf,
    /// The secondary's backup.
    pub secondary_backup: PathBuf,
    /// The external reference that the merge left the primary with.
    pub merged_ref: Option<String>,
    /// The display name that it left it with.
    pub merged_name: Option<String>,
}

impl Item {
    /// The primary as contacts are asked for.
    fn wanted(&self) -> Option<Contact> {
        contact(&self.primary, &self.email)
    }
}

/// A contact as contacts are asked for; `None` for what is not a contact ID.
fn contact(id: &str, email: &str) -> Option<Contact> {
    let id = RevUserId::parse(id).ok()?;
    let (external_ref, display_name) = (String::new(), String::new());
    Some(Contact { row: 0, id, email: email.to_owned(), external_ref, display_name, tickets: 0 })
}

/// The job's reading and deciding half.
#[derive(Debug)]
pub(crate) struct UndoMerge {
    client: ReadOnly,
    elsewhere: Elsewhere,
}

/// A pair of which nothing is created yet, with the steps of an earlier process that put the primary back.
struct Fresh {
    item: Item,
    steps: Vec<Step>,
}

/// What was read of all pairs of a batch.
struct Now {
    contacts: HashMap<Key, look::Seen>,
    /// Contacts by the reference that they have.
    holders: HashMap<String, Vec<RevUser>>,
    /// The works of primaries; none where they could not be read together.
    works: HashMap<Key, Vec<OwnedWork>>,
    read_at: ReadAt,
}

impl UndoMerge {
    /// The job, reading through this client. `elsewhere` are the contacts that other runs may be merging.
    pub(crate) fn new(client: ReadOnly, elsewhere: Elsewhere) -> Self {
        Self { client, elsewhere }
    }

    async fn look(&self, fresh: Vec<Fresh>) -> Result<Vec<Verdict<MergeUndo>>, Failure> {
        let earlier: Vec<Result<Before, Outcome>> = fresh
            .iter()
            .map(|Fresh { item, .. }| {
                decide::in_doubt_elsewhere(item, &self.elsewhere)?;
                on_disk(|| Before::read(item))
            })
            .collect();
        let good = || {
            fresh
                .iter()
                .zip(&earlier)
                .filter_map(|(fresh, before)| Some((&fresh.item, before.as_ref().ok()?)))
        };
        let now = match self.read(&good().collect::<Vec<_>>()).await? {
            Ok(now) => now,
            Err(error) => {
                let outcome = |before: Result<_, _>| before.err().unwrap_or_else(|| failing::unread(&error));
                return Ok(earlier.into_iter().map(|before| Verdict::Settled(outcome(before))).collect());
            }
        };
        let mut verdicts = Vec::with_capacity(fresh.len());
        for (Fresh { item, steps }, before) in fresh.into_iter().zip(earlier) {
            verdicts.push(match before {
                Err(outcome) => Verdict::Settled(outcome),
                Ok(before) => self.verdict(&item, &before, steps, &now).await?,
            });
        }
        Ok(verdicts)
    }

    /// Reads what DevRev shows of all pairs, in few calls. The inner error is that of the pairs alone.
    async fn read(&self, pairs: &[(&Item, &Before)]) -> Result<Result<Now, ApiError>, Failure> {
        let read_at = ReadAt::now();
        let wanted: Vec<Contact> = pairs.iter().filter_map(|(item, _)| item.wanted()).collect();
        let contacts = look::contacts(&self.client, &wanted.iter().collect::<Vec<_>>())
            .await
            .map_err(|error| failing::needed(&error, "cannot read the contacts"))?;
        let refs: Vec<String> =
            pairs.iter().filter_map(|(_, before)| before.secondary.external_ref.clone()).collect();
        let holders = match look::holders(&self.client, &refs).await {
            Ok(holders) => holders,
            Err(error) => return failing::ends_run(&error).map_or(Ok(Err(error)), Err),
        };
        let ids: Vec<String> = wanted.iter().map(|contact| contact.id.as_str().to_owned()).collect();
        let works = match belongings::works(&self.client, &ids).await {
            Ok(works) => works,
            Err(error) => {
                if let Some(failure) = failing::ends_run(&error) {
                    return Err(failure);
                }
                tracing::warn!("reading each work alone: {error}");
                HashMap::new()
            }
        };
        let works = works
            .into_iter()
            .map(|(key, works)| (key, works.iter().map(|work| work.read.clone()).collect()))
            .collect();
        Ok(Ok(Now { contacts, holders, works, read_at }))
    }

    async fn verdict(
        &self,
        item: &Item,
        before: &Before,
        steps: Vec<Step>,
        now: &Now,
    ) -> Result<Verdict<MergeUndo>, Failure> {
        let key = contact_key(&item.primary);
        let seen = key.as_ref().and_then(|key| now.contacts.get(key));
        let reference = before.secondary.external_ref.clone().unwrap_or_default();
        let holders = now.holders.get(&reference).map(Vec::as_slice).unwrap_or_default();
        let decided = decide::primary(item, seen)
            .and_then(|primary| Ok((primary, decide::already(item, before, holders)?)));
        let (primary, already) = match decided {
            Ok(decided) => decided,
            Err(outcome) => return Ok(Verdict::Settled(outcome)),
        };
        let (put_back, mut left) = decide::put_back(item, &before.primary, primary);
        let shown: HashMap<&str, &OwnedWork> = key
            .as_ref()
            .and_then(|key| now.works.get(key))
            .into_iter()
            .flatten()
            .map(|work| (work.id.as_str(), work))
            .collect();
        let whose = point::Whose { primary: key.clone(), new: already.clone() };
        let (mut works, mut views) = (Vec::new(), HashMap::new());
        for work in before.pointed() {
            let listed = shown.get(work.id.as_str()).filter(|view| whose.changed(&work, view).is_empty());
            let view = match listed {
                Some(view) => Ok(Some((*view).clone())),
                // Lists lag: before a work counts as changed, it is read by itself.
                None => point::read(&self.client, &work).await?,
            };
            match view {
                Err(why) => left.push(why),
                Ok(Some(view)) if whose.changed(&work, &view).len() == work.roles.len() => {
                    left.extend(whose.changed(&work, &view));
                }
                Ok(view) => {
                    views.extend(view.map(|view| (work.id.clone(), view)));
                    works.push(work);
                }
            }
        }
        let is_pointed = |work: &Work| views.get(&work.id).is_some_and(|view| whose.is_pointed(work, view));
        // What an earlier process of this run has done is done by this run.
        let is_as_before = steps.is_empty()
            && already.is_some()
            && put_back.is_empty()
            && left.is_empty()
            && works.iter().all(is_pointed);
        let change = MergeUndo {
            email: item.email.clone(),
            primary: Primary { id: primary.id.clone(), display_id: primary.shown().into_owned(), put_back },
            secondary: Secondary {
                id: before.secondary.id.clone(),
                display_id: before.secondary.shown().into_owned(),
                external_ref: reference,
                was_verified: before.secondary.is_verified == Some(true),
                create: members::create(&before.whole_secondary),
                already,
            },
            counts: Counts { works: works.len(), left: left.len() },
            works,
            left,
            cannot_come_back: before.lost(),
            backups: Backups {
                primary: item.primary_backup.clone(),
                secondary: item.secondary_backup.clone(),
            },
            steps,
            seen: Some(Arc::new(Seen { works: views, read_at: now.read_at })),
        };
        Ok(if is_as_before { Verdict::Settled(as_before(&change)) } else { Verdict::Change(change) })
    }
}

/// The outcome of a pair of which nothing is left to be undone.
fn as_before(change: &MergeUndo) -> Outcome {
    let new = change.new_contact().map_or("", |new| &new.display_id);
    let text = format!("{} is there again as {new}, with its works", change.secondary.display_id);
    change.told(Outcome::of(State::Already, AS_BEFORE, text))
}

impl Planner for UndoMerge {
    type Item = Item;
    type Change = MergeUndo;

    async fn prepare(&mut self, batch: Vec<Asked<Item>>) -> Result<Vec<Verdict<MergeUndo>>, Failure> {
        let mut verdicts: Vec<Option<Verdict<MergeUndo>>> = Vec::with_capacity(batch.len());
        let mut fresh = Vec::new();
        for Asked { item, in_doubt } in batch {
            verdicts.push(match in_doubt.as_ref().map(track::meant::<MergeUndo>) {
                Some(Err(error)) => Some(Verdict::Settled(track::unreadable(&error))),
                // What was sent is followed up, whatever DevRev shows of it by now.
                Some(Ok(Some(change))) if change.stage() != Stage::Begin => Some(Verdict::Change(change)),
                Some(Ok(None)) => {
                    Some(Verdict::Settled(track::unreadable(&"it does not say what was to be done")))
                }
                Some(Ok(Some(change))) => {
                    fresh.push(Fresh { item, steps: change.steps });
                    None
                }
                None => {
                    fresh.push(Fresh { item, steps: Vec::new() });
                    None
                }
            });
        }
        let mut looked = if fresh.is_empty() { Vec::new() } else { self.look(fresh).await? }.into_iter();
        Ok(verdicts.into_iter().filter_map(|verdict| verdict.or_else(|| looked.next())).collect())
    }
}
