//! `--source postgres`, against a real server.

use super::{assert_untouched, kept, validate_in_little_memory};
use crate::support::fixture::Trouble;
use crate::support::merging::Merging;
use crate::support::postgres::{Database, PASSWORD};
use crate::support::program::Program;
use crate::support::site::Site;
use crate::support::{Fixture, Org, People, eventually, files_below};
use serde_json::json;
use std::fmt::Write as _;
use std::net::TcpListener;

fn program(site: &Site, database: &Database, args: &[&str]) -> Program {
    database.prepare(site.program(args).args(["--source", "postgres"]))
}

#[test]
fn a_backfill_by_the_default_query_and_by_another() {
    let Some(database) = Database::with_issues(30) else { return };
    let fixture = Fixture::new(&Org::of(30));
    let backfill = |more: &[&str]| program(&fixture, &database, &["backfill-groups", "--yes"]).args(more);
    let sql = "WITH few AS (SELECT * FROM issues WHERE creator_user_id <> 'DEVU-1') -- only some\n\
               SELECT ISSUE_ID, assigned_group AS \"Assigned_Group\", creator_user_id, $x$;$x$ AS more FROM few;";
    let (rows, header) = kept(&fixture, backfill(&["--query", sql, "--limit", "5"]));
    assert_eq!(header, ["issue_id", "creator_user_id", "assigned_group"][..]);
    assert_eq!((rows.len(), &rows[0]), (5, &csv::StringRecord::from(vec!["ISS-10", "DEVU-2", "GROUP-2"])));
    let ordered = "SELECT * FROM issues ORDER BY CREATOR_USER_ID DESC, 1 LIMIT 2";
    let (rows, _) = kept(&fixture, backfill(&["--query", ordered]));
    assert_eq!(rows.iter().map(|row| &row[0]).collect::<Vec<_>>(), ["ISS-12", "ISS-16"]);
    backfill(&["--dry-run", "--query", sql]).run().says("no ORDER BY: its rows are ordered by issue_id");

    let ended = backfill(&["--json"]).run().exits(0);
    assert_eq!(ended.json()["states"], json!({"done": 30}));
    fixture.assert_right();
    let run = fixture.newest_run();
    run.assert_complete(30);
    let manifest = run.manifest();
    assert_eq!(
        (&manifest["input"]["source"], &manifest["input"]["rows"]),
        (&json!("PostgreSQL"), &json!(30))
    );
    let url = manifest["settings"]["resolved"]["DATABASE_URL"]["value"].as_str().unwrap();
    assert_eq!(url, database.url("postgres"));
    for path in files_below(fixture.folder()) {
        let bytes = std::fs::read(&path).unwrap();
        assert!(!String::from_utf8_lossy(&bytes).contains(PASSWORD), "the password is in {}", path.display());
    }
}

#[test]
fn validate_merge_and_sample() {
    let people = People::of(3);
    let Some(database) = Database::new() else { return };
    let fixture = Merging::new(&people);
    let mut sql =
        "CREATE TABLE rev_users (rev_user_id text, display_name text, email text, external_ref text, \
                   full_name text, created_at timestamptz, updated_at date);\n\
                   CREATE TABLE tickets (id int, rev_user_id text);\n"
            .to_owned();
    for row in &people.rows {
        let (id, name, email, reference) = (&row.id, &row.name, &row.email, &row.external_ref);
        writeln!(
            sql,
            "INSERT INTO rev_users VALUES ('{id}','{name}','{email}','{reference}',NULL,'2024-05-01 12:34:56+09','2024-06-01');"
        )
        .unwrap();
        for ticket in 0..row.tickets {
            writeln!(sql, "INSERT INTO tickets VALUES ({ticket},'{id}');").unwrap();
        }
    }
    database.run(&sql);
    let merge = fixture.quick(["merge-contacts", "--source", "postgres", "--yes", "--json"]);
    let summary = database.prepare(merge).run().exits(0).json();
    assert_eq!(summary["states"]["done"], 6, "{summary}");
    program(&fixture, &database, &["validate", "--kind", "contacts"])
        .run()
        .exits(0)
        .says("PostgreSQL: 8 rows of kind `contacts` read, nothing wrong")
        .says("Next: devrev-batch merge-contacts --source postgres --dry-run");
    let args = ["sample", "--kind", "contacts", "--size", "4", "-o", "few.csv", "--log-level", "trace"];
    program(&fixture, &database, &args).run().exits(0);
    fixture.program(["validate", "--csv", "few.csv"]).run().exits(0).says("4 rows of kind `contacts`");
    assert!(files_below(&fixture.path("tmp")).is_empty(), "temporary files are left");
}

