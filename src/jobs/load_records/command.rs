//! `load`: begins a run, and what a run of it has of its own.

use super::error::LoadError;
use super::fetch::Fetch;
use super::file::{JobFile, MAX_BYTES, Mode, words};
use super::names::nearest;
use super::options::LoadOptions;
use super::plan::{self, SlicePlan};
use super::slices::{self, Slice};
use super::stage::{self, StageWriter};
use super::store::{Known, Rows};
use super::target::LoadTarget;
use super::{Counts, LoadPlanner, Loader, REJECTS, checks, look_after, show};
use crate::cli;
use crate::cli::choices::OnGap;
use crate::engine::config::Config;
use crate::engine::event::Tally;
use crate::exit::{Exit, Failure};
use crate::jobs::target::DevRev;
use crate::jobs::undoing::feed::{self, Made, MadeFeed, MadeRows};
use crate::journal::ordered::{Word, Words};
use crate::journal::record::State;
use crate::journal::replay::Replay;
use crate::journal::run_dir::RunDir;
use crate::report::beside::Own;
use crate::report::html::entry::{Entry, Said};
use crate::report::terminal::{Terminal, one_line, result};
use crate::report::units::counted;
use crate::run::begin::{self, New, RowsFrom};
use crate::run::job::{After, Job, PlanSummary, Reported, Start};
use crate::run::signals;
use crate::settings::{Rates, Settings};
use crate::source::Input;
use crate::stop::Stop;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

/// Slices that failed and are shown; all are in failed.csv.
pub(super) const FAILURES: usize = 5;
/// Tables that are named where the one that is wanted is not there.
const TABLES: usize = 10;
/// Records that a dry run shows.
const SAMPLES: u64 = 3;

/// Begins a run and works on it until it ends.
pub(crate) async fn run(
    args: cli::load::Load,
    global: cli::Global,
    terminal: Terminal,
) -> Result<Exit, Failure> {
    if args.schema {
        let schema = serde_json::to_string_pretty(&JobFile::schema()).unwrap_or_default();
        return result(&schema).map(|()| Exit::Ok).map_err(|error| {
            Failure::new(Exit::Unexpected, format!("cannot print the schema: {error}")).because(error)
        });
    }
    if let Some(cli::load::LoadCommand::Ledger { command }) = args.command {
        return look_after::run(command, &global, &terminal).await;
    }
    let Some(path) = &args.job else {
        return Err(Failure::new(Exit::Usage, "no job file: give its path, such as jobs/prices.yaml"));
    };
    let settings = Settings::resolve(&global, &args.batch, Rates::Backfill)?;
    let mut options = LoadOptions::of_file(path, &args.param, &global, args.batch.sandbox)?;
    let known = options.job()?;
    let dates = dates(&args, &known.file)?;
    options.params.extend(dates);
    options = LoadOptions {
        only: args.only_slice.clone(),
        shard: args.shard.as_deref().map(shard).transpose()?,
        reload: args.reload,
        strict: args.strict,
        allow_empty: args.allow_empty,
        on_gap: args.on_gap,
        follow: args.follow,
        metrics_prefix: args.metrics_prefix.as_deref().map(metrics_prefix).transpose()?,
        // The parameters are others now.
        known: Arc::default(),
        ..options
    };
    if options.reload && known.file.mode() == Mode::Append {
        let text = "--reload: mode append would add all records a second time: use upsert, insert or replace";
        return Err(Failure::new(Exit::Usage, text));
    }
    if options.follow {
        let Some(kafka) = known.file.kafka() else {
            let text = "--follow: only a source of kafka goes on for ever; schedule other loads";
            return Err(Failure::new(Exit::Usage, text));
        };
        // What is not set for it is said before anything else.
        options.kafka(kafka)?;
    }
    if let Some(most) = args.show {
        return show::run(&options, most, &settings, global.json).await;
    }
    // What is wrong with them is said before anything else; the source is not asked yet.
    let uncut = options.uncut_slices()?;
    let slices = if known.file.asks_for_slices() { uncut } else { options.taken(uncut)? };
    if let Some(devrev) = &known.file.target.value.devrev {
        if options.reload {
            let text =
                "--reload: nothing is kept of what was loaded into DevRev: every run changes what differs";
            return Err(Failure::new(Exit::Usage, text));
        }
        options.environment()?;
        if options.reads_devrev()? && !options.sandbox {
            DevRev::has_token(&settings)?;
        }
        let update = super::devrev::update(&options, devrev);
        let records = super::devrev::Records::new(options, settings.clone())?;
        let new = New::run(settings, args.dry_run, &args.batch, &global, terminal);
        return crate::jobs::update_fields::command::with_rows(update, Box::new(records), new).await;
    }
    let now = chrono::Utc::now();
    if known.file.mode() == Mode::Append
        && let Some(open) = slices.iter().find(|slice| slice.is_open(now))
    {
        let text = format!(
            "slice {} ends in the future: the next run would load it again, and mode append would add its records a second time; \
             end the load before today (--end-date), or use upsert, insert or replace",
            open.name()
        );
        return Err(Failure::new(Exit::Usage, text));
    }
    if options.reload && known.file.kafka().is_some() {
        let text = "--reload: a load from Kafka goes on where it is; `load ledger forget` lets it begin anew";
        return Err(Failure::new(Exit::Usage, text));
    }
    let new = New::run(settings, args.dry_run, &args.batch, &global, terminal);
    let (of_source, settings) = (options.clone(), new.settings.clone());
    let runtime = tokio::runtime::Handle::current();
    let rows = RowsFrom::Made(Box::new(move |file, stop| {
        let slices = runtime.block_on(of_source.slices(&settings, None, stop));
        if stop.is_set() {
            return Err(signals::interrupted(
                stop,
                "interrupted while slices were counted; nothing was loaded",
            ));
        }
        slices::write(&slices?, file).map_err(|error| {
            Failure::new(Exit::Unexpected, format!("cannot write the slices: {error}")).because(error)
        })
    }));
    begin::run(options, new, rows, |_| Ok(())).await
}

