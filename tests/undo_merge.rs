//! `undo` of merges: contacts and works as before, but for new IDs and what nobody can bring back.

use crate::support::merging::Work;
use crate::support::people::HEADER;
use crate::support::program::Program;
use crate::support::site::Trouble;
use crate::support::{Merging, People, Run, eventually};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

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
    let sums = &ended.json()["plan"];
    assert_eq!(
        (&sums["pairs"], &sums["left"], &sums["cannot_come_back"]["created_works"]),
        (&json!(4), &json!(0), &json!(3))
    );
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
    // reference of REVU-8 now. REVU-9's is fixed by hand.
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
fn backups_that_were_moved_are_taken_from_where_they_are_said_to_be() {
    let fixture = Merging::new(&People::of(3));
    fixture.merge(&[]).run().exits(0);
    std::fs::rename(fixture.path("backups"), fixture.path("moved")).unwrap();
    undo(&fixture, &["--dry-run"]).run().exits(3).says("backup");
    undo(&fixture, &["--backup-dir", "moved"]).run().exits(0);
    assert_undone(&fixture);
}

#[test]
fn a_second_undo_finds_all_done_and_creates_nothing() {
    let fixture = Merging::new(&People::of(3));
    fixture.merge(&[]).run().exits(0);
    undo(&fixture, &[]).run().exits(0);
    let (first, contacts, writes) = (id_map(&fixture), fixture.contacts(), fixture.writes());
    let ended = undo(&fixture, &[]).run().exits(0);
    assert_eq!(ended.json()["states"], json!({"already": 3}), "{}", ended.all());
    assert_eq!(ended.json()["reasons"], json!({"already": {"as-before": 3}}));
    assert_eq!((id_map(&fixture), fixture.contacts(), fixture.writes()), (first, contacts, writes));
}

#[test]
fn a_contact_gets_back_all_that_it_can_be_given() {
    let mut people = People::of(2);
    let rich = json!({"rev_org": "Nordlys AS", "description": "Calls", "phone_numbers": ["+4681"],
        "custom_fields": {"tnt__tier": "gold", "tnt__seats": 3}, "external_refs": ["user_20002", "crm-7"]});
    people.contact("REVU-2").as_object_mut().unwrap().extend(rich.as_object().unwrap().clone());
    let fixture = Merging::new(&people);
    fixture.merge(&[]).run().exits(0);
    undo(&fixture, &[]).run().exits(0);
    assert_undone(&fixture);
    let new = id_map(&fixture)["REVU-2"].clone();
    // Merged once more, its backup shows it whole.
    let csv: String = fixture.people.csv().replace("REVU-2,", &format!("{new},"));
    fixture.write("again.csv", csv);
    let again = ["merge-contacts", "--csv", "again.csv", "--yes", "--on-count-mismatch", "warn"];
    fixture.quick(again).args(["--filter-email", "person1@example.com"]).run().exits(0);
    let backups = std::fs::read_dir(fixture.path("backups")).unwrap().map(|entry| entry.unwrap().path());
    let backup =
        backups.into_iter().find(|path| path.to_string_lossy().ends_with(&format!("_{new}"))).unwrap();
    let text = std::fs::read_to_string(backup.join("metadata.json")).unwrap();
    let contact = &serde_json::from_str::<Value>(&text).unwrap()["contact"];
    assert_eq!(contact["rev_org"]["display_name"], "Nordlys AS");
    for member in ["description", "phone_numbers", "custom_fields", "external_refs"] {
        assert_eq!(contact[member], rich[member], "{member}");
    }
}

#[test]
fn killed_again_and_again_it_comes_to_its_end_and_creates_each_contact_once() {
    const MOMENTS: [(&str, u64); 5] = [
        ("rev-users.create", 3),
        ("rev-users.update", 3),
        ("works.update", 6),
        ("rev-users.list", 4),
        ("*", 30),
    ];
    let fixture = Merging::with(&People::of(36), &Trouble::delay(3));
    fixture.merge(&[]).run().exits(0);
    let mut random = StdRng::seed_from_u64(11);
    let calls = |endpoint: &str| {
        let stats = fixture.stats();
        if endpoint == "*" { stats["total"].as_u64() } else { stats["calls"][endpoint].as_u64() }.unwrap_or(0)
    };
    let mut killed = 0;
    loop {
        let under_way = fixture.runs().into_iter().find(|run| run.id().contains("-undo-merge-"));
        let program = match under_way {
            Some(run) if run.file("run.json").exists() => fixture.resume(&[run.id()]),
            Some(run) => {
                std::fs::remove_dir_all(&run.0).unwrap();
                undo(&fixture, &[])
            }
            None => undo(&fixture, &[]),
        };
        let (endpoint, most) = MOMENTS[random.random_range(0..MOMENTS.len())];
        let last = calls(endpoint) + random.random_range(1..=most);
        let mut running = program.run_until(|| calls(endpoint) >= last);
        std::thread::sleep(Duration::from_millis(random.random_range(0..8)));
        if running.has_ended() {
            running.wait().exits(0);
            break;
        }
        running.kill();
        killed += 1;
        let mut before = None;
        eventually("the sandbox to be quiet", || {
            std::thread::sleep(Duration::from_millis(10));
            let now = Some(fixture.stats());
            std::mem::replace(&mut before, now.clone()) == now
        });
    }
    assert!(killed >= 2, "it ended after {killed} kills: there is too little to do");
    assert_undone(&fixture);
    undo_run(&fixture).assert_complete(36);
}

#[test]
fn a_work_of_several_pairs_names_all_of_them_again() {
    let mut people = People::of(8);
    let users: Vec<String> = (1..=8).map(|pair| format!("REVU-{}", pair * 2)).collect();
    for number in 500..520 {
        let ticket =
            json!({"number": number, "created_by": "DEVU-1", "reported_by": users, "owned_by": users});
        people.add_work("tickets", ticket);
    }
    let fixture = Merging::with(&people, &Trouble::delay(2));
    fixture.merge(&["--on-count-mismatch", "warn"]).run().exits(0);
    undo(&fixture, &[]).run().exits(0);
    let (works, map) = (fixture.works(), id_map(&fixture));
    for number in 500..520 {
        let work = &works[&format!("TKT-{number}")];
        let wanted = map.values().cloned().collect();
        assert_eq!((&work.reported_by, &work.owned_by), (&wanted, &wanted), "{work:?}");
    }
}
