//! The scan of an input: how many rows it has, which are about the same object, and which are wrong.

use super::columns::Mode;
use super::fields::Fields;
use super::lookup::Extent;
use super::options::UpdateOptions;
use crate::devrev::ids::Ref;
use crate::devrev::objects::Object;
use crate::exit::{Exit, Failure};
use crate::finding::{Finding, Rule};
use crate::jobs::duplicates::{Duplicate, Duplicates, InRowOrder, Verdict};
use crate::row::Place;
use crate::run::job::Scan;
use crate::run::scan::{disk, each_read, each_record, fingerprinted};
use crate::source::Input;
use crate::source::csv::CsvFile;

/// Findings that are shown; more are counted.
const SHOWN: usize = 10;

/// What was found in an input.
#[derive(Debug)]
pub(crate) struct Rows {
    /// The rows that are about the same object as another one.
    pub duplicates: InRowOrder,
    /// What the lookup of the objects needs to know.
    pub extent: Extent,
    /// The fields that are spoken of, in the order of the columns, each with the rows that say something of it.
    pub fields: Vec<(String, u64)>,
    /// Rows that are wrong.
    pub wrong: Wrong,
    /// The organisation of the base's objects, if there is a base that says.
    pub organisation: Option<String>,
}

/// Rows that are wrong.
#[derive(Debug, Default)]
pub(crate) struct Wrong {
    rows: u64,
    shown: Vec<Finding>,
}

impl Wrong {
    /// Notes a row.
    fn note(&mut self, findings: Vec<Finding>) {
        self.rows += u64::from(!findings.is_empty());
        let room = SHOWN.saturating_sub(self.shown.len());
        self.shown.extend(findings.into_iter().take(room));
    }

    /// Fails if there are any.
    pub(crate) fn refuse(&self) -> Result<(), Failure> {
        if self.rows == 0 {
            return Ok(());
        }
        let lines: Vec<String> = self.shown.iter().map(line).collect();
        let more = if self.rows > self.shown.len() as u64 { "\n  ..." } else { "" };
        let text = format!(
            "{} wrong, and nothing was sent:\n{}{more}\ncorrect them, or give --skip-invalid to leave them out",
            if self.rows == 1 { "1 row is".to_owned() } else { format!("{} rows are", self.rows) },
            lines.join("\n"),
        );
        Err(Failure::new(Exit::InvalidInput, text))
    }
}

fn line(finding: &Finding) -> String {
    let line = finding.line.map(|line| format!(", line {line}")).unwrap_or_default();
    let cell = finding.column.as_deref().map(|column| format!(", {column} `{}`", finding.value));
    format!("  row {}{line}{}: {}", finding.row, cell.unwrap_or_default(), finding.message)
}

/// Scans an input. Blocks.
pub(crate) fn scan(options: &UpdateOptions, input: &Input) -> Result<Scan<Rows>, Failure> {
    let object = options.object();
    let stock = Fields::stock(object);
    let (fingerprint, stamp, (rows, notes, found)) =
        fingerprinted(input, |file| look(options, object, &stock, file))?;
    Ok(Scan { fingerprint, stamp, rows, notes, found })
}

