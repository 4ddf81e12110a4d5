//! `--source clickhouse`: against its engine, and against answers that are written down here.

use super::{assert_untouched, kept, validate_in_little_memory};
use crate::support::clickhouse::Clickhouse;
use crate::support::merging::Merging;
use crate::support::program::Program;
use crate::support::service::{Answer, Service};
use crate::support::site::{DATABASE_PASSWORD, Site};
use crate::support::{Fixture, Org, People, files_below};
use serde_json::json;
use std::fmt::Write as _;
use std::net::TcpListener;

fn program(site: &Site, clickhouse: &Clickhouse, args: &[&str]) -> Program {
    clickhouse.prepare(site.program(args).args(["--source", "clickhouse"]))
}

#[test]
fn a_backfill_by_the_default_query_and_by_another() {
    let Some(clickhouse) = Clickhouse::with_issues(30) else { return };
    let fixture = Fixture::new(&Org::of(30));
    let backfill = |more: &[&str]| program(&fixture, &clickhouse, &["backfill-groups", "--yes"]).args(more);
    let sql = "WITH few AS (SELECT * FROM ISSUES WHERE CREATOR_USER_ID <> 'DEVU-1') -- only some\n\
               SELECT ISSUE_ID, ASSIGNED_GROUP AS `Assigned_Group`, CREATOR_USER_ID, 'x\\';' AS more FROM few;";
    let (rows, header) = kept(&fixture, backfill(&["--query", sql, "--limit", "5"]));
    assert_eq!(header, ["issue_id", "creator_user_id", "assigned_group"][..]);
    assert_eq!((rows.len(), &rows[0]), (5, &csv::StringRecord::from(vec!["ISS-10", "DEVU-2", "GROUP-2"])));
    let ordered = "SELECT * FROM ISSUES ORDER BY CREATOR_USER_ID DESC, 1 LIMIT 2";
    let (rows, _) = kept(&fixture, backfill(&["--query", ordered]));
    assert_eq!(rows.iter().map(|row| &row[0]).collect::<Vec<_>>(), ["ISS-12", "ISS-16"]);

    let ended = backfill(&["--json"]).run().exits(0);
    assert_eq!(ended.json()["states"], json!({"done": 30}));
    fixture.assert_right();
    let run = fixture.newest_run();
    run.assert_complete(30);
    let manifest = run.manifest();
    assert_eq!(
        (&manifest["input"]["source"], &manifest["input"]["rows"]),
        (&json!("ClickHouse"), &json!(30))
    );
    assert_eq!(manifest["settings"]["resolved"]["CLICKHOUSE_USER"]["value"], "default");
    for path in files_below(fixture.folder()) {
        let bytes = std::fs::read(&path).unwrap();
        let shown = String::from_utf8_lossy(&bytes).contains(DATABASE_PASSWORD);
        assert!(!shown, "the password is in {}", path.display());
    }
}

#[test]
fn validate_merge_and_sample() {
    let people = People::of(3);
    let Some(clickhouse) = Clickhouse::new() else { return };
    let fixture = Merging::new(&people);
    let (mut users, mut tickets) = (String::new(), String::new());
    for row in &people.rows {
        let (id, name, email, reference) = (&row.id, &row.name, &row.email, &row.external_ref);
        write!(users, ",('{id}','{name}','{email}','{reference}',NULL,'2024-05-01 12:34:56','2024-06-01')")
            .unwrap();
        for ticket in 0..row.tickets {
            write!(tickets, ",({ticket},'{id}')").unwrap();
        }
    }
    clickhouse.run(&[
        "CREATE TABLE REV_USERS (REV_USER_ID String, DISPLAY_NAME String, EMAIL String, EXTERNAL_REF String, \
         FULL_NAME Nullable(String), CREATED_AT DateTime, UPDATED_AT Date) ENGINE = MergeTree ORDER BY REV_USER_ID",
        "CREATE TABLE TICKETS (ID Int64, REV_USER_ID String) ENGINE = MergeTree ORDER BY ID",
        &format!("INSERT INTO REV_USERS VALUES {}", &users[1..]),
        &format!("INSERT INTO TICKETS VALUES {}", &tickets[1..]),
    ]);
    let merge = fixture.quick(["merge-contacts", "--source", "clickhouse", "--yes", "--json"]);
    let summary = clickhouse.prepare(merge).run().exits(0).json();
    assert_eq!(summary["states"]["done"], 6, "{summary}");
    program(&fixture, &clickhouse, &["validate", "--kind", "contacts", "--limit", "3"])
        .run()
        .exits(0)
        .says("ClickHouse: the first 3 rows of kind `contacts` read, nothing wrong");
    let args = ["sample", "--kind", "contacts", "--size", "4", "-o", "few.csv", "--log-level", "trace"];
    program(&fixture, &clickhouse, &args).run().exits(0);
    fixture.program(["validate", "--csv", "few.csv"]).run().exits(0).says("4 rows of kind `contacts`");
    assert!(files_below(&fixture.path("tmp")).is_empty(), "temporary files are left");
}

