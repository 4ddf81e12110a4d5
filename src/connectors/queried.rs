//! A query and the service that answers it, as a [`Source`].

use super::Asking;
use crate::database::error::DatabaseError;
use crate::exit::{Exit, Failure};
use crate::run::signals;
use crate::source::header::ColumnError;
use crate::source::query::Query;
use crate::source::query_error::QueryError;
use crate::source::rows_file::{KeepError, Spooled};
use crate::source::{Input, Source};
use crate::stop::Stop;
use serde_json::{Map, Value};
use std::fmt::Debug;
use std::future::Future;
use std::path::Path;

/// A service that answers queries.
pub(super) trait Service: Debug + Send + 'static {
    /// What people call it.
    const NAME: &'static str;
    /// Why it has not answered.
    type Error: std::error::Error + Send + Sync + 'static;

    /// Keeps the rows of a query as CSV in a new file at `to`, which is gone again if this fails.
    fn spool(
        &self,
        query: &Query,
        to: &Path,
        stop: &Stop,
    ) -> impl Future<Output = Result<Spooled, Self::Error>>;

    /// What an error means for a command; `None` for the stop signal.
    fn failure(error: &Self::Error) -> Option<Failure>;
}

/// A query, ready to be sent.
#[derive(Debug)]
pub(super) struct Queried<S> {
    service: S,
    query: Query,
    arguments: Vec<String>,
    record: Map<String, Value>,
}

impl<S: Service> Queried<S> {
    /// A query for this service; `record` has its settings without secrets.
    pub(super) fn open(asking: Asking<'_>, service: S, record: Map<String, Value>) -> Box<dyn Source> {
        let Asking { query, arguments, .. } = asking;
        Box::new(Self { service, query, arguments, record })
    }
}

impl<S: Service> Source for Queried<S> {
    fn name(&self) -> &str {
        S::NAME
    }

    fn query(&self) -> Option<&str> {
        Some(&self.query.statement.text)
    }

    fn record(&self) -> &Map<String, Value> {
        &self.record
    }

    fn spool(&self, to: &Path, stop: &Stop) -> Result<Input, Failure> {
        let asked = self.service.spool(&self.query, to, stop);
        let spooled = tokio::runtime::Handle::current().block_on(asked).map_err(|error| {
            let failure = S::failure(&error).unwrap_or_else(|| {
                signals::interrupted(stop, &format!("interrupted while {} was asked", S::NAME))
            });
            failure.because(error)
        })?;
        if let Some(note) = &spooled.note {
            tracing::warn!("{note}");
        }
        Ok(Input::of_source(S::NAME, to, Some(spooled.fingerprint), self.arguments.clone()))
    }
}

/// What an error means for a command that has sent nothing to DevRev yet; `None` for the stop signal.
pub(super) fn failure(error: &QueryError) -> Option<Failure> {
    let (exit, next) = match error {
        QueryError::Service(DatabaseError::Interrupted) => return None,
        QueryError::Service(DatabaseError::Login { .. }) => (Exit::Credentials, ""),
        QueryError::Service(DatabaseError::Unreachable { .. }) => (Exit::Stopped, START_AGAIN),
        QueryError::Service(DatabaseError::TooSlow { .. }) => (Exit::Stopped, "; nothing was sent to DevRev"),
        QueryError::Columns(ColumnError::Missing(_)) => (Exit::Usage, "; name them in the query with AS"),
        QueryError::Service(DatabaseError::Refused(_) | DatabaseError::Settings(_))
        | QueryError::Columns(_) => (Exit::Usage, ""),
        QueryError::Keep(KeepError::TooLong { .. }) => (Exit::InvalidInput, "; leave it out of the query"),
        QueryError::Service(DatabaseError::Answer { .. }) | QueryError::Keep(_) => (Exit::Unexpected, ""),
    };
    Some(failed(exit, error, next))
}

/// What is said next to an error that may pass.
pub(super) const START_AGAIN: &str = "; nothing was sent to DevRev: start again";

/// A failure with this exit code, and what to do about it.
pub(super) fn failed(exit: Exit, error: &dyn std::error::Error, next: &str) -> Failure {
    Failure::new(exit, format!("{error}{next}"))
}
