//! A table of a PostgreSQL database.
//!
//! A slice is one transaction of a connection of its own ([`write`]); a few are written at once. A connection that is dropped
//! takes its transaction back.

#[cfg(feature = "kafka")]
mod advance;
mod copy;
mod direct;
mod ledger;
mod undo;
pub(super) mod write;

use super::sql::{Idiom, qualified, quote};
use super::{Column, Known, Loaded, Rows, Terms};
use crate::database::error::DatabaseError;
use crate::database::postgres::{Postgres, WHO};
use crate::jobs::load_records::error::LoadError;
use crate::jobs::load_records::ledger::TABLE;
use crate::jobs::load_records::slices::Slice;
use crate::jobs::load_records::stage::Stage;
use crate::jobs::load_records::template::{clock, iso};
use crate::journal::manifest::Party;
use crate::net::retry::{Failed, retry};
use crate::run::target::Identity;
use crate::source::grammar::Grammar;
use crate::source::sql::Statement;
use crate::stop::Stop;
use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use futures_util::TryStreamExt;
use ledger::Seen;
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, PgConnection, Row};
use std::future::Future;
use std::sync::{Mutex, PoisonError};
use tokio::sync::{OnceCell, Semaphore};

/// Slices that are written at once, each over a connection of its own.
const WRITERS: usize = 8;
/// Rows of a table that are counted; of more an estimate is shown.
const MOST_COUNTED: u64 = 100_000;
/// The lock of whoever makes a table for loads. (Any number will do, as long as it stays the same.)
const MAKING_TABLES: &str = "SELECT pg_advisory_xact_lock(7310868735942455137)";

/// How PostgreSQL has it.
pub(super) const IDIOM: Idiom = Idiom {
    same: |one, other| one == other,
    compare: |column, sign, place| {
        let name = quote(&column.name);
        match Holds::of(&column.kind) {
            Holds::Moment => format!("{name} {sign} CAST(${place} AS timestamptz)"),
            Holds::Clock => format!("{name} {sign} CAST(${place} AS timestamp)"),
            Holds::Text if sign != "=" => format!("CAST({name} AS text) COLLATE \"C\" {sign} ${place}"),
            Holds::Number | Holds::Text => format!("{name} {sign} CAST(${place} AS {})", column.kind),
        }
    },
    moment: |column, moment| match Holds::of(&column.kind) {
        Holds::Number => moment.timestamp().to_string(),
        Holds::Moment => iso(moment.with_timezone(&Tz::UTC)),
        Holds::Clock | Holds::Text => clock(moment),
    },
};

/// What a column holds, as far as dates are compared with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Holds {
    Number,
    Moment,
    /// A date, or a time without a zone.
    Clock,
    Text,
}

impl Holds {
    /// By the name of a type.
    fn of(kind: &str) -> Self {
        match kind {
            "smallint" | "integer" | "bigint" | "numeric" | "real" | "double precision" => Self::Number,
            "timestamp with time zone" => Self::Moment,
            "date" | "timestamp without time zone" => Self::Clock,
            _ => Self::Text,
        }
    }
}

/// A PostgreSQL database.
#[derive(Debug)]
pub(in crate::jobs::load_records) struct PostgresStore {
    postgres: Postgres,
    /// Connections that nobody uses now.
    idle: Mutex<Vec<PgConnection>>,
    writers: Semaphore,
    /// Whether the ledger's table is there.
    ledger: OnceCell<()>,
    /// Whether that of offsets is.
    #[cfg(feature = "kafka")]
    offsets: OnceCell<()>,
    /// What other runs have loaded, as it was seen last.
    seen: tokio::sync::Mutex<Option<Seen>>,
}

impl PostgresStore {
    /// A database. Connects to nothing.
    pub(in crate::jobs::load_records) fn new(postgres: Postgres) -> Self {
        Self {
            postgres,
            idle: Mutex::default(),
            writers: Semaphore::new(WRITERS),
            ledger: OnceCell::new(),
            #[cfg(feature = "kafka")]
            offsets: OnceCell::new(),
            seen: tokio::sync::Mutex::default(),
        }
    }

