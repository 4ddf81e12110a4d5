//! An incoming webhook of Slack.

use super::message::Message;
use super::unsent::{TRY, Unsent};
use crate::net;
use crate::settings::watch::SlackWebhook;
use reqwest::{StatusCode, header, redirect};
use serde_json::json;
use std::time::Duration;

/// Sends a message. A connection of its own: there are hours between two messages.
pub(super) async fn send(webhook: &SlackWebhook, message: &Message) -> Result<(), Unsent> {
    let url = webhook.url();
    let builder =
        net::builder(url.scheme() == "https").map_err(|error| Unsent::for_good(error.to_string()))?;
    let client = builder.redirect(redirect::Policy::none()).timeout(TRY).build();
    let client = client.map_err(|error| Unsent::for_good(net::chain(&error.without_url())))?;
    let body = json!({ "text": message.slack() }).to_string();
    let request = client.post(url.clone()).header(header::CONTENT_TYPE, "application/json").body(body);
    let answer = request.send().await.map_err(|error| Unsent::for_now(net::chain(&error.without_url())))?;
    // The answer's body says no more than the status, and is not ours to show.
    match answer.status() {
        status if status.is_success() => Ok(()),
        status @ StatusCode::TOO_MANY_REQUESTS => {
            let asked = answer.headers().get(header::RETRY_AFTER).and_then(|value| value.to_str().ok());
            let after = asked.and_then(|seconds| seconds.trim().parse().ok()).map(Duration::from_secs);
            let wait =
                after.map_or(String::new(), |after| format!(", and asks to wait {} s", after.as_secs()));
            Err(Unsent { after, ..Unsent::for_now(answered(status) + &wait) })
        }
        status if status.is_server_error() => Err(Unsent::for_now(answered(status))),
        status => Err(Unsent::for_good(format!("{}: is SLACK_WEBHOOK still right?", answered(status)))),
    }
}

fn answered(status: StatusCode) -> String {
    format!("it answers {}", status.as_u16())
}
