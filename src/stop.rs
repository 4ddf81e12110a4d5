//! The one signal that ends every wait: set by Ctrl-C, SIGTERM, or whatever stops a run.

use std::future::Future;
use std::sync::Arc;
use tokio::sync::watch;

/// Why no new work is begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// Ctrl-C (SIGINT).
    Interrupt,
    /// SIGTERM.
    Terminate,
    /// The run itself: a stop condition, refused credentials, a full disk.
    Run,
}

/// A handle on the signal; clones share it.
#[derive(Debug, Clone)]
pub struct Stop(Arc<watch::Sender<Option<Cause>>>);

impl Default for Stop {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(None)))
    }
}

impl Stop {
    /// Sets the signal. The first cause stays.
    pub fn set(&self, cause: Cause) {
        self.0.send_if_modified(|now| {
            let first = now.is_none();
            if first {
                *now = Some(cause);
            }
            first
        });
    }

    /// The cause, once the signal is set.
    pub fn cause(&self) -> Option<Cause> {
        *self.0.borrow()
    }

    /// Whether the signal is set.
    pub fn is_set(&self) -> bool {
        self.cause().is_some()
    }

    /// Waits until the signal is set.
    pub async fn wait(&self) {
        let mut receiver = self.0.subscribe();
        // An error means that the sender is gone, and `self` holds it.
        let _ = receiver.wait_for(Option::is_some).await;
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
