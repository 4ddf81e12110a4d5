//! `groups.list`, `groups.get` and `groups.members.list`.

use super::{Answer, Endpoint, json, paged};
use crate::sandbox::check::{Body, nothing, text, texts};
use crate::sandbox::cursor::Page;
use crate::sandbox::error::ApiError;
use crate::sandbox::schema::{GROUP_MEMBERS_LIST, GROUPS_GET, GROUPS_LIST};
use crate::sandbox::world::{Group, World};
use serde_json::{Value, json};

pub(super) const ENDPOINTS: &[Endpoint] = &[
    Endpoint::read("groups.list", GROUPS_LIST, list),
    Endpoint::read("groups.get", GROUPS_GET, get),
    Endpoint::read("groups.members.list", GROUP_MEMBERS_LIST, members),
];

fn list(world: &World, body: &Body) -> Answer {
    let page = Page::of("groups.list", body)?;
    let passes = |field: &str, value: &str| {
        let mut wanted = texts(body, field).peekable();
        wanted.peek().is_none() || wanted.any(|wanted| wanted == value)
    };
    let none = nothing(body, GROUPS_LIST);
    let is_default = body.get("is_default").and_then(Value::as_bool);
    let groups = world.groups.iter().filter(|group| {
        !none
            && is_default.is_none_or(|wanted| group.is_default == wanted)
            && passes("name", &group.name)
            && passes("member_type", json!(group.member_type).as_str().unwrap_or_default())
            && passes("group_type", json!(group.kind).as_str().unwrap_or_default())
    });
    paged(&page, "groups", groups.map(show))
}

fn get(world: &World, body: &Body) -> Answer {
    json(&json!({"group": show(group(world, text(body, "id"))?)}))
}

fn members(world: &World, body: &Body) -> Answer {
    let group = group(world, text(body, "group"))?;
    let page = Page::of("groups.members.list", body)?;
    let state = world.read();
    let members = group.members.iter().map(|member| json!({"member": world.member(&state, *member)}));
    paged(&page, "members", members)
}

fn group<'a>(world: &'a World, id: &str) -> Result<&'a Group, ApiError> {
    let group = world.group(id).and_then(|group| world.groups.get(group as usize));
    group.ok_or_else(|| ApiError::not_found(format!("group `{id}` not found")))
}

fn show(group: &Group) -> Value {
    let mut shown = json!({
        "id": group.don,
        "display_id": group.id.to_string(),
        "name": group.name,
        "member_type": group.member_type,
        "is_default": group.is_default,
        "created_date": "2023-03-01T08:00:00.000Z",
        "modified_date": "2025-04-17T14:20:00.000Z",
    });
    if let Some(description) = &group.description {
        shown["description"] = json!(description);
    }
    shown
}
