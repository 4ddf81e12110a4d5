//! The body of an error: the API's own words, and whether they are the API's at all.

use super::lenient;
use serde_json::value::RawValue;
use std::collections::HashMap;

/// The longest text that an error takes over from its answer, in characters.
pub(crate) const LONGEST_WORDS: usize = 1000;
/// The longest part of it that is no text, in characters.
const LONGEST_JSON: usize = 200;
/// The longest reference, in characters.
const LONGEST_REFERENCE: usize = 100;

/// An error's body: `{"type": ..., "message": ..., "debug_message": ...}`. Every member is optional, and read on its own:
/// one that is not what the schema says loses nothing of the others.
#[derive(Debug, Default)]
pub(crate) struct ApiMessage {
    kind: Option<String>,
    /// What happened, in the order in which people read it.
    parts: Vec<String>,
    reference: Option<String>,
    is_api: bool,
    /// Seconds to wait, in the body of a 429.
    pub(crate) retry_after: Option<u64>,
}

impl ApiMessage {
    /// Reads an error's body. The status of a failed request is never lost because its body is not JSON:
    /// then the beginning of the body stands for the message.
    pub(crate) fn read(body: &str) -> Self {
        let Ok(members) = serde_json::from_str::<HashMap<String, &RawValue>>(body) else {
            let parts = vec![beginning(body)].into_iter().filter(|part| !part.is_empty()).collect();
            return Self { parts, ..Self::default() };
        };
        let text =
            |name: &str| members.get(name).and_then(|raw| lenient::word_of(raw)).map(|text| one_line(&text));
        let shown =
            |name: &str| text(name).or_else(|| json(members.get(name)?)).filter(|text| !text.is_empty());
        let kind = text("type");
        let debug = text("debug_message");
        let reference = text("reference_id").or_else(|| reference(debug.as_deref()?));
        let field = shown("field_name").map(|name| format!("field `{name}`"));
        let parts = [
            kind.clone(),
            shown("subtype"),
            shown("message"),
            shown("debug_message"),
            shown("detail"),
            field,
            shown("reason"),
        ];
        Self {
            // Each of the API's errors has a type, a word. Gateways send JSON too, such as `{"message":"Forbidden"}` or
            // `{"type":"about:blank","status":403}`.
            is_api: kind.as_deref().is_some_and(is_word)
                || debug.is_some()
                || members.contains_key("reference_id"),
            parts: parts.into_iter().flatten().filter(|part| !part.is_empty()).collect(),
            reference: reference.filter(|text| !text.is_empty()),
            retry_after: text("retry_after").and_then(|seconds| seconds.parse().ok()),
            kind,
        }
    }

    /// Whether the body is the API's own, not that of a gateway on the way.
    pub(crate) fn is_api(&self) -> bool {
        self.is_api
    }

    /// Whether the body is the API's, and of this type.
    pub(crate) fn is_type(&self, wanted: &str) -> bool {
        self.kind.as_deref() == Some(wanted)
    }

    /// What the API said, in one line, cut to a length that fits into a journal and a table. The reference for the API's
    /// support is never cut off.
    pub(crate) fn words(&self) -> String {
        let said = |place: usize, part: &str| {
            let others = self.parts.iter().enumerate();
            // Of two equal parts the first stays.
            others.into_iter().any(|(other, text)| {
                other != place && text.contains(part) && (text.len() > part.len() || other < place)
            })
        };
        let parts = self.parts.iter().enumerate().filter(|(place, part)| !said(*place, part));
        let words = parts.map(|(_, part)| part.as_str()).collect::<Vec<_>>().join(": ");
        let mut words: String = words.chars().take(LONGEST_WORDS).collect();
        if let Some(reference) = self.reference.as_deref().filter(|reference| !words.contains(reference)) {
            words.push_str(if words.is_empty() { "" } else { " " });
            words.push_str("(Ref: ");
            words.extend(reference.chars().take(LONGEST_REFERENCE));
            words.push(')');
        }
        words
    }
}

/// Whether it is like the types of the API's errors: `not_found`.
fn is_word(kind: &str) -> bool {
    !kind.is_empty() && kind.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}

/// The reference at the end of a `debug_message`: `... Ref: 1234`.
fn reference(debug: &str) -> Option<String> {
    let (_, rest) = debug.rsplit_once("Ref:")?;
    let id = rest.split_whitespace().next()?.trim_matches(|c: char| !c.is_alphanumeric());
    Some(id.to_owned())
}

