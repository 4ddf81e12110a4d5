//! An undo of a merge, step by step. Each step is on disk before the next is taken, so that anyone who resumes knows
//! what may have been sent.

use super::change::MergeUndo;
use super::check;
use super::shown;
use super::steps::{Left, Member, Put};
use super::steps::{Stage, What};
use super::undoer::{Track, Undoer, WORKS};
use super::{create, point};
use crate::devrev::client::Client;
use crate::devrev::operation::Found;
use crate::devrev::rev_users::{RevUser, RevUsersGet, RevUsersUpdate};
use crate::engine::job::{Applied, Applier, Steps};
use crate::jobs::merge_contacts::questions::{Activity, Questions};
use crate::jobs::merge_contacts::settle::Pace;
use crate::jobs::read_at::ReadAt;
use crate::journal::record::{Outcome, State};
use crate::net::error::{Effect, ErrorKind};
use crate::stop::Stop;
use std::time::Duration;
use tokio::sync::Mutex;

/// Pairs in one question.
const PAIRS: usize = 25;
/// How old a look at the primary may be when it is changed.
const MAX_AGE: Duration = Duration::from_secs(120);
/// How often the primary is read again because its write had to wait for longer than that.
const MOST_READS: u32 = 5;

impl Undoer {
    /// Takes merges back through this client. What DevRev is to show soon is looked for `poll_delay` after it was
    /// sent, and then less and less often until `timeout`.
    pub(crate) fn new(client: &Client, stop: &Stop, poll_delay: Duration, timeout: Duration) -> Self {
        let (reads, activity) = (client.read_only(), Activity::default());
        let asking = reads.clone();
        let checks = Questions::new(activity.clone(), PAIRS, move |questions| {
            Box::pin(shown::ask(asking.clone(), questions))
        });
        let pace = Pace::new(poll_delay, timeout);
        let works = std::iter::repeat_with(Mutex::default).take(WORKS).collect();
        Self { client: client.clone(), reads, stop: stop.clone(), pace, checks, activity, works }
    }

    async fn undo(&self, track: &mut Track<'_>) -> Result<Applied, Applied> {
        let busy = self.activity.begin();
        let stage = track.change.stage();
        if stage == Stage::Begin {
            self.put_back(track).await?;
        }
        if matches!(stage, Stage::Begin | Stage::Creating) {
            create::create(self, track).await?;
        }
        let Some(new) = track.change.new_contact().cloned() else {
            return Err(track.ended(State::Unknown, "defect", "a defect: the journal names no new contact"));
        };
        if track.change.stage() == Stage::Created {
            point::point(self, track, &new).await?;
        }
        drop(busy);
        if track.change.stage() == Stage::Pointed {
            check::check(self, track, &new).await?;
        }
        Ok(end(track))
    }

    /// Gives the primary its earlier values back, as far as it still has those that the merge left.
    async fn put_back(&self, track: &mut Track<'_>) -> Result<(), Applied> {
        let id = track.change.primary.id.clone();
        let (mut put_back, mut left) = (track.change.primary.put_back.clone(), Vec::new());
        let mut read_at = track.change.seen.as_ref().map_or_else(ReadAt::now, |seen| seen.read_at);
        for _ in 0..MOST_READS {
            if self.stop.is_set() {
                return Err(track.interrupted());
            }
            if put_back.is_empty() {
                break;
            }
            let is_put =
                |contact: &RevUser| put_back.iter().all(|put| put.member.of(contact) == Some(&*put.to));
            let look = || async {
                let found = self.client.call(&RevUsersGet { id: id.clone() }).await?;
                Ok(if is_put(&found.rev_user.read) { Found::Settled(found) } else { Found::NotDone })
            };
            let update = update(&id, &put_back);
            let fresh = || read_at.age() <= MAX_AGE && !self.stop.is_set();
            match self.client.write(&update, fresh, look).await {
                Ok(written) if is_put(&written.answer.rev_user.read) => {
                    return track.record(What::RefPutBack { put_back, left }).await;
                }
                Ok(_) => {
                    let text = "DevRev answered, but the primary has not got its earlier values back";
                    return Err(track.ended(State::Failed, "not-taken", text));
                }
                Err(error) if error.kind == ErrorKind::Stale => {}
                Err(error) if error.kind == ErrorKind::Conflict => {
                    return Err(track.failed("ref-taken", &error));
                }
                // Nothing is created: anyone who continues looks at the primary and starts again.
                Err(error) if error.effect == Effect::Unknown => {
                    return Err(track.ended(State::Unknown, "not-put-back", error.to_string()));
                }
                Err(error) => return Err(track.failed("not-put-back", &error)),
            }
            read_at = ReadAt::now();
            let now = self.client.call(&RevUsersGet { id: id.clone() }).await;
            let now = now.map_err(|error| track.failed("not-put-back", &error))?;
            (put_back, left) = still(put_back, left, &now.rev_user.read);
        }
        if !put_back.is_empty() {
            let text = format!("had to wait too long, {MOST_READS} times");
            return Err(track.ended(State::Failed, "not-put-back", text));
        }
        if left.is_empty() { Ok(()) } else { track.record(What::RefPutBack { put_back, left }).await }
    }
}

impl Applier<MergeUndo> for Undoer {
    async fn apply(&self, change: MergeUndo, steps: Steps) -> Applied {
        let mut track = Track::new(change, &steps);
        let (Ok(applied) | Err(applied)) = self.undo(&mut track).await;
        applied
    }
}

fn update(id: &str, put_back: &[Put]) -> RevUsersUpdate {
    let value = |member| put_back.iter().find(|put| put.member == member).map(|put| put.to.clone());
    let update = RevUsersUpdate::of(id).external_ref(value(Member::ExternalRef));
    update.display_name(value(Member::DisplayName))
}

/// What is still to be put back, and what somebody has changed meanwhile.
fn still(put_back: Vec<Put>, mut left: Vec<Left>, now: &RevUser) -> (Vec<Put>, Vec<Left>) {
    let (still, changed): (Vec<Put>, Vec<Put>) =
        put_back.into_iter().partition(|put| put.member.of(now) == put.from.as_deref());
    left.extend(changed.into_iter().filter(|put| put.member.of(now) != Some(&*put.to)).map(|put| Left {
        what: put.member.name().to_owned(),
        why: format!("it became `{}` meanwhile", put.member.of(now).unwrap_or_default()),
    }));
    (still, left)
}

/// The end of an undo that was carried out.
fn end(track: &Track<'_>) -> Applied {
    let refused = track.change.refused();
    if !refused.is_empty() {
        let text = format!(
            "{} is there again as {}, but {} works could not be pointed at it: {}",
            track.change.secondary.display_id,
            track.change.new_contact().map_or("", |new| &new.display_id),
            refused.len(),
            words(&refused)
        );
        return track.ended(State::Failed, "works-refused", text);
    }
    let left = track.change.all_left();
    if left.is_empty() {
        return track.done();
    }
    let outcome = Outcome {
        reason: Some("some-left".into()),
        detail: Some(format!("changed since the merge, and left so: {}", words(&left))),
        ..Outcome::done(0)
    };
    track.reported(outcome).into()
}

fn words(left: &[&Left]) -> String {
    let more = if left.len() > 5 { "; ..." } else { "" };
    let some: Vec<_> = left.iter().take(5).map(|left| format!("{}: {}", left.what, left.why)).collect();
    format!("{}{more}", some.join("; "))
}
