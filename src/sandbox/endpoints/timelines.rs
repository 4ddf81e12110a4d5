//! `timeline-entries.list`.

use super::{Answer, Endpoint, json};
use crate::devrev::ids::ObjectType;
use crate::sandbox::check::{Body, nothing, text, texts};
use crate::sandbox::contacts::Contact;
use crate::sandbox::cursor::Page;
use crate::sandbox::dons::{core_don, identity_don};
use crate::sandbox::error::ApiError;
use crate::sandbox::format::{EntryType, ObjectRef};
use crate::sandbox::schema::{TIMELINE_ENTRIES_LIST, TIMELINES};
use crate::sandbox::state::State;
use crate::sandbox::summary::{ArtifactSummary, Summary, date};
use crate::sandbox::timelines::Entry;
use crate::sandbox::world::World;
use serde::Serialize;
use serde_json::{Value, json};
use std::borrow::Cow;

/// Of every entry here.
const VISIBILITY: &str = "external";

pub(super) const ENDPOINTS: &[Endpoint] =
    &[Endpoint::read("timeline-entries.list", TIMELINE_ENTRIES_LIST, list)];

/// `timeline-entry`
#[derive(Serialize)]
struct Shown<'a> {
    r#type: EntryType,
    id: String,
    object: String,
    object_display_id: String,
    object_type: &'static str,
    visibility: &'static str,
    created_by: Option<Summary<'a>>,
    created_date: String,
    modified_date: String,
    #[serde(flatten)]
    variant: Variant<'a>,
}

/// What the two types of entry do not share.
#[derive(Serialize)]
#[serde(untagged)]
enum Variant<'a> {
    /// `timeline-comment`
    Comment {
        #[serde(skip_serializing_if = "Option::is_none")]
        body: Option<Cow<'a, str>>,
        body_type: &'static str,
        artifacts: Vec<ArtifactSummary<'a>>,
    },
    /// `timeline-change-event`
    ChangeEvent { event: Value },
}

/// `timeline-entries-list-response`
#[derive(Serialize)]
struct EntriesAnswer<'a> {
    timeline_entries: Vec<Shown<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

fn list(world: &World, body: &Body) -> Answer {
    let id = text(body, "object");
    let page = Page::of("timeline-entries.list", body)?;
    let state = world.read();
    let object = world.object(id, TIMELINES).filter(|object| there(&state, *object));
    let object = object.ok_or_else(|| ApiError::not_found(format!("object `{id}` not found")))?;
    let after = u32::try_from(page.after).unwrap_or(u32::MAX);
    let none = nothing(body, TIMELINE_ENTRIES_LIST);
    let among = |field: &str, value: &str| {
        let mut wanted = texts(body, field).peekable();
        wanted.peek().is_none() || wanted.any(|wanted| wanted == value)
    };
    let passes = |entry: &Entry<'_>| {
        let collection = match entry.r#type {
            EntryType::TimelineComment => "discussions",
            EntryType::TimelineChangeEvent => "events",
        };
        !none
            && among("visibility", VISIBILITY)
            && among("collections", collection)
            && among("panels", collection)
    };
    let mut entries = world.timelines.entries(object, after, page.limit + 1, &passes);
    let more = entries.len() > page.limit;
    entries.truncate(page.limit);
    let next_cursor = entries.last().filter(|_| more).map(|last| page.next_cursor(last.place.into()));
    let timeline_entries = entries.into_iter().map(|entry| show(world, &state, object, entry)).collect();
    json(&EntriesAnswer { timeline_entries, next_cursor })
}

fn there(state: &State, object: ObjectRef) -> bool {
    let number = object.number;
    match object.object {
        ObjectType::Issue | ObjectType::Ticket => state.works_of(object.object).get(number).is_some(),
        ObjectType::Conversation => state.conversations.get(number).is_some(),
        _ => {
            let contact = state.contacts.position(number).and_then(|at| state.contacts.get(at));
            contact.is_some_and(Contact::exists)
        }
    }
}

fn show<'a>(world: &'a World, state: &'a State, object: ObjectRef, entry: Entry<'a>) -> Shown<'a> {
    let don = match object.object {
        ObjectType::RevUser => identity_don(&world.org, object.object, object.number),
        of => core_don(&world.org, of, object.number),
    };
    let (kind, variant) = match entry.r#type {
        EntryType::TimelineComment => {
            let artifacts = world.files(entry.artifacts);
            ("comment", Variant::Comment { body: entry.body, body_type: "text", artifacts })
        }
        EntryType::TimelineChangeEvent => {
            let updated = json!({"object_type": object_type(object.object), "field_deltas": []});
            ("change_event", Variant::ChangeEvent { event: json!({"type": "updated", "updated": updated}) })
        }
    };
    // A minute between two entries.
    let created = 1_735_689_600_000 + u64::from(entry.place) * 60_000;
    Shown {
        r#type: entry.r#type,
        id: format!("{don}:{kind}/{}", entry.code),
        object: don,
        object_display_id: object.to_string(),
        object_type: object_type(object.object),
        visibility: VISIBILITY,
        created_by: world.summary(state, entry.creator.unwrap_or(world.own)),
        created_date: date(created),
        modified_date: date(created),
        variant,
    }
}

/// `timeline-entry-object-type`
fn object_type(object: ObjectType) -> &'static str {
    match object {
        ObjectType::RevUser => "rev_user",
        other => other.don_name(),
    }
}
