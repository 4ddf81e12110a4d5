//! The steps of an undo, in their order.

use super::change::{Left, NewContact, Put};
use crate::jobs::track;
use serde::{Deserialize, Serialize};

/// A step of an undo.
pub type Step = track::Step<What>;

/// The steps of an undo, in their order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "kebab-case")]
pub enum What {
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
pub enum Stage {
    /// Nothing is created: all can begin anew.
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
