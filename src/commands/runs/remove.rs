//! The removal of a run's folder.
//!
//! It first gets a name that is no run's, in one step: wherever a crash comes, nobody finds half a run.

use super::look::Seen;
use crate::exit::{Exit, Failure};
use crate::files::sync_folder;
use crate::journal::error::JournalError;
use crate::journal::lock::RunLock;
use crate::journal::run_dir::RunDir;
use crate::report::pruned::Removal;
use std::io;
use std::path::Path;

/// How folders begin that are being removed.
const PREFIX: &str = ".removed-";

/// Removes a run, if it may still go once nobody else can work on it: `needed` fails with the reason why it stays.
pub(crate) fn run(
    runs_dir: &Path,
    run: &RunDir,
    needed: impl FnOnce(&Seen) -> Result<(), String>,
) -> Removal {
    let lock = match RunLock::take(run) {
        Ok(lock) => lock,
        Err(JournalError::Locked { .. }) => return Removal::Kept("another process works on it".to_owned()),
        Err(error) => return Removal::Failed(error.to_string()),
    };
    // The one who holds it is this process.
    let seen = Seen { held: false, ..Seen::of(run.clone()) };
    if let Err(why) = needed(&seen) {
        return Removal::Kept(why);
    }
    let name = format!("{PREFIX}{}", run.id());
    let doomed = runs_dir.join(&name);
    let removed = std::fs::rename(run.path(), &doomed)
        .and_then(|()| sync_folder(runs_dir))
        .and_then(|()| remove(&doomed));
    drop(lock);
    match removed {
        Ok(()) => Removal::Removed,
        Err(error) => Removal::Failed(format!("{}: {error}", doomed.display())),
    }
}

/// Removes what killed processes have left half removed.
pub(crate) fn leftovers(runs_dir: &Path) -> Result<(), Failure> {
    let failed = |error: io::Error| {
        let text = format!("cannot remove what an earlier prune left in {}: {error}", runs_dir.display());
        Failure::new(Exit::Unexpected, text)
    };
    let entries = match std::fs::read_dir(runs_dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
    };
    for entry in entries {
        let entry = entry.map_err(failed)?;
        let is_folder = entry.file_type().map_err(failed)?.is_dir();
        if is_folder && entry.file_name().to_string_lossy().starts_with(PREFIX) {
            remove(&entry.path()).map_err(failed)?;
        }
    }
    Ok(())
}

/// Removes a folder; links in it are removed, not followed. Another process may have been quicker.
fn remove(folder: &Path) -> io::Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}
