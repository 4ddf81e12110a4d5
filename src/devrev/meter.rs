//! What the client has done: counted where it happens, read by whoever shows it.

use reqwest::StatusCode;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Calls to one endpoint.
#[derive(Debug, Clone, Default, serde::Serialize)]
pub struct EndpointCalls {
    /// Requests sent, every try counted.
    pub calls: u64,
    /// Requests by HTTP status; `none` where no answer came.
    pub statuses: BTreeMap<String, u64>,
    /// Time from sending to the last byte of the answer, in seconds, all calls together.
    pub seconds: f64,
}

/// Everything that is counted.
#[derive(Debug, Clone, Default, serde::Serialize)]
pub struct CallTotals {
    /// Requests sent, every try counted.
    pub calls: u64,
    /// Of these, tries after a failed one.
    pub retries: u64,
    /// Answers 429.
    pub throttled: u64,
    /// By endpoint.
    pub endpoints: BTreeMap<&'static str, EndpointCalls>,
}

/// The counters of one client.
#[derive(Debug, Default)]
pub(super) struct Meter(Mutex<CallTotals>);

impl Meter {
    pub(super) fn called(&self, endpoint: &'static str, status: Option<StatusCode>, took: Duration) {
        let mut totals = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        totals.calls += 1;
        totals.throttled += u64::from(status == Some(StatusCode::TOO_MANY_REQUESTS));
        let of_endpoint = totals.endpoints.entry(endpoint).or_default();
        of_endpoint.calls += 1;
        of_endpoint.seconds += took.as_secs_f64();
        let status = status.map_or("none", status_text);
        match of_endpoint.statuses.get_mut(status) {
            Some(count) => *count += 1,
            None => drop(of_endpoint.statuses.insert(status.to_owned(), 1)),
        }
    }

    pub(super) fn retried(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).retries += 1;
    }

    pub(super) fn totals(&self) -> CallTotals {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
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
