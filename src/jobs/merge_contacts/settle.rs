//! What becomes of a merge that was sent: the secondary is read, at growing intervals, until it is no more, or is
//! inactive and has nothing left.
//!
//! DevRev answers a merge before it carries it out, and an answer may be lost. Either way only a read tells.

use super::change::{MergeChange, Proof};
use super::held::{Held, Question};
use super::look::{self, Seen, leads_to};
use super::proof::{Before, is_ended};
use super::questions::Questions;
use crate::devrev::ids::Key;
use crate::devrev::read_only::ReadOnly;
use crate::devrev::rev_users::{RevUser, contact_key};
use crate::devrev::whole::Whole;
use crate::jobs::failing;
use crate::net::error::ApiError;
use crate::stop::Stop;
use serde_json::Value;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// The longest interval between two reads.
const LONGEST: Duration = Duration::from_secs(30);
/// The shortest, as long as the operator asks for none that is shorter.
const SHORTEST: Duration = Duration::from_millis(250);

/// How long merges take to settle here, as learnt from those before.
#[derive(Debug)]
pub(crate) struct Pace {
    first: Mutex<Duration>,
    shortest: Duration,
    /// How long is waited altogether.
    pub timeout: Duration,
}

impl Pace {
    /// Begins with reads `first` after a merge; gives up after `timeout`.
    pub(crate) fn new(first: Duration, timeout: Duration) -> Self {
        Self { first: Mutex::new(first), shortest: first.min(SHORTEST), timeout }
    }

    /// How long to wait before the first read.
    fn first(&self) -> Duration {
        *self.first.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A merge was seen to have settled in this time, at the read of this number. One that had settled at the
    /// first read may have done so much earlier.
    fn learn(&self, took: Duration, reads: u32) {
        let first = if reads <= 1 { self.first().mul_f64(0.95) } else { took.mul_f64(1.1) };
        *self.first.lock().unwrap_or_else(PoisonError::into_inner) = first.clamp(self.shortest, LONGEST);
    }
}

/// Waits between tries until there is no more time.
#[derive(Debug)]
pub(crate) struct Waits {
    next: Duration,
    until: Instant,
}

impl Waits {
    /// Begins to wait.
    pub(crate) fn new(pace: &Pace) -> Self {
        Self { next: pace.first(), until: Instant::now() + pace.timeout }
    }