/// The parameters that `--start-date` and `--end-date` give.
fn dates(args: &cli::load::Load, file: &JobFile) -> Result<BTreeMap<String, Value>, Failure> {
    let mut dates = BTreeMap::new();
    for (flag, name, value) in
        [("--start-date", "start_date", &args.start_date), ("--end-date", "end_date", &args.end_date)]
    {
        let Some(value) = value else { continue };
        if super::dates::moment(value, file.zone()).is_none() {
            return Err(Failure::new(Exit::Usage, format!("{flag} {value}: not a date such as 2026-12-31")));
        }
        if file.dates().is_none() {
            return Err(Failure::new(Exit::Usage, format!("{flag}: the job file has no slices.dates")));
        }
        dates.insert(name.to_owned(), Value::from(value.as_str()));
    }
    Ok(dates)
}

/// `is a`, `are a, b and 7 more`.
fn listed(tables: &[String]) -> String {
    let shown: Vec<String> = tables.iter().take(TABLES).map(|table| one_line(table)).collect();
    let verb = if tables.len() == 1 { "is" } else { "are" };
    let more = match tables.len() - shown.len() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("{verb} {}{more}", shown.join(", "))
}

fn read(path: &Path) -> Result<String, Failure> {
    let failed = |problem: String| Failure::new(Exit::Usage, format!("{}: {problem}", path.display()));
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut bytes))
        .map_err(|error| failed(error.to_string()).because(error))?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(failed(format!("is longer than {} KiB: is that a job file?", MAX_BYTES >> 10)));
    }
    String::from_utf8(bytes).map_err(|_| failed("is not UTF-8".to_owned()))
}

/// A parameter as it was typed, of the type that it has in the file.
fn param(name: &str, text: &str, declared: &Value) -> Result<Value, Failure> {
    let wrong = |what: &str| {
        Failure::new(Exit::Usage, format!("--param {name}={text}: the job file has {what} there"))
    };
    let one = |text: &str, declared: &Value| match declared {
        Value::Number(_) => {
            text.parse::<serde_json::Number>().map(Value::Number).map_err(|_| wrong("a number"))
        }
        Value::Bool(_) => text.parse().map(Value::Bool).map_err(|_| wrong("true or false")),
        _ => Ok(Value::String(text.to_owned())),
    };
    match declared {
        Value::Array(list) => {
            let like = list.first().unwrap_or(&Value::Null);
            let values: Result<Vec<Value>, Failure> = text
                .split(',')
                .map(str::trim)
                .filter(|text| !text.is_empty())
                .map(|text| one(text, like))
                .collect();
            values.map(Value::Array)
        }
        declared => one(text, declared),
    }
}

