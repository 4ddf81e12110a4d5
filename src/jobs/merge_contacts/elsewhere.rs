//! Merges that other runs may have sent: a run that was left in the middle knows of merges whose fate nobody has
//! seen yet. Another run must not send them a second time.

use super::COMMAND;
use super::change::Change;
use crate::devrev::ids::Key;
use crate::devrev::rev_users::contact_key;
use crate::exit::{Exit, Failure};
use crate::jobs::track::meant;
use crate::journal::lock::RunLock;
use crate::journal::manifest::Manifest;
use crate::journal::replay::Replay;
use crate::journal::run_dir::RunDir;
use std::collections::HashMap;
use std::fmt::Display;
use std::path::Path;

/// Contacts by key, and the run that may have sent a merge of each.
pub type Elsewhere = HashMap<Key, String>;

/// Finds the merges that are in doubt in other runs against the same DevRev. Blocks for as long as their journals
/// take to read.
///
/// Fails when another process is at work on such a run: what that one is about to send cannot be foreseen. Two
/// that begin at the same time both fail. Fails too when it cannot be told what a run of merges has sent.
pub fn in_doubt(runs_dir: &Path, own: &str, target: &str) -> Result<Elsewhere, Failure> {
    let mut found = Elsewhere::new();
    for run in RunDir::list(runs_dir)?.iter().filter(|run| run.id() != own && may_merge(run)) {
        let manifest = Manifest::read(run).map_err(|error| unclear(run, &error))?;
        let same = manifest.command == COMMAND
            && !manifest.dry_run
            && manifest.base_url.trim_end_matches('/') == target.trim_end_matches('/');
        if !same {
            continue;
        }
        if RunLock::is_held(run) {
            let text = format!(
                "run {} is merging contacts at {target} just now: let it end, then begin again",
                run.id()
            );
            return Err(Failure::new(Exit::Locked, text));
        }
        let replay = Replay::read(run).map_err(|error| unclear(run, &error))?;
        for in_doubt in replay.unknown.values() {
            let Some(change) = meant::<Change>(in_doubt).map_err(|error| unclear(run, &error))? else {
                continue;
            };
            if change.in_doubt() {
                let ids = [&change.primary.id, &change.secondary.id];
                found.extend(ids.into_iter().filter_map(|id| Some((contact_key(id)?, run.id().to_owned()))));
            }
        }
    }
    Ok(found)
}

/// Whether a run, by its name, is of merges, and ever began: without a `run.json` it sent nothing.
fn may_merge(run: &RunDir) -> bool {
    run.id().contains(COMMAND) && run.manifest().exists()
}

fn unclear(run: &RunDir, error: &impl Display) -> Failure {
    let text = format!(
        "nothing was sent: run {} may have sent merges whose fate is not known, and it cannot be told which: {error}. If \
         you know that none of its merges is in doubt, move {} away; then begin again",
        run.id(),
        run.path().display()
    );
    Failure::new(Exit::Changed, text)
}
