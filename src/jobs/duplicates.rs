//! Rows that are about the same thing, found in memory that does not grow with the rows.
//!
//! Most inputs hold no such rows, so nothing is sorted until it is known that it must be: the rows are put by as
//! they come, and a sieve notes which of them may have a fellow.
//!
//! Those go through three sorts, of which the second and third see only rows that do have one: by key, to bring
//! fellows together; by the first fellow, so that whether they differ is known before the first of them is
//! judged; by row, to hand the verdicts out in the order of the input.

use std::io;
use std::path::{Path, PathBuf};

use super::sieve::Sieve;
use crate::exit::{Exit, Failure};
use crate::row::Place;
use crate::spill::spool::Spool;
use crate::spill::{Sorted, Sorter};

/// Gathers the rows.
#[derive(Debug)]
pub(crate) struct Duplicates {
    folder: PathBuf,
    /// Key, row, values.
    rows: Spool,
    sieve: Sieve,
}

/// A row that is not the only one with its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Duplicate {
    /// The row.
    pub row: u64,
    /// What it shares with its fellows.
    pub key: u64,
    /// How it stands to them.
    pub verdict: Verdict,
}

/// How a row stands to the others with its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// All of them have the same values; this is the first one, which stands for all.
    SameAs(u64),
    /// Not all of them have the same values; this is the first one whose values are not this row's.
    ConflictsWith(u64),
}

impl Duplicates {
    /// Keeps what memory does not hold in unnamed files in `folder`.
    pub(crate) fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), rows: Spool::new(folder), sieve: Sieve::new() }
    }

    /// Notes a row: what it is about, a fingerprint of its values, and its number, which is at least 1, less
    /// than 2^63, and no other row's. Fails when the disk does.
    pub(crate) fn note(&mut self, key: u64, values: u64, row: u64) -> io::Result<()> {
        self.sieve.note(key);
        self.rows.push([key, row, values])
    }

    /// The verdicts in the order of the rows. Fails when the disk does.
    pub(crate) fn finish(self) -> io::Result<Verdicts> {
        let mut rows = Sorter::new(&self.folder);
        let caught = self.sieve.finish();
        if caught.any() {
            for record in self.rows.finish()? {
                let record = record?;
                if caught.may_recur(record[0]) {
                    rows.push(record)?;
                }
            }
        }
        // Its memory is the sorters' now.
        drop(caught);
        let mut fellows = Sorter::new(&self.folder);
        let mut group: Option<Group> = None;
        for record in rows.finish()? {
            let [key, row, values] = record?;
            match &mut group {
                Some(group) if group.key == key => group.take(row, values, &mut fellows)?,
                _ => group = Some(Group { key, first: row, values, other: None }),
            }
        }
        let mut verdicts = Sorter::new(&self.folder);
        let mut conflict = None;
        for record in fellows.finish()? {
            let [first, fellow, key_or_other] = record?;
            if fellow == CONFLICT {
                let (other, key) = (key_or_other, None);
                conflict = Some(Conflict { first, other, key });
                continue;
            }
            let (row, differs, key) = (fellow >> 1, fellow & 1 == 1, key_or_other);
            match &mut conflict {
                Some(conflict) if conflict.first == first => {
                    if conflict.key.replace(key).is_none() {
                        verdicts.push([first, conflict.other << 1 | 1, key])?;
                    }
                    let against = if differs { first } else { conflict.other };
                    verdicts.push([row, against << 1 | 1, key])?;
                }
                _ => verdicts.push([row, first << 1, key])?,
            }
        }
        Ok(Verdicts(verdicts.finish()?))
    }
}

/// Sorts before every fellow of a row: rows are numbered from 1.
const CONFLICT: u64 = 0;

/// The rows of one key, as they come by in their order.
struct Group {
    key: u64,
    first: u64,
    values: u64,
    /// The first row whose values are not the first row's.
    other: Option<u64>,
}

impl Group {
    fn take(&mut self, row: u64, values: u64, fellows: &mut Sorter) -> io::Result<()> {
        let differs = values != self.values;
        if differs && self.other.is_none() {
            self.other = Some(row);
            fellows.push([self.first, CONFLICT, row])?;
        }
        fellows.push([self.first, row << 1 | u64::from(differs), self.key])
    }
}

struct Conflict {
    first: u64,
    other: u64,
    /// Known, and the first row judged, once a fellow has come by.
    key: Option<u64>,
}

/// The rows that have fellows, in their order. An error of the disk ends it.
#[derive(Debug)]
pub(crate) struct Verdicts(Sorted);

