//! Sets of row numbers, and a small word on each row, in memory that follows the rows there are.

use std::collections::BTreeMap;

/// Rows a chunk: a lone row, however great its number, costs 512 bytes.
const CHUNK_ROWS: u64 = 4096;
const BITS: u64 = u64::BITS as u64;
#[allow(clippy::cast_possible_truncation, reason = "64")]
const CHUNK_WORDS: usize = (CHUNK_ROWS / BITS) as usize;

/// A set of row numbers: a bit a row where rows are many, nothing where there are none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RowSet {
    chunks: BTreeMap<u64, Box<[u64; CHUNK_WORDS]>>,
    len: u64,
}

impl RowSet {
    /// A set of no rows.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a row; says whether it was not in before.
    pub fn insert(&mut self, row: u64) -> bool {
        let (chunk, word, bit) = place(row);
        let chunk = self.chunks.entry(chunk).or_insert_with(|| Box::new([0; CHUNK_WORDS]));
        let is_new = chunk.get_mut(word).is_some_and(|word| {
            let is_new = *word & bit == 0;
            *word |= bit;
            is_new
        });
        self.len += u64::from(is_new);
        is_new
    }

    /// Takes a row out; says whether it was in.
    pub fn remove(&mut self, row: u64) -> bool {
        let (chunk, word, bit) = place(row);
        let was_in = self.chunks.get_mut(&chunk).and_then(|chunk| chunk.get_mut(word)).is_some_and(|word| {
            let was_in = *word & bit != 0;
            *word &= !bit;
            was_in
        });
        self.len -= u64::from(was_in);
        was_in
    }

    /// Whether a row is in.
    pub fn contains(&self, row: u64) -> bool {
        let (chunk, word, bit) = place(row);
        self.chunks.get(&chunk).and_then(|chunk| chunk.get(word)).is_some_and(|word| word & bit != 0)
    }

    /// How many rows are in.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether no row is in.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The rows in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = u64> + '_ {
        self.chunks.iter().flat_map(|(chunk, words)| {
            (0u64..).zip(words.iter()).flat_map(move |(place, word)| {
                let first = chunk * CHUNK_ROWS + place * BITS;
                (0..BITS).filter(move |bit| word >> bit & 1 == 1).map(move |bit| first + bit)
            })
        })
    }
}

impl FromIterator<u64> for RowSet {
    fn from_iter<I: IntoIterator<Item = u64>>(rows: I) -> Self {
        let mut set = Self::new();
        for row in rows {
            set.insert(row);
        }
        set
    }
}

/// The chunk, the word in it, and the bit in that.
#[allow(clippy::cast_possible_truncation, reason = "less than CHUNK_WORDS")]
fn place(row: u64) -> (u64, usize, u64) {
    (row / CHUNK_ROWS, (row % CHUNK_ROWS / BITS) as usize, 1 << (row % BITS))
}

/// Rows a chunk of words: a lone row costs 1 KiB.
const PAGE_ROWS: u64 = 512;
#[allow(clippy::cast_possible_truncation, reason = "512")]
const PAGE_WORDS: usize = PAGE_ROWS as usize;

/// A number of 16 bits for each row; 0 where none was set.
#[derive(Debug, Default)]
pub(super) struct RowWords {
    pages: BTreeMap<u64, Box<[u16; PAGE_WORDS]>>,
}

impl RowWords {
    /// Sets the word of a row; returns the one before.
    #[allow(clippy::cast_possible_truncation, reason = "less than PAGE_ROWS")]
    pub(super) fn replace(&mut self, row: u64, word: u16) -> u16 {
        let page = self.pages.entry(row / PAGE_ROWS).or_insert_with(|| Box::new([0; PAGE_WORDS]));
        page.get_mut((row % PAGE_ROWS) as usize).map_or(0, |place| std::mem::replace(place, word))
    }

    /// The word of a row.
    #[allow(clippy::cast_possible_truncation, reason = "less than PAGE_ROWS")]
    pub(super) fn get(&self, row: u64) -> u16 {
        let page = self.pages.get(&(row / PAGE_ROWS));
        page.and_then(|page| page.get((row % PAGE_ROWS) as usize)).copied().unwrap_or(0)
    }

    /// The rows that have a word, in ascending order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, u16)> + '_ {
        let rows =
            self.pages.iter().flat_map(|(page, words)| (page * PAGE_ROWS..).zip(words.iter().copied()));
        rows.filter(|(_, word)| *word != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[test]
    fn far_rows_cost_little() {
        let mut set = RowSet::new();
        for row in [0, 1, u64::MAX, 1 << 60] {
            assert!(set.insert(row));
            assert!(!set.insert(row));
        }
        assert_eq!(set.chunks.len(), 3);
        assert_eq!(set.iter().collect::<Vec<_>>(), [0, 1, 1 << 60, u64::MAX]);
    }

    proptest! {
        #[test]
        fn as_a_set_of_numbers(steps in prop::collection::vec((any::<bool>(), prop_oneof![0u64..200, 4000..4200u64, any::<u64>()]), 0..200)) {
            let (mut set, mut model) = (RowSet::new(), BTreeSet::new());
            for (insert, row) in steps {
                if insert {
                    prop_assert_eq!(set.insert(row), model.insert(row));
                } else {
                    prop_assert_eq!(set.remove(row), model.remove(&row));
                }
                prop_assert_eq!(set.contains(row), model.contains(&row));
                prop_assert_eq!(set.len(), model.len() as u64);
            }
            prop_assert!(set.iter().eq(model.into_iter()));
        }
    }
}
