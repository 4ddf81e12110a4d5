//! `--source sqlite`.

use super::{assert_untouched, kept, validate_in_little_memory};
use crate::support::fixture::Trouble;
use crate::support::merging::Merging;
use crate::support::program::Program;
use crate::support::site::Site;
use crate::support::{Fixture, Org, People, eventually, files_below};
use devrev_batch::sandbox::Data;
use serde_json::json;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};
use std::fmt::Write as _;
use std::path::Path;

/// Runs statements on a database file, which is made if need be.
fn run(path: &Path, sql: &str) {
    let options = SqliteConnectOptions::new().filename(path).create_if_missing(true);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut connection = options.connect().await.unwrap();
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    });
}

/// The rows of [`Org::of`] as many, as a table `issues`.
fn issues(issues: u32) -> String {
    format!(
        "CREATE TABLE issues (issue_id TEXT, creator_user_id TEXT, assigned_group TEXT, creator_group TEXT);\n\
         WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < {issues})\n\
         INSERT INTO issues SELECT 'ISS-' || n, 'DEVU-' || ((n - 1) % 4 + 1), 'GROUP-' || ((n - 1) % 4 + 1), NULL FROM n"
    )
}

fn program(site: &Site, args: &[&str]) -> Program {
    site.program(args).args(["--source", "sqlite"]).env("DATABASE_URL", "sqlite:crm.db")
}

#[test]
fn a_backfill_by_the_default_query_and_by_another() {
    let fixture = Fixture::new(&Org::of(30));
    run(&fixture.path("crm.db"), &issues(30));
    let backfill = |more: &[&str]| program(&fixture, &["backfill-groups", "--yes"]).args(more);
    let sql = "WITH some AS (SELECT * FROM issues WHERE creator_user_id <> 'DEVU-1') -- only some\n\
               SELECT [ISSUE_ID], assigned_group AS \"Assigned_Group\", creator_user_id, 'x;' AS more FROM some;";
    let (rows, header) = kept(&fixture, backfill(&["--query", sql, "--limit", "5"]));
    assert_eq!(header, ["issue_id", "creator_user_id", "assigned_group"][..]);
    assert_eq!((rows.len(), &rows[0]), (5, &csv::StringRecord::from(vec!["ISS-10", "DEVU-2", "GROUP-2"])));
    let ordered = "SELECT * FROM issues ORDER BY creator_user_id DESC, 1 LIMIT 2";
    let (rows, _) = kept(&fixture, backfill(&["--query", ordered]));
    assert_eq!(rows.iter().map(|row| &row[0]).collect::<Vec<_>>(), ["ISS-12", "ISS-16"]);

    let ended = backfill(&["--json"]).run().exits(0);
    assert_eq!(ended.json()["states"], json!({"done": 30}));
    fixture.assert_right();
    let run = fixture.newest_run();
    run.assert_complete(30);
    let input = &run.manifest()["input"];
    assert_eq!((&input["source"], &input["rows"]), (&json!("SQLite"), &json!(30)));
    assert!(input["query"].as_str().unwrap().contains("FROM ISSUES"));
    assert_eq!(run.manifest()["settings"]["resolved"]["DATABASE_URL"]["value"], "sqlite:crm.db");
}

#[test]
fn validate_merge_and_sample() {
    let people = People::of(3);
    let fixture = Merging::new(&people);
    let mut sql = "CREATE TABLE rev_users (rev_user_id, display_name, email, external_ref, full_name, created_at, updated_at);\n\
                   CREATE TABLE tickets (id, rev_user_id);\n"
        .to_owned();
    for row in &people.rows {
        let (id, name, email, reference) = (&row.id, &row.name, &row.email, &row.external_ref);
        writeln!(
            sql,
            "INSERT INTO rev_users VALUES ('{id}','{name}','{email}','{reference}',NULL,'2024-05-01 12:34:56','2024-06-01');"
        )
        .unwrap();
        for ticket in 0..row.tickets {
            writeln!(sql, "INSERT INTO tickets VALUES ({ticket},'{id}');").unwrap();
        }
    }
    run(&fixture.path("crm.db"), &sql);
    let merge = fixture.quick(["merge-contacts", "--source", "sqlite", "--yes", "--json"]);
    let summary = merge.env("DATABASE_URL", "sqlite:crm.db").run().exits(0).json();
    assert_eq!(summary["states"]["done"], 6, "{summary}");
    let ended = program(&fixture, &["validate", "--kind", "contacts"]).run().exits(0);
    ended
        .says("SQLite: 8 rows of kind `contacts` read")
        .says("Next: devrev-batch merge-contacts --source sqlite --dry-run");
    program(&fixture, &["sample", "--kind", "contacts", "--size", "4", "-o", "few.csv"]).run().exits(0);
    fixture.program(["validate", "--csv", "few.csv"]).run().exits(0).says("4 rows of kind `contacts`");
    assert!(files_below(&fixture.path("tmp")).is_empty(), "temporary files are left");
}

