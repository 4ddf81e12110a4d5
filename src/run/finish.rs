//! How every run ends: result files, `run.json`, `report.json`, the summary, the exit code.

use crate::engine::config::How;
use crate::engine::event::Tally;
use crate::exit::{Exit, Failure};
use crate::figures::Figures;
use crate::journal::atomic;
use crate::journal::error::JournalError;
use crate::journal::manifest::{Manifest, RunState};
use crate::journal::ordered::{Word, Words};
use crate::journal::record::{Outcome, State};
use crate::journal::replay::Replay;
use crate::journal::run_dir::RunDir;
use crate::monitor::Monitor;
use crate::report::html::rows::RowsTable;
use crate::report::profile::Profile;
use crate::report::results;
use crate::report::summary::Summary;
use crate::report::terminal::result;
use crate::report::units::counted;
use crate::run::job::{Job, Reported};
use crate::run::page::{self, Page};
use crate::run::scan::unchanged;
use crate::run::session::Session;
use crate::run::standing::{Place, Standing, Status};
use crate::run::watching::Charted;
use crate::source::Stamp;
use crate::stop::Cause;
use chrono::Utc;
use serde::ser::{Error as _, SerializeMap, SerializeSeq};
use serde::{Serialize, Serializer};
use serde_json::{Value, json};
use std::cell::RefCell;
use std::num::NonZeroU64;

/// Ends a run. What cannot be written is said, and never hides how the run ended.
///
/// `stamp` is the input's at the beginning: from another input no result files are made.
pub(crate) async fn run<J: Job>(
    mut session: Session<J>,
    how: How,
    stamp: Option<Stamp>,
    total: u64,
    mut figures: Figures,
    charted: Charted,
) -> Result<Exit, Failure> {
    figures.elapsed = session.since.elapsed();
    figures.process = session.monitor.as_ref().and_then(Monitor::look);
    let closed = session.journal.clone().close().await.err().map(Failure::from);
    let journal_bytes = session.journal.durable_bytes();
    let changed = stamp.and_then(|stamp| unchanged(session.input.path(), &stamp).err());
    let how = match (closed, changed.clone()) {
        // The cause of whatever else went wrong: a folder that is gone takes the copy of the input with it.
        (Some(failure), _) => How::Stopped(failure),
        (None, Some(failure)) if matches!(how, How::Finished | How::Portion | How::Interrupted(_)) => {
            How::Stopped(failure)
        }
        _ => how,
    };
    let mut troubles = Vec::new();
    let written = match changed {
        Some(failure) => Err(format!("no result files are made: {failure}")),
        None => results(&session).await,
    };
    let unwritten = written.is_err();
    let (tally, shown) = match written {
        Ok((tally, rows)) => (tally, Ok(rows)),
        Err(trouble) => {
            troubles.push(trouble);
            (tallied(&session), page::gather::<J>(&session.run).await)
        }
    };
    let open = total.saturating_sub(tally.total());
    let (state, exit, why) = ended(&mut session, &how, &tally, open);
    let (plan, plan_text) = match planned(&session, figures.calls.calls).await {
        Ok(plan) => plan,
        Err(trouble) => {
            troubles.push(trouble);
            (None, String::new())
        }
    };
    let manifest = &mut session.manifest;
    manifest.state = state;
    manifest.exit_code = Some(exit.code());
    let reached = matches!(how, How::Portion) && state != RunState::Finished;
    manifest.portion = session.settings.max_changes.map(NonZeroU64::get).filter(|_| reached);
    let again = session.job.again(&session.run, &session.manifest);
    let standing = Standing {
        unwritten,
        ..Standing::of(&session.run, &session.manifest, again, Status::of(state, false), &tally.states, open)
    };
    let place = Place::of(&session.settings);
    let next = standing.steps().into_iter().map(|step| standing.sentence(step, &place)).collect();
    let summary = Summary {
        run: session.run.id().to_owned(),
        folder: session.run.path().display().to_string(),
        command: session.manifest.command.clone(),
        dry_run: session.manifest.dry_run,
        carries_out: session.manifest.applies.as_ref().map(|applies| applies.run.clone()),
        target: session.manifest.base_url.clone(),
        environment: session.settings.environment.clone(),
        state: standing.status.name().to_owned(),
        why: why.clone(),
        notes: session.manifest.notes.clone(),
        exit: exit.code(),
        rows: total,
        open,
        next,
        tally,
        plan,
        plan_text,
        calls: serde_json::to_value(&figures.calls.endpoints).unwrap_or_default(),
        calls_total: figures.calls.calls,
        calls_retried: figures.calls.retries,
        resumed: charted.resumed,
        seconds: figures.elapsed.as_secs_f64(),
        profile: session.settings.watch.profile.then(|| Profile::new(&figures)),
        seconds_waiting: figures.time.waiting.as_secs_f64(),
        memory_peak_bytes: figures.process.map(|process| process.peak),
        cpu_seconds: figures.process.map(|process| process.cpu.as_secs_f64()),
    };
    let manifest = &mut session.manifest;
    manifest.why = why;
    manifest.journal_bytes = Some(journal_bytes);
    if let Err(error) = note_end(manifest, &session.run, &summary) {
        troubles.push(error.to_string());
    }
    if let Err(trouble) = write_report::<J>(&session.run, &summary).await {
        troubles.push(trouble);
    }
    let page = Page { summary: &summary, exit, figures: &figures, charted: &charted, rows: shown };
    if let Err(trouble) = page::write(&session, page).await {
        troubles.push(trouble);
    }
    for trouble in &troubles {
        session.terminal.say(&format!("warning: {trouble}"));
    }
    let text =
        if session.json { serde_json::to_string(&summary).unwrap_or_default() } else { summary.text() };
    if let Err(error) = result(&text) {
        // The run ended as it did, whoever heard of it.
        session.terminal.say(&format!("warning: cannot print the summary: {error}"));
    }
    session.stop.work_is_over();
    std::mem::take(&mut session.reporters).end(&summary, &figures).await;
    Ok(exit)
}

