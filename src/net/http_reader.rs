//! Reads any HTTP API that answers with JSON, with the one generic call ([`Caller`]).
//!
//! Requests go to one origin, and so do the credentials in their headers: a request for another origin is not sent, and
//! a redirect is an error that says where to. No error shows a header, a query, or the user and password of a URL.

use super::answer::{self, RateHeaders, Waits};
use super::breaker::BreakerSettings;
use super::caller::{Caller, Request, Tries};
use super::error::{ApiError, ErrorKind};
use super::lenient;
use super::message::{self, ApiMessage};
use super::rate::PaceSettings;
use super::redact;
use super::retry::{Failed, RetryPolicy};
use super::transport::{HttpAnswer, SetupError, Transport};
use crate::figures::Figures;
use crate::net;
use crate::stop::Stop;
use bytes::Bytes;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde::de::IgnoredAny;
use std::borrow::Cow;
use std::fmt;
use url::Url;

/// How to reach an API.
#[derive(Debug, Clone)]
pub(crate) struct ReaderSettings {
    /// Its calls' name among the figures and in errors.
    pub name: &'static str,
    /// The origin that requests go to; a path is of no account.
    pub base: Url,
    /// What limits the calls.
    pub pace: PaceSettings,
    /// Retries.
    pub retry: RetryPolicy,
    /// The circuit breaker.
    pub breaker: BreakerSettings,
    /// The largest answer that is read, in bytes; see [`answer::MAX_BODY`].
    pub max_body: usize,
}

/// How a request asks. Nothing else: a reader changes nothing, and sends a request again whenever that may help.
#[derive(Clone)]
pub(crate) enum Method {
    Get,
    /// With a body: a search, for example.
    Post(Bytes),
}

/// A request for JSON. What is shown of it has no secrets.
#[derive(Clone)]
pub(crate) struct HttpRequest {
    pub(crate) method: Method,
    /// At the reader's origin.
    pub(crate) url: Url,
    /// Each counts as a secret. `Accept` and `Content-Type` ask for and announce JSON unless they are here.
    pub(crate) headers: Vec<(HeaderName, SecretString)>,
}

impl fmt::Display for HttpRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let method = match self.method {
            Method::Get => "GET",
            Method::Post(_) => "POST",
        };
        write!(f, "{method} {}", shown(&self.url))
    }
}

impl fmt::Debug for HttpRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Reads from one API. Calls may be made side by side: they share the pace, the breaker and the figures.
#[derive(Debug)]
pub(crate) struct HttpReader {
    name: &'static str,
    base: Url,
    caller: Caller,
    transport: Transport,
}

impl HttpReader {
    /// Makes a reader; sends nothing.
    pub(crate) fn new(settings: ReaderSettings, stop: Stop) -> Result<Self, SetupError> {
        let ReaderSettings { name, base, pace, retry, breaker, max_body } = settings;
        if !net::is_safe(&base) {
            return Err(SetupError::Unsafe(shown(&base)));
        }
        let json = HeaderValue::from_static("application/json");
        let transport =
            Transport::new(base.scheme() == "https", &HeaderMap::from_iter([(ACCEPT, json)]), max_body)?;
        let caller = Caller::new(base.origin().ascii_serialization(), &pace, retry, breaker, stop);
        Ok(Self { name, base, caller, transport })
    }

    /// Reads. Waits for the rate, for a limit that the API has reached and for an API that is down; tries again what may
    /// pass. The body of an answer is JSON that a strict parser accepts, or empty (204).
    ///
    /// 401 and 403 are [`ErrorKind::Unauthorized`] and [`ErrorKind::Forbidden`], 404 is [`ErrorKind::NotFound`], a redirect is
    /// [`ErrorKind::Moved`], an answer that is too long [`ErrorKind::Unexpected`], and a request that cannot be sent
    /// [`ErrorKind::Refused`].
    pub(crate) async fn read(&self, request: &HttpRequest) -> Result<HttpAnswer, ApiError> {
        let tries = Tries::default();
        let named = |error: ApiError| ApiError {
            text: format!("{request}: {}", error.text),
            attempts: tries.sent(),
            ..error
        };
        let sending = self.prepare(request).map_err(|why| {
            named(ApiError::unanswered(self.name, ErrorKind::Refused, format!("not sent: {why}")))
        })?;
        let attempt = || async {
            // The read itself tells as well as any other whether the API is there.
            let outcome = self.caller.attempt(&sending, &sending, &tries).await;
            outcome.map_err(|failed| Failed { error: named(failed.error), ..failed })
        };
        self.caller.tries(self.caller.policy(), self.name, attempt).await
    }

    /// What the reader has done and is doing; see [`Caller::figures`].
    pub(crate) fn figures(&self) -> Figures {
        self.caller.figures()
    }

