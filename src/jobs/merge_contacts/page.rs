//! What the page of a run says of a merge: of one that is planned, of one that was meant, and of one that has ended.

use crate::jobs::merge_contacts::change::{MergeChange, Side};
use crate::report::html::entry::{Entry, Said};
use crate::report::units::size;
use chrono::{DateTime, Utc};
use serde::Deserialize;
use std::fmt::Write as _;

/// What `report.json` says of a pair: see [`report`](crate::jobs::merge_contacts::report).
#[derive(Debug, Deserialize)]
struct Pair {
    primary: Primary,
    secondary: Contact,
    #[serde(default)]
    steps: Vec<Step>,
    works_moved: Option<u64>,
    tickets_moved: Option<u64>,
    backups: Option<Backups>,
}

#[derive(Debug, Deserialize)]
struct Primary {
    before: Contact,
    after: Option<After>,
}

#[derive(Debug, Deserialize)]
struct Contact {
    id: String,
    display_id: Option<String>,
    row: u64,
    display_name: Option<String>,
    external_ref: Option<String>,
    tickets: Option<u64>,
    works: Option<u64>,
    conversations: Option<u64>,
}

#[derive(Debug, Deserialize)]
struct After {
    display_name: Option<String>,
    external_ref: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Backups {
    primary: String,
    secondary: String,
}

/// A step of a change, as the journal has it.
#[derive(Debug, Deserialize)]
pub(crate) struct Step {
    step: String,
    at: DateTime<Utc>,
}

/// The entry with these steps.
pub(crate) fn with_steps(entry: Entry, steps: &[Step]) -> Entry {
    steps.iter().fold(entry, |entry, step| entry.step(&step.step.replace('-', " "), Some(step.at)))
}

impl From<&Side> for Contact {
    fn from(side: &Side) -> Self {
        Self {
            id: side.id.clone(),
            display_id: Some(side.display_id.clone()),
            row: side.row.row,
            display_name: side.display_name.clone(),
            external_ref: side.external_ref.clone(),
            tickets: Some(side.tickets),
            works: Some(side.works),
            conversations: Some(side.conversations),
        }
    }
}

impl Contact {
    fn words(&self) -> String {
        let given = |text: &Option<String>, none: &str| {
            text.clone().filter(|text| !text.is_empty()).unwrap_or_else(|| none.to_owned())
        };
        let mut words = format!(
            "{}, {}, reference {}",
            self.display_id.as_ref().unwrap_or(&self.id),
            given(&self.display_name, "no name"),
            given(&self.external_ref, "none")
        );
        if let (Some(works), Some(tickets), Some(conversations)) =
            (self.works, self.tickets, self.conversations)
        {
            let _ = write!(words, "; works {works} (tickets {tickets}), conversations {conversations}");
        }
        words + &format!("; row {}", self.row)
    }
}

/// Says it.
pub(crate) fn tell(said: Said<'_>) -> Option<Entry> {
    match said {
        Said::Planned(change) | Said::Meant(change) => {
            serde_json::from_str(change.get()).ok().map(|change| planned(&change))
        }
        Said::Ended(report) => serde_json::from_str(report.get()).ok().map(|pair| ended(&pair)),
    }
}

fn planned(change: &MergeChange) -> Entry {
    let (primary, secondary) = (Contact::from(&change.primary), Contact::from(&change.secondary));
    let entry = Entry::default().fact("Stays", primary.words()).fact("Ends", secondary.words());
    let entry = match &change.preview {
        None => entry,
        Some(preview) => {
            let about = if preview.estimated { "about " } else { "" };
            entry.fact(
                "Backup",
                format!(
                    "{about}{}, with {} files and {} entries of {} timelines; {} calls",
                    size(preview.bytes),
                    preview.attachments,
                    preview.entries,
                    preview.timelines,
                    preview.calls
                ),
            )
        }
    };
    match &change.new_ref {
        Some(new) => entry.change("External reference", primary.external_ref.as_deref(), Some(new)),
        None => entry,
    }
}

fn ended(pair: &Pair) -> Entry {
    let before = &pair.primary.before;
    let mut entry = Entry::default().fact("Stays", before.words()).fact("Ends", pair.secondary.words());
    if let Some(works) = pair.works_moved {
        let tickets = pair.tickets_moved.unwrap_or_default();
        entry = entry.fact("Moved", format!("works {works} (tickets {tickets})"));
    }
    if let Some(backups) = &pair.backups {
        entry = entry
            .fact("Backup of the one that stays", &backups.primary)
            .fact("Backup of the one that ends", &backups.secondary);
    }
    if let Some(after) = &pair.primary.after {
        for (what, before, after) in [
            ("External reference", &before.external_ref, &after.external_ref),
            ("Display name", &before.display_name, &after.display_name),
        ] {
            if before != after {
                entry = entry.change(what, before.as_deref(), after.as_deref());
            }
        }
    }
    with_steps(entry, &pair.steps)
}
