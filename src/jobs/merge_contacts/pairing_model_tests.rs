//! Pairing against the plainest way to do it.

use super::super::inputs::{ALL, csv, paired};
use super::*;
use proptest::prelude::*;
use std::collections::HashSet;

/// ID, address, external reference, tickets.
type Fields = [String; 4];

fn fields() -> impl Strategy<Value = Fields> {
    let id = (
        0..12u8,
        prop_oneof![Just("REVU-"), Just("don:identity:d:devo/A:revu/"), Just("don:identity:d:devo/B:revu/")],
    );
    let email = prop_oneof![
        Just("a@x.io"),
        Just(" A@x.io"),
        Just("b@x.io"),
        Just("c@x.io"),
        Just("d@x.io"),
        Just("")
    ];
    let source = prop_oneof![4 => Just("REVU-1"), 4 => Just("user_1"), 1 => Just("")];
    let tickets = prop_oneof![9 => Just("1"), 1 => Just("x")];
    (id, email, source, tickets).prop_map(|((tail, form), email, source, tickets)| {
        [format!("{form}{tail}"), email.into(), source.into(), tickets.into()]
    })
}

fn contact(row: &Fields) -> &str {
    row[0].rsplit(['-', '/']).next().unwrap()
}

fn email(row: &Fields) -> String {
    row[1].trim().to_lowercase()
}

/// Whether two rows are a pair among all rows.
fn are_a_pair(rows: &[Fields], one: usize, other: usize) -> bool {
    let (this, that) = (&rows[one], &rows[other]);
    let fellows = rows.iter().filter(|row| email(row) == email(this)).count();
    let stands_once = |row: &Fields| rows.iter().filter(|other| contact(other) == contact(row)).count() == 1;
    let organisation = |row: &Fields| row[0].split_once("devo/").map(|(_, rest)| rest[..1].to_owned());
    let differ = matches!((organisation(this), organisation(that)), (Some(this), Some(that)) if this != that);
    let sources: HashSet<&str> = [&*this[2], &*that[2]].into();
    one != other
        && !email(this).is_empty()
        && email(this) == email(that)
        && fellows == 2
        && sources == ["REVU-1", "user_1"].into()
        && [this, that].iter().all(|row| row[3] == "1" && stands_once(row))
        && !differ
}

proptest! {
    #[test]
    fn as_the_rule_says(rows in prop::collection::vec(fields(), 0..14), filter in any::<bool>(), limit in prop::option::of(0..3u64)) {
        let emails = if filter { vec!["A@x.io".to_owned(), "b@x.io".to_owned()] } else { Vec::new() };
        let pairing = paired(&csv(&rows), &Scope { emails, limit, ..ALL });
        let wanted = |row: &Fields| !filter || ["a@x.io", "b@x.io"].contains(&&*email(row));

        let mut pairs: Vec<(usize, usize)> = (0..rows.len())
            .flat_map(|second| (0..second).map(move |first| (second, first)))
            .filter(|(second, first)| wanted(&rows[*first]) && are_a_pair(&rows, *first, *second))
            .collect();
        let found = pairs.len() as u64;
        pairs.truncate(limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap()));

        let (mut seen, mut counted) = (HashSet::new(), Numbers::default());
        for (index, row) in rows.iter().enumerate() {
            let number = index as u64 + 1;
            let partner = pairs.iter().find_map(|(second, first)| match index {
                _ if index == *second => Some(*first),
                _ if index == *first => Some(*second),
                _ => None,
            });
            let role = pairing.role(number);
            if let Some(partner) = partner {
                prop_assert_eq!(role, Role::Pair { partner: partner as u64 + 1, primary: row[2] == "REVU-1" });
                prop_assert!(seen.insert(contact(row).to_owned()), "a contact in two pairs");
                counted.tickets += 1;
                counted.in_scope += 1;
                continue;
            }
            let is_invalid = row[3] != "1" || email(row).is_empty();
            let alone = !rows.iter().enumerate().any(|(other, that)| {
                other != index && (contact(that) == contact(row) || (!email(row).is_empty() && email(that) == email(row)))
            });
            let in_review = pairing.review(number).is_some();
            prop_assert!(wanted(row) || !in_review);
            counted.in_scope += u64::from(role != Role::Out);
            match role {
                Role::Pair { .. } => prop_assert!(false, "row {} is in no pair", number),
                Role::Out => prop_assert!(limit.is_some() || !wanted(row)),
                Role::Invalid => prop_assert!(is_invalid && limit.is_none() && wanted(row)),
                Role::Single => prop_assert!(alone && !is_invalid && limit.is_none() && wanted(row)),
                Role::Review(group) => {
                    prop_assert!(!alone && !is_invalid && limit.is_none() && in_review);
                    prop_assert!(group.rows.len() > 1 && group.rows.contains(&number));
                    prop_assert!(group.rows.is_sorted_by(|one, other| one < other));
                }
            }
        }
        let numbers = pairing.numbers();
        prop_assert_eq!((numbers.pairs_found, numbers.pairs), (found, pairs.len() as u64));
        prop_assert_eq!((numbers.in_scope, numbers.tickets), (counted.in_scope, counted.tickets));
        let parts = 2 * numbers.pairs_found + numbers.singles + numbers.invalid + numbers.review.values().sum::<u64>();
        prop_assert_eq!(parts, numbers.in_filter);
        prop_assert_eq!(numbers.in_filter, rows.iter().filter(|row| wanted(row)).count() as u64);
        // Groups are numbered by their first rows, without a gap.
        let mut groups = Vec::new();
        for group in (1..=numbers.rows).filter_map(|row| pairing.review(row)) {
            if !groups.contains(&group.number) {
                groups.push(group.number);
            }
        }
        prop_assert!(groups.iter().copied().eq(1..=groups.len() as u64));
    }
}
