//! What the runs of a folder come to, by job: for people, for machines, and for the [page](super::html::stats).

use super::run_figures::{OTHER, RunFigures, add};
use super::summary::STATES;
use super::terminal::printable;
use super::units::{counted, measure, number, share, span};
use chrono::{DateTime, NaiveDate, Utc};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

/// Jobs that are told apart; there are fewer, but names come from files.
const JOBS: usize = 100;
/// Reasons of a job that are told apart.
const REASONS: usize = 100;
/// Reasons that people are shown.
const SHOWN_REASONS: usize = 8;
/// Damaged folders that are named; all are counted.
const NAMED: usize = 20;

/// The percentiles of durations that are shown.
pub(crate) const PERCENTILES: [(&str, u32); 3] = [("p50", 50), ("p90", 90), ("p99", 99)];

/// Which runs are counted.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Scope {
    /// Their folder.
    pub runs_dir: String,
    /// They began since then.
    pub since: Option<DateTime<Utc>>,
    /// They are runs of this command.
    pub job: Option<String>,
    /// This is part of their base URL or organisation.
    pub target: Option<String>,
}

/// What the runs come to.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Stats {
    /// Which runs.
    #[serde(flatten)]
    pub scope: Scope,
    /// How many.
    pub runs: u64,
    /// By job, in the order of their names; dry runs are apart.
    pub jobs: Vec<JobStats>,
    /// Folders that say too little, and why: the first of them.
    pub damaged: Vec<Damaged>,
    /// How many such folders there are.
    pub damaged_runs: u64,
    /// The page that was written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub page: Option<String>,
    /// Runs by the day on which they began, and by how they ended: see [`Outcome`].
    #[serde(skip)]
    pub days: BTreeMap<NaiveDate, [u64; 4]>,
}

/// The runs of a job.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct JobStats {
    /// The command.
    pub job: String,
    /// Whether they are its dry runs.
    pub dry_run: bool,
    /// How many there are.
    pub runs: u64,
    /// Runs by how they stand.
    pub states: BTreeMap<&'static str, u64>,
    /// Runs that finished, and some of their rows failed or are unknown.
    pub finished_with_failures: u64,
    /// Runs that more than one process worked on.
    pub resumed: u64,
    /// Rows by state, of all runs whose last process said what they came to.
    pub rows: BTreeMap<&'static str, u64>,
    /// Rows with a result in a second of work, of runs that one process worked on.
    pub rows_a_second: Option<f64>,
    /// How long runs took that one process brought to their end.
    pub duration_seconds: Option<Durations>,
    /// Rows that failed or whose state is unknown, by reason, as far as reasons are known.
    pub failures: BTreeMap<String, u64>,
    /// What the last process of each run did.
    pub last_processes: Processes,
    #[serde(skip)]
    timed_rows: u64,
    #[serde(skip)]
    timed_seconds: f64,
    #[serde(skip)]
    durations: Vec<f64>,
}

/// Percentiles of durations, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Durations {
    /// The runs that they are taken over.
    pub runs: u64,
    /// Half of the runs took no longer.
    pub p50: f64,
    /// 90 of 100 runs took no longer.
    pub p90: f64,
    /// 99 of 100 runs took no longer.
    pub p99: f64,
}

/// The last processes of runs, all together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub(crate) struct Processes {
    /// Calls.
    pub calls: u64,
    /// Of these, tries after a failed one.
    pub calls_retried: u64,
    /// Of these, calls that were answered with 429.
    pub calls_throttled: u64,
    /// Seconds that they took.
    pub seconds: f64,
    /// Of these, seconds in which no call went out because of a rate limit.
    pub seconds_waiting: f64,
}

/// A folder that says too little.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Damaged {
    /// The run.
    pub run: String,
    /// What is wrong.
    pub problem: String,
    /// Whether the run is counted all the same, by what could be read.
    pub counted: bool,
}

/// How a run ended, in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It finished, and no row went wrong.
    Good,
    /// It finished, and rows failed or are unknown.
    Failures,
    /// It did not come to its end.
    EndedEarly,
    /// It is being worked on.
    AtWork,
}

impl Outcome {
    /// Of a run that stands so, with this many rows that went wrong.
    pub(crate) fn of(state: &str, errors: u64) -> Self {
        match state {
            "running" => Self::AtWork,
            "finished" if errors == 0 => Self::Good,
            "finished" => Self::Failures,
            _ => Self::EndedEarly,
        }
    }
}

impl Stats {
    /// None yet.
    pub(crate) fn new(scope: Scope) -> Self {
        Self { scope, ..Self::default() }
    }

