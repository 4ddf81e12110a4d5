//! What people name and requests want by ID: `tags.list`, `tags.create`, `parts.list`, `dev-users.list`.

use super::{Answer, Endpoint, json, paged, users};
use crate::devrev::ids::ObjectType;
use crate::sandbox::check::{Body, nothing, text, texts};
use crate::sandbox::cursor::Page;
use crate::sandbox::dons::{core_don, display_id};
use crate::sandbox::error::ApiError;
use crate::sandbox::format::{Tag, UserKind};
use crate::sandbox::schema::{DEV_USERS_LIST, PARTS_LIST, TAGS_CREATE, TAGS_LIST};
use crate::sandbox::world::World;
use serde_json::{Value, json};

pub(super) const ENDPOINTS: &[Endpoint] = &[
    Endpoint::read("tags.list", TAGS_LIST, tags),
    Endpoint::write("tags.create", TAGS_CREATE, 201, create_tag),
    Endpoint::read("parts.list", PARTS_LIST, parts),
    Endpoint::read("dev-users.list", DEV_USERS_LIST, dev_users),
];

fn passes(body: &Body, field: &str, value: Option<&str>) -> bool {
    let mut wanted = texts(body, field).peekable();
    wanted.peek().is_none() || wanted.any(|wanted| Some(wanted) == value)
}

fn tag(world: &World, tag: &Tag) -> Value {
    json!({
        "id": core_don(&world.org, ObjectType::Tag, tag.number),
        "display_id": display_id(ObjectType::Tag, tag.number),
        "name": tag.name,
        "created_date": "2024-05-01T08:00:00.000Z",
        "modified_date": "2024-05-01T08:00:00.000Z",
    })
}

fn tags(world: &World, body: &Body) -> Answer {
    let page = Page::of("tags.list", body)?;
    let state = world.read();
    let found = state.tags.iter().filter(|tag| passes(body, "name", Some(&tag.name)));
    paged(&page, "tags", found.map(|one| tag(world, one)))
}

/// The name of a tag is unique.
fn create_tag(world: &World, body: &Body) -> Answer {
    let name = text(body, "name");
    if name.is_empty() {
        return Err(ApiError::bad_request("a tag needs a name"));
    }
    let mut state = world.write();
    if state.tags.iter().any(|tag| tag.name == name) {
        return Err(ApiError::conflict(format!("there is a tag `{name}`")));
    }
    let number = state.tags.iter().map(|tag| tag.number).max().unwrap_or(0) + 1;
    let new = Tag { number, name: name.to_owned() };
    let answer = json!({ "tag": tag(world, &new) });
    state.tags.push(new);
    state.writes += 1;
    json(&answer)
}

fn parts(world: &World, body: &Body) -> Answer {
    let page = Page::of("parts.list", body)?;
    let none = nothing(body, PARTS_LIST);
    let state = world.read();
    let found = world.parts.iter().filter(|part| {
        let kind = json!(part.kind);
        !none && passes(body, "name", Some(&part.name)) && passes(body, "type", kind.as_str())
    });
    paged(
        &page,
        "parts",
        found.filter_map(|part| world.reference(&state, &display_id(part.kind.object(), part.number))),
    )
}

fn dev_users(world: &World, body: &Body) -> Answer {
    let page = Page::of("dev-users.list", body)?;
    let none = nothing(body, DEV_USERS_LIST);
    let found = world.users.iter().filter(|user| {
        let state = json!(user.state);
        user.id.kind == UserKind::DevUser
            && !none
            && passes(body, "email", user.email.as_deref())
            && passes(body, "state", state.as_str())
    });
    paged(&page, "dev_users", found.map(|user| users::show(world, user)))
}
