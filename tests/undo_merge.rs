//! `undo` of merges: contacts and works as before, but for new IDs and what nobody can bring back.

use crate::support::merging::Work;
use crate::support::people::HEADER;
use crate::support::program::Program;
use crate::support::{Merging, People, Run};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;

fn merge_run(fixture: &Merging) -> Run {
    fixture.runs().into_iter().find(|run| run.id().contains("-merge-contacts-")).unwrap()
}

fn undo_run(fixture: &Merging) -> Run {
    fixture.runs().into_iter().rfind(|run| run.id().contains("-undo-merge-")).unwrap()
}

fn undo(fixture: &Merging, more: &[&str]) -> Program {
    let run = merge_run(fixture);
    fixture.quick(["undo", run.id(), "--yes", "--json"]).args(more)
}

/// The new display ID by the old one.
fn id_map(fixture: &Merging) -> BTreeMap<String, String> {
    let mut reader = csv::Reader::from_path(undo_run(fixture).file("undo-id-map.csv")).unwrap();
    assert_eq!(
        reader.headers().unwrap(),
        &["old_id", "old_display_id", "new_id", "new_display_id", "email"][..]
    );
    let records = reader.records().map(Result::unwrap);
    records.map(|record| (record[1].to_owned(), record[3].to_owned())).collect()
}

/// A work as it is to be: the new contact where the old one was, but for who created it.
fn pointed(before: &Work, old: &str, new: &str, primary: &str) -> Work {
    let is_named = before.owned_by.contains(old) || before.reported_by.contains(old);
    let created_by = before.renamed(old, primary).created_by;
    let writes = before.writes + u64::from(is_named);
    Work { created_by, writes, ..before.renamed(old, new) }
}

/// Wants the pair of every couple apart again, and never two contacts in the place of one.
#[track_caller]
fn assert_undone(fixture: &Merging) {
    let (contacts, works, map) = (fixture.contacts(), fixture.works(), id_map(fixture));
    let mut expected = fixture.works_before.clone();
    for couple in &fixture.people.couples {
        let new = &map[&couple.user];
        let (old, now) = (&fixture.contacts_before[&couple.user], &contacts[new]);
        assert_eq!(
            (&now.external_ref, &now.email, &now.display_name, now.state.as_str()),
            (&old.external_ref, &old.email, &old.display_name, "active")
        );
        let (old, now) = (&fixture.contacts_before[&couple.revu], &contacts[&couple.revu]);
        assert_eq!((&now.external_ref, &now.display_name), (&old.external_ref, &old.display_name));
        for work in expected.values_mut() {
            *work = pointed(work, &couple.user, new, &couple.revu);
        }
    }
    assert_eq!(works, expected);
    assert_eq!(contacts.len(), fixture.contacts_before.len() + fixture.people.couples.len());
}

#[test]
fn contacts_and_works_are_as_before_but_for_the_new_ids() {
    let fixture = Merging::new(&People::of(8));
    fixture.merge(&[]).run().exits(0);
    let ended = undo(&fixture, &[]).run().exits(0);
    assert_eq!(ended.json()["states"], json!({"done": 8}), "{}", ended.all());
    assert_undone(&fixture);
    let run = undo_run(&fixture);
    run.assert_complete(8);
    let report: Value = serde_json::from_slice(&std::fs::read(run.file("report.json")).unwrap()).unwrap();
    let pairs = report["undone"].as_array().unwrap();
    assert_eq!(pairs.len(), 8);
    let pair = pairs.iter().find(|pair| pair["email"] == "person2@example.com").unwrap();
    assert_eq!(pair["put_back"][0]["member"], "external_ref");
    assert_eq!(pair["cannot_come_back"]["created_works"], json!(["TKT-21"]));
    assert_eq!(pair["cannot_come_back"]["conversations"], 1);
    assert_eq!(pair["works"]["pointed"].as_array().unwrap().len(), 3);
    let steps: Vec<_> = pair["steps"].as_array().unwrap().iter().map(|step| &step["step"]).collect();
    assert_eq!(steps, ["ref-put-back", "creating", "created", "works", "checked"]);
    fixture.assert_no_token();
}

#[test]
fn the_same_pairs_can_be_merged_again() {
    let fixture = Merging::new(&People::of(3));
    fixture.merge(&[]).run().exits(0);
    undo(&fixture, &[]).run().exits(0);
    let map = id_map(&fixture);
    let mut csv = HEADER.to_owned();
    for line in fixture.people.csv().lines().skip(1) {
        let (id, rest) = line.split_once(',').unwrap();
        writeln!(csv, "{},{rest}", map.get(id).map_or(id, String::as_str)).unwrap();
    }
    fixture.write("again.csv", csv);
    let warn = ["merge-contacts", "--csv", "again.csv", "--yes", "--json", "--on-count-mismatch", "warn"];
    let ended = fixture.quick(warn).run().exits(0);
    assert_eq!(ended.json()["states"]["done"], 6, "{}", ended.all());
    assert_eq!(fixture.merges(), 6);
}

#[test]
fn a_dry_run_says_what_would_be_done_and_writes_nothing() {
    let fixture = Merging::new(&People::of(4));
    fixture.merge(&[]).run().exits(0);
    let (writes, contacts) = (fixture.writes(), fixture.contacts());
    let ended = undo(&fixture, &["--dry-run"]).run().exits(0);
    assert_eq!(ended.json()["states"], json!({"planned": 4}));
    assert_eq!((fixture.writes(), fixture.contacts()), (writes, contacts));
    let run = undo_run(&fixture);
    assert!(!run.file("undo-id-map.csv").exists());
    let plan = run.lines("plan.jsonl");
    assert_eq!(plan.len(), 4);
    let change = &plan[1]["change"];
    assert_eq!(change["counts"], json!({"works": 3, "left": 0}), "{change}");
    assert_eq!(change["secondary"]["create"]["external_ref"], "user_20004");
    assert_eq!(change["cannot_come_back"]["conversations"], 1);
}

