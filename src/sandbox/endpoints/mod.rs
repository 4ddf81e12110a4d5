//! The API's endpoints, one file a family of objects. A family is added by its file and a line in [`ALL`].

mod artifacts;
mod conversations;
mod groups;
mod rev_user;
mod rev_users;
mod rev_users_merge;
mod rev_users_write;
mod timelines;
mod users;
mod works;
mod works_update;

use super::check::Body;
use super::error::ApiError;
use super::schema::Field;
use super::world::World;
use serde::Serialize;

/// One endpoint: its name, what its request may hold, and what it does.
pub(super) struct Endpoint {
    /// The last segment of its path: `works.get`.
    pub(super) name: &'static str,
    pub(super) fields: &'static [Field],
    /// The status of a good answer.
    pub(super) status: u16,
    /// Answers a request whose body is checked. It does not wait for anything.
    pub(super) run: fn(&World, &Body) -> Answer,
}

/// The body of a good answer, or a refusal.
pub(super) type Answer = Result<Vec<u8>, ApiError>;

/// Every endpoint of the sandbox.
pub(super) const ALL: &[&[Endpoint]] = &[
    works::ENDPOINTS,
    groups::ENDPOINTS,
    users::ENDPOINTS,
    rev_users::ENDPOINTS,
    conversations::ENDPOINTS,
    timelines::ENDPOINTS,
    artifacts::ENDPOINTS,
];

/// The endpoint of a name.
pub(super) fn find(name: &str) -> Option<&'static Endpoint> {
    ALL.iter().copied().flatten().find(|endpoint| endpoint.name == name)
}

/// Writes an answer as JSON.
fn json(answer: &impl Serialize) -> Answer {
    serde_json::to_vec(answer).map_err(|error| ApiError::new(500, "internal_error", error.to_string()))
}
