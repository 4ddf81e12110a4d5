//! `export`: begins or continues an export, and works on it until it ends.

use super::COMMAND;
use super::columns::Columns;
use super::part::Part;
use crate::cli;
use crate::cli::batch::BatchFlags;
use crate::cli::choices::{ExportFormat, word};
use crate::devrev::any_object::{Members, ObjectList};
use crate::devrev::objects::{self, Object};
use crate::devrev::pages::Pages;
use crate::devrev::read_only::ReadOnly;
use crate::exit::{Exit, Failure};
use crate::jobs::failing;
use crate::jobs::rules::dates;
use crate::jobs::target::DevRev;
use crate::jobs::update_fields::exports::remember;
use crate::jobs::update_fields::fields::{Fields, usage};
use crate::jobs::update_fields::names::Names;
use crate::jobs::update_fields::value;
use crate::journal::atomic;
use crate::journal::lock::RunLock;
use crate::journal::manifest::{FORMAT, Manifest, RunState, SANDBOX};
use crate::journal::run_dir::RunDir;
use crate::journal::writer::Journal;
use crate::report::logging;
use crate::report::terminal::{CLOSED, Terminal, TextOut, is_closed, result};
use crate::report::units::counted;
use crate::report::validation::shell_word;
use crate::run::checks::{options, same_target};
use crate::run::resume::Resumed;
use crate::run::signals;
use crate::run::standing::Place;
use crate::settings::{Rates, Settings};
use crate::source::fingerprint;
use crate::stop::Stop;
use chrono::Utc;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashSet};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Between two words on how far it is.
const LINE_EVERY: Duration = Duration::from_secs(30);

/// The options of an export.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ExportOptions {
    object: String,
    fields: Vec<String>,
    #[serde(rename = "where")]
    conditions: Vec<(String, String)>,
    changed_since: Option<String>,
    format: ExportFormat,
    names: bool,
    /// An absolute path, or `-`.
    output: PathBuf,
    force: bool,
}

/// Begins an export.
pub(crate) async fn run(
    args: cli::batch::Export,
    global: cli::Global,
    terminal: Terminal,
) -> Result<Exit, Failure> {
    let batch = BatchFlags {
        sandbox: args.sandbox,
        runs_dir: args.runs_dir.clone(),
        client: args.client.clone(),
        ..BatchFlags::default()
    };
    let settings = Settings::resolve(&global, &batch, Rates::Backfill)?;
    if !args.sandbox {
        DevRev::has_token(&settings)?;
    }
    let to_stdout = args.output == Path::new("-");
    let output = if to_stdout {
        args.output.clone()
    } else {
        std::path::absolute(&args.output).unwrap_or_else(|_| args.output.clone())
    };
    if to_stdout && global.json {
        return Err(usage("--json and `-o -` both need standard output: give -o a file".to_owned()));
    }
    if to_stdout && is_closed() {
        return Err(usage(CLOSED.to_owned()));
    }
    if !to_stdout {
        can_be_written(&output, args.force)?;
    }
    let changed_since = match &args.changed_since {
        None => None,
        Some(text) => {
            let time = dates::parse(text.trim());
            let time =
                time.ok_or_else(|| usage(format!("--changed-since {text}: not a date, such as 2026-12-01")))?;
            Some(time.to_rfc3339_opts(chrono::SecondsFormat::Millis, true))
        }
    };
    let options = ExportOptions {
        object: word(&args.object),
        fields: args
            .fields
            .iter()
            .map(|name| name.trim().to_owned())
            .filter(|name| !name.is_empty())
            .collect(),
        conditions: args.condition.iter().map(|text| cli::pair("--where", text)).collect::<Result<_, _>>()?,
        changed_since,
        format: args.format,
        names: args.names,
        output,
        force: args.force,
    };
    let stop = listening(&terminal)?;
    let run = RunDir::create(&settings.runs_dir, COMMAND, Utc::now())?;
    let lock = RunLock::take(&run)?;
    let log = logging::keep(&run)?;
    let journal = Journal::create(&run)?;
    journal.close().await?;
    let manifest = manifest(&run, &settings, &options, args.sandbox);
    manifest.write(&run)?;
    let part = Part::create(&run)?;
    let (quiet, json) = (global.quiet, global.json);
    let export = Export {
        settings,
        options,
        run,
        manifest,
        part,
        stop,
        terminal,
        quiet,
        json,
        is_new: true,
        is_unread: false,
        _held: (lock, log),
    };
    Box::pin(export.work()).await
}

