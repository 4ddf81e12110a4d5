//! What a dry run tells the operator: the first objects, each with what its fields would get, and what all of them would
//! take.

use super::change::ObjectChange;
use super::decide::shown_change;
use super::fields::Fields;
use super::tags::{self, TagNames};
use super::told::{cell, short};
use crate::devrev::objects::{Kind, Object};
use crate::journal::atomic;
use crate::journal::ordered::{Word, Words};
use crate::journal::run_dir::RunDir;
use crate::net::rate::Rate;
use crate::report::formula::guarded;
use crate::report::html::entry::{Entry, Said};
use crate::report::terminal::one_line;
use crate::report::units::{counted, number};
use crate::run::job::PlanSummary;
use crate::run::plan_cost::Cost;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::sync::Arc;

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
    /// Fields that are left alone.
    left: u64,
    /// The tenant's own fields, where they are known.
    known: Option<Arc<Fields>>,
    /// How many objects get another value of each field.
    fields: BTreeMap<String, u64>,
    /// The tags that would be created.
    new_tags: TagNames,
}

impl ObjectPlan {
    /// For a run under this limit, decided with so many calls.
    pub(crate) fn new(object: &'static Object, rate: Option<Rate>, reads: u64) -> Self {
        Self {
            object,
            reads,
            rate,
            lines: String::new(),
            shown: 0,
            changes: 0,
            created: 0,
            deleted: 0,
            left: 0,
            known: None,
            fields: BTreeMap::new(),
            new_tags: TagNames::new(),
        }
    }

    /// With what is known of the tenant's own fields.
    pub(crate) fn knowing(self, known: Option<Arc<Fields>>) -> Self {
        Self { known, ..self }
    }

    fn cost(&self) -> Cost {
        // A deletion is a read before, the call, and a read after. A tag is looked for before it is created.
        let new_tags = 2 * self.new_tags.len() as u64;
        Cost { calls: self.changes + 2 * self.deleted + new_tags + self.reads, rate: self.rate }
    }
}

/// What a field holds.
fn kind<'a>(object: &'static Object, known: Option<&'a Fields>, name: &str) -> &'a Kind {
    let field = known.and_then(|known| known.named(name)).or_else(|| object.field(name));
    field.map_or(&Kind::Other, |field| &field.kind)
}

impl PlanSummary for ObjectPlan {
    fn take(&mut self, key: &str, change: &RawValue) {
        let Ok(change) = serde_json::from_str::<ObjectChange>(change.get()) else { return };
        self.changes += 1;
        self.created += u64::from(change.create.is_some());
        if change.delete {
            self.deleted += 1;
            if self.shown < SHOWN {
                let id = cell(&Kind::Other, &change.id.as_str().into(), &change.id);
                let _ = writeln!(self.lines, "  {key:<12}  {id}: deleted");
                self.shown += 1;
            }
            return;
        }
        for name in change.new_tags() {
            self.new_tags.entry(tags::folded(&name)).or_insert(name);
        }
        let mut key = key;
        let mut say = |shown: &mut u64, lines: &mut String, text: String| {
            if *shown < SHOWN {
                let _ = writeln!(lines, "  {key:<12}  {text}");
                *shown += 1;
                key = "";
            }
        };
        for (name, field) in &change.fields {
            *self.fields.entry(name.clone()).or_default() += 1;
            let (before, after) = shown_change(
                kind(self.object, self.known.as_deref(), name),
                &short(&field.before, &change.id),
                &short(&field.after, &change.id),
            );
            let (before, after) = (one_line(&before), one_line(&after));
            say(&mut self.shown, &mut self.lines, format!("{name}: {before} -> {after}"));
        }
        for why in &change.left {
            say(&mut self.shown, &mut self.lines, format!("left alone: {}", one_line(why)));
        }
        self.left += change.left.len() as u64;
    }

    fn text(&self) -> String {
        if self.changes == 0 {
            return format!("No {} would be changed.\n", self.object.name);
        }
        let mut text = self.lines.clone();
        let all: u64 = self.fields.values().sum::<u64>() + self.deleted + self.left;
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
        if !self.new_tags.is_empty() {
            let (count, names) = (number(self.new_tags.len() as u64), tags::listed(&self.new_tags));
            let _ = writeln!(text, "Tags that would be created: {count} ({names})");
        }
        if self.left > 0 {
            let _ = writeln!(text, "Left alone: {}, changed by someone else", counted(self.left, "field"));
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
            "new_tags": self.new_tags.values().collect::<Vec<_>>(),
            "fields_left_alone": self.left,
            "calls": cost.calls,
            "seconds_under_the_limit": cost.time().map(|time| time.as_secs_f64()),
        })
    }
}

/// Writes `plan.csv`: a line for each field that would get another value, before and after, and for each that is left
/// alone, why.
pub(crate) fn write_table(
    run: &RunDir,
    object: &'static Object,
    known: Option<&Fields>,
) -> Result<(), String> {
    let path = run.plan_table();
    let write = |file: &mut dyn io::Write| -> io::Result<()> {
        let mut table = csv::Writer::from_writer(file);
        table.write_record(["_row", "id", "field", "before", "after", "note"])?;
        for word in Words::read(run).map_err(|error| io::Error::other(error.to_string()))? {
            let (row, word) = word.map_err(|error| io::Error::other(error.to_string()))?;
            let Word::Planned { key, change: Some(change) } = word else { continue };
            let Ok(change) = serde_json::from_str::<ObjectChange>(change.get()) else { continue };
            for (name, field) in &change.fields {
                let of_field = |value| cell(kind(object, known, name), value, &change.id);
                let (before, after) = (of_field(&field.before), of_field(&field.after));
                let cells = [&row.to_string(), &*key, name, &before, &after, ""];
                table.write_record(cells.map(|cell| guarded(cell.as_bytes()).into_owned()))?;
            }
            for why in &change.left {
                let (name, why) = (why.split(' ').next().unwrap_or_default(), format!("left alone: {why}"));
                let cells = [&row.to_string(), &*key, name, "", "", &why];
                table.write_record(cells.map(|cell| guarded(cell.as_bytes()).into_owned()))?;
            }
        }
        table.flush()
    };
    atomic::replace(&path, write).map_err(|error| format!("cannot write {}: {error}", path.display()))
}

/// A change for the report page.
pub(crate) fn tell(said: Said<'_>) -> Option<Entry> {
    let (Said::Planned(change) | Said::Meant(change)) = said else { return None };
    let change: ObjectChange = serde_json::from_str(change.get()).ok()?;
    let mut entry = Entry::default();
    for (name, field) in &change.fields {
        let shown = |value: &Value| match short(value, &change.id) {
            Value::Null => None,
            Value::String(text) => Some(text),
            other => Some(other.to_string()),
        };
        entry = entry.change(name, shown(&field.before).as_deref(), shown(&field.after).as_deref());
    }
    Some(entry)
}
