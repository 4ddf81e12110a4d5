//! What a dry run tells the operator: the first objects, each with what its fields would get, and what all of them would
//! take.

use super::change::ObjectChange;
use super::decide::shown;
use crate::devrev::ids::Ref;
use crate::devrev::objects::{Kind, Object};
use crate::journal::atomic;
use crate::journal::ordered::{Word, Words};
use crate::journal::run_dir::RunDir;
use crate::net::rate::Rate;
use crate::report::formula::guarded;
use crate::report::html::entry::{Entry, Said};
use crate::report::terminal::one_line;
use crate::report::units::number;
use crate::run::job::PlanSummary;
use crate::run::plan_cost::Cost;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;

/// Fields that are shown; all are in `plan.jsonl`.
const SHOWN: u64 = 20;

/// Sums up what would be changed.
#[derive(Debug)]
pub(crate) struct ObjectPlan {
    object: &'static Object,
    /// Calls that the dry run made to decide: a run makes about as many.
    reads: u64,
    rate: Option<Rate>,
    lines: String,
    shown: u64,
    changes: u64,
    created: u64,
    deleted: u64,
    /// How many objects get another value of each field.
    fields: BTreeMap<String, u64>,
}

impl ObjectPlan {
    /// For a run under this limit, decided with so many calls.
    pub(crate) fn new(object: &'static Object, rate: Option<Rate>, reads: u64) -> Self {
        let (lines, fields) = (String::new(), BTreeMap::new());
        Self { object, reads, rate, lines, shown: 0, changes: 0, created: 0, deleted: 0, fields }
    }

    fn cost(&self) -> Cost {
        // A deletion is a read before, the call, and a read after.
        Cost { calls: self.changes + 2 * self.deleted + self.reads, rate: self.rate }
    }
}

/// A field's value for people: IDs as people know them where the value is an ID.
fn text(object: &Object, name: &str, value: &Value) -> String {
    let kind = object.field(name).map_or(&Kind::Other, |field| &field.kind);
    let text = shown(kind, &short(value));
    one_line(&text)
}

/// DONs as display IDs.
fn short(value: &Value) -> Value {
    match value {
        Value::String(text) if text.starts_with("don:") => {
            Ref::of_any(text).map_or_else(|| value.clone(), |named| named.key().to_string().into())
        }
        Value::Array(list) => list.iter().map(short).collect(),
        Value::Object(members) => members.iter().map(|(name, value)| (name.clone(), short(value))).collect(),
        other => other.clone(),
    }
}

impl PlanSummary for ObjectPlan {
    fn take(&mut self, key: &str, change: &RawValue) {
        let Ok(change) = serde_json::from_str::<ObjectChange>(change.get()) else { return };
        self.changes += 1;
        self.created += u64::from(change.create.is_some());
        if change.delete {
            self.deleted += 1;
            if self.shown < SHOWN {
                let id = cell(&change.id.into());
                let _ = writeln!(self.lines, "  {key:<12}  {id}: deleted");
                self.shown += 1;
            }
            return;
        }
        let mut key = key;
        for (name, field) in &change.fields {
            *self.fields.entry(name.clone()).or_default() += 1;
            if self.shown < SHOWN {
                let (before, after) =
                    (text(self.object, name, &field.before), text(self.object, name, &field.after));
                let _ = writeln!(self.lines, "  {key:<12}  {name}: {before} -> {after}");
                self.shown += 1;
                key = "";
            }
        }
    }

    fn text(&self) -> String {
        if self.changes == 0 {
            return format!("No {} would be changed.\n", self.object.name);
        }
        let mut text = self.lines.clone();
        let all: u64 = self.fields.values().sum::<u64>() + self.deleted;
        if all > self.shown {
            let _ = writeln!(text, "  ... and {} more, in plan.csv", all - self.shown);
        }
        let fields: Vec<String> =
            self.fields.iter().map(|(name, count)| format!("{name} ({count})")).collect();
        text.push('\n');
        if !fields.is_empty() {
            let _ = writeln!(text, "Fields: {}", fields.join(", "));
        }
        for (count, what) in [(self.created, "created"), (self.deleted, "deleted")] {
            if count > 0 {
                let _ = writeln!(text, "Objects that would be {what}: {}", number(count));
            }
        }
        text.push_str(&self.cost().text());
        text
    }

    fn json(&self) -> Value {
        let cost = self.cost();
        json!({
            "changes": self.changes,
            "created": self.created,
            "deleted": self.deleted,
            "fields": self.fields,
            "calls": cost.calls,
            "seconds_under_the_limit": cost.time().map(|time| time.as_secs_f64()),
        })
    }
}

/// Writes `plan.csv`: a line for each field that would get another value, before and after.
pub(crate) fn write_table(run: &RunDir) -> Result<(), String> {
    let path = run.path().join("plan.csv");
    let write = |file: &mut dyn io::Write| -> io::Result<()> {
        let mut table = csv::Writer::from_writer(file);
        table.write_record(["_row", "id", "field", "before", "after"])?;
        for word in Words::read(run).map_err(|error| io::Error::other(error.to_string()))? {
            let (row, word) = word.map_err(|error| io::Error::other(error.to_string()))?;
            let Word::Planned { key, change: Some(change) } = word else { continue };
            let Ok(change) = serde_json::from_str::<ObjectChange>(change.get()) else { continue };
            for (name, field) in &change.fields {
                let (before, after) = (cell(&field.before), cell(&field.after));
                let cells = [&row.to_string(), &*key, name, &before, &after];
                table.write_record(cells.map(|cell| guarded(cell.as_bytes()).into_owned()))?;
            }
        }
        table.flush()
    };
    atomic::replace(&path, write).map_err(|error| format!("cannot write {}: {error}", path.display()))
}

/// A value in a cell for people.
fn cell(value: &Value) -> String {
    match short(value) {
        Value::Null => String::new(),
        Value::String(text) => text,
        Value::Array(list) => list.iter().map(cell).collect::<Vec<_>>().join("; "),
        Value::Object(members) => members.values().map(cell).collect::<Vec<_>>().join("="),
        other => other.to_string(),
    }
}

/// A change for the report page.
pub(crate) fn tell(said: Said<'_>) -> Option<Entry> {
    let (Said::Planned(change) | Said::Meant(change)) = said else { return None };
    let change: ObjectChange = serde_json::from_str(change.get()).ok()?;
    let mut entry = Entry::default();
    for (name, field) in &change.fields {
        let shown = |value: &Value| match short(value) {
            Value::Null => None,
            Value::String(text) => Some(text),
            other => Some(other.to_string()),
        };
        entry = entry.change(name, shown(&field.before).as_deref(), shown(&field.after).as_deref());
    }
    Some(entry)
}
