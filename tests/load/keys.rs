//! Slices by ranges of a key: bounded by counting, kept by the ledger, each record once.

use super::place::Place;
use super::{load, query, site};
use crate::support::clickhouse::Clickhouse;
use crate::support::program::Program;
use crate::support::site::{Site, Trouble};
use proptest::prelude::*;
use sqlx::ConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;
use std::collections::BTreeSet;
use std::fmt::Write as _;

const INTO: &str = "target: {sqlite: {path: to.db, table: t, mode: append, create: true}}";

/// A job that copies the table `t` of a place into an SQLite file, so many rows a slice.
fn job(place: &Place, from: &str, keys: &str, rest: &str) {
    let source = place.source(from);
    place.site.write(
        "job.yaml",
        format!("version: 1\njob_name: copy\n{source}\nslices: {{keys: {keys}}}\n{rest}\n"),
    );
}

fn names(site: &Site) -> Vec<String> {
    query(site, "to.db", "SELECT name FROM _devrev_batch_loads ORDER BY slice ->> '$.keys.upto'")
}

fn copied(site: &Site) -> Vec<String> {
    query(site, "to.db", "SELECT id FROM t ORDER BY id")
}

/// A row for each of these keys.
fn fill(place: &Place, keys: impl Iterator<Item = u64>) {
    let mut rows = String::new();
    for key in keys {
        let _ = write!(rows, "{}({key}, 'n{key}')", if rows.is_empty() { "" } else { ", " });
    }
    place.run(&format!("INSERT INTO t VALUES {rows}"));
}

#[test]
fn a_table_is_cut_by_counting_and_the_next_run_goes_on_after_its_last_key() {
    for place in Place::each() {
        place.run("CREATE TABLE t (id bigint PRIMARY KEY, name text)");
        // Counting makes slices of like size, however far apart keys are.
        fill(&place, (1..=250).map(|n| n * n));
        job(&place, "table: t", "{field: id, rows: 100}", &format!("{INTO}\nchecks: [{{count: source}}]"));
        place.load(&["--dry-run"]).run().exits(0).says("3 slices would be loaded");
        place.load(&[]).run().exits(0).says("250 records loaded").says("1 check passed");
        assert_eq!(names(&place.site), ["id ..10000", "id 10000..40000", "id 40000..62500"]);
        place.load(&[]).run().exits(0).says("nothing to change");
        // Other rows would have other ends now: those of the ledger stay.
        place.run("DELETE FROM t WHERE id < 5000");
        fill(&place, (251..=300).map(|n| n * n));
        let ended = place.load(&[]).run().exits(0);
        ended.says("50 records loaded");
        assert_eq!(names(&place.site)[3..], ["id 62500..90000"]);
        assert_eq!(copied(&place.site).len(), 300);
        place.program(&["validate", "--job", "job.yaml"]).run().exits(0).says("counted in the source");
    }
}

#[test]
fn what_the_ledger_forgets_is_cut_anew_between_what_it_has() {
    let place = Place::sqlite();
    place.run("CREATE TABLE t (id integer PRIMARY KEY, name text)");
    fill(&place, 1..=90);
    let into = "target: {sqlite: {path: to.db, table: t, key: [id], create: true}}";
    job(&place, "table: t", "{field: id, rows: 30}", into);
    place.load(&[]).run().exits(0);
    let forget = ["load", "ledger", "forget", "job.yaml", "--slice", "id 30..60", "--yes"];
    place.site.program(forget).run().exits(0);
    job(&place, "table: t", "{field: id, rows: 20}", into);
    let loaded = place.load(&[]).run().exits(0);
    loaded.says("30 records loaded");
    assert_eq!(names(&place.site), ["id ..30", "id 30..50", "id 50..60", "id 60..90"]);
    // Again with all of their ends.
    place.load(&["--reload"]).run().exits(0).says("90 records loaded");
    assert_eq!(copied(&place.site).len(), 90);
    // Another column's ranges are others.
    job(&place, "table: t", "{field: name, rows: 20}", into);
    place.load(&[]).run().exits(6).says("overlaps");
}

