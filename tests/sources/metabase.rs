//! `--source metabase`, against one that is played.

use super::{assert_untouched, kept, validate_in_little_memory};
use crate::support::merging::Merging;
use crate::support::metabase::{Fault, KEY, Metabase};
use crate::support::program::Program;
use crate::support::service::{Answer, Service};
use crate::support::site::Site;
use crate::support::{Fixture, Org, People, eventually, files_below};
use serde_json::json;
use std::fmt::Write as _;

fn program(site: &Site, metabase: &Metabase, args: &[&str]) -> Program {
    metabase.prepare(site.program(args).args(["--source", "metabase"]))
}

/// A Metabase with the rows of [`Org::of`] as many, as a table `issues`.
fn with_issues(issues: u32) -> Metabase {
    let metabase = Metabase::new();
    metabase.run(&format!(
        "CREATE TABLE issues (issue_id TEXT, creator_user_id TEXT, assigned_group TEXT, creator_group TEXT);\n\
         WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < {issues})\n\
         INSERT INTO issues SELECT 'ISS-' || n, 'DEVU-' || ((n - 1) % 4 + 1), 'GROUP-' || ((n - 1) % 4 + 1), NULL FROM n"
    ));
    metabase
}

#[test]
fn a_backfill_by_the_default_query_and_by_another() {
    let metabase = with_issues(30);
    let fixture = Fixture::new(&Org::of(30));
    let backfill = |more: &[&str]| program(&fixture, &metabase, &["backfill-groups", "--yes"]).args(more);
    let sql = "WITH few AS (SELECT * FROM issues WHERE creator_user_id <> 'DEVU-1') -- only some\n\
               SELECT ISSUE_ID, assigned_group AS \"Assigned_Group\", creator_user_id, 'x;' AS more FROM few;";
    let (rows, header) = kept(&fixture, backfill(&["--query", sql, "--limit", "5"]));
    assert_eq!(header, ["issue_id", "creator_user_id", "assigned_group"][..]);
    assert_eq!((rows.len(), &rows[0]), (5, &csv::StringRecord::from(vec!["ISS-10", "DEVU-2", "GROUP-2"])));
    let ordered = "SELECT * FROM issues ORDER BY creator_user_id DESC, 1 LIMIT 2";
    let (rows, _) = kept(&fixture, backfill(&["--query", ordered]));
    assert_eq!(rows.iter().map(|row| &row[0]).collect::<Vec<_>>(), ["ISS-12", "ISS-16"]);
    let asked = metabase.log();
    assert!(asked[0] == "database" && asked[1].ends_with("AS more FROM few\n) q WHERE 1 = 0"), "{asked:?}");
    assert!(asked.last().unwrap().ends_with("\n) q ORDER BY 2 DESC, 1, 1"), "{asked:?}");

    metabase.is_old();
    let ended = backfill(&["--json"]).run().exits(0);
    assert_eq!(ended.json()["states"], json!({"done": 30}));
    fixture.assert_right();
    let run = fixture.newest_run();
    run.assert_complete(30);
    let manifest = run.manifest();
    assert_eq!((&manifest["input"]["source"], &manifest["input"]["rows"]), (&json!("Metabase"), &json!(30)));
    assert_eq!(manifest["settings"]["resolved"]["METABASE_BASE_URL"]["value"], metabase.url());
    for path in files_below(fixture.folder()) {
        let bytes = std::fs::read(&path).unwrap();
        assert!(!String::from_utf8_lossy(&bytes).contains(KEY), "the key is in {}", path.display());
    }
}

#[test]
fn validate_merge_and_sample() {
    let people = People::of(3);
    let metabase = Metabase::new();
    let fixture = Merging::new(&people);
    let mut sql = "CREATE TABLE rev_users (rev_user_id, display_name, email, external_ref, full_name, created_at, updated_at);\n\
                   CREATE TABLE tickets (id, rev_user_id);\n"
        .to_owned();
    for row in &people.rows {
        let (id, name, email, reference) = (&row.id, &row.name, &row.email, &row.external_ref);
        writeln!(
            sql,
            "INSERT INTO rev_users VALUES ('{id}','{name}','{email}','{reference}',NULL,'2024-05-01T12:34:56Z','2024-06-01');"
        )
        .unwrap();
        for ticket in 0..row.tickets {
            writeln!(sql, "INSERT INTO tickets VALUES ({ticket},'{id}');").unwrap();
        }
    }
    metabase.run(&sql);
    metabase.knows(&[(3, "Sample Database"), (7, "CRM")]);
    let merge = fixture.quick(["merge-contacts", "--source", "metabase", "--yes", "--json"]);
    let summary = metabase.prepare(merge).env("METABASE_DATABASE", "crm").run().exits(0).json();
    assert_eq!(summary["states"]["done"], 6, "{summary}");
    let program = |args: &[&str]| program(&fixture, &metabase, args).env("METABASE_DATABASE", "7");
    program(&["validate", "--kind", "contacts", "--limit", "3"])
        .run()
        .exits(0)
        .says("Metabase: the first 3 rows of kind `contacts` read, nothing wrong");
    program(&["sample", "--kind", "contacts", "--size", "4", "-o", "few.csv", "--log-level", "trace"])
        .run()
        .exits(0);
    fixture.program(["validate", "--csv", "few.csv"]).run().exits(0).says("4 rows of kind `contacts`");
    assert!(files_below(&fixture.path("tmp")).is_empty(), "temporary files are left");
}

