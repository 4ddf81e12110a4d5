//! The answer of a service over HTTP, kept in a temporary file while it comes: for sources whose rows are JSON.

use crate::net;
use crate::net::answer::asked_wait;
use crate::net::retry::{Failed, RetryPolicy, retry};
use crate::stop::Stop;
use reqwest::StatusCode;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use std::fs::File;
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::time::Duration;
use url::Url;

/// The largest answer, in bytes.
const MOST_BYTES: u64 = 16 << 30;
/// How much of a refusal is read, in bytes.
const REFUSAL: usize = 4 << 10;

/// Why there is no answer. No text has a secret.
#[derive(Debug, thiserror::Error)]
pub enum DownloadError {
    /// A client could not be made.
    #[error("could not set up HTTPS: {0}")]
    Client(String),
    /// Nobody answers.
    #[error("no answer from {host}: {what}")]
    Unreachable {
        /// Who.
        host: String,
        /// Why.
        what: String,
    },
    /// The credentials are refused.
    #[error("{host} refuses the credentials (HTTP {status})")]
    Credentials {
        /// Who.
        host: String,
        /// The status.
        status: u16,
    },
    /// The query is refused.
    #[error("{host} refuses the query (HTTP {status}): {what}")]
    Refused {
        /// Who.
        host: String,
        /// The status.
        status: u16,
        /// In its own words.
        what: String,
    },
    /// It has too much to do, or is not there, behind a proxy.
    #[error("{host} does not answer now (HTTP {status})")]
    Busy {
        /// Who.
        host: String,
        /// The status.
        status: u16,
        /// The delay that it asks for.
        after: Option<Duration>,
    },
    /// The answer cannot be kept.
    #[error("cannot keep temporary data: {0}")]
    Disk(io::Error),
    /// The operator has stopped it.
    #[error("interrupted")]
    Interrupted,
}

/// What is sent, and how long an answer may take.
pub struct Request {
    /// Where to.
    pub url: Url,
    /// Headers; secrets among them are marked as such.
    pub headers: HeaderMap,
    /// The body.
    pub body: String,
    /// Of the whole exchange.
    pub timeout: Duration,
    /// How often it is sent again: a query only reads.
    pub retries: u32,
}

/// Sends a request until it is answered, and keeps the answer. Writes to the file between its waits: not for a thread that
/// must not block.
pub async fn download(request: &Request, stop: &Stop) -> Result<File, DownloadError> {
    let is_https = request.url.scheme() == "https";
    let client = |error: String| DownloadError::Client(error);
    let http = net::builder(is_https)
        .map_err(|error| client(error.to_string()))?
        .redirect(reqwest::redirect::Policy::none())
        .timeout(request.timeout)
        // Between two bytes, too: a query may run for long before the first.
        .read_timeout(request.timeout)
        .default_headers(request.headers.clone())
        .build()
        .map_err(|error| client(net::chain(&error)))?;
    let policy = RetryPolicy { max_retries: request.retries, base: Duration::from_secs(2) };
    let seen = |failed: Failed<DownloadError>, delay: Duration| {
        tracing::warn!("{}; trying again in {:.1} s", failed.error, delay.as_secs_f64());
    };
    let attempt = || async {
        let tried = stop.race(once(&http, request)).await;
        tried.unwrap_or(Err(DownloadError::Interrupted)).map_err(|error| {
            let again = matches!(error, DownloadError::Unreachable { .. } | DownloadError::Busy { .. });
            let after = if let DownloadError::Busy { after, .. } = error { after } else { None };
            Failed { error, again, after }
        })
    };
    retry(policy, stop, seen, attempt).await
}

async fn once(http: &reqwest::Client, request: &Request) -> Result<File, DownloadError> {
    let host = request.url.host_str().unwrap_or_default().to_owned();
    let unreachable = |error: reqwest::Error| DownloadError::Unreachable {
        host: host.clone(),
        what: net::chain(&error.without_url()),
    };
    let sent = http
        .post(request.url.clone())
        .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
        .body(request.body.clone())
        .send();
    let mut response = sent.await.map_err(unreachable)?;
    let status = response.status();
    if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
        return Err(DownloadError::Credentials { host, status: status.as_u16() });
    }
    // Not 500: ClickHouse has it for mistakes of a query, too.
    if matches!(status.as_u16(), 429 | 502..=504) {
        let after = asked_wait(response.headers());
        return Err(DownloadError::Busy { host, status: status.as_u16(), after });
    }
    if !status.is_success() {
        let mut body = Vec::new();
        while body.len() < REFUSAL
            && let Some(chunk) = response.chunk().await.map_err(unreachable)?
        {
            body.extend_from_slice(&chunk);
        }
        let text = String::from_utf8_lossy(&body);
        let what = text.lines().next().unwrap_or_default().chars().take(300).collect();
        return Err(DownloadError::Refused { host, status: status.as_u16(), what });
    }
    let mut file = BufWriter::new(tempfile::tempfile().map_err(DownloadError::Disk)?);
    let mut bytes = 0;
    while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
        bytes += chunk.len() as u64;
        if bytes > MOST_BYTES {
            let what = format!("the answer is over {} GiB", MOST_BYTES >> 30);
            return Err(DownloadError::Refused { host, status: status.as_u16(), what });
        }
        file.write_all(&chunk).map_err(DownloadError::Disk)?;
    }
    let mut file = file.into_inner().map_err(|error| DownloadError::Disk(error.into_error()))?;
    file.seek(SeekFrom::Start(0)).map_err(DownloadError::Disk)?;
    Ok(file)
}
