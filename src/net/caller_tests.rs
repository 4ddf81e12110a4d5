//! The generic call against a service in memory, under a paused clock.

use super::*;
use crate::net::rate::Rate;
use crate::stop::Cause;
use reqwest::StatusCode;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use std::collections::VecDeque;
use std::num::NonZeroU32;

const POLICY: RetryPolicy = RetryPolicy { max_retries: 2, base: Duration::ZERO };
const BREAKER: BreakerSettings =
    BreakerSettings { threshold: 100, cooldown: Duration::from_secs(5), probes: 2 };

/// What the service does with a request.
enum Step {
    Answer(u16, Vec<(&'static str, &'static str)>),
    Breaks,
    Hangs,
}

use Step::{Answer, Breaks, Hangs};

/// A request whose answers are written down; 200 once there are none left.
#[derive(Default)]
struct Scripted {
    steps: Mutex<VecDeque<Step>>,
    /// When each was sent, and whether on a new connection.
    sent: Mutex<Vec<(Instant, bool)>>,
    is_change: bool,
    /// Held back from here on.
    most: Option<usize>,
}

impl Scripted {
    fn new(steps: impl IntoIterator<Item = Step>) -> Self {
        Self { steps: Mutex::new(steps.into_iter().collect()), ..Self::default() }
    }

    fn sent(&self) -> usize {
        self.sent.lock().unwrap().len()
    }

    /// Seconds from then until each sending.
    fn seconds(&self, begin: Instant) -> Vec<u64> {
        self.sent.lock().unwrap().iter().map(|(at, _)| (*at - begin).as_secs()).collect()
    }
}

impl Request for Scripted {
    type Answer = StatusCode;

    fn endpoint(&self) -> &'static str {
        "things.get"
    }

    fn is_change(&self) -> bool {
        self.is_change
    }

    async fn goes(&self) -> bool {
        self.most.is_none_or(|most| self.sent() < most)
    }

    async fn exchange(&self, reconnect: bool) -> Result<HttpAnswer, ApiError> {
        self.sent.lock().unwrap().push((Instant::now(), reconnect));
        let step = self.steps.lock().unwrap().pop_front();
        match step.unwrap_or(Answer(200, vec![])) {
            Answer(status, headers) => Ok(HttpAnswer {
                status: StatusCode::from_u16(status).unwrap(),
                headers: headers
                    .iter()
                    .map(|(k, v)| (HeaderName::from_static(k), HeaderValue::from_static(v)))
                    .collect(),
                body: Vec::new(),
            }),
            Breaks => Err(ApiError::unanswered(self.endpoint(), ErrorKind::Broken, "quotes s3cret")),
            Hangs => std::future::pending().await,
        }
    }

    fn judge(&self, answer: HttpAnswer) -> Result<StatusCode, ApiError> {
        let HttpAnswer { status, headers, .. } = answer;
        if status.is_success() {
            return Ok(status);
        }
        let waits = answer::Waits::read(&headers, &crate::net::message::ApiMessage::default());
        let location = answer::location(&headers);
        let kind = ErrorKind::of(status, waits, location.as_deref());
        Err(ApiError::refused(self.endpoint(), status, kind, "", waits, location))
    }

    fn clean(&self, text: String) -> String {
        text.replace("s3cret", "[token]")
    }
}

fn caller_with(pace: &PaceSettings, breaker: BreakerSettings, stop: Stop) -> Caller {
    // The first wait after a 429 that names none is half of this.
    let retry = RetryPolicy { base: Duration::from_secs(2), ..POLICY };
    Caller::new("Test", pace, retry, breaker, stop)
}

fn pace(calls: u32, seconds: u64) -> PaceSettings {
    let rate = Rate { calls: NonZeroU32::new(calls).unwrap(), period: Duration::from_secs(seconds) };
    PaceSettings { rate: Some(rate), ..PaceSettings::default() }
}

fn caller() -> Caller {
    caller_with(&PaceSettings::default(), BREAKER, Stop::default())
}

/// Calls, and tries again without a pause.
async fn call(caller: &Caller, request: &Scripted) -> Result<StatusCode, ApiError> {
    let tries = Tries::default();
    caller.tries(POLICY, "things.get", || caller.attempt(request, request, &tries)).await
}

#[tokio::test(start_paused = true)]
async fn a_429_is_a_wait_as_long_as_it_asks_for_and_no_failed_try() {
    const DATE: (&str, &str) = ("date", "Sun, 22 Nov 2026 03:45:00 GMT");
    let (caller, begin) = (caller(), Instant::now());
    let request = Scripted::new([
        Answer(429, vec![("retry-after", "7")]),
        Answer(429, vec![DATE, ("retry-after", "Sun, 22 Nov 2026 03:45:20 GMT")]),
        // In a row, so that the wait that is chosen here grows: 1, 2, 4.
        Answer(429, vec![]),
        Answer(429, vec![("x-ratelimit-reset", "30")]),
    ]);
    assert!(call(&caller, &request).await.is_ok());
    assert_eq!(request.seconds(begin), [0, 7, 27, 31, 61]);
    let figures = caller.figures();
    assert_eq!((figures.calls.calls, figures.calls.throttled, figures.calls.retries), (5, 4, 0));
    assert_eq!(figures.time.held.as_secs(), 61);
}

