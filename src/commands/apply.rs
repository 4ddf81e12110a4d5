//! `apply`.
use crate::cli;
use crate::exit::{Exit, Failure};
use crate::report::terminal::Terminal;

/// Carries out a plan.
pub async fn run(
    _args: cli::batch::Apply,
    _global: cli::Global,
    _terminal: Terminal,
) -> Result<Exit, Failure> {
    Err(Failure::new(Exit::Usage, "not built yet"))
}
