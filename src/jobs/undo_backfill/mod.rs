//! Takes a backfill back: an issue gets the creator group that it had before, or none, as far as nobody has
//! changed it since.
//!
//! How an issue is read, what takes a value back and how it is written is what it is in [`super::undo_update`]; [`rows`]
//! makes the input.

pub(crate) mod command;
pub(crate) mod rows;

use super::backfill_groups::apply::Write;
use super::backfill_groups::field;
use super::read_at::ReadAt;
use super::undo_update::back;
use super::update_fields::decide::confirmed;
use super::update_fields::lookup::{Extent, Found, Lookup, Present, Wanted};
use crate::devrev::ids::{Key, UserId};
use crate::devrev::objects::Field;
use crate::devrev::read_only::ReadOnly;
use crate::engine::job::{Asked, Planner, Verdict};
use crate::exit::Failure;
use crate::journal::record::{Outcome, State};
use crate::run::drift::{AS_BEFORE, Plannable};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use std::collections::HashMap;

/// An issue that the backfill changed.
#[derive(Debug, Clone)]
pub(crate) struct Item {
    /// The same for both forms of its ID.
    pub key: Key,
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
    field: Field,
}

impl UndoBackfill {
    /// The job, reading this field through this client.
    pub(crate) fn new(client: ReadOnly, field: Field) -> Self {
        let lookup = Lookup::new(client, field::object(), vec![field.clone()], Extent::default());
        Self { lookup, field }
    }

    /// The present state of every issue. One that a list shows without the backfill's group is read by itself:
    /// lists lag, and the backfill may have ended a moment ago.
    async fn states(&mut self, batch: &[Asked<Item>]) -> Result<HashMap<Key, Found>, Failure> {
        let wanted = batch.iter().map(|Asked { item, in_doubt }| {
            let creator = item.creator.as_ref().filter(|_| in_doubt.is_none());
            Wanted::by_creator(item.key.clone(), &item.issue, creator)
        });
        let mut states = self.lookup.states(wanted.collect()).await?;
        let again = batch.iter().map(|asked| &asked.item).filter(|item| {
            let state = states.get(&item.key);
            matches!(state, Some(Found::Present(now)) if now.is_listed && !is_ours(&self.field, item, now))
        });
        let again: Vec<_> = again.map(|item| (item.issue.clone(), true)).collect();
        if !again.is_empty() {
            states.extend(self.lookup.by_id(again).await?);
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
            let state = states.remove(&asked.item.key);
            decide(&self.field, &asked.item, state, asked.in_doubt.is_some())
        });
        Ok(verdicts.collect())
    }
}

fn now(present: &Present) -> &Value {
    present.values.first().unwrap_or(&Value::Null)
}

fn is_ours(field: &Field, item: &Item, present: &Present) -> bool {
    let made = field::change(item.before.as_deref(), Some(&item.after));
    made.is_made(&field.kind, now(present))
}

/// Decides about one issue. `in_doubt`: an earlier process may have set it back.
fn decide(field: &Field, item: &Item, state: Option<Found>, in_doubt: bool) -> Verdict<FieldUndo> {
    let settled = |state, reason, detail: String| Verdict::Settled(Outcome::of(state, reason, detail));
    let present = match Found::present(state, in_doubt) {
        Ok(present) => present,
        Err(outcome) => return Verdict::Settled(outcome),
    };
    if !present.id.eq_ignore_ascii_case(&item.issue) {
        let text = format!("the run changed {}, DevRev knows it as {}", item.issue, present.id);
        return settled(State::Failed, "issue-differs", text);
    }
    let shown = field::group(now(&present)).unwrap_or("none".to_owned());
    let made = field::change(item.before.as_deref(), Some(&item.after));
    match back(field, &made, now(&present)) {
        Ok(None) if in_doubt => Verdict::Settled(confirmed()),
        Ok(None) => settled(State::Already, AS_BEFORE, format!("the creator group is {shown} again")),
        Err(_) => {
            let text = format!("the run set creator group {}, and since then it became {shown}", item.after);
            settled(State::Skipped, "changed-since", text)
        }
        Ok(Some(_)) => Verdict::Change(FieldUndo {
            issue: present.id,
            before: item.after.clone(),
            after: item.before.clone(),
            read_at: present.read_at,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::devrev::ids::{Issue, Names, Ref};
    use crate::net::error::ApiError;

    const ISSUE: &str = "don:core:x:devo/1:issue/5";

    fn item(before: Option<&str>) -> Item {
        let before = before.map(str::to_owned);
        let key = Ref::parse(ISSUE, Issue::TYPES).unwrap().key();
        Item { key, issue: ISSUE.to_owned(), before, after: "GROUP-1".to_owned(), creator: None }
    }

    fn present(id: &str, group: Option<&str>) -> Found {
        Found::Present(Present {
            id: id.to_owned(),
            shown: "ISS-5".to_owned(),
            subtype: None,
            creator: None,
            values: vec![group.into()],
            read_at: ReadAt::now(),
            is_listed: false,
        })
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
        let unread = || Found::Unread(ApiError::of_answer("no"));
        let cases = [
            (item(None), present(ISSUE, ours), false, "to \"none\""),
            (item(Some("GROUP-2")), present(ISSUE, ours), true, "to \"GROUP-2\""),
            (item(None), present(ISSUE, None), false, "already as-before"),
            (item(None), present(ISSUE, None), true, "done confirmed-by-reading"),
            (item(None), present(ISSUE, Some("GROUP-3")), false, "skipped changed-since"),
            (item(Some("GROUP-2")), present(ISSUE, None), true, "skipped changed-since"),
            (item(None), present("don:core:x:devo/2:issue/5", ours), false, "failed issue-differs"),
            (item(None), Found::Missing("404".into()), false, "failed not-found"),
            (item(None), unread(), false, "failed unreadable-answer"),
            (item(None), unread(), true, "unknown not-confirmed"),
        ];
        for (number, (item, state, in_doubt, expected)) in cases.into_iter().enumerate() {
            assert_eq!(
                short(decide(&field::named("tnt__creator_group"), &item, Some(state), in_doubt)),
                expected,
                "case {number}"
            );
        }
    }
}
