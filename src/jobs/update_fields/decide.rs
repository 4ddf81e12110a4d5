//! From a row and its object's present state to a change, or to the reason for none.

use super::change::{AS_WANTED, FieldChange, ObjectChange};
use super::columns::{Column, Columns, Mode};
use super::created;
use super::fields::Fields;
use super::lookup::{Found, Present};
use super::names::Names;
use super::spreadsheet::damage;
use super::{Cell, Item, value};
use crate::cli::choices::{OnEmpty, OnMissing};
use crate::devrev::objects::{Clear, Field, Kind, Object, Target};
use crate::engine::job::Verdict;
use crate::jobs::read_at::ReadAt;
use crate::journal::record::{Outcome, State};
use serde_json::Value;
use std::collections::BTreeMap;

/// The longest value that a sentence shows, in characters.
const LONGEST: usize = 60;

/// All that a decision rests on besides the row and the object.
#[derive(Debug, Clone)]
pub(crate) struct Rules {
    /// The type of object.
    pub object: &'static Object,
    /// The columns of the input.
    pub columns: Columns,
    /// The fields of the object.
    pub fields: Fields,
    /// `--empty`.
    pub on_empty: OnEmpty,
    /// `--on-missing`.
    pub on_missing: OnMissing,
    /// Whether what is there already is left alone: `create`.
    pub creates: bool,
    /// `--where FIELD=VALUE`: what an object has to hold.
    pub condition: Vec<(String, String)>,
    /// The fields whose state is read, in the order in which it is.
    pub read: Vec<Field>,
}

/// A change that an earlier process may have made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct InDoubt<'a> {
    /// What was meant.
    pub change: &'a ObjectChange,
    /// Whether a creation may have been sent.
    pub is_sent: bool,
}

/// What a cell asks for.
#[derive(Debug, Clone)]
pub(crate) struct Wish<'a> {
    field: &'a Field,
    mode: Mode,
    value: Value,
    /// What the base says.
    base: Option<Value>,
}

impl Rules {
    /// The column and the field that a cell is about.
    pub(crate) fn column(&self, cell: &Cell) -> Option<(&Column, &Field)> {
        let column = self.columns.columns.get(cell.column)?;
        Some((column, self.fields.named(&column.field)?))
    }

    /// The names in `--where`.
    pub(crate) fn names_of_condition(&self) -> Vec<(Target, String)> {
        let fields =
            self.condition.iter().filter_map(|(field, text)| Some((self.fields.named(field)?, text)));
        fields.flat_map(|(field, text)| value::names(&field.kind, text)).collect()
    }

