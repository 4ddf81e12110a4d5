//! Why a service has not answered a query, classified once, where it happens.

use super::header::ColumnError;
use super::rows_file::KeepError;

/// What went wrong; none of the texts has a secret in it.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// The login was refused.
    #[error("{who} refused the login: {text}; check {settings}")]
    Login {
        /// The service.
        who: &'static str,
        /// Its words.
        text: String,
        /// The settings that it depends on.
        settings: &'static str,
    },
    /// The query was refused, or what it names is not there.
    #[error("{who} refused the query: {text}{hint}")]
    Refused {
        /// The service.
        who: &'static str,
        /// Its words.
        text: String,
        /// What to do, where that is known.
        hint: &'static str,
    },
    /// The settings do not fit what is there.
    #[error("{0}")]
    Settings(String),
    /// Nothing came.
    #[error("cannot reach {who} ({place}): {text}")]
    Unreachable {
        /// The service.
        who: &'static str,
        /// Where it was looked for.
        place: String,
        /// What became of it.
        text: String,
    },
    /// The query ran for too long.
    #[error("{who} still works on the query after {hours} hours: ask for less")]
    TooSlow {
        /// The service.
        who: &'static str,
        /// How long was waited.
        hours: u64,
    },
    /// An answer that makes no sense, or is too long.
    #[error("the answer of {who} cannot be used: {text}")]
    Answer {
        /// The service.
        who: &'static str,
        /// What is wrong with it.
        text: String,
    },
    /// The columns.
    #[error(transparent)]
    Columns(#[from] ColumnError),
    /// The rows could not be kept.
    #[error(transparent)]
    Keep(#[from] KeepError),
    /// The stop signal.
    #[error("interrupted while the query was asked")]
    Interrupted,
}

/// A service's words on one line, of bounded length.
pub(super) fn one_line(text: &str) -> String {
    const MOST: usize = 600;
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}...", text.get(..end).unwrap_or_default()),
        None => text,
    }
}

/// How long a query may run, where the service does not end it sooner.
pub(super) const LONGEST_QUERY_HOURS: u64 = 6;
