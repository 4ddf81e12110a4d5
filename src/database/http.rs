//! What services that speak HTTP share, databases and others: one connection, answers of bounded length, and what failures of the network mean.

use super::error::{DatabaseError, LONGEST_QUERY_HOURS, one_line};
use crate::net;
use crate::net::answer::asked_wait;
use bytes::Bytes;
use reqwest::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use reqwest::{Client, RequestBuilder, Response, StatusCode, Version};
use std::time::Duration;
use url::Url;

/// A silence after which the other machine is asked whether it is still there.
const KEEPALIVE: Duration = Duration::from_secs(60);
/// The longest answer that is no result, in bytes.
const MAX_WORDS: usize = 64 << 10;

/// A service that is asked over HTTP.
#[derive(Debug)]
pub(crate) struct Connection {
    who: &'static str,
    place: String,
    /// What requests are made with.
    pub(crate) client: Client,
}

impl Connection {
    /// Sets a connection up; sends nothing. `silence` is the longest time between two bytes of an answer.
    pub(crate) fn new(who: &'static str, url: &Url, silence: Duration) -> Result<Self, DatabaseError> {
        let builder = net::builder(url.scheme() == "https")
            .map_err(|error| DatabaseError::Settings(error.to_string()))?;
        let client = builder
            .redirect(reqwest::redirect::Policy::none())
            .read_timeout(silence)
            .tcp_keepalive(KEEPALIVE)
            .timeout(Duration::from_secs(LONGEST_QUERY_HOURS * 3600))
            .build()
            .map_err(|error| DatabaseError::Answer {
                who,
                text: format!("could not set up HTTPS: {error}"),
            })?;
        Ok(Self { who, place: url.origin().ascii_serialization(), client })
    }

    /// Sends a request. An answer of any status is one.
    pub(crate) async fn send(&self, request: RequestBuilder) -> Result<Response, DatabaseError> {
        request.send().await.map_err(|error| self.broken(error))
    }

    /// An answer of which it shows where it ends: one that only the end of the connection ends may have been cut off, and
    /// is whole line by line all the same.
    #[cfg_attr(
        not(feature = "clickhouse"),
        expect(dead_code, reason = "only ClickHouse answers line by line")
    )]
    pub(crate) fn bounded(&self, response: Response) -> Result<Response, DatabaseError> {
        let has = |name| response.headers().contains_key(name);
        if response.version() >= Version::HTTP_2 || has(CONTENT_LENGTH) || has(TRANSFER_ENCODING) {
            return Ok(response);
        }
        let text = "it does not say where it ends, so one that was cut off could not be told: ask without the proxy in \
                    between";
        Err(self.odd(text.to_owned()))
    }

    /// The next bytes of an answer; none at its end.
    pub(crate) async fn chunk(&self, response: &mut Response) -> Result<Option<Bytes>, DatabaseError> {
        response.chunk().await.map_err(|error| self.broken(error))
    }

    /// A whole answer of at most so many bytes.
    pub(crate) async fn whole(&self, mut response: Response, most: usize) -> Result<Vec<u8>, DatabaseError> {
        let mut body = Vec::new();
        while let Some(part) = self.chunk(&mut response).await? {
            if body.len() + part.len() > most {
                return Err(self.odd(format!("it is longer than {} KiB", most >> 10)));
            }
            body.extend_from_slice(&part);
        }
        Ok(body)
    }

    /// The words of an answer that is no result: as many as help.
    pub(crate) async fn words(&self, mut response: Response) -> Vec<u8> {
        let mut body = Vec::new();
        self.more_words(&mut response, &mut body).await;
        body
    }

    /// Adds what comes next of such an answer.
    pub(crate) async fn more_words(&self, response: &mut Response, body: &mut Vec<u8>) {
        // What is missing of a failure's explanation is no failure of its own.
        while let Ok(Some(part)) = response.chunk().await {
            body.extend_from_slice(&part);
            if body.len() > MAX_WORDS {
                body.truncate(MAX_WORDS);
                break;
            }
        }
    }

    /// What an answer means that says no more than its status.
    pub(crate) fn unanswered(&self, response: &Response) -> DatabaseError {
        let status = response.status();
        if status.is_server_error()
            || matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS)
        {
            return self.unreachable(&format!("HTTP {status}"), asked_wait(response.headers()));
        }
        self.odd(format!("HTTP {status}"))
    }

    /// An answer that cannot be used.
    pub(crate) fn odd(&self, text: String) -> DatabaseError {
        DatabaseError::Answer { who: self.who, text }
    }

    pub(crate) fn unreachable(&self, text: &str, after: Option<Duration>) -> DatabaseError {
        DatabaseError::Unreachable { who: self.who, place: self.place.clone(), text: one_line(text), after }
    }

    fn broken(&self, error: reqwest::Error) -> DatabaseError {
        if error.is_builder() {
            return self.odd(net::chain(&error.without_url()));
        }
        self.unreachable(&net::chain(&error.without_url()), None)
    }
}
