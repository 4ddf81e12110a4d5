//! What one row means: a typed item, a planned change, an applied change.
//!
//! - [`backfill_groups`]: an issue gets the group that its creator belongs to
//! - [`merge_contacts`]: two contacts of one person become one
//! - [`rules`]: how rows are judged, by `validate` and by the jobs alike
//! - [`duplicates`]: the same object in several rows
//! - [`failing`]: what a failed call means for a row and for the run

pub mod backfill_groups;
pub mod duplicates;
pub mod failing;
pub mod merge_contacts;
pub mod rules;
mod sieve;
