//! The ways by which people are told. What fails is said without what is secret: the webhook's URL, the password, and
//! whatever a server answers.

use super::mail;
use super::message::Message;
use super::slack;
use super::unsent::{TRY, Unsent};
use crate::settings::watch::{AlertSettings, Mail, SlackWebhook};
use std::time::Duration;

/// Before each further try.
const PAUSES: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(1)];
/// The longest pause that a server may ask for: a run that has ended waits for little longer.
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

/// A way by which people are told.
#[derive(Debug, Clone)]
pub(super) enum Channel {
    /// An incoming webhook.
    Slack(SlackWebhook),
    /// E-mail.
    Mail(Mail),
}

impl Channel {
    /// Those that are set up.
    pub(super) fn all(alerts: &AlertSettings) -> Vec<Self> {
        let slack = alerts.slack.clone().map(Self::Slack);
        slack.into_iter().chain(alerts.mail.clone().map(Self::Mail)).collect()
    }

    /// What it is called.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Slack(_) => "Slack",
            Self::Mail(_) => "e-mail",
        }
    }

    /// Sends a message, in up to three tries. The error says why the last one failed.
    pub(super) async fn tell(&self, message: &Message) -> Result<(), String> {
        let mut pauses = PAUSES.into_iter();
        let mut left = match self {
            Self::Mail(mail) => mail.to.clone(),
            Self::Slack(_) => Vec::new(),
        };
        loop {
            let sent = tokio::time::timeout(TRY, self.send(message, &mut left)).await;
            let late = || Unsent::for_now(format!("no answer within {} s", TRY.as_secs()));
            let unsent = match sent.unwrap_or_else(|_| Err(late())) {
                Ok(()) => return Ok(()),
                Err(unsent) => unsent,
            };
            match pauses.next().and_then(|pause| longer(pause, unsent.after)) {
                Some(pause) if unsent.again => tokio::time::sleep(pause).await,
                _ => return Err(unsent.why),
            }
        }
    }

    /// `left` are the recipients who have not got it yet.
    async fn send(&self, message: &Message, left: &mut Vec<String>) -> Result<(), Unsent> {
        match self {
            Self::Slack(webhook) => slack::send(webhook, message).await,
            Self::Mail(mail) => mail::send(mail, message, left).await,
        }
    }
}

/// The pause before another try; none if the server asks for one that is too long.
fn longer(pause: Duration, asked: Option<Duration>) -> Option<Duration> {
    Some(asked.map_or(pause, |asked| asked.max(pause))).filter(|pause| *pause <= LONGEST_PAUSE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_that_is_asked_for_is_kept_unless_it_is_too_long() {
        let seconds = Duration::from_secs;
        for (asked, pause) in
            [(None, Some(1)), (Some(0), Some(1)), (Some(9), Some(9)), (Some(15), Some(15)), (Some(30), None)]
        {
            assert_eq!(longer(seconds(1), asked.map(seconds)), pause.map(seconds), "{asked:?}");
        }
    }
}
