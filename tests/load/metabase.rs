//! `load` from Metabase: against one that is played, and against answers that are written down here.

use super::{KEY, assert_nowhere, load, query, site};
use crate::support::metabase::{Fault, KEY as API_KEY, Metabase};
use crate::support::program::Program;
use crate::support::service::{Answer, Service};
use crate::support::site::{Site, Trouble};
use serde_json::json;

const SQLITE: &str = "target: {sqlite: {path: t.db, table: t, create: true}}";

/// Writes a job with this source.
fn write(site: &Site, source: &str, rest: &str) {
    site.write(
        "job.yaml",
        format!("version: 1\njob_name: out\nretry_policy: {{max_retries: 1, backoff_factor: 0.01}}\nsource:\n  metabase:\n    {source}\n{rest}\n"),
    );
}

fn run(metabase: &Metabase, site: &Site, more: &[&str]) -> Program {
    metabase.prepare(load(site, more))
}

/// A program that asks this service instead.
fn of(scripted: &Service, program: Program) -> Program {
    program.env("METABASE_BASE_URL", scripted.url()).env("METABASE_API_KEY", API_KEY)
}

/// The answer that names columns.
fn columns(names: &[&str]) -> Answer {
    let columns: Vec<_> = names.iter().map(|name| json!({"name": name})).collect();
    Answer::new(202, &json!({"status": "completed", "data": {"cols": columns}}).to_string())
}

/// Whether nothing was loaded.
fn is_empty(site: &Site, file: &str) -> bool {
    !site.path(file).exists()
        || query(site, file, "SELECT name FROM sqlite_schema WHERE name = 't'").is_empty()
}

#[test]
fn values_arrive_typed_and_columns_in_their_order() {
    let metabase = Metabase::new();
    let site = site(&Trouble::none());
    metabase.run(
        "CREATE TABLE things (z INTEGER, a TEXT, none TEXT, empty TEXT, real REAL, day TEXT);
         INSERT INTO things VALUES (9223372036854775807, 'ünï 東京 \"q\"' || char(10), NULL, '', 0.1, '2026-12-31')",
    );
    write(&site, "table: things", SQLITE);
    let planned = run(&metabase, &site, &["--dry-run"]).run().exits(0);
    planned.says(
        "{\"z\":9223372036854775807,\"a\":\"ünï 東京 \\\"q\\\"\\n\",\"none\":null,\"empty\":\"\",\"real\":0.1,",
    );
    metabase
        .prepare(site.program(["load", "job.yaml", "--show", "1"]))
        .run()
        .exits(0)
        .says("9223372036854775807");
    run(&metabase, &site, &[]).run().exits(0).says("1 record loaded");
    let found = query(&site, "t.db", "SELECT z, typeof(z), a, none, empty, real, typeof(real), day FROM t");
    assert_eq!(found, ["9223372036854775807|integer|ünï 東京 \"q\"\n|NULL||0.1|real|2026-12-31"]);
    let asked = metabase.log();
    assert!(
        asked.contains(&"dataset/json SELECT * FROM (\nSELECT * FROM things\n) q".to_owned()),
        "{asked:?}"
    );
    metabase.prepare(site.program(["validate", "--job", "job.yaml", "--online"])).run().exits(0);
    site.assert_no_token();
    assert_nowhere(site.folder(), API_KEY);
}

#[test]
fn digits_and_objects_of_an_answer_are_kept() {
    let site = site(&Trouble::none());
    write(&site, "{query: SELECT 1, database: 7}", SQLITE);
    let rows = "[{\"b\": true, \"n\": 12345678901234567890.1234567890, \"o\": {\"a\": [1.50]}},\n{\"n\": null, \"o\": [], \"b\": false}]";
    let scripted = Service::new(vec![columns(&["n", "o", "b"]), Answer::new(200, rows)]);
    of(&scripted, load(&site, &[])).run().exits(0).says("2 records loaded");
    let found = query(&site, "t.db", "SELECT n, o, b FROM t");
    assert_eq!(found, ["12345678901234567890.1234567890|{\"a\": [1.50]}|1", "NULL|[]|0"]);
}

