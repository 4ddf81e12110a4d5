//! SQLite as a source: a file that is opened for reading only.
//!
//! SQLite has no types of columns but of values: each becomes the text that it stands for. `CAST(x AS TEXT)` would leave
//! 15 digits of a float, so values are taken as they are and written here.

use super::query::Query;
use super::query_error::{LONGEST_QUERY_HOURS, QueryError, one_line};
use super::rows_file::{RowsFile, Spooled};
use super::tap::MAX_RECORD_BYTES;
use crate::stop::Stop;
use futures_util::TryStreamExt;
use sqlx::sqlite::{SqliteConnectOptions, SqliteRow};
use sqlx::{
    AssertSqlSafe, Column, ConnectOptions, Connection, Executor, Row, SqlSafeStr, SqliteConnection,
    Statement, TypeInfo, ValueRef,
};
use std::borrow::Cow;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const WHO: &str = "SQLite";
/// How long to wait for a process that writes to the file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(30);
/// Steps of SQLite's machine between two looks at the stop signal: some milliseconds.
const STEPS_A_LOOK: i32 = 100_000;
/// Rows that SQLite may be ahead; each has its values in memory.
const ROWS_AHEAD: usize = 16;

/// A database file.
#[derive(Debug, Clone)]
pub struct Sqlite {
    /// `DATABASE_URL`, after `sqlite:`.
    pub path: PathBuf,
}

impl Sqlite {
    /// Asks a query and keeps its rows as CSV in a new file at `to`, which is on the disk when this returns, and gone if
    /// it fails.
    ///
    /// Writes to the file between its waits: not for a thread that must not block.
    pub async fn spool(&self, query: &Query, to: &Path, stop: &Stop) -> Result<Spooled, QueryError> {
        self.check()?;
        let options = SqliteConnectOptions::new()
            .filename(&self.path)
            .read_only(true)
            .create_if_missing(false)
            .busy_timeout(BUSY_TIMEOUT)
            .row_buffer_size(ROWS_AHEAD)
            .disable_statement_logging();
        let connected = stop.race(options.connect()).await.ok_or(QueryError::Interrupted)?;
        let mut connection = connected.map_err(|error| self.failed(&error))?;
        let ended = Arc::new(AtomicBool::new(false));
        let watched = watch(&mut connection, &ended, stop).await.map_err(|error| self.failed(&error));
        let spooled = match watched {
            Ok(()) => self.ask(&mut connection, query, to, stop).await,
            Err(error) => Err(error),
        };
        // What SQLite still does for this connection is of no use any more.
        ended.store(true, Ordering::Relaxed);
        if spooled.is_ok() {
            // It was only read from.
            let _ = connection.close().await;
        }
        spooled
    }

    /// Says what is wrong with the path in better words than SQLite's, which wants no file to be missing.
    fn check(&self) -> Result<(), QueryError> {
        let wrong = |text: &dyn std::fmt::Display| {
            QueryError::Settings(format!("DATABASE_URL: {}: {text}", self.path.display()))
        };
        let data = std::fs::metadata(&self.path).map_err(|error| wrong(&error))?;
        if data.is_file() { Ok(()) } else { Err(wrong(&"is not a file")) }
    }

    async fn ask(
        &self,
        connection: &mut SqliteConnection,
        query: &Query,
        to: &Path,
        stop: &Stop,
    ) -> Result<Spooled, QueryError> {
        let failed =
            |error: sqlx::Error| if stop.is_set() { QueryError::Interrupted } else { self.failed(&error) };
        // One transaction: the rows are those of one moment.
        connection.execute("BEGIN").await.map_err(failed)?;
        let describe = AssertSqlSafe(query.describe()).into_sql_str();
        let described = connection.prepare(describe).await.map_err(failed)?;
        let names: Vec<String> = described.columns().iter().map(|column| column.name().to_owned()).collect();
        drop(described);
        let select = query.select(&names, |_, column| bounded(column))?;
        let asked = sqlx::query(AssertSqlSafe(select.sql)).persistent(false);
        let mut rows = asked.fetch(connection);
        let mut file = RowsFile::create(to, &select.names)?;
        while let Some(row) =
            stop.race(rows.try_next()).await.ok_or(QueryError::Interrupted)?.map_err(failed)?
        {
            let texts = select.names.iter().enumerate().map(|(place, name)| text(&row, place, name));
            let texts = texts.collect::<Result<Vec<_>, _>>()?;
            file.push(texts.iter().map(|text| text.as_bytes()))?;
        }
        Ok(file.finish(select.note)?)
    }

