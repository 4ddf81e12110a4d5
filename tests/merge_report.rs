//! What `merge-contacts` says: before, in a preview that writes nothing; and after, in `report.json`.

use crate::support::{Fixture, Merging, Org, People, test_data};
use serde_json::json;

#[test]
fn a_preview_writes_nothing_and_says_what_would_be_done() {
    for flag in ["--preview", "--dry-run"] {
        let mut people = People::of(9);
        people.row("REVU-2").tickets += 1;
        let fixture = Merging::new(&people);
        let program = fixture.quick(["merge-contacts", "--csv", "contacts.csv", flag, "--json"]);
        let ended = program.run().exits(3);
        assert_eq!(ended.json()["states"], json!({"failed": 2, "planned": 16, "skipped": 2}));
        assert_eq!((fixture.writes(), fixture.merges()), (0, 0));
        assert_eq!(fixture.works(), fixture.works_before);
        assert_eq!(fixture.contacts(), fixture.contacts_before);
        assert!(!fixture.path("backups").exists());
        let run = fixture.the_run();
        assert_eq!(run.manifest()["dry_run"], true);
        let plan = run.lines("plan.jsonl");
        assert_eq!(plan.len(), 8);
        for line in &plan {
            let change = &line["change"];
            let email = line["key"].as_str().unwrap();
            let couple = fixture.people.couples.iter().find(|couple| couple.email == email).unwrap();
            assert_eq!(change["primary"]["display_id"], couple.revu.as_str());
            assert_eq!(change["secondary"]["display_id"], couple.user.as_str());
            assert_eq!(change["new_ref"], couple.user_ref.as_str());
            for side in ["primary", "secondary"] {
                let id = change[side]["display_id"].as_str().unwrap();
                let works = fixture.works_before.values().filter(|work| work.is_of(id));
                assert_eq!(change[side]["works"], works.count() as u64, "{id}");
            }
        }
        // What a preview estimates a merge would take, it takes.
        let of =
            |email: &str| plan.iter().find(|line| line["key"] == email).unwrap()["change"]["preview"].clone();
        assert_eq!(of("person2@example.com")["entries"], 130 + 3 * 2);
        fixture.resume(&[]).run().exits(2);
    }
}

#[test]
fn the_report_says_of_each_pair_what_was_and_what_became_of_it() {
    let fixture = Merging::new(&People::of(4));
    fixture.merge(&[]).run().exits(0);
    let run = fixture.the_run();
    let report: serde_json::Value =
        serde_json::from_slice(&std::fs::read(run.file("report.json")).unwrap()).unwrap();
    let pairs = report["pairs"].as_array().unwrap();
    assert_eq!(pairs.len(), 4);
    for pair in pairs {
        let email = pair["email"].as_str().unwrap();
        let couple = fixture.people.couples.iter().find(|couple| couple.email == email).unwrap();
        let before = &fixture.contacts_before[&couple.revu];
        assert_eq!(pair["state"], "done");
        assert_eq!(pair["primary"]["before"]["display_id"], couple.revu.as_str());
        assert_eq!(pair["primary"]["before"]["external_ref"], json!(before.external_ref));
        assert_eq!(pair["primary"]["before"]["display_name"], json!(before.display_name));
        assert_eq!(pair["primary"]["after"]["external_ref"], couple.user_ref.as_str());
        assert_eq!(pair["primary"]["after"]["display_name"], json!(before.display_name));
        assert_eq!(pair["secondary"]["display_id"], couple.user.as_str());
        let moved = fixture.works_before.values().filter(|work| work.is_of(&couple.user)).count();
        assert_eq!(pair["works_moved"], moved as u64);
        let tickets = fixture.people.rows.iter().find(|row| row.id == couple.user).unwrap().tickets;
        assert_eq!(pair["tickets_moved"], tickets);
        let names: Vec<_> =
            pair["steps"].as_array().unwrap().iter().map(|step| step["step"].as_str().unwrap()).collect();
        let expected = ["backed-up", "verified", "merging", "acknowledged", "proven", "ref-set", "checked"];
        assert_eq!(names, expected);
        for step in pair["steps"].as_array().unwrap() {
            chrono::DateTime::parse_from_rfc3339(step["at"].as_str().unwrap()).unwrap();
        }
        for side in ["primary", "secondary"] {
            let folder = std::path::Path::new(pair["backups"][side].as_str().unwrap());
            assert!(
                folder.is_absolute() && folder.starts_with(fixture.path("backups")),
                "{}",
                folder.display()
            );
            devrev_batch::backup::verify::verify(folder).unwrap();
        }
    }
}

#[test]
fn the_report_says_why_a_pair_was_not_merged_too() {
    let fixture = Merging::broken(&People::of(1), ["path=rev-users.merge,reset=before,count=1"]);
    fixture.merge(&[]).run().exits(3);
    let report = std::fs::read(fixture.the_run().file("report.json")).unwrap();
    let report: serde_json::Value = serde_json::from_slice(&report).unwrap();
    let pair = &report["pairs"][0];
    assert_eq!((&pair["state"], &pair["reason"]), (&json!("unknown"), &json!("not-proven")));
    assert!(pair["backups"]["secondary"].is_string() && pair["primary"]["after"].is_null(), "{pair}");
    assert_eq!(report["states"]["unknown"], 2);
}

#[test]
fn the_demonstration_ends_as_its_data_says() {
    let fixture = Fixture::down(&Org::of(1));
    let csv = test_data("contacts.csv");
    let program = fixture.program(["merge-contacts", "--sandbox", "--json", "--csv"]).arg(&csv);
    let program = program.env("MERGE_POLL_DELAY", "0.01").without("DEVREV_API_TOKEN");
    let summary = program.run().exits(3).json();
    assert_eq!(summary["states"], json!({"done": 26, "failed": 4, "skipped": 22}));
    assert_eq!(summary["reasons"]["failed"], json!({"backup-failed": 2, "ticket-count-differs": 2}));
    let run = fixture.the_run();
    run.assert_complete(52);
    let verified = fixture.program(["backups", "verify", "--json"]).run().exits(0).json();
    // Two of each pair, and the one contact of the failed pair whose files came whole.
    let counts = ["ok", "damaged", "partial"].map(|name| verified[name].as_u64().unwrap());
    assert_eq!(counts, [27, 0, 0]);
}
