//! After a merge took: the primary gets the secondary's external reference, and it is seen that nothing was lost.

use super::backups::on_disk;
use super::change::{Stage, What};
use super::held::{Held, Question};
use super::look::{self, Seen};
use super::merger::Merger;
use super::questions::Busy;
use super::settle::{self, Waits};
use super::track::Track;
use crate::backup::verify;
use crate::devrev::operation::Found;
use crate::devrev::rev_users::{RevUser, RevUserAnswer, RevUsersGet, RevUsersUpdate, contact_key};
use crate::engine::job::Applied;
use crate::journal::record::State;
use crate::net::error::{ApiError, ErrorKind};
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::Arc;

/// What the primary must show after the merge as it did before.
const METADATA: [&str; 8] =
    ["display_name", "full_name", "email", "description", "custom_fields", "rev_org", "tags", "is_verified"];

/// Takes the steps after the proof.
pub(super) async fn finish(merger: &Merger, track: &mut Track<'_>, busy: Busy) -> Result<Applied, Applied> {
    if track.change.stage() == Stage::Proven {
        set_ref(merger, track).await?;
        track.record(What::RefSet).await?;
    }
    if track.change.after.is_none() {
        track.change.after = Some(primary_now(merger, track).await?);
    }
    if track.change.stage() == Stage::RefSet {
        check(merger, track, busy).await?;
    }
    match track.change.after.as_ref().map(|after| differences(track, after)) {
        Some(differences) if !differences.is_empty() => {
            let text = format!(
                "merged, but the primary is not as before: {}; correct it in DevRev, then resume",
                differences.join("; ")
            );
            // In a state in which `resume` looks again, with all that is known of the merge.
            Err(track.ended(State::Unknown, "primary-differs", text))
        }
        _ => Ok(track.done()),
    }
}

/// Waits until every work of both backups is the primary's, and the reference is read back as it was set.
async fn check(merger: &Merger, track: &mut Track<'_>, busy: Busy) -> Result<(), Applied> {
    let Some((primary, secondary)) = track.change.backups() else {
        return Err(track.ended(State::Unknown, "no-backup", "the journal names no backup of this pair"));
    };
    let ids = on_disk(|| verify::work_ids(primary).and_then(|own| Ok((own, verify::work_ids(secondary)?))));
    let (own, moved): (BTreeSet<String>, BTreeSet<String>) = match ids {
        Ok((own, moved)) => (own.into_iter().collect(), moved.into_iter().collect()),
        Err(error) => {
            let text = format!("merged, but its backup cannot be read to check for its works: {error}");
            return Err(track.ended(State::Unknown, "backup-unreadable", text));
        }
    };
    let moved_count = moved.len() as u64;
    let expected: Arc<BTreeSet<String>> = Arc::new(own.into_iter().chain(moved).collect());
    drop(busy);
    let mut waits = Waits::new(&merger.pace);
    let mut may_set_again = true;
    let mut missing: Vec<String>;
    let mut wrong_ref = None;
    let mut last = String::new();
    loop {
        let asked = merger.held.ask(Question::about_primary(&track.change, Arc::clone(&expected)));
        missing = match merger.stop.race(asked).await {
            None => return Err(track.interrupted()),
            Some(Ok(held)) => {
                wrong_ref = wrong_reference(merger, track, &held).await?;
                track.change.secondary_after = held.secondary;
                expected.iter().filter(|work| !held.primary_works.contains(*work)).cloned().collect()
            }
            Some(Err(error)) if error.transient() => {
                last = format!(" ({error})");
                expected.iter().cloned().collect()
            }
            Some(Err(error)) => return Err(track.failed("works-not-checked", &error)),
        };
        if missing.is_empty() && wrong_ref.is_none() {
            say_if_shared(track);
            let works = expected.len() as u64;
            return track.record(What::Checked { works, moved: moved_count }).await;
        }
        // The merge has settled over it. What somebody else has set stays.
        if may_set_again && wrong_ref.as_ref().is_some_and(|now| is_as_before(track, now)) {
            may_set_again = false;
            set_ref(merger, track).await?;
        }
        match waits.wait(&merger.stop).await {
            None => return Err(track.interrupted()),
            Some(true) => {}
            Some(false) => break,
        }
    }
    let display_id = &track.change.primary.display_id;
    if let (Some(now), true) = (wrong_ref, missing.is_empty()) {
        let text = format!(
            "merged, but the external reference of {display_id} is `{now}`, not `{}`; correct it in DevRev, then \
                resume",
            right_reference(track).unwrap_or_default()
        );
        return Err(track.ended(State::Unknown, "ref-differs", text));
    }
    let named: Vec<_> = missing.iter().take(5).map(String::as_str).collect();
    let text = format!(
        "merged, but {} of {} works are not seen to be {display_id}'s{last}: {}",
        missing.len(),
        expected.len(),
        named.join(", ")
    );
    Err(track.ended(State::Unknown, "works-not-moved", text))
}