#[test]
fn every_type_survives() {
    let Some(clickhouse) = Clickhouse::new() else { return };
    let fixture = Fixture::new(&Org::of(9));
    let cases = [
        ("'ünï 東京 🎉 \"quoted\", /and\\\\\\nlines'", "ünï 東京 🎉 \"quoted\", /and\\\nlines"),
        ("NULL", ""),
        ("CAST(NULL AS LowCardinality(Nullable(String)))", ""),
        ("toFixedString('ab', 5)", "ab"),
        ("toInt64(9223372036854775807)", "9223372036854775807"),
        (
            "toUInt256('115792089237316195423570985008687907853269984665640564039457584007913129639935')",
            "115792089237316195423570985008687907853269984665640564039457584007913129639935",
        ),
        ("0.1 + 0.2", "0.30000000000000004"),
        ("toDecimal128('12345678901234.5678', 4)", "12345678901234.5678"),
        ("true", "true"),
        // The server's zone is Asia/Tokyo.
        ("toDateTime('2024-05-01 12:34:56')", "2024-05-01 03:34:56 +0000"),
        (
            "CAST(toDateTime64('2024-05-01 12:34:56.789', 3, 'Europe/Berlin') AS Nullable(DateTime64(3, 'Europe/Berlin')))",
            "2024-05-01 10:34:56.789 +0000",
        ),
        ("CAST(NULL AS Nullable(DateTime))", ""),
        ("toDate('2024-05-01')", "2024-05-01"),
        ("['a', 'b']", "['a','b']"),
        ("CAST('so so' AS Enum8('so so' = 1))", "so so"),
        ("toUUID('6ECD8C99-4036-403D-BF84-CF8400F67836')", "6ecd8c99-4036-403d-bf84-cf8400f67836"),
    ];
    for (value, text) in cases {
        let sql = format!("SELECT 'ISS-1' AS issue_id, 'x' AS creator_user_id, {value} AS assigned_group");
        let (rows, _) = kept(&fixture, program(&fixture, &clickhouse, &["backfill-groups", "--query", &sql]));
        assert_eq!(&rows[0][2], text, "{value}");
    }
    let validate = |value: &str| {
        let sql =
            format!("SELECT 'ISS-1' AS issue_id, 'DEVU-1' AS creator_user_id, {value} AS assigned_group");
        program(&fixture, &clickhouse, &["validate", "--query", &sql])
    };
    validate("unhex('ff')").run().exits(1).says("row 1 is not UTF-8: convert its bytes in the query");
    validate("repeat('xx', 600000)").run().exits(5).says("row 1 is longer than 1 MiB");
    validate("repeat('twenty characters...', 900000)").run().exits(1).says("row 1 is longer than 8 MiB");
}

#[test]
fn what_the_engine_refuses_is_said_and_nothing_is_sent() {
    let Some(clickhouse) = Clickhouse::with_issues(200_000) else { return };
    let fixture = Fixture::new(&Org::of(3));
    let backfill = |more: &[&str]| program(&fixture, &clickhouse, &["backfill-groups", "--yes"]).args(more);
    let query = |sql: &str| {
        format!("SELECT ISSUE_ID, CREATOR_USER_ID, {sql} AS ASSIGNED_GROUP FROM ISSUES ORDER BY 1")
    };
    for (sql, says) in [
        ("SELECT * FROM absent".to_owned(), "(code 60); check the name and CLICKHOUSE_DATABASE"),
        ("SELECT issue_id FROM ISSUES".to_owned(), "(code 47); check the name"),
        ("SELECT 1 AS issue".to_owned(), "columns missing from the query: `issue_id` (nearest: `issue`)"),
        (query("throwIf(ISSUE_ID = 'ISS-999')"), "ClickHouse refused the query: Value passed to 'throwIf'"),
        ("SELECT 'a\\'; DROP TABLE ISSUES --".to_owned(), "ends within a string"),
        ("SELECT 1; DROP TABLE ISSUES".to_owned(), "several statements"),
        ("DROP TABLE ISSUES".to_owned(), "begins with `DROP`"),
    ] {
        backfill(&["--query", &sql]).run().exits(2).says(says);
        assert_untouched(&fixture);
    }
    backfill(&[])
        .env("CLICKHOUSE_PASSWORD", "x")
        .run()
        .exits(4)
        .says("check CLICKHOUSE_USER and CLICKHOUSE_PASSWORD");
    backfill(&[]).env("CLICKHOUSE_DATABASE", "nowhere").run().exits(2).says("check CLICKHOUSE_DATABASE");
    assert_untouched(&fixture);
    // One who may change no setting can read all the same.
    let asked = clickhouse.log().len();
    let ended =
        program(&fixture, &clickhouse, &["validate", "--limit", "3"]).env("CLICKHOUSE_USER", "reader");
    ended.run().exits(0).says("the first 3 rows");
    assert_eq!(clickhouse.log()[asked..asked + 3], ["SELECT 1", "SELECT 1", "SELECT 1"]);
}

