//! Rows that come from JSON lines, SQLite, PostgreSQL, ClickHouse and Metabase.

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

mod web {
    use super::*;
    use crate::support::clickhouse::ClickHouse;
    use crate::support::program::Program;
    use crate::support::service::{Answer, Service};

    const SECRET: &str = "key-Zq7secret9xWv";

    fn update(site: &Site, source: &str, url: &str, query: &str) -> Program {
        let names = match source {
            "metabase" => ["METABASE_BASE_URL", "METABASE_API_KEY", "METABASE_DATABASE"],
            _ => ["CLICKHOUSE_URL", "CLICKHOUSE_PASSWORD", "CLICKHOUSE_DATABASE"],
        };
        let database = if source == "metabase" { "7" } else { "shop" };
        site.program(["update", "--object", "ticket", "--yes", "--source", source, "--query", query])
            .env(names[0], url)
            .env(names[1], SECRET)
            .env(names[2], database)
    }

    fn answers(source: &str, rows: &str) -> Answer {
        let body = if source == "metabase" {
            format!("[{}]", rows.trim().replace('\n', ","))
        } else {
            rows.to_owned()
        };
        Answer::new(200, &body)
    }

    #[test]
    fn a_query_is_sent_as_the_service_wants_it_and_its_rows_are_carried_out() {
        let rows = "{\"id\":\"TKT-1\",\"title\":\"From afar; \u{e9}\u{1f600}\",\"tags:add\":null}\n{\"id\":\"TKT-2\",\"title\":\"Second\"}\n";
        for source in ["clickhouse", "metabase"] {
            let site = demo();
            let busy = Answer { head: "Retry-After: 0\r\n", ..Answer::new(503, "later") };
            let service = Service::new(vec![busy, answers(source, rows)]);
            let query = "SELECT id, title FROM tickets -- all";
            let ended = update(&site, source, &format!("{}/base/", service.url()), query).run().exits(0);
            assert!(ended.err.contains("does not answer now (HTTP 503)"), "{}", ended.err);
            assert_eq!(site.writes(), 2, "{source}");
            let asked = service.asked();
            assert_eq!(asked.len(), 2, "{source}");
            let (last, head) = (&asked[1], asked[1].head.join("\n").to_ascii_lowercase());
            if source == "metabase" {
                assert!(
                    last.path == "/base/api/dataset/json"
                        && head.contains(&format!("x-api-key: {SECRET}").to_ascii_lowercase())
                );
                let native = json!({"database": 7, "type": "native", "native": {"query": query}});
                let body: serde_json::Value = serde_json::from_str(&last.body).unwrap();
                assert_eq!(body, json!({"query": native, "format_rows": false}));
            } else {
                for wanted in [
                    "/base/?",
                    "database=shop",
                    "default_format=JSONEachRow",
                    "readonly=2",
                    "wait_end_of_query=1",
                ] {
                    assert!(last.path.contains(wanted), "{wanted}: {}", last.path);
                }
                assert!(head.contains("x-clickhouse-user: default") && !last.path.contains(SECRET));
                assert!(head.contains(&format!("x-clickhouse-key: {SECRET}").to_ascii_lowercase()));
                assert_eq!(last.body, format!("SELECT * FROM (\n{query}\n) AS q"));
            }
            let run = site.newest_run();
            let record = run.manifest();
            assert_eq!(
                (&record["input"]["query"], &record["state"]),
                (&json!(query), &json!("finished")),
                "{record}"
            );
            for file in ["run.json", "input.csv", "run.log", "journal.jsonl"] {
                let text = std::fs::read_to_string(run.file(file)).unwrap_or_default();
                assert!(!text.contains(SECRET), "{source}: {file}");
            }
            assert!(!format!("{}{}", ended.out, ended.err).contains(SECRET));
            assert!(
                std::fs::read_to_string(run.file("input.csv"))
                    .unwrap()
                    .contains("From afar; \u{e9}\u{1f600}")
            );
            site.program(["undo", run.id(), "--yes"]).run().exits(0);
        }
    }

