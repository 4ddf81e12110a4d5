//! Merges that other runs may have sent: a run that was left in the middle knows of merges whose fate nobody has
//! seen yet. Another run must not send them a second time.

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
use std::path::Path;

/// The command whose runs send merges.
const COMMAND: &str = "merge-contacts";

/// Contacts by key, and the run that may have sent a merge of each.
pub type Elsewhere = HashMap<Key, String>;

/// Finds the merges that are in doubt in other runs against the same DevRev. Blocks for as long as their journals
/// take to read. What cannot be read is said in the log: its merges stay unknown.
///
/// Fails when another process is at work on such a run: what that one is about to send cannot be foreseen. Two
/// that begin at the same time both fail.
pub fn in_doubt(runs_dir: &Path, own: &str, target: &str) -> Result<Elsewhere, Failure> {
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
        if RunLock::is_held(run) {
            let text = format!(
                "run {} is merging contacts at {target} just now: let it end, then begin again",
                run.id()
            );
            return Err(Failure::new(Exit::Locked, text));
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
                tracing::warn!("run {} may have sent merges, and cannot be read: {error}", run.id());
            }
        }
    }
    Ok(found)
}
