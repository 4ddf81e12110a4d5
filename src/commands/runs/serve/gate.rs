//! Who gets an answer: whoever knows the token, and asks under a name of this machine.
//!
//! The name matters because a page from elsewhere could make its own name stand for 127.0.0.1 and then read what is served
//! there (DNS rebinding). An IP address is no such name.

use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, header};
use sha2::{Digest, Sha256};
use std::hint::black_box;
use std::net::IpAddr;

/// The longest path and query that are looked at, in bytes.
const LONGEST: usize = 2000;

/// The gate.
pub(super) struct Gate {
    token: String,
    /// Names that are answered besides `localhost` and IP addresses, in lower case.
    hosts: Vec<String>,
}

/// A request that may be answered.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Passed {
    /// The path behind the token; empty where there is not even a slash.
    pub path: String,
    /// The query.
    pub query: String,
}

/// Why a request gets no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    /// It asks for another host.
    Host,
    /// It does not know the token.
    Token,
    /// It is neither a GET nor a HEAD.
    Method,
}

impl Gate {
    /// A gate with a new token. Fails for what is no host name.
    pub(super) fn new(hosts: &[String]) -> Result<Self, String> {
        let is_name = |name: &str| {
            !name.is_empty()
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte))
        };
        if let Some(wrong) = hosts.iter().find(|name| !is_name(name)) {
            return Err(format!("`{wrong}` is not a host name such as batch.example.com, without a port"));
        }
        let hosts = hosts.iter().map(|name| name.trim_end_matches('.').to_ascii_lowercase()).collect();
        // The generator of this thread is fit for secrets.
        Ok(Self { token: format!("{:032x}", rand::random::<u128>()), hosts })
    }

    /// The token.
    pub(super) fn token(&self) -> &str {
        &self.token
    }

    /// Lets a request pass, or says why not.
    pub(super) fn pass(&self, parts: &Parts) -> Result<Passed, Refused> {
        if !self.is_ours(&parts.headers) || parts.uri.host().is_some_and(|host| !self.is_name(host)) {
            return Err(Refused::Host);
        }
        let path = parts.uri.path();
        let query = parts.uri.query().unwrap_or_default();
        let (token, rest) = match path.get(1..).unwrap_or_default().split_once('/') {
            Some((token, rest)) => (token, format!("/{rest}")),
            None => (path.get(1..).unwrap_or_default(), String::new()),
        };
        if !is_same(token, &self.token) || path.len() + query.len() > LONGEST {
            return Err(Refused::Token);
        }
        if !matches!(parts.method, Method::GET | Method::HEAD) {
            return Err(Refused::Method);
        }
        Ok(Passed { path: rest, query: query.to_owned() })
    }

    /// Whether the one `Host` of a request is a name of this machine.
    fn is_ours(&self, headers: &HeaderMap) -> bool {
        let mut hosts = headers.get_all(header::HOST).iter();
        let (Some(host), None) = (hosts.next(), hosts.next()) else { return false };
        let Ok(host) = host.to_str() else { return false };
        // The port is that of a tunnel or a proxy, perhaps.
        let name = match host.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
            _ => host,
        };
        self.is_name(name)
    }

    fn is_name(&self, name: &str) -> bool {
        if let Some(ip) = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')) {
            return ip.parse::<IpAddr>().is_ok_and(|ip| ip.is_ipv6());
        }
        let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
        name == "localhost"
            || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_ipv4())
            || self.hosts.contains(&name)
    }
}

/// Compares in a time that says nothing of where they differ, or of their lengths: it compares hashes, and all of them.
fn is_same(one: &str, other: &str) -> bool {
    let (one, other) = (Sha256::digest(one), Sha256::digest(other));
    let differs = one.iter().zip(other.iter()).fold(0, |differs, (a, b)| differs | (a ^ b));
    black_box(differs) == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::Request;

    fn pass(gate: &Gate, method: &str, uri: &str, hosts: &[&str]) -> Result<Passed, Refused> {
        let mut request = Request::builder().method(method).uri(uri);
        for host in hosts {
            request = request.header("Host", *host);
        }
        gate.pass(&request.body(()).unwrap().into_parts().0)
    }

    fn gate() -> Gate {
        Gate { token: "t0ken".to_owned(), hosts: vec!["batch.example.com".to_owned()] }
    }

    #[test]
    fn only_names_of_this_machine_are_answered() {
        for host in [
            "127.0.0.1:5555",
            "127.0.0.1",
            "localhost:80",
            "LOCALHOST",
            "localhost.",
            "[::1]:5555",
            "[::1]",
            "10.1.2.3:5555",
            "Batch.Example.com:443",
        ] {
            assert!(pass(&gate(), "GET", "/t0ken/", &[host]).is_ok(), "{host}");
        }
        let wrong: [&[&str]; 12] = [
            &[],
            &[""],
            &["evil.example.com"],
            &["localhost.evil.example.com:5555"],
            &["127.0.0.1.evil.example.com"],
            &["127.0.0.1", "127.0.0.1"],
            &["127.0.0.1@evil.example.com"],
            &["[127.0.0.1]"],
            &["::1"],
            &["localhost:x"],
            &["batch.example.com.evil.com"],
            &["[fe80::1%25evil.com]"],
        ];
        for hosts in wrong {
            assert_eq!(pass(&gate(), "GET", "/t0ken/", hosts), Err(Refused::Host), "{hosts:?}");
        }
        let absolute = pass(&gate(), "GET", "http://evil.example.com/t0ken/", &["127.0.0.1"]);
        assert_eq!(absolute, Err(Refused::Host));
    }

    #[test]
    fn without_the_token_nothing_is_said() {
        let ask = |uri: &str| pass(&gate(), "GET", uri, &["localhost"]);
        for uri in ["/", "/t0ke", "/t0ken2/", "/T0KEN/", "/x/t0ken/", "//t0ken/", "/?t0ken", "/%740ken/", "*"]
        {
            assert_eq!(ask(uri), Err(Refused::Token), "{uri}");
        }
        assert_eq!(pass(&gate(), "POST", "/x/", &["localhost"]), Err(Refused::Token));
        assert_eq!(pass(&gate(), "POST", "/t0ken/", &["localhost"]), Err(Refused::Method));
        let passed = |path: &str, query: &str| Ok(Passed { path: path.to_owned(), query: query.to_owned() });
        assert_eq!(ask("/t0ken"), passed("", ""));
        assert_eq!(ask("/t0ken/"), passed("/", ""));
        assert_eq!(ask("/t0ken/runs/../x?a=b&c"), passed("/runs/../x", "a=b&c"));
        assert_eq!(pass(&gate(), "HEAD", "/t0ken/", &["localhost"]), passed("/", ""));
        assert_eq!(ask(&format!("/t0ken/{}", "x".repeat(LONGEST))), Err(Refused::Token));
    }

    #[test]
    fn tokens_are_new_and_names_are_checked() {
        let token = || Gate::new(&[]).unwrap().token().to_owned();
        assert!(token() != token() && token().len() == 32);
        for wrong in ["", "a b", "http://x", "x:1", "*"] {
            assert!(Gate::new(&[wrong.to_owned()]).is_err(), "{wrong}");
        }
        assert!(is_same("", "") && !is_same("", "x") && !is_same("ab", "aB"));
    }
}
