//! Sets aside what a crash left at the end of a journal, so that it can be appended to again.

use super::error::JournalError;
use super::replay::Replay;
use super::run_dir::RunDir;
use crate::files;
use std::fs::OpenOptions;
use std::io::{self, Read, Seek, SeekFrom};

/// Appends a torn tail to `journal.torn` and cuts the journal back to its last good line; both are durable
/// when this returns. Does nothing for a journal that is whole or was fixed. The caller holds the run's
/// lock.
///
/// Killed half-way, it can be done again: the tail is then in `journal.torn` twice.
pub fn repair(run: &RunDir, replay: &Replay) -> Result<(), JournalError> {
    let path = run.journal();
    let failed = || JournalError::io("repair", &path);
    let mut journal = OpenOptions::new().read(true).write(true).open(&path).map_err(failed())?;
    let found = journal.metadata().map_err(failed())?.len();
    let Some(torn) = replay.torn.filter(|_| found != replay.good_bytes) else {
        return if found == replay.good_bytes {
            Ok(())
        } else {
            Err(JournalError::Moved { file: path, expected: replay.good_bytes, found })
        };
    };
    if found != torn.at_byte + torn.bytes {
        return Err(JournalError::Moved { file: path, expected: torn.at_byte + torn.bytes, found });
    }

    let aside = run.torn();
    let mut set_aside = || -> io::Result<()> {
        journal.seek(SeekFrom::Start(torn.at_byte))?;
        let mut file = files::private().append(true).create(true).open(&aside)?;
        io::copy(&mut journal.by_ref().take(torn.bytes), &mut file)?;
        file.sync_all()?;
        files::sync_folder(run.path())
    };
    set_aside().map_err(JournalError::io("write", &aside))?;
    journal.set_len(replay.good_bytes).and_then(|()| journal.sync_all()).map_err(failed())
}
