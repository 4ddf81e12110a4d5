//! The backups of a real run: where they are, what they hold, and that nothing is merged without them.

use crate::support::fixture::Trouble;
use crate::support::{Merging, People, files_below};
use chrono::{TimeDelta, Utc};
use devrev_batch::backup::verify::verify;
use serde_json::json;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

/// All that is below a folder, folders too.
fn all_below(folder: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            all.extend(all_below(&entry.path()));
        }
        all.push(entry.path());
    }
    all
}

/// The backups of a fixture, by name.
fn backups(fixture: &Merging) -> Vec<PathBuf> {
    let entries = fs::read_dir(fixture.path("backups")).unwrap().map(|entry| entry.unwrap().path());
    let mut folders: Vec<_> = entries.collect();
    folders.sort();
    folders
}

/// Wants the one pair of a world not merged, for this reason.
#[track_caller]
fn assert_not_merged(fixture: &Merging, state: &str, reason: &str) {
    let states = fixture.assert_ended();
    let all: Vec<_> = states.into_values().collect();
    assert_eq!(all, [(state.to_owned(), Some(reason.to_owned()))]);
    assert_eq!(fixture.merges(), 0);
}

#[test]
fn names_that_strangers_chose_stay_inside() {
    let names = [
        "../../../../escaped.txt",
        "..",
        "/absolute",
        "a/b\\c",
        ".hidden",
        "con",
        "\u{202e}gpj.exe",
        "new\nline",
        "",
        "same.txt",
        "SAME.txt",
        "messages.json",
        "../messages.json",
        "-rf",
        "\u{1b}[2J",
        "C:\\x",
        "nul\0l",
    ];
    let mut people = People::of(1);
    let long = "x".repeat(400) + ".png";
    let mut numbers = Vec::new();
    for (number, name) in (900..).zip(names.into_iter().chain([long.as_str()])) {
        people
            .list("artifacts")
            .push(json!({"number": number, "name": name, "content": format!("content {number}")}));
        numbers.push(number);
    }
    people.set_timeline(
        "TKT-11",
        json!([
            {"type": "timeline_comment", "created_by": "REVU-2", "body": "Files", "artifacts": numbers},
        ]),
    );
    people.contact("REVU-1")["artifacts"] = json!(numbers);
    let mut merged = 0;
    for email in ["../../../up@example.com", "a/../../b@example.com", "日本語+x@example.com"] {
        let mut people = people.clone();
        for id in ["REVU-1", "REVU-2"] {
            people.contact(id)["email"] = json!(email);
            people.row(id).email = email.to_owned();
        }
        people.couples[0].email = email.to_lowercase();
        let fixture = Merging::new(&people);
        let before: Vec<_> = all_below(fixture.folder());
        let ended = fixture.merge(&["--backup-dir", "one/two/three/backups"]).run();
        let root = fixture.path("one/two/three/backups");
        for path in all_below(fixture.folder()) {
            let known = before.contains(&path)
                || path.starts_with(fixture.path("runs"))
                || path.starts_with(&root)
                || root.starts_with(&path);
            assert!(known, "{}", path.display());
        }
        // An address that is none is not merged at all.
        if ended.code != Some(0) {
            assert_eq!((ended.code, fixture.merges()), (Some(5), 0), "{}", ended.all());
            continue;
        }
        fixture.assert_all_done();
        let pair = fixture.the_run().pairs().into_values().next().unwrap();
        let [primary, secondary] = pair.backups_of_sendings()[0].clone().unwrap();
        assert!(primary.parent() == Some(&*root) && secondary.parent() == Some(&*root));
        let wanted: Vec<_> = numbers.iter().map(|number| format!("content {number}")).collect();
        for folder in [primary.join("contact"), secondary.join("conversations/TKT-11")] {
            let files = files_below(&folder.join("attachments"));
            let content = |path: &PathBuf| String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned();
            let mut contents: Vec<_> = files.iter().map(content).collect();
            contents.retain(|text| text.starts_with("content "));
            contents.sort();
            assert_eq!(contents, wanted);
        }
        merged += 1;
    }
    assert!(merged >= 2, "{merged}");
}

