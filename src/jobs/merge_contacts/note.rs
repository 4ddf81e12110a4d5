//! What a row is compared by, and which rows are.

use super::pair::Source;
use crate::cli::choices::Keep;

/// What is to be paired, and how.
#[derive(Debug, Clone)]
pub(crate) struct Scope {
    /// `--primary`
    pub keep: Keep,
    /// `--filter-email`: only rows with these addresses are in the run; empty for all rows.
    pub emails: Vec<String>,
    /// `--exclude-email`: rows with these addresses are not.
    pub except: Vec<String>,
    /// `--limit`, in pairs: only the rows of the first pairs, by their second rows, are in the run.
    pub limit: Option<u64>,
}

/// What a row is compared by: 48 bytes. Texts are there as hashes, with keys of this process, since strangers
/// choose their addresses and must not be able to choose collisions.
#[derive(Debug, Clone, Copy)]
pub(super) struct Note {
    /// The address; [`NO_EMAIL`] if there is none.
    pub(super) email: Address,
    /// The contact, in either form of its ID; 0 if the row names none. Two contacts with one hash go to
    /// review, one in ten million times a million rows: that does no harm.
    pub(super) contact: u64,
    pub(super) row: u64,
    pub(super) tickets: u64,
    /// The organisation; 0 if the ID names none. Compared again as text when a pair is made.
    pub(super) organisation: u32,
    pub(super) kind: Kind,
    /// Whether the row's address is one of those that are asked for.
    pub(super) in_filter: bool,
    /// Whether the contact stands in another row too: known at the end.
    pub(super) twice: bool,
}

/// An address in 128 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Address {
    /// The address without the case of any letter, in 96 bits.
    pub(super) folded: (u64, u32),
    /// The address without the case of ASCII letters. Compared again as text when a pair is made.
    pub(super) exact: u32,
}

impl Address {
    /// What addresses are grouped by: equal for those that may be the same.
    pub(super) fn key(self) -> (u64, u32) {
        self.folded
    }

    /// Whether two addresses of one [`Self::key`] are the same but for the case of ASCII letters.
    pub(super) fn is(self, other: Self) -> bool {
        self.exact == other.exact
    }
}

pub(super) const NO_EMAIL: Address = Address { folded: (0, 0), exact: 0 };

/// What a row may be part of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A contact from one of the two sources.
    Of(Source),
    /// A contact whose reference begins otherwise.
    Other,
    /// Not a contact that can be worked on.
    Invalid,
}
