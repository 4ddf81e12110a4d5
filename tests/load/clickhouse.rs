//! `load` from ClickHouse: against its engine, and against answers that are written down here.

use super::{KEY, assert_nowhere, load, query, site};
use crate::support::clickhouse::Clickhouse;
use crate::support::postgres::Database;
use crate::support::program::Program;
use crate::support::service::{Answer, Service};
use crate::support::site::{DATABASE_PASSWORD, Site, Trouble};
use serde_json::json;

const SQLITE: &str = "target: {sqlite: {path: t.db, table: t, create: true}}";

/// Writes a job with this source.
fn write(site: &Site, source: &str, rest: &str) {
    site.write(
        "job.yaml",
        format!("version: 1\njob_name: out\nretry_policy: {{max_retries: 1, backoff_factor: 0.01}}\nsource:\n  clickhouse:\n    {source}\n{rest}\n"),
    );
}

fn run(clickhouse: &Clickhouse, site: &Site, more: &[&str]) -> Program {
    clickhouse.prepare(load(site, more))
}

#[test]
fn every_type_arrives_with_all_of_its_digits_and_times_in_utc() {
    let Some(clickhouse) = Clickhouse::new() else { return };
    let site = site(&Trouble::none());
    // The server's zone is Asia/Tokyo.
    let cases = [
        ("'ünï 東京 \"q\" /and\\\\\\n'", "ünï 東京 \"q\" /and\\\n"),
        ("NULL", "NULL"),
        ("CAST(NULL AS LowCardinality(Nullable(String)))", "NULL"),
        ("CAST('low' AS LowCardinality(String))", "low"),
        ("toInt64(9223372036854775807)", "9223372036854775807"),
        ("toUInt64(18446744073709551615)", "18446744073709551615"),
        (
            "toUInt256('115792089237316195423570985008687907853269984665640564039457584007913129639935')",
            "115792089237316195423570985008687907853269984665640564039457584007913129639935",
        ),
        ("toDecimal128('12345678901234567890.1234', 4)", "12345678901234567890.1234"),
        ("nan", "nan"),
        ("-inf", "-inf"),
        ("true", "1"),
        ("toDateTime('2024-05-01 12:34:56')", "2024-05-01T03:34:56Z"),
        ("toDateTime64('2024-05-01 12:34:56.789', 3, 'Europe/Berlin')", "2024-05-01T10:34:56.789Z"),
        ("toDate('2024-05-01')", "2024-05-01"),
        ("[toDateTime('2024-05-01 12:34:56')]", "[\"2024-05-01T03:34:56Z\"]"),
        ("[1, NULL, 18446744073709551615]", "[1,null,18446744073709551615]"),
        ("map('a', 1, 'b', 2)", "{\"a\":1,\"b\":2}"),
        ("CAST((1, 'x') AS Tuple(n Int32, s String))", "{\"n\":1,\"s\":\"x\"}"),
        ("CAST('so so' AS Enum8('so so' = 1))", "so so"),
        ("toUUID('6ECD8C99-4036-403D-BF84-CF8400F67836')", "6ecd8c99-4036-403d-bf84-cf8400f67836"),
    ];
    let columns: Vec<String> =
        cases.iter().enumerate().map(|(n, (value, _))| format!("{value} AS c{n:02}")).collect();
    write(&site, &format!("query: |\n      SELECT {} -- all", columns.join(", ")), SQLITE);
    run(&clickhouse, &site, &["--dry-run"]).run().exits(0).says("9223372036854775807");
    run(&clickhouse, &site, &[]).run().exits(0).says("1 record loaded");
    for (n, (value, text)) in cases.iter().enumerate() {
        assert_eq!(query(&site, "t.db", &format!("SELECT c{n:02} FROM t")), [*text], "{value}");
    }
    site.assert_no_token();
    assert_nowhere(site.folder(), DATABASE_PASSWORD);
}

#[test]
fn a_table_goes_to_postgresql_and_keeps_its_numbers() {
    let (Some(clickhouse), Some(database)) = (Clickhouse::new(), Database::new()) else { return };
    let site = site(&Trouble::none());
    clickhouse.run(&[
        "CREATE TABLE things (id Int64, big UInt64, price Decimal(38, 10), at DateTime64(6, 'UTC'), none Nullable(Int8)) \
         ENGINE = MergeTree ORDER BY id",
        "INSERT INTO things SELECT number, 18446744073709551615 - number, toDecimal128('1234567890123456789.0123456789', 10) + \
         number, toDateTime64('2026-01-01 00:00:00.000001', 6, 'UTC') + number, if(number % 2 = 0, NULL, 1) FROM numbers(3000)",
    ]);
    database
        .run("CREATE TABLE t (id bigint PRIMARY KEY, big numeric, price numeric, at timestamptz, none int)");
    write(&site, "table: things", "target: {postgres: {table: t, key: [id]}}\nchecks: [{count: source}]");
    let ended = database.prepare(run(&clickhouse, &site, &[])).run().exits(0);
    ended.says("3,000 records loaded").says("1 check passed");
    let sums = "SELECT concat_ws('|', count(*), sum(big), sum(price), extract(epoch FROM max(at))::numeric, count(none)) FROM t";
    let big = 18_446_744_073_709_551_615_u128 * 3000 - 2999 * 1500;
    // 3000 times .0123456789 is 37.0370367.
    let price = format!("{}.0370367000", 1_234_567_890_123_456_789_u128 * 3000 + 2999 * 1500 + 37);
    assert_eq!(database.ask(sums).unwrap(), format!("3000|{big}|{price}|1767228599.000001|1500"));
}

