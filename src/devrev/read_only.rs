//! The client that a dry run holds: it has no way to write.

use super::client::Client;
use super::operation::{Operation, Safety};
use crate::net::error::ApiError;
use crate::net::queue::Urgency;

/// A client that reads. An attempt to write through it does not compile.
#[derive(Debug, Clone)]
pub(crate) struct ReadOnly(Client);

impl Client {
    /// The same client, without a way to write.
    pub(crate) fn read_only(&self) -> ReadOnly {
        ReadOnly(self.clone())
    }
}

impl ReadOnly {
    /// The same client, whose calls are so urgent.
    #[must_use]
    pub(crate) fn urgent(&self, urgency: Urgency) -> Self {
        Self(self.0.urgent(urgency))
    }

    /// Reads; see [`Client::call`].
    pub(crate) async fn call<O: Operation>(&self, operation: &O) -> Result<O::Answer, ApiError> {
        const { assert!(matches!(O::SAFETY, Safety::Read), "a read-only client sends no write") };
        self.0.call(operation).await
    }

    /// Reads with a single try, for what is good to know and not needed; see [`Client::call_once`].
    pub(crate) async fn call_once<O: Operation>(&self, operation: &O) -> Result<O::Answer, ApiError> {
        const { assert!(matches!(O::SAFETY, Safety::Read), "a read-only client sends no write") };
        self.0.call_once(operation).await
    }
}
