//! The scan of an input of contacts: which are pairs.

use super::gather::Gather;
use super::note::Scope;
use super::pairing::Pairing;
use crate::exit::Failure;
use crate::run::job::Scan;
use crate::run::scan::{disk, each_record, fingerprinted, header_failure};
use crate::source::Input;
use crate::source::csv::CsvFile;

/// An input of contacts, and which of them are pairs.
pub(crate) type ContactPreflight = Scan<Pairing>;

/// Scans an input of contacts and pairs them. Blocks.
pub(crate) fn scan(input: &Input, scope: Scope) -> Result<ContactPreflight, Failure> {
    let (fingerprint, stamp, (pairing, notes)) = fingerprinted(input, |file| pairing(file, scope))?;
    Ok(Scan { fingerprint, stamp, rows: pairing.numbers().rows, notes, found: pairing })
}

/// Pairs the contacts of a file.
pub(crate) fn pairing(mut file: CsvFile, scope: Scope) -> Result<(Pairing, Vec<String>), Failure> {
    let scratch = std::env::temp_dir();
    let mut contacts = Gather::new(file.header(), scope, &scratch).map_err(|error| header_failure(&error))?;
    file.use_only(contacts.used());
    let notes = each_record(file, |row, whole| contacts.note(row, whole).map_err(disk(&scratch)))?;
    Ok((contacts.finish().map_err(disk(&scratch))?, notes))
}
