//! Who is in which groups: DevRev cannot be asked for a user's groups, so all groups and their members are
//! listed once and turned round. Only direct members count, not those of a group within a group.

use crate::devrev::error::ApiError;
use crate::devrev::groups::{GroupMembersList, GroupsList};
use crate::devrev::ids::{Group, Key, Names, Ref};
use crate::devrev::pages::Pages;
use crate::devrev::read_only::ReadOnly;
use crate::devrev::users::UserSummary;
use crate::journal::atomic;
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A group as the index keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupRef {
    /// The group's DON: what is written into an issue.
    pub id: String,
    /// The group's display ID.
    pub display_id: Option<String>,
    /// The group's name.
    pub name: Option<String>,
}

impl GroupRef {
    /// What tells this group from others.
    pub fn key(&self) -> Option<Key> {
        Ref::parse(&self.id, Group::TYPES).ok().map(Ref::key)
    }

    /// The group for people: `GROUP-4 (Billing)`.
    pub fn named(&self) -> String {
        let id = self.display_id.as_deref().unwrap_or(&self.id);
        self.name.as_ref().map_or_else(|| id.to_owned(), |name| format!("{id} ({name})"))
    }
}

/// The index.
#[derive(Debug, Clone, Default)]
pub struct Membership {
    groups: Vec<GroupRef>,
    places: HashMap<Key, usize>,
    of_user: HashMap<Key, Vec<usize>>,
}

/// The index on disk.
#[derive(Debug, Serialize, Deserialize)]
struct Cached {
    format: u32,
    fetched_at: DateTime<Utc>,
    of: String,
    groups: Vec<(GroupRef, Vec<String>)>,
}

const FORMAT: u32 = 1;

impl Membership {
    /// An index of these groups, in DevRev's order, and their members.
    pub fn new(groups: Vec<(GroupRef, Vec<Key>)>) -> Self {
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

    /// The groups of a user, in DevRev's order.
    pub fn groups_of(&self, user: &Key) -> Vec<&GroupRef> {
        self.of_user.get(user).into_iter().flatten().map(|place| &self.groups[*place]).collect()
    }

    /// Whether the user is a member of any group, and so exists.
    pub fn knows(&self, user: &Key) -> bool {
        self.of_user.contains_key(user)
    }

    /// The group with this key.
    pub fn group(&self, key: &Key) -> Option<&GroupRef> {
        self.places.get(key).map(|place| &self.groups[*place])
    }

    /// Lists all groups and the members of each.
    pub async fn fetch(client: &ReadOnly) -> Result<Self, ApiError> {
        let mut groups = Vec::new();
        let mut pages = Pages::new(GroupsList::default());
        while let Some(page) = pages.next(client).await? {
            groups.extend(page);
        }
        let mut index = Vec::with_capacity(groups.len());
        for group in groups {
            let mut members = Vec::new();
            let mut pages = Pages::new(GroupMembersList::of(group.id.as_str()));
            while let Some(page) = pages.next(client).await? {
                members.extend(page.iter().filter_map(UserSummary::key));
            }
            let group = GroupRef { id: group.id, display_id: group.display_id, name: group.name };
            index.push((group, members));
        }
        Ok(Self::new(index))
    }

    /// The index from a cache no older than its time to live, else from DevRev, which refreshes the cache.
    pub async fn load(client: &ReadOnly, cache: Option<&Cache>) -> Result<Self, ApiError> {
        if let Some(cached) = cache.and_then(Cache::read) {
            return Ok(cached);
        }
        let fetched = Self::fetch(client).await?;
        if let Some(cache) = cache
            && let Err(error) = cache.write(&fetched)
        {
            // The next run lists the groups again: slower, not wrong.
            tracing::warn!("could not keep the group index in {}: {error}", cache.path.display());
        }
        Ok(fetched)
    }
}

/// Where the index is kept between runs, for one organisation at one base URL.
#[derive(Debug, Clone)]
pub struct Cache {
    path: PathBuf,
    of: String,
    ttl: Duration,
}

impl Cache {
    /// A cache in this folder. `of` names whose groups these are; `None` where nothing is to be kept.
    pub fn new(folder: &Path, of: String, ttl: Duration) -> Option<Self> {
        let digest = Sha256::digest(of.as_bytes());
        let name = digest.iter().take(8).fold(String::new(), |mut name, byte| {
            let _ = write!(name, "{byte:02x}");
            name
        });
        (!ttl.is_zero()).then(|| Self { path: folder.join(format!("membership-{name}.json")), of, ttl })
    }

