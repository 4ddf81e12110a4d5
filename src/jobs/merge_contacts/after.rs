//! After a merge took: the primary gets the secondary's external reference, and it is seen that nothing was lost.

use super::apply::Merger;
use super::belongings;
use super::change::{Stage, What};
use super::look::{self, Seen};
use super::questions::{Activity, Busy, Questions};
use super::settle::{self, Waits};
use super::track::Track;
use crate::backup::verify;
use crate::devrev::error::{ApiError, ErrorKind};
use crate::devrev::operation::Found;
use crate::devrev::read_only::ReadOnly;
use crate::devrev::rev_users::{RevUserAnswer, RevUsersGet, RevUsersUpdate, contact_key};
use crate::engine::job::Applied;
use crate::journal::record::State;
use serde_json::Value;
use std::collections::{BTreeSet, HashSet};

/// What the primary must show after the merge as it did before.
const METADATA: [&str; 8] =
    ["display_name", "full_name", "email", "description", "custom_fields", "rev_org", "tags", "is_verified"];

/// The checks after merges, put together.
#[derive(Debug)]
pub struct After {
    works: Questions<String, HashSet<String>>,
}

impl After {
    /// Checks through this client, so many primaries at once.
    pub fn new(activity: &Activity, reads: ReadOnly, most: usize) -> Self {
        let works = Questions::new(activity.clone(), most, move |primaries| {
            Box::pin(works_of(reads.clone(), primaries))
        });
        Self { works }
    }

    /// Takes the steps after the proof.
    pub async fn finish(
        &self,
        merger: &Merger,
        track: &mut Track<'_>,
        busy: Busy,
    ) -> Result<Applied, Applied> {
        if track.change.stage() == Stage::Proven {
            set_ref(merger, track).await?;
            track.record(What::RefSet).await?;
        }
        if track.change.after.is_none() {
            track.change.after = Some(primary_now(merger, track).await?);
        }
        if track.change.stage() == Stage::RefSet {
            self.check(merger, track, busy).await?;
        }
        match track.change.after.as_ref().map(|after| differences(track, after)) {
            Some(differences) if !differences.is_empty() => {
                let text = format!(
                    "merged, but the primary is not as before: {}; mend it in DevRev, then resume",
                    differences.join("; ")
                );
                // In a state in which `resume` looks again, with all that is known of the merge.
                Err(track.ended(State::Unknown, "primary-differs", text))
            }
            _ => Ok(track.done()),
        }
    }

    /// Waits until every work of both backups is the primary's.
    async fn check(&self, merger: &Merger, track: &mut Track<'_>, busy: Busy) -> Result<(), Applied> {
        let Some((primary, secondary)) = track.change.backups() else {
            return Err(track.ended(State::Unknown, "no-backup", "the journal names no backup of this pair"));
        };
        let ids = verify::work_ids(primary).and_then(|own| Ok((own, verify::work_ids(secondary)?)));
        let (own, moved): (BTreeSet<String>, BTreeSet<String>) = match ids {
            Ok((own, moved)) => (own.into_iter().collect(), moved.into_iter().collect()),
            Err(error) => {
                let text = format!("merged, but its backup cannot be read to check for its works: {error}");
                return Err(track.ended(State::Unknown, "backup-unreadable", text));
            }
        };
        let moved_count = moved.len() as u64;
        let expected: BTreeSet<String> = own.into_iter().chain(moved).collect();
        drop(busy);
        let mut waits = Waits::new(&merger.pace);
        let mut missing: Vec<String>;
        let mut last = String::new();
        loop {
            let asked = self.works.ask(track.change.primary.id.clone());
            missing = match merger.stop.race(asked).await {
                None => return Err(track.interrupted()),
                Some(Ok(found)) => expected.iter().filter(|work| !found.contains(*work)).cloned().collect(),
                Some(Err(error)) if error.transient() => {
                    last = format!(" ({error})");
                    expected.iter().cloned().collect()
                }
                Some(Err(error)) => return Err(track.failed("works-not-checked", &error)),
            };
            if missing.is_empty() {
                let works = expected.len() as u64;
                return track.record(What::Checked { works, moved: moved_count }).await;
            }
            match waits.wait(&merger.stop).await {
                None => return Err(track.interrupted()),
                Some(true) => {}
                Some(false) => break,
            }
        }
        let named: Vec<_> = missing.iter().take(5).map(String::as_str).collect();
        let text = format!(
            "merged, but {} of {} works are not seen to be {}'s{last}: {}",
            missing.len(),
            expected.len(),
            track.change.primary.display_id,
            named.join(", ")
        );
        Err(track.ended(State::Unknown, "works-not-moved", text))
    }
}

