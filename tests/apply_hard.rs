//! `apply` under a bad star: what was sent is never told as left alone, and every way to plan is a way to apply.

use crate::support::fixture::Trouble;
use crate::support::run::Run;
use crate::support::site::Site;
use crate::support::terminal::OnTerminal;
use crate::support::{Fixture, Merging, Org, People};
use serde_json::json;

fn newest(site: &Site, wanted: impl Fn(&serde_json::Value) -> bool) -> Run {
    let runs = site.runs().into_iter().filter(|run| run.file("run.json").exists() && wanted(&run.manifest()));
    runs.max_by_key(|run| run.manifest()["created_at"].to_string()).unwrap()
}

fn dry(site: &Site) -> Run {
    newest(site, |manifest| manifest["dry_run"] == true)
}

fn applied(site: &Site) -> Run {
    newest(site, |manifest| manifest.get("applies").is_some())
}

#[test]
fn a_merge_that_was_sent_is_followed_however_its_contacts_have_drifted() {
    for first in ["skip", "abort"] {
        let fixture = Merging::with(&People::of(30), &Trouble::delay(5));
        fixture.quick(["merge-contacts", "--csv", "contacts.csv", "--dry-run"]).run().exits(0);
        let dry = dry(&fixture);
        let slow = ["--batch-size", "2", "--concurrency", "1"];
        let apply = fixture.quick(["apply", dry.id(), "--yes"]).args(slow);
        let running = apply.run_until(|| fixture.merges() > 2);
        running.kill();
        for couple in &fixture.people.couples {
            for id in [&couple.revu, &couple.user] {
                fixture.touch(id, &json!({"display_name": "Somebody Else"}));
            }
        }
        let run = applied(&fixture);
        let resume =
            |on_drift| fixture.resume(&[run.id(), "--on-drift", on_drift, "--max-same-failures", "0"]).run();
        let ended = resume(first);
        if first == "abort" {
            assert!(ended.all().contains("Nothing of its batch was sent by this process"), "{}", ended.all());
            resume("skip");
        }
        let (stats, results, contacts) = (fixture.stats(), run.all_results(), fixture.contacts());
        assert_eq!(stats["double_merges"], 0);
        let report = std::fs::read(run.file("report.json")).unwrap();
        let report: serde_json::Value = serde_json::from_slice(&report).unwrap();
        let mut sent = 0;
        for couple in &fixture.people.couples {
            let pair =
                report["pairs"].as_array().unwrap().iter().find(|pair| pair["email"] == json!(couple.email));
            let state = pair.unwrap()["state"].as_str().unwrap();
            if contacts[&couple.user].merges > 0 {
                assert_ne!(state, "skipped", "{pair:?}");
                sent += 1;
            } else {
                // It may have been about to be sent.
                let is_open = pair.unwrap()["steps"].to_string().contains("merging");
                assert_eq!(state, if is_open { "unknown" } else { "skipped" }, "{pair:?}");
            }
        }
        assert!(sent > 2 && sent < fixture.people.couples.len(), "{sent}");
        assert_eq!(results.len() as u64, run.manifest()["applies"]["rows"].as_u64().unwrap());
    }
}