/// Goes on with an export.
pub(crate) async fn resume(resumed: Resumed<'_>, settings: Settings) -> Result<Exit, Failure> {
    let Resumed { args, global, terminal, run, lock, manifest, .. } = resumed;
    let options: ExportOptions = options(&manifest, &run)?;
    let in_sandbox = manifest.base_url == SANDBOX;
    same_target(&manifest, &DevRev::at(&settings), in_sandbox, args.batch.sandbox)?;
    if manifest.state == RunState::Finished {
        return Err(usage(format!("run {} is finished: there is nothing to resume", run.id())));
    }
    if !in_sandbox {
        DevRev::has_token(&settings)?;
    }
    let stop = listening(&terminal)?;
    if options.output == Path::new("-") && is_closed() {
        return Err(usage(CLOSED.to_owned()));
    }
    let log = logging::keep(&run)?;
    let (of_run, format) = (run.clone(), options.format);
    let part = signals::on_thread(&stop, move || Part::open(&of_run, format)).await?;
    let (quiet, json) = (global.quiet, global.json);
    let export = Export {
        settings,
        options,
        run,
        manifest,
        part,
        stop,
        terminal,
        quiet,
        json,
        is_new: false,
        is_unread: false,
        _held: (lock, log),
    };
    Box::pin(export.work()).await
}

/// Finds out whether a file can be written, before anything is read for it.
fn can_be_written(output: &Path, force: bool) -> Result<(), Failure> {
    let shown = output.display();
    if output.is_dir() {
        return Err(usage(format!("-o {shown}: it is a folder")));
    }
    if output.exists() && !force {
        return Err(usage(format!("{shown} exists: give another name, or --force to replace it")));
    }
    let folder = crate::files::folder_of(output);
    if !folder.is_dir() {
        return Err(usage(format!("-o {shown}: there is no such folder")));
    }
    // It has no name, and is gone at once.
    match tempfile::tempfile_in(folder) {
        Ok(_) => Ok(()),
        Err(error) => Err(usage(format!("-o {shown}: cannot write in {}: {error}", folder.display()))),
    }
}

fn listening(terminal: &Terminal) -> Result<Stop, Failure> {
    let stop = Stop::default();
    signals::listen(&stop, terminal).map_err(|error| {
        Failure::new(Exit::Unexpected, format!("cannot listen to signals: {error}")).because(error)
    })?;
    Ok(stop)
}

fn manifest(run: &RunDir, settings: &Settings, options: &ExportOptions, sandbox: bool) -> Manifest {
    let now = Utc::now();
    Manifest {
        format: FORMAT,
        tool_version: env!("CARGO_PKG_VERSION").to_owned(),
        id: run.id().to_owned(),
        command: COMMAND.to_owned(),
        created_at: now,
        updated_at: now,
        ended_at: None,
        settings: json!({ "job": options, "resolved": settings.record }),
        input: None,
        org: None,
        user: None,
        base_url: if sandbox { SANDBOX.to_owned() } else { DevRev::at(settings).address },
        environment: settings.environment.clone(),
        dry_run: false,
        counts: BTreeMap::new(),
        journal_bytes: Some(0),
        state: RunState::Running,
        exit_code: None,
        applies: None,
        portion: None,
        closed: None,
        why: None,
        notes: Vec::new(),
        parent: None,
    }
}

/// An export that this process works on.
#[allow(clippy::struct_excessive_bools, reason = "flags, as they were typed, and how it goes")]
struct Export {
    settings: Settings,
    options: ExportOptions,
    run: RunDir,
    manifest: Manifest,
    part: Part,
    stop: Stop,
    terminal: Terminal,
    quiet: bool,
    json: bool,
    is_new: bool,
    /// Whether nobody reads standard output any more.
    is_unread: bool,
    _held: (RunLock, logging::Kept),
}

impl Export {
    async fn work(mut self) -> Result<Exit, Failure> {
        let since = Instant::now();
        let sandbox = self.manifest.base_url == SANDBOX;
        let target = DevRev::connect(&self.settings, sandbox, &self.stop).await?;
        let outcome = if self.part.progress.sha256.is_some() {
            Ok(())
        } else if self.is_in_the_way() {
            Err(self.in_the_way())
        } else {
            self.read(&target).await
        };
        let calls = target.figures()().calls.calls;
        let outcome = match outcome {
            Ok(()) => self.finish(),
            Err(failure) => Err(failure),
        };
        match outcome {
            Ok(sha256) => self.end(&sha256, calls, since.elapsed()),
            Err(failure) => self.stopped(failure),
        }
    }

