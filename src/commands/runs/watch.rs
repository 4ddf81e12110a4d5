//! `runs watch`: follows a run that another process works on, to its end. It takes no lock and writes nothing.

use super::look::{Found, Seen, rows};
use super::show;
use crate::exit::{Exit, Failure};
use crate::journal::follow::Follow;
use crate::journal::run_dir::RunDir;
use crate::report::past_run::PastRun;
use crate::report::watched::Watched;
use crate::run::standing::{Place, Status};
use std::path::Path;
use std::time::{Duration, Instant};

/// Between two looks.
const EVERY: Duration = Duration::from_millis(500);

/// Follows the run, or the newest that is worked on. Returns what it came to; nothing if anyone who read the lines has gone.
/// Blocks until then.
pub(crate) fn watch(
    runs_dir: &Path,
    id: Option<&str>,
    mut view: Watched,
    place: &Place,
) -> Result<Option<PastRun>, Failure> {
    let run = match id {
        Some(id) => RunDir::open(runs_dir, id)?,
        None => at_work(runs_dir)?,
    };
    let mut follow = Follow::new(&run);
    let since = Instant::now();
    loop {
        // First this: what is written between the two looks is seen by the second.
        let seen = Seen::of(run.clone());
        let now = follow.read(|trouble| view.trouble(&trouble))?;
        view.look(&now, seen.manifest().and_then(rows), since.elapsed());
        if view.is_gone() {
            return Ok(None);
        }
        if !is_at_work(&seen) {
            break;
        }
        std::thread::sleep(EVERY);
    }
    view.end();
    show::look(runs_dir, run.id(), place).map(Some)
}

/// The newest run that a process works on.
fn at_work(runs_dir: &Path) -> Result<RunDir, Failure> {
    for run in RunDir::list(runs_dir)? {
        let seen = Seen::of(run);
        if is_at_work(&seen) {
            return Ok(seen.run);
        }
    }
    let text =
        format!("no run in {} is being worked on; `runs list` shows those there are", runs_dir.display());
    Err(Failure::new(Exit::Usage, text))
}

/// Whether a process works on it; one that undoes what it did is at work on another run.
fn is_at_work(seen: &Seen) -> bool {
    match seen.found {
        Found::Manifest(_) => seen.status() == Some(Status::Running),
        Found::NeverBegan | Found::Unreadable(_) => seen.held,
    }
}
