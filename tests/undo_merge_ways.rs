//! `undo` of merges in every way that merges end and calls are refused.

use crate::support::program::Program;
use crate::support::site::Trouble;
use crate::support::{Merging, People, Run};
use serde_json::json;

fn run_of(fixture: &Merging, command: &str) -> Run {
    let is_of = |run: &Run| run.id().contains(&format!("-{command}-"));
    fixture.runs().into_iter().rfind(is_of).unwrap()
}

fn undo(fixture: &Merging) -> Program {
    let run = run_of(fixture, "merge-contacts");
    fixture.quick(["undo", run.id(), "--yes", "--json"])
}

/// Wants each contact of these there once, as it was, in state active.
#[track_caller]
fn assert_all_there(fixture: &Merging) {
    let now = fixture.contacts();
    for before in fixture.contacts_before.values() {
        let is_it = |contact: &&crate::support::merging::Contact| {
            contact.external_ref == before.external_ref
                && contact.merged_into.is_none()
                && contact.state == "active"
        };
        let found: Vec<_> = now.values().filter(is_it).collect();
        assert_eq!(found.len(), 1, "{before:?}: {found:?}");
        assert_eq!((&found[0].email, &found[0].display_name), (&before.email, &before.display_name));
    }
}

#[test]
fn however_merges_end_they_are_taken_back() {
    for merge in [
        "delay=5,ends=moved",
        "delay=5,ends=deleted",
        "delay=5,ends=identity",
        "delay=5,ends=locked",
        "delay=5,ends=shadow",
        "delay=5,ends=archived",
        "delay=5,ends=deactivated",
        "delay=5,ref_delay=30",
    ] {
        let fixture = Merging::with(&People::of(4), &Trouble::none().merge(merge));
        fixture.merge(&[]).run().exits(0);
        let ended = undo(&fixture).run().exits(0);
        assert_eq!(ended.json()["states"], json!({"done": 4}), "{merge}: {}", ended.all());
        assert_all_there(&fixture);
    }
}

#[test]
fn merges_into_the_other_contact_are_taken_back() {
    let fixture = Merging::new(&People::of(4));
    fixture.merge(&["--primary", "user"]).run().exits(0);
    let ended = undo(&fixture).run().exits(0);
    assert_eq!(ended.json()["states"], json!({"done": 4}), "{}", ended.all());
    assert_all_there(&fixture);
    for line in run_of(&fixture, "undo-merge").lines("journal.jsonl") {
        assert_ne!(line["data"]["step"], "ref-put-back", "the primary has kept its reference");
    }
}

#[test]
fn what_is_refused_can_be_tried_again() {
    for (fault, done, reason) in [
        ("path=rev-users.create,status=400,count=1", 3, "not-created"),
        ("path=rev-users.create,status=403,count=1", 3, "not-created"),
        ("path=rev-users.create,status=409,count=3", 4, ""),
        ("path=rev-users.create,status=429,retry_after=0,count=3", 4, ""),
        ("path=works.update,status=403,count=1", 3, "works-refused"),
        ("path=works.update,status=404,count=1", 3, "works-refused"),
        ("path=rev-users.update,status=403,after=4,count=1", 3, "not-put-back"),
        ("path=rev-users.update,status=409,after=4,count=1", 3, "ref-taken"),
    ] {
        let fixture = Merging::broken(&People::of(4), [fault]);
        fixture.merge(&[]).run().exits(0);
        let ended = undo(&fixture).run();
        assert_eq!(ended.json()["states"]["done"], done, "{fault}: {}", ended.all());
        let run = run_of(&fixture, "undo-merge");
        for row in run.results("failed.csv") {
            assert!(row.status == "failed" && row.reason.starts_with(reason), "{fault}: {row:?}");
        }
        fixture.resume(&[run.id(), "--retry-failed"]).run().exits(0);
        assert_all_there(&fixture);
        let map = std::fs::read_to_string(run.file("undo-id-map.csv")).unwrap();
        assert_eq!(map.lines().count(), 5, "{fault}: {map}");
    }
}

#[test]
fn an_interrupted_undo_goes_on() {
    let fixture = Merging::with(&People::of(20), &Trouble::delay(10));
    fixture.merge(&[]).run().exits(0);
    let running = undo(&fixture).run_until(|| fixture.calls("rev-users.create") >= 4);
    running.signal("INT");
    let ended = running.wait().exits(130);
    assert!(ended.json()["states"]["done"].as_u64().unwrap_or(0) < 20, "{}", ended.all());
    let run = run_of(&fixture, "undo-merge");
    fixture.resume(&[run.id()]).run().exits(0);
    assert_all_there(&fixture);
    run.assert_complete(20);
}

#[test]
fn a_token_that_ends_stops_the_run_and_resume_goes_on() {
    for endpoint in ["rev-users.create", "works.update"] {
        let fault = format!("path={endpoint},status=401,after=3,count=1");
        let fixture = Merging::broken(&People::of(8), [fault.clone()]);
        fixture.merge(&[]).run().exits(0);
        undo(&fixture).run().exits(4).says("DEVREV_API_TOKEN");
        let run = run_of(&fixture, "undo-merge");
        fixture.resume(&[run.id()]).run().exits(0);
        assert_all_there(&fixture);
        run.assert_complete(8);
    }
}

#[test]
fn other_runs_of_merges_wait_and_an_undo_waits_for_them() {
    let slow = Trouble::faults(["path=rev-users.create,count=1,delay=1000"]);
    let fixture = Merging::with(&People::of(12), &slow);
    fixture.merge(&["--limit", "6"]).run().exits(0);
    let running = undo(&fixture).run_until(|| fixture.calls("rev-users.create") >= 1);
    // Held in the midst of it, however long the others take.
    running.signal("STOP");
    fixture.merge(&[]).run().exits(11);
    fixture.resume(&[run_of(&fixture, "undo-merge").id()]).run().exits(11);
    running.signal("CONT");
    running.wait().exits(0);
}
