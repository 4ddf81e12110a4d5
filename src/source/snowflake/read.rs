//! From Snowflake's Arrow to a CSV file, part by part.
//!
//! NULL becomes an empty field, and so does an empty string: CSV cannot tell them apart, and the jobs take both for
//! missing.

use super::super::query::{Query, Select, as_varchar};
use super::super::rows_file::{RowsFile, Spooled};
use super::access::{Access, Session};
use super::answer::{Column, Taken, Terms};
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
    let select = |columns: &[Column]| {
        let names: Vec<String> = columns.iter().map(|column| column.name.clone()).collect();
        Ok(query.select(&names, as_varchar)?)
    };
    let asking = Asking { describe: query.describe(), select: &select };
    let mut reading = begin(access, &Terms::default(), &asking, stop).await?;
    let spooled = keep(&mut reading, to).await;
    reading.close().await;
    spooled
}

async fn keep(reading: &mut Reading<'_>, to: &Path) -> Result<Spooled, SnowflakeError> {
    let mut table = Table(RowsFile::create(to, &reading.names)?);
    while let Some(batches) = reading.next().await? {
        batches.iter().try_for_each(|batch| table.take_batch(batch))?;
    }
    Ok(table.0.finish(reading.note.take())?)
}

/// What is asked for the rows of a query.
pub(crate) struct Asking<'a> {
    /// What tells the columns without reading a row.
    pub(crate) describe: String,
    /// What reads the rows, once the columns are known.
    pub(crate) select: &'a (dyn Fn(&[Column]) -> Result<Select, SnowflakeError> + Sync),
}

/// Begins a session and asks for the rows of a query. A session that ends too early is begun again, once.
pub(crate) async fn begin<'a>(
    access: &Access,
    terms: &Terms,
    asking: &Asking<'_>,
    stop: &'a Stop,
) -> Result<Reading<'a>, SnowflakeError> {
    let mut session = access.session(terms, stop)?;
    let mut asked = Asked { session: &session, stop }.ask(asking).await;
    if let Err(SnowflakeError::Session { code, .. }) = &asked {
        tracing::warn!("Snowflake ended the session (code {code}): logging in again");
        session = access.session(terms, stop)?;
        asked = Asked { session: &session, stop }.ask(asking).await;
    }
    match asked {
        Ok((select, first, rest)) => {
            let Select { names, note, .. } = select;
            Ok(Reading { session, stop, names, note, first: Some(first), rest, part: 0, rows: 0 })
        }
        Err(error) => {
            close(&mut session, stop).await;
            Err(error)
        }
    }
}

/// Logs in and asks the smallest query there is, which needs no warehouse.
pub async fn ping(access: &Access, stop: &Stop) -> Result<(), SnowflakeError> {
    let mut session = access.session(&Terms::default(), stop)?;
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

/// The rows of a result on their way, part by part; the first of them are here.
pub(crate) struct Reading<'a> {
    session: Session,
    stop: &'a Stop,
    /// The names of its columns.
    pub(crate) names: Vec<String>,
    note: Option<String>,
    first: Option<RawQueryResult>,
    rest: Taken,
    /// The part that comes next.
    part: usize,
    /// Rows that have come.
    rows: u64,
}

impl Reading<'_> {
    /// The next part of the rows; none when all have come, as many as Snowflake counted.
    pub(crate) async fn next(&mut self) -> Result<Option<Vec<RecordBatch>>, SnowflakeError> {
        if let Some(first) = self.first.take() {
            let batches = batches(first, self.names.len())?;
            self.rows += rows(&batches);
            return Ok(Some(batches));
        }
        let Some(chunk) = self.rest.chunks.get(self.part) else {
            if self.rows != self.rest.total {
                return Err(counted("the result", self.rest.total, self.rows));
            }
            return Ok(None);
        };
        let connection = Connection::new_with_middware(self.session.http.clone());
        let part = connection.get_chunk(&chunk.url, &self.rest.chunk_headers);
        let part = self.stop.race(part).await.ok_or(SnowflakeError::Interrupted)?;
        let Ok(part) = part else {
            let known = self.session.wire.take().failed;
            return Err(known.unwrap_or_else(|| SnowflakeError::Answer("a part of the result".into())));
        };
        let batches = batches(RawQueryResult::Bytes(vec![part]), self.names.len())?;
        let found = rows(&batches);
        if found != chunk.rows {
            return Err(counted("a part of the result", chunk.rows, found));
        }
        self.part += 1;
        self.rows += found;
        Ok(Some(batches))
    }

    /// Ends the session.
    pub(crate) async fn close(mut self) {
        close(&mut self.session, self.stop).await;
    }
}

