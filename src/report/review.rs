//! `review.csv`: the contacts of which people must say whether they are one.

use super::beside::{Beside, writer};
use crate::jobs::merge_contacts::pairing::Pairing;
use crate::journal::atomic;
use crate::source::csv::Rows;
use std::io;
use std::path::Path;

/// The columns that are added.
const ADDED: [&str; 3] = ["_row", "_group", "_reason"];

/// Writes the rows that people must look at, in the order of the input: their own columns byte for byte, the
/// row's number, the group's, and why. Without such rows the file is its header.
///
/// `rows` is the input that was paired. Returns how many rows were written. Fails when the input cannot be read
/// or the file not be written; what was at `path` is then as it was.
pub fn write_review(path: &Path, mut rows: Rows, pairing: &Pairing) -> io::Result<u64> {
    let mut written = 0;
    atomic::replace(path, |file| {
        let mut file = writer(file);
        let mut lines = Beside::new(rows.header(), &ADDED);
        file.write_byte_record(lines.header())?;
        for row in &mut rows {
            let row = row.map_err(|error| io::Error::other(error.to_string()))?.unwrap_or_else(|bad| bad.row);
            let Some(group) = pairing.review(row.number) else { continue };
            let (number, group_number) = (row.number.to_string(), group.number.to_string());
            let reason = format!("{}: {}", group.reason.code(), group.sentence(row.number));
            file.write_byte_record(lines.line(&row.fields, &[&number, &group_number, &reason]))?;
            written += 1;
        }
        file.flush()
    })?;
    Ok(written)
}
