//! The present state of a batch's issues, in few calls.
//!
//! `works.list` answers a hundred issues of many creators at once, so where the file names most of its
//! creators' issues a list page stands for many `works.get`. Where it does not, pages bring what nobody
//! asked for. So pages are budgeted: a list continues only while it pays (see `Budget`), and what it did not
//! bring is read one by one. Correctness never rests on a list being whole.
//!
//! What a page brings beyond this batch is kept for the next ones, within bounds of number and age.

use super::membership::same_group;
use crate::devrev::ids::{Key, UserId};
use crate::devrev::pages::Pages;
use crate::devrev::read_only::ReadOnly;
use crate::devrev::works::{GroupField, Work, WorksGet, WorksList};
use crate::exit::Failure;
use crate::jobs::backfill_groups::Item;
use crate::jobs::failing;
use crate::jobs::read_at::ReadAt;
use crate::net::error::{ApiError, ErrorKind};
use futures_util::{StreamExt, stream};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// How old a value may be when its change is sent.
pub(crate) const MAX_AGE: Duration = Duration::from_secs(300);

/// How old a kept value may be when a batch is prepared: the batch still has to wait for the one before it.
const KEPT_AGE: Duration = Duration::from_secs(240);

/// Creators in one list.
const CREATORS: usize = 100;

/// Issues that are kept for later batches: some 8 MB.
const MOST_KEPT: usize = 50_000;

/// Creators whose issues are listed; of more, issues are read one by one. Bounds the memory: some 40 MB.
const MOST_CREATORS: usize = 100_000;

/// Values of the field that are shared by the issues that hold them.
const MOST_GROUPS: usize = 10_000;

/// `works.get` calls at once. The rate limit usually allows fewer.
const GETS_AT_ONCE: usize = 8;

/// An issue as it was read.
#[derive(Debug, Clone)]
pub(crate) struct Present {
    /// Its DON.
    pub id: String,
    /// Who created it, if DevRev says.
    pub creator: Option<Key>,
    /// The group that it holds.
    pub group: Option<Arc<str>>,
    /// When it was read.
    pub read_at: ReadAt,
}

/// What is known of an issue.
#[derive(Debug, Clone)]
pub(crate) enum IssueState {
    /// It is there.
    Present(Present),
    /// It is not; what DevRev said.
    Missing(String),
    /// It could not be read.
    Unread(ApiError),
}

/// An issue to look up.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    number: u64,
    id: String,
    /// By which a list may bring it. `None`: it has to be read by itself, for a list may lag behind.
    creator: Option<(Key, String)>,
}

impl Wanted {
    /// The issue of an item; of one in doubt, which may have been written a moment ago, only its own read
    /// tells.
    pub(crate) fn new(item: &Item, in_doubt: bool) -> Self {
        let creator = (!in_doubt).then_some(&item.creator);
        Self::by(item.number, item.issue.as_str(), creator)
    }

    /// The issue of this number and ID, by its creator if that is known.
    pub(crate) fn by(number: u64, id: &str, creator: Option<&UserId>) -> Self {
        let creator = creator.map(|creator| (creator.key(), creator.as_str().to_owned()));
        Self { number, id: id.to_owned(), creator }
    }
}

/// Whether lists pay. Every wanted issue that a list brought has saved one `works.get`; so many pages may be
/// read as that, and a few more to find out. So reads stay under a call a row, whatever else the creators
/// have.
#[derive(Debug, Default)]
struct Budget {
    wanted: usize,
    saved: usize,
    pages: usize,
}

impl Budget {
    fn allows_page(&self) -> bool {
        self.pages < self.saved + 3 + self.wanted / 50
    }
}

/// A list under way. It continues where it stopped when a later batch wants more of it.
#[derive(Debug)]
struct OpenList {
    creators: Vec<String>,
    pages: Pages<WorksList>,
    began: ReadAt,
    read: usize,
    found: usize,
    /// It brings too little, or DevRev refuses it: its creators' issues are read one by one.
    given_up: bool,
}

impl OpenList {
    fn new(creators: Vec<String>) -> Self {
        let pages = Pages::new(WorksList::issues_created_by(creators.clone()));
        Self { creators, pages, began: ReadAt::now(), read: 0, found: 0, given_up: false }
    }

