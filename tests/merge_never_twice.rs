//! A merge whose fate nobody saw is not sent again, unless the operator says so and nothing speaks against it.

use crate::support::fixture::Trouble;
use crate::support::past::edit;
use crate::support::program::Program;
use crate::support::{Merging, People, Run};
use devrev_batch::journal::lock::RunLock;
use devrev_batch::journal::run_dir::RunDir;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

/// The first merge call is lost on its way there.
const LOST: &str = "path=rev-users.merge,reset=before,count=1";

/// How the one pair of a world stands, with its reason.
#[track_caller]
fn state(fixture: &Merging) -> (String, String) {
    let states = fixture.assert_ended();
    assert_eq!(states.len(), 1, "{states:?}");
    let (state, reason) = states.into_values().next().unwrap();
    (state, reason.unwrap_or_default())
}

fn is(state: &str, reason: &str) -> (String, String) {
    (state.to_owned(), reason.to_owned())
}

/// A world of one pair whose merge was lost.
fn lost() -> (Merging, Run) {
    let fixture = Merging::broken(&People::of(1), [LOST]);
    fixture.merge(&[]).run().exits(3);
    assert_eq!(state(&fixture), is("unknown", "not-proven"));
    let run = fixture.the_run();
    (fixture, run)
}

#[test]
fn a_lost_merge_waits_for_the_operator() {
    let fixture = Merging::broken(&People::of(1), [LOST]);
    let ended = fixture.merge(&[]).run().exits(3);
    let run = fixture.the_run();
    ended.says("unknown").says(&format!("next: devrev-batch resume {}", run.id()));
    let detail = run.results("failed.csv")[0].reason.clone();
    for words in ["not-proven", "REVU-2 is still there", "within 0.4 s", "resume --resend-unproven"] {
        assert!(detail.contains(words), "{detail}");
    }
    for _ in 0..2 {
        fixture.resume(&[]).env("MERGE_SETTLE_TIMEOUT", "0.1").run().exits(3);
        assert_eq!((fixture.merges(), fixture.calls("rev-users.merge")), (0, 1));
        assert_eq!(state(&fixture), is("unknown", "not-proven"));
    }
    // A failed row is none of these.
    fixture.resume(&["--retry-failed"]).env("MERGE_SETTLE_TIMEOUT", "0.1").run().exits(3);
    assert_eq!((fixture.merges(), fixture.calls("rev-users.merge")), (0, 1));

    fixture.resume(&["--resend-unproven"]).run().exits(0);
    assert_eq!(fixture.calls("rev-users.merge"), 2);
    fixture.assert_all_done();
    let steps = run.pairs().into_values().next().unwrap();
    let expected = [
        "backed-up",
        "verified",
        "merging",
        "backed-up",
        "verified",
        "merging",
        "acknowledged",
        "proven",
        "ref-set",
        "checked",
    ];
    assert_eq!(steps.names(), expected);
    let attempts: Vec<_> =
        steps.steps.iter().map(|step| &step["attempt"]).filter(|attempt| !attempt.is_null()).collect();
    assert_eq!(attempts, [1, 2]);
    assert_eq!(run.results("success.csv")[0].attempts, 2);
}

#[test]
fn a_merge_that_failed_is_sent_again_in_the_same_run_when_that_is_asked_for() {
    for fault in [LOST, "path=rev-users.merge,status=503,count=1"] {
        let fixture = Merging::broken(&People::of(3), [fault]);
        let quick = |program: Program| program.env("MERGE_SETTLE_TIMEOUT", "0.1");
        quick(fixture.merge(&["--resend-unproven"])).run().exits(0);
        assert_eq!((fixture.merges(), fixture.calls("rev-users.merge")), (3, 4), "{fault}");
        fixture.assert_all_done();
    }
    // DevRev may still carry out what it has acknowledged.
    let fixture = Merging::with(&People::of(1), &Trouble::none().merge("delay=0,ends=never"));
    fixture.merge(&["--resend-unproven"]).env("MERGE_SETTLE_TIMEOUT", "0.1").run().exits(3);
    assert_eq!(fixture.calls("rev-users.merge"), 1);
}

