//! `merge-contacts`: which pairs are merged, and which are not, for which reason.

use crate::support::fixture::Trouble;
use crate::support::people::Row;
use crate::support::{Merging, People};
use serde_json::{Value, json};

/// Runs a world of three pairs of which the second is not to be merged, and wants that said.
#[track_caller]
fn refused(people: &People, state: &str, reason: &str, code: i32) {
    let fixture = Merging::new(people);
    fixture.merge(&[]).run().exits(code).says(reason);
    assert_refused(&fixture, state, reason);
}

/// Wants the second of three pairs left alone for this reason, and the others merged.
#[track_caller]
fn assert_refused(fixture: &Merging, state: &str, reason: &str) {
    let states = fixture.assert_ended();
    let of = |email: &str| {
        let (state, reason) = states[email].clone();
        (state, reason.unwrap_or_default())
    };
    assert_eq!(of("person2@example.com"), (state.to_owned(), reason.to_owned()));
    for other in ["person1@example.com", "person3@example.com"] {
        assert_eq!(of(other).0, "done", "{other}");
    }
    assert_eq!((fixture.merges(), fixture.calls("rev-users.merge")), (2, 2));
    assert_eq!((fixture.contacts()["REVU-3"].writes, fixture.contacts()["REVU-4"].writes), (0, 0));
}

#[test]
fn every_pair_is_backed_up_and_merged_once() {
    let fixture = Merging::new(&People::of(13));
    let ended = fixture.merge(&["--json"]).run().exits(0);
    assert_eq!(ended.json()["states"], json!({"done": 26, "skipped": 2}));
    fixture.assert_all_done();
}

#[test]
fn once_more_there_is_nothing_to_merge() {
    for ends in ["gone", "moved", "deleted", "identity", "locked", "shadow", "archived", "deactivated"] {
        let trouble = Trouble::none().merge(&format!("delay=10,ref_delay=20,ends={ends}"));
        let fixture = Merging::with(&People::of(5), &trouble);
        fixture.merge(&[]).run().exits(0);
        fixture.assert_all_done();
        let proofs: Vec<_> = fixture
            .the_run()
            .pairs()
            .values()
            .filter_map(|pair| pair.steps.iter().find_map(|step| step.get("by").cloned()))
            .collect();
        let inactive = ["locked", "shadow", "archived", "deactivated"].contains(&ends);
        let proof = if inactive { "inactive" } else { ends };
        assert!(proofs.iter().all(|by| by == proof) && proofs.len() == 5, "{proofs:?}");
        let writes = fixture.writes();
        let again = fixture.merge(&["--json"]).run().exits(0);
        assert_eq!(again.json()["reasons"]["already"], json!({"merged-before": 10}), "{ends}");
        assert_eq!((fixture.merges(), fixture.writes()), (5, writes));
        fixture.assert_merged();
    }
}

#[test]
fn what_devrev_shows_speaks_against_it() {
    let cases: [(&str, Value, &str); 7] = [
        ("REVU-4", json!({"email": "other@example.com"}), "email-drifted"),
        ("REVU-3", json!({"email": "other@example.com"}), "email-drifted"),
        ("REVU-4", json!({"external_ref": "user_7"}), "ref-drifted"),
        ("REVU-3", json!({"external_ref": null}), "ref-drifted"),
        ("REVU-4", json!({"state": "locked"}), "not-active"),
        ("REVU-3", json!({"state": "shadow"}), "not-active"),
        ("REVU-4", json!({"state": "deleted"}), "secondary-gone"),
    ];
    for (contact, change, reason) in cases {
        let mut people = People::of(3);
        let data = people.contact(contact).as_object_mut().unwrap();
        data.extend(change.as_object().unwrap().clone());
        refused(&people, "skipped", reason, 0);
    }
}

#[test]
fn what_is_not_there_is_not_merged() {
    for (contact, reason) in [("REVU-3", "primary-gone"), ("REVU-4", "secondary-gone")] {
        let mut people = People::of(3);
        people.row(contact).id = "REVU-777".to_owned();
        refused(&people, "skipped", reason, 0);
    }
}

