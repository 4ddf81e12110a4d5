//! `update`: begins a run, and what a run of it has of its own.

use super::apply::ObjectWriter;
use super::base::BaseFile;
use super::columns::{Columns, Typed};
use super::decide::Rules;
use super::exports::is_export;
use super::feed::UpdateFeed;
use super::fields::{Fields, usage};
use super::lookup::Lookup;
use super::names::Names;
use super::plan::{self, ObjectPlan};
use super::rows::RowReader;
use super::scan::{self, Rows};
use super::{Update, columns};
use crate::cli;
use crate::cli::choices::{OnEmpty, word};
use crate::devrev::objects::{self, Field, Object};
use crate::exit::{Exit, Failure};
use crate::jobs::target::DevRev;
use crate::journal::manifest::Manifest;
use crate::journal::replay::Replay;
use crate::journal::run_dir::RunDir;
use crate::report::html::entry::{Entry, Said};
use crate::report::terminal::Terminal;
use crate::report::units::counted;
use crate::report::validation::shell_word;
use crate::run::begin::{self, New, RowsFrom};
use crate::run::job::{Job, PlanSummary, Scan, Start};
use crate::settings::{Rates, Settings};
use crate::source::header::Header;
use crate::source::{Input, fingerprint};
use crate::stop::Stop;
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;
use std::path::Path;
use std::sync::{Arc, OnceLock};

/// The options of an update.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct UpdateOptions {
    /// `--object`
    pub object: String,
    /// `--limit`: only the first rows.
    pub limit: Option<u64>,
    /// How columns are read.
    #[serde(flatten)]
    pub typed: Typed,
    /// `--base`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<BaseFile>,
    /// Whether the rows are an export as this tool wrote it: its cells are guarded against formulas.
    #[serde(default)]
    pub is_export: bool,
    /// `--empty`
    pub on_empty: OnEmpty,
    /// `--where FIELD=VALUE`
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub condition: Vec<(String, String)>,
    /// `--skip-invalid`
    #[serde(default)]
    pub skip_invalid: bool,
    /// `--no-required-check`
    #[serde(default)]
    pub no_required_check: bool,
    /// Whether the run is against the sandbox in the same process.
    pub sandbox: bool,
    /// The fields of the object in this organisation, once they are known.
    #[serde(skip)]
    known: Arc<OnceLock<Arc<Fields>>>,
}

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
        typed: Typed {
            key: args.key.clone(),
            map: pairs("--map", &args.map)?,
            set: pairs("--set", &args.set)?,
            ignore: args.ignore.clone(),
        },
        base: args.base.as_deref().map(BaseFile::of).transpose()?,
        is_export: args.csv != Path::new("-")
            && fingerprint(&args.csv).is_ok_and(|found| is_export(&settings.runs_dir, &found.sha256)),
        on_empty: args.on_empty,
        condition: pairs("--where", &args.condition)?,
        skip_invalid: args.skip_invalid,
        no_required_check: args.no_required_check,
        sandbox: args.batch.sandbox,
        known: Arc::default(),
    };
    let rows = RowsFrom::Csv(&args.csv, cli::dialect(args.delimiter.as_deref())?);
    let new = New::run(settings, args.dry_run, &args.batch, &global, terminal);
    begin::run(options, new, rows, |_| Ok(())).await
}

