//! `runs list`: the runs of a folder, the newest first.

use super::look::{Others, Seen};
use crate::commands::standing::Place;
use crate::exit::Failure;
use crate::journal::run_dir::RunDir;
use crate::report::past::PastRuns;
use std::path::Path;

/// Looks at all runs, and at the newest `limit` closely. Blocks, for longer only where a journal of a crashed run
/// has to be read.
pub fn look(runs_dir: &Path, limit: usize, place: &Place) -> Result<PastRuns, Failure> {
    let mut others = Others::default();
    let mut shown = Vec::new();
    let runs = RunDir::list(runs_dir)?;
    let left_out = runs.len().saturating_sub(limit);
    for run in runs {
        let seen = Seen::of(run);
        others.note(&seen);
        if shown.len() < limit {
            shown.push(seen);
        }
    }
    let past = |seen: &Seen| {
        let (tally, problem) = seen.tally();
        seen.past(&tally, problem, &others, place)
    };
    Ok(PastRuns {
        runs_dir: runs_dir.display().to_string(),
        runs: shown.iter().map(past).collect(),
        left_out,
    })
}
