//! The job's writing half, and how it is to work.

use super::backups::Backups;
use super::change::{Found, MergeChange};
use super::gate::Gate;
use super::held::{self, Held};
use super::questions::{Activity, Questions};
use super::restored::Made;
use super::settle::Pace;
use crate::cli::choices::OnDrift;
use crate::cli::choices::OnMissingAttachment;
use crate::devrev::client::Client;
use crate::devrev::read_only::ReadOnly;
use crate::journal::record::Outcome;
use crate::net::rate::Rate;
use crate::stop::Stop;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// How merges are carried out.
#[derive(Debug, Clone)]
pub(crate) struct How {
    /// The run's ID.
    pub run: String,
    /// `--backup-dir`.
    pub backup_dir: PathBuf,
    /// Pairs that are backed up at once.
    pub concurrency: usize,
    /// The limit that calls keep to.
    pub rate: Option<Rate>,
    /// `MERGE_SETTLE_TIMEOUT`.
    pub settle_timeout: Duration,
    /// `MERGE_POLL_DELAY`: before the first read after a merge.
    pub poll_delay: Duration,
    /// How old a look at both contacts may be when their merge is sent.
    pub max_age: Duration,
    /// `--resend-unproven`.
    pub resend_unproven: bool,
    /// `--on-count-mismatch warn`.
    pub any_count: bool,
    /// `--on-missing-attachment`.
    pub on_missing: OnMissingAttachment,
    /// Contacts that are verified, whatever DevRev shows.
    pub made: Arc<Made>,
    /// Where a plan is applied: what is done about a pair that is no longer as it was planned.
    pub on_drift: Option<OnDrift>,
}

/// The job's writing half: only a real run has one.
#[derive(Debug)]
pub(crate) struct Merger {
    /// For what completes merges that were sent.
    pub(super) client: Client,
    /// The same, for its reads.
    pub(super) reads: ReadOnly,
    /// For merges.
    pub(super) sends: Client,
    pub(super) stop: Stop,
    pub(super) activity: Activity,
    pub(super) pace: Pace,
    pub(super) how: How,
    pub(super) backups: Backups,
    pub(super) gate: Arc<Gate>,
    pub(super) places: Arc<Semaphore>,
    pub(super) looks: Questions<MergeChange, Result<Arc<Found>, Outcome>>,
    pub(super) held: Questions<held::Question, Held>,
}
