//! `runs prune`: removes runs that nobody needs any more, after saying which and what goes with them.
//!
//! A run is needed while anything of it is open or in doubt: of merges above all, since [`elsewhere`] knows from
//! their journals what must not be merged a second time. So the journal is asked, not only `run.json`. Backups
//! are in no run's folder, and what is in one and is no file keeps it.
//!
//! [`elsewhere`]: crate::jobs::merge_contacts::elsewhere

use super::look::{Found, Others, Seen};
use super::remove;
use crate::exit::{Exit, Failure};
use crate::jobs::registry;
use crate::journal::evidence;
use crate::journal::manifest::{Manifest, SANDBOX};
use crate::journal::run_dir::RunDir;
use crate::report::pruned::{Going, Kept, Pruned};
use crate::report::terminal::Terminal;
use crate::report::units::counted;
use crate::run::standing::Status;
use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};
use std::io::{self, IsTerminal};
use std::path::Path;
use std::time::SystemTime;

/// A folder without a `run.json` may be a run that is just beginning: of a query it waits for up to six hours, and
/// no lock is held meanwhile.
const BEGINNING: TimeDelta = TimeDelta::hours(24);

/// How it is made sure that the operator means it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ask {
    /// `--dry-run`
    pub dry_run: bool,
    /// `--yes`
    pub yes: bool,
}

/// The age that `--older-than` says, such as `90d`.
pub(crate) fn age(text: &str) -> Result<TimeDelta, Failure> {
    age_of("older-than", text)
}

/// The age that a flag says.
pub(crate) fn age_of(flag: &str, text: &str) -> Result<TimeDelta, Failure> {
    let wrong = |why: String| {
        let text = format!("--{flag}: `{text}` is not an age such as 90d, 12h or 2weeks: {why}");
        Failure::new(Exit::Usage, text)
    };
    let age = humantime::parse_duration(text.trim()).map_err(|error| wrong(error.to_string()))?;
    let age = TimeDelta::from_std(age).ok();
    age.filter(|age| Utc::now().checked_sub_signed(*age).is_some())
        .ok_or_else(|| wrong("it goes back further than the calendar".to_owned()))
}

/// Removes the runs that ended longer ago than `age` and are not needed.
pub(crate) fn run(
    runs_dir: &Path,
    age: TimeDelta,
    ask: Ask,
    json: bool,
    terminal: &Terminal,
) -> Result<Exit, Failure> {
    let before = Utc::now() - age;
    let (all, others) = look(runs_dir)?;
    let mut report = Pruned::new(runs_dir.display().to_string(), before, ask.dry_run);
    let mut going = Vec::new();
    for seen in all {
        match judge(&seen, &others, before) {
            Verdict::Young => report.younger += 1,
            Verdict::Kept(why) => report.kept.push(Kept { run: seen.run.id().to_owned(), why }),
            Verdict::Goes(goes) => {
                report.runs.push(goes);
                going.push(seen.run);
            }
        }
    }
    if !ask.dry_run {
        if !going.is_empty() && !ask.yes {
            confirm(&report, terminal)?;
        }
        remove::leftovers(runs_dir)?;
        // While somebody was asked, a run may have begun that needs one of them.
        let (_, others) = look(runs_dir)?;
        for run in going {
            let removal = remove::run(runs_dir, &run, |seen| judge(seen, &others, before).goes());
            report.note(run.id(), removal);
        }
    }
    super::print(&report, json, || report.text())?;
    Ok(if report.has_failed() { Exit::Unexpected } else { Exit::Ok })
}

/// All runs as they are now, and what they have to do with each other.
fn look(runs_dir: &Path) -> Result<(Vec<Seen>, Others), Failure> {
    let mut others = Others::default();
    let all: Vec<Seen> = RunDir::list(runs_dir)?.into_iter().map(Seen::of).collect();
    for seen in &all {
        others.note(seen);
    }
    Ok((all, others))
}

/// Asks on a terminal; elsewhere only `--yes` will do.
fn confirm(report: &Pruned, terminal: &Terminal) -> Result<(), Failure> {
    let refused = |why: &str| Failure::new(Exit::NotConfirmed, format!("nothing was removed: {why}"));
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        let runs = counted(report.runs.len() as u64, "run");
        let why = format!(
            "{runs} would be, and there is no terminal to ask on; --dry-run says which, --yes removes them without \
                asking"
        );
        return Err(refused(&why));
    }
    let question = format!("{}\nRemove them? [y/N]", report.plan());
    let answer = terminal.ask(&question).ok().flatten().unwrap_or_default().to_lowercase();
    if ["y", "yes"].contains(&answer.as_str()) { Ok(()) } else { Err(refused("not confirmed")) }
}

/// What becomes of a run.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is not old enough.
    Young,
    /// It is old enough, and stays for this reason.
    Kept(String),
    /// It goes.
    Goes(Going),
}

impl Verdict {
    /// Fails with the reason why the run stays.
    fn goes(self) -> Result<(), String> {
        match self {
            Self::Goes(_) => Ok(()),
            Self::Kept(why) => Err(why),
            Self::Young => Err("it was worked on just now".to_owned()),
        }
    }
}

