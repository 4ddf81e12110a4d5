//! What ends the reading of an input.

use std::fmt;
use std::io;

/// Why an input cannot be read, or not any further. A bad record alone is no such reason: see
/// [`crate::row::RowProblem`].
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The operating system refused.
    #[error("cannot read {name}: {error}")]
    Unreadable {
        /// What the operator calls the input.
        name: String,
        /// The refusal.
        error: io::Error,
    },
    /// A folder, a pipe or a device: it cannot be read twice, as a run must.
    #[error("{name} is not a regular file: give a file, or `-` to read standard input")]
    NotAFile {
        /// What the operator calls the input.
        name: String,
    },
    /// A copy could not be kept.
    #[error("cannot keep a copy of {name} in {spool}: {error}")]
    Spool {
        /// What the operator calls the input.
        name: String,
        /// The file that was to hold it.
        spool: String,
        /// The refusal.
        error: io::Error,
    },
    /// It was changed while it was copied.
    #[error("{name} was changed while it was read: wait until it is complete, then run this again")]
    Changed {
        /// What the operator calls the input.
        name: String,
    },
    /// Another format than CSV.
    #[error("{name} is {what}")]
    OtherFormat {
        /// What the operator calls the input.
        name: String,
        /// What it is, and what to do.
        what: &'static str,
    },
    /// Not even a header.
    #[error("{name} is empty: it must begin with a line that names the columns")]
    Empty {
        /// What the operator calls the input.
        name: String,
    },
    /// The header is in another encoding, and so is the rest, then.
    #[error("the header of {name} is not UTF-8 text{hint}: save the file as CSV UTF-8")]
    HeaderNotUtf8 {
        /// What the operator calls the input.
        name: String,
        /// Which encoding it looks like, where that shows.
        hint: &'static str,
    },
    /// A quote is opened and the input ends within it. The rows after that quote are not taken for rows:
    /// they may be the text of a field.
    #[error("{name}: the quote opened on line {quote_line}, in {}, is never closed", record(*row, *line))]
    UnclosedQuote {
        /// What the operator calls the input.
        name: String,
        /// The data record's number, from 1; 0 for the header.
        row: u64,
        /// The line on which the record begins.
        line: u64,
        /// The line on which the quote stands.
        quote_line: u64,
    },
    /// A record longer than [`super::tap::MAX_RECORD_BYTES`].
    #[error("{name}: {} is longer than 1 MiB{}", record(*row, *line), unclosed(*quote_line))]
    RecordTooLong {
        /// What the operator calls the input.
        name: String,
        /// The data record's number, from 1; 0 for the header.
        row: u64,
        /// The line on which the record begins.
        line: u64,
        /// The line of the quote that is still open after 1 MiB: most likely the cause.
        quote_line: Option<u64>,
    },
}

impl SourceError {
    /// Whether the input could not be got at, rather than holding something wrong.
    pub fn is_access(&self) -> bool {
        matches!(self, Self::Unreadable { .. } | Self::NotAFile { .. } | Self::Spool { .. })
    }

    /// The record (0 for the header) and the line at which the reading ended, where it was at one.
    pub fn place(&self) -> Option<(u64, u64)> {
        match self {
            Self::UnclosedQuote { row, line, .. } | Self::RecordTooLong { row, line, .. } => {
                Some((*row, *line))
            }
            _ => None,
        }
    }
}

fn record(row: u64, line: u64) -> impl fmt::Display {
    if row == 0 { "the header".to_owned() } else { format!("row {row} (line {line})") }
}

fn unclosed(quote_line: Option<u64>) -> impl fmt::Display {
    quote_line
        .map_or(String::new(), |line| format!("; the quote opened on line {line} is probably never closed"))
}
