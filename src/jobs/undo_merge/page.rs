//! What the page of a run says of a merge that is to be undone, or was.

use crate::jobs::merge_contacts::page::{Step, with_steps};
use crate::jobs::undo_merge::change::{Backups, Lost, MergeUndo};
use crate::jobs::undo_merge::steps::{Left, Put};
use crate::report::html::entry::{Entry, Said};
use serde::Deserialize;
use std::fmt::Write as _;

/// What `report.json` says of it: see [`report`](crate::jobs::undo_merge::report).
#[derive(Debug, Deserialize)]
struct Undone {
    primary: Primary,
    secondary: Secondary,
    #[serde(default)]
    put_back: Vec<Put>,
    works: Works,
    #[serde(default)]
    left: Vec<Left>,
    #[serde(default)]
    cannot_come_back: Lost,
    backups: Backups,
    #[serde(default)]
    steps: Vec<Step>,
}

#[derive(Debug, Deserialize)]
struct Primary {
    display_id: String,
}

#[derive(Debug, Deserialize)]
struct Secondary {
    old_display_id: String,
    new_display_id: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Works {
    to_point: u64,
    #[serde(default)]
    pointed: Vec<String>,
    #[serde(default)]
    refused: Vec<Left>,
}

/// Says it.
pub(crate) fn tell(said: Said<'_>) -> Option<Entry> {
    match said {
        Said::Planned(change) | Said::Meant(change) => {
            serde_json::from_str(change.get()).ok().map(|change| planned(&change))
        }
        Said::Ended(report) => serde_json::from_str(report.get()).ok().map(|undone| ended(&undone)),
    }
}

fn planned(change: &MergeUndo) -> Entry {
    let entry = Entry::default()
        .fact("Was kept", &change.primary.display_id)
        .fact("Works to point at the new contact", change.counts.works.to_string())
        .change("Contact", Some(&change.secondary.display_id), Some("a new ID"));
    lists(entry, &change.primary.put_back, &change.left, &change.cannot_come_back, &change.backups)
}

fn ended(undone: &Undone) -> Entry {
    let works = &undone.works;
    let pointed = format!("{} of {}", works.pointed.len(), works.to_point);
    let mut entry = Entry::default()
        .fact("Was kept", &undone.primary.display_id)
        .fact("Works pointed at the new contact", pointed)
        .change(
            "Contact",
            Some(&undone.secondary.old_display_id),
            undone.secondary.new_display_id.as_deref(),
        );
    for refused in &works.refused {
        entry = entry.fact("Refused", format!("{}: {}", refused.what, refused.why));
    }
    let entry = lists(entry, &undone.put_back, &undone.left, &undone.cannot_come_back, &undone.backups);
    with_steps(entry, &undone.steps)
}

fn lists(mut entry: Entry, put_back: &[Put], left: &[Left], lost: &Lost, backups: &Backups) -> Entry {
    for put in put_back {
        entry = entry.change(put.member.name(), put.from.as_deref(), Some(&put.to));
    }
    entry = entry
        .fact("Backup of the one that was kept", backups.primary.to_string_lossy())
        .fact("Backup of the one that was merged", backups.secondary.to_string_lossy())
        .fact("Cannot come back", cannot_come_back(lost));
    for left in left {
        entry = entry.fact("Left as it is", format!("{}: {}", left.what, left.why));
    }
    entry
}

fn cannot_come_back(lost: &Lost) -> String {
    let created = lost.created_date.as_deref().unwrap_or("unknown");
    let mut words = format!(
        "the old ID; its date of creation ({created}); works that it created {}, timelines with its messages {}, \
         conversations {}, files of its own {}",
        lost.created_works.len(),
        lost.timelines,
        lost.conversations,
        lost.files
    );
    if !lost.members.is_empty() {
        let _ = write!(words, "; {}", lost.members.join(", "));
    }
    words
}
