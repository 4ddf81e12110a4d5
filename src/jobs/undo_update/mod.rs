//! Takes an update back: each field gets the value that it had before, as far as it still has the one that the run gave
//! it. Of a list, only what the run added is removed, and only what it removed is added. An object that the run created is
//! deleted where that is asked for, the API can do it, and the object still is as it was created.
//!
//! The writing half is that of the update itself; [`rows`] makes the input.

pub(crate) mod command;
pub(crate) mod rows;

use super::update_fields::change::{FieldChange, ObjectChange};
use super::update_fields::decide::{confirmed, shown};
use super::update_fields::lookup::{Found, Lookup, Present};
use super::update_fields::value;
use crate::devrev::ids::Ref;
use crate::devrev::objects::{Clear, Field, Kind, Object};
use crate::engine::job::{Asked, Planner, Verdict};
use crate::exit::Failure;
use crate::jobs::failing;
use crate::journal::record::{Outcome, State};
use crate::run::drift::AS_BEFORE;
use serde_json::Value;
use std::collections::BTreeMap;

/// An object that the run changed, and how.
#[derive(Debug, Clone)]
pub(crate) struct Item(ObjectChange);

/// The job's reading and deciding half.
#[derive(Debug)]
pub(crate) struct UndoUpdate {
    object: &'static Object,
    lookup: Lookup,
    /// The fields that the run wrote, in the order in which their state is read; all that there are if it created objects.
    fields: Vec<Field>,
    /// `--delete-created`
    delete_created: bool,
}

impl UndoUpdate {
    /// The job, reading these fields.
    pub(crate) fn new(
        object: &'static Object,
        lookup: Lookup,
        fields: Vec<Field>,
        delete_created: bool,
    ) -> Self {
        Self { object, lookup, fields, delete_created }
    }

    /// Whether nothing becomes of an object that the run created, and why.
    fn stays(&self, made: &ObjectChange) -> Option<Outcome> {
        let key = made.create.as_deref()?;
        let why = if self.object.deletion.is_none() {
            "the API cannot delete it"
        } else if made.id.is_empty() {
            "its ID is not in the journal: delete it in DevRev"
        } else if !self.delete_created {
            "it stays: undo with --delete-created deletes it"
        } else {
            return None;
        };
        let text = format!("the run created the {} with `{key}`: {why}", self.object.name);
        Some(Outcome::of(State::Skipped, "created", text))
    }

    /// Whether only a read of its own tells how the object is: one that is to be deleted.
    fn is_read_alone(&self, made: &ObjectChange) -> bool {
        made.create.is_some() && self.stays(made).is_none()
    }

    fn decide(&self, made: &ObjectChange, state: Option<Found>, in_doubt: bool) -> Verdict<ObjectChange> {
        let settled = |state, reason, detail: String| Verdict::Settled(Outcome::of(state, reason, detail));
        if let Some(stays) = self.stays(made) {
            return Verdict::Settled(stays);
        }
        let present = match state {
            None | Some(Found::Several(_)) => {
                return settled(State::Failed, "defect", "a defect: the object was not read".to_owned());
            }
            Some(Found::Missing(_)) if made.create.is_some() && in_doubt => {
                return Verdict::Settled(confirmed());
            }
            Some(Found::Missing(_)) if made.create.is_some() => {
                return settled(State::Already, AS_BEFORE, "it is not there any more".to_owned());
            }
            Some(Found::Missing(words)) => return settled(State::Failed, "not-found", words),
            // What was in doubt stays so until a read succeeds.
            Some(Found::Unread(error)) if in_doubt => {
                return settled(State::Unknown, "not-confirmed", format!("could not be read: {error}"));
            }
            Some(Found::Unread(error)) => return Verdict::Settled(failing::unread(&error)),
            Some(Found::Present(present)) => present,
        };
        if !present.id.eq_ignore_ascii_case(&made.id) {
            let text = format!("the run changed {}, DevRev knows it as {}", made.id, present.id);
            return settled(State::Failed, "object-differs", text);
        }
        if made.create.is_some() {
            return self.deletion(made, present);
        }
        let (mut fields, mut left) = (BTreeMap::new(), Vec::new());
        for (field, now) in self.fields.iter().zip(&present.values) {
            let Some(of_run) = made.fields.get(&*field.name) else { continue };
            match back(field, of_run, now) {
                Ok(Some(change)) => drop(fields.insert(field.name.to_string(), change)),
                Ok(None) => {}
                Err(why) => left.push(format!("{} {why}", field.name)),
            }
        }
        if !fields.is_empty() {
            let (id, subtype, read_at) = (present.id, present.subtype, present.read_at);
            let change = ObjectChange::of(id, fields, read_at);
            return Verdict::Change(ObjectChange { subtype, left, ..change });
        }
        if !left.is_empty() {
            return settled(State::Skipped, "changed-since", left.join("; "));
        }
        if in_doubt {
            return Verdict::Settled(confirmed());
        }
        settled(State::Already, AS_BEFORE, "every field is as it was before the run".to_owned())
    }
}

