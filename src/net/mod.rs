//! What every connection of this tool has in common, whoever is at the other end.

pub(crate) mod answer;
pub(crate) mod auto_rate;
pub(crate) mod breaker;
pub(crate) mod caller;
pub(crate) mod calls;
pub(crate) mod error;
pub(crate) mod heard;
#[cfg(feature = "load")]
pub(crate) mod http_reader;
pub(crate) mod lenient;
pub(crate) mod listener;
pub(crate) mod message;
pub(crate) mod meter;
pub(crate) mod pacer;
pub(crate) mod queue;
pub(crate) mod rate;
pub(crate) mod redact;
pub(crate) mod retry;
pub(crate) mod shared_calls;
pub(crate) mod spread;
pub(crate) mod throttle;
pub(crate) mod transport;

use reqwest::ClientBuilder;
use std::error::Error;
use std::ffi::OsString;
use std::time::Duration;
use url::{Host, Url};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);
/// Between two bytes of an answer; starts again with each.
const READ_TIMEOUT: Duration = Duration::from_secs(60);

/// A connection that was idle for longer is closed: firewalls forget those of some minutes, some of half a minute.
const IDLE_TIMEOUT: Duration = Duration::from_secs(20);
/// A silence on HTTP/2 after which the other end is asked whether it is there, and how long it has to answer: else all
/// calls would go into one dead connection, each until its time is over.
const PING_AFTER: Duration = Duration::from_secs(30);
const PING_TIMEOUT: Duration = Duration::from_secs(15);

/// Whether what is sent there cannot be read on its way: https, or http to this machine.
pub(crate) fn is_safe(url: &Url) -> bool {
    match url.scheme() {
        "https" => url.host().is_some(),
        "http" => is_here(url),
        _ => false,
    }
}

/// The variables that the HTTP library takes a proxy from: of each pair the first that is set.
const PROXIES: [[&str; 2]; 3] =
    [["HTTPS_PROXY", "https_proxy"], ["HTTP_PROXY", "http_proxy"], ["ALL_PROXY", "all_proxy"]];
/// Set by a web server for its CGI programs; with it the library takes no proxy from the environment.
const OF_CGI: &str = "REQUEST_METHOD";

/// A proxy setting that the HTTP library would silently pass over. Its value may hold a password, and is not shown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name} {problem}; write http://HOST:PORT, or unset it")]
pub(crate) struct ProxyError {
    name: &'static str,
    problem: &'static str,
}

/// Checks the proxies that the environment names.
pub(crate) fn check_proxies() -> Result<(), ProxyError> {
    proxies_of(std::env::var_os)
}

fn proxies_of(variable: impl Fn(&'static str) -> Option<OsString>) -> Result<(), ProxyError> {
    for pair in PROXIES {
        let Some((name, value)) = pair.into_iter().find_map(|name| Some((name, variable(name)?))) else {
            continue;
        };
        // Empty means none, as it does to curl.
        if value.is_empty() {
            continue;
        }
        let problem = match value.to_str().map(proxy_problem) {
            None => Some("is not text"),
            Some(Some(problem)) => Some(problem),
            Some(None) if variable(OF_CGI).is_some() => Some("has no effect while REQUEST_METHOD is set"),
            Some(None) => None,
        };
        if let Some(problem) = problem {
            return Err(ProxyError { name, problem });
        }
    }
    Ok(())
}

fn proxy_problem(value: &str) -> Option<&'static str> {
    let Ok(uri) = value.parse::<http::Uri>() else { return Some("is not the address of a proxy") };
    match uri.scheme_str() {
        None | Some("http" | "https") => {}
        Some(scheme) if scheme.starts_with("socks") => {
            return Some("names a SOCKS proxy, which this tool does not support");
        }
        Some(_) => return Some("has a scheme that is neither http nor https"),
    }
    let Some(authority) = uri.authority().filter(|authority| !authority.host().is_empty()) else {
        return Some("names no host");
    };
    let has_port = authority.as_str().rsplit_once(':').is_some_and(|(_, port)| !port.contains(['@', ']']));
    if has_port && authority.port_u16().is_none_or(|port| port == 0) {
        return Some("has a port that is not from 1 to 65535");
    }
    None
}

/// Whether a URL is one of this machine.
pub(crate) fn is_here(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

/// Connections that are set up alike; whoever makes them bounds the whole request, and says what redirections mean.
/// Fails where they would bypass a proxy that is meant.
pub(crate) fn builder(is_https: bool) -> Result<ClientBuilder, ProxyError> {
    if is_https {
        check_proxies()?;
    }
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
    Ok(if is_https { builder } else { builder.no_proxy() })
}

/// An error with all its causes, which hold the part that helps.
pub(crate) fn chain(error: &dyn Error) -> String {
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

    fn proxy(set: &[(&str, &str)]) -> Result<(), ProxyError> {
        let set: Vec<(String, OsString)> =
            set.iter().map(|(name, value)| ((*name).to_owned(), OsString::from(value))).collect();
        proxies_of(|wanted| set.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.clone()))
    }

    #[test]
    fn a_proxy_that_would_be_passed_over_is_refused_unseen() {
        for value in [
            "http://proxy.example.com:3128",
            "proxy:3128",
            "https://u:p%40ss@[::1]:8080/",
            "http://proxy",
            "",
        ] {
            assert_eq!(proxy(&[("HTTPS_PROXY", value)]), Ok(()), "{value}");
        }
        for (value, problem) in [
            ("http//proxy:3128", "not the address"),
            ("http://s3cret word@proxy:3128", "not the address"),
            ("socks5h://s3cret@proxy:1080", "SOCKS"),
            ("ftp://s3cret@proxy", "neither http nor https"),
            ("/s3cret", "no host"),
            ("http://u:s3cret@proxy:99999", "port"),
            ("http://proxy:0", "port"),
        ] {
            for name in ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"] {
                let text = proxy(&[(name, value)]).unwrap_err().to_string();
                assert!(
                    text.contains(problem) && text.starts_with(name) && !text.contains("s3cret"),
                    "{value}: {text}"
                );
            }
        }
        let cgi = proxy(&[("ALL_PROXY", "http://proxy:3128"), ("REQUEST_METHOD", "GET")]).unwrap_err();
        assert!(cgi.to_string().contains("REQUEST_METHOD"), "{cgi}");
        assert_eq!(proxy(&[("REQUEST_METHOD", "GET")]), Ok(()));
    }

    #[cfg(unix)]
    #[test]
    fn a_proxy_that_is_not_text_is_refused() {
        use std::os::unix::ffi::OsStringExt;
        let error =
            proxies_of(|name| (name == "https_proxy").then(|| OsString::from_vec(b"http://\xff".to_vec())));
        assert!(error.unwrap_err().to_string().contains("not text"));
    }

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
