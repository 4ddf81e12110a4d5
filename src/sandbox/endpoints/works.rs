//! `works.get` and `works.list`, and how a work looks in an answer.

use super::{Answer, Endpoint, json};
use crate::devrev::ids::ObjectType;
use crate::devrev::objects;
use crate::sandbox::check::{Body, in_range, nothing, text, texts};
use crate::sandbox::cursor::Page;
use crate::sandbox::dons::{core_don, display_id};
use crate::sandbox::error::ApiError;
use crate::sandbox::format::WorksExternalRef;
use crate::sandbox::schema::{WORKS_GET, WORKS_LIST};
use crate::sandbox::stages::{self, Stage, stage};
use crate::sandbox::state::State;
use crate::sandbox::summary::{ArtifactSummary, Summary, date};
use crate::sandbox::works::{EXTERNAL_REF, Filter, Work, Works};
use crate::sandbox::world::World;
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

pub(super) const ENDPOINTS: &[Endpoint] =
    &[Endpoint::read("works.get", WORKS_GET, get), Endpoint::read("works.list", WORKS_LIST, list)];

/// How far the types are apart in a list of all works: issues come first, then tickets, tasks and opportunities, each type
/// by number.
const APART: u64 = 1 << 32;

fn get(world: &World, body: &Body) -> Answer {
    let id = text(body, "id");
    let state = world.read();
    let (works, work) = world.work(&state, id).ok_or_else(|| not_found(id))?;
    json(&WorkAnswer { work: show(world, &state, works, work) })
}

fn list(world: &World, body: &Body) -> Answer {
    let page = Page::of("works.list", body)?;
    // A list without elements is no filter, as a Go service reads it.
    let wanted = |kind: &str| {
        let mut types = texts(body, "type").peekable();
        types.peek().is_none() || types.any(|wanted| wanted == kind)
    };
    let none = nothing(body, WORKS_LIST);
    let stages = body.get("stage").and_then(Value::as_object);
    let among = |value: &str, mut wanted: Vec<&str>| {
        wanted.retain(|wanted| !wanted.is_empty());
        wanted.is_empty() || wanted.contains(&value)
    };
    let state = world.read();
    let in_part = |work: &Work| {
        let mut wanted = texts(body, "applies_to_part").peekable();
        let part = world.part_of(&state, work);
        wanted.peek().is_none() || wanted.any(|id| part["id"] == id || part["display_id"] == id)
    };
    let passes = |work: &Work| {
        !none
            && stages.is_none_or(|stages| among(stage_of(work), texts(stages, "name").collect()))
            && in_part(work)
    };
    let filter = Filter {
        creators: users(world, &state, body, "created_by"),
        owners: users(world, &state, body, "owned_by"),
        reporters: users(world, &state, body, "reported_by"),
        refs: Some(texts(body, EXTERNAL_REF).map(str::to_owned).collect()).filter(|refs: &Vec<_>| {
            !refs.is_empty() && world.works_external_ref != WorksExternalRef::Unknown
        }),
    };
    let mut found: Vec<(&Works, &Work)> = Vec::new();
    for (works, begin) in state.works.iter().zip((0..).step_by(1 << 32)) {
        let most = page.limit + 1 - found.len();
        if wanted(works.object.don_name()) && most > 0 && page.after < begin + APART {
            let after = u32::try_from(page.after.saturating_sub(begin)).unwrap_or(u32::MAX);
            let passes = |work: &Work| {
                passes(work)
                    && in_range(body, "created_date", works.created(work))
                    && in_range(body, "modified_date", works.modified(work))
            };
            found.extend(works.select(&filter, after, most, &passes).into_iter().map(|work| (works, work)));
        }
    }
    let more = found.len() > page.limit;
    found.truncate(page.limit);
    let key = |(works, work): &(&Works, &Work)| {
        let place = state.works.iter().zip(0..).find(|(other, _)| other.object == works.object);
        place.map_or(0, |(_, place): (_, u64)| place * APART) + u64::from(work.number)
    };
    let next_cursor = found.last().filter(|_| more).map(|last| page.next_cursor(key(last)));
    let works = found.into_iter().map(|(works, work)| show(world, &state, works, work)).collect();
    json(&WorksAnswer { works, next_cursor })
}

/// The users of a filter, each once. Users that do not exist have nothing.
pub(super) fn users(world: &World, state: &State, body: &Body, field: &str) -> Option<Vec<u32>> {
    let mut given = texts(body, field).peekable();
    given.peek()?;
    let mut users: Vec<u32> = given.filter_map(|id| world.user(state, id)).collect();
    users.sort_unstable();
    users.dedup();
    Some(users)
}

pub(super) fn not_found(id: &str) -> ApiError {
    ApiError::not_found(format!("work `{id}` not found"))
}

/// `works-get-response` and `works-update-response`
#[derive(Serialize)]
pub(super) struct WorkAnswer<'a> {
    pub(super) work: AnyShown<'a>,
}

