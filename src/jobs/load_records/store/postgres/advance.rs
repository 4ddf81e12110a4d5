//! The offsets that a load has come to in its topics, advanced in the transaction that writes the records.

use super::super::{Terms, taken, taken_out};
use super::write::Writer;
use super::{MAKING_TABLES, PostgresStore, asked};
use crate::jobs::load_records::error::LoadError;
use crate::jobs::load_records::positions::{
    Advanced, Last, Partition, Position, Statements, Step, TABLE, Taken, advancing, claiming, of_partition,
    position_of,
};
use crate::jobs::load_records::stage::{RejectsMark, Stage};
use crate::stop::Stop;
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};

/// How PostgreSQL has it.
const STATEMENTS: Statements = Statements {
    number: "bigint",
    time: "timestamptz",
    now: "clock_timestamp()",
    shown: "to_char(advanced_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')",
    lock: " FOR UPDATE",
    ending: "",
};

fn position(row: &PgRow) -> Result<Position, sqlx::Error> {
    position_of!(row)
}

impl PostgresStore {
    pub(in crate::jobs::load_records::store) async fn positions(
        &self,
        load: &str,
        stop: &Stop,
    ) -> Result<Vec<Position>, LoadError> {
        let mut connection = self.reader(stop).await?;
        let mut positions = Vec::new();
        if self.has_table(&mut connection, TABLE).await? {
            let rows = asked(&STATEMENTS.list()).bind(load).fetch_all(&mut connection).await;
            let rows = rows.and_then(|rows| rows.iter().map(position).collect::<Result<Vec<_>, _>>());
            positions = rows.map_err(|error| self.failed(error))?;
        }
        self.read(connection).await?;
        Ok(positions)
    }

    pub(in crate::jobs::load_records::store) async fn claim(
        &self,
        terms: &Terms,
        of: &Partition,
        next: i64,
        stop: &Stop,
    ) -> Result<Position, LoadError> {
        self.until_answered(stop, || async {
            self.offsets.get_or_try_init(|| self.make_offsets()).await?;
            let mut connection = self.connection().await?;
            let sql = STATEMENTS.claim();
            let claim = claiming!(asked(&sql), terms, of, next).execute(&mut connection).await;
            claim.map_err(|error| self.failed(error))?;
            let found = self.position(&mut connection, terms, of).await?;
            self.keep(connection);
            found.ok_or_else(|| taken_out(of))
        })
        .await
    }

    /// Makes the table if it is not there.
    async fn make_offsets(&self) -> Result<(), LoadError> {
        let mut connection = self.connection().await?;
        // Asked first: whoever may write to the table need not be allowed to make it.
        if !self.has_table(&mut connection, TABLE).await? {
            let make = format!("BEGIN; {MAKING_TABLES}; {}; COMMIT", STATEMENTS.create());
            self.run(&mut connection, &make).await?;
        }
        self.keep(connection);
        Ok(())
    }

    async fn position(
        &self,
        connection: &mut PgConnection,
        terms: &Terms,
        of: &Partition,
    ) -> Result<Option<Position>, LoadError> {
        let sql = STATEMENTS.one();
        let row = of_partition!(asked(&sql), &terms.load, of).fetch_optional(connection).await;
        row.and_then(|row| row.as_ref().map(position).transpose()).map_err(|error| self.failed(error))
    }

    pub(in crate::jobs::load_records::store) async fn advance(
        &self,
        terms: &Terms,
        step: &Step,
        stage: &mut Stage,
        stop: &Stop,
    ) -> Result<Advanced, LoadError> {
        let mark = stage.rejected.mark()?;
        let stage = tokio::sync::Mutex::new(stage);
        let advanced = self.until_answered(stop, || async {
            let _writer = self.writers.acquire().await.map_err(|_| LoadError::Interrupted)?;
            let mut stage = stage.lock().await;
            // On the heap: it is large.
            Box::pin(self.advance_once(terms, step, &mut stage, &mark)).await
        });
        advanced.await
    }

    /// Whatever fails drops the connection, and its transaction with it.
    async fn advance_once(
        &self,
        terms: &Terms,
        step: &Step,
        stage: &mut Stage,
        mark: &RejectsMark,
    ) -> Result<Advanced, LoadError> {
        let mut connection = self.connection().await?;
        let begin = format!(
            "{}; SET CONSTRAINTS ALL IMMEDIATE",
            self.postgres.begin_statements("READ COMMITTED READ WRITE")
        );
        self.run(&mut connection, &begin).await?;
        // Locked from here on: whoever else takes these messages waits, and finds the next offset then.
        let found = self.position(&mut connection, terms, &step.of).await?;
        let found = found.ok_or_else(|| taken_out(&step.of))?;
        if found.next != step.from {
            self.run(&mut connection, "ROLLBACK").await?;
            self.keep(connection);
            // This run has taken it, and the answer to its commit was lost.
            let is_own = found.next == step.next && found.run == terms.run;
            return Ok(if is_own { Advanced::Now(found) } else { Advanced::Elsewhere(found) });
        }
        stage.rejected.back_to(mark)?;
        let rejected_before = stage.rejected.count();
        let mut writer = Writer { store: self, connection: &mut connection, terms };
        let known = writer.table(stage).await?;
        let rows = writer.records(stage, &known, None).await?;
        // Before the commit: of messages that are taken, all rejected records are on the disk.
        stage.rejected.keep()?;
        let sql = STATEMENTS.advance();
        let taken: Taken = taken(step, stage, rows, rejected_before);
        let done = advancing!(asked(&sql), terms, step, taken).execute(&mut connection).await;
        if done.map_err(|error| self.failed(error))?.rows_affected() != 1 {
            return Err(taken_out(&step.of));
        }
        let now = self.position(&mut connection, terms, &step.of).await?;
        self.run(&mut connection, "COMMIT").await?;
        self.keep(connection);
        now.map(Advanced::Now).ok_or_else(|| taken_out(&step.of))
    }

    pub(in crate::jobs::load_records::store) async fn forget_positions(
        &self,
        load: &str,
        partitions: &[Partition],
        stop: &Stop,
    ) -> Result<u64, LoadError> {
        self.until_answered(stop, || async {
            let mut connection = self.connection().await?;
            let (sql, mut removed) = (Statements::remove(), 0);
            for of in partitions {
                let done = of_partition!(asked(&sql), load, of).execute(&mut connection).await;
                removed += done.map_err(|error| self.failed(error))?.rows_affected();
            }
            self.keep(connection);
            Ok(removed)
        })
        .await
    }
}