    /// What a row asks for; the errors say what is wrong with which column.
    pub(crate) fn wishes(&self, item: &Item, names: &Names) -> Result<Vec<Wish<'_>>, Vec<String>> {
        let (mut wishes, mut problems) = (Vec::new(), Vec::new());
        for cell in &item.cells {
            let Some((column, field)) = self.column(cell) else { continue };
            match wish(column, field, cell, self.on_empty, Some(names)) {
                Ok(Some(wish)) => wishes.push(wish),
                Ok(None) => {}
                Err(why) => problems.push(format!("{} `{}`: {why}", column.name, shown_text(&cell.text))),
            }
        }
        problems.extend(contradictions(&wishes).into_iter().map(|(field, why)| format!("{field}: {why}")));
        if problems.is_empty() { Ok(wishes) } else { Err(problems) }
    }

    /// Decides about one row. `in_doubt` is a change that an earlier process may have made.
    pub(crate) fn decide(
        &self,
        item: &Item,
        wishes: &[Wish<'_>],
        state: Option<Found>,
        in_doubt: Option<InDoubt<'_>>,
        names: &Names,
    ) -> Verdict<ObjectChange> {
        let settled = |state, reason, detail: String| Verdict::Settled(Outcome::of(state, reason, detail));
        let present = match state {
            Some(Found::Missing(_)) if self.on_missing == OnMissing::Create => {
                return self.creation(item, wishes, in_doubt);
            }
            Some(Found::Several(ids)) => {
                let text = format!(
                    "`{}` is held by {} {}: {}",
                    item.name,
                    ids.len(),
                    self.object.plural,
                    ids.join(", ")
                );
                return settled(State::Failed, "ambiguous", text);
            }
            state => match Found::present(state, in_doubt.is_some()) {
                Ok(present) => present,
                Err(outcome) => return Verdict::Settled(outcome),
            },
        };
        if self.is_other(item, &present) {
            // Above all a DON of another organisation, whose objects have the same numbers.
            let text = format!("the row says {}, DevRev knows it as {}", item.name, present.id);
            return settled(State::Failed, "object-differs", text);
        }
        // Asked first: what was sent may have changed what `--where` looks at.
        if let Some(in_doubt) = in_doubt
            && self.is_made(in_doubt.change, &present)
        {
            let confirmed = confirmed();
            if in_doubt.change.create.is_none() {
                return Verdict::Settled(confirmed);
            }
            let report = created::report(&present.id, in_doubt.change, self.read.iter().zip(present.values));
            return Verdict::Settled(confirmed.reported(report));
        }
        if self.creates {
            return Verdict::Settled(self.exists(item, wishes, &present, in_doubt));
        }
        let condition = match self.condition(&present, names) {
            Ok(Ok(condition)) => condition,
            Ok(Err(why)) => return settled(State::Skipped, "not-selected", why),
            // It was good when the run began: a name stands for something else by now.
            Err(why) => return settled(State::Failed, "value", why),
        };
        let (mut fields, mut left): (BTreeMap<String, FieldChange>, _) = (BTreeMap::new(), Vec::new());
        for wish in wishes {
            let now = self.now(&present, wish.field);
            take(wish, now, wishes, &mut fields, &mut left);
        }
        if !fields.is_empty() {
            let Present { id, subtype, read_at, .. } = present;
            let change = ObjectChange::of(id, fields, read_at);
            return Verdict::Change(ObjectChange { subtype, condition, left, ..change });
        }
        if !left.is_empty() {
            return settled(State::Skipped, "changed-since", left.join("; "));
        }
        if in_doubt.is_some() {
            return Verdict::Settled(confirmed());
        }
        settled(State::Already, AS_WANTED, "every field is as the row has it".to_owned())
    }

    fn now<'p>(&self, present: &'p Present, field: &Field) -> &'p Value {
        let at = self.read.iter().position(|read| read.name == field.name);
        at.and_then(|at| present.values.get(at)).unwrap_or(&Value::Null)
    }

    /// The outcome of a row that is to create an object, where one has its key.
    fn exists(
        &self,
        item: &Item,
        wishes: &[Wish<'_>],
        present: &Present,
        in_doubt: Option<InDoubt<'_>>,
    ) -> Outcome {
        let otherwise = wishes.iter().filter(|wish| !wish.value.is_null()).find(|wish| {
            let now = self.now(present, wish.field);
            match wish.mode {
                Mode::Add => !holds(&wish.field.kind, now, &wish.value),
                _ => !value::same(&wish.field.kind, now, &wish.value),
            }
        });
        let (id, key) = (&present.shown, &item.name);
        let Some(wish) = otherwise else {
            let text = format!("{id} has `{key}`, and every field is as the row has it");
            return Outcome::of(State::Already, AS_WANTED, text);
        };
        let (name, kind) = (&wish.field.name, &wish.field.kind);
        let (now, wanted) = (shown(kind, self.now(present, wish.field)), shown(kind, &wish.value));
        let text = format!("{id} has `{key}`, and its {name} is {now}, not {wanted}: `update` changes it");
        if in_doubt.is_some_and(|in_doubt| in_doubt.is_sent) {
            return Outcome::of(State::Failed, "not-taken", format!("its creation was sent; {text}"));
        }
        Outcome::of(State::Skipped, "exists", text)
    }

    /// The creation of a row's object.
    fn creation(
        &self,
        item: &Item,
        wishes: &[Wish<'_>],
        in_doubt: Option<InDoubt<'_>>,
    ) -> Verdict<ObjectChange> {
        let settled = |state, reason, detail: String| Verdict::Settled(Outcome::of(state, reason, detail));
        let super::columns::Names::Key(_, key) = self.columns.names else {
            return settled(State::Failed, "defect", "a defect: the row has no key".to_owned());
        };
        let creation = &self.object.creation;
        if in_doubt.is_some_and(|in_doubt| in_doubt.is_sent) && !creation.refuses_second {
            let text = format!(
                "its creation was sent, and no {} has `{}` yet, which proves nothing",
                self.object.name, item.name
            );
            return settled(State::Unknown, "create-in-doubt", text);
        }
        if !self.condition.is_empty() {
            return settled(State::Skipped, "not-selected", "it does not exist yet".to_owned());
        }
        let value = |after| FieldChange { before: Value::Null, after, add: Value::Null, remove: Value::Null };
        let mut fields: BTreeMap<String, FieldChange> = wishes
            .iter()
            .filter(|wish| matches!(wish.mode, Mode::Set | Mode::Add) && !wish.value.is_null())
            .map(|wish| (wish.field.name.to_string(), value(wish.value.clone())))
            .collect();
        if let Some(name) = fields.keys().find(|name| !self.object.takes_when_created(name)) {
            let text = format!(
                "line {}: it does not exist, and `{name}` can only be set once it does: create it without, then update it",
                item.line
            );
            return settled(State::Failed, "value", text);
        }
        if let Some(missing) = creation.needed.iter().find(|name| !fields.contains_key(**name)) {
            let text =
                format!("line {}: it does not exist, and to create it `{missing}` is needed", item.line);
            return settled(State::Failed, "value", text);
        }
        let own: Value = item.name.to_string().into();
        let is_list = self.object.field(key.field).is_some_and(|field| matches!(field.kind, Kind::List(..)));
        let given = fields
            .entry(key.field.to_owned())
            .or_insert_with(|| value(if is_list { Value::Array(vec![own.clone()]) } else { own.clone() }));
        let has_key = given.after == own || given.after.as_array().is_some_and(|list| list.contains(&own));
        if !has_key {
            let text =
                format!("line {}: {} lacks `{}`, which the row is found by", item.line, key.field, item.name);
            return settled(State::Failed, "value", text);
        }
        let change = ObjectChange::of(String::new(), fields, ReadAt::now());
        Verdict::Change(ObjectChange { create: Some(item.name.to_string()), ..change })
    }

    /// Whether an object is as a change of it was to make it.
    fn is_made(&self, change: &ObjectChange, present: &Present) -> bool {
        change.fields.iter().all(|(name, made)| {
            let field = self.read.iter().find(|field| field.name == *name);
            field.is_some_and(|field| made.is_made(&field.kind, self.now(present, field)))
        })
    }

    /// Whether DevRev's object is another one than the row's: the same text where the row has a DON, else the same number.
    fn is_other(&self, item: &Item, present: &Present) -> bool {
        matches!(self.columns.names, super::columns::Names::Id(_))
            && !present.is_named(&item.name, self.object.types)
    }

    /// The fields that `--where` names, as they are, or which is not as it has to be. Fails where `--where` is wrong.
    #[allow(clippy::type_complexity, reason = "a word on what was asked, within one on whether it could be")]
    fn condition(
        &self,
        present: &Present,
        names: &Names,
    ) -> Result<Result<BTreeMap<String, Value>, String>, String> {
        let mut held = BTreeMap::new();
        for (name, text) in &self.condition {
            let (field, wanted) = condition(&self.fields, name, text, names)?;
            let now = self.now(present, field);
            if !holds(&field.kind, now, &wanted) {
                return Ok(Err(format!(
                    "{name} is {}, not {}",
                    shown(&field.kind, now),
                    shown(&field.kind, &wanted)
                )));
            }
            held.insert(name.clone(), now.clone());
        }
        Ok(Ok(held))
    }
}

/// What a `--where` asks of which field.
pub(crate) fn condition<'a>(
    fields: &'a Fields,
    name: &str,
    text: &str,
    names: &Names,
) -> Result<(&'a Field, Value), String> {
    let field = fields.named(name).ok_or_else(|| format!("--where {name}: there is no such field"))?;
    if field.kind == Kind::Other {
        return Err(format!("--where {name}: objects cannot be selected by this field"));
    }
    let wanted = if text.is_empty() { Ok(Value::Null) } else { value::parse(&field.kind, text, Some(names)) };
    Ok((field, wanted.map_err(|why| format!("--where {name}={text}: {why}"))?))
}

