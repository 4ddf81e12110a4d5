//! The commands that run no batch.

use super::choices::RUN_STATES;
use super::client::ClientFlags;
use super::examples;
use super::whole;
use crate::sandbox::{Fault, MergeEnds, RateLimit};
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// How many runs `runs list` shows by default.
pub const SHOWN: usize = 20;

/// `backups`.
#[derive(Debug, Args)]
#[command(after_help = examples::BACKUPS)]
pub struct Backups {
    /// What to do with them.
    #[command(subcommand)]
    pub command: BackupsCommand,
}

/// What to do with backups.
#[derive(Debug, Subcommand)]
pub enum BackupsCommand {
    /// Check every file of every backup against its hash
    #[command(after_help = examples::BACKUPS_VERIFY)]
    Verify {
        /// The folder of all backups, or one backup [default: BACKUP_DIR, else backups]
        #[arg(value_name = "DIR")]
        dir: Option<PathBuf>,
    },
    /// Remove backups that no merge needs
    #[command(after_help = examples::BACKUPS_PRUNE)]
    Prune {
        /// The folder of all backups [default: BACKUP_DIR, else backups]
        #[arg(value_name = "DIR")]
        dir: Option<PathBuf>,
        /// Remove backups of pairs that were not merged, made by runs that have ended
        #[arg(long, required = true)]
        orphans: bool,
        /// Show what would be removed, and remove nothing
        #[arg(long)]
        dry_run: bool,
        /// Remove without asking
        #[arg(short, long)]
        yes: bool,
    },
}

/// `sandbox`.
#[derive(Debug, Args)]
#[command(after_help = examples::SANDBOX)]
pub struct Sandbox {
    /// Listen here; port 0 takes any free port
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8787")]
    pub listen: std::net::SocketAddr,
    /// Serve this data [default: the built-in demo data]
    #[arg(long, value_name = "FILE")]
    pub data: Option<PathBuf>,
    /// Answer 429 above this many calls per seconds, such as 50/10 [default: no limit]
    #[arg(long, value_name = "CALLS/SECONDS")]
    pub rate_limit: Option<RateLimit>,
    /// Inject a fault, such as `path=works.update,status=503,count=2`; repeatable
    #[arg(long, value_name = "RULE")]
    pub fault: Vec<Fault>,
    /// Delay each answer by this many milliseconds
    #[arg(long, value_name = "MS", default_value_t = 0, value_parser = whole::<u64>)]
    pub delay: u64,
    /// Let merges of contacts take effect after this many milliseconds [default: as the data says]
    #[arg(long, value_name = "MS", value_parser = whole::<u64>)]
    pub merge_delay: Option<u64>,
    /// Choose what a merge makes of the secondary contact [default: as the data says]
    #[arg(long, value_name = "CHOICE")]
    pub merge_ends: Option<MergeEnds>,
}

/// `runs`.
#[derive(Debug, Args)]
#[command(after_help = examples::RUNS)]
pub struct Runs {
    /// What to do with them [default: list].
    #[command(subcommand)]
    pub command: Option<RunsCommand>,
    /// Look for run folders here [default: runs]
    #[arg(long, value_name = "DIR", global = true)]
    pub runs_dir: Option<String>,
}

/// Which runs to list. A run that cannot be read is always listed.
#[derive(Debug, Default, Args)]
pub struct Only {
    /// Show only runs of this command, such as merge-contacts or undo
    #[arg(long, value_name = "JOB")]
    pub job: Option<String>,
    /// Show only runs in this state
    #[arg(long, value_name = "STATE", value_parser = RUN_STATES)]
    pub state: Option<String>,
    /// Show only runs that began less than this ago, such as 7d
    #[arg(long, value_name = "AGE", conflicts_with = "days")]
    pub since: Option<String>,
    /// Show only runs that began in the last N days
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=36_500))]
    pub days: Option<u32>,
    /// Show only runs whose base URL or organisation contains this text
    #[arg(long, value_name = "TEXT")]
    pub target: Option<String>,
}

