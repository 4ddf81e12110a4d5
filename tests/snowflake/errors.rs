//! What goes wrong with Snowflake, and what is said of it.

use super::{backfill, program};
use crate::support::fakesnow::{PASSWORD, Warehouse};
use crate::support::{Fixture, Org, eventually, files_below};
use serde_json::json;

/// Wants that DevRev was not asked and nothing was left behind.
#[track_caller]
fn assert_untouched(fixture: &Fixture) {
    assert_eq!(fixture.stats()["total"], 0);
    assert!(fixture.runs().is_empty(), "{:?}", fixture.runs());
    assert!(files_below(&fixture.path("tmp")).is_empty());
}

#[test]
fn what_is_typed_wrongly_is_refused_before_anything_is_sent() {
    let Some(warehouse) = Warehouse::with_issues(1) else { return };
    let fixture = Fixture::new(&Org::of(1));
    let command = |args: &[&str]| program(&fixture, &warehouse, &["backfill-groups", "--yes"]).args(args);
    let snowflake = |args: &[&str]| command(&["--source", "snowflake"]).args(args);
    command(&[]).run().exits(2).says("no input: give --csv PATH");
    command(&["--source", "csv"]).run().exits(2).says("no input: give --csv PATH");
    command(&["--query", "SELECT 1", "--csv", "issues.csv"])
        .run()
        .exits(2)
        .says("are for --source with one of snowflake");
    snowflake(&["--csv", "issues.csv"]).run().exits(2).says("exclude each other");
    snowflake(&["--query", "SELECT 1", "--query-file", "x"]).run().exits(2);
    snowflake(&["--query-file", "none.sql"]).run().exits(2).says("--query-file none.sql");
    for (sql, said) in [
        ("PUT file:///etc/hostname @~", "begins with `PUT`"),
        ("/* SELECT */ get @~ file:///tmp", "begins with `GET`"),
        ("-- x\nCALL p()", "begins with `CALL`"),
        ("SELECT 1; DROP TABLE ISSUES", "several statements"),
        ("SELECT 'a", "ends within a string"),
    ] {
        snowflake(&["--query", sql]).run().exits(2).says(said).says("nothing was sent");
    }
    let ended =
        snowflake(&[]).without("SNOWFLAKE_USER").without("SNOWFLAKE_PASSWORD").env("SNOWFLAKE_SCHEMA", "");
    ended
        .run()
        .exits(2)
        .says("SNOWFLAKE_USER, SNOWFLAKE_SCHEMA, SNOWFLAKE_PASSWORD or SNOWFLAKE_PRIVATE_KEY_PATH");
    let ended = snowflake(&[]).env("SNOWFLAKE_HOST", "http://snow.example.com");
    ended.run().exits(2).says("neither https nor http to this machine");
    assert!(warehouse.log().is_empty(), "{:?}", warehouse.log());
    assert_untouched(&fixture);
}

#[test]
fn each_refusal_has_its_exit_code_and_snowflakes_own_words() {
    let Some(warehouse) = Warehouse::with_issues(1) else { return };
    let fixture = Fixture::new(&Org::of(1));
    let cases = [
        (
            json!({"on": "login", "code": "390201", "message": "The requested warehouse does not exist or not authorized."}),
            2,
            ["settings", "code 390201", "SNOWFLAKE_WAREHOUSE"],
        ),
        (
            json!({"on": "query", "code": "000606", "state": "57P03", "message": "No active warehouse selected."}),
            2,
            ["No active warehouse", "code 000606", "check SNOWFLAKE_WAREHOUSE"],
        ),
        (
            json!({"on": "query", "code": "003001", "state": "42501", "message": "Insufficient privileges"}),
            2,
            ["Insufficient", "code 003001", "SNOWFLAKE_ROLE"],
        ),
        (
            json!({"on": "query", "data": false, "code": "390112", "message": "Session expired.", "count": 2}),
            4,
            ["ended the session", "code 390112", "logging in again"],
        ),
        (json!({"on": "login", "status": 404}), 2, ["answered 404", "SNOWFLAKE_ACCOUNT", "SNOWFLAKE_HOST"]),
        (json!({"on": "login", "body": "<html>"}), 1, ["cannot be used", "not Snowflake's JSON", ""]),
        (
            json!({"on": "query", "after": 1, "body": "{\"success\": true, \"data\": {}}"}),
            1,
            ["names no columns", "", ""],
        ),
    ];
    for (fault, code, said) in cases {
        warehouse.faults(&json!([fault]));
        let ended = backfill(&fixture, &warehouse, &[]).run().exits(code);
        said.into_iter().fold(ended, crate::support::program::Ended::says);
        assert_untouched(&fixture);
    }
    let wrong = backfill(&fixture, &warehouse, &["--json", "--log-level", "trace"]);
    let ended =
        wrong.env("SNOWFLAKE_PASSWORD", "pw-other").run().exits(4).says("Incorrect username or password");
    assert!(!ended.out.contains("pw-other") && !ended.err.contains("pw-other"), "{}", ended.all());
    let query = |sql: &str| backfill(&fixture, &warehouse, &["--query", sql]).run().exits(2);
    query("SELECT * FROM NO_SUCH_TABLE").says("NO_SUCH_TABLE").says("code 00");
    query("SELECT * FRM ISSUES").says("code 00");
    let ended = query("SELECT ISSUE_ID, ASSIGNED_GROUP, CREATOR_USER_ID AS CREATOR FROM ISSUES");
    ended
        .says("columns missing from the query: `creator_user_id` (nearest: `CREATOR`)")
        .says("found: `ISSUE_ID`, `ASSIGNED_GROUP`, `CREATOR`");
    assert_untouched(&fixture);
}

