//! How a command ends: the numbered outcomes that scripts rely on.

use serde_json::{Value, json};
use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;

/// A command's outcome; its number is the process's exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
#[repr(u8)]
pub enum Exit {
    /// All rows done, already right, or skipped for a reason that is not an error.
    Ok = 0,
    /// Something that should not happen: a full disk, a file that vanished, a defect.
    Unexpected = 1,
    /// The command line or the configuration is wrong.
    Usage = 2,
    /// Finished, but some rows failed, or their state is unknown.
    SomeFailed = 3,
    /// The credentials were refused: by DevRev, a source or a target.
    Credentials = 4,
    /// The input is invalid; nothing was sent.
    InvalidInput = 5,
    /// Resume or apply refused: the input or the target has changed.
    Changed = 6,
    /// Stopped by the circuit breaker, `--max-errors` or `--max-batch-failures`; `resume` continues.
    Stopped = 7,
    /// Another process holds this run.
    Locked = 11,
    /// A backup could not be made or verified, so no merge was sent.
    Backup = 12,
    /// Confirmation is missing or was declined; nothing was written.
    NotConfirmed = 14,
    /// Interrupted by Ctrl-C (SIGINT); saved; `resume` continues.
    Interrupted = 130,
    /// Interrupted by SIGTERM; saved; `resume` continues.
    Terminated = 143,
}

impl Exit {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::Ok,
        Self::Unexpected,
        Self::Usage,
        Self::SomeFailed,
        Self::Credentials,
        Self::InvalidInput,
        Self::Changed,
        Self::Stopped,
        Self::Locked,
        Self::Backup,
        Self::NotConfirmed,
        Self::Interrupted,
        Self::Terminated,
    ];

    /// The process's exit code.
    pub fn code(self) -> u8 {
        self as u8
    }

    /// The outcome with this exit code.
    pub fn of_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|exit| exit.code() == code)
    }

    /// What it says of a run, in a few words.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Ok => "all rows done, already right, or skipped for a reason that is not an error",
            Self::Unexpected => "unexpected failure",
            Self::Usage => "usage or configuration",
            Self::SomeFailed => "finished, but some rows failed, or their state is unknown",
            Self::Credentials => "the credentials were refused",
            Self::InvalidInput => "the input is invalid",
            Self::Changed => "the input, the organisation or the target has changed",
            Self::Stopped => "stopped by the circuit breaker, --max-errors or --max-batch-failures",
            Self::Locked => "another process held the run",
            Self::Backup => "a backup could not be made or verified, so no merge was sent",
            Self::NotConfirmed => "confirmation missing or declined",
            Self::Interrupted => "interrupted by Ctrl-C",
            Self::Terminated => "interrupted by SIGTERM",
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
    /// What brought it about.
    #[source]
    cause: Option<Arc<dyn Error + Send + Sync>>,
}

impl Failure {
    /// A failure with this exit code.
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), told: false, cause: None }
    }

    /// The same, with what brought it about as its source.
    #[must_use]
    pub fn because(self, cause: impl Error + Send + Sync + 'static) -> Self {
        Self { cause: Some(Arc::new(cause)), ..self }
    }

    /// The same, once the result on standard output has it.
    #[must_use]
    pub fn told(self) -> Self {
        Self { told: true, ..self }
    }

    /// The failure as `--json` shows it.
    pub fn as_json(&self) -> Value {
        json!({ "exit": self.exit.code(), "message": self.message })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_keeps_its_cause() {
        let failure = Failure::new(Exit::Unexpected, "cannot read x").because(std::io::Error::other("gone"));
        assert_eq!(failure.source().unwrap().to_string(), "gone");
        assert_eq!(failure.to_string(), "cannot read x");
        assert!(Failure::new(Exit::Usage, "wrong").source().is_none());
    }

    #[test]
    fn every_code_is_found_again() {
        for exit in Exit::ALL {
            assert_eq!(Exit::of_code(exit.code()), Some(exit));
        }
        assert_eq!(Exit::of_code(99), None);
    }
}
