//! Contacts that an undo has created in the place of verified ones. DevRev may show them as not verified; but they
//! are no stranger's: this tool made them, from the backup of a contact that was verified.

use super::UNDO;
use crate::devrev::ids::Key;
use crate::devrev::rev_users::contact_key;
use crate::journal::error::JournalError;
use crate::journal::manifest::{Manifest, Party};
use crate::journal::ordered::{Word, Words};
use crate::journal::run_dir::RunDir;
use crate::stop::Stop;
use serde::Deserialize;
use std::collections::HashSet;
use std::path::Path;

/// What the outcome of an undo says, as far as it is needed.
#[derive(Deserialize)]
struct Report {
    secondary: Secondary,
}

#[derive(Deserialize)]
struct Secondary {
    new_id: Option<String>,
    #[serde(default)]
    was_verified: bool,
    #[serde(default)]
    was_there: bool,
}

/// Contacts that this tool has created, by key.
pub(crate) type Made = HashSet<Key>;

/// Finds the contacts that undos of merges in the same organisation have created. Blocks for as long as their journals
/// take to read; once `stop` is set, no more are read. What cannot be read is said in the log: its contacts count as DevRev shows them.
pub(crate) fn verified(runs_dir: &Path, org: Option<&Party>, stop: &Stop) -> Made {
    let mut found = Made::new();
    for run in RunDir::list(runs_dir).unwrap_or_default() {
        if stop.is_set() {
            break;
        }
        // Else there is nothing in it that counts.
        if !run.id().contains(UNDO) {
            continue;
        }
        let Ok(manifest) = Manifest::read(&run) else { continue };
        // Whose organisation is not known may be a stranger's.
        if manifest.is_in(org) == Some(true)
            && manifest.command == UNDO
            && !manifest.dry_run
            && let Err(error) = of_run(&run, &mut found)
        {
            tracing::warn!("run {} may have created contacts, and cannot be read: {error}", run.id());
        }
    }
    found
}

fn of_run(run: &RunDir, found: &mut Made) -> Result<(), JournalError> {
    for word in Words::read(run)? {
        let Word::Outcome { outcome, .. } = word?.1 else { continue };
        let report = outcome.report.and_then(|report| serde_json::from_str::<Report>(report.get()).ok());
        if let Some(Report {
            secondary: Secondary { new_id: Some(id), was_verified: true, was_there: false },
        }) = report
        {
            found.extend(contact_key(&id));
        }
    }
    Ok(())
}
