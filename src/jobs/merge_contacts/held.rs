//! What the contacts of a pair have once their merge was sent: the works of both, and their references. Asked for many
//! pairs at once.

use super::belongings;
use super::change::MergeChange;
use super::look::{self, Seen};
use super::pair::Contact;
use crate::devrev::read_only::ReadOnly;
use crate::devrev::rev_users::{RevUser, contact_key};
use crate::devrev::works::Role;
use crate::net::error::ApiError;
use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

/// A pair that is asked about.
#[derive(Debug, Clone)]
pub(crate) struct Question {
    /// The primary as contacts are asked for.
    pub primary: Contact,
    /// Its ID as DevRev gave it.
    pub primary_id: String,
    /// The secondary's.
    pub secondary_id: String,
    /// Whether the secondary is known to be there: else only the primary's works are asked for, since no list takes the
    /// ID of a contact that is gone.
    pub secondary_is_there: bool,
    /// Works that the primary should have: once they are seen, no more are asked for. All are if this is `None`.
    pub expected: Option<Arc<BTreeSet<String>>>,
}

impl Question {
    /// Whether the primary has what it should.
    pub(crate) fn about_primary(change: &MergeChange, expected: Arc<BTreeSet<String>>) -> Self {
        Self { expected: Some(expected), ..Self::about(change) }
    }

    fn about(change: &MergeChange) -> Self {
        Self {
            primary: change.primary.row.clone(),
            primary_id: change.primary.id.clone(),
            secondary_id: change.secondary.id.clone(),
            secondary_is_there: false,
            expected: None,
        }
    }

    /// What both have, of a secondary that is there.
    pub(crate) fn about_both(change: &MergeChange) -> Self {
        Self { secondary_is_there: true, ..Self::about(change) }
    }
}

impl Question {
    fn has_seen_all(&self, held: &Held) -> bool {
        self.expected
            .as_ref()
            .is_some_and(|expected| expected.iter().all(|work| held.primary_works.contains(work)))
    }
}

/// What was seen.
#[derive(Debug, Clone)]
pub(crate) struct Held {
    /// The primary.
    pub primary: Seen,
    /// The IDs of its works.
    pub primary_works: HashSet<String>,
    /// The secondary, if a list still shows it.
    pub secondary: Option<RevUser>,
    /// The IDs of its works, if they were asked for.
    pub secondary_works: HashSet<String>,
}

/// Answers questions, in order. Roles are read one by one, the usual ones first, and only until all that is expected was
/// seen: as a rule one call is enough.
pub(crate) async fn ask(reads: ReadOnly, questions: Vec<Question>) -> Result<Vec<Held>, ApiError> {
    let wanted: Vec<&Contact> = questions.iter().map(|question| &question.primary).collect();
    let contacts = look::contacts(&reads, &wanted).await?;
    let seen = |id: &str| contact_key(id).and_then(|key| contacts.get(&key));
    let mut held: Vec<Held> = questions
        .iter()
        .map(|question| Held {
            primary: seen(&question.primary_id)
                .cloned()
                .unwrap_or_else(|| Seen::Gone(format!("DevRev shows no {}", question.primary_id))),
            primary_works: HashSet::new(),
            secondary: match seen(&question.secondary_id) {
                Some(Seen::Present(contact)) => Some(contact.read.clone()),
                _ => None,
            },
            secondary_works: HashSet::new(),
        })
        .collect();
    for role in [Role::Reporter, Role::Creator, Role::Owner] {
        let mut ids = Vec::new();
        for (question, held) in questions.iter().zip(&held) {
            if !question.has_seen_all(held) {
                ids.push(question.primary_id.clone());
            }
            ids.extend(question.secondary_is_there.then(|| question.secondary_id.clone()));
        }
        if ids.is_empty() {
            break;
        }
        let works = belongings::works_as(&reads, &ids, &[role]).await?;
        let works_of = |id: &str| {
            let works = contact_key(id).and_then(|key| works.get(&key));
            works.into_iter().flatten().map(|work| work.read.id.clone())
        };
        for (question, held) in questions.iter().zip(&mut held) {
            held.primary_works.extend(works_of(&question.primary_id));
            held.secondary_works.extend(works_of(&question.secondary_id));
        }
    }
    Ok(held)
}