/// Writes into `run.json` when the run ended, and with which rows.
fn note_end(manifest: &mut Manifest, run: &RunDir, summary: &Summary) -> Result<(), JournalError> {
    manifest.counts.clone_from(&summary.tally.states);
    manifest.counts.insert("open".to_owned(), summary.open);
    manifest.updated_at = Utc::now();
    manifest.ended_at = Some(manifest.updated_at);
    manifest.write(run)
}

/// Sums up what a dry run has planned, for machines and for people.
async fn planned<J: Job>(session: &Session<J>, calls: u64) -> Result<(Option<Value>, String), String> {
    if !session.manifest.dry_run {
        return Ok((None, String::new()));
    }
    let mut plan = session.job.plan(&session.settings, calls);
    let run = session.run.clone();
    let mut read = move || {
        for word in Words::read(&run)? {
            if let (_, Word::Planned { key, change: Some(change) }) = word? {
                plan.take(&key, &change);
            }
        }
        Ok((Some(plan.json()), plan.text()))
    };
    let (job, of_files) = (session.job.clone(), session.run.clone());
    let read = move || {
        job.plan_files(&of_files)?;
        read().map_err(|error: JournalError| format!("cannot say what was planned: {error}"))
    };
    tokio::task::spawn_blocking(read).await.map_err(|error| format!("a defect: {error}"))?
}

/// Writes `report.json`, streaming what the journal says of each row.
async fn write_report<J: Job>(run: &RunDir, summary: &Summary) -> Result<(), String> {
    let (run, summary) = (run.clone(), summary.clone());
    let write = move || {
        let path = run.report();
        let failed = |error: String| format!("cannot write {}: {error}", path.display());
        let rows = match J::REPORTED {
            None => None,
            Some(Reported(name)) => {
                Some((name, Words::read(&run).map_err(|error| failed(error.to_string()))?))
            }
        };
        let report = ReportFile { summary: &summary, rows: ReportRows(RefCell::new(rows)) };
        let written = atomic::replace(&path, |mut file| {
            serde_json::to_writer_pretty(&mut file, &report)?;
            writeln!(file)
        });
        written.map_err(|error| failed(error.to_string()))
    };
    let written = tokio::task::spawn_blocking(write).await;
    written.unwrap_or_else(|error| Err(format!("a defect: {error}")))
}

#[derive(Serialize)]
struct ReportFile<'a> {
    #[serde(flatten)]
    summary: &'a Summary,
    #[serde(flatten)]
    rows: ReportRows,
}

/// What the journal says of each row, under the name that the job gives it. Read while it is serialised, once.
struct ReportRows(RefCell<Option<(&'static str, Words)>>);

impl Serialize for ReportRows {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        if let Some((name, words)) = self.0.take() {
            map.serialize_entry(name, &EachRow(RefCell::new(words)))?;
        }
        map.end()
    }
}

struct EachRow(RefCell<Words>);

impl Serialize for EachRow {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut rows = serializer.serialize_seq(None)?;
        for word in &mut *self.0.borrow_mut() {
            let (row, word) = word.map_err(S::Error::custom)?;
            // Only the first of two rows that share an outcome has something to say.
            match word {
                Word::Outcome { outcome: Outcome { report: Some(report), .. }, .. } => {
                    rows.serialize_element(&report)?;
                }
                Word::Planned { change: Some(change), .. } => rows.serialize_element(&change)?,
                Word::Open { change: Some(change), key } => rows.serialize_element(&json!({
                    "key": key, "row": row, "state": "unknown", "reason": "no-outcome", "change": change,
                }))?,
                // Ended from outside, as by a stop: the journal has its steps.
                Word::Outcome { key, outcome, first: true } if outcome.state == State::Unknown => {
                    rows.serialize_element(&json!({
                        "key": key, "row": row, "state": "unknown", "reason": outcome.reason,
                        "detail": outcome.detail,
                    }))?;
                }
                _ => {}
            }
        }
        rows.end()
    }
}

