//! `backups`: whether the backups of merged contacts are whole and all there, and the removal of those that no merge
//! rests on.

use crate::backup::layout::{Metadata, is_backup, is_partial};
use crate::backup::verify::verify;
use crate::cli;
use crate::exit::{Exit, Failure};
use crate::jobs::merge_contacts::COMMAND;
use crate::jobs::merge_contacts::relied_on::{Backed, relied_on};
use crate::journal::evidence;
use crate::journal::lock::RunLock;
use crate::journal::manifest::Manifest;
use crate::journal::run_dir::RunDir;
use crate::report::backups::{BackupsReport, Judged};
use crate::report::terminal::{Terminal, result};
use crate::report::units::counted;
use crate::run::standing::Status;
use crate::settings::Settings;
use serde::Serialize;
use serde::de::IgnoredAny;
use serde_json::json;
use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Backups that are read at once: hashing keeps a core busy, and disks like little more.
const AT_ONCE: usize = 2;

/// Runs `backups`.
///
/// The outcome is [`Exit::Backup`] when a backup is damaged, or one that a merge rests on is missing. Fails when there
/// is nothing to verify ([`Exit::Usage`]): a check of nothing must not look like success.
pub(crate) async fn run(
    args: cli::around::Backups,
    global: &cli::Global,
    terminal: Terminal,
) -> Result<Exit, Failure> {
    let settings = Settings::for_client(global, &cli::client::ClientFlags::default())?;
    let json = global.json;
    let work = move || match args.command {
        cli::around::BackupsCommand::Verify { dir } => {
            verify_all(&dir.unwrap_or(settings.backup_dir), &settings.runs_dir, json)
        }
        cli::around::BackupsCommand::Prune { dir, orphans: _, dry_run, yes } => {
            let dir = dir.unwrap_or(settings.backup_dir);
            prune(&dir, &settings.runs_dir, Ask { dry_run, yes }, json, &terminal)
        }
    };
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Failure::new(Exit::Unexpected, format!("a defect: {error}")).because(error))?
}

fn verify_all(dir: &Path, runs_dir: &Path, json: bool) -> Result<Exit, Failure> {
    let mut report = look(dir)?;
    if !report.is_of_one {
        let used = Used::read(runs_dir)?;
        report.missing = used.missing(dir);
        report.orphans = used.orphans(dir)?.iter().map(|folder| name(folder)).collect();
    }
    let is_bad = report.damaged > 0 || !report.missing.is_empty();
    print(&report, json, || report.text())?;
    Ok(if is_bad { Exit::Backup } else { Exit::Ok })
}

/// What a removal needs.
#[derive(Debug, Clone, Copy)]
struct Ask {
    dry_run: bool,
    yes: bool,
}

fn prune(dir: &Path, runs_dir: &Path, ask: Ask, json: bool, terminal: &Terminal) -> Result<Exit, Failure> {
    let mut orphans = Used::read(runs_dir)?.orphans(dir)?;
    let names: Vec<String> = orphans.iter().map(|folder| name(folder)).collect();
    if !ask.dry_run && !orphans.is_empty() && !ask.yes {
        let text = format!(
            "{} that no merge rests on:\n  {}",
            counted(names.len() as u64, "backup"),
            names.join("\n  ")
        );
        let answer = terminal.ask(&format!("{text}\nRemove them? [y/N]")).ok().flatten().unwrap_or_default();
        if !["y", "yes"].contains(&answer.to_lowercase().as_str()) {
            return Err(Failure::new(Exit::NotConfirmed, "nothing was removed"));
        }
    }
    if ask.dry_run {
        orphans.clear();
    }
    for folder in &orphans {
        std::fs::remove_dir_all(folder).map_err(|error| {
            Failure::new(Exit::Unexpected, format!("cannot remove {}: {error}", folder.display()))
                .because(error)
        })?;
    }
    let removed = orphans.len() as u64;
    let report = json!({ "orphans": names, "removed": removed });
    print(&report, json, || {
        if ask.dry_run {
            let lines: Vec<String> =
                std::iter::once(format!("{} would be removed", counted(names.len() as u64, "backup")))
                    .chain(names.clone())
                    .collect();
            lines.join("\n  ")
        } else {
            format!("{} removed", counted(removed, "backup"))
        }
    })?;
    Ok(Exit::Ok)
}

fn print(report: &impl Serialize, json: bool, text: impl FnOnce() -> String) -> Result<(), Failure> {
    let text = if json {
        serde_json::to_string(report)
            .map_err(|error| Failure::new(Exit::Unexpected, error.to_string()).because(error))?
    } else {
        text()
    };
    let unwritten =
        |error| Failure::new(Exit::Unexpected, format!("cannot write the report: {error}")).because(error);
    result(&text).map_err(unwritten)
}

/// What the runs of merges say of backups.
struct Used {
    /// Pairs that are merged, or may be, with the run.
    pairs: Vec<(String, Backed)>,
    /// Runs that have ended, and rest on no other backups than those.
    ended: HashSet<String>,
}

impl Used {
    /// Reads all runs. Fails where one cannot be read: its backups would look like nobody's.
    fn read(runs_dir: &Path) -> Result<Self, Failure> {
        let mut used = Self { pairs: Vec::new(), ended: HashSet::new() };
        for run in RunDir::list(runs_dir)? {
            if !run.id().contains(COMMAND) || evidence::never_began(&run)? {
                continue;
            }
            let manifest = Manifest::read(&run)?;
            if manifest.command != COMMAND {
                continue;
            }
            let unclear = |error: Box<dyn std::error::Error>| {
                let text = format!("{}: cannot tell which backups it needs: {error}", run.path().display());
                Failure::new(Exit::Changed, text)
            };
            let is_held = RunLock::probe(&run)?;
            if !is_held {
                let pairs = relied_on(&run, &manifest).map_err(unclear)?;
                used.pairs.extend(pairs.into_iter().map(|pair| (run.id().to_owned(), pair)));
            }
            let has_ended = matches!(Status::of_run(&manifest, is_held), Status::Finished | Status::Closed);
            if has_ended {
                used.ended.insert(run.id().to_owned());
            }
        }
        Ok(used)
    }

