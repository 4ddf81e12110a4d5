//! From Snowflake's Arrow to a CSV file, part by part.
//!
//! NULL becomes an empty field, and so does an empty string: CSV cannot tell them apart, and the jobs take both for
//! missing.

use super::super::query::{Query, as_varchar};
use super::super::rows_file::{RowsFile, Spooled};
use super::access::{Access, Session};
use super::answer::Taken;
use super::error::SnowflakeError;
use crate::stop::Stop;
use arrow_array::{Array, LargeStringArray, StringArray, StringViewArray};
use snowflake_api::connection::Connection;
use snowflake_api::{QueryResult, RawQueryResult, RecordBatch};
use std::path::Path;
use std::time::Duration;

/// How long the end of a session may take; Snowflake ends it by itself after some hours.
const CLOSING: Duration = Duration::from_secs(3);

/// Asks a query and keeps its rows as CSV in a new file at `to`, which is on the disk when this returns, and gone if it
/// fails. A session that ends too early is begun again, once.
///
/// Writes to the file between its waits: not for a thread that must not block.
pub async fn spool(
    access: &Access,
    query: &Query,
    to: &Path,
    stop: &Stop,
) -> Result<Spooled, SnowflakeError> {
    ask_and_keep(access, query, to, stop).await.map_err(|error| error.without(&access.secrets()))
}

async fn ask_and_keep(
    access: &Access,
    query: &Query,
    to: &Path,
    stop: &Stop,
) -> Result<Spooled, SnowflakeError> {
    let mut session = access.session(stop)?;
    let mut asked = Asked { session: &session, stop }.ask(query).await;
    if let Err(SnowflakeError::Session { code, .. }) = &asked {
        tracing::warn!("Snowflake ended the session (code {code}): logging in again");
        session = access.session(stop)?;
        asked = Asked { session: &session, stop }.ask(query).await;
    }
    let spooled = match asked {
        Ok(result) => Asked { session: &session, stop }.keep(result, to).await,
        Err(error) => Err(error),
    };
    close(&mut session, stop).await;
    spooled
}

/// Logs in and asks the smallest query there is, which needs no warehouse.
pub async fn ping(access: &Access, stop: &Stop) -> Result<(), SnowflakeError> {
    let mut session = access.session(stop)?;
    let asked = Asked { session: &session, stop }.exec("SELECT 1").await.map(drop);
    close(&mut session, stop).await;
    asked.map_err(|error| error.without(&access.secrets()))
}

/// Ends a session, unless that takes long. Whether it is closed makes no difference to what was read.
async fn close(session: &mut Session, stop: &Stop) {
    if !stop.is_set() {
        let _ = tokio::time::timeout(CLOSING, session.api.close_session()).await;
    }
}

/// A result whose first rows are here.
struct Answered {
    names: Vec<String>,
    note: Option<String>,
    first: RawQueryResult,
    rest: Taken,
}

/// What is asked in one session.
struct Asked<'a> {
    session: &'a Session,
    stop: &'a Stop,
}

impl Asked<'_> {
    async fn ask(&self, query: &Query) -> Result<Answered, SnowflakeError> {
        let (_, described) = self.exec(&query.describe()).await?;
        let select = query.select(&described.columns, as_varchar)?;
        let (first, rest) = self.exec(&select.sql).await?;
        Ok(Answered { names: select.names, note: select.note, first, rest })
    }

    async fn exec(&self, sql: &str) -> Result<(RawQueryResult, Taken), SnowflakeError> {
        let answer =
            self.stop.race(self.session.api.exec_raw(sql)).await.ok_or(SnowflakeError::Interrupted)?;
        let mut taken = self.session.wire.take();
        match answer {
            Ok(raw) => Ok((raw, taken)),
            Err(error) => Err(match taken.failed.take() {
                Some(known) => known,
                // The token that the key signs is made before anything is sent.
                None if taken.sent == 0 => {
                    SnowflakeError::Key(format!("the private key cannot be used: {error}"))
                }
                None => SnowflakeError::Answer(error.to_string()),
            }),
        }
    }

    async fn keep(&self, result: Answered, to: &Path) -> Result<Spooled, SnowflakeError> {
        let mut table = Table(RowsFile::create(to, &result.names)?);
        table.take(result.first, result.names.len())?;
        let connection = Connection::new_with_middware(self.session.http.clone());
        for chunk in &result.rest.chunks {
            let part = connection.get_chunk(&chunk.url, &result.rest.chunk_headers);
            let part = self.stop.race(part).await.ok_or(SnowflakeError::Interrupted)?;
            let Ok(part) = part else {
                let known = self.session.wire.take().failed;
                return Err(known.unwrap_or_else(|| SnowflakeError::Answer("a part of the result".into())));
            };
            let before = table.0.rows();
            table.take(RawQueryResult::Bytes(vec![part]), result.names.len())?;
            if table.0.rows() - before != chunk.rows {
                return Err(counted("a part of the result", chunk.rows, table.0.rows() - before));
            }
        }
        let rows = table.0.rows();
        if rows != result.rest.total {
            return Err(counted("the result", result.rest.total, rows));
        }
        Ok(table.0.finish(result.note)?)
    }
}

fn counted(what: &str, wanted: u64, found: u64) -> SnowflakeError {
    SnowflakeError::Answer(format!("{what} has {found} rows where Snowflake counted {wanted}"))
}

/// The file as it grows.
struct Table(RowsFile);

impl Table {
    /// Takes one part of a result.
    fn take(&mut self, part: RawQueryResult, width: usize) -> Result<(), SnowflakeError> {
        let answer = |text: String| SnowflakeError::Answer(text);
        match part.deserialize_arrow().map_err(|error| answer(format!("it is not Arrow: {error}")))? {
            QueryResult::Arrow(batches) => batches.iter().try_for_each(|batch| self.take_batch(batch, width)),
            QueryResult::Empty => Ok(()),
            QueryResult::Json(_) => Err(answer("rows as JSON, not as Arrow".to_owned())),
        }
    }

    fn take_batch(&mut self, batch: &RecordBatch, width: usize) -> Result<(), SnowflakeError> {
        let columns =
            batch.columns().iter().map(|column| Texts::of(column.as_ref())).collect::<Result<Vec<_>, _>>()?;
        if columns.len() != width {
            let text = format!("it has {} columns where {width} were asked for", columns.len());
            return Err(SnowflakeError::Answer(text));
        }
        for row in 0..batch.num_rows() {
            self.0.push(columns.iter().map(|column| column.text(row)))?;
        }
        Ok(())
    }
}

/// A column of texts, however Arrow keeps them.
enum Texts<'a> {
    Plain(&'a StringArray),
    Large(&'a LargeStringArray),
    View(&'a StringViewArray),
}

impl<'a> Texts<'a> {
    fn of(column: &'a dyn Array) -> Result<Self, SnowflakeError> {
        let any = column.as_any();
        let found = any.downcast_ref().map(Self::Plain);
        let found = found.or_else(|| any.downcast_ref().map(Self::Large));
        found.or_else(|| any.downcast_ref().map(Self::View)).ok_or_else(|| {
            SnowflakeError::Answer(format!("a column is {:?} where text was asked for", column.data_type()))
        })
    }

    /// The text of a row; empty for NULL.
    fn text(&self, row: usize) -> &'a str {
        match self {
            Self::Plain(texts) if texts.is_valid(row) => texts.value(row),
            Self::Large(texts) if texts.is_valid(row) => texts.value(row),
            Self::View(texts) if texts.is_valid(row) => texts.value(row),
            _ => "",
        }
    }
}