    #[test]
    fn what_goes_wrong_has_its_exit_code_and_leaves_nothing_behind() {
        let site = demo();
        let query = "SELECT id FROM t";
        for source in ["clickhouse", "metabase"] {
            let cut = Answer { lacks: 9, ..answers(source, "{\"id\":\"TKT-1\"}\n") };
            for (answer, exit, wanted) in [
                (Answer::new(401, "no"), 4, "refuses the credentials (HTTP 401)"),
                (Answer::new(403, "no"), 4, "refuses the credentials (HTTP 403)"),
                (
                    Answer::new(404, "Code: 60. Unknown table\nmore"),
                    2,
                    "refuses the query (HTTP 404): Code: 60. Unknown table",
                ),
                (Answer::new(400, "syntax"), 2, "refuses the query (HTTP 400): syntax"),
                (
                    Answer { head: "Location: http://127.0.0.1:1/\r\n", ..Answer::new(302, "") },
                    2,
                    "(HTTP 302)",
                ),
                (
                    Answer::new(503, ""),
                    7,
                    "does not answer now (HTTP 503); nothing was sent to DevRev: start again",
                ),
                (Answer::new(429, ""), 7, "does not answer now (HTTP 429)"),
                (cut, 7, "no answer from 127.0.0.1"),
                (
                    Answer::new(200, "{\"error\": \"relation \\\"t\\\" does not exist\"}\n{"),
                    if source == "metabase" { 2 } else { 5 },
                    if source == "metabase" { "does not answer with rows" } else { "line 2" },
                ),
                (
                    Answer::new(200, "[1]"),
                    5,
                    if source == "metabase" {
                        "not an array of objects"
                    } else {
                        "line 1: not a JSON object"
                    },
                ),
            ] {
                let service = Service::new(vec![answer]);
                let ended = update(&site, source, &service.url(), query)
                    .args(["--max-retries", "1"])
                    .run()
                    .exits(exit);
                assert!(
                    ended.err.contains(wanted) && !format!("{}{}", ended.out, ended.err).contains(SECRET),
                    "{source}: {}",
                    ended.all()
                );
            }
            let unreachable = crate::support::webhook::Webhook::dead().url();
            let ended =
                update(&site, source, &unreachable, query).args(["--max-retries", "0"]).run().exits(7);
            assert!(ended.err.contains("no answer from 127.0.0.1"), "{}", ended.err);
            update(&site, source, "http://example.com", query)
                .run()
                .exits(2)
                .says("is neither https nor http to this machine");
            update(&site, source, &unreachable, "DROP TABLE t")
                .run()
                .exits(2)
                .says("only one SELECT or WITH statement");
            site.program(["update", "--object", "ticket", "--source", source, "--query", query])
                .run()
                .exits(2)
                .says("_URL");
        }
        let service = Service::new(vec![Answer::new(200, "{\"error\": \"relation t does not exist\"}")]);
        update(&site, "metabase", &service.url(), query)
            .run()
            .exits(2)
            .says("Metabase does not answer with rows: relation t does not exist");
        site.program(["update", "--object", "ticket", "--source", "metabase", "--query", query])
            .env("METABASE_BASE_URL", service.url())
            .env("METABASE_API_KEY", SECRET)
            .env("METABASE_DATABASE", "Sales")
            .run()
            .exits(2)
            .says("METABASE_DATABASE with the number of a database");
        assert!(site.runs().is_empty() && site.writes() == 0);
    }

    #[test]
    fn an_older_metabase_is_asked_as_it_wants_it() {
        let site = demo();
        let service = Service::new(vec![
            Answer::new(400, "query: must be a valid JSON string"),
            Answer::new(200, "[{\"id\":\"TKT-1\",\"title\":\"x\"}]"),
        ]);
        update(&site, "metabase", &service.url(), "SELECT 1 AS id").run().exits(0);
        let body: serde_json::Value = serde_json::from_str(&service.asked()[1].body).unwrap();
        let query: serde_json::Value = serde_json::from_str(body["query"].as_str().unwrap()).unwrap();
        assert_eq!(query["native"]["query"], "SELECT 1 AS id");
    }

    #[test]
    fn an_answer_without_rows_is_nothing_to_do() {
        let site = demo();
        let service = Service::new(vec![Answer::new(200, "[]")]);
        let query = "SELECT issue_id, creator_user_id, assigned_group FROM issues WHERE FALSE";
        site.program(["backfill-groups", "--yes", "--source", "metabase", "--query", query])
            .env("METABASE_BASE_URL", service.url())
            .env("METABASE_API_KEY", SECRET)
            .env("METABASE_DATABASE", "1")
            .run()
            .exits(0)
            .says("Metabase has only a header");
        update(&site, "metabase", &service.url(), "SELECT 1 AS id")
            .run()
            .exits(5)
            .says("has no rows, so its columns are not known: there is nothing to do");
        let described = "{\"name\":\"id\",\"type\":\"String\"}\n{\"name\":\"title\",\"type\":\"String\"}\n";
        let service = Service::new(vec![Answer::new(200, ""), Answer::new(200, described)]);
        update(&site, "clickhouse", &service.url(), "SELECT id, title FROM t")
            .run()
            .exits(0)
            .says("ClickHouse has only a header");
        assert_eq!(service.asked()[1].body, "DESCRIBE (\nSELECT id, title FROM t\n)");
        assert_eq!(site.writes(), 0);
    }

