//! Begins a run: everything up to the moment from which `resume` can continue with it.

use crate::cli;
use crate::exit::{Exit, Failure};
use crate::journal::atomic;
use crate::journal::lock::RunLock;
use crate::journal::manifest::{self, FORMAT, Manifest, RunState, SANDBOX};
use crate::journal::replay::Replay;
use crate::journal::run_dir::RunDir;
use crate::journal::writer::Journal;
use crate::report::logging;
use crate::report::reporter::Reporters;
use crate::report::terminal::Terminal;
use crate::run::checks::{self, same_input};
use crate::run::confirm::Confirmation;
use crate::run::corrections::Corrected;
use crate::run::job::{After, Job, Make, Scan};
use crate::run::planned::FromPlan;
use crate::run::scan::source_failure;
use crate::run::session::Session;
use crate::run::signals;
use crate::run::target::Target;
use crate::settings::{Settings, is_production};
use crate::source::dialect::Dialect;
use crate::source::{Input, Source};
use crate::stop::Stop;
use chrono::Utc;
use serde_json::json;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// What is typed for every new run.
#[derive(Debug)]
pub(crate) struct New<'a> {
    /// The settings.
    pub settings: Settings,
    /// `--dry-run`
    pub dry_run: bool,
    /// `--yes`
    pub yes: bool,
    /// `--quiet`, `--json`
    pub global: &'a cli::Global,
    /// Where progress is shown.
    pub terminal: Terminal,
    /// `run.json` of the run that this one undoes: it is done in the same organisation.
    pub parent: Option<&'a Manifest>,
    /// The plan that it carries out, of a run in the same organisation.
    pub carries: Option<FromPlan<'a>>,
    /// `--resend-unproven`
    pub resend_unproven: bool,
}

impl<'a> New<'a> {
    /// A run of its own.
    pub(crate) fn run(
        settings: Settings,
        dry_run: bool,
        typed: &cli::batch::BatchFlags,
        global: &'a cli::Global,
        terminal: Terminal,
    ) -> Self {
        Self {
            settings,
            dry_run,
            yes: typed.yes,
            global,
            terminal,
            parent: None,
            carries: None,
            resend_unproven: false,
        }
    }
}

/// Where the rows come from.
pub(crate) enum RowsFrom<'a> {
    /// A file, or standard input for `-`, and how it is read.
    Csv(&'a Path, Dialect),
    /// A query or the like, whose rows are kept in the run's folder.
    Source(Box<dyn Source>),
    /// Made for the purpose, and kept in the run's folder.
    Made(Make),
    /// Those of an earlier run, which has to have the same ones.
    Again(&'a RunDir, &'a manifest::Input),
}

/// Rows that are no file, and are kept in one.
enum Kept {
    Stdin,
    /// A file of the operator's.
    File(PathBuf),
    Source(Box<dyn Source>),
    Made(Make),
    /// A copy that an earlier run keeps, and what that run knows of it.
    Again(PathBuf, manifest::Input),
}

/// Begins a run and works on it until it ends. `prepare` puts into the run's folder what only this job keeps there.
pub(crate) async fn run<J: Job>(
    job: J,
    mut new: New<'_>,
    rows: RowsFrom<'_>,
    prepare: impl FnOnce(&RunDir) -> Result<(), Failure>,
) -> Result<Exit, Failure> {
    let confirmation = Confirmation::needed(!new.dry_run, job.in_sandbox(), new.yes)?;
    if !job.in_sandbox() {
        J::Target::check(&job, &new.settings)?;
    }
    let query = match &rows {
        RowsFrom::Source(source) => {
            new.settings.record.extend(source.record().clone());
            Some((source.name().to_owned(), source.query().map(str::to_owned)))
        }
        _ => None,
    };
    let stop = Stop::default();
    signals::listen(&stop, &new.terminal).map_err(|error| {
        Failure::new(Exit::Unexpected, format!("cannot listen to signals: {error}")).because(error)
    })?;

    let since = Instant::now();
    let (run, input, scan) = take_in(&job, rows, &new, &stop).await?;
    let parsing = since.elapsed();
    let lock = RunLock::take(&run)?;
    let log = logging::keep(&run)?;
    prepare(&run).inspect_err(|_| discard(&run))?;
    let plan = match &new.carries {
        None => None,
        Some(carries) => {
            let taken = stop.race(carries.take_over(&run)).await.unwrap_or_else(|| {
                Err(signals::interrupted(&stop, "interrupted while the plan was copied; nothing was sent"))
            });
            Some(taken.inspect_err(|_| discard(&run))?)
        }
    };
    let (applies, plan) = plan.unzip();
    let mut manifest = manifest(&job, &run, &new, &input, &scan, query);
    manifest.applies = applies;
    // The journal first: a run that has a `run.json` can be resumed, wherever this is killed.
    let journal = Journal::create(&run)?;
    manifest.write(&run)?;
    let of = new.parent.or(new.carries.as_ref().map(|carries| carries.of));
    let in_production = of.is_some_and(|of| is_production(&of.environment));
    let session = Session {
        settings: new.settings,
        job,
        run,
        lock,
        log,
        manifest,
        input,
        scan: Some(scan),
        replay: Replay::default(),
        journal,
        plan,
        resend_unproven: new.resend_unproven,
        corrected: Corrected::default(),
        confirmation,
        in_production,
        stop,
        terminal: new.terminal,
        quiet: new.global.quiet,
        json: new.global.json,
        since,
        parsing,
        after: After::default(),
        reporters: Reporters::default(),
        monitor: None,
    };
    // On the heap: it is large, and everything waits on top of it.
    Box::pin(session.run()).await
}

