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
/// What is shorter is no token of DevRev's but a stand-in, perhaps a common word.
const SHORTEST_TOKEN: usize = 12;

/// A client could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The token cannot be sent in a header.
    #[error("DEVREV_API_TOKEN has characters that cannot be sent in a header (a line break or a space?)")]
    Token,
    /// The HTTP library or the system's certificates.
    #[error("could not set up HTTPS: {0}")]
    Http(String),
}

/// A whole answer.
pub(super) type Exchanged = (reqwest::StatusCode, HeaderMap, Vec<u8>);

/// The connections to one base URL.
#[derive(Debug)]
pub(super) struct Transport {
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
    pub(super) fn new(base_url: &Url, token: &SecretString) -> Result<Self, ClientError> {
        let mut bearer = HeaderValue::try_from(format!("Bearer {}", token.expose_secret()))
            .map_err(|_| ClientError::Token)?;
        bearer.set_sensitive(true);
        let headers = HeaderMap::from_iter([
            (AUTHORIZATION, bearer),
            (CONTENT_TYPE, HeaderValue::from_static("application/json")),
        ]);
        let is_https = base_url.scheme() == "https";
        let api = || {
            net::builder(is_https)
                .default_headers(headers.clone())
                // By default a 301 would turn a POST into a GET without a body.
                .redirect(reqwest::redirect::Policy::none())
                .timeout(TOTAL_TIMEOUT)
        };
        let http = build(api())?;
        let alone = build(api().pool_max_idle_per_host(0))?;
        let base = format!("{}/", base_url.as_str().trim_end_matches('/'));
        Ok(Self { http, alone, is_https, base, token: token.clone() })
    }

    /// Whether nothing but HTTPS is spoken.
    pub(super) fn is_https(&self) -> bool {
        self.is_https
    }

    /// One HTTP exchange: the whole answer, or a failure of the transport.
    pub(super) async fn exchange(
        &self,
        endpoint: &'static str,
        body: bytes::Bytes,
    ) -> Result<Exchanged, ApiError> {
        self.exchange_through(&self.http, endpoint, body).await
    }

    /// The same on a connection of its own, for what must not be sent twice.
    pub(super) async fn exchange_alone(
        &self,
        endpoint: &'static str,
        body: bytes::Bytes,
    ) -> Result<Exchanged, ApiError> {
        self.exchange_through(&self.alone, endpoint, body).await
    }

    async fn exchange_through(
        &self,
        http: &reqwest::Client,
        endpoint: &'static str,
        body: bytes::Bytes,
    ) -> Result<Exchanged, ApiError> {
        let broken = |error: reqwest::Error| {
            let kind = if error.is_connect() { ErrorKind::Connect } else { ErrorKind::Broken };
            let what = if error.is_timeout() { "timed out" } else { "no answer" };
            ApiError::unanswered(endpoint, kind, format!("{what}: {}", net::chain(&error.without_url())))
        };
        let url = format!("{}{endpoint}", self.base);
        let mut response = http.post(url).body(body).send().await.map_err(broken)?;
        let (status, headers) = (response.status(), std::mem::take(response.headers_mut()));
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(broken)? {
            if body.len() + chunk.len() > MAX_BODY {
                let text = format!("the answer is over {} MiB", MAX_BODY >> 20);
                return Err(ApiError::unanswered(endpoint, ErrorKind::Unreadable, text));
            }
            body.extend_from_slice(&chunk);
        }
        Ok((status, headers, body))
    }

    /// The error without the token: a server or a gateway may show in its answer what it was sent.
    pub(super) fn without_token(&self, mut error: ApiError) -> ApiError {
        let token = self.token.expose_secret();
        let clean = |text: &mut String| {
            if token.len() >= SHORTEST_TOKEN && text.contains(token) {
                *text = text.replace(token, "[token]");
            }
        };
        clean(&mut error.text);
        if let ErrorKind::Moved { to: Some(to) } = &mut error.kind {
            clean(to);
        }
        error
    }
}

pub(super) fn build(builder: reqwest::ClientBuilder) -> Result<reqwest::Client, ClientError> {
    builder.build().map_err(|error| ClientError::Http(net::chain(&error)))
}
