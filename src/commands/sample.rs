//! `sample`.
use crate::cli;
use crate::exit::{Exit, Failure};

/// Makes a small input out of a large one.
pub fn run(_args: &cli::input::Sample, _global: &cli::Global) -> Result<Exit, Failure> {
    Err(Failure::new(Exit::Usage, "not built yet"))
}