#[test]
fn a_contact_that_was_touched_meanwhile_is_not_merged_by_a_resend() {
    for (contact, change) in [
        ("REVU-1", json!({"display_name": "Somebody else"})),
        ("REVU-2", json!({"display_name": "Somebody else"})),
        ("REVU-1", json!({"email": "other@example.com"})),
        ("REVU-2", json!({"email": "other@example.com"})),
        ("REVU-2", json!({"external_ref": "user_1"})),
        ("REVU-1", json!({"state": "locked"})),
        ("REVU-2", json!({"state": "shadow"})),
        // Touched, and as before.
        ("REVU-2", json!({})),
    ] {
        let (fixture, _) = lost();
        fixture.touch(contact, &change);
        for _ in 0..2 {
            let program = fixture.resume(&["--resend-unproven"]).env("MERGE_SETTLE_TIMEOUT", "0.1");
            program.run().exits(3);
            assert_eq!(fixture.calls("rev-users.merge"), 1, "{contact}: {change}");
            let run = fixture.the_run();
            let pair = run.pairs().into_values().next().unwrap();
            assert_eq!(pair.state.as_deref(), Some("unknown"), "{contact}: {change}");
            assert!(run.results("failed.csv")[0].reason.contains("check both contacts"), "{change}");
        }
    }
}

#[test]
fn a_merge_that_was_acknowledged_and_never_shows_is_not_repeated() {
    let fixture = Merging::with(&People::of(1), &Trouble::none().merge("ends=never"));
    fixture.merge(&[]).run().exits(3);
    assert_eq!(state(&fixture), is("unknown", "not-proven"));
    fixture.resume(&[]).env("MERGE_SETTLE_TIMEOUT", "0.1").run().exits(3);
    assert_eq!((fixture.merges(), fixture.calls("rev-users.merge")), (1, 1));
    let pair = fixture.the_run().pairs().into_values().next().unwrap();
    assert_eq!(pair.names(), ["backed-up", "verified", "merging", "acknowledged"]);
}

#[test]
fn a_merge_that_takes_long_is_found_by_resume() {
    let fixture = Merging::with(&People::of(1), &Trouble::none().merge("delay=900"));
    fixture.merge(&[]).env("MERGE_SETTLE_TIMEOUT", "0.1").run().exits(3);
    assert_eq!(state(&fixture), is("unknown", "not-proven"));
    fixture.resume(&[]).env("MERGE_SETTLE_TIMEOUT", "30").run().exits(0);
    fixture.assert_all_done();
}

/// Lets each settle time have one read of the secondary, and one of the primary if that shows nothing.
fn one_read(program: Program) -> Program {
    program.env("MERGE_SETTLE_TIMEOUT", "0.05").env("MERGE_POLL_DELAY", "0.05")
}

#[test]
fn a_merge_that_takes_just_before_its_resend_is_followed() {
    // The answer to the fourth read comes when the merge has taken: what the look before the resend sees is no
    // pair any more, and still it is this run's merge.
    for ends in ["gone", "moved", "deleted", "identity"] {
        let faults =
            ["path=rev-users.merge,reset=after,count=1", "path=rev-users.get,after=3,count=1,delay=900"];
        let trouble = Trouble::faults(faults).merge(&format!("delay=700,ends={ends}"));
        let fixture = Merging::with(&People::of(1), &trouble);
        if one_read(fixture.merge(&[])).run().code == Some(0) {
            // A slow machine: it took before the first look.
            continue;
        }
        let ended = one_read(fixture.resume(&["--resend-unproven"])).run();
        let pair = fixture.the_run().pairs().into_values().next().unwrap();
        let followed = matches!(pair.state.as_deref(), Some("done" | "unknown"));
        assert!(followed, "{ends}: {:?} {:?} {}", pair.state, pair.reason, ended.all());
        if pair.state.as_deref() == Some("unknown") {
            fixture.resume(&[]).run().exits(0);
        }
        fixture.assert_all_done();
    }
}

#[test]
fn a_pair_that_cannot_be_read_before_its_resend_stays_in_doubt() {
    let faults = [
        LOST,
        "path=rev-users.list,after=2,count=1,status=403",
        "path=rev-users.get,after=4,count=2,status=403",
    ];
    let fixture = Merging::broken(&People::of(1), faults);
    one_read(fixture.merge(&[])).run().exits(3);
    one_read(fixture.resume(&["--resend-unproven"])).run().exits(3);
    assert_eq!(state(&fixture), is("unknown", "not-proven"));
    // Were it called failed, this would begin it again.
    one_read(fixture.resume(&["--retry-failed"])).run().exits(3);
    assert_eq!(fixture.calls("rev-users.merge"), 1);
    fixture.resume(&["--resend-unproven"]).run().exits(0);
    fixture.assert_all_done();
}

