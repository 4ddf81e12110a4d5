//! ClickHouse as a source, over its HTTP interface.
//!
//! - Rows come as a JSON array of texts per line. ClickHouse makes the texts; times are taken to UTC first.
//! - What goes wrong after the first row stands in the middle of them: a line that is no such array is looked at.
//! - The session is made unable to write by a setting. A user who may change no settings has been made so already.

use super::query::Query;
use super::query_error::QueryError;
use super::rows_file::{RowsFile, Spooled};
use crate::database::clickhouse::{Clickhouse, Lines, Session, WHO, code_in, code_of};
use crate::database::error::{DatabaseError, until_answered};
use crate::stop::Stop;
use reqwest::Response;
use serde::Deserialize;
use std::borrow::Cow;
use std::fmt::Write as _;
use std::path::Path;

/// The longest answer that has no rows, in bytes: the columns of a query.
const MAX_ANSWER: usize = 8 << 20;
/// What is set for each query, as far as the user may: all of it, only that it cannot write, or nothing.
const SETTINGS: [&[(&str, &str)]; 3] = [
    &[
        ("readonly", "2"),
        ("max_execution_time", "21600"),
        ("cancel_http_readonly_queries_on_client_close", "1"),
        ("date_time_output_format", "simple"),
    ],
    &[("readonly", "2")],
    &[],
];

/// Asks a query and keeps its rows as CSV in a new file at `to`, which is on the disk when this returns, and gone if
/// it fails. An answer that breaks off is asked for again.
///
/// Writes to the file between its waits: not for a thread that must not block.
pub(crate) async fn spool(
    clickhouse: &Clickhouse,
    query: &Query,
    to: &Path,
    stop: &Stop,
) -> Result<Spooled, QueryError> {
    let asked = Asked { session: clickhouse.connect()? };
    until_answered(WHO, clickhouse.retry, &asked.session.secrets, stop, || Box::pin(asked.once(query, to)))
        .await
}

/// What is asked over one connection.
struct Asked<'a> {
    session: Session<'a>,
}

/// A column of a result.
#[derive(Debug, Deserialize)]
struct Column {
    name: String,
    #[serde(rename = "type")]
    kind: String,
}

impl Asked<'_> {
    async fn once(&self, query: &Query, to: &Path) -> Result<Spooled, QueryError> {
        let settings = self.settings().await?;
        let text = &query.statement.text;
        let describe = format!("DESCRIBE (\nSELECT * FROM (\n{text}\n) AS q) FORMAT JSONEachRow");
        let columns = self.describe(describe, settings).await?;
        let found: Vec<String> = columns.iter().map(|column| column.name.clone()).collect();
        let wanted = query.wanted(&found)?;
        let quoted = |place: usize| query.column(&found, place);
        let (order, note) = query.order(&found, &wanted, " NULLS LAST", quoted);
        let mut sql = "SELECT ".to_owned();
        for (index, (_, place)) in wanted.columns.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            let kind = columns.get(*place).map_or("", |column| column.kind.as_str());
            // Names of its own, so that none of them stands for a column in ORDER BY. Writing to a String cannot fail.
            let _ = write!(sql, "{comma}{} AS devrev_batch_{index}", as_text(&quoted(*place), kind));
        }
        let _ = write!(sql, " FROM (\n{text}\n) AS q ORDER BY {order}");
        if let Some(limit) = query.limit {
            let _ = write!(sql, " LIMIT {limit}");
        }
        sql.push_str(" FORMAT JSONCompactEachRow");
        let response = self.session.ask(sql, settings).await?;
        let file = RowsFile::create(to, wanted.columns.iter().map(|(name, _)| name))?;
        let file = self.keep(response, file, wanted.columns.len()).await?;
        Ok(file.finish(note)?)
    }

    /// The settings that this user may have.
    async fn settings(&self) -> Result<&'static [(&'static str, &'static str)], DatabaseError> {
        let [all, fewer @ ..] = SETTINGS;
        let mut asked = self.session.send("SELECT 1".to_owned(), all).await?;
        let mut settings = all;
        for other in fewer {
            // Unknown to an older server, or not to be changed by this user.
            if asked.status().is_success() || !matches!(code_of(&asked), Some(115 | 164 | 452)) {
                break;
            }
            settings = other;
            asked = self.session.send("SELECT 1".to_owned(), settings).await?;
        }
        self.session.answered(asked).await.map(|_| settings)
    }

    async fn describe(&self, sql: String, settings: &[(&str, &str)]) -> Result<Vec<Column>, DatabaseError> {
        let response = self.session.connection.bounded(self.session.ask(sql, settings).await?)?;
        let body = self.session.connection.whole(response, MAX_ANSWER).await?;
        let lines = body.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty());
        let columns: Result<Vec<Column>, _> = lines.map(serde_json::from_slice).collect();
        match columns {
            Ok(columns) if !columns.is_empty() => Ok(columns),
            _ => Err(self.unreadable(&body)),
        }
    }

    /// Keeps the rows of an answer.
    async fn keep(
        &self,
        response: Response,
        mut file: RowsFile,
        width: usize,
    ) -> Result<RowsFile, QueryError> {
        let mut lines = Lines::new(&self.session, response)?;
        while let Some(line) = lines.next().await? {
            if let Err(problem) = push(&line, width, &mut file)? {
                return Err(lines.odd(&line, problem).await.into());
            }
        }
        Ok(file)
    }

    fn unreadable(&self, body: &[u8]) -> DatabaseError {
        let words = String::from_utf8_lossy(body);
        match code_in(&words) {
            Some(code) => self.session.refused(code, &words),
            None => self
                .session
                .connection
                .odd("it does not say which columns the query has: is that ClickHouse?".to_owned()),
        }
    }
}

