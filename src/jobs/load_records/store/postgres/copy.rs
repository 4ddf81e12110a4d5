//! What COPY takes.

/// What is sent of a copy at once, in bytes.
pub(super) const PIECE: usize = 512 << 10;

/// A cell as COPY's text format has it. (Source: PostgreSQL's documentation of COPY.)
pub(super) fn push(piece: &mut Vec<u8>, cell: Option<&str>) {
    let Some(text) = cell else { return piece.extend_from_slice(b"\\N") };
    for byte in text.bytes() {
        match byte {
            b'\\' => piece.extend_from_slice(b"\\\\"),
            b'\n' => piece.extend_from_slice(b"\\n"),
            b'\r' => piece.extend_from_slice(b"\\r"),
            b'\t' => piece.extend_from_slice(b"\\t"),
            byte => piece.push(byte),
        }
    }
}
