//! Which notes belong together: those with one address, those of one contact, and whoever belongs with them.

use super::note::{NO_EMAIL, Note};

/// The groups of notes.
pub(super) struct Groups {
    /// By the place of a note: the place of its group's first one.
    first: Vec<usize>,
    /// The places of the notes, those of a group beside each other and in their order.
    order: Vec<usize>,
}

impl Groups {
    /// Groups notes, and marks those whose contact stands in more than one row.
    pub(super) fn of(notes: &mut [Note]) -> Self {
        let mut groups = Self { first: (0..notes.len()).collect(), order: (0..notes.len()).collect() };
        // Those that a bad record left: there is one for each of its addresses.
        groups.join_neighbours(|one, other| {
            at(notes, one, |note| note.row) == at(notes, other, |note| note.row)
        });

        groups.order.sort_unstable_by_key(|place| at(notes, *place, |note| note.email.key()));
        groups.join_neighbours(|one, other| {
            let email = at(notes, one, |note| note.email.key());
            email != Some(NO_EMAIL.key()) && email == at(notes, other, |note| note.email.key())
        });

        groups.order.sort_unstable_by_key(|place| at(notes, *place, |note| note.contact));
        let same = |notes: &[Note], one, other| {
            let contact = at(notes, one, |note| note.contact);
            contact != Some(0) && contact == at(notes, other, |note| note.contact)
        };
        groups.join_neighbours(|one, other| same(notes, one, other));
        let contacts = groups.order.chunk_by(|one, other| same(notes, *one, *other));
        let twice: Vec<usize> = contacts.filter(|rows| rows.len() > 1).flatten().copied().collect();
        for place in twice {
            if let Some(note) = notes.get_mut(place) {
                note.twice = true;
            }
        }

        for place in 0..groups.first.len() {
            groups.find(place);
        }
        let Self { first, order } = &mut groups;
        order.sort_unstable_by_key(|place| (first.get(*place).copied(), *place));
        groups
    }

    /// The groups, each as the places of its notes in their order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &[usize]> {
        self.order.chunk_by(|one, other| self.first.get(*one) == self.first.get(*other))
    }

    /// Makes one group of the groups of neighbours that are alike.
    fn join_neighbours(&mut self, alike: impl Fn(usize, usize) -> bool) {
        let order = std::mem::take(&mut self.order);
        for (one, other) in
            order.iter().zip(order.iter().skip(1)).filter(|(one, other)| alike(**one, **other))
        {
            let (one, other) = (self.find(*one), self.find(*other));
            // The smaller leads, so that a group's first note does in the end.
            if let Some(leader) = self.first.get_mut(one.max(other)) {
                *leader = one.min(other);
            }
        }
        self.order = order;
    }

    /// The place that leads a note's group; makes the way there shorter for the next who asks.
    fn find(&mut self, place: usize) -> usize {
        let mut leader = place;
        while let Some(next) = self.first.get(leader).copied().filter(|next| *next != leader) {
            leader = next;
        }
        let mut at = place;
        while at != leader {
            let Some(next) = self.first.get_mut(at) else { break };
            at = std::mem::replace(next, leader);
        }
        leader
    }
}

fn at<T>(notes: &[Note], place: usize, field: impl Fn(&Note) -> T) -> Option<T> {
    notes.get(place).map(field)
}
