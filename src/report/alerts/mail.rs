//! E-mail.

use super::message::Message;
use super::unsent::{TRY, Unsent};
use crate::settings::watch::Mail;
use lettre::address::Envelope;
use lettre::message::header::ContentType;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Tls, TlsParameters};
use lettre::transport::smtp::{Error, SUBMISSIONS_PORT};
use lettre::{AsyncSmtpTransport, AsyncTransport, Tokio1Executor};
use secrecy::ExposeSecret;
use std::error::Error as _;
use std::net::IpAddr;

type Transport = AsyncSmtpTransport<Tokio1Executor>;

/// How what is sent is kept from others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cover {
    /// TLS from the first byte.
    Tls,
    /// TLS before anything that matters; without it, nothing is sent.
    StartTls,
    /// None: it does not leave this machine.
    None,
}

/// Sends a message to the recipients who are `left`, and takes those off who have it or never will. Connections of its
/// own: there are hours between two messages.
///
/// One recipient who is refused must not keep the message from the others: after a refusal each gets it by himself.
pub(super) async fn send(mail: &Mail, message: &Message, left: &mut Vec<String>) -> Result<(), Unsent> {
    let (email, transport) = (email(mail, message)?, transport(mail)?);
    if left.len() == mail.to.len() {
        match transport.send(email.clone()).await {
            Ok(_) => {
                left.clear();
                return Ok(());
            }
            Err(error) if left.len() > 1 && may_be_of_one(&error) => {}
            Err(error) => return Err(unsent(mail, &error)),
        }
    }
    let (raw, mut refusals) = (email.formatted(), Vec::new());
    for to in std::mem::take(left) {
        let address = to.parse().map_err(|_| Unsent::for_good(format!("`{to}` is not an e-mail address")))?;
        let envelope = Envelope::new(email.envelope().from().cloned(), vec![address]);
        let envelope = envelope.map_err(|error| Unsent::for_good(error.to_string()))?;
        if let Err(error) = transport.send_raw(&envelope, &raw).await {
            let refusal = unsent(mail, &error);
            if refusal.again {
                left.push(to);
            }
            refusals.push(refusal);
        }
    }
    let count = refusals.len();
    let Some(first) = refusals.into_iter().next() else { return Ok(()) };
    if count == mail.to.len() {
        return Err(first);
    }
    let why = format!("{count} of {} recipients were not notified: {}", mail.to.len(), first.why);
    Err(Unsent { why, again: !left.is_empty(), after: None })
}

fn email(mail: &Mail, message: &Message) -> Result<lettre::Message, Unsent> {
    let wrong = |address: &str| Unsent::for_good(format!("`{address}` is not an e-mail address"));
    let mut email = lettre::Message::builder()
        .from(mail.from.parse().map_err(|_| wrong(&mail.from))?)
        .subject(message.subject.clone())
        // The same for all tries: who was given it twice can tell.
        .message_id(Some(message.id.clone()))
        .header(ContentType::TEXT_PLAIN);
    for to in &mail.to {
        email = email.to(to.parse().map_err(|_| wrong(to))?);
    }
    email.body(message.text()).map_err(|error| Unsent::for_good(error.to_string()))
}

fn transport(mail: &Mail) -> Result<Transport, Unsent> {
    let tls = || TlsParameters::new(mail.host.clone()).map_err(|error| unsent(mail, &error));
    let tls = match cover(&mail.host, mail.port) {
        Cover::Tls => Tls::Wrapper(tls()?),
        Cover::StartTls => Tls::Required(tls()?),
        Cover::None => Tls::None,
    };
    let mut transport =
        Transport::builder_dangerous(mail.host.clone()).port(mail.port).tls(tls).timeout(Some(TRY));
    if let Some(user) = &mail.user {
        let password = mail.password.as_ref().map(ExposeSecret::expose_secret).unwrap_or_default();
        transport = transport.credentials(Credentials::new(user.clone(), password.to_owned()));
    }
    Ok(transport.build())
}

/// Only a server on this machine may do without TLS: `localhost` here often has a certificate of nobody's.
fn cover(host: &str, port: u16) -> Cover {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    let is_here =
        host.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback());
    match port {
        SUBMISSIONS_PORT => Cover::Tls,
        _ if is_here => Cover::None,
        _ => Cover::StartTls,
    }
}

/// Whether a refusal may be of one recipient alone. A login that is refused is not tried for each of them: that locks
/// accounts.
fn may_be_of_one(error: &Error) -> bool {
    matches!(error.status().map(u16::from), Some(450..=459 | 550..=559))
}

/// What the server says may repeat addresses and more: its code is enough.
fn unsent(mail: &Mail, error: &Error) -> Unsent {
    let why = || {
        let cause = error.source().map_or_else(|| error.to_string(), ToString::to_string);
        format!("{}:{}: {cause}", mail.host, mail.port)
    };
    match error.status().map(u16::from) {
        Some(code @ 530..=539) => {
            Unsent::for_good(format!("the server refuses the login ({code}): SMTP_USER, SMTP_PASSWORD"))
        }
        Some(code @ 550..=559) => Unsent::for_good(format!(
            "the server refuses the sender or a recipient ({code}): SMTP_FROM, ALERT_EMAIL"
        )),
        Some(code) if error.is_permanent() => Unsent::for_good(format!("the server refuses it ({code})")),
        Some(code) => Unsent::for_now(format!("the server does not take it now ({code})")),
        None if error.is_response() => Unsent::for_now("the server's answer is none of SMTP"),
        None if error.is_client() => Unsent::for_good(why()),
        None => Unsent::for_now(why()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_may_do_without_tls() {
        for (host, port, expected) in [
            ("smtp.example.com", 465, Cover::Tls),
            ("localhost", 465, Cover::Tls),
            ("smtp.example.com", 587, Cover::StartTls),
            ("smtp.example.com", 25, Cover::StartTls),
            ("10.0.0.1", 2525, Cover::StartTls),
            ("localhost.example.com", 25, Cover::StartTls),
            ("127.0.0.1.example.com", 25, Cover::StartTls),
            ("localhost", 25, Cover::None),
            ("LOCALHOST", 587, Cover::None),
            ("127.3.2.1", 1025, Cover::None),
            ("::1", 25, Cover::None),
            ("[::1]", 25, Cover::None),
        ] {
            assert_eq!(cover(host, port), expected, "{host}:{port}");
        }
    }
}