#[test]
fn whatever_was_planned_is_what_is_carried_out() {
    let people = People::of(9);
    let email = people.couples[4].email.clone();
    let ways: [&[&str]; 5] = [
        &["--primary", "user"],
        &["--limit", "3"],
        &["--filter-email", &email],
        &["--on-count-mismatch", "warn"],
        &["--batch-size", "1", "--primary", "user", "--limit", "5"],
    ];
    for way in ways {
        let fixture = Merging::new(&people);
        // The second row of the first pair comes last.
        let csv = fixture.people.csv();
        let mut lines: Vec<&str> = csv.lines().collect();
        let first = lines.remove(1);
        lines.push(first);
        let program = fixture.quick(["merge-contacts", "--csv", "-", "--dry-run"]).args(way);
        program.stdin(lines.join("\n")).run().exits(0);
        let dry = dry(&fixture);
        let planned = dry.manifest()["counts"]["planned"].clone();
        let ended = fixture.quick(["apply", dry.id(), "--yes", "--json"]).run().exits(0);
        assert_eq!(ended.json()["states"], json!({"done": planned}), "{way:?}: {}", ended.all());
        assert_eq!(fixture.merges() * 2, planned.as_u64().unwrap());
        // What was carried out can be undone, and the plan of that too.
        let run = applied(&fixture);
        fixture.quick(["undo", run.id(), "--dry-run"]).run().exits(0);
        let back = newest(&fixture, |manifest| manifest["parent"] == run.id());
        let ended = fixture.quick(["apply", back.id(), "--yes", "--json"]).run().exits(0);
        assert_eq!(ended.json()["states"]["done"].as_u64().unwrap(), fixture.merges(), "{}", ended.all());
    }
}

#[test]
fn a_planned_undo_that_is_killed_again_and_again_creates_each_contact_once() {
    let fixture = Merging::with(&People::of(8), &Trouble::delay(2));
    fixture.merge(&[]).run().exits(0);
    let merged = fixture.the_run();
    fixture.quick(["undo", merged.id(), "--dry-run"]).run().exits(0);
    let plan = dry(&fixture);
    let before = fixture.contacts().len();
    let total = || fixture.stats()["total"].as_u64().unwrap();
    let mut next = fixture.quick(["apply", plan.id(), "--yes"]);
    for step in [22, 9, 13, 17, 8, 19] {
        let until = total() + step;
        let mut running = next.run_until(|| total() >= until);
        if running.has_ended() {
            running.wait();
        } else {
            running.kill();
        }
        next = match fixture.runs().into_iter().find(|run| ![merged.id(), plan.id()].contains(&run.id())) {
            Some(run) if run.file("run.json").exists() => fixture.resume(&[run.id()]),
            Some(run) => {
                std::fs::remove_dir_all(&run.0).unwrap();
                fixture.quick(["apply", plan.id(), "--yes"])
            }
            None => fixture.quick(["apply", plan.id(), "--yes"]),
        };
    }
    let ended = next.run();
    let run = applied(&fixture);
    let counts = run.manifest()["counts"].clone();
    assert_eq!(counts["done"], fixture.people.couples.len(), "{counts} {}", ended.all());
    assert_eq!(fixture.contacts().len(), before + fixture.people.couples.len());
}

#[test]
fn an_input_that_is_gone_is_no_slip_of_the_operators() {
    let fixture = Fixture::new(&Org::of(3));
    fixture.write(".env", "KEEP_INPUT_MAX=0\n");
    fixture.program(["backfill-groups", "--csv", "issues.csv", "--dry-run"]).run().exits(0);
    std::fs::rename(fixture.path("issues.csv"), fixture.path("moved.csv")).unwrap();
    let ended = fixture.program(["apply", dry(&fixture).id(), "--yes"]).run().exits(6);
    ended.says("its input has changed: cannot read ");
    assert_eq!((fixture.writes(), fixture.runs().len()), (0, 1));
}

#[test]
fn what_was_planned_in_production_is_confirmed_as_there() {
    let fixture = Fixture::new(&Org::of(3));
    let plan = fixture.program(["backfill-groups", "--csv", "issues.csv", "--dry-run"]);
    plan.env("ENVIRONMENT", "production").run().exits(0);
    let dry = dry(&fixture);
    let mut program = OnTerminal::start(&fixture, &["apply", dry.id()], &[("ENVIRONMENT", "development")]);
    program.until_it_shows("Type the organisation's name, TEST, to continue:");
    program.types("y\n");
    program.exits(14);
    assert_eq!((fixture.writes(), fixture.runs().len()), (0, 1));
}

