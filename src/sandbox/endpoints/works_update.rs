//! `works.update`: every value is checked before the first one is changed.

use super::works::{Shown, WorkAnswer, not_found};
use super::{Answer, Endpoint, json};
use crate::devrev::ids::{IdError, ObjectType, Ref};
use crate::sandbox::check::{Body, text};
use crate::sandbox::clock::epoch_millis;
use crate::sandbox::error::{ApiError, json_type};
use crate::sandbox::format::{CustomField, IdTarget};
use crate::sandbox::state::State;
use crate::sandbox::works::Works;
use crate::sandbox::world::World;
use serde_json::Value;

pub(super) const ENDPOINTS: &[Endpoint] =
    &[Endpoint::write("works.update", crate::sandbox::schema::WORKS_UPDATE, 200, run)];

/// What a request changes. `None` leaves a value as it is.
#[derive(Default)]
struct Change<'a> {
    title: Option<&'a str>,
    body: Option<&'a str>,
    owners: Option<Box<[u32]>>,
    reporters: Option<Box<[u32]>>,
    group: GroupChange,
    /// Other custom fields; `None` takes the value away.
    fields: Vec<(&'a str, Option<String>)>,
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
    let change = change(world, &state, object, body)?;
    required_fields(world, &state, (object, number), body)?;
    state.writes += 1;
    let works = if object == ObjectType::Ticket { &mut state.tickets } else { &mut state.issues };
    change.apply(works, number);
    // Still under the lock: the answer shows this update, and no later one.
    let (works, work) = world.work(&state, id).ok_or_else(|| not_found(id))?;
    json(&WorkAnswer { work: Shown::of(world, &state, works, work) })
}

fn change<'a>(
    world: &World,
    state: &State,
    object: ObjectType,
    body: &'a Body,
) -> Result<Change<'a>, ApiError> {
    let mut change = Change {
        title: body.get("title").and_then(Value::as_str),
        body: body.get("body").and_then(Value::as_str),
        owners: user_set(world, state, body, "owned_by")?,
        reporters: user_set(world, state, body, "reported_by")?,
        ..Change::default()
    };
    if change.owners.as_ref().is_some_and(|owners| owners.is_empty()) {
        return Err(ApiError::not_permitted("owned_by.set", "must not be empty"));
    }
    if object == ObjectType::Ticket {
        return no_fields_of_issues(body).map(|()| change);
    }
    match body.get("creator_group") {
        None => {}
        Some(Value::Object(group)) => {
            let id = text(group, "id");
            let none = || ApiError::invalid_id("creator_group.id", format!("there is no group `{id}`"));
            change.group = GroupChange::To(Some(world.group(id).ok_or_else(none)?));
        }
        Some(_) => change.group = GroupChange::To(None),
    }
    if let Some(fields) = body.get("custom_fields").and_then(Value::as_object) {
        let spec = body.get("custom_schema_spec").and_then(|spec| spec.get("tenant_fragment"));
        let tenant = spec == Some(&Value::Bool(true));
        for (name, value) in fields {
            custom_field(world, tenant, name, value, &mut change)?;
        }
    }
    Ok(change)
}

/// With `validate_required_fields`, an issue must have every field that the tenant requires once it is changed.
fn required_fields(
    world: &World,
    state: &State,
    (object, number): (ObjectType, u32),
    body: &Body,
) -> Result<(), ApiError> {
    let spec = body.get("custom_schema_spec").and_then(Value::as_object);
    let asked = |name: &str| spec.and_then(|spec| spec.get(name)) == Some(&Value::Bool(true));
    if object == ObjectType::Ticket || !asked("validate_required_fields") || !asked("tenant_fragment") {
        return Ok(());
    }
    let issue = state.issues.get(number);
    let given = body.get("custom_fields").and_then(Value::as_object);
    let has = |name: &String| {
        let extra = issue.and_then(|issue| issue.extra.as_deref());
        given.is_some_and(|given| given.contains_key(name))
            || extra.is_some_and(|extra| extra.fields.contains_key(name))
            || (*name == world.creator_group_field && issue.is_some_and(|issue| issue.group.is_some()))
    };
    let missing = world.custom_fields.iter().find(|(name, field)| field.required() && !has(name));
    match missing {
        Some((name, _)) => {
            Err(ApiError::customization("field_required", name, format!("required field {name} is not set")))
        }
        None => Ok(()),
    }
}