    /// Takes a run, which stands so.
    pub(crate) fn take(&mut self, run: &RunFigures, state: &'static str) {
        self.runs += 1;
        let outcome = Outcome::of(state, run.errors());
        let day = self.days.entry(run.created_at.date_naive()).or_default();
        day[outcome as usize] += 1;
        let place =
            |name: &str| self.jobs.iter().position(|job| job.job == name && job.dry_run == run.dry_run);
        let known = place(&run.command);
        let name = if known.is_some() || self.jobs.len() < JOBS { run.command.as_str() } else { OTHER };
        let place = known.or_else(|| place(name)).unwrap_or_else(|| {
            let (job, dry_run) = (name.to_owned(), run.dry_run);
            self.jobs.push(JobStats { job, dry_run, ..JobStats::default() });
            self.jobs.len() - 1
        });
        self.jobs[place].take(run, state);
    }

    /// Takes a folder that says too little.
    pub(crate) fn damaged(&mut self, damaged: Damaged) {
        self.damaged_runs += 1;
        if self.damaged.len() < NAMED {
            self.damaged.push(damaged);
        }
    }

    /// All runs are taken.
    #[must_use]
    pub(crate) fn summed_up(mut self) -> Self {
        self.jobs.iter_mut().for_each(JobStats::sum_up);
        self.jobs.sort_by(|a, b| (&a.job, a.dry_run).cmp(&(&b.job, b.dry_run)));
        self
    }

    /// Which runs these are, in words.
    pub(crate) fn what(&self) -> String {
        let Scope { since, job, target, .. } = &self.scope;
        let mut text = counted(self.runs, "run");
        if let Some(job) = job {
            let _ = write!(text, " of {job}");
        }
        if let Some(target) = target {
            let _ = write!(text, " at {target}");
        }
        if let Some(since) = since {
            let _ = write!(text, " since {}", since.format("%Y-%m-%d %H:%M UTC"));
        }
        text
    }

    /// The statistics for people.
    pub(crate) fn text(&self) -> String {
        let mut text = format!("{} in {}", self.what(), self.scope.runs_dir);
        for job in &self.jobs {
            text.push_str("\n\n");
            text.push_str(&job.text());
        }
        if self.damaged_runs > 0 {
            text.push('\n');
        }
        for Damaged { run, problem, counted } in &self.damaged {
            let what = if *counted { "counted in part" } else { "left out" };
            let _ = write!(text, "\n{what}: {run}: {problem}");
        }
        let more = self.damaged_runs.saturating_sub(self.damaged.len() as u64);
        if more > 0 {
            let _ = write!(text, "\nand {}", counted(more, "more damaged folder"));
        }
        if let Some(page) = &self.page {
            let _ = write!(text, "\n\npage: {page}");
        }
        printable(&text)
    }
}

impl JobStats {
    fn take(&mut self, run: &RunFigures, state: &'static str) {
        self.runs += 1;
        *self.states.entry(state).or_default() += 1;
        let finished = state == "finished";
        self.finished_with_failures += u64::from(finished && run.errors() > 0);
        // Of one that is worked on, or whose process is gone, `run.json` says what an earlier process came to.
        if matches!(state, "running" | "crashed") {
            return;
        }
        for state in STATES.into_iter().chain(["open"]) {
            let rows = run.count(state);
            if rows > 0 {
                let counted = self.rows.entry(state).or_default();
                *counted = counted.saturating_add(rows);
            }
        }
        if let Some(process) = &run.process {
            self.resumed += u64::from(process.is_resumed);
            let sum = &mut self.last_processes;
            sum.calls = sum.calls.saturating_add(process.calls);
            sum.calls_retried = sum.calls_retried.saturating_add(process.retries);
            sum.calls_throttled = sum.calls_throttled.saturating_add(process.throttled);
            sum.seconds += process.seconds;
            sum.seconds_waiting += process.seconds_waiting;
            for (reason, rows) in &process.failures {
                add(&mut self.failures, reason, *rows, REASONS);
            }
        }
        if let Some(seconds) = run.worked() {
            self.timed_rows = self.timed_rows.saturating_add(run.settled());
            self.timed_seconds += seconds;
            if finished {
                self.durations.push(seconds);
            }
        }
    }

    fn sum_up(&mut self) {
        #[allow(clippy::cast_precision_loss)] // counts far below 2^52
        let rate = self.timed_rows as f64 / self.timed_seconds;
        self.rows_a_second = Some(rate).filter(|rate| rate.is_finite());
        self.durations.sort_unstable_by(f64::total_cmp);
        let of = |percent| percentile(&self.durations, percent);
        if let (Some(p50), Some(p90), Some(p99)) = (of(50), of(90), of(99)) {
            self.duration_seconds = Some(Durations { runs: self.durations.len() as u64, p50, p90, p99 });
        }
    }

    /// What it is called.
    pub(crate) fn name(&self) -> String {
        if self.dry_run { format!("{}, dry runs", self.job) } else { self.job.clone() }
    }

