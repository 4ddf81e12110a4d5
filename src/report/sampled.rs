//! What `sample` took, for people and for machines.

use super::terminal::printable;
use super::units::counted;
use crate::kind::Kind;
use serde::Serialize;
use std::fmt::Write as _;

/// A small input that was made.
#[derive(Debug, Serialize)]
pub(crate) struct Sampled {
    /// Where it is; `-` for standard output.
    pub file: String,
    /// What it was made of, as the operator calls it.
    pub input: String,
    /// What its rows are.
    pub kind: Kind,
    /// Its rows.
    pub rows: usize,
    /// Of contacts, its pairs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pairs: Option<usize>,
    /// Of issues, the assigned groups that its rows are of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub groups: Option<usize>,
    /// Rows that were asked for.
    pub size: usize,
    /// Rows of the input.
    pub input_rows: u64,
    /// Rows of the input that are invalid, and so were not taken.
    pub invalid: u64,
}

impl Sampled {
    /// What there is to tell people.
    pub(crate) fn text(&self) -> String {
        let rows = counted(self.rows as u64, "row");
        let of = match (self.pairs, self.groups) {
            (Some(pairs), _) => format!(" ({})", counted(pairs as u64, "pair")),
            (_, Some(groups)) => format!(" of {}", counted(groups as u64, "assigned group")),
            (None, None) => String::new(),
        };
        let to = if self.file == "-" { "standard output" } else { &self.file };
        if self.input_rows == 0 {
            return printable(&format!("no rows: only the header of {} was written to {to}", self.input));
        }
        let all = counted(self.input_rows, "row");
        let mut text = format!("{rows}{of} of the {all} of {} written to {to}", self.input);
        let wanted = if self.pairs.is_some() { self.size - self.size % 2 } else { self.size };
        if self.rows < wanted {
            let what = if self.pairs.is_some() { "pairs" } else { "valid rows" };
            let _ = write!(text, "\nnote: {} were asked for, and the input has no more {what}", self.size);
        }
        if self.invalid > 0 {
            let (rows, were) = (counted(self.invalid, "row"), if self.invalid == 1 { "is" } else { "are" });
            let _ = write!(
                text,
                "\nnote: {rows} of the input {were} invalid and not taken; `devrev-batch validate` shows why"
            );
        }
        printable(&text)
    }
}