/// The external reference that the primary has to have after the merge.
fn right_reference<'t>(track: &'t Track<'_>) -> Option<&'t str> {
    track.change.new_ref.as_deref().or(track.change.primary.external_ref.as_deref())
}

/// The primary's reference, if it is read back and is not the right one.
async fn wrong_reference(merger: &Merger, track: &Track<'_>, held: &Held) -> Result<Option<String>, Applied> {
    let right = right_reference(track).unwrap_or_default();
    // None and an empty one are the same.
    let is_right = |contact: &RevUser| contact.external_ref.as_deref().unwrap_or_default() == right;
    if matches!(&held.primary, Seen::Present(contact) if is_right(&contact.read)) {
        return Ok(None);
    }
    // Lists lag: before it counts as another one, the contact is read by itself.
    match look::contact_of(&merger.reads, &track.change.primary.id).await {
        Seen::Present(contact) if is_right(&contact.read) => Ok(None),
        Seen::Present(contact) => Ok(Some(contact.read.external_ref.unwrap_or_default())),
        Seen::Unread(error) if error.transient() => Ok(Some("not read".to_owned())),
        Seen::Unread(error) => Err(track.failed("primary-unread", &error)),
        Seen::Gone(words) => Err(track.ended(State::Unknown, "primary-gone", words)),
        Seen::Moved { to } => Err(track.ended(State::Unknown, "primary-gone", moved(to))),
    }
}

/// Whether this is the reference that the primary had before it was set.
fn is_as_before(track: &Track<'_>, now: &str) -> bool {
    track.change.new_ref.is_some() && now == track.change.primary.external_ref.as_deref().unwrap_or_default()
}

/// Says where a secondary that stays still shows the reference: anyone who looks a contact up by it finds two.
fn say_if_shared(track: &Track<'_>) {
    let Some(secondary) = &track.change.secondary_after else { return };
    if secondary.external_ref.is_some() && secondary.external_ref.as_deref() == right_reference(track) {
        tracing::warn!(
            "{} is merged, and still shows the external reference `{}` that {} has now",
            track.change.secondary.display_id,
            secondary.external_ref.as_deref().unwrap_or_default(),
            track.change.primary.display_id
        );
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
    let mut holder = None;
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
        if !taken && !error.transient() {
            break error;
        }
        // A 409 does not say who has it: the merge may not have settled altogether, or have given it to the primary.
        if taken {
            holder = match holder_of(merger, &wanted).await {
                Some(held) if held.key() == contact_key(&id) => return Ok(()),
                held => held,
            };
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
    // Anyone who has it, it should not be the secondary any more.
    if settle::is_active(&merger.reads, &track.change).await {
        track.record(What::Disproven).await?;
        let text = "the secondary was gone and is back: check both contacts in DevRev, then resume";
        return Err(track.ended(State::Unknown, "not-proven", text));
    }
    let who = holder.as_ref().map_or_else(
        || "DevRev shows no contact that has it".to_owned(),
        |contact| format!("{} has it", contact.shown()),
    );
    Err(track.ended(State::Unknown, "ref-taken", format!("{error}: {who}")))
}

/// The contact that has a reference, as far as DevRev shows one.
async fn holder_of(merger: &Merger, reference: &str) -> Option<RevUser> {
    let found = look::holders(&merger.reads, &[reference.to_owned()]).await;
    found.ok()?.remove(reference)?.into_iter().next()
}

/// The primary as it is now.
async fn primary_now(merger: &Merger, track: &Track<'_>) -> Result<Value, Applied> {
    match look::contact_of(&merger.reads, &track.change.primary.id).await {
        Seen::Present(contact) => Ok(serde_json::from_str(contact.raw.get()).unwrap_or_default()),
        Seen::Unread(error) => Err(track.failed("primary-unread", &error)),
        Seen::Gone(words) => Err(track.ended(State::Unknown, "primary-gone", words)),
        Seen::Moved { to } => Err(track.ended(State::Unknown, "primary-gone", moved(to))),
    }
}

fn moved(to: Option<String>) -> String {
    format!("it has moved to {}", to.unwrap_or_default())
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
pub(crate) fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
        _ => false,
    }
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
