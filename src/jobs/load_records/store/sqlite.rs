//! A table of an SQLite file: the target that needs no server.
//!
//! One connection, since SQLite has one writer. A batch is one JSON array that SQLite takes apart itself: ten times as fast
//! as a statement a record.

#[cfg(feature = "kafka")]
mod advance;
mod count;
mod ledger;
mod undo;

use super::infer::{self, Kind};
use super::sql::{INTO, Idiom, create_table, on_conflict, quote, quoted};
use super::{Column, Known, Loaded, Rows, Terms, refused, replaced, whole};
use crate::jobs::load_records::error::LoadError;
use crate::jobs::load_records::file::Mode;
use crate::jobs::load_records::ledger::{Entry, Line, TABLE};
use crate::jobs::load_records::slices::Slice;
use crate::jobs::load_records::stage::{Batch, Rejects, Stage};
use crate::jobs::load_records::template::clock;
use crate::jobs::load_records::undo::kept::{self, Head, KeptWriter};
use crate::journal::manifest::Party;
use crate::run::target::Identity;
use crate::stop::Stop;
use chrono::{DateTime, Utc};
use count::Counter;
use futures_util::TryStreamExt;
use ledger::Seen;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Row, SqliteConnection};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::sync::Mutex;
use undo::Watch;

/// How long to wait for another process that writes to the file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(30);

/// Rows of a table that are counted.
const MOST_COUNTED: u64 = 100_000;

/// How SQLite has it.
pub(super) const IDIOM: Idiom = Idiom {
    same: |one, other| one.eq_ignore_ascii_case(other),
    compare: |column, sign, place| format!("{} {sign} ?{place}", quote(&column.name)),
    moment: |column, moment| {
        let is_number = column.kind.to_ascii_uppercase().contains("INT");
        if is_number { moment.timestamp().to_string() } else { clock(moment) }
    },
};

/// An SQLite file.
#[derive(Debug)]
pub(in crate::jobs::load_records) struct SqliteStore {
    path: PathBuf,
    /// The connection that writes. Taken out while it is used, so that none in the midst of a transaction is used again.
    writer: Mutex<Option<SqliteConnection>>,
    /// What other runs have loaded, as the connection that writes has seen it.
    seen: Mutex<Option<Box<Seen>>>,
}

/// How a batch ended.
enum Written {
    Rows(u64),
    /// The target refuses a record of it.
    Refused(String),
}

impl SqliteStore {
    /// A file, which need not be there.
    pub(in crate::jobs::load_records) fn new(path: &Path) -> Self {
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        Self { path, writer: Mutex::new(None), seen: Mutex::new(None) }
    }

    pub(super) fn place(&self) -> String {
        format!("sqlite:{}", self.path.display())
    }

    fn options(&self) -> SqliteConnectOptions {
        SqliteConnectOptions::new()
            .filename(&self.path)
            .busy_timeout(BUSY_TIMEOUT)
            .disable_statement_logging()
    }