#[test]
fn places_are_bound_and_slices_read_their_own() {
    let metabase = Metabase::new();
    let site = site(&Trouble::none());
    metabase.run(
        "CREATE TABLE t (id INTEGER, day TEXT, mood TEXT);
         WITH RECURSIVE n(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM n WHERE n < 39)
         INSERT INTO t SELECT n, date('2026-01-01', (n / 4) || ' days'),
         CASE WHEN n % 2 THEN 'it''s; DROP TABLE t -- \\ {{p1}}' ELSE 'sad' END FROM n",
    );
    let sql = "SELECT id, day, mood, ${mood} AS said, ${most} + 0 AS most FROM t WHERE day >= ${slice.start} AND day < ${slice.end} \
               AND mood = ${mood} AND ${slice.start.unix} > 1 ORDER BY id LIMIT ${most}; -- all";
    let slices = "params: {moods: [\"it's; DROP TABLE t -- \\\\ {{p1}}\", sad], most: 7, start_date: 2026-01-01, end_date: 2026-01-10}
slices: {dates: {field: day, step: 3d}, each: {mood: '${moods}'}}";
    let source = format!("query: '{}'", sql.replace('\'', "''"));
    write(&site, &source, &format!("{slices}\n{SQLITE}\nchecks: [{{count: source}}]"));
    run(&metabase, &site, &[]).run().exits(0).says("40 records loaded");
    let found =
        query(&site, "t.db", "SELECT count(*), count(DISTINCT id), max(most), sum(mood <> said) FROM t");
    assert_eq!(found, ["40|40|7|0"]);
    let asked = metabase.log();
    assert!(asked.iter().all(|sql| !sql.contains("DROP TABLE")), "a value stands in the SQL: {asked:?}");
    run(&metabase, &site, &[]).run().exits(0).says("nothing to change");
    assert_eq!(metabase.log().len(), asked.len(), "what is loaded is not asked for");
}

#[test]
fn a_table_is_read_whole_for_each_slice_and_what_is_outside_left_out() {
    let metabase = Metabase::new();
    metabase.is_old();
    let site = site(&Trouble::none());
    metabase.run(
        "CREATE TABLE days (day TEXT); INSERT INTO days VALUES ('2026-01-01'), ('2026-01-02'), ('2026-02-01')",
    );
    let slices =
        "params: {start_date: 2026-01-01, end_date: 2026-01-02}\nslices: {dates: {field: day, step: 1d}}";
    write(&site, "table: days", &format!("{slices}\n{SQLITE}"));
    run(&metabase, &site, &[]).run().exits(0).says("2 records loaded");
    assert_eq!(query(&site, "t.db", "SELECT day FROM t ORDER BY day"), ["2026-01-01", "2026-01-02"]);
}

#[test]
fn what_cannot_be_read_is_said_and_nothing_is_loaded() {
    let metabase = Metabase::new();
    let site = site(&Trouble::none());
    metabase.run("CREATE TABLE t (id INTEGER)");
    for (source, exit, says) in [
        ("query: 'DELETE FROM t'", 5, "only one SELECT"),
        ("query: 'SELECT ''${name}'''", 5, "without quotes"),
        ("query: 'SELECT ${env.METABASE_API_KEY}'", 5, "takes no ${env.NAME}"),
        ("query: 'SELECT {{name}}'", 5, "write ${name}"),
        ("{table: t, query: 'SELECT 1'}", 5, "a database has one of query and table"),
        ("{table: t, api_key: abc}", 5, "job.yaml:6:25: a key is a secret: write ${env.NAME}"),
        ("{table: t, url: 'https://ana:abc@h'}", 5, "a password"),
        ("{table: t, db: 7}", 5, "db"),
        ("table: nosuch", 2, "no such table: nosuch"),
        ("query: 'SELECT nosuch FROM t'", 2, "no such column: nosuch"),
        ("{table: t, database: Sales}", 2, "no such database, or none for this key; there are: 7 (CRM)"),
        ("{table: t, database: 8}", 2, "HTTP 404"),
        (
            "{table: t, url: 'http://m.example.com'}",
            2,
            "source.metabase.url: `http://m.example.com` is neither https",
        ),
    ] {
        write(&site, source, &format!("params: {{name: x}}\n{SQLITE}"));
        run(&metabase, &site, &[]).run().exits(exit).says(says);
        assert!(is_empty(&site, "t.db"), "{source}");
    }
    write(&site, "table: t", SQLITE);
    let wrong = run(&metabase, &site, &[]).env("METABASE_API_KEY", "wr0ng-secret").run().exits(4);
    assert!(!wrong.out.contains("wr0ng-secret") && !wrong.err.contains("wr0ng-secret"));
    run(&metabase, &site, &[]).env("METABASE_BASE_URL", "http://127.0.0.1:9").run().exits(7);
    let unset = run(&metabase, &site, &[]).without("METABASE_BASE_URL").run().exits(2);
    unset.says("job.yaml: source.metabase needs settings that are not there: METABASE_BASE_URL (in it");
    // The names are those of the job file, where it has them.
    write(&site, "{table: t, url: '${env.MB}', database: crm, api_key: '${env.MB_KEY}'}", SQLITE);
    let program = run(&metabase, &site, &[]).env("MB", metabase.url()).env("MB_KEY", API_KEY);
    program.without("METABASE_BASE_URL").without("METABASE_API_KEY").run().exits(0);
    assert_nowhere(site.folder(), "wr0ng-secret");
    assert_nowhere(site.folder(), API_KEY);
}

