//! What `migrate` has found, done, or would do, for people and for machines.

use super::units::counted;
use crate::migrate::plan::{Listed, Standing};
use serde::Serialize;
use serde_json::{Value, json};
use std::fmt::Write as _;

/// How the migrations of a database stand.
#[derive(Debug, Serialize)]
pub(crate) struct MigrationsReport {
    /// The database, without a password.
    pub target: String,
    /// Whether there is no such database yet.
    pub is_new: bool,
    /// Each migration, by number.
    pub migrations: Vec<Entry>,
}

/// How a migration stands.
#[derive(Debug, Serialize)]
pub(crate) struct Entry {
    /// Its number.
    pub version: i64,
    /// Its name.
    pub name: String,
    /// Its file, where it is there.
    pub file: Option<String>,
    /// How it stands.
    pub state: Standing,
    /// When it was applied, or got half done, in UTC.
    pub since: Option<String>,
    /// The version of the tool that did so.
    pub tool_version: Option<String>,
    /// What is wrong, and what to do.
    pub problem: Option<String>,
}

impl Entry {
    fn new(listed: &Listed<'_>) -> Self {
        let (file, record) = (listed.migration, &listed.record);
        Self {
            version: file
                .map(|file| file.version)
                .or(record.as_ref().map(|one| one.version))
                .unwrap_or_default(),
            name: file
                .map(|file| &file.name)
                .or(record.as_ref().map(|one| &one.name))
                .cloned()
                .unwrap_or_default(),
            file: file.map(|file| file.up.file.clone()),
            state: listed.standing,
            since: record.as_ref().map(|record| record.at.clone()),
            tool_version: record.as_ref().map(|record| record.tool.clone()),
            problem: Some(listed.why.clone()).filter(|why| !why.is_empty()),
        }
    }
}

impl MigrationsReport {
    /// What was found.
    pub(crate) fn new(target: String, is_new: bool, listed: &[Listed<'_>]) -> Self {
        Self { target, is_new, migrations: listed.iter().map(Entry::new).collect() }
    }

    /// Whether something is to be put right before anything can be applied.
    pub(crate) fn is_wrong(&self) -> bool {
        self.migrations.iter().any(|entry| entry.state.is_wrong())
    }

    /// For people.
    pub(crate) fn text(&self) -> String {
        let mut text = self.target.clone();
        if self.is_new {
            text.push_str("\n  does not exist yet: `migrate up` makes it");
        }
        for Entry { version, name, file, state, since, .. } in &self.migrations {
            let since = since.as_deref().unwrap_or("-");
            let file = file.clone().unwrap_or_else(|| format!("{version}_{name}"));
            // Writing to a String cannot fail.
            let _ = write!(text, "\n  {:<13} {since:<20}  {file}", state.word());
        }
        let problems = self.migrations.iter().filter_map(|entry| entry.problem.as_ref());
        for problem in problems {
            let _ = write!(text, "\n\n{problem}");
        }
        let count = |state: Standing| self.migrations.iter().filter(|entry| entry.state == state).count();
        let words = [
            Standing::Applied,
            Standing::Pending,
            Standing::Skipped,
            Standing::Changed,
            Standing::Missing,
            Standing::HalfDone,
            Standing::OutOfOrder,
        ];
        let counts =
            words.into_iter().map(|state| (count(state), state.word())).filter(|(count, _)| *count > 0);
        let counts = counts.map(|(count, word)| format!("{count} {word}")).collect::<Vec<_>>();
        let counts = if counts.is_empty() { "no migrations".to_owned() } else { counts.join(", ") };
        let _ = write!(text, "\n\n{counts}");
        if count(Standing::Skipped) > 0 {
            text.push_str(" (skipped: TimescaleDB is not there)");
        }
        text
    }
}

/// What was done.
#[derive(Debug, Default, Serialize)]
pub(crate) struct MigratedReport {
    /// The database, without a password.
    pub target: String,
    /// The files that were executed, in their order.
    pub done: Vec<String>,
    /// Those that need TimescaleDB, which is not there.
    pub skipped: Vec<String>,
    /// Those that another process has executed meanwhile.
    pub by_another: Vec<String>,
    /// Those that were taken as done, without being executed.
    pub accepted: Vec<String>,
    /// Whether they were taken back.
    #[serde(skip)]
    pub is_down: bool,
}

impl MigratedReport {
    /// For people.
    pub(crate) fn text(&self) -> String {
        let verb = if self.is_down { "took back" } else { "applied" };
        let mut text = match self.done.len() {
            0 => {
                format!("nothing to {} at {}", if self.is_down { "take back" } else { "apply" }, self.target)
            }
            done => format!("{verb} {} at {}", counted(done as u64, "migration"), self.target),
        };
        for file in &self.done {
            let _ = write!(text, "\n  {file}");
        }
        for (files, what) in [
            (&self.accepted, "taken as done, nothing of it executed"),
            (&self.by_another, "done by another process meanwhile"),
            (&self.skipped, "skipped: TimescaleDB is not there; applied later, once it is"),
        ] {
            for file in files {
                let _ = write!(text, "\n  {file}: {what}");
            }
        }
        text
    }
}

/// A file that would be executed.
#[derive(Debug, Serialize)]
pub(crate) struct WouldDo {
    /// Its name.
    pub file: String,
    /// Whether it is one transaction.
    pub transaction: bool,
    /// Whether it would be skipped, since TimescaleDB is not there.
    pub skipped: bool,
    /// Its statements, without secrets.
    pub statements: Vec<WouldExecute>,
}

/// A statement that would be executed.
#[derive(Debug, Serialize)]
pub(crate) struct WouldExecute {
    /// The number of its first line.
    pub line: usize,
    /// Its text, without secrets.
    pub sql: String,
}

impl WouldDo {
    fn text(&self) -> String {
        let how = match (self.skipped, self.transaction, self.statements.is_empty()) {
            (true, ..) => "skipped: TimescaleDB is not there",
            (_, _, true) => "nothing is executed",
            (_, true, _) => "one transaction",
            (_, false, _) => "no transaction: a crash can leave it half done",
        };
        let mut text = format!("\n\n-- {} ({how})", self.file);
        for WouldExecute { sql, .. } in self.statements.iter().filter(|_| !self.skipped) {
            let _ = write!(text, "\n{sql};");
        }
        text
    }
}

/// A dry run, for machines.
pub(crate) fn dry_run_json(target: &str, files: &[WouldDo]) -> Value {
    json!({ "target": target, "dry_run": true, "migrations": files })
}

/// A dry run, for people.
pub(crate) fn dry_run_text(target: &str, is_down: bool, files: &[WouldDo]) -> String {
    let verb = if is_down { "take back" } else { "apply" };
    if files.is_empty() {
        return format!("nothing to {verb} at {target}");
    }
    let head = format!("would {verb} {} at {target}", counted(files.len() as u64, "migration"));
    files.iter().fold(head, |text, file| text + &file.text())
}
