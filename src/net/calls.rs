//! What the pacer knows of the calls, and what the next one waits for.

use super::answer::RateHeaders;
use super::auto_rate::AutoRate;
use super::rate::{PaceSettings, Rate};
use super::shared_calls::{Entry, Left, SharedCalls, Turn};
use super::spread::Spread;
use super::throttle::{Refusal, Throttle};
use crate::figures::ClientTime;
use std::collections::VecDeque;
use std::path::PathBuf;
use std::time::Duration;
use tokio::time::Instant;

/// The longest wait that the API may ask for; more than a window means that something else is wrong.
pub(crate) const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(330);
/// Between two tries for the file that another process has locked, and how long that may continue.
const LOCKED_PAUSE: Duration = Duration::from_millis(2);
const LONGEST_LOCKED: Duration = Duration::from_secs(5);

/// A call in flight.
#[derive(Debug)]
pub(crate) struct Sending {
    round: u64,
    goes_first: bool,
    entry: Option<Entry>,
}

/// What the next call waits for.
#[derive(Debug)]
pub(crate) enum Wait {
    /// A time.
    Until(Instant),
    /// The answer to a call in flight.
    Answer,
    /// Nothing that ends while this tool waits.
    Closed(Duration),
}

/// What the pacer knows of the calls.
#[derive(Debug)]
pub(crate) struct Calls {
    pub(crate) rate: Option<Rate>,
    auto: Option<AutoRate>,
    in_flight: usize,
    /// Whether a call waits for the limit.
    is_waiting: bool,
    /// Until when the next call waits for the limit, as far as that is known.
    pub(crate) waits_until: Option<Instant>,
    /// Where the time went, up to `estimated`.
    time: ClientTime,
    counted_at: Instant,
    /// When those of the last period were answered, the oldest first; empty without a rate.
    answered: VecDeque<Instant>,
    /// The time until which the API wants no calls.
    pub(crate) closed_until: Option<Instant>,
    throttle: Throttle,
    spread: Option<Spread>,
    /// Calls of other processes.
    shared: Option<SharedCalls>,
    /// Since when another process has had the file.
    locked_since: Option<Instant>,
}

impl Calls {
    /// None yet. After a 429 that names no time the first wait is `first_wait`.
    pub(crate) fn new(settings: &PaceSettings, first_wait: Duration) -> Self {
        Self {
            rate: settings.rate,
            auto: settings.share.map(AutoRate::new),
            in_flight: 0,
            is_waiting: false,
            waits_until: None,
            time: ClientTime::default(),
            counted_at: Instant::now(),
            answered: VecDeque::new(),
            closed_until: None,
            throttle: Throttle::new(first_wait),
            spread: None,
            shared: settings.rate.and_then(|_| open(&settings.recent_calls)),
            locked_since: None,
        }
    }

    /// Counts a call as in flight, or says what it waits for.
    pub(crate) fn send(&mut self, wall: u64) -> Result<Sending, Wait> {
        let entry = self.enter(Instant::now(), wall)?;
        self.time();
        self.in_flight += 1;
        let (round, goes_first) = self.throttle.sends();
        Ok(Sending { round, goes_first, entry })
    }

    /// A call was answered, and not with 429.
    pub(crate) fn taken(&mut self, sending: &Sending) {
        self.throttle.taken(sending.round);
    }

    /// A call was answered with 429, `before` times before.
    pub(crate) fn refused(&mut self, sending: &Sending, before: u32, asked: Option<Duration>) -> Refusal {
        let refusal = self.throttle.refused(sending.round, before, asked);
        self.close_for(refusal.wait);
        if let Some(rate) = self.rate {
            self.spread = Some(Spread::new(rate, later(Instant::now(), refusal.wait + rate.period)));
        }
        refusal
    }

    /// A call is over.
    pub(crate) fn over(&mut self, sending: &mut Sending, left: Left, wall: u64) {
        self.time();
        self.in_flight -= 1;
        if sending.goes_first {
            self.throttle.probed();
        }
        if self.rate.is_some() && left == Left::Sent {
            self.answered.push_back(Instant::now());
        }
        if let (Some(entry), Some(shared)) = (sending.entry.take(), &mut self.shared)
            && let Err(error) = shared.leave(entry, left, wall)
        {
            self.alone(&error.to_string());
        }
    }

    /// Whether a call waits, and until when as far as that is known.
    pub(crate) fn waits(&mut self, is_waiting: bool, until: Option<Instant>) {
        self.time();
        (self.is_waiting, self.waits_until) = (is_waiting, until);
    }

