//! What the client makes of an API in trouble.

use crate::support::fixture::Trouble;
use crate::support::{Fixture, Org};
use serde_json::json;

#[test]
fn refused_credentials_end_the_run_and_resume_goes_on() {
    for (fault, done) in [("status=401,count=1", 0), ("path=works.update,status=401,after=30,count=1", 30)] {
        let fixture = Fixture::broken(&Org::of(100), [fault]);
        let ended = fixture.backfill(&["--batch-size", "10", "--json"]).run().exits(4);
        let summary = ended.json();
        assert_eq!(summary["state"], "stopped");
        assert!(summary["why"].as_str().unwrap().contains("DEVREV_API_TOKEN"), "{summary}");
        let run = fixture.the_run();
        let next = format!("when that is corrected, run devrev-batch resume {} --yes", run.id());
        assert_eq!(summary["next"][0], next);
        assert!(fixture.writes() >= done && fixture.writes() < 100, "{}", fixture.writes());
        // A refusal is no failure of a row.
        assert_eq!(summary["states"]["failed"], json!(null));
        fixture.resume(&[]).run().exits(0);
        fixture.assert_right();
        run.assert_complete(100);
    }
}

#[test]
fn a_refused_row_fails_in_the_apis_words_and_the_rest_is_done() {
    let cases = [
        ("status=403", "forbidden", "the user may not do this"),
        ("status=404", "not-found", "the object does not exist"),
        ("status=409", "conflict", "conflicts with the object's present state"),
        ("status=301,location=don:core:x", "moved", "now at don:core:x"),
        ("status=400", "refused", "the request is not valid"),
        ("status=418", "refused", "418"),
    ];
    for (fault, reason, words) in cases {
        let fixture = Fixture::broken(&Org::of(20), [format!("path=works.update,after=5,count=1,{fault}")]);
        let ended = fixture.backfill(&["--json"]).run().exits(3);
        assert_eq!(ended.json()["states"], json!({"done": 19, "failed": 1}), "{fault}");
        let run = fixture.the_run();
        let failed = run.results("failed.csv");
        assert!(failed[0].reason.starts_with(&format!("{reason}: ")), "{failed:?}");
        assert!(failed[0].reason.contains(words), "{failed:?}");
        assert_eq!(failed[0].attempts, 1);
        assert_eq!(fixture.calls("works.update"), 20);
        // Nothing is left for a plain resume; the failed row is taken again when asked for.
        fixture.resume(&[]).run().exits(2).says("--retry-failed");
        fixture.resume(&[run.id()]).run().exits(3);
        fixture.resume(&["--retry-failed"]).run().exits(0);
        fixture.assert_right();
        run.assert_complete(20);
    }
}

#[test]
fn a_throttled_call_is_a_wait_and_no_failure() {
    let fixture = Fixture::broken(&Org::of(60), ["p=0.2,seed=5,status=429,retry_after=0"]);
    let ended = fixture.backfill(&["--max-retries", "0", "--json"]).run().exits(0);
    assert_eq!(ended.json()["states"], json!({"done": 60}));
    assert!(fixture.stats()["statuses"]["429"].as_u64().unwrap() > 0);
    fixture.assert_right();
}

#[test]
fn a_wait_of_hours_stops_the_run() {
    let mut fixture =
        Fixture::broken(&Org::of(30), ["path=works.update,status=429,retry_after=7200,after=5"]);
    fixture.backfill(&[]).run().exits(7).says("resume later");
    fixture.restart(&Trouble::none());
    fixture.resume(&[]).run().exits(0);
    fixture.assert_right();
}

#[test]
fn the_apis_own_limit_is_found_and_kept() {
    let fixture = Fixture::with(&Org::of(140), &Trouble::rate_limit("100/0.5"));
    let ended = fixture.backfill(&["--json"]).run().exits(0);
    assert_eq!(ended.json()["states"], json!({"done": 140}));
    let stats = fixture.stats();
    assert!(stats["throttled"].as_u64().unwrap() <= 10, "{stats}");
    fixture.assert_right();
}

