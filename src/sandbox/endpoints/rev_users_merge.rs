//! `rev-users.merge`: accepted now, carried out later.

use super::rev_user::find_existing;
use super::{Answer, json};
use crate::sandbox::check::{Body, text};
use crate::sandbox::error::ApiError;
use crate::sandbox::schema::CONTACTS;
use crate::sandbox::world::World;
use serde_json::json;

pub(super) fn run(world: &World, body: &Body) -> Answer {
    let (primary, secondary) = (text(body, "primary_user"), text(body, "secondary_user"));
    let named = |id: &str| world.object(id, CONTACTS);
    if named(primary).is_some() && named(primary) == named(secondary) {
        return Err(ApiError::bad_request("`primary_user` and `secondary_user` name the same rev user"));
    }
    let mut state = world.write();
    let existing = |id: &str| {
        find_existing(world, &state, id)
            .map_err(|_| ApiError::not_found(format!("rev user `{id}` not found")))
    };
    let (primary, secondary) = (existing(primary)?, existing(secondary)?);
    state.accept_merge(primary, secondary, world.now());
    json(&json!({}))
}
