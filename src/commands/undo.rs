//! `undo`: begins a run that takes back what another run did.
//!
//! What is taken back, and how, is the affair of [`super::undo_backfill`] and [`super::undo_merge`].

use super::begin::{self, New, Rows};
use super::job::Job;
use super::resume::{self, has_something_left};
use super::undo_backfill::UndoBackfillOptions;
use super::undo_merge::UndoMergeOptions;
use super::{backfill_groups::BackfillOptions, merge_contacts::MergeOptions};
use crate::cli;
use crate::exit::{Exit, Failure};
use crate::jobs::{undo_backfill, undo_merge};
use crate::journal::error::JournalError;
use crate::journal::evidence;
use crate::journal::lock::RunLock;
use crate::journal::manifest::{Manifest, SANDBOX};
use crate::journal::replay::Retry;
use crate::journal::run_dir::RunDir;
use crate::report::terminal::Terminal;
use crate::settings::{Rates, Settings};
use std::path::Path;

/// Begins a run that takes back another one, and works on it until it ends.
pub async fn run(args: cli::batch::Undo, global: cli::Global, terminal: Terminal) -> Result<Exit, Failure> {
    let settings = Settings::resolve(&global, &args.batch, Rates::Backfill)?;
    let run = RunDir::open(&settings.runs_dir, &args.run)?;
    // Held until this process ends: nobody may go on with a run that is being taken back.
    let _lock = RunLock::take(&run)?;
    let parent = Manifest::read(&run)?;
    fits(&parent, &settings, &args)?;
    unique(&parent.id, &settings.runs_dir)?;
    let in_doubt = parent.counts.get("unknown").copied().unwrap_or_default();
    if in_doubt > 0 {
        terminal.say(&format!(
            "note: of {in_doubt} rows of {} it is not known whether they were changed; they are not taken back \
             (`devrev-batch resume {}` settles them)",
            parent.id, parent.id
        ));
    }
    let of = parent.id.clone();
    let new = |settings| New {
        parent: Some(&parent),
        ..New::run(settings, args.dry_run, &args.batch, &global, terminal)
    };
    if parent.command == MergeOptions::COMMAND {
        let settings = Settings::resolve(&global, &args.batch, Rates::Merge)?;
        let options = UndoMergeOptions { of, limit: args.limit };
        // Where the merges had them, unless they were moved.
        let is_given = settings.origin("BACKUP_DIR") != "default";
        let backup_dir = is_given.then(|| settings.backup_dir.clone());
        let backup_dir = backup_dir.map(|dir| std::path::absolute(&dir).unwrap_or(dir));
        let rows =
            Rows::Made(Box::new(move |file| undo_merge::rows::write(&run, backup_dir.as_deref(), file)));
        begin::run(options, new(settings), rows, |_| Ok(())).await
    } else {
        let BackfillOptions { field, .. } = resume::options(&parent, &run)?;
        let options = UndoBackfillOptions { of, limit: args.limit, field };
        let rows = Rows::Made(Box::new(move |file| undo_backfill::rows::write(&run, file)));
        begin::run(options, new(settings), rows, |_| Ok(())).await
    }
}

/// Whether this is a run that can be taken back, from here.
fn fits(parent: &Manifest, settings: &Settings, args: &cli::batch::Undo) -> Result<(), Failure> {
    let id = &parent.id;
    let usage = |text: String| Err(Failure::new(Exit::Usage, text));
    if ![BackfillOptions::COMMAND, MergeOptions::COMMAND].contains(&parent.command.as_str()) {
        return usage(format!(
            "run {id} is of `{}`: only runs of {} and {} can be taken back",
            parent.command,
            BackfillOptions::COMMAND,
            MergeOptions::COMMAND
        ));
    }
    if parent.dry_run {
        return usage(format!("run {id} is a dry run: it has changed nothing"));
    }
    if parent.base_url == SANDBOX {
        let text = format!(
            "run {id} was against a sandbox in its own process, which went with that process: there is nothing left to \
             take back"
        );
        return Err(Failure::new(Exit::Changed, text));
    }
    if args.batch.sandbox {
        return usage(format!(
            "run {id} is against {}: it cannot be taken back in a sandbox",
            parent.base_url
        ));
    }
    resume::same_target(parent, settings, false, false)
}

/// Two runs that take back the same would get in each other's way.
pub(super) fn unique(of: &str, runs_dir: &Path) -> Result<(), Failure> {
    for run in RunDir::list(runs_dir)? {
        let manifest = match Manifest::read(&run) {
            Ok(manifest) => manifest,
            // Only an undo can be undoing it.
            Err(_) if !run.id().contains("undo") || evidence::never_began(&run)? => continue,
            Err(error) => {
                let text = format!(
                    "run {} may be undoing {of}, and its folder {} cannot be checked: {error}. Restore it, or move it out \
                     of {} if you know that it is not; then run this again",
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
                "run {} is taking back {of} already, and has not finished: `devrev-batch resume {}` goes on with it",
                manifest.id, manifest.id
            );
            return Err(Failure::new(Exit::Usage, text));
        }
    }
    Ok(())
}

/// Holds the run that this one takes back, for as long as the lock lives; `None` where it is not there any more. Fails
/// where that cannot be told.
pub(super) fn hold_parent(manifest: &Manifest, runs_dir: &Path) -> Result<Option<RunLock>, Failure> {
    let Some(id) = &manifest.parent else { return Ok(None) };
    match RunDir::open(runs_dir, id) {
        Ok(run) => Ok(Some(RunLock::take(&run)?)),
        Err(JournalError::UnknownRun { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
