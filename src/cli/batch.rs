//! The commands that run a batch, and the flags they share.

use super::choices::{
    ExportFormat, Keep, Notify, ObjectName, OnAmbiguous, OnCountMismatch, OnDrift, OnEmpty, OnMissing,
    OnMissingAttachment,
};
use super::client::ClientFlags;
use super::examples;
use super::input::RowsArgs;
use super::{whole, whole_from_one};
use clap::Args;
use std::path::PathBuf;

/// `backfill-groups`.
#[derive(Debug, Args)]
#[allow(clippy::struct_excessive_bools, reason = "flags, as they were typed")]
#[command(after_help = examples::BACKFILL_GROUPS)]
pub struct BackfillGroups {
    /// The rows.
    #[command(flatten)]
    pub rows: RowsArgs,
    /// Process only the first N rows
    #[arg(long, value_name = "N", value_parser = whole::<u64>)]
    pub limit: Option<u64>,
    /// Show the plan and change nothing: a dry run's client cannot write
    #[arg(long)]
    pub dry_run: bool,
    /// Choose what to do for a creator who is in several groups
    #[arg(long, value_name = "CHOICE", default_value = "skip")]
    pub on_ambiguous: OnAmbiguous,
    /// Use this CSV of user,group before DevRev's memberships
    #[arg(long, value_name = "FILE")]
    pub group_map: Option<PathBuf>,
    /// Replace creator groups that are already set
    #[arg(long)]
    pub overwrite: bool,
    /// Use the default groups that every workspace has, such as All Users
    #[arg(long)]
    pub include_default_groups: bool,
    /// Use cached groups and members up to CACHE_TTL old, as a dry run does [default: at most a minute old]
    #[arg(long)]
    pub use_cached_groups: bool,
    /// The flags that batch commands share.
    #[command(flatten)]
    pub batch: BatchFlags,
}

/// `merge-contacts`.
#[derive(Debug, Args)]
#[command(after_help = examples::MERGE_CONTACTS)]
pub struct MergeContacts {
    /// The rows.
    #[command(flatten)]
    pub rows: RowsArgs,
    /// Process only the first N pairs
    #[arg(long, value_name = "N", value_parser = whole::<u64>)]
    pub limit: Option<u64>,
    /// Merge only pairs with this e-mail address or pattern, such as `*@example.com`; repeatable
    #[arg(long, value_name = "EMAIL")]
    pub filter_email: Vec<String>,
    /// Leave out pairs with this e-mail address or pattern, such as `test*`; repeatable
    #[arg(long, value_name = "EMAIL")]
    pub exclude_email: Vec<String>,
    /// Show the plan and change nothing: a dry run's client cannot write
    #[arg(long, visible_alias = "preview")]
    pub dry_run: bool,
    /// Choose which contact of a pair to keep
    #[arg(long, value_name = "CHOICE", default_value = "revu")]
    pub primary: Keep,
    /// Choose what to do when a pair's TICKET_COUNT differs from DevRev's count
    #[arg(long, value_name = "CHOICE", default_value = "fail")]
    pub on_count_mismatch: OnCountMismatch,
    /// Choose what to do when DevRev no longer has an attachment that it refers to
    #[arg(long, value_name = "CHOICE", default_value = "fail")]
    pub on_missing_attachment: OnMissingAttachment,
    /// Resend merges whose outcome is unknown, if neither contact changed during the settle time
    #[arg(long)]
    pub resend_unproven: bool,
    /// The flags that batch commands share.
    #[command(flatten)]
    pub batch: BatchFlags,
}

/// `export`.
#[derive(Debug, Args)]
#[command(after_help = examples::EXPORT)]
pub struct Export {
    /// Set what to export
    #[arg(long, value_name = "OBJECT")]
    pub object: ObjectName,
    /// Export these fields, separated by commas [default: all that can be written, and the dates]
    #[arg(long, value_name = "FIELDS", value_delimiter = ',')]
    pub fields: Vec<String>,
    /// Export only objects that have this value; repeatable
    #[arg(long = "where", value_name = "FIELD=VALUE")]
    pub condition: Vec<String>,
    /// Export only objects that were changed on or after this date
    #[arg(long, value_name = "DATE")]
    pub changed_since: Option<String>,
    /// Choose the format
    #[arg(long, value_name = "FORMAT", default_value = "csv")]
    pub format: ExportFormat,
    /// Add columns with the names behind IDs, such as #owned_by; `update` leaves them alone
    #[arg(long)]
    pub names: bool,
    /// Write this file; `-` writes standard output
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,
    /// Replace the file if it exists
    #[arg(long)]
    pub force: bool,
    /// Read from a built-in sandbox: needs no token
    #[arg(long)]
    pub sandbox: bool,
    /// Keep run folders here [default: runs]
    #[arg(long, value_name = "DIR")]
    pub runs_dir: Option<String>,
    /// How to call DevRev.
    #[command(flatten)]
    pub client: ClientFlags,
}

