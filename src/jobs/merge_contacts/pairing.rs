//! From the contacts of an input to pairs. Each row has one role; what is not plainly a pair is none.

use super::groups::Groups;
use super::near::{Hints, Near};
use super::note::{Kind, Note, Scope};
use super::reason::Reason;
use crate::cli::choices::Keep;
use std::collections::BTreeMap;
use std::io;

/// The reason of rows whose addresses are nearly the same.
const NEAR_DUPLICATE: &str = "near-duplicate";
/// Other rows that a sentence names.
const NAMED: usize = 5;

/// Which rows are pairs, and what becomes of the others. 16 bytes a row, and those of the groups.
#[derive(Debug)]
pub(crate) struct Pairing {
    /// The row of this place has the number after it.
    marks: Vec<Mark>,
    groups: Vec<Group>,
    hints: Hints,
    limited: bool,
    numbers: Numbers,
    unmatched: Vec<String>,
}

/// What a row is to the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role<'p> {
    /// One of two contacts that are to be one.
    Pair {
        /// The other one's row.
        partner: u64,
        /// Whether this is the contact that is kept.
        primary: bool,
    },
    /// A contact whose address no other row has.
    Single,
    /// A contact that people must look at together with others.
    Review(&'p Group),
    /// Not a contact that can be worked on: why is found again when the row is read again.
    Invalid,
    /// Not part of the run.
    Out,
}

/// Rows that people must look at: all those that belong together.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Group {
    /// Its number, from 1 in the order of the groups' first rows among those that are asked for.
    pub number: u64,
    /// Why.
    pub reason: Reason,
    /// The rows in ascending order, invalid ones and those of other addresses included. At least two.
    pub rows: Box<[u64]>,
}

impl Group {
    /// The reason in words, with the rows besides this one.
    pub(crate) fn sentence(&self, row: u64) -> String {
        let others: Vec<_> = self.rows.iter().filter(|other| **other != row).take(NAMED).collect();
        let named: Vec<_> = others.iter().map(ToString::to_string).collect();
        let noun = if others.len() == 1 { "row" } else { "rows" };
        let more = match self.rows.len().saturating_sub(1 + others.len()) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        format!("{}; see {noun} {}{more}", self.reason.sentence(), named.join(", "))
    }
}

/// What was found, in numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Numbers {
    /// Records of the input, good and bad.
    pub rows: u64,
    /// Those whose address is asked for; all of them if none is. They are the rows of `pairs_found`, `singles`,
    /// `review` and `invalid`.
    pub in_filter: u64,
    /// Those that are part of the run: with a limit, only the rows of `pairs`.
    pub in_scope: u64,
    /// Pairs among the rows in filter.
    pub pairs_found: u64,
    /// Pairs that are planned: fewer with a limit.
    pub pairs: u64,
    /// Rows in filter without a duplicate.
    pub singles: u64,
    /// Rows in filter that people must look at, by reason. Invalid rows are not counted here.
    pub review: BTreeMap<Reason, u64>,
    /// Rows in filter that cannot be worked on.
    pub invalid: u64,
    /// Tickets of the planned pairs' contacts, as the input counts them; no more than a u64 holds.
    pub tickets: u64,
}

#[derive(Debug, Clone, Copy)]
enum Mark {
    Out,
    Pair {
        partner: u64,
        primary: bool,
    },
    Single,
    Review(usize),
    Invalid,
    /// Invalid, and one of a group that people must look at.
    InvalidIn(usize),
}

