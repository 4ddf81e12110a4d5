//! `validate`: checks an input from its first row to its last and touches nothing.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::cli;
use crate::commands::online::Mentioned;
use crate::commands::validate_update;
use crate::connectors::{self, Typed};
use crate::devrev::ids::id_text;
use crate::exit::{Exit, Failure};
use crate::finding::{Finding, Rule};
use crate::jobs::duplicates::{Duplicate, Duplicates, Verdict};
use crate::jobs::rules::contacts::ContactColumns;
use crate::jobs::rules::issues::{IssueColumns, IssueRow};
use crate::jobs::rules::queries;
use crate::jobs::rules::{Identity, Prefixes, kind_of};
use crate::kind::Kind;
use crate::report::terminal::Terminal;
use crate::report::validation::{Report, Validated};
use crate::row::{Place, Row};
use crate::run::begin::RowsFrom;
use crate::run::scan::source_failure;
use crate::run::signals;
use crate::settings::Settings;
use crate::source::ahead::each_row;
use crate::source::csv::CsvFile;
use crate::source::header::{ColumnError, Header};
use crate::source::{Input, SourceError};
use crate::stop::Stop;

/// Asks DevRev about what an input names; returns what it does not have.
pub(crate) type Ask<'a> = dyn Fn(&Mentioned) -> Result<Vec<Finding>, Failure> + 'a;

/// Runs `validate`.
pub(crate) async fn run(
    args: cli::input::Validate,
    global: cli::Global,
    terminal: Terminal,
) -> Result<Exit, Failure> {
    #[cfg(feature = "load")]
    if let Some(job) = &args.job {
        return crate::jobs::load_records::validate::run(job, &args, &global, &terminal).await;
    }
    let kind = args.kind;
    if kind == Some(Kind::Update) || (kind.is_none() && args.object.is_some()) {
        return validate_update::run(args, global, terminal).await;
    }
    if args.object.is_some() {
        return Err(Failure::new(Exit::Usage, "--object is for --kind update"));
    }
    // One more than is looked at: the report says whether there are more.
    let limit = args.limit.map(|limit| limit.saturating_add(1));
    let typed = Typed { rows: &args.rows, global: &global, client: &args.client };
    let rows = connectors::rows(typed, queries::table(kind), limit)?;
    let is_copied = matches!(rows, RowsFrom::Source(_));
    let fetch = connectors::fetch(rows);
    let stop = Stop::default();
    let settings = if args.online { Some(Settings::for_client(&global, &args.client)?) } else { None };
    let handle = tokio::runtime::Handle::current();
    // What is spooled goes when this ends: nothing is resumed.
    let folder = tempfile::tempdir().map_err(|error| {
        Failure::new(Exit::Unexpected, format!("cannot make a temporary folder: {error}")).because(error)
    })?;
    let spool = folder.path().join("input.csv");
    if is_copied {
        // Else a signal ends the process at once; here it would leave the rows behind.
        signals::listen(&stop, &terminal).map_err(|error| {
            Failure::new(Exit::Unexpected, format!("cannot listen to signals: {error}")).because(error)
        })?;
    }
    let of_fetch = stop.clone();
    let work = move || {
        let input = fetch(&spool, &of_fetch)?;
        let ask = |mentioned: &Mentioned| match &settings {
            Some(settings) => handle.block_on(mentioned.absent(settings, args.sandbox)),
            None => Ok(Vec::new()),
        };
        let ask: Option<&Ask<'_>> = if settings.is_some() { Some(&ask) } else { None };
        // Not locked: anyone who logs meanwhile writes to standard error.
        check_input(&input, kind, args.limit, global.json, ask, &mut io::stdout())
    };
    crate::run::signals::on_thread(&stop, work).await
}

/// Checks the first `limit` rows of an input, or all, and writes what is found to `out`: a summary, or every
/// finding as JSON. Where no kind is given the header tells it.
///
/// With `ask`, an input of issues is also held against DevRev.
///
/// The outcome is [`Exit::InvalidInput`] when anything is wrong with it. Fails when the input cannot be got at
/// ([`Exit::Usage`]), when its header is not one to go by ([`Exit::InvalidInput`]), or when a temporary file
/// or the report cannot be written ([`Exit::Unexpected`]).
pub(crate) fn check_input(
    input: &Input,
    kind: Option<Kind>,
    limit: Option<u64>,
    json: bool,
    ask: Option<&Ask<'_>>,
    out: &mut dyn Write,
) -> Result<Exit, Failure> {
    let mut file = input.open().map_err(|error| not_opened(&error))?;
    let kind = match kind {
        Some(kind) => kind,
        None => {
            kind_of(file.header()).map_err(|error| invalid(&error, "; correct the header, or give --kind"))?
        }
    };
    let rules = Rules::find(kind, file.header()).map_err(|error| invalid(&error, "; correct the header"))?;

    file.use_only(rules.used());

    let mut report = Report::new(json, out);
    let (rows, complete) = match check_and_ask(&mut file, &rules, limit, &mut report, ask) {
        Ok(checked) => checked,
        Err(failure) => return Err(report.abandon(failure)),
    };

    let exit = if report.has_errors() { Exit::InvalidInput } else { Exit::Ok };
    let read = file.notes();
    let validated =
        Validated { input: input.name(), arguments: input.arguments(), kind, rows, complete, read: &read };
    match report.finish(&validated) {
        Ok(()) => Ok(exit),
        // Anyone who was reading has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(exit),
        Err(error) => Err(Failure::new(Exit::Unexpected, format!("cannot write the report: {error}"))),
    }
}

