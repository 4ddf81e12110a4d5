//! `undo` of a load: what a run of it has of its own.

use super::plan::{self, UndoPlan};
use super::{Item, UndoPlanner, Undoer, later};
use crate::engine::config::Config;
use crate::exit::{Exit, Failure};
use crate::figures::Figures;
use crate::jobs::load_records::SliceChange;
use crate::jobs::load_records::command::FAILURES;
use crate::jobs::load_records::error::LoadError;
use crate::jobs::load_records::options::LoadOptions;
use crate::jobs::load_records::store::Undone;
use crate::jobs::load_records::target::LoadTarget;
use crate::jobs::undoing::feed::Made;
use crate::jobs::undoing::job::{Undo, UndoJob};
use crate::journal::done::Done;
use crate::journal::ordered::{Word, Words};
use crate::journal::record::State;
use crate::journal::run_dir::RunDir;
use crate::report::html::entry::{Entry, Said};
use crate::report::units::counted;
use crate::run::checks::options;
use crate::run::job::{After, Job, Make, PlanSummary, Reported, Start, UndoneRun};
use crate::run::target::{Identity, Place, Target};
use crate::settings::Settings;
use crate::source::Input;
use crate::stop::Stop;
use serde::{Deserialize, Serialize};
use std::io::Write;
use std::sync::Arc;

/// The options of an undo of a load.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct UndoLoadOptions {
    /// The run that is undone.
    of: String,
    /// `--limit`: only the first slices.
    limit: Option<u64>,
    /// How it loaded.
    load: LoadOptions,
}

impl UndoLoadOptions {
    fn run(&self, settings: &Settings) -> Result<RunDir, Failure> {
        RunDir::open(&settings.runs_dir, &self.of).map_err(Failure::from)
    }

    fn items(input: &Input) -> Result<Vec<Item>, Failure> {
        let file = input.open().map_err(|error| crate::run::scan::source_failure(&error))?;
        let columns =
            file.header().require(Item::COLUMNS).map_err(|error| crate::run::scan::header_failure(&error))?;
        let mut items = Vec::new();
        for row in file.rows() {
            let Ok(row) = row.map_err(|error| crate::run::scan::source_failure(&error))? else { continue };
            let fields: Vec<&str> = columns.iter().map(|column| row.text(Some(*column))).collect();
            items.extend(Item::read(&fields).ok().map(|(_, item)| item));
        }
        Ok(items)
    }
}

/// Writes a row for every slice that the run has loaded.
fn write(run: &RunDir, to: &mut dyn Write) -> Result<(), Failure> {
    let failed = |error: String| {
        Failure::new(Exit::Unexpected, format!("cannot write down what run {} did: {error}", run.id()))
    };
    let mut rows = csv::Writer::from_writer(to);
    rows.write_record(Item::COLUMNS).map_err(|error| failed(error.to_string()))?;
    for made in Done::read(run)? {
        let made = made?;
        let change: SliceChange =
            serde_json::from_str(made.change.get()).map_err(|error| failed(error.to_string()))?;
        let row = made.rows.row.to_string();
        rows.write_record([&row, &change.slice.id(), &made.key])
            .map_err(|error| failed(error.to_string()))?;
    }
    rows.flush().map_err(|error| failed(error.to_string()))
}

impl Target<Undo<UndoLoadOptions>> for LoadTarget {
    const LINK_HINT: &'static str = "";
    const ORG: &'static str = "database";

    fn check(job: &Undo<UndoLoadOptions>, settings: &Settings) -> Result<(), Failure> {
        job.options().load.store(settings.retry).map(drop)
    }

    fn place(job: &Undo<UndoLoadOptions>, settings: &Settings) -> Place {
        <Self as Target<LoadOptions>>::place(&job.options().load, settings)
    }

    async fn open(job: &Undo<UndoLoadOptions>, settings: &Settings, stop: &Stop) -> Result<Self, Failure> {
        Ok(Self::of(job.options().load.store(settings.retry)?, stop))
    }

    fn name(&self) -> &str {
        <Self as Target<LoadOptions>>::name(self)
    }

    async fn identity(&self) -> Result<Identity, Failure> {
        self.who().await
    }

    fn counters(&self) -> impl Fn() -> Figures + Send + Sync + use<> {
        Figures::default
    }

    fn page_of(_key: &str) -> Option<String> {
        None
    }
}

