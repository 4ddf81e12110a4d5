//! Between `snowflake-api` and the network: every request of the crate passes here.
//!
//! The crate is good at logging in and at Arrow. What it lacks is done here:
//!
//! - it knows one host: requests go where the settings say instead
//! - it takes a whole result into memory at once, with the first rows last: the list of the result's parts is taken
//!   out of the answer, and [`super::read`] fetches them one by one, in order
//! - a query of more than 45 s is answered with a place to ask again, which it takes for nonsense
//! - some refusals lack members that it insists on: they are told apart here
//! - an answer of any length is read: here each has a bound, and each request a bounded number of tries
//!
//! Only SELECTs are sent, so a request whose answer was lost may be sent again.

use super::answer::{self, Taken, Terms};
use super::error::SnowflakeError;
use crate::net;
use crate::net::retry::{Failed, RetryPolicy, retry};
use crate::stop::Stop;
use bytes::Bytes;
use http::Extensions;
use reqwest::{Body, Method, Request, Response, StatusCode};
use reqwest_middleware::{Middleware, Next};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use url::Url;

/// The longest answer that is read, in bytes: a part of a result. Snowflake is asked for parts of 16 MB
/// (`CLIENT_RESULT_CHUNK_SIZE`, compressed).
const MAX_ANSWER: usize = 128 << 20;
/// The longest answer of JSON, which holds the first rows.
const MAX_JSON: usize = 32 << 20;
/// How long a query may run. It is not what ends a long query: Snowflake's STATEMENT_TIMEOUT_IN_SECONDS is.
const MAX_WAIT: Duration = Duration::from_secs(6 * 3600);
/// Between two questions whether a query has ended; Snowflake itself lets each wait up to 45 s.
const ASK_EVERY: Duration = Duration::from_millis(500);
/// A query that still runs.
const RUNNING: [&str; 2] = ["333333", "333334"];

/// Where requests go, and how often.
#[derive(Debug, Clone)]
pub(super) struct Route {
    /// The host that the crate believes in.
    pub(super) believed: String,
    /// The host that it is.
    pub(super) target: Url,
    pub(super) retry: RetryPolicy,
    /// What ends every wait.
    pub(super) stop: Stop,
    /// What the session has.
    pub(super) terms: Terms,
}

/// The middleware.
#[derive(Debug, Clone)]
pub(super) struct Wire {
    route: Arc<Route>,
    taken: Arc<Mutex<Taken>>,
}

/// Says to the crate that there is no answer; why is in [`Taken::failed`].
#[derive(Debug, thiserror::Error)]
#[error("no answer")]
struct NoAnswer;

impl Wire {
    pub(super) fn new(route: Route) -> Self {
        Self { route: Arc::new(route), taken: Arc::default() }
    }