#[test]
fn texts_go_by_their_bytes_and_equal_keys_stay_together() {
    let words =
        ["B", "Z", "a", "a ", "ab", "b", "é", "東", "A", "a", "", "z", "Ab", "aB", "b", "b", "b", "b"];
    for place in Place::each() {
        for column in ["text", "varchar(20)"] {
            place.run(&format!("DROP TABLE IF EXISTS t; CREATE TABLE t (id {column}, n int)"));
            for (n, word) in words.iter().enumerate() {
                place.run(&format!("INSERT INTO t VALUES ('{word}', {n})"));
            }
            for rows in [1, 3, 7, 50] {
                for file in ["to.db", "to.db-wal", "to.db-shm"] {
                    let _ = std::fs::remove_file(place.site.path(file));
                }
                job(
                    &place,
                    "query: 'SELECT id, n FROM t -- all'",
                    &format!("{{field: id, rows: {rows}}}"),
                    INTO,
                );
                place.load(&[]).run().exits(0).says("18 records loaded");
                let mut found = query(&place.site, "to.db", "SELECT n FROM t ORDER BY n");
                found.dedup();
                assert_eq!(found.len(), words.len(), "rows {rows}");
                place.load(&[]).run().exits(0).says("nothing to change");
            }
        }
    }
}

#[test]
fn keys_that_cannot_be_put_in_order_are_refused() {
    let Some(place) = Place::postgres() else { return };
    place.run(
        "CREATE TABLE t (id bigint, at timestamptz, part numeric, who uuid);
         INSERT INTO t SELECT n, now(), n + 0.5, md5(n::text)::uuid FROM generate_series(1, 40) AS n;
         CREATE TABLE holes (id bigint); INSERT INTO holes VALUES (1), (NULL)",
    );
    let refused = |from: &str, field: &str, why: &str| {
        job(&place, from, &format!("{{field: {field}, rows: 10}}"), INTO);
        place.load(&[]).run().exits(2).says(why);
        assert!(!place.site.path("to.db").exists());
        assert!(place.site.runs().is_empty(), "nothing to resume");
    };
    refused("table: t", "at", "column `at` is of type timestamptz");
    refused("table: t", "part", "has the value 40.5: a key is an integer or a text");
    place.run("CREATE TABLE long AS SELECT n + 0.5 AS id FROM generate_series(1, 9000) AS n; INSERT INTO long VALUES (9999)");
    job(&place, "table: long", "{field: id, rows: 1}", INTO);
    place.load(&[]).run().exits(2).says("has the value 1.5: a key is an integer or a text");
    refused("table: t", "ids", "has no column `ids`; did you mean `id`?");
    refused("table: holes", "id", "there are rows without a `id`");
    job(&place, "table: t", "{field: who, rows: 7}", INTO);
    place.load(&[]).run().exits(0).says("40 records loaded");
    // SQLite takes a name in quotes that it does not know for a text, and has bytes that come as text.
    let sqlite = Place::sqlite();
    sqlite.run("CREATE TABLE t (id int, raw blob); INSERT INTO t VALUES (1, x'00ff'), (2, x'fe')");
    for (field, why) in
        [("idd", "no such column: q.idd"), ("rowid", "no such column"), ("raw", "with bytes in its place")]
    {
        job(
            &sqlite,
            "table: t",
            &format!("{{field: {field}, rows: 10}}"),
            "target: {jsonl: {path: to.jsonl}}",
        );
        sqlite.load(&[]).run().exits(2).says(why);
        assert!(!sqlite.site.path("to.jsonl").exists());
    }
    let mistake = |slices: &str, source: &str, what: &str| {
        let text = format!("version: 1\njob_name: copy\nsource: {source}\nslices: {slices}\n{INTO}\n");
        place.site.write("job.yaml", text);
        place.site.program(["validate", "--job", "job.yaml"]).run().exits(5).says(what);
    };
    let (csv, table) = ("{csv: {path: a.csv}}", "{sqlite: {path: a.db, table: t}}");
    mistake("{keys: {field: id, rows: 1}}", csv, "4:16: slices.keys needs a source of");
    mistake("{keys: {field: id, rows: 0}}", table, "rows is from 1");
    mistake(
        "{keys: {field: id, rows: 1}, dates: {field: d, step: 1d}}",
        table,
        "dates or keys, and not both",
    );
}

