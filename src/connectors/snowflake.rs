//! `--source snowflake`: a query and who asks it, and what its failure means for a command.

use crate::cli;
use crate::exit::{Exit, Failure};
use crate::run::signals;
use crate::settings;
use crate::source::header::ColumnError;
use crate::source::query::Query;
use crate::source::snowflake::{self, Access, SnowflakeError};
use crate::source::{Input, Source};
use crate::stop::Stop;
use serde_json::{Map, Value};
use std::path::Path;

/// A query of Snowflake, ready to be sent.
#[derive(Debug, Clone)]
pub(crate) struct Queried {
    access: Access,
    query: Query,
    arguments: Vec<String>,
    record: Map<String, Value>,
}

impl Queried {
    /// Reads the settings; sends nothing. `arguments` ask for the same rows again.
    pub(crate) fn new(
        query: Query,
        arguments: Vec<String>,
        global: &cli::Global,
        client: &cli::client::ClientFlags,
    ) -> Result<Self, Failure> {
        let (access, record) = settings::snowflake::resolve(global, client)?;
        Ok(Self { access, query, arguments, record })
    }
}

impl Source for Queried {
    fn name(&self) -> &'static str {
        "Snowflake"
    }

    fn query(&self) -> &str {
        &self.query.statement.text
    }

    fn record(&self) -> &Map<String, Value> {
        &self.record
    }

    fn spool(&self, to: &Path, stop: &Stop) -> Result<Input, Failure> {
        let asked = snowflake::spool(&self.access, &self.query, to, stop);
        let spooled = tokio::runtime::Handle::current().block_on(asked).map_err(|error| match error {
            SnowflakeError::Interrupted => {
                signals::interrupted(stop, "interrupted while Snowflake was asked")
            }
            error => failure(&error).because(error),
        })?;
        if let Some(note) = &spooled.note {
            tracing::warn!("{note}");
        }
        Ok(Input::queried(self.name(), to, Some(spooled.fingerprint), self.arguments.clone()))
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
        SnowflakeError::Refused { .. } | SnowflakeError::Account { .. } | SnowflakeError::Key(_) => {
            (Exit::Usage, "")
        }
        SnowflakeError::Columns(ColumnError::Missing(_)) => (Exit::Usage, "; name them in the query with AS"),
        SnowflakeError::Columns(_) => (Exit::Usage, ""),
        SnowflakeError::Unreachable { .. } => (Exit::Stopped, "; nothing was sent to DevRev: start again"),
        SnowflakeError::Answer(_) | SnowflakeError::Disk { .. } | SnowflakeError::Interrupted => {
            (Exit::Unexpected, "")
        }
    };
    Failure::new(exit, format!("{error}{next}"))
}
