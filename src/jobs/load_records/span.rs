//! A place in a job file.

use serde_saphyr::Spanned;
use std::fmt;

/// A line and a column, both from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    line: u64,
    column: u64,
}

impl Span {
    /// Where a value stands.
    pub(super) fn of<T>(value: &Spanned<T>) -> Self {
        Self { line: value.referenced.line(), column: value.referenced.column() }
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}
