//! `conversations.get` and `conversations.list`.

use super::{Answer, Endpoint, json, works};
use crate::devrev::ids::ObjectType;
use crate::sandbox::check::{Body, nothing, text};
use crate::sandbox::conversations::Conversation;
use crate::sandbox::cursor::Page;
use crate::sandbox::dons::{core_don, display_id};
use crate::sandbox::error::ApiError;
use crate::sandbox::schema::{CONVERSATIONS, CONVERSATIONS_GET, CONVERSATIONS_LIST};
use crate::sandbox::state::State;
use crate::sandbox::summary::{Summary, date};
use crate::sandbox::world::World;
use serde::Serialize;

pub(super) const ENDPOINTS: &[Endpoint] = &[
    Endpoint::read("conversations.get", CONVERSATIONS_GET, get),
    Endpoint::read("conversations.list", CONVERSATIONS_LIST, list),
];

/// `conversation`
#[derive(Serialize)]
struct Shown<'a> {
    id: String,
    display_id: String,
    title: &'a str,
    members: Vec<Summary<'a>>,
    created_date: String,
    modified_date: String,
}

/// `conversations-get-response`
#[derive(Serialize)]
struct ConversationAnswer<'a> {
    conversation: Shown<'a>,
}

/// `conversations-list-response`
#[derive(Serialize)]
struct ConversationsAnswer<'a> {
    conversations: Vec<Shown<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

fn get(world: &World, body: &Body) -> Answer {
    let id = text(body, "id");
    let state = world.read();
    let named = world.object(id, CONVERSATIONS);
    let found = named.and_then(|named| state.conversations.get(named.number));
    let found = found.ok_or_else(|| ApiError::not_found(format!("conversation `{id}` not found")))?;
    json(&ConversationAnswer { conversation: show(world, &state, found) })
}

fn list(world: &World, body: &Body) -> Answer {
    let page = Page::of("conversations.list", body)?;
    let state = world.read();
    let members = works::users(world, &state, body, "members");
    let after = u32::try_from(page.after).unwrap_or(u32::MAX);
    let mut found = state.conversations.select(members.as_deref(), after, page.limit + 1);
    if nothing(body, CONVERSATIONS_LIST) {
        found.clear();
    }
    let more = found.len() > page.limit;
    found.truncate(page.limit);
    let next_cursor = found.last().filter(|_| more).map(|last| page.next_cursor(last.number.into()));
    let conversations = found.into_iter().map(|found| show(world, &state, found)).collect();
    json(&ConversationsAnswer { conversations, next_cursor })
}

fn show<'a>(world: &'a World, state: &'a State, conversation: &'a Conversation) -> Shown<'a> {
    let number = conversation.number;
    let created = 1_714_557_600_000 + u64::from(number) * 1_800_000;
    Shown {
        id: core_don(&world.org, ObjectType::Conversation, number),
        display_id: display_id(ObjectType::Conversation, number),
        title: &conversation.title,
        members: world.summaries(state, &conversation.members),
        created_date: date(created),
        modified_date: date(created + 5_400_000),
    }
}
