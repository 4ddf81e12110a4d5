//! Which rows make a small input: few, typical, and the same ones for the same seed.
//!
//! Every row has a rank that its number and the seed decide, as good as drawn by lot; of rows of equal standing those
//! of the lowest ranks are taken. So one pass is enough, and memory follows the size of the sample, not of the input.

use crate::devrev::ids::Key;
use std::collections::{BTreeMap, BinaryHeap};

/// A row's rank and its number.
type Ranked = (u64, u64);

/// Spreads a sample over groups of rows as evenly as they allow.
#[derive(Debug)]
pub(crate) struct Spread {
    size: usize,
    seed: u64,
    /// The groups of the lowest ranks; never more than the sample has rows.
    groups: BTreeMap<(u64, Key), Vec<Ranked>>,
    /// Rows in all groups.
    kept: usize,
}

impl Spread {
    /// A sample of at most `size` rows.
    pub(crate) fn new(size: usize, seed: u64) -> Self {
        Self { size, seed, groups: BTreeMap::new(), kept: 0 }
    }

    /// Notes a row of a group.
    pub(crate) fn note(&mut self, row: u64, group: Key) {
        let of_group = (rank(self.seed, hash(&group)), group);
        if !self.groups.contains_key(&of_group) && self.groups.len() >= self.size {
            match self.groups.last_key_value() {
                Some((last, _)) if of_group < *last => {
                    let gone = self.groups.pop_last().map_or(0, |(_, rows)| rows.len());
                    self.kept -= gone;
                }
                // This one's rank is too high, now and for good.
                _ => return,
            }
        }
        self.groups.entry(of_group).or_default().push((rank(self.seed, row), row));
        self.kept += 1;
        if self.kept / 4 > self.size {
            self.trim();
        }
    }

    /// Lets go of the rows that cannot be taken any more: what a group may give never grows.
    fn trim(&mut self) {
        let (share, _) = self.share();
        for rows in self.groups.values_mut() {
            lowest(rows, share.saturating_add(1));
        }
        self.kept = self.groups.values().map(Vec::len).sum();
    }

    /// How many rows each group gives if it has so many, and how many groups can give one more.
    fn share(&self) -> (usize, usize) {
        let mut sizes: Vec<usize> = self.groups.values().map(Vec::len).collect();
        sizes.sort_unstable();
        let (mut left, groups) = (self.size, sizes.len());
        for (place, size) in sizes.into_iter().enumerate() {
            let share = left / (groups - place);
            if size > share {
                return (share, left - share * (groups - place));
            }
            left -= size;
        }
        (usize::MAX, 0)
    }

    /// The rows that are taken, in ascending order, and how many groups they are of.
    pub(crate) fn finish(mut self) -> (Vec<u64>, usize) {
        let (share, mut more) = self.share();
        let mut taken = Vec::new();
        for rows in self.groups.values_mut() {
            let extra = usize::from(rows.len() > share && more > 0);
            more -= extra;
            lowest(rows, share.saturating_add(extra));
            taken.extend(rows.iter().map(|(_, row)| *row));
        }
        taken.sort_unstable();
        (taken, self.groups.values().filter(|rows| !rows.is_empty()).count())
    }
}

/// Draws some of many pairs of rows; a pair may be the same row twice.
#[derive(Debug)]
pub(crate) struct Draw {
    seed: u64,
    most: usize,
    /// The highest rank is on top.
    taken: BinaryHeap<(u64, u64, u64)>,
}

impl Draw {
    /// Draws at most so many pairs. The same seed draws the same ones.
    pub(crate) fn new(most: usize, seed: u64) -> Self {
        Self { seed, most, taken: BinaryHeap::new() }
    }

    /// Notes a pair.
    pub(crate) fn note(&mut self, one: u64, other: u64) {
        self.taken.push((rank(self.seed, one.min(other)), one, other));
        if self.taken.len() > self.most {
            self.taken.pop();
        }
    }

    /// The rows that were drawn, in order.
    pub(crate) fn finish(self) -> Vec<u64> {
        let mut rows: Vec<u64> = self.taken.into_iter().flat_map(|(_, one, other)| [one, other]).collect();
        rows.sort_unstable();
        rows.dedup();
        rows
    }
}

