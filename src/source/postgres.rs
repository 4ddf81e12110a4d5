//! PostgreSQL as a source.
//!
//! The rows are read in one transaction that cannot write and sees one moment. What is set for it is set for it alone, so
//! that a connection which a pooler hands on is as it was. PostgreSQL makes text of the values itself.

use super::query::{Query, as_varchar};
use super::query_error::QueryError;
use super::rows_file::{RowsFile, Spooled};
use super::tap::MAX_RECORD_BYTES;
use crate::database::error::{DatabaseError, until_answered};
use crate::database::postgres::{Postgres, WHO, begin, close};
use crate::stop::Stop;
use futures_util::TryStreamExt;
use sqlx::{AssertSqlSafe, Column, Executor, PgConnection, Row, SqlSafeStr, Statement};
use std::path::Path;

/// Asks a query and keeps its rows as CSV in a new file at `to`, which is on the disk when this returns, and gone if
/// it fails. A connection that breaks is made anew, and the query asked again.
///
/// Writes to the file between its waits: not for a thread that must not block.
pub(crate) async fn spool(
    postgres: &Postgres,
    query: &Query,
    to: &Path,
    stop: &Stop,
) -> Result<Spooled, QueryError> {
    // On the heap: it is large.
    until_answered(WHO, postgres.retry, &postgres.secrets, stop, || Box::pin(once(postgres, query, to, stop)))
        .await
}

async fn once(postgres: &Postgres, query: &Query, to: &Path, stop: &Stop) -> Result<Spooled, QueryError> {
    let mut connection = postgres.connect().await?;
    let spooled = ask(postgres, &mut connection, query, to, stop).await;
    if spooled.is_ok() {
        // It was only read from; a connection that is dropped with rows on their way is no use to anyone.
        close(connection).await;
    }
    spooled
}

async fn ask(
    postgres: &Postgres,
    connection: &mut PgConnection,
    query: &Query,
    to: &Path,
    stop: &Stop,
) -> Result<Spooled, QueryError> {
    let failed = |error: sqlx::Error| postgres.failed(error);
    let begin = AssertSqlSafe(begin("REPEATABLE READ READ ONLY"));
    sqlx::raw_sql(begin).execute(&mut *connection).await.map_err(failed)?;
    let describe = AssertSqlSafe(query.describe()).into_sql_str();
    let described = connection.prepare(describe).await.map_err(failed)?;
    let names: Vec<String> = described.columns().iter().map(|column| column.name().to_owned()).collect();
    drop(described);
    // Of a value that is too long for a row, as much as shows that.
    let text =
        |place: usize, column: &str| format!("left({}, {})", as_varchar(place, column), MAX_RECORD_BYTES + 1);
    let select = query.select(&names, text)?;
    let asked = sqlx::query(AssertSqlSafe(select.sql)).persistent(false);
    let mut rows = asked.fetch(connection);
    let mut file = RowsFile::create(to, &select.names)?;
    while let Some(row) = rows.try_next().await.map_err(failed)? {
        // Rows that are here already come without a wait.
        if stop.is_set() {
            return Err(DatabaseError::Interrupted.into());
        }
        let texts = (0..select.names.len()).map(|place| row.try_get::<Option<&str>, _>(place));
        let texts = texts.collect::<Result<Vec<_>, _>>().map_err(failed)?;
        file.push(texts.iter().map(|text| text.unwrap_or_default()))?;
    }
    Ok(file.finish(select.note)?)
}