    /// What was taken since the last call.
    pub(super) fn take(&self) -> Taken {
        std::mem::take(&mut *self.taken.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn taken(&self) -> std::sync::MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn pass(
        &self,
        mut request: Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> Result<Bytes, SnowflakeError> {
        if request.url().host_str() != Some(self.route.believed.as_str()) {
            if !net::is_safe(request.url()) {
                return Err(SnowflakeError::Answer(
                    "a part of the result is at an address that is not https".into(),
                ));
            }
            let (status, body) = self.exchange(request, extensions, &next, MAX_ANSWER).await?;
            return match status {
                StatusCode::OK => Ok(body),
                // Its links are good for some hours.
                _ => Err(SnowflakeError::Answer(format!(
                    "a part of the result was answered with HTTP {status}; if the link has expired, start again"
                ))),
            };
        }
        let mut url = self.route.target.clone();
        url.set_path(request.url().path());
        url.set_query(request.url().query());
        *request.url_mut() = url;
        let path = request.url().path().to_owned();
        if path.ends_with("/login-request") {
            answer::set_session(&mut request, &self.route.terms);
            let body = self.ask(request, extensions, &next).await?;
            return answer::login(body);
        }
        if !path.ends_with("/query-request") {
            return self.ask(request, extensions, &next).await;
        }
        answer::bind(&mut request, &self.route.terms);
        let again = request.headers().clone();
        let mut body = self.ask(request, extensions, &next).await?;
        let since = Instant::now();
        loop {
            let answer = answer::query(&body)?;
            if !RUNNING.contains(&answer.code()) {
                return answer.take(&mut self.taken());
            }
            if since.elapsed() > MAX_WAIT {
                return Err(SnowflakeError::Answer("the query still runs after 6 hours".into()));
            }
            self.sleep(ASK_EVERY).await?;
            let place = answer.place().and_then(|place| self.route.target.join(&place).ok());
            let place =
                place.filter(|place| place.origin() == self.route.target.origin()).ok_or_else(|| {
                    SnowflakeError::Answer(
                        "the query runs, but the answer does not say where its result will be".into(),
                    )
                })?;
            let mut request = Request::new(Method::GET, place);
            *request.headers_mut() = again.clone();
            request.headers_mut().remove(http::header::CONTENT_TYPE);
            request.headers_mut().remove(http::header::CONTENT_LENGTH);
            body = self.ask(request, extensions, &next).await?;
        }
    }

    /// A request to Snowflake itself, whose answers are JSON.
    async fn ask(
        &self,
        request: Request,
        extensions: &mut Extensions,
        next: &Next<'_>,
    ) -> Result<Bytes, SnowflakeError> {
        let (status, body) = self.exchange(request, extensions, next, MAX_JSON).await?;
        // Snowflake says what is wrong in JSON, mostly with 200; without it nobody of Snowflake's has answered.
        if status == StatusCode::OK || answer::is_one(&body) {
            return Ok(body);
        }
        Err(SnowflakeError::Account { host: self.host(), status: status.as_u16() })
    }

    /// Sends a request until it is answered.
    async fn exchange(
        &self,
        request: Request,
        extensions: &Extensions,
        next: &Next<'_>,
        most: usize,
    ) -> Result<(StatusCode, Bytes), SnowflakeError> {
        let host = request.url().host_str().unwrap_or_default().to_owned();
        let tries = AtomicU32::new(0);
        let attempt = || {
            let copy = request.try_clone();
            let (mut extensions, next) = (extensions.clone(), next.clone());
            let (host, tries) = (&host, &tries);
            async move {
                let last = |error| Failed { error, again: false, after: None };
                let copy = copy.ok_or_else(|| last(SnowflakeError::Answer("a defect: no body".into())))?;
                let tries = tries.fetch_add(1, Ordering::Relaxed) + 1;
                self.taken().sent += 1;
                let tried = self.route.stop.race(once(copy, &mut extensions, next, most)).await;
                match tried.ok_or_else(|| last(SnowflakeError::Interrupted))?.map_err(last)? {
                    Once::Answered(status, body) => Ok((status, body)),
                    Once::Failed(text, after) => {
                        let error = SnowflakeError::Unreachable { host: host.clone(), tries, text };
                        Err(Failed { error, again: true, after })
                    }
                }
            }
        };
        let seen = |failed: Failed<SnowflakeError>, delay: Duration| {
            tracing::warn!("Snowflake: {}; trying again in {:.1} s", failed.error, delay.as_secs_f64());
        };
        retry(self.route.retry, &self.route.stop, seen, attempt).await
    }

    async fn sleep(&self, delay: Duration) -> Result<(), SnowflakeError> {
        self.route.stop.race(tokio::time::sleep(delay)).await.ok_or(SnowflakeError::Interrupted)
    }

    fn host(&self) -> String {
        self.route.target.host_str().unwrap_or_default().to_owned()
    }
}

#[async_trait::async_trait]
impl Middleware for Wire {
    async fn handle(
        &self,
        request: Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> reqwest_middleware::Result<Response> {
        match self.pass(request, extensions, next).await {
            Ok(body) => Ok(Response::from(http::Response::new(Body::from(body)))),
            Err(error) => {
                self.taken().failed = Some(error);
                Err(reqwest_middleware::Error::middleware(NoAnswer))
            }
        }
    }
}

/// What became of one try.
enum Once {
    Answered(StatusCode, Bytes),
    /// It may be tried again, after so long if that is said.
    Failed(String, Option<Duration>),
}

async fn once(
    request: Request,
    extensions: &mut Extensions,
    next: Next<'_>,
    most: usize,
) -> Result<Once, SnowflakeError> {
    let failed = |error: reqwest_middleware::Error| {
        let text = match error {
            // The address of a part is as good as a password for it.
            reqwest_middleware::Error::Reqwest(error) => net::chain(&error.without_url()),
            reqwest_middleware::Error::Middleware(error) => error.to_string(),
        };
        Once::Failed(text, None)
    };
    let mut response = match next.run(request, extensions).await {
        Ok(response) => response,
        Err(error) => return Ok(failed(error)),
    };
    let status = response.status();
    if status.is_server_error() || matches!(status.as_u16(), 408 | 429) {
        let seconds = response.headers().get(http::header::RETRY_AFTER).and_then(|text| text.to_str().ok());
        let wait = seconds.and_then(|text| text.trim().parse().ok()).map(Duration::from_secs);
        return Ok(Once::Failed(format!("HTTP {status}"), wait));
    }
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(part)) if body.len() + part.len() > most => {
                return Err(SnowflakeError::Answer(format!("it is over {} MiB", most >> 20)));
            }
            Ok(Some(part)) => body.extend_from_slice(&part),
            Ok(None) => return Ok(Once::Answered(status, body.into())),
            Err(error) => return Ok(failed(error.into())),
        }
    }
}
