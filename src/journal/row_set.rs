//! Sets of row numbers, and a small word on each row, in memory that follows the rows there are.

use std::collections::BTreeMap;

/// A set of row numbers: a bit a row where rows are many, nothing where there are none.
pub type RowSet = roaring::RoaringTreemap;

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