impl UpdateOptions {
    /// The type of object.
    pub(crate) fn object(&self) -> &'static Object {
        // `--object` takes no other word; a `run.json` that was changed by hand may hold one.
        objects::named(&self.object).unwrap_or(&objects::OBJECTS[0])
    }

    /// What reads rows with this header. Blocks if there is a base.
    pub(crate) fn reader(&self, header: &Header) -> Result<RowReader, Failure> {
        let object = self.object();
        let columns = Columns::find(object, &self.typed, header)?;
        if self.base.is_some() && matches!(columns.names, columns::Names::Key(..)) {
            return Err(usage("--base and --match exclude each other: an export has the IDs".to_owned()));
        }
        let base = self.base.as_ref().map(BaseFile::open).transpose()?;
        Ok(RowReader::new(columns, object.types, self.on_empty, base, self.is_export))
    }

    /// The fields of the object in this organisation; asked for once.
    async fn fields(&self, start: &Start<'_, Rows, DevRev>) -> Result<Arc<Fields>, Failure> {
        if let Some(known) = self.known.get() {
            return Ok(Arc::clone(known));
        }
        let conditions = self.condition.iter().map(|(name, _)| name.clone());
        let names = start.scan.found.fields.iter().cloned().chain(conditions).collect();
        let client = start.target.client.read_only();
        let fields = Arc::new(Fields::load(&client, self.object(), &names).await?);
        Ok(Arc::clone(self.known.get_or_init(|| fields)))
    }

    /// The fields whose state is read: those that are spoken of, and those of `--where`.
    fn read(&self, columns: &Columns, fields: &Fields) -> Result<Vec<Field>, Failure> {
        let mut names: Vec<&str> = columns.columns.iter().map(|column| &*column.field).collect();
        names.extend(self.condition.iter().map(|(name, _)| &**name));
        names.sort_unstable();
        names.dedup();
        let named = |name: &&str| {
            fields.named(name).cloned().ok_or_else(|| usage(fields.unknown(self.object(), name)))
        };
        names.iter().map(named).collect()
    }

    fn columns(&self, input: &Input) -> Result<Columns, Failure> {
        let file = input.open().map_err(|error| crate::run::scan::source_failure(&error))?;
        Columns::find(self.object(), &self.typed, file.header())
    }

    fn typed_flags(&self) -> String {
        let mut flags = format!(" --object {}", self.object);
        let mut push = |flag: &str, value: &str| {
            let _ = write!(flags, " {flag} {}", shell_word(value));
        };
        if let Some(key) = &self.typed.key {
            push("--match", key);
        }
        for (flag, pairs) in
            [("--map", &self.typed.map), ("--set", &self.typed.set), ("--where", &self.condition)]
        {
            pairs.iter().for_each(|(name, value)| push(flag, &format!("{name}={value}")));
        }
        self.typed.ignore.iter().for_each(|column| push("--ignore", column));
        if let Some(base) = &self.base {
            push("--base", &base.path.to_string_lossy());
        }
        if self.on_empty != OnEmpty::Leave {
            push("--empty", &word(&self.on_empty));
        }
        for (given, flag) in [
            (self.skip_invalid, " --skip-invalid"),
            (self.no_required_check, " --no-required-check"),
            (self.sandbox, " --sandbox"),
        ] {
            flags.push_str(if given { flag } else { "" });
        }
        flags
    }
}

impl Job for UpdateOptions {
    const COMMAND: &'static str = "update";
    const WARNING: Option<&'static str> =
        Some("DevRev may start automations and notify people: the API has no way to suppress them.");
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
        let object = self.object();
        format!("{rows} may change these fields of {}: {}.", object.plural, scan.found.fields.join(", "))
    }

    fn check(&self, _settings: &Settings, scan: &Scan<Rows>, _dry_run: bool) -> Result<(), Failure> {
        if self.skip_invalid { Ok(()) } else { scan.found.wrong.refuse() }
    }

    async fn before_asking(&self, start: &Start<'_, Rows, DevRev>) -> Result<Vec<String>, Failure> {
        let (org, of_base) = (start.manifest.org.as_ref(), start.scan.found.organisation.as_deref());
        if let (Some(org), Some(of_base)) = (org, of_base)
            && !org.id.contains(of_base)
        {
            let text = format!("--base: its objects are those of {of_base}, and this is {}", org.id);
            return Err(Failure::new(Exit::Changed, text));
        }
        let fields = self.fields(start).await?;
        let columns = self.columns(start.input)?;
        columns.check(self.object(), &fields)?;
        self.read(&columns, &fields)?;
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
            .map(String::as_str)
            .filter(|field| NOISY.contains(field))
            .collect();
        if noisy.is_empty() {
            return Ok(Vec::new());
        }
        Ok(vec![format!("note          {} may start automations and notify people", noisy.join(", "))])
    }

    async fn begin(&self, start: &Start<'_, Rows, DevRev>) -> Result<(Update, ObjectWriter), Failure> {
        let fields = self.fields(start).await?;
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
        Box::new(ObjectPlan::new(self.object(), settings.rate_of(self.sandbox), calls))
    }

    fn tell(said: Said<'_>) -> Option<Entry> {
        plan::tell(said)
    }
}

/// Fields whose changes start automations or notify customers, as far as DevRev's documentation says.
const NOISY: [&str; 5] = ["stage", "owned_by", "reported_by", "group", "severity"];