fn shard(text: &str) -> Result<(u32, u32), Failure> {
    let wrong =
        || Failure::new(Exit::Usage, format!("--shard {text}: write I/N, such as 1/4, with I from 1 to N"));
    let (part, of) = text.split_once('/').ok_or_else(wrong)?;
    let (part, of): (u32, u32) = (part.parse().map_err(|_| wrong())?, of.parse().map_err(|_| wrong())?);
    if part == 0 || part > of || of > 10_000 { Err(wrong()) } else { Ok((part, of)) }
}

/// A prefix of the names of metrics. (Source: "Metric names and labels" in Prometheus' documentation.)
fn metrics_prefix(text: &str) -> Result<String, Failure> {
    let is_of_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let is_good = text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.len() <= 64
        && text.chars().all(is_of_name)
        && text != "devrev_batch";
    if is_good {
        return Ok(text.to_owned());
    }
    let text =
        format!("--metrics-prefix {text}: write lower-case letters, digits and `_`, such as `processor`");
    Err(Failure::new(Exit::Usage, text))
}

/// What the outcomes of a run say together, and the first that failed.
fn total(run: &RunDir) -> Result<(Counts, Vec<String>), Failure> {
    let (mut total, mut failed) = (Counts::default(), Vec::new());
    for word in Words::read(run).map_err(Failure::from)? {
        let Word::Outcome { key, outcome, .. } = word.map_err(Failure::from)?.1 else { continue };
        if outcome.state == State::Failed && failed.len() < FAILURES {
            failed.push(format!("slice {key}: {}", outcome.detail.as_deref().unwrap_or_default()));
        }
        let counts = outcome.report.and_then(|report| serde_json::from_str::<Counts>(report.get()).ok());
        let counts = counts.unwrap_or_default();
        total.records += counts.records;
        total.rejected += counts.rejected;
        total.repeated += counts.repeated;
        total.tombstones += counts.tombstones;
        total.lost += counts.lost;
    }
    Ok((total, failed))
}

impl Counts {
    /// What only messages can be, where there is something to say.
    fn of_messages(&self) -> Vec<String> {
        [
            (self.repeated, "record", "had a key that came again"),
            (self.tombstones, "message", "without a value left out"),
            (self.lost, "offset", "LOST: the brokers have removed them before they were loaded"),
        ]
        .into_iter()
        .filter(|(count, ..)| *count > 0)
        .map(|(count, what, why)| format!("{} {why}", counted(count, what)))
        .collect()
    }
}

impl LoadOptions {
    /// The options for a file with these parameters, as they were typed.
    pub(super) fn of_file(
        path: &Path,
        given: &[String],
        global: &cli::Global,
        sandbox: bool,
    ) -> Result<Self, Failure> {
        let folder = std::env::current_dir().map_err(|error| {
            Failure::new(Exit::Unexpected, format!("cannot tell the current folder: {error}")).because(error)
        })?;
        let options = Self {
            path: path.display().to_string(),
            text: read(path)?,
            folder,
            params: BTreeMap::new(),
            only: Vec::new(),
            shard: None,
            reload: false,
            strict: false,
            allow_empty: false,
            on_gap: OnGap::default(),
            follow: false,
            metrics_prefix: None,
            sandbox,
            env_file: global.env_file.clone(),
            known: Arc::default(),
        };
        let declared = &options.job()?.file.params.clone();
        let mut params = BTreeMap::new();
        for given in given {
            let (name, value) = cli::pair("--param", given)?;
            let Some(declared) = declared.get(&name) else {
                let names: Vec<String> = declared.keys().cloned().collect();
                let hint =
                    nearest(&name, &names).map(|near| format!("; did you mean {near}?")).unwrap_or_default();
                let text = format!("--param {name}: the job file has no such parameter{hint}");
                return Err(Failure::new(Exit::Usage, text));
            };
            params.insert(name.clone(), param(&name, &value, declared)?);
        }
        Ok(Self { params, known: Arc::default(), ..options })
    }

