//! Works as tests look at them and change them.

use super::{CHUNK, parse};
use crate::devrev::ids::ObjectType;
use crate::sandbox::clock::epoch_millis;
use crate::sandbox::dons::display_id;
use crate::sandbox::error::ApiError;
use crate::sandbox::server::Server;
use crate::sandbox::state::State;
use crate::sandbox::works::Works;
use crate::sandbox::world::World;
use serde_json::{Value, json};
use std::fmt::Write as _;

/// Issues first, then tickets, tasks and opportunities.
pub(super) fn lines(server: &Server, begin: usize) -> (String, usize) {
    let (world, state) = (&server.world, server.world.read());
    let (mut works, mut begin) = (&state.works[0], begin);
    for next in &state.works[1..] {
        let Some(rest) = begin.checked_sub(works.len()) else { break };
        (works, begin) = (next, rest);
    }
    let (mut lines, slice) = (String::new(), works.slice(begin, CHUNK));
    for work in slice.iter().filter(|work| !work.is_deleted()) {
        let ids = |users: &[u32]| -> Vec<_> {
            users.iter().filter_map(|user| user_id(world, &state, *user)).collect()
        };
        let line = json!({
            "id": display_id(works.object, work.number),
            "type": works.object.don_name(),
            "created_by": user_id(world, &state, work.creator),
            "owned_by": ids(work.owners()),
            "reported_by": ids(work.reporters()),
            "writes": work.writes,
        });
        // Writing to a String does not fail.
        let _ = writeln!(lines, "{line}");
    }
    (lines, slice.len())
}

fn user_id(world: &World, state: &State, user: u32) -> Option<String> {
    let id = match state.contact_at(user) {
        Some(contact) => state.contacts.get(contact)?.id(),
        None => world.users.get(user as usize)?.id,
    };
    Some(id.to_string())
}

pub(super) fn set(server: &Server, id: &str, body: &[u8]) -> Result<Value, ApiError> {
    let (world, value) = (&server.world, parse(body)?);
    known(&value, &["owned_by", "reported_by"])?;
    let mut state = world.write();
    let (owners, reporters) =
        (users(world, &state, &value, "owned_by")?, users(world, &state, &value, "reported_by")?);
    let (object, number) = {
        let found = world.work(&state, id);
        let (works, work) = found.ok_or_else(|| ApiError::not_found(format!("there is no work `{id}`")))?;
        (works.object, work.number)
    };
    change(state.works_mut(object), number, owners, reporters);
    Ok(json!({}))
}

pub(super) fn create(server: &Server, body: &[u8]) -> Result<Value, ApiError> {
    let (world, value) = (&server.world, parse(body)?);
    known(&value, &["title", "created_by", "owned_by", "reported_by"])?;
    let mut state = world.write();
    let creator = value.get("created_by").and_then(Value::as_str).and_then(|id| world.user(&state, id));
    let creator = creator.ok_or_else(|| ApiError::bad_request("`created_by` is wanted: a user's ID"))?;
    let (owners, reporters) =
        (users(world, &state, &value, "owned_by")?, users(world, &state, &value, "reported_by")?);
    let title = value.get("title").and_then(Value::as_str).unwrap_or("A new ticket");
    let failed = |error: String| ApiError::new(500, "internal_error", error);
    let number =
        state.works_mut(ObjectType::Ticket).create(title, creator, epoch_millis()).map_err(failed)?;
    change(state.works_mut(ObjectType::Ticket), number, owners, reporters);
    Ok(json!({"id": display_id(ObjectType::Ticket, number)}))
}

fn change(works: &mut Works, number: u32, owners: Option<Box<[u32]>>, reporters: Option<Box<[u32]>>) {
    if let Some(owners) = owners {
        works.set_owners(number, owners);
    }
    if let Some(reporters) = reporters {
        works.set_reporters(number, reporters);
    }
    if let Some(work) = works.get_mut(number) {
        work.modified = epoch_millis();
    }
}

/// The users that a member of the body lists, if it is there.
fn users(world: &World, state: &State, body: &Value, name: &str) -> Result<Option<Box<[u32]>>, ApiError> {
    let Some(ids) = body.get(name) else { return Ok(None) };
    let wrong = || ApiError::bad_request(format!("`{name}`: a list of users' IDs is wanted"));
    let user = |id: &Value| id.as_str().and_then(|id| world.user(state, id)).ok_or_else(wrong);
    ids.as_array().ok_or_else(wrong)?.iter().map(user).collect::<Result<_, _>>().map(Some)
}

/// Refuses a member that would change nothing, unseen.
pub(super) fn known(body: &Value, names: &[&str]) -> Result<(), ApiError> {
    let object = body.as_object().ok_or_else(|| ApiError::bad_request("an object is wanted"))?;
    match object.keys().find(|name| !names.contains(&name.as_str())) {
        Some(name) => Err(ApiError::invalid_field(name)),
        None => Ok(()),
    }
}