/// `update`.
#[derive(Debug, Args)]
#[allow(clippy::struct_excessive_bools, reason = "flags, as they were typed")]
#[command(after_help = examples::UPDATE)]
pub struct Update {
    /// Set what the rows are about
    #[arg(long, value_name = "OBJECT")]
    pub object: ObjectName,
    /// The rows.
    #[command(flatten)]
    pub rows: RowsArgs,
    /// Change only what differs from this file, which `export` wrote
    #[arg(long, value_name = "FILE")]
    pub base: Option<PathBuf>,
    /// Find objects by this field instead of by ID: external_ref, display_name, domain or email
    #[arg(long = "match", value_name = "FIELD")]
    pub key: Option<String>,
    /// Read a column as this field; repeatable
    #[arg(long, value_name = "COLUMN=FIELD")]
    pub map: Vec<String>,
    /// Set a field to the same value in every row's object; repeatable
    #[arg(long, value_name = "FIELD=VALUE")]
    pub set: Vec<String>,
    /// Leave a column out; repeatable
    #[arg(long, value_name = "COLUMN")]
    pub ignore: Vec<String>,
    /// Change only objects that have this value now; repeatable
    #[arg(long = "where", value_name = "FIELD=VALUE")]
    pub condition: Vec<String>,
    /// Choose what an empty cell means; the cell \C always empties a field
    #[arg(long = "empty", value_name = "CHOICE", default_value = "leave")]
    pub on_empty: OnEmpty,
    /// Choose what to do with a row whose object is not there
    #[arg(long, value_name = "CHOICE", default_value = "fail")]
    pub on_missing: OnMissing,
    /// Leave out rows that are wrong instead of refusing the file
    #[arg(long)]
    pub skip_invalid: bool,
    /// Do not ask DevRev to check that required custom fields are set
    #[arg(long)]
    pub no_required_check: bool,
    /// Create tags that do not exist instead of failing the rows that name them
    #[arg(long)]
    pub create_tags: bool,
    /// Process only the first N rows
    #[arg(long, value_name = "N", value_parser = whole::<u64>)]
    pub limit: Option<u64>,
    /// Show the plan and change nothing: a dry run's client cannot write
    #[arg(long)]
    pub dry_run: bool,
    /// The flags that batch commands share.
    #[command(flatten)]
    pub batch: BatchFlags,
}

/// `create`.
#[derive(Debug, Args)]
#[allow(clippy::struct_excessive_bools, reason = "flags, as they were typed")]
#[command(after_help = examples::CREATE)]
pub struct Create {
    /// Set what the rows create
    #[arg(long, value_name = "OBJECT")]
    pub object: ObjectName,
    /// The rows.
    #[command(flatten)]
    pub rows: RowsArgs,
    /// Read a column as this field; the key is external_ref; repeatable
    #[arg(long, value_name = "COLUMN=FIELD")]
    pub map: Vec<String>,
    /// Give every object this value; repeatable
    #[arg(long, value_name = "FIELD=VALUE")]
    pub set: Vec<String>,
    /// Leave a column out; repeatable
    #[arg(long, value_name = "COLUMN")]
    pub ignore: Vec<String>,
    /// Leave out rows that are wrong instead of refusing the file
    #[arg(long)]
    pub skip_invalid: bool,
    /// Do not ask DevRev to check that required custom fields are set
    #[arg(long)]
    pub no_required_check: bool,
    /// Create tags that do not exist instead of failing the rows that name them
    #[arg(long)]
    pub create_tags: bool,
    /// Process only the first N rows
    #[arg(long, value_name = "N")]
    pub limit: Option<u64>,
    /// Show the plan and create nothing: a dry run's client cannot write
    #[arg(long)]
    pub dry_run: bool,
    /// The flags that batch commands share.
    #[command(flatten)]
    pub batch: BatchFlags,
}

/// `resume`.
#[derive(Debug, Args)]
#[allow(clippy::struct_excessive_bools, reason = "flags, as they were typed")]
#[command(after_help = examples::RESUME)]
pub struct Resume {
    /// The run's ID [default: the only run with rows left]
    #[arg(value_name = "RUN")]
    pub run: Option<String>,
    /// Resume the newest of several runs with rows left
    #[arg(long, conflicts_with = "run")]
    pub latest: bool,
    /// Exit 0 when there is nothing to resume (for scheduled jobs)
    #[arg(long, conflicts_with = "run")]
    pub if_any: bool,
    /// Retry failed rows too
    #[arg(long)]
    pub retry_failed: bool,
    /// Retry rows that were skipped, unchanged or failed for this reason; repeatable
    #[arg(long, value_name = "REASON")]
    pub retry: Vec<String>,
    /// Resend merges whose outcome is unknown, if neither contact changed during the settle time
    #[arg(long)]
    pub resend_unproven: bool,
    /// Choose what to do with a row that has changed since it was planned [default: as the run began]
    #[arg(long, value_name = "CHOICE")]
    pub on_drift: Option<OnDrift>,
    /// Options that may be corrected.
    #[command(flatten)]
    pub corrections: Corrections,
    /// The flags that batch commands share.
    #[command(flatten)]
    pub batch: BatchFlags,
}

