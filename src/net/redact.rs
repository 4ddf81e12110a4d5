//! Texts without the secrets that a server or a gateway may quote in its answer.

use secrecy::{ExposeSecret, SecretString};

/// As much of a secret's beginning is enough to know it by: a long answer may have been cut in its midst.
const SHORTEST: usize = 12;
/// What is shorter cannot be told from a word.
const SHORTEST_WHOLE: usize = 6;

/// The text without a token and without the beginnings of it. `None` if nothing of it is there.
pub(crate) fn without(text: &str, token: &str) -> Option<String> {
    replaced(text, token, token.get(..SHORTEST)?, "[token]")
}

/// The text with a word for each place where a secret begins in this way, however far it goes.
fn replaced(text: &str, secret: &str, begins: &str, word: &str) -> Option<String> {
    text.contains(begins).then(|| {
        let (mut clean, mut rest) = (String::with_capacity(text.len()), text);
        while let Some((before, found)) = rest.find(begins).map(|place| rest.split_at(place)) {
            let same = found.char_indices().zip(secret.chars()).find(|((_, a), b)| a != b);
            // Without a difference the shorter of the two ends there.
            let end = same.map_or(found.len().min(secret.len()), |((place, _), _)| place);
            clean.push_str(before);
            clean.push_str(word);
            rest = &found[end..];
        }
        clean + rest
    })
}

/// The secrets that a service is asked with: keys and passwords.
#[derive(Debug, Clone)]
pub(crate) struct Secrets(Vec<SecretString>);

impl Secrets {
    /// None at all.
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
        self.0.iter().fold(text, |text, secret| {
            let secret = secret.expose_secret();
            // A short one only as a whole.
            let begins = secret.get(..SHORTEST).unwrap_or(secret);
            replaced(&text, secret, begins, "[secret]").unwrap_or(text)
        })
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
            assert_eq!(without(&text, token).as_deref(), clean, "{text}");
        }
        // Too short to be told from a word.
        assert_eq!(without("the sandbox", "sandbox"), None);
        assert_eq!(
            without("\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}x", "\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}y")
                .as_deref(),
            Some("[token]x")
        );
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
}
