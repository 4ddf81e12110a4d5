//! Lenient reading: answers as servers send them, not only as the schema describes them.
//!
//! A member that nothing depends on must not make the rest unread. What guards a write (an ID, a state, an address, a
//! cursor) stays strict.

use memchr::memchr;
use serde::de::{Deserialize, DeserializeOwned, Deserializer};
use serde_json::value::RawValue;
use std::borrow::Cow;

/// How U+FFFD is escaped; as long as the escape it replaces.
const REPLACEMENT: &str = "\\ufffd";

/// The body as text that a JSON parser accepts: without a byte order mark, and with U+FFFD in place of bytes that are not
/// UTF-8 and of half a surrogate pair (an emoji cut in two: `"\ud83d"`).
///
/// JSON parsers refuse half a pair, so backups, too, hold the replacement.
pub(crate) fn text(body: &[u8]) -> Cow<'_, str> {
    let text = String::from_utf8_lossy(body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body));
    match whole_pairs(&text) {
        Some(replaced) => Cow::Owned(replaced),
        None => text,
    }
}

/// The JSON with lone surrogates replaced; `None` if there are none.
fn whole_pairs(json: &str) -> Option<String> {
    let mut replaced: Option<String> = None;
    let (mut at, mut copied) = (0, 0);
    while let Some(found) = json.as_bytes().get(at..).and_then(|rest| memchr(b'\\', rest)) {
        let begin = at + found;
        let (is_lone, length) = match code(json, begin) {
            // `\\` and `\"` among others: two characters.
            None => (false, 2),
            Some(0xd800..=0xdbff) if matches!(code(json, begin + 6), Some(0xdc00..=0xdfff)) => (false, 12),
            Some(0xd800..=0xdfff) => (true, 6),
            Some(_) => (false, 6),
        };
        at = begin + length;
        if is_lone {
            let out = replaced.get_or_insert_with(|| String::with_capacity(json.len()));
            out.push_str(json.get(copied..begin).unwrap_or_default());
            out.push_str(REPLACEMENT);
            copied = at;
        }
    }
    let mut replaced = replaced?;
    replaced.push_str(json.get(copied..).unwrap_or_default());
    Some(replaced)
}

/// The code unit that is escaped at this place, if `\uXXXX` stands there.
fn code(json: &str, at: usize) -> Option<u16> {
    let digits = json.get(at..at + 6)?.strip_prefix("\\u")?;
    digits.bytes().all(|byte| byte.is_ascii_hexdigit()).then(|| u16::from_str_radix(digits, 16).ok())?
}

/// A list that may be `null`, as some servers write an empty one.
pub(crate) fn list<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Ok(Option::<Vec<T>>::deserialize(deserializer)?.unwrap_or_default())
}

/// A text that nothing depends on: a number stands for its digits, and what is no text is none.
pub(crate) fn word<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(word_of(&Box::<RawValue>::deserialize(deserializer)?))
}

/// The same of JSON that stands alone.
pub(crate) fn word_of(json: &RawValue) -> Option<String> {
    let json = json.get();
    match json.as_bytes().first()? {
        b'"' => serde_json::from_str(json).ok(),
        b'n' | b'[' | b'{' => None,
        _ => Some(json.to_owned()),
    }
}

/// A value that nothing depends on: none if it is not what was expected.
pub(crate) fn maybe<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned,
{
    let raw = Box::<RawValue>::deserialize(deserializer)?;
    Ok(serde_json::from_str(raw.get()).ok().flatten())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    #[test]
    fn half_a_surrogate_pair_becomes_the_replacement_character() {
        for (sent, read) in [
            (r#""cut \ud83d""#, "cut \u{fffd}"),
            (r#""\uDE00 cut""#, "\u{fffd} cut"),
            (r#""\ud83d\ud83d\ude00\ude00""#, "\u{fffd}\u{1f600}\u{fffd}"),
            (r#""\ud83d\n""#, "\u{fffd}\n"),
            (r#""whole \ud83d\ude00 \u00e9""#, "whole \u{1f600} \u{e9}"),
            // An escaped backslash, not a surrogate.
            (r#""C:\\ud83d""#, r"C:\ud83d"),
            (r#""C:\\\ud83d""#, "C:\\\u{fffd}"),
        ] {
            let text = text(sent.as_bytes());
            assert_eq!(serde_json::from_str::<String>(&text).unwrap(), read, "{sent}");
        }
        assert!(matches!(text(br#"{"title":"\ud83d\ude00"}"#), Cow::Borrowed(_)));
    }

    #[test]
    fn a_byte_order_mark_and_bytes_that_are_no_text_do_not_hide_the_rest() {
        assert_eq!(text(b"\xef\xbb\xbf{\"id\":\"\xff\"}"), "{\"id\":\"\u{fffd}\"}");
    }

    #[derive(serde::Deserialize)]
    struct Odd {
        #[serde(default, deserialize_with = "word")]
        word: Option<String>,
        #[serde(default, deserialize_with = "maybe")]
        size: Option<i64>,
        #[serde(default, deserialize_with = "list")]
        list: Vec<u8>,
    }

    #[test]
    fn odd_members_are_read_each_on_its_own() {
        let read = |json: &str| {
            let Odd { word, size, list } = serde_json::from_str(json).unwrap();
            (word, size, list)
        };
        let word = |text: &str| Some(text.to_owned());
        assert_eq!(read(r#"{"word":"x","size":3,"list":[1]}"#), (word("x"), Some(3), vec![1]));
        assert_eq!(read(r#"{"word":7,"size":"3","list":null}"#), (word("7"), None, vec![]));
        assert_eq!(read(r#"{"word":{"a":1e999},"size":1e999}"#), (None, None, vec![]));
        assert_eq!(read(r#"{"word":null,"size":null}"#), (None, None, vec![]));
    }

    proptest! {
        #[test]
        fn any_escapes_are_json_afterwards(units in prop::collection::vec(any::<u16>(), 0..20)) {
            let escapes: Vec<_> = units.iter().map(|unit| format!("\\u{unit:04X}")).collect();
            let body = format!("\"{}\"", escapes.concat());
            prop_assert_eq!(serde_json::from_str::<String>(&text(body.as_bytes())).unwrap(), String::from_utf16_lossy(&units));
        }

        #[test]
        fn what_was_json_stays_as_it_is(value in ".*") {
            let body = serde_json::to_vec(&Value::from(value)).unwrap();
            prop_assert!(matches!(text(&body), Cow::Borrowed(_)));
        }

        #[test]
        fn nothing_is_a_panic(body in any::<Vec<u8>>(), json in "[\\\\ud8dcDC0-9a-f\"é]*") {
            let _ = (text(&body), text(json.as_bytes()));
        }
    }
}
