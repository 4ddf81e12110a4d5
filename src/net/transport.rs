//! HTTP: one request, one answer, nothing hidden. What may be sent again is not decided here.

use super::error::{ApiError, ErrorKind};
use crate::net;
use reqwest::header::HeaderMap;
use reqwest::{Client, RequestBuilder, StatusCode};
use std::time::Duration;

/// Of a whole request, whatever the bytes do.
const TOTAL_TIMEOUT: Duration = Duration::from_secs(300);

/// The connections could not be set up.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SetupError {
    /// What is sent there could be read on its way.
    #[cfg(feature = "load")]
    #[error("{0} is neither https nor http to this machine")]
    Unsafe(String),
    /// A proxy that would be bypassed.
    #[error(transparent)]
    Proxy(#[from] net::ProxyError),
    /// The HTTP library or the system's certificates.
    #[error("could not set up HTTPS: {0}")]
    Http(String),
}

/// A whole answer.
#[derive(Debug)]
pub(crate) struct HttpAnswer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    /// Decompressed.
    pub(crate) body: Vec<u8>,
}

/// The connections to one service.
#[derive(Debug)]
pub(crate) struct Transport {
    http: Client,
    /// Keeps no connection: each request gets a new one.
    alone: Client,
    /// The largest body that is read, in bytes.
    max_body: usize,
}

impl Transport {
    /// Sets connections up; opens none. Every request has these headers.
    pub(crate) fn new(is_https: bool, headers: &HeaderMap, max_body: usize) -> Result<Self, SetupError> {
        let connections = || -> Result<_, SetupError> {
            let builder = net::builder(is_https)?.default_headers(headers.clone());
            // By default a 301 would turn a POST into a GET without a body.
            Ok(builder.redirect(reqwest::redirect::Policy::none()).timeout(TOTAL_TIMEOUT))
        };
        let http = build(connections()?)?;
        let alone = build(connections()?.pool_max_idle_per_host(0))?;
        Ok(Self { http, alone, max_body })
    }

    /// One HTTP exchange: the whole answer, or a failure of the transport. `alone` takes a connection of its own: for what
    /// must not be sent twice, and where one that was idle has failed.
    pub(crate) async fn exchange(
        &self,
        endpoint: &'static str,
        request: impl FnOnce(&Client) -> RequestBuilder,
        alone: bool,
    ) -> Result<HttpAnswer, ApiError> {
        let http = if alone { &self.alone } else { &self.http };
        let failed = |kind: ErrorKind, error: reqwest::Error| {
            let what = if error.is_timeout() { "timed out" } else { "no answer" };
            ApiError::unanswered(endpoint, kind, format!("{what}: {}", net::chain(&error.without_url())))
        };
        let sent = request(http).send().await;
        let mut response = sent.map_err(|error| failed(unanswered(&error), error))?;
        let (status, headers) = (response.status(), std::mem::take(response.headers_mut()));
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| failed(ErrorKind::Broken, error))? {
            if body.len() + chunk.len() > self.max_body {
                let text = format!("the answer is over {} MiB", self.max_body >> 20);
                return Err(ApiError::unanswered(endpoint, ErrorKind::Unreadable, text));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(HttpAnswer { status, headers, body })
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

pub(crate) fn build(builder: reqwest::ClientBuilder) -> Result<Client, SetupError> {
    builder.build().map_err(|error| SetupError::Http(net::chain(&error)))
}
