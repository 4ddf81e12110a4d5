//! Trying again: the one place that knows the `backoff` crate, and holds it.
//!
//! The crate has no cap on attempts and cannot be interrupted while it sleeps, so the schedule
//! ([`FullJitter`]) counts the retries itself, and the sleeper ends with the run's stop signal. Its closure's
//! body runs before the sleep; only what is in the future runs after it.

use super::error::ApiError;
use crate::stop::Stop;
use backoff::backoff::Backoff;
use backoff::future::{Retry, Sleeper};
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

/// The longest ceiling of a delay between two tries.
const LONGEST_DELAY: Duration = Duration::from_secs(60);

/// How often and how soon a failed call is made again.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RetryPolicy {
    /// Tries after the first.
    pub max_retries: u32,
    /// The ceiling of the first delay; doubled with each retry, up to a minute.
    pub base: Duration,
}

/// A failed try, and whether another may follow.
#[derive(Debug)]
pub(crate) struct Failed<E = ApiError> {
    pub(crate) error: E,
    pub(crate) again: bool,
    /// The delay before it, where the service asked for one.
    pub(crate) after: Option<Duration>,
}

/// Exponential backoff with full jitter: a random time between nothing and a ceiling that doubles.
/// (Source: "Exponential Backoff And Jitter", AWS Architecture Blog.)
struct FullJitter {
    policy: RetryPolicy,
    made: u32,
}

impl Backoff for FullJitter {
    fn next_backoff(&mut self) -> Option<Duration> {
        if self.made >= self.policy.max_retries {
            return None;
        }
        let ceiling = self.policy.base.saturating_mul(2u32.saturating_pow(self.made)).min(LONGEST_DELAY);
        self.made += 1;
        Some(ceiling.mul_f64(rand::random::<f64>()))
    }

    fn reset(&mut self) {
        self.made = 0;
    }
}

/// Sleeps until the time is over or the run is stopped.
struct Interruptible(Stop);

impl Sleeper for Interruptible {
    type Sleep = Pin<Box<dyn Future<Output = ()> + Send>>;

    fn sleep(&self, time: Duration) -> Self::Sleep {
        let stop = self.0.clone();
        Box::pin(async move {
            stop.race(tokio::time::sleep(time)).await;
        })
    }
}

/// Makes tries until one succeeds, one may not be repeated, or the retries are used up. `seen` is told about
/// each failure that is followed by another try, with the delay before it.
pub(crate) async fn retry<T, E, F>(
    policy: RetryPolicy,
    stop: &Stop,
    seen: impl FnMut(Failed<E>, Duration),
    mut attempt: impl FnMut() -> F,
) -> Result<T, E>
where
    F: Future<Output = Result<T, Failed<E>>>,
{
    let tries = move || {
        let attempt = attempt();
        async {
            attempt.await.map_err(|failed| {
                if failed.again {
                    let retry_after = failed.after.map(|after| after.min(LONGEST_DELAY));
                    backoff::Error::Transient { err: failed, retry_after }
                } else {
                    backoff::Error::permanent(failed)
                }
            })
        }
    };
    let schedule = FullJitter { policy, made: 0 };
    Retry::new(Interruptible(stop.clone()), schedule, seen, tries).await.map_err(|failed| failed.error)
}

#[cfg(test)]
mod tests {
    use super::super::error::ErrorKind;
    use super::*;
    use std::cell::{Cell, RefCell};
    use tokio::time::Instant;

    const POLICY: RetryPolicy = RetryPolicy { max_retries: 3, base: Duration::from_secs(2) };

    fn failed(again: bool) -> Failed {
        Failed { error: ApiError::unanswered("works.get", ErrorKind::Server, "down"), again, after: None }
    }

    #[tokio::test(start_paused = true)]
    async fn the_retries_are_capped_and_each_delay_keeps_under_its_ceiling() {
        let mut longest = [Duration::ZERO; 3];
        for _ in 0..50 {
            let (tries, delays) = (Cell::new(0), RefCell::new(Vec::new()));
            let start = Instant::now();
            let outcome: Result<(), _> = retry(
                POLICY,
                &Stop::default(),
                |_, delay| delays.borrow_mut().push(delay),
                || {
                    tries.set(tries.get() + 1);
                    async { Err(failed(true)) }
                },
            )
            .await;
            assert!(outcome.is_err());
            assert_eq!(tries.get(), 4);
            let delays = delays.into_inner();
            assert_eq!(delays.len(), 3);
            // Paused time moves only by what was slept, in whole milliseconds.
            assert!(start.elapsed() >= delays.iter().sum::<Duration>(), "{:?} {delays:?}", start.elapsed());
            for ((delay, longest), ceiling) in delays.iter().zip(&mut longest).zip([2, 4, 8]) {
                assert!(*delay <= Duration::from_secs(ceiling));
                *longest = (*longest).max(*delay);
            }
        }
        // The jitter reaches over the whole range: 50 times in the lower half would be one chance in 10^15.
        for (longest, ceiling) in longest.into_iter().zip([2, 4, 8]) {
            assert!(longest > Duration::from_secs(ceiling) / 2, "{longest:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_may_not_be_repeated_is_tried_once() {
        let tries = Cell::new(0);
        let outcome: Result<(), _> = retry(
            POLICY,
            &Stop::default(),
            |_, _| (),
            || {
                tries.set(tries.get() + 1);
                async { Err(failed(false)) }
            },
        )
        .await;
        assert!(outcome.is_err() && tries.get() == 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_stop_ends_the_sleep() {
        let stop = Stop::default();
        stop.set(crate::stop::Cause::Interrupt);
        let start = Instant::now();
        let policy = RetryPolicy { max_retries: 3, base: Duration::from_secs(60) };
        let outcome: Result<(), _> = retry(policy, &stop, |_, _| (), || async { Err(failed(true)) }).await;
        assert!(outcome.is_err());
        assert_eq!(start.elapsed(), Duration::ZERO);
    }
}
