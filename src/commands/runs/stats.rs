//! `runs stats`: what the runs of a folder come to, by job. Reads `run.json` and `report.json` of each, one after the other.

use super::figures::figures;
use super::list;
use super::look::{Found, Seen};
use crate::cli::around::{Only, These};
use crate::exit::{Exit, Failure};
use crate::journal::atomic;
use crate::journal::run_dir::RunDir;
use crate::report::html;
use crate::report::stats::{Damaged, Scope, Stats};
use crate::run::standing::Status;
use chrono::Utc;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// How a page of ours begins.
const PAGE: &[u8] = b"<!DOCTYPE html>";

/// Sums up these runs, and writes the page if it is asked for.
pub(crate) fn run(runs_dir: &Path, these: These, page: Option<&Path>) -> Result<Stats, Failure> {
    if let Some(page) = page {
        may_be_replaced(page)?;
    }
    let mut stats = look(runs_dir, these)?;
    if let Some(page) = page {
        atomic::replace(page, |file| html::stats::write(file, &stats)).map_err(|error| {
            let text = format!("--html: cannot write {}: {error}", page.display());
            Failure::new(Exit::Unexpected, text).because(error)
        })?;
        stats.page = Some(page.display().to_string());
    }
    Ok(stats)
}

/// Fails where there is a file of another kind: its name was a slip.
fn may_be_replaced(page: &Path) -> Result<(), Failure> {
    let mut start = Vec::new();
    let read = File::open(page).and_then(|file| file.take(PAGE.len() as u64).read_to_end(&mut start));
    let why = match read {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => error.to_string(),
        Ok(_) if start.is_empty() || start == PAGE => return Ok(()),
        Ok(_) => "it is there and is no page that could be replaced".to_owned(),
    };
    Err(Failure::new(Exit::Usage, format!("--html: cannot write {}: {why}", page.display())))
}

/// Sums up these runs. Memory: a few bytes a run.
fn look(runs_dir: &Path, these: These) -> Result<Stats, Failure> {
    let These { job, days, target } = these;
    let since = days.map(|days| Utc::now() - list::days(days));
    let mut stats = Stats::new(Scope {
        runs_dir: runs_dir.display().to_string(),
        since,
        job: job.clone(),
        target: target.clone(),
    });
    let only = Only { job, target, ..Only::default() };
    for run in RunDir::list(runs_dir)? {
        let seen = Seen::of(run);
        match &seen.found {
            // Its ID says when it began and what it was.
            Found::Unreadable(why) => {
                let is_asked_for =
                    only.job.as_ref().is_none_or(|job| list::is_of_job(seen.run.command(), job))
                        && since.is_none_or(|since| seen.run.began().is_none_or(|began| began >= since));
                if is_asked_for {
                    let (run, problem) = (seen.run.id().to_owned(), why.clone());
                    stats.damaged(Damaged { run, problem, counted: false });
                }
            }
            Found::Manifest(manifest) if list::matches(&seen, &only, since) => {
                let (figures, problem) = figures(&seen.run, manifest);
                stats.take(&figures, Status::of_run(manifest, seen.held).name());
                if let Some(problem) = problem {
                    stats.damaged(Damaged { run: figures.run, problem, counted: true });
                }
            }
            // One that never began has sent nothing.
            Found::Manifest(_) | Found::NeverBegan => {}
        }
    }
    Ok(stats.summed_up())
}
