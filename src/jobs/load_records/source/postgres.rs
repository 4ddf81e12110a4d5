//! A query of a PostgreSQL database as a source: one transaction for each slice, which cannot write and sees one moment.

use super::{Chunk, Sender, no_column};
use crate::database::error::{DatabaseError, until_answered};
use crate::database::postgres::{Postgres, WHO, close};
use crate::jobs::load_records::error::LoadError;
use crate::jobs::load_records::query::Query;
use crate::jobs::load_records::template::{Values, plain};
use crate::stop::Stop;
use futures_util::TryStreamExt;
use serde_json::Value;
use sqlx::{AssertSqlSafe, Column, Either, Executor, PgConnection, Row, SqlSafeStr, Statement, TypeInfo};
use std::collections::HashSet;
use tokio::sync::{Semaphore, mpsc};

/// Slices that are read at once, each over a connection of its own.
const READERS: usize = 8;

/// A query of a database.
#[derive(Debug)]
pub(in crate::jobs::load_records) struct PostgresQuery {
    postgres: Postgres,
    query: Query,
    readers: Semaphore,
}

impl PostgresQuery {
    /// Connects to nothing.
    pub(in crate::jobs::load_records) fn new(postgres: Postgres, query: Query) -> Self {
        Self { postgres, query, readers: Semaphore::new(READERS) }
    }

    pub(super) async fn fetch(
        &self,
        values: &Values,
        to: mpsc::Sender<Chunk>,
        stop: &Stop,
    ) -> Result<(), LoadError> {
        let _reader = self.readers.acquire().await.map_err(|_| LoadError::Interrupted)?;
        let failed = |error: sqlx::Error| LoadError::from(self.postgres.failed(error));
        let begin = || Box::pin(self.begin(values));
        // What breaks later has sent rows already: the slice is read again by `resume`.
        let (mut connection, sql, bound) =
            until_answered(WHO, self.postgres.retry, &self.postgres.secrets, stop, begin).await?;
        let mut query = sqlx::query(AssertSqlSafe(sql)).persistent(false);
        for value in &bound {
            query = query.bind(plain(value).filter(|_| !value.is_null()));
        }
        let mut rows = query.fetch(&mut connection);
        let mut sender = Sender::new(to);
        while let Some(row) = rows.try_next().await.map_err(failed)? {
            let json: &str = row.try_get(0).map_err(failed)?;
            // As the filter reads JSON: numbers keep their digits.
            let val = jaq_json::read::parse_single(json.as_bytes());
            let val =
                val.map_err(|error| LoadError::Refused(format!("a row of {WHO} is not JSON: {error}")))?;
            if !sender.val(val, json.len()).await {
                // A connection whose rows nobody reads is no use to anyone: it is dropped.
                return Ok(());
            }
        }
        drop(rows);
        sender.finish().await;
        close(connection).await;
        Ok(())
    }

    /// How the column is compared that slices go by: what is a text by its bytes, as slices are put in order.
    async fn key(&self, values: &Values, connection: &mut PgConnection) -> Result<String, DatabaseError> {
        let Some((keys, _)) = &values.keys else { return Ok(String::new()) };
        let (sql, _) =
            self.query.bound(values, |place| format!("${place}")).map_err(DatabaseError::Settings)?;
        let described = connection.prepare(AssertSqlSafe(sql).into_sql_str()).await;
        let described = described.map_err(|error| self.postgres.failed(error))?;
        let mut named = described.columns().iter().filter(|column| column.name() == keys.field);
        let key = self.query.key(keys);
        match named.next().map(|column| column.type_info().name()) {
            Some("INT2" | "INT4" | "INT8" | "NUMERIC" | "UUID") => Ok(key),
            Some("TEXT" | "VARCHAR" | "CHAR" | "NAME") => Ok(format!("{key} COLLATE \"C\"")),
            Some(kind) => Err(DatabaseError::Settings(format!(
                "slices.keys: column `{}` is of type {}: a key is an integer, a text or a uuid; what is a date goes by slices.dates",
                keys.field,
                kind.to_ascii_lowercase()
            ))),
            None => {
                let names: Vec<String> =
                    described.columns().iter().map(|column| column.name().to_owned()).collect();
                Err(DatabaseError::Settings(no_column(&keys.field, &names)))
            }
        }
    }

    /// Begins a transaction, and tells what reads the rows as JSON, and the values of its places.
    async fn begin(&self, values: &Values) -> Result<(PgConnection, String, Vec<Value>), DatabaseError> {
        let failed = |error: sqlx::Error| self.postgres.failed(error);
        let mut connection = self.postgres.connect().await?;
        let begin = AssertSqlSafe(self.postgres.begin_statements("REPEATABLE READ READ ONLY"));
        sqlx::raw_sql(begin).execute(&mut connection).await.map_err(failed)?;
        let settings = |problem: String| DatabaseError::Settings(problem);
        let key = self.key(values, &mut connection).await?;
        let (sql, _) = self.query.ranged(values, |place| format!("${place}"), &key).map_err(settings)?;
        let described = connection.prepare(AssertSqlSafe(sql).into_sql_str()).await.map_err(failed)?;
        let mut names = HashSet::new();
        if let Some(twice) = described.columns().iter().find(|column| !names.insert(column.name())) {
            return Err(settings(format!("the query has two columns `{}`: name them with AS", twice.name())));
        }
        let oids: Vec<u32> = match described.parameters() {
            Some(Either::Left(types)) => {
                types.iter().filter_map(|kind| kind.oid().map(|oid| oid.0)).collect()
            }
            _ => Vec::new(),
        };
        // Values are bound as text, and made what PostgreSQL expects in their place.
        let mut types = Vec::with_capacity(oids.len());
        for oid in oids {
            let named =
                sqlx::query("SELECT format_type(CAST($1 AS oid), -1)").persistent(false).bind(i64::from(oid));
            let row = named.fetch_one(&mut connection).await.map_err(failed)?;
            types.push(row.try_get::<String, _>(0).map_err(failed)?);
        }
        let place = |place: usize| match types.get(place - 1) {
            Some(kind) => format!("CAST(CAST(${place} AS text) AS {kind})"),
            None => format!("${place}"),
        };
        let (sql, bound) = self.query.ranged(values, place, &key).map_err(settings)?;
        // The line break ends a comment.
        let rows =
            format!("SELECT row_to_json(_devrev_batch_row)::text FROM (\n{sql}\n) AS _devrev_batch_row");
        Ok((connection, rows, bound))
    }
}
