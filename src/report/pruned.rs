//! What `runs prune` removes, for people and for machines.

use super::terminal::printable;
use super::units::{counted, size};
use chrono::{DateTime, Utc};
use serde::Serialize;
use std::fmt::Write as _;

/// The runs that are old enough, and what becomes of them.
#[derive(Debug, Serialize)]
pub(crate) struct Pruned {
    /// Where the runs are.
    pub runs_dir: String,
    /// Runs that ended before this are old enough.
    pub before: DateTime<Utc>,
    /// Whether it is only said what would go.
    pub dry_run: bool,
    /// The runs that go.
    pub runs: Vec<Going>,
    /// How many of them are gone.
    pub removed: usize,
    /// The runs that stay though they are old enough.
    pub kept: Vec<Kept>,
    /// How many runs are not old enough.
    pub younger: usize,
}

/// A run that goes.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Going {
    /// Its ID.
    pub run: String,
    /// `finished`, `dry run` or `never began`.
    pub what: &'static str,
    /// When it ended, or was last worked on.
    pub at: DateTime<Utc>,
    /// The size of its files.
    pub bytes: u64,
    /// What goes with it that somebody might miss.
    pub loses: Vec<String>,
    /// Whether it is gone.
    pub removed: bool,
    /// Why it is not, or not entirely.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// A run that stays.
#[derive(Debug, Serialize)]
pub(crate) struct Kept {
    /// Its ID.
    pub run: String,
    /// Why.
    pub why: String,
}

/// How the removal of a run ended.
#[derive(Debug)]
pub(crate) enum Removal {
    /// It is gone.
    Removed,
    /// It stays for this reason.
    Kept(String),
    /// It could not be removed, or not entirely.
    Failed(String),
}

impl Going {
    /// A run that is to go.
    pub(crate) fn new(
        run: &str,
        what: &'static str,
        at: DateTime<Utc>,
        bytes: u64,
        loses: Vec<String>,
    ) -> Self {
        Self { run: run.to_owned(), what, at, bytes, loses, removed: false, problem: None }
    }
}

impl Pruned {
    /// Begins with nothing found.
    pub(crate) fn new(runs_dir: String, before: DateTime<Utc>, dry_run: bool) -> Self {
        Self { runs_dir, before, dry_run, runs: Vec::new(), removed: 0, kept: Vec::new(), younger: 0 }
    }

    /// Notes how the removal of a run ended.
    pub(crate) fn note(&mut self, run: &str, removal: Removal) {
        let Some(place) = self.runs.iter().position(|going| going.run == run) else { return };
        match (removal, self.runs.get_mut(place)) {
            (Removal::Removed, Some(going)) => {
                going.removed = true;
                self.removed += 1;
            }
            (Removal::Failed(why), Some(going)) => going.problem = Some(why),
            (Removal::Kept(why), _) => {
                self.runs.remove(place);
                self.kept.push(Kept { run: run.to_owned(), why });
            }
            (_, None) => {}
        }
    }

    /// Whether a run could not be removed.
    pub(crate) fn has_failed(&self) -> bool {
        self.runs.iter().any(|going| going.problem.is_some())
    }

    /// What would go, for people.
    pub(crate) fn plan(&self) -> String {
        let before = self.before.format("%Y-%m-%d %H:%M:%S UTC");
        let mut text = if self.runs.is_empty() {
            format!("No run in {} that ended before {before} can go.", self.runs_dir)
        } else {
            format!("Runs in {} that ended before {before}:\n", self.runs_dir)
        };
        for going in &self.runs {
            let (at, bytes) = (going.at.format("%Y-%m-%d"), size(going.bytes));
            let _ = write!(text, "\n  {}  {}, {at}, {bytes}", going.run, going.what);
            for loses in &going.loses {
                let _ = write!(text, "\n    goes with it: {loses}");
            }
        }
        if !self.runs.is_empty() {
            let bytes = self.runs.iter().map(|going| going.bytes).sum();
            let runs = counted(self.runs.len() as u64, "run");
            let _ = write!(text, "\n\n{runs}, {}. Backups stay.", size(bytes));
        }
        text.push_str(&self.rest());
        printable(&text)
    }

    /// What went, for people.
    pub(crate) fn text(&self) -> String {
        if self.dry_run || self.runs.is_empty() && self.removed == 0 {
            return self.plan();
        }
        let gone = self.runs.iter().filter(|going| going.removed);
        let bytes = gone.map(|going| going.bytes).sum();
        let mut text =
            format!("{} removed, {}. Backups stay.", counted(self.removed as u64, "run"), size(bytes));
        for going in &self.runs {
            if let Some(problem) = &going.problem {
                let _ = write!(text, "\n{} could not be removed: {problem}", going.run);
            }
        }
        text.push_str(&self.rest());
        printable(&text)
    }

    /// What stays.
    fn rest(&self) -> String {
        let mut text = String::new();
        for Kept { run, why } in &self.kept {
            let _ = write!(text, "\nkept: {run}: {why}");
        }
        text
    }
}