/// Makes the run's folder and looks at the input. What is no file is kept in the folder.
///
/// Input that cannot be used leaves no folder behind: nothing was sent.
async fn take_in<J: Job>(
    job: &J,
    rows: RowsFrom<'_>,
    new: &New<'_>,
    stop: &Stop,
) -> Result<(RunDir, Input, Scan<J::Found>), Failure> {
    let settings = &new.settings;
    let dialect = match &rows {
        RowsFrom::Csv(_, dialect) => *dialect,
        RowsFrom::Again(_, known) => checks::dialect(known),
        RowsFrom::Source(_) | RowsFrom::Made(_) => Dialect::default(),
    };
    let from = match rows {
        // An absolute path: `resume` may be called from elsewhere. The export may be replaced before that.
        RowsFrom::Csv(csv, _) if csv != Path::new("-") => {
            let csv = std::path::absolute(csv).unwrap_or_else(|_| csv.to_owned());
            // A run may write its files again when it is resumed, or be removed.
            let is_kept = is_of_a_run(&csv, &settings.runs_dir)
                || std::fs::metadata(&csv).is_ok_and(|file| file.len() <= settings.keep_input_max);
            if !is_kept {
                let input = Input::file(&csv).read_as(dialect);
                let (input, scan) = scan_input(job, move || Ok(input), new, stop).await?;
                return Ok((RunDir::create(&settings.runs_dir, J::COMMAND, Utc::now())?, input, scan));
            }
            Kept::File(csv)
        }
        RowsFrom::Csv(..) => Kept::Stdin,
        RowsFrom::Source(source) => Kept::Source(source),
        RowsFrom::Made(make) => Kept::Made(make),
        RowsFrom::Again(from, known) if !known.spooled => {
            let input = Input::file(Path::new(&known.path)).read_as(dialect);
            let (input, scan) = scan_input(job, move || Ok(input), new, stop)
                .await
                .map_err(|failure| not_again(failure, from))?;
            return Ok((RunDir::create(&settings.runs_dir, J::COMMAND, Utc::now())?, input, scan));
        }
        RowsFrom::Again(from, known) => Kept::Again(from.input(), known.clone()),
    };
    let run = RunDir::create(&settings.runs_dir, J::COMMAND, Utc::now())?;
    let (spool, of_query) = (run.input(), stop.clone());
    let copy = move || match from {
        Kept::Stdin => Input::stdin(&spool).map_err(|error| source_failure(&error)),
        Kept::File(from) => Input::copied(&from, &spool).map_err(|error| source_failure(&error)),
        Kept::Source(source) => source.spool(&spool, &of_query),
        Kept::Made(make) => make_input(&spool, make, &of_query),
        Kept::Again(from, known) => {
            let mut file = File::open(&from).map_err(|error| {
                Failure::new(Exit::Changed, format!("cannot read {}: {error}", from.display())).because(error)
            })?;
            let input = Input::spooled(&mut file, &spool).map_err(|error| source_failure(&error))?;
            Ok(if let Some(source) = &known.source {
                Input::of_source(source, &spool, input.fingerprint().ok(), Vec::new())
            } else {
                checks::kept_copy(&known, &from, &spool)
            })
        }
    };
    let copy = move || copy().map(|input| input.read_as(dialect));
    match scan_input(job, copy, new, stop).await {
        Ok((input, scan)) => Ok((run, input, scan)),
        Err(failure) => {
            discard(&run);
            Err(failure)
        }
    }
}

/// Rows that have to be those of an earlier run cannot be had: the operator has named no file.
fn not_again(failure: Failure, from: &RunDir) -> Failure {
    if !matches!(failure.exit, Exit::Usage | Exit::InvalidInput) {
        return failure;
    }
    let text = format!("the plan of {} cannot be applied: its input has changed: {failure}", from.id());
    Failure::new(Exit::Changed, text)
}

/// Whether a file is in the folder of a run.
fn is_of_a_run(file: &Path, runs_dir: &Path) -> bool {
    let whole = |path: &Path| path.canonicalize().ok();
    let runs = whole(file).and_then(|file| Some(file.parent()?.parent()?.to_owned()));
    runs.is_some() && runs == whole(runs_dir)
}

