//! Migrations of PostgreSQL.
//!
//! - The lock is one of a transaction, on a connection of its own: it ends with that connection, however that ends, and a
//!   pooler does not hand it on. Its session reads nothing, so it holds up nobody.
//! - What is set is set for a transaction alone, but for scripts without one: those should not go through a pooler.
//! - A statement that is executed when a signal comes is cancelled by the lock's connection.

use super::error::MigrateError;
use super::records::{Change, Record, Row, TABLE};
use super::target::{Look, Target, Terms};
use crate::database::error::{DatabaseError, until_answered};
use crate::database::postgres::{Postgres, WHO, close};
use crate::source::grammar::Grammar;
use crate::stop::Stop;
use sqlx::{AssertSqlSafe, Executor, PgConnection, Row as _};
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

/// The number of the lock: the letters `devrevmi`.
const LOCK: i64 = 0x6465_7672_6576_6d69;
/// Between two tries to get the lock.
const LOCK_EVERY: Duration = Duration::from_millis(200);
/// How long a cancelled statement may take to end.
const CANCELLING: Duration = Duration::from_secs(10);
/// The time, as it is written.
const NOW: &str = "clock_timestamp()";

/// A connection on which statements are executed.
pub(crate) struct Session {
    connection: PgConnection,
    /// The number of the server's process.
    process: i32,
    /// The table, by its quoted name.
    table: String,
    is_transaction: bool,
}

impl Postgres {
    async fn connected(&self, stop: &Stop) -> Result<PgConnection, DatabaseError> {
        until_answered(WHO, self.retry, &self.secrets, stop, || self.connect()).await
    }

    /// Does something that is soon done. Ends with the stop signal.
    async fn run(
        &self,
        connection: &mut PgConnection,
        sql: String,
        stop: &Stop,
    ) -> Result<u64, DatabaseError> {
        let done = stop.race(connection.execute(sqlx::raw_sql(AssertSqlSafe(sql)))).await;
        let done = done.ok_or(DatabaseError::Interrupted)?;
        done.map(|done| done.rows_affected()).map_err(|error| self.failed(error))
    }

    /// Where the table is, if there is one, and where it is to be made.
    async fn schemas(
        &self,
        connection: &mut PgConnection,
        stop: &Stop,
    ) -> Result<(Option<String>, Option<String>), DatabaseError> {
        let sql = format!(
            "SELECT (SELECT quote_ident(n.nspname) FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid \
             = c.relnamespace WHERE c.oid = to_regclass('{TABLE}')), quote_ident(current_schema())"
        );
        let asked = sqlx::query(AssertSqlSafe(sql)).persistent(false).fetch_one(connection);
        let row = stop.race(asked).await.ok_or(DatabaseError::Interrupted)?;
        let row = row.map_err(|error| self.failed(error))?;
        let name = |place: usize| row.try_get::<Option<String>, _>(place).map_err(|error| self.failed(error));
        Ok((name(0)?, name(1)?))
    }

    async fn table(&self, connection: &mut PgConnection, stop: &Stop) -> Result<String, DatabaseError> {
        let (found, _) = self.schemas(connection, stop).await?;
        let schema =
            found.ok_or_else(|| DatabaseError::Settings(format!("{WHO}: the table {TABLE} is gone")))?;
        Ok(format!("{schema}.{TABLE}"))
    }

    async fn read(&self, connection: &mut PgConnection, stop: &Stop) -> Result<Look, DatabaseError> {
        let failed = |error: sqlx::Error| self.failed(error);
        self.run(connection, "BEGIN READ ONLY".to_owned(), stop).await?;
        let extension = "SELECT EXISTS (SELECT FROM pg_catalog.pg_extension WHERE extname = 'timescaledb')";
        let asked = sqlx::query(extension).persistent(false).fetch_one(&mut *connection);
        let row = stop.race(asked).await.ok_or(DatabaseError::Interrupted)?.map_err(failed)?;
        let has_timescaledb = row.try_get(0).map_err(failed)?;
        let (Some(schema), _) = self.schemas(connection, stop).await? else {
            return Ok(Look { has_timescaledb, ..Look::default() });
        };
        let sql = format!(
            "SELECT version, name, checksum, state, to_char(applied_at AT TIME ZONE 'UTC', \
             'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'), tool_version FROM {schema}.{TABLE} ORDER BY version"
        );
        let asked = sqlx::query(AssertSqlSafe(sql)).persistent(false).fetch_all(&mut *connection);
        let rows = stop.race(asked).await.ok_or(DatabaseError::Interrupted)?.map_err(failed)?;
        let record = |row: &sqlx::postgres::PgRow| {
            let text = |place: usize| row.try_get::<String, _>(place).map_err(failed);
            let texts = [text(1)?, text(2)?, text(3)?, text(4)?, text(5)?];
            Record::new(row.try_get(0).map_err(failed)?, texts).map_err(DatabaseError::Settings)
        };
        let records = rows.iter().map(record).collect::<Result<_, _>>()?;
        Ok(Look { records, has_timescaledb, is_new: false })
    }

