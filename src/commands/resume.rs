//! `resume`: goes on with a run.

use super::apply;
use super::backfill_groups::BackfillOptions;
use super::confirm::Confirmation;
use super::corrections::Corrections;
use super::job::{Job, Looked};
use super::merge_contacts::MergeOptions;
use super::session::{self, Session};
use super::signals;
use super::standing::Status;
use super::undo;
use super::undo_backfill::UndoBackfillOptions;
use super::undo_merge::UndoMergeOptions;
use crate::cli;
use crate::exit::{Exit, Failure};
use crate::journal::atomic;
use crate::journal::evidence;
use crate::journal::lock::RunLock;
use crate::journal::manifest::{self, Manifest, RunState, SANDBOX};
use crate::journal::mend::mend;
use crate::journal::replay::{Replay, Retry};
use crate::journal::run_dir::RunDir;
use crate::journal::writer::Journal;
use crate::report::logging;
use crate::report::reporter::Reporters;
use crate::report::terminal::{Terminal, result};
use crate::settings::{Rates, Settings, is_production};
use crate::source::dialect::Dialect;
use crate::source::{Fingerprint, Input, fingerprint};
use crate::stop::Stop;
use serde_json::json;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Goes on with a run until it ends.
pub async fn run(args: cli::batch::Resume, global: cli::Global, terminal: Terminal) -> Result<Exit, Failure> {
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
        let text = format!("run {} was closed ({}): begin a new run", run.id(), closed.text());
        return Err(Failure::new(Exit::Usage, text));
    }
    let resumed = Resumed { args: &args, global: &global, terminal, retry, run, lock, manifest };
    match resumed.manifest.command.as_str() {
        BackfillOptions::COMMAND => resumed.go_on::<BackfillOptions>(settings).await,
        MergeOptions::COMMAND => {
            let settings = Settings::resolve(&global, &args.batch, Rates::Merge)?;
            resumed.go_on::<MergeOptions>(settings).await
        }
        UndoBackfillOptions::COMMAND => {
            let _parent = undo::hold_parent(&resumed.manifest, &settings.runs_dir)?;
            resumed.go_on::<UndoBackfillOptions>(settings).await
        }
        UndoMergeOptions::COMMAND => {
            let settings = Settings::resolve(&global, &args.batch, Rates::Merge)?;
            let _parent = undo::hold_parent(&resumed.manifest, &settings.runs_dir)?;
            resumed.go_on::<UndoMergeOptions>(settings).await
        }
        command => {
            let text =
                format!("run {} is of `{command}`, which this version cannot resume", resumed.run.id());
            Err(Failure::new(Exit::Usage, text))
        }
    }
}

/// A run that this process holds.
struct Resumed<'a> {
    args: &'a cli::batch::Resume,
    global: &'a cli::Global,
    terminal: Terminal,
    retry: Retry,
    run: RunDir,
    lock: RunLock,
    manifest: Manifest,
}