#[test]
fn the_allowed_calls_are_not_exceeded_in_any_window() {
    let fixture = Fixture::with(&Org::of(120), &Trouble::rate_limit("40/0.3"));
    let flags = ["--rate-limit-calls", "40", "--rate-limit-period", "0.3", "--json"];
    let ended = fixture.backfill(&flags).run().exits(0);
    assert_eq!(ended.json()["states"], json!({"done": 120}));
    let stats = fixture.stats();
    assert!(stats["peak"].as_u64().unwrap() <= 40, "{stats}");
    assert_eq!(stats["throttled"], 0, "{stats}");
}

#[test]
fn a_storm_that_passes_fails_no_row() {
    for status in ["500", "503"] {
        let storm = format!("status={status},after=30,count=15");
        let fixture = Fixture::broken(&Org::of(80), [storm]);
        // With two calls in flight at most one answer from before the storm comes between its own.
        let program = fixture.backfill(&["--max-retries", "20", "--concurrency", "2", "--json"]);
        let program = program.env("BREAKER_THRESHOLD", "5");
        // Probes are answered by the storm, too: fewer of them might end before it does.
        let ended = program.env("RETRY_BACKOFF", "0.001").env("BREAKER_PROBES", "50").run().exits(0);
        assert_eq!(ended.json()["states"], json!({"done": 80}), "{status}");
        fixture.assert_right();
        assert!(fixture.calls("dev-users.self") > 1, "the breaker never opened");
    }
}

#[test]
fn an_api_that_does_not_come_back_stops_the_run() {
    let mut fixture = Fixture::broken(&Org::of(80), ["status=503,after=40"]);
    let program = fixture.backfill(&["--json"]).env("BREAKER_PROBES", "3");
    let summary = program.run().exits(7).json();
    assert!(summary["why"].as_str().unwrap().contains("resume once it is back"), "{summary}");
    fixture.restart(&Trouble::none());
    fixture.resume(&[]).run().exits(0);
    fixture.assert_right();
    fixture.the_run().assert_complete(80);
}

#[test]
fn an_api_that_is_not_there_stops_the_run() {
    let mut fixture = Fixture::down(&Org::of(10));
    let ended = fixture.backfill(&["--json"]).env("BREAKER_THRESHOLD", "2").env("BREAKER_PROBES", "2").run();
    assert_eq!(ended.exits(7).json()["state"], "stopped");
    let ended = fixture.resume(&[]).run().exits(7);
    ended.says("resume");
    fixture.restart(&Trouble::none());
    fixture.resume(&[]).run().exits(0);
    fixture.assert_right();
}

#[test]
fn a_connection_lost_in_the_middle_of_everything() {
    for when in ["before", "after"] {
        let fault = format!("path=works.update,p=0.3,seed=11,reset={when}");
        let fixture = Fixture::broken(&Org::of(60), [fault]);
        let program = fixture.backfill(&["--max-retries", "20", "--json"]).env("RETRY_BACKOFF", "0.001");
        let ended = program.env("BREAKER_THRESHOLD", "1000").run().exits(0);
        assert_eq!(ended.json()["states"], json!({"done": 60}), "{when}");
        fixture.assert_right();
    }
}

#[test]
fn a_write_whose_fate_cannot_be_told_is_unknown_and_settled_by_reading() {
    let fixture = Fixture::broken(
        &Org::of(10),
        ["path=works.update,reset=after,after=4,count=1", "path=works.get,status=500,count=7"],
    );
    let ended = fixture.backfill(&["--json", "--concurrency", "1", "--max-retries", "2"]).run().exits(3);
    let summary = ended.json();
    assert_eq!(summary["states"], json!({"done": 9, "unknown": 1}), "{summary}");
    let updates = fixture.calls("works.update");
    let run = fixture.the_run();
    assert_eq!(run.results("failed.csv")[0].status, "unknown");
    // The look fails once more: nobody knows any better, so nothing is sent and the row stays as it is.
    let ended = fixture.resume(&["--json"]).run().exits(3);
    assert_eq!(ended.json()["states"], json!({"done": 9, "unknown": 1}), "{}", ended.all());
    fixture.resume(&[]).run().exits(0);
    assert_eq!(fixture.calls("works.update"), updates, "it was sent again");
    fixture.assert_right();
    assert!(run.assert_complete(10)[&5].reason.starts_with("confirmed-by-reading"));
}
