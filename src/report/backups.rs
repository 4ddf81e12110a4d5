//! What `backups verify` has found, for people and for machines.

use super::terminal::one_line;
use super::units::counted;
use crate::backup::verify::{Problem, Verified};
use serde::Serialize;
use std::fmt::Write as _;

/// How many problems of a backup people are shown.
const SHOWN: usize = 10;

/// All backups that were looked at.
#[derive(Debug, Serialize)]
pub(crate) struct BackupsReport {
    /// The folder that was asked for.
    pub dir: String,
    /// Each backup, by name.
    pub backups: Vec<Judged>,
    /// How many are whole.
    pub ok: usize,
    /// How many are not.
    pub damaged: usize,
    /// How many were never finished: folders that an interrupted run has left.
    pub partial: usize,
    /// The names of those.
    #[serde(skip)]
    pub partial_names: Vec<String>,
    /// What else is there and is no backup.
    pub ignored: Vec<String>,
    /// Backups that a recorded merge rests on and that are not there, with the pair and the run.
    pub missing: Vec<String>,
    /// Backups of ended runs that no merge rests on.
    pub orphans: Vec<String>,
    /// Whether a single backup was looked at, and not all of them.
    #[serde(skip)]
    pub is_of_one: bool,
}

/// One backup.
#[derive(Debug, Serialize)]
pub(crate) struct Judged {
    /// The name of its folder.
    pub folder: String,
    /// Whether it is whole.
    pub ok: bool,
    /// Its tickets; unknown of a damaged one.
    pub tickets: Option<u64>,
    /// Bytes of its files; unknown of a damaged one.
    pub bytes: Option<u64>,
    /// Attachments that no longer existed when it was made; unknown of a damaged one.
    pub attachments_missing: Option<u64>,
    /// What is wrong with it.
    pub problems: Vec<Problem>,
}

impl Judged {
    /// What was found about a folder.
    pub(crate) fn new(folder: String, found: Result<Verified, Vec<Problem>>) -> Self {
        match found {
            Ok(verified) => Self {
                folder,
                ok: true,
                tickets: Some(verified.counts.tickets),
                bytes: Some(verified.bytes),
                attachments_missing: Some(verified.counts.missing),
                problems: Vec::new(),
            },
            Err(problems) => {
                Self { folder, ok: false, tickets: None, bytes: None, attachments_missing: None, problems }
            }
        }
    }
}

impl BackupsReport {
    /// Counts what was found.
    pub(crate) fn new(
        dir: String,
        backups: Vec<Judged>,
        partial_names: Vec<String>,
        ignored: Vec<String>,
    ) -> Self {
        let ok = backups.iter().filter(|backup| backup.ok).count();
        let damaged = backups.len() - ok;
        Self {
            dir,
            backups,
            ok,
            damaged,
            partial: partial_names.len(),
            partial_names,
            ignored,
            missing: Vec::new(),
            orphans: Vec::new(),
            is_of_one: false,
        }
    }

    /// The report for people.
    pub(crate) fn text(&self) -> String {
        let mut text = format!("{} {} verified", self.ok, noun(self.ok, "backup"));
        match self.damaged {
            0 => text.push_str(", nothing wrong"),
            damaged => drop(write!(text, ", {damaged} damaged")),
        }
        for backup in self.backups.iter().filter(|backup| !backup.ok) {
            let count = backup.problems.len();
            let _ = write!(text, "\n\n{}: {count} {}", one_line(&backup.folder), noun(count, "problem"));
            for problem in backup.problems.iter().take(SHOWN) {
                let _ = write!(text, "\n  {}", one_line(&problem.to_string()));
            }
            if count > SHOWN {
                let _ = write!(text, "\n  and {} more; `--json` lists them", count - SHOWN);
            }
        }
        if self.damaged > 0 {
            text.push_str("\n\nDo not rely on damaged backups: put their files back from a copy.");
        }
        if !self.missing.is_empty() {
            let _ = write!(text, "\n\n{} of recorded merges not there:", noun_of(self.missing.len()));
            for name in self.missing.iter().take(SHOWN) {
                let _ = write!(text, "\n  {}", one_line(name));
            }
            if self.missing.len() > SHOWN {
                let _ = write!(text, "\n  and {} more; `--json` lists them", self.missing.len() - SHOWN);
            }
        }
        if !self.orphans.is_empty() {
            let _ = write!(
                text,
                "\nnote: no merge rests on {}; `devrev-batch backups prune --orphans` removes them",
                noun_of(self.orphans.len())
            );
        }
        for backup in self.backups.iter().filter(|backup| backup.attachments_missing > Some(0)) {
            let count = backup.attachments_missing.unwrap_or_default();
            let folder = one_line(&backup.folder);
            let _ = write!(
                text,
                "\nnote: {folder} records {} that no longer existed",
                counted(count, "attachment")
            );
        }
        for name in &self.partial_names {
            let name = one_line(name);
            let _ = write!(text, "\nnote: {name} was never finished: an interrupted run has left it");
        }
        for name in &self.ignored {
            let _ = write!(text, "\nnote: {} is not a backup", one_line(name));
        }
        text
    }
}

fn noun_of(backups: usize) -> String {
    format!("{backups} {}", noun(backups, "backup"))
}

fn noun(count: usize, noun: &str) -> String {
    format!("{noun}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn damaged(problems: usize) -> Judged {
        let problem = Problem { path: "a\u{1b}[2J\nb".into(), what: "is missing".into() };
        Judged::new("x_20261122_034500_REVU-1".into(), Err(vec![problem; problems]))
    }

    #[test]
    fn people_are_shown_what_is_wrong() {
        let partial = vec![".partial-x".to_owned()];
        let report = BackupsReport::new("b".into(), vec![damaged(12), damaged(1)], partial, vec!["c".into()]);
        let text = report.text();
        assert!(text.starts_with("0 backups verified, 2 damaged\n\nx_20261122_034500_REVU-1: 12 problems\n"));
        assert!(text.contains("\n  a\u{fffd}[2J\u{fffd}b: is missing\n"), "{text}");
        assert!(text.contains("\n  and 2 more;") && text.contains("REVU-1: 1 problem\n"), "{text}");
        assert!(text.contains("note: .partial-x was never finished"), "{text}");
        assert!(text.ends_with("note: c is not a backup"), "{text}");
    }
}