/// `apply`.
#[derive(Debug, Args)]
#[command(after_help = examples::APPLY)]
pub struct Apply {
    /// The ID of the dry run whose plan to apply
    #[arg(value_name = "RUN")]
    pub run: String,
    /// Make this many changes, the same as --max-changes; `resume` makes the next ones
    #[arg(long, value_name = "N", conflicts_with = "max_changes", value_parser = whole_from_one)]
    pub limit: Option<u64>,
    /// Choose what to do with a row that has changed since it was planned
    #[arg(long, value_name = "CHOICE", default_value = "skip")]
    pub on_drift: OnDrift,
    /// Resend merges whose outcome is unknown, if neither contact changed during the settle time
    #[arg(long)]
    pub resend_unproven: bool,
    /// Options that may be corrected.
    #[command(flatten)]
    pub corrections: Corrections,
    /// The flags that batch commands share.
    #[command(flatten)]
    pub batch: BatchFlags,
}

/// Options of a run that `resume` and `apply` can correct.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Corrections [default: as the run began]")]
pub struct Corrections {
    /// backfill-groups: choose what to do for a creator who is in several groups
    #[arg(long, value_name = "CHOICE")]
    pub on_ambiguous: Option<OnAmbiguous>,
    /// backfill-groups: use this CSV of user,group before DevRev's memberships
    #[arg(long, value_name = "FILE")]
    pub group_map: Option<PathBuf>,
    /// merge-contacts: choose what to do when a pair's TICKET_COUNT differs from DevRev's count
    #[arg(long, value_name = "CHOICE")]
    pub on_count_mismatch: Option<OnCountMismatch>,
    /// merge-contacts: choose what to do when DevRev no longer has an attachment that it refers to
    #[arg(long, value_name = "CHOICE")]
    pub on_missing_attachment: Option<OnMissingAttachment>,
}

/// `undo`.
#[derive(Debug, Args)]
#[command(after_help = examples::UNDO)]
pub struct Undo {
    /// The ID of the run to undo, of backfill-groups, merge-contacts, update or create
    #[arg(value_name = "RUN")]
    pub run: String,
    /// Delete the issues, tickets, tasks and opportunities that the run created, unless someone changed them since
    #[arg(long)]
    pub delete_created: bool,
    /// Undo only the first N objects or pairs
    #[arg(long, value_name = "N", value_parser = whole::<u64>)]
    pub limit: Option<u64>,
    /// Show the plan and change nothing: a dry run's client cannot write
    #[arg(long, visible_alias = "preview")]
    pub dry_run: bool,
    /// The flags that batch commands share.
    #[command(flatten)]
    pub batch: BatchFlags,
}

/// The flags that batch commands share.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Run options")]
pub struct BatchFlags {
    /// Write without asking
    #[arg(short, long)]
    pub yes: bool,
    /// Run against a built-in sandbox: needs no token, changes nothing real
    #[arg(long)]
    pub sandbox: bool,
    /// Keep run folders here [default: runs]
    #[arg(long, value_name = "DIR")]
    pub runs_dir: Option<String>,
    /// Keep backups of contacts here [default: backups]
    #[arg(long, value_name = "DIR")]
    pub backup_dir: Option<String>,
    /// Read this many rows together [default: 100]
    #[arg(long, value_name = "N")]
    pub batch_size: Option<String>,
    /// Make this many changes at once [default: 8]
    #[arg(long, value_name = "N")]
    pub concurrency: Option<String>,
    /// Stop when more rows than this have failed [default: no limit]
    #[arg(long, value_name = "N|P%")]
    pub max_errors: Option<String>,
    /// Stop after this many batches in a row in which every row failed [default: 5]
    #[arg(long, value_name = "N")]
    pub max_batch_failures: Option<String>,
    /// Stop after this many changes in a row failed for the same reason; 0: no limit [default: 20]
    #[arg(long, value_name = "N")]
    pub max_same_failures: Option<String>,
    /// Stop after this many changes; `resume` makes the next ones [default: no limit]
    #[arg(long, value_name = "N")]
    pub max_changes: Option<String>,
    /// How to watch the run.
    #[command(flatten)]
    pub watch: WatchFlags,
    /// How to call DevRev.
    #[command(flatten)]
    pub client: ClientFlags,
}

/// How to watch the run.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Watching the run")]
pub struct WatchFlags {
    /// Show at the end where the time went
    #[arg(long)]
    pub profile: bool,
    /// Measure the memory and CPU of this process
    #[arg(long)]
    pub monitor: bool,
    /// Write metrics to this file, for node_exporter's textfile collector
    #[arg(long, value_name = "FILE")]
    pub metrics_file: Option<String>,
    /// Serve /metrics and /healthz here during the run; a port alone listens on loopback
    #[arg(long, value_name = "ADDR")]
    pub metrics_listen: Option<String>,
    /// Choose when Slack and e-mail report how a run ended, where they are set up [default: failure]
    #[arg(long, value_name = "CHOICE")]
    pub notify: Option<Notify>,
}
