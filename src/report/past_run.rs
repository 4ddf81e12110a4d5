//! One past run, for people and for machines.

use super::past::Past;
use super::summary::rows_text;
use super::terminal::{one_line, printable};
use super::units::{counted, size};
use crate::engine::event::Tally;
use crate::exit::Exit;
use crate::journal::manifest::{Input, Party};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// How much of an example people are shown, in characters.
const DETAIL: usize = 160;
/// The columns of what stands before a value.
const LABEL: usize = 14;

/// Everything about a run.
#[derive(Debug, Serialize)]
pub(crate) struct PastRun {
    /// What the list shows of it, too.
    #[serde(flatten)]
    pub past: Past,
    /// Its folder.
    pub folder: String,
    /// What `run.json` says besides.
    #[serde(flatten)]
    pub origin: Option<Origin>,
    /// Rows by state and reason, as far as reasons are known.
    pub reasons: BTreeMap<String, BTreeMap<String, u64>>,
    /// What the last process says of itself, if it came to its end.
    pub last_process: Option<LastProcess>,
    /// Rows that failed or whose state is unknown, by reason.
    pub failures: Vec<FailedFor>,
    /// The files of the folder.
    pub files: Vec<FileSize>,
    /// What can be done, the most useful first: sentences or commands.
    pub next_steps: Vec<String>,
}

/// Where a run came from.
#[derive(Debug, Serialize)]
pub(crate) struct Origin {
    /// The version that made it.
    pub tool_version: String,
    /// The organisation that it worked in.
    pub org: Option<Party>,
    /// In whose name.
    pub user: Option<Party>,
    /// Its rows.
    pub input: Option<Input>,
    /// Why it stopped.
    pub why: Option<String>,
    /// What there is to know of what its last process went by.
    pub notes: Vec<String>,
    /// Settings that are not the default.
    pub settings: Vec<Setting>,
    /// The options of its command.
    pub options: Value,
}

/// A setting.
#[derive(Debug, Serialize)]
pub(crate) struct Setting {
    /// Its name.
    pub name: String,
    /// Its value, without secrets.
    pub value: String,
    /// Where it came from.
    pub from: String,
}

/// What `report.json` says, as far as it is told here.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct LastProcess {
    /// The run.
    #[serde(skip_serializing)]
    pub run: String,
    /// How it ended.
    #[serde(skip_serializing)]
    pub state: String,
    /// Rows by state and reason.
    #[serde(default, skip_serializing)]
    pub reasons: BTreeMap<String, BTreeMap<String, u64>>,
    /// Its calls by endpoint and status.
    #[serde(default)]
    pub calls: Value,
    /// Its calls altogether.
    pub calls_total: u64,
    /// Seconds that it took.
    pub seconds: f64,
    /// Of these, seconds in which no call went out because of a rate limit.
    pub seconds_waiting: f64,
}

/// Rows that failed for one reason.
#[derive(Debug, Serialize)]
pub(crate) struct FailedFor {
    /// `failed` or `unknown`.
    pub state: &'static str,
    /// The reason's code.
    pub reason: String,
    /// How many.
    pub rows: u64,
    /// The first of them.
    pub examples: Vec<Example>,
}

/// A row that failed.
#[derive(Debug, Serialize)]
pub(crate) struct Example {
    /// Its number.
    pub row: u64,
    /// What it is about, as people know it.
    pub key: String,
    /// The reason in words.
    pub detail: Option<String>,
}

/// A file.
#[derive(Debug, Serialize)]
pub(crate) struct FileSize {
    /// Its name.
    pub name: String,
    /// Its size.
    pub bytes: u64,
}

impl PastRun {
    /// The run for people.
    pub(crate) fn text(&self) -> String {
        let mut text = format!("{} {}", self.what(), self.past.state.replace('-', " "));
        if self.past.in_use && self.past.state != "running" {
            text.push_str(", and in use by another process");
        }
        text.push('\n');
        line(&mut text, "run", &self.past.run);
        if let Some(problem) = &self.past.problem {
            line(&mut text, "problem", problem);
        }
        self.where_and_when(&mut text);
        self.rows(&mut text);
        self.failures(&mut text);
        self.settings(&mut text);
        let none = if self.files.is_empty() { " none" } else { "" };
        let _ = write!(text, "\nfiles in {}:{none}", self.folder);
        for FileSize { name, bytes } in &self.files {
            let _ = write!(text, "\n  {name:<18} {:>12}", size(*bytes));
        }
        if !self.next_steps.is_empty() {
            text.push('\n');
        }
        for step in &self.next_steps {
            let _ = write!(text, "\nnext: {step}");
        }
        printable(&text)
    }