#[test]
fn an_address_that_was_never_verified_gets_nothing_verified() {
    let mut people = People::of(3);
    people.contact("REVU-4")["is_verified"] = json!(false);
    refused(&people, "skipped", "unverified-into-verified", 0);
    // The other way round nobody gains what is not theirs.
    let mut people = People::of(3);
    people.contact("REVU-3")["is_verified"] = json!(false);
    let fixture = Merging::new(&people);
    fixture.merge(&[]).run().exits(0);
    fixture.assert_all_done();
}

#[test]
fn a_contact_of_another_organisation() {
    let don = |org: &str, number: u32| format!("don:identity:dvrv-us-1:devo/{org}:revu/{number}");
    // Said of one of the two or of both, it is not the contact of that number that is meant.
    for (first, second) in [("OTHER", None), ("OTHER", Some("OTHER"))] {
        let mut people = People::of(3);
        people.row("REVU-4").id = don(first, 4);
        if let Some(second) = second {
            people.row("REVU-3").id = don(second, 3);
        }
        let fixture = Merging::new(&people);
        fixture.merge(&[]).run();
        let (state, _) = &fixture.assert_ended()["person2@example.com"];
        assert_ne!(state, "done");
        assert_eq!(fixture.merges(), 2);
    }
    let mut people = People::of(3);
    (people.row("REVU-3").id, people.row("REVU-4").id) = (don("TEST", 3), don("OTHER", 4));
    let fixture = Merging::new(&people);
    fixture.merge(&[]).run().exits(0).says("different-organisations");
    assert_eq!(fixture.merges(), 2);
    let review = std::fs::read_to_string(fixture.the_run().file("review.csv")).unwrap();
    assert_eq!(review.lines().count(), 3, "{review}");
}

#[test]
fn the_contact_that_stays_is_the_operators_choice() {
    let fixture = Merging::new(&People::of(6));
    fixture.merge(&["--primary", "user"]).run().exits(0);
    assert_eq!(fixture.merges(), 6);
    fixture.assert_merged_into_users();
    // Their references are right as they are.
    assert_eq!(fixture.writes(), 0);
    assert_eq!(fixture.the_run().results("success.csv").len(), 12);
}

#[test]
fn a_count_of_tickets_that_differs_keeps_a_pair_from_being_merged() {
    let mut people = People::of(3);
    people.row("REVU-4").tickets += 1;
    refused(&people, "failed", "ticket-count-differs", 3);
    // It created one of its two tickets, and reported both, and an issue as well.
    let fixture = Merging::new(&people);
    let ended = fixture.merge(&[]).run().exits(3);
    let ended = ended.says("TICKET_COUNT seems to be the greatest of owned, created and reported works");
    let failed = &fixture.the_run().results("failed.csv")[0].reason;
    for words in [
        "TICKET_COUNT is 3, and DevRev shows 2 tickets",
        "owns 0, created 1 and reported 3; the file seems to count the greatest of these three",
    ] {
        assert!(failed.contains(words), "{failed}\n{}", ended.all());
    }
    let fixture = Merging::new(&people);
    fixture.merge(&["--on-count-mismatch", "warn"]).run().exits(0).says("TICKET_COUNT is 3");
    fixture.assert_all_done();
    let other = Merging::new(&people);
    other.merge(&[]).run().exits(3);
    let retry = ["--retry", "ticket-count-differs", "--on-count-mismatch", "warn"];
    let ended = other.resume(&retry).run().exits(0);
    ended.says("--on-count-mismatch warn replaces fail for the rows that are left").says("TICKET_COUNT is 3");
    assert_eq!((other.merges(), other.calls("rev-users.merge")), (3, 3));
    fixture
        .merge(&["--on-count-mismatch", "shrug"])
        .run()
        .exits(2)
        .says("invalid value 'shrug' for '--on-count-mismatch");
}

