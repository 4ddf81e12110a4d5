//! `validate --kind update`: holds an input of `update` against the fields of its objects, and with `--online` against
//! the tenant's schema and the names in it.

use crate::cli;
use crate::cli::choices::{OnMissing, word};
use crate::connectors;
use crate::exit::{Exit, Failure};
use crate::finding::{Finding, Rule, shown};
use crate::jobs::duplicates::{Duplicates, Verdict};
use crate::jobs::target::DevRev;
use crate::jobs::update_fields::Cell;
use crate::jobs::update_fields::base::BaseFile;
use crate::jobs::update_fields::columns::Typed;
use crate::jobs::update_fields::decide::{contradictions, wish};
use crate::jobs::update_fields::exports::is_guarded;
use crate::jobs::update_fields::fields::{Fields, usage};
use crate::jobs::update_fields::names::Names;
use crate::jobs::update_fields::options::UpdateOptions;
use crate::jobs::update_fields::value;
use crate::kind::Kind;
use crate::report::terminal::Terminal;
use crate::report::validation::{Report, Validated};
use crate::row::Place;
use crate::run::scan::source_failure;
use crate::run::signals;
use crate::settings::Settings;
use crate::source::Input;
use crate::source::ahead::each_row;
use crate::source::query::Table;
use crate::stop::Stop;
use std::collections::HashSet;
use std::io;
use std::path::Path;

/// Cells whose names are looked up together.
const CELLS_AT_ONCE: usize = 2_000;

/// What DevRev is asked about.
struct Online {
    target: DevRev,
    fields: Fields,
    names: Names,
}

/// Runs it.
pub(crate) async fn run(
    args: cli::input::Validate,
    global: cli::Global,
    terminal: Terminal,
) -> Result<Exit, Failure> {
    let Some(object) = args.object else {
        return Err(usage("--kind update: say what the rows are about with --object".to_owned()));
    };
    // One more than is looked at: the report says whether there are more.
    let limit = args.limit.map(|limit| limit.saturating_add(1));
    let typed = connectors::Typed { rows: &args.rows, global: &global, client: &args.client };
    // Whatever columns there are: each names its field.
    let rows = connectors::rows(typed, Table { columns: Vec::new(), query: "" }, limit)?;
    let fetch = connectors::fetch(rows);
    let stop = Stop::default();
    signals::listen(&stop, &terminal).map_err(|error| {
        Failure::new(Exit::Unexpected, format!("cannot listen to signals: {error}")).because(error)
    })?;
    let pairs = |flag: &str, given: &[String]| -> Result<Vec<(String, String)>, Failure> {
        given.iter().map(|text| cli::pair(flag, text)).collect()
    };
    let settings = Settings::for_client(&global, &args.client);
    let runs_dir = settings.as_ref().map_or(Path::new("runs"), |settings| settings.runs_dir.as_path());
    let options = UpdateOptions {
        object: word(&object),
        limit: args.limit,
        typed: Typed {
            key: args.key.clone(),
            map: pairs("--map", &args.map)?,
            set: pairs("--set", &args.set)?,
            ignore: args.ignore.clone(),
        },
        base: args.base.as_deref().map(BaseFile::of).transpose()?,
        is_export: is_guarded(&args.rows, args.base.is_some(), runs_dir),
        on_empty: args.on_empty,
        condition: Vec::new(),
        on_missing: OnMissing::Fail,
        creates: false,
        skip_invalid: false,
        no_required_check: false,
        create_tags: args.create_tags,
        rejected: None,
        sandbox: false,
        known: std::sync::Arc::default(),
    };
    let folder = tempfile::tempdir().map_err(|error| {
        Failure::new(Exit::Unexpected, format!("cannot make a temporary folder: {error}")).because(error)
    })?;
    let spool = folder.path().join("input.csv");
    let of_fetch = stop.clone();
    let input = signals::on_thread(&stop, move || fetch(&spool, &of_fetch)).await?;
    let online = if args.online {
        let settings = settings?;
        let target = DevRev::connect(&settings, args.sandbox, &stop).await?;
        let columns = options.columns(&input)?;
        let said = columns.columns.iter().map(|column| column.field.clone()).collect();
        let fields = Fields::load(&target.client.read_only(), options.object(), &said).await?;
        columns.check(options.object(), &fields)?;
        let names = Names::with_stages(fields.stages.clone()).creating_tags(args.create_tags);
        Some(Online { target, fields, names })
    } else {
        None
    };
    let (json, handle) = (global.json, tokio::runtime::Handle::current());
    signals::on_thread(&stop, move || check(&options, &input, online, json, &handle)).await
}