#[test]
fn an_answer_that_breaks_off_is_asked_for_again_before_its_first_row_and_ends_the_run_after_it() {
    let site = site(&Trouble::none());
    write(&site, "{query: SELECT n FROM t, database: 7}", SQLITE);
    let begun = || columns(&["n"]);
    let answer = |body: &str| Answer::new(200, body);
    let rows = || answer("[{\"n\":1},\n{\"n\":2}]");
    let cut = || Answer { lacks: 9, ..answer("[{\"n\":1},\n{\"n\"") };
    let nothing = Answer { lacks: 9, ..answer("[") };
    let failed = || Answer::new(503, "x");
    let late = || answer("{\"status\": \"failed\", \"error\": \"Timed out\"}");
    let quoted = Answer::new(403, &json!({"message": format!("no {API_KEY}")}).to_string());
    for (answers, exit, says) in [
        (vec![failed(), begun(), rows()], 0, "2 records loaded"),
        (vec![begun(), nothing, begun(), rows()], 0, "2 records loaded"),
        (vec![begun(), answer("["), begun(), rows()], 0, "2 records loaded"),
        (vec![begun(), answer("[]")], 0, "0 records loaded"),
        (vec![failed(), failed()], 7, "503"),
        (vec![begun(), cut()], 7, "cannot reach Metabase"),
        (vec![begun(), answer("[{\"n\":1},\n")], 7, "cut off"),
        (vec![begun(), late()], 3, "Timed out"),
        (vec![begun(), answer("oops")], 3, "it is not a JSON array"),
        (vec![begun(), answer("[{\"n\":1},{\"m\":1}]")], 3, "row 2 has no `n`"),
        (
            vec![begun(), answer("[{\"n\":1},{\"n\":1,\"n\":2}]")],
            3,
            "row 2 is not a JSON object: it has `n` twice",
        ),
        (vec![columns(&["n", "m", "n"])], 2, "the query has two columns `n`: name them with AS"),
        (vec![quoted], 4, "no [secret]"),
    ] {
        let _ = std::fs::remove_file(site.path("t.db"));
        let scripted = Service::new(answers.clone());
        of(&scripted, load(&site, &[])).run().exits(exit).says(says);
        assert_eq!(scripted.asked().len(), answers.len(), "{says}");
        assert!(exit == 0 || is_empty(&site, "t.db"), "{says}");
    }
    // After a break `resume` reads the slice again.
    let scripted = Service::new(vec![begun(), cut(), begun(), rows()]);
    let _ = std::fs::remove_file(site.path("t.db"));
    of(&scripted, load(&site, &[])).run().exits(7);
    let resume = site.program(["resume", "--latest", "--yes"]).env("PRICES_API_KEY", KEY);
    of(&scripted, resume).run().exits(0);
    assert_eq!(query(&site, "t.db", "SELECT count(*), sum(n) FROM t"), ["2|3"]);
}

#[test]
fn a_result_that_is_cut_off_is_not_loaded() {
    let metabase = Metabase::new();
    let site = site(&Trouble::none());
    metabase.run(
        "CREATE TABLE t (n INTEGER);
         WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 2500) INSERT INTO t SELECT n FROM n",
    );
    write(&site, "table: t", SQLITE);
    metabase.cuts_off(2000);
    run(&metabase, &site, &[]).run().exits(3).says("it has 2000 rows, and the query 2500; ask for less");
    assert!(is_empty(&site, "t.db"));
    metabase.cuts_off(2500);
    run(&metabase, &site, &[]).run().exits(0).says("2,500 records loaded");
    let cut = format!("[{}{{\"n\":1}}]", "{\"n\":1},".repeat(1_048_574));
    let scripted = Service::new(vec![columns(&["n"]), Answer::new(200, &cut)]);
    let target = "target: {sqlite: {path: other.db, table: t, create: true}}";
    write(&site, "{query: SELECT 1, database: 7}", target);
    let program = of(&scripted, load(&site, &[]));
    program.run().exits(3).says("cut off at 1048575 rows, the most that an export has: ask for less");
    assert!(is_empty(&site, "other.db"));
}

#[test]
fn many_rows_are_read_in_little_memory() {
    let metabase = Metabase::new();
    let site = site(&Trouble::none());
    metabase.run(
        "CREATE TABLE big (n INTEGER, text TEXT);
         WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 40000)
         INSERT INTO big SELECT n, printf('%.*c', 1500, 'x') FROM n",
    );
    write(&site, "table: big", SQLITE);
    metabase.faults("dataset", &[Fault::Answer(503, "")]);
    let (mut running, mut peak) = (run(&metabase, &site, &[]).spawn(), 0);
    crate::support::eventually("the end", || {
        peak = peak.max(running.peak_memory());
        running.has_ended()
    });
    running.wait().exits(0).says("40,000 records loaded");
    // SQLite as a target takes most of it.
    assert!(peak < 80 << 10, "{peak} KiB");
}