    /// Takes the lock on a connection; false if it is another's for too long.
    async fn take(&self, connection: &mut PgConnection, terms: &Terms) -> Result<bool, DatabaseError> {
        let Terms { lock, stop, .. } = terms;
        for sql in [
            "BEGIN",
            "SET LOCAL tcp_keepalives_idle = 30",
            // Else the server might end it while a long statement is executed.
            "SELECT set_config(name, '0', true) FROM pg_settings WHERE name IN ('idle_in_transaction_session_timeout', \
             'idle_session_timeout', 'transaction_timeout', 'statement_timeout')",
        ] {
            self.run(connection, sql.to_owned(), stop).await?;
        }
        let begun = Instant::now();
        let mut is_told = false;
        loop {
            let sql = format!("SELECT pg_try_advisory_xact_lock({LOCK})");
            let asked = sqlx::query(AssertSqlSafe(sql)).persistent(false).fetch_one(&mut *connection);
            let row = stop.race(asked).await.ok_or(DatabaseError::Interrupted)?;
            let row = row.map_err(|error| self.failed(error))?;
            if row.try_get(0).map_err(|error| self.failed(error))? {
                return Ok(true);
            }
            if begun.elapsed() >= *lock {
                return Ok(false);
            }
            if !is_told {
                tracing::warn!("another process migrates {}: waiting for it", self.place());
                is_told = true;
            }
            stop.race(sleep(LOCK_EVERY)).await.ok_or(DatabaseError::Interrupted)?;
        }
    }

    /// Makes the table if it is not there.
    async fn make_table(&self, stop: &Stop) -> Result<(), DatabaseError> {
        let mut connection = self.connected(stop).await?;
        let made = match self.schemas(&mut connection, stop).await {
            Ok((Some(_), _)) => Ok(()),
            Ok((None, None)) => Err(DatabaseError::Settings(format!(
                "{WHO}: there is no schema to make the table {TABLE} in: set the user's search_path to one that exists"
            ))),
            Ok((None, Some(schema))) => {
                let sql = format!(
                    "CREATE TABLE {schema}.{TABLE} (version bigint PRIMARY KEY, name text NOT NULL, checksum text NOT \
                     NULL, state text NOT NULL, applied_at timestamptz NOT NULL, tool_version text NOT NULL)"
                );
                self.run(&mut connection, sql, stop).await.map(drop)
            }
            Err(error) => Err(error),
        };
        close(connection).await;
        made
    }

    /// Sets what holds for all statements of a session.
    async fn begin(
        &self,
        connection: &mut PgConnection,
        transaction: bool,
        terms: &Terms,
    ) -> Result<i32, DatabaseError> {
        let local = if transaction { "LOCAL " } else { "" };
        let (statement, lock) = (terms.statement.as_millis(), terms.lock.as_millis());
        let settings = [
            format!("SET {local}statement_timeout = {statement}"),
            format!("SET {local}lock_timeout = {lock}"),
            format!("SET {local}tcp_keepalives_idle = 30"),
            // The server notices that this process is gone. The setting is there from version 14 on.
            format!(
                "SELECT set_config(name, '1s', {transaction}) FROM pg_settings WHERE name = \
                 'client_connection_check_interval'"
            ),
        ];
        let begin = transaction.then(|| "BEGIN".to_owned());
        for sql in begin.into_iter().chain(settings) {
            self.run(connection, sql, &terms.stop).await?;
        }
        let asked = sqlx::query("SELECT pg_backend_pid()").persistent(false).fetch_one(connection);
        let row = terms.stop.race(asked).await.ok_or(DatabaseError::Interrupted)?;
        row.and_then(|row| row.try_get(0)).map_err(|error| self.failed(error))
    }
}

impl Target for Postgres {
    const GRAMMAR: Grammar = Grammar::Postgres;
    const HAS_TRANSACTIONS: bool = true;
    type Lock = PgConnection;
    type Session = Session;

    fn place(&self) -> String {
        Self::place(self).to_owned()
    }

