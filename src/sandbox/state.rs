//! What changes in the organisation that the sandbox plays, and merges, which change it by themselves.

use super::contacts::{Contact, Contacts, Merged};
use super::conversations::Conversations;
use super::documents::Documents;
use super::format::Tag;
use super::merge::{Event, MergeEnds, Merges};
use super::works::Works;
use crate::devrev::ids::ObjectType;
use std::time::Duration;

/// Everything that requests change. One lock guards it.
pub(super) struct State {
    /// Issues, tickets, tasks and opportunities.
    pub(super) works: [Works; 4],
    pub(super) accounts: Documents,
    pub(super) workspaces: Documents,
    pub(super) tags: Vec<Tag>,
    pub(super) contacts: Contacts,
    pub(super) conversations: Conversations,
    pub(super) merges: Merges,
    /// Updates and creations that requests made, all objects together; merges not counted.
    pub(super) writes: u64,
    /// A contact at position 0 is the user at this position.
    pub(super) first_contact: u32,
}

impl State {
    /// The works of a type.
    pub(super) fn works_of(&self, object: ObjectType) -> &Works {
        self.works.iter().find(|works| works.object == object).unwrap_or(&self.works[0])
    }

    /// The same, to be changed.
    pub(super) fn works_mut(&mut self, object: ObjectType) -> &mut Works {
        let place = self.works.iter().position(|works| works.object == object);
        &mut self.works[place.unwrap_or_default()]
    }

    /// A contact's position among all users.
    pub(super) fn user_at(&self, contact: u32) -> u32 {
        self.first_contact + contact
    }

    /// The contact that a user is.
    pub(super) fn contact_at(&self, user: u32) -> Option<u32> {
        user.checked_sub(self.first_contact)
    }

    /// Accepts a merge of two contacts that exist. `now` is the time since the sandbox began.
    pub(super) fn accept_merge(&mut self, primary: u32, secondary: u32, now: Duration) {
        self.merges.accepted += 1;
        let Some(contact) = self.contacts.get_mut(secondary) else { return };
        contact.merges += 1;
        if contact.merging || contact.merged.is_some() {
            self.merges.double += 1;
            return;
        }
        contact.merging = true;
        if self.merges.options.ends != MergeEnds::Never {
            let due = now + self.merges.options.delay;
            self.merges.schedule(due, Event::Merge { primary, secondary });
        }
    }

    /// Carries out what is due by now.
    pub(super) fn settle(&mut self, now: Duration) {
        while let Some((due, event)) = self.merges.next_due(now) {
            match event {
                Event::Merge { primary, secondary } => self.merge(primary, secondary, due),
                Event::FreeRef(contact) => self.free_ref(contact),
            }
        }
    }

    fn merge(&mut self, primary: u32, secondary: u32, due: Duration) {
        let primary = self.present(primary);
        if let Some(contact) = self.contacts.get_mut(secondary) {
            contact.merging = false;
        }
        // Merged crosswise, or into one that was deleted meanwhile: there is nothing to merge into.
        if primary == secondary || !self.contacts.get(primary).is_some_and(Contact::exists) {
            return;
        }
        let (from, to) = (self.user_at(secondary), self.user_at(primary));
        self.works.iter_mut().for_each(|works| works.rename(from, to));
        self.conversations.rename(from, to);
        let ends = self.merges.options.ends;
        if let Some(contact) = self.contacts.get_mut(secondary) {
            contact.merged = Some(Merged { into: primary, ends });
            contact.state = ends.state().unwrap_or(contact.state);
        }
        let ref_delay = self.merges.options.ref_delay;
        if ref_delay.is_zero() {
            self.free_ref(secondary);
        } else {
            self.merges.schedule(due + ref_delay, Event::FreeRef(secondary));
        }
    }

    /// What a contact has become by now.
    fn present(&self, mut contact: u32) -> u32 {
        // A contact is merged once, into one that exists: the way has an end.
        while let Some(merged) = self.contacts.get(contact).and_then(|contact| contact.merged) {
            contact = merged.into;
        }
        contact
    }

    fn free_ref(&mut self, contact: u32) {
        let shown = self.contacts.get(contact).is_some_and(Contact::exists);
        if shown {
            // Refs are unique among contacts that exist: this one loses its own.
            let _ = self.contacts.set_ref(contact, "");
        } else {
            self.contacts.free_ref(contact);
        }
    }
}
