//! `apply`: begins a run that applies what a dry run planned.

use crate::cli;
use crate::exit::{Exit, Failure};
use crate::jobs::registry;
use crate::journal::lock::RunLock;
use crate::journal::manifest::{Manifest, RunState};
use crate::journal::run_dir::RunDir;
use crate::report::terminal::Terminal;
use crate::run::apply::Applying;
use crate::run::checks::{hold_parent, unique};
use crate::settings::{Rates, Settings};

/// Begins a run that applies a plan, and works on it until it ends.
pub(crate) async fn run(
    mut args: cli::batch::Apply,
    global: cli::Global,
    terminal: Terminal,
) -> Result<Exit, Failure> {
    // Rows of a plan are changes.
    args.batch.max_changes = args.batch.max_changes.or(args.limit.map(|limit| limit.to_string()));
    let settings = Settings::resolve(&global, &args.batch, Rates::Backfill)?;
    let from = RunDir::open(&settings.runs_dir, &args.run)?;
    // Held until this process ends: nobody may continue with a dry run while its plan is applied.
    let _lock = RunLock::take(&from)?;
    let of = Manifest::read(&from)?;
    fits(&of)?;
    // What is to be undone is held as by the undo itself.
    let _taken_back = match &of.parent {
        Some(parent) => {
            unique(parent, &settings.runs_dir)?;
            hold_parent(&of, &settings.runs_dir)?
        }
        None => None,
    };
    let job = registry::named(&of.command).ok_or_else(|| {
        let text = format!("run {} is of `{}`, which this version cannot apply", args.run, of.command);
        Failure::new(Exit::Usage, text)
    })?;
    let settings = Settings::resolve(&global, &args.batch, job.rates())?;
    let applying = Applying { args: &args, global: &global, terminal, from, of };
    job.apply(applying, settings).await
}

/// Whether this run has a plan that can be carried out.
fn fits(of: &Manifest) -> Result<(), Failure> {
    let id = &of.id;
    let usage = |text: String| Err(Failure::new(Exit::Usage, text));
    let rows = |state: &str| of.counts.get(state).copied().unwrap_or_default();
    if !of.dry_run {
        return usage(format!(
            "run {id} is not a dry run, so it has no plan to apply; name a run made with --dry-run"
        ));
    }
    // One that ended after a portion has the whole plan of that portion.
    let whole = of.state == RunState::Finished && rows("open") == 0 || of.portion.is_some();
    if !whole {
        return usage(format!(
            "dry run {id} did not finish, so its plan is incomplete: run `devrev-batch resume {id}` first"
        ));
    }
    if rows("planned") == 0 {
        return usage(format!("dry run {id} planned no changes: there is nothing to apply"));
    }
    Ok(())
}
