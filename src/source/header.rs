//! The names of an input's columns, and how the needed ones are found among them.

use std::fmt;

use ::csv::ByteRecord;

use super::error::SourceError;

/// How many found columns a message lists.
const LISTED: usize = 20;
/// How alike two names must be for one to be offered for the other, from 0 to 1.
const ALIKE: f64 = 0.7;

/// The header of an input.
#[derive(Debug, Clone)]
pub struct Header {
    names: ByteRecord,
    /// The names as they are compared: without surrounding white space, in lower case.
    folded: Vec<String>,
    input: String,
    /// The columns that are used, where that is known.
    used: Option<Vec<usize>>,
}

impl Header {
    /// Takes the first record of the input `input` for its header.
    pub fn new(names: ByteRecord, input: &str) -> Result<Self, SourceError> {
        let folded: Result<Vec<String>, _> =
            names.iter().map(|name| std::str::from_utf8(name).map(fold)).collect();
        let Ok(folded) = folded else {
            let utf16 =
                names.as_slice().starts_with(b"\xff\xfe") || names.as_slice().starts_with(b"\xfe\xff");
            let hint = if utf16 { " (it looks like UTF-16)" } else { "" };
            return Err(SourceError::HeaderNotUtf8 { name: input.to_owned(), hint });
        };
        Ok(Self { names, folded, input: input.to_owned(), used: None })
    }

    /// The names of columns that come from elsewhere than a file.
    pub fn of_texts(names: &[String], input: &str) -> Self {
        let folded = names.iter().map(|name| fold(name)).collect();
        Self { names: ByteRecord::from(names.to_vec()), folded, input: input.to_owned(), used: None }
    }

    /// The names byte for byte as they stand in the input: the result files begin with them.
    pub fn names(&self) -> &ByteRecord {
        &self.names
    }

    /// The name of a column for a message; its number where it has no name.
    pub fn name(&self, column: usize) -> String {
        let name = self.names.get(column).and_then(|name| std::str::from_utf8(name).ok()).unwrap_or_default();
        if name.trim().is_empty() { format!("#{}", column + 1) } else { name.trim().to_owned() }
    }

    /// Says which columns are used: what is wrong in others does not matter.
    pub(super) fn use_only(&mut self, columns: Vec<usize>) {
        self.used = Some(columns);
    }

    /// Whether it matters what stands in a column.
    pub(super) fn is_used(&self, column: usize) -> bool {
        self.used.as_ref().is_none_or(|used| used.contains(&column))
    }

    /// Where the column of this name is; the first of them if there are several.
    pub fn column(&self, name: &str) -> Option<usize> {
        let name = fold(name);
        self.folded.iter().position(|found| *found == name)
    }

    /// Where the column of this name is, if there is one; several are an error.
    pub fn optional(&self, name: &str) -> Result<Option<usize>, ColumnError> {
        let wanted = fold(name);
        if self.folded.iter().filter(|found| **found == wanted).count() > 1 {
            return Err(ColumnError::Twice { input: self.input.clone(), column: name.to_owned() });
        }
        Ok(self.column(name))
    }

    /// Where each of these columns is, in the order asked for. The error names all that are missing.
    pub fn require(&self, names: &[&str]) -> Result<Vec<usize>, ColumnError> {
        let mut found = Vec::with_capacity(names.len());
        let mut missing = Vec::new();
        for name in names {
            match self.optional(name)? {
                Some(column) => found.push(column),
                None => {
                    missing.push(Missing { name: (*name).to_owned(), nearest: self.nearest(name, names) });
                }
            }
        }
        if missing.is_empty() {
            return Ok(found);
        }
        let found = (0..self.folded.len()).map(|column| self.name(column)).collect();
        Err(ColumnError::Missing(MissingColumns { input: self.input.clone(), missing, found }))
    }