    /// The request as it is sent, or why it is not.
    fn prepare<'a>(&'a self, request: &'a HttpRequest) -> Result<Sending<'a>, String> {
        let own = self.base.origin();
        if request.url.origin() != own {
            return Err(format!("requests and credentials go to {} only", own.ascii_serialization()));
        }
        let mut headers = HeaderMap::new();
        if matches!(request.method, Method::Post(_)) {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        for (name, value) in &request.headers {
            let mut value = HeaderValue::try_from(value.expose_secret())
                .map_err(|_| format!("the header `{name}` has characters that cannot be sent"))?;
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        Ok(Sending { reader: self, request, headers })
    }
}

/// A request, as it is sent.
struct Sending<'a> {
    reader: &'a HttpReader,
    request: &'a HttpRequest,
    headers: HeaderMap,
}

impl Request for Sending<'_> {
    type Answer = HttpAnswer;

    fn endpoint(&self) -> &'static str {
        self.reader.name
    }

    async fn exchange(&self, reconnect: bool) -> Result<HttpAnswer, ApiError> {
        let HttpRequest { method, url, .. } = self.request;
        let request = |http: &Client| {
            let request = match method {
                Method::Get => http.get(url.clone()),
                Method::Post(body) => http.post(url.clone()).body(body.clone()),
            };
            request.headers(self.headers.clone())
        };
        let exchanged = self.reader.transport.exchange(self.reader.name, request, reconnect).await;
        exchanged.map_err(|error| match error.kind {
            // Too long, and as long the next time.
            ErrorKind::Unreadable => ApiError { kind: ErrorKind::Unexpected, ..error },
            _ => error,
        })
    }

    fn judge(&self, answer: HttpAnswer) -> Result<HttpAnswer, ApiError> {
        let name = self.reader.name;
        let HttpAnswer { status, headers, body } = answer;
        let text = lenient::text(&body);
        if !status.is_success() {
            let message = ApiMessage::read(&text);
            let waits = Waits::read(&headers, &message);
            let to = answer::location(&headers).and_then(|to| self.request.url.join(&to).ok());
            let to = to.map(|to| shown(&to));
            let kind = match ErrorKind::of(status, waits, to.as_deref()) {
                ErrorKind::Forbidden if is_limit(&headers, waits) => {
                    ErrorKind::Throttled { retry_after: waits.usable }
                }
                kind => kind,
            };
            let words = match message.words() {
                _ if matches!(kind, ErrorKind::Moved { .. }) => "redirects are not followed".to_owned(),
                words if words.is_empty() => message::beginning(&text),
                words => words,
            };
            return Err(ApiError::refused(name, status, kind, &words, waits, to));
        }
        if !(status == StatusCode::NO_CONTENT && text.is_empty())
            && let Err(error) = serde_json::from_str::<IgnoredAny>(&text)
        {
            let (kind, begins) = (answer::content_type(&headers), message::beginning(&text));
            let text = format!("{status} with an answer that is not JSON ({kind}; {error}): {begins}");
            let error = ApiError::unanswered(name, ErrorKind::Unreadable, text);
            return Err(ApiError { status: Some(status), ..error });
        }
        let body = match text {
            Cow::Borrowed(text) if text.len() == body.len() => body,
            text => text.into_owned().into_bytes(),
        };
        Ok(HttpAnswer { status, headers, body })
    }

    fn clean(&self, text: String) -> String {
        let HttpRequest { url, headers, .. } = self.request;
        let headers = headers.iter().map(|(_, value)| value.expose_secret());
        let of_url = [Some(url.username()), url.password(), url.query()].into_iter().flatten();
        let decoded: Vec<_> = url.query_pairs().map(|(_, value)| value).collect();
        let whole = headers.chain(of_url);
        // A scheme, a name or a quote may stand before what is secret: `Bearer ...`, `token="..."`, `key=...&`.
        let parts = whole.clone().flat_map(|text| text.split(|c: char| " \t=\",;:&".contains(c)));
        let secrets: Vec<&str> = whole.chain(parts).chain(decoded.iter().map(AsRef::as_ref)).collect();
        redact::without(&text, &secrets).unwrap_or(text)
    }
}

/// Whether a 403 says that the limit is reached. Some APIs answer so instead of with 429.
/// (Source: "Rate limits for the REST API", docs.github.com.)
fn is_limit(headers: &HeaderMap, waits: Waits) -> bool {
    waits.asked.is_some() || RateHeaders::read(headers).remaining == Some(0)
}

/// A URL without what may be secret in it.
fn shown(url: &Url) -> String {
    if url.has_host() {
        format!("{}{}", url.origin().ascii_serialization(), url.path())
    } else {
        format!("{}:...", url.scheme())
    }
}

#[cfg(test)]
#[path = "http_reader_tests.rs"]
mod tests;
