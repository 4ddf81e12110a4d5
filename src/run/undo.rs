//! Begins a run that undoes another one.

use super::begin::{self, New, RowsFrom};
use super::job::{Job, UndoneRun};
use crate::cli;
use crate::exit::{Exit, Failure};
use crate::journal::manifest::Manifest;
use crate::journal::run_dir::RunDir;
use crate::report::terminal::Terminal;
use crate::settings::Settings;

/// A run that is to be undone, and that this process holds.
#[derive(Debug)]
pub(crate) struct Undoing<'a> {
    /// What was typed.
    pub args: &'a cli::batch::Undo,
    /// `--quiet`, `--json`
    pub global: &'a cli::Global,
    /// Where progress is shown.
    pub terminal: Terminal,
    /// The run's folder.
    pub run: &'a RunDir,
    /// Its `run.json`.
    pub parent: &'a Manifest,
}

impl Undoing<'_> {
    /// Begins the undo, and works on it until it ends.
    pub(crate) async fn run<J: Job>(self, settings: Settings) -> Result<Exit, Failure> {
        let Self { args, global, terminal, run, parent } = self;
        let (limit, delete_created) = (args.limit, args.delete_created);
        if delete_created && !J::DELETES {
            let text = format!(
                "--delete-created: run {} is of `{}`, which creates nothing that undo could delete",
                parent.id, parent.command
            );
            return Err(Failure::new(Exit::Usage, text));
        }
        let of = UndoneRun { run, manifest: parent, settings: &settings, limit, delete_created };
        let (job, make) = J::undoing(of).unwrap_or_else(|| {
            let text = format!("a defect: {} takes nothing back", J::COMMAND);
            Err(Failure::new(Exit::Unexpected, text))
        })?;
        let new =
            New { parent: Some(parent), ..New::run(settings, args.dry_run, &args.batch, global, terminal) };
        begin::run(job, new, RowsFrom::Made(make), |_| Ok(())).await
    }
}
