//! `backups verify`: whether backups are whole, by the real binary and backups that the library made.

use crate::support::{Fixture, Merging, Org, People, files_below};
use devrev_batch::backup::layout::{Attachment, Counts, Label, Metadata, RelPath};
use devrev_batch::backup::{Draft, clear_partials};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};

const RUN: &str = "20261122-034500-merge-contacts-7f3a";

/// A backup of a contact with a ticket, before it is finished.
fn draft(root: &Path, number: u32) -> Draft {
    let (email, display_id) = (format!("user{number}@example.com"), format!("REVU-{number}"));
    let at = "2026-11-22T03:45:00Z".parse().unwrap();
    let mut draft = Draft::begin(root, RUN, &Label { email: &email, display_id: &display_id, at }).unwrap();
    let contact = json!({"id": format!("don:{number}"), "display_id": display_id, "email": email});
    let metadata = Metadata { contact, run: RUN.to_owned(), at, expected_tickets: 1 };
    draft.write_json(&RelPath::METADATA, &metadata).unwrap();
    let work = json!({"id": "don:t", "display_id": "TKT-1", "type": "ticket"});
    draft.write_json(&RelPath::TICKETS, &json!({"works": [work]})).unwrap();
    draft.write_json(&RelPath::CONVERSATIONS, &json!({"conversations": []})).unwrap();
    let mut messages = draft.messages("TKT-1", "don:t", "TKT-1").unwrap();
    let entry = json!({"id": "e", "artifacts": [{"id": "A-1"}]}).to_string();
    messages.entry(&RawValue::from_string(entry).unwrap()).unwrap();
    let mut file = draft.file(&RelPath::attachment("TKT-1", "a.txt")).unwrap();
    file.write(b"abc").unwrap();
    draft.add(file.finish().unwrap());
    let attachment = Attachment {
        artifact: "A-1".into(),
        name: "a.txt".into(),
        file: "a.txt".into(),
        size: Some(3),
        bytes: 3,
        missing: None,
    };
    draft.add(messages.finish(&[attachment]).unwrap());
    draft
}

fn backup(root: &Path, number: u32) -> PathBuf {
    let counts =
        Counts { tickets: 1, works: 1, conversations: 0, entries: 1, attachments: 1, bytes: 3, missing: 0 };
    draft(root, number).finish(counts, 1).unwrap()
}

/// A folder with three backups in `backups`.
fn fixture() -> (Fixture, Vec<PathBuf>) {
    let fixture = Fixture::down(&Org::of(1));
    let root = fixture.path("backups");
    let backups = [2, 1, 3].map(|number| backup(&root, number)).into();
    (fixture, backups)
}

#[test]
fn whole_backups_are_said_to_be() {
    let (fixture, backups) = fixture();
    let verify = || fixture.program(["backups", "verify"]).without("DEVREV_API_TOKEN");
    verify().run().exits(0).says("3 backups verified, nothing wrong");
    let object = verify().arg("--json").run().exits(0).json();
    assert_eq!((&object["ok"], &object["damaged"], &object["partial"]), (&json!(3), &json!(0), &json!(0)));
    assert_eq!(object["dir"], "backups");
    let first = &object["backups"][0];
    assert_eq!(first["folder"], "user1@example.com_20261122_034500_REVU-1");
    assert_eq!((&first["ok"], &first["tickets"], &first["problems"]), (&json!(true), &json!(1), &json!([])));
    let list = backups[1].join("verification.json");
    let others = files_below(&backups[1]).into_iter().filter(|path| *path != list);
    let bytes: u64 = others.map(|path| fs::metadata(path).unwrap().len()).sum();
    assert_eq!(first["bytes"], bytes);

    // One of them, by its path; and the place as it is set.
    let one = verify().arg(&backups[0]).arg("--json").run().exits(0).json();
    assert_eq!(one["backups"].as_array().map(Vec::len), Some(1));
    fs::rename(fixture.path("backups"), fixture.path("elsewhere")).unwrap();
    verify().env("BACKUP_DIR", "elsewhere").run().exits(0).says("3 backups verified");
    verify().arg("elsewhere").env("BACKUP_DIR", "none").run().exits(0).says("3 backups verified");
}

#[test]
fn whatever_is_wrong_is_told() {
    let (fixture, backups) = fixture();
    fs::write(backups[1].join("conversations/TKT-1/attachments/a.txt"), "abd").unwrap();
    fs::remove_file(backups[2].join("tickets.json")).unwrap();
    fs::write(backups[2].join("evil\u{1b}[2J"), "").unwrap();
    let verify = || fixture.program(["backups", "verify"]);
    let ended = verify().run().exits(12);
    let ended = ended
        .says("1 backup verified, 2 damaged")
        .says("user1@example.com_20261122_034500_REVU-1: 1 problem")
        .says("conversations/TKT-1/attachments/a.txt: its content has changed")
        .says("user3@example.com_20261122_034500_REVU-3: 2 problems")
        .says("tickets.json: is missing");
    assert!(!ended.out.contains('\u{1b}'), "{}", ended.all());
    let object = verify().arg("--json").run().exits(12).json();
    assert_eq!((&object["ok"], &object["damaged"]), (&json!(1), &json!(2)));
    let wrong = &object["backups"][0];
    assert_eq!((&wrong["ok"], &wrong["tickets"]), (&json!(false), &Value::Null));
    assert_eq!(wrong["problems"][0]["path"], "conversations/TKT-1/attachments/a.txt");
    verify().arg(&backups[0]).run().exits(0);
    verify().arg(&backups[1]).run().exits(12);
}

