//! PostgreSQL and SQLite as sources: the rows of a query become a CSV file. Every column is read as text (see
//! [`super::query`]), one row at a time.
//!
//! NULL becomes an empty field, and so does an empty string: CSV cannot tell them apart.

use super::fingerprint::Fingerprint;
use super::header::ColumnError;
use super::query::Query;
use super::spool::Spool;
use crate::stop::Stop;
use futures_util::TryStreamExt;
use secrecy::{ExposeSecret, SecretString};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{
    AssertSqlSafe, Column as _, ConnectOptions, Connection, Executor, Row as _, SqlSafeStr, Statement as _,
};
use std::fmt::Display;
use std::io;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

/// How long connecting may take.
const CONNECTING: Duration = Duration::from_secs(30);
/// How long a statement may take, in PostgreSQL's words.
const STATEMENT_TIMEOUT: &str = "1h";

/// Which database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `postgres://USER:PASSWORD@HOST/DATABASE`
    Postgres,
    /// `sqlite:PATH`
    Sqlite,
}

impl Kind {
    /// What people call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Postgres => "PostgreSQL",
            Self::Sqlite => "SQLite",
        }
    }
}

/// Why rows cannot be had. No text has the password.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// The address is none.
    #[error("DATABASE_URL is not an address of {kind}{what}")]
    Address {
        /// The database.
        kind: &'static str,
        /// What is wrong with it.
        what: &'static str,
    },
    /// Nobody is there, or it does not let us in.
    #[error("cannot connect to {place}: {what}")]
    Connect {
        /// Where.
        place: String,
        /// Why.
        what: String,
    },
    /// It refuses the query.
    #[error("{place} refuses the query: {what}")]
    Refused {
        /// Where.
        place: String,
        /// Why.
        what: String,
    },
    /// The connection was lost while rows came.
    #[error("{place}: {what}, after {rows} rows")]
    Lost {
        /// Where.
        place: String,
        /// Why.
        what: String,
        /// The rows that had come.
        rows: u64,
    },
    /// The query does not have the columns that are needed.
    #[error(transparent)]
    Columns(#[from] ColumnError),
    /// The rows cannot be kept.
    #[error("cannot write {path}: {error}")]
    Disk {
        /// The file.
        path: String,
        /// What the system says.
        error: io::Error,
    },
    /// The operator has stopped it.
    #[error("interrupted")]
    Interrupted,
}

/// Who asks whom.
#[derive(Debug, Clone)]
pub struct Access {
    /// Which database.
    pub kind: Kind,
    /// Its address.
    pub url: SecretString,
}

/// Rows that were kept.
#[derive(Debug, Clone)]
pub struct Spooled {
    /// The file's content.
    pub fingerprint: Fingerprint,
    /// What the operator is to be told about their order.
    pub note: Option<String>,
}

impl Access {
    /// Where it is, without secrets. Fails where the address is none.
    pub fn place(&self) -> Result<String, DatabaseError> {
        match self.kind {
            Kind::Postgres => {
                let options = self.postgres()?;
                let database = options.get_database().unwrap_or_else(|| options.get_username());
                Ok(format!("PostgreSQL ({}:{}, {database})", options.get_host(), options.get_port()))
            }
            Kind::Sqlite => Ok(format!("SQLite ({})", self.sqlite()?.get_filename().display())),
        }
    }

    fn address(&self, what: &'static str) -> DatabaseError {
        DatabaseError::Address { kind: self.kind.name(), what }
    }

    fn postgres(&self) -> Result<PgConnectOptions, DatabaseError> {
        let url = self.url.expose_secret();
        if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
            return Err(self.address(": write postgres://USER:PASSWORD@HOST/DATABASE"));
        }
        let options = PgConnectOptions::from_str(url).map_err(|_| self.address(": it cannot be read"))?;
        Ok(options.application_name("devrev-batch").options([
            ("default_transaction_read_only", "on"),
            ("statement_timeout", STATEMENT_TIMEOUT),
            ("TimeZone", "UTC"),
            ("DateStyle", "ISO"),
        ]))
    }

    fn sqlite(&self) -> Result<SqliteConnectOptions, DatabaseError> {
        let url = self.url.expose_secret();
        if !url.starts_with("sqlite:") {
            return Err(self.address(": write sqlite:PATH"));
        }
        let options = SqliteConnectOptions::from_str(url).map_err(|_| self.address(": it cannot be read"))?;
        Ok(options.read_only(true).create_if_missing(false))
    }
}

/// Connects, waits no longer than that may take, and hands the connection on.
macro_rules! connected {
    ($options:expr, $place:expr, $stop:expr) => {{
        // Statements have the operator's data in them: they are not for the log.
        let options = $options.disable_statement_logging();
        let connecting = tokio::time::timeout(CONNECTING, options.connect());
        match $stop.race(connecting).await {
            None => return Err(DatabaseError::Interrupted),
            Some(Ok(Ok(connection))) => connection,
            Some(Ok(Err(error))) => {
                return Err(DatabaseError::Connect { place: $place, what: said(&error) });
            }
            Some(Err(_)) => {
                let what = format!("no answer within {} s", CONNECTING.as_secs());
                return Err(DatabaseError::Connect { place: $place, what });
            }
        }
    }};
}

