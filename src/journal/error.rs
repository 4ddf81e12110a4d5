//! What can go wrong with a run's folder, in words that say what to do.

use crate::exit::{Exit, Failure};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// An error of the journal. It can be cloned: a broken journal gives the same one to everybody who appends.
#[derive(Debug, Clone, thiserror::Error)]
pub enum JournalError {
    /// Records could not be made durable. The journal takes no more.
    #[error(
        "cannot write the journal {}: {source}. No further change is sent; \
         `devrev-batch resume {run}` continues {}", file.display(), cure(source)
    )]
    Write {
        /// The journal.
        file: PathBuf,
        /// The run's ID.
        run: String,
        /// What the operating system said.
        source: Arc<io::Error>,
    },
    /// The journal was closed, or its thread has died; the records were perhaps not written.
    #[error("the journal {} is closed; no further change is sent", file.display())]
    Closed {
        /// The journal.
        file: PathBuf,
    },
    /// A record that could not be read back, so it is not written: a defect of the caller.
    #[error("a record for row {row} cannot be journalled: {problem}")]
    Record {
        /// The row's number.
        row: u64,
        /// The rule that it breaks.
        problem: String,
    },
    /// Another file operation failed.
    #[error("cannot {doing} {}: {source}", path.display())]
    Io {
        /// What was tried, such as `read`.
        doing: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the operating system said.
        source: Arc<io::Error>,
    },
    /// A line of the journal is not what was written, and no crash leaves it so.
    #[error(
        "{}, line {line} (byte {byte}): {problem}. No crash leaves a journal like this, so nothing is sent: restore \
         the file, or start a new run with the same input", file.display()
    )]
    Damaged {
        /// The journal.
        file: PathBuf,
        /// The line's number, from 1.
        line: u64,
        /// Where the line begins, in bytes from the start.
        byte: u64,
        /// What is wrong with it.
        problem: String,
    },
    /// A journal that has lost records.
    #[error(
        "{} has lost records: {problem}. Nothing is sent, because it no longer says what was sent before: restore the \
         file, or check the run's rows by hand", file.display()
    )]
    Lost {
        /// The journal.
        file: PathBuf,
        /// What shows it.
        problem: String,
    },
    /// A file of a run at work is no longer there, or no longer the same one.
    #[error(
        "{} was removed or replaced while run {run} was working, so no further change is sent. What was sent is \
         recorded in the original journal: put that back, then run `devrev-batch resume {run}`; if it is gone, check \
         the run's rows by hand", file.display()
    )]
    Replaced {
        /// The file.
        file: PathBuf,
        /// The run's ID.
        run: String,
    },
    /// The journal is not as long as it was when it was read.
    #[error(
        "{} changed while it was being taken up: it had {expected} bytes and has {found}; \
         is another program writing to it?", file.display()
    )]
    Moved {
        /// The journal.
        file: PathBuf,
        /// Its length when it was read, in bytes.
        expected: u64,
        /// Its length now, in bytes.
        found: u64,
    },
    /// A run's folder without a journal.
    #[error(
        "run {run} has no journal ({} is missing), so nothing is sent: it no longer says what was sent before. Restore \
         the file, or check the run's rows by hand", file.display()
    )]
    NoJournal {
        /// The run's ID.
        run: String,
        /// Where it should be.
        file: PathBuf,
    },
    /// No such run.
    #[error("there is no run `{asked}` in {}{hint}", runs_dir.display())]
    UnknownRun {
        /// What was asked for.
        asked: String,
        /// Where runs are kept.
        runs_dir: PathBuf,
        /// Runs that there are, as the end of the sentence.
        hint: String,
    },
    /// A command that cannot be part of a run's ID: a defect of the caller.
    #[error("`{0}` cannot be part of a run's name: only a-z, 0-9 and single hyphens can")]
    CommandName(String),
    /// Another process works on this run.
    #[error("another process{holder} works on run {run}; wait for it, or stop it first")]
    Locked {
        /// The run's ID.
        run: String,
        /// ` (PID 4711, since ...)`, or nothing where that cannot be read.
        holder: String,
    },
    /// Another process runs the same job over the same rows in the same organisation.
    #[error(
        "run {holder} is working on the same rows in this organisation right now: wait until it ends, or stop it first"
    )]
    SameRows {
        /// The folder of its run.
        holder: String,
    },
    /// `run.json` was written by a version to come.
    #[error(
        "{} has format {format}, and this devrev-batch knows {known}: a newer devrev-batch ({tool}) wrote it; use \
         that one",
        file.display()
    )]
    NewerFormat {
        /// The file.
        file: PathBuf,
        /// Its format.
        format: u64,
        /// The newest format that this version knows.
        known: u64,
        /// The version that wrote it.
        tool: String,
    },
    /// `run.json` cannot be understood.
    #[error("{}: {problem}", file.display())]
    Manifest {
        /// The file.
        file: PathBuf,
        /// What is wrong, and in which member.
        problem: String,
    },
}

/// When a run whose journal could not be written can continue.
fn cure(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            "once there is room"
        }
        _ => "once the disk works and there is room",
    }
}

impl JournalError {
    /// Makes an [`JournalError::Io`] of an error of the operating system.
    pub(super) fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { doing, path: path.to_owned(), source: Arc::new(source) }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Write { .. }
            | Self::Closed { .. }
            | Self::Record { .. }
            | Self::Io { .. }
            | Self::CommandName(_) => Exit::Unexpected,
            Self::Damaged { .. }
            | Self::Lost { .. }
            | Self::Replaced { .. }
            | Self::Moved { .. }
            | Self::NoJournal { .. }
            | Self::Manifest { .. } => Exit::Changed,
            Self::UnknownRun { .. } | Self::NewerFormat { .. } => Exit::Usage,
            Self::Locked { .. } | Self::SameRows { .. } => Exit::Locked,
        }
    }
}

impl From<JournalError> for Failure {
    fn from(error: JournalError) -> Self {
        Self::new(error.exit(), error.to_string()).because(error)
    }
}
