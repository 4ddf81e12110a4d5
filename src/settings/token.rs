//! What is wrong with a token as it was pasted. DevRev would only say 401.

/// What is wrong with the text of a token, and what to do. Nothing of the text is in it but the number of a character.
pub(super) fn problem(text: &str) -> Option<String> {
    const QUOTES: [char; 7] = ['"', '\'', '`', '\u{201c}', '\u{201d}', '\u{2018}', '\u{2019}'];
    let word = text.split(char::is_whitespace).next().unwrap_or_default();
    if word.len() < text.len() && word.trim_end_matches(':').eq_ignore_ascii_case("bearer") {
        return Some("begins with `Bearer`: give the token alone".to_owned());
    }
    if text.starts_with(QUOTES) || text.ends_with(QUOTES) {
        return Some("has a quote at its start or end: give the token without quotes".to_owned());
    }
    let strange = text.chars().find(|character| !character.is_ascii_graphic() || *character == '#')?;
    let kind = match strange {
        '#' => "a `#`, as of a comment".to_owned(),
        _ if text.split(char::is_whitespace).any(|word| word.starts_with('#')) => "a comment".to_owned(),
        '\n' | '\r' => "a line break".to_owned(),
        ' ' | '\t' => "a blank".to_owned(),
        '\u{feff}' => "a byte order mark (U+FEFF)".to_owned(),
        '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' => {
            format!("an invisible character (U+{:04X})", u32::from(strange))
        }
        _ if strange.is_whitespace() => format!("a blank (U+{:04X})", u32::from(strange)),
        _ if strange.is_control() => format!("a control character (U+{:04X})", u32::from(strange)),
        _ => format!("a character that no token has (U+{:04X})", u32::from(strange)),
    };
    Some(format!("has {kind} in it: copy the token again, and nothing else"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_pasting_adds_is_named() {
        for (text, said) in [
            ("Bearer s3cr3t", "begins with `Bearer`"),
            ("bearer\ts3cr3t", "begins with `Bearer`"),
            ("\"s3cr3t\"", "has a quote"),
            ("s3cr3t'", "has a quote"),
            ("\u{201c}s3cr3t\u{201d}", "has a quote"),
            ("\u{feff}s3cr3t", "a byte order mark (U+FEFF)"),
            ("s3cr3t x", "a blank"),
            ("s3cr3t\u{a0}x", "a blank (U+00A0)"),
            ("s3cr3t\nx", "a line break"),
            ("s3cr3t # mine", "a comment"),
            ("s3cr3t#mine", "a `#`, as of a comment"),
            ("s3cr3t\u{200b}", "an invisible character (U+200B)"),
            ("s3cr3t\u{7}", "a control character (U+0007)"),
            ("s3cr3t\u{e9}", "a character that no token has (U+00E9)"),
        ] {
            let problem = problem(text).unwrap();
            assert!(problem.contains(said) && !problem.contains("s3cr3t"), "{problem}");
        }
        for good in ["eyJhbGciOi.eyJzdWIi_-.c2ln", "x", "Bearer", "pat/a+b=="] {
            assert_eq!(problem(good), None, "{good}");
        }
    }
}