    pub(super) fn place(&self) -> String {
        self.postgres.place().to_owned()
    }

    fn failed(&self, error: sqlx::Error) -> LoadError {
        self.postgres.failed(error).into()
    }

    /// Does what may be done again until it is answered: what cannot be reached now may be later, and of two transactions that
    /// wait for each other PostgreSQL ends one.
    async fn until_answered<T, F>(&self, stop: &Stop, mut attempt: impl FnMut() -> F) -> Result<T, LoadError>
    where
        F: Future<Output = Result<T, LoadError>>,
    {
        let seen = |failed: Failed<LoadError>, delay: std::time::Duration| {
            tracing::warn!("{}; trying again in {:.1} s", failed.error, delay.as_secs_f64());
        };
        let tries = || {
            let once = attempt();
            async {
                let once = stop.race(once).await.unwrap_or(Err(LoadError::Interrupted));
                once.map_err(|error| Failed {
                    again: matches!(error, LoadError::Unreachable(_)),
                    error,
                    after: None,
                })
            }
        };
        retry(self.postgres.retry, stop, seen, tries).await
    }

    /// A connection that is in no transaction.
    async fn connection(&self) -> Result<PgConnection, LoadError> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        match idle {
            Some(connection) => Ok(connection),
            None => Ok(self.postgres.connect().await?),
        }
    }

    /// Keeps a connection for the next one who needs it.
    fn keep(&self, connection: PgConnection) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
    }

    /// Runs statements without values.
    async fn run(&self, connection: &mut PgConnection, sql: &str) -> Result<u64, LoadError> {
        let done = sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await;
        done.map(|done| done.rows_affected()).map_err(|error| self.failed(error))
    }

    /// Begins a transaction that cannot write.
    async fn reader(&self, stop: &Stop) -> Result<PgConnection, LoadError> {
        let begin = self.postgres.begin_statements("REPEATABLE READ READ ONLY");
        self.until_answered(stop, || async {
            let mut connection = self.connection().await?;
            self.run(&mut connection, &begin).await?;
            Ok(connection)
        })
        .await
    }

    /// Ends it.
    async fn read(&self, mut connection: PgConnection) -> Result<(), LoadError> {
        self.run(&mut connection, "ROLLBACK").await?;
        self.keep(connection);
        Ok(())
    }

    pub(super) async fn identity(&self, stop: &Stop) -> Result<Identity, LoadError> {
        let mut connection = self.until_answered(stop, || self.connection()).await?;
        let row = asked(
            "SELECT current_user::text, current_database()::text, \
             (SELECT oid::text FROM pg_database WHERE datname = current_database())",
        );
        let row = row.fetch_one(&mut connection).await.map_err(|error| self.failed(error))?;
        let text = |place: usize| row.try_get::<String, _>(place).map_err(|error| self.failed(error));
        let (user, database, oid) = (text(0)?, text(1)?, text(2)?);
        // Not everyone may read it, and what only speaks PostgreSQL's protocol has none.
        let system =
            asked("SELECT system_identifier::text FROM pg_control_system()").fetch_one(&mut connection).await;
        let system = match system.and_then(|row| row.try_get::<String, _>(0)) {
            Ok(system) => format!(" of system {system}"),
            Err(sqlx::Error::Database(_)) => String::new(),
            Err(error) => return Err(self.failed(error)),
        };
        self.keep(connection);
        let id = format!("{}/{database} (database {oid}{system})", self.postgres.host());
        Ok(Identity {
            org: Party { id, display_id: None, name: Some(database) },
            user: Party { id: user, display_id: None, name: None },
        })
    }

    pub(super) async fn known(&self, table: &str, stop: &Stop) -> Result<Known, LoadError> {
        let failed = |error: sqlx::Error| self.failed(error);
        let mut connection = self.reader(stop).await?;
        let tables = asked(
            "SELECT CASE WHEN pg_table_is_visible(c.oid) THEN c.relname::text ELSE n.nspname || '.' || c.relname END \
             FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace \
             WHERE c.relkind IN ('r', 'p', 'v', 'f') AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast') \
             AND c.relname NOT LIKE '\\_devrev\\_batch\\_%' ORDER BY 1 LIMIT 1000",
        );
        let tables = tables.fetch_all(&mut connection).await.map_err(failed)?;
        let tables = tables.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>().map_err(failed)?;
        let columns = self.columns(&mut connection, table).await?;
        let mut known =
            Known { columns: Some(columns).filter(|columns| !columns.is_empty()), rows: None, tables };
        if known.columns.is_some() {
            let sql = format!(
                "SELECT (SELECT count(*) FROM (SELECT 1 FROM {} LIMIT {}) AS q), \
                 (SELECT reltuples::bigint FROM pg_class WHERE oid = to_regclass($1))",
                qualified(table),
                MOST_COUNTED + 1
            );
            let row = asked(&sql).bind(qualified(table)).fetch_one(&mut connection).await.map_err(failed)?;
            let (counted, estimate) = (number(&row, 0).map_err(failed)?, number(&row, 1).map_err(failed)?);
            known.rows = Some(if counted > MOST_COUNTED {
                Rows::About(estimate.max(counted))
            } else {
                Rows::Exactly(counted)
            });
        }
        self.read(connection).await?;
        Ok(known)
    }

    /// The columns of a table, in order; none where there is no such table.
    async fn columns(&self, connection: &mut PgConnection, table: &str) -> Result<Vec<Column>, LoadError> {
        // Without the length of a type: a cast to varchar(3) would cut a text off, where storing it refuses it.
        let rows = asked(
            "SELECT attname::text, format_type(atttypid, -1), attnotnull AND NOT atthasdef AND attidentity = '' \
             FROM pg_attribute WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
        );
        let rows =
            rows.bind(qualified(table)).fetch_all(connection).await.map_err(|error| self.failed(error))?;
        let column = |row: &PgRow| {
            Ok(Column { name: row.try_get(0)?, kind: row.try_get(1)?, required: row.try_get(2)? })
        };
        rows.iter().map(column).collect::<Result<_, _>>().map_err(|error| self.failed(error))
    }

    async fn has_ledger(&self, connection: &mut PgConnection) -> Result<bool, LoadError> {
        self.has_table(connection, TABLE).await
    }

    async fn has_table(&self, connection: &mut PgConnection, name: &str) -> Result<bool, LoadError> {
        let row = asked("SELECT to_regclass($1) IS NOT NULL").bind(name).fetch_one(connection).await;
        row.and_then(|row| row.try_get(0)).map_err(|error| self.failed(error))
    }

    pub(super) async fn count(&self, terms: &Terms, slice: &Slice, stop: &Stop) -> Result<u64, LoadError> {
        let mut connection = self.reader(stop).await?;
        let known = self.columns(&mut connection, &terms.table.table).await?;
        let (condition, values) = IDIOM.range(terms, slice, &known)?;
        let sql = format!("SELECT count(*) FROM {} WHERE {condition}", qualified(&terms.table.table));
        let row =
            bound(&sql, &values).fetch_one(&mut connection).await.map_err(|error| self.failed(error))?;
        self.read(connection).await?;
        number(&row, 0).map_err(|error| self.failed(error))
    }

    pub(super) async fn find(&self, sql: &str, stop: &Stop) -> Result<u64, LoadError> {
        let statement = Statement::parse(sql, Grammar::Postgres)
            .map_err(|error| LoadError::Settings(error.to_string()))?;
        let mut connection = self.reader(stop).await?;
        // The line break ends a comment.
        let sql = format!("SELECT count(*) FROM (\n{}\n) AS q", statement.text);
        let row = asked(&sql).fetch_one(&mut connection).await.map_err(|error| self.failed(error))?;
        self.read(connection).await?;
        number(&row, 0).map_err(|error| self.failed(error))
    }

    pub(super) async fn days(
        &self,
        terms: &Terms,
        field: &str,
        per: &[String],
        (start, end): (DateTime<Utc>, DateTime<Utc>),
        stop: &Stop,
        take: &mut (dyn FnMut(Vec<String>, String) + Send),
    ) -> Result<(), LoadError> {
        let failed = |error: sqlx::Error| self.failed(error);
        let mut connection = self.reader(stop).await?;
        let known = self.columns(&mut connection, &terms.table.table).await?;
        let slice = Slice { start: Some(start), end: Some(end), zone: terms.zone, ..Slice::whole() };
        let (condition, values) = IDIOM.range(terms, &slice, &known)?;
        let is_time = known.iter().any(|column| {
            column.name == field && matches!(Holds::of(&column.kind), Holds::Moment | Holds::Clock)
        });
        let day = if is_time { format!("CAST({} AS date)", quote(field)) } else { quote(field) };
        let selected: Vec<String> = per
            .iter()
            .map(|name| quote(name))
            .chain([day])
            .map(|what| format!("CAST({what} AS text)"))
            .collect();
        let sql = format!(
            "SELECT DISTINCT {} FROM {} WHERE {condition}",
            selected.join(", "),
            qualified(&terms.table.table)
        );
        let mut rows = bound(&sql, &values).fetch(&mut connection);
        while let Some(row) = rows.try_next().await.map_err(failed)? {
            let text = |place: usize| row.try_get::<Option<String>, _>(place).map(Option::unwrap_or_default);
            let group = (0..per.len()).map(text).collect::<Result<Vec<_>, _>>().map_err(failed)?;
            take(group, text(per.len()).map_err(failed)?);
        }
        drop(rows);
        self.read(connection).await
    }

    pub(super) async fn load(
        &self,
        terms: &Terms,
        slice: &Slice,
        open: bool,
        stage: &mut Stage,
        stop: &Stop,
    ) -> Result<Loaded, LoadError> {
        let mark = stage.rejected.mark()?;
        let stage = tokio::sync::Mutex::new(stage);
        let loaded = self.until_answered(stop, || async {
            let _writer = self.writers.acquire().await.map_err(|_| LoadError::Interrupted)?;
            let mut stage = stage.lock().await;
            // On the heap: it is large.
            Box::pin(write::slice(self, terms, slice, open, &mut stage, &mark)).await
        });
        loaded.await
    }
}

