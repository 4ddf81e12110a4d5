//! The command line: exactly what was typed. What it means is decided in [`crate::settings`], where a flag
//! meets the environment, the `.env` file and the default, so values of settings are text here.

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

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
    /// Colours on standard error
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
    /// Take back what a run did, as far as that can be done
    Undo(Undo),
    /// Look after the backups of merged contacts
    Backups(Backups),
    /// Serve an in-memory DevRev to rehearse against
    Sandbox(Sandbox),
}

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

/// `backfill-groups`.
#[derive(Debug, Args)]
pub struct BackfillGroups {
    /// The rows.
    #[command(flatten)]
    pub rows: Rows,
    /// Take only the first N rows
    #[arg(long, value_name = "N")]
    pub limit: Option<u64>,
    /// Read, decide and show the plan; the client of a dry run cannot write
    #[arg(long)]
    pub dry_run: bool,
    /// For a creator in several groups: skip, take the first, or take the row's assigned group
    #[arg(long, value_name = "skip|first|assigned")]
    pub on_ambiguous: Option<String>,
    /// A CSV of user,group that goes before DevRev's memberships
    #[arg(long, value_name = "FILE")]
    pub group_map: Option<PathBuf>,
    /// Also change issues that have a creator group
    #[arg(long)]
    pub overwrite: bool,
    /// What every command that runs a batch takes.
    #[command(flatten)]
    pub batch: BatchFlags,
}

/// `merge-contacts`.
#[derive(Debug, Args)]
pub struct MergeContacts {
    /// The rows.
    #[command(flatten)]
    pub rows: Rows,
    /// Take only the first N pairs
    #[arg(long, value_name = "N")]
    pub limit: Option<u64>,
    /// Take only contacts with this e-mail address; may be given several times
    #[arg(long, value_name = "EMAIL")]
    pub filter_email: Vec<String>,
    /// Read, decide and show the plan; the client of a dry run cannot write
    #[arg(long, visible_alias = "preview")]
    pub dry_run: bool,
    /// Which contact of a pair stays: the one whose external reference begins with REVU- or with user_
    /// [default: revu]
    #[arg(long, value_name = "revu|user")]
    pub primary: Option<String>,
    /// What a TICKET_COUNT that is not DevRev's count does to a pair [default: fail]
    #[arg(long, value_name = "fail|warn")]
    pub on_count_mismatch: Option<String>,
    /// What every command that runs a batch takes.
    #[command(flatten)]
    pub batch: BatchFlags,
}

/// `resume`.
#[derive(Debug, Args)]
pub struct Resume {
    /// The run's ID; not given: the one run with something left
    #[arg(value_name = "RUN")]
    pub run: Option<String>,
    /// Take the newest of several runs with something left
    #[arg(long, conflicts_with = "run")]
    pub latest: bool,
    /// Take the failed rows again too
    #[arg(long)]
    pub retry_failed: bool,
    /// Send merges again of which it is not known that they took, if both contacts are untouched over the whole
    /// settle time
    #[arg(long)]
    pub resend_unproven: bool,
    /// What every command that runs a batch takes.
    #[command(flatten)]
    pub batch: BatchFlags,
}

/// `undo`.
#[derive(Debug, Args)]
pub struct Undo {
    /// The ID of the run, of backfill-groups or merge-contacts, that is to be taken back
    #[arg(value_name = "RUN")]
    pub run: String,
    /// Take back only the first N issues or pairs
    #[arg(long, value_name = "N")]
    pub limit: Option<u64>,
    /// Read, decide and show the plan; the client of a dry run cannot write
    #[arg(long, visible_alias = "preview")]
    pub dry_run: bool,
    /// What every command that runs a batch takes.
    #[command(flatten)]
    pub batch: BatchFlags,
}

/// What every command that runs a batch takes.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "The run")]
pub struct BatchFlags {
    /// Do not ask before writing
    #[arg(short, long)]
    pub yes: bool,
    /// Run against a built-in sandbox: needs no token, changes nothing real
    #[arg(long)]
    pub sandbox: bool,
    /// Where the folders of runs are [default: runs]
    #[arg(long, value_name = "DIR")]
    pub runs_dir: Option<String>,
    /// Where backups of contacts are [default: backups]
    #[arg(long, value_name = "DIR")]
    pub backup_dir: Option<String>,
    /// Rows in a batch [default: 100]
    #[arg(long, value_name = "N")]
    pub batch_size: Option<String>,
    /// Changes in flight [default: 8]
    #[arg(long, value_name = "N")]
    pub concurrency: Option<String>,
    /// Stop when more rows than this have failed
    #[arg(long, value_name = "N|P%")]
    pub max_errors: Option<String>,
    /// Stop after this many batches in a row that failed entirely [default: 5]
    #[arg(long, value_name = "N")]
    pub max_batch_failures: Option<String>,
    /// How the client works.
    #[command(flatten)]
    pub client: ClientFlags,
}

/// How the client works.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "The client")]
pub struct ClientFlags {
    /// Calls in a period; 0 for no limit but DevRev's own [default: 50, for merges 45]
    #[arg(long, value_name = "N")]
    pub rate_limit_calls: Option<String>,
    /// The period in seconds [default: 10, for merges 60]
    #[arg(long, value_name = "SECONDS")]
    pub rate_limit_period: Option<String>,
    /// Tries after the first, for calls that may be repeated [default: 3]
    #[arg(long, value_name = "N")]
    pub max_retries: Option<String>,
}

/// `backups`.
#[derive(Debug, Args)]
pub struct Backups {
    /// What to do with them.
    #[command(subcommand)]
    pub command: BackupsCommand,
}

/// What to do with backups.
#[derive(Debug, Subcommand)]
pub enum BackupsCommand {
    /// Check that backups are whole, byte for byte; change nothing
    Verify {
        /// The folder of all backups, or one backup [default: BACKUP_DIR, else backups]
        #[arg(value_name = "DIR")]
        dir: Option<PathBuf>,
    },
}

/// `sandbox`.
#[derive(Debug, Args)]
pub struct Sandbox {
    /// Where to listen; port 0 takes any
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8787")]
    pub listen: std::net::SocketAddr,
    /// The data to serve; the built-in demo data if not given
    #[arg(long, value_name = "FILE")]
    pub data: Option<PathBuf>,
    /// Answer 429 beyond so many calls in so many seconds, such as 50/10
    #[arg(long, value_name = "CALLS/SECONDS")]
    pub rate_limit: Option<String>,
    /// Break to order, such as `path=works.update,status=503,count=2`; may be given several times
    #[arg(long, value_name = "RULE")]
    pub fault: Vec<String>,
    /// Milliseconds that each answer takes
    #[arg(long, value_name = "MS", default_value_t = 0)]
    pub delay: u64,
    /// Milliseconds until a merge of contacts takes effect [default: as the data says]
    #[arg(long, value_name = "MS")]
    pub merge_delay: Option<u64>,
    /// What a merge makes of the secondary contact [default: as the data says]
    #[arg(long, value_name = "gone|moved|deleted|identity|never")]
    pub merge_ends: Option<String>,
}
