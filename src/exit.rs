//! How a command ends: the numbered outcomes that scripts rely on.

use serde_json::{Value, json};
use std::process::ExitCode;

/// A command's outcome; its number is the process's exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
#[repr(u8)]
pub enum Exit {
    /// All rows done, already right, or skipped for a reason that is no error.
    Ok = 0,
    /// Something that should not happen: a full disk, a file that vanished, a defect.
    Unexpected = 1,
    /// The command line or the configuration is wrong.
    Usage = 2,
    /// Finished, but some rows failed, or their state is unknown.
    SomeFailed = 3,
    /// DevRev or Snowflake refused the credentials.
    Credentials = 4,
    /// The input is invalid; nothing was sent.
    InvalidInput = 5,
    /// Resume or apply refused: the input or DevRev's state is not what it was.
    Changed = 6,
    /// Stopped by the circuit breaker, `--max-errors` or `--max-batch-failures`; `resume` goes on.
    Stopped = 7,
    /// Another process holds this run.
    Locked = 11,
    /// A backup could not be made or verified, so no merge was sent.
    Backup = 12,
    /// Confirmation is missing or was declined; nothing was written.
    NotConfirmed = 14,
    /// Interrupted by Ctrl-C (SIGINT); saved; `resume` goes on.
    Interrupted = 130,
    /// Interrupted by SIGTERM; saved; `resume` goes on.
    Terminated = 143,
}

impl Exit {
    /// The process's exit code.
    pub fn code(self) -> u8 {
        self as u8
    }

    /// What it means, for people: the middle of a sentence.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Ok => "all rows are done, already right, or skipped for a reason that is no error",
            Self::Unexpected => "something happened that should not",
            Self::Usage => "the command line or the configuration is wrong",
            Self::SomeFailed => "finished, but some rows failed, or their state is unknown",
            Self::Credentials => "the credentials were refused",
            Self::InvalidInput => "the input is invalid; nothing was sent",
            Self::Changed => "the input or the target's state is not what it was",
            Self::Stopped => "it stopped itself, since too much went wrong; resume goes on",
            Self::Locked => "another process holds this run",
            Self::Backup => "a backup could not be made or verified, so nothing was sent",
            Self::NotConfirmed => "confirmation is missing or was declined; nothing was written",
            Self::Interrupted => "interrupted by Ctrl-C; saved; resume goes on",
            Self::Terminated => "interrupted by SIGTERM; saved; resume goes on",
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// An error that ends a command: what to tell the operator, and the exit code that says its kind.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// The exit code.
    pub exit: Exit,
    /// What happened and what to do next, in the operator's terms.
    pub message: String,
    /// Whether the result on standard output has it already.
    pub told: bool,
}

impl Failure {
    /// A failure with this exit code.
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), told: false }
    }

    /// The failure as `--json` shows it.
    pub fn as_json(&self) -> Value {
        json!({ "exit": self.exit.code(), "message": self.message })
    }
}
