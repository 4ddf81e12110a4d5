//! Merges that other runs may have sent: a run that ended early may have sent merges whose outcome nobody has read.
//! Another run must not send them a second time.
//!
//! Organisations are compared, not base URLs: one organisation can be reached at several. What cannot be read counts as
//! the worst case.

use super::COMMAND;
use super::change::MergeChange;
use crate::devrev::ids::Key;
use crate::devrev::rev_users::contact_key;
use crate::exit::{Exit, Failure};
use crate::jobs::track::meant;
use crate::journal::evidence;
use crate::journal::lock::RunLock;
use crate::journal::manifest::{Manifest, Party, SANDBOX};
use crate::journal::replay::Replay;
use crate::journal::run_dir::RunDir;
use crate::stop::Stop;
use std::collections::HashMap;
use std::error::Error;
use std::path::Path;

/// Contacts by key, and the run that may have sent a merge of each.
pub(crate) type Elsewhere = HashMap<Key, String>;

/// Finds the merges that are in doubt in other runs in the same organisation. Blocks for as long as the journals of those
/// take to read that did not come to their end; once `stop` is set, no more are read, and what is returned is not all.
///
/// Fails with [`Exit::Locked`] when another process is at work on such a run: what that one is about to send cannot
/// be foreseen. Two that start at the same time both fail. Fails with [`Exit::Changed`] when a run of merges cannot
/// be read.
pub(crate) fn in_doubt(
    runs_dir: &Path,
    own: &str,
    org: Option<&Party>,
    stop: &Stop,
) -> Result<Elsewhere, Failure> {
    let mut found = Elsewhere::new();
    let runs = RunDir::list(runs_dir)?;
    // A run's name says its command, whatever else of it can be read.
    for run in runs.iter().filter(|run| run.id() != own && run.id().contains(COMMAND)) {
        if stop.is_set() {
            break;
        }
        match of_run(run, org).map_err(|error| unclear(runs_dir, run, &*error))? {
            Merges::AtWork => return Err(at_work(run)),
            Merges::InDoubt(keys) => found.extend(keys.into_iter().map(|key| (key, run.id().to_owned()))),
        }
    }
    Ok(found)
}

/// The merges of another run.
enum Merges {
    /// More may be sent at any moment.
    AtWork,
    /// The contacts of those whose outcome is unknown.
    InDoubt(Vec<Key>),
}

fn of_run(run: &RunDir, org: Option<&Party>) -> Result<Merges, Box<dyn Error>> {
    let none = Merges::InDoubt(Vec::new());
    let manifest = match Manifest::read(run) {
        Ok(manifest) => manifest,
        Err(_) if evidence::never_began(run)? => return Ok(none),
        // Read again: it may have begun just now.
        Err(_) => Manifest::read(run)?,
    };
    let cannot_matter = manifest.command != COMMAND
        || manifest.dry_run
        || manifest.base_url == SANDBOX
        || manifest.is_in(org) == Some(false);
    if cannot_matter {
        return Ok(none);
    }
    if RunLock::probe(run)? {
        return Ok(Merges::AtWork);
    }
    if evidence::is_settled(run, &manifest) {
        return Ok(none);
    }
    keys(&evidence::replay(run, &manifest)?).map(Merges::InDoubt)
}

/// The contacts whose merges are in doubt.
fn keys(replay: &Replay) -> Result<Vec<Key>, Box<dyn Error>> {
    let mut keys = Vec::new();
    for (row, in_doubt) in &replay.unknown {
        if in_doubt.is_shared {
            continue;
        }
        let change =
            meant::<MergeChange>(in_doubt).map_err(|error| format!("journal.jsonl: row {row}: {error}"))?;
        let change =
            change.ok_or_else(|| format!("journal.jsonl does not say what was sent for row {row}"))?;
        if change.in_doubt() {
            for id in [&change.primary.id, &change.secondary.id] {
                let key = contact_key(id);
                keys.push(
                    key.ok_or_else(|| format!("journal.jsonl: row {row}: `{id}` is not a contact ID"))?,
                );
            }
        }
    }
    Ok(keys)
}

fn at_work(run: &RunDir) -> Failure {
    let text = format!(
        "run {} ({}) is merging contacts in this organisation right now: wait until it ends, then run this again",
        run.id(),
        run.path().display()
    );
    Failure::new(Exit::Locked, text)
}

fn unclear(runs_dir: &Path, run: &RunDir, error: &dyn Error) -> Failure {
    let text = format!(
        "nothing was sent: run {} may have sent merges whose outcome is unknown, and its folder {} cannot be checked: \
         {error}. Restore it; or, if you know that none of its merges is in doubt, move it out of {}. Then run this again",
        run.id(),
        run.path().display(),
        runs_dir.display()
    );
    Failure::new(Exit::Changed, text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::record::{Outcome, Record, Rows, State};
    use crate::journal::writer::Journal;
    use serde_json::value::RawValue;

    /// What a journal with these records has in doubt.
    fn keys_of(records: Vec<Record>) -> Result<Vec<Key>, String> {
        let folder = tempfile::tempdir().unwrap();
        let run = RunDir::create(folder.path(), COMMAND, chrono::Utc::now()).unwrap();
        let journal = Journal::create(&run).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(journal.append(records)).unwrap();
        drop(journal);
        keys(&Replay::read(&run).unwrap()).map_err(|error| error.to_string())
    }

    fn pair() -> Rows {
        Rows { row: 1, also: Some(2) }
    }

    fn intent(change: &str) -> Record {
        let change = RawValue::from_string(change.to_owned()).unwrap();
        Record::Intent { rows: pair(), key: "a@example.com".to_owned(), change }
    }

    fn unknown(rows: Rows) -> Record {
        let outcome = Outcome::of(State::Unknown, "not-proven", "?");
        Record::Outcome { rows, key: "a@example.com".to_owned(), outcome }
    }

    #[test]
    fn what_cannot_be_read_is_not_taken_for_nothing() {
        let error = keys_of(vec![intent(r#"{"of": "another version"}"#)]).unwrap_err();
        assert!(error.starts_with("journal.jsonl: row 1: missing field"), "{error}");
        for rows in [pair(), Rows::from(7)] {
            let error = keys_of(vec![unknown(rows)]).unwrap_err();
            assert!(error.contains(&format!("does not say what was sent for row {}", rows.row)), "{error}");
        }
        let withdrawn = keys_of(vec![intent("{}"), Record::Withdrawn { rows: pair() }]);
        assert_eq!(withdrawn, Ok(Vec::new()));
    }
}