impl Pairing {
    /// What the row of this number is to the run.
    pub(crate) fn role(&self, row: u64) -> Role<'_> {
        match self.mark(row) {
            Mark::Pair { partner, primary } => Role::Pair { partner, primary },
            _ if self.limited => Role::Out,
            Mark::Single => Role::Single,
            Mark::Review(group) => self.groups.get(group).map_or(Role::Out, Role::Review),
            Mark::Invalid | Mark::InvalidIn(_) => Role::Invalid,
            Mark::Out => Role::Out,
        }
    }

    /// The group with which people must look at the row, whatever the limit. Invalid rows may have one, too.
    pub(crate) fn review(&self, row: u64) -> Option<&Group> {
        match self.mark(row) {
            Mark::Review(group) | Mark::InvalidIn(group) => self.groups.get(group),
            _ => None,
        }
    }

    /// What people are to look at in this row: the number of its group, and the reason in words. Rows whose
    /// addresses are nearly the same are groups of their own, with numbers after those of the others.
    pub(crate) fn review_of(&self, row: u64) -> Option<(u64, String)> {
        let hint = self.hints.of(row);
        match (self.review(row), hint) {
            (None, None) => None,
            (None, Some((number, hint))) => {
                Some((self.groups.len() as u64 + number, format!("{NEAR_DUPLICATE}: {hint}")))
            }
            (Some(group), hint) => {
                let reason = format!("{}: {}", group.reason.code(), group.sentence(row));
                let also = hint.map(|(_, hint)| format!("; {NEAR_DUPLICATE}: {hint}")).unwrap_or_default();
                Some((group.number, reason + &also))
            }
        }
    }

    /// Which other rows have nearly the same address, in words.
    pub(crate) fn near(&self, row: u64) -> Option<String> {
        self.hints.of(row).map(|(_, hint)| hint)
    }

    /// What was found, in numbers.
    pub(crate) fn numbers(&self) -> &Numbers {
        &self.numbers
    }

    /// The addresses of `--filter-email` that no row has, as they were given.
    pub(crate) fn unmatched(&self) -> &[String] {
        &self.unmatched
    }

    /// The last row that is part of the run; 0 if none is.
    pub(crate) fn last_row(&self) -> u64 {
        let numbers = (1..=self.numbers.rows).rev();
        numbers.into_iter().find(|row| self.role(*row) != Role::Out).unwrap_or_default()
    }

    fn mark(&self, row: u64) -> Mark {
        self.marks.get(place(row)).copied().unwrap_or(Mark::Out)
    }

    pub(super) fn new(
        mut notes: Vec<Note>,
        rows: u64,
        scope: &Scope,
        unmatched: Vec<String>,
        near: Near,
    ) -> io::Result<Self> {
        let mut pairing = Self {
            marks: vec![Mark::Out; place(rows + 1)],
            groups: Vec::new(),
            hints: Hints::default(),
            limited: scope.limit.is_some(),
            numbers: Numbers { rows, ..Numbers::default() },
            unmatched,
        };
        let groups = Groups::of(&mut notes);
        let mut members = Vec::new();
        for places in groups.iter() {
            members.clear();
            members.extend(places.iter().filter_map(|place| notes.get(*place)));
            pairing.decide(&members, scope.keep);
        }
        drop(groups);
        // Before the limit takes rows out: it does not make the review shorter.
        pairing.hints = near.finish(|row| !matches!(pairing.mark(row), Mark::Out))?;
        pairing.apply(scope.limit);
        for note in &notes {
            if let Mark::Pair { .. } = pairing.mark(note.row) {
                pairing.numbers.tickets = pairing.numbers.tickets.saturating_add(note.tickets);
            }
        }
        Ok(pairing)
    }

    /// Gives the rows of a group their roles.
    fn decide(&mut self, members: &[&Note], keep: Keep) {
        match verdict(members) {
            Verdict::Invalid => self.set(members, |_| Mark::Invalid),
            Verdict::Single => self.set(members, |_| Mark::Single),
            Verdict::Pair(one, other) => self.set(members, |note| Mark::Pair {
                partner: one + other - note.row,
                primary: matches!(note.kind, Kind::Of(source) if keep.keeps(source)),
            }),
            // A group of other addresses is nobody's business.
            Verdict::Review(_) if !members.iter().any(|note| note.in_filter) => {}
            Verdict::Review(reason) => {
                let mut rows: Vec<u64> = members.iter().map(|note| note.row).collect();
                rows.dedup();
                let group = self.groups.len();
                self.groups.push(Group { number: 0, reason, rows: rows.into() });
                self.set(members, |note| match note.kind {
                    Kind::Invalid => Mark::InvalidIn(group),
                    _ => Mark::Review(group),
                });
            }
        }
    }

    fn set(&mut self, members: &[&Note], mark: impl Fn(&Note) -> Mark) {
        for note in members.iter().filter(|note| note.in_filter) {
            if let Some(at) = self.marks.get_mut(place(note.row)) {
                *at = mark(note);
            }
        }
    }

    /// Goes through the rows in their order: keeps the limit, numbers the groups, counts.
    fn apply(&mut self, limit: Option<u64>) {
        let limit = limit.unwrap_or(u64::MAX);
        let numbers = &mut self.numbers;
        let mut groups = 0;
        for row in 1..=numbers.rows {
            let mark = self.marks.get(place(row)).copied().unwrap_or(Mark::Out);
            numbers.in_filter += u64::from(!matches!(mark, Mark::Out));
            match mark {
                Mark::Out => {}
                Mark::Single => numbers.singles += 1,
                Mark::Pair { partner, .. } if partner > row => {}
                Mark::Pair { .. } if numbers.pairs < limit => {
                    numbers.pairs_found += 1;
                    numbers.pairs += 1;
                }
                Mark::Pair { partner, .. } => {
                    numbers.pairs_found += 1;
                    for out in [row, partner] {
                        if let Some(at) = self.marks.get_mut(place(out)) {
                            *at = Mark::Out;
                        }
                    }
                }
                Mark::Invalid => numbers.invalid += 1,
                Mark::Review(group) | Mark::InvalidIn(group) => {
                    let Some(group) = self.groups.get_mut(group) else { continue };
                    if group.number == 0 {
                        groups += 1;
                        group.number = groups;
                    }
                    if let Mark::Review(_) = mark {
                        *numbers.review.entry(group.reason).or_default() += 1;
                    } else {
                        numbers.invalid += 1;
                    }
                }
            }
        }
        numbers.in_scope = if self.limited { 2 * numbers.pairs } else { numbers.in_filter };
    }
}

