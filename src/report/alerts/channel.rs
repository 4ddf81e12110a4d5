//! The ways by which people are told. What fails is said without what is secret: the webhook's URL, the password, and
//! whatever a server answers.

use super::mail;
use super::message::Message;
use super::slack;
use crate::settings::watch::{AlertSettings, Mail, SlackWebhook};
use std::time::Duration;

/// How long one try may take.
pub(super) const TRY: Duration = Duration::from_secs(10);
/// Before each further try.
const PAUSES: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(1)];

/// A way by which people are told.
#[derive(Debug, Clone)]
pub(super) enum Channel {
    /// An incoming webhook.
    Slack(SlackWebhook),
    /// E-mail.
    Mail(Mail),
}

/// Why a message was not taken.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unsent {
    /// For the operator.
    pub(super) why: String,
    /// Whether another try may fare better.
    pub(super) again: bool,
}

impl Unsent {
    pub(super) fn for_now(why: impl Into<String>) -> Self {
        Self { why: why.into(), again: true }
    }

    pub(super) fn for_good(why: impl Into<String>) -> Self {
        Self { why: why.into(), again: false }
    }
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
        loop {
            let sent = tokio::time::timeout(TRY, self.send(message)).await;
            let late = || Unsent::for_now(format!("no answer within {} s", TRY.as_secs()));
            let unsent = match sent.unwrap_or_else(|_| Err(late())) {
                Ok(()) => return Ok(()),
                Err(unsent) => unsent,
            };
            match pauses.next() {
                Some(pause) if unsent.again => tokio::time::sleep(pause).await,
                _ => return Err(unsent.why),
            }
        }
    }

    async fn send(&self, message: &Message) -> Result<(), Unsent> {
        match self {
            Self::Slack(webhook) => slack::send(webhook, message).await,
            Self::Mail(mail) => mail::send(mail, message).await,
        }
    }
}
