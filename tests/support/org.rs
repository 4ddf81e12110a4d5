//! Small organisations, and the input that goes with each.

use devrev_batch::sandbox::Data;
use serde_json::{Value, json};
use std::fmt::Write as _;

/// The header of an input of issues.
pub(crate) const HEADER: &str = "issue_id,creator_user_id,assigned_group,creator_group\n";

/// Users that are in exactly one group: `DEVU-n` in `GROUP-n`.
const SINGLES: u32 = 4;
/// `DEVU-5` is in `GROUP-1` and `GROUP-2`.
pub(crate) const AMBIGUOUS: u32 = 5;
/// `DEVU-6` is in no group.
pub(crate) const GROUPLESS: u32 = 6;

/// Where the tenant keeps the creator group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Field {
    /// `tnt__creator_group`.
    Custom,
    /// `creator_group`.
    Native,
}

/// An issue; its number is its place in the list, from 1.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Issue {
    pub(crate) creator: u32,
    pub(crate) group: Option<u32>,
}

/// An organisation of six users and four groups, beside the default ones that every user is in.
#[derive(Debug, Clone)]
pub(crate) struct Org {
    pub(crate) code: &'static str,
    pub(crate) field: Field,
    pub(crate) issues: Vec<Issue>,
    /// The group that `DEVU-6` has joined.
    pub(crate) joined: Option<u32>,
}

impl Org {
    /// So many issues without a creator group, by four creators who are in one group each.
    pub(crate) fn of(issues: u32) -> Self {
        let issue = |number| Issue { creator: number % SINGLES + 1, group: None };
        Self { code: "TEST", field: Field::Custom, issues: (0..issues).map(issue).collect(), joined: None }
    }

    /// The group that an issue is to end with.
    pub(crate) fn right(&self, number: usize) -> Option<u32> {
        let issue = self.issues[number - 1];
        issue.group.or((issue.creator <= SINGLES).then_some(issue.creator))
    }

    /// A row for every issue.
    pub(crate) fn csv(&self) -> String {
        let mut csv = HEADER.to_owned();
        for (place, Issue { creator, .. }) in self.issues.iter().enumerate() {
            let group = (creator - 1) % SINGLES + 1;
            writeln!(csv, "ISS-{},DEVU-{creator},GROUP-{group},", place + 1).unwrap();
        }
        csv
    }

    /// What the sandbox is to hold.
    pub(crate) fn data(&self) -> Data {
        Data::from_json(self.json().to_string().as_bytes()).unwrap()
    }

    /// The same, as the sandbox's data file.
    pub(crate) fn json(&self) -> Value {
        let user = |number| json!({"number": number, "name": format!("User {number}")});
        let group = |number: u32| {
            let mut members = vec![format!("DEVU-{number}")];
            members.extend((number <= 2).then(|| format!("DEVU-{AMBIGUOUS}")));
            members.extend((self.joined == Some(number)).then(|| format!("DEVU-{GROUPLESS}")));
            json!({"number": number, "name": format!("Team {number}"), "member_type": "dev_user", "members": members})
        };
        let everybody: Vec<_> = (1..=GROUPLESS).map(|number| format!("DEVU-{number}")).collect();
        let default = |(number, name, kind, members): (u32, &str, &str, &[String])| {
            json!({
                "number": number,
                "name": name,
                "member_type": "dev_user",
                "group_type": kind,
                "is_default": true,
                "members": members,
            })
        };
        let defaults = [
            (11, "Admins", "static", &everybody[..1]),
            (12, "All Users", "dynamic", &everybody[..]),
            (13, "Platform Users", "static", &everybody[..]),
            (14, "Support", "static", &everybody[1..2]),
        ];
        let issue = |(place, issue): (usize, &Issue)| {
            let mut value = json!({
                "number": place + 1,
                "title": format!("Issue {}", place + 1),
                "created_by": format!("DEVU-{}", issue.creator),
            });
            if let Some(group) = issue.group {
                value["creator_group"] = json!(format!("GROUP-{group}"));
            }
            value
        };
        let mut data = json!({
            "organisation": {"id": self.code, "name": "Test Inc."},
            "self": "DEVU-1",
            "users": (1..=GROUPLESS).map(user).collect::<Vec<_>>(),
            // The default groups come first: the first of several would be one of them.
            "groups": defaults.into_iter().map(default).chain((1..=SINGLES).map(group)).collect::<Vec<_>>(),
            "issues": self.issues.iter().enumerate().map(issue).collect::<Vec<_>>(),
        });
        match self.field {
            Field::Custom => {
                data["custom_fields"] = json!({"tnt__creator_group": {"type": "id", "allowed": ["group"]}});
            }
            Field::Native => data["native_fields"] = json!(["creator_group"]),
        }
        data
    }
}
