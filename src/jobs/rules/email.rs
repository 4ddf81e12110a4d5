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
