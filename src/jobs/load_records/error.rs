//! Why a slice was not loaded, classified once, where it happens.

use crate::database::error::DatabaseError;
use crate::exit::{Exit, Failure};
use crate::net::error::{ApiError, ErrorKind};
use std::io;

/// Why a slice was not loaded. None of the texts has a secret in it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoadError {
    /// The credentials were refused.
    #[error("{0}")]
    Login(String),
    /// The job file, a flag or a setting does not fit what is there.
    #[error("{0}")]
    Settings(String),
    /// What cannot be reached now may be later.
    #[error("{0}")]
    Unreachable(String),
    /// The source or the target refused, or answered what cannot be used.
    #[error("{0}")]
    Refused(String),
    /// A filter failed, or did not end.
    #[error("{0}")]
    Transform(String),
    /// With `--strict`: a record was rejected.
    #[error("{0}")]
    Rejected(String),
    /// What is loaded, or what is to be undone, is not as it has to be.
    #[error("{0}")]
    Changed(String),
    /// A guard: too many records, or none where what is there would be deleted.
    #[error("{0}")]
    Guard(String),
    /// The disk of this machine.
    #[error("cannot keep the slice in the run's folder: {0}")]
    Disk(#[from] io::Error),
    /// A file that is the target.
    #[error("{0}")]
    File(String),
    /// The stop signal.
    #[error("interrupted")]
    Interrupted,
}

impl LoadError {
    /// A short, stable name, for counting failures by reason.
    pub(super) fn reason(&self) -> &'static str {
        match self {
            Self::Login(_) => "unauthorized",
            Self::Settings(_) => "settings",
            Self::Unreachable(_) => "unreachable",
            Self::Refused(_) => "refused",
            Self::Transform(_) => "transform",
            Self::Rejected(_) => "rejected",
            Self::Changed(_) => "changed",
            Self::Guard(_) => "guard",
            Self::Disk(_) | Self::File(_) => "disk",
            Self::Interrupted => "interrupted",
        }
    }

    /// How a command ends that it ends.
    pub(super) fn failure(self) -> Failure {
        let exit = match &self {
            Self::Login(_) => Exit::Credentials,
            Self::Settings(_) => Exit::Usage,
            Self::Unreachable(_) => Exit::Stopped,
            Self::Refused(_) | Self::Transform(_) | Self::Rejected(_) | Self::Guard(_) => Exit::SomeFailed,
            Self::Changed(_) => Exit::Changed,
            Self::Disk(_) | Self::File(_) => Exit::Unexpected,
            Self::Interrupted => Exit::Interrupted,
        };
        Failure::new(exit, self.to_string()).because(self)
    }

    /// Whether the whole run ends with it: every other slice would meet the same.
    pub(super) fn ends_the_run(&self) -> bool {
        matches!(
            self,
            Self::Login(_)
                | Self::Settings(_)
                | Self::Unreachable(_)
                | Self::Changed(_)
                | Self::Disk(_)
                | Self::File(_)
                | Self::Interrupted
        )
    }
}

impl From<ApiError> for LoadError {
    fn from(error: ApiError) -> Self {
        let text = error.to_string();
        match error.kind {
            ErrorKind::Unauthorized | ErrorKind::Forbidden => Self::Login(text),
            ErrorKind::Stopped => Self::Interrupted,
            ErrorKind::BreakerOpen
            | ErrorKind::Connect
            | ErrorKind::Broken
            | ErrorKind::Server
            | ErrorKind::Throttled { .. } => Self::Unreachable(text),
            _ => Self::Refused(text),
        }
    }
}

impl From<DatabaseError> for LoadError {
    fn from(error: DatabaseError) -> Self {
        let text = error.to_string();
        match error {
            DatabaseError::Login { .. } => Self::Login(text),
            DatabaseError::Settings(_) => Self::Settings(text),
            DatabaseError::Unreachable { .. } => Self::Unreachable(text),
            DatabaseError::Interrupted => Self::Interrupted,
            DatabaseError::TooSlow { .. } | DatabaseError::Answer { .. } => Self::Refused(text),
            DatabaseError::Refused(refusal) => match refusal.code.as_str() {
                "42P10" => {
                    Self::Settings(format!("{text}; the key needs a unique constraint or index of the table"))
                }
                // What a statement names is not there, or may not be done. SQLite's code for that is 1; those of ClickHouse have
                // two or three digits. (Source: `ErrorCodes.cpp` in its code.)
                "3F000" | "25006" | "1" | "36" | "42" | "43" | "46" | "47" | "53" | "60" | "62" | "164"
                | "179" | "386" | "456" | "457" | "497" => Self::Settings(text),
                code if code.len() < 5 => Self::Refused(text),
                code if code.starts_with("42") => Self::Settings(text),
                // No room on a disk, no memory.
                code if code.starts_with("53") => Self::Unreachable(text),
                _ => Self::Refused(text),
            },
        }
    }
}
