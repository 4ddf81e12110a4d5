//! The client: one generic call that paces, sends, classifies and tries again.

use super::dev_users::DevUsersSelf;
use super::operation::{Found, Operation, Safety, Written, judge};
use super::storage::Storage;
#[cfg(test)]
use crate::figures::CallTotals;
use crate::figures::{Breaker as BreakerPhase, Figures};
use crate::net::answer::{self, RateHeaders};
use crate::net::breaker::{Breaker, BreakerSettings, BreakerState, Denied};
use crate::net::calls::LONGEST_RETRY_AFTER;
use crate::net::error::{ApiError, Effect, ErrorKind};
use crate::net::heard::Heard;
use crate::net::meter::Meter;
use crate::net::pacer::{Held, Pacer};
use crate::net::queue::Urgency;
use crate::net::rate::PaceSettings;
use crate::net::retry::{Failed, RetryPolicy, retry};
use crate::net::transport::{ClientError, Transport};
use crate::stop::Stop;
use secrecy::SecretString;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use url::Url;

/// How long an answer to a read is still waited for once the run is being stopped.
/// Shorter than the time that the run itself leaves to what is under way.
const STOP_GRACE: Duration = Duration::from_secs(5);
/// 429s in a row, of one call or of all, that end the run. Each is a wait, not a failed try.
const MOST_THROTTLED: u32 = 20;

/// Stands for the look that a call without one does not make.
type NoLook<A> = fn() -> std::future::Ready<Result<Found<A>, ApiError>>;

/// What is done just before a request is sent, and may still hold it back.
#[derive(Clone, Copy)]
enum Before<'a> {
    Nothing,
    /// Whether what the request rests on is still good.
    Fresh(&'a (dyn Fn() -> bool + Sync)),
    /// Writes down that it is sent.
    Announce(&'a (dyn Fn() -> Announced<'a> + Sync)),
}

type Announced<'a> = Pin<Box<dyn Future<Output = bool> + Send + 'a>>;

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

#[derive(Debug)]
struct Inner {
    transport: Transport,
    pacer: Pacer,
    breaker: Breaker,
    meter: Arc<Meter>,
    heard: Mutex<Option<Heard>>,
    retry: RetryPolicy,
    stop: Stop,
}

/// The client that can write. Cheap to clone; clones share everything but how urgent their calls are.
#[derive(Debug, Clone)]
pub(crate) struct Client(Arc<Inner>, Urgency);

impl Client {
    /// Makes a client; sends nothing.
    pub(crate) fn new(settings: &ClientSettings, stop: Stop) -> Result<Self, ClientError> {
        Ok(Self(
            Arc::new(Inner {
                transport: Transport::new(&settings.base_url, &settings.token)?,
                // So that the first wait is 1 s by default.
                pacer: Pacer::new(&settings.pace, settings.retry.base / 2, stop.clone()),
                breaker: Breaker::new(settings.breaker, stop.clone()),
                meter: Arc::default(),
                heard: Mutex::default(),
                retry: settings.retry,
                stop,
            }),
            Urgency::default(),
        ))
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
        self.tries(self.0.retry, operation, Before::Nothing, None::<NoLook<O::Answer>>)
            .await
            .map(|written| written.answer)
    }

    /// Sends a request with a single try: what fails is not tried again, however it failed.
    pub(crate) async fn call_once<O: Operation>(&self, operation: &O) -> Result<O::Answer, ApiError> {
        let policy = RetryPolicy { max_retries: 0, ..self.0.retry };
        let outcome = self.tries(policy, operation, Before::Nothing, None::<NoLook<O::Answer>>).await;
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
        self.tries(self.0.retry, operation, Before::Fresh(&fresh), Some(look)).await
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
        let announce = || -> Announced<'_> { Box::pin(announce()) };
        let before = Before::Announce(&announce);
        self.tries(self.0.retry, operation, before, None::<NoLook<O::Answer>>)
            .await
            .map(|written| written.answer)
    }