impl Resumed<'_> {
    async fn go_on<J: Job>(self, settings: Settings) -> Result<Exit, Failure> {
        let Self { args, run, mut manifest, .. } = self;
        let mut job: J = options(&manifest, &run)?;
        same_target(&manifest, &settings, job.in_sandbox(), args.batch.sandbox)?;
        let stop = Stop::default();
        signals::listen(&stop, &self.terminal)
            .map_err(|error| Failure::new(Exit::Unexpected, format!("cannot listen to signals: {error}")))?;

        let known = manifest.input.clone().ok_or_else(|| {
            Failure::new(Exit::Changed, format!("run {} names no input in its run.json", run.id()))
        })?;
        let log = logging::keep(&run)?;
        let since = Instant::now();
        let (input, looked, replay) = take_up(&job, &run, &manifest, known, &self.retry, &stop).await?;
        some_with(&self.retry, &replay, run.id())?;
        let corrected = job.correct(&Corrections {
            flags: &args.corrections,
            settings: &settings,
            manifest: &manifest,
            replay: Some(&replay),
        })?;
        if let Some(settings) = manifest.settings.as_object_mut() {
            settings.insert("job".to_owned(), serde_json::to_value(&job).unwrap_or_default());
        }
        for (name, entry) in &corrected.settings {
            manifest.settings["resolved"][name] = entry.clone();
        }
        for line in &corrected.said {
            tracing::info!("{line}");
            self.terminal.say(line);
        }
        let parsing = since.elapsed();
        if let Some(torn) = &replay.torn {
            tracing::warn!(
                "{} bytes at the end of the journal were torn by a crash; they are set aside",
                torn.bytes
            );
        }
        // A run with nothing left needs neither a token nor a word from the operator: it only ends once more.
        let total = session::total(&manifest, &job, &looked);
        let confirmation = if session::is_idle(&replay, total) {
            Confirmation::NotNeeded
        } else if !job.in_sandbox() && settings.token.is_none() {
            return Err(Settings::no_token());
        } else {
            Confirmation::needed(!manifest.dry_run, job.in_sandbox(), args.batch.yes)?
        };
        mend(&run, &replay)?;
        let journal = Journal::resume(&run, &replay)?;
        let taken = apply::taken_over(&run, &mut manifest, args.on_drift.as_deref());
        let plan = stop
            .race(taken)
            .await
            .unwrap_or_else(|| Err(signals::interrupted(&stop, "interrupted before anything was sent")))?;
        let in_production = is_production(&manifest.environment);
        let session = Session {
            settings,
            job,
            run,
            lock: self.lock,
            log,
            manifest,
            input,
            looked: Some(looked),
            replay,
            journal,
            plan,
            resend_unproven: args.resend_unproven,
            corrected,
            confirmation,
            in_production,
            stop,
            terminal: self.terminal,
            quiet: self.global.quiet,
            json: self.global.json,
            since,
            parsing,
            reporters: Reporters::default(),
            monitor: None,
        };
        // On the heap: it is large, and everything waits on top of it.
        Box::pin(session.run()).await
    }
}

/// Checks that the input is the one that the run began with, and reads the journal meanwhile.
async fn take_up<J: Job>(
    job: &J,
    run: &RunDir,
    manifest: &Manifest,
    known: manifest::Input,
    retry: &Retry,
    stop: &Stop,
) -> Result<(Input, J::Looked, Replay), Failure> {
    let (job, run, manifest, retry) = (job.clone(), run.clone(), manifest.clone(), retry.clone());
    let read = tokio::task::spawn_blocking(move || {
        let path = Path::new(&known.path);
        let input = match known.source {
            Some(_) => Input::queried(&run.input(), None, Vec::new()),
            // Told of as what it is: a copy, whether of standard input, of another run's file or made for it.
            None if known.spooled => kept_copy(&known, &run.input(), &run.input()),
            None => Input::file(path),
        };
        let input = input.read_as(dialect(&known));
        let (replay, looked) = std::thread::scope(|scope| {
            let replay = scope.spawn(|| evidence::retrying(&run, &manifest, &retry));
            let looked = job.look(&input);
            (replay.join(), looked)
        });
        let replay = replay
            .map_err(|_| Failure::new(Exit::Unexpected, "a defect: the journal could not be read"))??;
        let looked = looked.map_err(|failure| {
            let copy = if known.spooled { format!(" in {}", run.input().display()) } else { String::new() };
            let text =
                format!("run {} cannot go on: its input{copy} is not what it was: {failure}", run.id());
            Failure::new(Exit::Changed, text)
        })?;
        same_input(&known, looked.fingerprint(), &input, run.id())?;
        Ok((input, looked, replay))
    });
    match stop.race(read).await {
        Some(read) => read.map_err(|error| {
            Failure::new(Exit::Unexpected, format!("a defect while reading the run: {error}"))
        })?,
        None => Err(signals::interrupted(stop, "interrupted before anything was sent")),
    }
}

/// Whether there are rows with each of the reasons.
fn some_with(retry: &Retry, replay: &Replay, run: &str) -> Result<(), Failure> {
    let Some(missing) = retry.reasons.iter().find(|reason| !replay.reopened.contains_key(*reason)) else {
        return Ok(());
    };
    let left = ["already", "skipped", "failed"].into_iter().filter_map(|state| replay.by_reason.get(state));
    let mut reasons: Vec<_> = left.flat_map(BTreeMap::keys).chain(replay.reopened.keys()).collect();
    reasons.sort();
    reasons.dedup();
    let known =
        reasons.into_iter().filter(|reason| !reason.is_empty()).cloned().collect::<Vec<_>>().join(", ");
    let known = if known.is_empty() { "none has a reason".to_owned() } else { format!("there is {known}") };
    let text = format!("--retry: no row of run {run} was left unchanged for `{missing}`; {known}");
    Err(Failure::new(Exit::Usage, text))
}

