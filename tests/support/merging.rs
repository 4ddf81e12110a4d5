//! A world of contacts, and the sandbox that plays it: for `merge-contacts`.
//!
//! The sandbox lives as long as the fixture: what it holds of contacts cannot be kept over a restart.

use super::people::People;
use super::program::Program;
use super::site::{Site, Trouble};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Deref;

/// How long a merge is followed, in seconds.
const SETTLE_TIMEOUT: &str = "0.4";

/// A contact as the sandbox has it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Contact {
    pub(crate) id: String,
    pub(crate) external_ref: Option<String>,
    pub(crate) email: Option<String>,
    pub(crate) display_name: Option<String>,
    pub(crate) state: String,
    pub(crate) merged_into: Option<String>,
    pub(crate) merges: u64,
    pub(crate) writes: u64,
}

/// A work as the sandbox has it: who stands to it, in each role.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Work {
    pub(crate) id: String,
    pub(crate) r#type: String,
    pub(crate) created_by: Option<String>,
    pub(crate) owned_by: BTreeSet<String>,
    pub(crate) reported_by: BTreeSet<String>,
    pub(crate) writes: u64,
}

impl Work {
    /// The same, once one contact has become another.
    pub(crate) fn renamed(&self, from: &str, to: &str) -> Self {
        let one = |user: &String| if user == from { to.to_owned() } else { user.clone() };
        let all = |users: &BTreeSet<String>| users.iter().map(one).collect();
        Self {
            created_by: self.created_by.as_ref().map(one),
            owned_by: all(&self.owned_by),
            reported_by: all(&self.reported_by),
            ..self.clone()
        }
    }

    /// Whether it is this contact's in any role.
    pub(crate) fn is_of(&self, contact: &str) -> bool {
        self.created_by.as_deref() == Some(contact)
            || self.owned_by.contains(contact)
            || self.reported_by.contains(contact)
    }
}

/// A world, and a site whose sandbox plays it.
pub(crate) struct Merging {
    site: Site,
    /// The world as it was in the beginning.
    pub(crate) people: People,
    /// All works as they were in the beginning, or when they came.
    pub(crate) works_before: BTreeMap<String, Work>,
    /// All contacts as they were in the beginning.
    pub(crate) contacts_before: BTreeMap<String, Contact>,
}

impl Deref for Merging {
    type Target = Site;

    fn deref(&self) -> &Site {
        &self.site
    }
}

impl Merging {
    /// A world whose API works, and its input as `contacts.csv`.
    pub(crate) fn new(people: &People) -> Self {
        Self::with(people, &Trouble::none())
    }

    /// The same, with these faults.
    pub(crate) fn broken<S: Into<String>>(people: &People, faults: impl IntoIterator<Item = S>) -> Self {
        Self::with(people, &Trouble::faults(faults))
    }

    /// The same, with trouble.
    pub(crate) fn with(people: &People, trouble: &Trouble) -> Self {
        let mut site = Site::new();
        site.start(|| people.data(), trouble);
        site.write("contacts.csv", people.csv());
        let mut fixture = Self {
            site,
            people: people.clone(),
            works_before: BTreeMap::new(),
            contacts_before: BTreeMap::new(),
        };
        fixture.works_before = fixture.works();
        fixture.contacts_before = fixture.contacts();
        fixture
    }

    /// `merge-contacts --csv contacts.csv --yes` and more.
    pub(crate) fn merge(&self, more: &[&str]) -> Program {
        self.quick(["merge-contacts", "--csv", "contacts.csv", "--yes"]).args(more)
    }

    /// `resume --yes` and more.
    pub(crate) fn resume(&self, more: &[&str]) -> Program {
        self.quick(["resume", "--yes"]).args(more)
    }

    /// The program with settings by which merges are followed for a moment only.
    pub(crate) fn quick<S: AsRef<std::ffi::OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Program {
        self.program(args).env("MERGE_POLL_DELAY", "0.005").env("MERGE_SETTLE_TIMEOUT", SETTLE_TIMEOUT)
    }

    /// All contacts by display ID, gone ones too.
    pub(crate) fn contacts(&self) -> BTreeMap<String, Contact> {
        let contact = |line: &str| serde_json::from_str::<Contact>(line).unwrap();
        self.get("contacts").lines().map(contact).map(|contact| (contact.id.clone(), contact)).collect()
    }

    /// All works by display ID.
    pub(crate) fn works(&self) -> BTreeMap<String, Work> {
        let work = |line: &str| serde_json::from_str::<Work>(line).unwrap();
        self.get("works").lines().map(work).map(|work| (work.id.clone(), work)).collect()
    }

    /// Merge calls that the sandbox has accepted.
    pub(crate) fn merges(&self) -> u64 {
        self.stats()["merges"].as_u64().unwrap()
    }

    /// Changes a contact as somebody else would.
    pub(crate) fn touch(&self, id: &str, change: &Value) {
        let answer = self.control("POST", &format!("contacts/{id}"), &change.to_string());
        assert_eq!(answer, "{}");
    }

    /// Makes a ticket as somebody else would; returns its ID.
    pub(crate) fn create_ticket(&self, created_by: &str) -> String {
        let answer = self.control("POST", "tickets", &json!({"created_by": created_by}).to_string());
        let answer: Value = serde_json::from_str(&answer).unwrap();
        answer["id"].as_str().unwrap().to_owned()
    }
}
