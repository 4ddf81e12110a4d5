//! `backups verify`: whether the backups of merged contacts are whole. Reads only, and nothing but files.

use crate::backup::layout::{is_backup, is_partial};
use crate::backup::verify::verify;
use crate::cli;
use crate::exit::{Exit, Failure};
use crate::report::backups::{BackupsReport, Judged};
use crate::report::terminal::result;
use crate::settings::Settings;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Backups that are read at once: hashing keeps a core busy, and disks like little more.
const AT_ONCE: usize = 2;

/// Runs `backups verify`.
///
/// The outcome is [`Exit::Backup`] when any backup is damaged. Fails when there is nothing to verify
/// ([`Exit::Usage`]): a check of nothing must not look like success.
pub async fn run(args: cli::around::Backups, global: &cli::Global) -> Result<Exit, Failure> {
    let cli::around::BackupsCommand::Verify { dir } = args.command;
    let dir = match dir {
        Some(dir) => dir,
        None => Settings::for_client(global, &cli::batch::ClientFlags::default())?.backup_dir,
    };
    let report = tokio::task::spawn_blocking(move || look(&dir))
        .await
        .map_err(|error| Failure::new(Exit::Unexpected, format!("a defect: {error}")))??;
    let text = if global.json {
        serde_json::to_string(&report).map_err(|error| Failure::new(Exit::Unexpected, error.to_string()))?
    } else {
        report.text()
    };
    let unwritten = |error| Failure::new(Exit::Unexpected, format!("cannot write the report: {error}"));
    result(&text).map_err(unwritten)?;
    Ok(if report.damaged > 0 { Exit::Backup } else { Exit::Ok })
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
    Ok(BackupsReport::new(shown, judge(&found.backups), found.partial, found.ignored))
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
