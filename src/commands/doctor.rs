//! `doctor`.
use crate::cli;
use crate::exit::{Exit, Failure};

/// Checks what a run needs.
pub async fn run(_args: cli::around::Doctor, _global: cli::Global) -> Result<Exit, Failure> {
    Err(Failure::new(Exit::Usage, "not built yet"))
}