/// Removes the folder of a run that never began: nothing was sent, so there is nothing to resume.
fn discard(run: &RunDir) {
    // What cannot be removed does no harm.
    let _ = std::fs::remove_dir_all(run.path());
}

/// Makes an input.
fn make_input(path: &Path, make: Make, stop: &Stop) -> Result<Input, Failure> {
    let mut refused = None;
    let made = atomic::replace(path, |file| {
        make(file, stop).map_err(|failure| {
            let text = failure.to_string();
            refused = Some(failure);
            io::Error::other(text)
        })
    });
    let unwritten = |error| {
        Failure::new(Exit::Unexpected, format!("cannot write {}: {error}", path.display())).because(error)
    };
    made.map_err(|error| refused.unwrap_or_else(|| unwritten(error)))?;
    Ok(Input::file(path))
}

/// Gets at an input and looks at it, on a thread that may block.
async fn scan_input<J: Job>(
    job: &J,
    input: impl FnOnce() -> Result<Input, Failure> + Send + 'static,
    new: &New<'_>,
    stop: &Stop,
) -> Result<(Input, Scan<J::Found>), Failure> {
    let (job, settings, dry_run) = (job.clone(), new.settings.clone(), new.dry_run);
    let known =
        new.carries.as_ref().and_then(|carries| Some((carries.of.input.clone()?, carries.from.clone())));
    let look = tokio::task::spawn_blocking(move || {
        let input = input()?;
        let scan = job.scan(&input)?;
        if let Some((known, run)) = known {
            same_input(&known, &scan.fingerprint, input.name(), &run)?;
        }
        job.check(&settings, &scan, dry_run)?;
        Ok((input, scan))
    });
    match stop.race(look).await {
        Some(scan) => scan.map_err(|error| {
            Failure::new(Exit::Unexpected, format!("a defect while reading the input: {error}"))
                .because(error)
        })?,
        None => Err(signals::interrupted(stop, "interrupted while the input was read; nothing was sent")),
    }
}

/// What is said of an input without rows: that is no error.
fn no_rows(input: &Input, is_file: bool) -> String {
    if is_file {
        format!("no rows: {} has only a header", input.name())
    } else {
        format!("no rows came from {}", input.name())
    }
}

fn manifest<J: Job>(
    job: &J,
    run: &RunDir,
    new: &New<'_>,
    input: &Input,
    scan: &Scan<J::Found>,
    query: Option<(String, Option<String>)>,
) -> Manifest {
    let now = Utc::now();
    let settings = &new.settings;
    let target = if job.in_sandbox() { SANDBOX.to_owned() } else { J::Target::place(job, settings).address };
    let of_input = manifest::Input {
        path: match input.arguments() {
            // The operator's own file, of which this may be a copy.
            [flag, path, ..] if flag == "--csv" => path.clone(),
            _ => input.path().display().to_string(),
        },
        delimiter: input.dialect().delimiter.map(char::from),
        leaves_out_blank_rows: !input.dialect().blank_rows,
        bytes: scan.fingerprint.bytes,
        sha256: scan.fingerprint.sha256.clone(),
        rows: scan.rows,
        spooled: input.path() == run.input(),
        source: query.as_ref().map(|(source, _)| source.clone()),
        query: query.and_then(|(_, sql)| sql),
    };
    // What the rows were is known of the run that planned.
    let planned = new.carries.as_ref().map(|carries| carries.of);
    let of_input = match planned.and_then(|planned| planned.input.clone()) {
        Some(known) => manifest::Input { source: known.source, query: known.query, ..of_input },
        None => of_input,
    };
    let is_file = of_input.source.is_none();
    let parent = match (new.parent, planned) {
        (Some(parent), _) => Some(parent.id.clone()),
        // An undo that was planned undoes what its plan does.
        (None, Some(planned)) => Some(planned.parent.clone().unwrap_or_else(|| planned.id.clone())),
        (None, None) => None,
    };
    Manifest {
        format: FORMAT,
        tool_version: env!("CARGO_PKG_VERSION").to_owned(),
        id: run.id().to_owned(),
        command: J::COMMAND.to_owned(),
        created_at: now,
        updated_at: now,
        ended_at: None,
        settings: json!({ "job": job, "resolved": settings.record }),
        input: Some(of_input),
        org: new.parent.or(planned).and_then(|parent| parent.org.clone()),
        user: None,
        base_url: target,
        // What began in production is there still, whatever it is called by now.
        environment: new
            .parent
            .or(planned)
            .map(|of| &of.environment)
            .filter(|environment| is_production(environment))
            .unwrap_or(&settings.environment)
            .clone(),
        dry_run: new.dry_run,
        counts: std::collections::BTreeMap::new(),
        journal_bytes: Some(0),
        state: RunState::Running,
        exit_code: None,
        applies: None,
        portion: None,
        closed: None,
        why: None,
        notes: if scan.rows == 0 { vec![no_rows(input, is_file)] } else { Vec::new() },
        parent,
    }
}
