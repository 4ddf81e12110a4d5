//! Rows that come from JSON lines, SQLite and PostgreSQL.

use crate::support::site::{Site, Trouble};
use crate::support::{Fixture, Org};
use devrev_batch::sandbox::Data;
use serde_json::json;
use std::fmt::Write as _;

fn demo() -> Site {
    let mut site = Site::new();
    site.start(Data::demo, &Trouble::none());
    site
}

#[test]
fn json_lines_are_rows_for_every_job() {
    let org = Org::of(12);
    let fixture = Fixture::new(&org);
    let mut lines = String::new();
    for row in csv::Reader::from_reader(org.csv().as_bytes()).records().map(Result::unwrap) {
        let line =
            json!({"issue_id": &row[0], "creator_user_id": &row[1], "assigned_group": &row[2], "more": [1]});
        let _ = writeln!(lines, "{line}");
    }
    fixture.write("issues.jsonl", &lines);
    let run = |args: &[&str]| fixture.program(["backfill-groups", "--source", "jsonl", "--yes"]).args(args);
    run(&["--csv", "issues.jsonl"]).run().exits(0);
    fixture.assert_right();
    let record = fixture.newest_run().manifest();
    assert_eq!(record["input"]["source"], "JSON lines");
    run(&["--csv", "-"]).stdin(lines.as_bytes()).run().exits(0).says("already");
    fixture.program(["validate", "--source", "jsonl", "--csv", "issues.jsonl"]).run().exits(0);
    run(&["--csv", "none.jsonl"]).run().exits(2).says("cannot read none.jsonl");
    fixture.write("bad.jsonl", "{\"issue_id\": 1}\n[]\n");
    run(&["--csv", "bad.jsonl"]).run().exits(5).says("bad.jsonl, line 2: not a JSON object");
    assert_eq!(fixture.runs().len(), 2, "what cannot be read leaves no run behind");
}

#[test]
fn an_export_as_json_lines_changes_nothing_when_it_comes_back() {
    let site = demo();
    for object in ["ticket", "account", "contact", "opportunity"] {
        site.program(["export", "--object", object, "--format", "jsonl", "-o", &format!("{object}.jsonl")])
            .run()
            .exits(0);
        let file = format!("{object}.jsonl");
        let ended =
            site.program(["update", "--object", object, "--source", "jsonl", "--csv", &file, "--yes"]).run();
        assert!(ended.code == Some(0) && !ended.out.contains("done"), "{}", ended.all());
    }
    assert_eq!(site.writes(), 0);
}

#[cfg(feature = "sql")]
mod databases {
    use super::*;
    use crate::support::{postgres, tell};
    use sqlx::{AssertSqlSafe, Connection, Executor};
    use tokio::runtime::Runtime;

    /// What both databases are filled with: everything that is not plain text.
    const ROWS: &str = "INSERT INTO tickets VALUES \
        ('TKT-2', 'Zweite; \u{e9} \"x\"\u{1f600}', 12.50, NULL, '2026-12-01 10:30:00'), \
        ('TKT-1', 'First\nline', 0, 'vip', NULL), \
        ('TKT-10', '', -7, 'billing', '2026-01-02 00:00:00')";

    fn sqlite(site: &Site, statements: &[&str]) -> String {
        let path = site.path("rows.db");
        Runtime::new().unwrap().block_on(async {
            let url = format!("sqlite:{}?mode=rwc", path.display());
            let mut connection = sqlx::SqliteConnection::connect(&url).await.unwrap();
            for statement in statements {
                connection.execute(AssertSqlSafe((*statement).to_owned())).await.unwrap();
            }
            connection.close().await.unwrap();
        });
        format!("sqlite:{}", path.display())
    }

    fn postgresql(statements: &[&str]) -> Option<String> {
        let url = postgres::database()?;
        Runtime::new().unwrap().block_on(async {
            let mut connection = sqlx::PgConnection::connect(&url).await.unwrap();
            for statement in statements {
                connection.execute(AssertSqlSafe((*statement).to_owned())).await.unwrap();
            }
            connection.close().await.unwrap();
        });
        Some(url)
    }

    /// Runs the same with each database that is to be had.
    fn with_each(site: &Site, types: [&str; 2], rows: &str, check: impl Fn(&str, &str)) {
        let table = |time: &str| {
            format!("CREATE TABLE tickets (id TEXT, title TEXT, seats NUMERIC, tag TEXT, due {time})")
        };
        check("sqlite", &sqlite(site, &[&table(types[0]), rows]));
        match postgresql(&[&table(types[1]), rows]) {
            Some(url) => check("postgres", &url),
            None => tell("PostgreSQL is not installed: the tests of --source postgres are left out\n"),
        }
    }