#[test]
fn every_type_survives() {
    let fixture = Fixture::new(&Org::of(9));
    run(
        &fixture.path("crm.db"),
        "CREATE TABLE t (n, v);\n\
         INSERT INTO t VALUES (1, 'ünï 東京 🎉 \"quoted\", and\nlines'), (2, NULL), (3, ''), (4, 9223372036854775807), \
         (5, 0.1 + 0.2), (6, 1e300), (7, 123.0), (8, x'00ff'), (9, TRUE), (10, '007'), (11, '2024-05-01 12:34:56.789'), \
         (12, 'a' || char(0) || 'b'), (13, 9e999)",
    );
    let sql = "SELECT 'ISS-' || n AS issue_id, v AS creator_user_id, v AS assigned_group FROM t ORDER BY n";
    let sql = sql.replace("ORDER BY n", "ORDER BY LENGTH('ISS-' || n), 1");
    let by_rowid = format!("SELECT * FROM ({sql})");
    let (rows, _) = kept(&fixture, program(&fixture, &["backfill-groups", "--query", &by_rowid]));
    let mut found: Vec<(usize, String)> =
        rows.iter().map(|row| (row[0][4..].parse().unwrap(), row[1].to_owned())).collect();
    found.sort();
    let texts: Vec<&str> = found.iter().map(|(_, text)| text.as_str()).collect();
    assert_eq!(
        texts,
        [
            "ünï 東京 🎉 \"quoted\", and\nlines",
            "",
            "",
            "9223372036854775807",
            "0.30000000000000004",
            "1e300",
            "123",
            "\\x00ff",
            "1",
            "007",
            "2024-05-01 12:34:56.789",
            "a\0b",
            "inf"
        ]
    );
    let query = |column: &str| {
        let sql =
            format!("SELECT 'ISS-1' AS issue_id, 'DEVU-1' AS creator_user_id, {column} AS assigned_group");
        program(&fixture, &["validate", "--query", &sql])
    };
    query("CAST(x'ff' AS TEXT)").run().exits(1).says("column `assigned_group`: invalid utf-8");
    query("printf('%.*c', 1100000, 'x')").run().exits(5).says("row 1 is longer than 1 MiB");
    query("zeroblob(900000000)").run().exits(5).says("row 1 is longer than 1 MiB");
}

#[test]
fn what_is_wrong_is_said_and_nothing_is_sent() {
    let fixture = Fixture::new(&Org::of(3));
    run(&fixture.path("crm.db"), &issues(3));
    fixture.write("text.db", "this is no database, and is longer than a header of one would be".repeat(20));
    let backfill = |more: &[&str]| program(&fixture, &["backfill-groups", "--yes"]).args(more);
    for (url, says) in [
        ("", "--source sqlite needs DATABASE_URL"),
        (
            "postgres://ana:db-Zq7secret9xWv@h/db",
            "begins with `postgres:`: --source sqlite needs sqlite:PATH",
        ),
        ("sqlite:none.db", "DATABASE_URL: none.db: No such file"),
        ("sqlite:tmp", "DATABASE_URL: tmp: is not a file"),
        ("sqlite:text.db", "text.db is not an SQLite database"),
    ] {
        backfill(&[]).env("DATABASE_URL", url).run().exits(2).says(says);
        assert_untouched(&fixture);
    }
    for (args, says) in [
        (&["--query", "DELETE FROM issues"][..], "begins with `DELETE`"),
        (&["--query", "SELECT 'a\\'; DELETE FROM issues --'"], "several statements"),
        (&["--query", "PRAGMA user_version = 7"], "begins with `PRAGMA`"),
        (&["--query", "SELECT * FROM absent"], "SQLite refused the query: no such table: absent (code 1)"),
        (&["--query", "SELEC"], "begins with `SELEC`"),
        (&["--query", "SELECT 1 AS issue"], "columns missing from the query: `issue_id` (nearest: `issue`)"),
        (&["--csv", "issues.csv"], "--csv and --source sqlite exclude each other"),
        (&["--jsonl", "-"], "--jsonl and --source sqlite exclude each other"),
    ] {
        backfill(args).run().exits(2).says(says);
        assert_untouched(&fixture);
    }
    assert!(!fixture.path("none.db").exists(), "the database was made");
}

