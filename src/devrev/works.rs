//! `works.list`: works by the users that they belong to.

use super::artifacts::ArtifactSummary;
use super::pages::{PAGE_LIMIT, list_endpoint};
use super::users::UserSummary;
use super::whole::Whole;
use crate::net::lenient;
use serde::{Deserialize, Serialize};

/// How a user may stand to a work. Each is a filter of `works.list`, and a work must pass all filters that are
/// given: so each takes a call of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Role {
    /// Created it.
    Creator,
    /// Is among its owners.
    Owner,
    /// Is among those who reported it.
    Reporter,
}

impl Role {
    /// All of them.
    pub(crate) const ALL: [Self; 3] = [Self::Creator, Self::Owner, Self::Reporter];
}

/// A work of any type, in the members that say to whom it belongs.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct OwnedWork {
    /// The work's DON.
    pub id: String,
    /// Its display ID.
    #[serde(default, deserialize_with = "lenient::word")]
    pub display_id: Option<String>,
    /// `issue`, `ticket`, `task` or `opportunity`.
    #[serde(default, rename = "type", deserialize_with = "lenient::word")]
    pub kind: Option<String>,
    #[serde(default)]
    created_by: Option<UserSummary>,
    #[serde(default, deserialize_with = "lenient::list")]
    owned_by: Vec<UserSummary>,
    #[serde(default, deserialize_with = "lenient::list")]
    reported_by: Vec<UserSummary>,
    /// Its own files.
    #[serde(default, deserialize_with = "lenient::list")]
    pub artifacts: Vec<ArtifactSummary>,
}

impl OwnedWork {
    /// Whether it is a ticket.
    pub(crate) fn is_ticket(&self) -> bool {
        self.kind.as_deref() == Some("ticket")
    }

    /// The users in this role.
    pub(crate) fn users_as(&self, role: Role) -> &[UserSummary] {
        match role {
            Role::Creator => self.created_by.as_slice(),
            Role::Owner => &self.owned_by,
            Role::Reporter => &self.reported_by,
        }
    }
}

/// `works.list`: works of every type by users in one role.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct WorksOf {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    created_by: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    owned_by: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    reported_by: Vec<String>,
    limit: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<String>,
}

impl WorksOf {
    /// The works of any of these users in this role.
    pub(crate) fn users(role: Role, users: Vec<String>) -> Self {
        let mut list = Self { limit: PAGE_LIMIT, ..Self::default() };
        match role {
            Role::Creator => list.created_by = users,
            Role::Owner => list.owned_by = users,
            Role::Reporter => list.reported_by = users,
        }
        list
    }
}

list_endpoint! {
    /// A page of works of any type.
    WorksOf = "works.list" -> WorksOfAnswer { works: Whole<OwnedWork> }
}
