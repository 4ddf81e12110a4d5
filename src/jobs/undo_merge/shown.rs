//! What DevRev shows of the contacts and works of many undos, asked together.

use super::contact;
use crate::devrev::ids::Key;
use crate::devrev::read_only::ReadOnly;
use crate::devrev::rev_users::{RevUser, contact_key};
use crate::devrev::works::OwnedWork;
use crate::jobs::merge_contacts::belongings;
use crate::jobs::merge_contacts::look::{self, Seen};
use crate::net::error::ApiError;
use std::collections::HashMap;

/// A pair that is to be looked at.
#[derive(Debug, Clone)]
pub(crate) struct Question {
    pub(super) email: String,
    pub(super) primary: String,
    pub(super) new: String,
}

/// What was seen of it; a contact that is not there is absent.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(super) primary: Option<RevUser>,
    pub(super) new: Option<RevUser>,
    /// The new contact's.
    pub(super) works: HashMap<String, OwnedWork>,
}

/// Looks at many pairs.
pub(crate) async fn ask(reads: ReadOnly, questions: Vec<Question>) -> Result<Vec<Answer>, ApiError> {
    let both = |question: &Question| {
        let of = |id: &str| contact(id, &question.email);
        [of(&question.primary), of(&question.new)]
    };
    let wanted: Vec<_> = questions.iter().flat_map(both).flatten().collect();
    let contacts = look::contacts(&reads, &wanted.iter().collect::<Vec<_>>()).await?;
    let ids: Vec<String> = questions.iter().map(|question| question.new.clone()).collect();
    let mut works: HashMap<Key, _> = belongings::works(&reads, &ids).await?;
    let present = |id: &str| match contact_key(id).and_then(|key| contacts.get(&key)) {
        Some(Seen::Present(contact)) => Some(contact.read.clone()),
        _ => None,
    };
    let answers = questions.iter().map(|question| {
        let works = contact_key(&question.new).and_then(|key| works.remove(&key)).unwrap_or_default();
        Answer {
            primary: present(&question.primary),
            new: present(&question.new),
            works: works.iter().map(|work| (work.read.id.clone(), work.read.clone())).collect(),
        }
    });
    Ok(answers.collect())
}
