//! What a row must be to be worked on: one judgement, used by `validate` and by the jobs themselves.

pub(crate) mod contacts;
pub(crate) mod dates;
mod email;
pub(crate) mod issues;
mod prefix;
pub(crate) mod queries;

use std::hash::{Hash, Hasher};

use rustc_hash::FxHasher;

use self::prefix::Prefix;
pub(crate) use self::prefix::Prefixes;
use crate::devrev::ids::{IdError, ObjectType, Ref};
use crate::finding::{Finding, Rule, shown};
use crate::kind::Kind;
use crate::row::{Row, Texts};
use crate::source::header::{ColumnError, Header};

/// The columns that an input of a kind must have.
pub(crate) fn required(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Groups => issues::REQUIRED,
        Kind::Contacts => contacts::REQUIRED,
        // Any columns: `update` says which it takes.
        Kind::Update => &[],
    }
}

/// The kind whose columns the header has. Where it has those of neither, the error is about the kind that
/// it comes nearer to.
pub(crate) fn kind_of(header: &Header) -> Result<Kind, UnknownKind> {
    let present = |kind: Kind| required(kind).iter().filter(|name| header.column(name).is_some()).count();
    let complete = |kind: Kind| present(kind) == required(kind).len();
    match (complete(Kind::Groups), complete(Kind::Contacts)) {
        (true, false) => return Ok(Kind::Groups),
        (false, true) => return Ok(Kind::Contacts),
        (true, true) => return Err(UnknownKind::Either),
        (false, false) => {}
    }
    // The larger part of its columns, in whole numbers.
    let [issues, contacts] = [Kind::Groups, Kind::Contacts].map(|kind| (present(kind), required(kind).len()));
    let nearer = if contacts.0 * issues.1 > issues.0 * contacts.1 { Kind::Contacts } else { Kind::Groups };
    match header.require(required(nearer)) {
        Err(error) => Err(UnknownKind::Neither { nearer: nearer.name(), error }),
        Ok(_) => Ok(nearer),
    }
}

/// Why the header does not say of what kind the input is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum UnknownKind {
    /// It fits both.
    #[error("the columns fit both `--kind groups` and `--kind contacts`: say which")]
    Either,
    /// It fits neither.
    #[error("for `--kind {nearer}`, {error}")]
    Neither {
        /// The kind that it comes nearer to.
        nearer: &'static str,
        /// What that kind needs.
        error: ColumnError,
    },
}

/// A judged row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Judged<T> {
    /// What the row says, if nothing is wrong with it. Notes do not count as wrong.
    pub item: Option<T>,
    /// What the row is about, if that much is right.
    pub identity: Option<Identity>,
}

/// What rows are compared by, to find those about the same thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Identity {
    /// Equal for rows about the same object, in whichever form its ID is written. For issues the number
    /// itself, for contacts a hash.
    pub key: u64,
    /// A hash of what the row says of the object, however it is written.
    pub values: u64,
}

/// Whether a field says that there is nothing: exports write NULL in several ways.
#[inline]
fn is_missing(text: &str) -> bool {
    text.is_empty() || text.eq_ignore_ascii_case("null") || text.eq_ignore_ascii_case("none") || text == r"\N"
}

/// Whether a field holds a word with which some programs write that there is nothing. It is not taken for that: the same
/// word may be a failed calculation.
fn is_placeholder(text: &str) -> bool {
    const WORDS: [&str; 9] = ["nan", "nat", "n/a", "#n/a", "na", "<na>", "<null>", "undefined", "-"];
    WORDS.iter().any(|word| text.eq_ignore_ascii_case(word))
}

/// What to do about such a word.
const LEAVE_EMPTY: &str = "stands for nothing in some exports: leave the field empty";

/// A column of the input and the name that it goes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Column {
    /// Where it is.
    pub index: usize,
    /// Its name as the documentation writes it.
    pub name: &'static str,
}

impl Column {
    /// The row's text in this column, without surrounding white space.
    pub(crate) fn text(self, row: &Row) -> &str {
        row.text(Some(self.index))
    }