    /// The cached index, if it is whole, ours and young enough.
    fn read(&self) -> Option<Membership> {
        let cached: Cached = serde_json::from_slice(&fs::read(&self.path).ok()?).ok()?;
        let age = Utc::now() - cached.fetched_at;
        let young = age >= TimeDelta::zero() && age.to_std().is_ok_and(|age| age < self.ttl);
        if cached.format != FORMAT || cached.of != self.of || !young {
            return None;
        }
        let keys = |members: Vec<String>| {
            let types = crate::devrev::ids::USER_TYPES;
            members.iter().filter_map(|text| Ref::parse(text, types).ok().map(Ref::key)).collect()
        };
        tracing::info!(age_s = age.num_seconds(), groups = cached.groups.len(), "group index from the cache");
        Some(Membership::new(
            cached.groups.into_iter().map(|(group, members)| (group, keys(members))).collect(),
        ))
    }

    fn write(&self, index: &Membership) -> std::io::Result<()> {
        let mut members: Vec<Vec<String>> = vec![Vec::new(); index.groups.len()];
        for (user, places) in &index.of_user {
            for place in places {
                members[*place].push(user.to_string());
            }
        }
        let groups = index.groups.iter().cloned().zip(members).collect();
        let cached = Cached { format: FORMAT, fetched_at: Utc::now(), of: self.of.clone(), groups };
        if let Some(folder) = self.path.parent() {
            fs::create_dir_all(folder)?;
        }
        atomic::replace(&self.path, |file| serde_json::to_writer(file, &cached).map_err(Into::into))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::devrev::ids::UserId;

    fn index() -> Membership {
        let group = |n: u32| GroupRef {
            id: format!("don:identity:x:devo/1:group/{n}"),
            display_id: None,
            name: Some(format!("G{n}")),
        };
        let user = |text| UserId::parse(text).unwrap().key();
        Membership::new(vec![
            (group(1), vec![user("DEVU-1"), user("DEVU-1")]),
            (group(2), vec![user("DEVU-1"), user("SVCACC-2")]),
        ])
    }

    #[test]
    fn a_user_listed_twice_is_in_a_group_once() {
        let index = index();
        assert_eq!(index.groups_of(&UserId::parse("DEVU-1").unwrap().key()).len(), 2);
        assert!(index.groups_of(&UserId::parse("DEVU-9").unwrap().key()).is_empty());
    }

    #[test]
    fn the_cache_gives_back_what_it_got_until_it_is_old_or_another_s() {
        let folder = tempfile::tempdir().unwrap();
        let cache = |of: &str, ttl| Cache::new(folder.path(), of.to_owned(), Duration::from_secs(ttl));
        let ours = cache("a", 60).unwrap();
        assert!(ours.read().is_none());
        ours.write(&index()).unwrap();
        let read = ours.read().unwrap();
        assert_eq!(read.groups, index().groups);
        assert_eq!(read.of_user, index().of_user);
        assert!(cache("b", 60).unwrap().read().is_none());
        assert!(cache("a", 0).is_none());
        let mut other = ours.clone();
        other.of = "b".to_owned();
        assert!(other.read().is_none(), "whose it is counts, not the file's name alone");
        let mut cached: Cached = serde_json::from_slice(&fs::read(&ours.path).unwrap()).unwrap();
        cached.fetched_at -= TimeDelta::seconds(61);
        fs::write(&ours.path, serde_json::to_vec(&cached).unwrap()).unwrap();
        assert!(ours.read().is_none());
        fs::write(&ours.path, b"{\"format\":1,").unwrap();
        assert!(ours.read().is_none(), "a torn file is no index");
    }
}
