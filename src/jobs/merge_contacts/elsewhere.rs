//! Merges that other runs may have sent: a run that was left in the middle knows of merges whose fate nobody has
//! seen yet. Another run must not send them a second time.

use super::change::Change;
use crate::devrev::ids::Key;
use crate::devrev::rev_users::contact_key;
use crate::jobs::track::meant;
use crate::journal::manifest::Manifest;
use crate::journal::replay::Replay;
use crate::journal::run_dir::RunDir;
use std::collections::HashMap;
use std::path::Path;

/// The command whose runs send merges.
const COMMAND: &str = "merge-contacts";

/// Contacts by key, and the run that may have sent a merge of each.
pub type Elsewhere = HashMap<Key, String>;

/// Finds the merges that are in doubt in other runs against the same DevRev. Blocks for as long as their journals
/// take to read. What cannot be read is said in the log: its merges stay unknown.
pub fn in_doubt(runs_dir: &Path, own: &str, target: &str) -> Elsewhere {
    let mut found = Elsewhere::new();
    let runs = RunDir::list(runs_dir).unwrap_or_default();
    for run in runs.iter().filter(|run| run.id() != own) {
        let Ok(manifest) = Manifest::read(run) else { continue };
        let same = manifest.command == COMMAND
            && !manifest.dry_run
            && manifest.base_url.trim_end_matches('/') == target.trim_end_matches('/');
        if !same {
            continue;
        }
        match Replay::read(run) {
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
