//! Tells keys that came once from those that may have come more often, in little memory.

/// How many keys are told apart; a power of two. More of them make more mistakes, and only the time shows it.
const SLOTS: usize = 1 << 24;
/// A slot takes two bits.
const SLOTS_PER_WORD: usize = 32;
const ONCE: u64 = 0b01;
const OFTEN: u64 = 0b10;

/// Keys that are looked up at once: the memory then answers many questions in the time of a few.
const BATCH: usize = 64;

/// Counts keys as none, one and many, in one of 2^24 slots each: 4 MiB. Keys that share a slot are taken for
/// one, so a key may be held to recur that does not; one that does is never missed.
#[derive(Debug)]
pub(super) struct Sieve {
    words: Vec<u64>,
    /// Keys that have no slot yet.
    waiting: Vec<u64>,
    caught: bool,
}

impl Sieve {
    pub(super) fn new() -> Self {
        Self { words: vec![0; SLOTS / SLOTS_PER_WORD], waiting: Vec::with_capacity(BATCH), caught: false }
    }

    pub(super) fn note(&mut self, key: u64) {
        if self.waiting.len() == BATCH {
            self.settle();
        }
        self.waiting.push(key);
    }

    /// What is known when all keys have been noted.
    pub(super) fn finish(mut self) -> Caught {
        self.settle();
        Caught { words: self.words, any: self.caught }
    }

    fn settle(&mut self) {
        for key in self.waiting.drain(..) {
            let (index, shift) = slot(key);
            if let Some(word) = self.words.get_mut(index) {
                // Without branches: whether a slot is taken cannot be foreseen.
                let again = (*word >> shift) & ONCE;
                self.caught |= again != 0;
                *word |= (again << 1 | ONCE) << shift;
            }
        }
    }
}

/// Which keys a [`Sieve`] has held back.
#[derive(Debug)]
pub(super) struct Caught {
    words: Vec<u64>,
    any: bool,
}

impl Caught {
    /// Whether any key may have come more than once.
    pub(super) fn any(&self) -> bool {
        self.any
    }

    /// Whether this key may have come more than once.
    pub(super) fn may_recur(&self, key: u64) -> bool {
        let (index, shift) = slot(key);
        self.words.get(index).is_none_or(|word| (word >> shift) & OFTEN != 0)
    }
}

/// The word of a key's slot, and where the slot is in it.
///
/// Numbers that follow upon each other, as those of issues do, share no slot and lie close together.
#[allow(clippy::cast_possible_truncation)] // cut to the slots
fn slot(key: u64) -> (usize, usize) {
    let slot = (key ^ (key >> 24) ^ (key >> 48)) as usize % SLOTS;
    (slot / SLOTS_PER_WORD, slot % SLOTS_PER_WORD * 2)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_in_a_row_share_nothing() {
        let mut sieve = Sieve::new();
        (0..1_000_000).for_each(|key| sieve.note(key * 7 + 3));
        assert!(!sieve.finish().any());
    }

    #[test]
    fn one_that_recurs_is_found_among_many() {
        let mut sieve = Sieve::new();
        (0..1_000).chain([703]).for_each(|key| sieve.note(key));
        let caught = sieve.finish();
        assert!(caught.any() && caught.may_recur(703) && !caught.may_recur(710));
    }

    #[test]
    fn keys_that_share_a_slot_are_kept_both() {
        let mut sieve = Sieve::new();
        let (one, other) = (5, (1 << 24) + 4);
        assert_eq!(slot(one), slot(other));
        sieve.note(one);
        sieve.note(other);
        let caught = sieve.finish();
        assert!(caught.may_recur(one) && caught.may_recur(other));
    }

    proptest! {
        #[test]
        fn none_that_recurs_is_missed(keys in prop::collection::vec(prop_oneof![0u64..90, any::<u64>()], 0..150)) {
            let mut sieve = Sieve::new();
            let mut counts: HashMap<u64, u32> = HashMap::new();
            for key in &keys {
                sieve.note(*key);
                *counts.entry(*key).or_default() += 1;
            }
            let caught = sieve.finish();
            for (key, count) in counts {
                prop_assert!(count == 1 || caught.any() && caught.may_recur(key));
            }
        }
    }
}