    #[test]
    fn rows_of_a_query_are_kept_as_text_in_their_order() {
        let site = demo();
        with_each(&site, ["TEXT", "TIMESTAMPTZ"], ROWS, |source, url| {
            let query = "SELECT id, title, seats AS tnt__affected_users, tag AS \"tags:add\", due AS target_close_date FROM tickets ORDER BY id DESC";
            let args = [
                "update",
                "--object",
                "ticket",
                "--source",
                source,
                "--query",
                query,
                "--dry-run",
                "--skip-invalid",
            ];
            let ended = site.program(args).env("DATABASE_URL", url).run();
            let run = site.newest_run();
            let table = std::fs::read_to_string(run.file("input.csv")).unwrap();
            let mut reader = csv::Reader::from_reader(table.as_bytes());
            let rows: Vec<Vec<String>> =
                reader.records().map(|row| row.unwrap().iter().map(str::to_owned).collect()).collect();
            let ids: Vec<&str> = rows.iter().map(|row| row[0].as_str()).collect();
            assert_eq!(ids, ["TKT-2", "TKT-10", "TKT-1"], "{source}: {}", ended.all());
            assert_eq!(rows[0][1], "Zweite; \u{e9} \"x\"\u{1f600}", "{source}");
            assert_eq!((&*rows[0][3], &*rows[1][1], &*rows[2][4]), ("", "", ""), "{source}: NULL is empty");
            assert_eq!(rows[2][1], "First\nline", "{source}");
            assert!(rows[0][4].starts_with("2026-12-01 10:30:00"), "{source}: {}", rows[0][4]);
            assert!(rows[0][2] == "12.5" || rows[0][2] == "12.50", "{source}: {}", rows[0][2]);
            let record = run.manifest();
            assert!(!record.to_string().contains("secret"), "{record}");
            assert_eq!(record["input"]["query"], query);
        });
    }

    #[test]
    fn what_is_wrong_is_said_and_nothing_is_sent() {
        let site = demo();
        with_each(&site, ["TEXT", "TIMESTAMPTZ"], ROWS, |source, url| {
            for (query, wanted) in [
                ("SELECT id FROM nowhere", "refuses the query"),
                ("DELETE FROM tickets", "only one SELECT or WITH statement"),
                ("SELECT 1; SELECT 2", "several statements"),
                ("SELECT title FROM tickets", "no column `id`"),
            ] {
                let args = ["update", "--object", "ticket", "--source", source, "--query", query, "--yes"];
                let ended = site.program(args).env("DATABASE_URL", url).run();
                assert!(
                    matches!(ended.code, Some(2 | 5)) && ended.err.contains(wanted),
                    "{source} {query}: {}",
                    ended.all()
                );
            }
            // Whatever the query is, the connection can only read.
            let args = ["update", "--object", "ticket", "--source", source, "--yes"];
            site.program(args).env("DATABASE_URL", url).run().exits(2).says("no query: give --query SQL");
            site.program(args)
                .args(["--query", "SELECT 1 AS id"])
                .run()
                .exits(2)
                .says("DATABASE_URL is not set");
            let wrong = format!("{}x", url.replace("127.0.0.1", "127.0.0.2"));
            site.program(args)
                .args(["--query", "SELECT 1 AS id"])
                .env("DATABASE_URL", wrong)
                .run()
                .exits(2)
                .says("cannot connect to");
        });
        assert!(site.runs().is_empty() && site.writes() == 0);
    }

    #[test]
    fn many_rows_need_little_memory() {
        let site = demo();
        let rows = "INSERT INTO tickets WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000) \
                    SELECT 'TKT-' || i, 'A title of some length, as they are', i, 'x', NULL FROM n";
        with_each(&site, ["TEXT", "TIMESTAMPTZ"], rows, |source, url| {
            let query = "SELECT a.id, a.title FROM tickets AS a, (SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3) AS b";
            let args = ["validate", "--kind", "groups", "--source", source, "--query"];
            let query = query
                .replace("a.title", "'DEVU-1' AS creator_user_id, 'GROUP-1' AS assigned_group")
                .replace("a.id", "'ISS-1' AS issue_id");
            let mut running = site.program(args).args([&query]).env("DATABASE_URL", url).spawn();
            let mut peak = 0;
            while !running.has_ended() {
                peak = peak.max(running.peak_memory());
                std::thread::sleep(crate::support::LOOK_EVERY);
            }
            running.wait().exits(0).says("300,000 rows");
            assert!(peak < 150 * 1024, "{source}: {peak} KiB");
        });
    }
}
