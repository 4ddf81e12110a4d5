//! A planned merge, and the steps of it that were taken: what the journal and the plan hold.

use super::belongings::Belongings;
use super::pair::Contact;
use crate::devrev::rev_users::RevUser;
use crate::devrev::whole::Whole;
use crate::devrev::works::{OwnedWork, Role};
use crate::jobs::read_at::ReadAt;
use crate::jobs::track;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::path::PathBuf;
use std::sync::Arc;

/// Two contacts that become one.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct MergeChange {
    /// Their address, in lower case.
    pub email: String,
    /// The contact that stays.
    pub primary: Side,
    /// The contact that ends.
    pub secondary: Side,
    /// The external reference that the primary gets after the merge; `None`: it keeps its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new_ref: Option<String>,
    /// What it would take, in a dry run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preview: Option<Preview>,
    /// The steps that earlier processes have recorded.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<Step>,
    /// What was read from DevRev. Not written down: another process reads again.
    #[serde(skip)]
    pub found: Option<Arc<Found>>,
    /// The primary after the merge, once it was read.
    #[serde(skip)]
    pub after: Option<Value>,
    /// The secondary after the merge, if it is still there.
    #[serde(skip)]
    pub secondary_after: Option<RevUser>,
}

/// What one merge would take.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Preview {
    /// Whether timelines were read for this, or their averages taken.
    pub estimated: bool,
    /// Timelines that the backup would hold: one for each work and conversation.
    pub timelines: u64,
    /// Their entries.
    pub entries: u64,
    /// Files that the backup would hold.
    pub attachments: u64,
    /// Bytes that it would hold, files included.
    pub bytes: u64,
    /// Calls under the rate limit.
    pub calls: u64,
}

/// One contact of the two, as DevRev showed it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Side {
    /// What the row says.
    pub row: Contact,
    /// The contact's ID as DevRev gave it.
    pub id: String,
    /// Its display ID.
    pub display_id: String,
    /// Its display name.
    pub display_name: Option<String>,
    /// Its external reference.
    pub external_ref: Option<String>,
    /// Works that it owns, created or reported.
    pub works: u64,
    /// How many of these are tickets.
    pub tickets: u64,
    /// Conversations that it takes part in.
    pub conversations: u64,
}

impl Side {
    /// What a row and DevRev say of a contact.
    pub(crate) fn of(row: &Contact, kept: &Shown) -> Self {
        let contact = &kept.contact.read;
        Self {
            row: row.clone(),
            id: contact.id.clone(),
            display_id: contact.shown().into_owned(),
            display_name: contact.display_name.clone(),
            external_ref: contact.external_ref.clone(),
            works: kept.belongings.works.len() as u64,
            tickets: kept.belongings.tickets(),
            conversations: kept.belongings.conversations.len() as u64,
        }
    }
}

/// What was read of both contacts.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    /// Of the primary.
    pub primary: Shown,
    /// Of the secondary.
    pub secondary: Shown,
    /// When.
    pub read_at: ReadAt,
}

impl Found {
    /// The same as it was seen later, when conversations were not read again.
    #[must_use]
    pub(crate) fn as_seen(&self, later: &Self) -> Self {
        let shown = |old: &Shown, new: &Shown| {
            let mut shown = new.clone();
            shown.belongings.conversations.clone_from(&old.belongings.conversations);
            shown
        };
        Self {
            primary: shown(&self.primary, &later.primary),
            secondary: shown(&self.secondary, &later.secondary),
            read_at: later.read_at,
        }
    }
}

/// What was read of one contact.
#[derive(Debug, Clone)]
pub(crate) struct Shown {
    /// The contact.
    pub contact: Whole<RevUser>,
    /// What hangs on it.
    pub belongings: Belongings,
}

