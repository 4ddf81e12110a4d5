//! The first failure that ends a run.

use crate::exit::{Exit, Failure};
use crate::stop::{Cause, Stop};
use std::sync::{Arc, Mutex, PoisonError};

/// The first failure that ends the run, shared by its stages.
#[derive(Debug, Clone)]
pub(super) struct Halt {
    pub(super) failure: Arc<Mutex<Option<Failure>>>,
    pub(super) stop: Stop,
}

impl Halt {
    /// Ends the run with this failure, unless an earlier one has. One that only says that the run is being
    /// stopped ([`Exit::Interrupted`]) is no cause of its own.
    pub(super) fn with(&self, failure: Failure) {
        if failure.exit != Exit::Interrupted {
            self.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(failure);
        }
        self.stop.set(Cause::Run);
    }
}
