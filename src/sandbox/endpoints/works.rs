//! `works.get` and `works.list`, and how an issue looks in an answer.

use super::{Answer, Endpoint, json, works_update};
use crate::sandbox::check::{Body, text, texts};
use crate::sandbox::cursor::Page;
use crate::sandbox::error::ApiError;
use crate::sandbox::issues::{Filter, Issue, Issues};
use crate::sandbox::schema::{WORKS_GET, WORKS_LIST, WORKS_UPDATE};
use crate::sandbox::world::{World, issue_don};
use chrono::{DateTime, SecondsFormat};
use serde::Serialize;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

pub(super) const ENDPOINTS: &[Endpoint] = &[
    Endpoint { name: "works.get", fields: WORKS_GET, run: get },
    Endpoint { name: "works.list", fields: WORKS_LIST, run: list },
    Endpoint { name: "works.update", fields: WORKS_UPDATE, run: works_update::run },
];

fn get(world: &World, body: &Body) -> Answer {
    let id = text(body, "id");
    let issues = world.issues();
    let issue = world.issue_number(id).and_then(|number| issues.get(number)).ok_or_else(|| not_found(id))?;
    json(&WorkAnswer { work: Work::of(world, &issues, issue) })
}

fn list(world: &World, body: &Body) -> Answer {
    let page = Page::of("works.list", body)?;
    // A list without elements is no filter, as a Go service reads it.
    let mut types = texts(body, "type").peekable();
    let no_issues = types.peek().is_some() && !types.any(|wanted| wanted == "issue");
    let filter = Filter {
        creators: users(world, body, "created_by"),
        owners: users(world, body, "owned_by"),
        reporters: users(world, body, "reported_by"),
    };
    let issues = world.issues();
    let most = if no_issues { 0 } else { page.limit + 1 };
    let mut found = issues.select(&filter, page.after, most);
    let more = found.len() > page.limit;
    found.truncate(page.limit);
    let next_cursor = found.last().filter(|_| more).map(|last| page.next_cursor(last.number.into()));
    let works = found.into_iter().map(|issue| Work::of(world, &issues, issue)).collect();
    json(&WorksAnswer { works, next_cursor })
}

/// The users of a filter, each once. Users that do not exist have no issues.
fn users(world: &World, body: &Body, field: &str) -> Option<Vec<u32>> {
    let mut given = texts(body, field).peekable();
    given.peek()?;
    let mut users: Vec<u32> = given.filter_map(|id| world.user(id)).collect();
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
    pub(super) work: Work<'a>,
}

/// `works-list-response`
#[derive(Serialize)]
struct WorksAnswer<'a> {
    works: Vec<Work<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

/// `issue`
#[derive(Serialize)]
pub(super) struct Work<'a> {
    r#type: &'static str,
    id: String,
    display_id: String,
    title: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<&'a str>,
    applies_to_part: Part,
    created_by: Option<&'a RawValue>,
    created_date: String,
    modified_date: String,
    owned_by: Vec<&'a RawValue>,
    reported_by: Vec<&'a RawValue>,
    priority: &'static str,
    stage: Stage,
    custom_fields: BTreeMap<&'a str, &'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    creator_group: Option<&'a RawValue>,
}

/// `part-summary`
#[derive(Serialize)]
struct Part {
    r#type: &'static str,
    id: String,
    display_id: String,
    name: &'static str,
}

/// `legacy-stage`
#[derive(Serialize)]
struct Stage {
    name: &'static str,
    ordinal: u32,
}

impl<'a> Work<'a> {
    /// An issue as an answer shows it. What the data file does not hold follows from its number.
    pub(super) fn of(world: &'a World, issues: &Issues, issue: &'a Issue) -> Self {
        let summary = |user: &u32| world.users.get(*user as usize).map(|user| &*user.summary);
        let group = issue.group.and_then(|group| world.groups.get(group as usize));
        let extra = issue.extra.as_deref();
        let mut custom_fields = BTreeMap::new();
        for (name, value) in extra.iter().flat_map(|extra| &extra.fields) {
            custom_fields.insert(name.as_str(), value.as_str());
        }
        if let Some(group) = group
            && world.custom_fields.contains_key(&world.creator_group_field)
        {
            custom_fields.insert(&world.creator_group_field, &group.don);
        }
        let created = issues.created(issue);
        let modified = if issue.modified == 0 { created + 5_400_000 } else { issue.modified };
        Self {
            r#type: "issue",
            id: issue_don(&world.org, issue.number),
            display_id: format!("ISS-{}", issue.number),
            title: &issue.title,
            body: extra.and_then(|extra| extra.body.as_deref()),
            applies_to_part: part(&world.org, issue.number),
            created_by: summary(&issue.creator),
            created_date: date(created),
            modified_date: date(modified),
            owned_by: issue.owners.iter().filter_map(summary).collect(),
            reported_by: issue.reporters().iter().filter_map(summary).collect(),
            priority: ["p2", "p3", "p1", "p2", "p0"][issue.number as usize % 5],
            stage: stage(issue.number),
            custom_fields,
            creator_group: group
                .filter(|_| world.native.contains(&"creator_group"))
                .map(|group| &*group.native),
        }
    }
}

fn part(org: &str, number: u32) -> Part {
    const NAMES: [&str; 4] = ["Web app", "Mobile app", "Billing", "Public API"];
    let at = number % 4;
    Part {
        r#type: "feature",
        id: format!("don:core:dvrv-us-1:devo/{org}:feature/{}", at + 1),
        display_id: format!("FEAT-{}", at + 1),
        name: NAMES[at as usize],
    }
}

fn stage(number: u32) -> Stage {
    const NAMES: [&str; 5] = ["triage", "backlog", "prioritized", "in_development", "completed"];
    let at = number % 5;
    Stage { name: NAMES[at as usize], ordinal: at + 1 }
}

fn date(milliseconds: u64) -> String {
    let date = i64::try_from(milliseconds).ok().and_then(DateTime::from_timestamp_millis);
    date.unwrap_or_default().to_rfc3339_opts(SecondsFormat::Millis, true)
}
