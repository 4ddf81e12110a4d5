//! The way of a request: count it, hold it against the limit and the token, break it or answer it.

use super::check;
use super::connection::Connection;
use super::control;
use super::endpoints::{self, Endpoint};
use super::error::ApiError;
use super::fault::{Action, When};
use super::limit::{Limiter, Standing};
use super::prices;
use super::query;
use super::server::{HTML, PAGE, Server};
use super::storage;
use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use futures_util::stream;
use std::io;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, SystemTime};

/// The largest body that is read, in bytes.
const LARGEST_BODY: usize = 4 << 20;
/// The count of calls that name no endpoint.
const UNKNOWN: &str = "unknown";
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// An answer before it is sent.
struct Reply {
    status: u16,
    content_type: HeaderValue,
    body: Vec<u8>,
    retry_after: Option<u64>,
    location: Option<String>,
    delay: Duration,
    ending: Ending,
}

/// How much of an answer the client gets.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ending {
    Whole,
    Cut,
    Reset,
    Never,
}

impl Server {
    /// Serves the API.
    pub(super) fn router(self: Arc<Self>) -> Router {
        Router::new().fallback(serve).with_state(self)
    }

    /// Serves the artifacts.
    pub(super) fn storage_router(self: Arc<Self>) -> Router {
        Router::new().fallback(storage::serve).with_state(self)
    }

    /// What is to be answered, with every change made that the call makes.
    fn reply(&self, name: &str, parts: &Parts, body: &[u8], standing: Option<Standing>) -> Reply {
        if let Some(seconds) = standing.and_then(|standing| standing.retry_after) {
            self.stats.throttled();
            let error = ApiError::of_status(429).with("retry_after", seconds);
            return Reply { retry_after: Some(seconds), ..Reply::error(&error) };
        }
        if name == prices::NAME {
            let (status, body) = prices::answer(parts.uri.query().unwrap_or_default());
            let true_answer = || Reply::new(status, JSON, body.to_string().into_bytes());
            return match self.faults.pick(name) {
                None => true_answer(),
                Some(fault) => Reply { delay: fault.delay, ..broken(&fault.action, true_answer) },
            };
        }
        if !authorized(&parts.headers) {
            return Reply::error(&ApiError::of_status(401));
        }
        let endpoint = endpoints::find(name);
        let true_answer = || match self.answer(endpoint, name, parts, body) {
            Ok(body) => Reply::new(endpoint.map_or(200, |endpoint| endpoint.status), JSON, body),
            Err(error) => Reply::error(&error),
        };
        match self.faults.pick(name) {
            None => true_answer(),
            Some(fault) => Reply { delay: fault.delay, ..broken(&fault.action, true_answer) },
        }
    }

    fn answer(
        &self,
        endpoint: Option<&Endpoint>,
        name: &str,
        parts: &Parts,
        body: &[u8],
    ) -> endpoints::Answer {
        let Some(endpoint) = endpoint else {
            return Err(ApiError::unrouted(format!("the sandbox has no endpoint `{name}`")));
        };
        let body = match parts.method {
            Method::POST => check::parse(body)?,
            Method::GET if endpoint.reads => {
                query::body(parts.uri.query().unwrap_or_default(), endpoint.fields)
            }
            _ => {
                let message = format!("`{name}` is a POST with a JSON body; reads may be a GET too");
                return Err(ApiError::new(405, "method_not_allowed", message));
            }
        };
        check::fits(&body, endpoint.fields, self.world.native)?;
        if !endpoint.reads {
            check::holds(&body, endpoint.fields)?;
        }
        (endpoint.run)(&self.world, &body)
    }
}

async fn serve(
    State(server): State<Arc<Server>>,
    ConnectInfo(connection): ConnectInfo<Connection>,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path();
    server.world.settle();
    if let Some(rest) = path.strip_prefix("/_sandbox/") {
        let body = to_bytes(body, LARGEST_BODY).await.unwrap_or_default();
        return control::answer(&server, &parts.method, rest, &body);
    }
    // Only the last segment counts: a base URL may have a path of its own.
    let name = path.rsplit('/').next().unwrap_or_default();
    let counted = if name == prices::NAME { prices::NAME } else { UNKNOWN };
    server.stats.arrived(endpoints::find(name).map_or(counted, |endpoint| endpoint.name));
    let standing = server.limiter.as_ref().map(Limiter::take);
    let reply = match to_bytes(body, LARGEST_BODY).await {
        Ok(body) => {
            let closed = server.closed.read().unwrap_or_else(PoisonError::into_inner);
            if *closed {
                Reply { ending: Ending::Reset, ..Reply::new(200, JSON, Vec::new()) }
            } else {
                server.reply(name, &parts, &body, standing)
            }
        }
        Err(_) => Reply::error(&ApiError::new(413, "bad_request", "the body is broken off or too large")),
    };
    let delay = server.delay + reply.delay;
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
    match reply.ending {
        Ending::Whole | Ending::Cut => server.stats.answered(reply.status),
        // What is returned after the reset cannot be written any more.
        Ending::Reset => connection.reset(),
        Ending::Never => std::future::pending().await,
    }
    reply.response(standing)
}