/// How a run reads its input.
pub(super) fn dialect(known: &manifest::Input) -> Dialect {
    let delimiter = known.delimiter.and_then(|delimiter| u8::try_from(delimiter).ok());
    Dialect { delimiter, blank_rows: !known.leaves_out_blank_rows }
}

/// A run's copy at `spool` of what an earlier copy at `from` holds: called what it is a copy of, where that is a file.
pub(super) fn kept_copy(known: &manifest::Input, from: &Path, spool: &Path) -> Input {
    // Whether it came on standard input or was made is not known.
    let in_folder = from.parent().and_then(Path::file_name).zip(from.file_name());
    let is_of_run =
        in_folder.is_some_and(|(run, file)| Path::new(&known.path).ends_with(Path::new(run).join(file)));
    if is_of_run { Input::file(spool) } else { Input::copy(Path::new(&known.path), spool) }
}

pub(super) fn same_input(
    known: &manifest::Input,
    now: &Fingerprint,
    input: &Input,
    run: &str,
) -> Result<(), Failure> {
    if known.sha256 == now.sha256 {
        return Ok(());
    }
    let text = format!(
        "{} is not what it was when run {run} began, so its rows may not be the same:\n  \
         then {} bytes, SHA-256 {}\n  now  {} bytes, SHA-256 {}\n\
         put the file back as it was, or begin a new run with it (issues that are done are found so)",
        input.name(),
        known.bytes,
        known.sha256,
        now.bytes,
        now.sha256
    );
    Err(Failure::new(Exit::Changed, text))
}

pub(super) fn options<J: Job>(manifest: &Manifest, run: &RunDir) -> Result<J, Failure> {
    let job = manifest.settings.get("job").cloned().unwrap_or_default();
    serde_json::from_value(job).map_err(|error| {
        let text =
            format!("{}: settings.job: {error}: this version cannot go by it", run.manifest().display());
        Failure::new(Exit::Changed, text)
    })
}

/// A run goes on where it began.
pub(super) fn same_target(
    manifest: &Manifest,
    settings: &Settings,
    in_sandbox: bool,
    sandbox: bool,
) -> Result<(), Failure> {
    if sandbox && !in_sandbox {
        let text =
            format!("run {} is against {}: it cannot go on in a sandbox", manifest.id, manifest.base_url);
        return Err(Failure::new(Exit::Usage, text));
    }
    let now = settings.base_url.to_string();
    if !in_sandbox && now.trim_end_matches('/') != manifest.base_url.trim_end_matches('/') {
        let text = format!(
            "run {} began at {}, and DEVREV_BASE_URL is {now}: set it back, or begin a new run",
            manifest.id, manifest.base_url
        );
        return Err(Failure::new(Exit::Changed, text));
    }
    Ok(())
}

/// What is said where no run has anything left.
fn nothing_left(
    args: &cli::batch::Resume,
    global: &cli::Global,
    settings: &Settings,
) -> Result<Exit, Failure> {
    let hint = if args.retry_failed { "" } else { "; failed rows are taken again with --retry-failed" };
    let text = format!("no run in {} has anything left{hint}", settings.runs_dir.display());
    if !args.if_any {
        return Err(Failure::new(Exit::Usage, text));
    }
    let text =
        if global.json { json!({ "run": null, "exit": 0, "message": text }).to_string() } else { text };
    result(&text).map_err(|error| Failure::new(Exit::Unexpected, format!("cannot print: {error}")))?;
    Ok(Exit::Ok)
}

/// The run that is meant when none is named, if any has something left. With `skips`, runs that cannot be resumed are
/// passed over, and told of: a schedule must not stop at one of them for ever.
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
    if let Err(failure) = same_target(manifest, settings, manifest.base_url == SANDBOX, false) {
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
        Ok(_) => Some(format!("{name} is not what it was")),
        Err(error) => Some(format!("cannot read {name}: {error}")),
    }
}

pub(super) fn has_something_left(manifest: &Manifest, retry: &Retry) -> bool {
    let some = |state: &str| manifest.counts.get(state).is_some_and(|rows| *rows > 0);
    manifest.closed.is_none()
        && (manifest.state != RunState::Finished
            || some("unknown")
            || some("open")
            || (retry.failed && some("failed"))
            || (!retry.reasons.is_empty() && ["already", "skipped", "failed"].into_iter().any(some)))
}