    fn object(&self) -> &'static Object {
        objects::named(&self.options.object).unwrap_or(&objects::OBJECTS[0])
    }

    /// Reads all objects that are asked for and not written yet.
    async fn read(&mut self, target: &DevRev) -> Result<(), Failure> {
        let identity = target.who().await?;
        if let Some(org) = self.manifest.org.as_ref().filter(|org| org.id != identity.org.id) {
            let text = format!("run {} began in {org}, and the token is of {}", self.run.id(), identity.org);
            return Err(Failure::new(Exit::Changed, text));
        }
        (self.manifest.org, self.manifest.user) = (Some(identity.org), Some(identity.user));
        self.manifest.state = RunState::Running;
        self.manifest.write(&self.run)?;
        let client = target.client.read_only();
        let columns = self.columns(&client).await?;
        if self.part.progress.bytes == 0 {
            let mut header = Vec::new();
            columns.begin(&mut header).map_err(|error| defect(&error))?;
            self.part.write(0, &header)?;
        }
        let mut pages = Pages::new(ObjectList::of(self.object(), self.filters(&columns)));
        let mut next_line = Instant::now() + LINE_EVERY;
        while let Some(page) = pages
            .next(&client)
            .await
            .map_err(|error| failing::needed(&error, &format!("cannot list {}", self.object().plural)))?
        {
            self.write(&columns, &page)?;
            if !self.quiet && Instant::now() >= next_line {
                self.terminal
                    .say(&format!("{} so far", counted(self.part.progress.rows, self.object().name)));
                next_line = Instant::now() + LINE_EVERY;
            }
        }
        self.part.sync()
    }

    async fn columns(&self, client: &ReadOnly) -> Result<Columns, Failure> {
        let ExportOptions { fields: named, conditions, names: with_names, format, .. } = &self.options;
        let mut wanted: HashSet<String> = named.iter().cloned().collect();
        wanted.extend(conditions.iter().map(|(name, _)| name.clone()));
        let fields = Fields::load(client, self.object(), &wanted).await?;
        let mut names = Names::with_stages(fields.stages.clone());
        let of_conditions = conditions.iter().filter_map(|(name, text)| {
            let field = fields.named(name).cloned().or_else(|| objects::read_only_field(name))?;
            Some(value::names(&field.kind, text))
        });
        names.learn(client, of_conditions.flatten().collect()).await?;
        Columns::find(self.object(), &fields, named, *with_names, *format)?.holding(
            self.object(),
            &fields,
            conditions,
            &names,
        )
    }

    /// What is asked of the list.
    fn filters(&self, columns: &Columns) -> Members {
        let mut filters = columns.filters(self.object());
        let range = |after: &str| {
            let mut range = json!({ "after": after });
            if self.object().work_type.is_some() {
                range["type"] = "range".into();
            }
            range
        };
        if let Some(after) = &self.options.changed_since {
            filters.insert("modified_date".to_owned(), range(after));
        }
        // Those of the same moment come again; they are known by their IDs.
        if let Some(after) = self.part.progress.created.as_ref().filter(|_| self.part.progress.in_order) {
            filters.insert("created_date".to_owned(), range(after));
        }
        filters
    }

    fn write(&mut self, columns: &Columns, page: &[Members]) -> Result<(), Failure> {
        let (mut rows, mut bytes) = (0, Vec::new());
        for object in page {
            let text = |member: &str| object.get(member).and_then(Value::as_str);
            if let Some(created) = text("created_date") {
                let progress = &mut self.part.progress;
                progress.in_order &= progress.created.as_deref().is_none_or(|last| last <= created);
                progress.created = Some(created.to_owned());
            }
            let Some(id) = text("id") else { continue };
            if columns.take(object) && self.part.is_new(id) {
                columns.write(object, &mut bytes).map_err(|error| defect(&error))?;
                rows += 1;
            }
        }
        self.part.write(rows, &bytes)?;
        self.part.end_page()
    }

    /// Whether there is a file by the name of the one that is to be made, which may not be replaced.
    fn is_in_the_way(&self) -> bool {
        let output = &self.options.output;
        !self.options.force && output != Path::new("-") && std::fs::symlink_metadata(output).is_ok()
    }

    fn in_the_way(&self) -> Failure {
        let text = format!(
            "{} was not there when the export began, and is now; it was left as it is: move it away, and resume the run",
            self.options.output.display()
        );
        Failure::new(Exit::Unexpected, text)
    }

    /// Puts the file where it belongs. Returns its hash.
    fn finish(&mut self) -> Result<String, Failure> {
        let output = self.options.output.clone();
        let failed = |error: io::Error| {
            let text =
                format!("cannot write {}: {error}; what was read is kept: resume the run", output.display());
            Failure::new(Exit::Unexpected, text).because(error)
        };
        let sha256 = self.part.seal()?;
        remember(&self.settings.runs_dir, &sha256).map_err(failed)?;
        let part = &mut self.part;
        if output == Path::new("-") {
            let mut out = TextOut::new();
            let written = part.copy(&mut out).and_then(|_| out.flush());
            if written.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::BrokenPipe) {
                self.is_unread = true;
                let text = "standard output was closed before all of it was written";
                return Err(Failure::new(Exit::Unexpected, text));
            }
            written.map_err(failed)?;
        } else if self.options.force {
            atomic::replace(&output, |file| part.copy(file).map(drop)).map_err(failed)?;
        } else {
            let created = atomic::create(&output, |file| part.copy(file).map(drop));
            // An earlier process may have got as far as this.
            let is_there = created.is_err() && fingerprint(&output).is_ok_and(|found| found.sha256 == sha256);
            match created {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists && !is_there => {
                    return Err(self.in_the_way());
                }
                Err(error) if !is_there => return Err(failed(error)),
                _ => {}
            }
        }
        Ok(sha256)
    }

    fn end(mut self, sha256: &str, calls: u64, time: Duration) -> Result<Exit, Failure> {
        let rows = self.part.progress.rows;
        self.manifest.state = RunState::Finished;
        self.manifest.exit_code = Some(Exit::Ok.code());
        self.manifest.ended_at = Some(Utc::now());
        self.manifest.counts = BTreeMap::from([("done".to_owned(), rows)]);
        self.manifest.why = None;
        self.manifest.write(&self.run)?;
        let (object, output) = (self.object(), self.options.output.display().to_string());
        let to_stdout = output == "-";
        let next = Place::of(&self.settings).with(&format!(
            "update --object {} --csv EDITED.csv --base {} --dry-run",
            object.name,
            shell_word(&output)
        ));
        let summary = if self.json {
            let file = if to_stdout { Value::Null } else { output.clone().into() };
            json!({
                "run": self.run.id(), "command": COMMAND, "object": object.name, "rows": rows, "file": file,
                "sha256": sha256, "calls_total": calls, "seconds": time.as_secs_f64(), "exit": 0,
            })
            .to_string()
        } else {
            let to = if to_stdout { "standard output" } else { &output };
            let mut text = format!(
                "exported {} to {to}\n{} in {:.1} s; objects that were edited meanwhile may appear in either state\nrun folder: {}",
                if rows == 1 { format!("1 {}", object.name) } else { format!("{rows} {}", object.plural) },
                counted(calls, "API call"),
                time.as_secs_f64(),
                self.run.path().display(),
            );
            if !to_stdout && self.options.format == ExportFormat::Csv {
                text.push_str("\nnext: edit a copy of it, then run ");
                text.push_str(&next);
            }
            text
        };
        if to_stdout {
            // Standard output has the objects.
            if !self.quiet {
                self.terminal.say(&summary);
            }
        } else if let Err(error) = result(&summary) {
            self.terminal.say(&format!("warning: cannot print the summary: {error}"));
        }
        self.part.remove();
        Ok(Exit::Ok)
    }

    /// Keeps what was read for a resume, or nothing where nothing can come of it.
    fn stopped(mut self, failure: Failure) -> Result<Exit, Failure> {
        let never_began = self.is_new
            && matches!(failure.exit, Exit::Usage | Exit::Credentials)
            && self.part.progress.rows == 0;
        if never_began || self.is_unread {
            // What cannot be removed does no harm.
            let _ = std::fs::remove_dir_all(self.run.path());
            return Err(failure);
        }
        self.part.sync()?;
        let cause = self.stop.cause();
        self.manifest.state = if cause.is_some() { RunState::Interrupted } else { RunState::Stopped };
        let failure = match cause {
            Some(_) => signals::interrupted(&self.stop, "interrupted"),
            None => failure,
        };
        self.manifest.exit_code = Some(failure.exit.code());
        self.manifest.why = Some(failure.to_string());
        self.manifest.write(&self.run)?;
        let text = format!(
            "{failure}; {} read so far; next: {}",
            counted(self.part.progress.rows, self.object().name),
            Place::of(&self.settings).resume(&self.run)
        );
        Err(Failure::new(failure.exit, text).because(failure))
    }
}

fn defect(error: &io::Error) -> Failure {
    Failure::new(Exit::Unexpected, format!("a defect: a row cannot be written: {error}"))
}