#[test]
fn two_hundred_thousand_rows() {
    let Some(clickhouse) = Clickhouse::with_issues(200_000) else { return };
    let fixture = Fixture::down(&Org::of(1));
    let summary = validate_in_little_memory(program(&fixture, &clickhouse, &["validate"]));
    assert_eq!((&summary["rows"], &summary["complete"]), (&json!(200_000), &json!(true)));
}

fn exception(status: u16, code: u32, text: &str) -> Answer {
    let body = format!("Code: {code}. DB::Exception: {text}. (NAME) (version 24.8.1.1)\n");
    let head = format!("X-ClickHouse-Exception-Code: {code}\r\n").leak();
    Answer { head, ..Answer::new(status, &body) }
}

/// Columns, as DESCRIBE tells them.
fn described() -> Answer {
    let column =
        |name: &str, kind: &str| json!({"name": name, "type": kind, "comment": ""}).to_string() + "\n";
    let columns =
        [("issue_id", "String"), ("creator_user_id", "DateTime"), ("assigned_group", "Nullable(String)")];
    Answer::new(200, &columns.map(|(name, kind)| column(name, kind)).concat())
}

const ROWS: &str = "[\"ISS-1\",\"DEVU-1\",\"GROUP-1\"]\n[\"ISS-2\",\"DEVU-2\",\"GROUP-2\"]\n";

fn validate(site: &Site, scripted: &Service) -> Program {
    site.program(["validate", "--source", "clickhouse", "--kind", "groups", "--max-retries", "1"])
        .env("CLICKHOUSE_URL", scripted.url())
        .env("CLICKHOUSE_USER", "ana")
        .env("CLICKHOUSE_PASSWORD", DATABASE_PASSWORD)
}

#[test]
fn each_answer_has_its_meaning() {
    let fixture = Fixture::new(&Org::of(1));
    let (one, rows) = (Answer::new(200, "1\n"), Answer::new(200, ROWS));
    let late =
        format!("{ROWS}__exception__\r\nCode: 241. DB::Exception: Memory limit exceeded. (version 26.1)\n");
    let (cut, whole) = ([Answer { lacks: 9, ..rows.clone() }], [rows.clone()]);
    let begun = [one.clone(), described()];
    let endless = |answer: Answer| [Answer { is_endless: true, ..answer }];
    let (endless_rows, endless_columns) = (endless(rows.clone()), endless(described()));
    let quoted = format!("ana: no {DATABASE_PASSWORD}");
    let cases: [(&[Answer], i32, &str); 17] = [
        // Cut off after a whole line, these would look the same.
        (&[&begun[..], &endless_rows].concat(), 1, "it does not say where it ends"),
        (&[&begun[..1], &endless_columns].concat(), 1, "it does not say where it ends"),
        (&[exception(403, 516, &quoted)], 4, "ana: no [secret]. (NAME) (code 516)"),
        (&[one.clone(), rows.clone()], 1, "cannot be used: it does not say which columns"),
        (&[Answer::new(302, "")], 2, "check CLICKHOUSE_URL"),
        (&[Answer::new(404, "There is no handle")], 2, "check CLICKHOUSE_URL"),
        (&[Answer::new(401, "Required")], 4, "check CLICKHOUSE_USER and CLICKHOUSE_PASSWORD"),
        (
            &[exception(403, 516, "ana: Authentication failed")],
            4,
            "ana: Authentication failed. (NAME) (code 516)",
        ),
        (&[exception(404, 81, "Database x does not exist")], 2, "(code 81); check CLICKHOUSE_DATABASE"),
        (&[exception(500, 497, "Not enough privileges")], 2, "(code 497); check what this user may do"),
        (
            &[Answer::new(502, "x"), Answer::new(503, "x")],
            7,
            "HTTP 503 Service Unavailable; nothing was sent",
        ),
        (&[exception(500, 202, "Too many"), exception(500, 210, "Network")], 7, "Network. (NAME) (code 210)"),
        (
            &[&begun[..], &[Answer::new(200, "[\"ISS-1\"]\n")]].concat(),
            1,
            "row 1 has another number of columns",
        ),
        (&[&begun[..], &[Answer::new(200, "<html>\n")]].concat(), 1, "row 1 is not a JSON array of texts"),
        (&[&begun[..], &[Answer::new(200, &late)]].concat(), 2, "Memory limit exceeded (code 241)"),
        (&[&begun[..], &cut, &begun[..], &cut].concat(), 7, "start again"),
        (&[&begun[..], &cut, &begun[..], &whole].concat(), 0, "ClickHouse: 2 rows"),
    ];
    for (answers, code, says) in cases {
        let scripted = Service::new(answers.to_vec());
        let ended = validate(&fixture, &scripted).run().exits(code).says(says);
        assert!(!format!("{}{}", ended.out, ended.err).contains(DATABASE_PASSWORD), "{}", ended.all());
        assert_eq!(scripted.asked().len(), answers.len(), "{says}");
        assert_untouched(&fixture);
    }
}

