//! The one signal that ends every wait: set by Ctrl-C, SIGTERM, SIGHUP, or whatever stops a run.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::watch;

/// Why no new work is begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// Ctrl-C (SIGINT).
    Interrupt,
    /// SIGTERM, or SIGHUP.
    Terminate,
    /// The run itself: a stop condition, refused credentials, a full disk.
    Run,
}

/// A handle on the signal; clones share it.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    cause: watch::Sender<Option<Cause>>,
    /// Signals of the operating system so far.
    signals: watch::Sender<u64>,
    /// Whether there is nothing left to stop.
    is_over: AtomicBool,
}

impl Stop {
    /// Sets the signal. The first cause stays.
    pub fn set(&self, cause: Cause) {
        if cause != Cause::Run {
            self.0.signals.send_modify(|signals| *signals += 1);
        }
        self.0.cause.send_if_modified(|now| {
            let first = now.is_none();
            if first {
                *now = Some(cause);
            }
            first
        });
    }

    /// The cause, once the signal is set.
    pub fn cause(&self) -> Option<Cause> {
        *self.0.cause.borrow()
    }

    /// The run has ended, and only waits for others continue: a signal stops no calls any more.
    pub fn work_is_over(&self) {
        self.0.is_over.store(true, Ordering::Relaxed);
    }

    /// Whether the run has ended.
    pub fn is_work_over(&self) -> bool {
        self.0.is_over.load(Ordering::Relaxed)
    }

    /// Whether the signal is set.
    pub fn is_set(&self) -> bool {
        self.cause().is_some()
    }

    /// Waits until the signal is set.
    pub async fn wait(&self) {
        let mut receiver = self.0.cause.subscribe();
        // An error means that the sender is gone, and `self` holds it.
        let _ = receiver.wait_for(Option::is_some).await;
    }

    /// Waits for the first Ctrl-C or SIGTERM after this was called, whether or not the signal is set already: for waits
    /// that continue after a run has ended.
    pub fn next_signal(&self) -> impl Future<Output = ()> + Send + use<> {
        let stop = self.clone();
        let mut signals = stop.0.signals.subscribe();
        async move {
            // An error means that the sender is gone, and `stop` holds it.
            let _ = signals.changed().await;
            drop(stop);
        }
    }

    /// Runs a wait until it is over (`Some`) or the signal is set (`None`).
    pub async fn race<T>(&self, wait: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            () = self.wait() => None,
            done = wait => Some(done),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn signals_are_heard_after_the_stop_too_but_not_those_before() {
        let stop = Stop::default();
        stop.set(Cause::Interrupt);
        let next = stop.next_signal();
        tokio::pin!(next);
        stop.set(Cause::Run);
        assert!(futures_util::poll!(next.as_mut()).is_pending());
        stop.set(Cause::Terminate);
        next.await;
        assert_eq!(stop.cause(), Some(Cause::Interrupt), "the first cause stays");
    }
}
