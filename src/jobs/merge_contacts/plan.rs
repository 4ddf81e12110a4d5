//! What a dry run of merges tells the operator: each pair, and what all of them would take.

use crate::jobs::merge_contacts::change::{MergeChange, Side};
use crate::net::rate::Rate;
use crate::report::terminal::one_line;
use crate::report::units::{counted, size};
use crate::run::job::PlanSummary;
use crate::run::plan_cost::Cost;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::fmt::Write as _;

/// Pairs that are shown; all are in `plan.jsonl`.
const SHOWN: u64 = 20;
/// The longest names that are shown whole, in characters.
const WIDTH: usize = 36;

/// Sums up what merges would take.
#[derive(Debug, Default)]
pub(crate) struct MergePlan {
    rate: Option<Rate>,
    lines: String,
    pairs: u64,
    tickets: u64,
    moved: u64,
    timelines: u64,
    entries: u64,
    attachments: u64,
    bytes: u64,
    calls: u64,
    estimated: bool,
}

impl MergePlan {
    /// For a run under this limit.
    pub(crate) fn new(rate: Option<Rate>) -> Self {
        Self { rate, ..Self::default() }
    }

    fn cost(&self) -> Cost {
        Cost { calls: self.calls, rate: self.rate }
    }

    fn line(&mut self, change: &MergeChange) {
        let named = |side: &Side| {
            let name = side.display_name.as_deref().unwrap_or("no name");
            format!("{} {}", side.display_id, short(name, 18))
        };
        let reference = match &change.new_ref {
            Some(new) => {
                format!("{} -> {new}", change.primary.external_ref.as_deref().unwrap_or("none"))
            }
            None => format!("stays {}", change.primary.external_ref.as_deref().unwrap_or("none")),
        };
        let backup = change.preview.as_ref().map_or_else(String::new, |preview| {
            let about = if preview.estimated { "about " } else { "" };
            format!("{about}{}, {} files", size(preview.bytes), preview.attachments)
        });
        let _ = writeln!(
            self.lines,
            "  {:<WIDTH$}  keeps {:<28} ends {}\n  {:<WIDTH$}  reference {}; tickets {} + {}; backup {backup}",
            short(&change.email, WIDTH),
            named(&change.primary),
            named(&change.secondary),
            "",
            one_line(&reference),
            change.primary.tickets,
            change.secondary.tickets,
        );
    }
}

impl PlanSummary for MergePlan {
    fn take(&mut self, _key: &str, change: &RawValue) {
        let Ok(change) = serde_json::from_str::<MergeChange>(change.get()) else { return };
        if self.pairs < SHOWN {
            self.line(&change);
        }
        self.pairs += 1;
        self.tickets += change.primary.tickets + change.secondary.tickets;
        self.moved += change.secondary.tickets;
        if let Some(preview) = &change.preview {
            self.timelines += preview.timelines;
            self.entries += preview.entries;
            self.attachments += preview.attachments;
            self.bytes = self.bytes.saturating_add(preview.bytes);
            self.calls += preview.calls;
            self.estimated |= preview.estimated;
        }
    }

    fn text(&self) -> String {
        if self.pairs == 0 {
            return "No pair would be merged.\n".to_owned();
        }
        let mut text = self.lines.clone();
        if self.pairs > SHOWN {
            let _ = writeln!(text, "  ... and {} more pairs, in plan.jsonl", self.pairs - SHOWN);
        }
        let about = if self.estimated { "about " } else { "" };
        let _ = writeln!(
            text,
            "\n{} would be merged, and {} change hands. IRREVERSIBLE: DevRev cannot undo a merge.\n\
             The backups would hold {} contacts, {} tickets, {about}{} entries of {} timelines and {about}{} files: {about}{}.",
            counted(self.pairs, "pair"),
            counted(self.moved, "ticket"),
            self.pairs * 2,
            self.tickets,
            self.entries,
            self.timelines,
            self.attachments,
            size(self.bytes)
        );
        text.push_str(&self.cost().text());
        text
    }

    fn json(&self) -> Value {
        json!({
            "pairs": self.pairs,
            "tickets": self.tickets,
            "tickets_moved": self.moved,
            "backup": {
                "timelines": self.timelines,
                "entries": self.entries,
                "attachments": self.attachments,
                "bytes": self.bytes,
                "estimated": self.estimated,
            },
            "calls": self.calls,
            "seconds_under_the_limit": self.cost().time().map(|time| time.as_secs_f64()),
        })
    }
}

/// On one line, which is no longer than that.
fn short(text: &str, most: usize) -> String {
    let text = one_line(text);
    if text.chars().count() <= most {
        return text;
    }
    text.chars().take(most.saturating_sub(3)).chain("...".chars()).collect()
}
