//! One process at a time works on a run.

use super::error::JournalError;
use super::run_dir::RunDir;
use crate::files;
use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::fs::{File, TryLockError};
use std::io::{self, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// [`RunLock::is_held`] itself holds the lock for a moment: so often is it tried again, and after so long.
const TRIES: u32 = 5;
const PAUSE: Duration = Duration::from_millis(10);

/// The right to work on a run, until it is dropped or the process ends, however it ends. The file stays.
#[derive(Debug)]
pub struct RunLock {
    _file: File,
}

/// What the lock's file says, for the message only: the lock itself is the operating system's.
#[derive(Debug, Serialize, Deserialize)]
struct Holder {
    pid: u32,
    since: DateTime<Utc>,
}

impl RunLock {
    /// Takes the lock. Fails at once with [`JournalError::Locked`], which names the process, when another has
    /// it.
    pub fn take(run: &RunDir) -> Result<Self, JournalError> {
        let path = run.lock();
        let failed = || JournalError::io("lock", &path);
        let mut file = files::private()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(failed())?;
        for again in (0..TRIES).rev() {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if again > 0 => std::thread::sleep(PAUSE),
                Err(TryLockError::WouldBlock) => {
                    return Err(JournalError::Locked { run: run.id().to_owned(), holder: holder(run) });
                }
                Err(TryLockError::Error(error)) => return Err(failed()(error)),
            }
        }
        sign(&mut file).map_err(failed())?;
        Ok(Self { _file: file })
    }

    /// Whether a process, perhaps this one, works on a run. For listings: it may change at any time, and a lock that
    /// cannot be read counts as free.
    pub fn is_held(run: &RunDir) -> bool {
        Self::probe(run).unwrap_or(false)
    }

    /// Whether a process, perhaps this one, works on a run. Fails where that cannot be told.
    pub fn probe(run: &RunDir) -> Result<bool, JournalError> {
        let path = run.lock();
        let failed = || JournalError::io("read", &path);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(failed()(error)),
        };
        // Shared, so that two listings do not see each other. Closing the file lets go of it.
        match file.try_lock_shared() {
            Ok(()) => Ok(false),
            Err(TryLockError::WouldBlock) => Ok(true),
            Err(TryLockError::Error(error)) => Err(failed()(error)),
        }
    }
}

/// The right to run a job over certain rows in an organisation, until it is dropped or the process ends. The files stay.
#[derive(Debug)]
pub struct RowsLock {
    _files: Vec<File>,
}

impl RowsLock {
    /// Takes the lock for `what` (the job, the organisation, the rows) in each of these folders: processes meet in those
    /// that they share. One that cannot be made is left out with a warning. Fails at once with
    /// [`JournalError::SameRows`] when another process has it.
    pub fn take(folders: &[PathBuf], what: &str, run: &RunDir) -> Result<Self, JournalError> {
        let mut name = String::new();
        for byte in Sha256::digest(what.as_bytes()).iter().take(16) {
            // Writing to a String cannot fail.
            let _ = write!(name, "{byte:02x}");
        }
        let mut held = Vec::new();
        for folder in folders {
            if let Err(error) = files::make(folder) {
                tracing::warn!("runs that share only {} are not kept apart: {error}", folder.display());
                continue;
            }
            let path = folder.join(format!("{name}.lock"));
            let failed = || JournalError::io("lock", &path);
            let mut options = files::private();
            options.read(true).write(true).create(true).truncate(false);
            let mut file = options.open(&path).map_err(failed())?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    let holder = std::fs::read_to_string(&path).unwrap_or_default();
                    return Err(JournalError::SameRows { holder: holder.trim().to_owned() });
                }
                Err(TryLockError::Error(error)) => return Err(failed()(error)),
            }
            let whole = std::path::absolute(run.path()).unwrap_or_else(|_| run.path().to_owned());
            let signed = file.set_len(0).and_then(|()| writeln!(file, "{} ({})", run.id(), whole.display()));
            signed.map_err(failed())?;
            held.push(file);
        }
        Ok(Self { _files: held })
    }

    /// Where processes meet: beside the runs, and in a folder of the user's, so that runs in other folders count too.
    pub fn folders(runs_dir: &Path) -> Vec<PathBuf> {
        let of = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let state = of("XDG_STATE_HOME").or_else(|| of("HOME").map(|home| home.join(".local/state")));
        let shared = state.map(|state| state.join("devrev-batch/locks"));
        std::iter::once(runs_dir.join(".locks")).chain(shared).collect()
    }
}

fn sign(file: &mut File) -> io::Result<()> {
    let holder = Holder { pid: std::process::id(), since: Utc::now() };
    file.set_len(0)?;
    file.rewind()?;
    serde_json::to_writer(&mut *file, &holder)?;
    file.write_all(b"\n")
}

fn holder(run: &RunDir) -> String {
    let read = std::fs::read(run.lock()).ok();
    match read.and_then(|bytes| serde_json::from_slice::<Holder>(&bytes).ok()) {
        Some(Holder { pid, since }) => {
            format!(" (PID {pid}, since {})", since.to_rfc3339_opts(SecondsFormat::Secs, true))
        }
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::{Exit, Failure};

    #[test]
    fn a_second_taker_hears_who_has_it() {
        let folder = tempfile::tempdir().unwrap();
        let run = RunDir::create(folder.path(), "undo", Utc::now()).unwrap();
        assert!(!RunLock::is_held(&run));
        let lock = RunLock::take(&run).unwrap();
        assert!(RunLock::is_held(&run));
        let failure = Failure::from(RunLock::take(&run).unwrap_err());
        assert_eq!(failure.exit, Exit::Locked);
        assert!(failure.message.contains(&format!("PID {}", std::process::id())), "{failure}");
        assert!(failure.message.contains(run.id()), "{failure}");
        drop(lock);
        assert!(!RunLock::is_held(&run));
        assert!(run.lock().exists());
        RunLock::take(&run).unwrap();
    }

    #[test]
    fn a_lock_that_says_nothing_still_locks() {
        let folder = tempfile::tempdir().unwrap();
        let run = RunDir::create(folder.path(), "undo", Utc::now()).unwrap();
        let _lock = RunLock::take(&run).unwrap();
        std::fs::write(run.lock(), "").unwrap();
        let failure = Failure::from(RunLock::take(&run).unwrap_err());
        assert_eq!(
            failure.message,
            format!("another process works on run {}; wait for it, or stop it first", run.id())
        );
    }
}