    /// A connection that cannot write; none where there is no file.
    async fn reader(&self) -> Result<Option<SqliteConnection>, LoadError> {
        match std::fs::metadata(&self.path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let folder = crate::files::folder_of(&self.path);
                if folder.is_dir() {
                    return Ok(None);
                }
                return Err(LoadError::Settings(format!(
                    "{}: there is no folder {}",
                    self.place(),
                    folder.display()
                )));
            }
            Err(error) => return Err(LoadError::Settings(format!("{}: {error}", self.place()))),
            Ok(data) if data.is_dir() => {
                return Err(LoadError::Settings(format!("{} is a folder", self.place())));
            }
            Ok(data) if data.len() == 0 => return Ok(None),
            Ok(_) => {}
        }
        self.recover().await?;
        let connected = self.options().read_only(true).create_if_missing(false).connect().await;
        connected.map(Some).map_err(|error| self.failed(&error))
    }

    /// Lets SQLite take back what a process that was killed had not committed: whoever may only read cannot do that, and would be
    /// refused.
    async fn recover(&self) -> Result<(), LoadError> {
        let mut journal = self.path.clone().into_os_string();
        journal.push("-journal");
        if std::fs::metadata(journal).map_or(true, |data| data.len() == 0) {
            return Ok(());
        }
        let mut connection =
            self.options().create_if_missing(false).connect().await.map_err(|error| self.failed(&error))?;
        run(&mut connection, "SELECT count(*) FROM sqlite_schema")
            .await
            .map_err(|error| self.failed(&error))?;
        // It has written nothing of its own.
        let _ = connection.close().await;
        Ok(())
    }

    pub(super) async fn identity(&self) -> Result<Identity, LoadError> {
        self.reader().await?;
        let canonical = self.path.canonicalize().unwrap_or_else(|_| self.path.clone());
        let name = self.path.file_name().map(|name| name.to_string_lossy().into_owned());
        let user = ["USER", "LOGNAME"].iter().find_map(|name| std::env::var(name).ok());
        Ok(Identity {
            org: Party { id: canonical.display().to_string(), display_id: None, name },
            user: Party { id: user.unwrap_or_else(|| "unknown".to_owned()), display_id: None, name: None },
        })
    }

    pub(super) async fn known(&self, table: &str) -> Result<Known, LoadError> {
        let Some(mut connection) = self.reader().await? else { return Ok(Known::default()) };
        let failed = |error: sqlx::Error| self.failed(&error);
        let rows = sqlx::query("SELECT name FROM sqlite_schema WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'")
            .fetch_all(&mut connection)
            .await
            .map_err(failed)?;
        let tables = rows
            .iter()
            .filter_map(|row| row.try_get(0).ok())
            .filter(|name: &String| !name.starts_with("_devrev_batch_"))
            .collect();
        let columns = columns(&mut connection, table).await.map_err(failed)?;
        let mut known =
            Known { columns: Some(columns).filter(|columns| !columns.is_empty()), rows: None, tables };
        if known.columns.is_some() {
            let sql =
                format!("SELECT count(*) FROM (SELECT 1 FROM {} LIMIT {})", quote(table), MOST_COUNTED + 1);
            let count = sqlx::query(AssertSqlSafe(sql)).fetch_one(&mut connection).await;
            let count: i64 = count.and_then(|row| row.try_get(0)).map_err(failed)?;
            let count = u64::try_from(count).unwrap_or_default();
            known.rows =
                Some(if count > MOST_COUNTED { Rows::MoreThan(MOST_COUNTED) } else { Rows::Exactly(count) });
        }
        // It was only read from.
        let _ = connection.close().await;
        Ok(known)
    }

    pub(super) async fn load(
        &self,
        terms: &Terms,
        slice: &Slice,
        open: bool,
        stage: &mut Stage,
        stop: &Stop,
    ) -> Result<Loaded, LoadError> {
        let mut writer = stop.race(self.writer.lock()).await.ok_or(LoadError::Interrupted)?;
        let mut connection = if let Some(connection) = writer.take() {
            connection
        } else {
            *self.seen.lock().await = None;
            self.connect().await?
        };
        let loaded = self.transaction(&mut connection, terms, slice, open, stage, stop).await;
        let end = if matches!(loaded, Ok(Loaded::Now { .. })) { "COMMIT" } else { "ROLLBACK" };
        match run(&mut connection, end).await {
            Ok(()) => *writer = Some(connection),
            // A connection that cannot end its transaction is given up; without a commit nothing has happened.
            Err(error) if loaded.is_ok() => return Err(self.failed(&error)),
            Err(_) => {}
        }
        loaded
    }

    /// The connection that writes.
    async fn connect(&self) -> Result<SqliteConnection, LoadError> {
        let is_new = !self.path.exists();
        let options = self.options().create_if_missing(true);
        // How a file is kept is its owner's affair, unless it is new.
        let options = if is_new { options.journal_mode(SqliteJournalMode::Wal) } else { options };
        options.connect().await.map_err(|error| self.failed(&error))
    }

    async fn transaction(
        &self,
        connection: &mut SqliteConnection,
        terms: &Terms,
        slice: &Slice,
        open: bool,
        stage: &mut Stage,
        stop: &Stop,
    ) -> Result<Loaded, LoadError> {
        let failed = |error: sqlx::Error| self.failed(&error);
        run(connection, "BEGIN IMMEDIATE").await.map_err(failed)?;
        let ledger = format!(
            "CREATE TABLE IF NOT EXISTS {TABLE} (load TEXT NOT NULL, slice TEXT NOT NULL, name TEXT NOT NULL, digest TEXT NOT \
             NULL, rows INTEGER NOT NULL, rejected INTEGER NOT NULL, run TEXT NOT NULL, open INTEGER NOT NULL, loaded_at TEXT \
             NOT NULL, PRIMARY KEY (load, slice)) STRICT"
        );
        run(connection, &ledger).await.map_err(failed)?;
        let id = slice.id();
        let before = ledger::lines(connection, &terms.load, Some(&id)).await.map_err(failed)?.pop();
        let own = before.as_ref().filter(|line| line.entry.run == terms.run);
        if own.is_none() {
            ledger::judge(connection, &mut *self.seen.lock().await, terms, slice).await.map_err(failed)??;
        }
        if let Some(Line { entry, .. }) = &before {
            let again = entry.run != terms.run && (entry.open || terms.reload);
            if !again {
                return Ok(Loaded::Before(entry.clone()));
            }
            ledger::remove(connection, &terms.load, &id).await.map_err(failed)?;
        }
        let known = self.table(connection, terms, stage).await?;
        let watch = match &stage.undo {
            Some(path) if !known.is_empty() => {
                kept::room(path, stage.bytes()?.saturating_mul(2))?;
                Some(Watch::begin(connection, terms, &known).await?)
            }
            _ => None,
        };
        let mut deleted = 0;
        if terms.mode == Mode::Replace && !known.is_empty() {
            replaced(terms, stage)?;
            deleted = self.delete(connection, terms, slice, &known).await?;
        }
        let rows = self.records(connection, terms, &known, stage, stop).await?;
        whole(terms, stage)?;
        if let Some(path) = &stage.undo {
            match watch {
                Some(watch) => watch.keep(connection, path, before, failed).await?,
                None => KeptWriter::create(path, &Head { columns: Vec::new(), ledger: before })?.finish()?,
            }
        }
        let rejects = &mut stage.rejected;
        let entry = Entry {
            slice: id,
            digest: terms.digest.clone(),
            rows,
            rejected: rejects.count(),
            run: terms.run.clone(),
            open,
        };
        let line = Line { entry, name: slice.name(), at: Utc::now().to_rfc3339(), begun: false };
        ledger::write(connection, &terms.load, &line).await.map_err(failed)?;
        // Before the commit: of a slice that is loaded, all rejected records are on the disk.
        rejects.keep()?;
        Ok(Loaded::Now { rows, deleted })
    }

    /// The columns of the table, which is made if need be.
    async fn table(
        &self,
        connection: &mut SqliteConnection,
        terms: &Terms,
        stage: &Stage,
    ) -> Result<Vec<Column>, LoadError> {
        let failed = |error: sqlx::Error| self.failed(&error);
        let table = &terms.table.table;
        let mut known = columns(connection, table).await.map_err(failed)?;
        if known.is_empty() && terms.table.create && stage.records > 0 {
            run(connection, &ddl(terms, stage)?).await.map_err(failed)?;
            known = columns(connection, table).await.map_err(failed)?;
        }
        if known.is_empty() && stage.records > 0 {
            return Err(LoadError::Settings(format!("{}: there is no table `{table}`", self.place())));
        }
        Ok(known)
    }

    /// Writes the records of a stage. Returns how many rows they are.
    async fn records(
        &self,
        connection: &mut SqliteConnection,
        terms: &Terms,
        known: &[Column],
        stage: &mut Stage,
        stop: &Stop,
    ) -> Result<u64, LoadError> {
        let mut counter = Counter::new(connection).await.map_err(|error| self.failed(&error))?;
        if stage.records > 0 {
            IDIOM.check(terms, &stage.columns, known)?;
        }
        let mut batches = stage.batches(terms.batch_size)?;
        while let Some(batch) = batches.next()? {
            if stop.is_set() {
                return Err(LoadError::Interrupted);
            }
            self.insert(connection, terms, &batch, &mut stage.rejected, &mut counter).await?;
        }
        Ok(counter.rows)
    }

    /// Deletes what a slice's records take the place of.
    async fn delete(
        &self,
        connection: &mut SqliteConnection,
        terms: &Terms,
        slice: &Slice,
        known: &[Column],
    ) -> Result<u64, LoadError> {
        let (condition, values) = IDIOM.range(terms, slice, known)?;
        if values.is_empty() {
            return Err(LoadError::Settings("mode replace needs slices by date or by lists".to_owned()));
        }
        let sql = format!("DELETE FROM {} WHERE {condition}", quote(&terms.table.table));
        let mut query = sqlx::query(AssertSqlSafe(sql));
        for value in &values {
            query = query.bind(value);
        }
        let done = query.execute(connection).await.map_err(|error| self.failed(&error))?;
        Ok(done.rows_affected())
    }

    pub(super) async fn count(&self, terms: &Terms, slice: &Slice) -> Result<u64, LoadError> {
        let Some(mut connection) = self.reader().await? else { return Ok(0) };
        let failed = |error: sqlx::Error| self.failed(&error);
        let known = columns(&mut connection, &terms.table.table).await.map_err(failed)?;
        let (condition, values) = IDIOM.range(terms, slice, &known)?;
        let sql = format!("SELECT count(*) FROM {} WHERE {condition}", quote(&terms.table.table));
        let mut query = sqlx::query(AssertSqlSafe(sql));
        for value in &values {
            query = query.bind(value);
        }
        let rows: i64 =
            query.fetch_one(&mut connection).await.and_then(|row| row.try_get(0)).map_err(failed)?;
        let _ = connection.close().await;
        Ok(u64::try_from(rows).unwrap_or_default())
    }

    pub(super) async fn find(&self, sql: &str) -> Result<u64, LoadError> {
        let Some(mut connection) = self.reader().await? else { return Ok(0) };
        // The line break ends a comment.
        let sql = format!("SELECT count(*) FROM (\n{sql}\n)");
        let found = sqlx::query(AssertSqlSafe(sql)).fetch_one(&mut connection).await;
        let rows: i64 = found.and_then(|row| row.try_get(0)).map_err(|error| self.failed(&error))?;
        let _ = connection.close().await;
        Ok(u64::try_from(rows).unwrap_or_default())
    }

    pub(super) async fn days(
        &self,
        terms: &Terms,
        field: &str,
        per: &[String],
        (start, end): (DateTime<Utc>, DateTime<Utc>),
        take: &mut (dyn FnMut(Vec<String>, String) + Send),
    ) -> Result<(), LoadError> {
        let Some(mut connection) = self.reader().await? else { return Ok(()) };
        let failed = |error: sqlx::Error| self.failed(&error);
        let known = columns(&mut connection, &terms.table.table).await.map_err(failed)?;
        let slice = Slice { start: Some(start), end: Some(end), zone: terms.zone, ..Slice::whole() };
        let (condition, values) = IDIOM.range(terms, &slice, &known)?;
        let selected: Vec<String> = per
            .iter()
            .map(String::as_str)
            .chain([field])
            .map(|name| format!("CAST({} AS TEXT)", quote(name)))
            .collect();
        let sql = format!(
            "SELECT DISTINCT {} FROM {} WHERE {condition}",
            selected.join(", "),
            quote(&terms.table.table)
        );
        let mut query = sqlx::query(AssertSqlSafe(sql));
        for value in &values {
            query = query.bind(value);
        }
        let mut rows = query.fetch(&mut connection);
        while let Some(row) = rows.try_next().await.map_err(failed)? {
            let text = |place: usize| row.try_get::<Option<String>, _>(place).map(Option::unwrap_or_default);
            let group = (0..per.len()).map(text).collect::<Result<Vec<_>, _>>().map_err(failed)?;
            take(group, text(per.len()).map_err(failed)?);
        }
        Ok(())
    }

    /// Writes a batch. A record that the table refuses is found by halving.
    async fn insert(
        &self,
        connection: &mut SqliteConnection,
        terms: &Terms,
        batch: &Batch,
        rejects: &mut Rejects,
        counter: &mut Counter,
    ) -> Result<(), LoadError> {
        let sql = statement(terms, &batch.columns);
        let mut left: Vec<Range<usize>> = std::iter::once(0..batch.len()).collect();
        while let Some(range) = left.pop() {
            match self.write(connection, &sql, batch, range.clone()).await? {
                Written::Rows(written) => {
                    let counted = counter.count(connection, terms, batch, range, written).await;
                    counted.map_err(|error| self.failed(&error))?;
                }
                Written::Refused(problem) if range.len() == 1 => {
                    let number = batch.first + range.start as u64;
                    refused(terms, rejects, (&batch.object(range.start), number), None, problem)?;
                }
                Written::Refused(_) => {
                    let middle = range.start + range.len() / 2;
                    // The first half is written first.
                    left.push(middle..range.end);
                    left.push(range.start..middle);
                }
            }
        }
        Ok(())
    }

    async fn write(
        &self,
        connection: &mut SqliteConnection,
        sql: &str,
        batch: &Batch,
        range: Range<usize>,
    ) -> Result<Written, LoadError> {
        let query = sqlx::query(AssertSqlSafe(sql.to_owned())).bind(batch.json(range));
        match query.execute(connection).await {
            Ok(done) => Ok(Written::Rows(done.rows_affected())),
            // SQLITE_CONSTRAINT: the statement alone is taken back.
            Err(error) if code(&error) & 0xff == 19 => Ok(Written::Refused(said(&error))),
            Err(error) => Err(self.failed(&error)),
        }
    }

    fn failed(&self, error: &sqlx::Error) -> LoadError {
        let text = format!("{}: {}", self.place(), said(error));
        match code(error) & 0xff {
            5 | 6 => LoadError::Unreachable(format!("{text}; another process writes to it: try again later")),
            10 | 13 => {
                LoadError::File(format!("{text}; resume the run once the disk has room, or works again"))
            }
            1 | 3 | 8 | 14 | 26 => LoadError::Settings(text),
            _ => LoadError::Refused(text),
        }
    }
}

