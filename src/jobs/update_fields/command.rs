//! `update` and `create`: begins a run, and what a run of it has of its own.

use super::Update;
use super::apply::ObjectWriter;
use super::base::BaseFile;
use super::columns::Typed as TypedColumns;
use super::decide::Rules;
use super::exports::is_guarded;
use super::feed::UpdateFeed;
use super::lookup::{EXTERNAL_REF, Lookup};
use super::names::Names;
use super::options::UpdateOptions;
use super::plan::{self, ObjectPlan};
use super::scan::{self, Rows};
use crate::cli;
use crate::cli::choices::{OnEmpty, OnMissing, word};
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
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What is said of every change before it is made.
pub(crate) const AUTOMATIONS: &str =
    "DevRev may start automations and notify people: the API has no way to suppress them.";

/// Begins a run of `create` and works on it until it ends.
pub(crate) async fn create(
    args: cli::batch::Create,
    global: cli::Global,
    terminal: Terminal,
) -> Result<Exit, Failure> {
    let cli::batch::Create {
        object,
        rows,
        map,
        set,
        ignore,
        skip_invalid,
        no_required_check,
        create_tags,
        limit,
        dry_run,
        batch,
    } = args;
    let update = cli::batch::Update {
        object,
        rows,
        base: None,
        key: Some(EXTERNAL_REF.to_owned()),
        map,
        set,
        ignore,
        condition: Vec::new(),
        on_empty: OnEmpty::Leave,
        on_missing: OnMissing::Create,
        skip_invalid,
        no_required_check,
        create_tags,
        limit,
        dry_run,
        batch,
    };
    begin::<true>(update, global, terminal).await
}

/// Begins a run of `update` and works on it until it ends.
pub(crate) async fn run(
    args: cli::batch::Update,
    global: cli::Global,
    terminal: Terminal,
) -> Result<Exit, Failure> {
    begin::<false>(args, global, terminal).await
}

async fn begin<const CREATES: bool>(
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
        creates: CREATES,
        skip_invalid: args.skip_invalid,
        no_required_check: args.no_required_check,
        create_tags: args.create_tags,
        rejected: None,
        sandbox: args.batch.sandbox,
        known: Arc::default(),
    };
    let typed = Typed { rows: &args.rows, global: &global, client: &args.batch.client };
    // Whatever columns there are: each names its field.
    let rows = connectors::rows(typed, Table { columns: Vec::new(), query: "" }, args.limit)?;
    let new = New::run(settings, args.dry_run, &args.batch, &global, terminal);
    begin::run(RowsJob::<CREATES>(options), new, rows, |_| Ok(())).await
}

/// Begins a run of `update` with rows of a source, and works on it until it ends.
#[cfg(feature = "load")]
pub(crate) async fn with_rows(
    options: UpdateOptions,
    rows: Box<dyn crate::source::Source>,
    new: New<'_>,
) -> Result<Exit, Failure> {
    let rows = begin::RowsFrom::Source(rows);
    begin::run(RowsJob::<false>(options), new, rows, |_| Ok(())).await
}

/// The job of `update`; and that of `create`, which shares all of it but the name and what `creates` says.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct RowsJob<const CREATES: bool>(UpdateOptions);

/// `update`
pub(crate) type UpdateJob = RowsJob<false>;
/// `create`
pub(crate) type CreateJob = RowsJob<true>;

impl<const CREATES: bool> Job for RowsJob<CREATES> {
    const COMMAND: &'static str = if CREATES { "create" } else { "update" };
    const WARNING: Option<&'static str> = Some(AUTOMATIONS);
    type Target = DevRev;
    type Found = Rows;
    type Planner = Update;
    type Applier = ObjectWriter;
    type Feed = UpdateFeed;

    fn in_sandbox(&self) -> bool {
        self.0.sandbox
    }

    fn scan(&self, input: &Input) -> Result<Scan<Rows>, Failure> {
        scan::scan(&self.0, input)
    }

    fn total(&self, scan: &Scan<Rows>) -> u64 {
        self.0.limit.map_or(scan.rows, |limit| limit.min(scan.rows))
    }

    fn rows(&self, rows: u64) -> Option<u64> {
        Some(self.0.limit.map_or(rows, |limit| limit.min(rows)))
    }

