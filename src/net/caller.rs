//! The one generic call: paced, sent, counted, classified, and made again where that may help.
//!
//! It knows no service. A [`Request`] says how it is sent and what its answer means; the [`Caller`] does the rest, in this
//! order: the circuit breaker, the rate limit, the request's own last word, the exchange, what the answer says of the
//! limit, and its class. A 429 is a wait, not a failed try.

use super::answer::{self, RateHeaders};
use super::breaker::{Breaker, BreakerSettings, BreakerState, Denied};
use super::calls::LONGEST_RETRY_AFTER;
use super::error::{ApiError, ErrorKind};
use super::heard::Heard;
use super::meter::Meter;
use super::pacer::{Held, Pacer};
use super::queue::Urgency;
use super::rate::PaceSettings;
use super::retry::{Failed, RetryPolicy, retry};
use super::transport::HttpAnswer;
use crate::figures::{Breaker as BreakerPhase, Figures};
use crate::stop::Stop;
use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// How long an answer to a read is still waited for once the run is being stopped.
/// Shorter than the time that the run itself leaves to what is under way.
pub(crate) const STOP_GRACE: Duration = Duration::from_secs(5);
/// 429s in a row, of one call or of all, that end the run. Each is a wait, not a failed try.
const MOST_THROTTLED: u32 = 20;

/// What a call sends, and what its answer means. By default it is a read.
pub(crate) trait Request: Sync {
    /// What a successful answer holds.
    type Answer: Send;

    /// Its name among the figures and in errors.
    fn endpoint(&self) -> &'static str;

    /// How urgent it is.
    fn urgency(&self) -> Urgency {
        Urgency::default()
    }

    /// Whether it changes something: then its answer is waited for even while the run is being stopped.
    fn is_change(&self) -> bool {
        false
    }

    /// Whether it is sent again by itself once a 429's wait is over.
    fn waits_for_limit(&self) -> bool {
        true
    }

    /// Asked just before each sending, when nothing is left to wait for: whether it is still to be sent.
    fn goes(&self) -> impl Future<Output = bool> + Send {
        std::future::ready(true)
    }

    /// Sends it once; `reconnect` asks for a new connection.
    fn exchange(&self, reconnect: bool) -> impl Future<Output = Result<HttpAnswer, ApiError>> + Send;

    /// Reads an answer, or classifies it as a failure.
    fn judge(&self, answer: HttpAnswer) -> Result<Self::Answer, ApiError>;

    /// A text without the request's secrets: a server may quote in its answer what it was sent.
    fn clean(&self, text: String) -> String;
}

/// What is known of a call over all its tries.
#[derive(Debug, Default)]
pub(crate) struct Tries {
    sent: AtomicU32,
    /// Set once a connection broke: the others that are idle may be as dead (a firewall forgets all of them at once).
    reconnect: AtomicBool,
}

impl Tries {
    /// How often the request was sent.
    pub(crate) fn sent(&self) -> u32 {
        self.sent.load(Ordering::Relaxed)
    }
}

/// Makes the calls to one service.
#[derive(Debug)]
pub(crate) struct Caller {
    /// The service, as messages call it.
    who: String,
    pacer: Pacer,
    breaker: Breaker,
    meter: Arc<Meter>,
    heard: Mutex<Option<Heard>>,
    retry: RetryPolicy,
    stop: Stop,
}

impl Caller {
    /// Makes a caller of `who`; sends nothing.
    pub(crate) fn new(
        who: impl Into<String>,
        pace: &PaceSettings,
        retry: RetryPolicy,
        breaker: BreakerSettings,
        stop: Stop,
    ) -> Self {
        Self {
            who: who.into(),
            // So that the first wait is 1 s by default.
            pacer: Pacer::new(pace, retry.base / 2, stop.clone()),
            breaker: Breaker::new(breaker, stop.clone()),
            meter: Arc::default(),
            heard: Mutex::default(),
            retry,
            stop,
        }
    }

    /// Makes tries ([`Caller::attempt`]) until one succeeds, one may not be repeated, or the retries are used up.
    pub(crate) async fn tries<T, F>(
        &self,
        policy: RetryPolicy,
        endpoint: &'static str,
        attempt: impl FnMut() -> F,
    ) -> Result<T, ApiError>
    where
        F: Future<Output = Result<T, Failed>>,
    {
        let seen = |failed: Failed, delay: Duration| {
            self.meter.retried();
            let delay_ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
            tracing::warn!(endpoint, delay_ms, "{}; trying again", failed.error);
        };
        retry(policy, &self.stop, seen, attempt).await
    }

