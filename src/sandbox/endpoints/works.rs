//! `works.get` and `works.list`, and how an issue or a ticket looks in an answer.

use super::{Answer, Endpoint, json};
use crate::devrev::ids::ObjectType;
use crate::sandbox::check::{Body, nothing, text, texts};
use crate::sandbox::cursor::Page;
use crate::sandbox::dons::{core_don, core_don_of, display_id};
use crate::sandbox::error::ApiError;
use crate::sandbox::schema::{WORKS_GET, WORKS_LIST};
use crate::sandbox::state::State;
use crate::sandbox::summary::{ArtifactSummary, Summary, date};
use crate::sandbox::works::{Filter, Work, Works};
use crate::sandbox::world::World;
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

pub(super) const ENDPOINTS: &[Endpoint] =
    &[Endpoint::read("works.get", WORKS_GET, get), Endpoint::read("works.list", WORKS_LIST, list)];

/// Where tickets begin in a list of all works: issues come first, each type by number.
const TICKETS: u64 = 1 << 32;

fn get(world: &World, body: &Body) -> Answer {
    let id = text(body, "id");
    let state = world.read();
    let (works, work) = world.work(&state, id).ok_or_else(|| not_found(id))?;
    json(&WorkAnswer { work: Shown::of(world, &state, works, work) })
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
    let in_part = |number: u32| {
        let part = part(number);
        let don = core_don_of(&world.org, "feature", part.0);
        let mut wanted = texts(body, "applies_to_part").peekable();
        wanted.peek().is_none() || wanted.any(|id| id == don || id == format!("FEAT-{}", part.0))
    };
    let passes = |work: &Work| {
        !none
            && stages.is_none_or(|stages| among(stage(work.number).name, texts(stages, "name").collect()))
            && in_part(work.number)
    };
    let state = world.read();
    let filter = Filter {
        creators: users(world, &state, body, "created_by"),
        owners: users(world, &state, body, "owned_by"),
        reporters: users(world, &state, body, "reported_by"),
    };
    let mut found: Vec<(&Works, &Work)> = Vec::new();
    for (works, kind, begin) in [(&state.issues, "issue", 0), (&state.tickets, "ticket", TICKETS)] {
        let most = page.limit + 1 - found.len();
        if wanted(kind) && most > 0 && page.after < begin + TICKETS {
            let after = u32::try_from(page.after.saturating_sub(begin)).unwrap_or(u32::MAX);
            found.extend(works.select(&filter, after, most, &passes).into_iter().map(|work| (works, work)));
        }
    }
    let more = found.len() > page.limit;
    found.truncate(page.limit);
    let key = |(works, work): &(&Works, &Work)| {
        let begin = if works.object == ObjectType::Ticket { TICKETS } else { 0 };
        begin + u64::from(work.number)
    };
    let next_cursor = found.last().filter(|_| more).map(|last| page.next_cursor(key(last)));
    let works = found.into_iter().map(|(works, work)| Shown::of(world, &state, works, work)).collect();
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
    pub(super) work: Shown<'a>,
}

/// `works-list-response`
#[derive(Serialize)]
struct WorksAnswer<'a> {
    works: Vec<Shown<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

/// `issue` or `ticket`
#[derive(Serialize)]
pub(super) struct Shown<'a> {
    r#type: &'static str,
    id: String,
    display_id: String,
    title: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<&'a str>,
    applies_to_part: Part<'a>,
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
    stage: Stage,
    custom_fields: BTreeMap<&'a str, &'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    creator_group: Option<&'a RawValue>,
}

/// `part-summary`
#[derive(Serialize)]
struct Part<'a> {
    r#type: &'static str,
    id: String,
    display_id: String,
    name: &'static str,
    owned_by: Vec<Summary<'a>>,
}

/// `legacy-stage`
#[derive(Serialize)]
struct Stage {
    name: &'static str,
    ordinal: u32,
}

impl<'a> Shown<'a> {
    /// A work as an answer shows it. What the data file does not hold follows from its number.
    pub(super) fn of(world: &'a World, state: &'a State, works: &Works, work: &'a Work) -> Self {
        let group = work.group.and_then(|group| world.groups.get(group as usize));
        let extra = work.extra.as_deref();
        let mut custom_fields = BTreeMap::new();
        for (name, value) in extra.iter().flat_map(|extra| &extra.fields) {
            custom_fields.insert(name.as_str(), value.as_str());
        }
        if let Some(group) = group
            && world.custom_fields.contains_key(&world.creator_group_field)
        {
            custom_fields.insert(&world.creator_group_field, &group.don);
        }
        let created = works.created(work);
        let modified = if work.modified == 0 { created + 5_400_000 } else { work.modified };
        let (number, at) = (work.number, work.number as usize);
        let is_ticket = works.object == ObjectType::Ticket;
        Self {
            r#type: if is_ticket { "ticket" } else { "issue" },
            id: core_don(&world.org, works.object, number),
            display_id: display_id(works.object, number),
            title: &work.title,
            body: extra.and_then(|extra| extra.body.as_deref()),
            applies_to_part: Part::of(world, state, number),
            artifacts: extra.map_or_else(Vec::new, |extra| world.files(&extra.artifacts)),
            created_by: world.summary(state, work.creator),
            created_date: date(created),
            modified_date: date(modified),
            owned_by: world.summaries(state, work.owners()),
            reported_by: world.summaries(state, work.reporters()),
            priority: (!is_ticket).then(|| ["p2", "p3", "p1", "p2", "p0"][at % 5]),
            severity: is_ticket.then(|| ["medium", "low", "high", "blocker"][at % 4]),
            stage: stage(number),
            custom_fields,
            creator_group: group
                .filter(|_| world.native.contains(&"creator_group"))
                .map(|group| &*group.native),
        }
    }
}

impl<'a> Part<'a> {
    fn of(world: &'a World, state: &'a State, work: u32) -> Self {
        let (number, name) = part(work);
        Self {
            r#type: "feature",
            id: core_don_of(&world.org, "feature", number),
            display_id: format!("FEAT-{number}"),
            name,
            owned_by: world.summaries(state, &[world.own]),
        }
    }
}

/// The number and name of the part that a work of this number is about.
fn part(work: u32) -> (u32, &'static str) {
    const NAMES: [&str; 4] = ["Web app", "Mobile app", "Billing", "Public API"];
    let at = work % 4;
    (at + 1, NAMES[at as usize])
}

fn stage(number: u32) -> Stage {
    const NAMES: [&str; 5] = ["triage", "backlog", "prioritized", "in_development", "completed"];
    let at = number % 5;
    Stage { name: NAMES[at as usize], ordinal: at + 1 }
}
