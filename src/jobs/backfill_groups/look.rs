//! The look at an input of issues: how many rows it has, and which are about the same issue.

use crate::devrev::ids::ObjectType;
use crate::exit::Failure;
use crate::jobs::duplicates::{Duplicates, Verdicts};
use crate::jobs::rules::Prefixes;
use crate::jobs::rules::issues::IssueColumns;
use crate::row::Place;
use crate::run::job::Looked;
use crate::run::look::{disk, each_record, fingerprinted, header_failure};
use crate::source::csv::CsvFile;
use crate::source::{Fingerprint, Input, Stamp};

/// What was found.
#[derive(Debug)]
pub struct Preflight {
    /// The input's content.
    pub fingerprint: Fingerprint,
    /// By which a change under the run is noticed.
    pub stamp: Stamp,
    /// Its data records, good and bad.
    pub rows: u64,
    /// The rows that are about the same issue as another one.
    pub duplicates: Verdicts,
    /// Whether a contact created some of the issues.
    pub of_contacts: bool,
    /// What the operator should know of how the input was read.
    pub notes: Vec<String>,
}

impl Looked for Preflight {
    fn fingerprint(&self) -> &Fingerprint {
        &self.fingerprint
    }

    fn stamp(&self) -> Stamp {
        self.stamp
    }

    fn rows(&self) -> u64 {
        self.rows
    }

    fn notes(&self) -> &[String] {
        &self.notes
    }
}

/// Looks at an input of issues. Blocks: two passes over the file, on two threads.
///
/// Fails with [`Exit::InvalidInput`](crate::exit::Exit::InvalidInput) when the header or the format is such that rows cannot be told.
pub fn look(input: &Input) -> Result<Preflight, Failure> {
    let (fingerprint, stamp, scanned) = fingerprinted(input, duplicates)?;
    let (rows, duplicates, of_contacts, notes) = scanned;
    Ok(Preflight { fingerprint, stamp, rows, duplicates, of_contacts, notes })
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
