//! What proves a merge and what does not; what keeps a run from sending one; and what harms one pair alone.

use crate::support::fixture::Trouble;
use crate::support::past::edit;
use crate::support::{Merging, People};
use serde_json::json;
use std::fs;

/// The first merge call is not carried out, and nobody knows.
const NOT_CARRIED_OUT: &str = "path=rev-users.merge,status=504,count=1";

/// How the one pair stands: state and reason.
#[track_caller]
fn assert_state(fixture: &Merging, state: &str, reason: &str) {
    let states: Vec<_> = fixture.assert_ended().into_values().collect();
    assert_eq!(states, [(state.to_owned(), Some(reason.to_owned()))]);
}

#[test]
fn what_a_gateway_answers_proves_no_merge() {
    for answer in [
        "status=307,location=https://sso.example.com/login",
        "status=302,location=https://sso.example.com/login",
        "status=301,location=https://sso.example.com/login",
        "status=301",
        "html",
    ] {
        let broken = format!("path=rev-users.get,{answer}");
        let fixture = Merging::broken(&People::of(1), [NOT_CARRIED_OUT.to_owned(), broken]);
        fixture.merge(&["--primary", "user"]).env("MERGE_SETTLE_TIMEOUT", "0.2").run().exits(3);
        assert_state(&fixture, "unknown", "not-proven");
        assert_eq!(fixture.merges(), 0, "{answer}");
    }
}

#[test]
fn a_move_to_another_contact_is_not_this_merge() {
    let location = "don:identity:dvrv-us-1:devo/TEST:revu/4";
    let elsewhere = format!("path=rev-users.get,status=301,location={location}");
    let fixture = Merging::broken(&People::of(1), [NOT_CARRIED_OUT.to_owned(), elsewhere]);
    fixture.merge(&[]).run().exits(3);
    assert_state(&fixture, "unknown", "merged-elsewhere");
}

#[test]
fn a_state_alone_proves_no_merge() {
    for state in ["locked", "shadow", "archived", "deactivated"] {
        let fixture = Merging::broken(&People::of(1), [NOT_CARRIED_OUT]);
        fixture.merge(&[]).env("MERGE_SETTLE_TIMEOUT", "0.1").run().exits(3);
        fixture.touch("REVU-2", &json!({"state": state}));
        for flags in [&[][..], &["--resend-unproven"]] {
            fixture.resume(flags).env("MERGE_SETTLE_TIMEOUT", "0.1").run().exits(3);
            assert_state(&fixture, "unknown", "not-proven");
            let detail = fixture.the_run().results("failed.csv")[0].reason.clone();
            assert!(
                detail.contains(&format!("REVU-2 is {state}, but 2 works are still its own")),
                "{detail}"
            );
            assert_eq!((fixture.merges(), fixture.calls("rev-users.merge")), (0, 1));
        }
    }
}

#[test]
fn an_inactive_contact_without_works_is_merged_once_its_reference_has_gone() {
    let only = ["--filter-email", "person12@example.com"];
    let fixture = Merging::with(&People::of(12), &Trouble::none().merge("delay=10,ends=locked"));
    fixture.merge(&only).run().exits(0);
    fixture.assert_merged();
    let fixture =
        Merging::with(&People::of(12), &Trouble::none().merge("delay=10,ends=locked,ref_delay=600000"));
    fixture.merge(&only).run().exits(3);
    let detail = fixture.the_run().results("failed.csv")[0].reason.clone();
    let words = "REVU-24 is locked, but it had no works, and it still has its external reference";
    assert!(detail.starts_with("not-proven") && detail.contains(words), "{detail}");
    fixture.assert_merged();
}

#[test]
fn whoever_has_a_reference_is_read_not_inferred_from_a_refusal() {
    // It was set, whatever the answer says.
    let fixture = Merging::broken(&People::of(2), ["path=rev-users.update,status=409,applied"]);
    fixture.merge(&[]).run().exits(0);
    fixture.assert_all_done();
    assert_eq!(fixture.calls("rev-users.update"), 2);
    let fixture = Merging::broken(&People::of(1), ["path=rev-users.update,status=409"]);
    fixture.merge(&[]).run().exits(3);
    let detail = fixture.the_run().results("failed.csv")[0].reason.clone();
    assert!(detail.starts_with("ref-taken") && detail.contains("shows no contact that has it"), "{detail}");
}

#[test]
fn the_reference_is_read_back_and_set_again_unless_somebody_else_has_changed_it() {
    // The check after the reference was set fails.
    let broken = || Merging::broken(&People::of(1), ["path=works.list,after=6,status=400,count=1"]);
    let fixture = broken();
    fixture.merge(&[]).run().exits(3);
    assert_state(&fixture, "unknown", "works-not-checked");
    fixture.touch("REVU-1", &json!({"external_ref": fixture.contacts_before["REVU-1"].external_ref}));
    fixture.resume(&[]).run().exits(0);
    fixture.assert_all_done();

    let fixture = broken();
    fixture.merge(&[]).run().exits(3);
    fixture.touch("REVU-1", &json!({"external_ref": "mine"}));
    fixture.resume(&[]).env("MERGE_SETTLE_TIMEOUT", "0.1").run().exits(3);
    let detail = fixture.the_run().results("failed.csv")[0].reason.clone();
    assert!(
        detail.starts_with("ref-differs") && detail.contains("of REVU-1 is `mine`, not `user_2"),
        "{detail}"
    );
    assert_eq!(fixture.contacts()["REVU-1"].external_ref.as_deref(), Some("mine"));
}

