//! What makes a run's backups, and why one may not be made.

use crate::backup::error::BackupError;
use crate::cli::choices::OnMissingAttachment;
use crate::devrev::read_only::ReadOnly;
use crate::devrev::storage::Storage;
use crate::net::error::ApiError;
use std::path::PathBuf;

/// Why a contact is not backed up.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// Something could not be read from DevRev.
    Unread(ApiError),
    /// Something could not be written.
    Disk(BackupError),
    /// There is no room for it.
    Full(String),
    /// An attachment is missing in DevRev.
    Gone(String),
    /// The backup does not hold what it should.
    Short(String),
}

impl From<BackupError> for Trouble {
    fn from(error: BackupError) -> Self {
        Self::Disk(error)
    }
}

impl From<ApiError> for Trouble {
    fn from(error: ApiError) -> Self {
        Self::Unread(error)
    }
}

/// Makes backups below one folder.
#[derive(Debug)]
pub(crate) struct Backups {
    pub(super) reads: ReadOnly,
    pub(super) storage: Storage,
    pub(super) root: PathBuf,
    pub(super) run: String,
    /// Whether another number of tickets than the row's is put up with.
    pub(super) any_count: bool,
    pub(super) on_missing: OnMissingAttachment,
}

/// Does what may block for long, an fsync above all, without holding up other pairs.
pub(crate) fn on_disk<T>(work: impl FnOnce() -> T) -> T {
    use tokio::runtime::{Handle, RuntimeFlavor};
    match Handle::try_current().map(|handle| handle.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(work),
        _ => work(),
    }
}