    /// The same, where many columns of the row are looked at.
    #[inline]
    fn among<'r>(self, texts: &Texts<'r>) -> &'r str {
        texts.text(Some(self.index))
    }

    fn finding(self, row: &Row, rule: Rule, message: impl Into<String>) -> Finding {
        Finding {
            row: row.number,
            line: Some(row.line),
            column: Some(self.name.into()),
            rule,
            value: shown(self.text(row)),
            message: message.into(),
        }
    }

    fn empty(self, row: &Row) -> Finding {
        self.finding(row, Rule::EmptyValue, "a value is needed here")
    }

    /// The ID that is this column's text, or a finding. The text is given, since the caller has it already.
    fn id<'r>(
        self,
        row: &Row,
        text: &'r str,
        prefix: &mut Prefix,
        wanted: &[ObjectType],
        found: &mut impl FnMut(Finding),
    ) -> Option<Ref<'r>> {
        if let Some(id) = prefix.parse(text, wanted) {
            return Some(id);
        }
        if let Some(id) = Ref::pasted(text, wanted) {
            return Some(id);
        }
        self.no_id(row, text, wanted, found);
        None
    }

    /// Hands over why this column's text is no ID.
    #[cold]
    fn no_id(self, row: &Row, text: &str, wanted: &[ObjectType], found: &mut impl FnMut(Finding)) {
        if is_missing(text) {
            return found(self.empty(row));
        }
        if is_placeholder(text) {
            return found(self.finding(row, Rule::IdShape, LEAVE_EMPTY));
        }
        let (rule, message) = match Ref::parse(text, wanted) {
            Ok(_) => return,
            Err(IdError::WrongType { found, wanted, .. }) => {
                (Rule::IdType, format!("the ID of {found}, where {wanted} is needed"))
            }
            Err(IdError::Shape { .. }) => {
                let prefix = wanted.first().map_or("", |object| object.display_prefix());
                (Rule::IdShape, format!("neither a DON (don:...) nor a display ID such as {prefix}-123"))
            }
        };
        found(self.finding(row, rule, message));
    }
}

/// Hashes a row's values one after another.
#[derive(Default)]
struct Values(FxHasher);

impl Values {
    /// An ID in whichever form, or the text that is none.
    fn id(&mut self, id: Option<Ref<'_>>, text: &str) {
        match id {
            Some(id) => {
                id.object.hash(&mut self.0);
                id.tail.hash(&mut self.0);
            }
            None => self.text(text),
        }
    }

    fn text(&mut self, text: &str) {
        // A mark that no object type has, so that a text is never taken for an ID.
        self.0.write_u8(u8::MAX);
        let text = if is_missing(text) { "" } else { text };
        text.hash(&mut self.0);
    }

    /// A text of which the case of ASCII letters does not count.
    fn caseless(&mut self, text: &str) {
        let mut part = [0; 64];
        for bytes in text.as_bytes().chunks(part.len()) {
            let Some(lower) = part.get_mut(..bytes.len()) else { break };
            lower.copy_from_slice(bytes);
            lower.make_ascii_lowercase();
            lower.hash(&mut self.0);
        }
    }

    fn finish(&self) -> u64 {
        self.0.finish()
    }
}

#[cfg(test)]
mod tests {
    use ::csv::ByteRecord;

    use super::*;

    pub(super) fn header(names: &[&str]) -> Header {
        Header::new(ByteRecord::from(names.to_vec()), "in.csv").unwrap()
    }

    pub(super) fn row(fields: &[&str]) -> Row {
        Row { number: 4, line: 5, fields: ByteRecord::from(fields.to_vec()) }
    }

    #[test]
    fn the_kind_is_found_from_the_header() {
        assert_eq!(kind_of(&header(issues::REQUIRED)), Ok(Kind::Groups));
        assert_eq!(kind_of(&header(contacts::REQUIRED)), Ok(Kind::Contacts));
        let both = [issues::REQUIRED, contacts::REQUIRED].concat();
        assert_eq!(kind_of(&header(&both)), Err(UnknownKind::Either));
    }

    #[test]
    fn the_nearer_kind_is_named() {
        let error = kind_of(&header(&["REV_USER_ID", "EMAIL", "issue_id"])).unwrap_err().to_string();
        assert!(
            error.starts_with("for `--kind groups`, columns missing from in.csv: `creator_user_id`"),
            "{error}"
        );
        let error = kind_of(&header(&contacts::REQUIRED[1..])).unwrap_err().to_string();
        assert!(
            error.starts_with("for `--kind contacts`, columns missing from in.csv: `REV_USER_ID`;"),
            "{error}"
        );
    }
}
