//! SQLite as a source: a file that is opened for reading only.
//!
//! SQLite has no types of columns but of values: each becomes the text that it stands for. `CAST(x AS TEXT)` would leave
//! 15 digits of a float, so values are taken as they are and written here.

use super::query::Query;
use super::query_error::QueryError;
use super::rows_file::{RowsFile, Spooled};
use super::tap::MAX_RECORD_BYTES;
use crate::database::error::{DatabaseError, one_line};
use crate::database::sqlite::{Opened, Sqlite, WHO};
use crate::stop::Stop;
use futures_util::TryStreamExt;
use sqlx::sqlite::SqliteRow;
use sqlx::{
    AssertSqlSafe, Column, Connection, Executor, Row, SqlSafeStr, SqliteConnection, Statement, TypeInfo,
    ValueRef,
};
use std::borrow::Cow;
use std::fmt::Write as _;
use std::path::Path;

/// Rows that SQLite may be ahead; each has its values in memory.
const ROWS_AHEAD: usize = 16;

/// Asks a query and keeps its rows as CSV in a new file at `to`, which is on the disk when this returns, and gone if
/// it fails.
///
/// Writes to the file between its waits: not for a thread that must not block.
pub(crate) async fn spool(
    sqlite: &Sqlite,
    query: &Query,
    to: &Path,
    stop: &Stop,
) -> Result<Spooled, QueryError> {
    sqlite.check()?;
    let options = sqlite.options().row_buffer_size(ROWS_AHEAD);
    let Opened { ended, mut connection } = sqlite.open(&options, stop).await?;
    let spooled = ask(sqlite, &mut connection, query, to, stop).await;
    // What SQLite still does for this connection is of no use any more.
    drop(ended);
    if spooled.is_ok() {
        // It was only read from.
        let _ = connection.close().await;
    }
    spooled
}

async fn ask(
    sqlite: &Sqlite,
    connection: &mut SqliteConnection,
    query: &Query,
    to: &Path,
    stop: &Stop,
) -> Result<Spooled, QueryError> {
    let failed =
        |error: sqlx::Error| if stop.is_set() { DatabaseError::Interrupted } else { sqlite.failed(&error) };
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
        stop.race(rows.try_next()).await.ok_or(DatabaseError::Interrupted)?.map_err(failed)?
    {
        let texts = select.names.iter().enumerate().map(|(place, name)| text(&row, place, name));
        let texts = texts.collect::<Result<Vec<_>, _>>()?;
        file.push(texts.iter().map(|text| text.as_bytes()))?;
    }
    Ok(file.finish(select.note)?)
}

/// A column whose values have a bound: of one that is too long for a row, as much as shows that.
fn bounded(column: &str) -> String {
    let blob = format!("substr(CAST({column} AS BLOB), 1, {MAX_RECORD_BYTES} + 1)");
    format!("CASE WHEN octet_length({column}) > {MAX_RECORD_BYTES} THEN {blob} ELSE {column} END")
}

/// A value that SQLite has stored.
pub(crate) enum Stored<'r> {
    Null,
    /// As JSON writes it.
    Number(String),
    /// Text, or bytes in hexadecimal digits.
    Text(Cow<'r, str>),
}

/// A value of a row.
pub(crate) fn stored<'r>(row: &'r SqliteRow, place: usize, name: &str) -> Result<Stored<'r>, DatabaseError> {
    let wrong = |error: sqlx::Error| {
        let text = match error {
            sqlx::Error::ColumnDecode { source, .. } => one_line(&source.to_string()),
            error => one_line(&error.to_string()),
        };
        DatabaseError::Answer { who: WHO, text: format!("column `{name}`: {text}") }
    };
    let value = row.try_get_raw(place).map_err(wrong)?;
    if value.is_null() {
        return Ok(Stored::Null);
    }
    let kind = value.type_info().name().to_owned();
    Ok(match kind.as_str() {
        "INTEGER" => Stored::Number(row.try_get_unchecked::<i64, _>(place).map_err(wrong)?.to_string()),
        "REAL" => match row.try_get_unchecked::<f64, _>(place).map_err(wrong)? {
            value if value.is_finite() => Stored::Number(float(value)),
            value => Stored::Text(float(value).into()),
        },
        "BLOB" => Stored::Text(hex(row.try_get_unchecked(place).map_err(wrong)?).into()),
        _ => Stored::Text(row.try_get_unchecked::<&str, _>(place).map_err(wrong)?.into()),
    })
}

/// A value as text; empty for NULL.
fn text<'r>(row: &'r SqliteRow, place: usize, name: &str) -> Result<Cow<'r, str>, DatabaseError> {
    Ok(match stored(row, place, name)? {
        Stored::Null => "".into(),
        Stored::Number(text) => text.into(),
        Stored::Text(text) => text,
    })
}

/// A float with as few digits as tell it from others, without an exponent as long as that can be read.
pub(crate) fn float(value: f64) -> String {
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