/// The statement for batches of these columns.
fn statement(terms: &Terms, columns: &[String]) -> String {
    let cells: Vec<String> = (0..columns.len()).map(|place| format!("value ->> {place}")).collect();
    format!(
        "INSERT INTO {} AS {INTO} ({}) SELECT {} FROM jsonb_each(?1) WHERE true{}",
        quote(&terms.table.table),
        quoted(columns),
        cells.join(", "),
        on_conflict(terms, columns)
    )
}

/// The statement that makes the table for a slice's records.
pub(super) fn ddl(terms: &Terms, stage: &Stage) -> std::io::Result<String> {
    let kind = |kind| match kind {
        Kind::Boolean | Kind::Integer => "INTEGER",
        Kind::Real => "REAL",
        Kind::Numeric | Kind::Date | Kind::Time | Kind::Json | Kind::Digits | Kind::Text => "TEXT",
    };
    let columns: Vec<_> =
        infer::columns(stage)?.into_iter().map(|(name, holds)| (name, kind(holds))).collect();
    Ok(create_table(terms, &columns, " STRICT"))
}

async fn columns(connection: &mut SqliteConnection, table: &str) -> Result<Vec<Column>, sqlx::Error> {
    let rows =
        sqlx::query("SELECT name, type, \"notnull\", dflt_value IS NOT NULL, pk FROM pragma_table_info(?1)")
            .bind(table)
            .fetch_all(connection)
            .await?;
    rows.iter()
        .map(|row| {
            let (notnull, has_default, key): (i64, i64, i64) =
                (row.try_get(2)?, row.try_get(3)?, row.try_get(4)?);
            let kind: String = row.try_get(1)?;
            // A single INTEGER key is made up where it is missing.
            let made_up = key > 0 && kind.eq_ignore_ascii_case("INTEGER");
            let required = (notnull != 0 || key > 0) && has_default == 0 && !made_up;
            Ok(Column { name: row.try_get(0)?, kind, required })
        })
        .collect()
}

async fn run(connection: &mut SqliteConnection, sql: &str) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(connection).await.map(drop)
}

fn code(error: &sqlx::Error) -> i32 {
    let code = error.as_database_error().and_then(|error| error.code().and_then(|code| code.parse().ok()));
    code.unwrap_or_default()
}

fn is_missing_table(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(|error| error.message().contains("no such table"))
}

/// An error in SQLite's words, on one line.
fn said(error: &sqlx::Error) -> String {
    let text =
        error.as_database_error().map_or_else(|| error.to_string(), |error| error.message().to_owned());
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
