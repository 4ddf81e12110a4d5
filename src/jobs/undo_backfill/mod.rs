//! Takes a backfill back: an issue gets the creator group that it had before, or none, as far as nobody has
//! changed it since.
//!
//! The writing half is that of the backfill itself; [`rows`] makes the input.

pub(crate) mod command;
pub(crate) mod rows;

use super::backfill_groups::apply::Write;
use super::backfill_groups::lookup::{IssueState, Lookup, Present, Wanted, same_value};
use super::read_at::ReadAt;
use crate::devrev::ids::UserId;
use crate::devrev::read_only::ReadOnly;
use crate::devrev::works::GroupField;
use crate::engine::job::{Asked, Planner, Verdict};
use crate::exit::Failure;
use crate::jobs::failing;
use crate::journal::record::{Outcome, State};
use crate::run::drift::{AS_BEFORE, Plannable};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::collections::HashMap;

/// An issue that the backfill changed.
#[derive(Debug, Clone)]
pub(crate) struct Item {
    /// The issue's number.
    pub number: u64,
    /// The issue's ID as DevRev gave it.
    pub issue: String,
    /// The group that it had before; `None` for none.
    pub before: Option<String>,
    /// The group that the backfill gave it.
    pub after: String,
    /// Who created it, if the backfill knew.
    pub creator: Option<UserId>,
}

/// One issue's creator group, as it is and as it is to be again: what the journal and the plan hold.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct FieldUndo {
    /// The issue's ID as DevRev gave it.
    pub issue: String,
    /// The group that the backfill gave it.
    pub before: String,
    /// The group that it gets back; `None` for none.
    pub after: Option<String>,
    /// When `before` was read. Not written down: another process reads again.
    #[serde(skip, default = "ReadAt::now")]
    pub read_at: ReadAt,
}

impl Plannable for FieldUndo {
    const OTHERWISE: &'static [&'static str] = &["not-found", "issue-differs"];

    fn is_made(_planned: &RawValue, outcome: &Outcome) -> bool {
        outcome.reason.as_deref() == Some(AS_BEFORE)
    }
}

impl From<FieldUndo> for Write {
    fn from(change: FieldUndo) -> Self {
        let FieldUndo { issue, before, after, read_at } = change;
        Self { issue, from: Some(before), to: after, read_at }
    }
}

/// The job's reading and deciding half.
#[derive(Debug)]
pub(crate) struct UndoBackfill {
    lookup: Lookup,
}

impl UndoBackfill {
    /// The job, reading this field through this client.
    pub(crate) fn new(client: ReadOnly, field: GroupField) -> Self {
        Self { lookup: Lookup::new(client, field) }
    }

    /// The present state of every issue. One that a list shows without the backfill's group is read by itself:
    /// lists lag, and the backfill may have ended a moment ago.
    async fn states(&mut self, batch: &[Asked<Item>]) -> Result<HashMap<u64, IssueState>, Failure> {
        let wanted = batch.iter().map(|Asked { item, in_doubt }| {
            let creator = item.creator.as_ref().filter(|_| in_doubt.is_none());
            Wanted::by(item.number, &item.issue, creator)
        });
        let mut states = self.lookup.states(wanted.collect()).await?;
        let again = batch.iter().map(|asked| &asked.item).filter(|item| {
            item.creator.is_some()
                && matches!(states.get(&item.number), Some(IssueState::Present(now)) if !is_ours(item, now))
        });
        let again: Vec<_> = again.map(|item| Wanted::by(item.number, &item.issue, None)).collect();
        if !again.is_empty() {
            states.extend(self.lookup.states(again).await?);
        }
        Ok(states)
    }
}

impl Planner for UndoBackfill {
    type Item = Item;
    type Change = FieldUndo;

    async fn prepare(&mut self, batch: Vec<Asked<Item>>) -> Result<Vec<Verdict<FieldUndo>>, Failure> {
        let mut states = self.states(&batch).await?;
        let verdicts = batch.iter().map(|asked| {
            let state = states.remove(&asked.item.number);
            decide(&asked.item, state, asked.in_doubt.is_some())
        });
        Ok(verdicts.collect())
    }
}

