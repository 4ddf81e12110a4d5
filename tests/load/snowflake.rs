//! `load` from Snowflake, against fakesnow.

use super::{KEY, assert_nowhere, load, query, site};
use crate::support::fakesnow::{PASSWORD, Warehouse};
use crate::support::program::Program;
use crate::support::site::{Site, Trouble};
use serde_json::json;

const SQLITE: &str = "target: {sqlite: {path: t.db, table: t, create: true}}";

/// Writes a job with this source.
fn write(site: &Site, source: &str, rest: &str) {
    site.write(
        "job.yaml",
        format!("version: 1\njob_name: out\nretry_policy: {{max_retries: 1, backoff_factor: 0.01}}\nsource:\n  snowflake:\n    {source}\n{rest}\n"),
    );
}

fn run(warehouse: &Warehouse, site: &Site, more: &[&str]) -> Program {
    warehouse.prepare(load(site, more))
}

fn resume(warehouse: &Warehouse, site: &Site) -> Program {
    warehouse.prepare(site.program(["resume", "--latest", "--yes"]).env("PRICES_API_KEY", KEY))
}

/// Whether nothing was loaded.
fn is_empty(site: &Site) -> bool {
    !site.path("t.db").exists()
        || query(site, "t.db", "SELECT name FROM sqlite_schema WHERE name = 't'").is_empty()
}

#[test]
fn every_type_arrives_typed() {
    let Some(warehouse) = Warehouse::new() else { return };
    let site = site(&Trouble::none());
    warehouse.run(&[
        "CREATE TABLE THINGS (N INTEGER, X NUMBER(38,4), F FLOAT, A VARCHAR, B BOOLEAN, D DATE, TI TIME, NTZ TIMESTAMP_NTZ, \
         TZ TIMESTAMP_TZ, BI BINARY, V VARIANT, O OBJECT, R ARRAY, \"low\" VARCHAR)",
        "INSERT INTO THINGS SELECT 9223372036854775807, 12345678901234567890.1234, 0.1, '', TRUE, '2026-12-31', '12:34:56.789', \
         '2024-05-01 12:34:56.789', '2024-05-01 12:34:56.789+02', X'00ff', PARSE_JSON('{\"a\":[1]}'), \
         OBJECT_CONSTRUCT('k', 1), ARRAY_CONSTRUCT(1, 2), 'ünï 東京 \"q\"'",
        "INSERT INTO THINGS (N) VALUES (NULL)",
    ]);
    write(&site, "table: things", SQLITE);
    run(&warehouse, &site, &["--dry-run"]).run().exits(0).says("9223372036854775807");
    warehouse
        .prepare(site.program(["load", "job.yaml", "--show", "2"]))
        .run()
        .exits(0)
        .says("12345678901234567890.1234");
    run(&warehouse, &site, &[]).run().exits(0).says("2 records loaded");
    let found = query(&site, "t.db", "SELECT * FROM t ORDER BY N IS NULL");
    assert_eq!(
        found[0],
        "9223372036854775807|12345678901234567890.1234|0.1||1|2026-12-31|12:34:56.789|2024-05-01T12:34:56.789|\
         2024-05-01T10:34:56.789Z|\\x00ff|{\"a\":[1]}|{\"k\":1}|[1,2]|ünï 東京 \"q\""
    );
    assert_eq!(found[1], ["NULL"; 14].join("|"));
    let names = "SELECT group_concat(name, ' ') FROM pragma_table_info('t')";
    assert_eq!(query(&site, "t.db", names), ["N X F A B D TI NTZ TZ BI V O R low"]);
    warehouse.prepare(site.program(["validate", "--job", "job.yaml", "--online"])).run().exits(0);
    site.assert_no_token();
    assert_nowhere(site.folder(), PASSWORD);
}

