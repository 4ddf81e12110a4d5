//! `--source clickhouse`.

use super::Asking;
use super::queried::{Queried, Service, failure};
use crate::database::clickhouse::Clickhouse;
use crate::exit::Failure;
use crate::settings;
use crate::source::Source;
use crate::source::clickhouse;
use crate::source::query::Query;
use crate::source::query_error::QueryError;
use crate::source::rows_file::Spooled;
use crate::stop::Stop;
use std::path::Path;

/// Reads the settings; sends nothing.
pub(super) fn open(asking: Asking<'_>) -> Result<Box<dyn Source>, Failure> {
    let (clickhouse, record) = settings::clickhouse::resolve(asking.global, asking.client)?;
    Ok(Queried::open(asking, clickhouse, record))
}

impl Service for Clickhouse {
    const NAME: &'static str = "ClickHouse";
    type Error = QueryError;

    async fn spool(&self, query: &Query, to: &Path, stop: &Stop) -> Result<Spooled, QueryError> {
        clickhouse::spool(self, query, to, stop).await
    }

    fn failure(error: &QueryError) -> Option<Failure> {
        failure(error)
    }
}