#[test]
fn another_run_leaves_a_pair_in_doubt_alone() {
    let fixture = Merging::broken(&People::of(3), [LOST]);
    fixture.merge(&["--concurrency", "1"]).run().exits(3);
    let first = fixture.the_run();
    let doubtful: Vec<_> = first.pairs().into_iter().filter(|(_, pair)| pair.reason.is_some()).collect();
    let [(email, _)] = doubtful.as_slice() else { panic!("{doubtful:?}") };
    let sent = fixture.calls("rev-users.merge");

    let ended = fixture.merge(&["--json"]).run().exits(3);
    assert_eq!(ended.json()["states"], json!({"already": 4, "failed": 2, "skipped": 2}));
    let second = fixture.runs().into_iter().find(|run| run.id() != first.id()).unwrap();
    let pair = &second.pairs()[email];
    assert_eq!(pair.reason.as_deref(), Some("in-doubt-elsewhere"));
    assert!(second.results("failed.csv")[0].reason.contains(first.id()), "the run is named");
    assert_eq!(fixture.calls("rev-users.merge"), sent);
    fixture.assert_merged();

    // The run that sent it settles it; then the other one may look.
    fixture.resume(&[first.id(), "--resend-unproven"]).run().exits(0);
    fixture.resume(&[second.id(), "--retry-failed"]).run().exits(0);
    assert_eq!(second.pairs()[email].state.as_deref(), Some("already"));
    fixture.assert_merged();
}

#[test]
fn a_run_that_is_killed_between_step_and_answer_is_in_doubt_for_another() {
    let fixture = Merging::broken(&People::of(1), ["path=rev-users.merge,hang=before,count=1"]);
    let reached = || fixture.calls("rev-users.merge") > 0;
    fixture.merge(&[]).run_until(reached).kill();
    let run = fixture.the_run();
    let pair = run.pairs().into_values().next().unwrap();
    assert_eq!((pair.names(), &pair.state), (vec!["backed-up", "verified", "merging"], &None));
    fixture.assert_merged();

    // Not even one that another process of the same file would send.
    fixture.merge(&[]).run().exits(3).says("in-doubt-elsewhere");
    fixture.resume(&[run.id()]).run().exits(3);
    assert_eq!((fixture.merges(), fixture.calls("rev-users.merge")), (0, 1));
    fixture.resume(&[run.id(), "--resend-unproven"]).run().exits(0);
    assert_eq!((fixture.merges(), fixture.calls("rev-users.merge")), (1, 2));
    fixture.assert_merged();
}

#[test]
fn another_address_of_the_organisation_is_no_way_round() {
    let (fixture, run) = lost();
    let port = fixture.base_url().rsplit_once(':').unwrap().1.to_owned();
    for url in [format!("http://localhost:{port}"), format!("http://127.0.0.1:{port}/./")] {
        fixture.merge(&[]).env("DEVREV_BASE_URL", &url).run().exits(3).says("in-doubt-elsewhere");
        assert_eq!((fixture.merges(), fixture.calls("rev-users.merge")), (0, 1), "{url}");
    }
    // Nor is it while the other run is at work.
    let lock = RunLock::take(&RunDir::open(&fixture.path("runs"), run.id()).unwrap()).unwrap();
    let url = format!("http://localhost:{port}");
    fixture.merge(&[]).env("DEVREV_BASE_URL", url).run().exits(11).says(run.id());
    drop(lock);
    assert_eq!(fixture.calls("rev-users.merge"), 1);
}

/// What is wrong with a run, and how it gets so.
type Case<'a> = (&'a str, &'a dyn Fn(&Run));

