//! What the contacts of a pair have once their merge was sent: the works of both, and their references. Asked for many
//! pairs at once.

use super::belongings;
use super::change::Change;
use super::look::{self, Seen};
use super::pair::Contact;
use crate::devrev::error::ApiError;
use crate::devrev::read_only::ReadOnly;
use crate::devrev::rev_users::{RevUser, contact_key};
use std::collections::HashSet;

/// A pair that is asked about.
#[derive(Debug, Clone)]
pub struct Question {
    /// The primary as contacts are asked for.
    pub primary: Contact,
    /// Its ID as DevRev gave it.
    pub primary_id: String,
    /// The secondary's.
    pub secondary_id: String,
    /// Whether the secondary is known to be there: else only the primary's works are asked for, since no list takes the
    /// ID of a contact that is gone.
    pub secondary_is_there: bool,
}

impl Question {
    /// What only the primary has.
    pub fn about_primary(change: &Change) -> Self {
        Self {
            primary: change.primary.row.clone(),
            primary_id: change.primary.id.clone(),
            secondary_id: change.secondary.id.clone(),
            secondary_is_there: false,
        }
    }

    /// What both have, of a secondary that is there.
    pub fn about_both(change: &Change) -> Self {
        Self { secondary_is_there: true, ..Self::about_primary(change) }
    }
}

/// What was seen.
#[derive(Debug, Clone)]
pub struct Held {
    /// The primary.
    pub primary: Seen,
    /// The IDs of its works.
    pub primary_works: HashSet<String>,
    /// The secondary, if a list still shows it.
    pub secondary: Option<RevUser>,
    /// The IDs of its works, if they were asked for.
    pub secondary_works: HashSet<String>,
}

/// Answers questions, in order.
pub async fn ask(reads: ReadOnly, questions: Vec<Question>) -> Result<Vec<Held>, ApiError> {
    let wanted: Vec<&Contact> = questions.iter().map(|question| &question.primary).collect();
    let contacts = look::contacts(&reads, &wanted).await?;
    let ids = questions.iter().flat_map(|question| {
        let secondary = question.secondary_is_there.then(|| question.secondary_id.clone());
        std::iter::once(question.primary_id.clone()).chain(secondary)
    });
    let works = belongings::works(&reads, &ids.collect::<Vec<_>>()).await?;
    let works_of = |id: &str| -> HashSet<String> {
        let works = contact_key(id).and_then(|key| works.get(&key));
        works.into_iter().flatten().map(|work| work.read.id.clone()).collect()
    };
    let seen = |id: &str| contact_key(id).and_then(|key| contacts.get(&key));
    let held = |question: &Question| Held {
        primary: seen(&question.primary_id)
            .cloned()
            .unwrap_or_else(|| Seen::Gone(format!("DevRev shows no {}", question.primary_id))),
        primary_works: works_of(&question.primary_id),
        secondary: match seen(&question.secondary_id) {
            Some(Seen::Present(contact)) => Some(contact.read.clone()),
            _ => None,
        },
        secondary_works: works_of(&question.secondary_id),
    };
    Ok(questions.iter().map(held).collect())
}
