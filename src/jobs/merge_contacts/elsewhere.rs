//! Merges that other runs may have sent: a run that was left in the middle knows of merges whose fate nobody has
//! seen yet. Another run must not send them a second time.

use super::change::Change;
use crate::devrev::ids::Key;
use crate::devrev::rev_users::contact_key;
use crate::jobs::track::meant;
use crate::journal::lock::RunLock;
use crate::journal::manifest::Manifest;
use crate::journal::replay::Replay;
use crate::journal::run_dir::RunDir;
use std::collections::HashMap;
use std::path::Path;

/// The command whose runs send merges.
const COMMAND: &str = "merge-contacts";

/// Contacts by key, and the run that may have sent a merge of each.
pub type Elsewhere = HashMap<Key, String>;

/// The other runs that send merges to the same DevRev.
fn others(runs_dir: &Path, own: &str, target: &str) -> impl Iterator<Item = RunDir> {
    let is_other = move |run: &RunDir| {
        let Ok(manifest) = Manifest::read(run) else { return false };
        run.id() != own
            && manifest.command == COMMAND
            && !manifest.dry_run
            && manifest.base_url.trim_end_matches('/') == target.trim_end_matches('/')
    };
    RunDir::list(runs_dir).unwrap_or_default().into_iter().filter(is_other)
}

/// Another run that a process works on just now. Whoever asks holds the lock of its own run, and has written its
/// `run.json`: of two that ask at once, one at least sees the other.
pub fn at_work(runs_dir: &Path, own: &str, target: &str) -> Option<String> {
    others(runs_dir, own, target).find(RunLock::is_held).map(|run| run.id().to_owned())
}

/// Finds the merges that are in doubt in other runs against the same DevRev. Blocks for as long as their journals
/// take to read. What cannot be read is said in the log: its merges stay unknown.
pub fn in_doubt(runs_dir: &Path, own: &str, target: &str) -> Elsewhere {
    let mut found = Elsewhere::new();
    for run in others(runs_dir, own, target) {
        match Replay::read(&run) {
            Ok(replay) => {
                let changes =
                    replay.unknown.values().filter_map(|in_doubt| meant::<Change>(in_doubt).ok().flatten());
                for change in changes.filter(Change::in_doubt) {
                    let ids = [&change.primary.id, &change.secondary.id];
                    found.extend(
                        ids.into_iter().filter_map(|id| Some((contact_key(id)?, run.id().to_owned()))),
                    );
                }
            }
            Err(error) => {
                tracing::warn!("run {} may have sent merges, and cannot be read: {error}", run.id())
            }
        }
    }
    found
}
