//! What an endpoint is: its request, its answer, and whether it may be asked again.

use crate::net::answer;
use crate::net::error::{ApiError, ErrorKind};
use crate::net::lenient;
use crate::net::message::{self, ApiMessage};
use crate::net::transport::HttpAnswer;
use reqwest::StatusCode;
use serde::Serialize;
use serde::de::{DeserializeOwned, IgnoredAny};

/// Whether a request may be made again when it is unknown what became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Safety {
    /// Changes nothing: made again whenever that may help.
    Read,
    /// Changes something: made again only when DevRev has certainly not acted on it. When that is not
    /// known, somebody has to look first: [`Client::write`](super::client::Client::write) asks its caller to.
    Write,
    /// Changes something for good, and may have done so although no answer came: never made again by itself,
    /// and never on a connection that has been idle, on which the HTTP library may send it twice unseen.
    Once,
}

/// One endpoint: a request's fields are those of the implementing type.
pub(crate) trait Operation: Serialize + Sync {
    /// The endpoint's name, such as `works.update`: the last part of its URL.
    const ENDPOINT: &'static str;
    /// Whether it may be repeated. The HTTP method says nothing: every endpoint is a POST.
    const SAFETY: Safety;
    /// The body of a successful answer.
    type Answer: DeserializeOwned + Send;

    /// The endpoint of this request, where it is known only at run time.
    fn endpoint(&self) -> &'static str {
        Self::ENDPOINT
    }
}

/// What a look at DevRev found after a write whose fate was not known.
#[derive(Debug)]
pub(crate) enum Found<A> {
    /// The answer that the write would have had: nothing is sent again.
    Settled(A),
    /// The write did not take: it is sent again.
    NotDone,
}

/// A write that took, and what it cost.
#[derive(Debug)]
pub(crate) struct Written<A> {
    /// DevRev's answer, or what a look at DevRev found in its place.
    pub answer: A,
    /// How many times the request was sent.
    pub attempts: u32,
}

/// Makes an answer of a whole exchange, or the class of its failure.
pub(super) fn judge<O: Operation>(
    endpoint: &'static str,
    answer: &HttpAnswer,
) -> Result<O::Answer, ApiError> {
    let HttpAnswer { status, headers, body } = answer;
    let (status, text) = (*status, lenient::text(body));
    if !status.is_success() {
        let message = ApiMessage::read(&text);
        let waits = answer::Waits::read(headers, &message);
        let location = answer::location(headers);
        let kind = match ErrorKind::of(status, waits, location.as_deref()) {
            // That the token may not do this, or that there is no such object, is for DevRev to say, not for a gateway on
            // the way: that a merged contact is gone proves the merge.
            ErrorKind::Forbidden | ErrorKind::Conflict if !message.is_api() => ErrorKind::Unreadable,
            ErrorKind::NotFound if !message.is_type("not_found") => ErrorKind::Unreadable,
            // A gateway's page, perhaps a login. DevRev's own is 301: the object's ID changed.
            ErrorKind::Moved { .. } if status != StatusCode::MOVED_PERMANENTLY => ErrorKind::Unreadable,
            kind => kind,
        };
        return Err(ApiError::refused(endpoint, status, kind, &message.words(), waits, location));
    }
    // No body at all says as much as `null`: enough of an acknowledgement, and too little of anything else.
    let json = if text.trim().is_empty() { "null" } else { &*text };
    serde_json::from_str(json).map_err(|error| {
        let class = match serde_json::from_str::<IgnoredAny>(&text) {
            Ok(_) => ErrorKind::Unexpected,
            Err(_) => ErrorKind::Unreadable,
        };
        let kind = answer::content_type(headers);
        let begins = message::beginning(&text);
        let text = format!("{status} with an answer that is not this endpoint's ({kind}; {error}): {begins}");
        ApiError { status: Some(status), ..ApiError::unanswered(endpoint, class, text) }
    })
}
