//! A run that this process holds.

use crate::cli::choices::OnDrift;
use crate::journal::lock::RunLock;
use crate::journal::manifest::Manifest;
use crate::journal::plan::PlanFile;
use crate::journal::replay::Replay;
use crate::journal::run_dir::RunDir;
use crate::journal::writer::Journal;
use crate::monitor::Monitor;
use crate::report::logging;
use crate::report::reporter::Reporters;
use crate::report::terminal::Terminal;
use crate::run::confirm::Confirmation;
use crate::run::corrections::Corrected;
use crate::run::job::{After, Job, Scan};
use crate::settings::Settings;
use crate::source::Input;
use crate::stop::Stop;
use std::time::{Duration, Instant};

/// A run that this process holds, and all that it needs to continue with it.
#[derive(Debug)]
#[allow(clippy::struct_excessive_bools, reason = "flags, as they were typed")]
pub(crate) struct Session<J: Job> {
    /// The settings of this process.
    pub settings: Settings,
    /// What the job does.
    pub job: J,
    /// The run's folder.
    pub run: RunDir,
    /// Held until the process ends.
    #[expect(dead_code, reason = "held, not read")]
    pub lock: RunLock,
    /// The run's log, which is written till then.
    #[expect(dead_code, reason = "held, not read")]
    pub log: logging::Kept,
    /// `run.json`.
    pub manifest: Manifest,
    /// The rows.
    pub input: Input,
    /// What is known of the input.
    pub scan: Option<Scan<J::Found>>,
    /// What earlier processes of this run did.
    pub replay: Replay,
    /// The journal, open for this process's records.
    pub journal: Journal,
    /// The plan that is applied, and what is done about what has drifted.
    pub plan: Option<(PlanFile, OnDrift)>,
    /// Whether merges for which it is unknown whether they took may be sent again.
    pub resend_unproven: bool,
    /// What this process was given again.
    pub corrected: Corrected,
    /// Whether and how the operator is asked.
    pub confirmation: Confirmation,
    /// Whether an earlier process of this run, or of the one that it carries out or undoes, was in production: what
    /// began there is there still, whatever `ENVIRONMENT` says by now.
    pub in_production: bool,
    /// What ends every wait.
    pub stop: Stop,
    /// Where progress is shown.
    pub terminal: Terminal,
    /// `--quiet`.
    pub quiet: bool,
    /// `--json`.
    pub json: bool,
    /// Since when this process works on the run.
    pub since: Instant,
    /// How long the look at the input took.
    pub parsing: Duration,
    /// What the job says of the run, once it has come to its end.
    pub after: After,
    /// Who reports of the run.
    pub reporters: Reporters,
    /// Who measures this process, if anybody does.
    pub monitor: Option<Monitor>,
}

/// The rows that a run takes.
pub(crate) fn total<J: Job>(manifest: &Manifest, job: &J, scan: &Scan<J::Found>) -> u64 {
    manifest.applies.as_ref().map_or_else(|| job.total(scan), |applies| applies.rows)
}

/// Whether every row of a run that takes so many has a result which this process leaves as it is.
pub(crate) fn is_idle(replay: &Replay, rows: u64) -> bool {
    replay.unknown.is_empty() && replay.settled.len() >= rows
}
