//! Where records go. A slice and what the ledger says of it are one transaction of the target.

#[cfg(feature = "clickhouse")]
mod clickhouse;
mod files;
mod infer;
mod postgres;
mod sql;
mod sqlite;

#[cfg(feature = "clickhouse")]
pub(super) use clickhouse::ClickhouseStore;
pub(super) use files::{FilesStore, Format, PathSpec};
pub(super) use postgres::PostgresStore;
pub(super) use sqlite::SqliteStore;

use super::error::LoadError;
use super::file::{Mode, TableSpec};
use super::ledger::{Entry, Ledger, Line};
#[cfg(feature = "kafka")]
use super::positions::{Advanced, Partition, Position, Step, Taken};
use super::rules::Broken;
use super::slices::Slice;
use super::stage::{Rejects, Stage, records_were};
use crate::run::target::Identity;
use crate::stop::Stop;
use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use std::io;
use std::path::Path;

/// A table of a database, by its kind.
#[derive(Debug)]
pub(super) enum Store {
    Sqlite(SqliteStore),
    Postgres(Box<PostgresStore>),
    Files(Box<FilesStore>),
    #[cfg(feature = "clickhouse")]
    Clickhouse(Box<ClickhouseStore>),
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
    /// The zone of days.
    pub zone: Tz,
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

/// The rows of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rows {
    /// As counted.
    Exactly(u64),
    /// As the database estimates, since counting takes long.
    About(u64),
    /// As far as they were counted.
    MoreThan(u64),
}

/// What is known of a table before anything is written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Known {
    /// Its columns; `None` where there is no such table.
    pub columns: Option<Vec<Column>>,
    /// Its rows now, where that is known.
    pub rows: Option<Rows>,
    /// The tables that there are, for a name that is not among them.
    pub tables: Vec<String>,
}

impl Store {
    /// Where it is, without secrets.
    pub(super) fn place(&self) -> String {
        match self {
            Self::Sqlite(sqlite) => sqlite.place(),
            Self::Postgres(postgres) => postgres.place(),
            Self::Files(files) => files.place(),
            #[cfg(feature = "clickhouse")]
            Self::Clickhouse(clickhouse) => clickhouse.place(),
        }
    }

    /// Who it is, and who asks.
    pub(super) async fn identity(&self, stop: &Stop) -> Result<Identity, LoadError> {
        match self {
            Self::Sqlite(sqlite) => stop.race(sqlite.identity()).await.ok_or(LoadError::Interrupted)?,
            Self::Postgres(postgres) => {
                stop.race(postgres.identity(stop)).await.ok_or(LoadError::Interrupted)?
            }
            Self::Files(files) => files.identity(),
            #[cfg(feature = "clickhouse")]
            Self::Clickhouse(clickhouse) => clickhouse.identity(stop).await,
        }
    }

    /// Looks at the table.
    pub(super) async fn known(&self, table: &str, stop: &Stop) -> Result<Known, LoadError> {
        match self {
            Self::Sqlite(sqlite) => stop.race(sqlite.known(table)).await.ok_or(LoadError::Interrupted)?,
            Self::Postgres(postgres) => {
                stop.race(postgres.known(table, stop)).await.ok_or(LoadError::Interrupted)?
            }
            Self::Files(_) => Ok(Known::default()),
            #[cfg(feature = "clickhouse")]
            Self::Clickhouse(clickhouse) => clickhouse.known(table, stop).await,
        }
    }

    /// Whether a table has the columns of records, and they what it needs.
    pub(super) fn fits(&self, terms: &Terms, wanted: &[String], known: &[Column]) -> Result<(), LoadError> {
        match self {
            Self::Sqlite(_) => sqlite::IDIOM.check(terms, wanted, known),
            Self::Postgres(_) => postgres::IDIOM.check(terms, wanted, known),
            Self::Files(_) => Ok(()),
            #[cfg(feature = "clickhouse")]
            Self::Clickhouse(_) => ClickhouseStore::fits(terms, wanted, known),
        }
    }

    /// The statement that would make the table for such records; none where there are no tables.
    pub(super) fn ddl(&self, terms: &Terms, stage: &Stage) -> io::Result<Option<String>> {
        match self {
            Self::Sqlite(_) => sqlite::ddl(terms, stage).map(Some),
            Self::Postgres(_) => postgres::write::ddl(terms, stage).map(Some),
            Self::Files(_) => Ok(None),
            #[cfg(feature = "clickhouse")]
            Self::Clickhouse(_) => clickhouse::table::ddl(terms, stage).map(Some),
        }
    }

