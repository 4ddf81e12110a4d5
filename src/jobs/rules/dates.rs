//! Dates as exports write them: RFC 3339, and Snowflake's own forms.
//!
//! By hand, because chrono's parser of patterns would cost more than all other rules of a row together.

/// A point in time, in UTC; a date or time without a zone is taken for UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Instant {
    seconds: i64,
    nanoseconds: u32,
}

/// Reads `2024-05-01`, which a time may follow after `T` or a space (`12:34`, `12:34:56`, `12:34:56.123`), which a
/// zone may follow, with or without a space (`Z`, `UTC`, `+0200`, `+02:00`, `+02`).
pub(super) fn parse(text: &str) -> Option<Instant> {
    let mut rest = Rest(text.as_bytes());
    let year = rest.number::<4>()?;
    rest.one(b"-")?;
    let month = rest.number::<2>()?;
    rest.one(b"-")?;
    let day = rest.number::<2>()?;
    let days = days_since_1970(year, month, day)?;
    let mut instant = Instant { seconds: days * 86_400, nanoseconds: 0 };
    if rest.0.is_empty() {
        return Some(instant);
    }
    rest.one(b"Tt ")?;
    let (hour, minute, second) = rest.time()?;
    instant.nanoseconds = rest.fraction()?;
    // A minute may have a leap second.
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let zone = rest.zone()?;
    instant.seconds += i64::from(hour * 3_600 + minute * 60 + second) - zone;
    rest.0.is_empty().then_some(instant)
}

/// The day as a number in the Gregorian calendar, which is taken to have always been; none if there is no such
/// day.
fn days_since_1970(year: u32, month: u32, day: u32) -> Option<i64> {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let longest = match month {
        2 => 28 + u32::from(leap),
        4 | 6 | 9 | 11 => 30,
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        _ => return None,
    };
    if day == 0 || day > longest {
        return None;
    }
    // Years that begin in March, so that the leap day is the last; one more, so that none is below 0.
    let (years, months) = if month > 2 { (year + 400, month - 3) } else { (year + 399, month + 9) };
    let days = years * 365 + years / 4 - years / 100 + years / 400 + (months * 153 + 2) / 5 + day;
    // From the first of March, 400 years before the year 0, whose number here is 1.
    Some(i64::from(days) - 865_566)
}

struct Rest<'a>(&'a [u8]);

