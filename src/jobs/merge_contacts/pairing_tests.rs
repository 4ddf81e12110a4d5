//! Which rows are a pair, and which are not.

use super::super::inputs::{ALL, csv, paired, roles};
use super::*;

fn of(rows: &[[&str; 4]]) -> Vec<String> {
    roles(&paired(&csv(rows), &ALL))
}

#[test]
fn a_pair_is_one_of_each_source() {
    let rows = [
        ["REVU-1", "a@x.io", "user_1", "1"],
        ["REVU-2", "b@x.io", "", "2"],
        ["REVU-3", "a@x.io", "REVU-9", "3"],
    ];
    let pairing = paired(&csv(&rows), &ALL);
    assert_eq!(roles(&pairing), ["3-", "single", "1+"]);
    let expected = Numbers {
        rows: 3,
        in_filter: 3,
        in_scope: 3,
        pairs_found: 1,
        pairs: 1,
        singles: 1,
        tickets: 4,
        ..Numbers::default()
    };
    assert_eq!(pairing.numbers(), &expected);
    let pairing = paired(&csv(&rows), &Scope { keep: Keep::User, ..ALL });
    assert_eq!(roles(&pairing), ["3+", "single", "1-"]);
}

#[test]
fn each_reason() {
    let (one, other) = (["REVU-1", "a@x.io", "REVU-1", "1"], ["REVU-2", "a@x.io", "user_1", "1"]);
    let don =
        |organisation: &str, tail: &str| format!("don:identity:dvrv-us-1:devo/{organisation}:revu/{tail}");
    let (in_a, in_b, in_b_too) = (don("A", "1"), don("B", "2"), don("B", "1"));
    for (rows, reason) in [
        (vec![one, ["REVU-1", "a@x.io", "user_1", "1"]], "same-contact-twice"),
        (vec![[&in_a, "a@x.io", "REVU-1", "1"], ["REVU-1", "a@x.io", "user_1", "1"]], "same-contact-twice"),
        (vec![[&in_a, "a@x.io", "REVU-1", "1"], [&in_b_too, "a@x.io", "user_1", "1"]], "same-contact-twice"),
        (vec![one, ["revu-1", "b@x.io", "user_1", "1"]], "same-contact-twice"),
        (vec![one, other, ["REVU-1", "a@x.io", "user_1", "1"]], "same-contact-twice"),
        (vec![one, other, ["REVU-3", "a@x.io", "user_3", "1"]], "more-than-two"),
        (vec![one, other, ["REVU-3", "a@x.io", "", "1"]], "more-than-two"),
        (vec![one, ["REVU-2", "a@x.io", "REVU-1", "1"]], "two-of-a-kind"),
        (vec![other, ["REVU-3", "a@x.io", "user_1", "1"]], "two-of-a-kind"),
        (vec![one, ["REVU-2", "a@x.io", "", "1"]], "other-prefix"),
        (vec![one, ["REVU-2", "a@x.io", "User_1", "1"]], "other-prefix"),
        (vec![["REVU-3", "a@x.io", "revu-1", "1"], other], "other-prefix"),
        (vec![["REVU-3", "a@x.io", "", "1"], ["REVU-2", "a@x.io", "", "1"]], "other-prefix"),
        (vec![[&in_a, "a@x.io", "REVU-1", "1"], [&in_b, "a@x.io", "user_1", "1"]], "different-organisations"),
    ] {
        assert_eq!(of(&rows), vec![reason; rows.len()], "{rows:?}");
        let pairing = paired(&csv(&rows), &ALL);
        let counted: Vec<_> =
            pairing.numbers().review.iter().map(|(reason, rows)| (reason.code(), *rows)).collect();
        assert_eq!(counted, [(reason, rows.len() as u64)]);
    }
    assert_eq!(
        of(&[[&in_a, "a@x.io", "REVU-1", "1"], [&don("A", "2"), "a@x.io", "user_1", "1"]]),
        ["2+", "1-"]
    );
    assert_eq!(of(&[[&in_a, "a@x.io", "REVU-1", "1"], ["REVU-2", "a@x.io", "user_1", "1"]]), ["2+", "1-"]);
}

#[test]
fn addresses_are_compared_without_the_case_of_ascii_and_surrounding_space() {
    let (same, unlike, unicode) = (["2+", "1-"], ["single"; 2], ["equal-only-in-unicode"; 2]);
    for (one, other, expected) in [
        ("Ann@X.io", "ann@x.IO", same),
        ("  ann@x.io\u{a0}", "ann@x.io", same),
        ("J\u{f6}RG@x.io", "j\u{f6}rg@X.io", same),
        ("JÖRG@MÜLLER.de", "jörg@müller.de", unicode),
        ("\u{212a}ate@x.io", "kate@x.io", unicode),
        ("\u{17f}am@x.io", "Sam@x.io", unicode),
        ("İ@x.io", "i\u{307}@x.io", unicode),
        ("İ@x.io", "i@x.io", unlike),
        ("STRAẞE@x.io", "straße@x.io", unicode),
        ("straße@x.io", "strasse@x.io", unicode),
        ("ann@x.io", "anne@x.io", unlike),
    ] {
        let found = of(&[["REVU-1", one, "REVU-1", "1"], ["REVU-2", other, "user_1", "1"]]);
        assert_eq!(found, expected, "{one} {other}");
    }
}

