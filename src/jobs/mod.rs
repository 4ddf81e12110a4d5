//! What one row means: a typed item, a planned change, an applied change.
//!
//! - [`backfill_groups`]: an issue gets the group that its creator belongs to
//! - [`rules`]: how rows are judged, by `validate` and by the jobs alike
//! - [`duplicates`]: the same object in several rows
//! - [`sampling`]: which rows make a small input
//! - [`merge_contacts`]: two contacts of one person become one
//! - [`undo_backfill`], [`undo_merge`]: what either did, undone as far as that can be; [`undoing`]: what both share
//! - [`read_at`]: how old a value is; [`track`]: a change of several steps
//! - [`registry`]: the list of the jobs

pub mod backfill_groups;
pub mod duplicates;
pub mod failing;
pub mod merge_contacts;
pub mod read_at;
pub mod registry;
pub mod rules;
pub mod sampling;
mod sieve;
pub mod target;
pub mod track;
pub mod undo_backfill;
pub mod undo_merge;
pub mod undoing;
