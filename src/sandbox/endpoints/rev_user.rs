//! How a contact looks in an answer, and how a request names one.

use crate::devrev::objects;
use crate::sandbox::contacts::Contact;
use crate::sandbox::error::ApiError;
use crate::sandbox::merge::MergeEnds;
use crate::sandbox::schema::CONTACTS;
use crate::sandbox::state::State;
use crate::sandbox::summary::{ArtifactSummary, ContactMembers, Summary, date};
use crate::sandbox::world::World;
use serde::Serialize;
use serde_json::{Map, Value};

/// `rev-user`
#[derive(Serialize)]
pub(super) struct RevUser<'a> {
    #[serde(flatten)]
    members: ContactMembers<'a>,
    external_refs: Vec<&'a str>,
    is_verified: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    phone_numbers: &'a [String],
    custom_fields: &'a Map<String, Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    primary_identity: Option<Summary<'a>>,
    artifacts: Vec<ArtifactSummary<'a>>,
    created_date: String,
    modified_date: String,
    /// Its tags and its picture.
    #[serde(flatten)]
    stock: Map<String, Value>,
}

/// `rev-users-get-response` and its siblings.
#[derive(Serialize)]
pub(super) struct RevUserAnswer<'a> {
    pub(super) rev_user: Option<RevUser<'a>>,
}

impl<'a> RevUser<'a> {
    /// A contact as an answer shows it.
    pub(super) fn of(world: &'a World, state: &'a State, contact: &'a Contact) -> Self {
        let mut external_refs: Vec<&str> = contact.external_refs.iter().map(String::as_str).collect();
        if external_refs.is_empty() {
            external_refs.extend(contact.external_ref());
        }
        let identity = contact.merged.filter(|merged| merged.ends == MergeEnds::Identity);
        Self {
            members: world.members(contact),
            external_refs,
            is_verified: contact.is_verified,
            description: contact.description.as_deref(),
            phone_numbers: &contact.phone_numbers,
            custom_fields: &contact.custom_fields,
            primary_identity: identity.and_then(|merged| world.summary(state, state.user_at(merged.into))),
            artifacts: world.files(&contact.artifacts),
            created_date: date(contact.created),
            modified_date: date(contact.modified),
            stock: world.contact_stock(state, contact),
        }
    }
}

impl World {
    fn contact_stock(&self, state: &State, contact: &Contact) -> Map<String, Value> {
        let mut shown = Value::Object(Map::new());
        if let Some(contacts) = objects::named("contact").filter(|_| !contact.stock.is_empty()) {
            self.show_stock(state, contacts, &contact.stock, &mut shown);
        }
        match shown {
            Value::Object(shown) => shown,
            _ => Map::new(),
        }
    }
}

/// The position of the contact that an ID names, deleted ones included; one that has moved says where to.
pub(super) fn find(world: &World, state: &State, id: &str) -> Result<u32, ApiError> {
    let none = || ApiError::not_found(format!("rev user `{id}` not found"));
    let named = world.object(id, CONTACTS).ok_or_else(none)?;
    let at = state.contacts.position(named.number).ok_or_else(none)?;
    let merged = state.contacts.get(at).and_then(|contact| contact.merged);
    match merged {
        Some(merged) if merged.ends == MergeEnds::Gone => Err(none()),
        Some(merged) if merged.ends == MergeEnds::Moved => {
            let primary = state.contacts.get(merged.into).ok_or_else(none)?;
            Err(ApiError::moved(primary.don(&world.org)))
        }
        Some(_) | None => Ok(at),
    }
}

/// The same, for a request that changes the contact: deleted ones are not found.
pub(super) fn find_existing(world: &World, state: &State, id: &str) -> Result<u32, ApiError> {
    let at = find(world, state, id)?;
    let exists = state.contacts.get(at).is_some_and(Contact::exists);
    if exists { Ok(at) } else { Err(ApiError::not_found(format!("rev user `{id}` not found"))) }
}
