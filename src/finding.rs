//! What may be wrong with an input.

use std::borrow::Cow;

use serde::{Serialize, Serializer};

use crate::invisible::is_invisible;
use crate::row::{Row, RowProblem};
use crate::source::SourceError;

/// The longest value that a finding shows, in characters.
const LONGEST_VALUE: usize = 80;

/// Something that a row, or the input at this row, has against it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    /// The data record's number, from 1.
    pub row: u64,
    /// The line on which the record begins, from 1. Unknown only where more than 2^27 lines are not the first
    /// of a record.
    pub line: Option<u64>,
    /// The column, where it is about one.
    pub column: Option<Cow<'static, str>>,
    /// The rule that is not kept.
    pub rule: Rule,
    /// The offending value, cut to 80 characters and with control characters made visible; may be empty.
    pub value: String,
    /// What is wrong with it.
    pub message: String,
}

impl Finding {
    /// What is wrong with a record that is no row.
    pub(crate) fn of_problem(row: &Row, problem: &RowProblem) -> Self {
        let (rule, column) = match problem {
            RowProblem::Ragged { .. } => (Rule::RaggedRecord, None),
            RowProblem::StrayQuote { .. } => (Rule::StrayQuote, None),
            RowProblem::NotUtf8 { column } => (Rule::NotUtf8, Some(Cow::Owned(shown(column)))),
        };
        let message = match problem {
            RowProblem::NotUtf8 { .. } => "not UTF-8 text".to_owned(),
            _ => problem.to_string(),
        };
        Self { row: row.number, line: Some(row.line), column, rule, value: String::new(), message }
    }

    /// Why the reading ended before the input did; `row` is where it was when the error does not know.
    pub(crate) fn of_error(error: &SourceError, row: u64) -> Self {
        let rule = match error {
            SourceError::UnclosedQuote { .. } => Rule::UnclosedQuote,
            SourceError::RecordTooLong { .. } => Rule::RecordTooLong,
            _ => Rule::Unreadable,
        };
        let (row, line) = error.place().map_or((row, None), |(row, line)| (row, Some(line)));
        let message = format!("{error}; the rest was not read");
        Self { row, line, column: None, rule, value: String::new(), message }
    }
}

impl Serialize for Finding {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct;
        let mut object = serializer.serialize_struct("Finding", 7)?;
        object.serialize_field("row", &self.row)?;
        object.serialize_field("line", &self.line)?;
        object.serialize_field("column", &self.column)?;
        object.serialize_field("rule", self.rule.name())?;
        object.serialize_field("severity", self.rule.severity().name())?;
        object.serialize_field("value", &self.value)?;
        object.serialize_field("message", &self.message)?;
        object.end()
    }
}

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Severity {
    /// The row cannot be worked on.
    Error,
    /// Worth knowing; the row can be worked on.
    Note,
}

impl Severity {
    /// Its name in `--json`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Note => "note",
        }
    }
}

/// The rules. Their names are stable: scripts read them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Rule {
    /// The input could not be read to its end.
    Unreadable,
    /// A quote is opened and never closed.
    UnclosedQuote,
    /// A record is longer than 1 MiB.
    RecordTooLong,
    /// A record has more or fewer fields than the header.
    RaggedRecord,
    /// Text stands after a closing quote.
    StrayQuote,
    /// A field is not UTF-8.
    NotUtf8,
    /// A needed value is empty, `null` or `none`.
    EmptyValue,
    /// Not an ID at all.
    IdShape,
    /// The ID of another type of object.
    IdType,
    /// Not an e-mail address.
    EmailShape,
    /// Not a whole number of tickets.
    TicketCount,
    /// Not a date.
    Date,
    /// Updated before it was created.
    DateOrder,
    /// DevRev does not have it (`--online`).
    NotInDevRev,
    /// Not a value that the field can hold.
    FieldValue,
    /// An object that the base does not have.
    NotInBase,
    /// The same object as an earlier row, with the same values.
    DuplicateSame,
    /// The same object as another row, with different values.
    DuplicateConflict,
}

impl Rule {
    /// The rule's name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Unreadable => "unreadable",
            Self::UnclosedQuote => "unclosed-quote",
            Self::RecordTooLong => "record-too-long",
            Self::RaggedRecord => "ragged-record",
            Self::StrayQuote => "stray-quote",
            Self::NotUtf8 => "not-utf8",
            Self::EmptyValue => "empty-value",
            Self::IdShape => "id-shape",
            Self::IdType => "id-type",
            Self::EmailShape => "email-shape",
            Self::TicketCount => "ticket-count",
            Self::Date => "date",
            Self::DateOrder => "date-order",
            Self::NotInDevRev => "not-in-devrev",
            Self::FieldValue => "field-value",
            Self::NotInBase => "not-in-base",
            Self::DuplicateSame => "duplicate-same",
            Self::DuplicateConflict => "duplicate-conflict",
        }
    }

    /// Whether this is the name of a rule that a row breaks by what stands in it: it fails again for as long as that stays.
    pub(crate) fn fails_again(name: &str) -> bool {
        const ALL: [Rule; 10] = [
            Rule::RaggedRecord,
            Rule::StrayQuote,
            Rule::NotUtf8,
            Rule::EmptyValue,
            Rule::IdShape,
            Rule::IdType,
            Rule::EmailShape,
            Rule::FieldValue,
            Rule::NotInBase,
            Rule::DuplicateConflict,
        ];
        ALL.iter().any(|rule| rule.name() == name)
    }

    /// How much it matters that the rule is not kept.
    pub(crate) fn severity(self) -> Severity {
        match self {
            // No date is used.
            Self::DuplicateSame | Self::Date | Self::DateOrder => Severity::Note,
            _ => Severity::Error,
        }
    }
}

/// A value fit to be shown: not too long, and nothing in it that acts on a terminal or cannot be seen.
pub(crate) fn shown(value: &str) -> String {
    let mut text = String::new();
    for (count, character) in value.chars().enumerate() {
        if count == LONGEST_VALUE {
            text.push_str("...");
            break;
        }
        if is_hidden(character) {
            text.extend(character.escape_default());
        } else {
            text.push(character);
        }
    }
    text
}

fn is_hidden(character: char) -> bool {
    character.is_control() || is_invisible(character) || matches!(character, '\u{2028}' | '\u{2029}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_made_fit_to_be_shown() {
        assert_eq!(shown("ISS-1"), "ISS-1");
        assert_eq!(shown("a\x1b[31m\u{200b}é\n"), "a\\u{1b}[31m\\u{200b}é\\n");
        assert_eq!(shown(&"x".repeat(81)), format!("{}...", "x".repeat(80)));
    }
}
