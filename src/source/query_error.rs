//! Why the rows of a query could not be had.

use super::header::ColumnError;
use super::rows_file::KeepError;
use crate::database::error::{Asks, DatabaseError};

/// What went wrong; none of the texts has a secret in it.
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
}