#[test]
fn an_empty_table_has_no_slices_and_a_list_has_ranges_of_its_own() {
    let place = Place::sqlite();
    place.run("CREATE TABLE t (id integer PRIMARY KEY, kind text)");
    let source = place.source("query: 'SELECT * FROM t WHERE kind = ${kind}'");
    place.site.write(
        "job.yaml",
        format!("version: 1\njob_name: copy\n{source}\nslices: {{keys: {{field: id, rows: 4}}, each: {{kind: [a, b]}}}}\n{INTO}\n"),
    );
    place.load(&[]).run().exits(0);
    place.run("INSERT INTO t VALUES (1,'a'),(2,'b'),(3,'a'),(4,'a'),(5,'a'),(6,'a'),(7,'b')");
    place.load(&[]).run().exits(0).says("7 records loaded");
    let mut known = names(&place.site);
    known.sort();
    assert_eq!(known, ["a id ..5", "a id 5..6", "b id ..7"]);
    place.load(&["--only-slice", "a id 5..6"]).run().exits(0).says("nothing to change");
}

#[test]
fn clickhouse_is_cut_the_same_way() {
    let Some(clickhouse) = Clickhouse::new() else { return };
    let site = site(&Trouble::none());
    clickhouse.run(&[
        "CREATE TABLE t (id UInt64, name String) ENGINE = MergeTree ORDER BY id",
        "INSERT INTO t SELECT 18446744073709551615 - number, if(number = 5, '', toString(number)) FROM numbers(1000)",
        "CREATE TABLE holes (k Nullable(Int64), n Int64) ENGINE = MergeTree ORDER BY n",
        "INSERT INTO holes SELECT if(number = 5, NULL, number), number FROM numbers(100)",
    ]);
    let run = |more: &[&str]| -> Program { clickhouse.prepare(load(&site, more)) };
    for field in ["id", "name"] {
        for file in ["to.db", "to.db-wal", "to.db-shm"] {
            let _ = std::fs::remove_file(site.path(file));
        }
        site.write(
            "job.yaml",
            format!("version: 1\njob_name: copy\nsource: {{clickhouse: {{table: t}}}}\nslices: {{keys: {{field: {field}, rows: 300}}}}\n{INTO}\n"),
        );
        run(&[]).run().exits(0).says("1,000 records loaded");
        assert_eq!(names(&site).len(), 4);
        assert_eq!(query(&site, "to.db", "SELECT count(DISTINCT name) FROM t"), ["1000"]);
        run(&[]).run().exits(0).says("nothing to change");
    }
    // An alias would be taken for the column.
    for (field, code) in [("k", 2), ("n", 0)] {
        let slices = format!("slices: {{keys: {{field: {field}, rows: 30}}}}");
        let target = "target: {jsonl: {path: to.jsonl}}";
        let text = format!(
            "version: 1\njob_name: copy\nsource: {{clickhouse: {{table: holes}}}}\n{slices}\n{target}\n"
        );
        site.write("job.yaml", text);
        run(&[]).run().exits(code).says(if code == 0 {
            "100 records loaded"
        } else {
            "there are rows without a `k`"
        });
    }
}