/// The lists of which a row both adds and removes the same element, each with what is wrong.
pub(crate) fn contradictions<'a>(wishes: &[Wish<'a>]) -> Vec<(&'a str, String)> {
    let of = |mode: Mode| wishes.iter().filter(move |wish| wish.mode == mode);
    let both = of(Mode::Add).filter_map(|added| {
        let kind = &added.field.kind;
        let removed = of(Mode::Remove).find(|removed| removed.field.name == added.field.name)?;
        let twice = value::filtered(&added.value, |one| {
            value::elements(&removed.value).any(|other| value::named_alike(kind, one, other))
        });
        let text = || format!("{} is both added and removed", shown(kind, &twice));
        (!twice.is_null()).then(|| (&*added.field.name, text()))
    });
    both.collect()
}

/// Adds what a wish changes, or why it is left alone.
fn take(
    wish: &Wish<'_>,
    now: &Value,
    wishes: &[Wish<'_>],
    fields: &mut BTreeMap<String, FieldChange>,
    left: &mut Vec<String>,
) {
    let (kind, name) = (&wish.field.kind, wish.field.name.to_string());
    let was = wishes.iter().find(|other| other.field.name == wish.field.name && other.mode == Mode::Was);
    let before = was.map(|was| &was.value).or(wish.base.as_ref());
    let after = match wish.mode {
        Mode::Was => return,
        Mode::Set => wish.value.clone(),
        Mode::Add => {
            let so_far = fields.get(&name).map_or(now, |change| &change.after);
            value::with(kind, so_far, &wish.value)
        }
        Mode::Remove => {
            let so_far = fields.get(&name).map_or(now, |change| &change.after);
            value::without(kind, so_far, &wish.value)
        }
    };
    if value::same(kind, now, &after) && !fields.contains_key(&name) {
        return;
    }
    if let Some(before) = before
        && !value::same(kind, now, before)
    {
        left.push(format!(
            "{name} is {} now, neither {} as before nor {}",
            shown(kind, now),
            shown(kind, before),
            shown(kind, &after)
        ));
        return;
    }
    let change = fields.entry(name).or_insert_with(|| FieldChange {
        before: now.clone(),
        after: Value::Null,
        add: Value::Null,
        remove: Value::Null,
    });
    change.after = after;
    match wish.mode {
        Mode::Add => change.add = wish.value.clone(),
        Mode::Remove => change.remove = wish.value.clone(),
        Mode::Set | Mode::Was => {}
    }
}

/// The outcome of a row whose change an earlier process sent, and which DevRev shows.
pub(crate) fn confirmed() -> Outcome {
    Outcome {
        reason: Some("confirmed-by-reading".into()),
        detail: Some("sent by an earlier process; DevRev shows it".to_owned()),
        ..Outcome::done(1)
    }
}

/// Whether a field holds a value; of a list, whether that is among its elements.
pub(crate) fn holds(kind: &Kind, now: &Value, wanted: &Value) -> bool {
    value::same(kind, now, wanted)
        || (matches!(kind, Kind::List(..) | Kind::Tags(_))
            && !wanted.is_null()
            && value::same(kind, &value::with(kind, now, wanted), now))
}

/// What a cell asks for; nothing where it leaves the field alone. The error says what is wrong with it.
pub(crate) fn wish<'a>(
    column: &Column,
    field: &'a Field,
    cell: &Cell,
    on_empty: OnEmpty,
    names: Option<&Names>,
) -> Result<Option<Wish<'a>>, String> {
    let text = &*cell.text;
    let base = match &cell.base {
        // The base is this tool's own; a value of it that is not understood any more equals nothing.
        Some(base) if base.trim().is_empty() => Some(Value::Null),
        Some(base) => value::parse(&field.kind, base, names).ok(),
        None => None,
    };
    let wish = |value| Ok(Some(Wish { field, mode: column.mode, value, base: base.clone() }));
    let is_empty = text.trim().is_empty();
    let clears = text.trim() == value::CLEAR || (is_empty && on_empty == OnEmpty::Clear);
    match column.mode {
        Mode::Was if is_empty => wish(Value::Null),
        Mode::Set if clears && field.clear == Clear::Never => {
            Err("cannot be emptied: the API has no way to do it".to_owned())
        }
        Mode::Set if clears => wish(Value::Null),
        Mode::Set if is_empty && cell.base.as_ref().is_some_and(|base| !base.trim().is_empty()) => {
            Err(format!("was emptied: write {} to empty the field, or give --empty clear", value::CLEAR))
        }
        Mode::Set | Mode::Add | Mode::Remove if is_empty => Ok(None),
        _ => {
            if let Some(what) = cell.base.as_ref().and_then(|base| damage(&field.kind, base, text)) {
                return Err(format!(
                    "{what}; restore the column from the base, or import it as text (where it is meant: leave out --base)"
                ));
            }
            let value = match column.mode {
                Mode::Set | Mode::Add => value::wanted(&field.kind, text, names)?,
                Mode::Remove | Mode::Was => value::parse(&field.kind, text, names)?,
            };
            if value.is_null() && column.mode == Mode::Set {
                return Err(format!("has no elements; {} empties the field", value::CLEAR));
            }
            wish(value)
        }
    }
}

