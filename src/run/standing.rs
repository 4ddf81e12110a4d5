//! How a run stands and what can be done about it: said alike at its end and whenever it is looked at later.

use crate::exit::Exit;
use crate::finding::Rule;
use crate::journal::manifest::{Manifest, RunState, SANDBOX};
use crate::journal::run_dir::RunDir;
use crate::report::validation::shell_word;
use crate::settings::Settings;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, IsTerminal, Read};
use std::path::Path;

/// How a run stands, as an operator sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
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
    /// An operator ended it.
    Closed,
}

impl Status {
    /// What `run.json` and the lock come to.
    pub(crate) fn of(state: RunState, held: bool) -> Self {
        match state {
            RunState::Finished => Self::Finished,
            // `resume` takes the lock before it writes that it is at work.
            _ if held => Self::Running,
            RunState::Running => Self::Crashed,
            RunState::Interrupted => Self::Interrupted,
            RunState::Stopped => Self::Stopped,
        }
    }

    /// How a run stands, by its `run.json` and the lock.
    pub(crate) fn of_run(manifest: &Manifest, held: bool) -> Self {
        Self::unless_closed(manifest.state, manifest.closed.is_some(), held)
    }

    /// The same, of a run that an operator may have closed.
    pub(crate) fn unless_closed(state: RunState, is_closed: bool, held: bool) -> Self {
        if is_closed && !held { Self::Closed } else { Self::of(state, held) }
    }

    /// Its name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Crashed => "crashed",
            Self::Interrupted => "interrupted",
            Self::Stopped => "stopped",
            Self::Finished => "finished",
            Self::Closed => "closed",
        }
    }
}

/// All of a run that what comes next depends on.
#[derive(Debug, Clone)]
#[allow(clippy::struct_excessive_bools, reason = "facts of a run that do not depend on each other")]
pub(crate) struct Standing<'a> {
    /// The run.
    pub run: &'a RunDir,
    /// How it stands.
    pub status: Status,
    /// Whether it changes nothing.
    pub dry_run: bool,
    /// Whether it is against a real DevRev, so that writing asks first.
    pub asks: bool,
    /// The exit code of the process that worked on it last.
    pub exit: Option<u8>,
    /// Whether it stopped at a row that has drifted: resumed as it began, it would stop there again.
    pub drifted: bool,
    /// The changes after which it ended, as `--max-changes` said.
    pub portion: Option<u64>,
    /// The command that takes rows of its input again, but for the file; none for rows that no operator wrote.
    pub again: Option<String>,
    /// Rows by the name of their state.
    pub counts: &'a BTreeMap<String, u64>,
    /// Rows without a result.
    pub open: u64,
    /// Whether the last process could not write the run's files: those that are there are of an earlier one.
    pub unwritten: bool,
}

/// Something that an operator can do about a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// Check the rows whose outcome is unknown.
    CheckUnknown,
    /// Continue it.
    Resume,
    /// Carry out what it planned.
    Apply,
    /// Retry the failed rows as they are.
    RetryFailed,
    /// Correct the failed rows and run them again.
    CorrectFailed,
    /// Decide about the rows in `review.csv`.
    Review,
}

impl<'a> Standing<'a> {
    /// How a run stands, by its `run.json`.
    pub(crate) fn of(
        run: &'a RunDir,
        manifest: &Manifest,
        again: Option<String>,
        status: Status,
        counts: &'a BTreeMap<String, u64>,
        open: u64,
    ) -> Self {
        Self {
            run,
            status,
            dry_run: manifest.dry_run,
            asks: manifest.base_url != SANDBOX,
            exit: manifest.exit_code,
            drifted: manifest.exit_code == Some(Exit::Changed.code())
                && manifest.applies.as_ref().is_some_and(|applies| applies.abort_on_drift),
            portion: manifest.portion,
            again,
            counts,
            open,
            unwritten: false,
        }
    }

    /// Whether there are rows in `failed.csv`, of now.
    fn has_failed(&self) -> bool {
        !self.unwritten && has_rows(&self.run.failed())
    }

    /// Whether no row in `failed.csv` can succeed unless it is corrected.
    fn fail_again(&self) -> bool {
        !self.unwritten && fail_again(&self.run.failed()).unwrap_or(false)
    }

