//! What the client has done: counted where it happens, read by anyone who shows it.

use crate::figures::CallTotals;
use reqwest::StatusCode;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// The counters of one client.
#[derive(Debug, Default)]
pub(crate) struct Meter(Mutex<CallTotals>);

impl Meter {
    /// Counts a request. `given_up`: this process no longer waited for the answer, which says nothing of the API.
    pub(crate) fn called(
        &self,
        endpoint: &'static str,
        status: Option<StatusCode>,
        took: Duration,
        given_up: bool,
    ) {
        let mut totals = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        totals.calls += 1;
        totals.throttled += u64::from(status == Some(StatusCode::TOO_MANY_REQUESTS));
        match is_error(status).filter(|_| !given_up) {
            Some(true) => totals.errors_in_a_row += 1,
            Some(false) => totals.errors_in_a_row = 0,
            None => {}
        }
        totals.most_errors_in_a_row = totals.most_errors_in_a_row.max(totals.errors_in_a_row);
        let of_endpoint = totals.endpoints.entry(endpoint).or_default();
        of_endpoint.calls += 1;
        of_endpoint.seconds += took.as_secs_f64();
        of_endpoint.latencies.add(took);
        let status = status.map_or("none", status_text);
        match of_endpoint.statuses.get_mut(status) {
            Some(count) => *count += 1,
            None => drop(of_endpoint.statuses.insert(status.to_owned(), 1)),
        }
    }

    pub(crate) fn retried(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).retries += 1;
    }

    pub(crate) fn totals(&self) -> CallTotals {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Whether an answer is an error of the API, rather than about the object that was asked for; a 429 says neither.
fn is_error(status: Option<StatusCode>) -> Option<bool> {
    match status.map(|status| status.as_u16()) {
        Some(429) => None,
        Some(100..=399 | 404 | 409) => Some(false),
        _ => Some(true),
    }
}

/// The status as a text that lives for ever, without an allocation a call; unusual ones by their class.
fn status_text(status: StatusCode) -> &'static str {
    const USUAL: [(u16, &str); 12] = [
        (200, "200"),
        (201, "201"),
        (301, "301"),
        (400, "400"),
        (401, "401"),
        (403, "403"),
        (404, "404"),
        (409, "409"),
        (429, "429"),
        (500, "500"),
        (502, "502"),
        (503, "503"),
    ];
    let usual = USUAL.iter().find(|(code, _)| *code == status.as_u16()).map(|(_, text)| *text);
    usual.unwrap_or(match status.as_u16() / 100 {
        1 => "1xx",
        2 => "2xx",
        3 => "3xx",
        4 => "4xx",
        _ => "5xx",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_in_a_row_end_with_an_answer_and_not_with_a_429() {
        let meter = Meter::default();
        let called = |status: u16| {
            meter.called("x", StatusCode::from_u16(status).ok(), Duration::from_millis(1), false);
            let totals = meter.totals();
            (totals.errors_in_a_row, totals.most_errors_in_a_row)
        };
        // 0 is no status: no answer came.
        let cases = [
            (503, (1, 1)),
            (429, (1, 1)),
            (0, (2, 2)),
            (401, (3, 3)),
            (404, (0, 3)),
            (400, (1, 3)),
            (200, (0, 3)),
        ];
        for (status, expected) in cases {
            assert_eq!(called(status), expected, "{status}");
        }
    }

    #[test]
    fn a_call_that_a_stop_cut_short_is_no_error_of_the_api() {
        let meter = Meter::default();
        for _ in 0..8 {
            meter.called("x", None, Duration::from_millis(1), true);
        }
        let totals = meter.totals();
        assert_eq!((totals.calls, totals.most_errors_in_a_row), (8, 0));
    }
}