#[test]
fn a_run_that_cannot_be_read_stops_merges() {
    let (fixture, run) = lost();
    let keep = fixture.path("keep");
    fs::rename(&run.0, &keep).unwrap();
    let copied = || {
        fs::create_dir(&run.0).unwrap();
        for entry in fs::read_dir(&keep).unwrap() {
            let path = entry.unwrap().path();
            fs::copy(&path, run.0.join(path.file_name().unwrap())).unwrap();
        }
    };
    let with = |file: &'static str, change: fn(&Path)| {
        move |run: &Run| {
            copied();
            change(&run.file(file));
        }
    };
    let remove = |path: &Path| fs::remove_file(path).unwrap();
    let empty = |path: &Path| fs::write(path, "").unwrap();
    let unreachable = |path: &Path| {
        fs::remove_file(path).unwrap();
        symlink(path, path).unwrap();
    };
    let cases: [Case<'_>; 9] = [
        ("run.json removed", &with("run.json", remove)),
        ("run.json emptied", &with("run.json", empty)),
        ("run.json unreachable", &with("run.json", unreachable)),
        ("journal removed", &with("journal.jsonl", remove)),
        ("journal emptied", &with("journal.jsonl", empty)),
        ("journal unreachable", &with("journal.jsonl", unreachable)),
        ("lock unreachable", &with("lock", unreachable)),
        ("folder emptied", &|run: &Run| fs::create_dir(&run.0).unwrap()),
        ("folder gone", &|run: &Run| symlink("/not-mounted", &run.0).unwrap()),
    ];
    for (what, break_it) in cases {
        break_it(&run);
        let ended = fixture.merge(&[]).run();
        assert_eq!(ended.code, Some(6), "{what}: {}", ended.all());
        ended.says(&format!("its folder runs/{} cannot be checked", run.id()));
        assert_eq!((fixture.merges(), fixture.calls("rev-users.merge")), (0, 1), "{what}");
        if run.0.is_symlink() { fs::remove_file(&run.0) } else { fs::remove_dir_all(&run.0) }.unwrap();
    }
    // Killed, so that no count in run.json speaks against an empty journal.
    copied();
    edit(&run, "run.json", |manifest| {
        manifest["state"] = "running".into();
        (manifest["counts"], manifest["journal_bytes"]) = (json!({}), json!(0));
    });
    fs::write(run.file("journal.jsonl"), "").unwrap();
    fixture.merge(&[]).run().exits(6).says("has lost records");
    fixture.resume(&[run.id(), "--resend-unproven"]).run().exits(6).says("has lost records");
    assert_eq!((fixture.merges(), fixture.calls("rev-users.merge")), (0, 1));
    // Whole again, it is taken up.
    fs::remove_dir_all(&run.0).unwrap();
    fs::rename(&keep, &run.0).unwrap();
    fixture.merge(&[]).run().exits(3).says("in-doubt-elsewhere");
    fixture.resume(&[run.id(), "--resend-unproven"]).run().exits(0);
    assert_eq!((fixture.merges(), fixture.calls("rev-users.merge")), (1, 2));
}

#[test]
fn a_refused_merge_was_certainly_not_carried_out_and_may_be_sent_later() {
    for status in [400, 403, 404, 409, 422] {
        let fixture =
            Merging::broken(&People::of(1), [format!("path=rev-users.merge,status={status},count=1")]);
        fixture.merge(&[]).run().exits(3).says("merge-refused");
        assert_eq!(state(&fixture), is("failed", "merge-refused"));
        fixture.resume(&["--retry-failed"]).run().exits(0);
        fixture.assert_all_done();
        let run = fixture.the_run();
        let pair = run.pairs().into_values().next().unwrap();
        // All began again: what was backed up before the refusal may be old.
        assert_eq!((pair.count("backed-up"), pair.count("not-taken"), pair.count("merging")), (2, 1, 2));
    }
}

#[test]
fn the_journal_has_each_step_in_its_order() {
    let fixture = Merging::new(&People::of(3));
    fixture.merge(&[]).run().exits(0);
    for (email, pair) in fixture.the_run().pairs() {
        let expected = ["backed-up", "verified", "merging", "acknowledged", "proven", "ref-set", "checked"];
        assert_eq!(pair.names(), expected, "{email}");
        let at = |step: &Value| step["at"].as_str().unwrap().to_owned();
        assert!(pair.steps.iter().map(at).is_sorted(), "{:?}", pair.steps);
        assert_eq!(pair.steps[4]["by"], "gone");
    }
}

/// A run before this one, as it is after it was killed, with a journal that nobody ever comes to the end of.
fn endless(fixture: &Merging) -> std::path::PathBuf {
    fixture.merge(&["--limit", "1"]).run().exits(0);
    let run = fixture.the_run();
    edit(&run, "run.json", |manifest| manifest["state"] = "interrupted".into());
    let journal = run.file("journal.jsonl");
    fs::remove_file(&journal).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(&journal).status().unwrap().success());
    journal
}

#[test]
fn a_signal_is_heard_while_journals_of_earlier_runs_are_read() {
    let fixture = Merging::new(&People::of(2));
    let journal = endless(&fixture);
    let merges = fixture.merges();
    let running = fixture.merge(&[]).spawn();
    // Done once the other end is open.
    let _writer = fs::OpenOptions::new().write(true).open(journal).unwrap();
    running.signal("INT");
    running.wait().exits(130);
    assert_eq!(fixture.merges(), merges);
}

#[test]
fn journals_of_runs_that_came_to_their_end_are_not_read_again() {
    let fixture = Merging::new(&People::of(2));
    fixture.merge(&["--limit", "1"]).run().exits(0);
    let run = fixture.the_run();
    let journal = run.file("journal.jsonl");
    let length = fs::metadata(&journal).unwrap().len();
    // As long as it was: only reading it would tell.
    fs::write(&journal, "x".repeat(length.try_into().unwrap())).unwrap();
    fixture.merge(&["--dry-run"]).run().exits(0);
    fixture.merge(&[]).run().exits(0);
    fs::write(&journal, "x").unwrap();
    fixture.merge(&[]).run().exits(6).says(run.id());
}
