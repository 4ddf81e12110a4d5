//! The issues, stored small: a million of them are an ordinary rehearsal. Their JSON is made at answer time.

use super::format::{GroupRef, Issue as IssueRecord, UserRef};
use rustc_hash::FxHashMap;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

/// All issues, in the order of their numbers, which is the order of their creation too.
pub(super) struct Issues {
    /// Sorted by number.
    all: Vec<Issue>,
    /// For each user, where the issues that they created stand. Creators never change.
    by_creator: Vec<Vec<u32>>,
    /// Updates that requests made, all issues together.
    pub(super) writes: u64,
}

/// One issue. Users and groups are positions in the world's lists.
pub(super) struct Issue {
    pub(super) number: u32,
    pub(super) creator: u32,
    pub(super) group: Option<u32>,
    /// Updates that requests made to it.
    pub(super) writes: u32,
    /// When it was last changed, in milliseconds since the epoch; 0 for never.
    pub(super) modified: u64,
    pub(super) title: Box<str>,
    pub(super) owners: Box<[u32]>,
    /// What only few issues have.
    pub(super) extra: Option<Box<Extra>>,
}

/// What an issue has once somebody has set it.
#[derive(Default)]
pub(super) struct Extra {
    pub(super) body: Option<String>,
    /// Who reported it, where that is not its creator.
    pub(super) reporters: Option<Box<[u32]>>,
    /// Custom fields other than the creator group; an ID is kept as a DON.
    pub(super) fields: BTreeMap<String, String>,
}

/// Which issues a list holds. An issue is in it when it passes every filter that is there.
#[derive(Default)]
pub(super) struct Filter {
    /// Created by any of these.
    pub(super) creators: Option<Vec<u32>>,
    /// Owned by any of these.
    pub(super) owners: Option<Vec<u32>>,
    /// Reported by any of these.
    pub(super) reporters: Option<Vec<u32>>,
}

impl Issue {
    /// Who reported it: its creator, unless said otherwise.
    pub(super) fn reporters(&self) -> &[u32] {
        let set = self.extra.as_ref().and_then(|extra| extra.reporters.as_deref());
        set.unwrap_or(std::slice::from_ref(&self.creator))
    }

    /// The place for what few issues have.
    pub(super) fn extra_mut(&mut self) -> &mut Extra {
        self.extra.get_or_insert_default()
    }
}

impl Filter {
    /// Whether an issue passes, its creator left aside.
    fn passes(&self, issue: &Issue) -> bool {
        let any = |wanted: &Option<Vec<u32>>, users: &[u32]| {
            wanted.as_ref().is_none_or(|wanted| users.iter().any(|user| wanted.contains(user)))
        };
        any(&self.owners, &issue.owners) && any(&self.reporters, issue.reporters())
    }
}

impl Issues {
    /// Takes the data file's issues over; an error says which reference leads nowhere.
    pub(super) fn build(
        mut records: Vec<IssueRecord>,
        user_count: usize,
        users: &FxHashMap<UserRef, u32>,
        groups: &FxHashMap<u32, u32>,
    ) -> Result<Self, String> {
        records.sort_unstable_by_key(|record| record.number);
        if let Some(pair) = records.windows(2).find(|pair| pair[0].number == pair[1].number) {
            return Err(format!("issues: ISS-{} stands there twice", pair[0].number));
        }
        let mut by_creator = vec![Vec::new(); user_count];
        let mut issues = Vec::with_capacity(records.len());
        for record in records {
            let number = record.number;
            let user = |field: &str, user: &UserRef| {
                let none = || format!("ISS-{number}: {field}: there is no user {user}");
                users.get(user).copied().ok_or_else(none)
            };
            let creator = user("created_by", &record.created_by)?;
            let owners =
                record.owned_by.iter().map(|owner| user("owned_by", owner)).collect::<Result<_, _>>()?;
            let group = match record.creator_group {
                None => None,
                Some(GroupRef(group)) => Some(*groups.get(&group).ok_or_else(|| {
                    format!("ISS-{number}: creator_group: there is no group GROUP-{group}")
                })?),
            };
            let position = u32::try_from(issues.len()).map_err(|error| error.to_string())?;
            by_creator[creator as usize].push(position);
            issues.push(Issue {
                number,
                creator,
                group,
                writes: 0,
                modified: 0,
                title: record.title,
                owners,
                extra: None,
            });
        }
        Ok(Self { all: issues, by_creator, writes: 0 })
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    /// The issue with a number.
    pub(super) fn get(&self, number: u32) -> Option<&Issue> {
        self.position(number).map(|position| &self.all[position])
    }

    /// The issue with a number, to be changed.
    pub(super) fn get_mut(&mut self, number: u32) -> Option<&mut Issue> {
        self.position(number).map(|position| &mut self.all[position])
    }

    fn position(&self, number: u32) -> Option<usize> {
        self.all.binary_search_by_key(&number, |issue| issue.number).ok()
    }

    /// When an issue was created, in milliseconds since the epoch: the issues are spread evenly over 500
    /// days that begin on 1 June 2024.
    pub(super) fn created(&self, issue: &Issue) -> u64 {
        const BEGIN: u64 = 1_717_200_000_000;
        const SPAN: u64 = 500 * 86_400_000;
        let position = self.position(issue.number).unwrap_or_default() as u64;
        BEGIN + SPAN / (self.all.len() as u64 + 1) * (position + 1)
    }

    /// The first issues after a number that pass the filter, at most `most`.
    ///
    /// With creators in the filter it costs no more than the page and the creators' number; without
    /// them, issues are tried one by one.
    pub(super) fn select(&self, filter: &Filter, after: u64, most: usize) -> Vec<&Issue> {
        let begin = self.all.partition_point(|issue| u64::from(issue.number) <= after);
        match &filter.creators {
            None => self.all[begin..].iter().filter(|issue| filter.passes(issue)).take(most).collect(),
            Some(creators) => {
                let issues = self.merged(creators, begin).map(|position| &self.all[position as usize]);
                issues.filter(|issue| filter.passes(issue)).take(most).collect()
            }
        }
    }

    /// Merges the sorted lists of several creators, from a position on.
    fn merged(&self, creators: &[u32], begin: usize) -> impl Iterator<Item = u32> {
        let rest = |creator: &u32| {
            let list = self.by_creator.get(*creator as usize)?;
            let rest = &list[list.partition_point(|position| (*position as usize) < begin)..];
            rest.split_first().map(|(first, rest)| Reverse((*first, rest)))
        };
        let mut heads: BinaryHeap<Reverse<(u32, &[u32])>> = creators.iter().filter_map(rest).collect();
        std::iter::from_fn(move || {
            let mut head = heads.peek_mut()?;
            let Reverse((position, rest)) = *head;
            match rest.split_first() {
                Some((next, rest)) => *head = Reverse((*next, rest)),
                None => drop(std::collections::binary_heap::PeekMut::pop(head)),
            }
            Some(position)
        })
    }

    /// A stretch of all issues, by position.
    pub(super) fn slice(&self, begin: usize, most: usize) -> &[Issue] {
        let begin = begin.min(self.all.len());
        let end = begin.saturating_add(most).min(self.all.len());
        &self.all[begin..end]
    }
}
