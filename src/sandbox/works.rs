//! Works of one type, stored small: a million issues are an ordinary rehearsal. Their JSON is made at answer
//! time.

use super::format::{GroupRef, Issue, ObjectRef, Ticket, UserRef};
use super::user_index::{UserIndex, merged};
use crate::devrev::ids::ObjectType;
use rustc_hash::FxHashMap;
use serde_json::{Map, Value};
use std::fmt::Display;

/// All works of a type, in the order of their numbers, which is the order of their creation too.
pub(super) struct Works {
    /// Their type.
    pub(super) object: ObjectType,
    /// Sorted by number.
    all: Vec<Work>,
    by_creator: UserIndex,
    by_owner: UserIndex,
    /// Only works whose reporters were given: the others' are their creators.
    by_reporter: UserIndex,
    /// The numbers of those that have an `external_ref`.
    by_ref: FxHashMap<String, u32>,
    /// How many there were in the beginning: dates follow from it.
    first_count: usize,
}

/// One work. Users and groups are positions in the world's lists.
pub(super) struct Work {
    pub(super) number: u32,
    pub(super) creator: u32,
    pub(super) group: Option<u32>,
    /// Updates that requests made to it.
    pub(super) writes: u32,
    /// When it was last changed, in milliseconds since the epoch; 0 for never.
    pub(super) modified: u64,
    pub(super) title: Box<str>,
    owners: Box<[u32]>,
    /// What only few works have.
    pub(super) extra: Option<Box<Extra>>,
}

/// What a work has once somebody has set it.
#[derive(Default)]
pub(super) struct Extra {
    pub(super) body: Option<String>,
    /// Who reported it, where that is not its creator.
    reporters: Option<Box<[u32]>>,
    /// Custom fields other than the creator group; an ID is kept as a DON.
    pub(super) fields: Map<String, Value>,
    /// Stock fields that somebody has set, as [`super::stock`] keeps them.
    pub(super) stock: Map<String, Value>,
    /// The numbers of its artifacts.
    pub(super) artifacts: Box<[u32]>,
    /// When it was created, for one that was not there in the beginning.
    created: Option<u64>,
    /// Whether a request deleted it: it keeps its place, and nothing shows it.
    deleted: bool,
}

/// Which works a list holds. A work is in it when it passes every filter that is there.
#[derive(Default)]
pub(super) struct Filter {
    /// Created by any of these.
    pub(super) creators: Option<Vec<u32>>,
    /// Owned by any of these.
    pub(super) owners: Option<Vec<u32>>,
    /// Reported by any of these.
    pub(super) reporters: Option<Vec<u32>>,
    /// With any of these as `external_ref`.
    pub(super) refs: Option<Vec<String>>,
}

/// A work as a data file has it.
pub(super) struct Record {
    number: u32,
    title: Box<str>,
    body: Option<String>,
    created_by: UserRef,
    owned_by: Box<[UserRef]>,
    reported_by: Option<Box<[UserRef]>>,
    creator_group: Option<GroupRef>,
    artifacts: Box<[u32]>,
    stock: Map<String, Value>,
    fields: Map<String, Value>,
}

impl From<Issue> for Record {
    fn from(issue: Issue) -> Self {
        let Issue { number, title, created_by, owned_by, reported_by, creator_group, set, custom_fields } =
            issue;
        let (body, artifacts, stock, fields) = (None, Box::default(), set, custom_fields);
        Self {
            number,
            title,
            body,
            created_by,
            owned_by,
            reported_by,
            creator_group,
            artifacts,
            stock,
            fields,
        }
    }
}

impl From<Ticket> for Record {
    fn from(ticket: Ticket) -> Self {
        let Ticket { number, title, body, created_by, owned_by, reported_by, artifacts, set, custom_fields } =
            ticket;
        let (creator_group, stock, fields) = (None, set, custom_fields);
        Self {
            number,
            title,
            body,
            created_by,
            owned_by,
            reported_by,
            creator_group,
            artifacts,
            stock,
            fields,
        }
    }
}

