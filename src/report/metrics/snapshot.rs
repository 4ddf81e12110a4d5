//! What is known of a run at one moment: the one thing that file and server show.

use crate::figures::{Breaker, Figures, Latencies};
use crate::report::summary::Summary;
use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The states that a row ends in, in the order in which people read them.
pub(super) const STATES: [&str; 6] = ["planned", "done", "already", "skipped", "failed", "unknown"];
/// The state of rows that have not ended.
const OPEN: &str = "open";
/// Before the engine runs: the connection is made, the operator asked.
pub(super) const STARTING: &str = "starting";
const RUNNING: &str = "running";

/// What does not change while a run continues.
#[derive(Debug, Clone)]
pub(crate) struct About {
    /// The run's ID.
    pub run: String,
    /// The command, such as `backfill-groups`.
    pub command: String,
    /// Whether it is a dry run.
    pub dry_run: bool,
    /// When the run was made, by its first process.
    pub began: DateTime<Utc>,
    /// Since when this process works on it.
    pub since: Instant,
    /// Rows that the run takes.
    pub rows: u64,
    /// Rows by state that earlier processes have settled, and that this one leaves as they are.
    pub before: BTreeMap<String, u64>,
}

/// What is known at one moment.
#[derive(Debug, Clone)]
pub(super) struct Snapshot {
    pub(super) about: Arc<About>,
    /// [`STARTING`], `running`, or how it ended.
    pub(super) state: String,
    /// The exit code, once it has ended.
    pub(super) exit: Option<u8>,
    /// Rows by state that this process has settled.
    pub(super) settled: BTreeMap<String, u64>,
    /// Rows of the whole run by state, once it has ended.
    all: Option<BTreeMap<String, u64>>,
    /// How long batches took, and all of them together.
    pub(super) batches: Latencies,
    pub(super) batch_time: Duration,
    pub(super) figures: Arc<Figures>,
    /// When each command last ended without an error, in seconds since 1970.
    pub(super) successes: BTreeMap<String, f64>,
}

impl Snapshot {
    /// Before anything is done. `successes` is what was known of earlier runs.
    pub(super) fn new(about: About, mut successes: BTreeMap<String, f64>) -> Self {
        successes.entry(about.command.clone()).or_insert(0.0);
        Self {
            about: Arc::new(about),
            state: STARTING.to_owned(),
            exit: None,
            settled: BTreeMap::new(),
            all: None,
            batches: Latencies::default(),
            batch_time: Duration::ZERO,
            figures: Arc::default(),
            successes,
        }
    }

    pub(super) fn count(&mut self, state: &'static str, rows: u64) {
        match self.settled.get_mut(state) {
            Some(count) => *count += rows,
            None => drop(self.settled.insert(state.to_owned(), rows)),
        }
    }

    pub(super) fn batch(&mut self, took: Duration) {
        self.batches.add(took);
        self.batch_time += took;
    }

    pub(super) fn look(&mut self, figures: &Figures) {
        RUNNING.clone_into(&mut self.state);
        self.figures = Arc::new(figures.clone());
    }

    /// Takes in how the run ended. A success is one that changed what was to be changed: a dry run is none.
    pub(super) fn end(&mut self, summary: &Summary, figures: &Figures) {
        self.look(figures);
        self.state.clone_from(&summary.state);
        self.exit = Some(summary.exit);
        self.all = Some(summary.tally.states.clone());
        if summary.exit == 0 && !summary.dry_run {
            // Milliseconds since 1970 stay far below 2^52.
            #[allow(clippy::cast_precision_loss)]
            let now = Utc::now().timestamp_millis() as f64 / 1000.0;
            self.successes.insert(summary.command.clone(), now);
        }
    }

    /// The rows of the whole run by state, those that are open included.
    pub(super) fn rows(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let of = |state: &str| match &self.all {
            Some(all) => all.get(state).copied().unwrap_or(0),
            None => [&self.about.before, &self.settled].into_iter().filter_map(|rows| rows.get(state)).sum(),
        };
        let ended = STATES.map(|state| (state, of(state)));
        let open = self.about.rows.saturating_sub(ended.iter().map(|(_, rows)| rows).sum());
        ended.into_iter().chain([(OPEN, open)])
    }

    /// How long this process has worked on the run.
    pub(super) fn elapsed(&self) -> Duration {
        if self.exit.is_some() { self.figures.elapsed } else { self.about.since.elapsed() }
    }

    /// The state of the run, for `/healthz`.
    pub(super) fn health(&self) -> Value {
        let about = &self.about;
        let rows: BTreeMap<_, _> = self.rows().filter(|(_, rows)| *rows > 0).collect();
        let mut health = json!({
            "run": about.run,
            "command": about.command,
            "state": self.state,
            "exit": self.exit,
            "dry_run": about.dry_run,
            "rows": rows,
            "total": about.rows,
            "seconds": self.elapsed().as_secs_f64(),
            "breaker": breaker(self.figures.breaker),
            "waiting": self.waiting(),
        });
        if let (Some(now), Some(members)) = (&self.figures.following, health.as_object_mut()) {
            let lag: u64 = now.lag.values().sum();
            members.extend([
                ("status".to_owned(), if self.is_well() { "healthy" } else { "unhealthy" }.into()),
                ("version".to_owned(), env!("CARGO_PKG_VERSION").into()),
                ("timestamp".to_owned(), Utc::now().to_rfc3339_opts(SecondsFormat::Secs, true).into()),
                ("kafka_connected".to_owned(), now.source_connected.into()),
                ("database_connected".to_owned(), now.target_connected.into()),
                ("lag".to_owned(), lag.into()),
            ]);
        }
        health
    }

    /// Whether all that a process needs which follows topics answers; of others nothing is known that would be wrong.
    pub(super) fn is_well(&self) -> bool {
        let following = self.figures.following.as_ref();
        following.is_none_or(|now| now.source_connected && now.target_connected && self.exit.is_none())
    }

    /// What all calls wait for, and how long still; null if they do not.
    fn waiting(&self) -> Value {
        let figures = &self.figures;
        match (self.exit, figures.breaker, figures.closed_for) {
            (None, Breaker::Open(left), _) => json!({ "for": "breaker", "seconds": left.as_secs_f64() }),
            (None, Breaker::HalfOpen, _) => json!({ "for": "breaker", "seconds": 0.0 }),
            (None, _, Some(left)) => json!({ "for": "rate-limit", "seconds": left.as_secs_f64() }),
            _ => Value::Null,
        }
    }
}

/// What a circuit breaker may be doing.
pub(super) const BREAKER: [&str; 4] = ["closed", "open", "half-open", "gave-up"];

pub(super) fn breaker(breaker: Breaker) -> &'static str {
    match breaker {
        Breaker::Closed => BREAKER[0],
        Breaker::Open(_) => BREAKER[1],
        Breaker::HalfOpen => BREAKER[2],
        Breaker::GaveUp => BREAKER[3],
    }
}