    /// Waits a little longer than the last time. `false` when there was no time left to wait.
    ///
    /// Returns `None` when the run is being stopped.
    pub(crate) async fn wait(&mut self, stop: &Stop) -> Option<bool> {
        let now = Instant::now();
        if now >= self.until {
            return Some(false);
        }
        let wake = (now + self.next).min(self.until);
        self.next = self.next.mul_f64(1.5).min(LONGEST);
        stop.race(tokio::time::sleep_until(wake)).await.map(|()| true)
    }
}

/// What reads over the settle time have shown.
#[derive(Debug)]
pub(crate) enum Settled {
    /// The merge took.
    Proven(Proof),
    /// The secondary became part of another contact than the primary; in words.
    Elsewhere(String),
    /// It did not show by the end of the time; in words.
    Unproven {
        /// What was seen last.
        last: String,
        /// Whether every read showed both contacts active and just as they were backed up.
        untouched: bool,
    },
    /// The run is being stopped.
    Stopped,
    /// The run has to end for this.
    Broken(ApiError),
}

/// Reads the secondary until it is known what became of the merge, or for as long as the pace says. `before` are
/// both contacts as they were backed up; `held` is asked what they have by now, where that matters.
pub(crate) async fn settle(
    reads: &ReadOnly,
    stop: &Stop,
    pace: &Pace,
    change: &MergeChange,
    before: &Before,
    held: &Questions<Question, Held>,
) -> Settled {
    let Some(primary) = contact_key(&change.primary.id) else {
        return Settled::Elsewhere(format!("`{}` is not a contact's ID", change.primary.id));
    };
    let begin = Instant::now();
    let mut waits = Waits::new(pace);
    let (mut untouched, mut last, mut count) = (true, "nothing was read".to_owned(), 0);
    loop {
        match waits.wait(stop).await {
            None => return Settled::Stopped,
            Some(true) => {}
            Some(false) => break,
        }
        count += 1;
        match judge(look::contact_of(reads, &change.secondary.id).await, &primary) {
            // A redirection that says not where to may be a gateway's: then the primary is not read either.
            Read::MovedSomewhere
                if !matches!(look::contact_of(reads, &change.primary.id).await, Seen::Present(_)) =>
            {
                untouched = false;
                last = format!("{} has moved to an unknown place", change.secondary.display_id);
            }
            Read::MovedSomewhere => {
                pace.learn(begin.elapsed(), count);
                return Settled::Proven(Proof::Moved);
            }
            Read::Proven(proof) => {
                pace.learn(begin.elapsed(), count);
                return Settled::Proven(proof);
            }
            Read::Elsewhere(text) => return Settled::Elsewhere(text),
            Read::Active(contact) => {
                untouched &= same(&contact, &before.secondary);
                last = format!("{} is still there", change.secondary.display_id);
            }
            Read::Inactive(contact) => {
                untouched = false;
                let asked = held.ask(Question::about_both(change));
                let doubt = match stop.race(asked).await {
                    None => return Settled::Stopped,
                    Some(Ok(held)) => before.doubt(change, &contact.read, &held),
                    Some(Err(error)) if failing::ends_run(&error).is_some() => return Settled::Broken(error),
                    Some(Err(error)) => Some(error.to_string()),
                };
                let Some(doubt) = doubt else {
                    pace.learn(begin.elapsed(), count);
                    return Settled::Proven(Proof::Inactive);
                };
                let state = contact.read.state.as_deref().unwrap_or_default();
                last = format!("{} is {state}, but {doubt}", change.secondary.display_id);
            }
            Read::Unread(error) if failing::ends_run(&error).is_some() => return Settled::Broken(error),
            Read::Unread(error) => {
                untouched = false;
                last = error.to_string();
            }
        }
    }
    untouched = untouched && count > 0;
    if untouched {
        untouched = matches!(
            look::contact_of(reads, &change.primary.id).await,
            Seen::Present(contact) if same(&contact, &before.primary)
        );
    }
    Settled::Unproven { last, untouched }
}

/// Whether the secondary is there, and not part of any other contact.
pub(crate) async fn is_active(reads: &ReadOnly, change: &MergeChange) -> bool {
    let primary = contact_key(&change.primary.id);
    match (primary, look::contact_of(reads, &change.secondary.id).await) {
        (Some(primary), seen @ Seen::Present(_)) => matches!(judge(seen, &primary), Read::Active(_)),
        _ => false,
    }
}

enum Read {
    Proven(Proof),
    MovedSomewhere,
    Elsewhere(String),
    Active(Box<Whole<RevUser>>),
    /// In a state in which a merge may leave it; what it has is to be seen.
    Inactive(Box<Whole<RevUser>>),
    Unread(ApiError),
}

fn judge(seen: Seen, primary: &Key) -> Read {
    match seen {
        Seen::Gone(_) => Read::Proven(Proof::Gone),
        Seen::Moved { to } => match leads_to(to.as_deref(), primary) {
            Some(true) => Read::Proven(Proof::Moved),
            Some(false) => Read::Elsewhere(format!("it has moved to {}", to.unwrap_or_default())),
            None => Read::MovedSomewhere,
        },
        Seen::Unread(error) => Read::Unread(error),
        Seen::Present(contact) => {
            let identity = contact.read.primary_identity.as_ref();
            match identity.map(|identity| (identity.key(), &identity.id)) {
                Some((Some(key), _)) if key == *primary => Read::Proven(Proof::Identity),
                Some((key, id)) if key.is_some() && key != contact.read.key() => {
                    Read::Elsewhere(format!("it has become part of {id}"))
                }
                _ if contact.read.state.as_deref() == Some("deleted") => Read::Proven(Proof::Deleted),
                _ if is_ended(&contact.read) => Read::Inactive(contact),
                _ => Read::Active(contact),
            }
        }
    }
}

/// Whether a contact is just as it was.
fn same(contact: &Whole<RevUser>, before: &Value) -> bool {
    contact.read.state.as_deref().unwrap_or("active") == "active"
        && serde_json::from_str::<Value>(contact.raw.get()).is_ok_and(|now| now == *before)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_read_comes_closer_to_when_merges_settle() {
        let pace = Pace::new(Duration::from_secs(1), Duration::from_secs(300));
        pace.learn(Duration::from_secs(8), 4);
        assert!(pace.first() > Duration::from_secs(8));
        for _ in 0..100 {
            pace.learn(pace.first(), 1);
        }
        assert_eq!(pace.first(), SHORTEST);
        pace.learn(Duration::from_secs(1000), 30);
        assert_eq!(pace.first(), LONGEST);
    }

    #[tokio::test(start_paused = true)]
    async fn waits_grow_and_end_with_the_time() {
        let pace = Pace::new(Duration::from_secs(1), Duration::from_secs(100));
        let (begin, stop, mut count) = (Instant::now(), Stop::default(), 0);
        let mut waits = Waits::new(&pace);
        while waits.wait(&stop).await == Some(true) {
            count += 1;
        }
        assert_eq!(begin.elapsed(), Duration::from_secs(100));
        assert!((8..14).contains(&count), "{count}");
        stop.set(crate::stop::Cause::Interrupt);
        assert_eq!(Waits::new(&pace).wait(&stop).await, None);
    }
}
