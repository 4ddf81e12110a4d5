//! The circuit breaker: when the API, or the way to it, is down, calls wait instead of failing rows.
//!
//! *Closed*: calls go out. It opens after so many transport failures and 5xx in a row; an answer of any other
//! status, 4xx included, shows that the API is there and begins the count again. *Open*: every call waits for
//! the cooldown. *Half-open*: one caller makes one probing read, which closes the breaker or opens it again
//! for twice as long. After so many failed probes it gives up, and every call fails with `BreakerOpen`.

use crate::stop::Stop;
use std::future::Future;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

/// The longest cooldown.
const LONGEST_COOLDOWN: Duration = Duration::from_secs(60);

/// When the breaker opens, and how long it hopes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BreakerSettings {
    /// Failures in a row that open it.
    pub threshold: u32,
    /// How long it stays open before the first probe; doubled with each that fails, up to a minute.
    pub cooldown: Duration,
    /// Probes that may fail before it gives up.
    pub probes: u32,
}

/// What the breaker is doing, for those who show it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BreakerState {
    /// Calls go out.
    Closed,
    /// Calls wait until then.
    Open {
        /// When a probe is due.
        until: Instant,
    },
    /// A probing read is under way.
    HalfOpen,
    /// It would not close.
    GaveUp,
}

#[derive(Debug, Clone, Copy)]
struct Inner {
    state: BreakerState,
    failures: u32,
    probes_failed: u32,
    /// How often it has opened.
    openings: u64,
}

/// The breaker of one client.
#[derive(Debug)]
pub(crate) struct Breaker {
    settings: BreakerSettings,
    inner: watch::Sender<Inner>,
    stop: Stop,
}

/// Why a call was not let through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Denied {
    GaveUp,
    Stopped,
}

/// The right to make the probe. Anyone who gives it up leaves it to the next caller: else all would wait for good.
struct Probe<'a> {
    breaker: &'a Breaker,
    has_ended: bool,
}

impl Probe<'_> {
    fn ended(mut self, alive: bool) {
        self.has_ended = true;
        self.breaker.probed(alive);
    }
}

impl Drop for Probe<'_> {
    fn drop(&mut self) {
        if !self.has_ended {
            self.breaker
                .inner
                .send_modify(|inner| inner.state = BreakerState::Open { until: Instant::now() });
        }
    }
}

impl Breaker {
    /// A closed breaker.
    pub(crate) fn new(settings: BreakerSettings, stop: Stop) -> Self {
        let inner = Inner { state: BreakerState::Closed, failures: 0, probes_failed: 0, openings: 0 };
        Self { settings, inner: watch::Sender::new(inner), stop }
    }

    /// What the breaker is doing.
    pub(crate) fn state(&self) -> BreakerState {
        self.inner.borrow().state
    }

    /// How often it has opened after being closed.
    pub(crate) fn openings(&self) -> u64 {
        self.inner.borrow().openings
    }

    /// Waits until calls may go out. The caller who finds the cooldown over makes the probe, which tells
    /// whether the API is there.
    pub(crate) async fn admit<F>(&self, probe: impl Fn() -> F) -> Result<(), Denied>
    where
        F: Future<Output = bool>,
    {
        let mut changes = self.inner.subscribe();
        loop {
            let state = changes.borrow_and_update().state;
            match state {
                BreakerState::Closed => return Ok(()),
                BreakerState::GaveUp => return Err(Denied::GaveUp),
                BreakerState::HalfOpen => {
                    let _ = self.stop.race(changes.changed()).await.ok_or(Denied::Stopped)?;
                }
                BreakerState::Open { until } => {
                    self.stop.race(sleep_until(until)).await.ok_or(Denied::Stopped)?;
                    if let Some(claimed) = self.claim_probe() {
                        let alive = self.stop.race(probe()).await.ok_or(Denied::Stopped)?;
                        claimed.ended(alive);
                    }
                }
            }
        }
    }

