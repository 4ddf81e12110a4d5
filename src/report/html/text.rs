//! Texts, numbers and times as the page shows them.

use crate::report::terminal::is_unseen;
use chrono::{DateTime, Utc};
use std::fmt::{self, Write as _};

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

/// A moment: `2026-11-22 03:45:00 UTC`.
pub(super) fn moment(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M:%S UTC").to_string()
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
    fn moments_are_in_utc() {
        let at = DateTime::from_timestamp(1_795_319_100, 5).unwrap();
        assert_eq!(moment(at), "2026-11-22 03:45:00 UTC");
    }
}
