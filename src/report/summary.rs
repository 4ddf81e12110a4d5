//! The end of a run: a short text for people, one JSON object for machines (`report.json`, `--json`).

use super::profile::Profile;
use super::terminal::{one_line, printable};
use super::units::span;
use crate::engine::event::Tally;
use serde::Serialize;
use serde_json::Value;
use std::fmt::Write as _;
use std::time::Duration;

/// What a run came to.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Summary {
    /// The run's ID.
    pub run: String,
    /// The run's folder.
    pub folder: String,
    /// The command, such as `backfill-groups`.
    pub command: String,
    /// Whether it was a dry run.
    pub dry_run: bool,
    /// The dry run whose plan it carries out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub carries_out: Option<String>,
    /// Where: the base URL, or `sandbox`.
    pub target: String,
    /// `ENVIRONMENT`.
    pub environment: String,
    /// How it ended: `finished`, `interrupted`, `stopped`.
    pub state: String,
    /// Why it was stopped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// What the operator has to know of what the run went by, in sentences.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// The exit code.
    pub exit: u8,
    /// Rows that the run takes.
    pub rows: u64,
    /// Rows without a result.
    pub open: u64,
    /// All rows of the run by state and reason, earlier processes' included.
    #[serde(flatten)]
    pub tally: Tally,
    /// What a dry run would do, where more is to be said of it than the counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan: Option<Value>,
    /// The same for people.
    #[serde(skip)]
    pub plan_text: String,
    /// This process's calls, by endpoint and status.
    pub calls: Value,
    /// This process's calls altogether.
    pub calls_total: u64,
    /// Of these, tries after a failed one.
    pub calls_retried: u64,
    /// Whether earlier processes have worked on the run: calls and seconds are those of the last one.
    pub resumed: bool,
    /// Seconds that this process took.
    pub seconds: f64,
    /// Of these, seconds in which no call went out because of a rate limit.
    pub seconds_waiting: f64,
    /// Where the time of this process went, if that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile: Option<Profile>,
    /// The most memory that this process was seen to have, in bytes; with `--monitor`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_peak_bytes: Option<u64>,
    /// Seconds that its threads spent on a CPU, all together; with `--monitor`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_seconds: Option<f64>,
    /// What to do next, the most useful first: a sentence or a command.
    pub next: Vec<String>,
}

/// The states, in the order in which people read them.
pub(super) const STATES: [&str; 6] = ["planned", "done", "already", "skipped", "failed", "unknown"];

impl Summary {
    /// The summary as text.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        let what = if self.dry_run { "dry run of " } else { "" };
        let _ =
            writeln!(text, "{what}{} {} ({}, {})", self.command, self.state, self.target, self.environment);
        if let Some(run) = &self.carries_out {
            let _ = writeln!(text, "  the plan of {run}");
        }
        if let Some(why) = &self.why {
            let _ = writeln!(text, "  {}", one_line(why));
        }
        for note in &self.notes {
            let _ = writeln!(text, "  {}", one_line(note));
        }
        let _ = writeln!(text);
        text.push_str(&rows_text(&self.tally, self.open, self.rows));
        if !self.plan_text.is_empty() {
            let _ = write!(text, "\n{}", self.plan_text);
        }
        let took = Duration::from_secs_f64(self.seconds.max(0.0));
        let waited = Duration::from_secs_f64(self.seconds_waiting.max(0.0));
        let _ = writeln!(
            text,
            "\n{} API calls in {}, {} of it waiting for the rate limit",
            self.calls_total,
            span(took),
            span(waited)
        );
        if let (Some(bytes), Some(seconds)) = (self.memory_peak_bytes, self.cpu_seconds) {
            // Far below 2^52.
            #[allow(clippy::cast_precision_loss)]
            let mebibytes = bytes as f64 / f64::from(1 << 20);
            let cpu = span(Duration::from_secs_f64(seconds.max(0.0)));
            let _ = writeln!(text, "{mebibytes:.1} MiB of memory at the most, {cpu} of CPU");
        }
        if let Some(profile) = &self.profile {
            let _ = writeln!(text, "\n{}", profile.text());
        }
        let _ = write!(text, "run folder: {}", self.folder);
        for next in &self.next {
            let _ = write!(text, "\nnext: {next}");
        }
        printable(&text)
    }
}

/// The rows by state and reason, a line each.
pub(super) fn rows_text(tally: &Tally, open: u64, rows: u64) -> String {
    let mut text = String::new();
    for state in STATES {
        let rows = tally.of(state);
        if rows == 0 {
            continue;
        }
        let _ = writeln!(text, "  {state:<8} {rows:>9}{}", meaning(state));
        for (reason, rows) in tally.reasons.get(state).into_iter().flatten() {
            let _ = writeln!(text, "           {rows:>9}  {reason}");
        }
    }
    if open > 0 {
        let _ = writeln!(text, "  {:<8} {open:>9}  not done yet", "open");
    }
    let _ = writeln!(text, "  {:<8} {rows:>9}", "rows");
    text
}

pub(super) fn meaning(state: &str) -> &'static str {
    match state {
        "planned" => "  would be changed",
        "done" => "  changed, and the answer shows it",
        "already" => "  nothing to change",
        "skipped" => "  left alone",
        "unknown" => "  may have been sent: `resume` looks before it sends again",
        _ => "",
    }
}