impl Shown {
    /// How many of the works it created, owns and reported: of every type.
    pub(crate) fn by_role(&self) -> [u64; 3] {
        let contact = self.contact.read.key();
        let is_in = |work: &OwnedWork, role| work.users_as(role).iter().any(|user| user.key() == contact);
        let works = || self.belongings.works.iter().map(|work| &work.read);
        Role::ALL.map(|role| works().filter(|work| is_in(work, role)).count() as u64)
    }
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_none(count: &u64) -> bool {
    *count == 0
}

/// A step of a merge.
pub(crate) type Step = track::Step<What>;

/// The steps of a merge, in their order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "kebab-case")]
pub(crate) enum What {
    /// Both contacts are on disk.
    BackedUp {
        /// The primary's backup.
        primary: PathBuf,
        /// The secondary's backup.
        secondary: PathBuf,
        /// Bytes of both.
        bytes: u64,
        /// Attachments that DevRev has no longer.
        #[serde(default, skip_serializing_if = "is_none")]
        missing: u64,
    },
    /// Both backups were read back and hold all that they should.
    Verified,
    /// The merge is about to be sent. From here on nobody may send it unless its fate is known.
    Merging {
        /// How many times that makes.
        attempt: u32,
    },
    /// DevRev has certainly not acted on it.
    NotTaken,
    /// DevRev has acknowledged it. That proves nothing yet.
    Acknowledged,
    /// The secondary is no more: the merge took.
    Proven {
        /// By what that was seen.
        by: Proof,
    },
    /// The secondary is there after all: the proof was none.
    Disproven,
    /// The primary has the external reference that it should.
    RefSet,
    /// The primary is as before, and has every work of the backups.
    Checked {
        /// Works of both backups.
        works: u64,
        /// Those that were the secondary's.
        moved: u64,
    },
}

/// How a merge shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Proof {
    /// The secondary's ID leads nowhere (404).
    Gone,
    /// It leads to the primary (301).
    Moved,
    /// It is in state `deleted`.
    Deleted,
    /// It names the primary as its primary identity.
    Identity,
    /// It is locked, a shadow, archived or deactivated, and what it had has gone to the primary.
    Inactive,
}

/// How far a merge has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Nothing was sent: all can start again.
    Begin,
    /// The merge may have been sent.
    Sent,
    /// The merge took.
    Proven,
    /// The reference is set.
    RefSet,
    /// All is done.
    Checked,
}

impl MergeChange {
    /// Whether DevRev has acknowledged a merge of it.
    pub(crate) fn is_acknowledged(&self) -> bool {
        self.steps.iter().any(|step| step.what == What::Acknowledged)
    }

    /// How far the recorded steps go.
    pub(crate) fn stage(&self) -> Stage {
        let last = self.steps.iter().rev().find_map(|step| match step.what {
            What::Proven { .. } => Some(Stage::Proven),
            What::RefSet => Some(Stage::RefSet),
            What::Checked { .. } => Some(Stage::Checked),
            What::Disproven => Some(Stage::Sent),
            _ => None,
        });
        last.unwrap_or(if self.in_doubt() { Stage::Sent } else { Stage::Begin })
    }

    /// Whether a merge was sent of which it is not certain that DevRev did not act on it.
    pub(crate) fn in_doubt(&self) -> bool {
        let sendings = self.steps.iter().fold(0_u32, |sendings, step| match step.what {
            What::Merging { .. } => sendings + 1,
            // Of the last one; an earlier one may still take.
            What::NotTaken => sendings.saturating_sub(1),
            _ => sendings,
        });
        sendings > 0
    }

    /// Attachments that the backups made last record as missing.
    pub(crate) fn missing(&self) -> u64 {
        let last = self.steps.iter().rev().find_map(|step| match step.what {
            What::BackedUp { missing, .. } => Some(missing),
            _ => None,
        });
        last.unwrap_or(0)
    }

    /// The backups of both contacts that were made last.
    pub(crate) fn backups(&self) -> Option<(&PathBuf, &PathBuf)> {
        self.steps.iter().rev().find_map(|step| match &step.what {
            What::BackedUp { primary, secondary, .. } => Some((primary, secondary)),
            _ => None,
        })
    }