fn look(
    options: &UpdateOptions,
    object: &'static Object,
    fields: &Fields,
    mut file: CsvFile,
) -> Result<(u64, Vec<String>, Rows), Failure> {
    let scratch = std::env::temp_dir();
    let mut duplicates = Duplicates::new(&scratch);
    let mut reader = match options.reader(file.header()) {
        Ok(reader) => reader,
        Err(failure) => {
            let notes = file.notes();
            if file.rows().next().is_some() {
                return Err(failure);
            }
            // Without rows there is nothing to do, whatever the columns are.
            let found = Rows {
                duplicates: InRowOrder::new(duplicates.finish().map_err(disk(&scratch))?),
                extent: Extent::default(),
                fields: Vec::new(),
                wrong: Wrong::default(),
                organisation: None,
            };
            return Ok((0, notes, found));
        }
    };
    let mut said: Vec<(String, u64)> = Vec::new();
    for column in &reader.columns.columns {
        if !said.iter().any(|(name, _)| *name == column.field) {
            said.push((column.field.clone(), 0));
        }
    }
    file.use_only(reader.columns.used());
    let (mut extent, mut wrong) = (Extent::default(), Wrong::default());
    let is_taken = |row: u64| options.limit.is_none_or(|limit| row <= limit);
    let notes = each_read(file, |row, problem| {
        extent.rows += 1;
        if let Some(problem) = problem {
            if is_taken(row.number) {
                wrong.note(vec![Finding::of_problem(row, problem)]);
            }
            return Ok(());
        }
        let read = reader.read(row, Some(fields))?;
        let number = Ref::parse(&read.shown, object.types).ok().and_then(Ref::number);
        extent.greatest = extent.greatest.max(number.unwrap_or(0));
        let is_named = !read.shown.is_empty();
        if is_taken(row.number) {
            wrong.note(read.findings);
        }
        for cell in read.item.iter().flat_map(|item| &item.cells) {
            let column = reader.columns.columns.get(cell.column);
            let is_said = !cell.text.is_empty() || cell.base.is_some();
            if let Some(column) = column.filter(|column| is_said && column.mode != Mode::Was)
                && let Some((_, rows)) = said.iter_mut().find(|(name, _)| *name == column.field)
            {
                *rows += 1;
            }
        }
        if is_named {
            let place = Place { row: row.number, line: Some(row.line) };
            duplicates.note(read.key, read.values, place.pack()).map_err(disk(&scratch))?;
        }
        Ok(())
    })?;
    let conflicting = |duplicate: Duplicate| {
        let (Place { row, line }, Verdict::ConflictsWith(other)) =
            (Place::unpack(duplicate.row), duplicate.verdict)
        else {
            return;
        };
        if is_taken(row) {
            let (rule, message) = (Rule::DuplicateConflict, conflicts_with(other));
            wrong.note(vec![Finding { row, line, column: None, rule, value: String::new(), message }]);
        }
    };
    let verdicts = duplicates.finish().and_then(|verdicts| verdicts.shown_to(&scratch, conflicting));
    let verdicts = verdicts.map_err(disk(&scratch))?;
    let organisation = reader.organisation().map(str::to_owned);
    let rows = extent.rows;
    let duplicates = InRowOrder::new(verdicts);
    Ok((rows, notes, Rows { duplicates, extent, fields: said, wrong, organisation }))
}

/// Holds every row against the tenant's schema. Blocks.
pub(crate) fn check(options: &UpdateOptions, fields: &Fields, input: &Input) -> Result<Wrong, Failure> {
    let mut file = input.open().map_err(|error| crate::run::scan::source_failure(&error))?;
    let mut reader = options.reader(file.header())?.knowing_stages(fields.stages.clone());
    file.use_only(reader.columns.used());
    let mut wrong = Wrong::default();
    each_record(file, |row, whole| {
        if whole && options.limit.is_none_or(|limit| row.number <= limit) {
            wrong.note(reader.read(row, Some(fields))?.findings);
        }
        Ok(())
    })?;
    Ok(wrong)
}

/// The outcome of a row that is about the same object as another one.
pub(crate) fn duplicated(verdict: Verdict) -> crate::journal::record::Outcome {
    use crate::journal::record::{Outcome, State};
    match verdict {
        Verdict::SameAs(first) => {
            let text = format!("the same object and values as row {}", Place::unpack(first).row);
            Outcome::of(State::Skipped, Rule::DuplicateSame.name(), text)
        }
        Verdict::ConflictsWith(other) => {
            Outcome::of(State::Failed, Rule::DuplicateConflict.name(), conflicts_with(other))
        }
    }
}

fn conflicts_with(other: u64) -> String {
    format!("row {} names the same object with other values", Place::unpack(other).row)
}
