//! `dev-users.self` and `dev-users.get`.

use super::{Answer, Endpoint, json};
use crate::sandbox::check::{Body, text};
use crate::sandbox::dons::identity_don;
use crate::sandbox::error::ApiError;
use crate::sandbox::schema::{DEV_USERS_GET, DEV_USERS_SELF};
use crate::sandbox::world::{User, World, display_name};
use serde_json::{Value, json};

pub(super) const ENDPOINTS: &[Endpoint] = &[
    Endpoint::read("dev-users.self", DEV_USERS_SELF, own),
    Endpoint::read("dev-users.get", DEV_USERS_GET, get),
];

fn own(world: &World, _: &Body) -> Answer {
    answer(world, world.users.get(world.own as usize), "self")
}

fn get(world: &World, body: &Body) -> Answer {
    let id = text(body, "id");
    let user = world.user(&world.read(), id).and_then(|user| world.users.get(user as usize));
    answer(world, user, id)
}

fn answer(world: &World, user: Option<&User>, id: &str) -> Answer {
    let user = user.ok_or_else(|| ApiError::not_found(format!("dev user `{id}` not found")))?;
    json(&json!({"dev_user": show(world, user)}))
}

/// `dev-user`
pub(super) fn show(world: &World, user: &User) -> Value {
    let mut shown = json!({
        "id": identity_don(&world.org, user.id.kind.object(), user.id.number),
        "display_id": user.id.to_string(),
        "display_name": display_name(&user.name),
        "full_name": user.name,
        "state": user.state,
        "created_date": "2023-02-14T09:30:00.000Z",
    });
    if let Some(email) = &user.email {
        shown["email"] = json!(email);
    }
    shown
}
