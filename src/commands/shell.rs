//! `completions` and `man`.
use crate::cli;
use crate::exit::{Exit, Failure};
use std::path::Path;

/// Prints the completions of a shell.
pub fn completions(_args: &cli::around::Completions) -> Result<Exit, Failure> {
    Err(Failure::new(Exit::Usage, "not built yet"))
}

/// Prints the manual page, or writes those of all commands.
pub fn man(_dir: Option<&Path>) -> Result<Exit, Failure> {
    Err(Failure::new(Exit::Usage, "not built yet"))
}
