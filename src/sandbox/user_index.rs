//! Which places of a list name a user: so that a filter costs no more than what it finds.

use rustc_hash::FxHashMap;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;

/// For each user the places that name them, sorted.
#[derive(Default)]
pub(super) struct UserIndex(FxHashMap<u32, Vec<u32>>);

impl UserIndex {
    pub(super) fn add(&mut self, user: u32, place: u32) {
        let places = self.0.entry(user).or_default();
        if let Err(at) = places.binary_search(&place) {
            places.insert(at, place);
        }
    }

    pub(super) fn remove(&mut self, user: u32, place: u32) {
        if let Some(places) = self.0.get_mut(&user)
            && let Ok(at) = places.binary_search(&place)
        {
            places.remove(at);
        }
    }

    /// Every place of a user, whom none names from then on.
    pub(super) fn take(&mut self, user: u32) -> Vec<u32> {
        self.0.remove(&user).unwrap_or_default()
    }

    /// Every place of a user.
    pub(super) fn of(&self, user: u32) -> &[u32] {
        self.0.get(&user).map_or(&[], Vec::as_slice)
    }
}

/// Merges sorted lists of places, from a place on; each place comes once.
pub(super) fn merged<'a>(lists: impl Iterator<Item = &'a [u32]>, begin: u32) -> impl Iterator<Item = u32> {
    let rest = |list: &'a [u32]| {
        let rest = &list[list.partition_point(|place| *place < begin)..];
        rest.split_first().map(|(first, rest)| Reverse((*first, rest)))
    };
    let mut heads: BinaryHeap<Reverse<(u32, &[u32])>> = lists.filter_map(rest).collect();
    let mut last = None;
    std::iter::from_fn(move || {
        loop {
            let mut head = heads.peek_mut()?;
            let Reverse((place, rest)) = *head;
            match rest.split_first() {
                Some((next, rest)) => *head = Reverse((*next, rest)),
                None => drop(PeekMut::pop(head)),
            }
            if last.replace(place) != Some(place) {
                return Some(place);
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_comes_once_however_many_name_it() {
        let mut index = UserIndex::default();
        for (user, place) in [(1, 4), (1, 2), (2, 2), (2, 9), (1, 4), (3, 1)] {
            index.add(user, place);
        }
        let found = |index: &UserIndex, begin| {
            merged([1, 2, 3, 4].map(|user| index.of(user)).into_iter(), begin).collect::<Vec<_>>()
        };
        assert_eq!(found(&index, 0), [1, 2, 4, 9]);
        assert_eq!(found(&index, 3), [4, 9]);
        index.remove(2, 2);
        index.remove(2, 3);
        assert_eq!(index.take(1), [2, 4]);
        assert_eq!(found(&index, 0), [1, 9]);
    }
}
