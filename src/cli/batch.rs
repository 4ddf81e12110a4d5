//! The commands that run a batch, and what they have in common.

use super::client::ClientFlags;
use super::input::Rows;
use clap::Args;
use std::path::PathBuf;

/// `backfill-groups`.
#[derive(Debug, Args)]
#[allow(clippy::struct_excessive_bools, reason = "flags, as they were typed")]
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
    /// Also use the default groups that every workspace has, such as All Users
    #[arg(long)]
    pub include_default_groups: bool,
    /// Use groups and members that were listed more than a minute ago, up to CACHE_TTL; a dry run always does
    #[arg(long)]
    pub use_cached_groups: bool,
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
    /// Take only pairs with this e-mail address, or one that fits a pattern such as `*@example.com`; may be given
    /// several times
    #[arg(long, value_name = "EMAIL")]
    pub filter_email: Vec<String>,
    /// Leave out pairs with this e-mail address, or one that fits a pattern such as `test*`; may be given several
    /// times
    #[arg(long, value_name = "EMAIL")]
    pub exclude_email: Vec<String>,
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
    /// What an attachment that DevRev has no longer does to a pair: no merge, or a backup that says so [default: fail]
    #[arg(long, value_name = "fail|record")]
    pub on_missing_attachment: Option<String>,
    /// Send merges again whose first answer was lost or an error, if both contacts are untouched over the whole settle
    /// time
    #[arg(long)]
    pub resend_unproven: bool,
    /// What every command that runs a batch takes.
    #[command(flatten)]
    pub batch: BatchFlags,
}

/// `resume`.
#[derive(Debug, Args)]
#[allow(clippy::struct_excessive_bools, reason = "flags, as they were typed")]
pub struct Resume {
    /// The run's ID; not given: the one run with something left
    #[arg(value_name = "RUN")]
    pub run: Option<String>,
    /// Take the newest of several runs with something left
    #[arg(long, conflicts_with = "run")]
    pub latest: bool,
    /// Where no run has anything left, do nothing and exit with 0: for jobs that begin with it
    #[arg(long, conflicts_with = "run")]
    pub if_any: bool,
    /// Take the failed rows again too
    #[arg(long)]
    pub retry_failed: bool,
    /// Take rows again that were skipped, left as they were, or failed for this reason; may be given several times
    #[arg(long, value_name = "REASON")]
    pub retry: Vec<String>,
    /// Send merges again of which it is not known that they took, if both contacts are untouched over the whole
    /// settle time
    #[arg(long)]
    pub resend_unproven: bool,
    /// Of a run that carries out a plan: what is done about a row that is no longer as it was planned
    #[arg(long, value_name = "skip|abort")]
    pub on_drift: Option<String>,
    /// What may be corrected.
    #[command(flatten)]
    pub corrections: Corrections,
    /// What every command that runs a batch takes.
    #[command(flatten)]
    pub batch: BatchFlags,
}

/// `apply`.
#[derive(Debug, Args)]
pub struct Apply {
    /// The ID of the dry run whose plan is to be carried out
    #[arg(value_name = "RUN")]
    pub run: String,
    /// Carry out this many changes; the next `apply` or `resume` continues with the rest. The same as --max-changes
    #[arg(long, value_name = "N", conflicts_with = "max_changes")]
    pub limit: Option<String>,
    /// What is done about a row that is no longer as it was planned: leave it alone, or stop there
    #[arg(long, value_name = "skip|abort")]
    pub on_drift: Option<String>,
    /// Send merges again whose first answer was lost or an error, if both contacts are untouched over the whole settle
    /// time
    #[arg(long)]
    pub resend_unproven: bool,
    /// What may be corrected.
    #[command(flatten)]
    pub corrections: Corrections,
    /// What every command that runs a batch takes.
    #[command(flatten)]
    pub batch: BatchFlags,
}

/// What `resume` and `apply` may be given anew.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Corrections of what the run began with")]
pub struct Corrections {
    /// backfill-groups: for a creator in several groups
    #[arg(long, value_name = "skip|first|assigned")]
    pub on_ambiguous: Option<String>,
    /// backfill-groups: a CSV of user,group that goes before DevRev's memberships
    #[arg(long, value_name = "FILE")]
    pub group_map: Option<PathBuf>,
    /// merge-contacts: what a TICKET_COUNT that is not DevRev's count does to a pair
    #[arg(long, value_name = "fail|warn")]
    pub on_count_mismatch: Option<String>,
    /// merge-contacts: what an attachment that DevRev has no longer does to a pair
    #[arg(long, value_name = "fail|record")]
    pub on_missing_attachment: Option<String>,
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
    /// Stop after this many changes in a row failed for the same reason; 0 for no limit [default: 20]
    #[arg(long, value_name = "N")]
    pub max_same_failures: Option<String>,
    /// Stop after this many changes, with the other rows left for the next `resume`
    #[arg(long, value_name = "N")]
    pub max_changes: Option<String>,
    /// Who is told of the run.
    #[command(flatten)]
    pub watch: WatchFlags,
    /// How the client works.
    #[command(flatten)]
    pub client: ClientFlags,
}

/// Who is told of the run, and how much.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Watching it")]
pub struct WatchFlags {
    /// Say at the end where the time went
    #[arg(long)]
    pub profile: bool,
    /// Also measure this process: its memory and CPU
    #[arg(long)]
    pub monitor: bool,
    /// Keep the run's metrics in this file, for node_exporter's textfile collector
    #[arg(long, value_name = "FILE")]
    pub metrics_file: Option<String>,
    /// Serve /metrics and /healthz there during the run; a port alone is one of this machine's loopback
    #[arg(long, value_name = "ADDR")]
    pub metrics_listen: Option<String>,
    /// When Slack and e-mail are told how a run ended, where they are set up [default: failure]
    #[arg(long, value_name = "always|failure|never")]
    pub notify: Option<String>,
}