/// Sets the primary's external reference, once the secondary has let go of it.
async fn set_ref(merger: &Merger, track: &mut Track<'_>) -> Result<(), Applied> {
    let Some(wanted) = track.change.new_ref.clone() else { return Ok(()) };
    let id = track.change.primary.id.clone();
    let update = RevUsersUpdate::of(&id).external_ref(Some(wanted.clone()));
    let is_set = |answer: &RevUserAnswer| answer.rev_user.read.external_ref.as_deref() == Some(&*wanted);
    let look = || async {
        let found = merger.client.call(&RevUsersGet { id: id.clone() }).await?;
        Ok(if is_set(&found) { Found::Settled(found) } else { Found::NotDone })
    };
    let mut waits = Waits::new(&merger.pace);
    let error = loop {
        let error = match merger.client.write(&update, || !merger.stop.is_set(), look).await {
            Ok(written) if written.answer.rev_user.read.key() != contact_key(&id) => {
                ApiError::of_answer(format!("DevRev answered with {}", written.answer.rev_user.read.id))
            }
            Ok(written) if !is_set(&written.answer) => {
                let now = written.answer.rev_user.read.external_ref.unwrap_or_default();
                ApiError::of_answer(format!("DevRev answered, but the reference is `{now}`"))
            }
            Ok(written) => {
                track.change.after = serde_json::from_str(written.answer.rev_user.raw.get()).ok();
                return Ok(());
            }
            Err(error) => error,
        };
        let taken = error.kind == ErrorKind::Conflict;
        if merger.stop.is_set() {
            return Err(track.interrupted());
        }
        // 409: the merge has not settled altogether yet.
        if !taken && !error.transient() {
            break error;
        }
        match waits.wait(&merger.stop).await {
            None => return Err(track.interrupted()),
            Some(true) => tracing::debug!("{}: {error}", track.change.email),
            Some(false) => break error,
        }
    };
    if error.kind != ErrorKind::Conflict {
        return Err(track.failed("ref-not-set", &error));
    }
    // Whoever has it, it should not be the secondary any more.
    if settle::is_active(&merger.reads, &track.change).await {
        track.record(What::Disproven).await?;
        let text =
            "the secondary was seen to be gone, and is there: look at both contacts in DevRev, then resume";
        return Err(track.ended(State::Unknown, "not-proven", text));
    }
    Err(track.failed("ref-taken", &error))
}

/// The primary as it is now.
async fn primary_now(merger: &Merger, track: &Track<'_>) -> Result<Value, Applied> {
    match look::contact_of(&merger.reads, &track.change.primary.id).await {
        Seen::Present(contact) => Ok(serde_json::from_str(contact.raw.get()).unwrap_or_default()),
        Seen::Unread(error) => Err(track.failed("primary-unread", &error)),
        Seen::Gone(words) => Err(track.ended(State::Unknown, "primary-gone", words)),
        Seen::Moved { to } => {
            let text = format!("it has moved to {}", to.unwrap_or_default());
            Err(track.ended(State::Unknown, "primary-gone", text))
        }
    }
}

/// What the primary has lost or changed since it was backed up. What it gained is the secondary's, and no loss.
fn differences(track: &Track<'_>, after: &Value) -> Vec<String> {
    let before = track.change.backups().and_then(|(primary, _)| verify::metadata(primary).ok());
    let Some(before) = before else { return vec!["its backup cannot be read".to_owned()] };
    METADATA
        .iter()
        .filter(|member| {
            let was = before.get(**member).unwrap_or(&Value::Null);
            !is_still_there(was, after.get(**member).unwrap_or(&Value::Null))
        })
        .map(|member| {
            let shown = |of: &Value| of.get(*member).unwrap_or(&Value::Null).to_string();
            format!("{member} was {} and is {}", shown(&before), shown(after))
        })
        .collect()
}

/// Whether all that a value held is in another one.
fn is_still_there(was: &Value, now: &Value) -> bool {
    match (was, now) {
        (was, _) if is_nothing(was) => true,
        (Value::Array(was), Value::Array(now)) => {
            was.iter().all(|item| now.iter().any(|other| is_still_there(item, other)))
        }
        (Value::Object(was), Value::Object(now)) => {
            was.iter().all(|(name, value)| is_still_there(value, now.get(name).unwrap_or(&Value::Null)))
        }
        (Value::Object(was), Value::Null) => was.values().all(Value::is_null),
        _ => was == now,
    }
}

/// Whether a member of an object says nothing.
pub fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
        _ => false,
    }
}

/// The works of many contacts, as the IDs of each.
async fn works_of(reads: ReadOnly, contacts: Vec<String>) -> Result<Vec<HashSet<String>>, ApiError> {
    let found = belongings::works(&reads, &contacts).await?;
    let ids = contacts.iter().map(|id| {
        let works = contact_key(id).and_then(|key| found.get(&key));
        works.into_iter().flatten().map(|work| work.read.id.clone()).collect()
    });
    Ok(ids.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_gain_is_no_loss() {
        for (was, now, kept) in [
            (json!("Ann"), json!("Ann"), true),
            (json!("Ann"), json!("ann"), false),
            (json!("Ann"), json!(null), false),
            (json!(null), json!("Ann"), true),
            (json!(""), json!(null), true),
            (json!(["a"]), json!(["b", "a"]), true),
            (json!(["a", "b"]), json!(["a"]), false),
            (json!({"x": 1}), json!({"x": 1, "y": 2}), true),
            (json!({"x": 1}), json!({"x": 2}), false),
            (json!({"x": {"y": [1]}}), json!({"x": {"y": [2, 1]}}), true),
            (json!({"x": null}), json!(null), true),
            (json!(true), json!(false), false),
        ] {
            assert_eq!(is_still_there(&was, &now), kept, "{was} -> {now}");
        }
    }
}
