//! From a row, the issue's present state and the memberships to a change, or to the reason for none.

use super::group_map::GroupMap;
use super::membership::{GroupRef, Membership, same_group};
use super::{FieldChange, FoundGroup, Item, field};
use crate::cli::choices::OnAmbiguous;
use crate::devrev::ids::{GroupId, Issue, Key, Names};
use crate::engine::job::Verdict;
use crate::jobs::update_fields::decide::confirmed;
use crate::jobs::update_fields::lookup::{Found, Present};
use crate::journal::record::{Outcome, State};
use serde_json::value::to_raw_value;
use std::sync::Arc;

/// All that a decision rests on besides the row and the issue.
#[derive(Debug, Clone)]
pub(crate) struct Rules {
    /// Who is in which groups.
    pub membership: Arc<Membership>,
    /// The operator's own word, which goes before the memberships.
    pub group_map: GroupMap,
    /// `--on-ambiguous`.
    pub on_ambiguous: OnAmbiguous,
    /// `--overwrite`: an issue that has a group may get another.
    pub overwrite: bool,
}

/// A decision, or the one thing that is still to be asked.
#[derive(Debug)]
pub(crate) enum Decision {
    /// Decided.
    Verdict(Verdict<FieldChange>),
    /// This is the outcome, unless the row's creator does not exist at all: DevRev names another one for the
    /// issue, or none.
    UnlessMissing(Outcome),
}

impl Rules {
    /// Whether DevRev has to be asked about this row's issue.
    pub(crate) fn needs_reading(&self, item: &Item, in_doubt: bool) -> bool {
        item.creator_group.is_none() || self.overwrite || in_doubt
    }

    /// Decides about one row. `in_doubt` is a change that an earlier process meant to make and of which it
    /// is not known whether it was made.
    pub(crate) fn decide(
        &self,
        item: &Item,
        state: Option<Found>,
        in_doubt: Option<&FieldChange>,
    ) -> Decision {
        let settled = |state, reason, detail: String| {
            Decision::Verdict(Verdict::Settled(Outcome::of(state, reason, detail)))
        };
        if state.is_none() {
            let group = item.creator_group.as_ref().map_or("", GroupId::as_str);
            return settled(State::Already, "set-in-row", format!("the row names creator group {group}"));
        }
        let present = match Found::present(state, in_doubt.is_some()) {
            Ok(present) => present,
            Err(outcome) => return Decision::Verdict(Verdict::Settled(outcome)),
        };
        if !present.is_named(item.issue.as_str(), Issue::TYPES) {
            // Above all a DON of another organisation, whose issues have the same numbers.
            let text = format!("the row says {}, DevRev knows it as {}", item.issue, present.id);
            return settled(State::Failed, "issue-differs", text);
        }
        let group_now = present.values.first().and_then(field::group);
        let group_now = group_now.as_deref();
        if let Some(change) = in_doubt
            && group_now.is_some_and(|now| same_group(now, &change.after))
        {
            return Decision::Verdict(Verdict::Settled(confirmed()));
        }
        if let Some(now) = group_now
            && !self.overwrite
        {
            return already(now, &self.named(now));
        }
        if let Some(creator) = &present.creator
            && *creator != item.creator.key()
        {
            let text = format!("the row says {}, DevRev says {creator}", item.creator);
            return Decision::UnlessMissing(Outcome::of(State::Skipped, "creator-differs", text));
        }
        match self.group_of(item) {
            Err(outcome) if present.creator.is_none() => Decision::UnlessMissing(outcome),
            Err(outcome) => Decision::Verdict(Verdict::Settled(outcome)),
            Ok(group) if group_now.is_some_and(|now| same_group(now, &group.id)) => {
                already(&group.id, &group.named())
            }
            Ok(group) => Decision::Verdict(Verdict::Change(change(&present, group_now, group))),
        }
    }

