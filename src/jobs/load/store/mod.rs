//! Where records go. A slice and what the ledger says of it are one transaction of the target.

mod sqlite;

pub(super) use sqlite::SqliteStore;

use super::error::LoadError;
use super::file::{Mode, TableSpec};
use super::ledger::Entry;
use super::slices::Slice;
use super::stage::Stage;
use crate::run::target::Identity;
use crate::stop::Stop;
use chrono::{DateTime, Utc};

/// A table of a database, by its kind.
#[derive(Debug)]
pub(super) enum Store {
    Sqlite(SqliteStore),
}

/// How a load writes, the same for all of its slices.
#[derive(Debug, Clone)]
pub(super) struct Terms {
    /// The table, its key and whether to make it.
    pub table: TableSpec,
    /// How records get into it.
    pub mode: Mode,
    /// The record's field that has its date.
    pub date: Option<String>,
    /// The load, as the ledger calls it.
    pub load: String,
    /// Of all that decides what a slice's records are.
    pub digest: String,
    /// The run.
    pub run: String,
    /// Records that are written together.
    pub batch_size: usize,
    /// `--reload`: what other runs have loaded is loaded again.
    pub reload: bool,
    /// `--strict`: a record that the target refuses fails its slice.
    pub strict: bool,
    /// `--allow-empty`: a slice without records may replace what is there.
    pub allow_empty: bool,
}

/// What became of a slice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Loaded {
    /// Its records are in the target, and the ledger says so.
    Now {
        /// Records that are in the target now.
        rows: u64,
        /// Rows that were deleted first, by mode replace.
        deleted: u64,
    },
    /// It was loaded before.
    Before(Entry),
}

/// A column of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Column {
    /// Its name.
    pub name: String,
    /// Its type, as the database calls it.
    pub kind: String,
    /// Whether a record has to have it.
    pub required: bool,
}

/// What is known of a table before anything is written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Known {
    /// Its columns; `None` where there is no such table.
    pub columns: Option<Vec<Column>>,
    /// Its rows now, where counting them is cheap.
    pub rows: Option<u64>,
    /// The tables that there are, for a name that is not among them.
    pub tables: Vec<String>,
}

impl Store {
    /// Where it is, without secrets.
    pub(super) fn place(&self) -> String {
        match self {
            Self::Sqlite(sqlite) => sqlite.place(),
        }
    }

    /// Who it is, and who asks.
    pub(super) async fn identity(&self, stop: &Stop) -> Result<Identity, LoadError> {
        match self {
            Self::Sqlite(sqlite) => stop.race(sqlite.identity()).await.ok_or(LoadError::Interrupted)?,
        }
    }

    /// Looks at the table.
    pub(super) async fn known(&self, table: &str, stop: &Stop) -> Result<Known, LoadError> {
        match self {
            Self::Sqlite(sqlite) => stop.race(sqlite.known(table)).await.ok_or(LoadError::Interrupted)?,
        }
    }

    /// What the ledger has of a load.
    pub(super) async fn ledger(&self, load: &str, stop: &Stop) -> Result<Vec<Entry>, LoadError> {
        match self {
            Self::Sqlite(sqlite) => stop.race(sqlite.ledger(load)).await.ok_or(LoadError::Interrupted)?,
        }
    }

    /// The rows of a slice's range.
    pub(super) async fn count(&self, terms: &Terms, slice: &Slice, stop: &Stop) -> Result<u64, LoadError> {
        match self {
            Self::Sqlite(sqlite) => {
                stop.race(sqlite.count(terms, slice)).await.ok_or(LoadError::Interrupted)?
            }
        }
    }

    /// The rows that a query finds, which cannot write.
    pub(super) async fn find(&self, sql: &str, stop: &Stop) -> Result<u64, LoadError> {
        match self {
            Self::Sqlite(sqlite) => stop.race(sqlite.find(sql)).await.ok_or(LoadError::Interrupted)?,
        }
    }

    /// Hands over each date of a field within a range, with the values of other columns.
    pub(super) async fn days(
        &self,
        terms: &Terms,
        field: &str,
        per: &[String],
        range: (DateTime<Utc>, DateTime<Utc>),
        stop: &Stop,
        take: &mut (dyn FnMut(Vec<String>, String) + Send),
    ) -> Result<(), LoadError> {
        match self {
            Self::Sqlite(sqlite) => {
                stop.race(sqlite.days(terms, field, per, range, take)).await.ok_or(LoadError::Interrupted)?
            }
        }
    }

    /// Loads a slice, unless it is loaded. All of it and its entry in the ledger, or nothing.
    pub(super) async fn load(
        &self,
        terms: &Terms,
        slice: &Slice,
        open: bool,
        stage: &mut Stage,
    ) -> Result<Loaded, LoadError> {
        match self {
            Self::Sqlite(sqlite) => sqlite.load(terms, slice, open, stage).await,
        }
    }
}

/// The statement that makes a table from the columns of its first records.
pub(super) fn made_of(
    terms: &Terms,
    columns: &[(String, &'static str)],
    quote: fn(&str) -> String,
    ending: &str,
) -> String {
    let mut lines: Vec<String> = columns
        .iter()
        .map(|(name, kind)| {
            let required = if terms.table.key.contains(name) { " NOT NULL" } else { "" };
            format!("{} {kind}{required}", quote(name))
        })
        .collect();
    if !terms.table.key.is_empty() {
        let key: Vec<String> = terms.table.key.iter().map(|name| quote(name)).collect();
        lines.push(format!("PRIMARY KEY ({})", key.join(", ")));
    }
    let name: Vec<String> = terms.table.table.split('.').map(quote).collect();
    format!("CREATE TABLE {} (\n  {}\n){ending}", name.join("."), lines.join(",\n  "))
}

/// The name among these that is nearest to one that is not.
pub(super) fn nearest(name: &str, names: &[String]) -> Option<String> {
    let distance = |other: &&String| strsim::damerau_levenshtein(&name.to_lowercase(), &other.to_lowercase());
    let nearest = names.iter().min_by_key(distance)?;
    (distance(&nearest) <= name.len().max(3) / 2).then(|| nearest.clone())
}
