//! A guard against formulas: a spreadsheet takes a cell that begins with `=`, `+`, `-` or `@` for one, and what
//! customers have put into DevRev must not be executed by anyone who opens a result file.

use std::borrow::Cow;

/// The bytes of a cell, with an apostrophe before what a spreadsheet would take for a formula. Tabs and line breaks are passed over
/// by some before they look.
pub(crate) fn guarded(cell: &[u8]) -> Cow<'_, [u8]> {
    match cell.first() {
        Some(b'=' | b'+' | b'-' | b'@' | b'\t' | b'\r' | b'\n') => Cow::Owned([b"'", cell].concat()),
        _ => Cow::Borrowed(cell),
    }
}

/// The same for a file that is read back: what begins with an apostrophe gets one more, so that it can be told.
pub(crate) fn guarded_for_good(cell: &[u8]) -> Cow<'_, [u8]> {
    match cell.first() {
        Some(b'\'') => Cow::Owned([b"'", cell].concat()),
        _ => guarded(cell),
    }
}

/// A cell that this tool has guarded, as it was before. In a file of its own making, every cell that begins with an
/// apostrophe and what it guards against was guarded.
pub(crate) fn unguarded(cell: &[u8]) -> &[u8] {
    match cell {
        [b'\'', rest @ ..]
            if matches!(rest.first(), Some(b'=' | b'+' | b'-' | b'@' | b'\'' | b'\t' | b'\r' | b'\n')) =>
        {
            rest
        }
        _ => cell,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_looks_like_a_formula_is_changed() {
        for cell in ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1"] {
            assert_eq!(*guarded(cell.as_bytes()), *format!("'{cell}").as_bytes());
        }
        for cell in ["", "a=1", "'=1", " x", "1-1", "not-found: 404", "\u{e9}"] {
            assert_eq!(*guarded(cell.as_bytes()), *cell.as_bytes());
        }
    }
}
