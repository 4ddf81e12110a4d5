//! Migrations of SQLite.
//!
//! - Each transaction begins as one that writes, so that two processes take turns; which migrations are left is seen anew
//!   in each.
//! - Foreign keys are not enforced meanwhile: to rebuild a table is to drop it, which would delete the rows of others. They
//!   are checked before the commit.

use super::error::MigrateError;
use super::records::{Change, Record, Row, TABLE};
use super::target::{Look, Target, Terms};
use crate::database::error::{DatabaseError, Refusal};
use crate::database::sqlite::{Opened, Sqlite, WHO};
use crate::source::grammar::Grammar;
use crate::stop::Stop;
use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, Connection, Executor, Row as _};
use std::time::Duration;
use tokio::time::timeout;

/// How long an interrupted statement may take to end.
const ENDING: Duration = Duration::from_secs(10);
/// The time, as it is written.
const NOW: &str = "strftime('%Y-%m-%dT%H:%M:%SZ', 'now')";

/// An open file.
pub(crate) struct Session {
    opened: Opened,
    is_transaction: bool,
    /// Rows whose foreign keys lead nowhere, before anything is done; none where that cannot be told.
    loose: Option<usize>,
}

impl Sqlite {
    /// What an error means, where it may be the stop signal.
    fn ended(&self, error: &sqlx::Error, stop: &Stop) -> DatabaseError {
        if stop.is_set() { DatabaseError::Interrupted } else { self.failed(error) }
    }

    async fn rows(
        &self,
        opened: &mut Opened,
        sql: String,
        stop: &Stop,
    ) -> Result<Vec<SqliteRow>, DatabaseError> {
        let asked = sqlx::query(AssertSqlSafe(sql)).persistent(false).fetch_all(&mut opened.connection);
        stop.race(asked).await.ok_or(DatabaseError::Interrupted)?.map_err(|error| self.ended(&error, stop))
    }

    async fn run(&self, opened: &mut Opened, sql: String, stop: &Stop) -> Result<u64, DatabaseError> {
        let done = stop.race(opened.connection.execute(sqlx::raw_sql(AssertSqlSafe(sql)))).await;
        let done = done.ok_or(DatabaseError::Interrupted)?;
        done.map(|done| done.rows_affected()).map_err(|error| self.ended(&error, stop))
    }

    async fn read(&self, opened: &mut Opened, stop: &Stop) -> Result<Vec<Record>, DatabaseError> {
        let tables = format!("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = '{TABLE}'");
        if self.rows(opened, tables, stop).await?.is_empty() {
            return Ok(Vec::new());
        }
        let sql = format!(
            "SELECT version, name, checksum, state, applied_at, tool_version FROM main.{TABLE} ORDER BY version"
        );
        let failed = |error: sqlx::Error| self.failed(&error);
        let record = |row: &SqliteRow| {
            let text = |place: usize| row.try_get::<String, _>(place).map_err(failed);
            let texts = [text(1)?, text(2)?, text(3)?, text(4)?, text(5)?];
            Record::new(row.try_get(0).map_err(failed)?, texts).map_err(DatabaseError::Settings)
        };
        self.rows(opened, sql, stop).await?.iter().map(record).collect()
    }

    /// Opens the file for writing; makes it if it is not there.
    async fn opened(&self, terms: &Terms) -> Result<Opened, DatabaseError> {
        let options = self.options().read_only(false).create_if_missing(true).busy_timeout(terms.lock);
        self.open(&options.foreign_keys(false), &terms.stop).await
    }

    async fn make_table(&self, opened: &mut Opened, stop: &Stop) -> Result<(), DatabaseError> {
        self.run(opened, "BEGIN IMMEDIATE".to_owned(), stop).await?;
        let sql = format!(
            "CREATE TABLE IF NOT EXISTS main.{TABLE} (version INTEGER PRIMARY KEY, name TEXT NOT NULL, checksum TEXT NOT \
             NULL, state TEXT NOT NULL, applied_at TEXT NOT NULL, tool_version TEXT NOT NULL) STRICT"
        );
        self.run(opened, sql, stop).await?;
        self.run(opened, "COMMIT".to_owned(), stop).await.map(drop)
    }

    /// Tables with rows whose foreign keys lead nowhere, a row each.
    async fn loose(&self, opened: &mut Opened, stop: &Stop) -> Result<Vec<String>, DatabaseError> {
        let rows = self.rows(opened, "PRAGMA foreign_key_check".to_owned(), stop).await?;
        Ok(rows.iter().map(|row| row.try_get::<String, _>(0).unwrap_or_default()).collect())
    }

