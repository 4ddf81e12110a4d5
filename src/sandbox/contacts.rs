//! The contacts, and what finds them: their numbers, e-mail addresses and external refs.

use super::dons::identity_don;
use super::format::{Contact as Record, UserKind, UserRef, UserState};
use super::merge::MergeEnds;
use crate::devrev::ids::ObjectType;
use rustc_hash::FxHashMap;
use serde_json::{Map, Value};

/// All contacts, gone ones included, in the order of their numbers. One is named by its position.
pub(super) struct Contacts {
    /// Sorted by number.
    all: Vec<Contact>,
    by_email: FxHashMap<Box<str>, Vec<u32>>,
    /// External refs that are taken, and by whom.
    by_ref: FxHashMap<Box<str>, u32>,
}

/// One contact.
#[derive(Default)]
pub(super) struct Contact {
    pub(super) number: u32,
    pub(super) display_name: Option<String>,
    pub(super) full_name: Option<String>,
    email: Option<String>,
    external_ref: Option<String>,
    pub(super) external_refs: Vec<String>,
    pub(super) state: UserState,
    pub(super) is_verified: bool,
    pub(super) description: Option<String>,
    pub(super) custom_fields: Map<String, Value>,
    /// Its tags and its picture, once somebody has set them.
    pub(super) stock: Map<String, Value>,
    pub(super) phone_numbers: Vec<String>,
    pub(super) rev_org: Option<String>,
    workspace: Option<u32>,
    /// The numbers of its artifacts.
    pub(super) artifacts: Box<[u32]>,
    /// Milliseconds since the epoch.
    pub(super) created: u64,
    /// Milliseconds since the epoch.
    pub(super) modified: u64,
    /// Updates that requests made to it.
    pub(super) writes: u32,
    /// Merge calls that were accepted with this contact as the secondary.
    pub(super) merges: u32,
    /// Whether an accepted merge of this contact as the secondary has not taken effect.
    pub(super) merging: bool,
    /// What it was merged into.
    pub(super) merged: Option<Merged>,
}

/// The end of a secondary.
#[derive(Clone, Copy)]
pub(super) struct Merged {
    /// The primary's position.
    pub(super) into: u32,
    pub(super) ends: MergeEnds,
}

/// An external ref belongs to another contact.
pub(super) struct Taken;

impl Contact {
    /// Takes a data file's contact over. What it does not say of its dates follows from its number.
    pub(super) fn of(record: Record) -> Self {
        let millis = |date: chrono::DateTime<chrono::Utc>| u64::try_from(date.timestamp_millis()).ok();
        let default = 1_704_067_200_000 + u64::from(record.number) * 3_600_000;
        let created = record.created.and_then(millis).unwrap_or(default);
        Self {
            number: record.number,
            display_name: record.display_name,
            full_name: record.full_name,
            email: record.email,
            external_ref: record.external_ref.filter(|reference| !reference.is_empty()),
            external_refs: record.external_refs,
            state: record.state,
            is_verified: record.is_verified,
            description: record.description,
            custom_fields: record.custom_fields,
            phone_numbers: record.phone_numbers,
            rev_org: record.rev_org,
            workspace: record.workspace,
            artifacts: record.artifacts,
            created,
            modified: record.modified.and_then(millis).unwrap_or(created),
            ..Self::default()
        }
    }

    pub(super) fn id(&self) -> UserRef {
        UserRef { kind: UserKind::RevUser, number: self.number }
    }

    /// Its DON in an organisation.
    pub(super) fn don(&self, org: &str) -> String {
        match self.workspace {
            None => identity_don(org, ObjectType::RevUser, self.number),
            Some(workspace) => {
                format!("don:identity:dvrv-us-1:devo/{org}:revo/{workspace}:revu/{}", self.number)
            }
        }
    }

    /// Whether it is neither gone nor deleted.
    pub(super) fn exists(&self) -> bool {
        let left = |merged: Merged| matches!(merged.ends, MergeEnds::Gone | MergeEnds::Moved);
        self.state != UserState::Deleted && !self.merged.is_some_and(left)
    }

    pub(super) fn email(&self) -> Option<&str> {
        self.email.as_deref()
    }

    pub(super) fn external_ref(&self) -> Option<&str> {
        self.external_ref.as_deref()
    }
}

