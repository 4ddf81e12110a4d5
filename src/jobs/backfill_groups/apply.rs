//! Writes one issue's creator group, and takes DevRev's own answer for the proof.

use super::Change;
use super::decide::same_group;
use super::lookup::{MAX_AGE, same_value};
use crate::devrev::client::{Client, Found};
use crate::devrev::error::{ApiError, Effect};
use crate::devrev::works::{GroupField, Work, WorkAnswer, WorksGet, WorksUpdate};
use crate::engine::job::{Applied, Applier};
use crate::jobs::failing;
use crate::journal::record::{Outcome, State};

/// The job's writing half: only a real run has one.
#[derive(Debug)]
pub struct GroupWriter {
    client: Client,
    field: GroupField,
}

impl GroupWriter {
    /// Writes this field through this client.
    pub fn new(client: Client, field: GroupField) -> Self {
        Self { client, field }
    }

    async fn read(&self, change: &Change) -> Result<WorkAnswer, ApiError> {
        self.client.call(&WorksGet { id: change.issue.clone() }).await
    }

    /// The state of a row whose issue DevRev shows so, after `attempts` writes.
    fn judge(&self, change: &Change, work: &Work, attempts: u32) -> Outcome {
        match self.field.read(work) {
            Some(now) if same_group(&now, &change.after) => Outcome::done(attempts),
            now => {
                let now = now.unwrap_or("none".into());
                let text = format!("DevRev answered, but the creator group is {now}, not {}", change.after);
                Outcome::of(State::Failed, "not-taken", text).after(attempts)
            }
        }
    }
}

impl Applier<Change> for GroupWriter {
    async fn apply(&self, change: Change) -> Applied {
        if change.read_at.age() > MAX_AGE {
            match self.read(&change).await {
                // Nothing was written yet, whatever became of the read.
                Err(error) => return failing::unwritten(&ApiError { effect: Effect::None, ..error }),
                Ok(answer) => {
                    let now = self.field.read(&answer.work);
                    if !same_value(now.as_deref(), change.before.as_deref()) {
                        let now = now.unwrap_or("none".into());
                        let text = format!("since it was read, the creator group became {now}");
                        return Outcome::of(State::Skipped, "changed-meanwhile", text).into();
                    }
                }
            }
        }
        let update = WorksUpdate::group_of_issue(change.issue.as_str(), &self.field, &change.after);
        let look = || async {
            let found = self.read(&change).await?;
            let unchanged = same_value(self.field.read(&found.work).as_deref(), change.before.as_deref())
                && !same_value(change.before.as_deref(), Some(&change.after));
            Ok(if unchanged { Found::NotDone } else { Found::Settled(found) })
        };
        match self.client.write(&update, look).await {
            Ok(written) => self.judge(&change, &written.answer.work, written.attempts).into(),
            Err(error) => failing::unwritten(&error),
        }
    }
}
