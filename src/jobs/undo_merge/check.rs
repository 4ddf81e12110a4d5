//! The proof of an undo: the primary, the new contact and the works are read once more, those of many pairs
//! together.

use super::change::Work;
use super::point::Whose;
use super::shown::{Answer, Question};
use super::steps::What;
use super::steps::{Member, NewContact};
use super::undoer::{Track, Undoer};
use crate::devrev::rev_users::contact_key;
use crate::engine::job::Applied;
use crate::jobs::merge_contacts::pair::folded;
use crate::jobs::merge_contacts::settle::Waits;
use crate::journal::record::State;

/// Waits until all is seen as it should be.
pub(super) async fn check(undoer: &Undoer, track: &mut Track<'_>, new: &NewContact) -> Result<(), Applied> {
    let question = Question {
        email: track.change.email.clone(),
        primary: track.change.primary.id.clone(),
        new: new.id.clone(),
    };
    let mut waits = Waits::new(&undoer.pace);
    loop {
        let asked = undoer.stop.race(undoer.checks.ask(question.clone())).await;
        let last = match asked {
            None => return Err(track.interrupted()),
            Some(Ok(answer)) => differences(track, new, &answer),
            Some(Err(error)) if error.transient() => vec![error.to_string()],
            Some(Err(error)) => return Err(track.failed("not-checked", &error)),
        };
        if last.is_empty() {
            return track.record(What::Checked).await;
        }
        if !undoer.wait(track, &mut waits).await? {
            let text = format!("put back, and not seen to be as before: {}", last.join("; "));
            return Err(track.ended(State::Failed, "not-as-before", text));
        }
    }
}

/// What is not as the steps have left it.
fn differences(track: &Track<'_>, new: &NewContact, answer: &Answer) -> Vec<String> {
    let change = &track.change;
    let mut found = Vec::new();
    match &answer.primary {
        None => found.push(format!("{} is not seen", change.primary.display_id)),
        Some(primary) => {
            for put in change.written() {
                if put.member.of(primary) != Some(&*put.to) {
                    let name = put.member.name();
                    found.push(format!("{}: {name} is not `{}`", change.primary.display_id, put.to));
                }
            }
        }
    }
    match &answer.new {
        None => found.push(format!("{} is not seen", new.display_id)),
        Some(contact) => {
            if Member::ExternalRef.of(contact) != Some(&*change.secondary.external_ref) {
                found.push(format!("{} has another reference", new.display_id));
            }
            if folded(contact.email.as_deref().unwrap_or_default()) != change.email {
                found.push(format!("{} has another address", new.display_id));
            }
        }
    }
    let whose = Whose { primary: contact_key(&change.primary.id), new: Some(new.clone()) };
    let is_pointed = |work: &Work| answer.works.get(&work.id).is_some_and(|now| whose.is_pointed(work, now));
    let pointed = change.pointed();
    let missing: Vec<_> = change
        .works
        .iter()
        .filter(|work| pointed.contains(&work.id) && !is_pointed(work))
        .map(|work| work.display_id.as_str())
        .collect();
    if !missing.is_empty() {
        let named: Vec<_> = missing.iter().take(5).copied().collect();
        found.push(format!("{} works do not name {}: {}", missing.len(), new.display_id, named.join(", ")));
    }
    found
}
