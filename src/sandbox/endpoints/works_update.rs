//! `works.update`: every value is checked before the first one is changed.

use super::documents::set_custom;
use super::works::{WorkAnswer, not_found, show};
use super::{Answer, Endpoint, json};
use crate::devrev::ids::ObjectType;
use crate::devrev::objects;
use crate::sandbox::check::{Body, text};
use crate::sandbox::clock::epoch_millis;
use crate::sandbox::error::ApiError;
use crate::sandbox::state::State;
use crate::sandbox::stock::Stock;
use crate::sandbox::works::Works;
use crate::sandbox::world::World;
use serde_json::{Map, Value};

pub(super) const ENDPOINTS: &[Endpoint] =
    &[Endpoint::write("works.update", crate::sandbox::schema::WORKS_UPDATE, 200, run)];

/// What a request changes. `None` leaves a value as it is.
#[derive(Default)]
pub(super) struct Change<'a> {
    title: Option<&'a str>,
    body: Option<&'a str>,
    owners: Option<Box<[u32]>>,
    reporters: Option<Box<[u32]>>,
    group: GroupChange,
    /// Other custom fields; `null` takes the value away.
    fields: Map<String, Value>,
    /// Stock fields that nothing else here depends on.
    stock: Stock,
}

/// What becomes of the creator group.
#[derive(Default)]
enum GroupChange {
    #[default]
    Keep,
    /// `None` takes it away.
    To(Option<u32>),
}

pub(super) fn run(world: &World, body: &Body) -> Answer {
    let id = text(body, "id");
    let mut state = world.write();
    let (object, number) = {
        let (works, work) = world.work(&state, id).ok_or_else(|| not_found(id))?;
        (works.object, work.number)
    };
    let own = object.don_name();
    if text(body, "type") != own {
        let reason = format!("`{id}` is {}, not of type {}", object.noun(), text(body, "type"));
        return Err(ApiError::not_permitted("type", reason).with("allowed_values", vec![own]));
    }
    let change = change(world, &state, (object, number), body)?;
    required_fields(world, &state, (object, number), body)?;
    state.writes += 1;
    change.apply(state.works_mut(object), number);
    // Still under the lock: the answer shows this update, and no later one.
    let (works, work) = world.work(&state, id).ok_or_else(|| not_found(id))?;
    json(&WorkAnswer { work: show(world, &state, works, work) })
}

/// Members of a request that are no fields of the object.
const NO_FIELDS: [&str; 9] = [
    "creator_group",
    "custom_fields",
    "custom_schema_fragments",
    "custom_schema_spec",
    "external_ref",
    "id",
    "stage_validation_options",
    "staged_info",
    "type",
];
/// Fields that other things here depend on.
const OWN: [&str; 4] = ["title", "body", "owned_by", "reported_by"];

/// What a request changes of the work with this number, or sets of the one that will have it.
pub(super) fn change<'a>(
    world: &World,
    state: &State,
    (object, number): (ObjectType, u32),
    body: &'a Body,
) -> Result<Change<'a>, ApiError> {
    let none = || ApiError::new(500, "internal_error", "no such type of work");
    let leaf = objects::named(object.don_name()).ok_or_else(none)?;
    // The table has the members of all types of works.
    let is_other = |name: &&String| !NO_FIELDS.contains(&name.as_str()) && leaf.field(name).is_none();
    if let Some(name) = body.keys().find(is_other) {
        return Err(ApiError::invalid_field(name));
    }
    let extra = state.works_of(object).get(number).and_then(|work| work.extra.as_deref());
    let before = extra.map_or_else(Stock::new, |extra| extra.stock.clone());
    let mut change = Change {
        title: body.get("title").and_then(Value::as_str),
        body: body.get("body").and_then(Value::as_str),
        owners: user_set(world, state, body, "owned_by")?,
        reporters: user_set(world, state, body, "reported_by")?,
        stock: world.stock_of(state, leaf, &OWN, body, &before)?,
        ..Change::default()
    };
    if change.owners.as_ref().is_some_and(|owners| owners.is_empty()) {
        let path = if body["owned_by"].is_array() { "owned_by" } else { "owned_by.set" };
        return Err(ApiError::not_permitted(path, "must not be empty"));
    }
    match body.get("creator_group") {
        None => {}
        Some(_) if object != ObjectType::Issue => return Err(ApiError::invalid_field("creator_group")),
        Some(Value::Object(group)) => {
            let id = text(group, "id");
            let none = || ApiError::invalid_id("creator_group.id", format!("there is no group `{id}`"));
            change.group = GroupChange::To(Some(world.group(id).ok_or_else(none)?));
        }
        Some(_) => change.group = GroupChange::To(None),
    }
    let mut fields = world.custom_of(state, leaf.leaf_type, body)?;
    if object == ObjectType::Issue
        && let Some(group) = fields.remove(&world.creator_group_field)
    {
        change.group = GroupChange::To(group.as_str().and_then(|id| world.group(id)));
    }
    change.fields = fields;
    Ok(change)
}

/// With `validate_required_fields`, a work must have every field that the tenant requires once it is changed.
pub(super) fn required_fields(
    world: &World,
    state: &State,
    (object, number): (ObjectType, u32),
    body: &Body,
) -> Result<(), ApiError> {
    let work = state.works_of(object).get(number);
    world.required(object.don_name(), body, |name| {
        let extra = work.and_then(|work| work.extra.as_deref());
        let is_group = object == ObjectType::Issue && *name == world.creator_group_field;
        extra.is_some_and(|extra| extra.fields.contains_key(name))
            || (is_group && work.is_some_and(|work| work.group.is_some()))
    })
}

/// The users of `{"set": [...]}`, or of an array: a creation has that.
fn user_set(world: &World, state: &State, body: &Body, field: &str) -> Result<Option<Box<[u32]>>, ApiError> {
    let Some(whole) = body.get(field) else { return Ok(None) };
    let (path, set) = match whole.get("set") {
        Some(set) => (format!("{field}.set"), set.as_array()),
        None => (field.to_owned(), whole.as_array()),
    };
    let Some(set) = set else { return Ok(None) };
    let users = set.iter().filter_map(Value::as_str).map(|id| world.existing_user(state, &path, id));
    users.collect::<Result<_, _>>().map(Some)
}

impl Change<'_> {
    pub(super) fn apply(self, works: &mut Works, number: u32) {
        if let Some(owners) = self.owners {
            works.set_owners(number, owners);
        }
        if let Some(reporters) = self.reporters {
            works.set_reporters(number, reporters);
        }
        let Some(work) = works.get_mut(number) else { return };
        work.writes += 1;
        work.modified = epoch_millis();
        if let Some(title) = self.title {
            work.title = title.into();
        }
        if let GroupChange::To(group) = self.group {
            work.group = group;
        }
        if let Some(body) = self.body {
            work.extra_mut().body = Some(body.to_owned());
        }
        if !self.fields.is_empty() {
            set_custom(&mut work.extra_mut().fields, self.fields);
        }
        if !self.stock.is_empty() {
            work.extra_mut().stock.extend(self.stock);
        }
    }
}
