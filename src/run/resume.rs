//! Goes on with a run.

use crate::cli;
use crate::exit::{Exit, Failure};
use crate::journal::evidence;
use crate::journal::lock::RunLock;
use crate::journal::manifest::{self, Manifest};
use crate::journal::repair::repair;
use crate::journal::replay::{Replay, Retry};
use crate::journal::run_dir::RunDir;
use crate::journal::writer::Journal;
use crate::report::logging;
use crate::report::reporter::Reporters;
use crate::report::terminal::Terminal;
use crate::run::checks::{dialect, kept_copy, options, same_input, same_target};
use crate::run::confirm::Confirmation;
use crate::run::corrections::Corrections;
use crate::run::job::{After, Job, Scan};
use crate::run::planned;
use crate::run::session::{self, Session};
use crate::run::signals;
use crate::run::target::Target;
use crate::settings::{Settings, is_production};
use crate::source::Input;
use crate::stop::Stop;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

/// A run that this process holds.
#[derive(Debug)]
pub(crate) struct Resumed<'a> {
    /// What was typed.
    pub args: &'a cli::batch::Resume,
    /// `--quiet`, `--json`
    pub global: &'a cli::Global,
    /// Where progress is shown.
    pub terminal: Terminal,
    /// The rows that are taken again.
    pub retry: Retry,
    /// The run's folder.
    pub run: RunDir,
    /// Held until this process ends.
    pub lock: RunLock,
    /// `run.json`.
    pub manifest: Manifest,
}

impl Resumed<'_> {
    /// Goes on until it ends.
    pub(crate) async fn run<J: Job>(self, settings: Settings) -> Result<Exit, Failure> {
        let Self { args, run, mut manifest, .. } = self;
        let mut job: J = options(&manifest, &run)?;
        same_target(&manifest, &J::Target::place(&job, &settings), job.in_sandbox(), args.batch.sandbox)?;
        let stop = Stop::default();
        signals::listen(&stop, &self.terminal).map_err(|error| {
            Failure::new(Exit::Unexpected, format!("cannot listen to signals: {error}")).because(error)
        })?;

        let known = manifest.input.clone().ok_or_else(|| {
            Failure::new(Exit::Changed, format!("run {} names no input in its run.json", run.id()))
        })?;
        let log = logging::keep(&run)?;
        let since = Instant::now();
        let (input, scan, replay) = take_up(&job, &run, &manifest, known, &self.retry, &stop).await?;
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
        let total = session::total(&manifest, &job, &scan);
        let confirmation = if session::is_idle(&replay, total) {
            Confirmation::NotNeeded
        } else {
            if !job.in_sandbox() {
                J::Target::check(&job, &settings)?;
            }
            Confirmation::needed(!manifest.dry_run, job.in_sandbox(), args.batch.yes)?
        };
        repair(&run, &replay)?;
        let journal = Journal::resume(&run, &replay)?;
        let taken = planned::taken_over(&run, &mut manifest, args.on_drift);
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
            scan: Some(scan),
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
            after: After::default(),
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
) -> Result<(Input, Scan<J::Found>, Replay), Failure> {
    let (job, run, manifest, retry) = (job.clone(), run.clone(), manifest.clone(), retry.clone());
    let read = tokio::task::spawn_blocking(move || {
        let path = Path::new(&known.path);
        let input = match &known.source {
            Some(source) => Input::of_source(source, &run.input(), None, Vec::new()),
            // Told of as what it is: a copy, whether of standard input, of another run's file or made for it.
            None if known.spooled => kept_copy(&known, &run.input(), &run.input()),
            None => Input::file(path),
        };
        let input = input.read_as(dialect(&known));
        let (replay, scan) = std::thread::scope(|scope| {
            let replay = scope.spawn(|| evidence::retrying(&run, &manifest, &retry));
            let scan = job.scan(&input);
            (replay.join(), scan)
        });
        let replay = replay
            .map_err(|_| Failure::new(Exit::Unexpected, "a defect: the journal could not be read"))??;
        let scan = scan.map_err(|failure| {
            let copy = if known.spooled { format!(" in {}", run.input().display()) } else { String::new() };
            let text = format!("run {} cannot continue: its input{copy} has changed: {failure}", run.id());
            Failure::new(Exit::Changed, text)
        })?;
        same_input(&known, &scan.fingerprint, input.name(), &run)?;
        Ok((input, scan, replay))
    });
    match stop.race(read).await {
        Some(read) => read.map_err(|error| {
            Failure::new(Exit::Unexpected, format!("a defect while reading the run: {error}")).because(error)
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
