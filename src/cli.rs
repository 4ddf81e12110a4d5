//! The command line: exactly what was typed. What it means is decided in [`crate::settings`], where a flag
//! meets the environment, the `.env` file and the default, so values of settings are text here.
//!
//! - [`input`]: where rows come from, and the commands that only read them
//! - [`batch`]: the commands that run a batch, and what they have in common
//! - [`around`]: the commands round them

pub mod around;
pub mod batch;
pub mod client;
pub mod input;

use crate::exit::{Exit, Failure};
use crate::source::dialect::Dialect;
use around::{Backups, Completions, Doctor, Runs, Sandbox};
use batch::{Apply, BackfillGroups, MergeContacts, Resume, Undo};
use clap::{Args, Parser, Subcommand, ValueEnum};
use input::{Sample, Validate};
use std::fmt::Display;
use std::path::PathBuf;
use std::str::FromStr;

/// Bulk changes in DevRev that an operator can trust: planned, journalled, resumable.
///
/// Rehearse in the built-in sandbox (--sandbox), look at a dry run (--dry-run), then run. A run that was
/// interrupted goes on with `resume`.
#[derive(Debug, Parser)]
#[command(name = "devrev-batch", version, max_term_width = 100)]
pub struct Cli {
    /// What every command takes.
    #[command(flatten)]
    pub global: Global,
    /// The command.
    #[command(subcommand)]
    pub command: Command,
}

/// What every command takes.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Everywhere")]
pub struct Global {
    /// Read settings from this file instead of `.env`
    #[arg(long, global = true, value_name = "FILE")]
    pub env_file: Option<PathBuf>,
    /// Log as much as this on standard error: error, warn, info, debug or trace [default: warn]
    #[arg(long, global = true, value_name = "LEVEL")]
    pub log_level: Option<String>,
    /// How logs look on standard error
    #[arg(long, global = true, value_name = "FORMAT", default_value = "text")]
    pub log_format: LogFormat,
    /// No progress; only warnings, errors and the result
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// One JSON object on standard output instead of text
    #[arg(long, global = true)]
    pub json: bool,
    /// Colours in logs and tables
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub color: Color,
}

/// How logs look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
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
    /// Check an input; change nothing, and send nothing unless --online
    Validate(Validate),
    /// Fill in missing creator groups on issues
    BackfillGroups(BackfillGroups),
    /// Merge duplicate contacts, each backed up before
    MergeContacts(MergeContacts),
    /// Go on with a run that was interrupted or stopped
    Resume(Resume),
    /// Carry out exactly what a dry run planned
    Apply(Apply),
    /// Take back what a run did, as far as that can be done
    Undo(Undo),
    /// Past runs, how they stand and what to do next
    Runs(Runs),
    /// Look after the backups of merged contacts
    Backups(Backups),
    /// Check the token, the API, the limits, Snowflake and this machine
    Doctor(Doctor),
    /// Make a small input out of a large one, for a first try
    Sample(Sample),
    /// Serve an in-memory DevRev to rehearse against
    Sandbox(Sandbox),
    /// Print the completions of a shell
    Completions(Completions),
    /// Print the manual page, or write one for every command
    Man {
        /// Write the pages of all commands into this folder
        #[arg(long, value_name = "DIR")]
        dir: Option<PathBuf>,
    },
}

/// One of the words that a flag takes.
pub fn choice<T>(flag: &str, typed: Option<&str>, default: T) -> Result<T, Failure>
where
    T: FromStr,
    T::Err: Display,
{
    let Some(typed) = typed else { return Ok(default) };
    typed.parse().map_err(|why| Failure::new(Exit::Usage, format!("--{flag}: `{typed}` {why}")))
}

/// How a CSV file is read, as it was typed.
pub fn dialect(delimiter: Option<&str>) -> Result<Dialect, Failure> {
    Dialect::typed(delimiter).map_err(|why| Failure::new(Exit::Usage, why))
}