    /// What the ledger has of a load.
    pub(super) async fn ledger(&self, load: &str, stop: &Stop) -> Result<Ledger, LoadError> {
        let lines = self.lines(load, stop).await?;
        Ok(Ledger::new(lines.into_iter().filter(|line| !line.begun).map(|line| line.entry).collect()))
    }

    /// The same, with all that its table says.
    pub(super) async fn lines(&self, load: &str, stop: &Stop) -> Result<Vec<Line>, LoadError> {
        match self {
            Self::Sqlite(sqlite) => stop.race(sqlite.lines(load)).await.ok_or(LoadError::Interrupted)?,
            Self::Postgres(postgres) => {
                stop.race(postgres.lines(load, stop)).await.ok_or(LoadError::Interrupted)?
            }
            Self::Files(files) => files.lines(load),
            #[cfg(feature = "clickhouse")]
            Self::Clickhouse(clickhouse) => clickhouse.lines(load, stop).await,
        }
    }

    /// Removes slices of a load from the ledger, by their identities; their records stay. Returns how many were there.
    pub(super) async fn forget(&self, load: &str, slices: &[String], stop: &Stop) -> Result<u64, LoadError> {
        match self {
            Self::Sqlite(sqlite) => sqlite.forget(load, slices).await,
            Self::Postgres(postgres) => postgres.forget(load, slices, stop).await,
            Self::Files(files) => files.forget(load, slices, stop).await,
            #[cfg(feature = "clickhouse")]
            Self::Clickhouse(clickhouse) => clickhouse.forget(load, slices, stop).await,
        }
    }

    /// Takes a slice back, if the ledger has it of this run: all that can be, and its entry in the ledger, or nothing.
    pub(super) async fn undo(&self, undo: Undo<'_>, stop: &Stop) -> Result<UndoEnd, LoadError> {
        match self {
            Self::Sqlite(sqlite) => sqlite.undo(undo, stop).await,
            Self::Postgres(postgres) => postgres.undo(undo, stop).await,
            // A job file with `undo: true` has another target.
            Self::Files(_) => Err(LoadError::Settings("a load into files cannot be undone".to_owned())),
            #[cfg(feature = "clickhouse")]
            Self::Clickhouse(_) => {
                Err(LoadError::Settings("a load into ClickHouse cannot be undone".to_owned()))
            }
        }
    }

    /// The rows of a slice's range.
    pub(super) async fn count(&self, terms: &Terms, slice: &Slice, stop: &Stop) -> Result<u64, LoadError> {
        match self {
            Self::Sqlite(sqlite) => {
                stop.race(sqlite.count(terms, slice)).await.ok_or(LoadError::Interrupted)?
            }
            Self::Postgres(postgres) => {
                stop.race(postgres.count(terms, slice, stop)).await.ok_or(LoadError::Interrupted)?
            }
            Self::Files(files) => files.count(slice, stop),
            #[cfg(feature = "clickhouse")]
            Self::Clickhouse(clickhouse) => clickhouse.count(terms, slice, stop).await,
        }
    }

    /// The rows that a query finds, which cannot write.
    pub(super) async fn find(&self, sql: &str, stop: &Stop) -> Result<u64, LoadError> {
        match self {
            Self::Sqlite(sqlite) => stop.race(sqlite.find(sql)).await.ok_or(LoadError::Interrupted)?,
            Self::Postgres(postgres) => {
                stop.race(postgres.find(sql, stop)).await.ok_or(LoadError::Interrupted)?
            }
            Self::Files(_) => Err(LoadError::Settings("sql needs a database as the target".to_owned())),
            #[cfg(feature = "clickhouse")]
            Self::Clickhouse(clickhouse) => clickhouse.find(sql, stop).await,
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
            Self::Postgres(postgres) => {
                let days = postgres.days(terms, field, per, range, stop, take);
                stop.race(days).await.ok_or(LoadError::Interrupted)?
            }
            Self::Files(files) => files.days(&terms.load, (field, per), range, stop, take),
            #[cfg(feature = "clickhouse")]
            Self::Clickhouse(clickhouse) => clickhouse.days(terms, (field, per), range, stop, take).await,
        }
    }