#[test]
fn a_backup_without_any_file_is_damaged_not_overlooked() {
    let (fixture, backups) = fixture();
    fs::remove_dir_all(&backups[0]).unwrap();
    fs::create_dir(&backups[0]).unwrap();
    let ended = fixture.program(["backups", "verify"]).run().exits(12);
    ended.says("2 backups verified, 1 damaged").says("verification.json: is missing");
    // Nor is one that was given another name and lost its list.
    fs::rename(&backups[1], fixture.path("backups/renamed")).unwrap();
    fs::remove_file(fixture.path("backups/renamed/verification.json")).unwrap();
    fixture.program(["backups", "verify"]).run().exits(12).says("1 backup verified, 2 damaged");
}

#[test]
fn what_an_interrupted_run_has_left_is_a_note() {
    let (fixture, _) = fixture();
    let root = fixture.path("backups");
    std::mem::forget(draft(&root, 4));
    fs::create_dir(root.join("lost+found")).unwrap();
    fs::write(root.join("user1@example.com_20261122_034500_REVU-1.tar.gz"), "").unwrap();
    let verify = || fixture.program(["backups", "verify"]);
    let ended = verify().run().exits(0).says("3 backups verified, nothing wrong");
    let ended = ended.says("REVU-4 was never finished").says("note: lost+found is not a backup");
    ended.says("REVU-1.tar.gz is not a backup");
    assert_eq!(verify().arg("--json").run().exits(0).json()["partial"], 1);
    assert_eq!(clear_partials(&root, RUN).unwrap(), 1);
    assert_eq!(verify().arg("--json").run().exits(0).json()["partial"], 0);
}

#[test]
fn backups_that_a_merge_rests_on_are_missed_and_others_may_go() {
    let fixture = Merging::broken(&People::of(3), ["path=rev-users.merge,status=400,count=1"]);
    fixture.merge(&["--concurrency", "1"]).run().exits(3);
    let verify = || fixture.program(["backups", "verify"]).run();
    // The pair that was refused was backed up, and nothing rests on that.
    let ended = verify().exits(0).says("6 backups verified, nothing wrong");
    ended.says("no merge rests on 2 backups; `devrev-batch backups prune --orphans`");
    let names = |flags: &[&str]| {
        let args = [&["backups", "prune", "--orphans", "--json"], flags].concat();
        fixture.program(args).run().exits(0).json()
    };
    assert_eq!((&names(&["--dry-run"])["removed"], files_of(&fixture)), (&json!(0), 6));
    fixture.program(["backups", "prune", "--orphans"]).run().exits(14).says("nothing was removed");
    assert_eq!((&names(&["--yes"])["removed"], files_of(&fixture)), (&json!(2), 4));
    assert_eq!(names(&["--yes"])["removed"], 0);
    // Backups of a run that is not here any more are nobody's to remove.
    let run = fixture.the_run();
    fs::rename(&run.0, fixture.path("elsewhere")).unwrap();
    assert_eq!(names(&["--yes"])["removed"], 0);
    fs::rename(fixture.path("elsewhere"), &run.0).unwrap();
    // Moved as a whole they are found; one that is gone is named.
    fs::rename(fixture.path("backups"), fixture.path("moved")).unwrap();
    fixture.program(["backups", "verify", "moved"]).run().exits(0).says("4 backups verified");
    let gone = fs::read_dir(fixture.path("moved")).unwrap().next().unwrap().unwrap().path();
    fs::remove_dir_all(&gone).unwrap();
    let ended = fixture.program(["backups", "verify", "moved"]).run().exits(12);
    let ended = ended.says("1 backup of recorded merges not there").says(run.id());
    ended.says(gone.file_name().unwrap().to_str().unwrap());
    // Without its journal nobody knows what a run needs.
    fs::remove_file(run.file("journal.jsonl")).unwrap();
    let args = ["backups", "prune", "--orphans", "--yes", "moved"];
    fixture.program(args).run().exits(6).says("which backups it needs");
    assert_eq!(fs::read_dir(fixture.path("moved")).unwrap().count(), 3);
}

fn files_of(fixture: &Merging) -> usize {
    fs::read_dir(fixture.path("backups")).unwrap().count()
}

#[test]
fn a_check_of_nothing_does_not_look_like_success() {
    let fixture = Fixture::down(&Org::of(1));
    let verify = |dir: &str| fixture.program(["backups", "verify", dir]);
    fixture.program(["backups", "verify"]).run().exits(2).says("backups: cannot be verified");
    verify("none").run().exits(2).says("none: cannot be verified");
    verify("issues.csv").run().exits(2).says("issues.csv: is not a folder");
    verify("tmp").run().exits(2).says("tmp: holds no backup; name the folder of your backups");
    std::mem::forget(draft(&fixture.path("tmp"), 1));
    let ended = verify("tmp").arg("--json").run().exits(2).says("holds no finished backup");
    assert_eq!(ended.json()["error"]["exit"], 2);
    fixture.program(["backups"]).run().exits(2);
}
