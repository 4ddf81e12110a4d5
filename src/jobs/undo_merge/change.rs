//! A merge that is to be undone, and the steps of it that were taken: what the journal and the plan hold.

use super::steps::{Left, NewContact, Put, Stage, Step, What};
use crate::devrev::works::{OwnedWork, Role};
use crate::jobs::read_at::ReadAt;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

/// One contact that becomes two again, as far as that can be done.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct MergeUndo {
    /// Their address, in lower case.
    pub email: String,
    /// The contact that was kept.
    pub primary: Primary,
    /// The contact that was merged away.
    pub secondary: Secondary,
    /// How many things that is, for who reads the plan.
    pub counts: Counts,
    /// The works that are pointed at the secondary again.
    pub works: Vec<Work>,
    /// What stays as it is now, since it was changed after the merge.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left: Vec<Left>,
    /// What nobody can bring back.
    pub cannot_come_back: Lost,
    /// The backups that this rests on.
    pub backups: Backups,
    /// The steps that earlier processes have recorded.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<Step>,
    /// What was read from DevRev. Not written down: another process reads again.
    #[serde(skip)]
    pub seen: Option<Arc<Seen>>,
}

/// How much there is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Counts {
    /// Works that are pointed at the secondary again.
    pub works: usize,
    /// Works and members that are left, since they were changed after the merge.
    pub left: usize,
}

/// The contact that was kept.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Primary {
    /// Its ID.
    pub id: String,
    /// Its display ID.
    pub display_id: String,
    /// What it gets back.
    pub put_back: Vec<Put>,
}

/// The contact that was merged away.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Secondary {
    /// The ID that it had.
    pub id: String,
    /// The display ID that it had.
    pub display_id: String,
    /// Its external reference: what tells it from all others.
    pub external_ref: String,
    /// Whether its address was verified.
    #[serde(default)]
    pub was_verified: bool,
    /// What it is created with: members of `rev-users-create-request`.
    pub create: Map<String, Value>,
    /// The contact that has taken its place already, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub already: Option<NewContact>,
}

/// A work that named the secondary.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Work {
    /// Its ID.
    pub id: String,
    /// Its display ID.
    pub display_id: String,
    /// Its type, such as `ticket`.
    #[serde(rename = "type")]
    pub kind: String,
    /// How it named the secondary, where it can do so again.
    pub roles: Vec<Named>,
}

/// A role in which a work named the secondary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Named {
    /// The role: owner or reporter.
    pub role: Role,
    /// Whether it named the primary beside it: then it continues to.
    pub beside_primary: bool,
}

/// What nobody can bring back, whatever else is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Lost {
    /// When the secondary was created.
    pub created_date: Option<String>,
    /// Works that it created, which continue to name the primary.
    pub created_works: Vec<String>,
    /// Timelines, of works and conversations, whose messages by it continue to name the primary.
    pub timelines: u64,
    /// Conversations that it took part in, in which the primary stays.
    pub conversations: u64,
    /// Files of its own, which are in the backup.
    pub files: u64,
    /// Other members that a new contact cannot be given.
    pub members: Vec<String>,
}

/// The backups of both contacts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Backups {
    /// The primary's.
    pub primary: PathBuf,
    /// The secondary's.
    pub secondary: PathBuf,
}

/// What was read of a pair.
#[derive(Debug)]
pub(crate) struct Seen {
    /// Works by ID.
    pub works: HashMap<String, OwnedWork>,
    /// When.
    pub read_at: ReadAt,
}

impl MergeUndo {
    /// How far the recorded steps go.
    pub(crate) fn stage(&self) -> Stage {
        let last = self.steps.iter().rev().find_map(|step| match step.what {
            What::Created(_) => Some(Stage::Created),
            What::Works { .. } => Some(Stage::Pointed),
            What::Checked => Some(Stage::Checked),
            _ => None,
        });
        last.unwrap_or(if self.in_doubt() { Stage::Creating } else { Stage::Begin })
    }

    /// Whether a creation was sent of which it is not certain that DevRev did not act on it.
    fn in_doubt(&self) -> bool {
        let sendings = self.steps.iter().fold(0_u32, |sendings, step| match step.what {
            What::Creating { .. } => sendings + 1,
            // Of the last one; an earlier one may still take.
            What::NotCreated => sendings.saturating_sub(1),
            _ => sendings,
        });
        sendings > 0
    }

    /// The contact in the place of the secondary, once it is there.
    pub(crate) fn new_contact(&self) -> Option<&NewContact> {
        let created = self.steps.iter().rev().find_map(|step| match &step.what {
            What::Created(contact) => Some(contact),
            _ => None,
        });
        created.or(self.secondary.already.as_ref())
    }
}

/// What the steps say of what was done.
impl MergeUndo {
    /// What the primary got back.
    pub(crate) fn written(&self) -> Vec<&Put> {
        let put_back = self.steps.iter().filter_map(|step| match &step.what {
            What::RefPutBack { put_back, .. } => Some(put_back),
            _ => None,
        });
        put_back.flatten().collect()
    }

    /// The IDs of the works that were pointed at the new contact.
    pub(crate) fn pointed(&self) -> &[String] {
        let pointed = self.steps.iter().rev().find_map(|step| match &step.what {
            What::Works { pointed, .. } => Some(pointed.as_slice()),
            _ => None,
        });
        pointed.unwrap_or_default()
    }

    /// The works that DevRev refused to change.
    pub(crate) fn refused(&self) -> Vec<&Left> {
        let refused = self.steps.iter().rev().find_map(|step| match &step.what {
            What::Works { refused, .. } => Some(refused),
            _ => None,
        });
        refused.into_iter().flatten().collect()
    }

    /// What stays as it is, since it was changed after the merge.
    pub(crate) fn all_left(&self) -> Vec<&Left> {
        let steps = self.steps.iter().filter_map(|step| match &step.what {
            What::RefPutBack { left, .. } | What::Works { left, .. } => Some(left),
            _ => None,
        });
        self.left.iter().chain(steps.flatten()).collect()
    }
}
