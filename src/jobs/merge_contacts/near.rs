//! Addresses that are nearly the same: hints for people. No contact is merged for a hint.

use crate::invisible::is_invisible;
use crate::spill::Sorter;
use rustc_hash::FxHashMap;
use std::io;
use std::path::Path;
use unicode_normalization::UnicodeNormalization;

/// Other rows that a sentence names.
const NAMED: usize = 5;

/// What nearly equal addresses have in common: the address in one Unicode form, without case, invisible characters,
/// a `+tag` and dots before the `@`. An international domain is as it goes over the wire.
pub(super) fn likeness(email: &str) -> String {
    let plain: String;
    let email = if email.is_ascii() {
        email
    } else {
        plain = email.chars().filter(|c| !is_invisible(*c)).nfkc().collect();
        &plain
    };
    let folded = unicode_folded(email);
    let (local, domain) = folded.rsplit_once('@').unwrap_or((&folded, ""));
    let base = local.split('+').next().filter(|base| !base.is_empty()).unwrap_or(local);
    let domain = domain.trim_end_matches('.');
    let wire = if domain.is_ascii() { None } else { url::Host::parse(domain).ok() };
    let mut like: String = base.chars().filter(|c| *c != '.').collect();
    like.push('@');
    match wire {
        Some(host) => like.push_str(&host.to_string()),
        None => like.push_str(domain),
    }
    like
}

/// An address without surrounding white space and without the case of any letter, as Unicode folds case. Addresses
/// that are equal only so need not reach the same person: the Kelvin sign folds to `k`.
pub(super) fn unicode_folded(email: &str) -> String {
    let email = email.trim();
    if email.is_ascii() {
        return email.to_ascii_lowercase();
    }
    // Up and down again: some letters share only their capital. Letter by letter: a final sigma is a sigma.
    let lower = email.chars().flat_map(char::to_lowercase);
    lower.flat_map(char::to_uppercase).flat_map(char::to_lowercase).collect()
}

/// Gathers addresses, in memory that does not grow with their number.
#[derive(Debug)]
pub(super) struct Near(Sorter);

impl Near {
    /// Keeps what memory does not hold in unnamed files in `folder`.
    pub(super) fn new(folder: &Path) -> Self {
        Self(Sorter::new(folder))
    }

    /// Notes a row with a hash of its address's likeness and one of the address itself, in any case. Fails when the
    /// disk does.
    pub(super) fn note(&mut self, like: u64, address: u64, row: u64) -> io::Result<()> {
        self.0.push([like, address, row])
    }

    /// The rows with nearly equal addresses. Those that are not `shown` are not kept, nor groups of such rows only.
    /// Fails when the disk does.
    pub(super) fn finish(self, shown: impl Fn(u64) -> bool) -> io::Result<Hints> {
        let mut hints = Hints::default();
        let (mut like, mut rows) = (0, Vec::new());
        for record in self.0.finish()? {
            let [next, address, row] = record?;
            if next != like {
                hints.add(&rows, &shown);
                rows.clear();
                like = next;
            }
            rows.push((address, row));
        }
        hints.add(&rows, &shown);
        hints.number();
        Ok(hints)
    }
}

/// Rows with nearly equal addresses: some 40 bytes for each such row, nothing for others.
#[derive(Debug, Default)]
pub(super) struct Hints {
    groups: Vec<Group>,
    /// The group and address of each row that is shown.
    of_row: FxHashMap<u64, (usize, u64)>,
}

/// Rows of one likeness.
#[derive(Debug)]
struct Group {
    /// From 1, in the order of the first rows that are shown.
    number: u64,
    first_shown: u64,
    /// How many rows each address has.
    addresses: FxHashMap<u64, usize>,
    rows: usize,
    /// The first rows with their addresses: enough to name [`NAMED`] besides those of any one address.
    first: Vec<(u64, u64)>,
}

impl Hints {
    /// Adds the rows of one likeness, in the order of their addresses, if they have more than one address.
    fn add(&mut self, rows: &[(u64, u64)], shown: &impl Fn(u64) -> bool) {
        let differ = rows.first().map(|first| first.0) != rows.last().map(|last| last.0);
        let Some(first_shown) = rows.iter().map(|(_, row)| *row).filter(|row| shown(*row)).min() else {
            return;
        };
        if !differ {
            return;
        }
        for (address, row) in rows.iter().filter(|(_, row)| shown(*row)) {
            self.of_row.entry(*row).or_insert((self.groups.len(), *address));
        }
        let (mut addresses, mut first) = (FxHashMap::default(), Vec::new());
        for of_one in rows.chunk_by(|one, other| one.0 == other.0) {
            first.extend(of_one.iter().take(NAMED).map(|(address, row)| (*row, *address)));
            addresses.extend(of_one.first().map(|(address, _)| (*address, of_one.len())));
        }
        first.sort_unstable();
        first.truncate(2 * NAMED);
        self.groups.push(Group { number: 0, first_shown, addresses, rows: rows.len(), first });
    }

