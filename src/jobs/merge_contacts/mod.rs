//! Merges duplicate contacts: the same e-mail address, one contact whose external reference begins with `REVU-`,
//! one whose begins with `user_`.
//!
//! A merge cannot be undone. So each goes this way, and nothing is sent before the step before it is on disk:
//!
//! - [`pairing`]: which rows are about two contacts of one person, as [`gather`] [notes](note) them (of the `addresses` asked
//!   for) and `groups` sorts them; [`reason`]: why rows of one address are no [`pair`]; [`kept`]: a row while its
//!   fellow is awaited; `near`: addresses that are nearly the same, as hints
//! - [`look`], [`belongings`]: what DevRev shows of the contacts now, and what hangs on them, read in bulk
//! - [`decide`]: whether they may be merged
//! - [`backing_up`], by [`backups`]: both contacts, with all that hangs on them, onto the disk, and read back; `timelines`: the
//!   greater part of that
//! - [`apply`], by the [`merger`]: the steps in their order, each of them journalled; `gate`: how many pairs begin; [`settle`]: what becomes
//!   of a merge that was sent; [`proof`]: what proves it where the secondary stays; [`after`]: the reference, and the
//!   proof that nothing was lost; [`held`]: what both contacts have by then
//! - [`elsewhere`]: merges of other runs that are in doubt; [`restored`]: contacts that undos have made;
//!   [`questions`]: questions of many pairs, put together
//! - [`command`]: what was typed, and what a run of it has of its own; [`scan`] and [`feed`]: from the input to pairs;
//!   [`plan`]: what a dry run sums up; [`page`]: what `report.html` says of a pair
//! - [`change`]: what the journal holds, `stepwise`, step by step; [`preview`]: what a dry run says; [`report`]: what the report says;
//!   [`relied_on`]: the backups that merges rest on

mod addresses;
pub(crate) mod after;
pub(crate) mod apply;
pub(crate) mod backing_up;
pub(crate) mod backups;
pub(crate) mod belongings;
pub(crate) mod change;
pub(crate) mod command;
pub(crate) mod decide;
pub(crate) mod elsewhere;
pub(crate) mod feed;
mod gate;
pub(crate) mod gather;
mod groups;
pub(crate) mod held;
#[cfg(test)]
pub(crate) mod inputs;
pub(crate) mod kept;
pub(crate) mod look;
mod look_again;
pub(crate) mod merger;
mod near;
pub(crate) mod note;
pub(crate) mod page;
pub(crate) mod pair;
pub(crate) mod pairing;
pub(crate) mod plan;
pub(crate) mod preview;
pub(crate) mod proof;
pub(crate) mod questions;
pub(crate) mod reason;
pub(crate) mod relied_on;
pub(crate) mod report;
pub(crate) mod restored;
pub(crate) mod scan;
pub(crate) mod settle;
mod stepwise;
mod timelines;
pub(crate) mod track;

use crate::cli::choices::{Keep, OnCountMismatch};
use crate::devrev::ids::{Key, RevUserId};
use crate::devrev::read_only::ReadOnly;
use crate::devrev::rev_users::contact_key;
use crate::devrev::whole::Whole;
use crate::engine::job::{Asked, Planner, Verdict};
use crate::exit::Failure;
use crate::jobs;
use crate::jobs::failing;
use crate::jobs::read_at::ReadAt;
use crate::journal::record::{Outcome, State};
use crate::net::error::ApiError;
use crate::net::queue::Urgency;
use belongings::Belongings;
use change::{Found, MergeChange, Shown, Side, Stage};
use pair::{Contact, Pair};
use preview::Sampler;
use std::collections::HashMap;
use std::sync::Arc;

/// What decisions rest on besides the pair and what DevRev shows.
#[derive(Debug, Clone)]
pub(crate) struct Rules {
    /// `--primary`: which contact stays.
    pub keep: Keep,
    /// `--on-count-mismatch`.
    pub on_count_mismatch: OnCountMismatch,
    /// Contacts that another run may have merged away, without having seen what became of it: the run.
    pub elsewhere: elsewhere::Elsewhere,
    /// Contacts that are verified, whatever DevRev shows.
    pub made: Arc<restored::Made>,
    /// Whether to say what each merge would take.
    pub preview: bool,
}

