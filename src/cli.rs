//! The command line: exactly what was typed. What it means is decided in [`crate::settings`], where a flag
//! meets the environment, the `.env` file and the default, so values of settings are text here.
//!
//! - [`input`]: where rows come from, and the commands that only read them
//! - [`batch`]: the commands that run a batch, and the flags they share
//! - [`migrate`]: `migrate`; [`around`]: the other commands
//! - [`choices`]: the flags that take one of a few words
//! - [`examples`]: the examples at the end of each command's help

pub mod around;
pub mod batch;
pub mod choices;
pub mod client;
pub mod examples;
pub mod input;
#[cfg(feature = "load")]
pub mod load;
pub mod migrate;

use crate::exit::{Exit, Failure};
use crate::source::dialect::Dialect;
use around::{Backups, Completions, Doctor, Man, Runs, Sandbox};
use batch::{Apply, BackfillGroups, Create, Export, MergeContacts, Resume, Undo, Update};
use clap::{Args, Parser, Subcommand, ValueEnum};
use input::{Sample, Validate};
use migrate::Migrate;
use std::path::PathBuf;
use std::str::FromStr;

/// Make bulk changes in DevRev: planned, journalled, resumable
///
/// Rehearse in the built-in sandbox (--sandbox), check a dry run (--dry-run), then run. Continue an interrupted run
/// with `resume`.
#[derive(Debug, Parser)]
#[command(name = "devrev-batch", version, max_term_width = 100, after_help = examples::PROGRAM)]
pub struct Cli {
    /// Flags of every command.
    #[command(flatten)]
    pub global: Global,
    /// The command.
    #[command(subcommand)]
    pub command: Command,
}

/// Flags of every command.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// Read settings from this file [default: .env]
    #[arg(long, global = true, value_name = "FILE")]
    pub env_file: Option<PathBuf>,
    /// Set the log level on standard error: error, warn, info, debug or trace [default: warn]
    #[arg(long, global = true, value_name = "LEVEL")]
    pub log_level: Option<String>,
    /// Set the format of logs on standard error
    #[arg(long, global = true, value_name = "FORMAT", default_value = "text")]
    pub log_format: LogFormat,
    /// Hide progress; print only warnings, errors and the result
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// Print one JSON object instead of text
    #[arg(long, global = true)]
    pub json: bool,
    /// Colour logs and tables
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub color: Color,
}

/// How logs look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people
    Text,
    /// One JSON object per line
    Json,
}

/// When to colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal, unless NO_COLOR is set
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Check an input; change nothing
    Validate(Validate),
    /// Fill in missing creator groups on issues
    BackfillGroups(BackfillGroups),
    /// Merge duplicate contacts, after backing them up
    MergeContacts(MergeContacts),
    /// Write issues, tickets, accounts, contacts and others into a file that `update` takes back
    Export(Export),
    /// Change any field of issues, tickets, accounts, contacts and others, from a CSV file
    Update(Update),
    /// Create issues, tickets, accounts, contacts and others from a CSV file, each once
    Create(Create),
    /// Load records from an API or files into a database, as a job file says
    #[cfg(feature = "load")]
    Load(load::Load),
    /// Continue a run that was interrupted or stopped
    Resume(Resume),
    /// Apply exactly what a dry run planned
    Apply(Apply),
    /// Undo what a run did, as far as DevRev allows
    Undo(Undo),
    /// Make and change the tables of a database by numbered SQL files, each once
    Migrate(Migrate),
    /// List past runs, their state and the next step
    Runs(Runs),
    /// Check or clean up the backups of merged contacts
    Backups(Backups),
    /// Check the token, the API, the limits, Snowflake and this machine
    Doctor(Doctor),
    /// Take a small input from a large one, for a first try
    Sample(Sample),
    /// Serve an in-memory DevRev to rehearse against
    Sandbox(Sandbox),
    /// Print shell completions
    Completions(Completions),
    /// Print the manual page, or write one for every command
    Man(Man),
}

/// How to read a CSV file, as it was typed.
pub fn dialect(delimiter: Option<&str>) -> Result<Dialect, Failure> {
    Dialect::typed(delimiter).map_err(|why| Failure::new(Exit::Usage, why))
}

/// A whole number, as it was typed.
pub(crate) fn whole<T: FromStr>(text: &str) -> Result<T, &'static str> {
    text.trim().parse().map_err(|_| "not a whole number, 0 or more")
}

/// The same, from 1 on.
pub(crate) fn whole_from_one(text: &str) -> Result<u64, &'static str> {
    whole(text).ok().filter(|number| *number > 0).ok_or("not a whole number from 1 on")
}

/// A name and a value on either side of the first `=`, as they were typed after a flag.
pub fn pair(flag: &str, text: &str) -> Result<(String, String), Failure> {
    match text.split_once('=') {
        Some((name, value)) if !name.trim().is_empty() => Ok((name.trim().to_owned(), value.to_owned())),
        _ => Err(Failure::new(Exit::Usage, format!("{flag} {text}: a name, `=` and a value are needed"))),
    }
}