    fn number(&mut self) {
        let mut in_order: Vec<&mut Group> = self.groups.iter_mut().collect();
        in_order.sort_unstable_by_key(|group| group.first_shown);
        for (number, group) in (1..).zip(in_order) {
            group.number = number;
        }
    }

    /// The number of a row's group, and the hint in words.
    pub(super) fn of(&self, row: u64) -> Option<(u64, String)> {
        let (group, address) = self.of_row.get(&row)?;
        let group = self.groups.get(*group)?;
        let others = group.first.iter().filter(|(_, other)| other != address).take(NAMED);
        let named: Vec<_> = others.map(|(row, _)| row.to_string()).collect();
        let own = group.addresses.get(address).copied().unwrap_or_default();
        let more = match group.rows.saturating_sub(own + named.len()) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let noun = if named.len() == 1 { "row" } else { "rows" };
        let text = format!(
            "the address differs from that of {noun} {}{more} only in dots, a +tag, invisible characters or the form of \
             its letters; a hint, nothing is merged for it",
            named.join(", ")
        );
        Some((group.number, text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_look_or_work_alike_have_one_likeness() {
        for (one, other, alike) in [
            ("ann.lee@x.io", "annlee@X.io", true),
            ("ann+news@x.io", "Ann@x.io", true),
            ("ann+a+b@x.io", "ann@x.io", true),
            ("+ann@x.io", "ann@x.io", false),
            ("ann@x.io.", "ann@x.io", true),
            ("ann@x.io\u{200b}", "ann@x.io", true),
            ("a\u{ad}nn@x.io", "ann@x.io", true),
            ("jo\u{308}rg@x.io", "j\u{f6}rg@x.io", true),
            ("\u{ff41}nn@x.io", "ann@x.io", true),
            ("\u{212a}ate@x.io", "kate@x.io", true),
            ("ann@m\u{fc}ller.de", "ann@xn--mller-kva.de", true),
            ("ann@x.io", "ann@xio", false),
            ("ann@x.io", "anne@x.io", false),
            ("jorg@x.io", "j\u{f6}rg@x.io", false),
        ] {
            assert_eq!(likeness(one) == likeness(other), alike, "{one} {other}");
        }
    }

    #[test]
    fn folding_is_the_same_from_either_side() {
        for (one, other) in [
            ("KATE@x.io", "\u{212a}ate@x.io"),
            ("\u{17f}am@x.io", "Sam@x.io"),
            ("STRA\u{1e9e}E@x.io", "stra\u{df}e@x.io"),
            ("stra\u{df}e@x.io", "STRASSE@x.io"),
            ("\u{130}@x.io", "i\u{307}@x.io"),
            ("\u{39f}\u{394}\u{39f}\u{3a3}@x.io", "\u{3bf}\u{3b4}\u{3bf}\u{3c2}@x.io"),
            (" J\u{d6}RG@x.io\u{a0}", "j\u{f6}rg@X.IO"),
        ] {
            assert_eq!(unicode_folded(one), unicode_folded(other), "{one} {other}");
        }
        assert_ne!(unicode_folded("\u{130}@x.io"), unicode_folded("i@x.io"));
    }

    #[test]
    fn only_rows_with_other_addresses_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let mut near = Near::new(folder.path());
        // Likeness 7: rows 1 and 4 have one address, row 3 another. Likeness 8: one address only.
        for (like, address, row) in [(7, 50, 1), (8, 60, 2), (7, 40, 3), (7, 50, 4), (8, 60, 5)] {
            near.note(like, address, row).unwrap();
        }
        let hints = near.finish(|row| row != 4).unwrap();
        let of = |row| hints.of(row).map(|(_, text)| text.split(" only ").next().unwrap().to_owned());
        assert_eq!(of(1).unwrap(), "the address differs from that of row 3");
        assert_eq!(of(3).unwrap(), "the address differs from that of rows 1, 4");
        assert_eq!([of(2), of(4), of(5)], [None, None, None]);
    }

    #[test]
    fn a_group_that_nobody_asks_for_is_no_hint_and_a_long_one_is_cut() {
        let folder = tempfile::tempdir().unwrap();
        let mut near = Near::new(folder.path());
        for row in 1..=20 {
            near.note(1, row, row).unwrap();
            near.note(2, row, 100 + row).unwrap();
        }
        let hints = near.finish(|row| row < 100).unwrap();
        let (_, text) = hints.of(2).unwrap();
        assert!(text.contains("rows 1, 3, 4, 5, 6 and 14 more only"), "{text}");
        assert!(hints.of(101).is_none());
        assert_eq!(hints.groups.len(), 1);
    }
}