/// Checks rows, and asks DevRev about what they name. Returns how many there were and whether those were all.
fn check_and_ask(
    file: &mut CsvFile,
    rules: &Rules,
    limit: Option<u64>,
    report: &mut Report<'_>,
    ask: Option<&Ask<'_>>,
) -> Result<(u64, bool), Failure> {
    let mut mentioned = ask.map(|_| Mentioned::default());
    let checked = check(file, rules, limit, report, mentioned.as_mut())?;
    if let (Some(ask), Some(mentioned)) = (ask, &mentioned) {
        for finding in ask(mentioned)? {
            report.add(finding);
        }
    }
    Ok(checked)
}

/// Checks rows against all that needs no network. Returns how many there were and whether those were all.
fn check(
    file: &mut CsvFile,
    rules: &Rules,
    limit: Option<u64>,
    report: &mut Report<'_>,
    mut mentioned: Option<&mut Mentioned>,
) -> Result<(u64, bool), Failure> {
    let scratch = Scratch(std::env::temp_dir());
    let mut duplicates = Duplicates::new(&scratch.0);
    let mut prefixes = Prefixes::default();
    let ended = each_row(file, limit, |row, problem| {
        if let Some(problem) = problem {
            report.add(Finding::of_problem(row, problem));
        } else if let Some(Identity { key, values }) =
            rules.judge(row, &mut prefixes, mentioned.as_deref_mut(), &mut |finding| report.add(finding))
        {
            let place = Place { row: row.number, line: Some(row.line) };
            duplicates.note(key, values, place.pack()).map_err(|error| scratch.failed(&error))?;
        }
        Ok::<_, Failure>(!report.is_broken())
    })?;
    if let Some(error) = &ended.error {
        report.add(Finding::of_error(error, ended.rows + 1));
    }
    for duplicate in duplicates.finish().map_err(|error| scratch.failed(&error))? {
        report.add(rules.duplicate(duplicate.map_err(|error| scratch.failed(&error))?));
    }
    Ok((ended.rows, ended.complete))
}

/// Notes the users and groups that a good row names.
fn mention(mentioned: &mut Mentioned, columns: &IssueColumns, row: &Row, issue: &IssueRow<'_>) {
    let named = [
        (Some(issue.creator), Some(columns.creator)),
        (Some(issue.assigned_group), Some(columns.assigned_group)),
        (issue.creator_group, columns.creator_group),
    ];
    for (object, column) in named {
        if let (Some(object), Some(column)) = (object, column) {
            mentioned.note(
                object.key(),
                row.number,
                row.line,
                column.name,
                &id_text(column.text(row), &[object.object]),
            );
        }
    }
}

/// The rules of a kind, with the columns that they look at.
enum Rules {
    Issues(IssueColumns),
    Contacts(ContactColumns),
}

impl Rules {
    fn used(&self) -> Vec<usize> {
        match self {
            Self::Issues(columns) => columns.used(),
            Self::Contacts(columns) => columns.used(),
        }
    }

    fn find(kind: Kind, header: &Header) -> Result<Self, ColumnError> {
        match kind {
            Kind::Groups => IssueColumns::find(header).map(Self::Issues),
            Kind::Contacts | Kind::Update => ContactColumns::find(header).map(Self::Contacts),
        }
    }

    fn judge(
        &self,
        row: &Row,
        prefixes: &mut Prefixes,
        mentioned: Option<&mut Mentioned>,
        found: &mut impl FnMut(Finding),
    ) -> Option<Identity> {
        match self {
            Self::Issues(columns) => {
                let judged = columns.judge_next(row, prefixes, found);
                if let (Some(mentioned), Some(issue)) = (mentioned, &judged.item) {
                    mention(mentioned, columns, row, issue);
                }
                judged.identity
            }
            Self::Contacts(columns) => columns.judge_next(row, prefixes, found).identity,
        }
    }

    fn duplicate(&self, duplicate: Duplicate) -> Finding {
        // An issue's key is its number; a contact's is a hash, which tells nobody anything.
        let (noun, column, value) = match self {
            Self::Issues(columns) => ("issue", columns.issue.name, format!("ISS-{}", duplicate.key)),
            Self::Contacts(columns) => ("contact", columns.id.name, String::new()),
        };
        let (rule, other, relation) = match duplicate.verdict {
            Verdict::SameAs(first) => (Rule::DuplicateSame, first, "the same values as"),
            Verdict::ConflictsWith(other) => (Rule::DuplicateConflict, other, "other values than"),
        };
        let (Place { row, line }, other) = (Place::unpack(duplicate.row), Place::unpack(other));
        let at = other.line.map_or(String::new(), |line| format!(" (line {line})"));
        let advice = if rule == Rule::DuplicateSame { "counted once" } else { "keep one of them" };
        let message = format!("the same {noun} with {relation} row {}{at}: {advice}", other.row);
        Finding { row, line, column: Some(column.into()), rule, value, message }
    }
}

/// Where temporary files go.
struct Scratch(PathBuf);

impl Scratch {
    fn failed(&self, error: &io::Error) -> Failure {
        let folder: &Path = &self.0;
        let message = format!(
            "cannot use temporary files in {}: {error}; set TMPDIR to a folder with room and try again",
            folder.display()
        );
        Failure::new(Exit::Unexpected, message)
    }
}

fn not_opened(error: &SourceError) -> Failure {
    if error.is_access() { source_failure(error) } else { invalid(error, "; correct it and validate again") }
}

fn invalid(error: &dyn std::error::Error, next: &str) -> Failure {
    Failure::new(Exit::InvalidInput, format!("{error}{next}"))
}

#[cfg(test)]
#[path = "validate_tests.rs"]
mod tests;
