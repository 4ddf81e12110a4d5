//! What 429s mean for all calls: how long to wait, and how to start again.
//!
//! A wait that the answer asks for is kept. Without one, or if the call is refused again after it, waits grow: 1, 2,
//! 4 ... 60 s. After a wait a single call goes first; the others follow once it is not refused.

use std::time::Duration;

/// The longest wait that is chosen here; an answer may ask for more.
const LONGEST: Duration = Duration::from_secs(60);
/// The shortest first wait.
const SHORTEST: Duration = Duration::from_millis(1);

/// A 429, and how often it happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// How long no call goes out.
    pub(crate) wait: Duration,
    /// 429s in a row, of this call or of all, whichever is more. Calls sent side by side count once.
    pub(crate) in_a_row: u32,
}

/// The 429s so far.
#[derive(Debug)]
pub(crate) struct Throttle {
    first_wait: Duration,
    /// 429s since a call was last taken.
    in_a_row: u32,
    /// Counts the waits: an answer to a call sent before the last one says nothing new.
    round: u64,
    is_probing: bool,
}

impl Throttle {
    /// The first wait is `first_wait`, each further one twice as long.
    pub(crate) fn new(first_wait: Duration) -> Self {
        Self { first_wait: first_wait.max(SHORTEST), in_a_row: 0, round: 0, is_probing: false }
    }

    /// Whether the call that goes first is still on its way.
    pub(crate) fn holds(&self) -> bool {
        self.is_probing
    }

    /// A call goes out. Returns the round that it belongs to, and whether it goes first.
    pub(crate) fn sends(&mut self) -> (u64, bool) {
        let goes_first = self.in_a_row > 0;
        self.is_probing |= goes_first;
        (self.round, goes_first)
    }

    /// The call that went first is over, whatever came of it.
    pub(crate) fn probed(&mut self) {
        self.is_probing = false;
    }

    /// A call of this round was answered, and not with 429.
    pub(crate) fn taken(&mut self, round: u64) {
        if round == self.round {
            self.in_a_row = 0;
        }
    }

    /// A call of this round was answered with 429, `before` times before; the answer asks for a wait or does not.
    pub(crate) fn refused(&mut self, round: u64, before: u32, asked: Option<Duration>) -> Refusal {
        if round == self.round {
            self.round += 1;
            self.in_a_row = self.in_a_row.saturating_add(1);
        }
        let in_a_row = self.in_a_row.max(before.saturating_add(1));
        let grown = self.first_wait.saturating_mul(2u32.saturating_pow(in_a_row - 1)).min(LONGEST);
        let wait = match asked {
            Some(asked) if in_a_row == 1 => asked,
            Some(asked) => asked.max(grown),
            None => grown,
        };
        Refusal { wait, in_a_row }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn waits(asked: Option<Duration>, times: usize) -> Vec<u64> {
        let mut throttle = Throttle::new(SECOND);
        let refused = |_| {
            let (round, _) = throttle.sends();
            throttle.probed();
            throttle.refused(round, 0, asked).wait.as_secs()
        };
        (0..times).map(refused).collect()
    }

    #[test]
    fn waits_grow_up_to_a_minute() {
        assert_eq!(waits(None, 9), [1, 2, 4, 8, 16, 32, 60, 60, 60]);
    }

    #[test]
    fn a_wait_that_is_asked_for_is_kept_and_grows_if_it_was_too_short() {
        assert_eq!(waits(Some(3 * SECOND), 5), [3, 3, 4, 8, 16]);
        assert_eq!(waits(Some(300 * SECOND), 2), [300, 300]);
    }

    #[test]
    fn calls_sent_side_by_side_count_once() {
        let mut throttle = Throttle::new(SECOND);
        let rounds: Vec<_> = (0..8).map(|_| throttle.sends()).collect();
        for (round, goes_first) in rounds {
            assert!(!goes_first);
            assert_eq!(throttle.refused(round, 0, None), Refusal { wait: SECOND, in_a_row: 1 });
            throttle.taken(round);
        }
        let (round, goes_first) = throttle.sends();
        assert!(goes_first && throttle.holds(), "answers to older calls say nothing new");
        throttle.probed();
        throttle.taken(round);
        assert!(!throttle.holds() && !throttle.sends().1);
    }

    #[test]
    fn one_endpoint_that_refuses_while_others_do_not_waits_longer_each_time() {
        let mut throttle = Throttle::new(SECOND);
        for before in 0..4 {
            let (round, _) = throttle.sends();
            let refusal = throttle.refused(round, before, None);
            assert_eq!((refusal.wait.as_secs(), refusal.in_a_row), (1 << before, before + 1));
            let (other, _) = throttle.sends();
            throttle.taken(other);
        }
    }
}
