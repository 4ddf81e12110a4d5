//! What shows that a run began, and that its journal still has all that was written to it.
//!
//! Guards rely on it: a journal without records says "nothing was sent" only if no record was ever written.

use super::error::JournalError;
use super::manifest::{Manifest, RunState};
use super::replay::{Replay, Retry};
use super::run_dir::RunDir;
use crate::files;
use std::fs::File;
use std::io;

/// How files begin that are being written.
const UNFINISHED: &str = ".tmp-";

/// Records that a journal has records. Durable when this returns. Called once they are durable, and before anybody acts
/// on them.
pub(super) fn mark(run: &RunDir) -> io::Result<()> {
    match files::private().write(true).create_new(true).open(run.journal_mark()) {
        // One that is there may have been made by a process that was killed before it was durable.
        Ok(_) => files::sync_folder(run.path()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => files::sync_folder(run.path()),
        Err(error) => Err(error),
    }
}

/// Takes the mark back of a journal that is to be empty again. Durable when this returns.
pub(super) fn unmark(run: &RunDir) -> io::Result<()> {
    match std::fs::remove_file(run.journal_mark()) {
        Ok(()) => files::sync_folder(run.path()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// Whether a run ended before it began: its folder can be read, has no `run.json`, and holds only what is there
/// before that is written. Such a run sent nothing.
///
/// Fails when that cannot be told: a folder that cannot be read, that was emptied, or whose `run.json` was removed.
pub fn never_began(run: &RunDir) -> Result<bool, JournalError> {
    let path = run.manifest();
    match std::fs::symlink_metadata(&path) {
        Ok(_) => return Ok(false),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(JournalError::io("read", &path)(error)),
    }
    let failed = || JournalError::io("read the folder", run.path());
    let mut is_empty = true;
    for entry in std::fs::read_dir(run.path()).map_err(failed())? {
        let entry = entry.map_err(failed())?;
        let name = entry.file_name().to_string_lossy().into_owned();
        is_empty = false;
        let is_early = if entry.path() == run.journal() {
            // It is made, and left empty, before `run.json`.
            entry.metadata().map_err(failed())?.len() == 0
        } else {
            RunDir::EARLY.contains(&name.as_str()) || name.starts_with(UNFINISHED)
        };
        if !is_early {
            let problem = format!("it is missing, but {name} shows that the run had begun");
            return Err(JournalError::Manifest { file: path, problem });
        }
    }
    if is_empty {
        // A new folder has a `lock` from the start.
        let problem =
            "it is missing, and so are all other files of the run: the folder was emptied".to_owned();
        return Err(JournalError::Manifest { file: path, problem });
    }
    Ok(true)
}

/// Whether nothing of a run is in doubt by its `run.json`: it came to its end with a result for every row, and its journal,
/// which can be opened, is as long as it was then. Spares reading it.
pub fn is_settled(run: &RunDir, manifest: &Manifest) -> bool {
    let is_none = |state: &str| manifest.counts.get(state).is_none_or(|rows| *rows == 0);
    let Some(bytes) = manifest.journal_bytes.filter(|bytes| *bytes > 0) else { return false };
    let length = || File::open(run.journal())?.metadata().map(|data| data.len());
    manifest.state == RunState::Finished
        && ["unknown", "open"].into_iter().all(is_none)
        && length().is_ok_and(|length| length == bytes)
}

/// Reads a run's journal as [`Replay::read`] does, and fails as well when it has lost records that `run.json` or its
/// [`mark`] shows that it had. The caller knows that no other process is writing to it.
pub fn replay(run: &RunDir, manifest: &Manifest) -> Result<Replay, JournalError> {
    retrying(run, manifest, &Retry::default())
}

/// As [`replay`]; the rows that are to be tried again count as open.
pub fn retrying(run: &RunDir, manifest: &Manifest, retry: &Retry) -> Result<Replay, JournalError> {
    let replay = Replay::retrying(run, retry)?;
    let lost = |problem: String| Err(JournalError::Lost { file: run.journal(), problem });
    if let Some(known) = manifest.journal_bytes
        && replay.good_bytes < known
    {
        return lost(format!("it had {known} bytes of records, and has {}", replay.good_bytes));
    }
    if replay.good_bytes > 0 {
        return Ok(replay);
    }
    let mark = run.journal_mark();
    if std::fs::exists(&mark).map_err(JournalError::io("look for", &mark))? {
        return lost("it is empty, and records had been written to it".to_owned());
    }
    // Runs of earlier versions have no mark. Before it was known who a token belongs to, nothing was sent.
    let counted = manifest.counts.iter().any(|(state, rows)| state != "open" && *rows > 0);
    let may_have_sent = manifest.state == RunState::Running && manifest.org.is_some();
    if manifest.journal_bytes.is_none() && (counted || may_have_sent) {
        return lost("it is empty, and records may have been written to it".to_owned());
    }
    Ok(replay)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::manifest::tests::manifest;
    use crate::journal::record::Outcome;
    use crate::journal::tests::{block_on, intent, new_run, outcome};
    use crate::journal::writer::Journal;
    use std::fs;

    /// A run with two records.
    fn begun() -> (tempfile::TempDir, RunDir, Manifest) {
        let (folder, run) = new_run();
        let journal = Journal::create(&run).unwrap();
        let mut manifest = manifest(&run);
        manifest.journal_bytes = Some(0);
        manifest.write(&run).unwrap();
        block_on(journal.append(vec![intent(1), outcome(1, Outcome::done(1))])).unwrap();
        block_on(journal.close()).unwrap();
        (folder, run, manifest)
    }

    #[test]
    fn a_journal_that_lost_its_records_is_noticed() {
        let (_folder, run, mut manifest) = begun();
        assert_eq!(replay(&run, &manifest).unwrap().counts["done"], 1);
        let bytes = fs::read(run.journal()).unwrap();
        fs::write(run.journal(), "").unwrap();
        let error = replay(&run, &manifest).unwrap_err().to_string();
        assert!(error.contains("journal.jsonl has lost records: it is empty"), "{error}");
        // The first of both lines.
        let half = bytes.iter().position(|byte| *byte == b'\n').unwrap() + 1;
        fs::write(run.journal(), &bytes[..half]).unwrap();
        replay(&run, &manifest).unwrap();
        manifest.journal_bytes = Some(bytes.len() as u64);
        let error = replay(&run, &manifest).unwrap_err().to_string();
        assert!(
            error.contains(&format!("it had {} bytes of records, and has {half}", bytes.len())),
            "{error}"
        );
        fs::remove_file(run.journal()).unwrap();
        replay(&run, &manifest).unwrap_err();
    }

    #[test]
    fn a_run_that_came_to_its_end_is_settled_as_long_as_its_journal_is_whole() {
        let (_folder, run, mut manifest) = begun();
        let bytes = fs::read(run.journal()).unwrap();
        manifest.journal_bytes = Some(bytes.len() as u64);
        manifest.state = RunState::Finished;
        manifest.counts = [("done".to_owned(), 1), ("unknown".to_owned(), 0)].into();
        assert!(is_settled(&run, &manifest));
        for (state, counts, length) in [
            (RunState::Running, "done", bytes.len()),
            (RunState::Interrupted, "done", bytes.len()),
            (RunState::Stopped, "done", bytes.len()),
            (RunState::Finished, "unknown", bytes.len()),
            (RunState::Finished, "open", bytes.len()),
            (RunState::Finished, "done", bytes.len() - 1),
            (RunState::Finished, "done", bytes.len() + 1),
            (RunState::Finished, "done", 0),
        ] {
            let mut other = manifest.clone();
            other.state = state;
            other.counts = [(counts.to_owned(), 1)].into();
            let mut text = bytes.clone();
            text.resize(length, b' ');
            fs::write(run.journal(), text).unwrap();
            assert!(!is_settled(&run, &other), "{state:?} {counts} {length}");
        }
        fs::write(run.journal(), &bytes).unwrap();
        assert!(is_settled(&run, &manifest));
        // An earlier version does not say how long it was.
        assert!(!is_settled(&run, &Manifest { journal_bytes: None, ..manifest.clone() }));
        fs::remove_file(run.journal()).unwrap();
        assert!(!is_settled(&run, &manifest));
    }

    #[test]
    fn an_empty_journal_says_nothing_only_if_it_always_was() {
        let (_folder, run) = new_run();
        let mut manifest = manifest(&run);
        block_on(Journal::create(&run).unwrap().close()).unwrap();
        (manifest.state, manifest.journal_bytes) = (RunState::Running, Some(0));
        manifest.counts.clear();
        assert!(replay(&run, &manifest).unwrap().unknown.is_empty());
        // An earlier version leaves no mark.
        manifest.journal_bytes = None;
        replay(&run, &manifest).unwrap_err();
        manifest.org = None;
        replay(&run, &manifest).unwrap();
        manifest.counts.insert("done".to_owned(), 1);
        replay(&run, &manifest).unwrap_err();
    }

    #[test]
    fn only_a_folder_that_shows_it_never_began() {
        let (_folder, run) = new_run();
        for early in ["lock", "log.jsonl", "input.csv", "journal.jsonl", ".tmp-x"] {
            fs::write(run.path().join(early), "").unwrap();
            assert!(never_began(&run).unwrap(), "{early}");
        }
        for late in ["failed.csv", "journal.begun", "journal.torn", "something-else"] {
            fs::write(run.path().join(late), "").unwrap();
            let error = never_began(&run).unwrap_err().to_string();
            assert!(error.contains(&format!("{late} shows that the run had begun")), "{error}");
            fs::remove_file(run.path().join(late)).unwrap();
        }
        fs::write(run.journal(), "{").unwrap();
        never_began(&run).unwrap_err();
        fs::remove_dir_all(run.path()).unwrap();
        never_began(&run).unwrap_err();
        fs::create_dir(run.path()).unwrap();
        let error = never_began(&run).unwrap_err().to_string();
        assert!(error.contains("the folder was emptied"), "{error}");
        fs::write(run.manifest(), "").unwrap();
        assert!(!never_began(&run).unwrap());
    }

    #[cfg(unix)]
    #[test]
    fn a_run_json_that_cannot_be_reached_is_not_missing() {
        let (_folder, run) = new_run();
        std::os::unix::fs::symlink(run.manifest(), run.manifest()).unwrap();
        assert!(!never_began(&run).unwrap());
        fs::remove_dir_all(run.path()).unwrap();
        std::os::unix::fs::symlink(run.path(), run.path()).unwrap();
        never_began(&run).unwrap_err();
    }
}