/// What one part of a result holds.
fn batches(part: RawQueryResult, width: usize) -> Result<Vec<RecordBatch>, SnowflakeError> {
    let answer = |text: String| SnowflakeError::Answer(text);
    let batches =
        match part.deserialize_arrow().map_err(|error| answer(format!("it is not Arrow: {error}")))? {
            QueryResult::Arrow(batches) => batches,
            QueryResult::Empty => Vec::new(),
            QueryResult::Json(_) => return Err(answer("rows as JSON, not as Arrow".to_owned())),
        };
    match batches.iter().find(|batch| batch.num_columns() != width) {
        None => Ok(batches),
        Some(odd) => {
            Err(answer(format!("it has {} columns where {width} were asked for", odd.num_columns())))
        }
    }
}

fn rows(batches: &[RecordBatch]) -> u64 {
    batches.iter().map(|batch| batch.num_rows() as u64).sum()
}

/// What is asked in one session.
struct Asked<'a> {
    session: &'a Session,
    stop: &'a Stop,
}

impl Asked<'_> {
    async fn ask(&self, asking: &Asking<'_>) -> Result<(Select, RawQueryResult, Taken), SnowflakeError> {
        let (_, described) = self.exec(&asking.describe).await?;
        let select = (asking.select)(&described.columns)?;
        let (first, rest) = self.exec(&select.sql).await?;
        Ok((select, first, rest))
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
}

fn counted(what: &str, wanted: u64, found: u64) -> SnowflakeError {
    SnowflakeError::Answer(format!("{what} has {found} rows where Snowflake counted {wanted}"))
}

/// The file as it grows.
struct Table(RowsFile);

impl Table {
    fn take_batch(&mut self, batch: &RecordBatch) -> Result<(), SnowflakeError> {
        let columns =
            batch.columns().iter().map(|column| Texts::of(column.as_ref())).collect::<Result<Vec<_>, _>>()?;
        for row in 0..batch.num_rows() {
            self.0.push(columns.iter().map(|column| column.text(row).unwrap_or_default()))?;
        }
        Ok(())
    }
}

/// A column of texts, however Arrow keeps them.
pub(crate) enum Texts<'a> {
    Plain(&'a StringArray),
    Large(&'a LargeStringArray),
    View(&'a StringViewArray),
}

impl<'a> Texts<'a> {
    /// The column, if it is one of texts.
    pub(crate) fn of(column: &'a dyn Array) -> Result<Self, SnowflakeError> {
        let any = column.as_any();
        let found = any.downcast_ref().map(Self::Plain);
        let found = found.or_else(|| any.downcast_ref().map(Self::Large));
        found.or_else(|| any.downcast_ref().map(Self::View)).ok_or_else(|| {
            SnowflakeError::Answer(format!("a column is {:?} where text was asked for", column.data_type()))
        })
    }

    /// The text of a row; none for NULL.
    pub(crate) fn text(&self, row: usize) -> Option<&'a str> {
        match self {
            Self::Plain(texts) => texts.is_valid(row).then(|| texts.value(row)),
            Self::Large(texts) => texts.is_valid(row).then(|| texts.value(row)),
            Self::View(texts) => texts.is_valid(row).then(|| texts.value(row)),
        }
    }
}
