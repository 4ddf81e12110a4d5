//! Who is in which groups: DevRev cannot be asked for a user's groups, so all groups and their members are
//! listed once and turned round. Only direct members count, not those of a group within a group.
//!
//! Every workspace has default groups (`All Users`, `Support`, ...) that say nothing about whom an issue belongs to. They are
//! known by name, and their members are not listed, unless they are included.

use crate::devrev;
use crate::devrev::groups::{GroupMembersList, GroupsList};
use crate::devrev::ids::{Group, GroupId, Key, Names, Ref, USER_TYPES};
use crate::devrev::pages::Pages;
use crate::devrev::read_only::ReadOnly;
use crate::devrev::users::UserSummary;
use crate::exit::Failure;
use crate::jobs::failing;
use crate::journal::atomic;
use crate::net::error::{ApiError, ErrorKind};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A group as the index keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct GroupRef {
    /// The group's DON: what is written into an issue.
    pub id: String,
    /// The group's display ID.
    pub display_id: Option<String>,
    /// The group's name.
    pub name: Option<String>,
}

impl GroupRef {
    /// What tells this group from others.
    pub(crate) fn key(&self) -> Option<Key> {
        Ref::parse(&self.id, Group::TYPES).ok().map(Ref::key)
    }

    /// The group for people: `GROUP-4 (Billing)`.
    pub(crate) fn named(&self) -> String {
        let id = self.display_id.as_deref().unwrap_or(&self.id);
        let in_a_line = |name: &String| name.replace(char::is_control, " ");
        self.name.as_ref().map_or_else(|| id.to_owned(), |name| format!("{id} ({})", in_a_line(name)))
    }
}

/// The index.
#[derive(Debug, Clone, Default)]
pub(crate) struct Membership {
    groups: Vec<GroupRef>,
    /// Default groups that were left out.
    left_out: Vec<GroupRef>,
    /// Groups that were deleted while they were listed.
    gone: Vec<GroupRef>,
    places: HashMap<Key, usize>,
    of_user: HashMap<Key, Vec<usize>>,
}

impl Membership {
    /// An index of these groups, in DevRev's order, and their members.
    pub(crate) fn new(groups: Vec<(GroupRef, Vec<Key>)>) -> Self {
        let mut index = Self::default();
        for (place, (group, members)) in groups.into_iter().enumerate() {
            if let Some(key) = group.key() {
                index.places.insert(key, place);
            }
            for member in members {
                let places = index.of_user.entry(member).or_default();
                // A user listed twice in one group is in it once.
                if places.last() != Some(&place) {
                    places.push(place);
                }
            }
            index.groups.push(group);
        }
        index
    }

    /// The same, with default groups whose members do not count.
    #[must_use]
    pub(crate) fn leaving_out(self, left_out: Vec<GroupRef>) -> Self {
        Self { left_out, ..self }
    }

    /// The groups of a user, in DevRev's order.
    pub(crate) fn groups_of(&self, user: &Key) -> Vec<&GroupRef> {
        self.of_user.get(user).into_iter().flatten().map(|place| &self.groups[*place]).collect()
    }

    /// Whether the user is a member of any group, and so exists.
    pub(crate) fn knows(&self, user: &Key) -> bool {
        self.of_user.contains_key(user)
    }

    /// The group with this key, be it one that was left out.
    pub(crate) fn group(&self, key: &Key) -> Option<&GroupRef> {
        let left_out = || self.left_out.iter().find(|group| group.key().as_ref() == Some(key));
        self.places.get(key).map(|place| &self.groups[*place]).or_else(left_out)
    }

    /// How many groups count.
    pub(crate) fn len(&self) -> usize {
        self.groups.len()
    }

    /// The default groups that were left out.
    pub(crate) fn left_out(&self) -> &[GroupRef] {
        &self.left_out
    }

    /// The groups that were deleted while they were listed.
    pub(crate) fn gone(&self) -> &[GroupRef] {
        &self.gone
    }

    /// Lists all groups and the members of each. A group that is gone by then is left out; any other failure ends the run.
    pub(crate) async fn fetch(client: &ReadOnly, scope: Scope) -> Result<Self, Failure> {
        let mut found = Found { include_default: scope.default, ..Found::default() };
        let mut pages = Pages::new(GroupsList::of_members(scope.contacts));
        while let Some(page) =
            pages.next(client).await.map_err(|error| failing::needed(&error, "cannot list the groups"))?
        {
            found.take(page);
        }
        let Found { groups, left_out, .. } = found;
        let mut gone = Vec::new();
        let mut index = Vec::with_capacity(groups.len());
        for group in groups {
            match members(client, &group.id).await {
                Ok(members) => index.push((group, members)),
                Err(error) if error.kind == ErrorKind::NotFound => {
                    tracing::warn!(
                        "{} was deleted while the groups were listed: it is left out",
                        group.named()
                    );
                    gone.push(group);
                }
                Err(error) => {
                    let what = format!("cannot list the members of {}", group.named());
                    return Err(failing::needed(&error, &what));
                }
            }
        }
        Ok(Self { left_out, gone, ..Self::new(index) })
    }
}

/// Which groups count.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Scope {
    /// Default groups count, too.
    pub default: bool,
    /// Groups of contacts count, too: some of the rows' creators are contacts.
    pub contacts: bool,
}

/// Groups as pages bring them, each once.
#[derive(Debug, Default)]
struct Found {
    include_default: bool,
    groups: Vec<GroupRef>,
    /// Default groups that are not included.
    left_out: Vec<GroupRef>,
    seen: HashSet<String>,
}

