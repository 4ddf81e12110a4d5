//! `runs`.
use crate::cli;
use crate::exit::{Exit, Failure};
use crate::report::terminal::Terminal;

/// Shows past runs.
pub fn run(_args: cli::around::Runs, _global: &cli::Global, _terminal: &Terminal) -> Result<Exit, Failure> {
    Err(Failure::new(Exit::Usage, "not built yet"))
}
