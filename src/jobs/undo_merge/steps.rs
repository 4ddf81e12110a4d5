//! The steps of an undo, in their order, and what they say.

use crate::devrev::rev_users::RevUser;
use crate::jobs::track;
use serde::{Deserialize, Serialize};

/// A step of an undo.
pub(crate) type Step = track::Step<What>;

/// The steps of an undo, in their order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "kebab-case")]
pub(crate) enum What {
    /// The primary has its earlier values.
    RefPutBack {
        /// Which of them were written.
        put_back: Vec<Put>,
        /// Which of them stay as they are.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        left: Vec<Left>,
    },
    /// The secondary is about to be created. From here on nobody may create it unless the fate of this is known.
    Creating {
        /// How many times that makes.
        attempt: u32,
    },
    /// DevRev has certainly not acted on it.
    NotCreated,
    /// There is a contact in the place of the secondary.
    Created(NewContact),
    /// The works are pointed at it, as far as they can be.
    Works {
        /// The IDs of those that are.
        pointed: Vec<String>,
        /// Those that were changed since the merge.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        left: Vec<Left>,
        /// Those that DevRev refuses to change.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        refused: Vec<Left>,
    },
    /// Reading has shown the primary, the new contact and the works as they should be.
    Checked,
}

/// How far an undo has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Nothing is created: all can start again.
    Begin,
    /// The secondary may have been created.
    Creating,
    /// It is there.
    Created,
    /// The works are pointed at it.
    Pointed,
    /// All is done.
    Checked,
}

/// A member of a contact that gets its earlier value back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Put {
    /// Which.
    pub member: Member,
    /// The value that the merge left.
    pub from: Option<String>,
    /// The value from before the merge.
    pub to: String,
}

/// A member that a merge may change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Member {
    /// The external reference.
    ExternalRef,
    /// The display name.
    DisplayName,
}

impl Member {
    /// Its name in DevRev.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::ExternalRef => "external_ref",
            Self::DisplayName => "display_name",
        }
    }

    /// Its value in a contact.
    pub(crate) fn of(self, contact: &RevUser) -> Option<&str> {
        match self {
            Self::ExternalRef => contact.external_ref.as_deref(),
            Self::DisplayName => contact.display_name.as_deref(),
        }
    }
}

/// The contact that takes the place of the secondary.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct NewContact {
    /// Its ID.
    pub id: String,
    /// Its display ID.
    pub display_id: String,
}

impl From<&RevUser> for NewContact {
    fn from(contact: &RevUser) -> Self {
        Self { id: contact.id.clone(), display_id: contact.shown().into_owned() }
    }
}

/// Something that stays as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Left {
    /// What: a work's display ID, or a member of the primary.
    pub what: String,
    /// Why.
    pub why: String,
}
