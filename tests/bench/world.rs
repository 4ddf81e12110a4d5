//! Made-up organisations and inputs of any size.

use std::fmt::Write as _;
use std::path::Path;

/// An organisation of `creators` users in 20 groups, one group each, and the issues of each.
pub(crate) struct World {
    /// Issues that the input names.
    pub(crate) rows: u64,
    /// Users.
    pub(crate) creators: u64,
    /// Issues of the same creators that the input does not name, for each that it does.
    pub(crate) others: u64,
    /// Whether the input's rows are in the order of the issues, or shuffled.
    pub(crate) in_order: bool,
}

impl World {
    /// Writes the sandbox's data and the input.
    pub(crate) fn write(&self, data: &Path, csv: &Path) {
        self.write_data(data);
        self.write_csv(csv);
    }

    fn write_data(&self, data: &Path) {
        let mut json = String::from(
            r#"{"organisation": {"id": "BENCH", "name": "Bench"}, "self": "DEVU-1",
            "custom_fields": {"tnt__creator_group": {"type": "id", "allowed": ["group"]}}, "users": ["#,
        );
        let list = |json: &mut String, n: u64, item: &dyn Fn(u64) -> String| {
            for i in 1..=n {
                json.push_str(&item(i));
                json.push_str(if i < n { ",\n" } else { "" });
            }
        };
        list(&mut json, self.creators, &|i| {
            format!(r#"{{"number": {i}, "name": "User {i}", "email": "u{i}@example.com"}}"#)
        });
        json.push_str(r#"], "groups": ["#);
        list(&mut json, 20, &|group| {
            let members: Vec<_> = (1..=self.creators)
                .filter(|user| user % 20 + 1 == group)
                .map(|user| format!("\"DEVU-{user}\""))
                .collect();
            let members = members.join(",");
            format!(
                r#"{{"number": {group}, "name": "Group {group}", "member_type": "dev_user", "members": [{members}]}}"#
            )
        });
        json.push_str(r#"], "issues": ["#);
        let issues = self.rows * (1 + self.others);
        list(&mut json, issues, &|i| {
            let creator = self.creator(i);
            format!(r#"{{"number": {i}, "title": "Issue number {i}", "created_by": "DEVU-{creator}"}}"#)
        });
        json.push_str("]}");
        std::fs::write(data, json).unwrap();
    }

    /// Writes the input alone.
    pub(crate) fn write_csv(&self, csv: &Path) {
        let mut text =
            String::from("issue_id,creator_user_id,assigned_group,creator_group,title,opened_at\n");
        for row in 0..self.rows {
            // A multiplier without common factors visits every row once, in no order.
            let place = if self.in_order { row } else { (row * 7_368_787 + 13) % self.rows };
            let issue = place * (1 + self.others) + 1;
            let creator = self.creator(issue);
            let _ = writeln!(
                text,
                "ISS-{issue},DEVU-{creator},GROUP-{},,\"Issue number {issue}, as the operator exported it from the \
                 warehouse\",2026-05-01T12:34:56Z",
                issue % 20 + 1
            );
        }
        std::fs::write(csv, text).unwrap();
    }

    fn creator(&self, issue: u64) -> u64 {
        // Neighbouring issues have different creators, and a creator's other issues lie all over.
        let spread = issue.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 20;
        spread % self.creators + 1
    }
}
