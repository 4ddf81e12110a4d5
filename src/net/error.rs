//! What can go wrong with a call, classified once: here, where the answer or its absence is at hand.
//!
//! Policy reads the class and never the status: [`ApiError::transient`] says whether another try may help,
//! `effect` whether the API may have carried out the request.

use super::answer::{self, Waits};
use super::calls::LONGEST_RETRY_AFTER;
use reqwest::StatusCode;
use std::time::Duration;

/// What a failed request may have changed in the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Nothing: it was never sent, or the API refused it.
    None,
    /// Not known: it was sent, and the answer is missing, unreadable or a server's failure.
    Unknown,
}

/// The class of a failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ErrorKind {
    /// 401: the token is missing, wrong or expired.
    Unauthorized,
    /// 403: the token's user may not do this.
    Forbidden,
    /// 404: there is no such object.
    NotFound,
    /// 409: the object is not in a state that allows this, or a unique value is taken.
    Conflict,
    /// 301 and its kin: it is elsewhere, which is for the caller to follow.
    Moved {
        /// The new place, where the answer names one.
        to: Option<String>,
    },
    /// Any other 4xx: the request itself is wrong.
    Refused,
    /// 429: the rate limit; `retry_after` as the answer says.
    Throttled {
        /// How long to keep away.
        retry_after: Option<Duration>,
    },
    /// 5xx.
    Server,
    /// No connection, or the server turned the request away unread (HTTP/2 REFUSED_STREAM): it was not sent.
    Connect,
    /// The connection broke or a timeout passed after the request may have left.
    Broken,
    /// An answer that is not the API's: a 2xx with HTML or cut JSON, or a refusal in a gateway's words.
    Unreadable,
    /// A 2xx with JSON that is not what the endpoint answers: asking again would not help.
    Unexpected,
    /// A list that hands out the same cursor again, or more pages than any list has.
    Paging,
    /// The circuit breaker is open and gave up.
    BreakerOpen,
    /// The run is being stopped; the request was not sent.
    Stopped,
    /// What the write rests on grew too old while it waited; the request was not sent.
    Stale,
    /// A file came, and could not be written to the disk.
    NotKept,
}

impl ErrorKind {
    /// The class of an answer that is no success, whoever gives it.
    pub(crate) fn of(status: StatusCode, waits: Waits, location: Option<&str>) -> Self {
        match status.as_u16() {
            401 => Self::Unauthorized,
            403 => Self::Forbidden,
            404 => Self::NotFound,
            409 => Self::Conflict,
            // A gateway's: the request may have gone further than its answer came back.
            408 => Self::Broken,
            429 => Self::Throttled { retry_after: waits.usable },
            300..=399 => Self::Moved { to: location.map(str::to_owned) },
            500..=599 => Self::Server,
            _ => Self::Refused,
        }
    }

    /// What a request that ended so may have changed.
    fn effect(&self) -> Effect {
        match self {
            Self::Server | Self::Broken | Self::Unreadable | Self::Unexpected => Effect::Unknown,
            Self::Unauthorized
            | Self::Forbidden
            | Self::NotFound
            | Self::Conflict
            | Self::Moved { .. }
            | Self::Refused
            | Self::Throttled { .. }
            | Self::Connect
            | Self::Paging
            | Self::BreakerOpen
            | Self::Stopped
            | Self::Stale
            | Self::NotKept => Effect::None,
        }
    }
}

/// A call that failed.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{endpoint}: {text}")]
pub(crate) struct ApiError {
    /// The endpoint, such as `works.update`.
    pub endpoint: &'static str,
    /// The class.
    pub kind: ErrorKind,
    /// The HTTP status, if there was an answer.
    pub status: Option<StatusCode>,
    /// What the request may have changed, were it a write.
    pub effect: Effect,
    /// How many times the request was sent.
    pub attempts: u32,
    /// What happened, in the API's own words where it has any.
    pub text: String,
}

impl ApiError {
    /// A failure without an answer.
    pub(crate) fn unanswered(endpoint: &'static str, kind: ErrorKind, text: impl Into<String>) -> Self {
        let effect = kind.effect();
        Self { endpoint, kind, status: None, effect, attempts: 0, text: text.into() }
    }

