//! The API's endpoints, one file a family of objects. A family is added by its file and a line in [`ALL`].

mod artifacts;
mod auth_tokens;
mod conversations;
mod documents;
mod groups;
mod names;
mod rev_user;
mod rev_users;
mod rev_users_merge;
mod rev_users_write;
mod schemas;
mod stages;
mod timelines;
mod users;
mod works;
mod works_create;
mod works_update;

use super::check::Body;
use super::cursor::Page;
use super::error::ApiError;
use super::schema::Field;
use super::world::World;
use serde::Serialize;
use serde_json::Value;

/// One endpoint: its name, what its request may hold, and what it does.
pub(super) struct Endpoint {
    /// The last segment of its path: `works.get`.
    pub(super) name: &'static str,
    pub(super) fields: &'static [Field],
    /// The status of a good answer.
    pub(super) status: u16,
    /// Whether it has a GET twin: every read has one.
    pub(super) reads: bool,
    /// Answers a request whose body is checked. It does not wait for anything.
    pub(super) run: fn(&World, &Body) -> Answer,
}

impl Endpoint {
    const fn read(name: &'static str, fields: &'static [Field], run: fn(&World, &Body) -> Answer) -> Self {
        Self { name, fields, status: 200, reads: true, run }
    }

    const fn write(
        name: &'static str,
        fields: &'static [Field],
        status: u16,
        run: fn(&World, &Body) -> Answer,
    ) -> Self {
        Self { name, fields, status, reads: false, run }
    }
}

/// The body of a good answer, or a refusal.
pub(super) type Answer = Result<Vec<u8>, ApiError>;

/// Every endpoint of the sandbox.
pub(super) const ALL: &[&[Endpoint]] = &[
    works::ENDPOINTS,
    works_update::ENDPOINTS,
    works_create::ENDPOINTS,
    documents::ENDPOINTS,
    names::ENDPOINTS,
    stages::ENDPOINTS,
    groups::ENDPOINTS,
    users::ENDPOINTS,
    rev_users::ENDPOINTS,
    conversations::ENDPOINTS,
    timelines::ENDPOINTS,
    artifacts::ENDPOINTS,
    schemas::ENDPOINTS,
    auth_tokens::ENDPOINTS,
];

/// The endpoint of a name.
pub(super) fn find(name: &str) -> Option<&'static Endpoint> {
    ALL.iter().copied().flatten().find(|endpoint| endpoint.name == name)
}

/// Writes an answer as JSON.
fn json(answer: &impl Serialize) -> Answer {
    serde_json::to_vec(answer).map_err(|error| ApiError::new(500, "internal_error", error.to_string()))
}

/// A page of a list that is small enough to count through; a cursor says how many came before.
fn paged(page: &Page, name: &str, all: impl Iterator<Item = Value>) -> Answer {
    let before = usize::try_from(page.after).unwrap_or(usize::MAX);
    let mut rest = all.skip(before).peekable();
    let shown: Vec<Value> = rest.by_ref().take(page.limit).collect();
    let mut answer = serde_json::json!({});
    if rest.peek().is_some() {
        answer["next_cursor"] = page.next_cursor((before + shown.len()) as u64).into();
    }
    answer[name] = Value::Array(shown);
    json(&answer)
}