    #[test]
    fn an_answer_that_metabase_cut_off_is_no_input() {
        let site = demo();
        let cut = format!("[{}{{\"id\":1}}]", "{\"id\":1},".repeat(1_048_574));
        let service = Service::new(vec![Answer::new(200, &cut)]);
        update(&site, "metabase", &service.url(), "SELECT 1 AS id")
            .run()
            .exits(5)
            .says("Metabase cuts an answer off at 1048575 rows");
        assert!(site.runs().is_empty());
    }

    #[test]
    fn values_of_clickhouse_are_kept_as_they_are() {
        let Some(server) = ClickHouse::new() else { return };
        for statement in [
            "CREATE DATABASE shop",
            "CREATE TABLE shop.t (id String, n UInt64, d Decimal(10, 2), f Float64, o Nullable(String), t DateTime('UTC'), a Array(String)) ENGINE = MergeTree ORDER BY id",
            "INSERT INTO shop.t VALUES ('TKT-2', 18446744073709551615, 12.50, nan, NULL, '2026-12-01 10:30:00', ['x', 'y']), \
             ('TKT-1', 0, -1, 0.1, 'line\nbreak; \u{1f600}', '1970-01-01 00:00:00', [])",
        ] {
            server.run(statement);
        }
        let site = demo();
        let program = |query: &str| {
            server
                .prepare(site.program([
                    "update",
                    "--object",
                    "ticket",
                    "--source",
                    "clickhouse",
                    "--dry-run",
                    "--skip-invalid",
                    "--query",
                    query,
                ]))
                .env("CLICKHOUSE_DATABASE", "shop")
        };
        let columns = "id, n AS tnt__affected_users, d, f, o, t AS target_close_date, a";
        let ignored = ["--ignore", "d", "--ignore", "f", "--ignore", "o", "--ignore", "a"];
        let ended =
            program(&format!("WITH 1 AS one SELECT {columns} FROM t ORDER BY id DESC")).args(ignored).run();
        assert!(ended.code == Some(3), "one number is too large: {}", ended.all());
        let table = std::fs::read_to_string(site.newest_run().file("input.csv")).unwrap();
        assert_eq!(
            table,
            "id,tnt__affected_users,d,f,o,target_close_date,a\n\
             TKT-2,18446744073709551615,12.5,nan,,2026-12-01T10:30:00Z,x;y\n\
             TKT-1,0,-1,0.1,\"line\nbreak; \u{1f600}\",1970-01-01T00:00:00Z,\n"
        );
        // An answer without rows has its columns all the same.
        program("SELECT id, id AS title FROM t WHERE 0").run().exits(0).says("ClickHouse has only a header");
        program("SELECT d AS title FROM t WHERE 0").run().exits(5).says("no column `id`");
        program("SELECT id FROM nowhere").run().exits(2).says("Code: 60");
        program("SELECT throwIf(number = 70000) AS id FROM numbers(100000)").run().exits(2).says("Code: 395");
        program("SELECT id FROM t")
            .env("CLICKHOUSE_PASSWORD", "wrong")
            .run()
            .exits(4)
            .says("refuses the credentials");
        let many = ["validate", "--kind", "groups", "--source", "clickhouse", "--query"];
        let query = "SELECT concat('ISS-', toString(number + 1)) AS issue_id, 'DEVU-1' AS creator_user_id, 'GROUP-1' AS assigned_group FROM numbers(300000)";
        let mut running = server.prepare(site.program(many).args([query])).spawn();
        let mut peak = 0;
        while !running.has_ended() {
            peak = peak.max(running.peak_memory());
            std::thread::sleep(crate::support::LOOK_EVERY);
        }
        running.wait().exits(0).says("300,000 rows");
        assert!(peak < 150 * 1024, "{peak} KiB");
    }
}