#[test]
fn values_survive() {
    let metabase = Metabase::new();
    let fixture = Fixture::new(&Org::of(9));
    metabase.run(
        "CREATE TABLE t (n, v);\n\
         INSERT INTO t VALUES (1, 'ünï 東京 🎉 \"quoted\", [{and\\}\nlines'), (2, NULL), (3, ''), (4, 9223372036854775807), \
         (5, 0.1 + 0.2), (6, '007'), (7, '2024-05-01T12:34:56.789Z')",
    );
    let sql = "SELECT 'ISS-' || n AS issue_id, v AS creator_user_id, v AS assigned_group FROM t";
    let (rows, _) = kept(&fixture, program(&fixture, &metabase, &["backfill-groups", "--query", sql]));
    let texts: Vec<_> = rows.iter().map(|row| row[1].to_owned()).collect();
    assert_eq!(
        texts,
        [
            "ünï 東京 🎉 \"quoted\", [{and\\}\nlines",
            "",
            "",
            "9223372036854775807",
            "0.30000000000000004",
            "007",
            "2024-05-01T12:34:56.789Z"
        ]
    );
}

#[test]
fn what_is_wrong_is_said_and_nothing_is_sent() {
    let metabase = with_issues(3);
    let fixture = Fixture::new(&Org::of(3));
    let backfill = || program(&fixture, &metabase, &["backfill-groups", "--yes", "--max-retries", "1"]);
    let other = metabase.url().replace("/mb", "/other");
    let settings: [(&str, &str, i32, &str); 7] = [
        ("METABASE_API_KEY", "", 2, "--source metabase needs settings that are not there: METABASE_API_KEY"),
        (
            "METABASE_API_KEY",
            "mb_wrong",
            4,
            "Metabase refused the login: Unauthenticated (HTTP 401); check METABASE_API_KEY",
        ),
        ("METABASE_API_KEY", "ключ", 2, "METABASE_API_KEY has a character in it that no key has"),
        ("METABASE_BASE_URL", "http://m.example.com", 2, "neither https nor http to this machine"),
        ("METABASE_BASE_URL", &other, 2, "check METABASE_BASE_URL"),
        (
            "METABASE_DATABASE",
            "Sales",
            2,
            "METABASE_DATABASE: no such database, or none for this key; there are: 7 (CRM)",
        ),
        ("METABASE_DATABASE", "8", 2, "no such endpoint or database (HTTP 404)"),
    ];
    for (name, value, code, says) in settings {
        backfill().env(name, value).run().exits(code).says(says);
        assert_untouched(&fixture);
    }
    for (sql, says) in [
        ("DELETE FROM issues", "begins with `DELETE`"),
        ("SELECT 'a\\'; DELETE FROM issues --'", "several statements"),
        ("SELECT 1 -- \\\n; DELETE FROM issues", "several statements"),
        (
            "SELECT * FROM absent",
            "Metabase refused the query: [SQLITE_ERROR] SQL error (no such table: absent); it was sent",
        ),
        ("SELECT 1 AS issue", "columns missing from the query: `issue_id` (nearest: `issue`)"),
    ] {
        backfill().args(["--query", sql]).run().exits(2).says(says);
    }
    metabase.knows(&[(3, "Sample Database"), (7, "CRM")]);
    backfill().run().exits(2).says("say which database is meant; there are: 3 (Sample Database), 7 (CRM)");
    let with_database = || backfill().env("METABASE_DATABASE", "7");
    for (endpoint, fault, code, says) in [
        (
            "dataset",
            Fault::Answer(403, "You don't have permissions to do that."),
            4,
            "what its group may ask",
        ),
        (
            "dataset",
            Fault::Answer(403, r#"{"message": "no db-Zq7secret9xWv"}"#),
            4,
            "refused the login: no [secret] (HTTP 403)",
        ),
        ("dataset", Fault::Answer(202, "<html>"), 1, "it is not JSON: is that Metabase?"),
        ("dataset", Fault::Answer(202, r#"{"status": "completed"}"#), 1, "does not say which columns"),
        ("dataset/json", Fault::Answer(200, r#"{"status": "failed", "error": "Timed out"}"#), 2, "Timed out"),
        ("dataset/json", Fault::Answer(200, "oops"), 1, "it is not a JSON array"),
        ("dataset/json", Fault::Answer(200, "[{\"ISSUE_ID\": 1}]"), 1, "row 1 has no `creator_user_id`"),
        ("dataset/json", Fault::Answer(200, "[{\"issue_id\": 1,,}]"), 1, "row 1 is not a JSON object"),
        ("dataset/json", Fault::Answer(200, "[1]"), 1, "holds something that is not an object"),
    ] {
        metabase.faults(endpoint, &[fault]);
        let ended = with_database().run().exits(code).says(says);
        assert!(!format!("{}{}", ended.out, ended.err).contains(KEY), "{}", ended.all());
    }
    backfill().args(["--csv", "a.csv"]).run().exits(2).says("--csv and --source metabase exclude each other");
    assert_untouched(&fixture);
}

#[test]
fn what_breaks_is_asked_again() {
    let metabase = with_issues(900);
    let fixture = Fixture::new(&Org::of(1));
    let validate = |more: &[&str]| program(&fixture, &metabase, &["validate"]).args(more);
    metabase.faults("dataset", &[Fault::Answer(503, "")]);
    metabase.faults("dataset/json", &[Fault::Answer(429, ""), Fault::CutAfter(700)]);
    let ended = validate(&[]).run().exits(0).says("Metabase: 900 rows");
    assert_eq!(ended.err.matches("trying again in").count(), 3, "{}", ended.err);
    assert!(ended.err.contains("HTTP 503") && ended.err.contains("HTTP 429"), "{}", ended.err);
    metabase.faults("dataset/json", &[Fault::CutAfter(700), Fault::Answer(200, "[{\"issue_id\": \"a")]);
    let ended = validate(&["--max-retries", "1"]).run().exits(7);
    ended.says("cannot reach Metabase (http://127.0.0.1:").says("start again");
    metabase.faults("dataset", &[Fault::Silence]);
    let ended = validate(&["--max-retries", "0"]).env("METABASE_TIMEOUT", "1").run().exits(7);
    ended.says("timed out");
    assert!(files_below(&fixture.path("tmp")).is_empty(), "temporary files are left");
}

#[test]
fn a_signal_ends_the_wait() {
    let metabase = with_issues(3);
    let fixture = Fixture::new(&Org::of(1));
    metabase.faults("dataset/json", &[Fault::Silence]);
    let running = program(&fixture, &metabase, &["backfill-groups", "--yes"]).spawn();
    eventually("the query", || metabase.log().len() == 3);
    running.signal("INT");
    running.wait().exits(130);
    assert_untouched(&fixture);
}

#[test]
fn two_hundred_thousand_rows() {
    let metabase = with_issues(200_000);
    let fixture = Fixture::down(&Org::of(1));
    let summary = validate_in_little_memory(program(&fixture, &metabase, &["validate"]));
    assert_eq!((&summary["rows"], &summary["complete"]), (&json!(200_000), &json!(true)));
}

#[test]
fn a_result_that_is_cut_off_is_no_input() {
    let fixture = Fixture::new(&Org::of(1));
    let described = json!({"status": "completed", "data": {"cols": [{"name": "id"}, {"name": "title"}]}});
    let row = "{\"id\":1,\"title\":2}";
    let cut = format!("[{}{row}]", format!("{row},").repeat(1_048_574));
    let service = Service::new(vec![Answer::new(202, &described.to_string()), Answer::new(200, &cut)]);
    let args = ["update", "--object", "ticket", "--yes", "--source", "metabase", "--query", "SELECT 1"];
    let update = fixture.program(args).env("METABASE_BASE_URL", service.url()).env("METABASE_API_KEY", KEY);
    update
        .env("METABASE_DATABASE", "7")
        .run()
        .exits(1)
        .says("cut off at 1048575 rows, the most that an export has");
    assert_untouched(&fixture);
}
