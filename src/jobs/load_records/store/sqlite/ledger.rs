//! The ledger of an SQLite file, beyond what a load itself asks of it: its lines for people, and what other processes have
//! added since it was read.

use super::super::{Terms, conflicting};
use super::{SqliteStore, is_missing_table, run};
use crate::jobs::load_records::error::LoadError;
use crate::jobs::load_records::ledger::{Entry, Ledger, Line, TABLE};
use crate::jobs::load_records::slices::Slice;
use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, Connection, Row, SqliteConnection};

/// What the ledger had when it was read last.
#[derive(Debug)]
pub(super) struct Seen {
    /// Changes with every commit of another connection.
    version: i64,
    ledger: Ledger,
}

/// A line of the ledger, by its columns in order.
fn line(row: &SqliteRow) -> Result<Line, sqlx::Error> {
    let number = |place: usize| -> Result<u64, sqlx::Error> {
        Ok(u64::try_from(row.try_get::<i64, _>(place)?).unwrap_or_default())
    };
    let entry = Entry {
        slice: row.try_get(0)?,
        digest: row.try_get(1)?,
        rows: number(2)?,
        rejected: number(3)?,
        run: row.try_get(4)?,
        open: number(5)? != 0,
    };
    Ok(Line { entry, name: row.try_get(6)?, at: row.try_get(7)?, begun: false })
}

/// The lines of a load; of a slice alone.
pub(super) async fn lines(
    connection: &mut SqliteConnection,
    load: &str,
    slice: Option<&str>,
) -> Result<Vec<Line>, sqlx::Error> {
    let sql = format!(
        "SELECT slice, digest, rows, rejected, run, open, name, loaded_at FROM {TABLE} WHERE load = ?1 AND (?2 IS NULL OR slice \
         = ?2) ORDER BY slice"
    );
    let rows = sqlx::query(AssertSqlSafe(sql)).bind(load).bind(slice).fetch_all(connection).await?;
    rows.iter().map(line).collect()
}

/// Writes a line.
pub(super) async fn write(
    connection: &mut SqliteConnection,
    load: &str,
    line: &Line,
) -> Result<(), sqlx::Error> {
    let Line { entry, name, at, begun: _ } = line;
    let count = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    let insert = sqlx::query(AssertSqlSafe(format!(
        "INSERT INTO {TABLE} (load, slice, name, digest, rows, rejected, run, open, loaded_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, \
         ?7, ?8, ?9)"
    )));
    insert
        .bind(load)
        .bind(&entry.slice)
        .bind(name)
        .bind(&entry.digest)
        .bind(count(entry.rows))
        .bind(count(entry.rejected))
        .bind(&entry.run)
        .bind(i64::from(entry.open))
        .bind(at)
        .execute(connection)
        .await
        .map(drop)
}

/// Removes a line. Returns how many there were.
pub(super) async fn remove(
    connection: &mut SqliteConnection,
    load: &str,
    slice: &str,
) -> Result<u64, sqlx::Error> {
    let delete = sqlx::query(AssertSqlSafe(format!("DELETE FROM {TABLE} WHERE load = ?1 AND slice = ?2")));
    delete.bind(load).bind(slice).execute(connection).await.map(|done| done.rows_affected())
}

/// Fails where another run has loaded what does not go with this slice. The transaction writes already, so no other does.
pub(super) async fn judge(
    connection: &mut SqliteConnection,
    seen: &mut Option<Box<Seen>>,
    terms: &Terms,
    slice: &Slice,
) -> Result<Result<(), LoadError>, sqlx::Error> {
    if terms.reload {
        return Ok(Ok(()));
    }
    let version: i64 = sqlx::query("PRAGMA data_version").fetch_one(&mut *connection).await?.try_get(0)?;
    let known = if let Some(known) = seen.take().filter(|seen| seen.version == version) {
        known
    } else {
        let entries = lines(connection, &terms.load, None).await?.into_iter().map(|line| line.entry);
        let others = entries.filter(|entry| entry.run != terms.run).collect();
        Box::new(Seen { version, ledger: Ledger::new(others) })
    };
    Ok(conflicting(&seen.insert(known).ledger, terms, slice))
}

impl SqliteStore {
    pub(in crate::jobs::load_records::store) async fn lines(
        &self,
        load: &str,
    ) -> Result<Vec<Line>, LoadError> {
        let Some(mut connection) = self.reader().await? else { return Ok(Vec::new()) };
        let lines = lines(&mut connection, load, None).await;
        let _ = connection.close().await;
        match lines {
            Ok(lines) => Ok(lines),
            // Nothing was ever loaded into this file.
            Err(error) if is_missing_table(&error) => Ok(Vec::new()),
            Err(error) => Err(self.failed(&error)),
        }
    }

    pub(in crate::jobs::load_records::store) async fn forget(
        &self,
        load: &str,
        slices: &[String],
    ) -> Result<u64, LoadError> {
        let failed = |error: sqlx::Error| self.failed(&error);
        let mut connection = self.connect().await?;
        run(&mut connection, "BEGIN IMMEDIATE").await.map_err(failed)?;
        let mut removed = 0;
        for slice in slices {
            removed += remove(&mut connection, load, slice).await.map_err(failed)?;
        }
        run(&mut connection, "COMMIT").await.map_err(failed)?;
        let _ = connection.close().await;
        Ok(removed)
    }
}