/// `works-list-response`
#[derive(Serialize)]
struct WorksAnswer<'a> {
    works: Vec<AnyShown<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

/// A work as an answer shows it.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum AnyShown<'a> {
    /// One whose stock fields nobody has set: most of a million.
    Plain(Box<Shown<'a>>),
    /// Any other.
    Set(Value),
}

/// A work as an answer shows it, with whatever was set.
pub(super) fn show<'a>(world: &'a World, state: &'a State, works: &Works, work: &'a Work) -> AnyShown<'a> {
    let plain = Shown::of(world, state, works, work);
    let stock = work.extra.as_ref().map(|extra| &extra.stock).filter(|stock| !stock.is_empty());
    match (stock, objects::named(works.object.don_name())) {
        (Some(stock), Some(object)) => {
            let mut shown = serde_json::to_value(plain).unwrap_or_default();
            world.show_stock(state, object, stock, &mut shown);
            if let Some(external_ref) = stock.get(EXTERNAL_REF) {
                shown[EXTERNAL_REF] = external_ref.clone();
            }
            AnyShown::Set(shown)
        }
        _ => AnyShown::Plain(Box::new(plain)),
    }
}

/// `issue`, `ticket`, `task` or `opportunity`
#[derive(Serialize)]
pub(super) struct Shown<'a> {
    r#type: &'static str,
    id: String,
    display_id: String,
    title: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<&'a str>,
    applies_to_part: Value,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    artifacts: Vec<ArtifactSummary<'a>>,
    created_by: Option<Summary<'a>>,
    created_date: String,
    modified_date: String,
    owned_by: Vec<Summary<'a>>,
    reported_by: Vec<Summary<'a>>,
    /// Of an issue.
    #[serde(skip_serializing_if = "Option::is_none")]
    priority: Option<&'static str>,
    /// Of a ticket.
    #[serde(skip_serializing_if = "Option::is_none")]
    severity: Option<&'static str>,
    stage: Stage<'a>,
    custom_fields: BTreeMap<&'a str, Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    creator_group: Option<&'a RawValue>,
}

impl<'a> Shown<'a> {
    /// A work as an answer shows it. What the data file does not hold follows from its number.
    pub(super) fn of(world: &'a World, state: &'a State, works: &Works, work: &'a Work) -> Self {
        let group = work.group.and_then(|group| world.groups.get(group as usize));
        let extra = work.extra.as_deref();
        let mut custom_fields = BTreeMap::new();
        for (name, value) in extra.iter().flat_map(|extra| &extra.fields) {
            custom_fields.insert(name.as_str(), value.clone());
        }
        if let Some(group) = group
            && world.custom_fields.contains_key(&world.creator_group_field)
        {
            custom_fields.insert(&world.creator_group_field, group.don.as_str().into());
        }
        let created = works.created(work);
        let (number, at) = (work.number, work.number as usize);
        let has_priority = matches!(works.object, ObjectType::Issue | ObjectType::Task);
        Self {
            r#type: works.object.don_name(),
            id: core_don(&world.org, works.object, number),
            display_id: display_id(works.object, number),
            title: &work.title,
            body: extra.and_then(|extra| extra.body.as_deref()),
            applies_to_part: world.part_of(state, work),
            artifacts: extra.map_or_else(Vec::new, |extra| world.files(&extra.artifacts)),
            created_by: world.summary(state, work.creator),
            created_date: date(created),
            modified_date: date(works.modified(work)),
            owned_by: world.summaries(state, work.owners()),
            reported_by: world.summaries(state, work.reporters()),
            priority: has_priority.then(|| ["p2", "p3", "p1", "p2", "p0"][at % 5]),
            severity: (works.object == ObjectType::Ticket)
                .then(|| ["medium", "low", "high", "blocker"][at % 4]),
            stage: stage(stage_of(work)),
            custom_fields,
            creator_group: group
                .filter(|_| world.native.contains(&"creator_group"))
                .map(|group| &*group.native),
        }
    }
}

impl World {
    /// The part that a work is about: it follows from the work's number until somebody sets it.
    fn part_of(&self, state: &State, work: &Work) -> Value {
        let set = work.extra.as_ref().and_then(|extra| extra.stock.get("applies_to_part")?.as_str());
        let id = set.map(str::to_owned).or_else(|| {
            let part = self.parts.get(work.number as usize % self.parts.len().max(1))?;
            Some(display_id(part.kind.object(), part.number))
        });
        id.and_then(|id| self.reference(state, &id)).unwrap_or_default()
    }
}

/// The stage that a work is in: it follows from its number until somebody sets it.
fn stage_of(work: &Work) -> &str {
    let set = work.extra.as_ref().and_then(|extra| extra.stock.get("stage")?.as_str());
    set.unwrap_or_else(|| stages::first(work.number))
}