    /// Loads a slice, unless it is loaded. All of it and its entry in the ledger, or nothing.
    pub(super) async fn load(
        &self,
        terms: &Terms,
        slice: &Slice,
        open: bool,
        stage: &mut Stage,
        stop: &Stop,
    ) -> Result<Loaded, LoadError> {
        match self {
            Self::Sqlite(sqlite) => sqlite.load(terms, slice, open, stage, stop).await,
            Self::Postgres(postgres) => postgres.load(terms, slice, open, stage, stop).await,
            Self::Files(files) => files.load(terms, slice, open, stage, stop).await,
            #[cfg(feature = "clickhouse")]
            Self::Clickhouse(clickhouse) => clickhouse.load(terms, slice, open, stage, stop).await,
        }
    }

    /// How far a load is in its topics.
    #[cfg(feature = "kafka")]
    pub(super) async fn positions(&self, load: &str, stop: &Stop) -> Result<Vec<Position>, LoadError> {
        match self {
            Self::Sqlite(sqlite) => stop.race(sqlite.positions(load)).await.ok_or(LoadError::Interrupted)?,
            Self::Postgres(postgres) => {
                stop.race(postgres.positions(load, stop)).await.ok_or(LoadError::Interrupted)?
            }
            _ => Ok(Vec::new()),
        }
    }

    /// Where a load goes on in a partition: at this offset, unless it has come to another one.
    #[cfg(feature = "kafka")]
    pub(super) async fn claim(
        &self,
        terms: &Terms,
        of: &Partition,
        next: i64,
        stop: &Stop,
    ) -> Result<Position, LoadError> {
        match self {
            Self::Sqlite(sqlite) => sqlite.claim(terms, of, next, stop).await,
            Self::Postgres(postgres) => postgres.claim(terms, of, next, stop).await,
            _ => Err(no_offsets()),
        }
    }

    /// Loads the messages of a step, if the load has come to where it begins. All of them and the next offset, or nothing.
    #[cfg(feature = "kafka")]
    pub(super) async fn advance(
        &self,
        terms: &Terms,
        step: &Step,
        stage: &mut Stage,
        stop: &Stop,
    ) -> Result<Advanced, LoadError> {
        match self {
            Self::Sqlite(sqlite) => sqlite.advance(terms, step, stage, stop).await,
            Self::Postgres(postgres) => postgres.advance(terms, step, stage, stop).await,
            _ => Err(no_offsets()),
        }
    }

    /// Removes partitions of a load from the table of offsets; their records stay. Returns how many were there.
    #[cfg(feature = "kafka")]
    pub(super) async fn forget_positions(
        &self,
        load: &str,
        partitions: &[Partition],
        stop: &Stop,
    ) -> Result<u64, LoadError> {
        match self {
            Self::Sqlite(sqlite) => sqlite.forget_positions(load, partitions).await,
            Self::Postgres(postgres) => postgres.forget_positions(load, partitions, stop).await,
            _ => Ok(0),
        }
    }

    /// The files, where the target is no table.
    pub(super) fn files(&self) -> Option<&FilesStore> {
        match self {
            Self::Files(files) => Some(files),
            _ => None,
        }
    }

    /// Looks, before anything is written, whether the table is one that the load may go to; what there is to say of it.
    pub(super) async fn look(&self, terms: &Terms, stop: &Stop) -> Result<Vec<String>, LoadError> {
        match self {
            #[cfg(feature = "clickhouse")]
            Self::Clickhouse(clickhouse) => clickhouse.look(terms, stop).await,
            _ => Ok(Vec::new()),
        }
    }

    /// A slice of which a part may be in the target, as it was when the run began to send it, and whether it ended in the future
    /// then. Its batches have to be the same again, so it is not fetched a second time.
    pub(super) fn kept(
        &self,
        terms: &Terms,
        run: &Path,
        (row, slice): (u64, &Slice),
    ) -> Result<Option<(Stage, bool)>, LoadError> {
        match self {
            #[cfg(feature = "clickhouse")]
            Self::Clickhouse(clickhouse) => clickhouse.kept(terms, run, (row, slice)),
            _ => Ok(None),
        }
    }
}

/// What an undo of a slice has come to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Undone {
    /// Rows that the load added and that are gone again.
    pub removed: u64,
    /// Rows that have the values back that they had before.
    pub restored: u64,
    /// Rows that the load deleted and that are there again.
    pub returned: u64,
    /// Rows that are not as the load left them, and stay.
    pub left: u64,
}