impl Found {
    /// Takes a page, which may overlap those before it.
    fn take(&mut self, page: Vec<devrev::groups::Group>) {
        for group in page {
            let is_default = group.is_default.unwrap_or(false);
            let group = GroupRef { id: group.id, display_id: group.display_id, name: group.name };
            let key = group.key().map_or_else(|| group.id.clone(), |key| key.to_string());
            if !self.seen.insert(key) {
                continue;
            }
            if is_default && !self.include_default {
                self.left_out.push(group);
            } else {
                self.groups.push(group);
            }
        }
    }
}

async fn members(client: &ReadOnly, group: &str) -> Result<Vec<Key>, ApiError> {
    let mut members = Vec::new();
    let mut pages = Pages::new(GroupMembersList::of(group));
    while let Some(page) = pages.next(client).await? {
        members.extend(page.iter().filter_map(UserSummary::key));
    }
    Ok(members)
}

/// An index with its age.
#[derive(Debug, Clone)]
pub(crate) struct Listed {
    /// The index.
    pub membership: Membership,
    /// When its listing began: some of it may be younger.
    pub at: DateTime<Utc>,
    /// Whether it comes from the cache.
    pub from_cache: bool,
}

impl Listed {
    /// The index from the cache, else from DevRev, which refreshes the cache.
    pub(crate) async fn load(
        client: &ReadOnly,
        cache: Option<&Cache>,
        scope: Scope,
    ) -> Result<Self, Failure> {
        if let Some(cache) = cache
            && let Some(listed) = cache.read().await
        {
            return Ok(listed);
        }
        let at = Utc::now();
        let membership = Membership::fetch(client, scope).await?;
        let listed = Self { membership, at, from_cache: false };
        if let Some(cache) = cache {
            cache.keep(&listed).await;
        }
        Ok(listed)
    }

    /// How old it is at this time; none for what a clock that was set back says of the future.
    pub(crate) fn age(&self, now: DateTime<Utc>) -> Duration {
        (now - self.at).to_std().unwrap_or_default()
    }
}

/// The index on disk.
#[derive(Debug, Serialize, Deserialize)]
struct Cached {
    format: u32,
    fetched_at: DateTime<Utc>,
    of: String,
    groups: Vec<(GroupRef, Vec<String>)>,
    left_out: Vec<GroupRef>,
}

/// 2: default groups are told from others.
const FORMAT: u32 = 2;

/// Where the index is kept between runs, for one organisation at one base URL.
#[derive(Debug, Clone)]
pub(crate) struct Cache {
    path: PathBuf,
    of: String,
    max_age: Duration,
}

impl Cache {
    /// A cache in this folder, of which what is older is not used. `of` names whose groups these are and which of them;
    /// `None` where nothing is to be kept.
    pub(crate) fn new(folder: &Path, of: String, max_age: Duration) -> Option<Self> {
        let digest = Sha256::digest(of.as_bytes());
        let name = digest.iter().take(8).fold(String::new(), |mut name, byte| {
            let _ = write!(name, "{byte:02x}");
            name
        });
        (!max_age.is_zero()).then(|| Self {
            path: folder.join(format!("membership-{name}.json")),
            of,
            max_age,
        })
    }

    /// The cached index, if it is whole, ours and young enough.
    pub(crate) async fn read(&self) -> Option<Listed> {
        let cache = self.clone();
        tokio::task::spawn_blocking(move || cache.read_file()).await.ok().flatten()
    }

    fn read_file(&self) -> Option<Listed> {
        let cached: Cached = serde_json::from_slice(&fs::read(&self.path).ok()?).ok()?;
        let age = (Utc::now() - cached.fetched_at).to_std().ok()?;
        if cached.format != FORMAT || cached.of != self.of || age >= self.max_age {
            return None;
        }
        let keys = |members: Vec<String>| {
            members.iter().filter_map(|text| Ref::parse(text, USER_TYPES).ok().map(Ref::key)).collect()
        };
        tracing::info!(age_s = age.as_secs(), groups = cached.groups.len(), "group index from the cache");
        let groups = cached.groups.into_iter().map(|(group, members)| (group, keys(members))).collect();
        let membership = Membership::new(groups).leaving_out(cached.left_out);
        Some(Listed { membership, at: cached.fetched_at, from_cache: true })
    }

    async fn keep(&self, listed: &Listed) {
        let (cache, listed) = (self.clone(), listed.clone());
        let written = tokio::task::spawn_blocking(move || cache.write(&listed)).await;
        if let Err(error) = written.unwrap_or_else(|error| Err(std::io::Error::other(error))) {
            // The next run lists the groups again: slower, not wrong.
            tracing::warn!("cannot keep the group index in {}: {error}", self.path.display());
        }
    }

    fn write(&self, listed: &Listed) -> std::io::Result<()> {
        let index = &listed.membership;
        let mut members: Vec<Vec<String>> = vec![Vec::new(); index.groups.len()];
        for (user, places) in &index.of_user {
            for place in places {
                members[*place].push(user.to_string());
            }
        }
        let cached = Cached {
            format: FORMAT,
            fetched_at: listed.at,
            of: self.of.clone(),
            groups: index.groups.iter().cloned().zip(members).collect(),
            left_out: index.left_out.clone(),
        };
        if let Some(folder) = self.path.parent() {
            fs::create_dir_all(folder)?;
        }
        atomic::replace(&self.path, |file| serde_json::to_writer(file, &cached).map_err(Into::into))
    }
}

/// Whether two texts name one group, in whichever form.
pub(crate) fn same_group(one: &str, other: &str) -> bool {
    one == other
        || matches!((GroupId::parse(one), GroupId::parse(other)), (Ok(one), Ok(other)) if one == other)
}

#[cfg(test)]
#[path = "membership_tests.rs"]
mod tests;