    fn what(&self) -> String {
        match &self.past.about {
            Some(about) if about.dry_run => format!("dry run of {}", about.command),
            Some(about) => about.command.clone(),
            None => "run".to_owned(),
        }
    }

    fn where_and_when(&self, text: &mut String) {
        let (Some(about), Some(origin)) = (&self.past.about, &self.origin) else { return };
        line(text, "at", &format!("{} ({})", about.target, about.environment));
        for (label, party) in [("organisation", &origin.org), ("as", &origin.user)] {
            if let Some(party) = party {
                line(text, label, &party.to_string());
            }
        }
        if let Some(parent) = &about.parent {
            line(text, "for", &parent.text());
        }
        for by in &self.past.by {
            line(text, "since then", &by.text());
        }
        if let Some(input) = &origin.input {
            let path = match &input.source {
                Some(source) => source.clone(),
                // Standard input, or rows that were made.
                None if input.spooled && input.path.ends_with("/input.csv") => {
                    "a copy in its folder".to_owned()
                }
                None if input.spooled => format!("{}, a copy in its folder", input.path),
                None => input.path.clone(),
            };
            line(text, "input", &format!("{path}, {}, {}", counted(input.rows, "row"), size(input.bytes)));
            line(text, "SHA-256", &input.sha256);
            if let Some(query) = &input.query {
                line(text, "query", query);
            }
        }
        line(text, "began", &time(about.created_at));
        if let Some(ended) = about.ended_at {
            let took = about.took().unwrap_or_default();
            line(text, "ended", &format!("{}, {took} later", time(ended)));
        }
        if let Some(last) = &self.last_process {
            let calls = format!(
                "{} API calls in {:.1} s, {:.1} s of it waiting for the rate limit",
                last.calls_total, last.seconds, last.seconds_waiting
            );
            line(text, "last process", &calls);
        }
        if let Some(code) = about.exit {
            let meaning = Exit::of_code(code).map_or("", Exit::meaning);
            line(text, "exit code", &format!("{code}: {meaning}"));
        }
        if let Some(why) = &origin.why {
            line(text, "why", why);
        }
        for note in &origin.notes {
            line(text, "note", note);
        }
    }

    fn rows(&self, text: &mut String) {
        let Some(about) = &self.past.about else { return };
        let mut tally = Tally { states: about.counts.clone(), reasons: self.reasons.clone() };
        let open = tally.states.remove("open").unwrap_or(0);
        if tally.total() + open > 0 {
            let _ = write!(text, "\n{}", rows_text(&tally, open, tally.total() + open));
        }
    }

    fn failures(&self, text: &mut String) {
        for failed in &self.failures {
            let _ = writeln!(text, "\n{} for {}: {}", failed.state, failed.reason, failed.rows);
            for Example { row, key, detail } in &failed.examples {
                let detail: String = detail.as_deref().unwrap_or_default().chars().take(DETAIL).collect();
                let _ = writeln!(text, "  row {row}, {}: {}", one_line(key), one_line(&detail));
            }
            let more = failed.rows.saturating_sub(failed.examples.len() as u64);
            if more > 0 {
                let _ = writeln!(text, "  and {}", counted(more, "more row"));
            }
        }
    }

    fn settings(&self, text: &mut String) {
        let Some(origin) = &self.origin else { return };
        if !origin.settings.is_empty() {
            text.push_str("\nsettings that are not the default:\n");
        }
        for Setting { name, value, from } in &origin.settings {
            let _ = writeln!(text, "  {name} = {value} ({from})");
        }
        let options: Vec<String> = origin
            .options
            .as_object()
            .into_iter()
            .flatten()
            .filter(|(_, value)| !is_nothing(value))
            .map(|(name, value)| match value {
                Value::String(value) => format!("{name} {value}"),
                value => format!("{name} {value}"),
            })
            .collect();
        if !options.is_empty() {
            let _ = writeln!(text, "\noptions: {}", options.join(", "));
        }
    }
}

fn line(text: &mut String, label: &str, value: &str) {
    let _ = writeln!(text, "  {label:<LABEL$}{}", one_line(value));
}

fn time(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// Whether an option is not given.
fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Array(all) => all.is_empty(),
        _ => false,
    }
}
