//! Settings of those who watch a run: metrics, alerts, the profile.

use super::Rates;
use super::sources::{Sources, flag};
use crate::cli::batch::WatchFlags;
use crate::cli::choices::{Notify, word};
use crate::net;
use clap::ValueEnum;
use secrecy::{ExposeSecret, SecretString};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;
use url::Url;

/// The names of the secrets: they are in no record.
#[cfg(test)]
pub(super) const SECRETS: [&str; 2] = ["SLACK_WEBHOOK", "SMTP_PASSWORD"];

/// Who watches, and how.
#[derive(Debug, Clone)]
pub(crate) struct WatchSettings {
    /// `--profile`: say at the end where the time went.
    pub profile: bool,
    /// `--monitor`: also measure this process.
    pub monitor: bool,
    /// `--metrics-file`.
    pub metrics_file: Option<PathBuf>,
    /// `--metrics-listen`.
    pub metrics_listen: Option<SocketAddr>,
    /// Who is told.
    pub alerts: AlertSettings,
    /// `DEVREV_APP_URL`: the organisation's address in DevRev's app, without a slash at its end.
    pub app_url: Option<Url>,
}

/// When and how people are told.
#[derive(Debug, Clone)]
pub(crate) struct AlertSettings {
    /// `--notify`.
    pub notify: Notify,
    /// `SLACK_WEBHOOK`: an incoming webhook; its URL is a secret.
    pub slack: Option<SlackWebhook>,
    /// `SMTP_HOST` and what goes with it.
    pub mail: Option<Mail>,
    /// `ALERT_ERROR_RATE`: the share of rows, in percent, that may fail before it is told.
    pub error_rate: f64,
    /// `ALERT_BATCH_SECONDS`: how long a batch may take, waits for the rate limit aside.
    pub batch_time: Duration,
    /// `ALERT_API_ERRORS`: so many errors of the API in a row are told.
    pub api_errors: u64,
}

/// The URL of an incoming webhook. Anyone who has it can write to the channel: it is not shown.
#[derive(Clone)]
pub(crate) struct SlackWebhook(Url);

impl SlackWebhook {
    /// The URL, for the one who calls it.
    pub(crate) fn url(&self) -> &Url {
        &self.0
    }
}

impl fmt::Debug for SlackWebhook {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "SlackWebhook({})", self.0.host_str().unwrap_or_default())
    }
}

/// How e-mail is sent.
#[derive(Debug, Clone)]
pub(crate) struct Mail {
    /// `SMTP_HOST`.
    pub host: String,
    /// `SMTP_PORT`: 465 speaks TLS from the beginning, any other begins with STARTTLS.
    pub port: u16,
    /// `SMTP_USER`.
    pub user: Option<String>,
    /// `SMTP_PASSWORD`.
    pub password: Option<SecretString>,
    /// `SMTP_FROM`: the sender; the first recipient if not given.
    pub from: String,
    /// `ALERT_EMAIL`: the recipients.
    pub to: Vec<String>,
}

/// Resolves them. What is wrong is left with the other problems; nothing of it is then used.
pub(super) fn resolve(from: &mut Sources<'_>, typed: &WatchFlags, rates: Rates) -> Option<WatchSettings> {
    let metrics_file = from.path("METRICS_FILE", flag("metrics-file", typed.metrics_file.as_ref()), "");
    let metrics_listen =
        from.parsed("METRICS_LISTEN", flag("metrics-listen", typed.metrics_listen.as_ref()), "", |text| {
            if text.is_empty() { Ok(None) } else { address(text).map(Some) }
        });
    let notify = typed.notify.as_ref().map(word);
    let notify = from.parsed("NOTIFY", flag("notify", notify.as_ref()), "failure", |text| {
        Notify::from_str(text, false).map_err(|_| "is not always, failure or never".to_owned())
    });
    let error_rate =
        from.parsed("ALERT_ERROR_RATE", None, "10", |text| match text.trim_end_matches('%').parse() {
            Ok(share) if (0.0..=100.0).contains(&share) => Ok(share),
            _ => Err("is not a share in percent, from 0 to 100".to_owned()),
        });
    let batch_time = match rates {
        Rates::Backfill => 60.0,
        // Merges settle later than they are sent.
        Rates::Merge => 900.0,
    };
    let batch_time = from.seconds("ALERT_BATCH_SECONDS", None, batch_time, 0.0..=86_400.0);
    let api_errors = from.number("ALERT_API_ERRORS", None, 5, 1..=1_000_000);
    let app_url = from.parsed("DEVREV_APP_URL", None, "", app_url);
    let slack = slack(from);
    let mail = mail(from);
    Some(WatchSettings {
        profile: typed.profile,
        monitor: typed.monitor,
        metrics_file: Some(metrics_file).filter(|file| !file.as_os_str().is_empty()),
        metrics_listen: metrics_listen?,
        alerts: AlertSettings {
            notify: notify?,
            slack,
            mail,
            error_rate: error_rate?,
            batch_time: batch_time?,
            api_errors: api_errors?,
        },
        app_url: app_url?,
    })
}

/// `ADDR:PORT`, or a port of this machine's loopback.
pub(crate) fn address(text: &str) -> Result<SocketAddr, String> {
    if let Ok(port) = text.strip_prefix(':').unwrap_or(text).parse() {
        return Ok(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port));
    }
    let text =
        text.strip_prefix("localhost:").map_or_else(|| text.to_owned(), |port| format!("127.0.0.1:{port}"));
    text.parse()
        .map_err(|_| "is neither a port nor an address with a port, such as 127.0.0.1:9184".to_owned())
}