#[test]
fn what_is_sent() {
    let fixture = Fixture::new(&Org::of(1));
    // An older server does not know a setting; this user may change none.
    let answers = [
        exception(404, 115, "Unknown setting"),
        exception(500, 164, "Cannot modify 'readonly'"),
        Answer::new(200, "1\n"),
        described(),
        Answer::new(200, ROWS),
    ];
    let scripted = Service::new(answers.to_vec());
    validate(&fixture, &scripted).args(["--limit", "7", "--query", "SELECT * FROM t -- all"]).run().exits(0);
    let asked = scripted.asked();
    let settings = "&readonly=2&max_execution_time=21600&cancel_http_readonly_queries_on_client_close=1";
    assert!(asked[0].path.starts_with(&format!("/?database=default{settings}")), "{}", asked[0].path);
    assert_eq!((&*asked[1].path, &*asked[2].path), ("/?database=default&readonly=2", "/?database=default"));
    let describe = "DESCRIBE (\nSELECT * FROM (\nSELECT * FROM t -- all\n) AS q) FORMAT JSONEachRow";
    assert_eq!(asked[3].body, describe);
    let select = "SELECT toString(q.\"issue_id\") AS devrev_batch_0, \
                  concat(toString(toTimeZone(q.\"creator_user_id\", 'UTC')), ' +0000') AS devrev_batch_1, \
                  toString(q.\"assigned_group\") AS devrev_batch_2 FROM (\nSELECT * FROM t -- all\n) AS q \
                  ORDER BY q.\"issue_id\" NULLS LAST LIMIT 8 FORMAT JSONCompactEachRow";
    assert_eq!(asked[4].body, select);
    for request in asked {
        assert!(request.head.contains(&"x-clickhouse-user: ana".to_owned()), "{request:?}");
        assert!(!request.path.contains(DATABASE_PASSWORD));
    }
}

#[test]
fn settings_that_are_wrong() {
    let fixture = Fixture::new(&Org::of(1));
    let backfill = || fixture.program(["backfill-groups", "--yes", "--source", "clickhouse"]);
    backfill().run().exits(2).says("--source clickhouse needs settings that are not there: CLICKHOUSE_URL");
    let with = |name: &str, value: &str| {
        backfill().env("CLICKHOUSE_URL", "http://127.0.0.1:1").env(name, value).run().exits(2)
    };
    with("CLICKHOUSE_URL", "http://c.example.com:8123").says("neither https nor http to this machine");
    let leaky = format!("https://c.example.com/?password={DATABASE_PASSWORD}");
    with("CLICKHOUSE_URL", &leaky).says("has a query or a fragment");
    with("CLICKHOUSE_PASSWORD", "a\nb").says("CLICKHOUSE_PASSWORD has a character in it that cannot be sent");
    assert_untouched(&fixture);
}

#[test]
fn a_signal_ends_the_wait() {
    let fixture = Fixture::new(&Org::of(1));
    // One that takes connections and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let args = ["backfill-groups", "--yes", "--source", "clickhouse"];
    let running = fixture.program(args).env("CLICKHOUSE_URL", url).spawn();
    let _connection = silent.accept().unwrap();
    running.signal("INT");
    running.wait().exits(130);
    assert_untouched(&fixture);
}