fn is_ours(item: &Item, now: &Present) -> bool {
    same_value(now.group.as_deref(), Some(&item.after))
}

/// Decides about one issue. `in_doubt`: an earlier process may have set it back.
fn decide(item: &Item, state: Option<IssueState>, in_doubt: bool) -> Verdict<FieldUndo> {
    let settled = |state, reason, detail| Verdict::Settled(Outcome::of(state, reason, detail));
    let shown = |group: Option<&str>| group.unwrap_or("none").to_owned();
    let present = match state {
        None => return settled(State::Failed, "defect", "a defect: the issue was not read".to_owned()),
        Some(IssueState::Missing(words)) => return settled(State::Failed, "not-found", words),
        // What was in doubt stays so until a read succeeds.
        Some(IssueState::Unread(error)) if in_doubt => {
            return settled(State::Unknown, "not-confirmed", format!("could not be read: {error}"));
        }
        Some(IssueState::Unread(error)) => return Verdict::Settled(failing::unread(&error)),
        Some(IssueState::Present(present)) => present,
    };
    if !present.id.eq_ignore_ascii_case(&item.issue) {
        let text = format!("the run changed {}, DevRev knows it as {}", item.issue, present.id);
        return settled(State::Failed, "issue-differs", text);
    }
    let now = present.group.as_deref();
    if same_value(now, item.before.as_deref()) {
        if in_doubt {
            return Verdict::Settled(Outcome {
                reason: Some("confirmed-by-reading".into()),
                detail: Some("sent by an earlier process; DevRev shows it".to_owned()),
                ..Outcome::done(1)
            });
        }
        let text = format!("the creator group is {} again", shown(now));
        return settled(State::Already, AS_BEFORE, text);
    }
    if !is_ours(item, &present) {
        let text =
            format!("the run set creator group {}, and since then it became {}", item.after, shown(now));
        return settled(State::Skipped, "changed-since", text);
    }
    Verdict::Change(FieldUndo {
        issue: present.id,
        before: item.after.clone(),
        after: item.before.clone(),
        read_at: present.read_at,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::error::ApiError;

    const ISSUE: &str = "don:core:x:devo/1:issue/5";

    fn item(before: Option<&str>) -> Item {
        let before = before.map(str::to_owned);
        Item { number: 5, issue: ISSUE.to_owned(), before, after: "GROUP-1".to_owned(), creator: None }
    }

    fn present(id: &str, group: Option<&str>) -> IssueState {
        let group = group.map(Into::into);
        let (id, read_at) = (id.to_owned(), ReadAt::now());
        IssueState::Present(Present { id, creator: None, group, read_at })
    }

    fn short(verdict: Verdict<FieldUndo>) -> String {
        match verdict {
            Verdict::Change(change) => format!("to {:?}", change.after.as_deref().unwrap_or("none")),
            Verdict::Settled(outcome) => {
                format!("{} {}", outcome.state.name(), outcome.reason.unwrap_or_default())
            }
        }
    }

    #[test]
    fn only_what_the_run_set_is_taken_back() {
        let ours = Some("don:identity:x:devo/1:group/1");
        let unread = || IssueState::Unread(ApiError::of_answer("no"));
        let cases = [
            (item(None), present(ISSUE, ours), false, "to \"none\""),
            (item(Some("GROUP-2")), present(ISSUE, ours), true, "to \"GROUP-2\""),
            (item(None), present(ISSUE, None), false, "already as-before"),
            (item(None), present(ISSUE, None), true, "done confirmed-by-reading"),
            (item(None), present(ISSUE, Some("GROUP-3")), false, "skipped changed-since"),
            (item(Some("GROUP-2")), present(ISSUE, None), true, "skipped changed-since"),
            (item(None), present("don:core:x:devo/2:issue/5", ours), false, "failed issue-differs"),
            (item(None), IssueState::Missing("404".into()), false, "failed not-found"),
            (item(None), unread(), false, "failed unreadable-answer"),
            (item(None), unread(), true, "unknown not-confirmed"),
        ];
        for (number, (item, state, in_doubt, expected)) in cases.into_iter().enumerate() {
            assert_eq!(short(decide(&item, Some(state), in_doubt)), expected, "case {number}");
        }
    }
}