#[test]
fn every_type_survives() {
    let Some(database) = Database::new() else { return };
    let fixture = Fixture::new(&Org::of(9));
    // The defaults of a database do not matter.
    database.run(
        "DO $$ BEGIN EXECUTE 'ALTER DATABASE ' || current_database() || ' SET DateStyle = ''German'''; END $$;
         DO $$ BEGIN EXECUTE 'ALTER DATABASE ' || current_database() || ' SET bytea_output = ''escape'''; END $$;
         DO $$ BEGIN EXECUTE 'ALTER DATABASE ' || current_database() || ' SET extra_float_digits = -15'; END $$;
         CREATE TYPE mood AS ENUM ('so so');
         CREATE DOMAIN code AS text;",
    );
    let of = |values: &[&str]| -> Vec<String> {
        let rows = values.iter().enumerate().map(|(at, value)| {
            format!(
                "SELECT 'ISS-{}' AS issue_id, ({value})::text AS creator_user_id, {value} AS assigned_group",
                at + 1
            )
        });
        // One query a value: they have types of their own.
        rows.map(|sql| {
            let (rows, _) =
                kept(&fixture, program(&fixture, &database, &["backfill-groups", "--query", &sql]));
            rows[0][2].to_owned()
        })
        .collect()
    };
    let cases = [
        ("'ünï 東京 🎉 \"quoted\", and' || E'\\nlines'", "ünï 東京 🎉 \"quoted\", and\nlines"),
        ("NULL::text", ""),
        ("''", ""),
        ("9223372036854775807", "9223372036854775807"),
        ("12345678901234567890.10", "12345678901234567890.10"),
        ("0.1::float8 + 0.2::float8", "0.30000000000000004"),
        ("0.1::float4", "0.1"),
        ("'NaN'::numeric", "NaN"),
        ("TRUE", "true"),
        ("'2024-05-01 12:34:56.789'::timestamp", "2024-05-01 12:34:56.789"),
        ("'2024-05-01 12:34:56.789+02'::timestamptz", "2024-05-01 10:34:56.789+00"),
        ("'2024-05-01'::date", "2024-05-01"),
        ("'1 day 2 hours'::interval", "1 day 02:00:00"),
        ("'\\x00ff'::bytea", "\\x00ff"),
        ("'a'::char(5)", "a"),
        ("'so so'::mood", "so so"),
        ("'x'::code", "x"),
        ("ARRAY['a,b', NULL]", "{\"a,b\",NULL}"),
        ("'{\"a\": 1}'::jsonb", "{\"a\": 1}"),
        ("'6ECD8C99-4036-403D-BF84-CF8400F67836'::uuid", "6ecd8c99-4036-403d-bf84-cf8400f67836"),
    ];
    let values: Vec<_> = cases.iter().map(|(value, _)| *value).collect();
    let expected: Vec<_> = cases.iter().map(|(_, text)| (*text).to_owned()).collect();
    assert_eq!(of(&values), expected);
    let long =
        "SELECT 'ISS-1' AS issue_id, 'DEVU-1' AS creator_user_id, repeat('x', 200000000) AS assigned_group";
    let ended = program(&fixture, &database, &["validate", "--query", long]).run().exits(5);
    ended.says("row 1 is longer than 1 MiB; leave it out of the query");
}