    fn fetch(&self, start: &Start<'_, (), LoadTarget>) -> Result<Fetch, Failure> {
        Fetch::new(self, start.target.source(self, start.settings)?, start.stop)
    }

    /// Fetches the first records of a slice that is not loaded, and holds them against the table.
    async fn sample(
        &self,
        start: &Start<'_, (), LoadTarget>,
        slice: &Slice,
        table: &Known,
    ) -> Result<Vec<String>, Failure> {
        let known = self.job()?;
        let fetch = self.fetch(start)?;
        let stage = StageWriter::create(start.run, 0, slice.name())
            .map_err(LoadError::from)
            .map_err(LoadError::failure)?;
        let values = slice.values(&known.params);
        let stage = fetch.run(slice, &values, stage, Some(SAMPLES)).await.map_err(LoadError::failure)?;
        let terms = self.terms(start.run.id())?;
        let mut lines = Vec::new();
        let mut batches = stage.batches(1).map_err(LoadError::from).map_err(LoadError::failure)?;
        while let Some(batch) = batches.next().map_err(LoadError::from).map_err(LoadError::failure)? {
            if let Some(columns) = &table.columns {
                start.target.store.fits(&terms, &batch.columns, columns).map_err(LoadError::failure)?;
            }
            lines.push(format!("sample        {}", one_line(&batch.object(0))));
        }
        if let Some(first) = stage.rejected.first() {
            lines.push(format!(
                "sample        {} rejected: {}",
                stage::records_were(stage.rejected.count()),
                one_line(first)
            ));
        }
        if table.columns.is_none() && stage.records > 0 {
            let ddl = start
                .target
                .store
                .ddl(&terms, &stage)
                .map_err(LoadError::from)
                .map_err(LoadError::failure)?;
            lines.extend(ddl.map(|ddl| format!("would make    {}, as these records are", words(&ddl))));
        }
        if lines.is_empty() {
            lines.push(format!("sample        slice {} has no records", one_line(&slice.name())));
        }
        stage.remove();
        stage.rejected.remove();
        Ok(lines)
    }

    /// Joins the parts of a file of all slices, if that is the target and all are loaded.
    async fn join(&self, target: &LoadTarget, run: &RunDir, stop: &Stop) -> Result<Option<String>, Failure> {
        let Some(files) = target.store.files().cloned() else { return Ok(None) };
        let is_part = self.shard.is_some() || !self.only.is_empty();
        let slices = if is_part && self.job()?.file.keys().is_some() {
            // Which slices there are besides, only a run of all can tell.
            return Ok(None);
        } else if is_part {
            self.uncut_slices()?
        } else {
            Self::slices_of(&Input::file(&run.input()))?
        };
        let (load, run, of_join) = (self.job()?.file.load_id().to_owned(), run.id().to_owned(), stop.clone());
        let join = move || files.join(&load, &run, &slices, &of_join).map_err(LoadError::failure);
        signals::on_thread(stop, join).await
    }

    /// The slices of a run's input.
    fn slices_of(input: &Input) -> Result<Vec<Slice>, Failure> {
        let file = input.open().map_err(|error| crate::run::scan::source_failure(&error))?;
        let columns = file
            .header()
            .require(Slice::COLUMNS)
            .map_err(|error| crate::run::scan::header_failure(&error))?;
        let mut slices = Vec::new();
        for row in file.rows() {
            let row = row.map_err(|error| crate::run::scan::source_failure(&error))?;
            let Ok(row) = row else { continue };
            let fields: Vec<&str> = columns.iter().map(|column| row.text(Some(*column))).collect();
            slices.extend(Slice::read(&fields).ok().map(|(_, slice)| slice));
        }
        Ok(slices)
    }
}

impl Job for LoadOptions {
    const COMMAND: &'static str = "load";
    const REPORTED: Option<Reported> = Some(Reported("slices"));
    const ROWS: Own = Own::Made;
    const TOLD: &'static str = "Slices";
    const LOOKS_BACK: bool = true;
    type Target = LoadTarget;
    type Found = ();
    type Planner = LoadPlanner;
    type Applier = Loader;
    type Feed = MadeFeed<Slice>;

    fn can_be_undone(&self) -> bool {
        self.job().is_ok_and(|known| known.file.keeps_undo())
    }

