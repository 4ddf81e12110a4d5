//! `resume`: continues a run.

use crate::cli;
use crate::exit::{Exit, Failure};
use crate::jobs::registry;
use crate::journal::atomic;
use crate::journal::evidence;
use crate::journal::lock::RunLock;
use crate::journal::manifest::{Manifest, SANDBOX};
use crate::journal::replay::Retry;
use crate::journal::run_dir::RunDir;
use crate::report::terminal::{Terminal, result};
use crate::run::checks::{has_something_left, hold_parent, same_target};
use crate::run::resume::Resumed;
use crate::run::standing::Status;
use crate::settings::{Rates, Settings};
use crate::source::fingerprint;
use serde_json::json;
use std::fmt::Write as _;
use std::path::PathBuf;

/// Goes on with a run until it ends.
pub(crate) async fn run(
    args: cli::batch::Resume,
    global: cli::Global,
    terminal: Terminal,
) -> Result<Exit, Failure> {
    let settings = Settings::resolve(&global, &args.batch, Rates::Backfill)?;
    let retry = Retry { failed: args.retry_failed, reasons: args.retry.clone() };
    let run = match &args.run {
        Some(id) => RunDir::open(&settings.runs_dir, id)?,
        None => match newest(&settings, args.latest || args.if_any, args.latest, &retry)? {
            Some(run) => run,
            None => return nothing_left(&args, &global, &settings),
        },
    };
    // The lock comes first: nothing of a run that another process works on is to be believed.
    let lock = RunLock::take(&run)?;
    let manifest = Manifest::read(&run)?;
    if let Err(error) = atomic::clear_leftovers(run.path()) {
        // They only take up room.
        tracing::warn!("cannot remove what a killed process left in {}: {error}", run.path().display());
    }
    if let Some(closed) = &manifest.closed {
        let text = format!("run {} was closed ({}): start a new run", run.id(), closed.text());
        return Err(Failure::new(Exit::Usage, text));
    }
    let job = registry::named(&manifest.command).ok_or_else(|| {
        let text = format!("run {} is of `{}`, which this version cannot resume", run.id(), manifest.command);
        Failure::new(Exit::Usage, text)
    })?;
    let settings = Settings::resolve(&global, &args.batch, job.rates())?;
    // What an undo undoes is held as long as it continues.
    let _parent = match job.undoes() {
        [] => None,
        _ => hold_parent(&manifest, &settings.runs_dir)?,
    };
    let resumed = Resumed { args: &args, global: &global, terminal, retry, run, lock, manifest };
    job.resume(resumed, settings).await
}

/// What is said where no run has anything left.
fn nothing_left(
    args: &cli::batch::Resume,
    global: &cli::Global,
    settings: &Settings,
) -> Result<Exit, Failure> {
    let hint = if args.retry_failed { "" } else { "; --retry-failed retries failed rows" };
    let text = format!("no run in {} has rows left{hint}", settings.runs_dir.display());
    if !args.if_any {
        return Err(Failure::new(Exit::Usage, text));
    }
    let text =
        if global.json { json!({ "run": null, "exit": 0, "message": text }).to_string() } else { text };
    result(&text)
        .map_err(|error| Failure::new(Exit::Unexpected, format!("cannot print: {error}")).because(error))?;
    Ok(Exit::Ok)
}

/// The run that is meant when none is named, if any has something left. With `skips`, runs that cannot be resumed are
/// passed over, and told about: a schedule must not stop at one of them for ever.
fn newest(settings: &Settings, skips: bool, latest: bool, retry: &Retry) -> Result<Option<RunDir>, Failure> {
    let mut left = Vec::new();
    for run in RunDir::list(&settings.runs_dir)? {
        match Manifest::read(&run) {
            Ok(manifest) if has_something_left(&manifest, retry) => {
                match dead(&run, &manifest, settings).filter(|_| skips) {
                    Some(why) => tracing::warn!(
                        "run {} is skipped: {why}; `devrev-batch runs close {}` ends it",
                        run.id(),
                        run.id()
                    ),
                    None => left.push((run, manifest)),
                }
            }
            Ok(_) => {}
            Err(_) if evidence::never_began(&run).is_ok_and(|never| never) => {}
            Err(error) => tracing::warn!("skipped run {}: {error}", run.id()),
        }
    }
    if left.len() > 1 && !latest {
        let mut text =
            "several runs have something left; name one, or take the newest with --latest:".to_owned();
        for (run, manifest) in left.iter().take(20) {
            let state = Status::of(manifest.state, RunLock::is_held(run)).name();
            let kind = if manifest.dry_run { ", dry run" } else { "" };
            let _ =
                write!(text, "\n  devrev-batch resume {}   ({state}{kind}, {})", run.id(), manifest.base_url);
        }
        return Err(Failure::new(Exit::Usage, text));
    }
    Ok(left.into_iter().next().map(|(run, _)| run))
}

/// Why a run cannot be resumed with these settings, if that shows without its rows.
fn dead(run: &RunDir, manifest: &Manifest, settings: &Settings) -> Option<String> {
    if !run.journal().exists() {
        return Some("it has no journal".to_owned());
    }
    let Some(job) = registry::named(&manifest.command) else {
        return Some("this version has no such job".to_owned());
    };
    let Some(place) = job.place(manifest, settings) else {
        return Some("this version cannot go by its options".to_owned());
    };
    if let Err(failure) = same_target(manifest, &place, manifest.base_url == SANDBOX, false) {
        return Some(failure.message);
    }
    let known = manifest.input.as_ref()?;
    let (path, name) = if known.spooled {
        (run.input(), "its copy of the input".to_owned())
    } else {
        (PathBuf::from(&known.path), known.path.clone())
    };
    match fingerprint(&path) {
        Ok(now) if now.sha256 == known.sha256 => None,
        Ok(_) => Some(format!("{name} has changed")),
        Err(error) => Some(format!("cannot read {name}: {error}")),
    }
}