#[test]
fn what_is_wrong_is_said_and_nothing_is_sent() {
    let Some(database) = Database::with_issues(3) else { return };
    database.run("CREATE SEQUENCE numbers; CREATE ROLE reader LOGIN; CREATE TABLE secrets AS TABLE issues");
    let fixture = Fixture::new(&Org::of(3));
    let backfill = |more: &[&str]| program(&fixture, &database, &["backfill-groups", "--yes"]).args(more);
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    for (url, code, says) in [
        (String::new(), 2, "--source postgres needs DATABASE_URL"),
        (format!("sqlite:{PASSWORD}"), 2, "begins with `sqlite:`: --source postgres needs postgres://USER"),
        (format!("postgres://ana:{PASSWORD}@h:x/db"), 2, "is not a URL (invalid port number)"),
        (
            database.url(&format!("postgres:no{PASSWORD}")),
            4,
            "PostgreSQL refused the login: password authentication failed",
        ),
        (database.url("nobody"), 4, "check the user and the password in DATABASE_URL"),
        (
            database.url(&format!("postgres:{PASSWORD}")).replace("/test", "/no"),
            2,
            "check the database's name",
        ),
        (
            database.url(&format!("postgres:{PASSWORD}")) + "?sslmode=require",
            2,
            "TLS failed: server does not support TLS",
        ),
        (format!("postgres://ana:{PASSWORD}@127.0.0.1:{closed}/db"), 7, "start again"),
    ] {
        backfill(&["--max-retries", "1"]).env("DATABASE_URL", &url).run().exits(code).says(says);
        assert_untouched(&fixture);
    }
    let query =
        |sql: &str| format!("SELECT 'ISS-1' AS issue_id, 'x' AS creator_user_id, {sql} AS assigned_group");
    for (sql, says) in [
        ("DELETE FROM issues".to_owned(), "begins with `DELETE`"),
        ("SELECT E'a\\'; DELETE FROM issues --'".to_owned(), "columns missing from the query"),
        ("SELECT 'a\\'; DELETE FROM issues --'".to_owned(), "several statements"),
        (
            "WITH x AS (DELETE FROM issues RETURNING *) SELECT * FROM x".to_owned(),
            "the query has DELETE in it",
        ),
        (
            "SELECT * FROM nothing".to_owned(),
            "relation \"nothing\" does not exist (code 42P01); check the name",
        ),
        ("SELECT issue FROM issues".to_owned(), "column \"issue\" does not exist"),
        ("SELECT 1 AS issue".to_owned(), "columns missing from the query: `issue_id` (nearest: `issue`)"),
        (query("nextval('numbers')"), "(code 25006); the session may only read"),
        (query("set_config('transaction_read_only', 'off', false)"), "(code 25001)"),
        (query("1 / 0"), "PostgreSQL refused the query: division by zero (code 22012)"),
    ] {
        backfill(&["--query", &sql]).run().exits(2).says(says);
        assert_untouched(&fixture);
    }
    let reader = format!("postgres://reader:{PASSWORD}@127.0.0.1:{}/", database.port());
    database.run(&format!("ALTER ROLE reader PASSWORD '{PASSWORD}'"));
    let url = database.url("x").rsplit_once('/').map(|(_, name)| format!("{reader}{name}")).unwrap();
    let ended = backfill(&["--query", "SELECT * FROM secrets"]).env("DATABASE_URL", url).run().exits(2);
    ended.says("permission denied for table secrets (code 42501); check what this user may do");
    backfill(&["--csv", "a.csv"]).run().exits(2).says("--csv and --source postgres exclude each other");
    assert_untouched(&fixture);
}

/// A query that takes some 10 s.
const SLOW: &str = "SELECT issue_id, creator_user_id, assigned_group, pg_sleep(0.02) AS pause FROM issues";

#[test]
fn a_connection_that_breaks_is_made_anew() {
    let Some(database) = Database::with_issues(40) else { return };
    let fixture = Fixture::down(&Org::of(1));
    let running = program(&fixture, &database, &["validate", "--query", SLOW]).spawn();
    // Only a connection that waits for the pauses is ended.
    eventually("the end of a connection", || {
        database.run(
            "DO $$ DECLARE waiting int; BEGIN
                 SELECT pid INTO waiting FROM pg_stat_activity
                 WHERE datname = current_database() AND application_name = 'devrev-batch' AND wait_event = 'PgSleep';
                 PERFORM pg_terminate_backend(waiting);
             END $$",
        );
        running.err().contains("trying again in")
    });
    running.wait().exits(0).says("(code 57P01); trying again in").says("PostgreSQL: 40 rows");
    assert!(files_below(&fixture.path("tmp")).is_empty(), "temporary files are left");
}

#[test]
fn a_signal_ends_the_wait() {
    let Some(database) = Database::with_issues(3000) else { return };
    let fixture = Fixture::new(&Org::of(1));
    let running = program(&fixture, &database, &["backfill-groups", "--yes", "--query", SLOW]).spawn();
    eventually("the run's folder", || !fixture.runs().is_empty());
    running.signal("TERM");
    running.wait().exits(143);
    assert_untouched(&fixture);
}

#[test]
fn resume_needs_no_database() {
    let Some(database) = Database::with_issues(300) else { return };
    let mut fixture = Fixture::with(&Org::of(300), &Trouble::delay(4));
    let running = program(&fixture, &database, &["backfill-groups", "--yes"]).spawn();
    eventually("the first writes", || fixture.writes() > 20);
    running.kill();
    fixture.restart(&Trouble::none());
    fixture.resume(&[]).run().exits(0);
    fixture.assert_right();
    fixture.the_run().assert_complete(300);
}

#[test]
fn two_hundred_thousand_rows() {
    let Some(database) = Database::with_issues(200_000) else { return };
    let fixture = Fixture::down(&Org::of(1));
    let summary = validate_in_little_memory(program(&fixture, &database, &["validate"]));
    assert_eq!((&summary["rows"], &summary["complete"]), (&json!(200_000), &json!(true)));
}