    fn holds_rows(&self) -> bool {
        // Members of a group share its messages, and the target tells which are taken.
        !self.follow
    }

    fn in_sandbox(&self) -> bool {
        // The target is real: only the source is played.
        false
    }

    fn scan(&self, input: &Input) -> Result<MadeRows, Failure> {
        self.job()?;
        feed::scan::<Slice>(input)
    }

    fn total(&self, scan: &MadeRows) -> u64 {
        scan.rows
    }

    fn rows(&self, rows: u64) -> Option<u64> {
        Some(rows)
    }

    fn what(&self, scan: &MadeRows) -> String {
        let slices = if self.follow { "New messages".to_owned() } else { counted(scan.rows, "slice") };
        let Ok(known) = self.job() else { return slices };
        if let Some(files) = known.file.file_target() {
            return format!(
                "{slices} will be written to {}: the file of each is replaced whole.",
                files.path.value
            );
        }
        let table = known.file.table().map(|table| table.table.clone()).unwrap_or_default();
        let how = match known.file.mode() {
            Mode::Upsert => "a record whose key is there takes its place",
            Mode::Insert => "a record whose key is there is left out",
            Mode::Append => "all records are added",
            Mode::Replace => "what the table has of a slice's range is deleted first",
        };
        format!("{slices} will be loaded into table `{table}`: {how}.")
    }

    async fn before_asking(&self, start: &Start<'_, (), LoadTarget>) -> Result<Vec<String>, Failure> {
        let known = self.job()?;
        let (store, stop) = (&start.target.store, start.stop);
        let spec = known.file.table().unwrap_or_default().into_owned();
        let table = store.known(&spec.table, stop).await.map_err(LoadError::failure)?;
        let mut lines = Vec::new();
        match (&table.columns, table.rows) {
            _ if store.files().is_some() => {}
            (None, _) if !spec.create => {
                let hint = match nearest(&spec.table, &table.tables) {
                    Some(near) => format!("; did you mean `{near}`?"),
                    None if table.tables.is_empty() => "; there are no tables".to_owned(),
                    None => format!("; there {}", listed(&table.tables)),
                };
                let text = format!(
                    "{}: there is no table `{}`{hint} (create: true in the job file makes it)",
                    start.target.store.place(),
                    spec.table
                );
                return Err(Failure::new(Exit::Usage, text));
            }
            (None, _) => {
                lines.push(format!("table         {} (made from the first records)", one_line(&spec.table)));
            }
            (Some(_), Some(rows)) => {
                let rows = match rows {
                    Rows::Exactly(rows) => counted(rows, "row"),
                    Rows::About(rows) => format!("about {}", counted(rows, "row")),
                    Rows::MoreThan(rows) => format!("more than {}", counted(rows, "row")),
                };
                lines.push(format!("table         {}, {rows} now", one_line(&spec.table)));
            }
            (Some(_), None) => lines.push(format!("table         {}", one_line(&spec.table))),
        }
        let terms = self.terms(start.run.id())?;
        let warnings = store.look(&terms, stop).await.map_err(LoadError::failure)?;
        if start.manifest.dry_run {
            for line in &warnings {
                start.note(words(line));
            }
        }
        lines.extend(warnings);
        let ledger = store.ledger(known.file.load_id(), stop).await.map_err(LoadError::failure)?;
        let slices = Self::slices_of(start.input)?;
        if let Some(files) = store.files() {
            lines.extend(files.look(known.file.load_id(), &slices).map_err(LoadError::failure)?);
            if let Some(conflict) = ledger.overlap(&slices) {
                let text = format!(
                    "{conflict}, and files would keep the records of both: forget what is loaded (load ledger forget {} --all), move \
                     the files away, and load again",
                    self.path
                );
                return Err(Failure::new(Exit::Changed, text));
            }
        }
        if !self.reload
            && let Some(conflict) = ledger.conflict(&slices, &known.digest)
        {
            let text = format!("{conflict}; --reload loads it again, if that is meant");
            return Err(Failure::new(Exit::Changed, text));
        }
        let loaded = slices.iter().filter(|slice| ledger.get(slice).is_some_and(|entry| !entry.open)).count();
        if known.file.kafka().is_none() {
            lines.push(format!("slices        {}, {loaded} of them loaded", slices.len()));
        }
        #[cfg(feature = "kafka")]
        if known.file.kafka().is_some() && !self.follow {
            let told = self.messages(store, &slices, stop).await?;
            if start.manifest.dry_run {
                for line in &told {
                    start.note(words(line));
                }
            }
            lines.extend(told);
        }
        if start.manifest.dry_run {
            let next = slices.iter().find(|slice| match &slice.offsets {
                Some(offsets) => offsets.count() > 0,
                None => self.reload || ledger.get(slice).is_none_or(|entry| entry.open),
            });
            if let Some(slice) = next {
                for line in self.sample(start, slice, &table).await? {
                    start.note(words(&line));
                }
            }
        }
        Ok(lines)
    }