    fn flags(&self, _run: &RunDir, _manifest: &Manifest) -> Option<String> {
        Some(self.0.typed_flags())
    }

    fn what(&self, scan: &Scan<Rows>) -> String {
        let rows = counted(self.total(scan), "row");
        let fields: Vec<String> = scan
            .found
            .fields
            .iter()
            .map(|(name, rows)| format!("{name} (in {})", counted(*rows, "row")))
            .collect();
        let (plural, fields) = (self.0.object().plural, fields.join(", "));
        let tags = if self.0.create_tags { "\nTags that do not exist are created." } else { "" };
        if CREATES {
            return format!("{rows} may create {plural} with these fields: {fields}.{tags}\n{AUTOMATIONS}");
        }
        let missing =
            if self.0.on_missing == OnMissing::Create { ", and create those that are not there" } else { "" };
        format!("{rows} may change these fields of {plural}{missing}: {fields}.{tags}\n{AUTOMATIONS}")
    }

    fn check(&self, _settings: &Settings, scan: &Scan<Rows>, _dry_run: bool) -> Result<(), Failure> {
        if self.0.skip_invalid { Ok(()) } else { scan.found.wrong.refuse() }
    }

    async fn before_asking(&self, start: &Start<'_, Rows, DevRev>) -> Result<Vec<String>, Failure> {
        let (org, of_base) = (start.manifest.org.as_ref(), start.scan.found.organisation.as_deref());
        if let (Some(org), Some(of_base)) = (org, of_base)
            && !org.id.eq_ignore_ascii_case(of_base)
        {
            let text = format!("--base: its objects are those of {of_base}, and this is {}", org.id);
            return Err(Failure::new(Exit::Changed, text));
        }
        let fields = self.0.fields(&start.target.client.read_only(), &names(start)).await?;
        let columns = self.0.columns(start.input)?;
        columns.check(self.0.object(), &fields)?;
        self.0.read(&columns, &fields)?;
        self.0.check_condition(&start.target.client.read_only(), &fields).await?;
        if !self.0.skip_invalid {
            let (job, input, fields) = (self.0.clone(), start.input.clone(), Arc::clone(&fields));
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
        let fields = self.0.fields(&start.target.client.read_only(), &names(start)).await?;
        let columns = self.0.columns(start.input)?;
        let (object, client) = (self.0.object(), start.target.client.read_only());
        let read = self.0.read(&columns, &fields)?;
        let lookup = Lookup::new(client.clone(), object, read.clone(), start.scan.found.extent);
        let names = Names::with_stages(fields.stages.clone()).creating_tags(self.0.create_tags);
        let rules = Rules {
            object,
            columns,
            fields: (*fields).clone(),
            on_empty: self.0.on_empty,
            on_missing: self.0.on_missing,
            creates: self.0.creates,
            condition: self.0.condition.clone(),
            read: read.clone(),
        };
        let writer = ObjectWriter::new(start.target.client.clone(), object, read, !self.0.no_required_check);
        Ok((Update::new(client, lookup, names, rules), writer))
    }

    fn feed(
        &self,
        input: &Input,
        scan: Scan<Rows>,
        replay: Replay,
        stop: Stop,
    ) -> Result<UpdateFeed, Failure> {
        UpdateFeed::new(&self.0, input, scan, replay, stop)
    }

    fn shortfall(&self, run: &RunDir) -> Option<String> {
        let name = self.0.rejected.as_ref()?;
        let rejected = std::fs::read(run.path().join(name)).ok()?;
        let lines = memchr::memchr_iter(b'\n', &rejected).count() as u64;
        let were = if lines == 1 { "was" } else { "were" };
        Some(format!("{} {were} rejected (in {name})", counted(lines, "record")))
    }

    fn plan(&self, settings: &Settings, calls: u64) -> Box<dyn PlanSummary> {
        let plan = ObjectPlan::new(self.0.object(), settings.rate_of(self.0.sandbox), calls);
        Box::new(plan.knowing(self.0.known.get().cloned()))
    }

    fn plan_files(&self, run: &RunDir) -> Result<(), String> {
        plan::write_table(run, self.0.object(), self.0.known.get().map(|known| &**known))
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
