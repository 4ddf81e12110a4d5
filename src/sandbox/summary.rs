//! Users, files and dates as they stand within other objects.

use super::contacts::Contact;
use super::dons::{core_don, display_id};
use super::format::UserState;
use super::state::State;
use super::world::World;
use crate::devrev::ids::ObjectType;
use chrono::{DateTime, SecondsFormat};
use rustc_hash::FxHasher;
use serde::Serialize;
use serde_json::value::RawValue;
use std::hash::Hasher;

/// `user-summary`
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Summary<'a> {
    /// Of a user that stays as it is.
    Ready(&'a RawValue),
    Contact(ContactSummary<'a>),
}

/// `rev-user-summary`
#[derive(Serialize)]
pub(super) struct ContactSummary<'a> {
    r#type: &'static str,
    #[serde(flatten)]
    members: ContactMembers<'a>,
}

/// What a contact's summary has in common with the whole contact.
#[derive(Serialize)]
pub(super) struct ContactMembers<'a> {
    id: String,
    display_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    display_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    full_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<&'a str>,
    state: UserState,
    #[serde(skip_serializing_if = "Option::is_none")]
    external_ref: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rev_org: Option<RevOrg<'a>>,
}

/// `rev-org-summary`
#[derive(Serialize)]
pub(super) struct RevOrg<'a> {
    r#type: &'static str,
    id: String,
    display_id: String,
    display_name: &'a str,
}

impl RevOrg<'_> {
    /// Its DON and its display ID.
    pub(super) fn ids(&self) -> (String, String) {
        (self.id.clone(), self.display_id.clone())
    }

    /// Whether this is its ID, in either form.
    pub(super) fn has_id(&self, id: &str) -> bool {
        self.id == id || self.display_id == id
    }
}

/// `artifact-summary`
#[derive(Serialize)]
pub(super) struct ArtifactSummary<'a> {
    id: String,
    display_id: String,
    file: FileSummary<'a>,
}

/// `artifact-file-summary`
#[derive(Serialize)]
pub(super) struct FileSummary<'a> {
    name: &'a str,
    size: u64,
    r#type: &'a str,
}

impl World {
    /// A user by position, as a summary.
    pub(super) fn summary<'a>(&'a self, state: &'a State, user: u32) -> Option<Summary<'a>> {
        match state.contact_at(user) {
            Some(contact) => {
                state.contacts.get(contact).map(|contact| Summary::Contact(self.contact(contact)))
            }
            None => self.users.get(user as usize).map(|user| Summary::Ready(&user.summary)),
        }
    }

    /// Several users.
    pub(super) fn summaries<'a>(&'a self, state: &'a State, users: &[u32]) -> Vec<Summary<'a>> {
        users.iter().filter_map(|user| self.summary(state, *user)).collect()
    }

    fn contact<'a>(&self, contact: &'a Contact) -> ContactSummary<'a> {
        ContactSummary { r#type: "rev_user", members: self.members(contact) }
    }

    /// What a contact and its summary have in common.
    pub(super) fn members<'a>(&self, contact: &'a Contact) -> ContactMembers<'a> {
        ContactMembers {
            id: contact.don(&self.org),
            display_id: contact.id().to_string(),
            display_name: contact.display_name.as_deref(),
            full_name: contact.full_name.as_deref(),
            email: contact.email(),
            state: contact.state,
            external_ref: contact.external_ref(),
            rev_org: contact.rev_org.as_deref().map(|name| rev_org(&self.org, name)),
        }
    }

    /// The artifacts of these numbers.
    pub(super) fn files<'a>(&'a self, numbers: &[u32]) -> Vec<ArtifactSummary<'a>> {
        numbers.iter().filter_map(|number| self.file(*number)).collect()
    }

    /// The artifact of a number.
    pub(super) fn file(&self, number: u32) -> Option<ArtifactSummary<'_>> {
        let artifact = self.artifacts.get(number)?;
        Some(ArtifactSummary {
            id: core_don(&self.org, ObjectType::Artifact, number),
            display_id: display_id(ObjectType::Artifact, number),
            file: FileSummary { name: &artifact.name, size: artifact.stated_size, r#type: &artifact.r#type },
        })
    }
}

/// A customer's organisation, whose ID is made of its name.
pub(super) fn rev_org<'a>(org: &str, name: &'a str) -> RevOrg<'a> {
    let mut hasher = FxHasher::default();
    hasher.write(name.as_bytes());
    let code = format!("{:08x}", hasher.finish() >> 32);
    RevOrg {
        r#type: "rev_org",
        id: format!("don:identity:dvrv-us-1:devo/{org}:revo/{code}"),
        display_id: format!("REV-{code}"),
        display_name: name,
    }
}

/// Milliseconds since the epoch as the API writes a time.
pub(super) fn date(milliseconds: u64) -> String {
    let date = i64::try_from(milliseconds).ok().and_then(DateTime::from_timestamp_millis);
    date.unwrap_or_default().to_rfc3339_opts(SecondsFormat::Millis, true)
}
