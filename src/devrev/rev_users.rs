//! `rev-users.*`: contacts.

use super::artifacts::ArtifactSummary;
use super::ids::{CONTACT_TYPES, Key, Ref};
use super::operation::{Operation, Safety};
use super::pages::{PAGE_LIMIT, list_endpoint};
use super::users::UserSummary;
use super::whole::Whole;
use crate::net::lenient;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::borrow::Cow;

/// A contact's members that are read by name (schema `rev-user`).
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct RevUser {
    /// The contact's DON.
    pub id: String,
    /// Its display ID.
    #[serde(default, deserialize_with = "lenient::word")]
    pub display_id: Option<String>,
    /// The name shown to others.
    #[serde(default)]
    pub display_name: Option<String>,
    /// The e-mail address.
    #[serde(default)]
    pub email: Option<String>,
    /// The ID in the operator's own system; unique in the organisation.
    #[serde(default)]
    pub external_ref: Option<String>,
    /// `active`, `deactivated`, `deleted`, `locked`, `shadow` or `unassigned`.
    #[serde(default)]
    pub state: Option<String>,
    /// Whether the address was verified.
    #[serde(default)]
    pub is_verified: Option<bool>,
    /// The contact that this one was merged into.
    #[serde(default)]
    pub primary_identity: Option<UserSummary>,
    /// When it was created, as DevRev writes times.
    #[serde(default, deserialize_with = "lenient::word")]
    pub created_date: Option<String>,
    /// Its files.
    #[serde(default, deserialize_with = "lenient::list")]
    pub artifacts: Vec<ArtifactSummary>,
}

impl RevUser {
    /// What tells this contact from others; `None` for an ID that is not a contact's.
    pub(crate) fn key(&self) -> Option<Key> {
        contact_key(&self.id)
    }

    /// The ID as people know it: short enough for the name of a folder, too.
    pub(crate) fn shown(&self) -> Cow<'_, str> {
        match (&self.display_id, self.key()) {
            (Some(shown), _) => shown.into(),
            (None, Some(key)) => key.to_string().into(),
            (None, None) => (&*self.id).into(),
        }
    }
}

/// What tells the contact of this ID from others.
pub(crate) fn contact_key(id: &str) -> Option<Key> {
    Ref::parse(id, CONTACT_TYPES).ok().map(Ref::key)
}

/// The answer of `rev-users.get`, `.update` and `.create`.
#[derive(Debug, Deserialize)]
pub(crate) struct RevUserAnswer {
    /// The contact as it is now.
    pub rev_user: Whole<RevUser>,
}

/// `rev-users.get`. A contact that was merged may be gone (404) or have moved (301).
#[derive(Debug, Clone, Serialize)]
pub(crate) struct RevUsersGet {
    /// The contact's ID, in either form.
    pub id: String,
}

impl Operation for RevUsersGet {
    const ENDPOINT: &'static str = "rev-users.get";
    const SAFETY: Safety = Safety::Read;
    type Answer = RevUserAnswer;
}

/// `rev-users.list` by e-mail addresses or by external references.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct RevUsersList {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    email: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    external_ref: Vec<String>,
    limit: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<String>,
}

impl RevUsersList {
    /// The contacts that have any of these addresses; all of them, if there is none.
    pub(crate) fn by_email(email: Vec<String>) -> Self {
        Self { email, external_ref: Vec::new(), limit: PAGE_LIMIT, cursor: None }
    }

    /// The contacts that have any of these references.
    pub(crate) fn by_external_ref(external_ref: Vec<String>) -> Self {
        Self { email: Vec::new(), external_ref, limit: PAGE_LIMIT, cursor: None }
    }
}

list_endpoint! {
    /// A page of contacts.
    RevUsersList = "rev-users.list" -> RevUsersListAnswer { rev_users: Whole<RevUser> }
}

/// `rev-users.merge`: the secondary contact becomes part of the primary one. Answered at once, carried out
/// later, and never undone: there is no job ID, no idempotency key and no way to undo it.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct RevUsersMerge {
    /// The contact that stays.
    pub primary_user: String,
    /// The contact that ends.
    pub secondary_user: String,
}

/// An empty acknowledgement: `{}`, or no body at all.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(from = "Option<Empty>")]
pub(crate) struct Acknowledged;

/// An object whose members say nothing.
#[derive(Debug, Deserialize)]
struct Empty {}

impl From<Option<Empty>> for Acknowledged {
    fn from(_: Option<Empty>) -> Self {
        Self
    }
}

impl Operation for RevUsersMerge {
    const ENDPOINT: &'static str = "rev-users.merge";
    const SAFETY: Safety = Safety::Once;
    type Answer = Acknowledged;
}

/// `rev-users.update` of some members of a contact.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct RevUsersUpdate {
    id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    external_ref: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    display_name: Option<String>,
}

impl RevUsersUpdate {
    /// Changes nothing yet.
    pub(crate) fn of(id: impl Into<String>) -> Self {
        Self { id: id.into(), external_ref: None, display_name: None }
    }

    /// Sets the reference; 409 while another contact has it.
    #[must_use]
    pub(crate) fn external_ref(mut self, external_ref: Option<String>) -> Self {
        self.external_ref = external_ref;
        self
    }

    /// Sets the name.
    #[must_use]
    pub(crate) fn display_name(mut self, display_name: Option<String>) -> Self {
        self.display_name = display_name;
        self
    }
}

impl Operation for RevUsersUpdate {
    const ENDPOINT: &'static str = "rev-users.update";
    const SAFETY: Safety = Safety::Write;
    type Answer = RevUserAnswer;
}

/// `rev-users.create`: a new contact, with a new ID each time that it is sent. 409 while another contact has the external reference.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct RevUsersCreate {
    /// The members of schema `rev-users-create-request`.
    #[serde(flatten)]
    pub members: Map<String, Value>,
}

impl Operation for RevUsersCreate {
    const ENDPOINT: &'static str = "rev-users.create";
    const SAFETY: Safety = Safety::Once;
    type Answer = RevUserAnswer;
}
