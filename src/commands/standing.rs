//! How a run stands and what can be done about it: said alike at its end and whenever it is looked at later.

use crate::exit::Exit;
use crate::journal::manifest::RunState;
use crate::journal::run_dir::RunDir;
use crate::report::validation::shell_word;
use crate::settings::Settings;
use std::collections::BTreeMap;

/// How a run stands, as an operator sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// A process works on it.
    Running,
    /// The process that worked on it is gone, and has not said how it ended.
    Crashed,
    /// A signal told it to stop.
    Interrupted,
    /// It stopped by itself before the end.
    Stopped,
    /// Every row has its outcome.
    Finished,
}

impl Status {
    /// What `run.json` and the lock come to.
    pub fn of(state: RunState, held: bool) -> Self {
        match state {
            RunState::Finished => Self::Finished,
            // `resume` takes the lock before it writes that it is at work.
            _ if held => Self::Running,
            RunState::Running => Self::Crashed,
            RunState::Interrupted => Self::Interrupted,
            RunState::Stopped => Self::Stopped,
        }
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Crashed => "crashed",
            Self::Interrupted => "interrupted",
            Self::Stopped => "stopped",
            Self::Finished => "finished",
        }
    }
}

/// All of a run that what comes next depends on.
#[derive(Debug, Clone, Copy)]
pub struct Standing<'a> {
    /// The run.
    pub run: &'a RunDir,
    /// How it stands.
    pub status: Status,
    /// Whether it changes nothing.
    pub dry_run: bool,
    /// The exit code of the process that worked on it last.
    pub exit: Option<u8>,
    /// Rows by the name of their state.
    pub counts: &'a BTreeMap<String, u64>,
    /// Rows without a result.
    pub open: u64,
}

/// Something that an operator can do about a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Look at the rows whose state is unknown.
    LookAtUnknown,
    /// Go on with it.
    Resume,
    /// Carry out what it planned.
    Apply,
    /// Take the failed rows again.
    RetryFailed,
}

impl Standing<'_> {
    /// What can be done, the most useful first; nothing while a process is at work.
    pub fn steps(&self) -> Vec<Step> {
        if self.status == Status::Running {
            return Vec::new();
        }
        let of = |state: &str| self.counts.get(state).copied().unwrap_or(0);
        let mut steps = Vec::new();
        // Of a crashed one no file tells, and most of them are settled by the resumption's first read.
        if of("unknown") > 0 && self.status != Status::Crashed {
            steps.push(Step::LookAtUnknown);
        }
        if self.open > 0 || self.status != Status::Finished || of("unknown") > 0 {
            steps.push(Step::Resume);
        }
        if self.dry_run && of("planned") > 0 && steps.is_empty() {
            steps.push(Step::Apply);
        }
        let ended_for_them = [Exit::SomeFailed, Exit::Backup].map(|exit| Some(exit.code()));
        if of("failed") > 0 && self.status != Status::Crashed && ended_for_them.contains(&self.exit) {
            steps.push(Step::RetryFailed);
        }
        steps
    }

    /// A step in words; those that are a command alone as the command.
    pub fn sentence(&self, step: Step, place: &Place) -> String {
        match (step, self.command(step, place)) {
            (Step::Resume, Some(command)) => command,
            (Step::Apply, Some(command)) => {
                format!("look at {}, then {command}", self.run.plan().display())
            }
            (Step::RetryFailed, Some(command)) => {
                format!("look at {}, mend the cause, then {command}", self.run.failed().display())
            }
            (Step::LookAtUnknown, _) | (_, None) => format!(
                "look at the `unknown` rows of {}: each says what to look at in DevRev; then resume",
                self.run.failed().display()
            ),
        }
    }

    /// The command that takes a step, where there is one.
    pub fn command(&self, step: Step, place: &Place) -> Option<String> {
        let (verb, flag) = match step {
            Step::LookAtUnknown => return None,
            Step::Resume => ("resume", ""),
            Step::Apply => ("apply", ""),
            Step::RetryFailed => ("resume", " --retry-failed"),
        };
        Some(format!("devrev-batch {verb} {}{}{flag}", self.run.id(), place.0))
    }
}

/// The flags by which a later command finds the run and the settings that this one was given.
#[derive(Debug, Clone, Default)]
pub struct Place(String);

impl Place {
    /// Those that are not the default.
    pub fn of(settings: &Settings) -> Self {
        let mut flags = String::new();
        let runs_dir = settings.runs_dir.as_os_str();
        if runs_dir != "runs" {
            flags = format!("{flags} --runs-dir {}", shell_word(&runs_dir.to_string_lossy()));
        }
        if let Some(file) = &settings.env_file {
            flags = format!("{flags} --env-file {}", shell_word(&file.to_string_lossy()));
        }
        Self(flags)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::Utc;

    fn steps(status: Status, dry_run: bool, exit: u8, counts: &[(&str, u64)], open: u64) -> Vec<Step> {
        let folder = tempfile::tempdir().unwrap();
        let run = RunDir::create(folder.path(), "undo", Utc::now()).unwrap();
        let counts = counts.iter().map(|(state, rows)| ((*state).to_owned(), *rows)).collect();
        Standing { run: &run, status, dry_run, exit: Some(exit), counts: &counts, open }.steps()
    }

    #[test]
    fn a_run_that_came_to_its_end_needs_little() {
        let done = ("done", 2);
        assert_eq!(steps(Status::Finished, false, 0, &[done], 0), []);
        assert_eq!(steps(Status::Finished, false, 3, &[done, ("failed", 1)], 0), [Step::RetryFailed]);
        let unknown = [done, ("unknown", 1)];
        assert_eq!(steps(Status::Finished, false, 3, &unknown, 0), [Step::LookAtUnknown, Step::Resume]);
    }

    #[test]
    fn a_plan_is_carried_out_once_it_is_whole() {
        let planned = ("planned", 2);
        assert_eq!(steps(Status::Finished, true, 0, &[planned], 0), [Step::Apply]);
        let failed = [planned, ("failed", 1)];
        assert_eq!(steps(Status::Finished, true, 3, &failed, 0), [Step::Apply, Step::RetryFailed]);
        assert_eq!(steps(Status::Finished, true, 0, &[("already", 2)], 0), []);
        assert_eq!(steps(Status::Interrupted, true, 130, &[planned], 1), [Step::Resume]);
    }

    #[test]
    fn what_did_not_end_goes_on_unless_somebody_is_at_it() {
        for status in [Status::Crashed, Status::Interrupted, Status::Stopped] {
            assert_eq!(steps(status, false, 7, &[("failed", 1)], 1), [Step::Resume]);
        }
        assert_eq!(steps(Status::Crashed, false, 3, &[("failed", 1)], 0), [Step::Resume]);
        assert_eq!(steps(Status::Crashed, false, 3, &[("unknown", 1)], 4), [Step::Resume]);
        assert_eq!(steps(Status::Running, false, 3, &[("failed", 1), ("unknown", 1)], 9), []);
    }

    #[test]
    fn the_lock_says_whether_it_is_alive() {
        for (state, free, held) in [
            (RunState::Running, Status::Crashed, Status::Running),
            (RunState::Interrupted, Status::Interrupted, Status::Running),
            (RunState::Stopped, Status::Stopped, Status::Running),
            (RunState::Finished, Status::Finished, Status::Finished),
        ] {
            assert_eq!((Status::of(state, false), Status::of(state, true)), (free, held));
        }
    }
}