    async fn tries<O, L, F>(
        &self,
        policy: RetryPolicy,
        operation: &O,
        before: Before<'_>,
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
        let body = bytes::Bytes::from(body);
        let sent = AtomicU32::new(0);
        // Set once a connection broke: the others that are idle may be as dead (a firewall forgets all of them at once).
        let reconnect = AtomicBool::new(false);
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
                        return Err(Failed {
                            error: still_in_doubt(endpoint, error),
                            again: false,
                            after: None,
                        });
                    }
                }
            }
            let outcome = self.through_the_limit(operation, &body, before, &sent, &reconnect).await;
            outcome.map_err(|error| {
                reconnect.fetch_or(error.kind == ErrorKind::Broken, Ordering::Relaxed);
                let unknown = O::SAFETY != Safety::Read && error.effect == Effect::Unknown;
                in_doubt.store(unknown, Ordering::Relaxed);
                // What is still throttled here has waited as long as this tool waits.
                let throttled = matches!(error.kind, ErrorKind::Throttled { .. });
                let again = error.transient() && !throttled && (!unknown || look.is_some());
                Failed { again: again && O::SAFETY != Safety::Once, error, after: None }
            })
        };
        let seen = |failed: Failed, delay: Duration| {
            self.0.meter.retried();
            let delay_ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
            tracing::warn!(endpoint, delay_ms, "{}; trying again", failed.error);
        };
        let outcome = retry(policy, &self.0.stop, seen, attempt).await;
        let outcome = match (outcome, &look) {
            // The last try's fate is worth one look too: it may well have taken.
            (Err(error), Some(look)) if in_doubt.load(Ordering::Relaxed) => match look().await {
                Ok(Found::Settled(answer)) => Ok(answer),
                Ok(Found::NotDone) => Err(ApiError { effect: Effect::None, ..error }),
                Err(_) => Err(error),
            },
            (outcome, _) => outcome,
        };
        let attempts = sent.load(Ordering::Relaxed);
        outcome.map(|answer| Written { answer, attempts }).map_err(|error| ApiError { attempts, ..error })
    }

    /// One try, after as many waits as DevRev asks for: a 429 is not a failed try.
    async fn through_the_limit<O: Operation>(
        &self,
        operation: &O,
        body: &bytes::Bytes,
        before: Before<'_>,
        sent: &AtomicU32,
        reconnect: &AtomicBool,
    ) -> Result<O::Answer, ApiError> {
        let endpoint = operation.endpoint();
        let mut throttled = 0;
        loop {
            let admitted = self.0.breaker.admit(|| self.probe()).await;
            admitted.map_err(|denied| match denied {
                Denied::Stopped => stopped(endpoint),
                Denied::GaveUp => {
                    let text = "DevRev did not come back while the circuit breaker waited";
                    ApiError::unanswered(endpoint, ErrorKind::BreakerOpen, text)
                }
            })?;
            let reconnects = reconnect.load(Ordering::Relaxed);
            let error =
                match self.send(operation, body.clone(), before, sent, reconnects, &mut throttled).await {
                    Ok(answer) => return Ok(answer),
                    Err(error) => error,
                };
            let is_throttled = matches!(error.kind, ErrorKind::Throttled { .. });
            // What must not be sent twice is announced again each time, by anyone who sends it.
            if !is_throttled || !error.passes_soon() || O::SAFETY == Safety::Once {
                return Err(error);
            }
            if throttled >= MOST_THROTTLED {
                let text = format!("{throttled} times 429 in a row, the last: {}", error.text);
                return Err(ApiError { text, ..error });
            }
        }
    }

    /// The probing read of the half-open breaker.
    async fn probe(&self) -> bool {
        let outcome = self
            .send(
                &DevUsersSelf {},
                bytes::Bytes::from_static(b"{}"),
                Before::Nothing,
                &AtomicU32::new(0),
                true,
                &mut 0,
            )
            .await;
        !outcome.is_err_and(|error| error.outage())
    }

    /// Sends one request, perhaps on a new connection (`reconnect`), and classifies what comes of it. `throttled`: how often it
    /// was answered with 429 in a row, or all calls were, whichever is more.
    async fn send<O: Operation>(
        &self,
        operation: &O,
        body: bytes::Bytes,
        before: Before<'_>,
        sent: &AtomicU32,
        reconnect: bool,
        throttled: &mut u32,
    ) -> Result<O::Answer, ApiError> {
        let endpoint = operation.endpoint();
        let inner = &*self.0;
        let permit = inner.pacer.permit(self.1).await.map_err(|held| match held {
            Held::Stopped => stopped(endpoint),
            Held::Closed(left) => {
                let text = format!("not sent: DevRev accepts no calls for another {}", answer::seconds(left));
                ApiError::unanswered(endpoint, ErrorKind::Throttled { retry_after: Some(left) }, text)
            }
        })?;
        let goes = match before {
            Before::Nothing => true,
            Before::Fresh(fresh) => fresh(),
            Before::Announce(announce) => announce().await,
        };
        if !goes {
            permit.unsent();
            let text = "not sent: it waited for longer than what it rests on is good";
            return Err(ApiError::unanswered(endpoint, ErrorKind::Stale, text));
        }
        sent.fetch_add(1, Ordering::Relaxed);
        let start = Instant::now();
        let exchange = inner.transport.exchange(endpoint, body, reconnect || O::SAFETY == Safety::Once);
        let exchanged = match O::SAFETY {
            Safety::Read => self.unless_stopped(endpoint, exchange).await,
            // Anyone who began a write decides when to give it up: what became of it is then unknown.
            Safety::Write | Safety::Once => exchange.await,
        };
        let took = start.elapsed();
        let status = exchanged.as_ref().map_or(None, |(status, ..)| Some(*status));
        let given_up = exchanged.as_ref().is_err_and(|error| error.kind == ErrorKind::Stopped);
        inner.meter.called(endpoint, status, took, given_up);
        let mut request_id = None;
        let outcome = exchanged.and_then(|(status, headers, body)| {
            request_id = answer::request_id(&headers).map(|id| inner.transport.clean(id));
            let rate = RateHeaders::read(&headers);
            inner.pacer.heed(rate);
            *inner.heard.lock().unwrap_or_else(PoisonError::into_inner) = Some(Heard::new(rate, &headers));
            if status.is_server_error()
                && let Some(wait) = answer::asked_wait(&headers)
            {
                inner.pacer.close_for(wait.min(LONGEST_RETRY_AFTER));
            }
            judge::<O>(endpoint, status, &headers, &body)
        });
        let outcome = outcome.map_err(|error| inner.transport.without_token(error));
        match (&outcome, status) {
            (Err(ApiError { kind: ErrorKind::Throttled { retry_after }, text, .. }), _) => {
                let refusal = permit.refused(*throttled, *retry_after);
                *throttled = refusal.in_a_row;
                let (wait, in_a_row) = (answer::seconds(refusal.wait), refusal.in_a_row);
                tracing::info!(endpoint, in_a_row, "{text}; no calls for {wait}");
            }
            (_, Some(_)) => permit.taken(),
            (_, None) => {}
        }
        inner.breaker.note(outcome.as_ref().is_err_and(ApiError::outage));
        drop(permit);
        tracing::debug!(
            endpoint,
            status = status.map(|status| status.as_u16()),
            attempt = sent.load(Ordering::Relaxed),
            latency_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            request_id,
            error = outcome.as_ref().err().map(|error| error.text.as_str()),
            "call"
        );
        outcome
    }

    /// Ends the wait for an answer that changes nothing a little after the stop signal.
    async fn unless_stopped<T>(
        &self,
        endpoint: &'static str,
        exchange: impl Future<Output = Result<T, ApiError>>,
    ) -> Result<T, ApiError> {
        let given_up = async {
            self.0.stop.wait().await;
            tokio::time::sleep(STOP_GRACE).await;
        };
        tokio::select! {
            biased;
            exchanged = exchange => exchanged,
            () = given_up => {
                let text = "no answer, and the run is being stopped";
                Err(ApiError::unanswered(endpoint, ErrorKind::Stopped, text))
            }
        }
    }

    /// What has been called so far.
    #[cfg(test)]
    pub(crate) fn totals(&self) -> CallTotals {
        self.0.meter.totals()
    }

    /// What the client has done and is doing; what else a process does is left as it is by default.
    pub(crate) fn figures(&self) -> Figures {
        let Inner { pacer, breaker, meter, .. } = &*self.0;
        let phase = match breaker.state() {
            BreakerState::Closed => BreakerPhase::Closed,
            BreakerState::Open { until } => {
                BreakerPhase::Open(until.saturating_duration_since(tokio::time::Instant::now()))
            }
            BreakerState::HalfOpen => BreakerPhase::HalfOpen,
            BreakerState::GaveUp => BreakerPhase::GaveUp,
        };
        Figures {
            calls: meter.totals(),
            time: pacer.time(),
            rate: pacer.rate().map(|rate| (rate.calls.get(), rate.period)),
            closed_for: pacer.closed_for(),
            next_call_in: pacer.next_call_in(),
            breaker: phase,
            breaker_openings: breaker.openings(),
            ..Figures::default()
        }
    }

    /// What the last answer said beside its body; `None` before the first.
    pub(crate) fn heard(&self) -> Option<Heard> {
        *self.0.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Downloads of files, counted with the calls of this client.
    pub(crate) fn storage(&self) -> Result<Storage, ClientError> {
        Storage::new(&self.0.transport, self.0.retry, self.0.stop.clone(), Arc::clone(&self.0.meter))
    }
}

/// A write whose fate the look at it could not tell either.
fn still_in_doubt(endpoint: &'static str, look: ApiError) -> ApiError {
    let text = format!("no answer, and the read that checks its outcome failed: {look}");
    ApiError { endpoint, effect: Effect::Unknown, text, ..look }
}

fn stopped(endpoint: &'static str) -> ApiError {
    ApiError::unanswered(endpoint, ErrorKind::Stopped, "not sent: the run is being stopped")
}

#[cfg(test)]
#[path = "client_tests.rs"]
mod tests;