#[test]
fn where_nothing_could_be_merged_for_its_backup_the_exit_says_so() {
    let mut people = People::of(2);
    people.row("REVU-2").tickets = 40;
    people.row("REVU-3").tickets = 40;
    let fixture = Merging::new(&people);
    fixture.merge(&[]).run().exits(12).says("ticket-count-differs");
    assert_eq!((fixture.merges(), fixture.writes()), (0, 0));
    let fixture = Merging::broken(&People::of(2), ["path=timeline-entries.list,status=403"]);
    fixture.merge(&[]).run().exits(12).says("backup-failed");
    assert_eq!((fixture.merges(), fixture.writes()), (0, 0));
}

#[test]
fn contacts_nested_in_workspaces_are_merged_and_come_back() {
    let mut people = People::of(4);
    for contact in people.list("contacts") {
        contact["workspace"] = json!(6);
    }
    let nested = |number: u32| format!("don:identity:dvrv-us-1:devo/TEST:revo/6:revu/{number}");
    people.row("REVU-1").id = nested(1);
    people.row("REVU-2").id = nested(2);
    people.row("REVU-3").id = "don:identity:dvrv-us-1:devo/TEST:revu/3".to_owned();
    people.row("REVU-6").id = nested(6);
    for ends in ["gone", "moved", "identity"] {
        let fixture = Merging::with(&people, &Trouble::none().merge(&format!("delay=10,ends={ends}")));
        fixture.program(["validate", "--csv", "contacts.csv"]).run().exits(0);
        fixture.merge(&[]).run().exits(0);
        fixture.assert_all_done();
        let run = fixture.the_run();
        let ended = fixture.quick(["undo", run.id(), "--yes", "--json"]).run().exits(0);
        assert_eq!(ended.json()["states"], json!({"done": 4}), "{ends}: {}", ended.all());
    }
    people.row("don:identity:dvrv-us-1:devo/TEST:revu/3").id = nested(3).replace("revo/6", "revo/7");
    refused_pair(&people, "contact-differs");
}

#[track_caller]
fn refused_pair(people: &People, reason: &str) {
    let fixture = Merging::new(people);
    fixture.merge(&[]).run().exits(3).says(reason);
    assert_eq!((fixture.merges(), fixture.contacts()["REVU-4"].merges), (3, 0));
}

#[test]
fn only_some_addresses_or_the_first_pairs() {
    let fixture = Merging::new(&People::of(5));
    let filter = ["--filter-email", "PERSON2@example.com", "--filter-email", "person4@example.com", "--json"];
    let ended = fixture.merge(&filter).run().exits(0);
    assert_eq!(ended.json()["states"], json!({"done": 4}));
    let merged = |fixture: &Merging| {
        let contacts = fixture.contacts().into_values();
        contacts.filter(|contact| contact.merges > 0).map(|contact| contact.id).collect::<Vec<_>>()
    };
    assert_eq!(merged(&fixture), ["REVU-4", "REVU-8"]);
    fixture.assert_merged();
    let ended = fixture.merge(&["--filter-email", "nobody@example.com"]).run().exits(2);
    ended.says("has no row with nobody@example.com");
    assert_eq!(fixture.runs().len(), 1);

    let fixture = Merging::new(&People::of(12));
    // Both contacts of a pair have the address: pairs stay whole.
    let patterns = ["--filter-email", "person1*@EXAMPLE.com", "--exclude-email", "*1@example.com"];
    let ended = fixture.merge(&patterns).arg("--json").run().exits(0);
    assert_eq!(ended.json()["states"], json!({"done": 4}));
    assert_eq!(merged(&fixture), ["REVU-20", "REVU-24"]);
    let ended = fixture.merge(&["--exclude-email", "person*"]).arg("--json").run().exits(0);
    assert_eq!(ended.json()["states"], json!({"skipped": 2}), "the contacts without a duplicate");
    fixture.merge(&["--filter-email", "*@nowhere.com"]).run().exits(2).says("has no row with *@nowhere.com");
    fixture.assert_merged();

    let fixture = Merging::new(&People::of(5));
    fixture.merge(&["--limit", "2"]).run().exits(0);
    assert_eq!(merged(&fixture), ["REVU-2", "REVU-4"]);
    fixture.assert_merged();
}