/// Asks a query and keeps its rows as CSV in a new file at `to`, which is on the disk when this returns, and gone if it
/// fails.
///
/// Writes to the file between its waits: not for a thread that must not block.
pub async fn spool(access: &Access, query: &Query, to: &Path, stop: &Stop) -> Result<Spooled, DatabaseError> {
    let place = access.place()?;
    match access.kind {
        Kind::Postgres => {
            let mut connection = connected!(access.postgres()?, place, stop);
            let asked = ask_postgres(&mut connection, query, to, &place, stop).await;
            close(connection, stop).await;
            asked
        }
        Kind::Sqlite => {
            let mut connection = connected!(access.sqlite()?, place, stop);
            let asked = ask_sqlite(&mut connection, query, to, &place, stop).await;
            close(connection, stop).await;
            asked
        }
    }
}

/// Ends a connection, unless the operator has stopped: whether it is closed makes no difference to what was read.
async fn close(connection: impl Connection, stop: &Stop) {
    if !stop.is_set() {
        let _ = tokio::time::timeout(Duration::from_secs(3), connection.close()).await;
    }
}

/// The same for every database: describe the query, select the needed columns as text, and keep each row.
macro_rules! ask {
    ($name:ident, $connection:ty) => {
        async fn $name(
            connection: &mut $connection,
            query: &Query,
            to: &Path,
            place: &str,
            stop: &Stop,
        ) -> Result<Spooled, DatabaseError> {
            let refused =
                |error: &sqlx::Error| DatabaseError::Refused { place: place.to_owned(), what: said(error) };
            let disk = |error| DatabaseError::Disk { path: to.display().to_string(), error };
            let describe = AssertSqlSafe(query.describe()).into_sql_str();
            let described = stop.race((&mut *connection).prepare(describe)).await;
            let described = described.ok_or(DatabaseError::Interrupted)?.map_err(|error| refused(&error))?;
            let found: Vec<String> =
                described.columns().iter().map(|column| column.name().to_owned()).collect();
            let select = query.select(&found)?;
            let mut table = csv::Writer::from_writer(Spool::create(to).map_err(disk)?);
            table.write_record(&select.names).map_err(|error| disk(error.into()))?;
            let mut rows = 0;
            let mut stream = sqlx::query(AssertSqlSafe(select.sql)).fetch(&mut *connection);
            loop {
                let row = match stop.race(stream.try_next()).await {
                    None => return Err(DatabaseError::Interrupted),
                    Some(Ok(Some(row))) => row,
                    Some(Ok(None)) => break,
                    Some(Err(error)) if rows == 0 => return Err(refused(&error)),
                    Some(Err(error)) => {
                        return Err(DatabaseError::Lost {
                            place: place.to_owned(),
                            what: said(&error),
                            rows,
                        });
                    }
                };
                for place_in_row in 0..select.names.len() {
                    let cell: Option<String> = row.try_get(place_in_row).map_err(|error| {
                        DatabaseError::Lost { place: place.to_owned(), what: said(&error), rows }
                    })?;
                    table.write_field(cell.unwrap_or_default()).map_err(|error| disk(error.into()))?;
                }
                table.write_record(None::<&[u8]>).map_err(|error| disk(error.into()))?;
                rows += 1;
            }
            let spool = table.into_inner().map_err(|error| disk(error.into_error()))?;
            Ok(Spooled { fingerprint: spool.finish().map_err(disk)?, note: select.note })
        }
    };
}

ask!(ask_postgres, PgConnection);
ask!(ask_sqlite, SqliteConnection);

/// An error in the database's own words: sqlx adds a place in its own source, and the connection's options.
fn said(error: &sqlx::Error) -> String {
    let text = match error {
        sqlx::Error::Database(error) => match error.code() {
            Some(code) => format!("{} (code {code})", error.message()),
            None => error.message().to_owned(),
        },
        sqlx::Error::Io(error) => error.to_string(),
        sqlx::Error::Tls(error) => format!("TLS: {error}"),
        sqlx::Error::ColumnDecode { index, source } => format!("column {index} is no text: {source}"),
        other => first_line(other),
    };
    first_line(&text)
}

fn first_line(text: &impl Display) -> String {
    text.to_string().lines().next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access(kind: Kind, url: &str) -> Access {
        Access { kind, url: SecretString::from(url) }
    }

    #[test]
    fn an_address_is_shown_without_its_password() {
        let place =
            access(Kind::Postgres, "postgres://ana:pw-secret@db.example.com:5433/crm").place().unwrap();
        assert_eq!(place, "PostgreSQL (db.example.com:5433, crm)");
        assert_eq!(access(Kind::Sqlite, "sqlite:rows.db").place().unwrap(), "SQLite (rows.db)");
        for (kind, url) in [
            (Kind::Postgres, "sqlite:rows.db"),
            (Kind::Postgres, "postgres://ana:pw-secret@db:port/crm"),
            (Kind::Sqlite, "postgres://ana:pw-secret@db/crm"),
        ] {
            let error = access(kind, url).place().unwrap_err().to_string();
            assert!(
                error.starts_with("DATABASE_URL is not an address") && !error.contains("secret"),
                "{error}"
            );
        }
    }
}