/// Writes a line as a row; the inner error says what is wrong with the line.
fn push(line: &[u8], width: usize, file: &mut RowsFile) -> Result<Result<(), &'static str>, QueryError> {
    let Ok(text) = std::str::from_utf8(line) else {
        return Ok(Err("is not UTF-8: convert its bytes in the query, such as with hex(x)"));
    };
    let texts: Vec<Option<Text<'_>>> = match serde_json::from_str(text) {
        Ok(texts) => texts,
        Err(_) => return Ok(Err("is not a JSON array of texts")),
    };
    if texts.len() != width {
        return Ok(Err("has another number of columns than was asked for"));
    }
    file.push(texts.iter().map(|text| text.as_ref().map_or("", |text| &text.0)))?;
    Ok(Ok(()))
}

/// A text, without a copy where JSON has it as it is.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// A column as text. Times are in UTC, and say so.
fn as_text(column: &str, kind: &str) -> String {
    let mut inner = kind;
    for wrapper in ["LowCardinality(", "Nullable("] {
        inner = inner.strip_prefix(wrapper).unwrap_or(inner);
    }
    if inner.starts_with("DateTime") {
        format!("concat(toString(toTimeZone({column}, 'UTC')), ' +0000')")
    } else {
        format!("toString({column})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_taken_to_utc_and_the_rest_is_text() {
        for kind in
            ["DateTime", "Nullable(DateTime64(3, 'Asia/Tokyo'))", "LowCardinality(Nullable(DateTime))"]
        {
            assert_eq!(as_text("q.\"a\"", kind), "concat(toString(toTimeZone(q.\"a\", 'UTC')), ' +0000')");
        }
        for kind in ["Date", "String", "Array(DateTime)", ""] {
            assert_eq!(as_text("q.\"a\"", kind), "toString(q.\"a\")");
        }
    }

    #[test]
    fn lines_become_rows() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("input.csv");
        let mut file = RowsFile::create(&path, ["a", "b"]).unwrap();
        let mut push = |line: &[u8]| push(line, 2, &mut file).unwrap();
        assert_eq!(push("[\"a\\n\\u00e9\\/\",null]".as_bytes()), Ok(()));
        for (line, problem) in [
            (&b"[\"a\"]"[..], "has another number of columns than was asked for"),
            (b"[\"a\",1]", "is not a JSON array of texts"),
            (b"Code: 60", "is not a JSON array of texts"),
            (b"[\"\xff\",null]", "is not UTF-8: convert its bytes in the query, such as with hex(x)"),
        ] {
            assert_eq!(push(line), Err(problem));
        }
        file.finish(None).unwrap();
        assert_eq!(std::fs::read_to_string(path).unwrap(), "a,b\n\"a\n\u{e9}/\",\n");
    }
}
