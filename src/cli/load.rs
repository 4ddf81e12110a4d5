//! `load`.

use super::batch::BatchFlags;
use super::choices::OnGap;
use super::examples;
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// `load`.
#[derive(Debug, Args)]
#[allow(clippy::struct_excessive_bools, reason = "flags, as they were typed")]
#[command(after_help = examples::LOAD, args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct Load {
    /// What to do instead of loading.
    #[command(subcommand)]
    pub command: Option<LoadCommand>,
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
    /// Choose what to do where brokers of Kafka have removed messages before they were loaded
    #[arg(long, value_name = "CHOICE", default_value = "stop")]
    pub on_gap: OnGap,
    /// Go on with new messages of Kafka until a signal, as a member of the consumer group
    #[arg(long, conflicts_with_all = ["dry_run", "show", "only_slice", "shard", "reload"])]
    pub follow: bool,
    /// Also serve the metrics of --follow under this prefix, such as `processor`
    #[arg(long, value_name = "PREFIX", requires = "follow")]
    pub metrics_prefix: Option<String>,
    /// Take the slices of part I of N, and 1/N of the rate
    #[arg(long, value_name = "I/N")]
    pub shard: Option<String>,
    /// Show N records of the first slice that would be loaded, before and after the transform, and end
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1000))]
    #[arg(conflicts_with_all = ["dry_run", "reload", "yes"])]
    pub show: Option<u64>,
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

/// What to do instead of loading.
#[derive(Debug, Subcommand)]
pub enum LoadCommand {
    /// Look after the table of the target that says which slices are loaded
    #[command(after_help = examples::LOAD_LEDGER)]
    Ledger {
        /// What to do.
        #[command(subcommand)]
        command: LedgerCommand,
    },
}

/// What to do with a ledger.
#[derive(Debug, Subcommand)]
pub enum LedgerCommand {
    /// List the slices that are loaded, with their records, run and time
    #[command(after_help = examples::LOAD_LEDGER_LIST)]
    List {
        /// Whose ledger.
        #[command(flatten)]
        of: LedgerOf,
    },
    /// Remove slices from the ledger: their records stay, and the next load loads them again
    #[command(after_help = examples::LOAD_LEDGER_FORGET)]
    Forget {
        /// Whose ledger.
        #[command(flatten)]
        of: LedgerOf,
        /// Remove this slice, by its name in the list; repeatable
        #[arg(long, value_name = "NAME", required_unless_present = "all")]
        slice: Vec<String>,
        /// Remove all slices of the load
        #[arg(long, conflicts_with = "slice")]
        all: bool,
        /// Do not ask for confirmation
        #[arg(long)]
        yes: bool,
    },
}

/// Whose ledger.
#[derive(Debug, Args)]
pub struct LedgerOf {
    /// The job file, in YAML
    #[arg(value_name = "JOB")]
    pub job: PathBuf,
    /// Set a parameter of the job file; repeatable
    #[arg(long, value_name = "NAME=VALUE")]
    pub param: Vec<String>,
}
