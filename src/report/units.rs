//! Numbers for people.

use std::time::Duration;

/// Bytes for people.
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    let (mut shown, mut unit) = (bytes, "bytes");
    let mut tenths = 0;
    for next in UNITS {
        if shown < 1024 {
            break;
        }
        tenths = shown % 1024 * 10 / 1024;
        shown /= 1024;
        unit = next;
    }
    if unit == "bytes" || shown >= 100 {
        format!("{shown} {unit}")
    } else {
        format!("{shown}.{tenths} {unit}")
    }
}

/// A time for people: `0.4 s`, `12 s`, `3 min 5 s`, `2 h 10 min`.
pub(crate) fn span(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..10 => format!("{:.1} s", time.as_secs_f64()),
        10..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

/// A number with its thousands apart: `1,234,567`.
pub(crate) fn number(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// How many there are of something: `1 row`, `2,000 rows`.
pub(crate) fn counted(count: u64, noun: &str) -> String {
    format!("{} {noun}{}", number(count), if count == 1 { "" } else { "s" })
}

/// A measure, to three digits or so: `0.12`, `9.5`, `1,234`.
pub(crate) fn measure(value: f64) -> String {
    match value {
        _ if !value.is_finite() || value <= 0.0 => "0".to_owned(),
        ..0.995 => trimmed(format!("{value:.2}")),
        ..99.95 => trimmed(format!("{value:.1}")),
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        // it is positive; a greater one is cut
        _ => number(value.round() as u64),
    }
}

fn trimmed(text: String) -> String {
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// A short time: `0.4 ms`, `120 ms`, `3.5 s`.
pub(crate) fn short_time(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    if seconds < 1.0 {
        format!("{} ms", measure(seconds * 1000.0))
    } else {
        format!("{} s", measure(seconds))
    }
}

/// A part of a whole in percent; what is not nothing is not shown as nothing.
pub(crate) fn share(part: u64, whole: u64) -> String {
    #[allow(clippy::cast_precision_loss)] // counts far below 2^52
    let percent = part as f64 * 100.0 / whole.max(1) as f64;
    match percent {
        _ if part == 0 => "0 %".to_owned(),
        ..0.1 => "under 0.1 %".to_owned(),
        _ if part < whole && percent > 99.9 => "over 99.9 %".to_owned(),
        _ => format!("{} %", trimmed(format!("{percent:.1}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_for_people() {
        for (bytes, text) in [
            (0, "0 bytes"),
            (1023, "1023 bytes"),
            (1024, "1.0 KiB"),
            (1_600_000, "1.5 MiB"),
            (200 << 20, "200 MiB"),
            (5 << 30, "5.0 GiB"),
        ] {
            assert_eq!(size(bytes), text);
        }
    }

    #[test]
    fn nouns_follow_their_number() {
        assert_eq!([0, 1, 2].map(|number| counted(number, "row")), ["0 rows", "1 row", "2 rows"]);
    }

    #[test]
    fn numbers_are_easy_to_read() {
        let numbers = [0, 12, 999, 1000, 100_000, 1_234_567].map(number);
        assert_eq!(numbers, ["0", "12", "999", "1,000", "100,000", "1,234,567"]);
        let measures = [0.0, f64::NAN, 0.004, 0.12, 0.5, 1.0, 9.53, 99.9, 100.4, 12_345.6].map(measure);
        assert_eq!(measures, ["0", "0", "0", "0.12", "0.5", "1", "9.5", "99.9", "100", "12,346"]);
        let shares =
            [(0, 5), (5, 5), (1, 3), (1, 100_000), (99_999, 100_000), (1, 0)].map(|(a, b)| share(a, b));
        assert_eq!(shares, ["0 %", "100 %", "33.3 %", "under 0.1 %", "over 99.9 %", "100 %"]);
        assert_eq!([(1, "row"), (2000, "row")].map(|(n, noun)| counted(n, noun)), ["1 row", "2,000 rows"]);
        let times = [400, 120_000, 3_500_000].map(|micros| short_time(Duration::from_micros(micros)));
        assert_eq!(times, ["0.4 ms", "120 ms", "3.5 s"]);
    }
}
