//! `runs close`: ends a run by hand that nobody will resume.

use super::look;
use crate::exit::{Exit, Failure};
use crate::journal::evidence;
use crate::journal::lock::RunLock;
use crate::journal::manifest::{Closed, Manifest, RunState};
use crate::journal::run_dir::RunDir;
use crate::report::units::counted;
use chrono::Utc;
use serde::Serialize;
use std::fmt::Write as _;
use std::path::Path;

/// A run that was closed.
#[derive(Debug, Serialize)]
pub(crate) struct ClosedRun {
    run: String,
    /// Rows that are left as they are.
    open: u64,
    /// Rows of which nobody knows whether they were changed.
    in_doubt: u64,
}

impl ClosedRun {
    /// For people.
    pub(crate) fn text(&self) -> String {
        let mut text = format!("run {} is closed", self.run);
        if self.open > 0 {
            let _ = write!(text, "; {} left without a result", counted(self.open, "row"));
        }
        if self.in_doubt > 0 {
            let _ = write!(
                text,
                "; {} may have been changed: check them in DevRev. Contacts among them stay off limits to other merges",
                counted(self.in_doubt, "row")
            );
        }
        text
    }
}

/// Closes a run. Its files stay.
pub(crate) fn close(runs_dir: &Path, id: &str, reason: Option<String>) -> Result<ClosedRun, Failure> {
    let run = RunDir::open(runs_dir, id)?;
    let _lock = RunLock::take(&run)?;
    let mut manifest = Manifest::read(&run)?;
    let usage = |text: String| Err(Failure::new(Exit::Usage, text));
    if let Some(closed) = &manifest.closed {
        return usage(format!("run {} was closed already: {}", run.id(), closed.text()));
    }
    let replay = evidence::replay(&run, &manifest)?;
    let mut counts = replay.counts;
    let open = look::rows(&manifest).unwrap_or_default().saturating_sub(counts.values().sum());
    let in_doubt = replay.unknown.len() as u64;
    if manifest.state == RunState::Finished && open == 0 && in_doubt == 0 {
        return usage(format!("run {} has ended, and has nothing left: there is nothing to close", run.id()));
    }
    counts.insert("open".to_owned(), open);
    if manifest.state == RunState::Running {
        manifest.state = RunState::Stopped;
    }
    manifest.counts = counts;
    manifest.closed = Some(Closed { at: Utc::now(), reason });
    manifest.write(&run)?;
    Ok(ClosedRun { run: run.id().to_owned(), open, in_doubt })
}
