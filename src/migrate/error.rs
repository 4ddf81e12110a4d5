//! Why migrations were not carried out.

use super::files::FilesError;
use crate::database::error::DatabaseError;
use std::time::Duration;

/// What went wrong; none of the texts has a secret in it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MigrateError {
    /// The folder.
    #[error(transparent)]
    Files(#[from] FilesError),
    /// What was asked for cannot be done with these files.
    #[error("{0}")]
    Usage(String),
    /// The files or the database are not what they were.
    #[error("{0}")]
    Changed(String),
    /// Another process migrates, or holds what is needed.
    #[error("{0}")]
    Locked(String),
    /// The database, outside of a file.
    #[error("{}", said(doing, error))]
    Database {
        /// What was tried.
        doing: &'static str,
        /// What came of it.
        error: DatabaseError,
    },
    /// A statement of a file.
    #[error("{0}")]
    Statement(Box<StatementError>),
}

/// What the database says while something is tried.
fn said(doing: &str, error: &DatabaseError) -> String {
    match error {
        DatabaseError::Interrupted => format!("interrupted while {doing}"),
        error => format!("{doing}: {error}"),
    }
}

/// A statement that was not executed.
#[derive(Debug, thiserror::Error)]
pub(crate) struct StatementError {
    pub(crate) file: String,
    /// The number of the line, where one is known.
    pub(crate) line: Option<usize>,
    /// The beginning of the statement.
    pub(crate) head: String,
    pub(crate) error: DatabaseError,
    /// The words of a database that has refused it.
    pub(crate) words: String,
    /// The longest time that a statement may take.
    pub(crate) limit: Duration,
    /// What of the file is in the database now.
    pub(crate) left: String,
}

impl std::fmt::Display for StatementError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { file, line, head, error, words, limit, left } = self;
        let line = line.map_or(String::new(), |line| format!(", line {line}"));
        match error {
            DatabaseError::Refused(refusal) => {
                write!(f, "{file}{line}: {} refused `{head}`: {words}", refusal.who)
            }
            DatabaseError::TooSlow { .. } => {
                let limit = humantime::format_duration(*limit);
                write!(f, "{file}{line}: `{head}` took longer than {limit} (--timeout)")
            }
            DatabaseError::Interrupted => write!(f, "interrupted in {file}{line}, at `{head}`"),
            error => write!(f, "{file}{line}: `{head}`: {error}"),
        }?;
        write!(f, "; {left}")
    }
}

impl MigrateError {
    /// What the database says of something that is not a part of a file.
    pub(crate) fn while_doing(doing: &'static str) -> impl Fn(DatabaseError) -> Self {
        move |error| Self::Database { doing, error }
    }
}
