//! Carrying out exactly what a dry run planned: a run of the same job with the same options and the same rows, held to
//! the plan, see [`drift`](crate::run::drift).

use crate::cli::choices::OnDrift;
use crate::exit::{Exit, Failure};
use crate::journal::manifest::{Applies, Manifest};
use crate::journal::plan::{self, PlanFile};
use crate::journal::run_dir::RunDir;
use crate::report::units::span;
use crate::run::job::Job;
use crate::source::fingerprint;
use chrono::{DateTime, Utc};
use std::io;
use std::time::Duration;

/// The plan that a new run carries out.
#[derive(Debug)]
pub(crate) struct FromPlan<'a> {
    /// The dry run's folder.
    pub from: &'a RunDir,
    /// Its `run.json`.
    pub of: &'a Manifest,
    /// What is done about what has drifted.
    pub on_drift: OnDrift,
}

impl FromPlan<'_> {
    /// Copies the plan into the new run's folder: what it goes by from now on, whatever becomes of the dry run.
    pub(crate) async fn take_over(&self, run: &RunDir) -> Result<(Applies, (PlanFile, OnDrift)), Failure> {
        let (from, to) = (self.from.clone(), run.clone());
        let copy = move || {
            let copied = plan::copy(&from, &to)?;
            let shown = fingerprint(&from.plan()).map(|found| found.sha256);
            let opened = PlanFile::open(&to.plan());
            Ok::<_, Failure>((copied, shown, opened))
        };
        let (copied, shown, opened) =
            tokio::task::spawn_blocking(copy).await.map_err(|error| defect(&error))??;
        let shown_at = self.from.plan();
        match shown {
            Ok(shown) if shown != copied.sha256 => {
                let text = format!(
                    "{} is not what the dry run wrote: it was changed; `devrev-batch resume {}` restores it; to leave \
                     rows out, make a new plan with fewer rows",
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

/// The plan that a run carries out which continues, and what is done about drift; none for a run without one.
pub(crate) async fn taken_over(
    run: &RunDir,
    manifest: &mut Manifest,
    on_drift: Option<OnDrift>,
) -> Result<Option<(PlanFile, OnDrift)>, Failure> {
    let Some(applies) = &mut manifest.applies else {
        if on_drift.is_none() {
            return Ok(None);
        }
        let text = format!("--on-drift: run {} does not apply a plan", manifest.id);
        return Err(Failure::new(Exit::Usage, text));
    };
    let on_drift = on_drift.unwrap_or_else(|| OnDrift::of(applies));
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
        let found = fingerprint(&path).map_err(|error| {
            Failure::new(Exit::Changed, format!("cannot read {}: {error}", path.display())).because(error)
        })?;
        if found.sha256 != expected {
            let text = format!(
                "{} is not the plan that this run began with: restore it, or start a new run",
                path.display()
            );
            return Err(Failure::new(Exit::Changed, text));
        }
        PlanFile::open(&path).map_err(|error| unreadable(&error))
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
pub(crate) fn what<J: Job>(applies: &Applies) -> String {
    let drift = if applies.abort_on_drift {
        "the run stops at the first that has changed since it was planned"
    } else {
        "those that have changed since they were planned are left alone"
    };
    let warning = J::WARNING.map(|warning| format!("\n{warning}")).unwrap_or_default();
    format!(
        "The plan of {}, {} old, will be applied: {} read again, and {drift}.{warning}",
        applies.run,
        long_span(age(applies.planned_at)),
        if applies.rows == 1 { "1 row is".to_owned() } else { format!("{} rows are", applies.rows) }
    )
}

/// When it began: its end is a later one each time that it is resumed, which makes no row of it any younger.
pub(crate) fn planned_at(of: &Manifest) -> DateTime<Utc> {
    of.created_at
}

/// None for what a clock that was set back says of the future.
pub(crate) fn age(of: DateTime<Utc>) -> Duration {
    Utc::now().signed_duration_since(of).to_std().unwrap_or_default()
}

/// A time for people that may be of days.
pub(crate) fn long_span(time: Duration) -> String {
    const DAY: u64 = 24 * 3600;
    match time.as_secs() / DAY {
        0 if time.as_secs() < 60 => "less than a minute".to_owned(),
        0 => span(time),
        1 => "1 day".to_owned(),
        days => format!("{days} days"),
    }
}