    fn failed(&self, error: &sqlx::Error) -> QueryError {
        let path = self.path.display();
        let Some(database) = error.as_database_error() else {
            return QueryError::Answer { who: WHO, text: one_line(&error.to_string()) };
        };
        let code = database.code().and_then(|code| code.parse::<i32>().ok()).unwrap_or_default();
        let text = format!("{} (code {code})", one_line(database.message()));
        // The lowest byte is the code, the rest tells more of it.
        match code & 0xff {
            5 | 6 => QueryError::Unreachable { who: WHO, place: path.to_string(), text, after: None },
            9 => QueryError::TooSlow { who: WHO, hours: LONGEST_QUERY_HOURS },
            10 | 11 => QueryError::Answer { who: WHO, text },
            3 | 8 | 14 => QueryError::Settings(format!(
                "DATABASE_URL: {path} cannot be read: {text}; a database in WAL mode needs its -wal and -shm files, or a \
                 folder that may be written to"
            )),
            26 => QueryError::Settings(format!("DATABASE_URL: {path} is not an SQLite database: {text}")),
            _ => QueryError::Refused { who: WHO, text, hint: "" },
        }
    }
}

/// Lets SQLite stop by itself: when the stop signal is set, when nobody wants the rows any more, or after hours.
async fn watch(
    connection: &mut SqliteConnection,
    ended: &Arc<AtomicBool>,
    stop: &Stop,
) -> Result<(), sqlx::Error> {
    let (ended, stop, since) = (Arc::clone(ended), stop.clone(), Instant::now());
    let goes_on = move || {
        let in_time = since.elapsed() < Duration::from_secs(LONGEST_QUERY_HOURS * 3600);
        !ended.load(Ordering::Relaxed) && !stop.is_set() && in_time
    };
    connection.lock_handle().await?.set_progress_handler(STEPS_A_LOOK, goes_on);
    Ok(())
}

/// A column whose values have a bound: of one that is too long for a row, as much as shows that.
fn bounded(column: &str) -> String {
    let blob = format!("substr(CAST({column} AS BLOB), 1, {MAX_RECORD_BYTES} + 1)");
    format!("CASE WHEN octet_length({column}) > {MAX_RECORD_BYTES} THEN {blob} ELSE {column} END")
}

/// A value as text; empty for NULL.
fn text<'r>(row: &'r SqliteRow, place: usize, name: &str) -> Result<Cow<'r, str>, QueryError> {
    let wrong = |error: sqlx::Error| {
        let text = match error {
            sqlx::Error::ColumnDecode { source, .. } => one_line(&source.to_string()),
            error => one_line(&error.to_string()),
        };
        QueryError::Answer { who: WHO, text: format!("column `{name}`: {text}") }
    };
    let value = row.try_get_raw(place).map_err(wrong)?;
    if value.is_null() {
        return Ok("".into());
    }
    let kind = value.type_info().name().to_owned();
    Ok(match kind.as_str() {
        "INTEGER" => row.try_get_unchecked::<i64, _>(place).map_err(wrong)?.to_string().into(),
        "REAL" => float(row.try_get_unchecked(place).map_err(wrong)?).into(),
        "BLOB" => hex(row.try_get_unchecked(place).map_err(wrong)?).into(),
        _ => row.try_get_unchecked::<&str, _>(place).map_err(wrong)?.into(),
    })
}

/// A float with as few digits as tell it from others, without an exponent as long as that can be read.
fn float(value: f64) -> String {
    let size = value.abs();
    if size == 0.0 || (1e-5..1e16).contains(&size) { format!("{value}") } else { format!("{value:e}") }
}

/// Bytes as PostgreSQL writes them.
fn hex(bytes: &[u8]) -> String {
    let mut text = "\\x".to_owned();
    for byte in bytes {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_keep_their_digits() {
        for (value, text) in [
            (0.1 + 0.2, "0.30000000000000004"),
            (123.0, "123"),
            (-0.25, "-0.25"),
            (1e15, "1000000000000000"),
            (1e300, "1e300"),
            (-1.5e-9, "-1.5e-9"),
            (0.0, "0"),
            (f64::INFINITY, "inf"),
        ] {
            assert_eq!(float(value), text);
        }
    }
}