    /// What can be done, the most useful first; nothing while a process is at work.
    pub(crate) fn steps(&self) -> Vec<Step> {
        if matches!(self.status, Status::Running | Status::Closed) {
            return Vec::new();
        }
        let of = |state: &str| self.counts.get(state).copied().unwrap_or(0);
        let mut steps = Vec::new();
        let ended = self.status == Status::Finished;
        if self.dry_run && of("planned") > 0 && (ended && self.open == 0 || self.portion.is_some()) {
            steps.push(Step::Apply);
        }
        // Before that, a resumed run reads what became of them.
        if ended && of("unknown") > 0 {
            steps.push(Step::CheckUnknown);
        }
        if self.open > 0 || !ended || of("unknown") > 0 {
            steps.push(Step::Resume);
        }
        let ended_for_them = [Exit::SomeFailed, Exit::Backup].map(|exit| Some(exit.code()));
        if of("failed") > 0 && self.status != Status::Crashed && ended_for_them.contains(&self.exit) {
            let fails_again = self.fail_again();
            if !fails_again {
                steps.push(Step::RetryFailed);
            }
            if self.again.is_some() && self.has_failed() {
                steps.push(Step::CorrectFailed);
            }
        }
        if ended && self.again.is_some() && !self.unwritten && has_rows(&self.run.review()) {
            steps.push(Step::Review);
        }
        steps
    }

    /// Whether it stopped for something that does not pass by itself.
    fn refused(&self) -> bool {
        let lasting = [Exit::Usage, Exit::Credentials].map(|exit| Some(exit.code()));
        self.status == Status::Stopped && lasting.contains(&self.exit)
    }

    /// A step in words; those that are a command alone as the command.
    pub(crate) fn sentence(&self, step: Step, place: &Place) -> String {
        let failed = self.run.failed();
        match (step, self.command(step, place)) {
            (Step::Resume, Some(command)) if self.refused() => {
                format!("when that is corrected, run {command}")
            }
            (Step::Resume, Some(command)) => command,
            (Step::Apply, Some(command)) if self.unwritten => command,
            (Step::RetryFailed, Some(command)) if !self.has_failed() => {
                format!("to retry the failed rows as they are, run {command}")
            }
            (Step::CheckUnknown, _) if !self.has_failed() => {
                "check the `unknown` rows, which `runs show` lists, by hand; then resume".to_owned()
            }
            (Step::Apply, Some(command)) => {
                let table = Some(self.run.plan_table()).filter(|table| table.exists());
                format!("check {}, then run {command}", table.unwrap_or_else(|| self.run.plan()).display())
            }
            (Step::RetryFailed, Some(command)) => {
                format!("to retry the rows in {} as they are, run {command}", failed.display())
            }
            (Step::CorrectFailed, Some(command)) if self.fail_again() => {
                format!("correct the rows in {}, then run {command}", failed.display())
            }
            (Step::CorrectFailed, Some(command)) => {
                format!("to correct them first, edit that file, then run {command}")
            }
            (Step::Review, Some(command)) => {
                format!(
                    "decide about the rows in {}; to run corrected ones, run {command}",
                    self.run.review().display()
                )
            }
            (Step::CheckUnknown, _) | (_, None) => format!(
                "check the `unknown` rows of {}: each says what to check by hand; then resume",
                failed.display()
            ),
        }
    }

    /// The command that takes a step, where there is one.
    pub(crate) fn command(&self, step: Step, place: &Place) -> Option<String> {
        let id = self.run.id();
        let file = |path: &Path| {
            Some(format!("{} --csv {}", self.again.as_deref()?, shell_word(&path.to_string_lossy())))
        };
        let portion = self.portion.map(|changes| format!(" --max-changes {changes}")).unwrap_or_default();
        let skip = if self.drifted { " --on-drift skip" } else { "" };
        let command = match step {
            Step::CheckUnknown => return None,
            Step::Resume => format!("resume {id}{portion}{skip}"),
            Step::Apply => format!("apply {id}"),
            Step::RetryFailed => format!("resume {id} --retry-failed"),
            Step::CorrectFailed => file(&self.run.failed())?,
            Step::Review => file(&self.run.review())?,
        };
        let writes = step == Step::Apply || !self.dry_run;
        let yes = if place.no_terminal && self.asks && writes { " --yes" } else { "" };
        let dry_run = if self.dry_run && matches!(step, Step::CorrectFailed | Step::Review) {
            " --dry-run"
        } else {
            ""
        };
        Some(format!("devrev-batch {command}{dry_run}{}{yes}", place.flags))
    }
}