/// Finds what a data file's references name; an error says which one leads nowhere.
pub(super) struct Resolver<'a> {
    pub(super) user: &'a dyn Fn(UserRef) -> Option<u32>,
    pub(super) group: &'a dyn Fn(GroupRef) -> Option<u32>,
    pub(super) artifact: &'a dyn Fn(u32) -> bool,
}

impl Resolver<'_> {
    /// The position of a user that `field` of the object `of` names.
    pub(super) fn user(&self, of: impl Display, field: &str, user: UserRef) -> Result<u32, String> {
        (self.user)(user).ok_or_else(|| format!("{of}: {field}: there is no user {user}"))
    }

    /// The positions of several users.
    pub(super) fn users(
        &self,
        of: impl Display,
        field: &str,
        users: &[UserRef],
    ) -> Result<Box<[u32]>, String> {
        users.iter().map(|user| self.user(&of, field, *user)).collect()
    }

    /// Wants every artifact to be there.
    pub(super) fn artifacts(&self, of: impl Display, artifacts: &[u32]) -> Result<(), String> {
        match artifacts.iter().find(|artifact| !(self.artifact)(**artifact)) {
            Some(artifact) => Err(format!("{of}: artifacts: there is no artifact ARTIFACT-{artifact}")),
            None => Ok(()),
        }
    }
}

/// What a work is called elsewhere: a member that newer descriptions of the API have for works.
pub(super) const EXTERNAL_REF: &str = "external_ref";

impl Work {
    /// Whether a request deleted it.
    pub(super) fn is_deleted(&self) -> bool {
        self.extra.as_ref().is_some_and(|extra| extra.deleted)
    }

    /// Who owns it.
    pub(super) fn owners(&self) -> &[u32] {
        &self.owners
    }

    /// Who reported it: its creator, unless said otherwise.
    pub(super) fn reporters(&self) -> &[u32] {
        let set = self.extra.as_ref().and_then(|extra| extra.reporters.as_deref());
        set.unwrap_or(std::slice::from_ref(&self.creator))
    }

    /// The place for what few works have.
    pub(super) fn extra_mut(&mut self) -> &mut Extra {
        self.extra.get_or_insert_default()
    }
}

impl Filter {
    fn passes(&self, work: &Work) -> bool {
        let any = |wanted: &Option<Vec<u32>>, users: &[u32]| {
            wanted.as_ref().is_none_or(|wanted| users.iter().any(|user| wanted.contains(user)))
        };
        any(&self.creators, &[work.creator])
            && any(&self.owners, &work.owners)
            && any(&self.reporters, work.reporters())
    }
}

impl Works {
    /// Takes the data file's works over; an error says which reference leads nowhere.
    pub(super) fn build<R: Into<Record>>(
        object: ObjectType,
        list: &str,
        records: Vec<R>,
        resolver: &Resolver<'_>,
    ) -> Result<Self, String> {
        let first_count = records.len();
        let mut records: Vec<Record> = records.into_iter().map(Into::into).collect();
        records.sort_unstable_by_key(|record| record.number);
        if let Some(pair) = records.windows(2).find(|pair| pair[0].number == pair[1].number) {
            let id = ObjectRef { object, number: pair[0].number };
            return Err(format!("{list}: {id} appears twice"));
        }
        let mut works = Self {
            object,
            all: Vec::with_capacity(first_count),
            by_creator: UserIndex::default(),
            by_owner: UserIndex::default(),
            by_reporter: UserIndex::default(),
            by_ref: FxHashMap::default(),
            first_count,
        };
        for record in records {
            let id = ObjectRef { object, number: record.number };
            let creator = resolver.user(id, "created_by", record.created_by)?;
            let owners = resolver.users(id, "owned_by", &record.owned_by)?;
            let reporters = record.reported_by.as_deref();
            let reporters = reporters.map(|users| resolver.users(id, "reported_by", users)).transpose()?;
            let group = match record.creator_group {
                None => None,
                Some(group) => Some(
                    (resolver.group)(group)
                        .ok_or_else(|| format!("{id}: creator_group: there is no group {group}"))?,
                ),
            };
            resolver.artifacts(id, &record.artifacts)?;
            let mut work = Work::new(record.number, record.title, creator);
            work.group = group;
            work.owners = owners;
            let Record { body, artifacts, stock, fields, .. } = record;
            let is_plain = body.is_none() && reporters.is_none() && artifacts.is_empty();
            if !(is_plain && stock.is_empty() && fields.is_empty()) {
                let extra =
                    Extra { body, reporters, artifacts, stock, fields, created: None, deleted: false };
                work.extra = Some(Box::new(extra));
            }
            works.push(work)?;
        }
        Ok(works)
    }

