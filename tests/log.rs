//! `log.jsonl`: what happened to each row, call by call, whatever standard error shows.

use crate::support::fixture::Trouble;
use crate::support::{Fixture, Merging, Org, People, Run};
use serde_json::{Value, json};

fn calls(lines: &[Value], row: u64) -> Vec<&Value> {
    lines.iter().filter(|line| line["message"] == "call" && line["span"]["row"] == row).collect()
}

fn ended(lines: &[Value], row: u64) -> Vec<&Value> {
    lines.iter().filter(|line| line["message"] == "row ended" && line["row"] == row).collect()
}

#[test]
fn each_row_has_its_end_and_its_calls_with_attempt_latency_and_status() {
    let fixture = Fixture::broken(&Org::of(20), ["path=works.update,status=503,count=1"]);
    fixture.backfill(&["--quiet", "--concurrency", "1"]).run().exits(0);
    let lines = fixture.the_run().lines("log.jsonl");
    for row in 1..=20 {
        let end = ended(&lines, row);
        assert_eq!(
            (end.len(), &end[0]["state"], &end[0]["key"]),
            (1, &json!("done"), &json!(format!("ISS-{row}")))
        );
        assert!(end[0]["latency_ms"].is_u64(), "{end:?}");
        let calls = calls(&lines, row);
        assert!(
            calls
                .iter()
                .all(|call| call["span"]["key"] == format!("ISS-{row}") && call["latency_ms"].is_u64())
        );
        let tries: Vec<_> = calls
            .iter()
            .filter(|call| call["endpoint"] == "works.update")
            .map(|call| (call["status"].as_u64().unwrap(), call["attempt"].as_u64().unwrap()))
            .collect();
        let expected = if row == 1 { vec![(503, 1), (200, 2)] } else { vec![(200, 1)] };
        assert_eq!(tries, expected, "row {row}");
    }
    assert!(
        lines.iter().any(|line| line["endpoint"] == "works.list" && line["span"]["batch"] == 1),
        "{lines:?}"
    );
    assert!(
        lines.iter().any(|line| line["level"] == "WARN"),
        "the warning that --quiet keeps from standard error"
    );
}

#[test]
fn processes_of_a_run_append_to_one_log() {
    let fixture = Fixture::with(&Org::of(100), &Trouble::delay(10));
    let running = fixture.backfill(&["--batch-size", "10"]).run_until(|| fixture.writes() > 5);
    running.signal("INT");
    running.wait().exits(130);
    let before = std::fs::read(fixture.the_run().file("log.jsonl")).unwrap();
    fixture.resume(&[]).run().exits(0);
    let after = std::fs::read(fixture.the_run().file("log.jsonl")).unwrap();
    assert!(after.len() > before.len() && after.starts_with(&before));
    let lines = fixture.the_run().lines("log.jsonl");
    for row in 1..=100 {
        assert_eq!(ended(&lines, row).len(), 1, "row {row}");
    }
}

/// Wants no byte that a terminal may obey, and whole lines of JSON.
#[track_caller]
fn assert_harmless(run: &Run) {
    let text = String::from_utf8(std::fs::read(run.file("log.jsonl")).unwrap()).unwrap();
    let control = text.chars().find(|c| c.is_control() && *c != '\n');
    assert_eq!(control, None, "{text}");
    run.lines("log.jsonl");
}

#[test]
fn no_secret_and_no_control_character_gets_into_it() {
    let fixture = Fixture::new(&Org::of(3));
    let csv = "issue_id,creator_user_id,assigned_group\nISS-1,DEVU-1,GROUP-1\n\x1b]0;owned\x07\u{9b}31m\u{7f}x,DEVU-1,GROUP-1\n";
    fixture.write("hostile.csv", csv);
    fixture.program(["backfill-groups", "--csv", "hostile.csv", "--yes"]).run().exits(3);
    let run = fixture.the_run();
    assert_harmless(&run);
    fixture.assert_no_token();
    let failed = ended(&run.lines("log.jsonl"), 2)[0]["detail"].as_str().unwrap().to_owned();
    assert!(failed.contains("owned"), "what was there can still be seen: {failed}");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(run.file("log.jsonl")).unwrap().permissions().mode() & 0o777, 0o600);
    }
}

#[test]
fn a_pair_has_both_its_rows() {
    let fixture = Merging::new(&People::of(2));
    fixture.merge(&[]).run().exits(0);
    let run = fixture.the_run();
    assert_harmless(&run);
    let lines = run.lines("log.jsonl");
    let merges: Vec<_> = lines.iter().filter(|line| line["endpoint"] == "rev-users.merge").collect();
    assert_eq!(merges.len(), 2);
    for merge in merges {
        let row = merge["span"]["row"].as_u64().unwrap();
        assert!(merge["span"]["also"].as_u64().unwrap() > row, "{merge}");
        assert_eq!(ended(&lines, row)[0]["also"], merge["span"]["also"]);
    }
}

#[test]
fn a_profile_says_where_the_time_went() {
    let fixture = Fixture::with(&Org::of(50), &Trouble::delay(5));
    let ended = fixture.backfill(&["--profile"]).run().exits(0);
    for part in
        ["where ", "reading the input", "calls under way", "fsyncs of the journal", "works.update", "p99"]
    {
        assert!(ended.out.contains(part), "{part}\n{}", ended.all());
    }
    let report: Value =
        serde_json::from_slice(&std::fs::read(fixture.the_run().file("report.json")).unwrap()).unwrap();
    let profile = &report["profile"];
    let of = |name: &str| profile[name].as_f64().unwrap();
    let parts = of("parsing") + of("network") + of("held_by_the_limit") + of("idle");
    assert!((parts - of("seconds")).abs() < 1e-6, "{profile}");
    assert!(of("network") > 0.0 && profile["fsync"]["count"].as_u64().unwrap() > 0, "{profile}");
    assert_eq!(profile["endpoints"]["works.update"]["calls"], 50);
    assert!(profile["endpoints"]["works.update"]["p50"].as_f64().unwrap() >= 0.005, "{profile}");
    let fixture = Fixture::new(&Org::of(2));
    assert_eq!(fixture.backfill(&["--json"]).run().exits(0).json().get("profile"), None);
}
