//! A merge, step by step. Each step is on disk before the next is taken, so that whoever resumes knows what may
//! have been sent.

use super::after::After;
use super::backing_up::{BackedUp, Backups};
use super::change::{Change, Found, Shown, Stage, What};
use super::look_again::{look_again, same_contacts, same_works};
use super::questions::{Activity, Busy, Questions};
use super::restored::Made;
use super::settle::{self, Pace, Settled};
use super::track::{Track, not_backed_up, unproven, words};
use crate::devrev::client::Client;
use crate::devrev::error::{Effect, ErrorKind};
use crate::devrev::read_only::ReadOnly;
use crate::devrev::rev_users::RevUsersMerge;
use crate::engine::job::{Applied, Applier, Steps};
use crate::exit::{Exit, Failure};
use crate::jobs::read_at::ReadAt;
use crate::jobs::track::{Sent, Stepwise};
use crate::journal::record::{Outcome, State};
use crate::stop::Stop;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// Pairs in one question.
const PAIRS: usize = 25;
/// How often a pair that is used while it is backed up is backed up anew.
const MOST_BACKUPS: u32 = 3;
/// How often a pair is looked at again because its merge had to wait for longer than the look is good.
const MOST_LOOKS: u32 = 10;

/// How merges are carried out.
#[derive(Debug, Clone)]
pub struct How {
    /// The run's ID.
    pub run: String,
    /// `--backup-dir`.
    pub backup_dir: PathBuf,
    /// Pairs that are backed up at once.
    pub concurrency: usize,
    /// `MERGE_SETTLE_TIMEOUT`.
    pub settle_timeout: Duration,
    /// `MERGE_POLL_DELAY`: before the first read after a merge.
    pub poll_delay: Duration,
    /// How old a look at both contacts may be when their merge is sent.
    pub max_age: Duration,
    /// `--resend-unproven`.
    pub resend_unproven: bool,
    /// `--on-count-mismatch warn`.
    pub any_count: bool,
    /// Contacts that are verified, whatever DevRev shows.
    pub made: Arc<Made>,
}

/// The job's writing half: only a real run has one.
#[derive(Debug)]
pub struct Merger {
    pub(super) client: Client,
    pub(super) reads: ReadOnly,
    pub(super) stop: Stop,
    pub(super) activity: Activity,
    pub(super) pace: Pace,
    how: How,
    backups: Backups,
    places: Arc<Semaphore>,
    looks: Questions<Change, Result<Arc<Found>, Outcome>>,
    after: After,
}

impl Merger {
    /// Merges through this client.
    pub fn new(client: &Client, stop: &Stop, how: How) -> Result<Self, Failure> {
        let reads = client.read_only();
        let storage = client.storage().map_err(|error| Failure::new(Exit::Unexpected, error.to_string()))?;
        let activity = Activity::default();
        let (asking, made) = (reads.clone(), Arc::clone(&how.made));
        let looks = Questions::new(activity.clone(), PAIRS, move |pairs| {
            Box::pin(look_again(asking.clone(), pairs, Arc::clone(&made)))
        });
        Ok(Self {
            client: client.clone(),
            reads: reads.clone(),
            stop: stop.clone(),
            pace: Pace::new(how.poll_delay, how.settle_timeout),
            backups: Backups::new(
                reads.clone(),
                storage,
                how.backup_dir.clone(),
                how.run.clone(),
                how.any_count,
            ),
            places: Arc::new(Semaphore::new(how.concurrency)),
            looks,
            after: After::new(&activity, reads, PAIRS),
            activity,
            how,
        })
    }

    async fn merge(&self, track: &mut Track<'_>) -> Result<Applied, Applied> {
        let mut busy = Some(self.activity.begin());
        let stage = track.change.stage();
        if stage == Stage::Begin {
            // Steps of a process that got no further than its backups.
            track.change.steps.clear();
            self.back_up_and_send(track, &mut busy).await?;
        }
        if matches!(stage, Stage::Begin | Stage::Sent) {
            drop(busy.take());
            // What was read is on disk, and no longer needed.
            track.change.found = None;
            self.follow(track, stage == Stage::Sent).await?;
        }
        let busy = busy.unwrap_or_else(|| self.activity.begin());
        self.after.finish(self, track, busy).await
    }