/// The job's reading and deciding half.
#[derive(Debug)]
pub(crate) struct MergeContacts {
    client: ReadOnly,
    rules: Rules,
    sampler: Sampler,
    /// Whether it was said that the input counts otherwise.
    is_warned_of_counts: bool,
}

impl MergeContacts {
    /// The job with its rules, reading through this client.
    pub(crate) fn new(client: &ReadOnly, rules: Rules) -> Self {
        // Pairs that are under way go before those that are only looked at.
        let client = client.urgent(Urgency::Ahead);
        Self { client, rules, sampler: Sampler::default(), is_warned_of_counts: false }
    }

    /// Looks at pairs of which nothing was sent.
    async fn look(&mut self, pairs: &[Pair]) -> Result<Vec<Verdict<MergeChange>>, Failure> {
        let read_at = ReadAt::now();
        let wanted: Vec<_> = pairs.iter().flat_map(|pair| [&pair.primary, &pair.secondary]).collect();
        let seen = look::contacts(&self.client, &wanted)
            .await
            .map_err(|error| failing::needed(&error, "cannot read the contacts"))?;
        let mut decided = Vec::with_capacity(pairs.len());
        for pair in pairs {
            let of = |id: &RevUserId| seen.get(&id.key());
            decided.push(self.may(pair).and_then(|()| {
                decide::both(pair, of(&pair.primary.id), of(&pair.secondary.id), &self.rules.made)
            }));
        }
        let ids: Vec<String> = decided
            .iter()
            .flatten()
            .flat_map(|(primary, secondary)| [primary.read.id.clone(), secondary.read.id.clone()])
            .collect();
        let mut belongings = Together::read(&self.client, &ids).await?;
        let mut verdicts = Vec::with_capacity(pairs.len());
        for (pair, decided) in pairs.iter().zip(decided) {
            let verdict = match decided {
                Err(outcome) => Verdict::Settled(outcome),
                Ok((primary, secondary)) => {
                    let kept =
                        |contact: &Whole<_>, belongings| Shown { contact: contact.clone(), belongings };
                    let primary_has = belongings.take(&self.client, &primary.read.id).await?;
                    let secondary_has = belongings.take(&self.client, &secondary.read.id).await?;
                    match (primary_has, secondary_has) {
                        (Err(error), _) | (_, Err(error)) => Verdict::Settled(failing::unread(&error)),
                        (Ok(first), Ok(second)) => {
                            let (primary, secondary) = (kept(primary, first), kept(secondary, second));
                            self.verdict(pair, Found { primary, secondary, read_at }).await?
                        }
                    }
                }
            };
            verdicts.push(match verdict {
                Verdict::Settled(outcome) => Verdict::Settled(report::rows(pair, outcome)),
                change @ Verdict::Change(_) => change,
            });
        }
        Ok(verdicts)
    }

    /// Whether this run may touch a pair at all.
    fn may(&self, pair: &Pair) -> Result<(), Outcome> {
        for contact in [&pair.primary, &pair.secondary] {
            if let Some(run) = self.rules.elsewhere.get(&contact.id.key()) {
                let text = format!(
                    "run {run} may have sent a merge of {}, and does not know its outcome: resume that run",
                    contact.id
                );
                return Err(Outcome::of(State::Failed, "in-doubt-elsewhere", text));
            }
        }
        Ok(())
    }

    /// Says how a row's count differs from DevRev's, and whether the file seems to count otherwise.
    fn count_differs(&mut self, row: &Contact, shown: &Shown) -> String {
        let tickets = shown.belongings.tickets();
        let [created, owned, reported] = shown.by_role();
        let greatest = created.max(owned).max(reported);
        let otherwise = if row.tickets == greatest {
            if !std::mem::replace(&mut self.is_warned_of_counts, true) {
                tracing::warn!(
                    "TICKET_COUNT seems to be the greatest of owned, created and reported works, issues included: \
                        rows fail \
                     where that is not the number of tickets"
                );
            }
            "; the file seems to count the greatest of these three"
        } else {
            ""
        };
        format!(
            "{}: TICKET_COUNT is {}, and DevRev shows {tickets} tickets that it owns, created or reported, each \
                counted \
             once. Of tickets and issues it owns {owned}, created {created} and reported {reported}{otherwise} \
             (--on-count-mismatch warn merges all the same)",
            row.id, row.tickets
        )
    }

