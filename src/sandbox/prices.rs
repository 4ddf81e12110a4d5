//! An API that is not DevRev's: daily prices, for loads to fetch from. The same question has the same answer at all times.
//!
//! `GET .../histoday?fsym=BTC&tsym=USD&toTs=<seconds>&limit=<days>` answers with the `limit` days before `toTs` and the day of
//! `toTs` itself, as the API does that this one is modelled on (so each range has a day too many), 50 days to a page: `next`
//! is the cursor of the page after it.

use chrono::DateTime;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::HashMap;

/// The last segment of its path.
pub(super) const NAME: &str = "histoday";
/// Seconds of a day.
const DAY: i64 = 86_400;
/// Days of a page.
const PAGE: i64 = 50;
/// The most days that are asked for at once.
const MOST_DAYS: i64 = 2000;
/// What is traded, and about what it costs.
const SYMBOLS: [(&str, f64); 4] = [("ADA", 0.4), ("BTC", 25_000.0), ("ETH", 1_700.0), ("SOL", 60.0)];

/// Answers a query: a status, and a body.
pub(super) fn answer(query: &str) -> (u16, Value) {
    let params: HashMap<String, String> =
        url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    let refused = |text: String| (400, json!({ "Response": "Error", "Message": text }));
    let number = |name: &str, default: i64| match params.get(name) {
        None => Ok(default),
        Some(text) => text.parse::<i64>().map_err(|_| format!("{name}: `{text}` is not a number")),
    };
    let symbol = params.get("fsym").map(String::as_str).unwrap_or_default();
    let Some((_, about)) = SYMBOLS.iter().find(|(known, _)| *known == symbol) else {
        let known: Vec<&str> = SYMBOLS.iter().map(|(known, _)| *known).collect();
        return refused(format!("fsym: there is no market for `{symbol}`; there are {}", known.join(", ")));
    };
    let asked = number("toTs", i64::MAX).and_then(|to| Ok((to, number("limit", 30)?, number("cursor", 0)?)));
    let (to, limit, cursor) = match asked {
        Ok(asked) => asked,
        Err(problem) => return refused(problem),
    };
    if DateTime::from_timestamp(to, 0).is_none() {
        return refused(format!("toTs: {to} is not a time"));
    }
    if !(1..=MOST_DAYS).contains(&limit) || !(0..=MOST_DAYS).contains(&cursor) {
        return refused(format!("limit: from 1 to {MOST_DAYS}"));
    }
    let last = to.div_euclid(DAY) * DAY;
    let days: Vec<Value> = (cursor..=limit)
        .take(usize::try_from(PAGE).unwrap_or_default())
        .map(|number| day(symbol, *about, last - (limit - number) * DAY))
        .collect();
    let next = cursor + PAGE;
    let next = if next > limit { Value::Null } else { next.to_string().into() };
    (200, json!({ "Response": "Success", "Data": { "TimeTo": last, "Data": days }, "next": next }))
}

/// A day's prices.
fn day(symbol: &str, about: f64, time: i64) -> Value {
    // A slow wave, and a little noise that is the same each time.
    let share = |of: &str| {
        let hash = Sha256::digest(format!("{symbol} {time} {of}"));
        f64::from(u16::from_be_bytes([hash.first().copied().unwrap_or(0), hash.get(1).copied().unwrap_or(0)]))
            / 65_535.0
    };
    let wave = |time: i64| {
        #[allow(clippy::cast_precision_loss, reason = "days, not more")]
        let days = (time / DAY) as f64;
        about * (1.0 + 0.3 * (days / 90.0).sin())
    };
    let cents = |price: f64| (price * 10_000.0).round() / 10_000.0;
    let open = wave(time) * (0.98 + 0.04 * share("open"));
    let close = wave(time + DAY) * (0.98 + 0.04 * share("close"));
    let high = open.max(close) * (1.0 + 0.02 * share("high"));
    let low = open.min(close) * (1.0 - 0.02 * share("low"));
    json!({
        "time": time, "open": cents(open), "high": cents(high), "low": cents(low), "close": cents(close),
        "volumefrom": (share("volume") * 100_000.0).round(),
    })
}

/// The days that the demo's tests count: all of a range, both ends included.
#[cfg(test)]
fn days(from: &str, to: &str) -> i64 {
    let day = |text: &str| {
        text.parse::<chrono::NaiveDate>()
            .map(|date| date.and_time(chrono::NaiveTime::MIN).and_utc().timestamp())
    };
    (day(to).unwrap() - day(from).unwrap()) / DAY + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_comes_in_pages_and_always_the_same() {
        let mut seen = Vec::new();
        let mut cursor = "0".to_owned();
        loop {
            let (status, body) =
                answer(&format!("fsym=BTC&tsym=USD&toTs=1703980800&limit=119&cursor={cursor}"));
            assert_eq!(status, 200);
            assert_eq!(answer(&format!("fsym=BTC&toTs=1703980800&limit=119&cursor={cursor}")).1, body);
            seen.extend(
                body["Data"]["Data"].as_array().unwrap().iter().map(|day| day["time"].as_i64().unwrap()),
            );
            match body["next"].as_str() {
                Some(next) => next.clone_into(&mut cursor),
                None => break,
            }
        }
        assert_eq!(i64::try_from(seen.len()).unwrap(), days("2023-09-03", "2023-12-31"));
        assert!(seen.windows(2).all(|pair| pair[1] - pair[0] == DAY));
        assert_eq!(seen.last(), Some(&1_703_980_800));
    }

    #[test]
    fn prices_hang_together() {
        let (_, body) = answer("fsym=ADA&toTs=1703980800&limit=40");
        for day in body["Data"]["Data"].as_array().unwrap() {
            let price = |name: &str| day[name].as_f64().unwrap();
            assert!(price("low") <= price("open").min(price("close")) && price("low") > 0.0, "{day}");
            assert!(price("high") >= price("open").max(price("close")), "{day}");
        }
    }

    #[test]
    fn nonsense_is_refused() {
        for query in [
            "",
            "fsym=XXX",
            "fsym=BTC&toTs=soon",
            "fsym=BTC&toTs=1&limit=0",
            "fsym=BTC&limit=9999",
            "fsym=BTC&toTs=9223372036854775807",
        ] {
            assert_eq!(answer(query).0, 400, "{query}");
        }
    }
}
