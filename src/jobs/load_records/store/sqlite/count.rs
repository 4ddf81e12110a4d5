//! How many rows a slice is.

use super::super::Terms;
use super::super::sql::{quote, quoted};
use super::run;
use crate::jobs::load_records::file::Mode;
use crate::jobs::load_records::stage::Batch;
use sqlx::{AssertSqlSafe, SqliteConnection};
use std::ops::Range;

/// The keys that a slice has had so far.
const KEYS: &str = "_devrev_batch_keys";

/// Counts the rows of a slice. A key that comes several times is one row.
pub(super) struct Counter {
    pub(super) rows: u64,
    /// Whether keys have to be looked at, and there is a table for them.
    by_key: bool,
}

impl Counter {
    pub(super) async fn new(connection: &mut SqliteConnection) -> Result<Self, sqlx::Error> {
        run(connection, &format!("DROP TABLE IF EXISTS temp.{KEYS}")).await?;
        Ok(Self { rows: 0, by_key: false })
    }

    /// Counts the records of these rows, which have changed so many.
    pub(super) async fn count(
        &mut self,
        connection: &mut SqliteConnection,
        terms: &Terms,
        batch: &Batch,
        range: Range<usize>,
        written: u64,
    ) -> Result<(), sqlx::Error> {
        // Where there is nothing but keys, what is there stays.
        if terms.mode != Mode::Upsert || batch.columns.iter().all(|name| terms.table.key.contains(name)) {
            self.rows += written;
            return Ok(());
        }
        if !self.by_key {
            // With the types that the table has: `1` and `"1"` may be one key.
            let keys = quoted(&terms.table.key);
            let table = quote(&terms.table.table);
            run(connection, &format!("CREATE TEMP TABLE {KEYS} AS SELECT {keys} FROM {table} LIMIT 0"))
                .await?;
            run(connection, &format!("CREATE UNIQUE INDEX temp.{KEYS}_once ON {KEYS} ({keys})")).await?;
            self.by_key = true;
        }
        let place = |name: &String| batch.columns.iter().position(|other| other == name).unwrap_or_default();
        let cells: Vec<String> =
            terms.table.key.iter().map(|name| format!("value ->> {}", place(name))).collect();
        let sql = format!("INSERT OR IGNORE INTO temp.{KEYS} SELECT {} FROM json_each(?1)", cells.join(", "));
        let done = sqlx::query(AssertSqlSafe(sql)).bind(batch.json(range)).execute(connection).await?;
        self.rows += done.rows_affected();
        Ok(())
    }
}
