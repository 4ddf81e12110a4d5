//! A query of an SQLite file as a source: the file is opened for reading only, in one transaction for each slice.

use super::{Chunk, Sender};
use crate::database::error::DatabaseError;
use crate::database::sqlite::Sqlite;
use crate::jobs::load_records::error::LoadError;
use crate::jobs::load_records::query::Query;
use crate::jobs::load_records::record::{Cell, Record};
use crate::jobs::load_records::template::{Values, plain};
use crate::source::sqlite::{Stored, stored};
use crate::stop::Stop;
use futures_util::TryStreamExt;
use serde_json::Value;
use sqlx::{AssertSqlSafe, Column, Connection, Executor, SqlSafeStr, Statement};
use std::collections::HashSet;
use std::sync::Arc;
use tokio::sync::mpsc;

/// Rows that SQLite may be ahead; each has its values in memory.
const ROWS_AHEAD: usize = 16;

/// A query of a file.
#[derive(Debug)]
pub(in crate::jobs::load_records) struct SqliteQuery {
    sqlite: Sqlite,
    query: Query,
}

impl SqliteQuery {
    /// Opens nothing.
    pub(in crate::jobs::load_records) fn new(sqlite: Sqlite, query: Query) -> Self {
        Self { sqlite, query }
    }

    pub(super) async fn fetch(
        &self,
        values: &Values,
        to: mpsc::Sender<Chunk>,
        stop: &Stop,
    ) -> Result<(), LoadError> {
        let failed = |error: sqlx::Error| {
            if stop.is_set() { LoadError::Interrupted } else { self.sqlite.failed(&error).into() }
        };
        let place = |place| format!("?{place}");
        // By their bytes, as slices are put in order.
        let key = values.keys.as_ref().map(|(keys, _)| format!("{} COLLATE BINARY", self.query.key(keys)));
        let key = key.unwrap_or_default();
        let (sql, bound) = self.query.ranged(values, place, &key).map_err(LoadError::Settings)?;
        self.sqlite.check()?;
        let options = self.sqlite.options().row_buffer_size(ROWS_AHEAD);
        let mut opened = self.sqlite.open(&options, stop).await?;
        opened.connection.execute("BEGIN").await.map_err(failed)?;
        let described =
            opened.connection.prepare(AssertSqlSafe(sql.as_str()).into_sql_str()).await.map_err(failed)?;
        let names: Vec<Arc<str>> = described.columns().iter().map(|column| column.name().into()).collect();
        drop(described);
        let mut seen = HashSet::new();
        if let Some(twice) = names.iter().find(|name| !seen.insert(Arc::clone(name))) {
            return Err(LoadError::Settings(format!(
                "the query has two columns `{twice}`: name them with AS"
            )));
        }
        // Within a sub-select SQLite takes nothing but a query; the line break ends a comment.
        let mut query = sqlx::query(AssertSqlSafe(format!("SELECT * FROM (\n{sql}\n)"))).persistent(false);
        for value in &bound {
            // A number stays one: SQLite compares a text with a number by their types.
            query = match value {
                Value::Bool(truth) => query.bind(i64::from(*truth)),
                Value::Number(number) if number.is_i64() => query.bind(number.as_i64()),
                Value::Number(number) => query.bind(number.as_f64()),
                other => query.bind(plain(other).filter(|_| !other.is_null())),
            };
        }
        let mut rows = query.fetch(&mut opened.connection);
        let mut sender = Sender::new(to);
        while let Some(row) = rows.try_next().await.map_err(failed)? {
            let cells = names.iter().enumerate().map(|(place, name)| {
                let cell = match stored(&row, place, name)? {
                    Stored::Null => Cell::Null,
                    Stored::Number(text) => Cell::Number(text),
                    Stored::Text(text) => Cell::Text(text.into_owned()),
                };
                Ok((Arc::clone(name), cell))
            });
            let record = Record(cells.collect::<Result<_, DatabaseError>>()?);
            if !sender.record(record).await {
                return Ok(());
            }
        }
        drop(rows);
        sender.finish().await;
        drop(opened.ended);
        // It was only read from.
        let _ = opened.connection.close().await;
        Ok(())
    }
}
