//! What a dry run of an undo says.

use super::super::store::Undone;
use super::UndoChange;
use super::kept::KeptCounts;
use crate::report::html::entry::{Entry, Said};
use crate::report::terminal::one_line;
use crate::report::units::counted;
use crate::run::job::PlanSummary;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::fmt::Write as _;

/// Slices that are shown; all are in `plan.jsonl`.
const SHOWN: u64 = 20;

/// Sums up what would be taken back.
#[derive(Debug, Default)]
pub(super) struct UndoPlan {
    lines: String,
    slices: u64,
    total: KeptCounts,
}

fn words(kept: KeptCounts) -> String {
    let KeptCounts { inserted, changed, deleted } = kept;
    let parts = [(inserted, "to delete"), (changed, "to put back as they were"), (deleted, "to bring back")];
    let parts: Vec<String> = parts
        .into_iter()
        .filter(|(rows, _)| *rows > 0)
        .map(|(rows, what)| format!("{} {what}", counted(rows, "row")))
        .collect();
    if parts.is_empty() { "no rows".to_owned() } else { parts.join(", ") }
}

impl PlanSummary for UndoPlan {
    fn take(&mut self, key: &str, change: &RawValue) {
        let Ok(UndoChange { kept, .. }) = serde_json::from_str(change.get()) else { return };
        if self.slices < SHOWN {
            let _ = writeln!(self.lines, "  {}  {}", one_line(key), words(kept));
        }
        self.slices += 1;
        self.total.inserted += kept.inserted;
        self.total.changed += kept.changed;
        self.total.deleted += kept.deleted;
    }

    fn text(&self) -> String {
        let mut text = self.lines.clone();
        if self.slices > SHOWN {
            let _ = writeln!(text, "  ... and {} more, in plan.jsonl", self.slices - SHOWN);
        }
        let _ = writeln!(
            text,
            "\n{} would be undone: {}. Rows that were changed since the load stay.",
            counted(self.slices, "slice"),
            words(self.total)
        );
        text
    }

    fn json(&self) -> Value {
        let KeptCounts { inserted, changed, deleted } = self.total;
        json!({ "slices": self.slices, "inserted": inserted, "changed": changed, "deleted": deleted })
    }
}

/// A slice for the report page.
pub(super) fn tell(said: Said<'_>) -> Option<Entry> {
    match said {
        Said::Planned(change) | Said::Meant(change) => {
            let change: UndoChange = serde_json::from_str(change.get()).ok()?;
            Some(Entry::default().fact("slice", change.slice.name()).fact("rows", words(change.kept)))
        }
        Said::Ended(undone) => {
            let Undone { removed, restored, returned, left } = serde_json::from_str(undone.get()).ok()?;
            let facts =
                [("deleted", removed), ("put back", restored), ("brought back", returned), ("left", left)];
            Some(
                facts
                    .into_iter()
                    .filter(|(_, rows)| *rows > 0)
                    .fold(Entry::default(), |entry, (name, rows)| entry.fact(name, rows.to_string())),
            )
        }
    }
}