    /// One try, after as many waits as the service asks for: a 429 is not a failed try. `probe` is the read that tells a
    /// half-open breaker whether the service is there.
    pub(crate) async fn attempt<R: Request>(
        &self,
        request: &R,
        probe: &impl Request,
        tries: &Tries,
    ) -> Result<R::Answer, Failed> {
        let endpoint = request.endpoint();
        let once = |error| Failed { error, again: false, after: None };
        let mut throttled = 0;
        loop {
            let admitted = self.breaker.admit(|| self.probe(probe)).await;
            admitted.map_err(|denied| match denied {
                Denied::Stopped => once(stopped(endpoint)),
                Denied::GaveUp => {
                    let text = format!("{} did not come back while the circuit breaker waited", self.who);
                    once(ApiError::unanswered(endpoint, ErrorKind::BreakerOpen, text))
                }
            })?;
            let error = match self.send(request, tries, &mut throttled).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            if !matches!(error.kind, ErrorKind::Throttled { .. }) {
                return Err(Failed { again: error.transient(), error, after: None });
            }
            // What is still throttled when it is returned has waited as long as this tool waits.
            if !error.passes_soon() || !request.waits_for_limit() {
                return Err(once(error));
            }
            if throttled >= MOST_THROTTLED {
                let text = format!("{throttled} times 429 in a row, the last: {}", error.text);
                return Err(once(ApiError { text, ..error }));
            }
        }
    }

    /// The probing read of the half-open breaker.
    async fn probe(&self, probe: &impl Request) -> bool {
        let tries = Tries { reconnect: true.into(), ..Tries::default() };
        let outcome = self.send(probe, &tries, &mut 0).await;
        !outcome.is_err_and(|error| error.outage())
    }

    /// Sends a request once, and classifies what comes of it. `throttled`: how often it was answered with 429 in a row, or
    /// all calls were, whichever is more.
    async fn send<R: Request>(
        &self,
        request: &R,
        tries: &Tries,
        throttled: &mut u32,
    ) -> Result<R::Answer, ApiError> {
        let endpoint = request.endpoint();
        let permit = self.pacer.permit(request.urgency()).await.map_err(|held| match held {
            Held::Stopped => stopped(endpoint),
            Held::Closed(left) => {
                let left_text = answer::seconds(left);
                let text = format!("not sent: {} accepts no calls for another {left_text}", self.who);
                ApiError::unanswered(endpoint, ErrorKind::Throttled { retry_after: Some(left) }, text)
            }
        })?;
        if !request.goes().await {
            permit.unsent();
            let text = "not sent: it waited for longer than what it rests on is good";
            return Err(ApiError::unanswered(endpoint, ErrorKind::Stale, text));
        }
        tries.sent.fetch_add(1, Ordering::Relaxed);
        let start = Instant::now();
        let exchange = request.exchange(tries.reconnect.load(Ordering::Relaxed));
        // Anyone who began a change decides when to give it up: what became of it is then unknown.
        let exchanged =
            if request.is_change() { exchange.await } else { self.unless_stopped(endpoint, exchange).await };
        let took = start.elapsed();
        let status = exchanged.as_ref().map_or(None, |answer| Some(answer.status));
        let given_up = exchanged.as_ref().is_err_and(|error| error.kind == ErrorKind::Stopped);
        self.meter.called(endpoint, status, took, given_up);
        let mut request_id = None;
        let outcome = exchanged.and_then(|answer| {
            let headers = &answer.headers;
            request_id = answer::request_id(headers).map(|id| request.clean(id));
            let rate = RateHeaders::read(headers);
            self.pacer.heed(rate);
            *self.heard.lock().unwrap_or_else(PoisonError::into_inner) = Some(Heard::new(rate, headers));
            if answer.status.is_server_error()
                && let Some(wait) = answer::asked_wait(headers)
            {
                self.pacer.close_for(wait.min(LONGEST_RETRY_AFTER));
            }
            request.judge(answer)
        });
        let outcome = outcome.map_err(|error| error.cleaned(|text| request.clean(text)));
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
        self.breaker.note(outcome.as_ref().is_err_and(ApiError::outage));
        drop(permit);
        let is_broken = outcome.as_ref().is_err_and(|error| error.kind == ErrorKind::Broken);
        tries.reconnect.fetch_or(is_broken, Ordering::Relaxed);
        tracing::debug!(
            endpoint,
            status = status.map(|status| status.as_u16()),
            attempt = tries.sent(),
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
            self.stop.wait().await;
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

    /// What was called so far, and what is being done; what else a process does is left as it is by default.
    pub(crate) fn figures(&self) -> Figures {
        let Self { pacer, breaker, meter, .. } = self;
        let phase = match breaker.state() {
            BreakerState::Closed => BreakerPhase::Closed,
            BreakerState::Open { until } => {
                BreakerPhase::Open(until.saturating_duration_since(Instant::now()))
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
        *self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The counters, for those whose requests are not paced and are counted all the same.
    pub(crate) fn meter(&self) -> Arc<Meter> {
        Arc::clone(&self.meter)
    }

    /// How often a failed call is made again, unless its caller says otherwise.
    pub(crate) fn policy(&self) -> RetryPolicy {
        self.retry
    }

    /// The signal that ends every wait.
    pub(crate) fn stop(&self) -> &Stop {
        &self.stop
    }
}

fn stopped(endpoint: &'static str) -> ApiError {
    ApiError::unanswered(endpoint, ErrorKind::Stopped, "not sent: the run is being stopped")
}

#[cfg(test)]
#[path = "caller_tests.rs"]
mod tests;
