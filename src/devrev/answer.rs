//! Reading an answer: the bound of its body, its rate-limit headers, its time and its names.

use super::message::{ApiMessage, LONGEST_WORDS, one_line};
use reqwest::header::{DATE, HeaderMap, HeaderName, LOCATION, RETRY_AFTER};
use std::time::{Duration, SystemTime};

/// The largest body that is read, in bytes. A page of 100 works is some 200 KB.
pub(super) const MAX_BODY: usize = 32 * 1024 * 1024;

/// The longest that a reset time is believed: windows are of about five minutes, and a little is for skew.
const LONGEST_WINDOW: Duration = Duration::from_secs(330);

/// What an answer says of the rate limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct RateHeaders {
    /// Calls that a window allows (`X-Ratelimit-Limit`).
    pub limit: Option<u64>,
    /// Calls left in this window (`X-Ratelimit-Remaining`).
    pub remaining: Option<u64>,
    /// Time until the window ends, from `X-Ratelimit-Reset` (seconds since the epoch) less the answer's
    /// `Date`, so that this machine's clock does not matter.
    pub resets_in: Option<Duration>,
}

impl RateHeaders {
    /// Reads the headers of an answer.
    pub(super) fn read(headers: &HeaderMap) -> Self {
        let remaining = number(headers, "x-ratelimit-remaining");
        let resets_in = number(headers, "x-ratelimit-reset").map(|reset| {
            let now = server_time(headers).unwrap_or_else(SystemTime::now);
            let now = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            Duration::from_secs(reset).saturating_sub(now).min(LONGEST_WINDOW)
        });
        Self { limit: number(headers, "x-ratelimit-limit"), remaining, resets_in }
    }
}

/// How long a 429 asks to keep away: `Retry-After` (seconds or a date), else `retry_after` in the body, else
/// the end of the window.
pub(super) fn retry_after(headers: &HeaderMap, message: &ApiMessage) -> Option<Duration> {
    asked_wait(headers)
        .or_else(|| message.retry_after.map(Duration::from_secs))
        .or_else(|| RateHeaders::read(headers).resets_in)
}

/// The `Retry-After` header: seconds, or a date by the server's clock.
pub(super) fn asked_wait(headers: &HeaderMap) -> Option<Duration> {
    headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()).and_then(|text| {
        let text = text.trim();
        let seconds = text.parse::<f64>().ok().filter(|s| s.is_finite() && *s >= 0.0);
        seconds.and_then(|s| Duration::try_from_secs_f64(s).ok()).or_else(|| {
            let until = httpdate::parse_http_date(text).ok()?;
            let now = server_time(headers).unwrap_or_else(SystemTime::now);
            Some(until.duration_since(now).unwrap_or_default())
        })
    })
}

/// The `Location` header.
pub(super) fn location(headers: &HeaderMap) -> Option<String> {
    let location = headers.get(LOCATION)?;
    Some(one_line(&String::from_utf8_lossy(location.as_bytes())).chars().take(LONGEST_WORDS).collect())
}

/// What the answer calls its request, if it does: what DevRev's support can find it by.
pub(super) fn request_id(headers: &HeaderMap) -> Option<String> {
    const LONGEST: usize = 100;
    let id = ["x-request-id", "x-correlation-id", "x-amzn-requestid"]
        .iter()
        .find_map(|name| headers.get(*name))?;
    Some(one_line(&String::from_utf8_lossy(id.as_bytes())).chars().take(LONGEST).collect())
}

/// The `Date` header.
pub(super) fn server_time(headers: &HeaderMap) -> Option<SystemTime> {
    httpdate::parse_http_date(headers.get(DATE)?.to_str().ok()?).ok()
}

fn number(headers: &HeaderMap, name: &'static str) -> Option<u64> {
    headers.get(HeaderName::from_static(name))?.to_str().ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::header::HeaderValue;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let pairs = pairs.iter();
        pairs.map(|(k, v)| (HeaderName::from_static(k), HeaderValue::from_str(v).unwrap())).collect()
    }

    const DATE_HEADER: (&str, &str) = ("date", "Sun, 22 Nov 2026 03:45:00 GMT");
    const DATE_EPOCH: u64 = 1_795_319_100;

    #[test]
    fn the_reset_is_reckoned_by_the_servers_clock() {
        let reset = (DATE_EPOCH + 42).to_string();
        let read = RateHeaders::read(&headers(&[
            DATE_HEADER,
            ("x-ratelimit-remaining", "7"),
            ("x-ratelimit-reset", &reset),
        ]));
        assert_eq!(
            read,
            RateHeaders { limit: None, remaining: Some(7), resets_in: Some(Duration::from_secs(42)) }
        );
    }

    #[test]
    fn an_absurd_reset_is_clamped_and_a_past_one_is_now() {
        for (reset, seconds) in [(u64::MAX / 2, 330), (3, 0)] {
            let reset = reset.to_string();
            let read = RateHeaders::read(&headers(&[DATE_HEADER, ("x-ratelimit-reset", &reset)]));
            assert_eq!(read.resets_in, Some(Duration::from_secs(seconds)));
        }
    }

    #[test]
    fn retry_after_is_seconds_a_date_or_in_the_body() {
        let none = ApiMessage::default();
        let body = ApiMessage::read(r#"{"type":"too_many_requests","retry_after":9}"#);
        let date = ("retry-after", "Sun, 22 Nov 2026 03:45:05 GMT");
        assert_eq!(retry_after(&headers(&[("retry-after", "3")]), &body), Some(Duration::from_secs(3)));
        assert_eq!(retry_after(&headers(&[DATE_HEADER, date]), &none), Some(Duration::from_secs(5)));
        assert_eq!(retry_after(&headers(&[("retry-after", "-1")]), &body), Some(Duration::from_secs(9)));
        assert_eq!(retry_after(&headers(&[("retry-after", "1e300")]), &none), None);
    }

    #[test]
    fn the_request_id_is_taken_where_there_is_one() {
        assert_eq!(request_id(&headers(&[DATE_HEADER])), None);
        let long = "r".repeat(500);
        assert_eq!(request_id(&headers(&[("x-request-id", &long)])).unwrap().len(), 100);
        assert_eq!(request_id(&headers(&[("x-amzn-requestid", "a1")])).as_deref(), Some("a1"));
    }
}