#[test]
fn backups_are_for_their_owners_eyes() {
    let fixture = Merging::new(&People::of(3));
    fixture.merge(&[]).run().exits(0);
    let root = fixture.path("backups");
    for path in all_below(&root).iter().chain([&root]) {
        let metadata = fs::symlink_metadata(path).unwrap();
        let wanted = if metadata.is_dir() { 0o700 } else { 0o600 };
        assert_eq!(metadata.permissions().mode() & 0o777, wanted, "{}", path.display());
    }
}

#[test]
fn a_file_that_is_not_as_long_as_devrev_says_keeps_its_pair() {
    for stated in [109, 111, 0] {
        let mut people = People::of(1);
        people.list("artifacts")[0]["stated_size"] = json!(stated);
        let fixture = Merging::new(&people);
        fixture.merge(&[]).run().exits(12).says("backup-failed");
        assert_not_merged(&fixture, "failed", "backup-failed");
    }
}

#[test]
fn a_url_that_has_expired_is_asked_for_once_more() {
    let whole = Merging::new(&People::of(1));
    whole.merge(&[]).run().exits(0);
    let calls = whole.calls("artifacts.locate");
    let fixture = Merging::broken(&People::of(1), ["path=storage,status=403,count=1"]);
    fixture.merge(&[]).run().exits(0);
    assert_eq!(fixture.calls("artifacts.locate"), calls + 1);
    fixture.assert_all_done();
    let fixture = Merging::broken(&People::of(1), ["path=storage,status=403,count=2"]);
    fixture.merge(&[]).run().exits(12).says("backup-failed");
    assert_not_merged(&fixture, "failed", "backup-failed");
}

/// The attachments that the backups of a run record as missing, by backup.
fn missing(fixture: &Merging) -> Vec<u64> {
    let verified =
        backups(fixture).iter().map(|folder| verify(folder).unwrap().counts.missing).collect::<Vec<_>>();
    let ended = fixture.program(["backups", "verify", "--json"]).run().exits(0);
    let told = ended.json()["backups"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["attachments_missing"].clone())
        .collect::<Vec<_>>();
    assert_eq!(serde_json::to_value(&verified).unwrap(), serde_json::Value::from(told));
    verified
}

#[test]
fn an_attachment_that_is_gone_keeps_its_pair_unless_that_is_to_be_recorded() {
    // The first file of all is the only one that is gone.
    for fault in [
        "path=artifacts.locate,status=404,count=1",
        "path=storage,status=404,count=2",
        "path=storage,status=410,count=2",
    ] {
        let fixture = Merging::broken(&People::of(1), [fault]);
        let ended = fixture.merge(&["--concurrency", "1"]).run().exits(12).says("backup-attachment-missing");
        assert_not_merged(&fixture, "failed", "backup-attachment-missing");
        let failed = fs::read_to_string(fixture.the_run().file("failed.csv")).unwrap();
        let cure = "--on-missing-attachment record continues without it";
        assert!(failed.contains(cure), "{failed} {}", ended.all());

        let fixture = Merging::broken(&People::of(1), [fault]);
        fixture
            .merge(&["--concurrency", "1", "--on-missing-attachment", "record"])
            .run()
            .exits(0)
            .says("is missing in DevRev");
        fixture.assert_all_done();
        assert_eq!(missing(&fixture).iter().sum::<u64>(), 1, "{fault}");
        let report: serde_json::Value =
            serde_json::from_slice(&fs::read(fixture.the_run().file("report.json")).unwrap()).unwrap();
        assert_eq!(report["pairs"][0]["attachments_missing"], 1);
        let text = fixture.program(["backups", "verify"]).run().exits(0);
        text.says("records 1 attachment that no longer existed");
        let run = fixture.the_run();
        fixture.quick(["undo", run.id(), "--yes"]).run().exits(0);
    }
}

