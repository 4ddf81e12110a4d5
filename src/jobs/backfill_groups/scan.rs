//! The scan of an input of issues: how many rows it has, and which are about the same issue.

use crate::devrev::ids::ObjectType;
use crate::exit::Failure;
use crate::jobs::duplicates::{Duplicates, Verdicts};
use crate::jobs::rules::Prefixes;
use crate::jobs::rules::issues::IssueColumns;
use crate::row::Place;
use crate::run::job::Scan;
use crate::run::scan::{disk, each_record, fingerprinted, header_failure};
use crate::source::Input;
use crate::source::csv::CsvFile;

/// What was found in an input of issues.
#[derive(Debug)]
pub(crate) struct Issues {
    /// The rows that are about the same issue as another one.
    pub duplicates: Verdicts,
    /// Whether a contact created some of the issues.
    pub of_contacts: bool,
}

/// An input of issues.
pub(crate) type Preflight = Scan<Issues>;

/// Scans an input of issues. Blocks: two passes over the file, on two threads.
///
/// Fails with [`Exit::InvalidInput`](crate::exit::Exit::InvalidInput) when the header or the format is such that rows cannot be told.
pub(crate) fn scan(input: &Input) -> Result<Preflight, Failure> {
    let (fingerprint, stamp, (rows, duplicates, of_contacts, notes)) = fingerprinted(input, duplicates)?;
    Ok(Scan { fingerprint, stamp, rows, notes, found: Issues { duplicates, of_contacts } })
}

fn duplicates(mut file: CsvFile) -> Result<(u64, Verdicts, bool, Vec<String>), Failure> {
    let columns = IssueColumns::find(file.header()).map_err(|error| header_failure(&error))?;
    file.use_only(columns.used());
    let scratch = std::env::temp_dir();
    let mut duplicates = Duplicates::new(&scratch);
    let mut prefixes = Prefixes::default();
    let (mut rows, mut of_contacts) = (0, false);
    let notes = each_record(file, |row, whole| {
        rows += 1;
        if !whole {
            return Ok(());
        }
        let judged = columns.judge_next(row, &mut prefixes, &mut |_| ());
        of_contacts |= judged.item.is_some_and(|issue| issue.creator.object == ObjectType::RevUser);
        if let Some(identity) = judged.identity {
            let place = Place { row: row.number, line: Some(row.line) };
            duplicates.note(identity.key, identity.values, place.pack()).map_err(disk(&scratch))?;
        }
        Ok(())
    })?;
    Ok((rows, duplicates.finish().map_err(disk(&scratch))?, of_contacts, notes))
}
