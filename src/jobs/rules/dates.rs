//! Dates as exports write them: RFC 3339, and the forms of Snowflake and PostgreSQL.

use chrono::{DateTime, Utc};

/// Reads `2024-05-01`, which a time may follow after `T` or a space (`12:34`, `12:34:56`, `12:34:56.123`), which a
/// zone may follow, with or without a space (`Z`, `UTC`, `+0200`, `+02:00`, `+02`). Without a zone it is UTC.
///
/// Each form is written as RFC 3339 has it and left to chrono: its parser of patterns is many times slower.
pub(crate) fn parse(text: &str) -> Option<DateTime<Utc>> {
    let (date, rest) = text.split_at_checked(10)?;
    let (time, zone) = match rest.strip_prefix(['T', 't', ' ']) {
        Some(rest) => {
            rest.split_at(rest.find(|c: char| !c.is_ascii_digit() && !":.".contains(c)).unwrap_or(rest.len()))
        }
        None if rest.is_empty() => ("00:00", ""),
        None => return None,
    };
    let seconds = if time.len() == 5 { ":00" } else { "" };
    let zone = match zone.strip_prefix(' ') {
        Some("") => return None,
        Some(zone) => zone,
        None => zone,
    };
    let is_utc = zone.is_empty() || zone.eq_ignore_ascii_case("z") || zone.eq_ignore_ascii_case("utc");
    let (hours, minutes) = match zone.len() {
        _ if is_utc => ("+00", "00"),
        3 => (zone, "00"),
        5 => zone.split_at_checked(3)?,
        6 => (zone.get(..3)?, zone.get(3..)?.strip_prefix(':')?),
        _ => return None,
    };
    let text = format!("{date}T{time}{seconds}{hours}:{minutes}");
    DateTime::parse_from_rfc3339(&text).ok().map(|time| time.to_utc())
}

/// Whether a text that [`parse`] reads names its zone.
#[cfg(feature = "load")]
pub(crate) fn has_zone(text: &str) -> bool {
    text.get(10..).is_some_and(|time| {
        time.ends_with(|last: char| last.is_ascii_alphabetic()) || time.contains(['+', '-'])
    })
}

#[cfg(test)]
mod tests {
    use chrono::SecondsFormat;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_forms_that_exports_write() {
        let expected = parse("2024-05-01T12:34:56Z").unwrap();
        for text in [
            "2024-05-01t12:34:56z",
            "2024-05-01 12:34:56",
            "2024-05-01 12:34:56.000",
            "2024-05-01 12:34:56.000000000 Z",
            "2024-05-01 12:34:56.0000000000",
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
            prop_assert_eq!(parse(&text), Some(time));
        }

        #[test]
        fn garbage_does_no_harm(text in "[-0-9T:. Z+é]{0,30}") {
            let _ = parse(&text);
        }
    }
}
