//! The backups that a run's merges rest on: those of pairs that are merged, or may be.

use super::change::MergeChange;
use crate::jobs::track::meant;
use crate::journal::done::Done;
use crate::journal::evidence;
use crate::journal::manifest::Manifest;
use crate::journal::run_dir::RunDir;
use serde::Deserialize;
use std::error::Error;
use std::path::PathBuf;

/// What the report of a merge says of its backups.
#[derive(Debug, Deserialize)]
struct Report {
    backups: Option<Both>,
}

#[derive(Debug, Deserialize)]
struct Both {
    primary: PathBuf,
    secondary: PathBuf,
}

/// The backups of a pair, as the run recorded them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Backed {
    /// The pair's address.
    pub email: String,
    /// Both backups.
    pub folders: [PathBuf; 2],
}

/// Reads them from a run's journal, which no other process may be writing to.
pub(crate) fn relied_on(run: &RunDir, manifest: &Manifest) -> Result<Vec<Backed>, Box<dyn Error>> {
    let mut found = Vec::new();
    for made in Done::read(run)? {
        let made = made?;
        let report = made.outcome.report.as_ref().map(|report| serde_json::from_str::<Report>(report.get()));
        if let Some(Both { primary, secondary }) = report.transpose()?.and_then(|report| report.backups) {
            found.push(Backed { email: made.key, folders: [primary, secondary] });
        }
    }
    for in_doubt in evidence::replay(run, manifest)?.unknown.values().filter(|row| !row.is_shared) {
        let Some(change) = meant::<MergeChange>(in_doubt)? else { continue };
        if let Some((primary, secondary)) = change.backups().filter(|_| change.in_doubt()) {
            found.push(Backed { email: change.email.clone(), folders: [primary.clone(), secondary.clone()] });
        }
    }
    Ok(found)
}