fn app_url(text: &str) -> Result<Option<Url>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    let url = Url::parse(text.trim_end_matches('/')).map_err(|error| format!("is not a URL: {error}"))?;
    if url.scheme() != "https"
        || !url.username().is_empty()
        || url.password().is_some()
        || url.query().is_some()
        || url.fragment().is_some()
    {
        return Err("is not an address such as https://app.devrev.ai/acme".to_owned());
    }
    Ok(Some(url))
}

/// The webhook, if there is one; a wrong one is a problem in which its text does not stand.
fn slack(from: &mut Sources<'_>) -> Option<SlackWebhook> {
    let secret = from.secret("SLACK_WEBHOOK")?;
    let url = Url::parse(secret.expose_secret()).ok().filter(net::is_safe);
    if url.is_none() {
        from.problems.push(
            "SLACK_WEBHOOK: is not an https URL, such as https://hooks.slack.com/services/...".to_owned(),
        );
    }
    url.map(SlackWebhook)
}

/// How e-mail is sent, if it is; what is wrong with it is a problem.
fn mail(from: &mut Sources<'_>) -> Option<Mail> {
    let host = from.text("SMTP_HOST", None, "");
    let port = from.number("SMTP_PORT", None, 587, 1..=u16::MAX);
    let user = Some(from.text("SMTP_USER", None, "")).filter(|user| !user.is_empty());
    let password = from.secret("SMTP_PASSWORD");
    let to = from.text("ALERT_EMAIL", None, "");
    let sender = from.text("SMTP_FROM", None, "");
    let to: Vec<String> =
        to.split([',', ';', ' ']).filter(|part| !part.is_empty()).map(str::to_owned).collect();
    let sender = Some(sender).filter(|sender| !sender.is_empty());
    for (name, address) in
        to.iter().map(|to| ("ALERT_EMAIL", to)).chain(sender.iter().map(|from| ("SMTP_FROM", from)))
    {
        if address.parse::<lettre::message::Mailbox>().is_err() {
            from.problems.push(format!("{name}: `{address}` is not an e-mail address"));
        }
    }
    let Some(first) = to.first() else {
        if !host.is_empty() {
            from.problems.push("SMTP_HOST is set, and ALERT_EMAIL is not: there is no recipient".to_owned());
        }
        return None;
    };
    if host.is_empty() {
        from.problems.push("ALERT_EMAIL is set, and SMTP_HOST is not: no e-mail can be sent".to_owned());
        return None;
    }
    let missing = match (&user, &password) {
        (Some(_), None) => {
            Some("SMTP_USER is set, and SMTP_PASSWORD is not: the server could not be logged in to")
        }
        (None, Some(_)) => Some("SMTP_PASSWORD is set, and SMTP_USER is not: there is no user to log in"),
        _ => None,
    };
    if let Some(missing) = missing {
        from.problems.push(missing.to_owned());
        return None;
    }
    let sender = sender.unwrap_or_else(|| first.clone());
    Some(Mail { host, port: port?, user, password, from: sender, to })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_port_or_has_one() {
        for (text, addr) in [
            ("9184", "127.0.0.1:9184"),
            (":9184", "127.0.0.1:9184"),
            ("localhost:0", "127.0.0.1:0"),
            ("0.0.0.0:1", "0.0.0.0:1"),
            ("[::1]:9184", "[::1]:9184"),
        ] {
            assert_eq!(address(text).unwrap().to_string(), addr);
        }
        // The loopback of IPv6 without a port is no port 1.
        for text in ["::1", "::9184", "::", ":", "70000", "-1", "host:1", "1.2.3.4", ""] {
            assert!(address(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_belongs_together_is_set_together() {
        let resolved = |set: &[(&str, &str)]| {
            let values = set.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
            let dotenv = crate::settings::dotenv::DotEnv { path: ".env".into(), values: values.collect() };
            let none = |_: &str| None;
            let mut from = Sources::new(&none, dotenv);
            let mail = mail(&mut from);
            (mail.is_some(), from.problems.join("; "))
        };
        let (host, to) = (("SMTP_HOST", "mail.example.com"), ("ALERT_EMAIL", "ops@example.com"));
        let (user, password) = (("SMTP_USER", "robot"), ("SMTP_PASSWORD", "s3cr3t"));
        assert_eq!(resolved(&[]), (false, String::new()));
        assert_eq!(resolved(&[host, to]), (true, String::new()));
        assert_eq!(resolved(&[host, to, user, password]), (true, String::new()));
        for (set, problem) in [
            (&[host][..], "SMTP_HOST is set, and ALERT_EMAIL"),
            (&[to], "ALERT_EMAIL is set, and SMTP_HOST"),
            (&[host, to, user], "SMTP_USER is set, and SMTP_PASSWORD"),
            (&[host, to, password], "SMTP_PASSWORD is set, and SMTP_USER"),
            (&[host, ("ALERT_EMAIL", "ops@example.com, nobody")], "ALERT_EMAIL: `nobody` is not"),
        ] {
            let (_, problems) = resolved(set);
            assert!(problems.starts_with(problem) && !problems.contains("s3cr3t"), "{set:?}: {problems}");
        }
    }
}
