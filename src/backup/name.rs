//! File names made of any text: of addresses, IDs and what strangers called the files that they attached.
//!
//! A name is safe everywhere a backup may be copied to: it is one plain part of a path on Unix and on Windows,
//! and neither a shell nor a terminal takes it for more than a name.

use std::collections::HashMap;

/// The longest name, in bytes: with a suffix and what file systems add it stays below their 255.
pub const MAX_BYTES: usize = 120;
/// The longest ending that counts as an extension and outlives a cut, in bytes.
const EXTENSION_BYTES: usize = 16;
/// What stands for a character that may not.
const INSTEAD: char = '_';

/// A safe name of at most [`MAX_BYTES`]. A safe name is given back as it is.
pub fn safe(text: &str) -> String {
    safe_within(text, MAX_BYTES)
}

/// Whether a text is a safe name.
pub fn is_safe(text: &str) -> bool {
    safe(text) == text
}

/// An address as (part of) a safe name of at most `max` bytes: letters, digits and `.-_+@` stay.
pub fn email(text: &str, max: usize) -> String {
    let keeps = |c: char| c.is_alphanumeric() || ".-_+@".contains(c);
    let text: String = text.chars().map(|c| if keeps(c) { c } else { INSTEAD }).collect();
    safe_within(&text, max)
}

/// A safe name of at most `max` bytes, which must be more than an extension takes (32 is).
pub fn safe_within(text: &str, max: usize) -> String {
    let replaced: String = text.chars().map(|c| if is_unfit(c) { INSTEAD } else { c }).collect();
    let trimmed = replaced.trim_start_matches(['-', '.', ' ']).trim_end_matches(['.', ' ']);
    let mut name = if is_device(trimmed) { format!("{INSTEAD}{trimmed}") } else { trimmed.to_owned() };
    if name.len() > max {
        let (stem, extension) = split(&name);
        name = format!("{}{extension}", cut(stem, max.saturating_sub(extension.len())));
        name.truncate(name.trim_end_matches(['.', ' ']).len());
        // `con    x.txt` may have lost its `x` only now.
        if is_device(&name) {
            name.replace_range(..1, "_");
        }
    }
    if name.is_empty() { INSTEAD.to_string() } else { name }
}

/// The names of one folder: each is safe and given once, also where case makes no difference.
#[derive(Debug, Default)]
pub struct Names {
    /// Names in lower case, with the number of the last suffix that was tried for them.
    taken: HashMap<String, u32>,
}

impl Names {
    /// A safe name for a text: the same as [`safe`], or with `~2` and so on where that is taken.
    pub fn claim(&mut self, text: &str) -> String {
        let name = safe(text);
        let folded = name.to_lowercase();
        let Some(&last) = self.taken.get(&folded) else {
            self.taken.insert(folded, 1);
            return name;
        };
        let mut number = last;
        loop {
            number += 1;
            let other = with_suffix(&name, number);
            if !self.taken.contains_key(&other.to_lowercase()) {
                self.taken.insert(other.to_lowercase(), 1);
                self.taken.insert(folded, number);
                return other;
            }
        }
    }
}

/// A safe name with `~<number>` before its extension.
pub(super) fn with_suffix(name: &str, number: u32) -> String {
    let (stem, extension) = split(name);
    let suffix = format!("~{number}{extension}");
    format!("{}{suffix}", cut(stem, MAX_BYTES.saturating_sub(suffix.len())))
}

/// Whether a name is what [`Names::claim`] may have made of a text.
pub(super) fn is_claimed(name: &str, text: &str) -> bool {
    let plain = safe(text);
    if name == plain {
        return true;
    }
    let number = split(name).0.rsplit_once('~').and_then(|(_, number)| number.parse().ok());
    number.is_some_and(|number| number >= 2 && name == with_suffix(&plain, number))
}

/// A name's stem, and its extension with the dot if it has a short one.
fn split(name: &str) -> (&str, &str) {
    match name.rfind('.') {
        Some(dot) if dot > 0 && name.len() - dot <= EXTENSION_BYTES => name.split_at(dot),
        _ => (name, ""),
    }
}

