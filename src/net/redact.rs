//! Texts without the secrets that a server or a gateway may quote in its answer.

use secrecy::{ExposeSecret, SecretString};

/// As much of a secret's beginning is enough to know it by: a long answer may have been cut in its midst.
const SHORTEST: usize = 12;
/// What is shorter cannot be told from a word.
const SHORTEST_WHOLE: usize = 6;

/// The text without these tokens and without the beginnings of them. `None` if nothing of them is there. What is shorter
/// than a beginning is no token to be told from a word: perhaps a stand-in for one.
pub(crate) fn without(text: &str, tokens: &[&str]) -> Option<String> {
    let known = tokens.iter().filter_map(|token| Some(Known { whole: token, begins: beginning(token)? }));
    replaced(text, &known.collect::<Vec<_>>(), "[token]")
}

/// A secret, and what it is known by.
struct Known<'a> {
    whole: &'a str,
    begins: &'a str,
}

/// The shortest beginning that a secret is known by, if it is that long.
fn beginning(secret: &str) -> Option<&str> {
    (SHORTEST..=secret.len()).find_map(|end| secret.get(..end))
}

/// The text with a word for each place where a secret begins, however far it goes. `None` if there is no such place.
fn replaced(text: &str, secrets: &[Known<'_>], word: &str) -> Option<String> {
    let first = |text: &str| secrets.iter().filter_map(|secret| text.find(secret.begins)).min();
    let mut next = first(text)?;
    let (mut clean, mut rest) = (String::with_capacity(text.len()), text);
    loop {
        let (before, found) = rest.split_at(next);
        clean.push_str(before);
        clean.push_str(word);
        // Secrets may begin alike, as tokens of one kind do: the one that goes furthest is there.
        let end = secrets.iter().map(|secret| alike(found, secret.whole)).max().unwrap_or(found.len());
        rest = &found[end..];
        match first(rest) {
            Some(place) => next = place,
            None => return Some(clean + rest),
        }
    }
}

/// How many bytes of the text are as the secret begins.
fn alike(text: &str, secret: &str) -> usize {
    let other = text.char_indices().zip(secret.chars()).find(|((_, a), b)| a != b);
    // Without a difference the shorter of the two ends there.
    other.map_or(text.len().min(secret.len()), |((place, _), _)| place)
}

/// The secrets that a service is asked with: keys and passwords.
#[derive(Debug, Clone)]
pub(crate) struct Secrets(Vec<SecretString>);

impl Secrets {
    /// None at all.
    #[cfg(any(feature = "snowflake", test))]
    pub(crate) const fn none() -> Self {
        Self(Vec::new())
    }

    /// These.
    pub(crate) fn of<'a>(secrets: impl IntoIterator<Item = &'a SecretString>) -> Self {
        let forms = secrets.into_iter().flat_map(|secret| {
            let secret = secret.expose_secret();
            // As JSON quotes it, where that is another text.
            let quoted = serde_json::Value::from(secret).to_string();
            let quoted = quoted.trim_start_matches('"').trim_end_matches('"').to_owned();
            [quoted, secret.to_owned()]
        });
        let mut forms: Vec<String> = forms.filter(|form| form.len() >= SHORTEST_WHOLE).collect();
        forms.dedup();
        Self(forms.into_iter().map(SecretString::from).collect())
    }

    /// A text without them.
    pub(crate) fn clean(&self, text: String) -> String {
        let known = self.0.iter().map(|secret| {
            let whole = secret.expose_secret();
            // A short one only as a whole.
            Known { whole, begins: beginning(whole).unwrap_or(whole) }
        });
        replaced(&text, &known.collect::<Vec<_>>(), "[secret]").unwrap_or(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_token_is_left_in_a_text() {
        let token = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln";
        for (text, clean) in [
            (format!("bad {token}, and {token}"), Some("bad [token], and [token]")),
            (format!("bad {token}{token}"), Some("bad [token][token]")),
            // Cut, as a long answer is.
            (format!("bad {}", &token[..30]), Some("bad [token]")),
            (format!("bad {} (html)", &token[..12]), Some("bad [token] (html)")),
            (format!("bad {}\u{fffd}", &token[..20]), Some("bad [token]\u{fffd}")),
            (format!("bad {}", &token[..11]), None),
            ("all is well".to_owned(), None),
        ] {
            assert_eq!(without(&text, &[token]).as_deref(), clean, "{text}");
        }
        // Too short to be told from a word.
        assert_eq!(without("the sandbox", &["sandbox"]), None);
        assert_eq!(
            without("\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}x", &["\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}y"])
                .as_deref(),
            Some("[token]x")
        );
    }

    #[test]
    fn secrets_that_begin_alike_leave_nothing_of_each_other() {
        let (one, other) = ("eyJhbGciOiJSUzI1NiJ9.one", "eyJhbGciOiJSUzI1NiJ9.other");
        let text = format!("{other}, {one}; {other}");
        for secrets in [[one, other], [other, one]] {
            assert_eq!(without(&text, &secrets).as_deref(), Some("[token], [token]; [token]"));
        }
    }

    #[test]
    fn secrets_of_services_are_left_out_in_each_form() {
        let clean = |secret: &str, text: &str| Secrets::of([&secret.into()]).clean(text.to_owned());
        let long = "mb_s3cr3t+\"key\"/of/1234567890";
        assert_eq!(clean(long, &format!("no {long}.")), "no [secret].");
        assert_eq!(
            clean(long, &format!("{{\"key\": {}}}", serde_json::json!(long))),
            "{\"key\": \"[secret]\"}"
        );
        assert_eq!(clean(long, &format!("cut: {}", &long[..20])), "cut: [secret]");
        assert_eq!(clean("hunter2!", "hunter2! and hunter2"), "[secret] and hunter2");
        // Too short to be told from a word.
        assert_eq!(clean("root", "root is no user"), "root is no user");
        assert_eq!(clean("", "empty"), "empty");
    }

    #[test]
    fn several_secrets_are_left_out_at_once() {
        let clean = |secrets: &[&str], text: &str| {
            let secrets: Vec<SecretString> = secrets.iter().map(|secret| (*secret).into()).collect();
            Secrets::of(&secrets).clean(text.to_owned())
        };
        for secrets in [["hunter2!", "hunter2!-and-more"], ["hunter2!-and-more", "hunter2!"]] {
            assert_eq!(clean(&secrets, "hunter2!-and-more, hunter2!"), "[secret], [secret]");
        }
        // One whose beginning does not end where a character does.
        let secret = "\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}y\u{e9}\u{e9}";
        assert_eq!(clean(&[secret], &format!("no {secret}!")), "no [secret]!");
        assert_eq!(without(&format!("no {secret}!"), &[secret]).as_deref(), Some("no [token]!"));
    }
}