impl Contacts {
    /// Takes contacts over; an error says which number or external ref appears twice.
    pub(super) fn build(mut all: Vec<Contact>) -> Result<Self, String> {
        all.sort_by_key(|contact| contact.number);
        if let Some(pair) = all.windows(2).find(|pair| pair[0].number == pair[1].number) {
            return Err(format!("contacts: {} appears twice", pair[0].id()));
        }
        let mut contacts = Self {
            all: Vec::with_capacity(all.len()),
            by_email: FxHashMap::default(),
            by_ref: FxHashMap::default(),
        };
        for mut contact in all {
            let (email, external_ref) = (contact.email.take(), contact.external_ref.take());
            let (id, exists) = (contact.id(), contact.exists());
            let at = contacts.push(contact)?;
            contacts.set_email(at, email);
            if exists {
                contacts.set_ref(at, external_ref.as_deref().unwrap_or_default()).map_err(|Taken| {
                    format!(
                        "{id}: external_ref: `{}` is that of another contact",
                        external_ref.unwrap_or_default()
                    )
                })?;
            } else if let Some(contact) = contacts.get_mut(at) {
                contact.external_ref = external_ref;
            }
        }
        Ok(contacts)
    }

    fn push(&mut self, contact: Contact) -> Result<u32, String> {
        let at = u32::try_from(self.all.len()).map_err(|error| error.to_string())?;
        self.all.push(contact);
        Ok(at)
    }

    /// A new contact with the next number: its position.
    pub(super) fn create(&mut self, now: u64) -> Result<u32, String> {
        let number = self.all.last().map_or(1, |last| last.number + 1);
        self.push(Contact { number, created: now, modified: now, ..Contact::default() })
    }

    /// How many there are, gone ones included.
    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    /// The position of a number.
    pub(super) fn position(&self, number: u32) -> Option<u32> {
        let at = self.all.binary_search_by_key(&number, |contact| contact.number).ok()?;
        u32::try_from(at).ok()
    }

    pub(super) fn get(&self, at: u32) -> Option<&Contact> {
        self.all.get(at as usize)
    }

    pub(super) fn get_mut(&mut self, at: u32) -> Option<&mut Contact> {
        self.all.get_mut(at as usize)
    }

    /// A stretch of all contacts, by position.
    pub(super) fn slice(&self, begin: usize, most: usize) -> &[Contact] {
        let begin = begin.min(self.all.len());
        let end = begin.saturating_add(most).min(self.all.len());
        &self.all[begin..end]
    }

    /// The contacts after a number.
    pub(super) fn after(&self, number: u64) -> &[Contact] {
        &self.all[self.all.partition_point(|contact| u64::from(contact.number) <= number)..]
    }

    /// Sets a contact's e-mail address; an empty one takes it away.
    pub(super) fn set_email(&mut self, at: u32, email: Option<String>) {
        let email = email.filter(|email| !email.is_empty());
        let Some(contact) = self.all.get_mut(at as usize) else { return };
        let before = std::mem::replace(&mut contact.email, email.clone());
        if let Some(places) = before.and_then(|before| self.by_email.get_mut(before.as_str())) {
            places.retain(|place| *place != at);
        }
        if let Some(email) = email {
            self.by_email.entry(email.into()).or_default().push(at);
        }
    }

    /// Whether a contact may take an external ref.
    pub(super) fn ref_is_free(&self, at: Option<u32>, wanted: &str) -> bool {
        wanted.is_empty() || self.by_ref.get(wanted).is_none_or(|holder| Some(*holder) == at)
    }

    /// Sets a contact's external ref, in `external_refs` too; an empty one takes it away.
    pub(super) fn set_ref(&mut self, at: u32, wanted: &str) -> Result<(), Taken> {
        if !self.ref_is_free(Some(at), wanted) {
            return Err(Taken);
        }
        self.free_ref(at);
        let Some(contact) = self.all.get_mut(at as usize) else { return Ok(()) };
        let now = (!wanted.is_empty()).then(|| wanted.to_owned());
        let before = std::mem::replace(&mut contact.external_ref, now.clone());
        if let Some(before) = before
            && let Some(place) = contact.external_refs.iter().position(|one| *one == before)
        {
            contact.external_refs.splice(place..=place, now);
        }
        if !wanted.is_empty() {
            self.by_ref.insert(wanted.into(), at);
        }
        Ok(())
    }

    /// Lets another take a contact's external ref.
    pub(super) fn free_ref(&mut self, at: u32) {
        let held = self.get(at).and_then(Contact::external_ref);
        if let Some(held) = held
            && self.by_ref.get(held) == Some(&at)
        {
            let held: Box<str> = held.into();
            self.by_ref.remove(&held);
        }
    }

    /// Where the contacts with any of these e-mail addresses stand, sorted. Case counts.
    pub(super) fn with_email<'a>(&self, emails: impl Iterator<Item = &'a str>) -> Vec<u32> {
        let mut found: Vec<u32> =
            emails.filter_map(|email| self.by_email.get(email)).flatten().copied().collect();
        found.sort_unstable();
        found.dedup();
        found
    }

    /// Where the contacts with any of these external refs stand, sorted.
    pub(super) fn with_ref<'a>(&self, refs: impl Iterator<Item = &'a str>) -> Vec<u32> {
        let mut found: Vec<u32> = refs.filter_map(|one| self.by_ref.get(one)).copied().collect();
        found.sort_unstable();
        found.dedup();
        found
    }
}
