//! `--source snowflake`: who is asked, and what its failure means for a command.

use super::Asking;
use super::queried::{Queried, START_AGAIN, Service, failed};
use crate::exit::{Exit, Failure};
use crate::settings;
use crate::source::Source;
use crate::source::header::ColumnError;
use crate::source::query::Query;
use crate::source::rows_file::Spooled;
use crate::source::snowflake::{self, Access, SnowflakeError};
use crate::stop::Stop;
use std::path::Path;

/// Reads the settings; sends nothing.
pub(super) fn open(asking: Asking<'_>) -> Result<Box<dyn Source>, Failure> {
    let (access, record) = settings::snowflake::resolve(asking.global, asking.client)?;
    Ok(Queried::open(asking, access, record))
}

impl Service for Access {
    const NAME: &'static str = "Snowflake";
    type Error = SnowflakeError;

    async fn spool(&self, query: &Query, to: &Path, stop: &Stop) -> Result<Spooled, SnowflakeError> {
        snowflake::spool(self, query, to, stop).await
    }

    fn failure(error: &SnowflakeError) -> Option<Failure> {
        match error {
            SnowflakeError::Interrupted => None,
            error => Some(failure(error)),
        }
    }
}

/// What a failure of Snowflake's means for a command that has sent nothing to DevRev yet.
pub(crate) fn failure(error: &SnowflakeError) -> Failure {
    let (exit, next) = match error {
        SnowflakeError::Login { .. } => {
            let next = "; check SNOWFLAKE_USER and SNOWFLAKE_PASSWORD or SNOWFLAKE_PRIVATE_KEY_PATH";
            (Exit::Credentials, next)
        }
        SnowflakeError::Session { .. } => (Exit::Credentials, "; start again"),
        SnowflakeError::Columns(ColumnError::Missing(_)) => (Exit::Usage, "; name them in the query with AS"),
        SnowflakeError::Refused { .. }
        | SnowflakeError::Account { .. }
        | SnowflakeError::Key(_)
        | SnowflakeError::Query(_)
        | SnowflakeError::Columns(_) => (Exit::Usage, ""),
        SnowflakeError::Unreachable { .. } => (Exit::Stopped, START_AGAIN),
        SnowflakeError::Answer(_) | SnowflakeError::Keep(_) | SnowflakeError::Interrupted => {
            (Exit::Unexpected, "")
        }
    };
    failed(exit, error, next)
}
