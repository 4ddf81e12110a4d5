//! Writes one object's fields, and takes DevRev's own answer for the proof.

use super::change::ObjectChange;
use super::created::Keys;
use super::decide::shown;
use super::lookup::MAX_AGE;
use super::tags::{self, NewTags};
use super::value;
use crate::devrev::any_object::{Members, ObjectAnswer, ObjectGet};
use crate::devrev::client::Client;
use crate::devrev::ids::Ref;
use crate::devrev::objects::{Field, Kind, Object, Shape};
use crate::devrev::operation::Found;
use crate::engine::job::{Applied, Applier, Steps};
use crate::jobs::failing;
use crate::jobs::read_at::ReadAt;
use crate::jobs::update_fields::fields::shape;
use crate::journal::record::{Outcome, State};
use crate::net::error::{ApiError, Effect, ErrorKind};
use serde_json::Value;

/// How often an object is read again because its write had to wait for longer than the values are good.
const MOST_READS: u32 = 5;

/// The reason of a row that is done but for fields that someone else has changed.
const LEFT: &str = "fields-left-alone";

/// The job's writing half: only a real run has one.
#[derive(Debug)]
pub(crate) struct ObjectWriter {
    pub(super) client: Client,
    pub(super) object: &'static Object,
    pub(super) fields: Vec<Field>,
    /// Whether DevRev is asked to check that required fields are set.
    pub(super) required: bool,
    manner: Manner,
    /// What is known of the keys of created objects. Held while that is being found out.
    pub(super) keys: tokio::sync::Mutex<Keys>,
    /// Tags that did not exist when their rows were decided.
    new_tags: NewTags,
}

/// How outcomes speak of what was written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Manner {
    /// The reason where DevRev answers with another object.
    pub other: &'static str,
    /// What the only field is called; else each goes by its name, and its values are in quotes.
    pub field: Option<&'static str>,
}

impl Manner {
    /// Of an update.
    const UPDATE: Self = Self { other: "other-object", field: None };

    fn name<'a>(&self, field: &'a Field) -> &'a str {
        self.field.unwrap_or(&field.name)
    }

    fn shown(&self, kind: &Kind, value: &Value) -> String {
        match self.field {
            None => shown(kind, value),
            Some(_) if value.is_null() => "none".to_owned(),
            Some(_) => value::cell(kind, value),
        }
    }
}

/// How an object stands to a change of it.
#[derive(Debug, PartialEq, Eq)]
enum Standing {
    /// Some field is as it was, and the others are as they are to be: someone else may have set them.
    Before,
    /// Every field is as it is to be.
    After,
    /// Some field is neither; which, and how it is.
    Changed(String),
}

impl ObjectWriter {
    /// Writes these fields of this type of object through this client.
    pub(crate) fn new(client: Client, object: &'static Object, fields: Vec<Field>, required: bool) -> Self {
        let keys = tokio::sync::Mutex::new(Keys::of(object));
        let new_tags = NewTags::default();
        Self { client, object, fields, required, keys, new_tags, manner: Manner::UPDATE }
    }

    /// The same, whose outcomes speak so.
    pub(crate) fn speaking(self, manner: Manner) -> Self {
        Self { manner, ..self }
    }

    pub(super) async fn read(&self, change: &ObjectChange) -> Result<ObjectAnswer, ApiError> {
        self.client.call(&ObjectGet::new(self.object, change.id.as_str())).await
    }

    fn changed<'a>(&'a self, change: &'a ObjectChange) -> impl Iterator<Item = &'a Field> {
        self.fields.iter().filter(|field| change.fields.contains_key(&*field.name))
    }

    fn standing(&self, change: &ObjectChange, object: &Members) -> Standing {
        standing(self.changed(change), change, object, self.manner)
    }

    /// The state of a row whose object DevRev shows so, after `attempts` writes.
    pub(in crate::jobs) fn judge(&self, change: &ObjectChange, object: &Members, attempts: u32) -> Outcome {
        let id = object.get("id").and_then(Value::as_str).unwrap_or_default();
        // The answer proves something only if it is about the object that was written.
        let is_same = id.eq_ignore_ascii_case(&change.id)
            || Ref::parse(id, self.object.types)
                .is_ok_and(|id| Ref::parse(&change.id, self.object.types) == Ok(id));
        if !is_same {
            let text = format!("DevRev answered with {id}, not {}", change.id);
            return Outcome::of(State::Unknown, self.manner.other, text).after(attempts);
        }
        let mut wrong = Vec::new();
        for field in self.changed(change) {
            let (now, wanted) = (value::of(field, object), &change.fields[&*field.name]);
            if !wanted.is_made(&field.kind, &now) {
                let shown = |value| self.manner.shown(&field.kind, value);
                let (now, wanted) = (shown(&now), shown(&wanted.after));
                wrong.push(format!("{} is {now}, not {wanted}", self.manner.name(field)));
            }
        }
        if !wrong.is_empty() {
            let text = format!("DevRev answered, but {}", wrong.join("; "));
            return Outcome::of(State::Failed, "not-taken", text).after(attempts);
        }
        if change.left.is_empty() {
            return Outcome::done(attempts);
        }
        let detail = format!("left alone: {}", change.left.join("; "));
        Outcome { reason: Some(LEFT.into()), detail: Some(detail), ..Outcome::done(attempts) }
    }