#[test]
fn a_query_without_rows_is_nothing_to_do() {
    let site = Fixture::new(&Org::of(3));
    run(&site.path("crm.db"), &issues(3));
    let args = ["backfill-groups", "--yes", "--query", "SELECT * FROM ISSUES WHERE 1 = 0"];
    program(&site, &args).run().exits(0).says("no rows came from SQLite");
}

#[test]
fn a_file_that_is_written_to_can_be_read() {
    let fixture = Fixture::down(&Org::of(1));
    run(&fixture.path("crm.db"), "PRAGMA journal_mode = WAL");
    run(&fixture.path("crm.db"), &issues(5));
    let options = SqliteConnectOptions::new().filename(fixture.path("crm.db"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut writer = options.connect().await.unwrap();
        sqlx::raw_sql("BEGIN IMMEDIATE; DELETE FROM issues").execute(&mut writer).await.unwrap();
        program(&fixture, &["validate"]).run().exits(0).says("5 rows");
        writer.close().await.unwrap();
    });
}

#[test]
fn a_signal_ends_a_query_that_never_ends() {
    let fixture = Fixture::new(&Org::of(1));
    run(&fixture.path("crm.db"), &issues(1));
    let endless = "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n) \
                   SELECT max(n) AS issue_id, 1 AS creator_user_id, 1 AS assigned_group FROM n";
    let running = program(&fixture, &["backfill-groups", "--yes", "--query", endless]).spawn();
    eventually("the spool file", || !fixture.runs().is_empty());
    running.signal("INT");
    running.wait().exits(130);
    assert_untouched(&fixture);
}

#[test]
fn resume_needs_no_database() {
    let mut fixture = Fixture::with(&Org::of(300), &Trouble::delay(4));
    run(&fixture.path("crm.db"), &issues(300));
    let running = program(&fixture, &["backfill-groups", "--yes"]).spawn();
    eventually("the first writes", || fixture.writes() > 20);
    running.kill();
    std::fs::remove_file(fixture.path("crm.db")).unwrap();
    fixture.restart(&Trouble::none());
    fixture.resume(&[]).run().exits(0);
    fixture.assert_right();
    fixture.the_run().assert_complete(300);
}

#[test]
fn two_hundred_thousand_rows() {
    let fixture = Fixture::down(&Org::of(1));
    run(&fixture.path("crm.db"), &issues(200_000));
    let summary = validate_in_little_memory(program(&fixture, &["validate"]));
    assert_eq!((&summary["rows"], &summary["complete"]), (&json!(200_000), &json!(true)));
}

#[test]
fn the_columns_of_a_query_are_the_fields_of_an_update() {
    let mut site = Site::new();
    site.start(Data::demo, &Trouble::none());
    run(
        &site.path("crm.db"),
        "CREATE TABLE t (id, title, tags); INSERT INTO t VALUES ('TKT-2', 'Zweite; é', NULL), ('TKT-1', 'First', 'vip')",
    );
    let update = |more: &[&str]| program(&site, &["update", "--object", "ticket", "--yes"]).args(more);
    update(&[]).run().exits(2).says("no query: give --query SQL or --query-file FILE");
    let sql = "SELECT id, title, tags AS \"tags:add\" FROM t ORDER BY title DESC";
    update(&["--query", sql, "--limit", "1"]).run().exits(0);
    let kept = std::fs::read_to_string(site.newest_run().file("input.csv")).unwrap();
    assert_eq!(kept, "id,title,tags:add\nTKT-2,Zweite; é,\n");
    assert_eq!(site.writes(), 1);
    let ended = program(&site, &["validate", "--object", "ticket", "--query", sql]).run();
    ended.exits(0).says("SQLite: 2 rows of kind `update` read, nothing wrong");
}
