//! `--source sqlite`.

use super::Asking;
use super::queried::{Queried, Service, failure};
use crate::database::sqlite::Sqlite;
use crate::exit::Failure;
use crate::settings;
use crate::source::Source;
use crate::source::query::Query;
use crate::source::query_error::QueryError;
use crate::source::rows_file::Spooled;
use crate::source::sqlite;
use crate::stop::Stop;
use std::path::Path;

/// Reads the settings; opens nothing.
pub(super) fn open(asking: Asking<'_>) -> Result<Box<dyn Source>, Failure> {
    let (sqlite, record) = settings::database::sqlite(asking.global)?;
    Ok(Queried::open(asking, sqlite, record))
}

impl Service for Sqlite {
    const NAME: &'static str = "SQLite";
    type Error = QueryError;

    async fn spool(&self, query: &Query, to: &Path, stop: &Stop) -> Result<Spooled, QueryError> {
        sqlite::spool(self, query, to, stop).await
    }

    fn failure(error: &QueryError) -> Option<Failure> {
        failure(error)
    }
}