    /// The group that the row's creator belongs to, or why there is not one.
    fn group_of(&self, item: &Item) -> Result<GroupRef, Outcome> {
        let creator = item.creator.key();
        if let Some(group) = self.group_map.group_of(&creator) {
            return Ok(group.clone());
        }
        let skipped = |reason, detail| Err(Outcome::of(State::Skipped, reason, detail));
        match self.membership.groups_of(&creator).as_slice() {
            [] => {
                let some = self.membership.left_out().len();
                let but = if some > 0 { "; default groups do not count" } else { "" };
                skipped("creator-in-no-group", format!("{creator} is in no group{but}"))
            }
            [group] => Ok((*group).clone()),
            several => {
                let assigned = item.assigned_group.key();
                let chosen = match self.on_ambiguous {
                    OnAmbiguous::Skip => None,
                    OnAmbiguous::First => several.first(),
                    OnAmbiguous::Assigned => {
                        several.iter().find(|group| group.key().as_ref() == Some(&assigned))
                    }
                };
                match chosen {
                    Some(group) => Ok((*group).clone()),
                    None => skipped("ambiguous-creator", candidates(&creator, several)),
                }
            }
        }
    }

    fn named(&self, group: &str) -> String {
        let known = GroupId::parse(group).ok().and_then(|id| self.membership.group(&id.key()));
        known.map_or_else(|| group.to_owned(), GroupRef::named)
    }
}

fn candidates(creator: &Key, groups: &[&GroupRef]) -> String {
    const SHOWN: usize = 10;
    let names: Vec<_> = groups.iter().take(SHOWN).map(|group| group.named()).collect();
    let more = if groups.len() > SHOWN { ", ..." } else { "" };
    format!("{creator} is in {} groups: {}{more}", groups.len(), names.join(", "))
}

fn change(present: &Present, before: Option<&str>, group: GroupRef) -> FieldChange {
    FieldChange {
        issue: present.id.clone(),
        before: before.map(str::to_owned),
        after: group.id,
        after_name: group.name,
        creator: present.creator.as_ref().map(Key::to_string),
        read_at: present.read_at,
    }
}

