//! What every undo has in common: its rows are made, and nothing of it runs in a sandbox.

use crate::engine::config::Config;
use crate::engine::job::{Applier, Planner};
use crate::exit::{Exit, Failure};
use crate::jobs::target::DevRev;
use crate::jobs::undoing::feed::{self, Made, MadeFeed, MadeRows};
use crate::journal::replay::Replay;
use crate::journal::run_dir::RunDir;
use crate::report::beside::Own;
use crate::report::html::entry::{Entry, Said};
use crate::run::drift::Plannable;
use crate::run::job::{Job, Make, PlanSummary, Reported, Start, UndoneRun};
use crate::settings::{Rates, Settings};
use crate::source::Input;
use crate::stop::Stop;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::Debug;
use std::future::Future;

/// What one undo has of its own; see [`Job`] for what is not said here.
pub(crate) trait UndoJob:
    Serialize + DeserializeOwned + Clone + Debug + Send + Sync + 'static
{
    /// See [`Job::COMMAND`].
    const NAME: &'static str;
    /// See [`Job::UNDOES`].
    const OF: &'static str;
    /// See [`Job::RATES`].
    const PACE: Rates = Rates::Backfill;
    /// See [`Job::LOSES`].
    const LOST: &'static [&'static str] = &[];
    /// See [`Job::REPORTED`].
    const SAYS: Option<Reported> = None;
    /// See [`Job::NAME_IS_TYPED`].
    const TYPES_NAME: bool = false;
    /// See [`Job::TOLD`].
    const HEADING: &'static str = "Changes";
    /// What a row says.
    type Item: Made;
    /// Reads and decides.
    type Reader: Planner<Item = Self::Item, Change: Plannable>;
    /// Takes back.
    type Writer: Applier<<Self::Reader as Planner>::Change>;

    /// The run that is undone.
    fn of(&self) -> &str;

    /// `--limit`: only the first rows.
    fn limit(&self) -> Option<u64>;

    /// See [`Job::undoing`].
    fn undo_of(of: UndoneRun<'_>) -> Result<(Self, Make), Failure>;

    /// What will happen to so many rows, for the question whether it may.
    fn question(&self, rows: u64) -> String;

    /// See [`Job::before_asking`].
    fn first_look(
        &self,
        _start: &Start<'_, (), DevRev>,
    ) -> impl Future<Output = Result<Vec<String>, Failure>> + Send {
        async { Ok(Vec::new()) }
    }

    /// Makes both halves of the job.
    fn halves(
        &self,
        start: &Start<'_, (), DevRev>,
    ) -> impl Future<Output = Result<(Self::Reader, Self::Writer), Failure>> + Send;

    /// See [`Job::tune`].
    fn engine(&self, _config: &mut Config) {}

    /// See [`Job::plan`].
    fn sums(&self, settings: &Settings, calls: u64) -> Box<dyn PlanSummary>;

    /// See [`Job::tell`].
    fn words(said: Said<'_>) -> Option<Entry>;

    /// See [`Job::result_files`].
    fn files(_run: &RunDir) -> Result<(), String> {
        Ok(())
    }
}

impl<T: UndoJob> Job for T {
    const COMMAND: &'static str = T::NAME;
    const RATES: Rates = T::PACE;
    const UNDOES: Option<&'static str> = Some(T::OF);
    const LOSES: &'static [&'static str] = T::LOST;
    const REPORTED: Option<Reported> = T::SAYS;
    const NAME_IS_TYPED: bool = T::TYPES_NAME;
    const ROWS: Own = Own::Made;
    const TOLD: &'static str = T::HEADING;
    type Target = DevRev;
    type Found = ();
    type Planner = T::Reader;
    type Applier = T::Writer;
    type Feed = MadeFeed<T::Item>;

    fn in_sandbox(&self) -> bool {
        false
    }

    fn scan(&self, input: &Input) -> Result<MadeRows, Failure> {
        feed::scan::<T::Item>(input)
    }

    fn total(&self, scan: &MadeRows) -> u64 {
        self.limit().map_or(scan.rows, |limit| limit.min(scan.rows))
    }

    fn rows(&self, rows: u64) -> Option<u64> {
        Some(self.limit().map_or(rows, |limit| limit.min(rows)))
    }

    fn undoing(of: UndoneRun<'_>) -> Option<Result<(Self, Make), Failure>> {
        Some(T::undo_of(of))
    }

    fn what(&self, scan: &MadeRows) -> String {
        self.question(self.total(scan))
    }

    fn check(&self, _settings: &Settings, scan: &MadeRows, _dry_run: bool) -> Result<(), Failure> {
        if scan.rows > 0 {
            return Ok(());
        }
        let of = self.of();
        let text = format!("run {of} changed nothing that can be undone: none of its rows is `done`");
        Err(Failure::new(Exit::Usage, text))
    }

    async fn before_asking(&self, start: &Start<'_, (), DevRev>) -> Result<Vec<String>, Failure> {
        self.first_look(start).await
    }

    async fn begin(&self, start: &Start<'_, (), DevRev>) -> Result<(T::Reader, T::Writer), Failure> {
        self.halves(start).await
    }

    fn feed(&self, input: &Input, scan: MadeRows, replay: Replay, stop: Stop) -> Result<Self::Feed, Failure> {
        MadeFeed::new(input, &scan, self.limit(), replay, stop)
    }

    fn tune(&self, config: &mut Config) {
        self.engine(config);
    }

    fn plan(&self, settings: &Settings, calls: u64) -> Box<dyn PlanSummary> {
        self.sums(settings, calls)
    }

    fn result_files(run: &RunDir) -> Result<(), String> {
        T::files(run)
    }

    fn tell(said: Said<'_>) -> Option<Entry> {
        T::words(said)
    }
}
