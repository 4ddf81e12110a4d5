//! `migrate`.

use super::choices::OnHalfDone;
use super::examples;
use clap::{Args, Subcommand};
use std::num::NonZeroUsize;
use std::path::PathBuf;

/// `migrate`.
#[derive(Debug, Args)]
#[command(after_help = examples::MIGRATE)]
pub struct Migrate {
    /// What to do.
    #[command(subcommand)]
    pub command: MigrateCommand,
}

/// What to do with migrations.
#[derive(Debug, Subcommand)]
pub enum MigrateCommand {
    /// Apply the migrations that are pending, in the order of their numbers
    #[command(after_help = examples::MIGRATE_UP)]
    Up {
        /// Which database and which files.
        #[command(flatten)]
        place: MigratePlace,
        /// How to go about it.
        #[command(flatten)]
        how: MigrateHow,
    },
    /// Take back the newest migrations, by their .down.sql files
    #[command(after_help = examples::MIGRATE_DOWN)]
    Down {
        /// Take back this many
        #[arg(value_name = "N", default_value = "1")]
        count: NonZeroUsize,
        /// Which database and which files.
        #[command(flatten)]
        place: MigratePlace,
        /// How to go about it.
        #[command(flatten)]
        how: MigrateHow,
    },
    /// List the migrations: applied, pending, skipped, changed, half done; change nothing
    #[command(after_help = examples::MIGRATE_STATUS)]
    Status {
        /// Which database and which files.
        #[command(flatten)]
        place: MigratePlace,
    },
}

/// Which database and which files.
#[derive(Debug, Args)]
pub struct MigratePlace {
    /// Migrate this database, such as postgres://USER@HOST/DATABASE, sqlite:PATH or clickhouse+https://HOST:8443/DATABASE,
    /// without a password [default: DATABASE_URL]
    #[arg(long, value_name = "URL")]
    pub target: Option<String>,
    /// Read the files NUMBER_NAME.up.sql and NUMBER_NAME.down.sql in this folder
    #[arg(long, value_name = "DIR", default_value = "migrations")]
    pub dir: PathBuf,
}

/// How to go about it.
#[derive(Debug, Args)]
pub struct MigrateHow {
    /// Print the statements that would be executed; execute none
    #[arg(long)]
    pub dry_run: bool,
    /// Say what becomes of a migration that is half done. Also takes over what a killed process has locked in ClickHouse:
    /// make sure that no other process is migrating
    #[arg(long, value_name = "CHOICE")]
    pub half_done: Option<OnHalfDone>,
    /// End a statement that takes longer than this
    #[arg(long, value_name = "DURATION", default_value = "1h")]
    pub timeout: String,
    /// Wait for another process that is migrating, or that has locked a table, at most this long
    #[arg(long, value_name = "DURATION", default_value = "1m")]
    pub lock_timeout: String,
    /// Do not ask before writing
    #[arg(short, long)]
    pub yes: bool,
}
