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

/// What other runs have in the ledger, as far as it was read.
#[derive(Debug)]
pub(super) struct Seen {
    /// The newest line's time; later ones are still to be read.
    until: String,
    ledger: Ledger,
}

/// The columns of a line.
const COLUMNS: &str = "slice, digest, rows, rejected, run, open, name, \
                       to_char(loaded_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')";

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
    Ok(Line { entry, name: row.try_get(6)?, at: row.try_get(7)?, begun: false })
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
        let sql = format!("SELECT {COLUMNS} FROM {TABLE} WHERE load = $1{of_slice}");
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

    /// Writes down what this transaction, which is about to commit, has loaded; fails where another run has loaded what does not
    /// go with it. Of the transactions of a load that come to this point one commits at a time, so each sees what the others
    /// have committed, and their times are in the order of their commits; no lock is held while records are written.
    pub(super) async fn enter(
        &self,
        connection: &mut PgConnection,
        terms: &Terms,
        slice: &Slice,
        (rows, rejected): (u64, u64),
    ) -> Result<(), LoadError> {
        let failed = |error: sqlx::Error| self.failed(error);
        let lock = asked("SELECT pg_advisory_xact_lock($1)").bind(lock_of(&terms.load));
        lock.execute(&mut *connection).await.map_err(failed)?;
        let sql = format!(
            "UPDATE {TABLE} SET rows = $3, rejected = $4, loaded_at = clock_timestamp() WHERE load = $1 AND slice = $2 \
             RETURNING CAST(loaded_at AS text)"
        );
        let count = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        let update = asked(&sql).bind(&terms.load).bind(slice.id()).bind(count(rows)).bind(count(rejected));
        let row = update.fetch_one(&mut *connection).await.map_err(failed)?;
        let now = row.try_get(0).map_err(failed)?;
        if terms.reload {
            return Ok(());
        }
        let mut known = self.seen.lock().await;
        let seen = match known.take() {
            Some(Seen { until, mut ledger }) => {
                ledger.add(self.others(connection, terms, Some(&until)).await?);
                Seen { until: now, ledger }
            }
            None => Seen { until: now, ledger: Ledger::new(self.others(connection, terms, None).await?) },
        };
        let seen = known.insert(seen);
        if conflicting(&seen.ledger, terms, slice).is_err() {
            // What was read before may have been taken out since.
            seen.ledger = Ledger::new(self.others(connection, terms, None).await?);
        }
        conflicting(&seen.ledger, terms, slice)
    }

    /// The entries of other runs; of those that are newer than a time, if there is one.
    async fn others(
        &self,
        connection: &mut PgConnection,
        terms: &Terms,
        since: Option<&str>,
    ) -> Result<Vec<Entry>, LoadError> {
        // A clock may have been set back a little.
        let later =
            if since.is_some() { " AND loaded_at >= CAST($3 AS timestamptz) - interval '5 s'" } else { "" };
        let sql = format!("SELECT {COLUMNS} FROM {TABLE} WHERE load = $1 AND run <> $2{later}");
        let query = asked(&sql).bind(&terms.load).bind(&terms.run);
        let query = since.iter().fold(query, |query, since| query.bind(*since));
        let rows = query.fetch_all(connection).await.map_err(|error| self.failed(error))?;
        rows.iter()
            .map(|row| line(row).map(|line| line.entry))
            .collect::<Result<_, _>>()
            .map_err(|error| self.failed(error))
    }
}