    /// Runs in a state.
    pub(crate) fn in_state(&self, state: &str) -> u64 {
        self.states.get(state).copied().unwrap_or(0)
    }

    /// Rows that failed, or whose state is unknown.
    pub(crate) fn errors(&self) -> u64 {
        ["failed", "unknown"].iter().filter_map(|state| self.rows.get(state)).sum()
    }

    /// The reasons, the most frequent first.
    pub(crate) fn by_frequency(&self) -> Vec<(&str, u64)> {
        let mut reasons: Vec<_> =
            self.failures.iter().map(|(reason, rows)| (reason.as_str(), *rows)).collect();
        reasons.sort_by_key(|(_, rows)| std::cmp::Reverse(*rows));
        reasons
    }

    /// `4 finished (1 with failures), 1 interrupted`.
    pub(crate) fn states_text(&self) -> String {
        let order = ["running", "finished", "interrupted", "stopped", "crashed", "closed"];
        let states = order.into_iter().filter(|state| self.in_state(state) > 0).map(|state| {
            let runs = number(self.in_state(state));
            match self.finished_with_failures {
                failures @ 1.. if state == "finished" => {
                    format!("{runs} {state} ({} with failures)", number(failures))
                }
                _ => format!("{runs} {state}"),
            }
        });
        states.collect::<Vec<_>>().join(", ")
    }

    /// `1,204 done, 3 failed`.
    pub(crate) fn rows_text(&self) -> String {
        let states = STATES.into_iter().chain(["open"]);
        let counts = states.filter_map(|state| Some(format!("{} {state}", number(*self.rows.get(state)?))));
        counts.collect::<Vec<_>>().join(", ")
    }

    /// What the processes did and waited for.
    pub(crate) fn calls_text(&self) -> String {
        let Processes { calls, calls_retried, calls_throttled, .. } = self.last_processes;
        let mut text = counted(calls, "call");
        if calls_retried > 0 {
            let _ = write!(text, ", {} of them retries", number(calls_retried));
        }
        if calls_throttled > 0 {
            let _ = write!(text, ", {} answered with 429", number(calls_throttled));
        }
        text
    }

    /// How long they waited for a rate limit.
    pub(crate) fn waits_text(&self) -> String {
        let Processes { seconds, seconds_waiting, .. } = self.last_processes;
        let millis = |seconds: f64| u64::try_from(time(seconds).as_millis()).unwrap_or(u64::MAX);
        format!(
            "{} of {} ({})",
            span(time(seconds_waiting)),
            span(time(seconds)),
            share(millis(seconds_waiting), millis(seconds))
        )
    }

    fn text(&self) -> String {
        let mut text = format!("{}: {}: {}", self.name(), counted(self.runs, "run"), self.states_text());
        let mut line = |label: &str, value: &str| {
            let _ = write!(text, "\n  {label:<13}{value}");
        };
        if !self.rows.is_empty() {
            line("rows", &self.rows_text());
        }
        if let Some(rate) = self.rows_a_second.filter(|_| self.timed_rows > 0) {
            line("speed", &format!("{} rows/s", measure(rate)));
        }
        if let Some(took) = self.duration_seconds {
            let shown = [("p50", took.p50), ("p90", took.p90), ("p99", took.p99)];
            let shown = shown.map(|(name, seconds)| format!("{name} {}", span(time(seconds))));
            line("duration", &shown.join(", "));
        }
        let reasons = self.by_frequency();
        if !reasons.is_empty() {
            let shown: Vec<_> = reasons
                .iter()
                .take(SHOWN_REASONS)
                .map(|(reason, rows)| format!("{reason} {}", number(*rows)))
                .collect();
            let more = if reasons.len() > SHOWN_REASONS { ", ..." } else { "" };
            line("failures", &format!("{}{more}", shown.join(", ")));
        }
        if self.last_processes.calls > 0 {
            line("calls", &self.calls_text());
            line("waiting", &format!("{} for the rate limit", self.waits_text()));
        }
        let uncounted = self.in_state("running") + self.in_state("crashed");
        if uncounted > 0 {
            line("not counted", &format!("rows of {}, running or crashed", counted(uncounted, "run")));
        }
        if self.resumed > 0 {
            let resumed = counted(self.resumed, "run");
            line("resumed", &format!("{resumed}, left out of speed and duration"));
        }
        text
    }
}

/// Seconds as a time.
pub(crate) fn time(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or_default()
}

/// The least of these values, which are sorted, that is not exceeded by `percent` of 100 of them (nearest rank).
fn percentile(sorted: &[f64], percent: u32) -> Option<f64> {
    let rank = (sorted.len() as u128 * u128::from(percent)).div_ceil(100).max(1);
    sorted.get(usize::try_from(rank).ok()? - 1).copied()
}

#[cfg(test)]
#[path = "stats_tests.rs"]
mod tests;
