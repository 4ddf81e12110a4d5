//! When a call may go out: a window that bounds the calls, and a gate that the API's own answers close.
//!
//! The window: a call may go out when fewer than N others are in flight or were answered within the last period. A
//! call arrives at the API before its answer comes back, so however long each takes on its way, no period of the API's
//! clock sees more than N. Within that, calls go out at once: a short run waits for nothing. Calls of other processes
//! with the same token count too ([`shared_calls`](super::shared_calls)).
//!
//! After a 429 somebody else is using the limit, or it is lower than configured. Then bursts would be refused again,
//! so for one period governor's token bucket spreads the calls evenly.

use super::answer::RateHeaders;
use super::calls::{Calls, Sending, Wait, left};
use super::queue::{Queue, Urgency};
use super::rate::{PaceSettings, Rate};
use super::shared_calls::{Left, millis};
use super::throttle::Refusal;
use crate::figures::ClientTime;
use crate::stop::Stop;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

/// Lets calls out one by one.
#[derive(Debug)]
pub(crate) struct Pacer {
    calls: Mutex<Calls>,
    /// Told of every answer.
    answers: Notify,
    /// Callers queue here; only the first of them waits.
    queue: Arc<Queue>,
    began: (Instant, SystemTime),
    stop: Stop,
}

/// Leave to make one call; the call is in flight until this is dropped.
#[derive(Debug)]
pub(crate) struct Permit<'a> {
    pacer: &'a Pacer,
    sending: Sending,
    left: Left,
}

/// Why no call may go out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Held {
    /// The run is being stopped.
    Stopped,
    /// The API wants no calls for so long, which is longer than this tool waits.
    Closed(Duration),
}

impl Permit<'_> {
    /// The call was not sent after all: it does not count.
    pub(crate) fn unsent(mut self) {
        self.left = Left::Unsent;
    }

    /// The call was answered, and not with 429.
    pub(crate) fn taken(&self) {
        self.pacer.calls().taken(&self.sending);
    }

    /// The call was answered with 429, `before` times before. No call goes out for the time that is returned.
    pub(crate) fn refused(&self, before: u32, asked: Option<Duration>) -> Refusal {
        self.pacer.calls().refused(&self.sending, before, asked)
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        let wall = self.pacer.wall();
        self.pacer.calls().over(&mut self.sending, self.left, wall);
        self.pacer.answers.notify_one();
    }
}

/// The time for which a call waits, however it ends.
struct Waiting<'a>(&'a Pacer);

impl<'a> Waiting<'a> {
    fn begin(pacer: &'a Pacer, until: Option<Instant>) -> Self {
        pacer.calls().waits(true, until);
        Self(pacer)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.calls().waits(false, None);
    }
}

impl Pacer {
    /// A pacer with these settings. After a 429 that names no time the first wait is `first_wait`.
    pub(crate) fn new(settings: &PaceSettings, first_wait: Duration, stop: Stop) -> Self {
        Self {
            calls: Mutex::new(Calls::new(settings, first_wait)),
            answers: Notify::new(),
            queue: Arc::default(),
            began: (Instant::now(), SystemTime::now()),
            stop,
        }
    }

    fn calls(&self) -> MutexGuard<'_, Calls> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Milliseconds since the epoch. Does not go back when the clock is set back, and continues while the machine sleeps.
    fn wall(&self) -> u64 {
        let (instant, wall) = self.began;
        let wall = SystemTime::now().max(wall + instant.elapsed());
        millis(wall.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default())
    }

    /// Waits until a call may go out.
    pub(crate) async fn permit(&self, urgency: Urgency) -> Result<Permit<'_>, Held> {
        let _turn = self.stop.race(self.queue.turn(urgency)).await.ok_or(Held::Stopped)?;
        loop {
            if self.stop.is_set() {
                return Err(Held::Stopped);
            }
            let wall = self.wall();
            let asked = self.calls().send(wall);
            let wait = match asked {
                Ok(sending) => return Ok(Permit { pacer: self, sending, left: Left::Sent }),
                Err(wait) => wait,
            };
            let over = match wait {
                Wait::Until(time) => {
                    let _waiting = Waiting::begin(self, Some(time));
                    self.stop.race(sleep_until(time)).await
                }
                Wait::Answer => {
                    let _waiting = Waiting::begin(self, None);
                    self.stop.race(self.answers.notified()).await
                }
                Wait::Closed(left) => return Err(Held::Closed(left)),
            };
            over.ok_or(Held::Stopped)?;
        }
    }

    /// Takes in what an answer says of the limit: with no more calls left than are in flight besides this
    /// one, the next would be refused, so the gate closes until the API's window ends. Unless all that was
    /// used up was used by this client within its own last window: that is bounded already.
    ///
    /// With `auto`, the calls that are left to others are not there either, and the rate becomes what the answer allows.
    pub(crate) fn heed(&self, headers: RateHeaders) {
        self.calls().heed(headers);
    }

    /// Closes the gate for a time (a 5xx's Retry-After); the longest such time counts.
    pub(crate) fn close_for(&self, time: Duration) {
        self.calls().close_for(time);
    }

    /// The rate that it keeps now.
    pub(crate) fn rate(&self) -> Option<Rate> {
        self.calls().rate
    }

    /// How long the gate stays closed from now on, if it is.
    pub(crate) fn closed_for(&self) -> Option<Duration> {
        left(self.calls().closed_until)
    }

    /// How long the next call will wait for the limit, if one is waiting and that is known.
    pub(crate) fn next_call_in(&self) -> Option<Duration> {
        left(self.calls().waits_until)
    }

    /// Where the time since this was made went.
    pub(crate) fn time(&self) -> ClientTime {
        self.calls().time()
    }
}

#[cfg(test)]
#[path = "pacer_tests.rs"]
mod tests;