/// A member that is no text, as it was sent.
fn json(raw: &RawValue) -> Option<String> {
    let json = raw.get();
    (json != "null").then(|| one_line(json).chars().take(LONGEST_JSON).collect())
}

/// The first words of a body that is not what was expected.
pub(crate) fn beginning(body: &str) -> String {
    const LONGEST: usize = 120;
    let begin: String = body.chars().take(4 * LONGEST).collect();
    one_line(&begin).chars().take(LONGEST).collect()
}

/// Text from outside, made safe for a terminal and a log: one line, no control characters.
pub(crate) fn one_line(text: &str) -> String {
    let clean: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    clean.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn words(body: &str) -> String {
        ApiMessage::read(body).words()
    }

    #[test]
    fn an_error_that_is_not_json_keeps_its_beginning() {
        assert_eq!(words("<html>\x1b[31m\r\n  bad   gateway</html>"), "<html> [31m bad gateway</html>");
        assert_eq!(words(r#"{"type":"not_found","message":"no such work"}"#), "not_found: no such work");
        assert_eq!(words(""), "");
        assert!(!ApiMessage::read(r#"["not_found"]"#).is_api());
    }

    #[test]
    fn the_debug_message_and_the_reference_are_kept() {
        let body = r#"{"type":"bad_request","subtype":"field_not_in_schema","message":"Bad Request",
            "debug_message":"tnt__x is not in the schema.\nRef: 7f3a-11","reference_id":"r-9"}"#;
        let expected = "bad_request: field_not_in_schema: Bad Request: tnt__x is not in the schema. Ref: 7f3a-11 (Ref: r-9)";
        assert_eq!(words(body), expected);
        let long =
            format!(r#"{{"type":"bad_request","debug_message":"{} Ref: 7f3a-11."}}"#, "x".repeat(5000));
        let long = words(&long);
        assert!(long.ends_with("x (Ref: 7f3a-11)") && long.len() < LONGEST_WORDS + 50, "{long}");
        assert_eq!(words(r#"{"type":"internal_error","reference_id":"r-9"}"#), "internal_error (Ref: r-9)");
    }

    #[test]
    fn what_is_said_twice_is_shown_once() {
        let body = r#"{"type":"conflict","message":"the ref is taken","debug_message":"conflict: the ref is taken: u1"}"#;
        assert_eq!(words(body), "conflict: the ref is taken: u1");
        assert_eq!(words(r#"{"type":"forbidden","message":"forbidden"}"#), "forbidden");
    }

    #[test]
    fn an_odd_member_loses_nothing_of_the_others() {
        for odd in ["7", "{\"a\":[1e999]}", "[]", "null", "true", "\"\\ufffd\""] {
            for name in
                ["detail", "message", "debug_message", "subtype", "field_name", "reason", "reference_id"]
            {
                let body = format!(r#"{{"{name}":{odd},"type":"not_found","retry_after":"9"}}"#);
                let read = ApiMessage::read(&body);
                assert!(read.is_type("not_found") && read.is_api(), "{body}");
                assert_eq!(read.retry_after, Some(9), "{body}");
                assert!(read.words().starts_with("not_found"), "{body}");
            }
        }
        assert_eq!(words(r#"{"type":"x","detail":{"a":1}}"#), r#"x: {"a":1}"#);
        assert!(!ApiMessage::read(r#"{"type":["not_found"]}"#).is_type("not_found"));
    }

    #[test]
    fn a_gateways_json_is_not_the_apis() {
        for body in
            [r#"{"message":"Forbidden"}"#, r#"{"type":"about:blank","status":403}"#, r#"{"type":""}"#, "{}"]
        {
            assert!(!ApiMessage::read(body).is_api(), "{body}");
        }
        assert!(ApiMessage::read(r#"{"message":"no","debug_message":"not allowed. Ref: 1"}"#).is_api());
    }

    proptest! {
        #[test]
        fn any_body_is_one_bounded_line(body in ".*", debug in ".*") {
            let body = [body, serde_json::json!({"debug_message": debug, "type": debug}).to_string()];
            for words in body.iter().map(|body| words(body)) {
                prop_assert!(!words.contains(char::is_control));
                prop_assert!(words.chars().count() <= LONGEST_WORDS + LONGEST_REFERENCE + 8);
            }
        }
    }
}
