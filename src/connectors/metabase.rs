//! `--source metabase`.

use super::Asking;
use super::queried::{Queried, Service, failure};
use crate::exit::Failure;
use crate::settings;
use crate::source::Source;
use crate::source::metabase::Metabase;
use crate::source::query::Query;
use crate::source::query_error::QueryError;
use crate::source::rows_file::Spooled;
use crate::stop::Stop;
use std::path::Path;

/// Reads the settings; sends nothing.
pub(super) fn open(asking: Asking<'_>) -> Result<Box<dyn Source>, Failure> {
    let (metabase, record) = settings::metabase::resolve(asking.global, asking.client)?;
    Ok(Queried::open(asking, metabase, record))
}

impl Service for Metabase {
    const NAME: &'static str = "Metabase";
    type Error = QueryError;

    async fn spool(&self, query: &Query, to: &Path, stop: &Stop) -> Result<Spooled, QueryError> {
        Metabase::spool(self, query, to, stop).await
    }

    fn failure(error: &QueryError) -> Option<Failure> {
        failure(error)
    }
}
