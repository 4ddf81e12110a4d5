//! `backfill-groups`: begins a run.

use super::confirm::Confirmation;
use super::connect::SANDBOX;
use super::options::BackfillOptions;
use super::preflight::{self, Preflight};
use super::session::{GROUP_MAP, Session};
use super::signals;
use crate::cli;
use crate::exit::{Exit, Failure};
use crate::journal::atomic;
use crate::journal::lock::RunLock;
use crate::journal::manifest::{self, FORMAT, Manifest, RunState};
use crate::journal::replay::Replay;
use crate::journal::run_dir::RunDir;
use crate::journal::writer::Journal;
use crate::report::terminal::Terminal;
use crate::settings::Settings;
use crate::source::Input;
use crate::stop::Stop;
use chrono::Utc;
use serde_json::json;
use std::path::Path;

/// The name of the command, in run IDs and `run.json`.
pub const COMMAND: &str = "backfill-groups";

/// Begins a run and works on it until it ends.
pub async fn run(
    args: cli::BackfillGroups,
    global: cli::Global,
    terminal: Terminal,
) -> Result<Exit, Failure> {
    let settings = Settings::resolve(&global, &args.batch)?;
    let options = BackfillOptions::typed(&args, &settings)?;
    let confirmation = Confirmation::needed(!args.dry_run, options.sandbox, args.batch.yes)?;
    if !options.sandbox && settings.token.is_none() {
        return Err(Settings::no_token());
    }
    let group_map = args.group_map.as_deref().map(read_group_map).transpose()?;
    let stop = Stop::default();
    signals::listen(&stop, &terminal)
        .map_err(|error| Failure::new(Exit::Unexpected, format!("cannot listen to signals: {error}")))?;

    let (run, input, preflight) = take_in(&args.csv, &settings.runs_dir, &stop).await?;
    let lock = RunLock::take(&run)?;
    if let Some(text) = group_map {
        let path = run.path().join(GROUP_MAP);
        atomic::replace(&path, |file| file.write_all(&text)).map_err(|error| {
            Failure::new(Exit::Unexpected, format!("cannot write {}: {error}", path.display()))
        })?;
    }
    let manifest = manifest(&run, &settings, &options, args.dry_run, &input, &preflight);
    // The journal first: a run that has a `run.json` can be resumed, wherever this is killed.
    let journal = Journal::create(&run)?;
    manifest.write(&run)?;
    let session = Session {
        settings,
        options,
        run,
        lock,
        manifest,
        input,
        preflight: Some(preflight),
        replay: Replay::default(),
        journal,
        retry_failed: false,
        confirmation,
        stop,
        terminal,
        quiet: global.quiet,
        json: global.json,
    };
    session.run().await
}

/// Reads the file that `--group-map` names, to keep a copy: `resume` goes by what the run began with.
fn read_group_map(path: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(path)
        .map_err(|error| Failure::new(Exit::Usage, format!("--group-map {}: {error}", path.display())))
}

/// Makes the run's folder and looks at the input. Standard input is kept in the folder.
///
/// Input that cannot be used leaves no folder behind: nothing was sent.
async fn take_in(csv: &Path, runs_dir: &Path, stop: &Stop) -> Result<(RunDir, Input, Preflight), Failure> {
    if csv != Path::new("-") {
        // An absolute path: `resume` may be called from elsewhere.
        let input = Input::file(&std::path::absolute(csv).unwrap_or_else(|_| csv.to_owned()));
        let (input, preflight) = look(move || Ok(input), stop).await?;
        return Ok((RunDir::create(runs_dir, COMMAND, Utc::now())?, input, preflight));
    }
    let run = RunDir::create(runs_dir, COMMAND, Utc::now())?;
    let spool = run.input();
    let copy = move || Input::stdin(&spool).map_err(|error| preflight::source_failure(&error));
    match look(copy, stop).await {
        Ok((input, preflight)) => Ok((run, input, preflight)),
        Err(failure) => {
            // Nothing was sent, so there is nothing to resume; what cannot be removed does no harm.
            let _ = std::fs::remove_dir_all(run.path());
            Err(failure)
        }
    }
}

/// Gets at an input and looks at it, on a thread that may block.
async fn look(
    input: impl FnOnce() -> Result<Input, Failure> + Send + 'static,
    stop: &Stop,
) -> Result<(Input, Preflight), Failure> {
    let look = tokio::task::spawn_blocking(move || {
        let input = input()?;
        let preflight = preflight::look(&input)?;
        Ok((input, preflight))
    });
    match stop.race(look).await {
        Some(looked) => looked.map_err(|error| {
            Failure::new(Exit::Unexpected, format!("a defect while reading the input: {error}"))
        })?,
        None => Err(signals::interrupted(stop, "interrupted while the input was read; nothing was sent")),
    }
}

fn manifest(
    run: &RunDir,
    settings: &Settings,
    options: &BackfillOptions,
    dry_run: bool,
    input: &Input,
    preflight: &Preflight,
) -> Manifest {
    let now = Utc::now();
    let target = if options.sandbox { SANDBOX.to_owned() } else { settings.base_url.to_string() };
    Manifest {
        format: FORMAT,
        tool_version: env!("CARGO_PKG_VERSION").to_owned(),
        id: run.id().to_owned(),
        command: COMMAND.to_owned(),
        created_at: now,
        updated_at: now,
        ended_at: None,
        settings: json!({ "job": options, "resolved": settings.record }),
        input: Some(manifest::Input {
            path: input.path().display().to_string(),
            bytes: preflight.fingerprint.bytes,
            sha256: preflight.fingerprint.sha256.clone(),
            rows: preflight.rows,
            spooled: input.argument() == Path::new("-"),
        }),
        org: None,
        user: None,
        base_url: target,
        environment: settings.environment.clone(),
        dry_run,
        counts: std::collections::BTreeMap::new(),
        state: RunState::Running,
        exit_code: None,
        why: None,
        parent: None,
    }
}
