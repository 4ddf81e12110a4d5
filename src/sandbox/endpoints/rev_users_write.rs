//! `rev-users.create` and `rev-users.update`: every value is checked before the first one is changed.

use super::rev_user::{RevUser, RevUserAnswer, find_existing};
use super::{Answer, json};
use crate::devrev::objects;
use crate::sandbox::check::{Body, text, texts};
use crate::sandbox::clock::epoch_millis;
use crate::sandbox::contacts::{Contact, Contacts};
use crate::sandbox::error::{ApiError, json_type};
use crate::sandbox::schema::ARTIFACTS;
use crate::sandbox::state::State;
use crate::sandbox::stock::Stock;
use crate::sandbox::summary::rev_org;
use crate::sandbox::world::World;
use serde_json::{Map, Value};

/// Fields of a contact that other things here depend on.
const OWN: [&str; 7] =
    ["display_name", "description", "email", "external_ref", "external_refs", "phone_numbers", "artifacts"];

/// What a request sets. `None` leaves a value as it is; an empty text takes it away.
struct Change<'a> {
    display_name: Option<&'a str>,
    email: Option<&'a str>,
    external_ref: Option<&'a str>,
    external_refs: Option<Vec<String>>,
    description: Option<&'a str>,
    phone_numbers: Option<Vec<String>>,
    artifacts: Option<Box<[u32]>>,
    /// `null` takes a value away.
    fields: Option<&'a Map<String, Value>>,
    stock: Stock,
}

pub(super) fn create(world: &World, body: &Body) -> Answer {
    let mut change = Change::read(world, body, body.get("artifacts"), "artifacts")?;
    let mut state = world.write();
    change.stock = stock(world, &state, body)?;
    change.ref_is_free(&state, None)?;
    let org = body.get("rev_org").and_then(Value::as_str).map(|id| org(world, &state, id)).transpose()?;
    let failed = |error: String| ApiError::new(500, "internal_error", error);
    let at = state.contacts.create(epoch_millis()).map_err(failed)?;
    change.apply(&mut state.contacts, at)?;
    if let Some(contact) = state.contacts.get_mut(at) {
        contact.rev_org = org;
    }
    state.writes += 1;
    show(world, &state, at)
}

/// The name of the customer's organisation with this ID: there are those that contacts are in.
fn org(world: &World, state: &State, id: &str) -> Result<String, ApiError> {
    let contacts = state.contacts.slice(0, state.contacts.len()).iter();
    let mut names = contacts.filter_map(|contact| contact.rev_org.as_deref());
    let name = names.find(|name| rev_org(&world.org, name).has_id(id));
    let none = || ApiError::invalid_id("rev_org", format!("there is no organisation `{id}`"));
    name.map(str::to_owned).ok_or_else(none)
}

pub(super) fn update(world: &World, body: &Body) -> Answer {
    let id = text(body, "id");
    find_existing(world, &world.read(), id)?;
    let artifacts = body.get("artifacts").and_then(|artifacts| artifacts.get("set"));
    let mut change = Change::read(world, body, artifacts, "artifacts.set")?;
    let mut state = world.write();
    let at = find_existing(world, &state, id)?;
    change.ref_is_free(&state, Some(at))?;
    change.stock = stock(world, &state, body)?;
    change.apply(&mut state.contacts, at)?;
    state.writes += 1;
    // Still under the lock: the answer shows this update, and no later one.
    show(world, &state, at)
}

fn stock(world: &World, state: &State, body: &Body) -> Result<Stock, ApiError> {
    let contacts = objects::named("contact");
    contacts.map_or_else(
        || Ok(Stock::new()),
        |contacts| world.stock_of(state, contacts, &OWN, body, &Stock::new()),
    )
}

fn show(world: &World, state: &State, at: u32) -> Answer {
    json(&RevUserAnswer {
        rev_user: state.contacts.get(at).map(|contact| RevUser::of(world, state, contact)),
    })
}