    /// An answer that contradicts itself or the question.
    pub(crate) fn of_answer(text: impl Into<String>) -> Self {
        Self::unanswered("answer", ErrorKind::Unreadable, text)
    }

    /// A storage host's refusal, whose body is not in the API's form and may quote the signed URL.
    pub(crate) fn of_storage(endpoint: &'static str, status: StatusCode) -> Self {
        // It knows nothing of the token or the API's limit, whatever it answers.
        let kind = match status.as_u16() {
            429 | 500..=599 => ErrorKind::Server,
            _ => ErrorKind::Refused,
        };
        let text = format!("the storage host answers {status}");
        Self { status: Some(status), ..Self::unanswered(endpoint, kind, text) }
    }

    /// An answer that is no success, of this class. `words` are what the answer says, cut to a length that fits into a
    /// journal; `location` is where it points to.
    pub(crate) fn refused(
        endpoint: &'static str,
        status: StatusCode,
        kind: ErrorKind,
        words: &str,
        waits: Waits,
        location: Option<String>,
    ) -> Self {
        let mut text = format!("{status}");
        if kind == ErrorKind::Unreadable {
            text.push_str(" that is not the API's own");
        }
        if !words.is_empty() {
            text = format!("{text}: {words}");
        }
        if let Some(location) = location {
            text = format!("{text} (now at {location})");
        }
        if let Some(asked) = waits.asked.filter(|asked| !asked.is_zero()) {
            text = format!("{text} (Retry-After: {})", answer::seconds(asked));
        }
        Self { status: Some(status), ..Self::unanswered(endpoint, kind, text) }
    }

    /// The error with its texts passed through `clean`.
    pub(crate) fn cleaned(mut self, clean: impl Fn(String) -> String) -> Self {
        self.text = clean(self.text);
        if let ErrorKind::Moved { to } = &mut self.kind {
            *to = to.take().map(clean);
        }
        self
    }

    /// Whether the same request may succeed if it is made again later.
    pub(crate) fn transient(&self) -> bool {
        matches!(
            self.kind,
            ErrorKind::Throttled { .. }
                | ErrorKind::Server
                | ErrorKind::Connect
                | ErrorKind::Broken
                | ErrorKind::Unreadable
        )
    }

    /// Whether the request was not carried out, and a short wait may be all that is needed: the rate limit, unless it
    /// asks for a longer wait than this tool makes, or no connection.
    pub(crate) fn passes_soon(&self) -> bool {
        match self.kind {
            ErrorKind::Throttled { retry_after } => {
                retry_after.is_none_or(|wait| wait <= LONGEST_RETRY_AFTER)
            }
            ErrorKind::Connect => true,
            _ => false,
        }
    }

    /// Whether the failure says that the API (or the way to it) is down: what the circuit breaker counts.
    pub(crate) fn outage(&self) -> bool {
        matches!(
            self.kind,
            ErrorKind::Server | ErrorKind::Connect | ErrorKind::Broken | ErrorKind::Unreadable
        )
    }

    /// A short, stable name of the class, for counting failures by reason.
    pub(crate) fn reason(&self) -> &'static str {
        match self.kind {
            ErrorKind::Unauthorized => "unauthorized",
            ErrorKind::Forbidden => "forbidden",
            ErrorKind::NotFound => "not-found",
            ErrorKind::Conflict => "conflict",
            ErrorKind::Moved { .. } => "moved",
            ErrorKind::Refused => "refused",
            ErrorKind::Throttled { .. } => "throttled",
            ErrorKind::Server => "server-error",
            ErrorKind::Connect => "no-connection",
            ErrorKind::Broken => "connection-broken",
            ErrorKind::Unreadable => "unreadable-answer",
            ErrorKind::Unexpected => "unexpected-answer",
            ErrorKind::Paging => "paging",
            ErrorKind::BreakerOpen => "breaker-open",
            ErrorKind::Stopped => "stopped",
            ErrorKind::Stale => "stale",
            ErrorKind::NotKept => "not-kept",
        }
    }
}
