//! Reading an answer: the bound of its body, its rate-limit headers, its time and its names.

use super::message::{ApiMessage, LONGEST_WORDS, one_line};
use chrono::DateTime;
use reqwest::header::{CONTENT_TYPE, DATE, HeaderMap, HeaderName, LOCATION, RETRY_AFTER};
use std::time::{Duration, SystemTime};

/// The largest body that is read, in bytes. A page of 100 works is some 200 KB.
pub(crate) const MAX_BODY: usize = 32 * 1024 * 1024;

/// The longest that a reset time is believed: windows are of about five minutes, and a little is for skew.
const LONGEST_WINDOW: Duration = Duration::from_secs(330);

/// What an answer says of the rate limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct RateHeaders {
    /// Calls that a window allows (`X-Ratelimit-Limit`).
    pub limit: Option<u64>,
    /// Calls left in this window (`X-Ratelimit-Remaining`).
    pub remaining: Option<u64>,
    /// Time until the window ends, from `X-Ratelimit-Reset`: see [`until`].
    pub resets_in: Option<Duration>,
}

impl RateHeaders {
    /// Reads the headers of an answer.
    pub(crate) fn read(headers: &HeaderMap) -> Self {
        let remaining = number(headers, "x-ratelimit-remaining");
        let resets_in = until(headers, &HeaderName::from_static("x-ratelimit-reset"))
            .map(|left| left.min(LONGEST_WINDOW));
        Self { limit: number(headers, "x-ratelimit-limit"), remaining, resets_in }
    }
}

/// How long an answer that is no success asks to keep away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Waits {
    /// What the `Retry-After` header says.
    pub(crate) asked: Option<Duration>,
    /// What is to be heeded: `Retry-After`, else `retry_after` in the body, else the end of the window. Nothing or the
    /// past is no wait.
    pub(crate) usable: Option<Duration>,
}

impl Waits {
    /// Reads an answer.
    pub(crate) fn read(headers: &HeaderMap, message: &ApiMessage) -> Self {
        let asked = asked_wait(headers);
        let in_body = message.retry_after.map(Duration::from_secs);
        let waits = [asked, in_body, RateHeaders::read(headers).resets_in];
        Self { asked, usable: waits.into_iter().flatten().find(|wait| !wait.is_zero()) }
    }
}

/// The `Retry-After` header: seconds, or a date.
pub(crate) fn asked_wait(headers: &HeaderMap) -> Option<Duration> {
    until(headers, &RETRY_AFTER)
}

/// The time until what a header says: seconds that are left, or a time as seconds or milliseconds since the epoch, as
/// an HTTP date or as in RFC 3339. Times are held against the answer's `Date`, so that this machine's clock does not
/// matter; one in the past is now.
fn until(headers: &HeaderMap, name: &HeaderName) -> Option<Duration> {
    /// From here on (2001 in seconds, 1973 in milliseconds) a number is a time and not what is left.
    const SECONDS: f64 = 1e9;
    const MILLIS: f64 = 1e11;
    /// More seconds than this are not left until any window's end: they are milliseconds, up to as many of them.
    const LONGEST_LEFT: f64 = 3600.0;
    let text = headers.get(name)?.to_str().ok()?.trim();
    let since_epoch = |time: SystemTime| time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let is_reset = *name != RETRY_AFTER;
    let then = match text.parse::<f64>() {
        Ok(number) if !number.is_finite() || number < 0.0 => return None,
        Ok(number) if number >= MILLIS => number / 1000.0,
        Ok(number) if number >= SECONDS => number,
        Ok(number) if is_reset && number > LONGEST_LEFT && number <= LONGEST_LEFT * 1000.0 => {
            return Duration::try_from_secs_f64(number / 1000.0).ok();
        }
        Ok(number) => return Duration::try_from_secs_f64(number).ok(),
        Err(_) => {
            let date = httpdate::parse_http_date(text)
                .ok()
                .or_else(|| DateTime::parse_from_rfc3339(text).ok().map(SystemTime::from));
            since_epoch(date?).as_secs_f64()
        }
    };
    let now = since_epoch(server_time(headers).unwrap_or_else(SystemTime::now)).as_secs_f64();
    // Whole milliseconds: the float is no more exact, and a window is not.
    Duration::try_from_secs_f64(((then - now).max(0.0) * 1000.0).round() / 1000.0).ok()
}

/// A wait in seconds, in full: `86,400 s`, `0.5 s`.
pub(crate) fn seconds(wait: Duration) -> String {
    let whole = wait.as_secs();
    if whole < 10 && wait.subsec_millis() > 0 {
        return format!("{} s", (wait.as_secs_f64() * 10.0).ceil() / 10.0);
    }
    // What is begun is waited for.
    let digits = (whole + u64::from(wait.subsec_nanos() > 0)).to_string();
    let groups: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().filter_map(|group| std::str::from_utf8(group).ok()).collect();
    format!("{} s", groups.join(","))
}

