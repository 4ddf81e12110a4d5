//! What a command that runs a batch has of its own: all else is the same for every run.

use crate::engine::config::Config;
use crate::engine::event::Tally;
use crate::engine::job::{Applier, Planner, Task};
use crate::exit::{Exit, Failure};
use crate::journal::manifest::Manifest;
use crate::journal::replay::Replay;
use crate::journal::run_dir::RunDir;
use crate::report::beside::Own;
use crate::report::html::entry::{Entry, Said};
use crate::report::terminal::Terminal;
use crate::run::corrections::{Corrected, Corrections};
use crate::run::drift::Plannable;
use crate::run::target::Target;
use crate::settings::{Rates, Settings};
use crate::source::{Fingerprint, Input, Stamp};
use crate::stop::Stop;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::value::RawValue;
use std::fmt::Debug;
use std::future::Future;
use std::io::Write;
use std::sync::{Mutex, PoisonError};

/// What a first pass over an input has found. Nothing is sent before it is over.
#[derive(Debug)]
pub(crate) struct Scan<T> {
    /// The input's content.
    pub fingerprint: Fingerprint,
    /// By which a change under the run is noticed.
    pub stamp: Stamp,
    /// Its data records, good and bad.
    pub rows: u64,
    /// What the operator should know of how it was read.
    pub notes: Vec<String>,
    /// What the job has found.
    pub found: T,
}

/// Sums up what a dry run has planned.
pub(crate) trait PlanSummary: Send {
    /// Takes a planned change, in the order of the rows; `key` is the object's ID as people know it.
    fn take(&mut self, key: &str, change: &RawValue);
    /// All of it, for people.
    fn text(&self) -> String;
    /// All of it, for machines.
    fn json(&self) -> Value;
}

/// What is at hand when a run's work begins.
#[derive(Debug)]
pub(crate) struct Start<'a, F, T> {
    /// What the run changes.
    pub target: &'a T,
    /// The settings of this process.
    pub settings: &'a Settings,
    /// The run's folder.
    pub run: &'a RunDir,
    /// `run.json`.
    pub manifest: &'a Manifest,
    /// The rows.
    pub input: &'a Input,
    /// What is known of them.
    pub scan: &'a Scan<F>,
    /// `--resend-unproven`
    pub resend_unproven: bool,
    /// Whether rows are tried again, for which something may have been corrected just now.
    pub retries: bool,
    /// What ends every wait.
    pub stop: &'a Stop,
    /// Where progress is shown.
    pub terminal: &'a Terminal,
    /// See [`Start::note`].
    pub notes: &'a Notes,
}

/// What a job has to say of the beginning of a run.
pub(crate) type Notes = Mutex<Vec<String>>;

impl<F, T> Start<'_, F, T> {
    /// Notes what the operator has to know of what the run goes by: the question, the summary and `runs show` say it.
    pub(crate) fn note(&self, text: String) {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner).push(text);
    }
}

/// What a job says of a run that came to its end.
#[derive(Debug, Clone, Default)]
pub(crate) struct After {
    /// What the operator should know.
    pub notes: Vec<String>,
    /// Whether something is not as it has to be.
    pub failed: bool,
}

/// The member of `report.json` that has what outcomes and plans say of themselves.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reported(pub &'static str);

/// Writes rows into a file.
pub(crate) type Make = Box<dyn FnOnce(&mut dyn Write, &Stop) -> Result<(), Failure> + Send>;

/// A run that is to be undone.
#[derive(Debug, Clone, Copy)]
pub(crate) struct UndoneRun<'a> {
    /// Its folder.
    pub run: &'a RunDir,
    /// Its `run.json`.
    pub manifest: &'a Manifest,
    /// The settings of this process.
    pub settings: &'a Settings,
    /// `--limit`
    pub limit: Option<u64>,
    /// `--delete-created`
    pub delete_created: bool,
}