#[test]
fn who_is_in_which_group_is_asked_anew() {
    let fixture = Fixture::new(&Org::of(3));
    let plan = |ttl: &str| {
        let program = fixture.program(["backfill-groups", "--csv", "issues.csv", "--dry-run"]);
        program.env("CACHE_TTL", ttl).run().exits(0);
        fixture.calls("groups.list")
    };
    let before = (plan("3600"), plan("3600"));
    assert_eq!(before.0, before.1, "the list is kept");
    let apply = fixture.program(["apply", dry(&fixture).id(), "--yes"]).env("CACHE_TTL", "3600");
    apply.run().exits(0);
    assert!(fixture.calls("groups.list") > before.1);
    fixture.assert_right();
}

#[test]
fn what_the_run_itself_has_done_is_no_drift_when_it_is_tried_again() {
    for fault in [
        "path=rev-users.create,status=400,count=1",
        "path=works.update,status=403,count=1",
        "path=rev-users.update,status=403,after=4,count=1",
    ] {
        let fixture = Merging::broken(&People::of(4), [fault]);
        fixture.merge(&[]).run().exits(0);
        let merged = fixture.the_run();
        fixture.quick(["undo", merged.id(), "--dry-run"]).run().exits(0);
        fixture.quick(["apply", dry(&fixture).id(), "--yes"]).run().exits(3);
        let run = applied(&fixture);
        assert_eq!(run.manifest()["counts"]["failed"], 1);
        let ended = fixture.resume(&[run.id(), "--retry-failed", "--json"]).run().exits(0);
        assert_eq!(ended.json()["states"], json!({"done": 4}), "{fault}: {}", ended.all());
    }
}

#[test]
fn a_ticket_that_came_since_stops_a_run_that_is_to_stop_at_drift() {
    let fixture = Merging::new(&People::of(3));
    fixture.quick(["merge-contacts", "--csv", "contacts.csv", "--dry-run"]).run().exits(0);
    fixture.create_ticket(&fixture.people.couples[0].user);
    let apply = fixture.quick(["apply", dry(&fixture).id(), "--yes", "--on-drift", "abort"]);
    apply.run().exits(6).says("has changed since it was planned: ticket-count-differs: ");
    assert_eq!(fixture.merges(), 0);
}

#[test]
fn a_pair_that_drifts_after_its_batch_was_looked_at_is_not_merged() {
    for (on_drift, code) in [("skip", 0), ("abort", 6)] {
        let fixture = Merging::with(&People::of(60), &Trouble::delay(4));
        fixture.quick(["merge-contacts", "--csv", "contacts.csv", "--dry-run"]).run().exits(0);
        let dry = dry(&fixture);
        let args = ["apply", dry.id(), "--yes", "--concurrency", "1", "--on-drift", on_drift];
        // All of them are in one batch, and were held against the plan together before the first is backed up.
        let timelines = || fixture.calls("timeline-entries.list");
        let before = timelines();
        let running = fixture.quick(args).run_until(|| timelines() > before);
        running.signal("STOP");
        let late = &fixture.people.couples[52..];
        for couple in late {
            fixture.touch(&couple.user, &json!({"display_name": "Somebody Else"}));
        }
        running.signal("CONT");
        let ended = running.wait().exits(code);
        let contacts = fixture.contacts();
        let merged = late.iter().filter(|couple| contacts[&couple.user].merges > 0).count();
        assert_eq!(merged, 0, "{}", ended.all());
        assert_eq!(fixture.stats()["double_merges"], 0);
        let run = applied(&fixture);
        if on_drift == "abort" {
            assert!(ended.all().contains("display name `"), "{}", ended.all());
            fixture.resume(&[run.id(), "--on-drift", "skip"]).run().exits(0);
        }
        let (done, skipped) = (run.results("success.csv"), run.results("skipped.csv"));
        assert_eq!((done.len(), skipped.len()), (104, 16));
        let said = |reason: &str| reason.starts_with("drifted: ") && reason.ends_with(" -> `Somebody Else`");
        assert!(skipped.iter().all(|row| said(&row.reason)), "{skipped:?}");
    }
}