    /// Three pages that bring nothing, and one in three from then on.
    fn pays(&self) -> bool {
        self.read < 3 + 3 * self.found
    }
}

/// Looks issues up and keeps what it learns by the way.
#[derive(Debug)]
pub(crate) struct Lookup {
    client: ReadOnly,
    field: GroupField,
    kept: HashMap<u64, Present>,
    lists: Vec<OpenList>,
    list_of: HashMap<Key, usize>,
    budget: Budget,
    /// The group IDs seen, so that a thousand issues of one group share one text.
    groups: HashSet<Arc<str>>,
}

impl Lookup {
    /// Nothing is known yet.
    pub(crate) fn new(client: ReadOnly, field: GroupField) -> Self {
        Self {
            client,
            field,
            kept: HashMap::new(),
            lists: Vec::new(),
            list_of: HashMap::new(),
            budget: Budget::default(),
            groups: HashSet::new(),
        }
    }

    /// The state of every wanted issue, by number. An error ends the run.
    pub(crate) async fn states(&mut self, wanted: Vec<Wanted>) -> Result<HashMap<u64, IssueState>, Failure> {
        let mut states = HashMap::with_capacity(wanted.len());
        self.budget.wanted += wanted.len();
        let mut open: HashMap<u64, Wanted> = HashMap::new();
        // Issues that no list is asked for: what is left of theirs has passed them, or they are in doubt.
        let mut passed = Vec::new();
        for issue in wanted {
            match self.kept.remove(&issue.number) {
                Some(present) if present.read_at.age() < KEPT_AGE && issue.creator.is_some() => {
                    self.budget.saved += 1;
                    states.insert(issue.number, IssueState::Present(present));
                }
                _ if issue.creator.is_none() => passed.push((issue.number, issue)),
                Some(_) if self.goes_on(&issue) => passed.push((issue.number, issue)),
                _ => drop(open.insert(issue.number, issue)),
            }
        }
        for place in self.lists_for(&open) {
            self.read_list(place, &mut open, &mut states).await?;
        }
        open.extend(passed);
        self.read_singly(open, &mut states).await?;
        Ok(states)
    }

    /// The list that may bring an issue.
    fn place_of(&self, issue: &Wanted) -> Option<usize> {
        issue.creator.as_ref().and_then(|(creator, _)| self.list_of.get(creator)).copied()
    }

    /// Whether the list that may bring an issue is under way.
    fn goes_on(&self, issue: &Wanted) -> bool {
        self.place_of(issue).is_some_and(|place| !self.lists[place].pages.ended())
    }

    /// The lists that may hold open issues: those under way, and new ones for creators without. Lists with
    /// the most open issues come first.
    fn lists_for(&mut self, open: &HashMap<u64, Wanted>) -> Vec<usize> {
        let mut newcomers: Vec<(&Key, &str)> = Vec::new();
        let mut seen: HashSet<&Key> = HashSet::new();
        let mut demand: HashMap<usize, usize> = HashMap::new();
        for issue in open.values() {
            let Some((creator, id)) = &issue.creator else { continue };
            if let Some(place) = self.place_of(issue) {
                *demand.entry(place).or_default() += 1;
            } else if self.list_of.len() + newcomers.len() < MOST_CREATORS && seen.insert(creator) {
                newcomers.push((creator, id));
            }
        }
        newcomers.sort_unstable();
        for creators in newcomers.chunks(CREATORS) {
            let place = self.lists.len();
            self.lists.push(OpenList::new(creators.iter().map(|(_, id)| (*id).to_owned()).collect()));
            for (creator, _) in creators {
                self.list_of.insert((*creator).clone(), place);
            }
            demand.insert(place, creators.len());
        }
        for place in demand.keys() {
            // A list that was read to its end has nothing to add, until its values are too old: then it is
            // started again. One that is under way continues, and its next pages are as fresh as can be.
            let list = &mut self.lists[*place];
            if list.pages.ended() && !list.given_up && list.began.age() >= KEPT_AGE {
                *list = OpenList::new(std::mem::take(&mut list.creators));
            }
        }
        let mut places: Vec<_> = demand.into_iter().collect();
        places.sort_unstable_by_key(|(place, issues)| (std::cmp::Reverse(*issues), *place));
        places.into_iter().map(|(place, _)| place).collect()
    }