/// A job with its options, which `run.json` keeps so that `resume` does the same.
pub(crate) trait Job: Serialize + DeserializeOwned + Clone + Debug + Send + Sync + 'static {
    /// The command's name, in run IDs and `run.json`.
    const COMMAND: &'static str;
    /// Which pace its calls keep.
    const RATES: Rates = Rates::Backfill;
    /// The jobs whose runs it undoes; none if it is no undo.
    const UNDOES: &'static [&'static str] = &[];
    /// Whether it deletes what those jobs have created, where that is asked for.
    const DELETES: bool = false;
    /// What is lost with a run of it that has done something, besides its undo.
    const LOSES: &'static [&'static str] = &[];
    /// The member of `report.json` that has what the outcomes say of themselves, if they say anything.
    const REPORTED: Option<Reported> = None;
    /// Whether [`Job::after`] looks at a run also where a process finds that nothing is left of it: an earlier one may have ended
    /// before it looked.
    const LOOKS_BACK: bool = false;
    /// What the operator has to know of its changes before they are made, if there is such a thing.
    const WARNING: Option<&'static str> = None;
    /// Whether a person confirms by typing the organisation's name, in every environment.
    const NAME_IS_TYPED: bool = false;
    /// Files beside the input that it keeps in the run's folder, and goes by.
    const KEPT: &'static [&'static str] = &[];
    /// Whose the rows are that it reads.
    const ROWS: Own = Own::Operator;
    /// What those rows are called of which [`Job::tell`] has something to say: a heading.
    const TOLD: &'static str = "Changes";
    /// What it changes.
    type Target: Target<Self>;
    /// What a scan of its input finds, besides the rows.
    type Found: Debug + Send + 'static;
    /// Reads and decides.
    type Planner: Planner<Change: Plannable>;
    /// Makes the changes.
    type Applier: Applier<<Self::Planner as Planner>::Change>;
    /// The tasks.
    type Feed: Iterator<Item = Result<Task<<Self::Planner as Planner>::Item>, Failure>> + Send + 'static;

    /// Whether it keeps other runs of the same rows off, wherever they are on this machine.
    fn holds_rows(&self) -> bool {
        true
    }

    /// Whether the run is against the sandbox in the same process.
    fn in_sandbox(&self) -> bool;

    /// Scans the input. Blocks.
    fn scan(&self, input: &Input) -> Result<Scan<Self::Found>, Failure>;

    /// The rows that the run takes.
    fn total(&self, scan: &Scan<Self::Found>) -> u64;

    /// The same of an input with so many rows, where that can be told without scanning it again.
    fn rows(&self, rows: u64) -> Option<u64>;

    /// The flags that make the same options, for a run of other rows; none where no operator writes the rows.
    fn flags(&self, _run: &RunDir, _manifest: &Manifest) -> Option<String> {
        None
    }

    /// The command that takes rows of a run's input again, with the run's options, but for the file.
    fn again(&self, run: &RunDir, manifest: &Manifest) -> Option<String> {
        Some(format!("{}{}", Self::COMMAND, self.flags(run, manifest)?))
    }

    /// Whether what a run of it did can be undone, if there is an undo of the job at all.
    fn can_be_undone(&self) -> bool {
        true
    }

    /// The options of an undo, and what writes its rows; none for a job that takes nothing back.
    fn undoing(_of: UndoneRun<'_>) -> Option<Result<(Self, Make), Failure>> {
        None
    }

    /// Takes what may be given again when a run is resumed or its plan is applied. Returns the names of settings and
    /// what `run.json` says of them from now on, and what was replaced, in words.
    fn correct(&mut self, given: &Corrections<'_>) -> Result<Corrected, Failure> {
        given.only(&[]).map(|()| Corrected::default())
    }

    /// What will happen, for the question whether it may.
    fn what(&self, scan: &Scan<Self::Found>) -> String;

    /// Checks what has to be so before the operator is asked. Blocks, sends nothing.
    fn check(&self, _settings: &Settings, _scan: &Scan<Self::Found>, _dry_run: bool) -> Result<(), Failure> {
        Ok(())
    }

    /// Checks in DevRev what has to be so before the operator is asked. Only reads. Returns lines for the question.
    fn before_asking(
        &self,
        _start: &Start<'_, Self::Found, Self::Target>,
    ) -> impl Future<Output = Result<Vec<String>, Failure>> + Send {
        async { Ok(Vec::new()) }
    }

    /// Reads what is needed once, and makes both halves of the job.
    fn begin(
        &self,
        start: &Start<'_, Self::Found, Self::Target>,
    ) -> impl Future<Output = Result<(Self::Planner, Self::Applier), Failure>> + Send;

    /// The tasks that are left.
    fn feed(
        &self,
        input: &Input,
        scan: Scan<Self::Found>,
        replay: Replay,
        stop: Stop,
    ) -> Result<Self::Feed, Failure>;

    /// Looks at what a run that came to its end has done, dry ones left out. Only reads.
    fn after(
        &self,
        _target: &Self::Target,
        _run: &RunDir,
        _stop: &Stop,
    ) -> impl Future<Output = Result<After, Failure>> + Send {
        async { Ok(After::default()) }
    }

    /// How the engine works, where that is not as the settings say.
    fn tune(&self, _config: &mut Config) {}

    /// Writes the files that only runs of this job have, again from the journal, whenever a process of a run ends that
    /// is not dry. Blocks. The error says which could not be written.
    fn result_files(_run: &RunDir) -> Result<(), String> {
        Ok(())
    }

    /// Writes the files that only dry runs of this job have, again from the journal. Blocks. The error says which could
    /// not be written.
    fn plan_files(&self, _run: &RunDir) -> Result<(), String> {
        Ok(())
    }

    /// What sums up a dry run that has made so many calls.
    fn plan(&self, settings: &Settings, calls: u64) -> Box<dyn PlanSummary>;

    /// Says for people what the journal has of a row in this job's JSON; `None` where there is nothing to say of it.
    fn tell(said: Said<'_>) -> Option<Entry> {
        Entry::before_and_after("value", said)
    }

    /// What the rows of a run lack of what was asked for: a run that lacks something ends with [`Exit::SomeFailed`] at best.
    fn shortfall(&self, _run: &RunDir) -> Option<String> {
        None
    }

    /// The exit code of a run that came to its end, if it is not the usual one.
    fn exit(&self, _tally: &Tally) -> Option<Exit> {
        None
    }
}