    /// Takes in what an answer says of the limit: see [`Pacer::heed`](super::pacer::Pacer::heed).
    pub(crate) fn heed(&mut self, headers: RateHeaders) {
        if let Some(rate) = self.auto.as_mut().and_then(|auto| auto.learn(headers)) {
            self.rate = Some(rate);
        }
        let (Some(remaining), Some(resets_in)) = (headers.remaining, headers.resets_in) else { return };
        let others = self.in_flight.saturating_sub(1) as u64;
        let ours = (self.in_flight + self.answered.len()) as u64;
        let reserve = match (&self.auto, headers.limit) {
            (Some(auto), Some(limit)) => auto.reserve(limit),
            _ => 0,
        };
        let all_ours = headers.limit.is_some_and(|limit| limit.saturating_sub(remaining) <= ours);
        if remaining <= others.saturating_add(reserve) && !(self.rate.is_some() && all_ours) {
            self.close_for(resets_in);
        }
    }

    /// Where the time went until now: to be called before anything changes.
    pub(crate) fn time(&mut self) -> ClientTime {
        let now = Instant::now();
        let passed = now - self.counted_at;
        self.counted_at = now;
        if self.in_flight > 0 {
            self.time.calling += passed;
        } else if self.is_waiting {
            self.time.held += passed;
        }
        if self.is_waiting {
            self.time.waiting += passed;
        }
        self.time
    }

    /// Closes the gate for a time; the longest such time counts.
    pub(crate) fn close_for(&mut self, time: Duration) {
        let until = later(Instant::now(), time);
        if self.closed_until.is_none_or(|now| now < until) {
            self.closed_until = Some(until);
        }
    }

    /// Enters a call, or says what it waits for.
    fn enter(&mut self, now: Instant, wall: u64) -> Result<Option<Entry>, Wait> {
        if let Some(left) = left(self.closed_until) {
            return Err(if left > LONGEST_RETRY_AFTER {
                Wait::Closed(left)
            } else {
                Wait::Until(now + left)
            });
        }
        self.closed_until = None;
        if self.throttle.holds() {
            return Err(Wait::Answer);
        }
        let Some(rate) = self.rate else { return Ok(None) };
        if let Some(wait) = self.window_full(rate, now) {
            return Err(wait);
        }
        self.spread = self.spread.take().filter(|spread| spread.until > now);
        if let Some(until) = self.spread.as_ref().and_then(|spread| spread.holds(now)) {
            return Err(Wait::Until(until));
        }
        self.enter_shared(rate, now, wall)
    }

    /// What to wait for while the window holds as many calls of this process as it may.
    fn window_full(&mut self, rate: Rate, now: Instant) -> Option<Wait> {
        while self.answered.front().is_some_and(|answered| later(*answered, rate.period) <= now) {
            self.answered.pop_front();
        }
        if self.in_flight + self.answered.len() < rate.calls.get() as usize {
            return None;
        }
        Some(self.answered.front().map_or(Wait::Answer, |oldest| Wait::Until(later(*oldest, rate.period))))
    }

    /// Asks for a call among those of other processes.
    fn enter_shared(&mut self, rate: Rate, now: Instant, wall: u64) -> Result<Option<Entry>, Wait> {
        let own = self.in_flight + self.answered.len();
        let Some(shared) = &mut self.shared else { return Ok(None) };
        let turn = shared.enter(wall, rate, own);
        let locked_since = self.locked_since.take();
        match turn {
            Ok(Turn::Go(entry)) => Ok(Some(entry)),
            Ok(Turn::Full(until)) => {
                let wait = Duration::from_millis(until.saturating_sub(wall).max(1));
                Err(Wait::Until(now + wait.min(rate.period + LOCKED_PAUSE)))
            }
            Ok(Turn::Busy) => {
                let since = locked_since.unwrap_or(now);
                if now - since > LONGEST_LOCKED {
                    self.alone("another process keeps it locked");
                    return Ok(None);
                }
                self.locked_since = Some(since);
                Err(Wait::Until(now + LOCKED_PAUSE))
            }
            Err(error) => {
                self.alone(&error.to_string());
                Ok(None)
            }
        }
    }

    /// Goes on without the file. Too many calls would cost waits, not data: the API refuses them, and that is heeded.
    fn alone(&mut self, why: &str) {
        self.shared = None;
        tracing::warn!("cannot share the rate limit with other processes: the file of recent calls: {why}");
    }
}

/// The first file that can be used.
fn open(files: &[PathBuf]) -> Option<SharedCalls> {
    for file in files {
        match SharedCalls::open(file) {
            Ok(shared) => return Some(shared),
            Err(error) => {
                tracing::info!("cannot keep the times of recent calls in {}: {error}", file.display());
            }
        }
    }
    if !files.is_empty() {
        tracing::warn!("the rate limit is not shared with other processes: no folder can be used for it");
    }
    None
}

/// A time so much later; far away where that is beyond the clock.
fn later(time: Instant, by: Duration) -> Instant {
    const FAR: Duration = Duration::from_secs(30 * 365 * 86_400);
    time.checked_add(by.min(FAR)).unwrap_or(time)
}

/// What is left of the time until then.
pub(crate) fn left(until: Option<Instant>) -> Option<Duration> {
    until?.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())
}
