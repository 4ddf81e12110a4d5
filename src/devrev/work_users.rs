//! `works.get` and `works.update` of the users who own or reported a work, of any type.

use super::operation::{Operation, Safety};
use super::works::OwnedWork;
use serde::{Deserialize, Serialize};

/// `works.get`, with the users of the work.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct WorkUsersGet {
    /// The work's ID, in either form.
    pub id: String,
}

/// The answer of either.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct WorkUsersAnswer {
    /// The work as it is now.
    pub work: OwnedWork,
}

impl Operation for WorkUsersGet {
    const ENDPOINT: &'static str = "works.get";
    const SAFETY: Safety = Safety::Read;
    type Answer = WorkUsersAnswer;
}

/// The users that a list is to hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct UserSet {
    /// All of them, by ID.
    pub set: Vec<String>,
}

/// `works.update` of a work's users.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct WorkUsersUpdate {
    /// The work's ID.
    pub id: String,
    /// Its type, such as `ticket`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Who reported it from now on, if that changes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reported_by: Option<UserSet>,
    /// Who owns it from now on, if that changes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owned_by: Option<UserSet>,
}

impl Operation for WorkUsersUpdate {
    const ENDPOINT: &'static str = "works.update";
    const SAFETY: Safety = Safety::Write;
    type Answer = WorkUsersAnswer;
}
