//! The SQL that databases have in common: names, the range of a slice, what happens to a key that is there, new tables.

use super::{Column, Terms};
use crate::jobs::load_records::error::LoadError;
use crate::jobs::load_records::file::Mode;
use crate::jobs::load_records::names::nearest;
use crate::jobs::load_records::slices::Slice;
use crate::jobs::load_records::template::plain;
use chrono::DateTime;
use chrono_tz::Tz;

/// What differs between databases.
#[derive(Debug, Clone, Copy)]
pub(super) struct Idiom {
    /// Whether two names are those of one column.
    pub same: fn(&str, &str) -> bool,
    /// Compares a column with the value of a numbered place.
    pub compare: fn(&Column, &str, usize) -> String,
    /// A moment as a value that a column is compared with.
    pub moment: fn(&Column, DateTime<Tz>) -> String,
}

impl Idiom {
    /// Says which column a table lacks, or which one records lack.
    pub(super) fn check(&self, terms: &Terms, wanted: &[String], known: &[Column]) -> Result<(), LoadError> {
        let table = &terms.table.table;
        let names: Vec<String> = known.iter().map(|column| column.name.clone()).collect();
        let has = |names: &[String], name: &str| names.iter().any(|other| (self.same)(other, name));
        if let Some(name) = wanted.iter().find(|name| !has(&names, name)) {
            let hint =
                nearest(name, &names).map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
            return Err(LoadError::Settings(format!("table `{table}` has no column `{name}`{hint}")));
        }
        if wanted.is_empty() {
            return Err(LoadError::Settings(format!("the records for table `{table}` have no fields")));
        }
        let required = known.iter().filter(|column| column.required).map(|column| &column.name);
        let keyed = terms.table.key.iter().filter(|_| matches!(terms.mode, Mode::Upsert | Mode::Insert));
        let newest = terms.table.newest.as_ref().map(|newest| &newest.value);
        match required.chain(keyed).chain(newest).find(|name| !has(wanted, name)) {
            Some(name) => Err(LoadError::Settings(format!(
                "table `{table}` needs a `{name}`, and the records have none"
            ))),
            None => Ok(()),
        }
    }

    /// The condition of a slice's range, and the values of its places; everything for a slice that nothing tells.
    pub(super) fn range(
        &self,
        terms: &Terms,
        slice: &Slice,
        known: &[Column],
    ) -> Result<(String, Vec<String>), LoadError> {
        let mut conditions = vec!["true".to_owned()];
        let mut values = Vec::new();
        let column = |name: &str| {
            known.iter().find(|column| (self.same)(&column.name, name)).ok_or_else(|| {
                let table = &terms.table.table;
                LoadError::Settings(format!("slices go by `{name}`, and table `{table}` has no such column"))
            })
        };
        if let (Some(field), Some((start, end))) = (&terms.date, slice.range()) {
            let column = column(field)?;
            for (sign, moment) in [(">=", start), ("<", end)] {
                values.push((self.moment)(column, moment));
                conditions.push((self.compare)(column, sign, values.len()));
            }
        }
        for (name, value) in &slice.each {
            values.push(plain(value).unwrap_or_default());
            conditions.push((self.compare)(column(name)?, "=", values.len()));
        }
        Ok((conditions.join(" AND "), values))
    }
}

/// A name in quotes.
pub(super) fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Names in quotes, with commas between.
pub(super) fn quoted<'a>(names: impl IntoIterator<Item = &'a String>) -> String {
    names.into_iter().map(|name| quote(name)).collect::<Vec<_>>().join(", ")
}

/// A table's name with its schema, in quotes.
pub(super) fn qualified(table: &str) -> String {
    table.split('.').map(quote).collect::<Vec<_>>().join(".")
}

/// What the table is called in an insert.
pub(super) const INTO: &str = "_into";

/// What an insert of these columns does where a record's key is there.
pub(super) fn on_conflict(terms: &Terms, columns: &[String]) -> String {
    if matches!(terms.mode, Mode::Append | Mode::Replace) {
        return String::new();
    }
    let others = columns.iter().filter(|name| !terms.table.key.contains(name));
    let mut set: Vec<&String> = others.collect();
    if set.is_empty() {
        // A record that is a key alone takes the place of its like, and counts.
        set.extend(terms.table.key.first());
    }
    let set: Vec<String> = set.into_iter().map(|name| format!("{0} = excluded.{0}", quote(name))).collect();
    let action = if terms.mode == Mode::Insert {
        "NOTHING".to_owned()
    } else {
        let newer = terms.table.newest.as_ref().map_or_else(String::new, |newest| {
            let newest = quote(&newest.value);
            format!(" WHERE {INTO}.{newest} IS NULL OR excluded.{newest} >= {INTO}.{newest}")
        });
        format!("UPDATE SET {}{newer}", set.join(", "))
    };
    format!(" ON CONFLICT ({}) DO {action}", quoted(&terms.table.key))
}

/// The statement that makes a table of these columns and their types.
pub(super) fn create_table(terms: &Terms, columns: &[(String, &'static str)], ending: &str) -> String {
    let mut lines: Vec<String> = columns
        .iter()
        .map(|(name, kind)| {
            let required = if terms.table.key.contains(name) { " NOT NULL" } else { "" };
            format!("{} {kind}{required}", quote(name))
        })
        .collect();
    if !terms.table.key.is_empty() {
        lines.push(format!("PRIMARY KEY ({})", quoted(&terms.table.key)));
    }
    format!("CREATE TABLE {} (\n  {}\n){ending}", qualified(&terms.table.table), lines.join(",\n  "))
}