#[test]
fn what_is_not_known_to_be_gone_is_not_recorded_as_missing() {
    for fault in [
        "path=artifacts.locate,status=404,page",
        "path=artifacts.locate,status=403",
        "path=storage,status=403",
        "path=storage,status=500",
        "path=storage,truncate",
    ] {
        let fixture = Merging::broken(&People::of(1), [fault]);
        fixture
            .merge(&["--on-missing-attachment", "record", "--max-retries", "1"])
            .env("BREAKER_THRESHOLD", "100")
            .run();
        assert_eq!(fixture.merges(), 0, "{fault}");
    }
}

#[test]
fn that_a_missing_attachment_is_recorded_can_be_said_later() {
    let gone = "path=artifacts.locate,status=404,count=1";
    let fixture = Merging::broken(&People::of(1), [gone]);
    fixture.merge(&["--concurrency", "1"]).run().exits(12);
    let run = fixture.the_run();
    let resume = ["resume", run.id(), "--retry-failed", "--on-missing-attachment", "record", "--yes"];
    fixture.program(resume).run().exits(0).says("--on-missing-attachment record replaces fail");
    fixture.assert_all_done();

    let fixture = Merging::broken(&People::of(1), [gone]);
    fixture.merge(&["--dry-run"]).run().exits(0);
    let run = fixture.the_run();
    let apply = ["apply", run.id(), "--on-missing-attachment", "record", "--concurrency", "1", "--yes"];
    fixture.program(apply).run().exits(0).says("is missing in DevRev");
    assert_eq!(missing(&fixture).iter().sum::<u64>(), 1);
    let wrong = ["merge-contacts", "--csv", "contacts.csv", "--on-missing-attachment", "ignore"];
    fixture.program(wrong).run().exits(2).says("invalid value 'ignore' for '--on-missing-attachment");
}

#[test]
fn a_ticket_that_comes_while_a_pair_is_backed_up_is_backed_up_too() {
    for (contact, more) in [
        ("REVU-2", &["--on-count-mismatch", "warn"][..]),
        ("REVU-1", &["--on-count-mismatch", "warn"]),
        ("REVU-2", &[]),
    ] {
        let mut fixture = Merging::broken(&People::of(1), ["path=storage,delay=300,count=1"]);
        let downloading = || fixture.stats()["storage"] != 0;
        let running = fixture.merge(more).run_until(downloading);
        let ticket = fixture.create_ticket(contact);
        fixture.works_before = fixture.works();
        assert!(fixture.works_before[&ticket].is_of(contact) && fixture.merges() == 0);
        let ended = running.wait();
        if more.is_empty() {
            // Its row says how many there are, and by now there is one more.
            assert_eq!(ended.code, Some(12), "{}", ended.all());
            assert_not_merged(&fixture, "failed", "backup-incomplete");
        } else {
            assert_eq!(ended.code, Some(0), "{}", ended.all());
            fixture.assert_all_done();
            let pair = fixture.the_run().pairs().into_values().next().unwrap();
            assert_eq!((pair.count("backed-up"), pair.count("merging")), (2, 1));
        }
    }
}