    async fn begun(&self, opened: &mut Opened, terms: &Terms) -> Result<Option<usize>, DatabaseError> {
        self.run(opened, "BEGIN IMMEDIATE".to_owned(), &terms.stop).await?;
        Ok(self.loose(opened, &terms.stop).await.ok().map(|tables| tables.len()))
    }
}

impl Target for Sqlite {
    const GRAMMAR: Grammar = Grammar::Sqlite;
    const HAS_TRANSACTIONS: bool = true;
    type Lock = ();
    type Session = Session;

    fn place(&self) -> String {
        format!("sqlite:{}", self.path.display())
    }

    fn name(&self) -> String {
        self.path.file_name().map_or(String::new(), |name| name.to_string_lossy().into_owned())
    }

    async fn look(&self, stop: &Stop) -> Result<Look, DatabaseError> {
        if !self.path.exists() {
            return Ok(Look { is_new: true, ..Look::default() });
        }
        self.check()?;
        let mut opened = self.open(&self.options(), stop).await?;
        let records = self.read(&mut opened, stop).await;
        let _ = timeout(ENDING, opened.connection.close()).await;
        Ok(Look { records: records?, ..Look::default() })
    }

    async fn lock(&self, terms: &Terms) -> Result<(), MigrateError> {
        let failed = MigrateError::while_doing("making the table of migrations");
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
        if let Some(folder) = folder.filter(|folder| !folder.is_dir()) {
            let text = format!("{}: there is no folder {}: make it", self.place(), folder.display());
            return Err(MigrateError::Usage(text));
        }
        let mut opened = self.opened(terms).await.map_err(&failed)?;
        let made = self.make_table(&mut opened, &terms.stop).await;
        let _ = timeout(ENDING, opened.connection.close()).await;
        made.map_err(|error| match error {
            DatabaseError::Unreachable { text, .. } => MigrateError::Locked(format!(
                "another process writes to {}, and still did after {} (--lock-timeout): {text}; nothing was done",
                self.place(),
                humantime::format_duration(terms.lock)
            )),
            error => failed(error),
        })
    }

    async fn is_held(&self, (): &mut ()) -> Result<(), DatabaseError> {
        Ok(())
    }

    async fn unlock(&self, (): ()) {}

    async fn open(&self, transaction: bool, terms: &Terms) -> Result<Session, DatabaseError> {
        let mut opened = self.opened(terms).await?;
        let loose = if transaction { self.begun(&mut opened, terms).await? } else { None };
        Ok(Session { opened, is_transaction: transaction, loose })
    }

    async fn change(
        &self,
        session: &mut Session,
        row: Row<'_>,
        change: Change,
        stop: &Stop,
    ) -> Result<bool, DatabaseError> {
        let sql = change.statement(row, &format!("main.{TABLE}"), NOW);
        Ok(self.run(&mut session.opened, sql, stop).await? == 1)
    }

    async fn execute(
        &self,
        session: &mut Session,
        (): &mut (),
        sql: &str,
        terms: &Terms,
    ) -> Result<(), DatabaseError> {
        let Terms { statement, stop, .. } = terms;
        session.opened.watch(*statement, stop).await.map_err(|error| self.failed(&error))?;
        let executed = session.opened.connection.execute(sqlx::raw_sql(AssertSqlSafe(sql.to_owned())));
        tokio::pin!(executed);
        let done = match stop.race(&mut executed).await {
            Some(done) => done,
            // SQLite sees the signal by itself.
            None => timeout(ENDING, executed).await.map_err(|_| DatabaseError::Interrupted)?,
        };
        done.map(drop).map_err(|error| self.ended(&error, stop))
    }

    async fn check(&self, session: &mut Session) -> Result<(), DatabaseError> {
        let Some(before) = session.loose else { return Ok(()) };
        let tables = self.loose(&mut session.opened, &Stop::default()).await?;
        match tables.last().filter(|_| tables.len() > before) {
            Some(table) => Err(DatabaseError::Refused(Box::new(Refusal {
                who: WHO,
                text: format!("rows of {table} refer to rows that are not there (foreign keys)"),
                ..Refusal::default()
            }))),
            None => Ok(()),
        }
    }

    async fn commit(&self, mut session: Session) -> Result<(), DatabaseError> {
        let committed = if session.is_transaction {
            self.run(&mut session.opened, "COMMIT".to_owned(), &Stop::default()).await.map(drop)
        } else {
            Ok(())
        };
        let _ = timeout(ENDING, session.opened.connection.close()).await;
        committed
    }

    async fn abandon(&self, mut session: Session) {
        if session.is_transaction {
            // SQLite may have done so itself.
            let _ = timeout(ENDING, session.opened.connection.execute("ROLLBACK")).await;
        }
        let _ = timeout(ENDING, session.opened.connection.close()).await;
    }
}
