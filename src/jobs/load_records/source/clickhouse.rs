//! A query of ClickHouse as a source, over its HTTP interface: rows come as a JSON object per line.
//!
//! - The session is made unable to write. Numbers keep their digits and times come as ISO 8601 in UTC, as settings say: a user
//!   who may change no settings at all would be given times of the server's zone, and is refused.
//! - Places of the query are bound as parameters of the request.

use super::{Chunk, Sender};
use crate::database::clickhouse::{Clickhouse, Lines, Session, WHO, code_of, parameter};
use crate::database::error::{DatabaseError, until_answered};
use crate::jobs::load_records::error::LoadError;
use crate::jobs::load_records::query::Query;
use crate::jobs::load_records::template::{Values, plain};
use crate::stop::Stop;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::Value;
use std::collections::HashSet;
use tokio::sync::{Semaphore, mpsc};

/// Slices that are read at once.
const READERS: usize = 8;
/// The longest description of a query's columns, in bytes.
const MAX_COLUMNS: usize = 8 << 20;
/// The code of what may only read, and was told to change a setting. (Source: `ErrorCodes.cpp` in ClickHouse's code.)
const READ_ONLY: u32 = 164;
/// What is set for each query. The first is left out for a user who has it already, and may not set it again.
const SETTINGS: [(&str, &str); 8] = [
    ("readonly", "2"),
    ("max_execution_time", "21600"),
    ("cancel_http_readonly_queries_on_client_close", "1"),
    ("date_time_output_format", "iso"),
    ("output_format_json_quote_64bit_integers", "0"),
    ("output_format_json_quote_decimals", "0"),
    // Else `nan` would come as null.
    ("output_format_json_quote_denormals", "1"),
    ("output_format_json_named_tuples_as_objects", "1"),
];

/// A query of a ClickHouse.
#[derive(Debug)]
pub(in crate::jobs::load_records) struct ClickhouseQuery {
    clickhouse: Clickhouse,
    query: Query,
    readers: Semaphore,
}

/// A column of a result.
#[derive(Debug, Deserialize)]
struct Column {
    name: String,
    #[serde(rename = "type")]
    kind: String,
}

impl ClickhouseQuery {
    /// Connects to nothing.
    pub(in crate::jobs::load_records) fn new(clickhouse: Clickhouse, query: Query) -> Self {
        Self { clickhouse, query, readers: Semaphore::new(READERS) }
    }

    pub(super) async fn fetch(
        &self,
        values: &Values,
        to: mpsc::Sender<Chunk>,
        stop: &Stop,
    ) -> Result<(), LoadError> {
        let _reader = self.readers.acquire().await.map_err(|_| LoadError::Interrupted)?;
        let session = self.clickhouse.connect()?;
        let (sql, parameters) = self.bound(values).map_err(LoadError::Settings)?;
        // What breaks after the first row has sent rows already: the slice is read again by `resume`.
        let begin = || Box::pin(begin(&session, &sql, &parameters));
        let (mut lines, mut line) =
            until_answered(WHO, self.clickhouse.retry, &session.secrets, stop, begin).await?;
        let mut sender = Sender::new(to);
        while let Some(json) = line {
            let parsed = match std::str::from_utf8(&json) {
                Err(_) => Err("is not UTF-8: convert its bytes in the query, such as with hex(x)"),
                // As the filter reads JSON: numbers keep their digits.
                Ok(_) => match jaq_json::read::parse_single(&json) {
                    Ok(val @ jaq_json::Val::Obj(_)) => Ok(val),
                    _ => Err("is not a JSON object"),
                },
            };
            let val = match parsed {
                Ok(val) => val,
                Err(problem) => return Err(lines.odd(&json, problem).await.without(&session.secrets).into()),
            };
            if !sender.val(val, json.len()).await {
                return Ok(());
            }
            line = lines.next().await.map_err(|error| error.without(&session.secrets))?;
        }
        sender.finish().await;
        Ok(())
    }

    /// The query with places that have types, and the parameters that fill them.
    fn bound(&self, values: &Values) -> Result<(String, Vec<(String, String)>), String> {
        let key = values.keys.as_ref().map(|(keys, _)| self.query.key(keys)).unwrap_or_default();
        let (_, bound) = self.query.ranged(values, |place| format!("{{p{place}:String}}"), &key)?;
        let kind = |place: usize| match place.checked_sub(1).and_then(|index| bound.get(index)) {
            Some(Value::Bool(_)) => "Bool",
            Some(Value::Number(number)) if number.is_i64() => "Int64",
            Some(Value::Number(number)) if number.is_u64() => "UInt64",
            Some(Value::Number(_)) => "Float64",
            Some(Value::Null) => "Nullable(String)",
            _ => "String",
        };
        let (sql, _) = self.query.ranged(values, |place| format!("{{p{place}:{}}}", kind(place)), &key)?;
        let named = |(index, value): (usize, &Value)| {
            let text = match value {
                Value::Null => "\\N".to_owned(),
                value => parameter(&plain(value).unwrap_or_default()),
            };
            (format!("param_p{}", index + 1), text)
        };
        Ok((sql, bound.iter().enumerate().map(named).collect()))
    }
}

/// Asks the query. What comes back has its first row.
async fn begin<'a>(
    session: &'a Session<'a>,
    sql: &str,
    parameters: &[(String, String)],
) -> Result<(Lines<'a>, Option<Bytes>), DatabaseError> {
    let mut settings = settings(session).await?;
    settings.extend(parameters.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    // Within a sub-select ClickHouse takes nothing but a query; the line breaks end comments.
    let describe = format!("DESCRIBE (\nSELECT * FROM (\n{sql}\n) AS q) FORMAT JSONEachRow");
    let response = session.connection.bounded(session.ask(describe, &settings).await?)?;
    let body = session.connection.whole(response, MAX_COLUMNS).await?;
    let described = body.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty());
    let columns: Result<Vec<Column>, _> = described.map(serde_json::from_slice).collect();
    let columns = columns.map_err(|_| {
        session.connection.odd("it does not say which columns the query has: is that ClickHouse?".to_owned())
    })?;
    let mut names = HashSet::new();
    if let Some(twice) = columns.iter().find(|column| !names.insert(&column.name)) {
        let text = format!("the query has two columns `{}`: name them with AS", twice.name);
        return Err(DatabaseError::Settings(text));
    }
    if let Some(column) = columns.iter().find(|column| column.kind.contains("AggregateFunction(")) {
        let text = format!(
            "column `{}` is a state of {}, and no value: take it with finalizeAggregation",
            column.name, column.kind
        );
        return Err(DatabaseError::Settings(text));
    }
    let select = format!("SELECT * FROM (\n{sql}\n) AS q FORMAT JSONEachRow");
    let mut lines = Lines::new(session, session.ask(select, &settings).await?)?;
    let first = lines.next().await?;
    Ok((lines, first))
}

/// The settings that this user may have.
async fn settings(session: &Session<'_>) -> Result<Vec<(&'static str, &'static str)>, DatabaseError> {
    let [_, fewer @ ..] = SETTINGS;
    for settings in [&SETTINGS[..], &fewer] {
        let asked = session.send("SELECT 1".to_owned(), settings).await?;
        if code_of(&asked) != Some(READ_ONLY) {
            session.answered(asked).await?;
            return Ok(settings.to_vec());
        }
    }
    Err(DatabaseError::Settings(format!(
        "{WHO}: this user may change no settings, and without them times would come in the server's zone: give it readonly = 2 in \
         place of 1"
    )))
}