    fn push(&mut self, work: Work) -> Result<(), String> {
        let place = u32::try_from(self.all.len()).map_err(|error| error.to_string())?;
        self.by_creator.add(work.creator, place);
        work.owners.iter().for_each(|user| self.by_owner.add(*user, place));
        let reporters = work.extra.as_ref().and_then(|extra| extra.reporters.as_deref());
        reporters.into_iter().flatten().for_each(|user| self.by_reporter.add(*user, place));
        self.all.push(work);
        Ok(())
    }

    /// A new work, now. It has no owners; its reporter is its creator. Its number is the answer.
    pub(super) fn create(&mut self, title: &str, creator: u32, now: u64) -> Result<u32, String> {
        let number = self.all.last().map_or(1, |last| last.number + 1);
        let extra = Some(Box::new(Extra { created: Some(now), ..Extra::default() }));
        self.push(Work { modified: now, extra, ..Work::new(number, title.into(), creator) })?;
        Ok(number)
    }

    /// The numbers of the works that have something that few have.
    pub(super) fn numbers_with_extra(&self) -> Vec<u32> {
        self.all.iter().filter(|work| work.extra.is_some()).map(|work| work.number).collect()
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    /// The work with a number.
    pub(super) fn get(&self, number: u32) -> Option<&Work> {
        self.position(number).map(|position| &self.all[position]).filter(|work| !work.is_deleted())
    }

    /// Gives a work its `external_ref`; the caller has checked that it is free.
    pub(super) fn set_ref(&mut self, number: u32, wanted: &str) {
        self.by_ref.insert(wanted.to_owned(), number);
        if let Some(work) = self.get_mut(number) {
            work.extra_mut().stock.insert(EXTERNAL_REF.to_owned(), wanted.into());
        }
    }

    /// Whether no work has this `external_ref`.
    pub(super) fn ref_is_free(&self, wanted: &str) -> bool {
        !self.by_ref.contains_key(wanted)
    }

    /// Deletes a work: its number is not given again, its `external_ref` is free.
    pub(super) fn delete(&mut self, number: u32) {
        self.by_ref.retain(|_, holder| *holder != number);
        if let Some(work) = self.get_mut(number) {
            work.extra_mut().deleted = true;
        }
    }

    /// The work with a number, to be changed.
    pub(super) fn get_mut(&mut self, number: u32) -> Option<&mut Work> {
        self.position(number).map(|position| &mut self.all[position])
    }

    fn position(&self, number: u32) -> Option<usize> {
        self.all.binary_search_by_key(&number, |work| work.number).ok()
    }

    /// Sets a work's owners.
    pub(super) fn set_owners(&mut self, number: u32, owners: Box<[u32]>) {
        let Some((position, place)) = self.place(number) else { return };
        let before = std::mem::replace(&mut self.all[position].owners, owners);
        before.iter().for_each(|user| self.by_owner.remove(*user, place));
        self.all[position].owners.iter().for_each(|user| self.by_owner.add(*user, place));
    }

    /// Sets a work's reporters.
    pub(super) fn set_reporters(&mut self, number: u32, reporters: Box<[u32]>) {
        let Some((position, place)) = self.place(number) else { return };
        let before = self.all[position].extra_mut().reporters.take();
        before.iter().flatten().for_each(|user| self.by_reporter.remove(*user, place));
        reporters.iter().for_each(|user| self.by_reporter.add(*user, place));
        self.all[position].extra_mut().reporters = Some(reporters);
    }

    fn place(&self, number: u32) -> Option<(usize, u32)> {
        let position = self.position(number)?;
        Some((position, u32::try_from(position).ok()?))
    }

    /// Names one user wherever another was named.
    pub(super) fn rename(&mut self, from: u32, to: u32) {
        for place in self.by_creator.take(from) {
            self.all[place as usize].creator = to;
            self.by_creator.add(to, place);
        }
        for place in self.by_owner.take(from) {
            let owners = &mut self.all[place as usize].owners;
            *owners = renamed(owners, from, to);
            self.by_owner.add(to, place);
        }
        for place in self.by_reporter.take(from) {
            if let Some(reporters) = &mut self.all[place as usize].extra_mut().reporters {
                *reporters = renamed(reporters, from, to);
            }
            self.by_reporter.add(to, place);
        }
    }

    /// When a work was created, in milliseconds since the epoch: those of the beginning are spread evenly
    /// over 500 days that begin on 1 June 2024.
    pub(super) fn created(&self, work: &Work) -> u64 {
        const BEGIN: u64 = 1_717_200_000_000;
        const SPAN: u64 = 500 * 86_400_000;
        if let Some(created) = work.extra.as_ref().and_then(|extra| extra.created) {
            return created;
        }
        let position = self.position(work.number).unwrap_or_default() as u64;
        BEGIN + SPAN / (self.first_count as u64 + 1) * (position + 1)
    }

    /// When a work was last changed, in milliseconds since the epoch.
    pub(super) fn modified(&self, work: &Work) -> u64 {
        if work.modified == 0 { self.created(work) + 5_400_000 } else { work.modified }
    }

    /// The first works after a number that pass the filter, and whatever else is asked for, at most `most`.
    ///
    /// With users in the filter it costs no more than what these users have; without, works are tried one
    /// by one.
    pub(super) fn select(
        &self,
        filter: &Filter,
        after: u32,
        most: usize,
        passes: &dyn Fn(&Work) -> bool,
    ) -> Vec<&Work> {
        let begin = self.all.partition_point(|work| work.number <= after);
        if let Some(refs) = &filter.refs {
            let mut numbers: Vec<u32> =
                refs.iter().filter_map(|wanted| self.by_ref.get(wanted).copied()).collect();
            numbers.sort_unstable();
            numbers.dedup();
            let works =
                numbers.into_iter().filter(|number| *number > after).filter_map(|number| self.get(number));
            return works.filter(|work| filter.passes(work) && passes(work)).take(most).collect();
        }
        let lists: Vec<&[u32]> = match filter {
            Filter { creators: Some(users), .. } => {
                users.iter().map(|user| self.by_creator.of(*user)).collect()
            }
            Filter { owners: Some(users), .. } => users.iter().map(|user| self.by_owner.of(*user)).collect(),
            Filter { reporters: Some(users), .. } => {
                let both = |user: &u32| [self.by_creator.of(*user), self.by_reporter.of(*user)];
                users.iter().flat_map(both).collect()
            }
            Filter { .. } => {
                let works = self.all[begin..].iter().filter(|work| !work.is_deleted());
                return works.filter(|work| passes(work)).take(most).collect();
            }
        };
        let Ok(begin) = u32::try_from(begin) else { return Vec::new() };
        let works = merged(lists.into_iter(), begin).map(|place| &self.all[place as usize]);
        let works = works.filter(|work| !work.is_deleted());
        works.filter(|work| filter.passes(work) && passes(work)).take(most).collect()
    }

    /// A stretch of all works, by position, deleted ones among them.
    pub(super) fn slice(&self, begin: usize, most: usize) -> &[Work] {
        let begin = begin.min(self.all.len());
        let end = begin.saturating_add(most).min(self.all.len());
        &self.all[begin..end]
    }
}

impl Work {
    fn new(number: u32, title: Box<str>, creator: u32) -> Self {
        let (group, writes, modified) = (None, 0, 0);
        Self { number, creator, group, writes, modified, title, owners: Box::default(), extra: None }
    }
}

/// A list of users with one name in place of another, each once.
pub(super) fn renamed(users: &[u32], from: u32, to: u32) -> Box<[u32]> {
    let mut named: Vec<u32> = Vec::with_capacity(users.len());
    for user in users.iter().map(|user| if *user == from { to } else { *user }) {
        if !named.contains(&user) {
            named.push(user);
        }
    }
    named.into()
}