    /// Turns open into half-open; only one caller can.
    fn claim_probe(&self) -> Option<Probe<'_>> {
        let is_ours = self.inner.send_if_modified(|inner| {
            let due = matches!(inner.state, BreakerState::Open { until } if until <= Instant::now());
            if due {
                inner.state = BreakerState::HalfOpen;
            }
            due
        });
        // Not `then_some`: a probe that is made is also given up.
        is_ours.then(|| Probe { breaker: self, has_ended: false })
    }

    fn probed(&self, alive: bool) {
        self.inner.send_modify(|inner| {
            if alive {
                inner.state = BreakerState::Closed;
                inner.failures = 0;
                inner.probes_failed = 0;
                return;
            }
            inner.probes_failed += 1;
            inner.state = if inner.probes_failed >= self.settings.probes {
                BreakerState::GaveUp
            } else {
                let doubled = 2u32.saturating_pow(inner.probes_failed);
                let cooldown = self.settings.cooldown.saturating_mul(doubled).min(LONGEST_COOLDOWN);
                BreakerState::Open { until: Instant::now() + cooldown }
            };
        });
    }

    /// Takes in how a call ended: an outage (no connection, no answer, 5xx) or any other answer. Only a
    /// closed breaker counts; an open one believes its probe alone.
    pub(crate) fn note(&self, outage: bool) {
        self.inner.send_if_modified(|inner| {
            if inner.state != BreakerState::Closed {
                return false;
            }
            inner.failures = if outage { inner.failures + 1 } else { 0 };
            let opens = inner.failures >= self.settings.threshold;
            if opens {
                inner.openings += 1;
                inner.probes_failed = 0;
                let cooldown = self.settings.cooldown.min(LONGEST_COOLDOWN);
                inner.state = BreakerState::Open { until: Instant::now() + cooldown };
            }
            opens
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    const SETTINGS: BreakerSettings =
        BreakerSettings { threshold: 3, cooldown: Duration::from_secs(5), probes: 2 };

    fn opened() -> Breaker {
        let breaker = Breaker::new(SETTINGS, Stop::default());
        for _ in 0..3 {
            breaker.note(true);
        }
        breaker
    }

    #[tokio::test(start_paused = true)]
    async fn it_opens_on_failures_in_a_row_only() {
        let breaker = Breaker::new(SETTINGS, Stop::default());
        for outage in [true, true, false, true, true] {
            breaker.note(outage);
        }
        assert_eq!(breaker.state(), BreakerState::Closed);
        breaker.note(true);
        assert!(matches!(breaker.state(), BreakerState::Open { .. }));
    }

    #[tokio::test(start_paused = true)]
    async fn one_probe_closes_it_for_all_who_wait() {
        let breaker = Arc::new(opened());
        let probes = Arc::new(AtomicU32::new(0));
        let start = Instant::now();
        let callers: Vec<_> = (0..8)
            .map(|_| {
                let (breaker, probes) = (breaker.clone(), probes.clone());
                tokio::spawn(async move {
                    let probe = || async {
                        probes.fetch_add(1, Ordering::SeqCst);
                        tokio::time::sleep(Duration::from_secs(1)).await;
                        true
                    };
                    breaker.admit(probe).await
                })
            })
            .collect();
        for caller in callers {
            assert_eq!(caller.await.unwrap(), Ok(()));
        }
        assert_eq!(probes.load(Ordering::SeqCst), 1);
        assert_eq!(start.elapsed().as_secs(), 6);
    }

    #[tokio::test(start_paused = true)]
    async fn it_gives_up_after_the_last_probe() {
        let breaker = opened();
        let start = Instant::now();
        assert_eq!(breaker.admit(|| async { false }).await, Err(Denied::GaveUp));
        assert_eq!(start.elapsed().as_secs(), 15, "5 s, then twice as long");
        assert_eq!(breaker.state(), BreakerState::GaveUp);
    }

    #[tokio::test(start_paused = true)]
    async fn a_probe_that_is_given_up_is_made_by_the_next_caller() {
        let breaker = Arc::new(opened());
        let never = breaker.admit(std::future::pending::<bool>);
        assert!(tokio::time::timeout(Duration::from_secs(6), never).await.is_err());
        let waits = tokio::time::timeout(Duration::from_secs(60), breaker.admit(|| async { true }));
        assert_eq!(waits.await, Ok(Ok(())));
        assert_eq!(breaker.openings(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_stop_ends_the_wait() {
        let breaker = opened();
        breaker.stop.set(crate::stop::Cause::Interrupt);
        let start = Instant::now();
        assert_eq!(breaker.admit(|| async { true }).await, Err(Denied::Stopped));
        assert_eq!(start.elapsed(), Duration::ZERO);
    }
}