/// The beginning of a text that is at most so many bytes long.
fn cut(text: &str, max: usize) -> &str {
    let mut end = text.len().min(max);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

/// Characters that end or steer something somewhere: separators, what Windows reserves, control characters,
/// and those that are not seen or turn the direction of writing.
fn is_unfit(c: char) -> bool {
    c.is_control()
        || matches!(c, '/' | '\\' | '<' | '>' | ':' | '"' | '|' | '?' | '*')
        || matches!(
            c,
            '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
                | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
        )
}

/// Whether Windows takes a name for a device, whatever its extension.
fn is_device(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or_default().trim_end_matches(' ').to_ascii_lowercase();
    if matches!(stem.as_str(), "con" | "prn" | "aux" | "nul" | "conin$" | "conout$") {
        return true;
    }
    let number = stem.strip_prefix("com").or_else(|| stem.strip_prefix("lpt"));
    let mut number = number.unwrap_or_default().chars();
    matches!((number.next(), number.next()), (Some('0'..='9' | '¹' | '²' | '³'), None))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;
    use std::path::{Component, Path};

    #[test]
    fn names_stay_readable() {
        let cases = [
            ("invoice 7.pdf", "invoice 7.pdf"),
            ("../../etc/passwd", "_.._etc_passwd"),
            ("C:\\x.txt", "C__x.txt"),
            ("", "_"),
            ("..", "_"),
            ("-rf", "rf"),
            (".bashrc", "bashrc"),
            ("a. . ", "a"),
            ("a\0b\nc", "a_b_c"),
            ("gpj\u{202e}exe.txt", "gpj_exe.txt"),
            ("con", "_con"),
            ("NUL.tar.gz", "_NUL.tar.gz"),
            ("Com1 .txt", "_Com1 .txt"),
            ("lpt0", "_lpt0"),
            ("com10", "com10"),
            ("console", "console"),
            ("Zoë.png", "Zoë.png"),
        ];
        for (text, name) in cases {
            assert_eq!(safe(text), name, "{text:?}");
        }
        assert_eq!(email("Ann+x_y-z@mail.example.org", 100), "Ann+x_y-z@mail.example.org");
        assert_eq!(email("\"a b\"@x/y", 100), "_a_b_@x_y");
    }

    #[test]
    fn a_long_name_keeps_its_extension() {
        let name = safe(&format!("{}.pdf", "é".repeat(200)));
        assert_eq!((name.len(), name.ends_with("é.pdf")), (120, true), "{name}");
        assert_eq!(safe(&"x".repeat(300)).len(), MAX_BYTES);
        assert!(safe(&format!("con{}x.txt", " ".repeat(200))).starts_with("_on "));
        assert!(safe(&format!("con.{}", "x".repeat(116))).starts_with("_con."));
    }

    #[test]
    fn the_same_name_twice_gets_a_number() {
        let mut names = Names::default();
        let given: Vec<_> =
            ["a.png", "A.PNG", "a~2.png", "a.png", "b"].iter().map(|text| names.claim(text)).collect();
        assert_eq!(given, ["a.png", "A~2.PNG", "a~2~2.png", "a~3.png", "b"]);
        assert!(is_claimed("a~3.png", "a.png") && is_claimed("a.png", "a.png"));
        assert!(!is_claimed("a~1.png", "a.png") && !is_claimed("a~x.png", "a.png") && !is_claimed("b", "a"));
    }

    fn texts() -> impl Strategy<Value = String> {
        prop_oneof![
            any::<String>(),
            "[-. ]{0,3}[a-cA-C~2./\\\\]{0,6}[. ]{0,3}",
            "(?i)(con|prn|aux|nul|com[0-9]|lpt[0-9])[ ]{0,130}[.x]{0,3}[a-z]{0,130}[.]{0,2}[a-z]{0,20}",
            "[a-zé\u{202e}]{100,140}(\\.[a-z]{1,20})?",
        ]
    }

    proptest! {
        #[test]
        fn a_name_is_one_plain_part_of_a_path(text in texts()) {
            for name in [safe(&text), safe_within(&text, 40), email(&text, 40)] {
                let parts: Vec<_> = Path::new(&name).components().collect();
                prop_assert_eq!(parts, vec![Component::Normal(name.as_ref())]);
                prop_assert!(name.len() <= MAX_BYTES && !name.chars().any(is_unfit) && !is_device(&name));
                prop_assert!(!name.starts_with(['-', '.', ' ']) && !name.ends_with(['.', ' ']));
            }
            prop_assert!(safe_within(&text, 40).len() <= 40 && email(&text, 40).len() <= 40);
        }

        #[test]
        fn a_safe_name_stays_as_it_is(text in texts()) {
            let name = safe(&text);
            prop_assert_eq!(safe(&name), name);
            let name = email(&text, 40);
            prop_assert_eq!(email(&name, 40), name);
        }

        #[test]
        fn no_name_is_given_twice(texts in prop::collection::vec(texts(), 0..30)) {
            let (mut names, mut seen) = (Names::default(), HashSet::new());
            for text in texts {
                let name = names.claim(&text);
                prop_assert!(is_safe(&name), "{}", name);
                prop_assert!(is_claimed(&name, &text), "{}", name);
                prop_assert!(seen.insert(name.to_ascii_lowercase()), "{}", name);
            }
        }
    }
}
