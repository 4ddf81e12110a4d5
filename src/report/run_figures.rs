//! What a run's folder says of it in numbers: small enough to keep of every run that there is.

use super::summary::STATES;
use crate::journal::manifest::{Manifest, RunState};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use std::collections::BTreeMap;

/// How many reasons of a run are kept apart; the rows of the others are counted together.
const REASONS: usize = 50;
/// What those others are called.
pub(crate) const OTHER: &str = "other";

/// A run in numbers.
#[derive(Debug, Clone)]
pub(crate) struct RunFigures {
    /// Its ID.
    pub run: String,
    /// The command, such as `update`.
    pub command: String,
    /// Whether nothing was changed.
    pub dry_run: bool,
    /// Where: the base URL, or `sandbox`.
    pub target: String,
    /// The organisation, as people know it.
    pub org: Option<String>,
    /// `ENVIRONMENT`.
    pub environment: String,
    /// When it began.
    pub created_at: DateTime<Utc>,
    /// When its last process ended.
    pub ended_at: Option<DateTime<Utc>>,
    /// What `run.json` says of how it stands.
    pub state: RunState,
    /// Whether an operator closed it.
    pub is_closed: bool,
    /// Rows that it takes, where that can be told.
    pub rows: Option<u64>,
    /// Rows by state when its last process ended.
    pub counts: BTreeMap<String, u64>,
    /// What its last process said of itself, if it did.
    pub process: Option<ProcessFigures>,
}

/// What the last process of a run said of itself in `report.json`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ProcessFigures {
    /// Whether earlier processes had worked on the run.
    pub is_resumed: bool,
    /// Seconds that it took.
    pub seconds: f64,
    /// Of these, seconds in which no call went out because of a rate limit.
    pub seconds_waiting: f64,
    /// Its calls.
    pub calls: u64,
    /// Of these, tries after a failed one; earlier versions did not say.
    pub retries: u64,
    /// Of these, calls that were answered with 429.
    pub throttled: u64,
    /// Rows of the run that failed or whose state is unknown, by reason.
    pub failures: BTreeMap<String, u64>,
}

/// `report.json`, as far as it is needed here. It may have more to say of each row, which is passed over as it is read.
#[derive(Debug, Deserialize)]
pub(crate) struct ReportJson {
    run: String,
    state: String,
    #[serde(default)]
    reasons: BTreeMap<String, BTreeMap<String, u64>>,
    #[serde(default)]
    calls: BTreeMap<String, Calls>,
    calls_total: u64,
    #[serde(default)]
    calls_retried: u64,
    seconds: f64,
    seconds_waiting: f64,
    resumed: Option<bool>,
}

#[derive(Debug, Deserialize)]
struct Calls {
    #[serde(default)]
    statuses: BTreeMap<String, u64>,
}

impl RunFigures {
    /// What `run.json` says. `rows` is how many the run takes.
    pub(crate) fn of(manifest: &Manifest, rows: Option<u64>) -> Self {
        Self {
            run: manifest.id.clone(),
            command: manifest.command.clone(),
            dry_run: manifest.dry_run,
            target: manifest.base_url.clone(),
            org: manifest.org.as_ref().map(ToString::to_string),
            environment: manifest.environment.clone(),
            created_at: manifest.created_at,
            ended_at: manifest.ended_at,
            state: manifest.state,
            is_closed: manifest.closed.is_some(),
            rows,
            counts: manifest.counts.clone(),
            process: None,
        }
    }

    /// Takes what `report.json` says, if it is about the end that `run.json` speaks of.
    pub(crate) fn take(&mut self, report: &ReportJson) {
        let state = match self.state {
            RunState::Running => return,
            RunState::Interrupted => "interrupted",
            RunState::Stopped => "stopped",
            RunState::Finished => "finished",
        };
        if report.run != self.run || report.state != state {
            return;
        }
        let mut failures = BTreeMap::new();
        let wrong = ["failed", "unknown"].into_iter().filter_map(|state| report.reasons.get(state));
        for (reason, rows) in wrong.flatten() {
            add(&mut failures, reason, *rows, REASONS);
        }
        let seconds = report.seconds.max(0.0);
        self.process = Some(ProcessFigures {
            // Earlier versions did not say. It can be seen unless both processes were there within a minute.
            is_resumed: report
                .resumed
                .unwrap_or_else(|| self.lasted().is_some_and(|all| all > seconds + 60.0)),
            seconds,
            seconds_waiting: report.seconds_waiting.clamp(0.0, seconds),
            calls: report.calls_total,
            retries: report.calls_retried,
            throttled: report.calls.values().filter_map(|calls| calls.statuses.get("429")).sum(),
            failures,
        });
    }

    /// Rows in a state when its last process ended.
    pub(crate) fn count(&self, state: &str) -> u64 {
        self.counts.get(state).copied().unwrap_or(0)
    }

    /// Rows that failed, or whose state is unknown.
    pub(crate) fn errors(&self) -> u64 {
        self.count("failed").saturating_add(self.count("unknown"))
    }

    /// Rows with a result.
    pub(crate) fn settled(&self) -> u64 {
        STATES.into_iter().map(|state| self.count(state)).fold(0, u64::saturating_add)
    }

    /// Seconds from its beginning to its end.
    pub(crate) fn lasted(&self) -> Option<f64> {
        #[allow(clippy::cast_precision_loss)] // far below 2^52
        let seconds = (self.ended_at? - self.created_at).num_milliseconds() as f64 / 1000.0;
        Some(seconds.max(0.0))
    }

    /// Seconds of work, if one process did all of it: the pauses before a resume are no work.
    pub(crate) fn worked(&self) -> Option<f64> {
        match &self.process {
            Some(process) if process.is_resumed => None,
            Some(process) => Some(process.seconds),
            None => self.lasted(),
        }
    }
}

/// Adds rows to those of a reason; to those of [`OTHER`] where there are `most` reasons already.
pub(crate) fn add(reasons: &mut BTreeMap<String, u64>, reason: &str, rows: u64, most: usize) {
    let reason = if reasons.len() < most || reasons.contains_key(reason) { reason } else { OTHER };
    let counted = reasons.entry(reason.to_owned()).or_default();
    *counted = counted.saturating_add(rows);
}