impl UndoUpdate {
    /// The deletion of an object that the run created, unless someone has changed it since.
    fn deletion(&self, made: &ObjectChange, present: Present) -> Verdict<ObjectChange> {
        let (mut fields, mut left) = (BTreeMap::new(), Vec::new());
        for (field, now) in self.fields.iter().zip(present.values) {
            let of_run = made.fields.get(&*field.name).map(|change| &change.after);
            let was = of_run.or_else(|| made.condition.get(&*field.name)).unwrap_or(&Value::Null);
            if !value::same(&field.kind, &now, was) {
                left.push(format!(
                    "{} was {} when the run created it, and since then it became {}",
                    field.name,
                    shown(&field.kind, was),
                    shown(&field.kind, &now)
                ));
            } else if !now.is_null() {
                let change =
                    FieldChange { before: now, after: Value::Null, add: Value::Null, remove: Value::Null };
                fields.insert(field.name.to_string(), change);
            }
        }
        if !left.is_empty() {
            let text = format!("not deleted: {}", left.join("; "));
            return Verdict::Settled(Outcome::of(State::Skipped, "changed-since", text));
        }
        let change = ObjectChange::of(present.id, fields, present.read_at);
        Verdict::Change(ObjectChange { delete: true, left, ..change })
    }
}

/// What takes a change of a field back; nothing where it is as before, and the reason where it cannot be.
pub(super) fn back(field: &Field, made: &FieldChange, now: &Value) -> Result<Option<FieldChange>, String> {
    let kind = &field.kind;
    let is_list = matches!(kind, Kind::List(..) | Kind::Tags(_));
    let (after, has_changed) = if is_list {
        elements_back(kind, made, now)
    } else {
        (made.before.clone(), !value::same(kind, now, &made.before) && !value::same(kind, now, &made.after))
    };
    if has_changed && (!is_list || value::same(kind, now, &after)) {
        return Err(format!(
            "was set to {} by the run, and since then it became {}",
            shown(kind, &made.after),
            shown(kind, now)
        ));
    }
    if value::same(kind, now, &after) {
        return Ok(None);
    }
    if after.is_null() && field.clear == Clear::Never && *kind != Kind::Flag {
        return Err("was empty before, and the API has no way to empty it".to_owned());
    }
    let after = if *kind == Kind::Flag && after.is_null() { false.into() } else { after };
    Ok(Some(FieldChange { before: now.clone(), after, add: Value::Null, remove: Value::Null }))
}

/// A list without what the run added and with what it removed, and whether someone has given another value to a tag that the
/// run added, changed or removed: such a tag stays as it is.
fn elements_back(kind: &Kind, made: &FieldChange, now: &Value) -> (Value, bool) {
    let added = value::without_exactly(kind, &made.after, &made.before);
    let removed = value::without_exactly(kind, &made.before, &made.after);
    let rest = value::without_exactly(kind, now, &added);
    let within =
        |list: &Value, one: &Value| value::elements(list).any(|other| value::named_alike(kind, one, other));
    let comes_back = value::filtered(&removed, |one| !within(&rest, one));
    let others = value::without_exactly(kind, &rest, &made.before);
    let has_changed = value::elements(&others).any(|one| within(&added, one) || within(&removed, one));
    (value::with(kind, &rest, &comes_back), has_changed)
}

impl Planner for UndoUpdate {
    type Item = Item;
    type Change = ObjectChange;

