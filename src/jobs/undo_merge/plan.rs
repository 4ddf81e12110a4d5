//! What a dry run of an undo of merges tells the operator: each pair, and what all of them come to.

use crate::jobs::undo_merge::change::MergeUndo;
use crate::report::terminal::one_line;
use crate::report::units::counted;
use crate::run::job::PlanSummary;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::fmt::Write as _;

/// Pairs that are shown; all are in `plan.jsonl`.
const SHOWN: u64 = 20;

/// Sums up what would be put back, and what would not.
#[derive(Debug, Default)]
pub(crate) struct UndoPlan {
    lines: String,
    pairs: u64,
    works: u64,
    left: u64,
    created_works: u64,
    timelines: u64,
    conversations: u64,
    files: u64,
}

impl UndoPlan {
    fn line(&mut self, change: &MergeUndo) {
        let reference = change.primary.put_back.iter().map(|put| format!(", gets back `{}`", put.to));
        let again = change.secondary.already.as_ref().map_or_else(
            || format!("{} is created again", change.secondary.display_id),
            |new| format!("{} is there again as {}", change.secondary.display_id, new.display_id),
        );
        let line = format!(
            "  {}: {} stays{}; {again}, and gets {}; {} left alone",
            change.email,
            change.primary.display_id,
            reference.collect::<String>(),
            counted(change.counts.works as u64, "work"),
            counted(change.counts.left as u64, "change"),
        );
        let _ = writeln!(self.lines, "{}", one_line(&line));
    }
}

impl PlanSummary for UndoPlan {
    fn take(&mut self, _key: &str, change: &RawValue) {
        let Ok(change) = serde_json::from_str::<MergeUndo>(change.get()) else { return };
        if self.pairs < SHOWN {
            self.line(&change);
        }
        let lost = &change.cannot_come_back;
        self.pairs += 1;
        self.works += change.counts.works as u64;
        self.left += change.counts.left as u64;
        self.created_works += lost.created_works.len() as u64;
        self.timelines += lost.timelines;
        self.conversations += lost.conversations;
        self.files += lost.files;
    }

    fn text(&self) -> String {
        if self.pairs == 0 {
            return "No merge would be undone.\n".to_owned();
        }
        let mut text = self.lines.clone();
        if self.pairs > SHOWN {
            let _ = writeln!(text, "  ... and {} more, in plan.jsonl", self.pairs - SHOWN);
        }
        let _ = writeln!(
            text,
            "\nMerges undone: {}; each secondary with a new ID. Works assigned to them: {}. Left alone because they \
             changed: {}.\n\
             Not restored: who created {}, who wrote in {}, who takes part in {}, {} of contacts (they are in the \
             backups), and all dates of creation.",
            self.pairs,
            self.works,
            self.left,
            counted(self.created_works, "work"),
            counted(self.timelines, "timeline"),
            counted(self.conversations, "conversation"),
            counted(self.files, "file")
        );
        text
    }

    fn json(&self) -> Value {
        json!({
            "pairs": self.pairs,
            "works": self.works,
            "left": self.left,
            "cannot_come_back": {
                "created_works": self.created_works,
                "timelines": self.timelines,
                "conversations": self.conversations,
                "files": self.files,
            },
        })
    }
}
