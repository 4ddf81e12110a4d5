//! Whether a backup is whole: every byte as it was written (`integrity`), and everything there that belongs
//! to the contact (`meaning`). Files are streamed (`read`): none is ever held as a whole but
//! `verification.json`.

mod integrity;
mod meaning;
mod problem;
mod read;

pub use problem::Problem;

use super::error::BackupError;
use super::layout::{Counts, Metadata, RelPath};
use chrono::{DateTime, Utc};
use problem::Problems;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// A backup that is whole.
#[derive(Debug, Clone)]
pub struct Verified {
    /// Its folder.
    pub path: PathBuf,
    /// The contact's ID.
    pub contact_id: String,
    /// The contact's display ID.
    pub display_id: String,
    /// The contact's address.
    pub email: Option<String>,
    /// The contact's external reference.
    pub external_ref: Option<String>,
    /// The run that made it.
    pub run: String,
    /// When it was begun.
    pub at: DateTime<Utc>,
    /// How much there is in it.
    pub counts: Counts,
    /// Tickets that the contact should have.
    pub expected_tickets: u64,
    /// The IDs of all works, in the order of `tickets.json`.
    pub work_ids: Vec<String>,
    /// Bytes of all its files but `verification.json`.
    pub bytes: u64,
}

/// Reads a backup through. Nothing is taken on trust: not what is listed, not what is counted.
///
/// Fails with all that is wrong with its files; only when nothing is, what stands in them is judged too.
/// Of very many problems the first are given.
pub fn verify(folder: &Path) -> Result<Verified, Vec<Problem>> {
    let mut problems = Problems::default();
    let verification = integrity::check(folder, &mut problems);
    let Some(verification) = verification.filter(|_| problems.is_empty()) else {
        return Err(problems.into_list());
    };
    let found = meaning::check(folder, &verification, &mut problems);
    match found.filter(|_| problems.is_empty()) {
        Some(verified) => Ok(verified),
        None => Err(problems.into_list()),
    }
}

/// The IDs of a backup's works, for a look at them later. Nothing else is checked.
pub fn work_ids(folder: &Path) -> Result<Vec<String>, BackupError> {
    let works: read::Works = parse(folder, &RelPath::TICKETS)?;
    Ok(works.works.into_iter().map(|work| work.id).collect())
}

/// A backup's works, in the members that are read by name. Nothing else is checked.
pub fn works<T: serde::de::DeserializeOwned>(folder: &Path) -> Result<Vec<T>, BackupError> {
    parse::<read::WorksAs<T>>(folder, &RelPath::TICKETS).map(|works| works.works)
}

/// The contact that a backup is of, as DevRev returned it. Nothing else is checked.
pub fn metadata(folder: &Path) -> Result<Value, BackupError> {
    parse::<Metadata<Value>>(folder, &RelPath::METADATA).map(|metadata| metadata.contact)
}

fn parse<T: serde::de::DeserializeOwned>(folder: &Path, path: &RelPath) -> Result<T, BackupError> {
    let failed = |problem| BackupError::Damaged { path: path.below(folder), problem };
    read::json(folder, path).map_err(failed)
}

#[cfg(test)]
mod tests;