/// The fields that a data file declares are those of issues: a ticket has none of them.
fn no_fields_of_issues(body: &Body) -> Result<(), ApiError> {
    let custom = body.get("custom_fields").and_then(Value::as_object);
    if let Some(name) = custom.and_then(|fields| fields.keys().next()) {
        let reason = "not a field of the tenant's schema of tickets";
        return Err(ApiError::customization("field_not_in_schema", name, reason));
    }
    if body.contains_key("creator_group") { Err(ApiError::invalid_field("creator_group")) } else { Ok(()) }
}

/// The users of `{"set": [...]}`.
fn user_set(world: &World, state: &State, body: &Body, field: &str) -> Result<Option<Box<[u32]>>, ApiError> {
    let Some(set) = body.get(field).and_then(|field| field.get("set")).and_then(Value::as_array) else {
        return Ok(None);
    };
    let path = format!("{field}.set");
    let users = set.iter().filter_map(Value::as_str).map(|id| world.existing_user(state, &path, id));
    users.collect::<Result<_, _>>().map(Some)
}

/// Checks one custom field against the tenant's schema.
fn custom_field<'a>(
    world: &World,
    tenant: bool,
    name: &'a str,
    value: &Value,
    change: &mut Change<'a>,
) -> Result<(), ApiError> {
    let refuse = |subtype: &str, reason: String| Err(ApiError::customization(subtype, name, reason));
    let field = match world.custom_fields.get(name) {
        // Without the tenant's fragment no schema is asked for, and so no field is in it.
        Some(_) if !tenant => {
            let reason =
                "the request names no schema with this field: set custom_schema_spec.tenant_fragment";
            return refuse("field_not_in_schema", reason.to_owned());
        }
        None => return refuse("field_not_in_schema", "not a field of the tenant's schema".to_owned()),
        Some(field) => field,
    };
    let text = match value {
        Value::Null => None,
        Value::String(text) => Some(text.as_str()),
        other => return refuse("wrong_type", format!("a string is needed, not {}", json_type(other))),
    };
    let (shown, group) = match (field, text) {
        (field, None) if field.required() => {
            return refuse("field_required", format!("required field {name} cannot be empty"));
        }
        (_, None) => (None, None),
        (CustomField::Text { .. }, Some(text)) => (Some(text.to_owned()), None),
        (CustomField::Id { allowed, .. }, Some(id)) => match Ref::parse(id, &types(allowed)) {
            Err(error @ IdError::Shape { .. }) => return refuse("id_parse_error", error.to_string()),
            Err(error @ IdError::WrongType { .. }) => {
                return refuse("id_type_not_allowed", error.to_string());
            }
            Ok(_) => match world.group(id) {
                None => return refuse("invalid_argument", format!("there is no group `{id}`")),
                Some(group) => (world.groups.get(group as usize).map(|group| group.don.clone()), Some(group)),
            },
        },
    };
    if name == world.creator_group_field {
        change.group = GroupChange::To(group);
    } else {
        change.fields.push((name, shown));
    }
    Ok(())
}

fn types(allowed: &[IdTarget]) -> Vec<ObjectType> {
    let of = |target: &IdTarget| match target {
        IdTarget::Group => ObjectType::Group,
    };
    allowed.iter().map(of).collect()
}

impl Change<'_> {
    fn apply(self, works: &mut Works, number: u32) {
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
        for (name, value) in self.fields {
            match value {
                Some(value) => drop(work.extra_mut().fields.insert(name.to_owned(), value)),
                None => drop(work.extra_mut().fields.remove(name)),
            }
        }
    }
}
