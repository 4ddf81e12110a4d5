//! The pass over the input: what each contact is compared by, in few bytes.

use super::addresses::Addresses;
use super::near::{Near, likeness, unicode_folded};
use super::note::{Address, Kind, NO_EMAIL, Note, Scope};
use super::pair::{Source, folded, organisation};
use super::pairing::Pairing;
use crate::devrev::ids::{CONTACT_TYPES, Ref, id_text};
use crate::jobs::rules::Prefixes;
use crate::jobs::rules::contacts::ContactColumns;
use crate::row::Row;
use crate::source::header::{ColumnError, Header};
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::path::Path;

/// Addresses that are looked for in a record that is not a row: a limit for garbage.
const MOST_ADDRESSES: usize = 16;

/// Gathers the contacts of an input.
///
/// A contact costs 48 bytes here, 32 more while [`Self::finish`] groups them, and 16 from then on: 80 MB at the
/// most for a million, 16 MB during the run; besides, 40 bytes and 8 a row for each group that people must look
/// at, 40 bytes for each row with a near-duplicate, and the 6 MiB of a [`Near`], which keeps the rest on disk.
#[derive(Debug)]
pub(crate) struct Gather {
    columns: ContactColumns,
    prefixes: Prefixes,
    scope: Scope,
    addresses: Addresses,
    hashes: [RandomState; 2],
    notes: Vec<Note>,
    near: Near,
    rows: u64,
}

impl Gather {
    /// Begins with the header; what memory does not hold goes to unnamed files in `folder`. The error names all
    /// columns that are missing.
    pub(crate) fn new(header: &Header, scope: Scope, folder: &Path) -> Result<Self, ColumnError> {
        Ok(Self {
            columns: ContactColumns::find(header)?,
            prefixes: Prefixes::default(),
            addresses: Addresses::new(&scope.emails, &scope.except),
            scope,
            hashes: [RandomState::new(), RandomState::new()],
            notes: Vec::new(),
            near: Near::new(folder),
            rows: 0,
        })
    }

    /// The columns that are used.
    pub(crate) fn used(&self) -> Vec<usize> {
        self.columns.used()
    }

    /// Notes the next record; `whole` says whether it is a row, as the reader judges it. Every record of the
    /// input has to be noted, in order. Fails when the disk does.
    pub(crate) fn note(&mut self, row: &Row, whole: bool) -> io::Result<()> {
        self.rows += 1;
        let id = &*id_text(self.columns.id.text(row), CONTACT_TYPES);
        let contact = Ref::parse(id, CONTACT_TYPES).map_or(0, |id| self.hash(0, id.tail).max(1));
        let organisation = organisation(id).map_or(0, |name| truncated(self.hash(1, name)).max(1));
        let mut note = Note {
            email: NO_EMAIL,
            contact,
            row: self.rows,
            tickets: 0,
            organisation,
            kind: Kind::Invalid,
            in_filter: self.addresses.take_none(),
            twice: false,
        };
        if !whole {
            return self.note_bad(row, note);
        }
        if let Some(item) = self.columns.judge_next(row, &mut self.prefixes, &mut |_| ()).item {
            note.kind = Source::of(item.external_ref).map_or(Kind::Other, Kind::Of);
            note.tickets = item.tickets;
        }
        let email = self.columns.email.text(row);
        // The shape does not matter here: what is wrong in it may be right in another row with other letters.
        if email.contains('@') {
            (note.email, note.in_filter) = self.email(email)?;
        }
        self.notes.push(note);
        Ok(())
    }

    /// Notes a record with too many or too few fields, or worse: its address may stand in any column, and
    /// anyone who has the same one must not be paired as if this record were not there.
    fn note_bad(&mut self, row: &Row, mut note: Note) -> io::Result<()> {
        let fields = row.fields.iter().filter_map(|field| std::str::from_utf8(field).ok());
        let (mut keys, mut in_filter) = (Vec::new(), false);
        for email in fields.filter(|field| field.contains('@')).take(MOST_ADDRESSES) {
            let (key, taken) = self.email(email)?;
            keys.push(key);
            in_filter |= taken;
        }
        if keys.is_empty() {
            keys.push(NO_EMAIL);
        } else {
            note.in_filter = in_filter;
        }
        for email in keys {
            self.notes.push(Note { email, ..note });
            // One row is not the same contact twice.
            note.contact = 0;
        }
        Ok(())
    }

    /// What an address is compared by, and whether its rows are part of the run.
    fn email(&mut self, text: &str) -> io::Result<(Address, bool)> {
        let exact = folded(text);
        let taken = self.addresses.take(&exact);
        let like = self.hash(0, &likeness(text));
        let folded = unicode_folded(text);
        let first = self.hash(0, &folded).max(1);
        self.near.note(like, first, self.rows)?;
        let rest = truncated(self.hash(1, &folded));
        let exact = if folded == exact { rest } else { truncated(self.hash(1, &exact)) };
        Ok((Address { folded: (first, rest), exact }, taken))
    }

    fn hash(&self, key: usize, text: &str) -> u64 {
        self.hashes.get(key).map_or(0, |keyed| keyed.hash_one(text))
    }

    /// Groups what was noted. Fails when the disk does.
    pub(crate) fn finish(self) -> io::Result<Pairing> {
        let is_unmatched = |email: &&String| self.addresses.is_unmatched(email);
        let unmatched = self.scope.emails.iter().filter(is_unmatched).cloned().collect();
        Pairing::new(self.notes, self.rows, &self.scope, unmatched, self.near)
    }
}

/// The upper half of a hash.
#[allow(clippy::cast_possible_truncation, reason = "what is left fits")]
fn truncated(hash: u64) -> u32 {
    (hash >> 32) as u32
}