    /// The last questions, once all is read.
    async fn verdict(&mut self, pair: &Pair, found: Found) -> Result<Verdict<MergeChange>, Failure> {
        for (row, kept) in [(&pair.primary, &found.primary), (&pair.secondary, &found.secondary)] {
            let tickets = kept.belongings.tickets();
            if row.tickets != tickets {
                let text = self.count_differs(row, kept);
                match self.rules.on_count_mismatch {
                    OnCountMismatch::Fail => {
                        return Ok(Verdict::Settled(Outcome::of(State::Failed, COUNT_DIFFERS, text)));
                    }
                    OnCountMismatch::Warn => tracing::warn!("{text}"),
                }
            }
        }
        let preview = if self.rules.preview {
            match self.sampler.preview(&self.client, &found).await {
                Ok(preview) => Some(preview),
                Err(error) => match failing::ends_run(&error) {
                    Some(failure) => return Err(failure),
                    None => return Ok(Verdict::Settled(failing::unread(&error))),
                },
            }
        } else {
            None
        };
        let new_ref = match self.rules.keep {
            Keep::Revu => found.secondary.contact.read.external_ref.clone(),
            Keep::User => None,
        };
        Ok(Verdict::Change(MergeChange {
            email: pair.email.clone(),
            primary: Side::of(&pair.primary, &found.primary),
            secondary: Side::of(&pair.secondary, &found.secondary),
            new_ref,
            preview,
            steps: Vec::new(),
            found: Some(Arc::new(found)),
            after: None,
            secondary_after: None,
        }))
    }
}

/// The command whose runs send merges. Other runs are told by it: see [`elsewhere`].
pub(crate) const COMMAND: &str = "merge-contacts";
/// The command that takes merges back.
pub(crate) const UNDO: &str = "undo-merge";

/// The reason of a pair whose ticket counts differ.
pub(crate) const COUNT_DIFFERS: &str = "ticket-count-differs";

/// What hangs on many contacts, read together, or one by one where that fails.
struct Together(Option<HashMap<Key, Belongings>>);

impl Together {
    async fn read(client: &ReadOnly, ids: &[String]) -> Result<Self, Failure> {
        if ids.is_empty() {
            return Ok(Self(Some(HashMap::new())));
        }
        match belongings::all(client, ids).await {
            Ok(found) => Ok(Self(Some(found))),
            Err(error) => {
                if let Some(failure) = failing::ends_run(&error) {
                    return Err(failure);
                }
                tracing::warn!("reading what hangs on each contact alone: {error}");
                Ok(Self(None))
            }
        }
    }

    async fn take(&mut self, client: &ReadOnly, id: &str) -> Result<Result<Belongings, ApiError>, Failure> {
        let key = contact_key(id);
        if let (Some(found), Some(key)) = (&mut self.0, &key)
            && let Some(belongings) = found.remove(key)
        {
            return Ok(Ok(belongings));
        }
        match belongings::all(client, &[id.to_owned()]).await {
            Ok(found) => Ok(Ok(found.into_values().next().unwrap_or_default())),
            Err(error) => match failing::ends_run(&error) {
                Some(failure) => Err(failure),
                None => Ok(Err(error)),
            },
        }
    }
}

impl Planner for MergeContacts {
    type Item = Pair;
    type Change = MergeChange;

    async fn prepare(&mut self, batch: Vec<Asked<Pair>>) -> Result<Vec<Verdict<MergeChange>>, Failure> {
        let mut verdicts: Vec<Option<Verdict<MergeChange>>> = Vec::with_capacity(batch.len());
        let mut fresh = Vec::new();
        for Asked { item, in_doubt } in batch {
            verdicts.push(match in_doubt.as_ref().map(jobs::track::meant::<MergeChange>) {
                Some(Err(error)) => Some(Verdict::Settled(jobs::track::unreadable(&error))),
                // What was sent is followed up, whatever DevRev shows of it by now.
                Some(Ok(Some(change))) if change.stage() != Stage::Begin => Some(Verdict::Change(change)),
                Some(Ok(None)) => {
                    let text = "the journal does not say what was meant for this pair";
                    Some(Verdict::Settled(Outcome::of(State::Unknown, "journal-unreadable", text)))
                }
                Some(Ok(Some(_))) | None => {
                    fresh.push(item);
                    None
                }
            });
        }
        let mut looked = if fresh.is_empty() { Vec::new() } else { self.look(&fresh).await? }.into_iter();
        Ok(verdicts.into_iter().filter_map(|verdict| verdict.or_else(|| looked.next())).collect())
    }
}