impl<'a> Change<'a> {
    fn read(
        world: &World,
        body: &'a Body,
        artifacts: Option<&Value>,
        artifacts_path: &str,
    ) -> Result<Self, ApiError> {
        let text = |field: &str| body.get(field).and_then(Value::as_str);
        let list = |field: &str| body.get(field).map(|_| texts(body, field).map(str::to_owned).collect());
        let artifacts = artifacts.and_then(Value::as_array).map(|ids| {
            let number = |id: &str| {
                let named = world.object(id, ARTIFACTS).map(|named| named.number);
                let there = named.filter(|number| world.artifacts.get(*number).is_some());
                there.ok_or_else(|| {
                    ApiError::invalid_id(artifacts_path, format!("there is no artifact `{id}`"))
                })
            };
            ids.iter().filter_map(Value::as_str).map(number).collect::<Result<_, _>>()
        });
        let fields = body.get("custom_fields").and_then(Value::as_object);
        let spec = body.get("custom_schema_spec").and_then(|spec| spec.get("tenant_fragment"));
        let tenant = spec == Some(&Value::Bool(true));
        for (name, value) in fields.into_iter().flatten() {
            custom_field(world, tenant, name, value)?;
        }
        Ok(Self {
            display_name: text("display_name"),
            email: text("email"),
            external_ref: text("external_ref"),
            external_refs: list("external_refs"),
            description: text("description"),
            phone_numbers: list("phone_numbers"),
            artifacts: artifacts.transpose()?,
            fields,
            stock: Stock::new(),
        })
    }

    fn ref_is_free(&self, state: &State, at: Option<u32>) -> Result<(), ApiError> {
        match self.external_ref {
            Some(wanted) if !state.contacts.ref_is_free(at, wanted) => Err(taken(wanted)),
            Some(_) | None => Ok(()),
        }
    }

    fn apply(self, contacts: &mut Contacts, at: u32) -> Result<(), ApiError> {
        if let Some(wanted) = self.external_ref {
            contacts.set_ref(at, wanted).map_err(|_| taken(wanted))?;
        }
        if let Some(email) = self.email {
            contacts.set_email(at, Some(email.to_owned()));
        }
        if let Some(contact) = contacts.get_mut(at) {
            contact.writes += 1;
            contact.modified = epoch_millis();
            self.apply_rest(contact);
        }
        Ok(())
    }

    fn apply_rest(self, contact: &mut Contact) {
        let kept = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        if let Some(name) = self.display_name {
            contact.display_name = kept(name);
        }
        if let Some(description) = self.description {
            contact.description = kept(description);
        }
        if let Some(refs) = self.external_refs {
            contact.external_refs = refs;
        }
        if let Some(numbers) = self.phone_numbers {
            contact.phone_numbers = numbers;
        }
        if let Some(artifacts) = self.artifacts {
            contact.artifacts = artifacts;
        }
        contact.stock.extend(self.stock);
        for (name, value) in self.fields.into_iter().flatten() {
            if value.is_null() {
                contact.custom_fields.remove(name);
            } else {
                contact.custom_fields.insert(name.clone(), value.clone());
            }
        }
    }
}

fn taken(external_ref: &str) -> ApiError {
    ApiError::conflict(format!("another rev user has the external_ref `{external_ref}`"))
}

/// Checks one custom field against the schema of contacts.
fn custom_field(world: &World, tenant: bool, name: &str, value: &Value) -> Result<(), ApiError> {
    let refuse = |subtype: &str, reason: String| Err(ApiError::customization(subtype, name, reason));
    match world.contact_fields.get(name) {
        // Without the tenant's fragment no schema is asked for, and so no field is in it.
        Some(_) if !tenant => {
            let reason =
                "the request names no schema with this field: set custom_schema_spec.tenant_fragment";
            refuse("field_not_in_schema", reason.to_owned())
        }
        None => refuse("field_not_in_schema", "not a field of the tenant's schema".to_owned()),
        Some(wanted) if !value.is_null() && *wanted != json_type(value) => {
            refuse("wrong_type", format!("a {wanted} is wanted, not {}", json_type(value)))
        }
        Some(_) => Ok(()),
    }
}