/// Whether the rows of a `failed.csv` are all wrong as they stand; `None` where that cannot be told cheaply.
fn fail_again(path: &Path) -> Option<bool> {
    const MOST: usize = 10_000;
    let mut rows = csv::ReaderBuilder::new().flexible(true).from_path(path).ok()?;
    // The last columns are this tool's own: `_row,_status,_reason,_attempts`.
    let mut seen = false;
    for (number, row) in rows.byte_records().enumerate() {
        let row = row.ok()?;
        let reason = std::str::from_utf8(row.get(row.len().checked_sub(2)?)?).ok()?;
        if number >= MOST || !Rule::fails_again(reason.split(':').next()?) {
            return Some(false);
        }
        seen = true;
    }
    Some(seen)
}

/// Whether a CSV file has more than its header.
fn has_rows(path: &Path) -> bool {
    const MOST: u64 = 1 << 20;
    let lines = |file: File| -> io::Result<bool> {
        let mut lines = BufReader::new(file.take(MOST));
        let mut line = Vec::new();
        lines.read_until(b'\n', &mut line)?;
        line.clear();
        Ok(lines.read_until(b'\n', &mut line)? > 0)
    };
    File::open(path).and_then(lines).unwrap_or(false)
}

/// The flags by which a later command finds the run and the settings that this one was given.
#[derive(Debug, Clone, Default)]
pub(crate) struct Place {
    flags: String,
    /// Whether nobody could be asked here whether a command may write.
    no_terminal: bool,
}

impl Place {
    /// The command that continues a run that makes nothing but a file.
    pub(crate) fn resume(&self, run: &RunDir) -> String {
        self.with(&format!("resume {}", run.id()))
    }

    /// A command with these flags.
    pub(crate) fn with(&self, command: &str) -> String {
        format!("devrev-batch {command}{}", self.flags)
    }