#[tokio::test(start_paused = true)]
async fn twenty_429s_in_a_row_are_the_end() {
    let (caller, request) = (caller(), Scripted::new((0..50).map(|_| Answer(429, vec![]))));
    let error = call(&caller, &request).await.unwrap_err();
    assert!(
        matches!(error.kind, ErrorKind::Throttled { .. }) && error.text.starts_with("20 times"),
        "{error}"
    );
    assert_eq!((request.sent(), caller.figures().calls.retries), (20, 0));
}

#[tokio::test(start_paused = true)]
async fn a_wait_of_hours_is_an_error_and_nothing_is_sent_meanwhile() {
    let (caller, begin) = (caller(), Instant::now());
    let request = Scripted::new([Answer(429, vec![("retry-after", "86400")])]);
    for (sent, text) in [(1, "429 Too Many"), (1, "Test accepts no calls for another 86,400 s")] {
        let error = call(&caller, &request).await.unwrap_err();
        assert!(matches!(error.kind, ErrorKind::Throttled { .. }) && error.text.contains(text), "{error}");
        assert_eq!((request.sent(), begin.elapsed().as_secs()), (sent, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn a_5xx_that_asks_for_a_wait_holds_every_call() {
    let (caller, begin) = (caller(), Instant::now());
    let down = Scripted::new([Answer(503, vec![("retry-after", "40")]), Breaks]);
    let other = Scripted::default();
    let second = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        call(&caller, &other).await
    };
    let (first, second) = tokio::join!(call(&caller, &down), second);
    assert!(first.is_ok() && second.is_ok());
    assert_eq!((down.seconds(begin), other.seconds(begin)), (vec![0, 40, 40], vec![40]));
    assert_eq!(caller.figures().calls.retries, 2);
}

#[tokio::test(start_paused = true)]
async fn after_a_broken_connection_each_try_has_a_new_one_and_the_retries_are_capped() {
    let request = Scripted::new([Answer(500, vec![]), Breaks, Answer(502, vec![]), Hangs]);
    let error = call(&caller(), &request).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Server);
    let connections: Vec<_> = request.sent.lock().unwrap().iter().map(|(_, is_new)| *is_new).collect();
    assert_eq!(connections, [false, false, true]);
}

#[tokio::test(start_paused = true)]
async fn what_another_try_would_meet_again_is_tried_once() {
    for (status, kind) in [
        (401, ErrorKind::Unauthorized),
        (403, ErrorKind::Forbidden),
        (404, ErrorKind::NotFound),
        (409, ErrorKind::Conflict),
        (422, ErrorKind::Refused),
        (302, ErrorKind::Moved { to: Some("/other?[token]".to_owned()) }),
    ] {
        let request = Scripted::new([Answer(status, vec![("location", "/other?s3cret")]), Hangs]);
        let error = call(&caller(), &request).await.unwrap_err();
        assert_eq!((error.kind, request.sent()), (kind, 1), "{status}");
        assert!(error.text.contains("/other?[token]"), "{}", error.text);
    }
    let request = Scripted::new([Breaks, Breaks, Breaks]);
    let error = call(&caller(), &request).await.unwrap_err();
    assert_eq!(error.text, "quotes [token]");
}

#[tokio::test(start_paused = true)]
async fn a_stop_ends_a_wait_at_once_and_a_read_after_a_little() {
    let (stop, begin) = (Stop::default(), Instant::now());
    let caller = caller_with(&pace(1, 60), BREAKER, stop.clone());
    // The first one is all that the rate allows.
    let (reading, waiting) = (Scripted::new([Hangs]), Scripted::default());
    let ended = async |request: &Scripted| {
        let error = call(&caller, request).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Stopped);
        (begin.elapsed(), error.text)
    };
    let stopping = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        stop.set(Cause::Interrupt);
    };
    let (reading, waiting, ()) = tokio::join!(ended(&reading), ended(&waiting), stopping);
    let second = Duration::from_secs(1);
    assert_eq!(reading, (second + STOP_GRACE, "no answer, and the run is being stopped".to_owned()));
    assert_eq!(waiting, (second, "not sent: the run is being stopped".to_owned()));
    let totals = caller.figures().calls;
    assert_eq!((totals.calls, totals.most_errors_in_a_row), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_change_that_was_sent_is_waited_for_although_the_run_is_stopped() {
    let stop = Stop::default();
    let caller = caller_with(&PaceSettings::default(), BREAKER, stop.clone());
    let change = Scripted { is_change: true, ..Scripted::new([Hangs]) };
    let stopping = async { stop.set(Cause::Interrupt) };
    let called = tokio::time::timeout(Duration::from_secs(3600), call(&caller, &change));
    assert!(tokio::join!(called, stopping).0.is_err());
    assert_eq!(change.sent(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_is_held_back_is_not_sent_and_takes_no_place_in_the_window() {
    let caller = caller_with(&pace(2, 60), BREAKER, Stop::default());
    let stale = Scripted { most: Some(1), ..Scripted::new([Breaks]) };
    let begin = Instant::now();
    assert_eq!(call(&caller, &stale).await.unwrap_err().kind, ErrorKind::Stale);
    assert!(call(&caller, &Scripted::default()).await.is_ok());
    assert_eq!((stale.sent(), begin.elapsed()), (1, Duration::ZERO));
    assert!(call(&caller, &Scripted::default()).await.is_ok());
    assert_eq!(begin.elapsed().as_secs(), 60);
}

#[tokio::test(start_paused = true)]
async fn an_outage_is_waited_out_with_probes_and_its_end_frees_every_call() {
    let breaker = BreakerSettings { threshold: 2, ..BREAKER };
    let (caller, begin) = (caller_with(&PaceSettings::default(), breaker, Stop::default()), Instant::now());
    let (request, other) = (Scripted::new([Breaks, Breaks]), Scripted::default());
    let probe = Scripted::new([Answer(503, vec![])]);
    let read = async |request: &Scripted| {
        let tries = Tries::default();
        caller.tries(POLICY, "things.get", || caller.attempt(request, &probe, &tries)).await
    };
    let second = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        read(&other).await
    };
    let (first, second) = tokio::join!(read(&request), second);
    assert!(first.is_ok() && second.is_ok());
    assert_eq!((request.seconds(begin), other.seconds(begin)), (vec![0, 0, 15], vec![15]));
    assert_eq!(probe.seconds(begin), [5, 15]);
    assert!(probe.sent.lock().unwrap().iter().all(|(_, is_new)| *is_new), "idle connections may be dead");
    assert_eq!(caller.figures().breaker_openings, 1);
    // One that does not end.
    let (down, probe) = (Scripted::new([Breaks, Breaks]), Scripted::new([Breaks, Breaks]));
    let tries = Tries::default();
    let outcome = caller.tries(POLICY, "things.get", || caller.attempt(&down, &probe, &tries)).await;
    let error = outcome.unwrap_err();
    assert_eq!((error.kind, probe.sent()), (ErrorKind::BreakerOpen, 2));
    assert!(error.text.starts_with("Test did not come back"), "{}", error.text);
}

/// A service that allows so many calls in any window of 10 s, and says so.
struct Limited {
    allowed: usize,
    asked: AtomicU32,
    /// When calls arrived.
    arrived: Mutex<VecDeque<Instant>>,
}

impl Request for Limited {
    type Answer = ();

    fn endpoint(&self) -> &'static str {
        "things.list"
    }

    async fn exchange(&self, _: bool) -> Result<HttpAnswer, ApiError> {
        let n = self.asked.fetch_add(1, Ordering::Relaxed);
        let trip = |odd: u32| Duration::from_millis(u64::from(n * odd % 300));
        tokio::time::sleep(trip(7919)).await;
        let now = Instant::now();
        let status = {
            let mut arrived = self.arrived.lock().unwrap();
            while arrived.front().is_some_and(|at| now - *at >= Duration::from_secs(10)) {
                arrived.pop_front();
            }
            arrived.push_back(now);
            if arrived.len() > self.allowed { StatusCode::TOO_MANY_REQUESTS } else { StatusCode::OK }
        };
        tokio::time::sleep(trip(104_729)).await;
        Ok(HttpAnswer { status, headers: HeaderMap::new(), body: Vec::new() })
    }

    fn judge(&self, answer: HttpAnswer) -> Result<(), ApiError> {
        assert_eq!(answer.status, StatusCode::OK, "the limit is passed");
        Ok(())
    }

    fn clean(&self, text: String) -> String {
        text
    }
}

#[tokio::test(start_paused = true)]
async fn eight_side_by_side_at_97_percent_use_the_rate_and_no_window_sees_more() {
    // 0.3 s each on average: eight side by side could make some 26 calls a second, and 19.4 are allowed.
    const CALLS: u32 = 2000;
    let share = crate::net::auto_rate::share_of(200, 0.97);
    assert_eq!(share.get(), 194);
    let caller = Arc::new(caller_with(&pace(share.get(), 10), BREAKER, Stop::default()));
    let service = Arc::new(Limited {
        allowed: share.get() as usize,
        asked: AtomicU32::default(),
        arrived: Mutex::default(),
    });
    let begin = Instant::now();
    let workers = (0..8).map(|_| {
        let (caller, service) = (caller.clone(), service.clone());
        tokio::spawn(async move {
            for _ in 0..CALLS / 8 {
                let tries = Tries::default();
                let attempt = || caller.attempt(&*service, &*service, &tries);
                caller.tries(POLICY, "things.list", attempt).await.unwrap();
            }
        })
    });
    futures_util::future::try_join_all(workers).await.unwrap();
    let figures = caller.figures();
    assert_eq!((figures.calls.calls, figures.calls.throttled), (u64::from(CALLS), 0));
    // A place in the window is free again a period after its call was answered: some 4 % go to the calls' own time.
    let used = f64::from(CALLS) / begin.elapsed().as_secs_f64() / 19.4;
    assert!((0.94..=1.0).contains(&used), "{used}");
}