fn check(
    options: &UpdateOptions,
    input: &Input,
    mut online: Option<Online>,
    json: bool,
    handle: &tokio::runtime::Handle,
) -> Result<Exit, Failure> {
    let mut file = input.open().map_err(|error| source_failure(&error))?;
    let mut out = io::stdout();
    let mut reader = match options.reader(file.header()) {
        Ok(reader) => reader,
        Err(failure) => {
            let read = file.notes();
            if file.rows().next().is_some() {
                return Err(failure);
            }
            // Without rows nothing is wrong, whatever the columns are.
            return finish(Report::new(json, &mut out), input, &[], 0, true, &read);
        }
    };
    let columns = reader.columns.clone();
    file.use_only(columns.used());
    let (stock, is_online) = (Fields::stock(options.object()), online.is_some());
    let mut report = Report::new(json, &mut out);
    let scratch = std::env::temp_dir();
    let disk = crate::run::scan::disk(&scratch);
    let mut duplicates = Duplicates::new(&scratch);
    let mut waiting: Vec<(u64, u64, Cell)> = Vec::new();
    let mut ask = |waiting: &mut Vec<(u64, u64, Cell)>, report: &mut Report<'_>| -> Result<(), Failure> {
        let Some(Online { target, fields, names }) = &mut online else { return Ok(()) };
        let field_of = |cell: &Cell| {
            let column = columns.columns.get(cell.column)?;
            Some((column, fields.named(&column.field)?))
        };
        let wanted: HashSet<_> = waiting
            .iter()
            .filter_map(|(_, _, cell)| Some(value::names(&field_of(cell)?.1.kind, cell.text.trim())))
            .flatten()
            .collect();
        handle.block_on(names.learn(&target.client.read_only(), wanted))?;
        let wrong = |(row, line): (u64, u64), column: &str, text: &str, message: String| Finding {
            row,
            line: Some(line),
            column: Some(column.to_owned().into()),
            rule: Rule::FieldValue,
            value: shown(text),
            message,
        };
        for cells in waiting.chunk_by(|one, other| one.0 == other.0) {
            let mut wishes = Vec::new();
            for (row, line, cell) in cells {
                let Some((column, field)) = field_of(cell) else { continue };
                match wish(column, field, cell, options.on_empty, Some(names)) {
                    Ok(wish) => wishes.extend(wish),
                    Err(why) => report.add(wrong((*row, *line), &column.name, &cell.text, why)),
                }
            }
            for ((field, why), (row, line, _)) in
                contradictions(&wishes).into_iter().zip(cells.iter().cycle())
            {
                report.add(wrong((*row, *line), field, "", why));
            }
        }
        waiting.clear();
        Ok(())
    };
    // What the schema knows better is judged by it, once.
    let fields = if is_online { None } else { Some(&stock) };
    let ended = each_row(&mut file, options.limit, |row, problem| {
        if let Some(problem) = problem {
            report.add(Finding::of_problem(row, problem));
            return Ok::<_, Failure>(!report.is_broken());
        }
        let read = reader.read(row, fields)?;
        if !read.shown.is_empty() {
            let place = Place { row: row.number, line: Some(row.line) };
            duplicates.note(read.key, read.values, place.pack()).map_err(&disk)?;
        }
        read.findings.into_iter().for_each(|finding| report.add(finding));
        if let Some(item) = read.item {
            waiting.extend(item.cells.into_vec().into_iter().map(|cell| (row.number, row.line, cell)));
        }
        if waiting.len() >= CELLS_AT_ONCE {
            ask(&mut waiting, &mut report)?;
            waiting.clear();
        }
        Ok(!report.is_broken())
    });
    let ended = match ended.and_then(|ended| ask(&mut waiting, &mut report).map(|()| ended)) {
        Ok(ended) => ended,
        Err(failure) => return Err(report.abandon(failure)),
    };
    if let Some(error) = &ended.error {
        report.add(Finding::of_error(error, ended.rows + 1));
    }
    note_duplicates(options, duplicates, &scratch, &mut report)?;
    let arguments: Vec<String> =
        options.words().into_iter().chain(input.arguments().iter().cloned()).collect();
    let mut read = file.notes();
    if options.base.is_none() && !options.is_export && file.header().column("display_id").is_some() {
        read.push("edited from an export? then --base FILE changes only what was edited".to_owned());
    }
    let arguments = if input.arguments().is_empty() { &[][..] } else { &arguments };
    finish(report, input, arguments, ended.rows, ended.complete, &read)
}

/// Notes the rows that are about the same object as another one.
fn note_duplicates(
    options: &UpdateOptions,
    duplicates: Duplicates,
    scratch: &Path,
    report: &mut Report<'_>,
) -> Result<(), Failure> {
    let disk = crate::run::scan::disk(scratch);
    for duplicate in duplicates.finish().map_err(&disk)? {
        let duplicate = duplicate.map_err(&disk)?;
        let (rule, other, relation) = match duplicate.verdict {
            Verdict::SameAs(first) => (Rule::DuplicateSame, first, "the same values as"),
            Verdict::ConflictsWith(other) => (Rule::DuplicateConflict, other, "other values than"),
        };
        let (Place { row, line }, other) = (Place::unpack(duplicate.row), Place::unpack(other));
        let message = format!("the same {} with {relation} row {}", options.object, other.row);
        report.add(Finding { row, line, column: Some("id".into()), rule, value: String::new(), message });
    }
    Ok(())
}

/// Writes what was found; the exit code says whether anything is wrong.
fn finish(
    report: Report<'_>,
    input: &Input,
    arguments: &[String],
    rows: u64,
    complete: bool,
    read: &[String],
) -> Result<Exit, Failure> {
    let exit = if report.has_errors() { Exit::InvalidInput } else { Exit::Ok };
    let validated = Validated { input: input.name(), arguments, kind: Kind::Update, rows, complete, read };
    match report.finish(&validated) {
        Ok(()) => Ok(exit),
        // Anyone who was reading has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(exit),
        Err(error) => Err(Failure::new(Exit::Unexpected, format!("cannot write the report: {error}"))),
    }
}
