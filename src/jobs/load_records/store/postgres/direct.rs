//! Copies a slice's records into the table itself: half the work of a temporary table. Only where no key is looked at, and where
//! a copy does what an insert would.

use super::super::refused;
use super::super::sql::{qualified, quoted};
use super::asked;
use super::copy::{Piece, Pieces};
use super::write::Writer;
use crate::database::error::DatabaseError;
use crate::jobs::load_records::error::LoadError;
use crate::jobs::load_records::file::Mode;
use crate::jobs::load_records::stage::Stage;
use sqlx::Row;

impl Writer<'_> {
    /// The rows that are in the table now; none where PostgreSQL refuses, and then nothing was written: the temporary table
    /// finds out which record it is.
    pub(super) async fn copy_directly(&mut self, stage: &mut Stage) -> Result<Option<u64>, LoadError> {
        if !matches!(self.terms.mode, Mode::Append | Mode::Replace) || !self.takes_copies().await? {
            return Ok(None);
        }
        let mark = stage.rejected.mark()?;
        self.run("SAVEPOINT direct").await?;
        let copied = match self.copied(stage).await?.map_err(|error| self.store.postgres.failed(error)) {
            Err(DatabaseError::Refused(_) | DatabaseError::Settings(_)) => None,
            copied => copied?,
        };
        if copied.is_none() {
            self.run("ROLLBACK TO SAVEPOINT direct").await?;
            stage.rejected.back_to(&mark)?;
        }
        self.run("RELEASE SAVEPOINT direct").await?;
        Ok(copied)
    }

    /// Whether a copy does what an insert would: it knows no rules, and writes into columns that number themselves.
    async fn takes_copies(&mut self) -> Result<bool, LoadError> {
        let sql = "SELECT relkind IN ('r', 'p') AND NOT relhasrules AND NOT EXISTS \
                   (SELECT FROM pg_attribute WHERE attrelid = c.oid AND attidentity = 'a' AND NOT attisdropped) \
                   FROM pg_class AS c WHERE c.oid = to_regclass($1)";
        let row = asked(sql).bind(qualified(&self.terms.table.table)).fetch_one(&mut *self.connection).await;
        row.and_then(|row| row.try_get(0)).map_err(|error| self.store.failed(error))
    }

    /// One copy for all records that follow each other and have the same columns.
    async fn copied(&mut self, stage: &mut Stage) -> Result<Result<Option<u64>, sqlx::Error>, LoadError> {
        let terms = self.terms;
        let mut pieces = Pieces::new(terms, stage, false)?;
        let mut rows = 0;
        let mut next = pieces.next().await?;
        while let Piece::Columns(_, columns) = next {
            if columns.is_empty() {
                // COPY knows no records without fields.
                return Ok(Ok(None));
            }
            let sql = format!("COPY {} ({}) FROM STDIN", qualified(&terms.table.table), quoted(&columns));
            let mut copy = match self.connection.copy_in_raw(&sql).await {
                Ok(copy) => copy,
                Err(error) => return Ok(Err(error)),
            };
            next = loop {
                match pieces.next().await? {
                    Piece::Lines(lines) => {
                        if let Err(error) = copy.send(lines).await {
                            return Ok(Err(error));
                        }
                    }
                    Piece::Unfit((record, number), field, problem) => {
                        refused(terms, &mut stage.rejected, (&record, number), field, problem)?;
                    }
                    next => break next,
                }
            };
            match copy.finish().await {
                Ok(copied) => rows += copied,
                Err(error) => return Ok(Err(error)),
            }
        }
        Ok(Ok(Some(rows)))
    }
}