/// Writes the result files; counts every row by its last word, and gathers those that the page shows.
async fn results<J: Job>(session: &Session<J>) -> Result<(Tally, RowsTable), String> {
    let (run, input, dry_run) = (session.run.clone(), session.input.clone(), session.manifest.dry_run);
    let write = move || {
        let words = Words::read(&run).map_err(|error| error.to_string())?;
        let rows = input.open().map_err(|error| error.to_string())?.rows();
        let mut shown = RowsTable::new(J::tell);
        let words = words.inspect(|word| {
            if let Ok((row, word)) = word {
                shown.take(*row, word);
            }
        });
        let tally = results::write(&run, rows, J::ROWS, words, dry_run)
            .map_err(|error| format!("cannot write the result files in {}: {error}", run.path().display()))?;
        if !dry_run {
            J::result_files(&run)?;
        }
        Ok((tally, shown))
    };
    let written = tokio::task::spawn_blocking(write).await;
    written.unwrap_or_else(|error| Err(format!("a defect: {error}")))
}

/// The rows by state as the journal alone has them.
fn tallied<J: Job>(session: &Session<J>) -> Tally {
    let mut tally = Tally::default();
    if let Ok(replay) = Replay::read(&session.run) {
        tally.states = replay.counts;
        tally.reasons = replay.by_reason;
    }
    tally
}

/// How a run ends, with what its job says of it.
fn ended<J: Job>(
    session: &mut Session<J>,
    how: &How,
    tally: &Tally,
    open: u64,
) -> (RunState, Exit, Option<String>) {
    let most = session.settings.max_changes.map_or(0, NonZeroU64::get);
    let (state, exit, why) = ending(how, tally, open, most, &session.job);
    session.manifest.notes.append(&mut session.after.notes);
    let shortfall = session.job.shortfall(&session.run);
    let failed = session.after.failed || shortfall.is_some();
    session.manifest.notes.extend(shortfall.filter(|note| !session.manifest.notes.contains(note)));
    (state, if failed && exit == Exit::Ok { Exit::SomeFailed } else { exit }, why)
}

fn ending<J: Job>(
    how: &How,
    tally: &Tally,
    open: u64,
    most: u64,
    job: &J,
) -> (RunState, Exit, Option<String>) {
    match how {
        How::Portion if open > 0 => {
            let exit = exit_of_end(tally, job);
            let why = format!(
                "the limit of {} was reached; {} left for `resume`",
                counted(most, "change"),
                are(open)
            );
            (RunState::Stopped, exit, Some(why))
        }
        How::Finished if open > 0 => {
            let why = format!("a defect: the run came to its end, and rows have no result: {open}");
            (RunState::Stopped, Exit::Unexpected, Some(why))
        }
        How::Finished | How::Portion => (RunState::Finished, exit_of_end(tally, job), None),
        How::Interrupted(Cause::Terminate) => (RunState::Interrupted, Exit::Terminated, None),
        How::Interrupted(_) => (RunState::Interrupted, Exit::Interrupted, None),
        How::Stopped(failure) => {
            (RunState::Stopped, exit_of_stop(failure.exit, tally), Some(failure.message.clone()))
        }
    }
}

fn exit_of_end<J: Job>(tally: &Tally, job: &J) -> Exit {
    job.exit(tally).unwrap_or(if tally.errors() > 0 { Exit::SomeFailed } else { Exit::Ok })
}

/// Rows with their verb: `1 row is`.
fn are(rows: u64) -> String {
    format!("{} {}", counted(rows, "row"), if rows == 1 { "is" } else { "are" })
}

/// [`Exit::Backup`] says that nothing was sent: a run that had sent merges before it stopped for its backups does not.
fn exit_of_stop(exit: Exit, tally: &Tally) -> Exit {
    let has_sent = ["done", "unknown"].into_iter().any(|state| tally.of(state) > 0);
    if exit == Exit::Backup && has_sent { Exit::Stopped } else { exit }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_has_sent_merges_does_not_say_that_none_was_sent() {
        let mut tally = Tally::default();
        tally.add("failed", Some("backup-failed"), 2);
        assert_eq!(exit_of_stop(Exit::Backup, &tally), Exit::Backup);
        assert_eq!(exit_of_stop(Exit::Credentials, &tally), Exit::Credentials);
        tally.add("unknown", None, 2);
        assert_eq!(exit_of_stop(Exit::Backup, &tally), Exit::Stopped);
    }
}