/// Judges a run. The journal is read of those that are old enough.
pub(crate) fn judge(seen: &Seen, others: &Others, before: DateTime<Utc>) -> Verdict {
    let id = seen.run.id();
    let (at, what) = match &seen.found {
        Found::Manifest(manifest) => {
            let what = if manifest.dry_run { "dry run" } else { "finished" };
            (manifest.ended_at.unwrap_or(manifest.updated_at), what)
        }
        Found::NeverBegan => (touched(&seen.run), "never began"),
        Found::Unreadable(_) => (touched(&seen.run), "unreadable"),
    };
    let before = match seen.found {
        Found::NeverBegan => before.min(Utc::now() - BEGINNING),
        Found::Manifest(_) | Found::Unreadable(_) => before,
    };
    if at >= before {
        return Verdict::Young;
    }
    let bytes = match files(&seen.run) {
        Ok(bytes) => bytes,
        Err(why) => return Verdict::Kept(why),
    };
    let needed = match &seen.found {
        _ if seen.held => Some("another process works on it".to_owned()),
        Found::NeverBegan => None,
        Found::Unreadable(why) => Some(format!("cannot tell whether it is needed: {why}")),
        Found::Manifest(manifest) => needed(seen, manifest),
    };
    let needed = needed.or_else(|| {
        let child = others.unfinished_child(id)?;
        Some(format!("{child}, which takes it back or carries it out, has not finished"))
    });
    if let Some(why) = needed {
        return Verdict::Kept(why);
    }
    let loses = seen.manifest().map_or_else(Vec::new, |manifest| loses(manifest, others));
    Verdict::Goes(Going::new(id, what, at, bytes, loses))
}

/// Why a run must stay, if it must.
fn needed(seen: &Seen, manifest: &Manifest) -> Option<String> {
    let resume = format!("`devrev-batch resume {}` continues it", manifest.id);
    if manifest.dry_run {
        // It has sent nothing, as its journal has to show, too.
        return match evidence::replay(&seen.run, manifest) {
            Ok(replay) if replay.unknown.is_empty() => None,
            Ok(_) => Some("run.json says that it is a dry run, but its journal has rows in doubt".to_owned()),
            Err(error) => Some(format!("its journal cannot be checked: {error}")),
        };
    }
    let status = Status::of_run(manifest, seen.held);
    if !matches!(status, Status::Finished | Status::Closed) {
        return Some(format!("it is {}: {resume}", status.name()));
    }
    for state in ["unknown", "open"] {
        let rows = manifest.counts.get(state).copied().unwrap_or(0);
        if rows > 0 && status != Status::Closed {
            return Some(format!("it has {rows} {state} rows: {resume}"));
        }
    }
    match evidence::replay(&seen.run, manifest) {
        Ok(replay) if replay.unknown.is_empty() => None,
        Ok(replay) => Some(format!("its journal has {} rows in doubt: {resume}", replay.unknown.len())),
        Err(error) => Some(format!("cannot tell whether any of its rows is in doubt: {error}")),
    }
}

/// What can no longer be done once a run is gone.
fn loses(manifest: &Manifest, others: &Others) -> Vec<String> {
    let of = |state: &str| manifest.counts.get(state).copied().unwrap_or(0);
    let mut loses = Vec::new();
    if manifest.dry_run {
        if of("planned") > 0 && !others.is_carried_out(&manifest.id) {
            loses.push("its plan, which was not applied".to_owned());
        }
        return loses;
    }
    let can_be_undone = registry::undo_of(&manifest.command).is_some()
        && registry::named(&manifest.command).is_none_or(|job| job.can_be_undone(manifest));
    if of("done") > 0 && can_be_undone && manifest.base_url != SANDBOX {
        loses.push(format!("the way to undo what it did to {}", counted(of("done"), "row")));
    }
    if of("done") > 0
        && let Some(job) = registry::named(&manifest.command)
    {
        loses.extend(job.loses().iter().map(|what| (*what).to_owned()));
    }
    if of("failed") > 0 {
        loses.push(format!(
            "the way to take {} again (resume --retry-failed)",
            counted(of("failed"), "failed row")
        ));
    }
    loses
}

/// The size of a run's files. Fails, with the reason, for a folder that is not as runs leave theirs.
fn files(run: &RunDir) -> Result<u64, String> {
    let failed = |error: io::Error| format!("it cannot be looked through: {error}");
    if std::fs::symlink_metadata(run.path()).map_err(failed)?.is_symlink() {
        return Err("it is a symbolic link, which is not followed".to_owned());
    }
    let mut bytes = 0;
    for entry in std::fs::read_dir(run.path()).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let data = entry.metadata().map_err(failed)?;
        if data.is_dir() {
            let name = entry.file_name().to_string_lossy().into_owned();
            return Err(format!("it holds a folder, `{name}`, which no run makes: move that away first"));
        }
        bytes += data.len();
    }
    Ok(bytes)
}

/// When a run that says nothing of itself was last worked on. The lock does not count: anyone who looks at a run
/// may have touched it.
fn touched(run: &RunDir) -> DateTime<Utc> {
    let made = run.id().get(..15).and_then(|at| NaiveDateTime::parse_from_str(at, "%Y%m%d-%H%M%S").ok());
    let entries = std::fs::read_dir(run.path()).into_iter().flatten().flatten();
    let files = entries.filter(|entry| entry.path() != run.lock());
    let modified = files.filter_map(|entry| entry.metadata().ok()?.modified().ok()).max();
    let made = made.map(|at| at.and_utc());
    // Of what tells no time it is not said that it is old.
    made.max(modified.map(DateTime::from)).unwrap_or_else(|| SystemTime::now().into())
}

#[cfg(test)]
#[path = "prune_tests.rs"]
mod tests;
