//! What every undo has in common: its rows are made, and nothing of it runs in a sandbox.

use crate::engine::config::Config;
use crate::engine::job::{Applier, Planner};
use crate::exit::{Exit, Failure};
use crate::jobs::undoing::feed::{self, Made, MadeFeed, MadeRows};
use crate::journal::replay::Replay;
use crate::journal::run_dir::RunDir;
use crate::report::beside::Own;
use crate::report::html::entry::{Entry, Said};
use crate::run::drift::Plannable;
use crate::run::job::{After, Job, Make, PlanSummary, Reported, Start, UndoneRun};
use crate::run::target::Target;
use crate::settings::{Rates, Settings};
use crate::source::Input;
use crate::stop::Stop;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::fmt::Debug;
use std::future::Future;

/// What one undo has of its own; see [`Job`] for what is not said here.
pub(crate) trait UndoJob:
    Serialize + DeserializeOwned + Clone + Debug + Send + Sync + 'static
{
    /// See [`Job::COMMAND`].
    const COMMAND: &'static str;
    /// See [`Job::UNDOES`].
    const UNDOES: &'static [&'static str];
    /// See [`Job::DELETES`].
    const DELETES: bool = false;
    /// See [`Job::RATES`].
    const RATES: Rates = Rates::Backfill;
    /// See [`Job::LOSES`].
    const LOSES: &'static [&'static str] = &[];
    /// See [`Job::REPORTED`].
    const REPORTED: Option<Reported> = None;
    /// See [`Job::WARNING`].
    const WARNING: Option<&'static str> = None;
    /// See [`Job::NAME_IS_TYPED`].
    const NAME_IS_TYPED: bool = false;
    /// See [`Job::TOLD`].
    const TOLD: &'static str = "Changes";
    /// What it changes.
    type Target: Target<Undo<Self>>;
    /// What a row says.
    type Item: Made;
    /// Reads and decides.
    type Planner: Planner<Item = Self::Item, Change: Plannable>;
    /// Undoes.
    type Applier: Applier<<Self::Planner as Planner>::Change>;

    /// The run that is undone.
    fn of(&self) -> &str;

    /// `--limit`: only the first rows.
    fn limit(&self) -> Option<u64>;

    /// See [`Job::undoing`].
    fn undoing(of: UndoneRun<'_>) -> Result<(Self, Make), Failure>;

    /// What will happen to so many rows, for the question whether it may.
    fn what(&self, rows: u64) -> String;

    /// See [`Job::before_asking`].
    fn before_asking(
        &self,
        _start: &Start<'_, (), Self::Target>,
    ) -> impl Future<Output = Result<Vec<String>, Failure>> + Send {
        async { Ok(Vec::new()) }
    }

    /// Makes both halves of the job.
    fn begin(
        &self,
        start: &Start<'_, (), Self::Target>,
    ) -> impl Future<Output = Result<(Self::Planner, Self::Applier), Failure>> + Send;

    /// See [`Job::tune`].
    fn tune(&self, _config: &mut Config) {}

    /// See [`Job::plan`].
    fn plan(&self, settings: &Settings, calls: u64) -> Box<dyn PlanSummary>;

    /// See [`Job::plan_files`].
    fn plan_files(&self, _run: &RunDir) -> Result<(), String> {
        Ok(())
    }

    /// See [`Job::tell`].
    fn tell(said: Said<'_>) -> Option<Entry>;

    /// See [`Job::result_files`].
    fn result_files(_run: &RunDir) -> Result<(), String> {
        Ok(())
    }

    /// See [`Job::after`].
    fn after(
        &self,
        _target: &Self::Target,
        _run: &RunDir,
        _stop: &Stop,
    ) -> impl Future<Output = Result<After, Failure>> + Send {
        async { Ok(After::default()) }
    }
}

/// The job that undoes what another one did, with the options of that undo.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Undo<T>(T);

impl<T> Undo<T> {
    /// The options.
    #[cfg(feature = "load")]
    pub(crate) fn options(&self) -> &T {
        &self.0
    }
}

impl<T: UndoJob> Job for Undo<T> {
    const COMMAND: &'static str = T::COMMAND;
    const RATES: Rates = T::RATES;
    const UNDOES: &'static [&'static str] = T::UNDOES;
    const DELETES: bool = T::DELETES;
    const LOSES: &'static [&'static str] = T::LOSES;
    const REPORTED: Option<Reported> = T::REPORTED;
    const WARNING: Option<&'static str> = T::WARNING;
    const NAME_IS_TYPED: bool = T::NAME_IS_TYPED;
    const ROWS: Own = Own::Made;
    const TOLD: &'static str = T::TOLD;
    type Target = T::Target;
    type Found = ();
    type Planner = T::Planner;
    type Applier = T::Applier;
    type Feed = MadeFeed<T::Item>;

    fn in_sandbox(&self) -> bool {
        false
    }

    fn scan(&self, input: &Input) -> Result<MadeRows, Failure> {
        feed::scan::<T::Item>(input)
    }

    fn total(&self, scan: &MadeRows) -> u64 {
        self.0.limit().map_or(scan.rows, |limit| limit.min(scan.rows))
    }

    fn rows(&self, rows: u64) -> Option<u64> {
        Some(self.0.limit().map_or(rows, |limit| limit.min(rows)))
    }

    fn undoing(of: UndoneRun<'_>) -> Option<Result<(Self, Make), Failure>> {
        Some(T::undoing(of).map(|(options, make)| (Self(options), make)))
    }

    fn what(&self, scan: &MadeRows) -> String {
        let warning = T::WARNING.map(|warning| format!("\n{warning}")).unwrap_or_default();
        self.0.what(self.total(scan)) + &warning
    }

    fn check(&self, settings: &Settings, scan: &MadeRows, _dry_run: bool) -> Result<(), Failure> {
        if scan.rows > 0 {
            return Ok(());
        }
        let of = self.0.of();
        // As its journal has them: a run that crashed has counted nothing.
        let replay = RunDir::open(&settings.runs_dir, of).and_then(|run| Replay::read(&run));
        let in_doubt = replay.map_or(0, |replay| replay.counts.get("unknown").copied().unwrap_or(0));
        if in_doubt > 0 {
            let rows = if in_doubt == 1 { "1 row has".to_owned() } else { format!("{in_doubt} rows have") };
            let text = format!(
                "run {of} changed nothing that can be undone yet: none of its rows is `done`, and {rows} an unknown outcome; \
                 `devrev-batch resume {of}` settles that"
            );
            return Err(Failure::new(Exit::Usage, text));
        }
        let text = format!("run {of} changed nothing that can be undone: none of its rows is `done`");
        Err(Failure::new(Exit::Usage, text))
    }

    async fn before_asking(&self, start: &Start<'_, (), Self::Target>) -> Result<Vec<String>, Failure> {
        self.0.before_asking(start).await
    }

    async fn begin(&self, start: &Start<'_, (), Self::Target>) -> Result<(T::Planner, T::Applier), Failure> {
        self.0.begin(start).await
    }

    fn feed(&self, input: &Input, scan: MadeRows, replay: Replay, stop: Stop) -> Result<Self::Feed, Failure> {
        MadeFeed::new(input, &scan, self.0.limit(), replay, stop)
    }

    fn tune(&self, config: &mut Config) {
        self.0.tune(config);
    }

    fn plan(&self, settings: &Settings, calls: u64) -> Box<dyn PlanSummary> {
        self.0.plan(settings, calls)
    }

    fn result_files(run: &RunDir) -> Result<(), String> {
        T::result_files(run)
    }

    fn plan_files(&self, run: &RunDir) -> Result<(), String> {
        self.0.plan_files(run)
    }

    fn tell(said: Said<'_>) -> Option<Entry> {
        T::tell(said)
    }

    async fn after(&self, target: &T::Target, run: &RunDir, stop: &Stop) -> Result<After, Failure> {
        self.0.after(target, run, stop).await
    }
}