/// The rows of so many pairs, in ascending order. Each pair is given as its two rows.
pub(crate) fn pairs(all: impl Iterator<Item = (u64, u64)>, most: usize, seed: u64) -> Vec<u64> {
    let mut draw = Draw::new(most, seed);
    all.for_each(|(one, other)| draw.note(one, other));
    draw.finish()
}

/// Keeps the rows of the lowest ranks.
fn lowest(rows: &mut Vec<Ranked>, most: usize) {
    if rows.len() > most {
        rows.sort_unstable();
        rows.truncate(most);
    }
}

/// The rank of a number. It is written out here because it must be the same in every version: SplitMix64.
fn rank(seed: u64, number: u64) -> u64 {
    let mixed = |from: u64| {
        let z = from.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    };
    mixed(mixed(seed) ^ number)
}

/// A group's number, for its rank: FNV-1a, for the same reason.
fn hash(group: &Key) -> u64 {
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    group.to_string().bytes().fold(0xcbf2_9ce4_8422_2325, step)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::devrev::ids::{ObjectType, Ref};
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn group(number: u64) -> Key {
        Ref::parse(&format!("GROUP-{number}"), &[ObjectType::Group]).unwrap().key()
    }

    /// The sample of rows whose groups these are, by row.
    fn spread(size: usize, seed: u64, groups: &[u64]) -> (Vec<u64>, usize) {
        let mut spread = Spread::new(size, seed);
        for (row, number) in groups.iter().enumerate() {
            spread.note(row as u64 + 1, group(*number));
            assert!(spread.kept <= 4 * size + 4 && spread.groups.len() <= size);
        }
        spread.finish()
    }

    /// How many rows a sample has of each group.
    fn counts(rows: &[u64], groups: &[u64]) -> BTreeMap<u64, usize> {
        let mut counts = BTreeMap::new();
        for row in rows {
            *counts.entry(groups[usize::try_from(*row).unwrap() - 1]).or_default() += 1;
        }
        counts
    }

    proptest! {
        #[test]
        fn groups_give_as_evenly_as_they_can(
            groups in prop::collection::vec(0_u64..12, 0..200), size in 1_usize..40, seed: u64,
        ) {
            let (rows, count) = spread(size, seed, &groups);
            prop_assert!(rows.is_sorted_by(|a, b| a < b));
            prop_assert_eq!(rows.len(), size.min(groups.len()));
            let all = counts(&(1..=groups.len() as u64).collect::<Vec<_>>(), &groups);
            let taken = counts(&rows, &groups);
            prop_assert_eq!(taken.len(), count);
            prop_assert_eq!(count, all.len().min(size));
            // A group has fewer than another one only where it has no more to give, or by one.
            let most = taken.values().max().copied().unwrap_or(0);
            for (group, taken) in &taken {
                prop_assert!(*taken + 1 >= most || *taken == all[group]);
            }
            prop_assert_eq!(spread(size, seed, &groups).0, rows);
        }
    }

    #[test]
    fn a_seed_takes_the_same_rows_in_every_version() {
        let groups: Vec<u64> = (0..1000).map(|row| row % 7).collect();
        assert_eq!(spread(8, 0, &groups).1, 7);
        let all = (0..100).map(|pair| (pair * 2 + 1, pair * 2 + 2));
        assert_eq!(pairs(all.clone(), 3, 0).len(), 6);
        let seeds: BTreeSet<_> = (0..20).map(|seed| pairs(all.clone(), 3, seed)).collect();
        assert!(seeds.len() > 15, "another seed takes other rows");
        insta::assert_snapshot!(format!("{:?} {:?}", spread(8, 42, &groups).0, pairs(all, 3, 42)), @"[53, 195, 551, 652, 660, 742, 821, 843] [53, 54, 133, 134, 179, 180]");
    }

    #[test]
    fn pairs_stay_whole_wherever_their_rows_stand() {
        let all = [(9, 1), (2, 8), (3, 7)];
        assert_eq!(pairs(all.into_iter(), 9, 1), [1, 2, 3, 7, 8, 9]);
        let two = pairs(all.into_iter(), 2, 1);
        let whole = all.iter().filter(|(one, other)| two.contains(one) && two.contains(other)).count();
        assert_eq!((two.len(), whole), (4, 2));
        assert!(pairs(all.into_iter(), 0, 1).is_empty());
    }
}