    async fn prepare(&mut self, batch: Vec<Asked<Item>>) -> Result<Vec<Verdict<ObjectChange>>, Failure> {
        let read = batch.iter().filter(|asked| self.stays(&asked.item.0).is_none());
        let wanted = read.map(|asked| {
            let alone = asked.in_doubt.is_some() || self.is_read_alone(&asked.item.0);
            (asked.item.0.id.clone(), alone)
        });
        let wanted = wanted.collect();
        let mut states = self.lookup.by_id(wanted).await?;
        let key = |item: &Item| Ref::parse(&item.0.id, self.object.types).ok().map(Ref::key);
        // One that a list shows otherwise than the run left it is read by itself: lists lag, and the run may have ended a
        // moment ago.
        let again: Vec<_> = batch
            .iter()
            .filter(|asked| {
                let state = key(&asked.item).and_then(|key| states.get(&key)).cloned();
                let is_listed = matches!(&state, Some(Found::Present(present)) if present.is_listed);
                let verdict = self.decide(&asked.item.0, state, false);
                let is_otherwise = matches!(&verdict, Verdict::Settled(outcome) if outcome.state != State::Failed)
                    || matches!(&verdict, Verdict::Change(change) if !change.left.is_empty());
                is_listed && is_otherwise
            })
            .map(|asked| (asked.item.0.id.clone(), true))
            .collect();
        if !again.is_empty() {
            states.extend(self.lookup.by_id(again).await?);
        }
        let verdicts = batch.iter().map(|asked| {
            let state = key(&asked.item).and_then(|key| states.get(&key)).cloned();
            self.decide(&asked.item.0, state, asked.in_doubt.is_some())
        });
        Ok(verdicts.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::devrev::objects::{self, Shape};
    use serde_json::json;

    fn change(before: Value, after: Value) -> FieldChange {
        FieldChange { before, after, add: Value::Null, remove: Value::Null }
    }

    fn outcome(field: &Field, made: &FieldChange, now: &Value) -> Result<Option<Value>, String> {
        back(field, made, now).map(|change| change.map(|change| change.after))
    }

    #[test]
    fn a_value_goes_back_where_it_still_is_the_runs() {
        let ticket = objects::named("ticket").unwrap();
        let severity = ticket.field("severity").unwrap();
        let made = change(json!("low"), json!("high"));
        assert_eq!(outcome(severity, &made, &json!("high")), Ok(Some(json!("low"))));
        assert_eq!(outcome(severity, &made, &json!("low")), Ok(None));
        assert!(outcome(severity, &made, &json!("blocker")).unwrap_err().contains("became `blocker`"));
        let first = change(Value::Null, json!("high"));
        assert!(outcome(severity, &first, &json!("high")).unwrap_err().contains("no way to empty it"));
        let spam = ticket.field("is_spam").unwrap();
        assert_eq!(outcome(spam, &change(Value::Null, json!(true)), &json!(true)), Ok(Some(json!(false))));
    }

    #[test]
    fn tags_get_their_values_back_unless_someone_else_gave_them_another() {
        let tags = Kind::Tags(Shape::AddRemove);
        let field = Field { name: "tags".into(), kind: tags, clear: Clear::Empty };
        let tag = |id: &str, value: &str| json!({"id": id, "value": value});
        let bare = |id: &str| json!({"id": id});
        let made = change(
            json!([tag("TAG-5", "high"), bare("TAG-2")]),
            json!([tag("TAG-5", "low"), tag("TAG-2", "new"), tag("TAG-3", "x")]),
        );
        let now = made.after.clone();
        let back = outcome(&field, &made, &now).unwrap().unwrap();
        assert!(value::same(&field.kind, &back, &made.before), "{back}");
        assert_eq!(outcome(&field, &made, &made.before), Ok(None));
        // Someone has changed one of them: that one stays, and the others go back.
        let now = json!([tag("TAG-5", "mid"), tag("TAG-2", "new"), bare("TAG-9")]);
        let back = outcome(&field, &made, &now).unwrap().unwrap();
        assert_eq!(back, json!([tag("TAG-5", "mid"), bare("TAG-9"), bare("TAG-2")]));
        let now = json!([tag("TAG-5", "mid"), bare("TAG-2")]);
        assert!(outcome(&field, &made, &now).unwrap_err().contains("became `TAG-5=mid;TAG-2`"));
    }

    #[test]
    fn of_a_list_only_the_runs_own_elements_go_or_come_back() {
        let texts = Kind::List(Box::new(Kind::Text { min: 0, max: 9 }), Shape::Array);
        let list = Field { name: "list".into(), kind: texts, clear: Clear::Empty };
        let made = change(json!(["a", "b"]), json!(["b", "c"]));
        assert_eq!(outcome(&list, &made, &json!(["b", "c", "d"])), Ok(Some(json!(["b", "d", "a"]))));
        assert_eq!(outcome(&list, &made, &json!(["b", "a"])), Ok(None));
        assert_eq!(outcome(&list, &change(Value::Null, json!(["c"])), &json!(["c"])), Ok(Some(Value::Null)));
    }
}