/// Whether an undo of a slice did something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum UndoEnd {
    /// It did, and the ledger does not have the slice of this run any more.
    Now(Undone),
    /// The ledger has the slice of another run, or not at all.
    Otherwise(Option<Entry>),
}

/// An undo of a slice.
#[derive(Clone, Copy)]
pub(super) struct Undo<'a> {
    /// How the load wrote; its run is the one that is undone.
    pub terms: &'a Terms,
    /// The slice.
    pub slice: &'a Slice,
    /// What was kept of it.
    pub kept: &'a Path,
    /// Writes down what it has come to, before that is committed.
    pub before_commit: &'a (dyn Fn(Undone) -> BoxFuture<'a, Result<(), LoadError>> + Send + Sync),
}

/// Why a slice cannot be loaded beside what another run has loaded, at this moment or since this run began.
fn conflicting(ledger: &Ledger, terms: &Terms, slice: &Slice) -> Result<(), LoadError> {
    if ledger.is_overtaken(slice) {
        return Err(LoadError::Guard(format!(
            "another run has loaded a part of {} since it was counted: start a new load, which takes what is left of it",
            slice.name()
        )));
    }
    match ledger.conflict(std::slice::from_ref(slice), &terms.digest) {
        Some(conflict) => {
            Err(LoadError::Changed(format!("{conflict}; --reload loads it again, if that is meant")))
        }
        None => Ok(()),
    }
}

/// What is said of a table whose columns are not those of the rows that were kept.
fn other_columns(terms: &Terms) -> LoadError {
    LoadError::Changed(format!(
        "table `{}` has other columns than when run {} loaded it: its rows cannot be put back as they were",
        terms.table.table, terms.run
    ))
}

/// What is said of a record without a key where rows have to be found again.
fn keyless(name: &str) -> String {
    format!("undo: true needs a key in every record, and this one has no `{name}`")
}

/// A job file with a source of Kafka has a target that keeps offsets.
#[cfg(feature = "kafka")]
fn no_offsets() -> LoadError {
    LoadError::Settings("a source of kafka needs a target of postgres or sqlite".to_owned())
}

/// What was taken with a stage of which so many are rows, and so many were rejected before the target saw it.
#[cfg(feature = "kafka")]
fn taken(step: &Step, stage: &Stage, rows: u64, rejected_before: u64) -> Taken {
    let rejected = stage.rejected.count();
    let offered = stage.records.saturating_sub(rejected.saturating_sub(rejected_before));
    let repeated = offered.saturating_sub(rows);
    Taken { records: rows, rejected, repeated, tombstones: step.tombstones, lost: step.lost }
}

/// What is said of a partition whose line was deleted while messages were taken.
#[cfg(feature = "kafka")]
fn taken_out(of: &Partition) -> LoadError {
    LoadError::Changed(format!(
        "partition {} was taken out of {} while its messages were loaded: run it again",
        of.name(),
        super::positions::TABLE
    ))
}

/// Refuses to replace what is there by nothing, unless that is meant.
fn replaced(terms: &Terms, stage: &Stage) -> Result<(), LoadError> {
    if stage.records > 0 || terms.allow_empty {
        return Ok(());
    }
    Err(LoadError::Guard(
        "the source has no records for it, and replacing would delete what is there: give --allow-empty if that is meant"
            .to_owned(),
    ))
}

/// Refuses to replace what is there by less than a whole slice.
fn whole(terms: &Terms, stage: &Stage) -> Result<(), LoadError> {
    if terms.mode != Mode::Replace || stage.rejected.count() == 0 {
        return Ok(());
    }
    Err(LoadError::Rejected(format!(
        "{} rejected, and what replaces the range has to be whole: {}",
        records_were(stage.rejected.count()),
        stage.rejected.first().unwrap_or_default()
    )))
}

/// Keeps a record that the target refuses, with its number in the stage; with `--strict` the slice fails by it.
fn refused(
    terms: &Terms,
    rejects: &mut Rejects,
    (record, number): (&str, u64),
    field: Option<String>,
    problem: String,
) -> Result<(), LoadError> {
    if terms.strict {
        let record = shortened(record);
        return Err(LoadError::Rejected(format!(
            "--strict: the target refuses a record: {problem}: {record}"
        )));
    }
    Ok(rejects.push(record, &Broken { rule: "target", field, text: problem }, number)?)
}

fn shortened(text: &str) -> String {
    const MOST: usize = 200;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}...", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}
