//! Deletes an object that a run created, if it still is as the plan has it. To send that twice does no harm; that it took
//! is proved by a read that does not find the object any more.

use super::apply::ObjectWriter;
use super::change::ObjectChange;
use super::decide::shown;
use super::value;
use crate::devrev::any_object::{Delete, Members};
use crate::devrev::operation::Found;
use crate::devrev::rev_users::Acknowledged;
use crate::engine::job::Applied;
use crate::jobs::failing;
use crate::journal::record::{Outcome, State};
use crate::net::error::{ApiError, Effect, ErrorKind};
use crate::run::drift::AS_BEFORE;
use serde_json::Value;
use std::time::Duration;

/// Between the reads that look for a deleted object: reads may lag behind.
const PAUSES: [Duration; 4] =
    [Duration::ZERO, Duration::from_millis(200), Duration::from_millis(600), Duration::from_millis(1_800)];

impl ObjectWriter {
    /// Deletes the object of a change, unless someone has changed it since it was read.
    pub(super) async fn delete(&self, change: ObjectChange) -> Applied {
        let Some(endpoint) = self.object.deletion else {
            return Outcome::of(State::Failed, "defect", "a defect: such objects cannot be deleted").into();
        };
        // It cannot be taken back: so it is read just before, however fresh the plan is.
        match self.read(&change).await {
            Ok(answer) => {
                if let Some(how) = self.otherwise(&change, &answer.0) {
                    let text = format!("since it was read, {how}");
                    return Outcome::of(State::Skipped, "changed-meanwhile", text).into();
                }
            }
            Err(error) if error.kind == ErrorKind::NotFound => {
                return Outcome::of(State::Already, AS_BEFORE, "someone else has deleted it").into();
            }
            // Nothing was sent, whatever became of the read.
            Err(error) => {
                return failing::unwritten(&ApiError { effect: Effect::None, attempts: 0, ..error });
            }
        }
        let look = || async {
            match self.read(&change).await {
                Ok(_) => Ok(Found::NotDone),
                Err(error) if error.kind == ErrorKind::NotFound => Ok(Found::Settled(Acknowledged)),
                Err(error) => Err(error),
            }
        };
        let deletion = Delete::new(endpoint, change.id.as_str());
        let attempts = match self.client.write(&deletion, || true, look).await {
            Ok(written) => written.attempts,
            // The read says whether that is so.
            Err(error) if error.kind == ErrorKind::NotFound => error.attempts,
            Err(error) => return failing::unwritten(&error),
        };
        self.gone(&change, attempts).await
    }

    /// The state of a row whose object was deleted, as DevRev says.
    async fn gone(&self, change: &ObjectChange, attempts: u32) -> Applied {
        for pause in PAUSES {
            tokio::time::sleep(pause).await;
            match self.read(change).await {
                Ok(_) => {}
                Err(error) if error.kind == ErrorKind::NotFound => return Outcome::done(attempts).into(),
                Err(error) => {
                    return failing::unwritten(&ApiError { effect: Effect::Unknown, attempts, ..error });
                }
            }
        }
        let text = "DevRev says that it was deleted, and still shows it; `resume` looks again";
        Outcome::of(State::Unknown, "not-confirmed", text).after(attempts).into()
    }

    /// Which field is not as the plan has it, if there is one.
    fn otherwise(&self, change: &ObjectChange, object: &Members) -> Option<String> {
        self.fields.iter().find_map(|field| {
            let now = value::of(field, object);
            let planned = change.fields.get(&*field.name).map_or(&Value::Null, |planned| &planned.before);
            let is_same = value::same(&field.kind, &now, planned);
            (!is_same).then(|| format!("{} became {}", field.name, shown(&field.kind, &now)))
        })
    }
}