#[test]
fn places_are_bound_and_slices_read_their_own() {
    let Some(clickhouse) = Clickhouse::new() else { return };
    let site = site(&Trouble::none());
    clickhouse.run(&[
        "CREATE TABLE t (id Int64, at DateTime('UTC'), day Date, mood String) ENGINE = MergeTree ORDER BY id",
        "INSERT INTO t SELECT number, toDateTime('2026-01-01 00:00:00', 'UTC') + number * 21600, toDate('2026-01-01') + intDiv(number, 4), \
         if(number % 2 = 0, 'sad', 'it''s \\\\; \\t DROP TABLE t') FROM numbers(40)",
    ]);
    let sql = "SELECT id, at, mood, ${mood} AS said, ${most} + 0 AS most FROM t WHERE day >= ${slice.start} AND day < ${slice.end} \
               AND toUnixTimestamp(at) >= ${slice.start.unix} AND mood = ${mood} ORDER BY id LIMIT ${most}; # all";
    let slices = "params: {moods: [\"it's \\\\; \\t DROP TABLE t\", sad], most: 7, start_date: 2026-01-01, end_date: 2026-01-10}
slices: {dates: {field: at, step: 3d}, each: {mood: '${moods}'}}";
    write(&site, &format!("query: '{}'", sql.replace('\'', "''")), &format!("{slices}\n{SQLITE}"));
    run(&clickhouse, &site, &[]).run().exits(0).says("40 records loaded");
    let found = query(
        &site,
        "t.db",
        "SELECT count(*), count(DISTINCT id), sum(id), max(most), count(DISTINCT mood), sum(mood <> said) FROM t",
    );
    assert_eq!(found, ["40|40|780|7|2|0"]);
    let asked = clickhouse.log();
    assert!(asked.iter().all(|sql| !sql.contains("DROP TABLE")), "a value stands in the SQL: {asked:?}");
    run(&clickhouse, &site, &[]).run().exits(0).says("nothing to change");
}

#[test]
fn what_cannot_be_read_is_said_and_nothing_is_loaded() {
    let Some(clickhouse) = Clickhouse::new() else { return };
    let site = site(&Trouble::none());
    clickhouse.run(&["CREATE TABLE t (id Int64) ENGINE = MergeTree ORDER BY id"]);
    for (source, exit, says) in [
        ("query: 'ALTER TABLE t DELETE WHERE 1'", 5, "only one SELECT"),
        ("query: 'SELECT 1; DROP TABLE t'", 5, "several statements"),
        ("query: 'SELECT ''${name}'''", 5, "without quotes"),
        ("query: 'SELECT ${env.CLICKHOUSE_PASSWORD}'", 5, "takes no ${env.NAME}"),
        ("{table: t, query: 'SELECT 1'}", 5, "one of query and table"),
        ("{table: t, password: abc}", 5, "a password is a secret"),
        ("{table: t, url: 'https://ana:abc@h'}", 5, "a password"),
        ("table: nosuch", 2, "(code 60)"),
        ("query: 'SELECT nosuch FROM t'", 2, "(code 47)"),
        ("query: 'SELECT 1 AS a, 2 AS a'", 2, "(code 179)"),
        ("query: 'SELECT id, id FROM t'", 2, "two columns `id`"),
        ("query: 'SELECT sumState(id) AS s FROM t'", 2, "finalizeAggregation"),
        ("query: 'SELECT unhex(''ff'') AS s'", 3, "row 1 is not UTF-8"),
        ("query: 'SELECT repeat(''twenty characters...'', 900000) AS s'", 3, "row 1 is longer than 8 MiB"),
        ("query: 'SELECT number AS n, throwIf(number = 150000) AS x FROM numbers(200000)'", 3, "(code 395)"),
        ("{table: t, database: nowhere}", 2, "check CLICKHOUSE_DATABASE"),
        ("{table: t, url: 'http://c.example.com:8123'}", 2, "neither https nor http to this machine"),
    ] {
        write(&site, source, &format!("params: {{name: x}}\n{SQLITE}"));
        run(&clickhouse, &site, &[]).run().exits(exit).says(says);
        assert!(
            !site.path("t.db").exists()
                || query(&site, "t.db", "SELECT name FROM sqlite_schema WHERE name = 't'").is_empty()
        );
    }
    write(&site, "table: t", SQLITE);
    run(&clickhouse, &site, &[]).env("CLICKHOUSE_PASSWORD", "wr0ng-secret").run().exits(4);
    run(&clickhouse, &site, &[]).env("CLICKHOUSE_USER", "reader").run().exits(2).says("readonly = 2");
    run(&clickhouse, &site, &[]).env("CLICKHOUSE_URL", "http://127.0.0.1:9").run().exits(7);
    run(&clickhouse, &site, &[]).without("CLICKHOUSE_URL").run().exits(2).says("set CLICKHOUSE_URL");
    // The names are those of the job file, where it has them.
    write(&site, "{table: t, url: '${env.CH}', user: default, password: '${env.CH_SECRET}'}", SQLITE);
    let program =
        run(&clickhouse, &site, &[]).env("CH", clickhouse.url()).env("CH_SECRET", DATABASE_PASSWORD);
    program.without("CLICKHOUSE_URL").without("CLICKHOUSE_PASSWORD").run().exits(0);
    assert_nowhere(site.folder(), "wr0ng-secret");
    assert_nowhere(site.folder(), DATABASE_PASSWORD);
}

