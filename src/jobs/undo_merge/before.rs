//! What both contacts were before the merge, as their backups prove.

use super::Item;
use super::change::{Lost, Named, Work};
use super::members;
use crate::backup::verify;
use crate::devrev::ids::Key;
use crate::devrev::rev_users::{RevUser, contact_key};
use crate::devrev::users::UserSummary;
use crate::devrev::works::{OwnedWork, Role};
use crate::journal::record::{Outcome, State};
use chrono::{DateTime, Utc};
use serde_json::Value;
use std::path::Path;

/// Both contacts before the merge.
#[derive(Debug, Clone)]
pub(crate) struct Before {
    /// The contact that was kept.
    pub primary: RevUser,
    /// The contact that was merged away.
    pub secondary: RevUser,
    /// The same, to the last member.
    pub whole_secondary: Value,
    /// The works that named it.
    pub works: Vec<OwnedWork>,
    /// Its conversations.
    pub conversations: u64,
    /// When its backup was made: the merge came after.
    pub at: DateTime<Utc>,
}

impl Before {
    /// Reads both backups through. Blocks. Unless both are whole, nothing is to be sent.
    pub(crate) fn read(item: &Item) -> Result<Self, Outcome> {
        let (_, primary) = whole(&item.primary_backup, &item.primary)?;
        let (verified, secondary) = whole(&item.secondary_backup, &item.secondary)?;
        let folder = &item.secondary_backup;
        let works = verify::works(folder).map_err(|error| incomplete(error.to_string()))?;
        Ok(Self {
            primary: contact(&item.primary_backup, &primary)?,
            secondary: contact(folder, &secondary)?,
            whole_secondary: secondary,
            works,
            conversations: verified.counts.conversations,
            at: verified.at,
        })
    }

    /// The works that can name the secondary again.
    pub(crate) fn pointed(&self) -> Vec<Work> {
        let works = self.works.iter().filter_map(|work| {
            let roles: Vec<Named> =
                [Role::Reporter, Role::Owner].into_iter().filter_map(|role| self.named(work, role)).collect();
            let shown = work.display_id.as_ref().unwrap_or(&work.id);
            (!roles.is_empty()).then(|| Work {
                id: work.id.clone(),
                display_id: shown.clone(),
                kind: work.kind.clone().unwrap_or_default(),
                roles,
            })
        });
        works.collect()
    }

    fn named(&self, work: &OwnedWork, role: Role) -> Option<Named> {
        let users = work.users_as(role);
        let is_named = |contact: &RevUser| names(users, contact.key().as_ref());
        is_named(&self.secondary).then(|| Named { role, beside_primary: is_named(&self.primary) })
    }

    /// What cannot come back.
    pub(crate) fn lost(&self) -> Lost {
        let created = self
            .works
            .iter()
            .filter(|work| names(work.users_as(Role::Creator), self.secondary.key().as_ref()));
        Lost {
            created_date: self.secondary.created_date.clone(),
            created_works: created.map(|work| work.display_id.clone().unwrap_or(work.id.clone())).collect(),
            timelines: self.works.len() as u64 + self.conversations,
            conversations: self.conversations,
            files: self.secondary.artifacts.len() as u64,
            members: members::lost(&self.whole_secondary),
        }
    }
}

/// Whether this contact is among the users.
pub(crate) fn names(users: &[UserSummary], contact: Option<&Key>) -> bool {
    contact.is_some() && users.iter().any(|user| user.key().as_ref() == contact)
}

fn incomplete(text: String) -> Outcome {
    Outcome::of(State::Failed, "backup-incomplete", text)
}

fn whole(folder: &Path, id: &str) -> Result<(verify::Verified, Value), Outcome> {
    let shown = folder.display();
    if folder.as_os_str().is_empty() {
        return Err(incomplete(format!("the run names no backup of {id}")));
    }
    let verified = verify::verify(folder).map_err(|problems| {
        let words: Vec<_> = problems.iter().take(5).map(ToString::to_string).collect();
        incomplete(format!("{shown}: {} problems: {}", problems.len(), words.join("; ")))
    })?;
    if contact_key(&verified.contact_id) != contact_key(id) {
        return Err(incomplete(format!("{shown} is of {}, not of {id}", verified.contact_id)));
    }
    let metadata = verify::metadata(folder).map_err(|error| incomplete(error.to_string()))?;
    Ok((verified, metadata))
}

fn contact(folder: &Path, metadata: &Value) -> Result<RevUser, Outcome> {
    serde_json::from_value(metadata.clone())
        .map_err(|error| incomplete(format!("{}: its contact cannot be read: {error}", folder.display())))
}