    /// Reads pages of a list while open issues may be on it and it pays.
    async fn read_list(
        &mut self,
        place: usize,
        open: &mut HashMap<u64, Wanted>,
        states: &mut HashMap<u64, IssueState>,
    ) -> Result<(), Failure> {
        let mut left = open.values().filter(|issue| self.place_of(issue) == Some(place)).count();
        let most_pages = left;
        let mut pages = 0;
        while left > 0 && pages < most_pages && self.budget.allows_page() {
            let list = &mut self.lists[place];
            if list.given_up || list.pages.ended() {
                return Ok(());
            }
            let read_at = ReadAt::now();
            let works = match list.pages.next(&self.client).await {
                Ok(works) => works.unwrap_or_default(),
                Err(error) => {
                    list.given_up = true;
                    if let Some(failure) = failing::ends_run(&error) {
                        return Err(failure);
                    }
                    tracing::warn!("{error}; these creators' issues are read one by one");
                    return Ok(());
                }
            };
            pages += 1;
            self.budget.pages += 1;
            let mut found = 0;
            for work in works {
                let Some(number) = work.issue_number() else { continue };
                let present = self.present(&work, read_at);
                if let Some(issue) = open.remove(&number) {
                    found += 1;
                    left -= usize::from(self.place_of(&issue) == Some(place));
                    states.insert(number, IssueState::Present(present));
                } else if !states.contains_key(&number) {
                    self.kept.insert(number, present);
                }
            }
            self.budget.saved += found;
            let list = &mut self.lists[place];
            list.read += 1;
            list.found += found;
            list.given_up = !list.pays();
            self.forget_the_oldest();
        }
        Ok(())
    }

    /// Keeps the number of kept issues within bounds: the older half goes.
    fn forget_the_oldest(&mut self) {
        if self.kept.len() < MOST_KEPT {
            return;
        }
        let mut ages: Vec<Instant> = self.kept.values().map(|present| present.read_at.0).collect();
        let middle = ages.len() / 2;
        let (_, middle, _) = ages.select_nth_unstable(middle);
        let middle = *middle;
        self.kept.retain(|_, present| present.read_at.0 > middle);
    }

    async fn read_singly(
        &mut self,
        open: HashMap<u64, Wanted>,
        states: &mut HashMap<u64, IssueState>,
    ) -> Result<(), Failure> {
        let mut issues: Vec<_> = open.into_values().collect();
        issues.sort_unstable_by_key(|issue| issue.number);
        let client = self.client.clone();
        let gets = issues.into_iter().map(|issue| {
            let client = client.clone();
            async move {
                let read_at = ReadAt::now();
                (issue.number, read_at, client.call(&WorksGet { id: issue.id }).await)
            }
        });
        let mut answers = stream::iter(gets).buffer_unordered(GETS_AT_ONCE);
        while let Some((number, read_at, answer)) = answers.next().await {
            let state = match answer {
                Ok(answer) => IssueState::Present(self.present(&answer.work, read_at)),
                Err(error) if error.kind == ErrorKind::NotFound => IssueState::Missing(error.to_string()),
                Err(error) => match failing::ends_run(&error) {
                    Some(failure) => return Err(failure),
                    None => IssueState::Unread(error),
                },
            };
            states.insert(number, state);
        }
        Ok(())
    }

    fn present(&mut self, work: &Work, read_at: ReadAt) -> Present {
        let group = self.field.read(work).map(|group| {
            self.groups.get(&*group).cloned().unwrap_or_else(|| {
                let group: Arc<str> = (*group).into();
                if self.groups.len() < MOST_GROUPS {
                    self.groups.insert(Arc::clone(&group));
                }
                group
            })
        });
        let creator = work.created_by.as_ref().and_then(crate::devrev::users::UserSummary::key);
        Present { id: work.id.clone(), creator, group, read_at }
    }
}

/// Whether two values of the field are the same group, or both none.
pub(crate) fn same_value(one: Option<&str>, other: Option<&str>) -> bool {
    match (one, other) {
        (None, None) => true,
        (Some(one), Some(other)) => same_group(one, other),
        _ => false,
    }
}

#[cfg(test)]
#[path = "lookup_tests.rs"]
mod tests;