/// Which runs to sum up.
#[derive(Debug, Default, Args)]
pub struct These {
    /// Only runs of this command, such as merge-contacts or undo
    #[arg(long, value_name = "JOB")]
    pub job: Option<String>,
    /// Only runs that began in the last N days
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=36_500))]
    pub days: Option<u32>,
    /// Only runs whose base URL or organisation contains this text
    #[arg(long, value_name = "TEXT")]
    pub target: Option<String>,
}

/// What to do with past runs.
#[derive(Debug, Subcommand)]
pub enum RunsCommand {
    /// List past runs, newest first
    #[command(after_help = examples::RUNS_LIST)]
    List {
        /// Show at most this many
        #[arg(long, value_name = "N", default_value_t = SHOWN, value_parser = whole::<usize>)]
        limit: usize,
        /// Which runs to list.
        #[command(flatten)]
        only: Only,
    },
    /// Show one run: counts, settings, failures and the next step
    #[command(after_help = examples::RUNS_SHOW)]
    Show {
        /// The run's ID
        #[arg(value_name = "RUN")]
        run: String,
    },
    /// Follow a run from another terminal until it ends
    #[command(after_help = examples::RUNS_WATCH)]
    Watch {
        /// The run's ID [default: the newest that is at work]
        #[arg(value_name = "RUN")]
        run: Option<String>,
    },
    /// Sum up past runs by job: rows, speed, failures, waits and durations
    #[command(after_help = examples::RUNS_STATS)]
    Stats {
        /// Which runs to sum up.
        #[command(flatten)]
        these: These,
        /// Write the statistics as a page for a browser, too
        #[arg(long, value_name = "FILE")]
        html: Option<PathBuf>,
    },
    /// Serve a read-only page about all runs, with live progress, to a browser on this machine
    #[command(after_help = examples::RUNS_SERVE)]
    Serve {
        /// Listen here; a port alone is one of this machine's loopback, port 0 takes any free port
        #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:5555")]
        listen: String,
        /// Answer requests for this host name, too, such as that of a proxy; repeatable [default: localhost and IP addresses]
        #[arg(long, value_name = "NAME")]
        allow_host: Vec<String>,
    },
    /// Close a run that nobody will resume; its files stay
    #[command(after_help = examples::RUNS_CLOSE)]
    Close {
        /// The run's ID
        #[arg(value_name = "RUN")]
        run: String,
        /// Record why, for `runs show`
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
    },
    /// Remove finished runs, which hold personal data; backups stay
    #[command(after_help = examples::RUNS_PRUNE)]
    Prune {
        /// Remove runs that ended longer ago than this, such as 90d
        #[arg(long, value_name = "AGE")]
        older_than: String,
        /// Show what would be removed, and remove nothing
        #[arg(long)]
        dry_run: bool,
        /// Remove without asking
        #[arg(short, long)]
        yes: bool,
    },
}

/// `doctor`.
#[derive(Debug, Args)]
#[command(after_help = examples::DOCTOR)]
pub struct Doctor {
    /// Check against a built-in sandbox instead of DevRev
    #[arg(long)]
    pub sandbox: bool,
    /// Send a test message to Slack and by e-mail, where they are set up
    #[arg(long)]
    pub send_test_alert: bool,
    /// Look for run folders here [default: runs]
    #[arg(long, value_name = "DIR")]
    pub runs_dir: Option<String>,
    /// Look for backups of contacts here [default: backups]
    #[arg(long, value_name = "DIR")]
    pub backup_dir: Option<String>,
    /// How to call DevRev.
    #[command(flatten)]
    pub client: ClientFlags,
}

/// `completions`.
#[derive(Debug, Args)]
#[command(after_help = examples::COMPLETIONS)]
pub struct Completions {
    /// The shell
    pub shell: clap_complete::Shell,
}

/// `man`.
#[derive(Debug, Args)]
#[command(after_help = examples::MAN)]
pub struct Man {
    /// Write the pages of all commands into this folder
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
}
