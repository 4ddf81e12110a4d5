//! Merges of contacts: how they go, and those that are still to come.

use super::format::UserState;
use clap::ValueEnum;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::str::FromStr;
use std::time::Duration;

/// How every merge goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MergeOptions {
    /// From the request until the merge takes effect.
    pub delay: Duration,
    /// What becomes of the secondary then.
    pub ends: MergeEnds,
    /// From then on until the secondary's external_ref is free.
    pub ref_delay: Duration,
}

impl Default for MergeOptions {
    /// After 300 ms the secondary is gone, and its external_ref is free.
    fn default() -> Self {
        Self { delay: Duration::from_millis(300), ends: MergeEnds::Gone, ref_delay: Duration::ZERO }
    }
}

/// What a merge makes of the secondary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum MergeEnds {
    /// `rev-users.get` answers 404, and no list shows it.
    #[default]
    Gone,
    /// `rev-users.get` answers 301 with the primary's DON, and no list shows it.
    Moved,
    /// `rev-users.get` shows the state `deleted`, and no list shows it.
    Deleted,
    /// Shown as before, with the primary as its `primary_identity`.
    Identity,
    /// Shown as before but for the state, which is `locked`.
    Locked,
    /// The same with `shadow`.
    Shadow,
    /// The same with `archived`.
    Archived,
    /// The same with `deactivated`.
    Deactivated,
    /// The merge is accepted, and never takes effect.
    Never,
}

impl MergeEnds {
    /// The state that a merge gives the secondary, if it gives it one.
    pub(super) fn state(self) -> Option<UserState> {
        match self {
            Self::Deleted => Some(UserState::Deleted),
            Self::Locked => Some(UserState::Locked),
            Self::Shadow => Some(UserState::Shadow),
            Self::Archived => Some(UserState::Archived),
            Self::Deactivated => Some(UserState::Deactivated),
            Self::Gone | Self::Moved | Self::Identity | Self::Never => None,
        }
    }
}

/// A text that says nothing of merges.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` does not say how merges go: write delay=MS,ends=WORD,ref_delay=MS")]
pub struct MergeError(String);

impl FromStr for MergeOptions {
    type Err = MergeError;

    /// Reads `delay=MS,ends=WORD,ref_delay=MS`, in any order; what is not there is the default.
    fn from_str(text: &str) -> Result<Self, MergeError> {
        let wrong = || MergeError(text.to_owned());
        let millis = |value: &str| value.parse().map(Duration::from_millis).map_err(|_| wrong());
        let mut options = Self::default();
        for part in text.split(',') {
            match part.trim().split_once('=').ok_or_else(wrong)? {
                ("delay", value) => options.delay = millis(value)?,
                ("ends", value) => options.ends = MergeEnds::from_str(value, false).map_err(|_| wrong())?,
                ("ref_delay", value) => options.ref_delay = millis(value)?,
                _ => return Err(wrong()),
            }
        }
        Ok(options)
    }
}

/// Merges that were accepted. Contacts are positions in the world's list of contacts.
pub(super) struct Merges {
    pub(super) options: MergeOptions,
    /// Merge calls that were answered 200.
    pub(super) accepted: u64,
    /// Those among them whose secondary was being merged already, or had been.
    pub(super) double: u64,
    /// By the time since the sandbox began; of one time, in the order of the calls.
    events: BinaryHeap<Reverse<(Duration, u64, Event)>>,
    scheduled: u64,
}

/// What happens at its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Event {
    /// The secondary becomes the primary.
    Merge { primary: u32, secondary: u32 },
    /// The contact's external_ref can be taken by another.
    FreeRef(u32),
}

impl Merges {
    pub(super) fn new(options: MergeOptions) -> Self {
        Self { options, accepted: 0, double: 0, events: BinaryHeap::new(), scheduled: 0 }
    }

    pub(super) fn schedule(&mut self, due: Duration, event: Event) {
        self.scheduled += 1;
        self.events.push(Reverse((due, self.scheduled, event)));
    }

    /// Whether something is to be done by now.
    pub(super) fn any_due(&self, now: Duration) -> bool {
        self.events.peek().is_some_and(|Reverse((due, ..))| *due <= now)
    }

    /// The next that is to be done by now, with the time it was due.
    pub(super) fn next_due(&mut self, now: Duration) -> Option<(Duration, Event)> {
        if !self.any_due(now) {
            return None;
        }
        self.events.pop().map(|Reverse((due, _, event))| (due, event))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_from_text() {
        let options: MergeOptions = "delay=20,ends=moved, ref_delay=5".parse().unwrap();
        let (delay, ref_delay) = (Duration::from_millis(20), Duration::from_millis(5));
        assert_eq!(options, MergeOptions { delay, ends: MergeEnds::Moved, ref_delay });
        assert_eq!("delay=300".parse(), Ok(MergeOptions::default()));
        for text in ["", "delay", "delay=x", "ends=lost", "speed=1", "delay=1,"] {
            let error = text.parse::<MergeOptions>().unwrap_err().to_string();
            assert!(error.starts_with(&format!("`{text}` does not say")), "{error}");
        }
    }

    #[test]
    fn events_come_in_the_order_of_their_times() {
        let mut merges = Merges::new(MergeOptions::default());
        let at = Duration::from_millis;
        merges.schedule(at(20), Event::FreeRef(1));
        merges.schedule(at(10), Event::FreeRef(9));
        merges.schedule(at(10), Event::FreeRef(3));
        assert_eq!((merges.any_due(at(9)), merges.next_due(at(9))), (false, None));
        assert_eq!(merges.next_due(at(15)), Some((at(10), Event::FreeRef(9))));
        assert_eq!(merges.next_due(at(15)), Some((at(10), Event::FreeRef(3))));
        assert_eq!(merges.next_due(at(15)), None);
    }
}
