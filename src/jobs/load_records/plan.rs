//! What a dry run says: the slices that would be loaded, and what the first records look like.

use super::{Counts, SliceChange};
use crate::report::html::entry::{Entry, Said};
use crate::report::terminal::one_line;
use crate::report::units::counted;
use crate::run::job::PlanSummary;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::fmt::Write as _;

/// Slices that are shown; all are in `plan.jsonl`.
const SHOWN: u64 = 20;

/// Sums up what would be loaded.
#[derive(Debug, Default)]
pub(super) struct SlicePlan {
    lines: String,
    slices: u64,
    again: u64,
}

impl PlanSummary for SlicePlan {
    fn take(&mut self, key: &str, change: &RawValue) {
        let Ok(change) = serde_json::from_str::<SliceChange>(change.get()) else { return };
        if self.slices < SHOWN {
            let again = if change.again { "  (again)" } else { "" };
            let messages = change.slice.offsets.as_ref().map(|offsets| counted(offsets.count(), "message"));
            let messages = messages.map(|messages| format!("  ({messages})")).unwrap_or_default();
            let _ = writeln!(self.lines, "  {}{messages}{again}", one_line(key));
        }
        self.slices += 1;
        self.again += u64::from(change.again);
    }

    fn text(&self) -> String {
        if self.slices == 0 {
            return "No slice would be loaded: all are.\n".to_owned();
        }
        let mut text = self.lines.clone();
        if self.slices > SHOWN {
            let _ = writeln!(text, "  ... and {} more, in plan.jsonl", self.slices - SHOWN);
        }
        let again = if self.again > 0 { format!(", {} of them again", self.again) } else { String::new() };
        let _ = writeln!(text, "\n{} would be loaded{again}.", counted(self.slices, "slice"));
        text
    }

    fn json(&self) -> Value {
        json!({ "slices": self.slices, "again": self.again })
    }
}

/// A slice for the report page.
pub(super) fn tell(said: Said<'_>) -> Option<Entry> {
    match said {
        Said::Planned(change) | Said::Meant(change) => {
            let change: SliceChange = serde_json::from_str(change.get()).ok()?;
            Some(Entry::default().fact("slice", change.slice.name()))
        }
        Said::Ended(counts) => {
            let counts: Counts = serde_json::from_str(counts.get()).ok()?;
            let mut entry = Entry::default().fact("records", counts.records.to_string());
            for (name, count) in [
                ("rejected", counts.rejected),
                ("outside", counts.outside),
                ("deleted", counts.deleted),
                ("repeated", counts.repeated),
                ("tombstones", counts.tombstones),
                ("lost", counts.lost),
            ] {
                if count > 0 {
                    entry = entry.fact(name, count.to_string());
                }
            }
            Some(entry)
        }
    }
}
