//! Who is told about runs, and whether a message reaches them.

use crate::cli::choices::Notify;
use crate::exit::Exit;
use crate::report::alerts::send_test;
use crate::report::doctor::Check;
use crate::settings::watch::AlertSettings;

const CHECK: &str = "alerts";

/// Checks the channels: sends a test message to each if that is asked for.
pub(super) async fn checks(alerts: &AlertSettings, send: bool) -> Vec<Check> {
    let channels = channels(alerts);
    if channels.is_empty() {
        let none = "no channel: neither SLACK_WEBHOOK nor SMTP_HOST";
        return vec![if send {
            Check::not_checked(CHECK, format!("{none}; no test message was sent"))
        } else {
            Check::ok(CHECK, none)
        }];
    }
    if send {
        return send_test(alerts)
            .await
            .into_iter()
            .map(|(channel, sent)| of_message(&channel, sent))
            .collect();
    }
    let muted = if alerts.notify == Notify::Never { "; no messages are sent: NOTIFY is never" } else { "" };
    let found = format!("set up: {}{muted}; --send-test-alert tries them", channels.join(", "));
    vec![Check::ok(CHECK, found)]
}

/// What became of a test message.
fn of_message(channel: &str, sent: Result<(), String>) -> Check {
    match sent {
        Ok(()) => Check::ok(CHECK, format!("{channel}: a test message was sent; see that it came")),
        Err(why) => {
            let todo = "correct SLACK_WEBHOOK, or SMTP_* and ALERT_EMAIL; runs work without them";
            Check::problem(CHECK, Exit::Unexpected, format!("{channel}: {why}"), todo)
        }
    }
}

/// The channels that are set up, without their secrets.
fn channels(alerts: &AlertSettings) -> Vec<String> {
    let slack =
        alerts.slack.as_ref().map(|slack| format!("Slack ({})", slack.url().host_str().unwrap_or_default()));
    let mail = alerts.mail.as_ref().map(|mail| format!("e-mail to {} by {}", mail.to.join(", "), mail.host));
    slack.into_iter().chain(mail).collect()
}
