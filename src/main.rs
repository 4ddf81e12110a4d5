//! Parse, run, exit.

use clap::Parser;
use devrev_batch::cli::Cli;
use std::process::ExitCode;

fn main() -> ExitCode {
    devrev_batch::run(Cli::parse()).into()
}
