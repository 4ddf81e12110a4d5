//! The stages that works go through, the same for every type.

use serde::Serialize;

/// In their order.
pub(super) const NAMES: [&str; 5] = ["triage", "backlog", "prioritized", "in_development", "completed"];

/// `legacy-stage`
#[derive(Serialize)]
pub(super) struct Stage<'a> {
    name: &'a str,
    ordinal: u32,
}

/// A stage as a work shows it.
pub(super) fn stage(name: &str) -> Stage<'_> {
    Stage { name, ordinal: ordinal(name).unwrap_or_default() }
}

/// The stage of a work of this number that nobody has moved.
pub(super) fn first(number: u32) -> &'static str {
    NAMES[number as usize % NAMES.len()]
}

/// A stage's place among all.
pub(super) fn ordinal(name: &str) -> Option<u32> {
    (1..).zip(NAMES).find(|(_, known)| *known == name).map(|(ordinal, _)| ordinal)
}
