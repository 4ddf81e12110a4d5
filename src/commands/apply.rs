//! `apply`: begins a run that carries out exactly what a dry run planned.
//!
//! It is a run of the same job with the same options and the same rows, held to the plan: see
//! [`drift`](crate::jobs::drift).

use super::backfill_groups::BackfillOptions;
use super::begin::{self, New, Rows};
use super::corrections::Corrections;
use super::job::Job;
use super::merge_contacts::MergeOptions;
use super::undo_backfill::UndoBackfillOptions;
use super::undo_merge::UndoMergeOptions;
use super::{resume, undo};
use crate::cli;
use crate::exit::{Exit, Failure};
use crate::jobs::drift::OnDrift;
use crate::journal::atomic;
use crate::journal::lock::RunLock;
use crate::journal::manifest::{Applies, Manifest, RunState};
use crate::journal::plan::{self, Plan};
use crate::journal::run_dir::RunDir;
use crate::report::progress::span;
use crate::report::terminal::Terminal;
use crate::settings::{Rates, Settings};
use chrono::{DateTime, Utc};
use std::fs::File;
use std::io;
use std::time::Duration;

/// A plan that is older is warned of.
const OLD: Duration = Duration::from_secs(24 * 3600);

/// Begins a run that carries out a plan, and works on it until it ends.
pub async fn run(
    mut args: cli::batch::Apply,
    global: cli::Global,
    terminal: Terminal,
) -> Result<Exit, Failure> {
    // Rows of a plan are changes.
    args.batch.max_changes = args.batch.max_changes.or(args.limit.take());
    let on_drift = super::choice("on-drift", args.on_drift.as_deref(), OnDrift::Skip)?;
    let settings = Settings::resolve(&global, &args.batch, Rates::Backfill)?;
    let from = RunDir::open(&settings.runs_dir, &args.run)?;
    // Held until this process ends: nobody may go on with a dry run while its plan is carried out.
    let _lock = RunLock::take(&from)?;
    let of = Manifest::read(&from)?;
    fits(&of)?;
    // What is to be taken back is held as by the undo itself.
    let _taken_back = match &of.parent {
        Some(parent) => {
            undo::unique(parent, &settings.runs_dir)?;
            undo::hold_parent(&of, &settings.runs_dir)?
        }
        None => None,
    };
    let applying = Applying { args: &args, global: &global, terminal, from, of, on_drift };
    let merges = || Settings::resolve(&global, &args.batch, Rates::Merge);
    match applying.of.command.as_str() {
        BackfillOptions::COMMAND => applying.carry_out::<BackfillOptions>(settings).await,
        MergeOptions::COMMAND => applying.carry_out::<MergeOptions>(merges()?).await,
        UndoBackfillOptions::COMMAND => applying.carry_out::<UndoBackfillOptions>(settings).await,
        UndoMergeOptions::COMMAND => applying.carry_out::<UndoMergeOptions>(merges()?).await,
        command => {
            let text = format!("run {} is of `{command}`, which this version cannot carry out", args.run);
            Err(Failure::new(Exit::Usage, text))
        }
    }
}

/// Whether this run has a plan that can be carried out.
fn fits(of: &Manifest) -> Result<(), Failure> {
    let id = &of.id;
    let usage = |text: String| Err(Failure::new(Exit::Usage, text));
    let rows = |state: &str| of.counts.get(state).copied().unwrap_or_default();
    if !of.dry_run {
        return usage(format!(
            "run {id} is no dry run: there is no plan to carry out; name a run made with --dry-run"
        ));
    }
    // One that ended after a portion has the whole plan of that portion.
    let whole = of.state == RunState::Finished && rows("open") == 0 || of.portion.is_some();
    if !whole {
        return usage(format!(
            "dry run {id} has not come to its end, so its plan is not whole: `devrev-batch resume {id}` first"
        ));
    }
    if rows("planned") == 0 {
        return usage(format!("dry run {id} has planned no change: there is nothing to carry out"));
    }
    Ok(())
}

/// A dry run that this process holds.
struct Applying<'a> {
    args: &'a cli::batch::Apply,
    global: &'a cli::Global,
    terminal: Terminal,
    from: RunDir,
    of: Manifest,
    on_drift: OnDrift,
}

impl Applying<'_> {
    async fn carry_out<J: Job>(self, settings: Settings) -> Result<Exit, Failure> {
        let Self { args, global, terminal, from, of, on_drift } = self;
        let mut job: J = resume::options(&of, &from)?;
        let corrected = job.correct(&Corrections {
            flags: &args.corrections,
            settings: &settings,
            manifest: &of,
            replay: None,
        })?;
        for line in &corrected.said {
            terminal.say(line);
        }
        resume::same_target(&of, &settings, job.in_sandbox(), args.batch.sandbox)?;
        let input = of.input.as_ref().ok_or_else(|| {
            Failure::new(Exit::Changed, format!("run {} names no input in its run.json", of.id))
        })?;
        let (age, at) = (age(planned_at(&of)), planned_at(&of).format("%Y-%m-%d %H:%M UTC"));
        if age >= OLD {
            terminal.say(&format!(
                "warning: the plan of {} is {} old (made {at}): what has changed since is found row by row, what is \
                 missing in it is not",
                of.id,
                long_span(age)
            ));
        } else if !global.quiet {
            terminal.say(&format!("the plan of {} is {} old (made {at})", of.id, long_span(age)));
        }
        let new = New {
            carries: Some(Carries { from: &from, of: &of, on_drift }),
            resend_unproven: args.resend_unproven,
            ..New::run(settings, false, &args.batch, global, terminal)
        };
        begin::run(job, new, Rows::Again(&from, input), |run| keep::<J>(&from, run)).await
    }
}