#[test]
fn an_answer_that_breaks_off_is_asked_for_again_before_its_first_row_and_ends_the_run_after_it() {
    let site = site(&Trouble::none());
    write(&site, "query: 'SELECT n FROM t'", SQLITE);
    let (one, column) = (Answer::new(200, "1\n"), json!({"name": "n", "type": "Int64"}).to_string());
    let (described, rows) = (Answer::new(200, &column), Answer::new(200, "{\"n\":1}\n{\"n\":2}\n"));
    let begun = [one.clone(), described];
    let cut = [Answer { lacks: 9, ..rows.clone() }];
    let nothing = [Answer { lacks: 9, ..Answer::new(200, "") }];
    let late =
        [Answer::new(200, "{\"n\":1}\n__exception__\r\nCode: 241. DB::Exception: Memory limit exceeded.\n")];
    let endless = [Answer { is_endless: true, ..rows.clone() }];
    let failed = [Answer::new(503, "x")];
    let quoted = format!("Code: 516. DB::Exception: no {DATABASE_PASSWORD}. (version 26)\n");
    let quoted = [Answer { head: "X-ClickHouse-Exception-Code: 516\r\n", ..Answer::new(403, &quoted) }];
    for (answers, exit, says) in [
        ([&failed[..], &begun, std::slice::from_ref(&rows)].concat(), 0, "2 records loaded"),
        ([&begun[..], &nothing, &begun, std::slice::from_ref(&rows)].concat(), 0, "2 records loaded"),
        ([&failed[..], &failed].concat(), 7, "503"),
        ([&begun[..], &cut].concat(), 7, "cannot reach ClickHouse"),
        ([&begun[..], &late].concat(), 3, "Memory limit exceeded (code 241)"),
        ([&begun[..], &endless].concat(), 3, "does not say where it ends"),
        (quoted.to_vec(), 4, "no [secret]"),
    ] {
        let _ = std::fs::remove_file(site.path("t.db"));
        let scripted = Service::new(answers.clone());
        let program = load(&site, &[])
            .env("CLICKHOUSE_URL", scripted.url())
            .env("CLICKHOUSE_USER", "ana")
            .env("CLICKHOUSE_PASSWORD", DATABASE_PASSWORD);
        program.run().exits(exit).says(says);
        assert_eq!(scripted.asked().len(), answers.len(), "{says}");
        assert_eq!(site.path("t.db").exists(), exit == 0, "{says}");
        let asked = scripted.asked();
        assert!(asked.iter().all(|asked| asked.path.contains("readonly=2")), "{asked:?}");
    }
    // After a break `resume` reads the slice again.
    let scripted = Service::new([&begun[..], &cut, &begun, &[rows]].concat());
    let of = |program: Program| {
        program.env("CLICKHOUSE_URL", scripted.url()).env("CLICKHOUSE_PASSWORD", DATABASE_PASSWORD)
    };
    let _ = std::fs::remove_file(site.path("t.db"));
    of(load(&site, &[])).run().exits(7);
    of(site.program(["resume", "--latest", "--yes"]).env("PRICES_API_KEY", KEY)).run().exits(0);
    assert_eq!(query(&site, "t.db", "SELECT count(*), sum(n) FROM t"), ["2|3"]);
}
