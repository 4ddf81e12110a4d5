//! `--source postgres` and `--source sqlite`: a query and where it is asked, and what its failure means for a command.

use crate::cli;
use crate::exit::{Exit, Failure};
use crate::run::signals;
use crate::settings;
use crate::source::database::{self, Access, DatabaseError, Kind};
use crate::source::query::Query;
use crate::source::{Input, Source};
use crate::stop::Stop;
use serde_json::{Map, Value, json};
use std::path::Path;

/// A query of a database, ready to be sent.
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
        kind: Kind,
        query: Query,
        arguments: Vec<String>,
        global: &cli::Global,
    ) -> Result<Self, Failure> {
        let (url, from) = settings::database::url(global)?;
        let access = Access { kind, url };
        let place = access.place().map_err(|error| failure(&error))?;
        let record =
            [("DATABASE_URL".to_owned(), json!({ "value": place, "from": from }))].into_iter().collect();
        Ok(Self { access, query, arguments, record })
    }
}

impl Source for Queried {
    fn name(&self) -> &'static str {
        self.access.kind.name()
    }

    fn query(&self) -> &str {
        &self.query.statement.text
    }

    fn record(&self) -> &Map<String, Value> {
        &self.record
    }

    fn spool(&self, to: &Path, stop: &Stop) -> Result<Input, Failure> {
        let asked = database::spool(&self.access, &self.query, to, stop);
        let spooled = tokio::runtime::Handle::current().block_on(asked).map_err(|error| match error {
            DatabaseError::Interrupted => {
                signals::interrupted(stop, "interrupted while the database was asked")
            }
            error => failure(&error).because(error),
        })?;
        if let Some(note) = &spooled.note {
            tracing::warn!("{note}");
        }
        Ok(Input::queried(self.name(), to, Some(spooled.fingerprint), self.arguments.clone()))
    }
}

/// What a failure means for a command that has sent nothing to DevRev yet.
fn failure(error: &DatabaseError) -> Failure {
    let (exit, next) = match error {
        DatabaseError::Address { .. } | DatabaseError::Refused { .. } => (Exit::Usage, ""),
        DatabaseError::Connect { .. } => (Exit::Usage, "; check DATABASE_URL"),
        DatabaseError::Columns(_) => (Exit::Usage, "; name them in the query with AS"),
        DatabaseError::Lost { .. } => (Exit::Stopped, "; nothing was sent to DevRev: start again"),
        DatabaseError::Disk { .. } | DatabaseError::Interrupted => (Exit::Unexpected, ""),
    };
    Failure::new(exit, format!("{error}{next}"))
}
