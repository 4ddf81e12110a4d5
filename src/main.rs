//! Parse, run, exit.

use clap::Parser;
use devrev_batch::cli::Cli;
use std::process::ExitCode;

fn main() -> ExitCode {
    match Cli::try_parse() {
        Ok(cli) => devrev_batch::run(cli).into(),
        Err(error) => devrev_batch::not_parsed(&error, std::env::args().any(|arg| arg == "--json")).into(),
    }
}
