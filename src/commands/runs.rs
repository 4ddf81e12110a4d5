//! `runs`: what became of past runs, and the removal of those that nobody needs. Sends nothing.
//!
//! - [`look`]: a look at a run; [`list`] and [`show`] tell what was seen
//! - [`watch`] follows a run at work
//! - [`stats`] sums up runs by job; [`figures`]: what each of them adds
//! - [`serve`]: a page about them for a browser
//! - [`close`]: the end of a run by hand
//! - [`prune`]: which runs may go; [`remove`]: the removal itself

pub(crate) mod close;
pub(crate) mod figures;
pub(crate) mod list;
pub(crate) mod look;
pub(crate) mod prune;
pub(crate) mod remove;
pub(crate) mod serve;
pub(crate) mod show;
pub(crate) mod stats;
pub(crate) mod watch;

use crate::cli;
use crate::cli::around::{Only, RunsCommand, SHOWN};
use crate::cli::batch::BatchFlags;
use crate::exit::{Exit, Failure};
use crate::report::terminal::{self, Terminal};
use crate::report::watched::{Lines, Watched};
use crate::run::standing::Place;
use crate::settings::{Rates, Settings};
use serde::Serialize;
use std::io::IsTerminal;
use tokio::runtime::Handle;

/// Runs `runs`. Blocks; what serves does so on the runtime.
pub(crate) fn run(
    args: cli::around::Runs,
    global: &cli::Global,
    terminal: &Terminal,
    runtime: &Handle,
) -> Result<Exit, Failure> {
    let flags = BatchFlags { runs_dir: args.runs_dir, ..BatchFlags::default() };
    let settings = Settings::resolve(global, &flags, Rates::Backfill)?;
    let (runs_dir, place) = (&settings.runs_dir, Place::of(&settings));
    match args.command.unwrap_or(RunsCommand::List { limit: SHOWN, only: Only::default() }) {
        RunsCommand::List { limit, only } => {
            let runs = list::look(runs_dir, limit, &only, &place)?;
            print(&runs, global.json, || runs.text())?;
        }
        RunsCommand::Show { run } => {
            let run = show::look(runs_dir, &run, &place)?;
            print(&run, global.json, || run.text())?;
        }
        RunsCommand::Watch { run } => {
            let view = Watched::new(terminal.clone(), lines(global, terminal));
            if let Some(past) = watch::watch(runs_dir, run.as_deref(), view, &place)? {
                print(&past, global.json, || past.text())?;
            }
        }
        RunsCommand::Stats { these, html } => {
            let stats = stats::run(runs_dir, these, html.as_deref())?;
            print(&stats, global.json, || stats.text())?;
        }
        RunsCommand::Serve { listen, allow_host } => {
            let asked = serve::Asked { listen, allow_host, json: global.json };
            return runtime.block_on(serve::run(runs_dir, asked, place, terminal));
        }
        RunsCommand::Close { run, reason } => {
            let closed = close::close(runs_dir, &run, reason)?;
            print(&closed, global.json, || closed.text())?;
        }
        RunsCommand::Prune { older_than, dry_run, yes } => {
            let age = prune::age(&older_than)?;
            return prune::run(runs_dir, age, prune::Ask { dry_run, yes }, global.json, terminal);
        }
    }
    Ok(Exit::Ok)
}

/// Where the lines of a run that is watched go: they are the result, unless that is to be one JSON object.
fn lines(global: &cli::Global, terminal: &Terminal) -> Lines {
    let on_bar = terminal.draws() && std::io::stdout().is_terminal();
    match (global.quiet, global.json || on_bar) {
        (true, _) => Lines::None,
        (false, true) => Lines::Err,
        (false, false) => Lines::Out,
    }
}

/// Prints a result, for people or for machines.
fn print(report: &impl Serialize, json: bool, text: impl Fn() -> String) -> Result<(), Failure> {
    let text = if json {
        serde_json::to_string(report)
            .map_err(|error| Failure::new(Exit::Unexpected, error.to_string()).because(error))?
    } else {
        text()
    };
    terminal::result(&text).map_err(|error| {
        Failure::new(Exit::Unexpected, format!("cannot write the result: {error}")).because(error)
    })
}
