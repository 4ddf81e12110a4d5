//! The shape of an e-mail address: what mail servers take in practice, not all that RFC 5322 allows.

use crate::invisible::is_invisible;
use std::borrow::Cow;

/// The longest address, in bytes (RFC 5321, 4.5.3.1.3).
const LONGEST: usize = 254;
/// The longest part before the `@`, in bytes (RFC 5321, 4.5.3.1.1).
const LONGEST_LOCAL: usize = 64;
/// The longest part of a domain between two dots, in bytes (RFC 1035, 2.3.4).
const LONGEST_LABEL: usize = 63;

/// What keeps a text from being an address, if anything does.
///
/// Domains may be international. A domain without a dot is refused: no contact is reached there. Dots may
/// stand anywhere before the `@`, as some providers have handed out.
pub(super) fn problem(text: &str) -> Option<Cow<'static, str>> {
    unseen(text).map(Cow::Owned).or_else(|| malformed(text).map(Cow::Borrowed))
}

/// What is wrong with an address that holds something nobody sees, or the mark of a letter that was lost: it may be
/// another address than it looks like.
fn unseen(text: &str) -> Option<String> {
    let is_lost = |c: char| matches!(c, '\u{fffc}' | '\u{fffd}');
    let (place, found) = (1_usize..).zip(text.chars()).find(|(_, c)| is_invisible(*c) || is_lost(*c))?;
    let code = u32::from(found);
    Some(if is_lost(found) {
        format!("character {place} is U+{code:04X}, which stands for a letter that was lost: restore it")
    } else {
        format!("character {place} is U+{code:04X}, which cannot be seen: delete it")
    })
}

fn malformed(text: &str) -> Option<&'static str> {
    let Some((local, domain)) = text.split_once('@') else {
        return Some("not an e-mail address: there is no @");
    };
    if domain.contains('@') {
        return Some("not one e-mail address: there is more than one @");
    }
    if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Some("not an e-mail address: there is a space in it");
    }
    if local.is_empty() || local.len() > LONGEST_LOCAL || text.len() > LONGEST {
        return Some("not an e-mail address: nothing, or too much, stands before the @");
    }
    if local.bytes().any(|byte| b"\"(),:;<>[\\]".contains(&byte)) {
        return Some("not a plain e-mail address: there is a mark in it that may not stand before the @");
    }
    if !domain.contains('.') || !domain.split('.').all(is_label) {
        return Some("not an e-mail address: the part after the @ is not a domain");
    }
    None
}

fn is_label(label: &str) -> bool {
    !label.is_empty()
        && label.len() <= LONGEST_LABEL
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || !byte.is_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_as_they_are_in_the_world() {
        for address in [
            "a@b.co",
            "ann.lee+tag@mail.example.co.uk",
            "o'brien@example.com",
            "REVU-1!#$%&*/=?^_`{|}~@example.com",
            "jörg@müller.de",
            "user@例え.jp",
            "x@xn--r8jz45g.jp",
            "a..b.@docomo.example.jp",
            "1@2.3d",
        ] {
            assert_eq!(problem(address), None, "{address}");
        }
    }

    #[test]
    fn what_cannot_be_seen_is_named_by_place_and_number() {
        for (address, part) in [
            ("lea@example.com\u{200b}", "character 16 is U+200B, which cannot be seen"),
            ("\u{feff}mia@example.com", "character 1 is U+FEFF, "),
            ("ora@exam\u{ad}-ple.com", "character 9 is U+00AD, "),
            ("\u{200f}pia@example.com", "character 1 is U+200F, "),
            ("j\u{f6}rg\u{202e}@x.io", "character 5 is U+202E, "),
            ("\u{e0041}a@x.io", "character 1 is U+E0041, "),
            ("zo\u{fffd}@example.com", "character 3 is U+FFFD, which stands for a letter that was lost"),
        ] {
            let found = problem(address).unwrap_or_default();
            assert!(found.starts_with(part), "{address}: {found}");
        }
    }

    #[test]
    fn what_is_no_address() {
        let long_local = format!("{}@b.co", "a".repeat(65));
        let long = format!("a@{}.co", "b.".repeat(130));
        for text in [
            "",
            "@",
            "a",
            "a@",
            "@b.co",
            "a@b",
            "a b@c.co",
            "a@b .co",
            "a@@b.co",
            "a@b@c.co",
            "a@.co",
            "a@b.",
            "a@b..co",
            "a@-b.co",
            "a@b-.co",
            "a@b_c.co",
            "Ann <a@b.co>",
            "<a@b.co>",
            "a@b.co,c@d.co",
            "a,b@c.co",
            "\"a\"@b.co",
            "a@[1.2.3.4]",
            "a\u{a0}b@c.co",
            "a\u{7f}@c.co",
            "mailto:a@b.co",
            &long_local,
            &long,
        ] {
            assert!(problem(text).is_some(), "{text}");
        }
    }
}