impl Verdicts {
    /// Shows each of them before they are asked for.
    pub(crate) fn shown_to(self, folder: &Path, mut look: impl FnMut(Duplicate)) -> io::Result<Self> {
        let mut again = Sorter::new(folder);
        for record in self.0 {
            let record = record?;
            look(verdict(record));
            again.push(record)?;
        }
        Ok(Self(again.finish()?))
    }
}

fn verdict([row, verdict, key]: [u64; 3]) -> Duplicate {
    let other = verdict >> 1;
    let verdict = if verdict & 1 == 1 { Verdict::ConflictsWith(other) } else { Verdict::SameAs(other) };
    Duplicate { row, key, verdict }
}

impl Iterator for Verdicts {
    type Item = io::Result<Duplicate>;

    fn next(&mut self) -> Option<Self::Item> {
        Some(self.0.next()?.map(verdict))
    }
}

/// The verdicts, asked for row by row in the order of the input.
#[derive(Debug)]
pub(crate) struct InRowOrder(std::iter::Peekable<Verdicts>);

impl InRowOrder {
    /// Of these verdicts.
    pub(crate) fn new(verdicts: Verdicts) -> Self {
        Self(verdicts.peekable())
    }

    /// The verdict about a row, if it is about the same thing as another. Rows ascend.
    pub(crate) fn of(&mut self, row: u64) -> Result<Option<Duplicate>, Failure> {
        loop {
            let at = match self.0.peek() {
                Some(Ok(duplicate)) => Place::unpack(duplicate.row).row,
                Some(Err(error)) => {
                    let text = format!("cannot read temporary data: {error}");
                    return Err(Failure::new(Exit::Unexpected, text));
                }
                None => return Ok(None),
            };
            if at > row {
                return Ok(None);
            }
            let next = self.0.next().and_then(Result::ok);
            if at == row {
                return Ok(next);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    fn verdicts(rows: &[(u64, u64)]) -> Vec<(u64, u64, Verdict)> {
        let folder = tempfile::tempdir().unwrap();
        let mut duplicates = Duplicates::new(folder.path());
        for ((key, values), row) in rows.iter().zip(1..) {
            duplicates.note(*key, *values, row).unwrap();
        }
        let found = duplicates.finish().unwrap().map(Result::unwrap);
        found.map(|found| (found.row, found.key, found.verdict)).collect()
    }

    fn naive(rows: &[(u64, u64)]) -> Vec<(u64, u64, Verdict)> {
        let mut groups: HashMap<u64, Vec<(u64, u64)>> = HashMap::new();
        for ((key, values), row) in rows.iter().zip(1..) {
            groups.entry(*key).or_default().push((row, *values));
        }
        let mut found = Vec::new();
        for ((key, values), row) in rows.iter().zip(1..) {
            let group = &groups[key];
            let first = group[0].0;
            let verdict = if group.iter().any(|(_, other)| other != &group[0].1) {
                let other = group.iter().find(|(_, other)| other != values).unwrap().0;
                Verdict::ConflictsWith(other)
            } else if row == first {
                continue;
            } else {
                Verdict::SameAs(first)
            };
            found.push((row, *key, verdict));
        }
        found
    }

    #[test]
    fn equal_rows_collapse_and_unequal_ones_conflict() {
        let rows = [(7, 1), (8, 1), (7, 1), (8, 2), (9, 1), (7, 1), (8, 1)];
        assert_eq!(
            verdicts(&rows),
            [
                (2, 8, Verdict::ConflictsWith(4)),
                (3, 7, Verdict::SameAs(1)),
                (4, 8, Verdict::ConflictsWith(2)),
                (6, 7, Verdict::SameAs(1)),
                (7, 8, Verdict::ConflictsWith(4)),
            ]
        );
    }

    #[test]
    fn one_key_for_everything() {
        let mut rows = vec![(1, 1); 300_000];
        rows.push((1, 2));
        let found = verdicts(&rows);
        assert_eq!(found.len(), rows.len());
        assert!(found.iter().rev().skip(1).all(|row| row.2 == Verdict::ConflictsWith(300_001)));
        assert_eq!(found.last().unwrap().2, Verdict::ConflictsWith(1));
    }

    proptest! {
        #[test]
        fn as_a_map_would(rows in prop::collection::vec((prop_oneof![0u64..6, Just(u64::MAX)], 0u64..3), 0..60)) {
            prop_assert_eq!(verdicts(&rows), naive(&rows));
        }
    }
}
