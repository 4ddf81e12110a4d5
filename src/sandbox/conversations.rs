//! The conversations.

use super::format::{Conversation as Record, ObjectRef};
use super::user_index::{UserIndex, merged};
use super::works::{Resolver, renamed};
use crate::devrev::ids::ObjectType;

/// All conversations, in the order of their numbers.
pub(super) struct Conversations {
    all: Vec<Conversation>,
    by_member: UserIndex,
}

/// One conversation; its members are positions in the world's list of users.
pub(super) struct Conversation {
    pub(super) number: u32,
    pub(super) title: Box<str>,
    pub(super) members: Box<[u32]>,
}

impl Conversations {
    /// Takes a data file's conversations over; an error says which reference leads nowhere.
    pub(super) fn build(mut records: Vec<Record>, resolver: &Resolver<'_>) -> Result<Self, String> {
        records.sort_unstable_by_key(|record| record.number);
        if let Some(pair) = records.windows(2).find(|pair| pair[0].number == pair[1].number) {
            return Err(format!("conversations: {} appears twice", id(pair[0].number)));
        }
        let (mut all, mut by_member) = (Vec::with_capacity(records.len()), UserIndex::default());
        for (place, record) in (0_u32..).zip(records) {
            let Record { number, title, members } = record;
            let members = resolver.users(id(number), "members", &members)?;
            members.iter().for_each(|user| by_member.add(*user, place));
            all.push(Conversation { number, title, members });
        }
        Ok(Self { all, by_member })
    }

    /// The conversation with a number.
    pub(super) fn get(&self, number: u32) -> Option<&Conversation> {
        let place = self.all.binary_search_by_key(&number, |conversation| conversation.number).ok()?;
        self.all.get(place)
    }

    /// The first conversations after a number that any of these users is a member of, at most `most`.
    pub(super) fn select(&self, members: Option<&[u32]>, after: u32, most: usize) -> Vec<&Conversation> {
        let begin = self.all.partition_point(|conversation| conversation.number <= after);
        let Some(members) = members else { return self.all[begin..].iter().take(most).collect() };
        let Ok(begin) = u32::try_from(begin) else { return Vec::new() };
        let places = merged(members.iter().map(|user| self.by_member.of(*user)), begin);
        places.map(|place| &self.all[place as usize]).take(most).collect()
    }

    /// Names one user wherever another was named.
    pub(super) fn rename(&mut self, from: u32, to: u32) {
        for place in self.by_member.take(from) {
            let members = &mut self.all[place as usize].members;
            *members = renamed(members, from, to);
            self.by_member.add(to, place);
        }
    }
}

fn id(number: u32) -> ObjectRef {
    ObjectRef { object: ObjectType::Conversation, number }
}
