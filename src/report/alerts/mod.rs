//! Who is told about a run by Slack and e-mail: when something goes wrong in it, and how it ended.
//!
//! What cannot be sent is a warning, and changes nothing of the run.
//!
//! - [`rules`]: what is worth a message, and how often
//! - [`message`]: what is said: counts, IDs and codes
//! - [`channel`]: the ways, [`slack`] and [`mail`], with their tries
//! - [`delivery`]: what is on its way

mod channel;
mod delivery;
mod mail;
mod message;
mod rules;
mod slack;
mod unsent;

pub(crate) use message::About;

use super::reporter::{Closing, Reporter};
use super::summary::Summary;
use super::terminal::Terminal;
use crate::cli::choices::Notify;
use crate::engine::event::Event;
use crate::exit::Exit;
use crate::figures::Figures;
use crate::settings::watch::AlertSettings;
use crate::stop::Stop;
use channel::Channel;
use delivery::Delivery;
use message::Message;
use rules::{Rules, Trouble};

/// Tells people of a run.
pub(crate) struct Alerts {
    about: About,
    notify: Notify,
    rules: Rules,
    delivery: Delivery,
}

impl Alerts {
    /// Begins to watch a run; `None` where nobody is to be told, whatever happens. That a rehearsal goes wrong is
    /// told only if all is to be told.
    pub(crate) fn begin(
        settings: &AlertSettings,
        about: About,
        terminal: &Terminal,
        quiet: bool,
        stop: &Stop,
    ) -> Option<Self> {
        let channels = Channel::all(settings);
        let is_rehearsal = about.in_sandbox || about.dry_run;
        let nobody = match settings.notify {
            Notify::Always => false,
            Notify::Failure => is_rehearsal,
            Notify::Never => true,
        };
        if nobody || channels.is_empty() {
            return None;
        }
        let delivery = Delivery::new(channels, terminal.clone(), quiet, stop.clone());
        Some(Self { about, notify: settings.notify, rules: Rules::new(settings), delivery })
    }

    fn tell(&mut self, trouble: Trouble) {
        // Of a dry run only the end is told: nothing is at stake.
        if !self.about.dry_run {
            self.delivery.send(&Message::trouble(&self.about, trouble, &self.rules.tally));
        }
    }
}

impl Reporter for Alerts {
    fn event(&mut self, event: &Event) {
        let trouble = match event {
            Event::Row { rows, settled } => self.rules.row(settled, rows.count()),
            Event::Batch { number, took } => self.rules.batch(*number, *took),
            Event::Meant { .. } | Event::Step { .. } => None,
        };
        if let Some(trouble) = trouble {
            self.tell(trouble);
        }
    }

    fn tick(&mut self, figures: &Figures) {
        for trouble in self.rules.look(figures) {
            self.tell(trouble);
        }
    }

    fn ended(&mut self, summary: &Summary, _figures: &Figures) {
        self.delivery.last();
        if is_told(self.notify, summary.exit) {
            self.delivery.send(&Message::end(&self.about, summary));
        }
    }

    fn close(self: Box<Self>) -> Closing {
        Box::pin(self.delivery.end())
    }
}

/// Whether a run's end is told. Anyone who pressed Ctrl-C knows of it.
fn is_told(notify: Notify, exit: u8) -> bool {
    match notify {
        Notify::Always => true,
        Notify::Failure => exit != Exit::Ok.code() && exit != Exit::Interrupted.code(),
        Notify::Never => false,
    }
}

/// Sends one message over each way that is set up, whatever `notify` says; returns what each is called, and why it
/// failed if it did.
pub(crate) async fn send_test(alerts: &AlertSettings) -> Vec<(String, Result<(), String>)> {
    let channels = Channel::all(alerts);
    let message = Message::test();
    let sends =
        channels.iter().map(|channel| async { (channel.name().to_owned(), channel.tell(&message).await) });
    futures_util::future::join_all(sends).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_told_as_notify_says() {
        let exits = [0, 1, 3, 7, 130, 143];
        let told = |notify| exits.map(|exit| is_told(notify, exit));
        assert_eq!(told(Notify::Always), [true; 6]);
        assert_eq!(told(Notify::Failure), [false, true, true, true, false, true]);
        assert_eq!(told(Notify::Never), [false; 6]);
    }
}
