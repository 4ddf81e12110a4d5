//! Creates an object that no row's key finds. Anyone who sends this twice may make two: so that it is sent is written down
//! before, and when its fate is not known, DevRev is asked for the object by its key, which is part of what is created.
//!
//! The API file knows no key for works. So the first work that a process creates goes alone, and nothing more is created
//! unless DevRev shows it with its key: a tenant that drops the key would get works that nobody finds again.

use super::apply::ObjectWriter;
use super::change::ObjectChange;
use super::created::{Keys, SENT, WITHOUT_KEY, report, without_key};
use super::lookup::{has_key, holders};
use super::value;
use crate::devrev::any_object::{Create, Members};
use crate::engine::job::{Applied, Steps};
use crate::exit::{Exit, Failure};
use crate::jobs::failing;
use crate::journal::record::{Outcome, State};
use crate::net::error::{ApiError, Effect, ErrorKind};
use serde_json::{Value, json};
use std::sync::{Mutex, PoisonError};

impl ObjectWriter {
    /// Creates the object of a change that has a key.
    pub(super) async fn create(&self, change: &ObjectChange, key: &str, steps: &Steps) -> Applied {
        let mut keys = self.keys.lock().await;
        match *keys {
            Keys::Kept => {
                drop(keys);
                self.create_now(change, key, steps).await.0
            }
            // Nothing was sent, and the one that was first stops the run.
            Keys::Lost => Applied { outcome: None, halt: None },
            Keys::Unproven => {
                let (applied, found) = self.create_now(change, key, steps).await;
                *keys = found;
                if found == Keys::Lost && applied.halt.is_none() {
                    let text = format!(
                        "the first of the {} to be created is not found by its key `{key}`: nothing more is created. \
                         `resume` looks for it again, then continues with the next row",
                        self.object.plural
                    );
                    return Applied { halt: Some(Failure::new(Exit::Stopped, text)), ..applied };
                }
                applied
            }
        }
    }

    /// The same, and what it says of keys.
    async fn create_now(&self, change: &ObjectChange, key: &str, steps: &Steps) -> (Applied, Keys) {
        let request = change.creation(self.object, &self.fields, self.required);
        let error = match self.once(&request, steps).await {
            Ok(object) => return self.created(change, key, &object, steps).await,
            Err(Ok(error)) => error,
            Err(Err(failure)) => return (Applied { outcome: None, halt: Some(failure) }, Keys::Lost),
        };
        if error.effect != Effect::Unknown && error.kind != ErrorKind::Conflict {
            return (failing::unwritten(&error), Keys::Unproven);
        }
        let unknown =
            |reason, text: String| Outcome::of(State::Unknown, reason, text).after(error.attempts).into();
        // It may be there all the same; or an earlier sending, whose answer was lost, has made it.
        let applied = match holders(&self.client.read_only(), self.object, key).await {
            Ok(found) => match found.as_slice() {
                // It was sent once, so this is another one.
                [other] if error.kind == ErrorKind::Conflict && !self.object.creation.refuses_second => {
                    let text =
                        format!("someone else has just created {} with `{key}`: {error}", shown(other));
                    let outcome = Outcome::of(State::Failed, "conflict", text).after(error.attempts);
                    return (outcome.into(), Keys::Kept);
                }
                [object] => return self.created(change, key, object, steps).await,
                [] if error.kind == ErrorKind::Conflict => unknown(
                    "create-in-doubt",
                    format!("DevRev says that `{key}` is taken, and shows no object that has it: {error}"),
                ),
                [] => {
                    let text =
                        format!("{error}; DevRev shows no object with `{key}` yet, which proves nothing");
                    Applied { halt: failing::unwritten(&error).halt, ..unknown("create-in-doubt", text) }
                }
                several => unknown("ambiguous", format!("{} objects have `{key}`", several.len())),
            },
            Err(_) => failing::unwritten(&ApiError { effect: Effect::Unknown, ..error }),
        };
        (applied, Keys::Lost)
    }

    /// The end of a row whose object DevRev shows so: it has to have the key and every field.
    async fn created(
        &self,
        change: &ObjectChange,
        key: &str,
        object: &Members,
        steps: &Steps,
    ) -> (Applied, Keys) {
        let id = object.get("id").and_then(Value::as_str).unwrap_or_default();
        if !has_key(self.object, object, key) {
            let id = shown(object);
            let failure = without_key(self.object, id, Some(key));
            let outcome = Outcome::of(State::Unknown, WITHOUT_KEY, failure.message.clone()).after(1);
            // Written down: `resume` must not create another one.
            let noted = steps.record(&json!({"step": WITHOUT_KEY, "created": id, "key": key})).await;
            let halt = Some(noted.err().unwrap_or(failure));
            return (Applied { outcome: Some(outcome), halt }, Keys::Lost);
        }
        let values = self.fields.iter().map(|field| (field, value::of(field, object)));
        let report = report(id, change, values);
        let change = ObjectChange { id: id.to_owned(), ..change.clone() };
        let mut outcome = self.judge(&change, object, 1).reported(report);
        if outcome.state != State::Done {
            let how = outcome.detail.take().unwrap_or_default();
            outcome.detail = Some(format!("created {}; {how}", shown(object)));
        }
        (outcome.into(), Keys::Kept)
    }

    /// Sends a creation once. That it is sent is on disk when nothing is left to wait for.
    async fn once(&self, request: &Create, steps: &Steps) -> Result<Members, Result<ApiError, Failure>> {
        let written = Mutex::new(None);
        let announce = || {
            let written = &written;
            async move {
                let done = steps.record(&json!({ "step": SENT })).await;
                let goes = done.is_ok();
                *written.lock().unwrap_or_else(PoisonError::into_inner) = done.err();
                goes
            }
        };
        let sent = self.client.once(request, announce).await;
        match written.into_inner().unwrap_or_else(PoisonError::into_inner) {
            Some(failure) => Err(Err(failure)),
            None => sent.map(|answer| answer.0).map_err(Ok),
        }
    }
}

/// An object's ID as people know it.
fn shown(object: &Members) -> &str {
    let text = |member: &str| object.get(member).and_then(Value::as_str);
    text("display_id").or_else(|| text("id")).unwrap_or("an object without an ID")
}
