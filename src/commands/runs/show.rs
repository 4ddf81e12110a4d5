//! `runs show`: everything about a run.

use super::look::{Others, Seen};
use crate::exit::{Exit, Failure};
use crate::journal::error::JournalError;
use crate::journal::manifest::Manifest;
use crate::journal::ordered::{Word, Words};
use crate::journal::record::State;
use crate::journal::run_dir::RunDir;
use crate::report::past_run::{Example, FailedFor, FileSize, LastProcess, Origin, PastRun, Setting};
use crate::run::standing::{Place, Status};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader};
use std::path::Path;

/// How many rows that failed are shown for each reason.
const EXAMPLES: usize = 5;
/// How many reasons are told apart.
const REASONS: usize = 100;
/// How many files are listed.
const FILES: usize = 100;

/// Looks at a run. Blocks for as long as its journal takes to read, if rows have failed.
pub(crate) fn look(runs_dir: &Path, id: &str, place: &Place) -> Result<PastRun, Failure> {
    let run = RunDir::open(runs_dir, id)?;
    let mut others = Others::default();
    for other in RunDir::list(runs_dir)? {
        others.note(&Seen::of(other));
    }
    let seen = Seen::of(run);
    let (mut tally, mut problem) = seen.tally();
    let last_process = last_process(&seen);
    if let Some(last) = &last_process {
        tally.reasons.clone_from(&last.reasons);
    }
    let mut failures = Vec::new();
    if tally.errors() > 0 {
        match failed(&seen.run) {
            Ok(found) => failures = found,
            Err(error) => problem = problem.or(Some(error.to_string())),
        }
    }
    let files = files(seen.run.path()).map_err(|error| {
        Failure::new(Exit::Unexpected, format!("cannot list {}: {error}", seen.run.path().display()))
            .because(error)
    })?;
    let past = seen.past(&tally, problem, &others, place);
    let next_steps = match seen.standing(&tally) {
        Some(standing) if past.next.is_some() => {
            standing.steps().into_iter().map(|step| standing.sentence(step, place)).collect()
        }
        _ => Vec::new(),
    };
    Ok(PastRun {
        folder: seen.run.path().display().to_string(),
        origin: seen.manifest().map(|manifest| origin(manifest, seen.status())),
        reasons: tally.reasons,
        last_process,
        failures,
        files,
        next_steps,
        past,
    })
}

fn origin(manifest: &Manifest, status: Option<Status>) -> Origin {
    let resolved = manifest.settings.get("resolved").and_then(Value::as_object);
    let setting = |(name, entry): (&String, &Value)| {
        let text = |member: &str| match entry.get(member) {
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
            None => String::new(),
        };
        Setting { name: name.clone(), value: text("value"), from: text("from") }
    };
    let settings = resolved.into_iter().flatten().map(setting).filter(|setting| setting.from != "default");
    Origin {
        tool_version: manifest.tool_version.clone(),
        org: manifest.org.clone(),
        user: manifest.user.clone(),
        input: manifest.input.clone(),
        // A later process is on its way, or was.
        why: match &manifest.closed {
            Some(closed) => Some(closed.text()),
            None => manifest.why.clone().filter(|_| status == Some(Status::Stopped)),
        },
        notes: manifest.notes.clone(),
        settings: settings.collect(),
        options: manifest.settings.get("job").cloned().unwrap_or_default(),
    }
}

/// What `report.json` says, if it is about the end that `run.json` speaks of.
fn last_process(seen: &Seen) -> Option<LastProcess> {
    let file = File::open(seen.run.report()).ok()?;
    // It may have more to say of each row, which is passed over as it is read.
    let last: LastProcess = serde_json::from_reader(BufReader::new(file)).ok()?;
    let same = last.run == seen.run.id() && seen.status().map(Status::name) == Some(last.state.as_str());
    same.then_some(last)
}

/// The rows that failed or whose state is unknown.
fn failed(run: &RunDir) -> Result<Vec<FailedFor>, JournalError> {
    let mut found: BTreeMap<(State, String), FailedFor> = BTreeMap::new();
    for word in Words::read(run)? {
        let (row, word) = word?;
        let (key, state, reason, detail) = match word {
            Word::Outcome { key, outcome, .. } => (key, outcome.state, outcome.reason, outcome.detail),
            Word::Open { key, .. } => {
                let detail = "the process ended before it knew the answer".to_owned();
                (key, State::Unknown, Some("no-outcome".into()), Some(detail))
            }
            Word::Planned { .. } => continue,
        };
        if !matches!(state, State::Failed | State::Unknown) {
            continue;
        }
        let mut reason = reason.unwrap_or_default().into_owned();
        if found.len() >= REASONS && !found.contains_key(&(state, reason.clone())) {
            "other".clone_into(&mut reason);
        }
        let failed = found.entry((state, reason.clone())).or_insert_with(|| FailedFor {
            state: state.name(),
            reason,
            rows: 0,
            examples: Vec::new(),
        });
        failed.rows += 1;
        if failed.examples.len() < EXAMPLES {
            failed.examples.push(Example { row, key, detail });
        }
    }
    Ok(found.into_values().collect())
}

/// The files of a folder, by name.
fn files(folder: &Path) -> io::Result<Vec<FileSize>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        match entry.metadata() {
            Ok(data) => files.push(FileSize { name, bytes: data.len() }),
            // One that is being replaced.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    files.sort_by(|a, b| a.name.cmp(&b.name));
    files.truncate(FILES);
    Ok(files)
}
