//! `timeline-entries.list`: what was said and done on an object.

use super::artifacts::ArtifactSummary;
use super::pages::{PAGE_LIMIT, list_endpoint};
use super::whole::Whole;
use crate::net::lenient;
use serde::{Deserialize, Serialize};

/// An entry's members that are read by name.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Entry {
    /// The files of a comment.
    #[serde(default, deserialize_with = "lenient::list")]
    pub artifacts: Vec<ArtifactSummary>,
}

/// `timeline-entries.list` of one object, all collections and visibilities.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct TimelineEntriesList {
    object: String,
    limit: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<String>,
}

impl TimelineEntriesList {
    /// The entries of the object with this ID.
    pub(crate) fn of(object: impl Into<String>) -> Self {
        Self { object: object.into(), limit: PAGE_LIMIT, cursor: None }
    }
}

list_endpoint! {
    /// A page of entries.
    TimelineEntriesList = "timeline-entries.list" -> TimelineEntriesListAnswer { timeline_entries: Whole<Entry> }
}