#[test]
fn what_was_changed_since_the_merge_is_left_and_said() {
    let fixture = Merging::new(&People::of(7));
    fixture.merge(&[]).run().exits(0);
    // REVU-3 has another name and reference; one of its works is another's. REVU-5 is gone. Somebody has the
    // reference of REVU-8 now. REVU-9's is mended by hand.
    fixture.touch("REVU-3", &json!({"external_ref": "mine", "display_name": "Somebody"}));
    fixture.control("POST", "works/TKT-22", &json!({"reported_by": ["DEVU-2"]}).to_string());
    fixture.touch("REVU-5", &json!({"state": "deactivated"}));
    fixture.touch("REVU-7", &json!({"external_ref": "REVU-20007"}));
    fixture.touch("REVU-9001", &json!({"external_ref": "user_20008"}));
    fixture.touch("REVU-9", &json!({"external_ref": "REVU-20009"}));
    let ended = undo(&fixture, &[]).run().exits(0);
    assert_eq!(ended.json()["states"], json!({"done": 5, "skipped": 2}), "{}", ended.all());
    let (contacts, works, run) = (fixture.contacts(), fixture.works(), undo_run(&fixture));
    let results = run.assert_complete(7);
    let row = |email: &str| results.values().find(|row| row.fields[0] == email.as_bytes()).unwrap();
    let second = row("person2@example.com");
    assert!(second.reason.starts_with("some-left: "), "{second:?}");
    for said in ["external_ref: the merge left `user_20004`, and it is `mine` now", "display_name", "TKT-22"]
    {
        assert!(second.reason.contains(said), "{second:?}");
    }
    assert_eq!(contacts["REVU-3"].external_ref.as_deref(), Some("mine"));
    assert!(works["TKT-22"].reported_by.contains("DEVU-2") && works["TKT-22"].reported_by.len() == 1);
    assert!(works["TKT-21"].reported_by.contains(&id_map(&fixture)["REVU-4"]));
    assert!(row("person3@example.com").reason.starts_with("not-active"));
    assert!(row("person4@example.com").reason.starts_with("ref-taken"));
    assert_eq!(
        (row("person5@example.com").status.as_str(), &*row("person5@example.com").reason),
        ("done", "")
    );
    assert_eq!(contacts["REVU-9"].external_ref.as_deref(), Some("REVU-20009"));
}

#[test]
fn a_damaged_backup_leaves_its_pair_merged() {
    let fixture = Merging::new(&People::of(3));
    fixture.merge(&[]).run().exits(0);
    let (contacts, works) = (fixture.contacts(), fixture.works());
    let backups: Vec<_> =
        std::fs::read_dir(fixture.path("backups")).unwrap().map(|entry| entry.unwrap().path()).collect();
    let of =
        |id: &str| backups.iter().find(|path| path.to_string_lossy().ends_with(&format!("_{id}"))).unwrap();
    std::fs::write(of("REVU-2").join("tickets.json"), "{\"works\": []}").unwrap();
    std::fs::remove_dir_all(of("REVU-3")).unwrap();
    let ended = undo(&fixture, &[]).run().exits(3);
    assert_eq!(ended.json()["states"], json!({"done": 1, "failed": 2}), "{}", ended.all());
    for row in undo_run(&fixture).results("failed.csv") {
        assert!(row.reason.starts_with("backup-incomplete: "), "{row:?}");
    }
    let now = fixture.contacts();
    for id in ["REVU-1", "REVU-3"] {
        assert_eq!(now[id], contacts[id]);
    }
    assert_eq!(now.len(), contacts.len() + 1);
    assert_eq!(fixture.works()["TKT-21"], works["TKT-21"]);
}

#[test]
fn nothing_is_created_twice_whatever_breaks() {
    let pairs = 6;
    let calls =
        [("rev-users.create", 0), ("rev-users.update", pairs), ("works.update", 0), ("rev-users.list", 4)];
    for (endpoint, after) in calls {
        for fault in ["reset=after", "reset=before", "status=500", "status=503,applied", "truncate", "html"] {
            let rule = format!("path={endpoint},after={after},count=3,{fault}");
            let fixture = Merging::broken(&People::of(pairs), [rule.clone()]);
            fixture.merge(&[]).run();
            let undo = undo(&fixture, &["--max-retries", "0"]);
            undo.env("BREAKER_THRESHOLD", "1000").run();
            for _ in 0..3 {
                let run = undo_run(&fixture);
                if run.manifest()["counts"]["done"] != pairs {
                    fixture.resume(&[run.id(), "--retry-failed"]).run();
                }
            }
            assert_eq!(undo_run(&fixture).manifest()["counts"]["done"], pairs, "{rule}");
            assert_undone(&fixture);
        }
    }
}

#[test]
fn a_second_undo_finds_all_done_and_creates_nothing() {
    let fixture = Merging::new(&People::of(3));
    fixture.merge(&[]).run().exits(0);
    undo(&fixture, &[]).run().exits(0);
    let (first, contacts, writes) = (id_map(&fixture), fixture.contacts(), fixture.writes());
    std::thread::sleep(std::time::Duration::from_millis(1100));
    let ended = undo(&fixture, &[]).run().exits(0);
    assert_eq!(ended.json()["states"], json!({"done": 3}), "{}", ended.all());
    assert_eq!((id_map(&fixture), fixture.contacts(), fixture.writes()), (first, contacts, writes));
}
