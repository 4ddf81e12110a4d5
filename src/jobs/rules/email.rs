//! The shape of an e-mail address: what mail servers take in practice, not all that RFC 5322 allows.

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
pub(super) fn problem(text: &str) -> Option<&'static str> {
    if is_plain(text.as_bytes()) { None } else { thorough_problem(text) }
}

/// Whether this is an address, and ASCII: what nearly every one is, told in one pass over its bytes. Others may
/// be addresses too.
fn is_plain(text: &[u8]) -> bool {
    let Some(at) = text.iter().position(|byte| !LOCAL[usize::from(*byte)]) else { return false };
    if at == 0 || at > LONGEST_LOCAL || text.len() > LONGEST {
        return false;
    }
    let Some((b'@', domain)) = text.get(at..).and_then(<[u8]>::split_first) else { return false };
    let (mut length, mut last, mut dotted) = (0, b'.', false);
    for byte in domain {
        match byte {
            b'.' if length == 0 || last == b'-' => return false,
            b'.' => (length, dotted) = (0, true),
            b'-' if length == 0 => return false,
            _ if !LABEL[usize::from(*byte)] || length == LONGEST_LABEL => return false,
            _ => length += 1,
        }
        last = *byte;
    }
    dotted && length > 0 && last != b'-'
}

/// The ASCII bytes that may stand before the `@`.
const LOCAL: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0_u8;
    while byte < 128 {
        table[byte as usize] = byte.is_ascii_graphic()
            && !matches!(
                byte,
                b'@' | b'"' | b'(' | b')' | b',' | b':' | b';' | b'<' | b'>' | b'[' | b'\\' | b']'
            );
        byte += 1;
    }
    table
};

/// The ASCII bytes that labels are made of.
const LABEL: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0_u8;
    while byte < 128 {
        table[byte as usize] = byte.is_ascii_alphanumeric() || byte == b'-';
        byte += 1;
    }
    table
};

fn thorough_problem(text: &str) -> Option<&'static str> {
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
        return Some("not an e-mail address: what follows the @ is no domain");
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
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_plain_is_thoroughly_so(
            text in prop_oneof![
                "[ab.+\"( é\u{7f}-]{0,6}@?[aB2.@é_ -]{0,8}",
                "[a-z]{1,5}@[a-z]{1,5}(\\.[a-z0-9-]{1,4}){0,3}",
                "[a@]{62,66}[a.]{60,70}[a.-]{0,130}",
                "a{62,66}@[a.]{60,70}[a.-]{0,130}",
            ],
        ) {
            // Of ASCII texts, the quick look misses none.
            prop_assert_eq!(is_plain(text.as_bytes()), text.is_ascii() && thorough_problem(&text).is_none());
        }
    }

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
