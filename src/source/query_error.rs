//! Why the rows of a query could not be had.

use super::header::ColumnError;
use super::rows_file::KeepError;
use crate::database::error::{Asks, DatabaseError};
use crate::net::redact::Secrets;

/// What went wrong. Of what a service says, `until_answered` leaves secrets out.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// The service that was asked.
    #[error(transparent)]
    Service(#[from] DatabaseError),
    /// The columns.
    #[error(transparent)]
    Columns(#[from] ColumnError),
    /// The rows could not be kept.
    #[error(transparent)]
    Keep(#[from] KeepError),
}

impl Asks for QueryError {
    fn database(&self) -> Option<&DatabaseError> {
        match self {
            Self::Service(error) => Some(error),
            Self::Columns(_) | Self::Keep(_) => None,
        }
    }

    fn without(self, secrets: &Secrets) -> Self {
        match self {
            Self::Service(error) => Self::Service(error.without(secrets)),
            other @ (Self::Columns(_) | Self::Keep(_)) => other,
        }
    }
}
