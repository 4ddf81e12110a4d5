//! Texts without the secrets that a server or a gateway may quote in its answer.

/// What is shorter is no secret to be told from a word: perhaps a stand-in for one.
const SHORTEST: usize = 12;

/// The text without a token and without the beginnings of it: a long answer may have been cut in its midst. `None` if
/// nothing of it is there.
pub(crate) fn without(text: &str, token: &str) -> Option<String> {
    let begins = token.get(..SHORTEST)?;
    text.contains(begins).then(|| {
        let (mut clean, mut rest) = (String::with_capacity(text.len()), text);
        while let Some((before, found)) = rest.find(begins).map(|place| rest.split_at(place)) {
            let same = found.char_indices().zip(token.chars()).find(|((_, a), b)| a != b);
            // Without a difference the shorter of the two ends there.
            let end = same.map_or(found.len().min(token.len()), |((place, _), _)| place);
            clean.push_str(before);
            clean.push_str("[token]");
            rest = &found[end..];
        }
        clean + rest
    })
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
}
