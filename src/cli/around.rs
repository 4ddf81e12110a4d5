//! The commands round a run: what was, what works, what helps.

use super::client::ClientFlags;
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// How many runs are listed if nothing else is said.
pub const SHOWN: usize = 20;

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
    /// Remove backups that no merge rests on
    Prune {
        /// The folder of all backups [default: BACKUP_DIR, else backups]
        #[arg(value_name = "DIR")]
        dir: Option<PathBuf>,
        /// Those of pairs that were backed up and not merged, by runs that have ended
        #[arg(long, required = true)]
        orphans: bool,
        /// Say what would be removed, and remove nothing
        #[arg(long)]
        dry_run: bool,
        /// Do not ask
        #[arg(short, long)]
        yes: bool,
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
    #[arg(long, value_name = "gone|moved|deleted|identity|locked|shadow|archived|deactivated|never")]
    pub merge_ends: Option<String>,
}

/// `runs`.
#[derive(Debug, Args)]
pub struct Runs {
    /// What to do with them; the default is to list them.
    #[command(subcommand)]
    pub command: Option<RunsCommand>,
    /// Where the folders of runs are [default: runs]
    #[arg(long, value_name = "DIR", global = true)]
    pub runs_dir: Option<String>,
}

/// Which runs are listed. A run that cannot be read is always listed.
#[derive(Debug, Default, Args)]
pub struct Only {
    /// Only runs of this command, such as merge-contacts; `undo` takes both kinds
    #[arg(long, value_name = "JOB")]
    pub job: Option<String>,
    /// Only runs in this state, such as stopped
    #[arg(long, value_name = "STATE")]
    pub state: Option<String>,
    /// Only runs that began less than this ago, such as 7d
    #[arg(long, value_name = "AGE")]
    pub since: Option<String>,
    /// Only runs whose base URL or organisation contains this text
    #[arg(long, value_name = "TEXT")]
    pub target: Option<String>,
}

/// What to do with past runs.
#[derive(Debug, Subcommand)]
pub enum RunsCommand {
    /// Past runs, the newest first
    List {
        /// Show at most so many
        #[arg(long, value_name = "N", default_value_t = SHOWN)]
        limit: usize,
        /// Which of them
        #[command(flatten)]
        only: Only,
    },
    /// One run: its counts, settings and failures, and what to do next
    Show {
        /// The run's ID
        #[arg(value_name = "RUN")]
        run: String,
    },
    /// Follow a run at work from another terminal, to its end
    Watch {
        /// The run's ID; the newest that is being worked on, if it is left out
        #[arg(value_name = "RUN")]
        run: Option<String>,
    },
    /// End a run that nobody will resume; its files stay
    Close {
        /// The run's ID
        #[arg(value_name = "RUN")]
        run: String,
        /// Why, for `runs show`
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
    },
    /// Remove finished runs: they hold personal data. Backups stay
    Prune {
        /// Only those that ended longer ago than this, such as 90d
        #[arg(long, value_name = "AGE")]
        older_than: String,
        /// Say what would be removed, and remove nothing
        #[arg(long)]
        dry_run: bool,
        /// Do not ask
        #[arg(short, long)]
        yes: bool,
    },
}

/// `doctor`.
#[derive(Debug, Args)]
pub struct Doctor {
    /// Check against a built-in sandbox instead of DevRev
    #[arg(long)]
    pub sandbox: bool,
    /// Also send a test message to Slack and by e-mail, where they are set up
    #[arg(long)]
    pub send_test_alert: bool,
    /// Where the folders of runs are [default: runs]
    #[arg(long, value_name = "DIR")]
    pub runs_dir: Option<String>,
    /// Where backups of contacts are [default: backups]
    #[arg(long, value_name = "DIR")]
    pub backup_dir: Option<String>,
    /// How the client works.
    #[command(flatten)]
    pub client: ClientFlags,
}

/// `completions`.
#[derive(Debug, Args)]
pub struct Completions {
    /// The shell
    pub shell: clap_complete::Shell,
}
