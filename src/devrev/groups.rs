//! `groups.*`: the groups of an organisation and who is in each.

use super::operation::{Operation, Safety};
use super::pages::{self, List, PAGE_LIMIT, list_endpoint};
use super::users::UserSummary;
use crate::net::lenient;
use serde::{Deserialize, Deserializer, Serialize};

/// `groups.list`: groups whose members are of these types. Default groups are listed too: how many there are is reported,
/// and `--group-map` may name one.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct GroupsList {
    member_type: &'static [&'static str],
    limit: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<String>,
}

impl GroupsList {
    /// The groups of dev users, and those of contacts only if they are asked for.
    pub(crate) fn of_members(contacts: bool) -> Self {
        let member_type: &[_] = if contacts { &["dev_user", "rev_user"] } else { &["dev_user"] };
        Self { member_type, limit: PAGE_LIMIT, cursor: None }
    }
}

/// A group.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Group {
    /// The group's DON.
    pub id: String,
    /// The group's display ID.
    #[serde(default, deserialize_with = "lenient::word")]
    pub display_id: Option<String>,
    /// The group's name.
    #[serde(default, deserialize_with = "lenient::word")]
    pub name: Option<String>,
    /// Whether every workspace has it, such as `All Users`. Required by the API file; absent in what older gateways answer.
    #[serde(default)]
    pub is_default: Option<bool>,
}

list_endpoint! {
    /// A page of groups.
    GroupsList = "groups.list" -> GroupsListAnswer { groups: Group }
}

/// `groups.get`.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct GroupsGet {
    /// The group's ID, in either form.
    pub id: String,
}

/// The answer of `groups.get`.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct GroupAnswer {
    /// The group.
    #[expect(dead_code, reason = "an answer without a group is not this endpoint's")]
    pub group: Group,
}

impl Operation for GroupsGet {
    const ENDPOINT: &'static str = "groups.get";
    const SAFETY: Safety = Safety::Read;
    type Answer = GroupAnswer;
}

/// `groups.members.list`: the direct members of one group.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct GroupMembersList {
    group: String,
    limit: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<String>,
}

impl GroupMembersList {
    /// The members of the group with this ID.
    pub(crate) fn of(group: impl Into<String>) -> Self {
        Self { group: group.into(), limit: PAGE_LIMIT, cursor: None }
    }
}

#[derive(Debug, Clone, Deserialize)]
struct Membership {
    #[serde(default)]
    member: UserSummary,
}

/// A page of members.
#[derive(Debug, Clone)]
pub(crate) struct GroupMembersListAnswer {
    members: Vec<Membership>,
    next_cursor: Option<String>,
}

impl<'de> Deserialize<'de> for GroupMembersListAnswer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (members, next_cursor) = pages::page(deserializer, "members")?;
        Ok(Self { members, next_cursor })
    }
}

impl Operation for GroupMembersList {
    const ENDPOINT: &'static str = "groups.members.list";
    const SAFETY: Safety = Safety::Read;
    type Answer = GroupMembersListAnswer;
}

impl List for GroupMembersList {
    type Item = UserSummary;

    fn after(&mut self, cursor: String) {
        self.cursor = Some(cursor);
    }

    fn of_at_most(mut self, items: u32) -> Self {
        self.limit = items;
        self
    }

    fn split(answer: GroupMembersListAnswer) -> (Vec<UserSummary>, Option<String>) {
        (answer.members.into_iter().map(|membership| membership.member).collect(), answer.next_cursor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(json: &str) -> Result<Vec<UserSummary>, serde_json::Error> {
        serde_json::from_str::<GroupMembersListAnswer>(json).map(|answer| GroupMembersList::split(answer).0)
    }

    #[test]
    fn a_list_that_is_null_or_left_out_is_empty() {
        for empty in
            [r#"{"members":null}"#, r#"{"members":[]}"#, "{}", r#"{"next_cursor":""}"#, r#"{"total":0}"#]
        {
            assert!(members(empty).unwrap().is_empty(), "{empty}");
        }
        for other in [
            "null",
            "[]",
            r#"{"message":"log in"}"#,
            r#"{"members":{}}"#,
            r#"{"members":[],"next_cursor":7}"#,
        ] {
            assert!(members(other).is_err(), "{other}");
        }
    }

    #[test]
    fn a_member_that_is_odd_is_nobody_and_takes_no_other_along() {
        let read = members(
            r#"{"members":[{"member":7},{},{"member":null},{"member":"DEVU-8"},
            {"member":{"id":"don:identity:x:devo/1:devu/9","display_name":["a"],"display_id":7}}]}"#,
        );
        let keys: Vec<_> =
            read.unwrap().iter().filter_map(UserSummary::key).map(|key| key.to_string()).collect();
        assert_eq!(keys, ["DEVU-8", "DEVU-9"]);
    }
}
