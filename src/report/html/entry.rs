//! What a job has to say of a row, or of rows that share a fate, in words that need no knowledge of the job.

use super::text::Text;
use chrono::{DateTime, Utc};
use serde_json::Value;
use serde_json::value::RawValue;

/// Facts, changes or steps of an entry that are shown; more are counted only.
const MOST: usize = 40;

/// What the journal says of a row, in the job's own JSON.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Said<'a> {
    /// A change that a dry run plans.
    Planned(&'a RawValue),
    /// A change that was meant, and nobody knows whether it was made.
    Meant(&'a RawValue),
    /// What an outcome says for the report.
    Ended(&'a RawValue),
}

/// The same for people.
#[derive(Debug, Clone, Default)]
pub(crate) struct Entry {
    pub(super) facts: Vec<Fact>,
    pub(super) changes: Vec<Changed>,
    pub(super) steps: Vec<Step>,
    /// What was left out.
    pub(super) more: u64,
}

/// A fact with its name.
#[derive(Debug, Clone)]
pub(super) struct Fact {
    pub(super) name: Text,
    pub(super) value: Text,
}

/// A value that becomes, or became, another; `None` for none.
#[derive(Debug, Clone)]
pub(super) struct Changed {
    pub(super) what: Text,
    pub(super) before: Option<Text>,
    pub(super) after: Option<Text>,
}

/// A step that was taken.
#[derive(Debug, Clone)]
pub(super) struct Step {
    pub(super) name: Text,
    pub(super) at: Option<DateTime<Utc>>,
}

impl Entry {
    /// With a fact more.
    #[must_use]
    pub(crate) fn fact(mut self, name: &str, value: impl AsRef<str>) -> Self {
        let fact = Fact { name: Text::of(name), value: Text::of(value) };
        push(&mut self.facts, fact, &mut self.more);
        self
    }

    /// With a change more; `None` for no value.
    #[must_use]
    pub(crate) fn change(mut self, what: &str, before: Option<&str>, after: Option<&str>) -> Self {
        let changed =
            Changed { what: Text::of(what), before: before.map(Text::of), after: after.map(Text::of) };
        push(&mut self.changes, changed, &mut self.more);
        self
    }

    /// With a step more.
    #[must_use]
    pub(crate) fn step(mut self, name: &str, at: Option<DateTime<Utc>>) -> Self {
        push(&mut self.steps, Step { name: Text::of(name), at }, &mut self.more);
        self
    }

    /// What a planned change says of itself if it has a `before` and an `after`.
    pub(crate) fn before_and_after(what: &str, said: Said<'_>) -> Option<Self> {
        let Said::Planned(change) = said else { return None };
        let change: Value = serde_json::from_str(change.get()).ok()?;
        let members = change.as_object()?;
        let (before, after) = (members.get("before")?, members.get("after")?);
        Some(Self::default().change(what, shown(before).as_deref(), shown(after).as_deref()))
    }
}

fn shown(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

fn push<T>(list: &mut Vec<T>, item: T, more: &mut u64) {
    if list.len() < MOST { list.push(item) } else { *more += 1 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use serde_json::value::to_raw_value;

    #[test]
    fn a_change_with_before_and_after_speaks_for_itself() {
        let raw = to_raw_value(&json!({"before": null, "after": 5, "issue": "x"})).unwrap();
        let entry = Entry::before_and_after("value", Said::Planned(&raw)).unwrap();
        assert!(entry.changes[0].before.is_none());
        assert_eq!(entry.changes[0].after.as_ref().unwrap().as_str(), "5");
        assert!(Entry::before_and_after("value", Said::Ended(&raw)).is_none());
        for other in [json!([1]), json!({"after": 1}), json!("x")] {
            let raw = to_raw_value(&other).unwrap();
            assert!(Entry::before_and_after("value", Said::Planned(&raw)).is_none(), "{other}");
        }
    }

    #[test]
    fn an_entry_has_a_bound() {
        let mut entry = Entry::default();
        for n in 0..100_000_u64 {
            entry = entry.fact("n", n.to_string()).step("s", None);
        }
        assert_eq!((entry.facts.len(), entry.steps.len()), (MOST, MOST));
        assert_eq!(entry.more, 2 * (100_000 - MOST as u64));
    }
}