#[test]
fn nearly_equal_addresses_are_hints_and_keep_nothing_from_being_merged() {
    let rows = [
        ["REVU-1", "ann.lee@x.io", "REVU-1", "1"],
        ["REVU-2", "Ann.Lee@x.io", "user_1", "1"],
        ["REVU-3", "annlee+news@x.io", "user_3", "1"],
        ["REVU-4", "annlee@x.io\u{200b}", "user_4", "1"],
        ["REVU-5", "bo@x.io", "REVU-5", "1"],
        ["REVU-6", "b.o@x.io", "user_6", "1"],
        ["REVU-7", "b.o@x.io", "user_7", "1"],
        ["REVU-8", "cy@x.io", "user_8", "1"],
    ];
    let pairing = paired(&csv(&rows), &ALL);
    let kinds = ["two-of-a-kind"; 2];
    assert_eq!(roles(&pairing), ["2+", "1-", "single", "invalid", "single", kinds[0], kinds[1], "single"]);
    let reason = |row| pairing.review_of(row).unwrap_or_default();
    for (row, number, part) in [
        (1, 2, "near-duplicate: the address differs from that of rows 3, 4 only in"),
        (2, 2, "of rows 3, 4 only"),
        (3, 2, "of rows 1, 2, 4 only"),
        (4, 2, "of rows 1, 2, 3 only"),
        (5, 3, "near-duplicate: the address differs from that of rows 6, 7 only"),
        (6, 1, "two-of-a-kind: "),
        (6, 1, "; near-duplicate: the address differs from that of row 5 only"),
        (8, 0, ""),
    ] {
        let (found, text) = reason(row);
        assert!(found == number && text.contains(part), "{row}: {found} {text}");
    }
    // As many as without a limit; and only those that are asked for, each with all that it is like.
    let limited = paired(&csv(&rows), &Scope { limit: Some(0), ..ALL });
    assert_eq!(limited.review_of(1), pairing.review_of(1));
    let filtered = paired(&csv(&rows), &Scope { emails: vec!["annlee+news@x.io".to_owned()], ..ALL });
    assert!(filtered.review_of(1).is_none() && filtered.review_of(5).is_none());
    assert!(filtered.review_of(3).unwrap().1.contains("of rows 1, 2, 4 only"));
}

#[test]
fn a_contact_under_two_addresses_spoils_both_pairs() {
    let rows = [
        ["REVU-1", "a@x.io", "REVU-1", "1"],
        ["REVU-2", "a@x.io", "user_1", "1"],
        ["don:identity:dvrv-us-1:devo/A:revu/1", "b@x.io", "REVU-1", "1"],
        ["REVU-3", "b@x.io", "user_1", "1"],
        ["REVU-4", "c@x.io", "user_1", "1"],
    ];
    let pairing = paired(&csv(&rows), &ALL);
    assert_eq!(roles(&pairing)[..4], ["same-contact-twice"; 4]);
    assert_eq!(pairing.role(5), Role::Single);
    // Both pairs are one thing to look at; also where one of them is not asked for.
    let group = pairing.review(2).unwrap();
    assert_eq!((group.number, &*group.rows), (1, &[1, 2, 3, 4][..]));
    assert_eq!(group.sentence(2), "a contact stands in more than one row; see rows 1, 3, 4");
    let filtered = paired(&csv(&rows), &Scope { emails: vec!["b@x.io".to_owned()], ..ALL });
    assert_eq!(roles(&filtered), ["out", "out", "same-contact-twice", "same-contact-twice", "out"]);
    assert!(filtered.review(1).is_none());
}

#[test]
fn an_invalid_row_is_not_as_if_it_were_not_there() {
    let good = [["REVU-1", "a@x.io", "REVU-1", "1"], ["REVU-2", "a@x.io", "user_1", "1"]];
    for bad in
        [["REVU-3", "A@x.io", "", "many"], ["REVU-3", "a@x.io,a@x.io", "", "1"], ["3", "a@x.io", "", "1"]]
    {
        let rows = [good[0], bad, good[1]];
        let pairing = paired(&csv(&rows), &ALL);
        assert_eq!(roles(&pairing), ["invalid-row-in-group", "invalid", "invalid-row-in-group"], "{bad:?}");
        assert_eq!(pairing.review(2).unwrap().reason, Reason::InvalidRowInGroup);
        assert_eq!((pairing.numbers().invalid, pairing.numbers().in_filter), (1, 3));
    }
    // A field too many, so that the address is not where it should be.
    let rows = [good[0], ["REVU-3,Lee", "a@x.io", "", "1"], good[1]];
    assert_eq!(of(&rows), ["invalid-row-in-group", "invalid", "invalid-row-in-group"]);
    // The contact of a bad row counts, whatever else is wrong with it.
    let rows = [good[0], good[1], ["REVU-2", "", "", "x"]];
    assert_eq!(of(&rows), ["same-contact-twice", "same-contact-twice", "invalid"]);
    // Nobody has to look at rows that fail anyway.
    let pairing = paired(&csv(&[["REVU-3", "a@x.io", "", "x"], ["REVU-4", "a@x.io", "", "x"]]), &ALL);
    assert_eq!(roles(&pairing), ["invalid", "invalid"]);
    assert!(pairing.review(1).is_none());
    // Rows without an address have none in common.
    assert_eq!(
        of(&[["REVU-3", "", "", "1"], ["REVU-4", "", "", "1"], good[0]]),
        ["invalid", "invalid", "single"]
    );
}

