//! `review.csv`: the contacts of which people must say whether they are one.

use super::beside::Own;
use super::beside::{Beside, writer};
use crate::journal::atomic;
use crate::source::csv::CsvRows;
use crate::stop::Stop;
use std::io;
use std::path::Path;

/// The columns that are added.
const ADDED: [&str; 3] = ["_row", "_group", "_reason"];

/// Writes the rows that people must look at, in the order of the input: their own columns byte for byte, the
/// row's number, the group's, and why. Without such rows the file is its header.
///
/// `rows` is the input, and `group_of` says of a row's number with which group it has to be looked at, and why. Returns how many rows were written. Fails when the input cannot be read
/// or the file not be written, and once `stop` is set; what was at `path` is then as it was.
pub(crate) fn write_review(
    path: &Path,
    mut rows: CsvRows,
    stop: &Stop,
    group_of: impl Fn(u64) -> Option<(u64, String)>,
) -> io::Result<u64> {
    let mut written = 0;
    atomic::replace(path, |file| {
        let mut file = writer(file);
        let mut lines = Beside::new(rows.header(), &ADDED, Own::Operator);
        file.write_byte_record(lines.header())?;
        for row in &mut rows {
            if stop.is_set() {
                return Err(io::Error::other("the run is being stopped"));
            }
            let row = row.map_err(|error| io::Error::other(error.to_string()))?.unwrap_or_else(|bad| bad.row);
            let Some((group, reason)) = group_of(row.number) else { continue };
            let (number, group) = (row.number.to_string(), group.to_string());
            file.write_byte_record(lines.line(&row.fields, &[&number, &group, &reason]))?;
            written += 1;
        }
        file.flush()
    })?;
    Ok(written)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jobs::merge_contacts::inputs::{ALL, csv, paired};
    use crate::jobs::merge_contacts::note::Scope;
    use crate::source::Input;

    fn review(text: &str, scope: &Scope) -> (u64, String) {
        let folder = tempfile::tempdir().unwrap();
        let (input, path) = (folder.path().join("in.csv"), folder.path().join("review.csv"));
        std::fs::write(&input, text).unwrap();
        let rows = Input::file(&input).open().unwrap().rows();
        let written =
            write_review(&path, rows, &Stop::default(), |row| paired(text, scope).review_of(row)).unwrap();
        (written, std::fs::read_to_string(&path).unwrap())
    }

    const ROWS: [[&str; 4]; 8] = [
        ["REVU-1", "a@x.io", "user_1", "1"],
        ["REVU-2", "b@x.io", "\"user_1, \"\"x\"\"\"", " 02"],
        ["REVU-3", "p@x.io", "user_1", "1"],
        ["REVU-4", "p@x.io", "REVU-1", "1"],
        ["REVU-5", "b@x.io,", "user_2", "1"],
        ["REVU-6", "A@x.io", "user_2", "1"],
        ["REVU-7", "s@x.io", "user_2", "1"],
        ["REVU-8", "b@x.io", "REVU-2", "1"],
    ];
    const BAD: &str = "invalid-row-in-group: a row that belongs with this one is invalid; see rows";
    const ALIKE: &str =
        "\"two-of-a-kind: both EXTERNAL_REFs begin alike; one must begin with REVU-, one with user_; see row";

    #[test]
    fn rows_to_look_at_stand_there_as_in_the_input() {
        let text = csv(&ROWS);
        let lines: Vec<&str> = text.lines().collect();
        let expected = [
            format!("{},_row,_group,_reason", lines[0]),
            format!("{},1,1,{ALIKE} 6\"", lines[1]),
            format!("{},2,2,\"{BAD} 5, 8\"", lines[2]),
            format!("{},5,2,\"{BAD} 2, 8\"", lines[5]),
            format!("{},6,1,{ALIKE} 1\"", lines[6]),
            format!("{},8,2,\"{BAD} 2, 5\"", lines[8]),
        ];
        // A limit does not make it shorter.
        for limit in [None, Some(0)] {
            let (written, found) = review(&text, &Scope { limit, ..ALL });
            assert_eq!(found.lines().collect::<Vec<_>>(), expected);
            assert_eq!(written, 5);
        }
        let (written, found) = review(&text, &Scope { emails: vec!["b@x.io".to_owned()], ..ALL });
        assert_eq!((written, found.lines().nth(1).unwrap()), (3, &*expected[2].replace(",2,2,", ",2,1,")));
    }

    #[test]
    fn a_review_file_may_be_the_next_input() {
        let (_, found) = review(&csv(&ROWS), &ALL);
        let (written, again) = review(&found, &ALL);
        assert_eq!(written, 5);
        assert_eq!(again.lines().next(), found.lines().next());
    }

    #[test]
    fn nothing_to_look_at() {
        let (written, found) = review(&csv(&ROWS[2..4]), &ALL);
        assert_eq!((written, found.lines().count()), (0, 1));
    }
}