#[test]
fn a_contact_that_is_used_faster_than_it_is_backed_up_is_not_merged() {
    let fixture = Merging::with(&People::of(1), &Trouble::delay(10));
    let mut running = fixture.merge(&["--on-count-mismatch", "warn"]).spawn();
    while !running.has_ended() {
        fixture.create_ticket("REVU-2");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    running.wait().exits(12).says("backup-outrun");
    assert_not_merged(&fixture, "failed", "backup-outrun");
}

#[test]
fn a_backup_that_was_damaged_since_is_made_anew_before_a_merge_is_sent_again() {
    // Without a whole `metadata.json` it cannot be told whether a contact was touched since.
    for (side, name, is_sent) in [
        (0, "tickets.json", true),
        (1, "tickets.json", true),
        (0, "verification.json", true),
        (0, "metadata.json", false),
        (1, "metadata.json", false),
    ] {
        let fixture = Merging::broken(&People::of(1), ["path=rev-users.merge,reset=before,count=1"]);
        fixture.merge(&[]).run().exits(3);
        let pair = fixture.the_run().pairs().into_values().next().unwrap();
        let path = pair.backups_of_sendings()[0].as_ref().unwrap()[side].join(name);
        let whole = fs::read(&path).unwrap();
        let mut damaged = whole.clone();
        damaged[whole.len() / 2] ^= 1;
        fs::write(&path, damaged).unwrap();
        let resend = || fixture.resume(&["--resend-unproven"]).env("MERGE_SETTLE_TIMEOUT", "0.1");
        if is_sent {
            resend().run().exits(0);
            let pair = fixture.the_run().pairs().into_values().next().unwrap();
            assert_eq!((pair.count("backed-up"), pair.count("merging")), (2, 2), "{name}");
        } else {
            resend().run().exits(3);
            assert_eq!((fixture.merges(), fixture.calls("rev-users.merge")), (0, 1), "{name}");
            let pair = fixture.the_run().pairs().into_values().next().unwrap();
            assert_eq!(
                (pair.state.as_deref(), pair.reason.as_deref()),
                (Some("unknown"), Some("not-proven"))
            );
        }
        fs::write(&path, whole).unwrap();
        if !is_sent {
            resend().run().exits(0);
        }
        fixture.assert_all_done();
    }
}

#[test]
fn any_changed_byte_of_a_real_backup_is_found() {
    let fixture = Merging::new(&People::of(3));
    fixture.merge(&[]).run().exits(0);
    let check = || fixture.program(["backups", "verify"]);
    check().run().exits(0).says("6 backups verified, nothing wrong");
    for folder in backups(&fixture) {
        for path in files_below(&folder) {
            let whole = fs::read(&path).unwrap();
            for place in [0, whole.len() / 2, whole.len() - 1] {
                let mut damaged = whole.clone();
                damaged[place] ^= 1;
                fs::write(&path, damaged).unwrap();
                assert!(verify(&folder).is_err(), "{} at {place}", path.display());
            }
            fs::write(&path, &whole[..whole.len() - 1]).unwrap();
            assert!(verify(&folder).is_err(), "{} cut", path.display());
            if path.ends_with("tickets.json") {
                check().run().exits(12).says("5 backups verified, 1 damaged");
            }
            fs::write(&path, &whole).unwrap();
        }
    }
    check().run().exits(0);
}

#[test]
fn a_link_in_a_backups_place_is_not_followed() {
    let fixture = Merging::new(&People::of(1));
    fs::create_dir_all(fixture.path("outside")).unwrap();
    fs::create_dir_all(fixture.path("backups")).unwrap();
    // Whatever second it is made in, its name is taken.
    for second in 0..300 {
        let at = (Utc::now() + TimeDelta::seconds(second)).format("%Y%m%d_%H%M%S");
        for id in ["REVU-1", "REVU-2"] {
            let name = format!("backups/person1@example.com_{at}_{id}");
            symlink(fixture.path("outside"), fixture.path(name)).unwrap();
        }
    }
    fixture.merge(&[]).run().exits(0);
    fixture.assert_all_done();
    assert_eq!(all_below(&fixture.path("outside")), [] as [PathBuf; 0]);
    let pair = fixture.the_run().pairs().into_values().next().unwrap();
    for folder in pair.backups_of_sendings()[0].as_ref().unwrap() {
        assert!(folder.to_string_lossy().ends_with("~2") && !folder.is_symlink(), "{}", folder.display());
    }
}

#[test]
fn without_a_place_for_backups_nothing_is_merged() {
    let fixture = Merging::new(&People::of(2));
    fixture.write("backups", "a file");
    let ended = fixture.merge(&[]).run();
    assert!(matches!(ended.code, Some(12)), "{}", ended.all());
    assert_eq!((fixture.merges(), fixture.writes()), (0, 0));
    // A dangling link is not made into a folder elsewhere.
    fs::remove_file(fixture.path("backups")).unwrap();
    symlink(fixture.path("nowhere"), fixture.path("backups")).unwrap();
    fixture.merge(&[]).run();
    assert!(!fixture.path("nowhere").exists());
    assert_eq!(fixture.merges(), 0);
}