#[test]
fn other_addresses_are_out() {
    let rows = [
        ["REVU-1", "a@x.io", "REVU-1", "1"],
        ["REVU-2", "b@x.io", "REVU-1", "2"],
        ["REVU-3", "a@x.io", "user_1", "3"],
        ["REVU-4", "c@x.io", "user_1", "x"],
        ["REVU-5", "d@x.io", "user_1", "x"],
        ["REVU-6,", "A@x.io", "user_1", "x"],
    ];
    let emails = |emails: &[&str]| Scope { emails: emails.iter().map(ToString::to_string).collect(), ..ALL };
    let pairing = paired(&csv(&rows), &emails(&["B@X.io ", "nobody@x.io", "c@x.io"]));
    assert_eq!(roles(&pairing), ["out", "single", "out", "invalid", "out", "out"]);
    assert_eq!(pairing.unmatched(), ["nobody@x.io"]);
    let numbers = pairing.numbers();
    assert_eq!((numbers.rows, numbers.in_filter, numbers.in_scope), (6, 2, 2));
    assert_eq!((numbers.singles, numbers.invalid, numbers.pairs), (1, 1, 0));
    let pairing = paired(&csv(&rows), &emails(&["a@x.io"]));
    let review = "invalid-row-in-group";
    assert_eq!(roles(&pairing), [review, "out", review, "out", "out", "invalid"]);
    assert!(pairing.unmatched().is_empty());
}

#[test]
fn a_limit_takes_the_first_pairs_by_their_second_rows() {
    let rows = [
        ["REVU-1", "a@x.io", "REVU-1", "1"],
        ["REVU-2", "b@x.io", "REVU-1", "20"],
        ["REVU-3", "s@x.io", "user_1", "1"],
        ["REVU-4", "b@x.io", "user_1", "20"],
        ["REVU-5", "c@x.io", "user_1", "300"],
        ["REVU-6", "r@x.io", "user_1", "1"],
        ["REVU-7", "r@x.io", "user_1", "1"],
        ["REVU-8", "c@x.io", "REVU-1", "300"],
        ["REVU-9", "a@x.io", "user_1", "1"],
    ];
    for (limit, expected, last_row, tickets) in [
        (0, ["out"; 9], 0, 0),
        (1, ["out", "4+", "out", "2-", "out", "out", "out", "out", "out"], 4, 40),
        (2, ["out", "4+", "out", "2-", "8-", "out", "out", "5+", "out"], 8, 640),
        (3, ["9+", "4+", "out", "2-", "8-", "out", "out", "5+", "1-"], 9, 642),
    ] {
        let pairing = paired(&csv(&rows), &Scope { limit: Some(limit), ..ALL });
        assert_eq!(roles(&pairing), expected);
        let numbers = pairing.numbers();
        assert_eq!((numbers.pairs, numbers.pairs_found, numbers.in_scope), (limit, 3, 2 * limit));
        assert_eq!((numbers.in_filter, numbers.singles, numbers.tickets), (9, 1, tickets));
        assert_eq!(pairing.last_row(), last_row);
        assert_eq!(
            pairing.review(6).unwrap().sentence(6),
            Reason::TwoOfAKind.sentence().to_owned() + "; see row 7"
        );
    }
}

#[test]
fn long_groups_are_not_told_in_full() {
    let ids: Vec<String> = (1..=9).map(|number| format!("REVU-{number}")).collect();
    let rows: Vec<[&str; 4]> =
        ids.iter().map(|id| [id, "a@x.io", "user_1", "18446744073709551615"]).collect();
    let pairing = paired(&csv(&rows), &ALL);
    let sentence = pairing.review(2).unwrap().sentence(2);
    assert_eq!(sentence, "more than two contacts have this e-mail; see rows 1, 3, 4, 5, 6 and 3 more");
    assert_eq!(pairing.numbers().tickets, 0);
    // Counts that no tickets have do not break the sum.
    let most = "18446744073709551615";
    let rows = [["REVU-1", "a@x.io", "REVU-1", most], ["REVU-2", "a@x.io", "user_1", most]];
    assert_eq!(paired(&csv(&rows), &ALL).numbers().tickets, u64::MAX);
}

#[test]
fn nothing_at_all() {
    let pairing = paired(&csv::<&str>(&[]), &ALL);
    assert_eq!((pairing.numbers(), pairing.last_row()), (&Numbers::default(), 0));
    assert_eq!(pairing.role(1), Role::Out);
}
