//! What the csv crate forgives in silence: a quote that is never closed, and text after a closing quote.
//!
//! Both are signs that a record has swallowed its neighbours, so neither may pass for a row.

use memchr::memchr;

/// What is wrong with a record's quotes. Offsets are bytes from the record's beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Quotes {
    /// Nothing.
    Sound,
    /// Text stands between a closing quote and the end of its field.
    Stray { opened: usize, closed: usize },
    /// The record ends inside a quoted field: only the end of the input, or of the patience, does that.
    Unclosed { opened: usize },
}

/// Judges the quotes of one whole record, as the csv crate delimits it.
pub(super) fn judge(record: &[u8], delimiter: u8) -> Quotes {
    let mut verdict = Quotes::Sound;
    // Always where a field begins.
    let mut at = 0;
    while let Some(quote) = find(record, at, b'"') {
        // A quote within a field that does not begin with one is text.
        let opens = quote == at || record.get(quote - 1) == Some(&delimiter);
        let mut after = quote;
        if opens {
            after = match closing(record, quote + 1) {
                Some(after) => after,
                None => return Quotes::Unclosed { opened: quote },
            };
            let rest = record.get(after..).unwrap_or_default();
            let mut text =
                rest.iter().take_while(|byte| **byte != delimiter && !matches!(byte, b'\r' | b'\n'));
            if verdict == Quotes::Sound && text.any(|byte| !matches!(byte, b' ' | b'\t')) {
                verdict = Quotes::Stray { opened: quote, closed: after - 1 };
            }
        }
        match find(record, after, delimiter) {
            Some(comma) => at = comma + 1,
            None => break,
        }
    }
    verdict
}

/// Where the field continues after its closing quote; the search begins inside the quotes.
fn closing(record: &[u8], mut at: usize) -> Option<usize> {
    loop {
        at = find(record, at, b'"')? + 1;
        if record.get(at) != Some(&b'"') {
            return Some(at);
        }
        at += 1;
    }
}

fn find(record: &[u8], from: usize, wanted: u8) -> Option<usize> {
    memchr(wanted, record.get(from..)?).map(|found| from + found)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// As [`judge`], field by field.
    fn plainly(record: &[u8]) -> Quotes {
        let mut verdict = Quotes::Sound;
        let mut at = 0;
        loop {
            if record.get(at) == Some(&b'"') {
                let opened = at;
                let Some(after) = closing(record, opened + 1) else { return Quotes::Unclosed { opened } };
                let text = record[after..].iter().take_while(|byte| !b",\r\n".contains(byte));
                if verdict == Quotes::Sound && text.clone().any(|byte| !b" \t".contains(byte)) {
                    verdict = Quotes::Stray { opened, closed: after - 1 };
                }
                at = after;
            }
            match find(record, at, b',') {
                Some(comma) => at = comma + 1,
                None => return verdict,
            }
        }
    }

    proptest! {
        #[test]
        fn as_field_by_field(record in "[\",ab \t\r\n]{0,40}") {
            prop_assert_eq!(judge(record.as_bytes(), b','), plainly(record.as_bytes()));
        }
    }

    #[test]
    fn sound_quotes() {
        for record in [
            "",
            "a,b\n",
            "\"a\",\"b\"\r",
            "\"a\nb\",c",
            "\"a\"\"b\",\"\"\n",
            "\"\",\"\"\"\"",
            "a\"b,c\"\n",
            "\"a\" ,b",
        ] {
            assert_eq!(judge(record.as_bytes(), b','), Quotes::Sound, "{record:?}");
        }
    }

    #[test]
    fn unsound_quotes() {
        assert_eq!(judge(b"a,\"b,c\n", b','), Quotes::Unclosed { opened: 2 });
        assert_eq!(judge(b"\"", b','), Quotes::Unclosed { opened: 0 });
        assert_eq!(judge(b"\"a\"\"", b','), Quotes::Unclosed { opened: 0 });
        assert_eq!(judge(b"a,\"b\nc,\"d\",e\n", b','), Quotes::Stray { opened: 2, closed: 7 });
        assert_eq!(judge(b"\"a\"b,\"c", b','), Quotes::Unclosed { opened: 5 });
    }
}
