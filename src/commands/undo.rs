//! `undo`: begins a run that undoes what another run did.
//!
//! What is undone, and how, is the affair of the jobs that the registry has for it.

use crate::cli;
use crate::exit::{Exit, Failure};
use crate::jobs::registry::{self, JOBS};
use crate::journal::lock::RunLock;
use crate::journal::manifest::{Manifest, SANDBOX};
use crate::journal::run_dir::RunDir;
use crate::report::terminal::Terminal;
use crate::report::units::counted;
use crate::run::any_job::AnyJob;
use crate::run::checks::{same_target, unique};
use crate::run::undo::Undoing;
use crate::settings::{Rates, Settings};

/// Begins a run that undoes another one, and works on it until it ends.
pub(crate) async fn run(
    args: cli::batch::Undo,
    global: cli::Global,
    terminal: Terminal,
) -> Result<Exit, Failure> {
    let settings = Settings::resolve(&global, &args.batch, Rates::Backfill)?;
    let run = RunDir::open(&settings.runs_dir, &args.run)?;
    // Held until this process ends: nobody may continue with a run that is being undone.
    let _lock = RunLock::take(&run)?;
    let parent = Manifest::read(&run)?;
    let job = fits(&parent, &settings, &args)?;
    unique(&parent.id, &settings.runs_dir)?;
    let in_doubt = parent.counts.get("unknown").copied().unwrap_or_default();
    if in_doubt > 0 {
        terminal.say(&format!(
            "note: {} of {} {} an unknown outcome; undo leaves {} alone (`devrev-batch resume {}` settles {})",
            counted(in_doubt, "row"),
            parent.id,
            if in_doubt == 1 { "has" } else { "have" },
            if in_doubt == 1 { "it" } else { "them" },
            parent.id,
            if in_doubt == 1 { "it" } else { "them" },
        ));
    }
    let settings = Settings::resolve(&global, &args.batch, job.rates())?;
    let undoing = Undoing { args: &args, global: &global, terminal, run: &run, parent: &parent };
    job.undo(undoing, settings).await
}

/// `a, b and c`.
fn listed(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [most @ .., last] => format!("{} and {last}", most.join(", ")),
    }
}

/// Whether this is a run that can be undone, from here.
fn fits(
    parent: &Manifest,
    settings: &Settings,
    args: &cli::batch::Undo,
) -> Result<&'static dyn AnyJob, Failure> {
    let id = &parent.id;
    let usage = |text: String| Err(Failure::new(Exit::Usage, text));
    let Some(job) = registry::undo_of(&parent.command) else {
        let can_be: Vec<_> = JOBS.iter().flat_map(|job| job.undoes()).copied().collect();
        return usage(format!(
            "run {id} is of `{}`: only runs of {} can be undone",
            parent.command,
            listed(&can_be)
        ));
    };
    if parent.dry_run {
        return usage(format!("run {id} is a dry run: it has changed nothing"));
    }
    if parent.base_url == SANDBOX {
        let text = format!(
            "run {id} was against a sandbox in its own process, which is gone: there is nothing to undo"
        );
        return Err(Failure::new(Exit::Changed, text));
    }
    if args.batch.sandbox {
        return usage(format!("run {id} is against {}: it cannot be undone in a sandbox", parent.base_url));
    }
    let place = registry::named(&parent.command).and_then(|of| of.place(parent, settings));
    let place = place.ok_or_else(|| {
        Failure::new(Exit::Changed, format!("run {id}: this version cannot go by its options"))
    })?;
    same_target(parent, &place, false, false)?;
    Ok(job)
}
