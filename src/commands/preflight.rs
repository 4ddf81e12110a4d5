//! The look at an input before a run: its fingerprint, how many rows it has, which rows are about the same
//! thing, and whether it can be read to its end at all. Nothing is sent before this is over.

use super::job::Looked;
use crate::devrev::ids::ObjectType;
use crate::exit::{Exit, Failure};
use crate::jobs::duplicates::{Duplicates, Verdicts};
use crate::jobs::merge_contacts::gather::{Gather, Scope};
use crate::jobs::merge_contacts::pairing::Pairing;
use crate::jobs::rules::Prefixes;
use crate::jobs::rules::issues::IssueColumns;
use crate::row::{Place, Row};
use crate::source::csv::CsvFile;
use crate::source::header::ColumnError;
use crate::source::{Fingerprint, Input, SourceError, Stamp};
use ::csv::ByteRecord;
use std::io;
use std::path::Path;

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

/// The same for an input of contacts.
#[derive(Debug)]
pub struct ContactPreflight {
    /// The input's content.
    pub fingerprint: Fingerprint,
    /// By which a change under the run is noticed.
    pub stamp: Stamp,
    /// Which contacts are pairs.
    pub pairing: Pairing,
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

impl Looked for ContactPreflight {
    fn fingerprint(&self) -> &Fingerprint {
        &self.fingerprint
    }

    fn stamp(&self) -> Stamp {
        self.stamp
    }

    fn rows(&self) -> u64 {
        self.pairing.numbers().rows
    }

    fn notes(&self) -> &[String] {
        &self.notes
    }
}

/// Looks at an input of issues. Blocks: two passes over the file, on two threads.
///
/// Fails with [`Exit::InvalidInput`] when the header or the format is such that rows cannot be told.
pub fn look(input: &Input) -> Result<Preflight, Failure> {
    let (fingerprint, stamp, scanned) = fingerprinted(input, duplicates)?;
    let (rows, duplicates, of_contacts, notes) = scanned;
    Ok(Preflight { fingerprint, stamp, rows, duplicates, of_contacts, notes })
}

/// Looks at an input of contacts and pairs them: otherwise as [`look`] does.
pub fn look_at_contacts(input: &Input, scope: Scope) -> Result<ContactPreflight, Failure> {
    let (fingerprint, stamp, (pairing, notes)) = fingerprinted(input, |file| pairing(file, scope))?;
    Ok(ContactPreflight { fingerprint, stamp, pairing, notes })
}

/// Scans an input while another thread takes its fingerprint.
pub(super) fn fingerprinted<T>(
    input: &Input,
    scan: impl FnOnce(CsvFile) -> Result<T, Failure>,
) -> Result<(Fingerprint, Stamp, T), Failure> {
    let stamp = Stamp::of(input.path()).map_err(|error| unreadable(input, &error))?;
    let (fingerprint, scanned) = std::thread::scope(|scope| {
        let hashed = scope.spawn(|| input.fingerprint());
        let scanned = input.open().map_err(|error| source_failure(&error)).and_then(scan);
        (hashed.join(), scanned)
    });
    let scanned = scanned?;
    let fingerprint = fingerprint
        .map_err(|_| Failure::new(Exit::Unexpected, "a defect: the input could not be hashed"))?
        .map_err(|error| source_failure(&error))?;
    Ok((fingerprint, stamp, scanned))
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

/// What it means that temporary data cannot be kept.
fn disk(scratch: &Path) -> impl Fn(io::Error) -> Failure {
    move |error| {
        let text = format!("cannot keep temporary data in {}: {error}", scratch.display());
        Failure::new(Exit::Unexpected, text)
    }
}

/// Pairs the contacts of a file.
pub(super) fn pairing(mut file: CsvFile, scope: Scope) -> Result<(Pairing, Vec<String>), Failure> {
    let scratch = std::env::temp_dir();
    let mut contacts = Gather::new(file.header(), scope, &scratch).map_err(|error| header_failure(&error))?;
    file.use_only(contacts.used());
    let notes = each_record(file, |row, whole| contacts.note(row, whole).map_err(disk(&scratch)))?;
    Ok((contacts.finish().map_err(disk(&scratch))?, notes))
}

/// Hands over every record and whether it is a row. Returns what there is to know of how the file was read.
pub(super) fn each_record(
    mut file: CsvFile,
    mut take: impl FnMut(&Row, bool) -> Result<(), Failure>,
) -> Result<Vec<String>, Failure> {
    let mut row = Row { number: 0, line: 0, fields: ByteRecord::new() };
    while let Some(read) = file.read_into(&mut row).map_err(|error| source_failure(&error))? {
        take(&row, read.is_ok())?;
    }
    Ok(file.notes())
}

/// What a header without the needed columns means for a command.
pub fn header_failure(error: &ColumnError) -> Failure {
    Failure::new(Exit::InvalidInput, format!("{error}; correct the header"))
}

pub(super) fn unreadable(input: &Input, error: &io::Error) -> Failure {
    Failure::new(
        Exit::Usage,
        format!("cannot read {}: {error}; check the path given with --csv", input.name()),
    )
}

/// Fails when a file is not as its stamp has it: its rows would be rows that nobody has looked at.
pub fn unchanged(path: &Path, stamp: &Stamp) -> Result<(), Failure> {
    match Stamp::of(path) {
        Ok(now) if now == *stamp => Ok(()),
        _ => {
            let text = format!(
                "{} was changed while the run read it; put it back as it was and resume, or begin a new run",
                path.display()
            );
            Err(Failure::new(Exit::Changed, text))
        }
    }
}

/// What an input that cannot be read means for a command: a wrong path, or wrong content.
pub fn source_failure(error: &SourceError) -> Failure {
    if matches!(error, SourceError::Changed { .. }) {
        Failure::new(Exit::Changed, error.to_string())
    } else if matches!(error, SourceError::Spool { .. }) {
        let text = format!(
            "{error}; make room there, or give a smaller file (KEEP_INPUT_MAX=0 keeps no copy of files)"
        );
        Failure::new(Exit::Unexpected, text)
    } else if error.is_access() {
        Failure::new(Exit::Usage, format!("{error}; check the path given with --csv"))
    } else {
        Failure::new(
            Exit::InvalidInput,
            format!("{error}; correct it; `devrev-batch validate` shows all that is wrong"),
        )
    }
}