#[test]
fn a_resend_backs_up_what_came_since() {
    let fixture = Merging::broken(&People::of(1), [NOT_CARRIED_OUT]);
    let warn = ["--on-count-mismatch", "warn"];
    fixture.merge(&warn).env("MERGE_SETTLE_TIMEOUT", "0.1").run().exits(3);
    let ticket = fixture.create_ticket("REVU-2");
    fixture.resume(&["--resend-unproven"]).env("MERGE_SETTLE_TIMEOUT", "0.3").run().exits(0);
    assert!(fixture.works()[&ticket].is_of("REVU-1") && fixture.merges() == 1);
    let pair = fixture.the_run().pairs().into_values().next().unwrap();
    let [_, secondary] = pair.backups_of_sendings().pop().unwrap().unwrap();
    let backed_up = devrev_batch::backup::verify::verify(&secondary).unwrap();
    let number = ticket.trim_start_matches("TKT-");
    assert!(backed_up.work_ids.iter().any(|id| id.ends_with(&format!("ticket/{number}"))), "{backed_up:?}");
}

#[test]
fn a_run_that_cannot_be_read_is_no_licence_to_send() {
    for (file, damage) in [("journal.jsonl", "{}\n"), ("run.json", "not JSON")] {
        let fixture = Merging::broken(&People::of(1), [NOT_CARRIED_OUT]);
        fixture.merge(&[]).env("MERGE_SETTLE_TIMEOUT", "0.1").run().exits(3);
        let path = fixture.the_run().file(file);
        let whole = fs::read_to_string(&path).unwrap();
        let broken = if file == "run.json" { damage.to_owned() } else { format!("{damage}{whole}") };
        fs::write(&path, broken).unwrap();
        fixture.merge(&[]).run().exits(6).says("may have sent merges").says("move");
        assert_eq!((fixture.merges(), fixture.calls("rev-users.merge")), (0, 1), "{file}");
    }
}

#[test]
fn a_primary_that_changed_is_said_until_it_is_mended() {
    let fixture = Merging::with(&People::of(1), &Trouble::none().merge("delay=300,ends=gone"));
    let name = fixture.contacts()["REVU-1"].display_name.clone();
    let running = fixture.merge(&[]).env("MERGE_SETTLE_TIMEOUT", "5").run_until(|| fixture.merges() > 0);
    fixture.touch("REVU-1", &json!({"display_name": "Somebody else"}));
    running.wait().exits(3);
    assert_state_of_run(&fixture, "primary-differs");
    fixture.resume(&[]).run().exits(3);
    assert_state_of_run(&fixture, "primary-differs");
    fixture.touch("REVU-1", &json!({"display_name": name}));
    fixture.resume(&[]).run().exits(0);
    fixture.assert_all_done();
    assert_eq!(fixture.merges(), 1);
}

#[track_caller]
fn assert_state_of_run(fixture: &Merging, reason: &str) {
    let failed = fixture.the_run().results("failed.csv");
    assert_eq!(failed.len(), 2);
    assert!(failed.iter().all(|row| row.status == "unknown" && row.reason.starts_with(reason)), "{failed:?}");
}

#[test]
fn an_outcome_that_was_lost_is_not_believed_but_found_again() {
    let fixture = Merging::new(&People::of(1));
    fixture.merge(&[]).run().exits(0);
    let journal = fixture.the_run().file("journal.jsonl");
    let text = fs::read_to_string(&journal).unwrap();
    let kept = text.lines().take_while(|line| !line.contains(r#""state":"done""#));
    fs::write(&journal, kept.collect::<Vec<_>>().join("\n") + "\n").unwrap();
    // Killed before it could say how much there was.
    edit(&fixture.the_run(), "run.json", |manifest| manifest["journal_bytes"] = json!(0));
    fixture.touch("REVU-1", &json!({"display_name": "Somebody else"}));
    fixture.resume(&[fixture.the_run().id()]).run().exits(3);
    assert_state_of_run(&fixture, "primary-differs");
}

#[test]
fn a_file_that_its_host_refuses_harms_its_pair_alone() {
    for status in [401, 429, 301] {
        let fixture = Merging::broken(&People::of(6), [format!("path=storage,status={status},count=2")]);
        let ended = fixture.merge(&["--max-retries", "1", "--concurrency", "1"]).run();
        assert_eq!(ended.code, Some(3), "{status}: {}", ended.all());
        let states = fixture.assert_ended();
        assert!(states.values().any(|(state, _)| state == "done"), "{status}: {states:?}");
        fixture.resume(&["--retry-failed"]).run().exits(0);
        fixture.assert_all_done();
    }
}

#[test]
fn backups_may_go_elsewhere_when_a_run_is_resumed() {
    let fixture = Merging::broken(&People::of(2), ["path=timeline-entries.list,status=400,count=1"]);
    fixture.merge(&[]).run().exits(3);
    let elsewhere = fixture.path("elsewhere");
    fixture.resume(&["--retry-failed", "--backup-dir", elsewhere.to_str().unwrap()]).run().exits(0);
    fixture.assert_all_done();
    assert_eq!(fs::read_dir(elsewhere).unwrap().count(), 2);
}

#[test]
fn every_pair_is_in_the_report() {
    let mut people = People::of(3);
    people.contact("REVU-2")["state"] = json!("deactivated");
    people.row("REVU-4").tickets += 1;
    let fixture = Merging::new(&people);
    fixture.merge(&[]).run().exits(3);
    let report: serde_json::Value =
        serde_json::from_slice(&fs::read(fixture.the_run().file("report.json")).unwrap()).unwrap();
    let mut states: Vec<_> = report["pairs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|pair| (pair["state"].as_str().unwrap(), pair["reason"].as_str().unwrap_or_default()))
        .collect();
    states.sort_unstable();
    assert_eq!(states, [("done", ""), ("failed", "ticket-count-differs"), ("skipped", "not-active")]);
}
