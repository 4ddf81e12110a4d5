//! `timeline-entries.list`: what was said and done on an object.

use super::artifacts::ArtifactSummary;
use super::client::{Operation, Safety};
use super::pages::{List, PAGE_LIMIT};
use super::whole::{self, Whole};
use serde::{Deserialize, Serialize};

/// An entry's members that are read by name.
#[derive(Debug, Clone, Deserialize)]
pub struct Entry {
    /// The files of a comment.
    #[serde(default, deserialize_with = "whole::list")]
    pub artifacts: Vec<ArtifactSummary>,
}

/// `timeline-entries.list` of one object, all collections and visibilities.
#[derive(Debug, Clone, Serialize)]
pub struct TimelineEntriesList {
    object: String,
    limit: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<String>,
}

impl TimelineEntriesList {
    /// The entries of the object with this ID.
    pub fn of(object: impl Into<String>) -> Self {
        Self { object: object.into(), limit: PAGE_LIMIT, cursor: None }
    }
}

/// A page of entries.
#[derive(Debug, Deserialize)]
pub struct TimelineEntriesListAnswer {
    timeline_entries: Vec<Whole<Entry>>,
    #[serde(default)]
    next_cursor: Option<String>,
}

impl Operation for TimelineEntriesList {
    const ENDPOINT: &'static str = "timeline-entries.list";
    const SAFETY: Safety = Safety::Read;
    type Answer = TimelineEntriesListAnswer;
}

impl List for TimelineEntriesList {
    type Item = Whole<Entry>;

    fn after(&mut self, cursor: String) {
        self.cursor = Some(cursor);
    }

    fn split(answer: TimelineEntriesListAnswer) -> (Vec<Whole<Entry>>, Option<String>) {
        (answer.timeline_entries, answer.next_cursor)
    }
}
