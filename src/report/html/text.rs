//! Texts, numbers and times as the page shows them.

use chrono::{DateTime, Utc};
use std::fmt::{self, Write as _};
use std::time::Duration;

/// The longest text that is shown whole, in characters.
const LONGEST: usize = 1000;

/// A text from outside that may be shown: what would not be seen, or would change how its neighbours look, is made
/// visible, and what is far too long is cut. The page takes texts from outside in no other form; it escapes them too.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Text(String);

impl Text {
    /// This text, as it may be shown.
    pub(super) fn of(text: impl AsRef<str>) -> Self {
        let text = text.as_ref();
        let mut shown = String::with_capacity(text.len().min(LONGEST));
        for (place, c) in text.chars().enumerate() {
            if place == LONGEST {
                shown.push_str(" ...");
                break;
            }
            match c {
                '\n' | '\t' => shown.push(' '),
                // There is a picture for each of these.
                '\0'..='\u{1f}' => shown.push(char::from_u32(0x2400 + u32::from(c)).unwrap_or('\u{fffd}')),
                _ if is_unseen(c) => drop(write!(shown, "\u{27e8}U+{:04X}\u{27e9}", u32::from(c))),
                _ => shown.push(c),
            }
        }
        Self(shown)
    }

    /// The text.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Text {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// Control characters, and those that set the direction of a text, break lines or take no room.
fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// A number with its thousands apart: `1,234,567`.
pub(super) fn number(number: u64) -> String {
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
pub(super) fn counted(count: u64, noun: &str) -> String {
    format!("{} {noun}{}", number(count), if count == 1 { "" } else { "s" })
}

/// A measure, to three digits or so: `0.12`, `9.5`, `1,234`.
pub(super) fn measure(value: f64) -> String {
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
pub(super) fn short_time(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    if seconds < 1.0 {
        format!("{} ms", measure(seconds * 1000.0))
    } else {
        format!("{} s", measure(seconds))
    }
}

/// A moment: `2026-11-22 03:45:00 UTC`.
pub(super) fn moment(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// A part of a whole in percent; what is not nothing is not shown as nothing.
pub(super) fn share(part: u64, whole: u64) -> String {
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
    fn what_would_not_be_seen_is() {
        for (text, shown) in [
            ("plain, <b>, \u{e9}, \u{5d0}, \u{1f600}", "plain, <b>, \u{e9}, \u{5d0}, \u{1f600}"),
            ("a\0b\u{1b}[31m\u{7f}", "a\u{2400}b\u{241b}[31m\u{27e8}U+007F\u{27e9}"),
            ("a\nb\tc", "a b c"),
            ("x\u{202e}gpj.exe\u{2066}", "x\u{27e8}U+202E\u{27e9}gpj.exe\u{27e8}U+2066\u{27e9}"),
            (
                "\u{feff}\u{200b}\u{e0041}",
                "\u{27e8}U+FEFF\u{27e9}\u{27e8}U+200B\u{27e9}\u{27e8}U+E0041\u{27e9}",
            ),
            // Needed to write some languages and some emoji.
            ("\u{200d}\u{200c}", "\u{200d}\u{200c}"),
        ] {
            assert_eq!(Text::of(text).as_str(), shown);
        }
    }

    #[test]
    fn a_text_without_end_is_cut_between_characters() {
        let text = Text::of("\u{1f600}".repeat(5000));
        assert_eq!(text.as_str().chars().count(), LONGEST + 4);
        assert!(text.as_str().ends_with("\u{1f600} ..."));
        assert_eq!(Text::of("x".repeat(LONGEST)).as_str().len(), LONGEST);
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
        let at = DateTime::from_timestamp(1_795_319_100, 5).unwrap();
        assert_eq!(moment(at), "2026-11-22 03:45:00 UTC");
    }
}