impl Rest<'_> {
    fn one(&mut self, of: &[u8]) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        of.contains(first).then(|| {
            self.0 = rest;
            *first
        })
    }

    /// A number of that many digits.
    fn number<const DIGITS: usize>(&mut self) -> Option<u32> {
        let (digits, rest) = self.0.split_first_chunk::<DIGITS>()?;
        self.0 = rest;
        let (mut number, mut good) = (0, true);
        for byte in digits {
            let digit = byte.wrapping_sub(b'0');
            good &= digit <= 9;
            number = number * 10 + u32::from(digit);
        }
        good.then_some(number)
    }

    fn time(&mut self) -> Option<(u32, u32, u32)> {
        let hour = self.number::<2>()?;
        self.one(b":")?;
        let minute = self.number::<2>()?;
        let second = if self.one(b":").is_some() { self.number::<2>()? } else { 0 };
        Some((hour, minute, second))
    }

    /// The fraction of a second in nanoseconds.
    fn fraction(&mut self) -> Option<u32> {
        if self.one(b".").is_none() {
            return Some(0);
        }
        let digits = self.0.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if !(1..=9).contains(&digits) {
            return None;
        }
        let (number, rest) = self.0.split_at_checked(digits)?;
        self.0 = rest;
        let number = number.iter().fold(0, |number, byte| number * 10 + u32::from(byte - b'0'));
        Some((digits..9).fold(number, |number, _| number * 10))
    }

    /// The zone's distance from UTC in seconds.
    fn zone(&mut self) -> Option<i64> {
        if self.0.is_empty() {
            return Some(0);
        }
        // A space alone is no zone.
        let _ = self.one(b" ");
        if self.0.eq_ignore_ascii_case(b"utc") {
            self.0 = &[];
            return Some(0);
        }
        let sign = match self.one(b"Zz+-")? {
            b'+' => 1,
            b'-' => -1,
            _ => return Some(0),
        };
        let hours = self.number::<2>()?;
        // PostgreSQL leaves minutes out that are 0.
        let minutes = if self.0.is_empty() {
            0
        } else {
            let _ = self.one(b":");
            self.number::<2>()?
        };
        (hours < 24 && minutes < 60).then(|| sign * i64::from(hours * 3_600 + minutes * 60))
    }
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, NaiveDate, SecondsFormat, Utc};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_day_is_as_chrono_counts_it() {
        for year in (0u32..2_101).chain([2_400, 9_999]) {
            for (month, day) in (0..14).flat_map(|month| (0..33).map(move |day| (month, day))) {
                let expected = NaiveDate::from_ymd_opt(year.cast_signed(), month, day);
                let expected = expected.map(|date| i64::from(date.to_epoch_days()));
                assert_eq!(days_since_1970(year, month, day), expected, "{year}-{month}-{day}");
            }
        }
    }

    #[test]
    fn the_forms_that_exports_write() {
        let expected = parse("2024-05-01T12:34:56Z").unwrap();
        for text in [
            "2024-05-01t12:34:56z",
            "2024-05-01 12:34:56",
            "2024-05-01 12:34:56.000",
            "2024-05-01 12:34:56.000000000 Z",
            "2024-05-01 12:34:56 +0000",
            "2024-05-01 14:34:56.0 +0200",
            "2024-05-01T07:04:56-05:30",
        ] {
            assert_eq!(parse(text), Some(expected), "{text}");
        }
        assert_eq!(parse("2024-02-29"), parse("2024-02-29 00:00"));
        assert!(parse("2016-12-31T23:59:60Z").is_some());
    }

    #[test]
    fn what_is_no_date() {
        for text in [
            "",
            "2024",
            "2024-5-1",
            "2024-02-30",
            "2023-02-29",
            "2024-00-01",
            "2024-13-01",
            "01.05.2024",
            "2024-05-01T",
            "2024-05-01 ",
            "2024-05-01 24:00:00",
            "2024-05-01 12:60:00",
            "2024-05-01 12:00:61",
            "2024-05-01 12:34:56.",
            "2024-05-01 12:34:56.1234567890",
            "2024-05-01 12:34:56 ",
            "2024-05-01 12:34:56 UTCx",
            "2024-05-01 12:34:56 +2",
            "2024-05-01 12:34:56 +2400",
            "2024-05-01 12:34:56Zx",
            "2024-05-01x",
            "1714566896",
            "²024-05-01",
            "+024-05-01",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn zones_as_databases_write_them() {
        let utc = parse("2024-05-01T12:34:56Z");
        for text in [
            "2024-05-01 12:34:56+00",
            "2024-05-01 12:34:56 UTC",
            "2024-05-01 14:34:56+02",
            "2024-05-01 09:34:56 -03",
        ] {
            assert_eq!(parse(text), utc, "{text}");
        }
    }

    proptest! {
        #[test]
        fn as_chrono_reads_it(seconds in -60_000_000_000i64..250_000_000_000, nanoseconds in 0u32..1_000_000_000) {
            let time: DateTime<Utc> = DateTime::from_timestamp(seconds, nanoseconds).unwrap();
            let text = time.to_rfc3339_opts(SecondsFormat::Nanos, true);
            prop_assert_eq!(parse(&text), Some(Instant { seconds, nanoseconds }));
        }

        #[test]
        fn garbage_does_no_harm(text in "[-0-9T:. Z+é]{0,30}") {
            let _ = parse(&text);
        }
    }
}