    /// The one or two columns most like a missing one, without those that are needed as they are.
    fn nearest(&self, missing: &str, needed: &[&str]) -> Vec<String> {
        let missing = fold(missing);
        let mut near: Vec<(f64, usize)> = self
            .folded
            .iter()
            .enumerate()
            .filter(|(_, found)| !needed.iter().any(|needed| fold(needed) == **found))
            .map(|(column, found)| (strsim::jaro_winkler(&missing, found), column))
            .filter(|(alike, _)| *alike >= ALIKE)
            .collect();
        near.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        near.into_iter().take(2).map(|(_, column)| self.name(column)).collect()
    }
}

fn fold(name: &str) -> String {
    name.trim().to_lowercase()
}

/// Why the needed columns are not to be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ColumnError {
    /// Some are not there.
    #[error(transparent)]
    Missing(#[from] MissingColumns),
    /// One is there more than once, and which is meant cannot be known.
    #[error("{input} has more than one column `{column}`: keep the one that is meant, rename the others")]
    Twice {
        /// What the operator calls the input.
        input: String,
        /// The column's name.
        column: String,
    },
}

/// The columns that an input lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingColumns {
    /// What the operator calls the input.
    pub input: String,
    /// What is missing.
    pub missing: Vec<Missing>,
    /// The names that are there.
    pub found: Vec<String>,
}

/// A column that an input lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// Its name.
    pub name: String,
    /// What it may be called there instead, the likeliest first.
    pub nearest: Vec<String>,
}

impl std::error::Error for MissingColumns {}

impl fmt::Display for MissingColumns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "columns missing from {}: ", self.input)?;
        for (index, missing) in self.missing.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}`{}`", missing.name)?;
            if !missing.nearest.is_empty() {
                write!(f, " (nearest: {})", quoted(&missing.nearest))?;
            }
        }
        let listed = self.found.get(..LISTED).unwrap_or(&self.found);
        write!(f, "; found: {}", quoted(listed))?;
        if self.found.len() > listed.len() {
            write!(f, " and {} more", self.found.len() - listed.len())?;
        }
        // What spreadsheets write where the comma is the decimal mark.
        for (mark, name) in [(';', "semicolons"), ('\t', "tabs")] {
            if self.found.iter().all(|found| found.contains(mark)) {
                write!(f, "; the columns seem to be separated by {name}: separate them by commas")?;
            }
        }
        Ok(())
    }
}

fn quoted(names: &[String]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("`{}`", name.escape_debug())).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(names: &[&str]) -> Header {
        Header::new(ByteRecord::from(names.to_vec()), "issues.csv").unwrap()
    }

    #[test]
    fn names_are_matched_without_case_and_surrounding_space() {
        let header = header(&["extra", " Issue_ID ", "CREATOR_GROUP"]);
        assert_eq!(header.require(&["creator_group", "issue_id"]).unwrap(), [2, 1]);
        assert_eq!(header.column("nothing"), None);
        assert_eq!(header.names().get(1), Some(&b" Issue_ID "[..]));
    }

    #[test]
    fn missing_columns_are_named_with_the_nearest() {
        let error = header(&["issue_id", "creator_id", "zzz"])
            .require(&["issue_id", "creator_user_id", "assigned_group"])
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "columns missing from issues.csv: `creator_user_id` (nearest: `creator_id`), `assigned_group`; \
             found: `issue_id`, `creator_id`, `zzz`"
        );
    }

    #[test]
    fn another_separator_is_seen() {
        let error = header(&["issue_id;creator_user_id"]).require(&["issue_id"]).unwrap_err().to_string();
        assert!(error.ends_with("separated by semicolons: separate them by commas"), "{error}");
    }

    #[test]
    fn a_needed_column_may_not_be_there_twice() {
        let header = header(&["issue_id", "ISSUE_ID", "note", "note"]);
        assert!(matches!(header.require(&["issue_id"]), Err(ColumnError::Twice { .. })));
        assert!(matches!(header.optional("note"), Err(ColumnError::Twice { .. })));
        assert_eq!(header.optional("other"), Ok(None));
    }

    #[test]
    fn long_headers_are_cut_short() {
        let names: Vec<String> = (0..50).map(|number| format!("column{number}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        assert!(header(&names).require(&["issue_id"]).unwrap_err().to_string().ends_with(" and 30 more"));
    }
}
