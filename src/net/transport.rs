//! HTTP: one request, one answer, nothing hidden. What may be sent again is not decided here.

use super::answer::MAX_BODY;
use super::error::{ApiError, ErrorKind};
use crate::net;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use std::time::Duration;
use url::Url;

/// Of a whole request, whatever the bytes do.
const TOTAL_TIMEOUT: Duration = Duration::from_secs(300);
/// What is shorter is no token of the API's but a stand-in, perhaps a common word.
const SHORTEST_TOKEN: usize = 12;

/// A client could not be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    /// The token cannot be sent in a header.
    #[error("DEVREV_API_TOKEN has characters that cannot be sent in a header (a line break or a space?)")]
    Token,
    /// A proxy that would be bypassed.
    #[error(transparent)]
    Proxy(#[from] net::ProxyError),
    /// The HTTP library or the system's certificates.
    #[error("could not set up HTTPS: {0}")]
    Http(String),
}

/// A whole answer.
pub(crate) type Exchanged = (reqwest::StatusCode, HeaderMap, Vec<u8>);

/// The connections to one base URL.
#[derive(Debug)]
pub(crate) struct Transport {
    http: reqwest::Client,
    /// Keeps no connection: each request gets a new one.
    alone: reqwest::Client,
    is_https: bool,
    /// Ends with a slash.
    base: String,
    token: SecretString,
}

impl Transport {
    /// Sets connections up; opens none.
    pub(crate) fn new(base_url: &Url, token: &SecretString) -> Result<Self, ClientError> {
        let mut bearer = HeaderValue::try_from(format!("Bearer {}", token.expose_secret()))
            .map_err(|_| ClientError::Token)?;
        bearer.set_sensitive(true);
        let headers = HeaderMap::from_iter([
            (AUTHORIZATION, bearer),
            (CONTENT_TYPE, HeaderValue::from_static("application/json")),
        ]);
        let is_https = base_url.scheme() == "https";
        let api = || -> Result<_, ClientError> {
            let builder = net::builder(is_https)?.default_headers(headers.clone());
            // By default a 301 would turn a POST into a GET without a body.
            Ok(builder.redirect(reqwest::redirect::Policy::none()).timeout(TOTAL_TIMEOUT))
        };
        let http = build(api()?)?;
        let alone = build(api()?.pool_max_idle_per_host(0))?;
        let base = format!("{}/", base_url.as_str().trim_end_matches('/'));
        Ok(Self { http, alone, is_https, base, token: token.clone() })
    }

    /// Whether nothing but HTTPS is spoken.
    pub(crate) fn is_https(&self) -> bool {
        self.is_https
    }

    /// One HTTP exchange: the whole answer, or a failure of the transport. `alone` takes a connection of its own: for what
    /// must not be sent twice, and where one that was idle has failed.
    pub(crate) async fn exchange(
        &self,
        endpoint: &'static str,
        body: bytes::Bytes,
        alone: bool,
    ) -> Result<Exchanged, ApiError> {
        let http = if alone { &self.alone } else { &self.http };
        let failed = |kind: ErrorKind, error: reqwest::Error| {
            let what = if error.is_timeout() { "timed out" } else { "no answer" };
            ApiError::unanswered(endpoint, kind, format!("{what}: {}", net::chain(&error.without_url())))
        };
        let url = format!("{}{endpoint}", self.base);
        let sent = http.post(url).body(body).send().await;
        let mut response = sent.map_err(|error| failed(unanswered(&error), error))?;
        let (status, headers) = (response.status(), std::mem::take(response.headers_mut()));
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| failed(ErrorKind::Broken, error))? {
            if body.len() + chunk.len() > MAX_BODY {
                let text = format!("the answer is over {} MiB", MAX_BODY >> 20);
                return Err(ApiError::unanswered(endpoint, ErrorKind::Unreadable, text));
            }
            body.extend_from_slice(&chunk);
        }
        Ok((status, headers, body))
    }

    /// The error without the token: a server or a gateway may show in its answer what it was sent.
    pub(crate) fn without_token(&self, mut error: ApiError) -> ApiError {
        error.text = self.clean(error.text);
        if let ErrorKind::Moved { to } = &mut error.kind {
            *to = to.take().map(|to| self.clean(to));
        }
        error
    }

    /// The same of a text.
    pub(crate) fn clean(&self, text: String) -> String {
        without(&text, self.token.expose_secret()).unwrap_or(text)
    }
}

/// The class of a request that got no answer.
fn unanswered(error: &reqwest::Error) -> ErrorKind {
    if error.is_connect() || is_refused_stream(error) { ErrorKind::Connect } else { ErrorKind::Broken }
}

/// Whether the server says that it has not processed the request (RFC 9113, 8.7).
fn is_refused_stream(error: &reqwest::Error) -> bool {
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<h2::Error>() {
            return error.is_remote()
                && error.is_reset()
                && error.reason() == Some(h2::Reason::REFUSED_STREAM);
        }
        cause = error.source();
    }
    false
}

/// The text without a token and without the beginnings of it: a long answer may have been cut in its midst. `None` if
/// nothing of it is there.
fn without(text: &str, token: &str) -> Option<String> {
    let begins = token.get(..SHORTEST_TOKEN)?;
    text.contains(begins).then(|| {
        let (mut clean, mut rest) = (String::with_capacity(text.len()), text);
        while let Some((before, found)) = rest.find(begins).map(|place| rest.split_at(place)) {
            let same = found.char_indices().zip(token.chars()).find(|((_, a), b)| a != b);
            // Without a difference the shorter of the two ends there.
            let end = same.map_or(found.len().min(token.len()), |((place, _), _)| place);
            clean.push_str(before);
            clean.push_str("[token]");
            rest = &found[end..];
        }
        clean + rest
    })
}

pub(crate) fn build(builder: reqwest::ClientBuilder) -> Result<reqwest::Client, ClientError> {
    builder.build().map_err(|error| ClientError::Http(net::chain(&error)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_token_is_left_in_a_text() {
        let token = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln";
        for (text, clean) in [
            (format!("bad {token}, and {token}"), Some("bad [token], and [token]")),
            (format!("bad {token}{token}"), Some("bad [token][token]")),
            // Cut, as a long answer is.
            (format!("bad {}", &token[..30]), Some("bad [token]")),
            (format!("bad {} (html)", &token[..12]), Some("bad [token] (html)")),
            (format!("bad {}\u{fffd}", &token[..20]), Some("bad [token]\u{fffd}")),
            (format!("bad {}", &token[..11]), None),
            ("all is well".to_owned(), None),
        ] {
            assert_eq!(without(&text, token).as_deref(), clean, "{text}");
        }
        // Too short to be told from a word.
        assert_eq!(without("the sandbox", "sandbox"), None);
        assert_eq!(
            without("\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}x", "\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}y")
                .as_deref(),
            Some("[token]x")
        );
    }
}