    /// Those that are not the default.
    pub(crate) fn of(settings: &Settings) -> Self {
        let mut flags = String::new();
        let runs_dir = settings.runs_dir.as_os_str();
        if runs_dir != "runs" {
            flags = format!("{flags} --runs-dir {}", shell_word(&runs_dir.to_string_lossy()));
        }
        if let Some(file) = &settings.env_file {
            flags = format!("{flags} --env-file {}", shell_word(&file.to_string_lossy()));
        }
        let no_terminal = !(io::stdin().is_terminal() && io::stderr().is_terminal());
        Self { flags, no_terminal }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::Utc;

    fn steps(status: Status, dry_run: bool, exit: u8, counts: &[(&str, u64)], open: u64) -> Vec<Step> {
        let folder = tempfile::tempdir().unwrap();
        let run = RunDir::create(folder.path(), "undo", Utc::now()).unwrap();
        std::fs::write(run.failed(), "a,b\n1,2\n").unwrap();
        let counts = counts.iter().map(|(state, rows)| ((*state).to_owned(), *rows)).collect();
        standing(&run, status, dry_run, exit, &counts, open).steps()
    }

    fn standing<'a>(
        run: &'a RunDir,
        status: Status,
        dry_run: bool,
        exit: u8,
        counts: &'a BTreeMap<String, u64>,
        open: u64,
    ) -> Standing<'a> {
        let again = Some("backfill-groups".to_owned());
        Standing {
            run,
            status,
            dry_run,
            asks: true,
            exit: Some(exit),
            drifted: false,
            portion: None,
            again,
            counts,
            open,
            unwritten: false,
        }
    }

    #[test]
    fn a_run_that_came_to_its_end_needs_little() {
        let done = ("done", 2);
        assert_eq!(steps(Status::Finished, false, 0, &[done], 0), []);
        let failed = steps(Status::Finished, false, 3, &[done, ("failed", 1)], 0);
        assert_eq!(failed, [Step::RetryFailed, Step::CorrectFailed]);
        let unknown = [done, ("unknown", 1)];
        assert_eq!(steps(Status::Finished, false, 3, &unknown, 0), [Step::CheckUnknown, Step::Resume]);
    }

    #[test]
    fn a_plan_is_carried_out_once_it_is_whole() {
        let planned = ("planned", 2);
        assert_eq!(steps(Status::Finished, true, 0, &[planned], 0), [Step::Apply]);
        let failed = [planned, ("failed", 1)];
        assert_eq!(
            steps(Status::Finished, true, 3, &failed, 0),
            [Step::Apply, Step::RetryFailed, Step::CorrectFailed]
        );
        assert_eq!(steps(Status::Finished, true, 0, &[("already", 2)], 0), []);
        assert_eq!(steps(Status::Interrupted, true, 130, &[planned], 1), [Step::Resume]);
    }

    #[test]
    fn what_did_not_end_is_resumed_unless_a_process_is_at_work() {
        for status in [Status::Crashed, Status::Interrupted, Status::Stopped] {
            assert_eq!(steps(status, false, 7, &[("failed", 1)], 1), [Step::Resume]);
            assert_eq!(steps(status, false, 130, &[("unknown", 3)], 1), [Step::Resume]);
        }
        assert_eq!(steps(Status::Crashed, false, 3, &[("failed", 1)], 0), [Step::Resume]);
        assert_eq!(steps(Status::Running, false, 3, &[("failed", 1), ("unknown", 1)], 9), []);
    }

    #[test]
    fn the_next_command_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let run = RunDir::create(folder.path(), "backfill-groups", Utc::now()).unwrap();
        let counts = BTreeMap::from([("failed".to_owned(), 1)]);
        let mut standing = standing(&run, Status::Finished, false, 3, &counts, 0);
        let (id, failed) = (run.id(), run.failed());
        let on_terminal = Place { flags: " --runs-dir r".to_owned(), no_terminal: false };
        let in_pipe = Place { no_terminal: true, ..on_terminal.clone() };
        let command = |standing: &Standing<'_>, step, place| standing.command(step, place).unwrap();
        assert_eq!(
            command(&standing, Step::RetryFailed, &on_terminal),
            format!("devrev-batch resume {id} --retry-failed --runs-dir r")
        );
        assert_eq!(
            command(&standing, Step::CorrectFailed, &in_pipe),
            format!("devrev-batch backfill-groups --csv {} --runs-dir r --yes", failed.display())
        );
        standing.portion = Some(5);
        assert_eq!(
            command(&standing, Step::Resume, &in_pipe),
            format!("devrev-batch resume {id} --max-changes 5 --runs-dir r --yes")
        );
        standing.drifted = true;
        assert!(command(&standing, Step::Resume, &in_pipe).contains(" --on-drift skip --runs-dir"));
        standing.dry_run = true;
        assert!(command(&standing, Step::CorrectFailed, &in_pipe).contains(" --dry-run --runs-dir"));
        assert!(
            command(&standing, Step::Apply, &in_pipe).ends_with(&format!("apply {id} --runs-dir r --yes"))
        );
        standing.asks = false;
        assert!(!command(&standing, Step::Apply, &in_pipe).contains("--yes"), "a sandbox does not ask");
    }

    #[test]
    fn a_review_file_with_rows_is_pointed_at() {
        let folder = tempfile::tempdir().unwrap();
        let run = RunDir::create(folder.path(), "merge-contacts", Utc::now()).unwrap();
        let counts = BTreeMap::new();
        let steps = || standing(&run, Status::Finished, false, 0, &counts, 0).steps();
        assert_eq!(steps(), []);
        std::fs::write(run.review(), "a,b\n").unwrap();
        assert_eq!(steps(), []);
        std::fs::write(run.review(), "a,b\n1,2\n").unwrap();
        assert_eq!(steps(), [Step::Review]);
    }

    #[test]
    fn what_could_not_be_written_is_not_pointed_at() {
        let folder = tempfile::tempdir().unwrap();
        let run = RunDir::create(folder.path(), "backfill-groups", Utc::now()).unwrap();
        // Those of an earlier process.
        std::fs::write(run.failed(), "a,b\n1,2\n").unwrap();
        std::fs::write(run.review(), "a,b\n1,2\n").unwrap();
        let place = Place { flags: String::new(), no_terminal: false };
        for (unwritten, points) in [(false, true), (true, false)] {
            for (state, dry_run, exit) in [("failed", false, 3), ("unknown", false, 3), ("planned", true, 0)]
            {
                let counts = BTreeMap::from([(state.to_owned(), 1)]);
                let standing = standing(&run, Status::Finished, dry_run, exit, &counts, 0);
                let standing = Standing { unwritten, ..standing };
                let said: Vec<_> =
                    standing.steps().iter().map(|step| standing.sentence(*step, &place)).collect();
                let folder = run.path().display().to_string();
                assert!(
                    !said.is_empty() && said.iter().any(|said| said.contains(&folder)) == points,
                    "{said:?}"
                );
            }
        }
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
