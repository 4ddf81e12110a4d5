//! A merge, step by step. Each step is on disk before the next is taken, so that anyone who resumes knows what may
//! have been sent.

use super::after;
use super::backing_up::BackedUp;
use super::backups::{Backups, on_disk};
use super::belongings;
use super::change::{Found, MergeChange, Shown, Stage, What};
use super::gate::{Gate, Place};
use super::held::{self};
use super::look_again::{drift, look_again, same_contacts, same_works};
use super::merger::{How, Merger};
use super::proof::Before;
use super::questions::{Activity, Busy, Questions};
use super::settle::{self, Pace, Settled, Waits};
use super::track::{Track, not_backed_up, unproven};
use crate::cli::choices::OnDrift;
use crate::devrev::client::Client;
use crate::devrev::rev_users::{RevUsersMerge, contact_key};
use crate::engine::job::{Applied, Applier, Steps};
use crate::exit::{Exit, Failure};
use crate::jobs::read_at::ReadAt;
use crate::jobs::track::{Sent, Stepwise};
use crate::journal::record::State;
use crate::net::error::{ApiError, Effect, ErrorKind};
use crate::net::queue::Urgency;
use crate::run::drift::DRIFTED;
use crate::stop::Stop;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// Pairs in one question.
const PAIRS: usize = 25;
/// How often a pair that is used while it is backed up is backed up again.
const MOST_BACKUPS: u32 = 3;
/// How often a pair is looked at again because its merge had to wait for longer than the look is good.
const MOST_LOOKS: u32 = 10;

/// The reason of a pair whose merge DevRev has refused.
pub(crate) const MERGE_REFUSED: &str = "merge-refused";

impl Merger {
    /// Merges through this client.
    pub(crate) fn new(client: &Client, stop: &Stop, how: How) -> Result<Self, Failure> {
        let sends = client.urgent(Urgency::Send);
        let completes = client.urgent(Urgency::Complete);
        let reads = completes.read_only();
        let gate = Gate::new(how.rate);
        let storage = client
            .storage()
            .map_err(|error| Failure::new(Exit::Unexpected, error.to_string()).because(error))?;
        let activity = Activity::default();
        let (asking, made) = (sends.read_only(), Arc::clone(&how.made));
        let looks = Questions::new(activity.clone(), PAIRS.min(gate.unsent()), move |pairs| {
            Box::pin(look_again(asking.clone(), pairs, Arc::clone(&made)))
        });
        let asking = reads.clone();
        let held =
            Questions::new(activity.clone(), PAIRS, move |pairs| Box::pin(held::ask(asking.clone(), pairs)));
        Ok(Self {
            client: completes,
            reads: reads.clone(),
            sends,
            stop: stop.clone(),
            pace: Pace::new(how.poll_delay, how.settle_timeout),
            backups: Backups::new(client.read_only(), storage, &how),
            gate,
            places: Arc::new(Semaphore::new(how.concurrency)),
            looks,
            held,
            activity,
            how,
        })
    }

    async fn merge(&self, track: &mut Track<'_>) -> Result<Applied, Applied> {
        let stage = track.change.stage();
        let (mut place, mut busy) = (None, None);
        if stage == Stage::Begin {
            place = match self.stop.race(self.gate.enter()).await.flatten() {
                Some(entered) if !self.stop.is_set() => Some(entered),
                _ => return Err(track.interrupted()),
            };
            busy = Some(self.activity.begin());
            // Steps of a process that got no further than its backups.
            track.change.steps.clear();
            let Some(found) = track.change.found.clone() else {
                return Err(track.ended(State::Failed, "defect", "a defect: a pair was not looked at"));
            };
            self.back_up_and_send(track, found, &mut busy).await?;
            place = place.and_then(Place::once_sent);
        }
        if matches!(stage, Stage::Begin | Stage::Sent) {
            drop(busy.take());
            // What was read is on disk, and no longer needed.
            track.change.found = None;
            self.follow(track, stage == Stage::Sent).await?;
        }
        let busy = busy.unwrap_or_else(|| self.activity.begin());
        let finished = after::finish(self, track, busy).await;
        drop(place);
        finished
    }