/// Whether there is a token: after `Bearer`, or alone, as official clients send it.
fn authorized(headers: &HeaderMap) -> bool {
    let value = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut words = value.split_whitespace();
    match (words.next(), words.next(), words.next()) {
        (Some(scheme), Some(_), None) => scheme.eq_ignore_ascii_case("bearer"),
        (Some(token), None, None) => !token.eq_ignore_ascii_case("bearer"),
        _ => false,
    }
}

/// Breaks a call. `answer` carries it out.
fn broken(action: &Action, answer: impl Fn() -> Reply) -> Reply {
    let without_answer = |when: When, ending: Ending| {
        if when == When::After {
            drop(answer());
        }
        Reply { ending, ..Reply::new(200, JSON, Vec::new()) }
    };
    match action {
        Action::Delay => answer(),
        Action::Truncate => Reply { ending: Ending::Cut, ..answer() },
        Action::Html => Reply::new(200, HTML, PAGE.to_vec()),
        Action::Reset(when) => without_answer(*when, Ending::Reset),
        Action::Hang(when) => without_answer(*when, Ending::Never),
        Action::Status { status, applied, page, retry_after, location } => {
            if *applied {
                drop(answer());
            }
            if *page {
                return Reply { retry_after: *retry_after, ..Reply::new(*status, HTML, PAGE.to_vec()) };
            }
            let mut error = ApiError::of_status(*status);
            if let Some(seconds) = retry_after {
                error = error.with("retry_after", *seconds);
            }
            Reply { retry_after: *retry_after, location: location.clone(), ..Reply::error(&error) }
        }
    }
}

impl Reply {
    fn new(status: u16, content_type: HeaderValue, body: Vec<u8>) -> Self {
        let (retry_after, location) = (None, None);
        let (delay, ending) = (Duration::ZERO, Ending::Whole);
        Self { status, content_type, body, retry_after, location, delay, ending }
    }

    fn error(error: &ApiError) -> Self {
        Self { location: error.location.clone(), ..Self::new(error.status, JSON, error.body()) }
    }

    fn response(self, standing: Option<Standing>) -> Response {
        let length = self.body.len();
        let body = match self.ending {
            Ending::Cut => cut(&self.body.into()),
            _ => self.body.into(),
        };
        let mut response = Response::new(body);
        *response.status_mut() = StatusCode::from_u16(self.status).unwrap_or(StatusCode::BAD_GATEWAY);
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, self.content_type);
        headers.insert(header::CONTENT_LENGTH, length.into());
        // Of the same moment as the reset beside it, and not from a cache.
        if let Ok(date) = HeaderValue::try_from(httpdate::fmt_http_date(SystemTime::now())) {
            headers.insert(header::DATE, date);
        }
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        if let Some(location) = self.location.and_then(|location| HeaderValue::try_from(location).ok()) {
            headers.insert(header::LOCATION, location);
        }
        if let Some(standing) = standing {
            headers.insert(HeaderName::from_static("x-ratelimit-limit"), standing.limit.into());
            headers.insert(HeaderName::from_static("x-ratelimit-remaining"), standing.remaining.into());
            headers.insert(HeaderName::from_static("x-ratelimit-reset"), standing.reset.into());
        }
        response
    }
}

/// The first half of a body, and then the end of the connection.
fn cut(whole: &Bytes) -> Body {
    let half = whole.slice(..whole.len() / 2);
    Body::from_stream(stream::unfold(Some(half), |half| async {
        match half {
            Some(half) if !half.is_empty() => Some((Ok(half), Some(Bytes::new()))),
            Some(_) => {
                // Hyper sends what it has while the body waits; without the wait it would send nothing.
                tokio::time::sleep(Duration::from_millis(2)).await;
                Some((Err(io::Error::other("broken off to order")), None))
            }
            None => None,
        }
    }))
}