    /// How many works were the secondary's, once that was checked.
    pub(crate) fn moved(&self) -> Option<u64> {
        self.steps.iter().rev().find_map(|step| match step.what {
            What::Checked { moved, .. } => Some(moved),
            _ => None,
        })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::jobs::track::Stepwise as _;

    pub(in super::super) fn change(steps: &[&str]) -> MergeChange {
        let side = r#"{"row": {"row": 1, "id": "REVU-1", "email": "a@example.com", "external_ref": "REVU-x",
            "display_name": "A", "tickets": 0}, "id": "don:identity:x:devo/1:revu/1", "display_id": "REVU-1",
            "display_name": null, "external_ref": null, "works": 0, "tickets": 0, "conversations": 0}"#;
        let steps: Vec<_> =
            steps.iter().map(|step| format!(r#"{{"at": "2026-11-22T03:45:00Z", {step}}}"#)).collect();
        let json = format!(
            r#"{{"email": "a@example.com", "primary": {side}, "secondary": {side}, "steps": [{}]}}"#,
            steps.join(",")
        );
        serde_json::from_str(&json).unwrap()
    }

    const BACKED_UP: &str = r#""step": "backed-up", "primary": "/a", "secondary": "/b", "bytes": 1"#;
    const VERIFIED: &str = r#""step": "verified""#;
    const MERGING: &str = r#""step": "merging", "attempt": 1"#;
    const AGAIN: &str = r#""step": "merging", "attempt": 2"#;
    const NOT_TAKEN: &str = r#""step": "not-taken""#;
    const ACKNOWLEDGED: &str = r#""step": "acknowledged""#;
    const PROVEN: &str = r#""step": "proven", "by": "gone""#;

    #[test]
    fn nothing_was_sent_only_if_that_is_certain() {
        for (steps, stage) in [
            (&[][..], Stage::Begin),
            (&[BACKED_UP, VERIFIED], Stage::Begin),
            (&[BACKED_UP, VERIFIED, MERGING], Stage::Sent),
            (&[BACKED_UP, VERIFIED, MERGING, ACKNOWLEDGED], Stage::Sent),
            (&[BACKED_UP, VERIFIED, MERGING, NOT_TAKEN], Stage::Begin),
            (&[BACKED_UP, VERIFIED, MERGING, NOT_TAKEN, AGAIN], Stage::Sent),
            (&[BACKED_UP, VERIFIED, MERGING, NOT_TAKEN, AGAIN, NOT_TAKEN], Stage::Begin),
            // The second one was refused, perhaps because the first took.
            (&[BACKED_UP, VERIFIED, MERGING, AGAIN, NOT_TAKEN], Stage::Sent),
            (&[BACKED_UP, VERIFIED, MERGING, PROVEN], Stage::Proven),
            (&[MERGING, AGAIN, NOT_TAKEN, PROVEN, r#""step": "ref-set""#], Stage::RefSet),
            (&[PROVEN, r#""step": "checked", "works": 3, "moved": 2"#], Stage::Checked),
        ] {
            assert_eq!(change(steps).stage(), stage, "{steps:?}");
        }
    }

    #[test]
    fn the_backups_made_last_count() {
        let later = BACKED_UP.replace("/a", "/c");
        assert_eq!(change(&[BACKED_UP, &later]).backups().unwrap().0, &PathBuf::from("/c"));
        assert_eq!(change(&[]).backups(), None);
        assert_eq!(change(&[MERGING, AGAIN]).attempts(), 2);
    }

    #[test]
    fn a_change_is_read_back_as_it_was_written() {
        let change = change(&[BACKED_UP, MERGING, ACKNOWLEDGED, PROVEN]);
        let text = serde_json::to_string(&change).unwrap();
        let again: MergeChange = serde_json::from_str(&text).unwrap();
        assert_eq!(serde_json::to_string(&again).unwrap(), text);
        assert!(
            serde_json::from_str::<Step>(r#"{"at": "2026-11-22T03:45:00Z", "step": "unheard-of"}"#).is_err()
        );
    }
}