    /// Backs both contacts up, looks at them once more, and sends the merge: of just what was backed up.
    async fn back_up_and_send(
        &self,
        track: &mut Track<'_>,
        mut found: Arc<Found>,
        busy: &mut Option<Busy>,
    ) -> Result<(), Applied> {
        let (mut backups, mut looks) = (0, 0);
        let mut is_backed_up = false;
        loop {
            if !is_backed_up {
                backups += 1;
                self.back_up(track, &found).await?;
                is_backed_up = true;
            }
            looks += 1;
            let seen = self.look(track, busy).await?;
            self.as_planned(track, &found, &seen)?;
            if !same_works(&found, &seen) && backups >= MOST_BACKUPS {
                let text = format!("works came or went while it was backed up, {backups} times");
                return Err(track.ended(State::Failed, "backup-outrun", text));
            }
            if !same_works(&found, &seen) || (backups < MOST_BACKUPS && !same_contacts(&found, &seen)) {
                found = Arc::new(found.as_seen(&seen));
                is_backed_up = false;
                continue;
            }
            match self.send(track, seen.read_at).await? {
                None => return Ok(()),
                Some(error) if looks >= MOST_LOOKS => return Err(track.failed(MERGE_REFUSED, &error)),
                // The look has grown too old while the merge waited.
                Some(_) => {}
            }
        }
    }

    /// Where a plan is applied, a pair is merged only as it was planned: what came between its batch's look, which was held
    /// against the plan, and this one is drift too. Nothing of it was sent.
    fn as_planned(&self, track: &Track<'_>, found: &Found, seen: &Found) -> Result<(), Applied> {
        // What may have been sent is followed up, whatever is seen.
        let Some(on_drift) = self.how.on_drift.filter(|_| !track.change.in_doubt()) else { return Ok(()) };
        let Some(drift) = drift(&track.change, found, seen) else { return Ok(()) };
        if on_drift == OnDrift::Skip {
            return Err(track.ended(State::Skipped, DRIFTED, drift));
        }
        let text = format!(
            "{} has changed since it was planned: {drift}. Nothing of it was sent (--on-drift abort); make a new \
             plan, or continue without such pairs with --on-drift skip",
            track.change.email
        );
        Err(Applied { outcome: None, halt: Some(Failure::new(Exit::Changed, text)) })
    }

    async fn back_up(&self, track: &mut Track<'_>, found: &Found) -> Result<(), Applied> {
        let place = self.stop.race(Arc::clone(&self.places).acquire_owned()).await;
        let Some(Ok(_place)) = place else { return Err(track.interrupted()) };
        if self.stop.is_set() {
            return Err(track.interrupted());
        }
        let made = match self.backups.make(&track.change, found).await {
            Ok(made) => made,
            Err(trouble) => return Err(not_backed_up(track, trouble)),
        };
        let BackedUp { primary, secondary, bytes, missing } = made.clone();
        track.record(What::BackedUp { primary, secondary, bytes, missing }).await?;
        if let Err(trouble) = self.backups.verify(&track.change, &made, found) {
            return Err(not_backed_up(track, trouble));
        }
        track.record(What::Verified).await
    }

    /// Looks at both contacts, together with other pairs.
    async fn look(&self, track: &Track<'_>, busy: &mut Option<Busy>) -> Result<Arc<Found>, Applied> {
        drop(busy.take());
        let asked = self.stop.race(self.looks.ask(track.change.clone())).await;
        *busy = Some(self.activity.begin());
        match asked {
            None => Err(track.interrupted()),
            Some(Err(error)) => Err(track.failed(error.reason(), &error)),
            // A merge that was sent may have taken by now: whatever is seen, only following it up tells.
            Some(Ok(Err(outcome))) if track.change.in_doubt() => {
                let seen = outcome.detail.unwrap_or_default();
                let text = format!("not sent again: {seen}; `resume` finds out its outcome");
                Err(track.ended(State::Unknown, "not-proven", text))
            }
            Some(Ok(Err(outcome))) => Err(track.reported(outcome).into()),
            Some(Ok(Ok(found))) => Ok(found),
        }
    }

