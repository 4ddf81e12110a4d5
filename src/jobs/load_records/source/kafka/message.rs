//! A message as a filter gets it.

use super::access::MAX_MESSAGE;
use crate::jobs::load_records::rules::Broken;
use crate::source::hex;
use chrono::{DateTime, SecondsFormat};
use jaq_json::Val;
use rdkafka::message::Headers;
use sha2::{Digest, Sha256};
use std::fmt::Write as _;

/// The deepest JSON that is read: its readers call themselves for what is within.
const MAX_DEPTH: usize = 200;
/// What is kept of a message that is too long, in bytes.
const KEPT: usize = 1 << 10;

/// A message.
#[derive(Debug)]
pub(in crate::jobs::load_records) struct Message {
    /// Its offset.
    pub offset: i64,
    /// What `$kafka` is.
    pub about: Val,
    /// What it says.
    pub payload: Payload,
}

/// What a message says.
#[derive(Debug)]
pub(in crate::jobs::load_records) enum Payload {
    Json(Val),
    /// Nothing: what had its key is gone.
    Tombstone,
    /// What cannot be a record, as text, and why.
    Broken(String, Broken),
}

impl Message {
    /// Takes it out of its reader's memory.
    pub(in crate::jobs::load_records) fn of(message: &impl rdkafka::Message) -> Self {
        let time = message.timestamp().to_millis().and_then(DateTime::from_timestamp_millis);
        let headers = message.headers().into_iter().flat_map(|headers| headers.iter());
        let headers = headers.map(|header| (name(header.key), header.value.map_or(Val::Null, text)));
        let about = [
            ("key", message.key().map_or(Val::Null, text)),
            ("headers", Val::obj(headers.collect())),
            ("topic", message.topic().to_owned().into()),
            ("partition", number(message.partition().into())),
            ("offset", number(message.offset())),
            (
                "timestamp",
                time.map_or(Val::Null, |time| time.to_rfc3339_opts(SecondsFormat::Millis, true).into()),
            ),
        ];
        let about = Val::obj(about.into_iter().map(|(key, value)| (name(key), value)).collect());
        let payload = message.payload().map_or(Payload::Tombstone, payload);
        Self { offset: message.offset(), about, payload }
    }
}

/// What tells a message from another one at the same offset.
pub(super) fn digest(message: &impl rdkafka::Message) -> String {
    let mut hash = Sha256::new();
    hash.update(message.timestamp().to_millis().unwrap_or(-1).to_be_bytes());
    for part in [message.key(), message.payload()] {
        hash.update(part.map_or(u64::MAX, |part| part.len() as u64).to_be_bytes());
        hash.update(part.unwrap_or_default());
    }
    hex(hash).chars().take(32).collect()
}

fn name(name: &str) -> Val {
    Val::utf8_str(name.as_bytes().to_vec())
}

/// Bytes as text; in hexadecimal digits where they are none.
fn text(bytes: &[u8]) -> Val {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return text.to_owned().into();
    }
    let mut digits = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // Writing to a String cannot fail.
        let _ = write!(digits, "{byte:02x}");
    }
    digits.into()
}

fn number(number: i64) -> Val {
    isize::try_from(number).map_or(Val::Null, Val::from)
}

fn payload(bytes: &[u8]) -> Payload {
    let broken = |bytes: &[u8], text: String| {
        let shown = String::from_utf8_lossy(bytes).into_owned();
        Payload::Broken(shown, Broken { rule: "json", field: None, text })
    };
    if bytes.len() > MAX_MESSAGE {
        let text =
            format!("the message is longer than {} MiB: only its beginning is here", MAX_MESSAGE >> 20);
        return broken(bytes.get(..KEPT).unwrap_or(bytes), text);
    }
    if depth(bytes) > MAX_DEPTH {
        let text =
            format!("its arrays and objects are more than {MAX_DEPTH} deep: only its beginning is here");
        return broken(bytes.get(..KEPT).unwrap_or(bytes), text);
    }
    // As the filter reads JSON: numbers keep their digits.
    match jaq_json::read::parse_single(bytes) {
        Ok(_) if std::str::from_utf8(bytes).is_err() => broken(bytes, "the message is not UTF-8".to_owned()),
        Ok(val) => Payload::Json(val),
        Err(error) => broken(bytes, format!("the message is not JSON: {error}")),
    }
}

/// How deep arrays and objects are within each other.
fn depth(json: &[u8]) -> usize {
    let (mut now, mut most, mut in_text, mut is_escaped) = (0_usize, 0, false, false);
    for byte in json {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if in_text => is_escaped = true,
            b'"' => in_text = !in_text,
            b'[' | b'{' if !in_text => {
                now += 1;
                most = most.max(now);
            }
            b']' | b'}' if !in_text => now = now.saturating_sub(1),
            _ => {}
        }
    }
    most
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_broken(bytes: &[u8], says: &str) {
        match payload(bytes) {
            Payload::Broken(text, broken) => {
                assert!(broken.text.contains(says), "{}", broken.text);
                assert!(text.len() < 100_000);
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_no_json_is_said() {
        assert!(matches!(payload(br#"{"a": [1, "]]]\"["]}"#), Payload::Json(_)));
        is_broken(b"hello", "not JSON");
        is_broken(b"", "not JSON");
        is_broken(b"{\"a\":1} {\"b\":2}", "not JSON");
        is_broken(b"{\"a\":\"\xff\"}", "not UTF-8");
        is_broken("[".repeat(5_000_000).as_bytes(), "deep");
        is_broken("[".repeat(MAX_DEPTH).as_bytes(), "not JSON");
        is_broken(&vec![b' '; MAX_MESSAGE + 1], "longer than 16 MiB");
    }

    #[test]
    fn keys_that_are_no_text_come_in_digits() {
        assert_eq!(text(b"k1").to_string(), "\"k1\"");
        assert_eq!(text(b"\x00\xff").to_string(), "\"00ff\"");
    }
}
