//! Messages on their way: each in a task of its own, so that one that hangs holds up no other.

use super::channel::Channel;
use super::message::Message;
use crate::report::terminal::Terminal;
use crate::stop::Stop;
use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::{Id, JoinSet};
use tokio::time::{Instant, timeout_at};

/// How long the process waits at its end for messages on their way, before and after that is said.
const WAITS: [Duration; 2] = [Duration::from_secs(2), Duration::from_secs(18)];

/// A wait for a signal.
type Signal = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What is on its way.
pub(super) struct Delivery {
    channels: Vec<Channel>,
    terminal: Terminal,
    /// Whether that it waits is not said.
    quiet: bool,
    stop: Stop,
    /// The next signal, once the run has ended.
    signal: Option<Signal>,
    tasks: JoinSet<()>,
    /// What each task tells.
    names: HashMap<Id, &'static str>,
}

impl Delivery {
    pub(super) fn new(channels: Vec<Channel>, terminal: Terminal, quiet: bool, stop: Stop) -> Self {
        Self { channels, terminal, quiet, stop, signal: None, tasks: JoinSet::new(), names: HashMap::new() }
    }

    /// Sends a message over all ways, and does not wait for it. There are few at once: a message of each kind in the
    /// time that the tries of one may take.
    pub(super) fn send(&mut self, message: &Message) {
        while let Some(ended) = self.tasks.try_join_next_with_id() {
            self.forget(&ended);
        }
        let message = Arc::new(message.clone());
        for channel in self.channels.clone() {
            let (message, terminal, name) = (Arc::clone(&message), self.terminal.clone(), channel.name());
            let task = self.tasks.spawn(async move {
                if let Err(why) = channel.tell(&message).await {
                    terminal.say(&format!("warning: cannot notify {name} of the run: {why}"));
                }
            });
            self.names.insert(task.id(), name);
        }
    }

    /// The run has ended: from now on a signal ends the wait for what is on its way.
    pub(super) fn last(&mut self) {
        self.signal = Some(Box::pin(self.stop.next_signal()));
    }

    fn forget(&mut self, ended: &Result<(Id, ()), tokio::task::JoinError>) {
        let id = match ended {
            Ok((id, ())) => *id,
            Err(error) => error.id(),
        };
        self.names.remove(&id);
    }

    /// Waits for what is on its way, for some time, or until a signal comes.
    pub(super) async fn end(mut self) {
        let Some(mut signal) = self.signal.take() else { return };
        let [silent, said] = WAITS;
        if self.wait(silent, &mut signal).await {
            if !self.quiet {
                let (left, seconds) = (self.left(), said.as_secs());
                self.terminal
                    .say(&format!("waiting to notify {left} (at most {seconds} s; Ctrl-C ends the wait)"));
            }
            self.wait(said, &mut signal).await;
        }
        if !self.names.is_empty() {
            self.terminal.say(&format!("warning: could not notify {} in time", self.left()));
        }
    }

    /// Waits for all tasks; returns whether the time was over before they were, and no signal came.
    async fn wait(&mut self, time: Duration, signal: &mut Signal) -> bool {
        let until = Instant::now() + time;
        loop {
            let ended = tokio::select! {
                biased;
                () = signal.as_mut() => return false,
                ended = timeout_at(until, self.tasks.join_next_with_id()) => ended,
            };
            match ended {
                Ok(Some(ended)) => self.forget(&ended),
                Ok(None) => return false,
                Err(_) => return true,
            }
        }
    }

    /// The ways over which something is still on its way.
    fn left(&self) -> String {
        let mut names: Vec<_> = self.names.values().copied().collect();
        names.sort_unstable();
        names.dedup();
        names.join(" and ")
    }
}
