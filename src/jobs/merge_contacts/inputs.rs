//! Inputs of contacts for tests.

use super::gather::Gather;
use super::note::Scope;
use super::pairing::{Pairing, Role};
use crate::cli::choices::Keep;
use crate::jobs::rules::contacts;
use crate::row::Row;
use crate::source::csv::CsvFile;
use ::csv::ByteRecord;

/// An input of such rows: ID, address, external reference, tickets.
pub(crate) fn csv<T: AsRef<str>>(rows: &[[T; 4]]) -> String {
    let mut text = contacts::REQUIRED.join(",") + "\n";
    for [id, email, external_ref, tickets] in rows.iter().map(|row| row.each_ref().map(AsRef::as_ref)) {
        text.extend([id, ",Ann,", email, ",", external_ref, ",,,,", tickets, "\n"]);
    }
    text
}

/// Everything is in the run.
pub(crate) const ALL: Scope = Scope { keep: Keep::Revu, emails: Vec::new(), except: Vec::new(), limit: None };

pub(crate) fn paired(text: &str, scope: &Scope) -> Pairing {
    let mut file = CsvFile::from_reader(text.as_bytes(), "in.csv").unwrap();
    let mut gather = Gather::new(file.header(), scope.clone(), &std::env::temp_dir()).unwrap();
    let mut row = Row { number: 0, line: 0, fields: ByteRecord::new() };
    while let Some(read) = file.read_into(&mut row).unwrap() {
        gather.note(&row, read.is_ok()).unwrap();
    }
    gather.finish().unwrap()
}

/// Each row's role in short: `2+` and `1-` for a pair of which row 1 is kept.
pub(crate) fn roles(pairing: &Pairing) -> Vec<String> {
    let short = |row| match pairing.role(row) {
        Role::Pair { partner, primary } => format!("{partner}{}", if primary { "+" } else { "-" }),
        Role::Single => "single".to_owned(),
        Role::Review(group) => group.reason.code().to_owned(),
        Role::Invalid => "invalid".to_owned(),
        Role::Out => "out".to_owned(),
    };
    (1..=pairing.numbers().rows).map(short).collect()
}
