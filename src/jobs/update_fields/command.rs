//! `update`: begins a run, and what a run of it has of its own.

use super::Update;
use super::apply::ObjectWriter;
use super::base::BaseFile;
use super::columns::Typed as TypedColumns;
use super::decide::Rules;
use super::exports::is_guarded;
use super::feed::UpdateFeed;
use super::lookup::Lookup;
use super::names::Names;
use super::options::UpdateOptions;
use super::plan::{self, ObjectPlan};
use super::scan::{self, Rows};
use crate::cli;
use crate::cli::choices::{OnMissing, word};
use crate::connectors::{self, Typed};
use crate::exit::{Exit, Failure};
use crate::jobs::target::DevRev;
use crate::journal::manifest::Manifest;
use crate::journal::replay::Replay;
use crate::journal::run_dir::RunDir;
use crate::report::html::entry::{Entry, Said};
use crate::report::terminal::Terminal;
use crate::report::units::counted;
use crate::run::begin::{self, New};
use crate::run::job::{Job, PlanSummary, Scan, Start};
use crate::settings::{Rates, Settings};
use crate::source::Input;
use crate::source::query::Table;
use crate::stop::Stop;
use std::sync::Arc;

/// What is said of every change before it is made.
pub(crate) const AUTOMATIONS: &str =
    "DevRev may start automations and notify people: the API has no way to suppress them.";

/// Begins a run and works on it until it ends.
pub(crate) async fn run(
    args: cli::batch::Update,
    global: cli::Global,
    terminal: Terminal,
) -> Result<Exit, Failure> {
    let settings = Settings::resolve(&global, &args.batch, Rates::Backfill)?;
    let pairs = |flag: &str, given: &[String]| -> Result<Vec<(String, String)>, Failure> {
        given.iter().map(|text| cli::pair(flag, text)).collect()
    };
    let options = UpdateOptions {
        object: word(&args.object),
        limit: args.limit,
        typed: TypedColumns {
            key: args.key.clone(),
            map: pairs("--map", &args.map)?,
            set: pairs("--set", &args.set)?,
            ignore: args.ignore.clone(),
        },
        base: args.base.as_deref().map(BaseFile::of).transpose()?,
        is_export: is_guarded(&args.rows, args.base.is_some(), &settings.runs_dir),
        on_empty: args.on_empty,
        condition: pairs("--where", &args.condition)?,
        on_missing: args.on_missing,
        skip_invalid: args.skip_invalid,
        no_required_check: args.no_required_check,
        sandbox: args.batch.sandbox,
        known: Arc::default(),
    };
    let typed = Typed { rows: &args.rows, global: &global, client: &args.batch.client };
    // Whatever columns there are: each names its field.
    let rows = connectors::rows(typed, Table { columns: Vec::new(), query: "" }, args.limit)?;
    let new = New::run(settings, args.dry_run, &args.batch, &global, terminal);
    begin::run(options, new, rows, |_| Ok(())).await
}

impl Job for UpdateOptions {
    const COMMAND: &'static str = "update";
    const WARNING: Option<&'static str> = Some(AUTOMATIONS);
    type Target = DevRev;
    type Found = Rows;
    type Planner = Update;
    type Applier = ObjectWriter;
    type Feed = UpdateFeed;

    fn in_sandbox(&self) -> bool {
        self.sandbox
    }

    fn scan(&self, input: &Input) -> Result<Scan<Rows>, Failure> {
        scan::scan(self, input)
    }

    fn total(&self, scan: &Scan<Rows>) -> u64 {
        self.limit.map_or(scan.rows, |limit| limit.min(scan.rows))
    }

    fn rows(&self, rows: u64) -> Option<u64> {
        Some(self.limit.map_or(rows, |limit| limit.min(rows)))
    }

    fn flags(&self, _run: &RunDir, _manifest: &Manifest) -> Option<String> {
        Some(self.typed_flags())
    }

    fn what(&self, scan: &Scan<Rows>) -> String {
        let rows = counted(self.total(scan), "row");
        let fields: Vec<String> = scan
            .found
            .fields
            .iter()
            .map(|(name, rows)| format!("{name} (in {})", counted(*rows, "row")))
            .collect();
        let missing =
            if self.on_missing == OnMissing::Create { ", and create those that are not there" } else { "" };
        format!(
            "{rows} may change these fields of {}{missing}: {}.\n{AUTOMATIONS}",
            self.object().plural,
            fields.join(", ")
        )
    }

