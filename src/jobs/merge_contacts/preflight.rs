//! The look at an input of contacts: which are pairs.

use super::gather::Gather;
use super::note::Scope;
use super::pairing::Pairing;
use crate::exit::Failure;
use crate::run::job::Looked;
use crate::run::look::{disk, each_record, fingerprinted, header_failure};
use crate::source::csv::CsvFile;
use crate::source::{Fingerprint, Input, Stamp};

/// What was found.
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

/// Looks at an input of contacts and pairs them. Blocks.
pub fn look_at_contacts(input: &Input, scope: Scope) -> Result<ContactPreflight, Failure> {
    let (fingerprint, stamp, (pairing, notes)) = fingerprinted(input, |file| pairing(file, scope))?;
    Ok(ContactPreflight { fingerprint, stamp, pairing, notes })
}

/// Pairs the contacts of a file.
pub fn pairing(mut file: CsvFile, scope: Scope) -> Result<(Pairing, Vec<String>), Failure> {
    let scratch = std::env::temp_dir();
    let mut contacts = Gather::new(file.header(), scope, &scratch).map_err(|error| header_failure(&error))?;
    file.use_only(contacts.used());
    let notes = each_record(file, |row, whole| contacts.note(row, whole).map_err(disk(&scratch)))?;
    Ok((contacts.finish().map_err(disk(&scratch))?, notes))
}