    /// Backs both contacts up, looks at them once more, and sends the merge.
    async fn back_up_and_send(&self, track: &mut Track<'_>, busy: &mut Option<Busy>) -> Result<(), Applied> {
        let Some(mut found) = track.change.found.clone() else {
            return Err(track.ended(State::Failed, "defect", "a defect: a pair was not looked at"));
        };
        let mut made = 0;
        loop {
            made += 1;
            self.back_up(track, &found).await?;
            let seen = self.look(track, busy).await?;
            if made >= MOST_BACKUPS && !same_works(&found, &seen) {
                let text = format!("works came or went while it was backed up, {made} times");
                return Err(track.ended(State::Failed, "backup-outrun", text));
            }
            if !same_works(&found, &seen) || (made < MOST_BACKUPS && !same_contacts(&found, &seen)) {
                let kept = |old: &Shown, new: &Shown| {
                    let mut kept = new.clone();
                    kept.belongings.conversations.clone_from(&old.belongings.conversations);
                    kept
                };
                found = Arc::new(Found {
                    primary: kept(&found.primary, &seen.primary),
                    secondary: kept(&found.secondary, &seen.secondary),
                    read_at: seen.read_at,
                });
                continue;
            }
            return self.send(track, seen.read_at, busy).await;
        }
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
        let BackedUp { primary, secondary, bytes } = made.clone();
        track.record(What::BackedUp { primary, secondary, bytes }).await?;
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
                let text = format!("not sent again: {seen}; `resume` finds out what became of the merge");
                Err(track.ended(State::Unknown, "not-proven", text))
            }
            Some(Ok(Err(outcome))) => {
                let Outcome { state, reason, detail, .. } = outcome;
                let outcome = Outcome { state, reason, detail, attempts: 0, report: None };
                Err(track.reported(outcome).into())
            }
            Some(Ok(Ok(found))) => Ok(found),
        }
    }

    /// Sends the merge, once, if what was seen is not too old by then.
    async fn send(
        &self,
        track: &mut Track<'_>,
        mut read_at: ReadAt,
        busy: &mut Option<Busy>,
    ) -> Result<(), Applied> {
        let merge = RevUsersMerge {
            primary_user: track.change.primary.id.clone(),
            secondary_user: track.change.secondary.id.clone(),
        };
        let resent = track.change.in_doubt();
        let mut looks = 0;
        loop {
            let merging = What::Merging { attempt: track.change.attempts() + 1 };
            let may = || !self.stop.is_set() && read_at.age() <= self.how.max_age;
            let error = match track.once(&self.client, &merge, merging, may).await? {
                Sent::Answered(_) => return track.record(What::Acknowledged).await,
                Sent::Failed(error) => error,
                Sent::Never(_) if self.stop.is_set() => return Err(track.interrupted()),
                Sent::Never(error) => {
                    looks += 1;
                    if error.kind != ErrorKind::Stale || looks > MOST_LOOKS {
                        return Err(track.failed("merge-refused", &error));
                    }
                    read_at = self.look(track, busy).await?.read_at;
                    continue;
                }
            };
            tracing::info!("{}: {error}", track.change.email);
            if error.effect == Effect::Unknown {
                // It may have been carried out: only reads will tell.
                return Ok(());
            }
            track.record(What::NotTaken).await?;
            if resent {
                // Refused perhaps because the first one took after all.
                return Ok(());
            }
            return Err(track.failed("merge-refused", &error));
        }
    }

    /// Follows a merge that was, or may have been, sent until it is known what became of it. One that is not
    /// proven is sent again only if it was sent by an earlier process, every read of the whole settle time
    /// showed both contacts untouched, and the operator has said so.
    async fn follow(&self, track: &mut Track<'_>, earlier: bool) -> Result<(), Applied> {
        let may_resend = earlier && self.how.resend_unproven;
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
        let before = |folder: Option<&PathBuf>| {
            folder.and_then(|folder| crate::backup::verify::metadata(folder).ok()).unwrap_or_default()
        };
        let backups = track.change.backups();
        let (primary, secondary) =
            (before(backups.map(|(primary, _)| primary)), before(backups.map(|(_, secondary)| secondary)));
        let settled =
            settle::settle(&self.reads, &self.stop, &self.pace, &track.change, (&primary, &secondary)).await;
        match settled {
            Settled::Stopped => Err(track.interrupted()),
            Settled::Broken(error) => Err(track.failed("not-proven", &error)),
            settled => Ok(settled),
        }
    }

    /// Sends a merge that was proven not to have taken. The backups have to be whole still.
    async fn resend(&self, track: &mut Track<'_>) -> Result<(), Applied> {
        let Some((primary, secondary)) = track.change.backups() else {
            let text = "the journal names no backup of this pair, so it is not sent again";
            return Err(track.ended(State::Unknown, "not-proven", text));
        };
        for (folder, side) in [(primary, &track.change.primary), (secondary, &track.change.secondary)] {
            if let Err(trouble) = self.backups.whole(folder, side) {
                let text = format!("not sent again, since its backup is not whole: {}", words(&trouble));
                return Err(track.ended(State::Unknown, "backup-incomplete", text));
            }
        }
        let mut busy = Some(self.activity.begin());
        let read_at = self.look(track, &mut busy).await?.read_at;
        self.send(track, read_at, &mut busy).await
    }
}

impl Applier<Change> for Merger {
    async fn apply(&self, change: Change, steps: Steps) -> Applied {
        let mut track = Track::new(change, &steps);
        let (Ok(applied) | Err(applied)) = self.merge(&mut track).await;
        applied
    }
}
