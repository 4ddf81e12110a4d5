//! Creates the secondary again. Anyone who sends this twice may make two contacts: so after a sending whose fate is not
//! known, DevRev is asked for the contact before it is sent again, and its reference, which only one contact can
//! have, keeps a second one from being made even then.

use super::decide;
use super::steps::NewContact;
use super::steps::{Stage, What};
use super::undoer::{Track, Undoer};
use crate::devrev::rev_users::{RevUsersCreate, contact_key};
use crate::engine::job::Applied;
use crate::jobs::merge_contacts::look;
use crate::jobs::merge_contacts::settle::Waits;
use crate::jobs::track::{Sent, Stepwise};
use crate::journal::record::State;
use crate::net::error::{ApiError, Effect, ErrorKind};
use chrono::{DateTime, Utc};

/// How often DevRev is asked for a contact that may have been created, at growing intervals, before it is sent again.
const LOOKS: u32 = 3;
/// How often it is sent at most.
const MOST_SENDINGS: u32 = 5;

/// Sees to it that there is a contact in the place of the secondary.
pub(super) async fn create(undoer: &Undoer, track: &mut Track<'_>) -> Result<(), Applied> {
    if let Some(already) = track.change.secondary.already.clone() {
        return track.record(What::Created(already)).await;
    }
    let create = RevUsersCreate { members: track.change.secondary.create.clone() };
    let mut waits = Waits::new(&undoer.pace);
    let mut looks = if track.change.stage() == Stage::Creating { LOOKS } else { 0 };
    let mut sendings = 0;
    loop {
        if looks > 0 {
            looks -= 1;
            if let Some(found) = find(undoer, track).await? {
                return track.record(What::Created(found)).await;
            }
            if looks > 0 {
                undoer.wait(track, &mut waits).await?;
                continue;
            }
        }
        if undoer.stop.is_set() {
            return Err(track.interrupted());
        }
        if sendings >= MOST_SENDINGS {
            let text = "sent several times, and DevRev shows no new contact; `resume` looks again";
            return Err(track.ended(State::Unknown, "not-created", text));
        }
        sendings += 1;
        let creating = What::Creating { attempt: track.change.attempts() + 1 };
        let error = match track.once(&undoer.client, &create, creating, || !undoer.stop.is_set()).await? {
            Sent::Answered(answer) => {
                let contact = &answer.rev_user.read;
                if contact.external_ref.as_deref() != Some(&*track.change.secondary.external_ref) {
                    let text = format!("DevRev answered with {} and another reference", contact.shown());
                    return Err(track.failed("not-created", &ApiError::of_answer(text)));
                }
                let contact = NewContact::from(contact);
                return track.record(What::Created(contact)).await;
            }
            Sent::Failed(error) => error,
            Sent::Never(_) if undoer.stop.is_set() => return Err(track.interrupted()),
            Sent::Never(error) => return Err(track.failed("not-created", &error)),
        };
        tracing::info!("{}: {error}", track.change.email);
        if error.effect == Effect::Unknown {
            looks = LOOKS;
            continue;
        }
        track.record(What::NotCreated).await?;
        if error.passes_soon() {
            sendings -= 1;
            if undoer.wait(track, &mut waits).await? {
                continue;
            }
        }
        if error.kind != ErrorKind::Conflict {
            return Err(track.failed("not-created", &error));
        }
        // Somebody has the reference: an earlier sending of this after all, or still the primary for a moment.
        if let Some(found) = find(undoer, track).await? {
            return track.record(What::Created(found)).await;
        }
        sendings -= 1;
        if !undoer.wait(track, &mut waits).await? {
            return Err(track.failed("ref-taken", &error));
        }
    }
}

/// The contact that an earlier sending has made, if it is there.
async fn find(undoer: &Undoer, track: &Track<'_>) -> Result<Option<NewContact>, Applied> {
    let change = &track.change;
    let reference = &change.secondary.external_ref;
    let found = look::holders(&undoer.reads, std::slice::from_ref(reference)).await;
    let mut found = found.map_err(|error| track.failed("not-created", &error))?;
    let others = [contact_key(&change.primary.id), contact_key(&change.secondary.id)];
    let mut candidates = found.remove(reference).unwrap_or_default().into_iter();
    let since = begun(track);
    let is_new = |contact: &crate::devrev::rev_users::RevUser| {
        !others.contains(&contact.key()) && decide::is_it(contact, &change.email, since)
    };
    Ok(candidates.find(is_new).as_ref().map(NewContact::from))
}

/// When the contact was first sent.
fn begun(track: &Track<'_>) -> DateTime<Utc> {
    let first = track.change.steps.iter().find(|step| matches!(step.what, What::Creating { .. }));
    first.map_or_else(Utc::now, |step| step.at)
}