#[test]
fn what_fails_for_a_moment_is_tried_again() {
    let Some(warehouse) = Warehouse::with_issues(300) else { return };
    let fixture = Fixture::new(&Org::of(300));
    let cases = [
        json!({"on": "login", "status": 503, "count": 2}),
        json!({"on": "query", "status": 502, "count": 3}),
        json!({"on": "part", "status": 503, "count": 2}),
        json!({"on": "query", "after": 1, "running": 3}),
        json!({"on": "query", "data": false, "code": "390112", "message": "Session expired."}),
        json!({"on": "query", "after": 1, "data": false, "code": "390114", "message": "Authentication token has expired."}),
    ];
    for fault in cases {
        warehouse.faults(&json!([fault]));
        let ended = backfill(&fixture, &warehouse, &["--dry-run", "--json"]).run().exits(0);
        assert_eq!(ended.json()["rows"], 300, "{fault}");
    }
}

#[test]
fn a_result_that_is_not_whole_is_not_taken_for_one() {
    let Some(warehouse) = Warehouse::with_issues(300) else { return };
    let fixture = Fixture::new(&Org::of(300));
    for (fault, code, said) in [
        (json!({"on": "part", "status": 503, "count": 99}), 7, "tried 4 times"),
        (json!({"on": "part", "status": 403}), 1, "HTTP 403"),
        (json!({"on": "part", "cut": true}), 1, "cannot be used"),
    ] {
        warehouse.faults(&json!([fault]));
        backfill(&fixture, &warehouse, &[]).run().exits(code).says(said);
        assert_untouched(&fixture);
    }
}

#[test]
fn nobody_answers() {
    let Some(warehouse) = Warehouse::new() else { return };
    let fixture = Fixture::new(&Org::of(1));
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let host = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let ended = backfill(&fixture, &warehouse, &[]).env("SNOWFLAKE_HOST", host).run().exits(7);
    ended.says("cannot reach Snowflake (127.0.0.1), tried 4 times").says("trying again in");
    assert_untouched(&fixture);
}

#[test]
fn a_signal_ends_the_wait_for_snowflake() {
    let Some(warehouse) = Warehouse::with_issues(10) else { return };
    let fixture = Fixture::new(&Org::of(1));
    warehouse.faults(&json!([{"on": "query", "running": 10_000, "count": 99}]));
    for command in ["backfill-groups", "validate"] {
        let before = warehouse.log().len();
        let args: &[&str] = if command == "validate" { &[] } else { &["--yes"] };
        let running = program(&fixture, &warehouse, &[command, "--source", "snowflake"]).args(args).spawn();
        eventually("a question", || warehouse.log().len() > before + 2);
        running.signal("INT");
        running.wait().exits(130);
        assert_untouched(&fixture);
    }
}

#[test]
fn secrets_are_nowhere() {
    let Some(warehouse) = Warehouse::with_issues(20) else { return };
    let fixture = Fixture::new(&Org::of(20));
    // What is said is looked at after every run: see `Running::end`.
    backfill(&fixture, &warehouse, &["--log-level", "trace", "--json"]).run().exits(0);
    for file in files_below(&fixture.path("")) {
        let text = String::from_utf8_lossy(&std::fs::read(&file).unwrap()).into_owned();
        assert!(!text.contains(PASSWORD), "the password is in {}", file.display());
    }
}
