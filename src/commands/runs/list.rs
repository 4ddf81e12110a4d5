//! `runs list`: the runs of a folder, the newest first.

use super::look::{Found, Others, Seen};
use super::prune;
use crate::cli::around::Only;
use crate::exit::Failure;
use crate::journal::run_dir::RunDir;
use crate::report::past::{NEVER_BEGAN, PastRuns, UNREADABLE};
use crate::run::standing::Place;
use chrono::{DateTime, TimeDelta, Utc};
use std::path::Path;

/// Looks at all runs, and at the newest `limit` closely. Blocks, for longer only where a journal of a crashed run
/// has to be read.
pub(crate) fn look(runs_dir: &Path, limit: usize, only: &Only, place: &Place) -> Result<PastRuns, Failure> {
    let mut others = Others::default();
    let mut shown = Vec::new();
    let age = only.since.as_deref().map(|age| prune::age_of("since", age)).transpose()?;
    let since = age.or_else(|| only.days.map(days)).map(|age| Utc::now() - age);
    let runs = RunDir::list(runs_dir)?;
    let mut left_out = 0;
    for run in runs {
        let seen = Seen::of(run);
        others.note(&seen);
        if !matches(&seen, only, since) {
            continue;
        }
        if shown.len() < limit {
            shown.push(seen);
        } else {
            left_out += 1;
        }
    }
    let past = |seen: &Seen| {
        let (tally, problem) = seen.tally();
        seen.past(&tally, problem, &others, place)
    };
    Ok(PastRuns {
        runs_dir: runs_dir.display().to_string(),
        runs: shown.iter().map(past).collect(),
        left_out,
    })
}

/// So many days, as `--days` has them.
pub(crate) fn days(days: u32) -> TimeDelta {
    TimeDelta::days(i64::from(days))
}

/// Whether a command is the one that is asked for, or one of those that `undo` stands for.
pub(crate) fn is_of_job(command: &str, job: &str) -> bool {
    command.strip_prefix(job).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}

/// Whether a run is asked for. One that cannot be read may be any.
pub(crate) fn matches(seen: &Seen, only: &Only, since: Option<DateTime<Utc>>) -> bool {
    let Only { job, state, target, .. } = only;
    let Some(manifest) = seen.manifest() else {
        let name = if matches!(seen.found, Found::NeverBegan) { NEVER_BEGAN } else { UNREADABLE };
        return state.as_ref().is_none_or(|state| state == name);
    };
    let holds = |text: &String| {
        let org = manifest.org.as_ref().map(ToString::to_string).unwrap_or_default();
        let id = manifest.org.as_ref().map_or("", |org| &org.id);
        let text = text.to_lowercase();
        [manifest.base_url.as_str(), &org, id].iter().any(|place| place.to_lowercase().contains(&text))
    };
    let name = seen.status().map_or(UNREADABLE, |status| status.name());
    job.as_ref().is_none_or(|job| is_of_job(&manifest.command, job))
        && state.as_ref().is_none_or(|state| state == name)
        && since.is_none_or(|since| manifest.created_at >= since)
        && target.as_ref().is_none_or(holds)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::choices::RUN_STATES;
    use crate::run::standing::Status::{self, Closed, Crashed, Finished, Interrupted, Running, Stopped};

    #[test]
    fn every_state_that_a_run_may_be_in_can_be_asked_for() {
        let states = [Running, Crashed, Interrupted, Stopped, Finished, Closed].map(Status::name);
        assert_eq!([&states[..], &[NEVER_BEGAN, UNREADABLE]].concat(), RUN_STATES);
    }
}