#[test]
fn places_are_bound_and_slices_read_their_own() {
    let Some(warehouse) = Warehouse::new() else { return };
    let site = site(&Trouble::none());
    warehouse.run(&[
        "CREATE TABLE T (ID INTEGER, DAY DATE, MOOD VARCHAR)",
        "INSERT INTO T SELECT range, DATEADD(day, FLOOR(range / 4)::INT, '2026-01-01'::DATE)::DATE, \
         CASE WHEN range % 2 = 0 THEN 'sad' ELSE 'it''s \\\\; $$ DROP TABLE T -- ?' END FROM range(0, 40)",
    ]);
    let sql = "SELECT id, day, mood, ${mood} AS said, ${most} + 0 AS most FROM t \
               WHERE day >= CAST(${slice.start} AS DATE) AND day < CAST(${slice.end} AS DATE) AND mood = ${mood} AND ${slice.start.unix} > 1 \
               ORDER BY id LIMIT 7; // all";
    let slices = "params: {moods: [\"it's \\\\; $$ DROP TABLE T -- ?\", sad], most: 7, start_date: 2026-01-01, end_date: 2026-01-10}
slices: {dates: {field: DAY, step: 3d}, each: {mood: '${moods}'}}";
    let source = format!("query: '{}'", sql.replace('\'', "''"));
    write(&site, &source, &format!("{slices}\n{SQLITE}\nchecks: [{{count: source}}]"));
    run(&warehouse, &site, &[]).run().exits(0).says("40 records loaded");
    let found =
        query(&site, "t.db", "SELECT count(*), count(DISTINCT id), max(most), sum(mood <> said) FROM t");
    assert_eq!(found, ["40|40|7|0"]);
    let asked = warehouse.log();
    assert!(asked.iter().all(|sql| !sql.contains("DROP TABLE")), "a value stands in the SQL: {asked:?}");
    run(&warehouse, &site, &[]).run().exits(0).says("nothing to change");
    assert_eq!(warehouse.log().len(), asked.len(), "what is loaded is not asked for");
}

#[test]
fn what_cannot_be_read_is_said_and_nothing_is_loaded() {
    let Some(warehouse) = Warehouse::new() else { return };
    let site = site(&Trouble::none());
    warehouse.run(&["CREATE TABLE T (ID INTEGER)"]);
    for (source, exit, says) in [
        ("query: 'PUT file:///etc/hostname @~'", 5, "only one SELECT"),
        ("query: 'SELECT ''${name}'''", 5, "without quotes"),
        ("query: 'SELECT $$ ${name} $$'", 5, "without quotes"),
        ("query: 'SELECT ${env.SNOWFLAKE_PASSWORD}'", 5, "takes no ${env.NAME}"),
        ("{table: t, query: 'SELECT 1'}", 5, "a database has one of query and table"),
        ("{table: t, password: abc}", 5, "job.yaml:6:26: a password is a secret: write ${env.NAME}"),
        (
            "{table: t, password: '${env.A}', private_key_path: a.p8}",
            5,
            "one of password and private_key_path",
        ),
        ("{table: t, db: X}", 5, "db"),
        ("table: nosuch", 2, "NOSUCH"),
        ("query: 'SELECT nosuch FROM t'", 2, "code 00"),
        (
            "{table: t, host: 'http://snow.example.com'}",
            2,
            "source.snowflake.host: `http://snow.example.com` is neither",
        ),
        ("{table: t, private_key_path: none.p8}", 2, "none.p8"),
    ] {
        write(&site, source, &format!("params: {{name: x}}\n{SQLITE}"));
        run(&warehouse, &site, &[]).run().exits(exit).says(says);
        assert!(is_empty(&site), "{source}");
    }
    write(&site, "table: t", SQLITE);
    let wrong = run(&warehouse, &site, &[]).env("SNOWFLAKE_PASSWORD", "pw-other-secret").run().exits(4);
    assert!(!wrong.out.contains("pw-other-secret") && !wrong.err.contains("pw-other-secret"));
    run(&warehouse, &site, &[]).env("SNOWFLAKE_HOST", "http://127.0.0.1:9").run().exits(7);
    let unset = run(&warehouse, &site, &[]).without("SNOWFLAKE_USER").run().exits(2);
    unset.says("job.yaml: source.snowflake needs settings that are not there: SNOWFLAKE_USER (in it");
    // The names are those of the job file, where it has them.
    write(&site, "{table: t, user: '${env.SF_USER}', password: '${env.SF_SECRET}', role: reader}", SQLITE);
    let program = run(&warehouse, &site, &[]).env("SF_USER", "loader").env("SF_SECRET", PASSWORD);
    program.without("SNOWFLAKE_USER").without("SNOWFLAKE_PASSWORD").run().exits(0);
    // So is the way in which the user logs in.
    std::fs::copy(warehouse.key("key.p8"), site.path("job.p8")).unwrap();
    std::fs::remove_file(site.path("t.db")).unwrap();
    write(&site, "{table: t, private_key_path: job.p8}", SQLITE);
    run(&warehouse, &site, &[]).run().exits(0);
    std::fs::remove_file(site.path("job.p8")).unwrap();
    assert_nowhere(site.folder(), "pw-other-secret");
    assert_nowhere(site.folder(), PASSWORD);
}

