//! What a dry run of merges tells the operator: each pair, and what all of them would take.

use super::job::Plan;
use crate::devrev::pacer::Rate;
use crate::jobs::merge_contacts::change::{Change, Side};
use crate::report::progress::span;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::time::Duration;

/// Pairs that are shown; all are in `plan.jsonl`.
const SHOWN: u64 = 20;
/// The longest names that are shown whole, in characters.
const WIDTH: usize = 36;

/// Sums up what merges would take.
#[derive(Debug, Default)]
pub struct MergePlan {
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
    pub fn new(rate: Option<Rate>) -> Self {
        Self { rate, ..Self::default() }
    }

    /// How long so many calls take under the limit.
    fn time(&self) -> Option<Duration> {
        let rate = self.rate?;
        let calls = u32::try_from(self.calls).unwrap_or(u32::MAX);
        Some(rate.period.mul_f64(f64::from(calls) / f64::from(rate.calls.get())))
    }

    fn line(&mut self, change: &Change) {
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
            "  {:<WIDTH$}  keeps {:<28} ends {}\n  {:<WIDTH$}  reference {reference}; tickets {} + {}; backup {backup}",
            short(&change.email, WIDTH),
            named(&change.primary),
            named(&change.secondary),
            "",
            change.primary.tickets,
            change.secondary.tickets,
        );
    }
}

impl Plan for MergePlan {
    fn take(&mut self, change: &RawValue) {
        let Ok(change) = serde_json::from_str::<Change>(change.get()) else { return };
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
            "\n{} would be merged, and {} change hands. DevRev cannot take a merge back.\n\
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
        match (self.time(), self.rate) {
            (Some(time), Some(rate)) => {
                let _ = writeln!(
                    text,
                    "About {} calls: {} under the limit of {} in {}.",
                    self.calls,
                    span(time),
                    rate.calls,
                    span(rate.period)
                );
            }
            _ => {
                let _ = writeln!(text, "About {} calls.", self.calls);
            }
        }
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
            "seconds_under_the_limit": self.time().map(|time| time.as_secs_f64()),
        })
    }
}

fn counted(number: u64, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

fn short(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most.saturating_sub(3)).chain("...".chars()).collect()
}

/// Bytes for people.
pub(super) fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    let (mut shown, mut unit) = (bytes, "bytes");
    let mut tenths = 0;
    for next in UNITS {
        if shown < 1024 {
            break;
        }
        tenths = shown % 1024 * 10 / 1024;
        shown /= 1024;
        unit = next;
    }
    if unit == "bytes" || shown >= 100 {
        format!("{shown} {unit}")
    } else {
        format!("{shown}.{tenths} {unit}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_for_people() {
        for (bytes, text) in [
            (0, "0 bytes"),
            (1023, "1023 bytes"),
            (1024, "1.0 KiB"),
            (1_600_000, "1.5 MiB"),
            (200 << 20, "200 MiB"),
            (5 << 30, "5.0 GiB"),
        ] {
            assert_eq!(size(bytes), text);
        }
    }

    #[test]
    fn the_time_is_that_of_the_limit() {
        let calls = std::num::NonZeroU32::new(45).unwrap();
        let rate = Rate { calls, period: Duration::from_secs(60) };
        let plan = MergePlan { calls: 90, ..MergePlan::new(Some(rate)) };
        assert_eq!(plan.time(), Some(Duration::from_secs(120)));
        assert_eq!(MergePlan::new(None).time(), None);
    }
}