#[test]
fn a_stale_last_range_stops_no_other_slice_of_a_run_that_is_resumed() {
    for place in Place::each() {
        place.run("CREATE TABLE t (id bigint PRIMARY KEY, name text)");
        fill(&place, 1..=95);
        job(&place, "table: t", "{field: id, rows: 10}", INTO);
        // A run that has counted and loaded nothing yet.
        // Nobody else writes to the target while this is held.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let held = runtime.block_on(async {
            let options =
                SqliteConnectOptions::new().filename(place.site.path("to.db")).create_if_missing(true);
            let mut connection = options.connect().await.unwrap();
            sqlx::raw_sql("PRAGMA journal_mode = WAL; BEGIN IMMEDIATE")
                .execute(&mut connection)
                .await
                .unwrap();
            connection
        });
        let running =
            place.load(&[]).run_until(|| place.site.runs().iter().any(|run| run.file("run.json").exists()));
        running.kill();
        runtime.block_on(async { sqlx::Connection::close(held).await.unwrap() });
        fill(&place, 96..=100);
        place
            .load(&["--runs-dir", "others", "--only-slice", "id 90..100"])
            .run()
            .exits(0)
            .says("10 records loaded");
        place.resume().run().exits(3).says("start a new load, which takes what is left of it");
        place.load(&["--runs-dir", "others"]).run().exits(0);
        assert_eq!(copied(&place.site).len(), 100);
    }
}

#[test]
fn columns_of_any_name_are_keys() {
    for place in Place::each() {
        for name in ["k", "n", "q", "c", "_devrev_batch_number", "a \\\"b"] {
            let quoted = format!("\"{}\"", name.replace('"', "\"\""));
            place.run(&format!("DROP TABLE IF EXISTS t; CREATE TABLE t ({quoted} bigint, id bigint)"));
            for id in 1..=25 {
                place.run(&format!("INSERT INTO t VALUES ({id}, {id})"));
            }
            for file in ["to.db", "to.db-wal", "to.db-shm"] {
                let _ = std::fs::remove_file(place.site.path(file));
            }
            let field = serde_json::Value::from(name);
            job(&place, "table: t", &format!("{{field: {field}, rows: 10}}"), INTO);
            place.load(&[]).run().exits(0).says("25 records loaded");
            assert_eq!(names(&place.site).len(), 3, "{name}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    /// Runs with growth between them, killed or not: each row once.
    #[test]
    fn a_table_that_grows_is_loaded_once(
        parts in prop::collection::vec((prop::collection::vec(1..40_u64, 0..30), 1..12_u64, any::<bool>()), 1..4)
    ) {
        let place = Place::sqlite();
        place.run("CREATE TABLE t (id integer, name text)");
        let mut all = Vec::new();
        for (steps, rows, is_killed) in parts {
            let mut last = all.last().copied().unwrap_or(0);
            let new: Vec<u64> = steps.into_iter().enumerate().map(|(n, step)| {
                // Keys come more than once within a growth, never after it.
                last += if n == 0 || step > 10 { step } else { 0 };
                last
            }).collect();
            if !new.is_empty() {
                fill(&place, new.iter().copied());
            }
            all.extend(new);
            job(&place, "table: t", &format!("{{field: id, rows: {rows}}}"), INTO);
            if is_killed {
                let mut running = place.load(&["--concurrency", "1"]).spawn();
                while !running.has_ended() && !place.site.path("to.db").exists() {
                    std::thread::yield_now();
                }
                running.kill();
                place.resume().run().exits(0);
            }
            place.load(&[]).run().exits(0);
            // Of an empty table no file is made.
            if all.is_empty() && !place.site.path("to.db").exists() {
                continue;
            }
            let found: Vec<u64> = copied(&place.site).iter().map(|id| id.parse().unwrap()).collect();
            prop_assert_eq!(&found, &all);
            prop_assert_eq!(names(&place.site).iter().collect::<BTreeSet<_>>().len(), names(&place.site).len());
        }
    }
}
