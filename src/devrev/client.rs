//! The client: DevRev's operations, made by the generic [`Caller`], and a look before a write is sent again.

use super::dev_users::DevUsersSelf;
use super::operation::{Found, Operation, Safety, Written, judge};
use super::storage::Storage;
#[cfg(test)]
use crate::figures::CallTotals;
use crate::figures::Figures;
use crate::net::answer::MAX_BODY;
use crate::net::breaker::BreakerSettings;
use crate::net::caller::{Caller, Request, Tries};
use crate::net::error::{ApiError, Effect, ErrorKind};
use crate::net::heard::Heard;
use crate::net::queue::Urgency;
use crate::net::rate::PaceSettings;
use crate::net::redact;
use crate::net::retry::{Failed, RetryPolicy};
use crate::net::transport::{HttpAnswer, SetupError, Transport};
use crate::stop::Stop;
use bytes::Bytes;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use std::future::{Future, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use url::Url;

/// Stands for the look that a call without one does not make.
type NoLook<A> = fn() -> std::future::Ready<Result<Found<A>, ApiError>>;

/// Asked just before each sending: whether the request is still to be sent.
type Goes<'a> = &'a (dyn Fn() -> Pin<Box<dyn Future<Output = bool> + Send + 'a>> + Sync);

/// How to reach DevRev.
#[derive(Debug, Clone)]
pub(crate) struct ClientSettings {
    /// The base URL, checked by [`crate::settings`]; may have a path.
    pub base_url: Url,
    /// The token. Never shown.
    pub token: SecretString,
    /// What limits the calls.
    pub pace: PaceSettings,
    /// Retries.
    pub retry: RetryPolicy,
    /// The circuit breaker.
    pub breaker: BreakerSettings,
}

/// A client could not be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    /// The token cannot be sent in a header.
    #[error("DEVREV_API_TOKEN has characters that cannot be sent in a header (a line break or a space?)")]
    Token,
    /// The connections.
    #[error(transparent)]
    Setup(#[from] SetupError),
}

#[derive(Debug)]
struct Inner {
    caller: Caller,
    transport: Transport,
    is_https: bool,
    /// Ends with a slash.
    base: String,
    token: SecretString,
}

/// The client that can write. Cheap to clone; clones share everything but how urgent their calls are.
#[derive(Debug, Clone)]
pub(crate) struct Client(Arc<Inner>, Urgency);

impl Client {
    /// Makes a client; sends nothing.
    pub(crate) fn new(settings: &ClientSettings, stop: Stop) -> Result<Self, ClientError> {
        let ClientSettings { base_url, token, pace, retry, breaker } = settings;
        let mut bearer = HeaderValue::try_from(format!("Bearer {}", token.expose_secret()))
            .map_err(|_| ClientError::Token)?;
        bearer.set_sensitive(true);
        let json = HeaderValue::from_static("application/json");
        let headers = HeaderMap::from_iter([(AUTHORIZATION, bearer), (CONTENT_TYPE, json)]);
        let is_https = base_url.scheme() == "https";
        let inner = Inner {
            caller: Caller::new("DevRev", pace, *retry, *breaker, stop),
            transport: Transport::new(is_https, &headers, MAX_BODY)?,
            is_https,
            base: format!("{}/", base_url.as_str().trim_end_matches('/')),
            token: token.clone(),
        };
        Ok(Self(Arc::new(inner), Urgency::default()))
    }

    /// The same client, whose calls are so urgent.
    #[must_use]
    pub(crate) fn urgent(&self, urgency: Urgency) -> Self {
        Self(Arc::clone(&self.0), urgency)
    }

    /// Reads, or writes once. A read is made again when that may help; a write only when DevRev has
    /// certainly not acted on it.
    ///
    /// A write's look, without which it is not repeated after a doubtful try, is [`Client::write`]'s.
    pub(crate) async fn call<O: Operation>(&self, operation: &O) -> Result<O::Answer, ApiError> {
        self.tries(self.0.caller.policy(), operation, None, None::<NoLook<O::Answer>>)
            .await
            .map(|written| written.answer)
    }

    /// Sends a request with a single try: what fails is not tried again, however it failed.
    pub(crate) async fn call_once<O: Operation>(&self, operation: &O) -> Result<O::Answer, ApiError> {
        let policy = RetryPolicy { max_retries: 0, ..self.0.caller.policy() };
        let outcome = self.tries(policy, operation, None, None::<NoLook<O::Answer>>).await;
        outcome.map(|written| written.answer)
    }

    /// Writes, and looks before it writes again: after a try whose fate is not known, `look` reads what became of it.
    ///
    /// A write may wait for minutes: for the limit, for DevRev to come back. So `fresh` is asked just before
    /// each sending whether what the write rests on is still good; if not, it fails with [`ErrorKind::Stale`].
    pub(crate) async fn write<O, L, F>(
        &self,
        operation: &O,
        fresh: impl Fn() -> bool + Sync,
        look: L,
    ) -> Result<Written<O::Answer>, ApiError>
    where
        O: Operation,
        L: Fn() -> F + Sync,
        F: Future<Output = Result<Found<O::Answer>, ApiError>> + Send,
    {
        self.tries(self.0.caller.policy(), operation, Some(&|| Box::pin(ready(fresh()))), Some(look)).await
    }

    /// Sends what must not be sent twice ([`Safety::Once`]): one try, whatever comes of it. A 429 closes the way for
    /// all calls until its time is over, the next try of this one included.
    ///
    /// `announce` is awaited just before each sending, when nothing is left to wait for: it writes down that the
    /// request is about to be sent. If it says no, nothing is sent, and this fails with [`ErrorKind::Stale`].
    pub(crate) async fn once<O, N, F>(&self, operation: &O, announce: N) -> Result<O::Answer, ApiError>
    where
        O: Operation,
        N: Fn() -> F + Sync,
        F: Future<Output = bool> + Send,
    {
        let goes: Goes<'_> = &|| Box::pin(announce());
        self.tries(self.0.caller.policy(), operation, Some(goes), None::<NoLook<O::Answer>>)
            .await
            .map(|written| written.answer)
    }

    async fn tries<'a, O, L, F>(
        &'a self,
        policy: RetryPolicy,
        operation: &'a O,
        goes: Option<Goes<'a>>,
        look: Option<L>,
    ) -> Result<Written<O::Answer>, ApiError>
    where
        O: Operation,
        L: Fn() -> F + Sync,
        F: Future<Output = Result<Found<O::Answer>, ApiError>> + Send,
    {
        let endpoint = operation.endpoint();
        let body = serde_json::to_vec(operation).map_err(|error| {
            ApiError::unanswered(endpoint, ErrorKind::Refused, format!("request not sent: {error}"))
        })?;
        let caller = &self.0.caller;
        let sending = Sending { client: self, operation, body: body.into(), goes };
        let probe = Sending {
            client: self,
            operation: &DevUsersSelf {},
            body: Bytes::from_static(b"{}"),
            goes: None,
        };
        let tries = Tries::default();
        // Set while it is unknown whether the last try took, and nobody has looked.
        let in_doubt = AtomicBool::new(false);
        let attempt = || async {
            if let Some(look) = &look
                && in_doubt.swap(false, Ordering::Relaxed)
            {
                match look().await {
                    Ok(Found::Settled(answer)) => return Ok(answer),
                    Ok(Found::NotDone) => {}
                    // The look has had retries of its own.
                    Err(error) => {
                        let error = still_in_doubt(endpoint, error);
                        return Err(Failed { error, again: false, after: None });
                    }
                }
            }
            let outcome = caller.attempt(&sending, &probe, &tries).await;
            outcome.map_err(|failed| {
                let unknown = O::SAFETY != Safety::Read && failed.error.effect == Effect::Unknown;
                in_doubt.store(unknown, Ordering::Relaxed);
                let may_repeat = O::SAFETY != Safety::Once && (!unknown || look.is_some());
                Failed { again: failed.again && may_repeat, ..failed }
            })
        };
        let outcome = match (caller.tries(policy, endpoint, attempt).await, &look) {
            // The last try's fate is worth one look too: it may well have taken.
            (Err(error), Some(look)) if in_doubt.load(Ordering::Relaxed) => match look().await {
                Ok(Found::Settled(answer)) => Ok(answer),
                Ok(Found::NotDone) => Err(ApiError { effect: Effect::None, ..error }),
                Err(_) => Err(error),
            },
            (outcome, _) => outcome,
        };
        let attempts = tries.sent();
        outcome.map(|answer| Written { answer, attempts }).map_err(|error| ApiError { attempts, ..error })
    }

    /// What has been called so far.
    #[cfg(test)]
    pub(crate) fn totals(&self) -> CallTotals {
        self.0.caller.figures().calls
    }

    /// What the client has done and is doing; see [`Caller::figures`].
    pub(crate) fn figures(&self) -> Figures {
        self.0.caller.figures()
    }

    /// What the last answer said beside its body; `None` before the first.
    pub(crate) fn heard(&self) -> Option<Heard> {
        self.0.caller.heard()
    }

    /// Downloads of files, counted with the calls of this client.
    pub(crate) fn storage(&self) -> Result<Storage, SetupError> {
        let Inner { caller, is_https, .. } = &*self.0;
        Storage::new(*is_https, caller.policy(), caller.stop().clone(), caller.meter())
    }
}

/// An operation, as it is sent.
struct Sending<'a, O> {
    client: &'a Client,
    operation: &'a O,
    body: Bytes,
    goes: Option<Goes<'a>>,
}