    fn name(&self) -> String {
        self.place().rsplit_once('/').map_or(String::new(), |(_, name)| name.to_owned())
    }

    async fn look(&self, stop: &Stop) -> Result<Look, DatabaseError> {
        let mut connection = self.connected(stop).await?;
        let looked = self.read(&mut connection, stop).await;
        close(connection).await;
        looked
    }

    async fn lock(&self, terms: &Terms) -> Result<PgConnection, MigrateError> {
        let failed = MigrateError::while_doing("taking the lock");
        let mut connection = self.connected(&terms.stop).await.map_err(&failed)?;
        let taken = self.take(&mut connection, terms).await.map_err(failed);
        let made = match taken {
            Ok(true) => {
                let made = self.make_table(&terms.stop).await;
                made.map_err(MigrateError::while_doing("making the table of migrations"))
            }
            Ok(false) => Err(MigrateError::Locked(format!(
                "another process migrates {}, and still did after {} (--lock-timeout); nothing was done",
                self.place(),
                humantime::format_duration(terms.lock)
            ))),
            Err(error) => Err(error),
        };
        match made {
            Ok(()) => Ok(connection),
            Err(error) => {
                close(connection).await;
                Err(error)
            }
        }
    }

    async fn is_held(&self, lock: &mut PgConnection) -> Result<(), DatabaseError> {
        // Not by a ping, which a connection that is not in the transaction any more would answer, too.
        let sql = format!("SELECT pg_try_advisory_xact_lock({LOCK})");
        let asked = sqlx::query(AssertSqlSafe(sql)).persistent(false).fetch_one(lock);
        let row = timeout(CANCELLING, asked)
            .await
            .map_err(|_| self.unreachable("the lock's connection is dead"))?;
        match row.and_then(|row| row.try_get(0)) {
            Ok(true) => Ok(()),
            Ok(false) => Err(self.unreachable("the lock was lost")),
            Err(error) => Err(self.failed(error)),
        }
    }

    async fn unlock(&self, lock: PgConnection) {
        close(lock).await;
    }

    async fn open(&self, transaction: bool, terms: &Terms) -> Result<Session, DatabaseError> {
        let mut connection = self.connected(&terms.stop).await?;
        let begun = match self.begin(&mut connection, transaction, terms).await {
            Ok(process) => self.table(&mut connection, &terms.stop).await.map(|table| (process, table)),
            Err(error) => Err(error),
        };
        match begun {
            Ok((process, table)) => Ok(Session { connection, process, table, is_transaction: transaction }),
            Err(error) => {
                close(connection).await;
                Err(error)
            }
        }
    }

    async fn change(
        &self,
        session: &mut Session,
        row: Row<'_>,
        change: Change,
        stop: &Stop,
    ) -> Result<bool, DatabaseError> {
        let sql = change.statement(row, &session.table, NOW);
        Ok(self.run(&mut session.connection, sql, stop).await? == 1)
    }

    async fn execute(
        &self,
        session: &mut Session,
        lock: &mut PgConnection,
        sql: &str,
        terms: &Terms,
    ) -> Result<(), DatabaseError> {
        let executed = session.connection.execute(sqlx::raw_sql(AssertSqlSafe(sql.to_owned())));
        tokio::pin!(executed);
        if let Some(executed) = terms.stop.race(&mut executed).await {
            return executed.map(drop).map_err(|error| self.failed(error));
        }
        let cancel = format!("SELECT pg_cancel_backend({})", session.process);
        // What goes wrong here the end of the connection makes good, a second later.
        let _ = timeout(CANCELLING, lock.execute(sqlx::raw_sql(AssertSqlSafe(cancel)))).await;
        let _ = timeout(CANCELLING, executed).await;
        Err(DatabaseError::Interrupted)
    }

    async fn check(&self, _: &mut Session) -> Result<(), DatabaseError> {
        Ok(())
    }

    async fn commit(&self, session: Session) -> Result<(), DatabaseError> {
        let Session { mut connection, is_transaction, .. } = session;
        let committed = if is_transaction {
            connection.execute("COMMIT").await.map(drop).map_err(|error| self.failed(error))
        } else {
            Ok(())
        };
        close(connection).await;
        committed
    }

    async fn abandon(&self, session: Session) {
        let Session { mut connection, is_transaction, .. } = session;
        if is_transaction {
            // The end of the connection does the same, a little later.
            let _ = timeout(CANCELLING, connection.execute("ROLLBACK")).await;
        }
        close(connection).await;
    }
}
