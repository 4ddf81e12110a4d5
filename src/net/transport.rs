//! HTTP: one request, one answer, nothing hidden. What may be sent again is not decided here.

use super::answer::MAX_BODY;
use super::error::{ApiError, ErrorKind};
use super::redact;
use crate::net;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use std::time::Duration;
use url::Url;

/// Of a whole request, whatever the bytes do.
const TOTAL_TIMEOUT: Duration = Duration::from_secs(300);

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
        redact::without(&text, self.token.expose_secret()).unwrap_or(text)
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

pub(crate) fn build(builder: reqwest::ClientBuilder) -> Result<reqwest::Client, ClientError> {
    builder.build().map_err(|error| ClientError::Http(net::chain(&error)))
}