/// A query. Not prepared for a second time: a pooler may hand the connection on.
fn asked(sql: &str) -> Query<'_, sqlx::Postgres, PgArguments> {
    sqlx::query(AssertSqlSafe(sql)).persistent(false)
}

/// A query with these values, all text.
fn bound<'q>(sql: &'q str, values: &'q [String]) -> Query<'q, sqlx::Postgres, PgArguments> {
    values.iter().fold(asked(sql), Query::bind)
}

fn number(row: &PgRow, place: usize) -> Result<u64, sqlx::Error> {
    Ok(u64::try_from(row.try_get::<i64, _>(place)?).unwrap_or_default())
}

/// What PostgreSQL says of a record that it refuses; none where it is about something else.
fn of_record(error: DatabaseError) -> Result<(Option<String>, String), DatabaseError> {
    let DatabaseError::Refused(refusal) = error else { return Err(error) };
    // 21: two records of one key; 22: values; 23: constraints; 44: a view's condition; 54: too large; P0001: a trigger's own.
    let is_of_record = ["21", "22", "23", "44", "54"].iter().any(|class| refusal.code.starts_with(class))
        || refusal.code == "P0001";
    if !is_of_record {
        return Err(DatabaseError::Refused(refusal));
    }
    let mut text = refusal.text;
    for (what, name) in [("column", &refusal.column), ("constraint", &refusal.constraint)] {
        if let Some(name) = name {
            text = format!("{text}, {what} `{name}`");
        }
    }
    Ok((refusal.column, format!("{WHO}: {text}")))
}
