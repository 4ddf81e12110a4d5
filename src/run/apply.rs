//! Begins a run that applies what a dry run planned.

use crate::cli;
use crate::exit::{Exit, Failure};
use crate::journal::atomic;
use crate::journal::manifest::Manifest;
use crate::journal::run_dir::RunDir;
use crate::report::terminal::Terminal;
use crate::run::begin::{self, New, RowsFrom};
use crate::run::checks;
use crate::run::corrections::Corrections;
use crate::run::job::Job;
use crate::run::planned::{FromPlan, age, long_span, planned_at};
use crate::run::target::Target;
use crate::settings::Settings;
use std::fs::File;
use std::io;
use std::time::Duration;

/// A plan that is older is warned of.
const OLD: Duration = Duration::from_secs(24 * 3600);

/// A dry run that this process holds.
#[derive(Debug)]
pub(crate) struct Applying<'a> {
    /// What was typed.
    pub args: &'a cli::batch::Apply,
    /// `--quiet`, `--json`
    pub global: &'a cli::Global,
    /// Where progress is shown.
    pub terminal: Terminal,
    /// The dry run's folder.
    pub from: RunDir,
    /// Its `run.json`.
    pub of: Manifest,
}

impl Applying<'_> {
    /// Begins the run, and works on it until it ends.
    pub(crate) async fn run<J: Job>(self, settings: Settings) -> Result<Exit, Failure> {
        let Self { args, global, terminal, from, of } = self;
        let mut job: J = checks::options(&of, &from)?;
        let corrected = job.correct(&Corrections {
            flags: &args.corrections,
            settings: &settings,
            manifest: &of,
            replay: None,
        })?;
        for line in &corrected.said {
            terminal.say(line);
        }
        checks::same_target(&of, &J::Target::place(&job, &settings), job.in_sandbox(), args.batch.sandbox)?;
        let input = of.input.as_ref().ok_or_else(|| {
            Failure::new(Exit::Changed, format!("run {} names no input in its run.json", of.id))
        })?;
        let (age, at) = (age(planned_at(&of)), planned_at(&of).format("%Y-%m-%d %H:%M UTC"));
        if age >= OLD {
            terminal.say(&format!(
                "warning: the plan of {} is {} old (made {at}): rows that changed since are detected, rows that are \
                 missing from it are not",
                of.id,
                long_span(age)
            ));
        } else if !global.quiet {
            terminal.say(&format!("the plan of {} is {} old (made {at})", of.id, long_span(age)));
        }
        let new = New {
            carries: Some(FromPlan { from: &from, of: &of, on_drift: args.on_drift }),
            resend_unproven: args.resend_unproven,
            ..New::run(settings, false, &args.batch, global, terminal)
        };
        begin::run(job, new, RowsFrom::Again(&from, input), |run| keep::<J>(&from, run)).await
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
