//! What every connection of this tool has in common, whoever is at the other end.

use reqwest::ClientBuilder;
use std::error::Error;
use std::time::Duration;
use url::{Host, Url};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);
/// Between two bytes of an answer; begins anew with each.
const READ_TIMEOUT: Duration = Duration::from_secs(60);

/// A connection that was idle for longer is closed: firewalls forget those of some minutes, some of half a minute.
const IDLE_TIMEOUT: Duration = Duration::from_secs(20);
/// A silence on HTTP/2 after which the other end is asked whether it is there, and how long it has to answer: else all
/// calls would go into one dead connection, each until its time is over.
const PING_AFTER: Duration = Duration::from_secs(30);
const PING_TIMEOUT: Duration = Duration::from_secs(15);

/// Whether what is sent there cannot be read on its way: https, or http to this machine.
pub fn is_safe(url: &Url) -> bool {
    match (url.scheme(), url.host()) {
        ("https", Some(_)) => true,
        ("http", Some(Host::Ipv4(ip))) => ip.is_loopback(),
        ("http", Some(Host::Ipv6(ip))) => ip.is_loopback(),
        ("http", Some(Host::Domain(name))) => name == "localhost",
        _ => false,
    }
}

/// Connections that are set up alike; whoever makes them bounds the whole request, and says what redirections mean.
pub fn builder(is_https: bool) -> ClientBuilder {
    let builder = reqwest::Client::builder()
        .user_agent(concat!("devrev-batch/", env!("CARGO_PKG_VERSION")))
        // Resends are decided by this tool alone, where it is known what may be repeated.
        .retry(reqwest::retry::never())
        .connect_timeout(CONNECT_TIMEOUT)
        .read_timeout(READ_TIMEOUT)
        .pool_idle_timeout(IDLE_TIMEOUT)
        .http2_keep_alive_interval(PING_AFTER)
        .http2_keep_alive_timeout(PING_TIMEOUT)
        .https_only(is_https)
        .tcp_nodelay(true);
    // Only loopback may be plain HTTP, and a proxy from the environment must not take that over.
    if is_https { builder } else { builder.no_proxy() }
}

/// An error with all its causes, which hold the part that helps.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_goes_to_this_machine_alone() {
        for (url, safe) in [
            ("https://api.devrev.ai", true),
            ("http://127.0.0.7:1", true),
            ("http://[::1]:1", true),
            ("http://localhost", true),
            ("http://localhost.example.com", false),
            ("http://10.0.0.1", false),
            ("ftp://localhost", false),
            ("file:///etc/passwd", false),
        ] {
            assert_eq!(is_safe(&Url::parse(url).unwrap()), safe, "{url}");
        }
    }
}