    fn check(&self, _settings: &Settings, scan: &Scan<Rows>, _dry_run: bool) -> Result<(), Failure> {
        if self.skip_invalid { Ok(()) } else { scan.found.wrong.refuse() }
    }

    async fn before_asking(&self, start: &Start<'_, Rows, DevRev>) -> Result<Vec<String>, Failure> {
        let (org, of_base) = (start.manifest.org.as_ref(), start.scan.found.organisation.as_deref());
        if let (Some(org), Some(of_base)) = (org, of_base)
            && !org.id.eq_ignore_ascii_case(of_base)
        {
            let text = format!("--base: its objects are those of {of_base}, and this is {}", org.id);
            return Err(Failure::new(Exit::Changed, text));
        }
        let fields = self.fields(&start.target.client.read_only(), &names(start)).await?;
        let columns = self.columns(start.input)?;
        columns.check(self.object(), &fields)?;
        self.read(&columns, &fields)?;
        self.check_condition(&start.target.client.read_only(), &fields).await?;
        if !self.skip_invalid {
            let (job, input, fields) = (self.clone(), start.input.clone(), Arc::clone(&fields));
            let check = tokio::task::spawn_blocking(move || scan::check(&job, &fields, &input));
            let wrong = start.stop.race(check).await.ok_or_else(|| {
                crate::run::signals::interrupted(
                    start.stop,
                    "interrupted while the input was checked; nothing was sent",
                )
            })?;
            wrong
                .map_err(|error| {
                    let text = format!("a defect while checking the input: {error}");
                    Failure::new(Exit::Unexpected, text).because(error)
                })??
                .refuse()?;
        }
        let noisy: Vec<&str> = start
            .scan
            .found
            .fields
            .iter()
            .map(|(name, _)| name.as_str())
            .filter(|field| NOISY.contains(field))
            .collect();
        if noisy.is_empty() {
            return Ok(Vec::new());
        }
        Ok(vec![format!("note          {} may start automations and notify people", noisy.join(", "))])
    }

    async fn begin(&self, start: &Start<'_, Rows, DevRev>) -> Result<(Update, ObjectWriter), Failure> {
        let fields = self.fields(&start.target.client.read_only(), &names(start)).await?;
        let columns = self.columns(start.input)?;
        let (object, client) = (self.object(), start.target.client.read_only());
        let read = self.read(&columns, &fields)?;
        let lookup = Lookup::new(client.clone(), object, read.clone(), start.scan.found.extent);
        let names = Names::with_stages(fields.stages.clone());
        let rules = Rules {
            object,
            columns,
            fields: (*fields).clone(),
            on_empty: self.on_empty,
            on_missing: self.on_missing,
            condition: self.condition.clone(),
            read: read.clone(),
        };
        let writer = ObjectWriter::new(start.target.client.clone(), object, read, !self.no_required_check);
        Ok((Update::new(client, lookup, names, rules), writer))
    }

    fn feed(
        &self,
        input: &Input,
        scan: Scan<Rows>,
        replay: Replay,
        stop: Stop,
    ) -> Result<UpdateFeed, Failure> {
        UpdateFeed::new(self, input, scan, replay, stop)
    }

    fn plan(&self, settings: &Settings, calls: u64) -> Box<dyn PlanSummary> {
        let plan = ObjectPlan::new(self.object(), settings.rate_of(self.sandbox), calls);
        Box::new(plan.knowing(self.known.get().cloned()))
    }

    fn plan_files(&self, run: &RunDir) -> Result<(), String> {
        plan::write_table(run, self.object(), self.known.get().map(|known| &**known))
    }

    fn tell(said: Said<'_>) -> Option<Entry> {
        plan::tell(said)
    }
}

/// The names of the fields that rows speak of.
fn names(start: &Start<'_, Rows, DevRev>) -> Vec<String> {
    start.scan.found.fields.iter().map(|(name, _)| name.clone()).collect()
}

/// Fields whose changes start automations or notify customers, as far as DevRev's documentation says.
const NOISY: [&str; 5] = ["stage", "owned_by", "reported_by", "group", "severity"];