/// A value in a sentence.
pub(crate) fn shown(kind: &Kind, value: &Value) -> String {
    if value.is_null() { "empty".to_owned() } else { format!("`{}`", shown_text(&value::cell(kind, value))) }
}

/// What a field has and what it gets, in a sentence; of long values the part in which they differ.
pub(crate) fn shown_change(kind: &Kind, before: &Value, after: &Value) -> (String, String) {
    let texts = [before, after].map(|value| value::cell(kind, value));
    let alike = texts[0].chars().zip(texts[1].chars()).take_while(|(one, other)| one == other).count();
    let is_long = texts.iter().any(|text| text.chars().nth(LONGEST).is_some());
    let from = if is_long && alike > LONGEST / 2 { alike - LONGEST / 4 } else { 0 };
    let cut = |value: &Value, text: &str| {
        if value.is_null() {
            return "empty".to_owned();
        }
        let part: String = text.chars().skip(from).take(LONGEST).collect();
        let before = if from > 0 { "..." } else { "" };
        let after = if text.chars().nth(from + LONGEST).is_some() { "..." } else { "" };
        format!("`{before}{}{after}`", crate::finding::shown(&part))
    };
    (cut(before, &texts[0]), cut(after, &texts[1]))
}

fn shown_text(text: &str) -> String {
    crate::finding::shown(&text.chars().take(LONGEST).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_at_the_end_of_a_long_value_is_seen() {
        let kind = Kind::Other;
        let long = "x".repeat(70);
        let (before, after) =
            shown_change(&kind, &format!("{long} old").into(), &format!("{long} new").into());
        assert_eq!(
            (before, after),
            ("`...xxxxxxxxxxxxxx old`".to_owned(), "`...xxxxxxxxxxxxxx new`".to_owned())
        );
        let (before, after) = shown_change(&kind, &Value::Null, &long.as_str().into());
        assert_eq!((before, after), ("empty".to_owned(), format!("`{}...`", "x".repeat(LONGEST))));
        let (before, after) = shown_change(&kind, &"old".into(), &"older".into());
        assert_eq!((&*before, &*after), ("`old`", "`older`"));
    }
}