#[test]
fn what_breaks_is_asked_again_and_after_the_first_rows_ends_the_run() {
    let Some(warehouse) = Warehouse::new() else { return };
    let site = site(&Trouble::none());
    warehouse.run(&["CREATE TABLE T AS SELECT range AS N FROM range(1, 1001)"]);
    write(&site, "table: t", SQLITE);
    for (fault, exit, says) in [
        (json!({"on": "login", "status": 503}), 0, "1,000 records loaded"),
        (json!({"on": "query", "after": 1, "status": 502}), 0, "1,000 records loaded"),
        (json!({"on": "query", "after": 1, "running": 2}), 0, "1,000 records loaded"),
        (
            json!({"on": "query", "after": 1, "data": false, "code": "390114", "message": "Token has expired."}),
            0,
            "1,000 records loaded",
        ),
        (json!({"on": "part", "status": 503}), 0, "1,000 records loaded"),
        (json!({"on": "login", "code": "390201", "message": "no warehouse"}), 2, "check SNOWFLAKE_ROLE"),
        (
            json!({"on": "query", "code": "000606", "state": "57P03", "message": "No active warehouse selected."}),
            2,
            "check SNOWFLAKE_WAREHOUSE",
        ),
        (
            json!({"on": "query", "after": 1, "code": "100051", "message": "Division by zero"}),
            3,
            "Division by zero",
        ),
        (json!({"on": "part", "after": 1, "cut": true}), 3, "cannot be used"),
        (json!({"on": "query", "status": 503, "count": 9}), 7, "cannot reach Snowflake"),
        (json!({"on": "part", "after": 1, "status": 503, "count": 9}), 7, "cannot reach Snowflake"),
    ] {
        let _ = std::fs::remove_file(site.path("t.db"));
        warehouse.faults(&json!([fault]));
        run(&warehouse, &site, &[]).run().exits(exit).says(says);
        assert!(exit == 0 || is_empty(&site), "{says}");
    }
    // After a break `resume` reads the slice again.
    warehouse.faults(&json!([]));
    resume(&warehouse, &site).run().exits(0);
    assert_eq!(query(&site, "t.db", "SELECT count(*), sum(N) FROM t"), ["1000|500500"]);
}

#[test]
fn many_rows_are_read_in_little_memory() {
    let Some(warehouse) = Warehouse::new() else { return };
    let site = site(&Trouble::none());
    warehouse.run(&["CREATE TABLE BIG AS SELECT range AS N, repeat('x', 300) AS TEXT FROM range(1, 100001)"]);
    write(&site, "table: big", SQLITE);
    let (mut running, mut peak) = (run(&warehouse, &site, &[]).spawn(), 0);
    crate::support::eventually("the end", || {
        peak = peak.max(running.peak_memory());
        running.has_ended()
    });
    running.wait().exits(0).says("100,000 records loaded");
    assert!(peak < 128 << 10, "{peak} KiB");
}