#[test]
fn rows_that_are_no_pair_are_left_to_people() {
    let mut people = People::of(2);
    // A third contact of one address; two of a kind; a reference of a third kind.
    let third = people.add_contact(501, "person2@example.com", "user_");
    let alike = [502, 503].map(|number| people.add_contact(number, "alike@example.com", "REVU-"));
    let other = [504, 505].map(|number| people.add_contact(number, "other@example.com", "crm_"));
    let added: Vec<Row> = [third].into_iter().chain(alike).chain(other).collect();
    people.rows.extend(added);
    let fixture = Merging::new(&people);
    let ended = fixture.merge(&["--json"]).run().exits(0);
    let reasons = json!({"more-than-two": 3, "no-duplicate": 2, "other-prefix": 2, "two-of-a-kind": 2});
    assert_eq!(ended.json()["reasons"]["skipped"], reasons);
    assert_eq!(fixture.merges(), 1);
    let run = fixture.the_run();
    run.assert_complete(people.rows.len() as u64);
    let mut review = csv::Reader::from_path(run.file("review.csv")).unwrap();
    let rows: Vec<_> = review.records().map(|row| row.unwrap()).collect();
    let input: Vec<_> = fixture.people.csv().lines().skip(1).map(str::to_owned).collect();
    assert_eq!(rows.len(), 7);
    for row in rows {
        let number: usize = row[8].parse().unwrap();
        let own: Vec<&str> = row.iter().take(8).collect();
        assert_eq!(own.join(","), input[number - 1]);
        assert!(row[10].contains("; see row"), "{row:?}");
    }
}

#[test]
fn off_a_terminal_and_without_yes_nothing_is_sent() {
    let fixture = Merging::new(&People::of(2));
    let program = fixture.quick(["merge-contacts", "--csv", "contacts.csv"]);
    program.stdin("yes\n").run().exits(14).says("--yes");
    assert_eq!((&fixture.stats()["total"], fixture.runs().len()), (&json!(0), 0));
    assert!(!fixture.path("backups").exists());
}

/// Gives the second contact of the second pair another address, in DevRev and in the input.
fn with_address(email: &str) -> People {
    let mut people = People::of(3);
    people.contact("REVU-4")["email"] = json!(email);
    email.clone_into(&mut people.row("REVU-4").email);
    people
}

#[test]
fn addresses_that_only_unicode_takes_for_one_go_to_a_person() {
    // U+017F, which becomes an `S` as a capital.
    let fixture = Merging::new(&with_address("per\u{17f}on2@example.com"));
    fixture.merge(&[]).run().exits(0);
    let run = fixture.the_run();
    let skipped = run.results("skipped.csv");
    let reasons = skipped.iter().filter(|row| row.reason.starts_with("equal-only-in-unicode")).count();
    let review = std::fs::read_to_string(run.file("review.csv")).unwrap();
    assert_eq!((reasons, review.matches("equal-only-in-unicode: ").count()), (2, 2), "{review}");
    assert_eq!((fixture.merges(), fixture.calls("rev-users.merge")), (2, 2));
}

#[test]
fn an_invisible_character_is_named_and_its_row_is_no_ones_duplicate() {
    let fixture = Merging::new(&with_address("person2@example.com\u{200b}"));
    fixture.merge(&[]).run().exits(3);
    let run = fixture.the_run();
    let failed = std::fs::read_to_string(run.file("failed.csv")).unwrap();
    assert!(failed.contains("character 20 is U+200B"), "{failed}");
    let review = std::fs::read_to_string(run.file("review.csv")).unwrap();
    assert_eq!(review.matches("near-duplicate: ").count(), 2, "{review}");
    assert_eq!(fixture.merges(), 2);
}