/// The `Location` header.
pub(crate) fn location(headers: &HeaderMap) -> Option<String> {
    let location = headers.get(LOCATION)?;
    Some(one_line(&String::from_utf8_lossy(location.as_bytes())).chars().take(LONGEST_WORDS).collect())
}

/// The `Content-Type` header, as errors show it.
pub(crate) fn content_type(headers: &HeaderMap) -> String {
    headers.get(CONTENT_TYPE).map_or("no content type".into(), |kind| {
        String::from_utf8_lossy(kind.as_bytes()).chars().take(60).collect()
    })
}

/// What the answer calls its request, if it does: what the API's support can find it by.
pub(crate) fn request_id(headers: &HeaderMap) -> Option<String> {
    const LONGEST: usize = 100;
    let id = ["x-request-id", "x-correlation-id", "x-amzn-requestid"]
        .iter()
        .find_map(|name| headers.get(*name))?;
    Some(one_line(&String::from_utf8_lossy(id.as_bytes())).chars().take(LONGEST).collect())
}

/// The `Date` header.
pub(crate) fn server_time(headers: &HeaderMap) -> Option<SystemTime> {
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
    fn a_reset_is_read_in_every_form() {
        let millis = |reset: &str| {
            let read = RateHeaders::read(&headers(&[DATE_HEADER, ("x-ratelimit-reset", reset)]));
            read.resets_in.map(|left| left.as_millis())
        };
        let epoch = |more: u64| (DATE_EPOCH + more).to_string();
        for (reset, left) in [
            (epoch(42), Some(42_000)),
            (format!("{}.5", epoch(42)), Some(42_500)),
            (epoch(0), Some(0)),
            ((DATE_EPOCH - 7).to_string(), Some(0)),
            (format!("{}250", epoch(42)), Some(42_250)),
            ("60".to_owned(), Some(60_000)),
            ("0".to_owned(), Some(0)),
            ("0.25".to_owned(), Some(250)),
            ("45000".to_owned(), Some(45_000)),
            ("Sun, 22 Nov 2026 03:45:05 GMT".to_owned(), Some(5_000)),
            ("2026-11-22T04:45:05.5+01:00".to_owned(), Some(5_500)),
            ("2026-11-22T03:44:05Z".to_owned(), Some(0)),
            // Absurd ones are cut to the longest window.
            ("3000".to_owned(), Some(330_000)),
            (epoch(86_400), Some(330_000)),
            ((u64::MAX / 2).to_string(), Some(330_000)),
            ("-1".to_owned(), None),
            ("NaN".to_owned(), None),
            ("inf".to_owned(), None),
            ("soon".to_owned(), None),
            (String::new(), None),
        ] {
            assert_eq!(millis(&reset), left, "{reset}");
        }
    }

    #[test]
    fn a_wait_is_in_the_header_in_the_body_or_the_end_of_the_window() {
        let none = ApiMessage::default();
        let body = ApiMessage::read(r#"{"type":"too_many_requests","retry_after":9}"#);
        let date = ("retry-after", "Sun, 22 Nov 2026 03:45:05 GMT");
        let past = ("retry-after", "Sun, 22 Nov 2026 03:44:05 GMT");
        let reset = ("x-ratelimit-reset", "7");
        for (given, message, seconds) in [
            (&[("retry-after", "3"), reset][..], &body, Some(3)),
            (&[DATE_HEADER, date], &none, Some(5)),
            (&[("retry-after", "-1")], &body, Some(9)),
            (&[("retry-after", "0")], &body, Some(9)),
            (&[("retry-after", "0"), reset], &none, Some(7)),
            (&[("retry-after", "0")], &none, None),
            (&[DATE_HEADER, past], &none, None),
            (&[("retry-after", "1e300")], &none, None),
            (&[("retry-after", "86400")], &none, Some(86_400)),
            (&[], &none, None),
        ] {
            let waits = Waits::read(&headers(given), message);
            assert_eq!(waits.usable, seconds.map(Duration::from_secs), "{given:?}");
        }
    }

    #[test]
    fn waits_are_said_in_full() {
        for (millis, text) in
            [(0, "0 s"), (250, "0.3 s"), (1000, "1 s"), (61_500, "62 s"), (86_400_000, "86,400 s")]
        {
            assert_eq!(seconds(Duration::from_millis(millis)), text);
        }
        assert_eq!(seconds(Duration::from_secs(1_234_567)), "1,234,567 s");
    }

    #[test]
    fn the_request_id_is_taken_where_there_is_one() {
        assert_eq!(request_id(&headers(&[DATE_HEADER])), None);
        let long = "r".repeat(500);
        assert_eq!(request_id(&headers(&[("x-request-id", &long)])).unwrap().len(), 100);
        assert_eq!(request_id(&headers(&[("x-amzn-requestid", "a1")])).as_deref(), Some("a1"));
    }
}
