//! What a dry run that sets creator groups tells the operator: the first issues, before and after, and what all of them
//! would take.

use crate::devrev::ids::GroupId;
use crate::net::rate::Rate;
use crate::report::terminal::one_line;
use crate::run::job::PlanSummary;
use crate::run::plan_cost::Cost;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::fmt::Write as _;

/// Issues that are shown; all are in `plan.jsonl`.
const SHOWN: u64 = 20;
/// The longest name of a group that is shown whole, in characters.
const LONGEST: usize = 40;

/// What a backfill and its undo say alike of an issue.
#[derive(Deserialize)]
struct PlannedChange {
    before: Option<String>,
    after: Option<String>,
    #[serde(default)]
    after_name: Option<String>,
}

/// Sums up what would be set.
#[derive(Debug)]
pub(crate) struct GroupPlan {
    /// Calls that the dry run made to decide: a run makes about as many.
    reads: u64,
    rate: Option<Rate>,
    lines: String,
    changes: u64,
}

impl GroupPlan {
    /// For a run under this limit, decided with so many calls.
    pub(crate) fn new(rate: Option<Rate>, reads: u64) -> Self {
        Self { reads, rate, lines: String::new(), changes: 0 }
    }

    fn cost(&self) -> Cost {
        Cost { calls: self.changes + self.reads, rate: self.rate }
    }
}

impl PlanSummary for GroupPlan {
    fn take(&mut self, key: &str, change: &RawValue) {
        let Ok(change) = serde_json::from_str::<PlannedChange>(change.get()) else { return };
        if self.changes < SHOWN {
            let name: String = change.after_name.unwrap_or_default().chars().take(LONGEST).collect();
            let name = one_line(&name);
            let (before, after) = (shown(change.before.as_deref()), shown(change.after.as_deref()));
            let _ = writeln!(self.lines, "{}", format!("  {key:<12}  {before} -> {after} {name}").trim_end());
        }
        self.changes += 1;
    }

    fn text(&self) -> String {
        if self.changes == 0 {
            return "No issue would be changed.\n".to_owned();
        }
        let mut text = self.lines.clone();
        if self.changes > SHOWN {
            let _ = writeln!(text, "  ... and {} more, in plan.jsonl", self.changes - SHOWN);
        }
        let _ = write!(text, "\n{}", self.cost().text());
        text
    }

    fn json(&self) -> Value {
        let cost = self.cost();
        json!({
            "changes": self.changes,
            "calls": cost.calls,
            "seconds_under_the_limit": cost.time().map(|time| time.as_secs_f64()),
        })
    }
}

/// A group as people know it.
fn shown(group: Option<&str>) -> String {
    let Some(group) = group else { return "none".to_owned() };
    GroupId::parse(group).map_or_else(|_| group.to_owned(), |id| id.key().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_changes_and_the_cost_of_all() {
        let rate = Rate {
            calls: std::num::NonZeroU32::new(50).unwrap(),
            period: std::time::Duration::from_secs(10),
        };
        let mut plan = GroupPlan::new(Some(rate), 8);
        assert_eq!(plan.text(), "No issue would be changed.\n");
        for number in 1..=22 {
            let change = r#"{"before":null,"after":"don:identity:x:devo/1:group/3","after_name":"Billing"}"#;
            plan.take(&format!("ISS-{number}"), &RawValue::from_string(change.to_owned()).unwrap());
        }
        let text = plan.text();
        assert_eq!(text.lines().next(), Some("  ISS-1         none -> GROUP-3 Billing"));
        assert_eq!(text.lines().count(), 20 + 3);
        assert!(text.contains("... and 2 more"), "{text}");
        assert!(text.ends_with("\nAbout 30 calls: all at once under the limit of 50 in 10 s.\n"), "{text}");
        assert_eq!(plan.json(), json!({"changes": 22, "calls": 30, "seconds_under_the_limit": 0.0}));
        let back = r#"{"before":"GROUP-3","after":null}"#;
        let mut undo = GroupPlan::new(None, 0);
        undo.take("ISS-1", &RawValue::from_string(back.to_owned()).unwrap());
        assert!(undo.text().starts_with("  ISS-1         GROUP-3 -> none\n"), "{}", undo.text());
    }
}
