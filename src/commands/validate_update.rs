//! `validate --kind update`: holds an input of `update` against the fields of its objects, and with `--online` against
//! the tenant's schema and the names in it.

use crate::cli;
use crate::cli::choices::{OnEmpty, OnMissing, word};
use crate::connectors;
use crate::exit::{Exit, Failure};
use crate::finding::{Finding, Rule, shown};
use crate::jobs::duplicates::{Duplicates, Verdict};
use crate::jobs::target::DevRev;
use crate::jobs::update_fields::Cell;
use crate::jobs::update_fields::columns::Typed;
use crate::jobs::update_fields::decide::wish;
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
    let options = UpdateOptions {
        object: word(&object),
        limit: args.limit,
        typed: Typed::default(),
        base: None,
        is_export: false,
        on_empty: OnEmpty::Leave,
        condition: Vec::new(),
        on_missing: OnMissing::Fail,
        creates: false,
        skip_invalid: true,
        no_required_check: false,
        sandbox: args.sandbox,
        known: std::sync::Arc::default(),
    };
    let folder = tempfile::tempdir().map_err(|error| {
        Failure::new(Exit::Unexpected, format!("cannot make a temporary folder: {error}")).because(error)
    })?;
    let spool = folder.path().join("input.csv");
    let of_fetch = stop.clone();
    let input = signals::on_thread(&stop, move || fetch(&spool, &of_fetch)).await?;
    let online = if args.online {
        let settings = Settings::for_client(&global, &args.client)?;
        let target = DevRev::connect(&settings, args.sandbox, &stop).await?;
        let columns = options.columns(&input)?;
        let said = columns.columns.iter().map(|column| column.field.clone()).collect();
        let fields = Fields::load(&target.client.read_only(), options.object(), &said).await?;
        columns.check(options.object(), &fields)?;
        let names = Names::with_stages(fields.stages.clone());
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
    let mut reader = options.reader(file.header())?;
    let columns = reader.columns.clone();
    file.use_only(columns.used());
    let (stock, is_online) = (Fields::stock(options.object()), online.is_some());
    let mut out = io::stdout();
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
        for (row, line, cell) in waiting.drain(..) {
            let Some((column, field)) = field_of(&cell) else { continue };
            if let Err(message) = wish(column, field, &cell, options.on_empty, Some(names)) {
                let (column, value) = (Some(column.name.clone().into()), shown(&cell.text));
                report.add(Finding { row, line: Some(line), column, rule: Rule::FieldValue, value, message });
            }
        }
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
    let exit = if report.has_errors() { Exit::InvalidInput } else { Exit::Ok };
    let arguments: Vec<String> = ["--object".to_owned(), options.object.clone()]
        .into_iter()
        .chain(input.arguments().iter().cloned())
        .collect();
    let read = file.notes();
    let validated = Validated {
        input: input.name(),
        arguments: if input.arguments().is_empty() { &[] } else { &arguments },
        kind: Kind::Update,
        rows: ended.rows,
        complete: ended.complete,
        read: &read,
    };
    match report.finish(&validated) {
        Ok(()) => Ok(exit),
        // Anyone who was reading has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(exit),
        Err(error) => Err(Failure::new(Exit::Unexpected, format!("cannot write the report: {error}"))),
    }
}
