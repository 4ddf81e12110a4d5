//! Fills in creator groups: an issue gets the group that its creator belongs to.
//!
//! - [`membership`]: who is in which groups, read once and kept on disk
//! - [`field`]: the field, and whether there is such a field to write
//! - [`group_map`]: the operator's own word on a user's group
//! - [`decide`]: from all that to a change, or a reason for none
//! - [`apply`]: the change
//!
//! The rest is that of any update ([`super::update_fields`]): the lookup of the issues, the write, its proof.

pub(crate) mod apply;
pub(crate) mod command;
pub(crate) mod decide;
pub(crate) mod feed;
pub(crate) mod field;
pub(crate) mod field_check;
pub(crate) mod group_map;
pub(crate) mod membership;
pub(crate) mod plan;
pub(crate) mod scan;

use crate::devrev::dev_users::DevUsersGet;
use crate::devrev::ids::{GroupId, IssueId, Key, ObjectType, UserId};
use crate::devrev::objects::Field;
use crate::devrev::read_only::ReadOnly;
use crate::engine::job::{Asked, Planner, Verdict};
use crate::exit::Failure;
use crate::jobs::failing;
use crate::jobs::read_at::ReadAt;
use crate::jobs::track;
use crate::jobs::update_fields::lookup::{Extent, Lookup, Wanted};
use crate::journal::record::{Outcome, State};
use crate::net::error::ErrorKind;
use crate::run::drift::Plannable;
use decide::{Decision, Rules};
use membership::same_group;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::collections::HashMap;

/// What a row asks for.
#[derive(Debug, Clone)]
pub(crate) struct Item {
    /// The issue.
    pub issue: IssueId,
    /// Who created it, as the row says.
    pub creator: UserId,
    /// The group that it is assigned to, as the row says.
    pub assigned_group: GroupId,
    /// The creator group that the row already names.
    pub creator_group: Option<GroupId>,
}

/// One issue's creator group, before and after: what the journal and the plan hold.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct FieldChange {
    /// The issue's ID as DevRev gave it.
    pub issue: String,
    /// The group that it held when it was read; `None` for none.
    pub before: Option<String>,
    /// The group that it gets.
    pub after: String,
    /// That group's name, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after_name: Option<String>,
    /// Who created the issue, if DevRev says: by it, issues are found many at a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub creator: Option<String>,
    /// When `before` was read. Not written down: another process reads again.
    #[serde(skip, default = "ReadAt::now")]
    pub read_at: ReadAt,
}

/// What the outcome of an issue that has a group already says of it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct FoundGroup {
    /// The group's ID.
    pub(super) group: String,
}

impl Plannable for FieldChange {
    const PASSING: &'static [&'static str] = &["after_name", "creator"];
    const OTHERWISE: &'static [&'static str] = &["not-found", "issue-differs", "creator-not-found"];

    fn is_made(planned: &RawValue, outcome: &Outcome) -> bool {
        let planned = serde_json::from_str::<Self>(planned.get()).ok();
        let found =
            outcome.report.as_ref().and_then(|report| serde_json::from_str::<FoundGroup>(report.get()).ok());
        planned.zip(found).is_some_and(|(planned, found)| same_group(&found.group, &planned.after))
    }
}

/// The job's reading and deciding half.
#[derive(Debug)]
pub(crate) struct BackfillGroups {
    client: ReadOnly,
    lookup: Lookup,
    rules: Rules,
    /// Creators of whom DevRev was asked whether they exist: what it said if not.
    missing_users: HashMap<Key, Option<String>>,
}

/// Users whose existence is remembered; more are asked about again.
const MOST_REMEMBERED_USERS: usize = 100_000;

impl BackfillGroups {
    /// The job with its rules, reading through this client.
    pub(crate) fn new(client: ReadOnly, field: Field, rules: Rules) -> Self {
        let lookup = Lookup::new(client.clone(), field::object(), vec![field], Extent::default());
        Self { client, lookup, rules, missing_users: HashMap::new() }
    }

    /// What DevRev says of a user who does not exist; `None` for one who does.
    async fn missing(&mut self, user: &UserId) -> Result<Option<String>, Failure> {
        let key = user.key();
        if self.rules.membership.knows(&key) || key.object() != ObjectType::DevUser {
            return Ok(None);
        }
        if let Some(known) = self.missing_users.get(&key) {
            return Ok(known.clone());
        }
        let missing = match self.client.call(&DevUsersGet { id: user.as_str().to_owned() }).await {
            Ok(_) => None,
            Err(error) if error.kind == ErrorKind::NotFound => Some(error.to_string()),
            Err(error) => match failing::ends_run(&error) {
                Some(failure) => return Err(failure),
                // Whether the user exists stays open; the row is not written either way.
                None => return Ok(None),
            },
        };
        if self.missing_users.len() < MOST_REMEMBERED_USERS {
            self.missing_users.insert(key, missing.clone());
        }
        Ok(missing)
    }
}

impl Planner for BackfillGroups {
    type Item = Item;
    type Change = FieldChange;

    async fn prepare(&mut self, batch: Vec<Asked<Item>>) -> Result<Vec<Verdict<FieldChange>>, Failure> {
        let wanted =
            batch.iter().filter(|asked| self.rules.needs_reading(&asked.item, asked.in_doubt.is_some()));
        let wanted = wanted.map(|Asked { item, in_doubt }| {
            // Of one in doubt, which may have been written a moment ago, only its own read tells.
            let creator = Some(&item.creator).filter(|_| in_doubt.is_none());
            Wanted::by_creator(item.issue.key(), item.issue.as_str(), creator)
        });
        let states = self.lookup.states(wanted.collect()).await?;
        let mut verdicts = Vec::with_capacity(batch.len());
        for asked in &batch {
            let in_doubt = match track::sent(asked.in_doubt.as_ref()) {
                Ok(in_doubt) => in_doubt,
                Err(outcome) => {
                    verdicts.push(Verdict::Settled(outcome));
                    continue;
                }
            };
            let state = states.get(&asked.item.issue.key()).cloned();
            let verdict = match self.rules.decide(&asked.item, state, in_doubt.as_ref()) {
                Decision::Verdict(verdict) => verdict,
                Decision::UnlessMissing(outcome) => {
                    Verdict::Settled(match self.missing(&asked.item.creator).await? {
                        Some(words) => Outcome::of(State::Failed, "creator-not-found", words),
                        None => outcome,
                    })
                }
            };
            verdicts.push(verdict);
        }
        Ok(verdicts)
    }
}