/// What becomes of the rows that belong together.
enum Verdict {
    /// None of them can be worked on.
    Invalid,
    Single,
    /// The two rows.
    Pair(u64, u64),
    Review(Reason),
}

fn verdict(members: &[&Note]) -> Verdict {
    let is_invalid = |note: &&&Note| note.kind == Kind::Invalid;
    if members.iter().all(|note| is_invalid(&note)) {
        return Verdict::Invalid;
    }
    // Before all else: a contact that stands twice may look like half of a pair in each of its places.
    if members.iter().any(|note| note.twice) {
        return Verdict::Review(Reason::SameContactTwice);
    }
    if members.iter().any(|note| is_invalid(&note)) {
        return Verdict::Review(Reason::InvalidRowInGroup);
    }
    // All are rows of their own from here on.
    match members {
        [_] => Verdict::Single,
        [one, other] if !one.email.is(other.email) => Verdict::Review(Reason::EqualOnlyInUnicode),
        [one, other] => match (one.kind, other.kind) {
            (Kind::Of(source), Kind::Of(same)) if source == same => Verdict::Review(Reason::TwoOfAKind),
            (Kind::Of(_), Kind::Of(_)) if differ(one.organisation, other.organisation) => {
                Verdict::Review(Reason::DifferentOrganisations)
            }
            (Kind::Of(_), Kind::Of(_)) => Verdict::Pair(one.row, other.row),
            _ => Verdict::Review(Reason::OtherPrefix),
        },
        _ => Verdict::Review(Reason::MoreThanTwo),
    }
}

/// Whether two organisations are known and not the same.
fn differ(one: u32, other: u32) -> bool {
    one != 0 && other != 0 && one != other
}

/// Where a row's mark is. Rows are counted from 1.
fn place(row: u64) -> usize {
    usize::try_from(row.saturating_sub(1)).unwrap_or(usize::MAX)
}

#[cfg(test)]
#[path = "pairing_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "pairing_model_tests.rs"]
mod model_tests;
