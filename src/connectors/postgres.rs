//! `--source postgres`.

use super::Asking;
use super::queried::{Queried, Service, failure};
use crate::database::postgres::Postgres;
use crate::exit::Failure;
use crate::settings;
use crate::source::Source;
use crate::source::postgres;
use crate::source::query::Query;
use crate::source::query_error::QueryError;
use crate::source::rows_file::Spooled;
use crate::stop::Stop;
use std::path::Path;

/// Reads the settings; sends nothing.
pub(super) fn open(asking: Asking<'_>) -> Result<Box<dyn Source>, Failure> {
    let (postgres, record) = settings::database::postgres(asking.global, asking.client)?;
    Ok(Queried::open(asking, postgres, record))
}

impl Service for Postgres {
    const NAME: &'static str = "PostgreSQL";
    type Error = QueryError;

    async fn spool(&self, query: &Query, to: &Path, stop: &Stop) -> Result<Spooled, QueryError> {
        postgres::spool(self, query, to, stop).await
    }

    fn failure(error: &QueryError) -> Option<Failure> {
        failure(error)
    }
}