    /// Backups that are neither where they were made nor in this folder.
    fn missing(&self, dir: &Path) -> Vec<String> {
        let is_there = |folder: &PathBuf| {
            folder.is_dir() || folder.file_name().is_some_and(|name| dir.join(name).is_dir())
        };
        let missing = |(run, pair): &(String, Backed)| {
            let gone = pair.folders.iter().filter(|folder| !is_there(folder)).map(|folder| name(folder));
            gone.map(|name| format!("{name} ({}, run {run})", pair.email)).collect::<Vec<_>>()
        };
        self.pairs.iter().flat_map(missing).collect()
    }

    /// Backups in this folder, made by runs that have ended, that no merge rests on.
    fn orphans(&self, dir: &Path) -> Result<Vec<PathBuf>, Failure> {
        let used: HashSet<_> = self
            .pairs
            .iter()
            .flat_map(|(_, pair)| &pair.folders)
            .filter_map(|folder| folder.file_name())
            .collect();
        let unreadable = |error: io::Error| {
            Failure::new(Exit::Usage, format!("{}: cannot be read: {error}", dir.display())).because(error)
        };
        let found = Found::list(&dir.canonicalize().map_err(unreadable)?).map_err(unreadable)?;
        let is_orphan = |folder: &PathBuf| {
            let made_by = std::fs::read(folder.join("metadata.json")).ok();
            let made_by = made_by.and_then(|text| serde_json::from_slice::<Metadata<IgnoredAny>>(&text).ok());
            // Of a run that is gone nothing is known: its backups are kept.
            folder.file_name().is_some_and(|name| !used.contains(name))
                && made_by.is_some_and(|metadata| self.ended.contains(&metadata.run))
        };
        Ok(found.backups.into_iter().filter(is_orphan).collect())
    }
}

/// Verifies one backup, or all in a folder.
fn look(dir: &Path) -> Result<BackupsReport, Failure> {
    let shown = dir.display().to_string();
    let usage = |why: &str| {
        let hint = "name the folder of your backups (--backup-dir of the merge), or one backup in it";
        Failure::new(Exit::Usage, format!("{shown}: {why}; {hint}"))
    };
    // As it was typed, a link is as good as the folder it leads to.
    let dir = dir.canonicalize().map_err(|error| usage(&format!("cannot be verified: {error}")))?;
    if !dir.is_dir() {
        return Err(usage("is not a folder"));
    }
    let is_of_one = is_partial(&dir) || is_backup(&dir);
    let found = if is_partial(&dir) {
        Found { partial: vec![name(&dir)], ..Found::default() }
    } else if is_backup(&dir) {
        Found { backups: vec![dir], ..Found::default() }
    } else {
        Found::list(&dir).map_err(|error| usage(&format!("cannot be read: {error}")))?
    };
    if found.backups.is_empty() {
        return Err(usage(&match found.partial.len() {
            0 => "holds no backup".to_owned(),
            partial => format!("holds no finished backup ({partial} that a run has not finished)"),
        }));
    }
    let mut report = BackupsReport::new(shown, judge(&found.backups), found.partial, found.ignored);
    report.is_of_one = is_of_one;
    Ok(report)
}

/// What a folder holds, each by name.
#[derive(Default)]
struct Found {
    backups: Vec<PathBuf>,
    partial: Vec<String>,
    ignored: Vec<String>,
}

impl Found {
    fn list(root: &Path) -> std::io::Result<Self> {
        let mut paths = Vec::new();
        for entry in std::fs::read_dir(root)? {
            paths.push(entry?.path());
        }
        paths.sort();
        let mut found = Self::default();
        for path in paths {
            if is_partial(&path) {
                found.partial.push(name(&path));
            } else if !path.is_file() && is_backup(&path) {
                // Not an archive that was made of one; but a link, which is no backup, is told to be none.
                found.backups.push(path);
            } else {
                found.ignored.push(name(&path));
            }
        }
        Ok(found)
    }
}

/// Verifies backups, a few at once.
fn judge(folders: &[PathBuf]) -> Vec<Judged> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut judged = Vec::new();
        while let Some((index, folder)) =
            Some(next.fetch_add(1, Ordering::Relaxed)).and_then(|index| Some((index, folders.get(index)?)))
        {
            tracing::info!(folder = %folder.display(), "verifying");
            judged.push((index, Judged::new(name(folder), verify(folder))));
        }
        judged
    };
    let mut judged: Vec<(usize, Judged)> = std::thread::scope(|scope| {
        let threads: Vec<_> = (1..AT_ONCE.min(folders.len())).map(|_| scope.spawn(work)).collect();
        let mut judged = work();
        for thread in threads {
            match thread.join() {
                Ok(more) => judged.extend(more),
                Err(defect) => std::panic::resume_unwind(defect),
            }
        }
        judged
    });
    judged.sort_unstable_by_key(|(index, _)| *index);
    judged.into_iter().map(|(_, judged)| judged).collect()
}

fn name(folder: &Path) -> String {
    folder.file_name().unwrap_or(folder.as_os_str()).to_string_lossy().into_owned()
}