/// It has a group: which, by its ID, and as people know it.
fn already(id: &str, named: &str) -> Decision {
    let found = FoundGroup { group: id.to_owned() };
    let outcome = Outcome::of(State::Already, "set-in-devrev", format!("creator group is {named}"));
    Decision::Verdict(Verdict::Settled(outcome.reported(to_raw_value(&found).ok())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::devrev::ids::{IssueId, UserId};
    use crate::jobs::read_at::ReadAt;

    fn rules(on_ambiguous: OnAmbiguous, overwrite: bool) -> Rules {
        let group = |number: u32, name: &str, members: &[&str]| {
            let group = GroupRef {
                id: format!("don:identity:x:devo/1:group/{number}"),
                display_id: Some(format!("GROUP-{number}")),
                name: Some(name.to_owned()),
            };
            (group, members.iter().map(|user| UserId::parse(user).unwrap().key()).collect())
        };
        let membership = Membership::new(vec![
            group(1, "Billing", &["DEVU-1", "DEVU-2"]),
            group(2, "Search", &["DEVU-2"]),
        ]);
        Rules { membership: Arc::new(membership), group_map: GroupMap::default(), on_ambiguous, overwrite }
    }

    fn item(creator: &str, filled: Option<&str>) -> Item {
        Item {
            issue: IssueId::parse("ISS-5").unwrap(),
            creator: UserId::parse(creator).unwrap(),
            assigned_group: GroupId::parse("GROUP-2").unwrap(),
            creator_group: filled.map(|group| GroupId::parse(group).unwrap()),
        }
    }

    #[allow(clippy::unnecessary_wraps)] // as `decide` takes it
    fn present(creator: &str, group: Option<&str>) -> Option<Found> {
        Some(Found::Present(Present {
            id: "don:core:x:devo/1:issue/5".to_owned(),
            shown: "ISS-5".to_owned(),
            subtype: None,
            creator: Some(UserId::parse(creator).unwrap().key()),
            values: vec![group.into()],
            read_at: ReadAt::now(),
            is_listed: true,
        }))
    }

    /// The decision in short: the change's group, or state and reason.
    fn short(decision: Decision) -> String {
        match decision {
            Decision::Verdict(Verdict::Change(change)) => format!("to {}", change.after),
            Decision::Verdict(Verdict::Settled(outcome)) | Decision::UnlessMissing(outcome) => {
                format!("{} {}", outcome.state.name(), outcome.reason.unwrap_or_default())
            }
        }
    }

    #[test]
    fn an_issue_of_another_organisation_or_number_is_not_touched() {
        let rules = rules(OnAmbiguous::Skip, true);
        let mut item = item("DEVU-1", None);
        for (issue, fits) in [
            ("ISS-5", true),
            ("iss-5", true),
            ("don:core:x:devo/1:issue/5", true),
            ("don:core:x:devo/2:issue/5", false),
        ] {
            item.issue = IssueId::parse(issue).unwrap();
            let verdict = short(rules.decide(&item, present("DEVU-1", None), None));
            assert_eq!(verdict != "failed issue-differs", fits, "{issue}: {verdict}");
        }
        item.issue = IssueId::parse("ISS-6").unwrap();
        assert_eq!(short(rules.decide(&item, present("DEVU-1", None), None)), "failed issue-differs");
    }

    #[test]
    fn each_situation_has_its_verdict() {
        use OnAmbiguous::{Assigned, First, Skip};
        let first = "to don:identity:x:devo/1:group/1";
        let second = "to don:identity:x:devo/1:group/2";
        let cases = [
            (Skip, false, item("DEVU-1", None), present("DEVU-1", None), first),
            (Skip, false, item("DEVU-2", None), present("DEVU-2", None), "skipped ambiguous-creator"),
            (First, false, item("DEVU-2", None), present("DEVU-2", None), first),
            (Assigned, false, item("DEVU-2", None), present("DEVU-2", None), second),
            (Assigned, false, item("DEVU-1", None), present("DEVU-1", None), first),
            (Skip, false, item("DEVU-3", None), present("DEVU-3", None), "skipped creator-in-no-group"),
            (Skip, false, item("DEVU-1", None), present("DEVU-1", Some("GROUP-2")), "already set-in-devrev"),
            (Skip, true, item("DEVU-1", None), present("DEVU-1", Some("GROUP-2")), first),
            (Skip, true, item("DEVU-1", None), present("DEVU-1", Some("GROUP-1")), "already set-in-devrev"),
            (Skip, false, item("DEVU-1", Some("GROUP-1")), None, "already set-in-row"),
            (Skip, true, item("DEVU-1", Some("GROUP-1")), present("DEVU-1", None), first),
            (Skip, false, item("DEVU-1", None), present("DEVU-2", None), "skipped creator-differs"),
            (Skip, false, item("DEVU-1", None), Some(Found::Missing("404".into())), "failed not-found"),
        ];
        for (number, (on_ambiguous, overwrite, item, state, expected)) in cases.into_iter().enumerate() {
            let decision = rules(on_ambiguous, overwrite).decide(&item, state, None);
            assert_eq!(short(decision), expected, "case {number}");
        }
    }

    #[test]
    fn a_change_in_doubt_is_done_only_if_devrev_shows_it() {
        let change = FieldChange {
            issue: "ISS-5".to_owned(),
            before: None,
            after: "GROUP-1".to_owned(),
            after_name: None,
            creator: None,
            read_at: ReadAt::now(),
        };
        let decide = |group| {
            let item = item("DEVU-1", None);
            short(rules(OnAmbiguous::Skip, false).decide(&item, present("DEVU-1", group), Some(&change)))
        };
        assert_eq!(decide(Some("don:identity:x:devo/1:group/1")), "done confirmed-by-reading");
        assert_eq!(decide(None), "to don:identity:x:devo/1:group/1");
        assert_eq!(decide(Some("GROUP-2")), "already set-in-devrev");
    }
}
