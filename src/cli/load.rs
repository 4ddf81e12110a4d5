//! `load`.

use super::batch::BatchFlags;
use super::examples;
use clap::Args;
use std::path::PathBuf;

/// `load`.
#[derive(Debug, Args)]
#[allow(clippy::struct_excessive_bools, reason = "flags, as they were typed")]
#[command(after_help = examples::LOAD)]
pub struct Load {
    /// The job file, in YAML
    #[arg(value_name = "JOB", required_unless_present = "schema")]
    pub job: Option<PathBuf>,
    /// Set a parameter of the job file; lists are separated by commas; repeatable
    #[arg(long, value_name = "NAME=VALUE")]
    pub param: Vec<String>,
    /// Begin with this date
    #[arg(long, value_name = "DATE")]
    pub start_date: Option<String>,
    /// End with this date, which is included
    #[arg(long, value_name = "DATE")]
    pub end_date: Option<String>,
    /// Load only this slice, by its name in a plan; repeatable
    #[arg(long, value_name = "NAME")]
    pub only_slice: Vec<String>,
    /// Load slices that are loaded, again
    #[arg(long)]
    pub reload: bool,
    /// Fail a slice if any of its records is rejected
    #[arg(long)]
    pub strict: bool,
    /// Let mode replace delete what is there where the source has no records
    #[arg(long)]
    pub allow_empty: bool,
    /// Take the slices of part I of N, and 1/N of the rate
    #[arg(long, value_name = "I/N")]
    pub shard: Option<String>,
    /// Print a JSON Schema of job files, for editors
    #[arg(long, exclusive = true)]
    pub schema: bool,
    /// Show the slices and some records, and change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// The flags that batch commands share.
    #[command(flatten)]
    pub batch: BatchFlags,
}
