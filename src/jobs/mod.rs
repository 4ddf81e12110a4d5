//! What one row means: a typed item, a planned change, an applied change.
//!
//! - [`backfill_groups`]: an issue gets the group that its creator belongs to
//! - [`update_fields`]: any field of any object, from rows; [`export_objects`]: the file that those rows are edited from
//! - [`rules`]: how rows are judged, by `validate` and by the jobs alike
//! - [`duplicates`]: the same object in several rows
//! - [`sampling`]: which rows make a small input
//! - [`merge_contacts`]: two contacts of one person become one
//! - [`undo_backfill`], [`undo_merge`], [`undo_update`]: what each did, undone as far as that can be; [`undoing`]: what both share
//! - [`read_at`]: how old a value is; [`track`]: a change of several steps
//! - [`registry`]: the list of the jobs

pub(crate) mod backfill_groups;
pub(crate) mod duplicates;
pub(crate) mod export_objects;
pub(crate) mod failing;
#[cfg(feature = "load")]
pub(crate) mod load_records;
pub(crate) mod merge_contacts;
pub(crate) mod read_at;
pub(crate) mod registry;
pub(crate) mod rules;
pub(crate) mod sampling;
mod sieve;
pub(crate) mod target;
pub(crate) mod track;
pub(crate) mod undo_backfill;
pub(crate) mod undo_merge;
pub(crate) mod undo_update;
pub(crate) mod undoing;
pub(crate) mod update_fields;
