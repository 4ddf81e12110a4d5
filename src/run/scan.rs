//! The look at an input before a run: its fingerprint, and whether it can be read to its end at all. What its rows are
//! is the job's affair. Nothing is sent before this is over.

use crate::exit::{Exit, Failure};
use crate::row::{Row, RowProblem};
use crate::source::csv::CsvFile;
use crate::source::header::ColumnError;
use crate::source::{Fingerprint, Input, SourceError, Stamp};
use ::csv::ByteRecord;
use std::io;
use std::path::Path;

/// Scans an input while another thread takes its fingerprint.
pub(crate) fn fingerprinted<T>(
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

/// What it means that temporary data cannot be kept.
pub(crate) fn disk(scratch: &Path) -> impl Fn(io::Error) -> Failure {
    move |error| {
        let text = format!("cannot keep temporary data in {}: {error}", scratch.display());
        Failure::new(Exit::Unexpected, text)
    }
}

/// Hands over every record and whether it is a row. Returns what there is to know of how the file was read.
pub(crate) fn each_record(
    file: CsvFile,
    mut take: impl FnMut(&Row, bool) -> Result<(), Failure>,
) -> Result<Vec<String>, Failure> {
    each_read(file, |row, problem| take(row, problem.is_none()))
}

/// The same, with what keeps a record from being a row.
pub(crate) fn each_read(
    mut file: CsvFile,
    mut take: impl FnMut(&Row, Option<&RowProblem>) -> Result<(), Failure>,
) -> Result<Vec<String>, Failure> {
    let mut row = Row { number: 0, line: 0, fields: ByteRecord::new() };
    while let Some(read) = file.read_into(&mut row).map_err(|error| source_failure(&error))? {
        take(&row, read.err().as_ref())?;
    }
    Ok(file.notes())
}

/// What a header without the needed columns means for a command.
pub(crate) fn header_failure(error: &ColumnError) -> Failure {
    Failure::new(Exit::InvalidInput, format!("{error}; correct the header"))
}

/// What it means that the input cannot be got at.
pub(crate) fn unreadable(input: &Input, error: &io::Error) -> Failure {
    Failure::new(
        Exit::Usage,
        format!("cannot read {}: {error}; check the path given with --csv", input.name()),
    )
}

/// Fails when a file is not as its stamp has it: its rows would be rows that nobody has looked at.
pub(crate) fn unchanged(path: &Path, stamp: &Stamp) -> Result<(), Failure> {
    match Stamp::of(path) {
        Ok(now) if now == *stamp => Ok(()),
        _ => {
            let text = format!(
                "{} was changed while the run read it; restore it and resume, or start a new run",
                path.display()
            );
            Err(Failure::new(Exit::Changed, text))
        }
    }
}

/// What an input that cannot be read means for a command: a wrong path, or wrong content.
pub(crate) fn source_failure(error: &SourceError) -> Failure {
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
