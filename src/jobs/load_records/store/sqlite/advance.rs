//! The offsets that a load has come to in its topics, advanced in the transaction that writes the records.

use super::super::{Terms, taken, taken_out};
use super::{SqliteStore, is_missing_table, run};
use crate::jobs::load_records::error::LoadError;
use crate::jobs::load_records::positions::{
    Advanced, Last, Partition, Position, Statements, Step, Taken, advancing, claiming, of_partition,
    position_of,
};
use crate::jobs::load_records::stage::Stage;
use crate::stop::Stop;
use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, Connection, Row, SqliteConnection};

/// How SQLite has it.
const STATEMENTS: Statements = Statements {
    number: "INTEGER",
    time: "TEXT",
    now: "strftime('%Y-%m-%dT%H:%M:%fZ', 'now')",
    shown: "advanced_at",
    // One writes at a time.
    lock: "",
    ending: " STRICT",
};

fn position(row: &SqliteRow) -> Result<Position, sqlx::Error> {
    position_of!(row)
}

async fn find(
    connection: &mut SqliteConnection,
    terms: &Terms,
    of: &Partition,
) -> Result<Option<Position>, sqlx::Error> {
    let query = of_partition!(sqlx::query(AssertSqlSafe(STATEMENTS.one())), &terms.load, of);
    query.fetch_optional(connection).await?.as_ref().map(position).transpose()
}

impl SqliteStore {
    pub(in crate::jobs::load_records::store) async fn positions(
        &self,
        load: &str,
    ) -> Result<Vec<Position>, LoadError> {
        let Some(mut connection) = self.reader().await? else { return Ok(Vec::new()) };
        let rows = sqlx::query(AssertSqlSafe(STATEMENTS.list())).bind(load).fetch_all(&mut connection).await;
        let _ = connection.close().await;
        match rows.and_then(|rows| rows.iter().map(position).collect()) {
            Ok(positions) => Ok(positions),
            // Nothing was ever loaded into this file.
            Err(error) if is_missing_table(&error) => Ok(Vec::new()),
            Err(error) => Err(self.failed(&error)),
        }
    }

    pub(in crate::jobs::load_records::store) async fn claim(
        &self,
        terms: &Terms,
        of: &Partition,
        next: i64,
        stop: &Stop,
    ) -> Result<Position, LoadError> {
        let failed = |error: sqlx::Error| self.failed(&error);
        let mut writer = stop.race(self.writer.lock()).await.ok_or(LoadError::Interrupted)?;
        let mut connection = match writer.take() {
            Some(connection) => connection,
            None => self.connect().await?,
        };
        run(&mut connection, &STATEMENTS.create()).await.map_err(failed)?;
        let claim = claiming!(sqlx::query(AssertSqlSafe(STATEMENTS.claim())), terms, of, next);
        claim.execute(&mut connection).await.map_err(failed)?;
        let found = find(&mut connection, terms, of).await.map_err(failed)?;
        *writer = Some(connection);
        found.ok_or_else(|| taken_out(of))
    }

    pub(in crate::jobs::load_records::store) async fn advance(
        &self,
        terms: &Terms,
        step: &Step,
        stage: &mut Stage,
        stop: &Stop,
    ) -> Result<Advanced, LoadError> {
        let mut writer = stop.race(self.writer.lock()).await.ok_or(LoadError::Interrupted)?;
        let mut connection = match writer.take() {
            Some(connection) => connection,
            None => self.connect().await?,
        };
        let advanced = self.advance_within(&mut connection, terms, step, stage, stop).await;
        let end = if matches!(advanced, Ok(Advanced::Now(_))) { "COMMIT" } else { "ROLLBACK" };
        match run(&mut connection, end).await {
            Ok(()) => *writer = Some(connection),
            // A connection that cannot end its transaction is given up; without a commit nothing has happened.
            Err(error) if advanced.is_ok() => return Err(self.failed(&error)),
            Err(_) => {}
        }
        advanced
    }

    async fn advance_within(
        &self,
        connection: &mut SqliteConnection,
        terms: &Terms,
        step: &Step,
        stage: &mut Stage,
        stop: &Stop,
    ) -> Result<Advanced, LoadError> {
        let failed = |error: sqlx::Error| self.failed(&error);
        run(connection, "BEGIN IMMEDIATE").await.map_err(failed)?;
        let found = find(connection, terms, &step.of).await.map_err(failed)?;
        let found = found.ok_or_else(|| taken_out(&step.of))?;
        if found.next != step.from {
            return Ok(Advanced::Elsewhere(found));
        }
        let rejected_before = stage.rejected.count();
        let known = self.table(connection, terms, stage).await?;
        let rows = self.records(connection, terms, &known, stage, stop).await?;
        // Before the commit: of messages that are taken, all rejected records are on the disk.
        stage.rejected.keep()?;
        let taken: Taken = taken(step, stage, rows, rejected_before);
        let advance = advancing!(sqlx::query(AssertSqlSafe(STATEMENTS.advance())), terms, step, taken);
        if advance.execute(&mut *connection).await.map_err(failed)?.rows_affected() != 1 {
            return Err(taken_out(&step.of));
        }
        let now = find(connection, terms, &step.of).await.map_err(failed)?;
        now.map(Advanced::Now).ok_or_else(|| taken_out(&step.of))
    }

    pub(in crate::jobs::load_records::store) async fn forget_positions(
        &self,
        load: &str,
        partitions: &[Partition],
    ) -> Result<u64, LoadError> {
        let failed = |error: sqlx::Error| self.failed(&error);
        let mut connection = self.connect().await?;
        run(&mut connection, "BEGIN IMMEDIATE").await.map_err(failed)?;
        let mut removed = 0;
        for of in partitions {
            let remove = of_partition!(sqlx::query(AssertSqlSafe(Statements::remove())), load, of);
            removed += remove.execute(&mut connection).await.map_err(failed)?.rows_affected();
        }
        run(&mut connection, "COMMIT").await.map_err(failed)?;
        let _ = connection.close().await;
        Ok(removed)
    }
}