impl<O: Operation> Request for Sending<'_, O> {
    type Answer = O::Answer;

    fn endpoint(&self) -> &'static str {
        self.operation.endpoint()
    }

    fn urgency(&self) -> Urgency {
        self.client.1
    }

    fn is_change(&self) -> bool {
        O::SAFETY != Safety::Read
    }

    /// What must not be sent twice is announced again each time, by anyone who sends it.
    fn waits_for_limit(&self) -> bool {
        O::SAFETY != Safety::Once
    }

    async fn goes(&self) -> bool {
        match self.goes {
            Some(goes) => goes().await,
            None => true,
        }
    }

    async fn exchange(&self, reconnect: bool) -> Result<HttpAnswer, ApiError> {
        let Inner { transport, base, .. } = &*self.client.0;
        let endpoint = self.endpoint();
        let post = |http: &reqwest::Client| http.post(format!("{base}{endpoint}")).body(self.body.clone());
        transport.exchange(endpoint, post, reconnect || O::SAFETY == Safety::Once).await
    }

    fn judge(&self, answer: HttpAnswer) -> Result<O::Answer, ApiError> {
        judge::<O>(self.endpoint(), &answer)
    }

    fn clean(&self, text: String) -> String {
        redact::without(&text, &[self.client.0.token.expose_secret()]).unwrap_or(text)
    }
}

/// A write whose fate the look at it could not tell either.
fn still_in_doubt(endpoint: &'static str, look: ApiError) -> ApiError {
    let text = format!("no answer, and the read that checks its outcome failed: {look}");
    ApiError { endpoint, effect: Effect::Unknown, text, ..look }
}

#[cfg(test)]
#[path = "client_tests.rs"]
mod tests;
