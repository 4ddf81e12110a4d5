//! Whether a run may continue, be carried out or be undone: its input, its target and its parent are what they were.

use crate::exit::{Exit, Failure};
use crate::journal::error::JournalError;
use crate::journal::evidence;
use crate::journal::lock::RunLock;
use crate::journal::manifest::{self, Manifest, RunState};
use crate::journal::replay::Retry;
use crate::journal::run_dir::RunDir;
use crate::run::target::Place;
use crate::source::dialect::Dialect;
use crate::source::{Fingerprint, Input};
use serde::de::DeserializeOwned;
use std::path::Path;

/// How a run reads its input.
pub(crate) fn dialect(known: &manifest::Input) -> Dialect {
    let delimiter = known.delimiter.and_then(|delimiter| u8::try_from(delimiter).ok());
    Dialect { delimiter, blank_rows: !known.leaves_out_blank_rows }
}

/// A run's copy at `spool` of what an earlier copy at `from` holds: called what it is a copy of, where that is a file.
pub(crate) fn kept_copy(known: &manifest::Input, from: &Path, spool: &Path) -> Input {
    // Whether it came on standard input or was made is not known.
    let in_folder = from.parent().and_then(Path::file_name).zip(from.file_name());
    let is_of_run =
        in_folder.is_some_and(|(run, file)| Path::new(&known.path).ends_with(Path::new(run).join(file)));
    if is_of_run { Input::file(spool) } else { Input::copy(Path::new(&known.path), spool) }
}

/// The rows of a run stay the ones that it began with. `name` is what the operator calls them.
pub(crate) fn same_input(
    known: &manifest::Input,
    now: &Fingerprint,
    name: &str,
    run: &RunDir,
) -> Result<(), Failure> {
    if known.sha256 == now.sha256 {
        return Ok(());
    }
    // A run that keeps a copy goes by that one, whatever becomes of the original.
    let what = if known.spooled {
        format!("{}, the copy of {name} that run {} keeps, has changed", run.input().display(), run.id())
    } else {
        format!("{name} has changed since run {} began", run.id())
    };
    let restore = if known.spooled { "copy" } else { "original file" };
    let text = format!(
        "{what}, so its rows may differ:\n  \
         then {} bytes, SHA-256 {}\n  now  {} bytes, SHA-256 {}\n\
         restore the {restore}, or start a new run: rows that were already applied are detected",
        known.bytes, known.sha256, now.bytes, now.sha256
    );
    Err(Failure::new(Exit::Changed, text))
}

/// The options that a run began with.
pub(crate) fn options<J: DeserializeOwned>(manifest: &Manifest, run: &RunDir) -> Result<J, Failure> {
    let job = manifest.settings.get("job").cloned().unwrap_or_default();
    serde_json::from_value(job).map_err(|error| {
        let text =
            format!("{}: settings.job: {error}: this version cannot go by it", run.manifest().display());
        Failure::new(Exit::Changed, text)
    })
}

/// A run continues where it began.
pub(crate) fn same_target(
    manifest: &Manifest,
    place: &Place,
    in_sandbox: bool,
    sandbox: bool,
) -> Result<(), Failure> {
    if sandbox && !in_sandbox {
        let text =
            format!("run {} is against {}: it cannot continue in a sandbox", manifest.id, manifest.base_url);
        return Err(Failure::new(Exit::Usage, text));
    }
    let Place { address: now, setting } = place;
    if !in_sandbox && now.trim_end_matches('/') != manifest.base_url.trim_end_matches('/') {
        let text = format!(
            "run {} began at {}, and {setting} is {now}: change it back, or start a new run",
            manifest.id, manifest.base_url
        );
        return Err(Failure::new(Exit::Changed, text));
    }
    Ok(())
}

/// Whether `resume` would find work in a run.
pub(crate) fn has_something_left(manifest: &Manifest, retry: &Retry) -> bool {
    let some = |state: &str| manifest.counts.get(state).is_some_and(|rows| *rows > 0);
    manifest.closed.is_none()
        && (manifest.state != RunState::Finished
            || some("unknown")
            || some("open")
            || (retry.failed && some("failed"))
            || (!retry.reasons.is_empty() && ["already", "skipped", "failed"].into_iter().any(some)))
}

/// Two runs that undo the same would get in each other's way.
pub(crate) fn unique(of: &str, runs_dir: &Path) -> Result<(), Failure> {
    for run in RunDir::list(runs_dir)? {
        let manifest = match Manifest::read(&run) {
            Ok(manifest) => manifest,
            // Only an undo can be undoing it.
            Err(_) if !run.id().contains("undo") || evidence::never_began(&run)? => continue,
            Err(error) => {
                let text = format!(
                    "run {} may be undoing {of}, and its folder {} cannot be checked: {error}. Restore it, or move it \
                     out of {} if you know that it is not; then run this again",
                    run.id(),
                    run.path().display(),
                    runs_dir.display()
                );
                return Err(Failure::new(Exit::Changed, text));
            }
        };
        let of_this = manifest.parent.as_deref() == Some(of) && !manifest.dry_run;
        if of_this && has_something_left(&manifest, &Retry::default()) {
            let text = format!(
                "run {} is already undoing {of} and has not finished: `devrev-batch resume {}` continues it",
                manifest.id, manifest.id
            );
            return Err(Failure::new(Exit::Usage, text));
        }
    }
    Ok(())
}

/// Holds the run that this one undoes, for as long as the lock lives; `None` where it is not there any more. Fails
/// where that cannot be told.
pub(crate) fn hold_parent(manifest: &Manifest, runs_dir: &Path) -> Result<Option<RunLock>, Failure> {
    let Some(id) = &manifest.parent else { return Ok(None) };
    match RunDir::open(runs_dir, id) {
        Ok(run) => Ok(Some(RunLock::take(&run)?)),
        Err(JournalError::UnknownRun { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
