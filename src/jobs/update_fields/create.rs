//! Creates an object that no row's key finds. Anyone who sends this twice may make two: so that it is sent is written down
//! before, and when its fate is not known, DevRev is asked for the object by its key, which is part of what is created.

use super::apply::ObjectWriter;
use super::change::ObjectChange;
use super::lookup::holders;
use crate::devrev::any_object::{Create, Members};
use crate::engine::job::{Applied, Steps};
use crate::exit::Failure;
use crate::jobs::failing;
use crate::journal::record::{Outcome, State, raw};
use crate::net::error::{ApiError, Effect, ErrorKind};
use serde_json::json;
use std::sync::{Mutex, PoisonError};

impl ObjectWriter {
    /// Creates the object of a change that has a key.
    pub(super) async fn create(&self, change: &ObjectChange, key: &str, steps: &Steps) -> Applied {
        let Some(request) = change.creation(self.object, &self.fields, self.required) else {
            return Outcome::of(State::Failed, "defect", "a defect: such objects cannot be created").into();
        };
        let error = match self.once(&request, steps).await {
            Ok(object) => return self.created(change, &object, 1).into(),
            Err(Ok(error)) => error,
            Err(Err(failure)) => return Applied { outcome: None, halt: Some(failure) },
        };
        if error.effect != Effect::Unknown && error.kind != ErrorKind::Conflict {
            return failing::unwritten(&error);
        }
        // It may be there all the same; or an earlier sending, whose answer was lost, has made it.
        match holders(&self.client.read_only(), self.object, key).await {
            Ok(found) => match found.as_slice() {
                [object] => self.created(change, object, error.attempts).into(),
                [] if error.kind == ErrorKind::Conflict => {
                    let text = format!(
                        "DevRev says that `{key}` is taken, and shows no object that has it: {error}"
                    );
                    Outcome::of(State::Unknown, "create-in-doubt", text).after(error.attempts).into()
                }
                [] => {
                    let text =
                        format!("{error}; DevRev shows no object with `{key}` yet, which proves nothing");
                    let outcome = Outcome::of(State::Unknown, "create-in-doubt", text).after(error.attempts);
                    Applied { outcome: Some(outcome), halt: failing::unwritten(&error).halt }
                }
                several => {
                    let text = format!("{} objects have `{key}`", several.len());
                    Outcome::of(State::Unknown, "ambiguous", text).after(error.attempts).into()
                }
            },
            Err(_) => failing::unwritten(&ApiError { effect: Effect::Unknown, ..error }),
        }
    }

    /// The state of a row whose object DevRev shows so: it has to have the key and every field.
    fn created(&self, change: &ObjectChange, object: &Members, attempts: u32) -> Outcome {
        let id = object.get("id").and_then(serde_json::Value::as_str).unwrap_or_default().to_owned();
        let change = ObjectChange { id: id.clone(), ..change.clone() };
        self.judge(&change, object, attempts).reported(raw(&json!({ "created": id })).ok())
    }

    /// Sends a creation once. That it is sent is on disk when nothing is left to wait for.
    async fn once(&self, request: &Create, steps: &Steps) -> Result<Members, Result<ApiError, Failure>> {
        let written = Mutex::new(None);
        let announce = || {
            let written = &written;
            async move {
                let done = steps.record(&json!({"step": "create-sent"})).await;
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
