//! Texts without the secrets that a server or a gateway may quote in its answer.

/// What is shorter is no secret to be told from a word: perhaps a stand-in for one.
const SHORTEST: usize = 12;

/// The text without these secrets and without the beginnings of them: a long answer may have been cut in its midst. `None`
/// if nothing of them is there.
pub(crate) fn without(text: &str, secrets: &[&str]) -> Option<String> {
    let begins: Vec<&str> = secrets.iter().filter_map(|secret| secret.get(..SHORTEST)).collect();
    let first = |text: &str| begins.iter().filter_map(|begin| text.find(begin)).min();
    let mut next = first(text)?;
    let (mut clean, mut rest) = (String::with_capacity(text.len()), text);
    loop {
        let (before, found) = rest.split_at(next);
        clean.push_str(before);
        clean.push_str("[token]");
        // Secrets may begin alike, as tokens of one kind do: the one that goes furthest is there.
        let end = secrets.iter().map(|secret| alike(found, secret)).max().unwrap_or(found.len());
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
}