    async fn begin(&self, start: &Start<'_, (), LoadTarget>) -> Result<(LoadPlanner, Loader), Failure> {
        let known = self.job()?;
        let store = Arc::clone(&start.target.store);
        let ledger = store.ledger(known.file.load_id(), start.stop).await.map_err(LoadError::failure)?;
        let planner = LoadPlanner {
            ledger,
            digest: known.digest.clone(),
            reload: self.reload,
            run: start.run.id().to_owned(),
            #[cfg(feature = "kafka")]
            positions: self.known_positions(&store, start.stop).await?,
        };
        let loader = Loader {
            fetch: self.fetch(start)?,
            store,
            terms: self.terms(start.run.id())?,
            params: known.params.clone(),
            run: start.run.clone(),
            keeps_undo: known.file.keeps_undo(),
            #[cfg(feature = "kafka")]
            follows: self.follow,
        };
        Ok((planner, loader))
    }

    fn feed(&self, input: &Input, scan: MadeRows, replay: Replay, stop: Stop) -> Result<Self::Feed, Failure> {
        MadeFeed::new(input, &scan, None, replay, stop)
    }

    async fn after(&self, target: &LoadTarget, run: &RunDir, stop: &Stop) -> Result<After, Failure> {
        let known = self.job()?;
        let of_run = run.clone();
        let (counts, failures) = signals::on_thread(stop, move || total(&of_run)).await?;
        let mut notes = vec![format!(
            "{} loaded{}",
            counted(counts.records, "record"),
            match counts.rejected {
                0 => String::new(),
                rejected => format!(", {rejected} rejected (in {})", stage::REJECTED),
            }
        )];
        notes.extend(counts.of_messages());
        notes.extend(failures);
        notes.extend(self.join(target, run, stop).await?);
        // A shard or a choice of slices is not the whole: that is checked once all are loaded.
        if self.shard.is_some() || !self.only.is_empty() || known.file.checks.is_empty() {
            return Ok(After { notes, failed: false });
        }
        let terms = self.terms(run.id())?;
        // Those of the run: files may have come since, or gone.
        let slices = Self::slices_of(&Input::file(&run.input()))?;
        let failed = checks::run(&known.file, &target.store, &terms, &slices, stop).await;
        let failed = failed.map_err(LoadError::failure)?;
        notes.push(match failed.len() {
            0 => format!("{} passed", counted(known.file.checks.len() as u64, "check")),
            failed => format!("{failed} of {} failed", counted(known.file.checks.len() as u64, "check")),
        });
        notes.extend(failed.iter().map(|failed| format!("{}:{}: {}", self.path, failed.span, failed.text)));
        Ok(After { notes, failed: !failed.is_empty() })
    }

    fn tune(&self, config: &mut Config) {
        // A slice takes long: what it has come to is written down at once.
        config.record_each = true;
    }

    fn result_files(run: &RunDir) -> Result<(), String> {
        stage::collect(run.path())
    }

    fn plan(&self, _settings: &Settings, _calls: u64) -> Box<dyn PlanSummary> {
        Box::<SlicePlan>::default()
    }

    fn tell(said: Said<'_>) -> Option<Entry> {
        plan::tell(said)
    }

    fn exit(&self, tally: &Tally) -> Option<Exit> {
        let rejects = tally.reasons.get("done").is_some_and(|reasons| reasons.contains_key(REJECTS));
        rejects.then_some(Exit::SomeFailed)
    }
}
