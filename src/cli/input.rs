//! Where rows come from, and the commands that only read them.

use super::choices::{ObjectName, OnEmpty};
use super::client::ClientFlags;
use super::examples;
use super::whole;
use crate::kind::Kind;
use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// `validate`.
#[derive(Debug, Args)]
#[command(after_help = examples::VALIDATE)]
pub struct Validate {
    /// The rows.
    #[command(flatten)]
    pub rows: RowsArgs,
    /// Set what the rows are [default: found from the header of a CSV file]
    #[arg(long)]
    pub kind: Option<Kind>,
    /// Set what the rows of --kind update are about
    #[arg(long, value_name = "OBJECT")]
    pub object: Option<ObjectName>,
    /// Check a job file of `load`; with --online also what its checks say of the target
    #[cfg(feature = "load")]
    #[arg(long, value_name = "JOB", conflicts_with_all = ["csv", "jsonl", "source", "kind", "object"])]
    pub job: Option<PathBuf>,
    /// Set a parameter of the job file; repeatable
    #[cfg(feature = "load")]
    #[arg(long, value_name = "NAME=VALUE", requires = "job")]
    pub param: Vec<String>,
    /// For --kind update: the file that `export` wrote, and that the rows were edited from
    #[arg(long, value_name = "FILE", requires = "object")]
    pub base: Option<PathBuf>,
    /// For --kind update: the field by which objects are found instead of by ID
    #[arg(long = "match", value_name = "FIELD", requires = "object")]
    pub key: Option<String>,
    /// For --kind update: read a column as this field; repeatable
    #[arg(long, value_name = "COLUMN=FIELD", requires = "object")]
    pub map: Vec<String>,
    /// For --kind update: the value that a field gets in every row's object; repeatable
    #[arg(long, value_name = "FIELD=VALUE", requires = "object")]
    pub set: Vec<String>,
    /// For --kind update: leave a column out; repeatable
    #[arg(long, value_name = "COLUMN", requires = "object")]
    pub ignore: Vec<String>,
    /// For --kind update: choose what an empty cell means
    #[arg(long = "empty", value_name = "CHOICE", default_value = "leave", requires = "object")]
    pub on_empty: OnEmpty,
    /// For --kind update: take tags that do not exist for new ones
    #[arg(long, requires = "object")]
    pub create_tags: bool,
    /// Check only the first N rows
    #[arg(long, value_name = "N", value_parser = whole::<u64>)]
    pub limit: Option<u64>,
    /// Ask DevRev whether what the rows name exists (reads only)
    #[arg(long)]
    pub online: bool,
    /// Ask a built-in sandbox instead of DevRev
    #[arg(long, requires = "online")]
    pub sandbox: bool,
    /// How to call DevRev.
    #[command(flatten)]
    pub client: ClientFlags,
}

/// Where rows come from.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Input options")]
pub struct RowsArgs {
    /// Read this CSV file, or with --source jsonl this file of JSON lines; `-` reads standard input
    ///
    /// For issues: the columns issue_id, creator_user_id, assigned_group and, if there, creator_group. For contacts:
    /// the columns of the contact export. For update: a column `id`, and a column for each field by its API name (title,
    /// tnt__region); tags:add, tags:remove and severity:was add to a list, remove from it, and say what a field has to be.
    #[arg(long, value_name = "PATH")]
    pub csv: Option<PathBuf>,
    /// Read this file of JSON objects, one per line; `-` reads standard input
    #[arg(long, value_name = "PATH", conflicts_with = "csv")]
    pub jsonl: Option<PathBuf>,
    /// Split fields at this character, such as `;` or tab [default: found from the header]
    #[arg(long, value_name = "CHAR")]
    pub delimiter: Option<String>,
    /// Choose where rows come from; the databases need settings: SNOWFLAKE_..., DATABASE_URL, CLICKHOUSE_..., METABASE_...
    /// [default: csv, or jsonl with --jsonl]
    #[arg(long, value_name = "CHOICE")]
    pub source: Option<Source>,
    /// Send this query instead of the default: one SELECT or WITH with the same columns
    #[arg(long, value_name = "SQL", conflicts_with = "query_file", allow_hyphen_values = true)]
    pub query: Option<String>,
    /// Read the query from this file
    #[arg(long, value_name = "FILE")]
    pub query_file: Option<PathBuf>,
}

/// Sources of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Source {
    /// A CSV file (--csv)
    Csv,
    /// A file of JSON objects, one per line (--jsonl)
    Jsonl,
    /// A Snowflake query (SNOWFLAKE_...)
    Snowflake,
    /// A PostgreSQL query (DATABASE_URL)
    Postgres,
    /// A query of an SQLite file (DATABASE_URL)
    Sqlite,
    /// A ClickHouse query (CLICKHOUSE_...)
    Clickhouse,
    /// A query of a database that Metabase knows (METABASE_...)
    Metabase,
}

impl Source {
    /// Those that are asked a query.
    pub(crate) const DATABASES: [Self; 5] =
        [Self::Snowflake, Self::Postgres, Self::Sqlite, Self::Clickhouse, Self::Metabase];

    /// The Cargo feature that it needs.
    pub(crate) fn feature(self) -> &'static str {
        match self {
            Self::Csv | Self::Jsonl | Self::Metabase => "default",
            Self::Snowflake => "snowflake",
            Self::Postgres | Self::Sqlite => "sql",
            Self::Clickhouse => "clickhouse",
        }
    }
}

impl RowsArgs {
    /// Where rows come from: what was said, or what a path says.
    pub(crate) fn source(&self) -> Source {
        match self.source {
            Some(source) => source,
            None if self.jsonl.is_some() => Source::Jsonl,
            None => Source::Csv,
        }
    }
}

/// `sample`.
#[derive(Debug, Args)]
#[command(after_help = examples::SAMPLE)]
pub struct Sample {
    /// The rows.
    #[command(flatten)]
    pub rows: RowsArgs,
    /// Set what the rows are [default: found from the header]
    #[arg(long)]
    pub kind: Option<Kind>,
    /// Take this many rows; of contacts, whole pairs
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = whole::<u64>)]
    pub size: u64,
    /// Write this file; `-` writes standard output
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,
    /// Choose among equal rows; the same number takes the same rows
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = whole::<u64>)]
    pub seed: u64,
    /// Replace the file if it exists
    #[arg(long)]
    pub force: bool,
}
