//! The ledger of a PostgreSQL database, beyond what a load itself asks of it: its lines for people, and what other processes
//! have added since it was read.

use super::super::{Terms, conflicting};
use super::{PostgresStore, asked, number};
use crate::jobs::load_records::error::LoadError;
use crate::jobs::load_records::ledger::{Entry, Ledger, Line, TABLE};
use crate::jobs::load_records::slices::Slice;
use crate::stop::Stop;
use sha2::{Digest, Sha256};
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};

/// What other runs have in the ledger, when it was read last.
#[derive(Debug)]
pub(super) struct Seen {
    /// How many lines they have, and the newest.
    state: (u64, Option<String>),
    ledger: Ledger,
}

/// A line of the ledger, by its columns in order.
fn line(row: &PgRow) -> Result<Line, sqlx::Error> {
    let entry = Entry {
        slice: row.try_get(0)?,
        digest: row.try_get(1)?,
        rows: number(row, 2)?,
        rejected: number(row, 3)?,
        run: row.try_get(4)?,
        open: row.try_get(5)?,
    };
    Ok(Line { entry, name: row.try_get(6)?, at: row.try_get(7)? })
}

/// The lock of whoever commits a slice of a load.
fn lock_of(load: &str) -> i64 {
    let hash = Sha256::digest(format!("devrev-batch load {load}"));
    let number = hash.iter().take(8).fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
    number.cast_signed()
}

impl PostgresStore {
    /// The lines of a load; of a slice alone, which stays locked until the transaction ends.
    pub(super) async fn lines_of(
        &self,
        connection: &mut PgConnection,
        load: &str,
        slice: Option<&str>,
    ) -> Result<Vec<Line>, LoadError> {
        let of_slice = if slice.is_some() { " AND slice = $2 FOR UPDATE" } else { " ORDER BY slice" };
        let sql = format!(
            "SELECT slice, digest, rows, rejected, run, open, name, \
             to_char(loaded_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"') FROM {TABLE} WHERE load = $1{of_slice}"
        );
        let mut query = asked(&sql).bind(load);
        if let Some(slice) = slice {
            query = query.bind(slice);
        }
        let rows = query.fetch_all(connection).await.map_err(|error| self.failed(error))?;
        rows.iter().map(line).collect::<Result<_, _>>().map_err(|error| self.failed(error))
    }

    pub(in crate::jobs::load_records::store) async fn lines(
        &self,
        load: &str,
        stop: &Stop,
    ) -> Result<Vec<Line>, LoadError> {
        let mut connection = self.reader(stop).await?;
        let lines = if self.has_ledger(&mut connection).await? {
            self.lines_of(&mut connection, load, None).await?
        } else {
            Vec::new()
        };
        self.read(connection).await?;
        Ok(lines)
    }

    pub(in crate::jobs::load_records::store) async fn forget(
        &self,
        load: &str,
        slices: &[String],
        stop: &Stop,
    ) -> Result<u64, LoadError> {
        self.until_answered(stop, || async {
            let mut connection = self.connection().await?;
            let sql = format!("DELETE FROM {TABLE} WHERE load = $1 AND slice = ANY($2)");
            let done = asked(&sql).bind(load).bind(slices).execute(&mut connection).await;
            let removed = done.map_err(|error| self.failed(error))?.rows_affected();
            self.keep(connection);
            Ok(removed)
        })
        .await
    }

    /// Gives the ledger's line of a slice back that was there before, or removes it.
    pub(super) async fn give_back(
        &self,
        connection: &mut PgConnection,
        load: &str,
        slice: &str,
        before: Option<&Line>,
    ) -> Result<(), LoadError> {
        let count = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        let sql;
        let query = if let Some(Line { entry, at, .. }) = before {
            sql = format!(
                "UPDATE {TABLE} SET digest = $3, rows = $4, rejected = $5, run = $6, open = $7, loaded_at = CAST($8 AS \
                 timestamptz) WHERE load = $1 AND slice = $2"
            );
            let update = asked(&sql).bind(load).bind(slice).bind(&entry.digest).bind(count(entry.rows));
            update.bind(count(entry.rejected)).bind(&entry.run).bind(entry.open).bind(at)
        } else {
            sql = format!("DELETE FROM {TABLE} WHERE load = $1 AND slice = $2");
            asked(&sql).bind(load).bind(slice)
        };
        query.execute(connection).await.map(drop).map_err(|error| self.failed(error))
    }

    /// Fails where another run has loaded what does not go with this slice, which this transaction is about to commit. Of the
    /// transactions of a load that come to this point one commits at a time, so each sees what the others have committed; no
    /// lock is held while records are written.
    pub(super) async fn judge(
        &self,
        connection: &mut PgConnection,
        terms: &Terms,
        slice: &Slice,
    ) -> Result<(), LoadError> {
        if terms.reload {
            return Ok(());
        }
        let failed = |error: sqlx::Error| self.failed(error);
        let lock = asked("SELECT pg_advisory_xact_lock($1)").bind(lock_of(&terms.load));
        lock.execute(&mut *connection).await.map_err(failed)?;
        let sql = format!(
            "SELECT count(*), CAST(max(loaded_at) AS text) FROM {TABLE} WHERE load = $1 AND run <> $2"
        );
        let row = asked(&sql).bind(&terms.load).bind(&terms.run).fetch_one(&mut *connection).await;
        let row = row.map_err(failed)?;
        let state = (number(&row, 0).map_err(failed)?, row.try_get(1).map_err(failed)?);
        let mut seen = self.seen.lock().await;
        let known = if let Some(known) = seen.take().filter(|seen| seen.state == state) {
            known
        } else {
            let mut entries = self.entries(connection, &terms.load, None).await?;
            entries.retain(|entry| entry.run != terms.run);
            Seen { state, ledger: Ledger::new(entries) }
        };
        conflicting(&seen.insert(known).ledger, terms, slice)
    }
}
