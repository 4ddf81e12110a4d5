//! Where rows come from, and the commands that only read them.

use super::client::ClientFlags;
use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// `validate`.
#[derive(Debug, Args)]
pub struct Validate {
    /// The rows.
    #[command(flatten)]
    pub rows: Rows,
    /// What the rows are; found from the header of a CSV file if not given
    #[arg(long)]
    pub kind: Option<Kind>,
    /// Check only the first N rows
    #[arg(long, value_name = "N")]
    pub limit: Option<u64>,
    /// Also ask DevRev whether the groups and creators named exist (reads only)
    #[arg(long)]
    pub online: bool,
    /// Ask a built-in sandbox instead of DevRev
    #[arg(long, requires = "online")]
    pub sandbox: bool,
    /// How the client works.
    #[command(flatten)]
    pub client: ClientFlags,
}

/// Kinds of input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// Issues and their creators, for backfill-groups
    Groups,
    /// Contacts, for merge-contacts
    Contacts,
}

/// Where rows come from.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "The rows")]
pub struct Rows {
    /// The CSV file; `-` reads standard input. For issues: issue_id, creator_user_id, assigned_group and, if
    /// there, creator_group; for contacts: the columns of the contact export
    #[arg(long, value_name = "PATH", required_unless_present = "source")]
    pub csv: Option<PathBuf>,
    /// What separates the fields of the CSV file, such as `;` or tab [default: found from its header]
    #[arg(long, value_name = "CHAR")]
    pub delimiter: Option<String>,
    /// Read the rows from Snowflake instead; needs the settings SNOWFLAKE_...
    #[arg(long, value_name = "csv|snowflake", hide_possible_values = true)]
    pub source: Option<Source>,
    /// Ask Snowflake this instead of the default query: one SELECT or WITH that has the same columns
    #[arg(long, value_name = "SQL", conflicts_with = "query_file", allow_hyphen_values = true)]
    pub query: Option<String>,
    /// The same, from a file
    #[arg(long, value_name = "FILE")]
    pub query_file: Option<PathBuf>,
}

/// Sources of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Source {
    /// A CSV file
    Csv,
    /// A query
    Snowflake,
}

/// `sample`.
#[derive(Debug, Args)]
pub struct Sample {
    /// The CSV file; `-` reads standard input
    #[arg(long, value_name = "PATH")]
    pub csv: PathBuf,
    /// What separates the fields of the CSV file, such as `;` or tab [default: found from its header]
    #[arg(long, value_name = "CHAR")]
    pub delimiter: Option<String>,
    /// What the rows are; found from the header if not given
    #[arg(long)]
    pub kind: Option<Kind>,
    /// Rows to take; of contacts, whole pairs up to so many rows
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub size: u64,
    /// The file to write; `-` for standard output
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,
    /// Which rows of equal standing are taken: the same number takes the same ones
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,
    /// Replace the file if it is there
    #[arg(long)]
    pub force: bool,
}