    /// Sends the merge, once, if what was seen at this time is not too old by then; else returns why it was not
    /// sent. DevRev may refuse it without having acted on it, for its limit above all: then it is sent later.
    async fn send(&self, track: &mut Track<'_>, read_at: ReadAt) -> Result<Option<ApiError>, Applied> {
        let merge = RevUsersMerge {
            primary_user: track.change.primary.id.clone(),
            secondary_user: track.change.secondary.id.clone(),
        };
        let was_sent_before = track.change.in_doubt();
        let mut waits = Waits::new(&self.pace);
        loop {
            let merging = What::Merging { attempt: track.change.attempts() + 1 };
            let may = || !self.stop.is_set() && read_at.age() <= self.how.max_age;
            let (error, was_announced) = match track.once(&self.sends, &merge, merging, may).await? {
                Sent::Answered(_) => return track.record(What::Acknowledged).await.map(|()| None),
                Sent::Failed(error) => (error, true),
                Sent::Never(error) => (error, false),
            };
            tracing::info!("{}: {error}", track.change.email);
            if was_announced && error.effect == Effect::Unknown {
                // It may have been carried out: only reads will tell.
                return Ok(None);
            }
            if was_announced {
                track.record(What::NotTaken).await?;
            }
            if self.stop.is_set() {
                return Err(track.interrupted());
            }
            match error.kind {
                ErrorKind::Stale => return Ok(Some(error)),
                _ if error.passes_soon() => match waits.wait(&self.stop).await {
                    None => return Err(track.interrupted()),
                    Some(true) => {}
                    Some(false) => return Err(track.failed(MERGE_REFUSED, &error)),
                },
                // Refused perhaps because the one that was sent before took after all.
                _ if was_sent_before => return Ok(None),
                _ => return Err(track.failed(MERGE_REFUSED, &error)),
            }
        }
    }

    /// Follows a merge that was, or may have been, sent until it is known what became of it. One that is not
    /// proven is sent again only if the operator has said so, every read of the whole settle time showed both contacts
    /// untouched, and it was either sent by an earlier process or never acknowledged: DevRev may carry out late what it
    /// has just acknowledged.
    async fn follow(&self, track: &mut Track<'_>, earlier: bool) -> Result<(), Applied> {
        let may_resend = self.how.resend_unproven && (earlier || !track.change.is_acknowledged());
        match self.settled(track).await? {
            Settled::Unproven { untouched: true, .. } if may_resend => {
                self.resend(track).await?;
                match self.settled(track).await? {
                    Settled::Proven(by) => track.record(What::Proven { by }).await,
                    settled => Err(unproven(track, settled, self.how.settle_timeout)),
                }
            }
            Settled::Proven(by) => track.record(What::Proven { by }).await,
            settled => Err(unproven(track, settled, self.how.settle_timeout)),
        }
    }

    async fn settled(&self, track: &Track<'_>) -> Result<Settled, Applied> {
        let before = on_disk(|| Before::read(&track.change));
        let settled =
            settle::settle(&self.reads, &self.stop, &self.pace, &track.change, &before, &self.held).await;
        match settled {
            Settled::Stopped => Err(track.interrupted()),
            Settled::Broken(error) => Err(track.failed("not-proven", &error)),
            settled => Ok(settled),
        }
    }

    /// Sends a merge again of which every read has shown that it did not take: as any other, with backups of what
    /// there is now.
    async fn resend(&self, track: &mut Track<'_>) -> Result<(), Applied> {
        let mut busy = Some(self.activity.begin());
        let seen = self.look(track, &mut busy).await?;
        let ids = [track.change.primary.id.clone(), track.change.secondary.id.clone()];
        let mut belongings = match belongings::all(&self.reads, &ids).await {
            Ok(belongings) => belongings,
            Err(error) => return Err(track.failed("not-proven", &error)),
        };
        let mut shown = |shown: &Shown, id: &str| {
            let belongings = contact_key(id).and_then(|key| belongings.remove(&key)).unwrap_or_default();
            Shown { contact: shown.contact.clone(), belongings }
        };
        let found = Found {
            primary: shown(&seen.primary, &track.change.primary.id),
            secondary: shown(&seen.secondary, &track.change.secondary.id),
            read_at: seen.read_at,
        };
        self.back_up_and_send(track, Arc::new(found), &mut busy).await
    }
}

impl Applier<MergeChange> for Merger {
    async fn apply(&self, change: MergeChange, steps: Steps) -> Applied {
        let mut track = Track::new(change, &steps);
        let (Ok(applied) | Err(applied)) = self.merge(&mut track).await;
        applied
    }
}