impl UndoJob for UndoLoadOptions {
    const COMMAND: &'static str = "undo-load";
    const UNDOES: &'static [&'static str] = &[LoadOptions::COMMAND];
    const REPORTED: Option<Reported> = Some(Reported("slices"));
    const TOLD: &'static str = "Slices";
    type Target = LoadTarget;
    type Item = Item;
    type Planner = UndoPlanner;
    type Applier = Undoer;

    fn of(&self) -> &str {
        &self.of
    }

    fn limit(&self) -> Option<u64> {
        self.limit
    }

    fn undoing(of: UndoneRun<'_>) -> Result<(Self, Make), Failure> {
        let load: LoadOptions = options(of.manifest, of.run)?;
        let known = load.job()?;
        if !known.file.keeps_undo() {
            let text = format!(
                "run {} cannot be undone: its job file has no `undo: true`, so what it changed was not kept. Set `undo: true` \
                 before a load that is to be undone; to load the slices of this one again, run `devrev-batch load {} --reload`",
                of.manifest.id, load.path
            );
            return Err(Failure::new(Exit::Usage, text));
        }
        let run = of.run.clone();
        // The undo keeps the journal busy, not the source: nothing of that is needed.
        let load = LoadOptions { known: Arc::default(), ..load };
        let options = Self { of: of.manifest.id.clone(), limit: of.limit, load };
        Ok((options, Box::new(move |file, _| write(&run, file))))
    }

    fn what(&self, rows: u64) -> String {
        format!(
            "{} that run {} loaded will be undone: rows that it added are DELETED, and rows that it changed or deleted get back \
             what they had, where they still are as it left them.",
            counted(rows, "slice"),
            self.of
        )
    }

    async fn before_asking(&self, start: &Start<'_, (), LoadTarget>) -> Result<Vec<String>, Failure> {
        let known = self.load.job()?;
        let lines = start.target.store.lines(known.file.load_id(), start.stop).await;
        let (lines, items) = (lines.map_err(LoadError::failure)?, Self::items(start.input)?);
        let of = self.run(start.settings)?;
        crate::run::signals::on_thread(start.stop, move || later(&lines, &items, &of)).await?;
        let table = known.file.table().map(|table| table.table.clone()).unwrap_or_default();
        Ok(vec![format!("table         {}", crate::report::terminal::one_line(&table))])
    }

    async fn begin(&self, start: &Start<'_, (), LoadTarget>) -> Result<(UndoPlanner, Undoer), Failure> {
        let known = self.load.job()?;
        let store = Arc::clone(&start.target.store);
        let lines = store.lines(known.file.load_id(), start.stop).await.map_err(LoadError::failure)?;
        let lines = lines.into_iter().map(|line| (line.entry.slice.clone(), line)).collect();
        let of = self.run(start.settings)?;
        let planner = UndoPlanner { lines, of: of.clone() };
        Ok((planner, Undoer { store, terms: self.load.terms(&self.of)?, of, stop: start.stop.clone() }))
    }

    fn tune(&self, config: &mut Config) {
        // A slice takes long: what it has come to is written down at once.
        config.record_each = true;
    }

    fn plan(&self, _settings: &Settings, _calls: u64) -> Box<dyn PlanSummary> {
        Box::<UndoPlan>::default()
    }

    fn tell(said: Said<'_>) -> Option<Entry> {
        plan::tell(said)
    }

    async fn after(&self, _target: &LoadTarget, run: &RunDir, stop: &Stop) -> Result<After, Failure> {
        let of_run = run.clone();
        let (total, failures) = crate::run::signals::on_thread(stop, move || total(&of_run)).await?;
        let Undone { removed, restored, returned, left } = total;
        let mut notes = vec![format!(
            "{} deleted, {} put back as they were, {} brought back",
            counted(removed, "row"),
            counted(restored, "row"),
            counted(returned, "row")
        )];
        if left > 0 {
            notes.push(format!("{} left alone: changed since the load", counted(left, "row")));
        }
        notes.extend(failures);
        Ok(After { notes, failed: false })
    }
}

/// What the outcomes of a run say together, and the first that failed.
fn total(run: &RunDir) -> Result<(Undone, Vec<String>), Failure> {
    let (mut total, mut failed) = (Undone::default(), Vec::new());
    for word in Words::read(run).map_err(Failure::from)? {
        let Word::Outcome { key, outcome, .. } = word.map_err(Failure::from)?.1 else { continue };
        if outcome.state == State::Failed && failed.len() < FAILURES {
            failed.push(format!("slice {key}: {}", outcome.detail.as_deref().unwrap_or_default()));
        }
        let undone = outcome.report.and_then(|report| serde_json::from_str::<Undone>(report.get()).ok());
        let undone = undone.unwrap_or_default();
        total.removed += undone.removed;
        total.restored += undone.restored;
        total.returned += undone.returned;
        total.left += undone.left;
    }
    Ok((total, failed))
}