    /// Whether a part of a list is written by writing the whole: then it has to be read just before.
    fn needs_fresh(&self, change: &ObjectChange) -> bool {
        self.changed(change).any(|field| {
            change.fields[&*field.name].is_partial() && shape(&field.kind) != Some(Shape::AddRemove)
        })
    }

    /// Writes the fields, unless one of them changed since it was read.
    pub(crate) async fn write(&self, mut change: ObjectChange) -> Applied {
        let (mut sent, mut reads) = (0, 0);
        let mut is_fresh = !self.needs_fresh(&change);
        loop {
            if !is_fresh || change.read_at.age() > MAX_AGE {
                reads += 1;
                let read_at = ReadAt::now();
                match self.read(&change).await {
                    // This attempt wrote nothing, whatever became of the read.
                    Err(error) => {
                        return failing::unwritten(&ApiError {
                            effect: Effect::None,
                            attempts: sent,
                            ..error
                        });
                    }
                    Ok(answer) => {
                        self.look_again(&mut change, &answer.0);
                        match self.standing(&change, &answer.0) {
                            Standing::After if sent > 0 => return Outcome::done(sent).into(),
                            Standing::Before => {}
                            Standing::After => {
                                let text = "since it was read, it became what it was to be";
                                return Outcome::of(State::Already, super::change::AS_WANTED, text).into();
                            }
                            Standing::Changed(how) => {
                                let text = format!("since it was read, {how}");
                                return Outcome::of(State::Skipped, "changed-meanwhile", text)
                                    .after(sent)
                                    .into();
                            }
                        }
                    }
                }
                (change.read_at, is_fresh) = (read_at, true);
            }
            let change = &change;
            let update = change.request(self.object, &self.fields, self.required);
            let look = || async {
                let found = self.read(change).await?;
                let is_before = self.standing(change, &found.0) == Standing::Before;
                Ok(if is_before { Found::NotDone } else { Found::Settled(found) })
            };
            match self.client.write(&update, || change.read_at.age() <= MAX_AGE, look).await {
                Ok(written) => return self.judge(change, &written.answer.0, sent + written.attempts).into(),
                Err(error) if error.kind == ErrorKind::Stale && reads < MOST_READS => sent += error.attempts,
                Err(error) => {
                    return failing::unwritten(&ApiError { attempts: sent + error.attempts, ..error });
                }
            }
        }
    }

    /// Takes over what others have done meanwhile to lists of which only a part is written.
    fn look_again(&self, change: &mut ObjectChange, object: &Members) {
        for field in &self.fields {
            let Some(of_field) = change.fields.get_mut(&*field.name) else { continue };
            if of_field.is_partial() {
                let now = value::of(field, object);
                of_field.after = of_field.after(&field.kind, &now);
                of_field.before = now;
            }
        }
    }
}

impl Applier<ObjectChange> for ObjectWriter {
    async fn apply(&self, change: ObjectChange, steps: Steps) -> Applied {
        let ids = match self.new_tags.ids(&self.client, &change.new_tags()).await {
            Ok(ids) => ids,
            Err(applied) => return applied,
        };
        let change = change.with_tags(&ids);
        let Applied { outcome, halt } = match &change.create {
            Some(key) => self.create(&change, key, &steps).await,
            None if change.delete => self.delete(change).await,
            None => self.write(change).await,
        };
        Applied { outcome: outcome.map(|outcome| tags::reported(outcome, &ids)), halt }
    }
}

/// How an object stands to a change of these fields.
fn standing<'a>(
    fields: impl Iterator<Item = &'a Field>,
    change: &ObjectChange,
    object: &Members,
    manner: Manner,
) -> Standing {
    let mut standing = Standing::After;
    for field in fields {
        let (now, wanted) = (value::of(field, object), &change.fields[&*field.name]);
        if wanted.is_made(&field.kind, &now) {
            continue;
        }
        if !value::same(&field.kind, &now, &wanted.before) {
            let (name, now) = (manner.name(field), manner.shown(&field.kind, &now));
            return Standing::Changed(format!("{name} became {now}"));
        }
        standing = Standing::Before;
    }
    standing
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::devrev::objects;
    use serde_json::json;

    #[test]
    fn what_someone_else_has_set_as_wanted_is_no_drift() {
        let ticket = objects::named("ticket").unwrap();
        let fields = [ticket.field("title").unwrap(), ticket.field("severity").unwrap()];
        let change: ObjectChange = serde_json::from_value(json!({
            "id": "TKT-1",
            "fields": {
                "title": {"before": "Old", "after": "New"},
                "severity": {"before": "low", "after": "high"},
            },
        }))
        .unwrap();
        let of = |title: &str, severity: &str| {
            let Value::Object(object) = json!({"title": title, "severity": severity}) else { unreachable!() };
            standing(fields.into_iter(), &change, &object, Manner::UPDATE)
        };
        assert_eq!(of("Old", "low"), Standing::Before);
        assert_eq!(of("New", "high"), Standing::After);
        assert_eq!(of("New", "low"), Standing::Before);
        assert_eq!(of("Old", "high"), Standing::Before);
        assert!(matches!(of("Old", "medium"), Standing::Changed(_)));
        assert!(matches!(of("New", "medium"), Standing::Changed(_)));
    }
}