/// Copies what the dry run went by besides its rows.
fn keep<J: Job>(from: &RunDir, run: &RunDir) -> Result<(), Failure> {
    for name in J::KEPT {
        let copied = match File::open(from.path().join(name)) {
            Ok(mut file) => atomic::replace(&run.path().join(name), |to| io::copy(&mut file, to).map(drop)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        };
        copied.map_err(|error| {
            let text = format!("cannot copy {name} from {}: {error}", from.path().display());
            Failure::new(Exit::Unexpected, text)
        })?;
    }
    Ok(())
}

/// The plan that a new run carries out.
#[derive(Debug)]
pub struct Carries<'a> {
    /// The dry run's folder.
    pub from: &'a RunDir,
    /// Its `run.json`.
    pub of: &'a Manifest,
    /// What is done about what has drifted.
    pub on_drift: OnDrift,
}

impl Carries<'_> {
    /// Copies the plan into the new run's folder: what it goes by from now on, whatever becomes of the dry run.
    pub async fn take_over(&self, run: &RunDir) -> Result<(Applies, (Plan, OnDrift)), Failure> {
        let (from, to) = (self.from.clone(), run.clone());
        let copy = move || {
            let copied = plan::copy(&from, &to)?;
            let shown = plan::sha256(&from.plan());
            let opened = Plan::open(&to.plan());
            Ok::<_, Failure>((copied, shown, opened))
        };
        let (copied, shown, opened) =
            tokio::task::spawn_blocking(copy).await.map_err(|error| defect(&error))??;
        let shown_at = self.from.plan();
        match shown {
            Ok(shown) if shown != copied.sha256 => {
                let text = format!(
                    "{} is not what the dry run wrote: somebody has changed it; `devrev-batch resume {}` writes it \
                     anew, and to leave rows out, make a new plan of fewer rows",
                    shown_at.display(),
                    self.of.id
                );
                return Err(Failure::new(Exit::Changed, text));
            }
            Err(error) => {
                let text = format!("cannot read {}: {error}", shown_at.display());
                return Err(Failure::new(Exit::Changed, text));
            }
            Ok(_) => {}
        }
        let applies = Applies {
            run: self.of.id.clone(),
            planned_at: planned_at(self.of),
            rows: copied.rows,
            sha256: copied.sha256,
            abort_on_drift: self.on_drift == OnDrift::Abort,
        };
        Ok((applies, (opened.map_err(|error| unreadable(&error))?, self.on_drift)))
    }
}

/// The plan that a run carries out which goes on, and what is done about drift; none for a run without one.
pub async fn taken_over(
    run: &RunDir,
    manifest: &mut Manifest,
    on_drift: Option<&str>,
) -> Result<Option<(Plan, OnDrift)>, Failure> {
    let Some(applies) = &mut manifest.applies else {
        if on_drift.is_none() {
            return Ok(None);
        }
        let text = format!("--on-drift: run {} does not carry out a plan", manifest.id);
        return Err(Failure::new(Exit::Usage, text));
    };
    let before = OnDrift::of(applies);
    let on_drift = super::choice("on-drift", on_drift, before)?;
    applies.abort_on_drift = on_drift == OnDrift::Abort;
    let (path, expected) = (run.plan(), applies.sha256.clone());
    let (run, dry_run) = (run.clone(), applies.run.clone());
    let open = move || {
        // Rows in doubt have to be settled, whatever became of the copy: the dry run has the plan, too.
        if !path.exists()
            && let Some(from) = run.path().parent().and_then(|runs| RunDir::open(runs, &dry_run).ok())
        {
            plan::copy(&from, &run)?;
        }
        let found = plan::sha256(&path).map_err(|error| {
            Failure::new(Exit::Changed, format!("cannot read {}: {error}", path.display()))
        })?;
        if found != expected {
            let text = format!(
                "{} is not the plan that this run began with: put it back as it was, or begin a new run",
                path.display()
            );
            return Err(Failure::new(Exit::Changed, text));
        }
        Plan::open(&path).map_err(|error| unreadable(&error))
    };
    let plan = tokio::task::spawn_blocking(open).await.map_err(|error| defect(&error))??;
    Ok(Some((plan, on_drift)))
}

fn unreadable(error: &io::Error) -> Failure {
    Failure::new(Exit::Changed, format!("the plan cannot be read: {error}"))
}

fn defect(error: &tokio::task::JoinError) -> Failure {
    Failure::new(Exit::Unexpected, format!("a defect while reading the plan: {error}"))
}

/// What will happen, for the question whether it may.
pub fn what<J: Job>(applies: &Applies) -> String {
    let drift = if applies.abort_on_drift {
        "the run stops at the first that is no longer as it was planned"
    } else {
        "those that are no longer as they were planned are left alone"
    };
    let warning = J::WARNING.map(|warning| format!("\n{warning}")).unwrap_or_default();
    format!(
        "The plan of {}, {} old, is carried out: {} rows are read again, and {drift}.{warning}",
        applies.run,
        long_span(age(applies.planned_at)),
        applies.rows
    )
}

/// When it began: its end is a later one each time that it is resumed, which makes no row of it any younger.
fn planned_at(of: &Manifest) -> DateTime<Utc> {
    of.created_at
}

/// None for what a clock that was set back says of the future.
fn age(of: DateTime<Utc>) -> Duration {
    Utc::now().signed_duration_since(of).to_std().unwrap_or_default()
}

/// A time for people that may be of days.
fn long_span(time: Duration) -> String {
    const DAY: u64 = 24 * 3600;
    match time.as_secs() / DAY {
        0 if time.as_secs() < 60 => "less than a minute".to_owned(),
        0 => span(time),
        1 => "1 day".to_owned(),
        days => format!("{days} days"),
    }
}
