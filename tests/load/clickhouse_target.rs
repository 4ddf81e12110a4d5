//! `load` into ClickHouse, against its engine: each record once whatever kills the load or breaks, and no value that is not the
//! one that was sent.

use super::crash::{killed, scattered};
use super::{KEY, assert_nowhere, load, query, site};
use crate::support::clickhouse::Clickhouse;
use crate::support::postgres::Database;
use crate::support::program::Program;
use crate::support::site::{DATABASE_PASSWORD, Site, Trouble};
use std::fmt::Write as _;
use std::time::Instant;

/// Slices of a load.
const SLICES: u64 = 6;
/// Records of each.
const RECORDS: u64 = 20;
const KEPT: &str = "ENGINE = MergeTree ORDER BY tuple() SETTINGS non_replicated_deduplication_window = 1000";
const REPLACING: &str = "ENGINE = ReplacingMergeTree ORDER BY (id, kind)";

/// A database and the folder that jobs are run in.
struct Place {
    clickhouse: Clickhouse,
    site: Site,
}

impl Place {
    fn new() -> Option<Self> {
        Some(Self { clickhouse: Clickhouse::new()?, site: site(&Trouble::none()) })
    }

    /// Writes a job with this target and this before it.
    fn job(&self, target: &str, rest: &str) {
        self.site.write(
            "job.yaml",
            format!(
                "version: 1\njob_name: into\nretry_policy: {{max_retries: 1, backoff_factor: 0.01}}\n{rest}\n\
                 target: {{clickhouse: {{{target}}}}}\n"
            ),
        );
    }

    /// A load of several slices, in batches of few records.
    fn sliced(&self, target: &str) {
        let records = (0..SLICES * RECORDS).fold(String::new(), |mut records, id| {
            let _ = writeln!(records, "{{\"id\":{id},\"kind\":\"k{}\",\"name\":\"n{id}\"}}", id % SLICES);
            records
        });
        self.site.write("in.jsonl", records);
        let kinds: Vec<String> = (0..SLICES).map(|slice| format!("k{slice}")).collect();
        let rest = format!(
            "source: {{jsonl: {{path: in.jsonl}}}}\nslices: {{each: {{kind: [{}]}}}}\ntransform: 'select(.kind == $kind)'\n\
             batch_size: 7",
            kinds.join(", ")
        );
        self.job(target, &rest);
    }

    fn table(&self, columns: &str, engine: &str) {
        self.clickhouse
            .run(&["DROP TABLE IF EXISTS t SYNC", &format!("CREATE TABLE t ({columns}) {engine}")]);
    }

    fn of_slices(&self, engine: &str) {
        self.table("id Int32, kind String, name String", engine);
    }

    fn clean(&self) {
        self.clickhouse.run(&["TRUNCATE TABLE t", "TRUNCATE TABLE _devrev_batch_loads"]);
        std::fs::remove_dir_all(self.site.path("runs")).unwrap();
    }

    fn load(&self, more: &[&str]) -> Program {
        self.clickhouse.prepare(load(&self.site, more))
    }

    fn program(&self, args: &[&str]) -> Program {
        self.clickhouse.prepare(self.site.program(args).env("PRICES_API_KEY", KEY))
    }

    fn resume(&self) -> Program {
        self.program(&["resume", "--if-any", "--latest", "--yes"])
    }

    fn rows(&self, is_final: bool) -> Vec<String> {
        let is_final = if is_final { "FINAL" } else { "" };
        self.clickhouse.ask(&format!("SELECT id, kind, name FROM t {is_final} ORDER BY ALL"))
    }

    fn ledger(&self) -> Vec<String> {
        self.clickhouse.ask(
            "SELECT count(), sum(rows), sum(rejected) FROM _devrev_batch_loads FINAL WHERE state = 'loaded'",
        )
    }
}

#[test]
fn a_load_goes_into_a_table_once() {
    let Some(place) = Place::new() else { return };
    place.site.write("in.csv", "id,kind,name\n1,a,x\n2,a,\n3,b,é\"\n1,a,last\n");
    let source = "source: {csv: {path: in.csv}}\nchecks: [{count: source}, {sql: \"SELECT 1 FROM t WHERE id > 3\", expect: none}]";
    for (engine, columns, target, rows) in [
        (REPLACING, "id Int32, kind String, name Nullable(String)", "table: t, key: [id, kind]", 3),
        (KEPT, "id Int32, kind String, name Nullable(String)", "table: t", 4),
    ] {
        place.table(columns, engine);
        place.job(target, source);
        let planned = place.load(&["--dry-run"]).run().exits(0).says("1 slice would be loaded");
        planned.says("\"kind\":\"a\"");
        assert!(place.rows(false).is_empty(), "a dry run writes nothing");
        place.load(&[]).run().exits(0).says(&format!("{rows} records loaded")).says("2 checks passed");
        let found = place.rows(true_of(engine));
        assert_eq!(found.len(), rows, "{found:?}");
        assert!(found.contains(&"1|a|last".to_owned()) && found.contains(&"2|a|\\N".to_owned()), "{found:?}");
        place.load(&[]).run().exits(0).says("nothing to change");
        assert_eq!(place.rows(true_of(engine)), found);
        let listed = place.program(&["load", "ledger", "list", "job.yaml"]).run().exits(0);
        listed.says("in.csv").says(&rows.to_string());
        if rows == 4 {
            place.load(&["--reload"]).run().exits(2).says("append");
        } else {
            place.load(&["--reload"]).run().exits(0).says("3 records loaded");
            assert_eq!(place.rows(true), found);
        }
        place
            .program(&["load", "ledger", "forget", "job.yaml", "--all", "--yes"])
            .run()
            .exits(0)
            .says("1 slice");
        place.program(&["load", "ledger", "list", "job.yaml"]).run().exits(0).says("nothing of load");
        place.load(&[]).run().exits(0).says(&format!("{rows} records loaded"));
        assert_eq!(place.rows(true_of(engine)).len(), if rows == 4 { 8 } else { 3 });
        place.clean();
    }
    place.site.assert_no_token();
    assert_nowhere(place.site.folder(), DATABASE_PASSWORD);
}

fn true_of(engine: &str) -> bool {
    engine == REPLACING
}

/// Fifty kills, over as many loads as that takes.
fn fifty_kills(place: &Place, engine: &str, target: &str) {
    place.of_slices(engine);
    place.sliced(target);
    let begun = Instant::now();
    place.load(&["--concurrency", "3"]).run().exits(0);
    let time = u64::try_from(begun.elapsed().as_millis()).unwrap().clamp(100, 2000);
    let clean = place.rows(true_of(engine));
    assert_eq!(clean.len() as u64, SLICES * RECORDS);
    let (mut kills, mut rounds) = (0_u64, 0);
    while kills < 50 {
        place.clean();
        let mut next = place.load(&["--concurrency", "3"]);
        for _ in 0..6 {
            kills += 1;
            let after = 5 + scattered(kills, time);
            if !killed(next.spawn(), after) {
                break;
            }
            // What comes from the source now is other than what was sent in part.
            next = if place.site.runs().iter().any(|run| run.file("run.json").exists()) {
                place.resume()
            } else {
                place.load(&["--concurrency", "3"])
            };
        }
        place.resume().run().exits(0);
        place.load(&[]).run().exits(0);
        assert_eq!(place.rows(true_of(engine)), clean, "after {kills} kills");
        assert_eq!(place.ledger(), [format!("{SLICES}|{}|0", SLICES * RECORDS)], "after {kills} kills");
        rounds += 1;
    }
    assert!(rounds >= 5, "{rounds} rounds");
}

#[test]
fn fifty_kills_leave_what_a_clean_load_leaves_where_a_key_tells() {
    let Some(place) = Place::new() else { return };
    fifty_kills(&place, REPLACING, "table: t, key: [id, kind]");
}

#[test]
fn fifty_kills_leave_what_a_clean_load_leaves_where_batches_are_known_again() {
    let Some(place) = Place::new() else { return };
    fifty_kills(&place, KEPT, "table: t");
}

#[test]
fn a_fault_at_any_batch_doubles_nothing() {
    let Some(place) = Place::new() else { return };
    place.of_slices(KEPT);
    place.sliced("table: t");
    place.load(&[]).run().exits(0);
    let clean = place.rows(false);
    for fault in ["503", "before", "after"] {
        for at in [0, 1, 2, 7, 17] {
            place.clean();
            // Once: the batch is tried again.
            let once = [vec![None; at], vec![Some(fault)]].concat();
            place.clickhouse.faults(&once);
            place.load(&["--concurrency", "1"]).run().exits(0);
            assert_eq!(place.rows(false), clean, "{fault} at {at}");
            place.clean();
            // Twice: the run ends, and can be resumed.
            let twice = [vec![None; at], vec![Some(fault); 2]].concat();
            place.clickhouse.faults(&twice);
            place.load(&["--concurrency", "1"]).run().exits(7);
            place.resume().run().exits(0);
            assert_eq!(place.rows(false), clean, "{fault} twice at {at}");
            assert_eq!(place.ledger(), [format!("{SLICES}|{}|0", SLICES * RECORDS)], "{fault} twice at {at}");
        }
    }
}

/// A load of one slice that ends after its second batch was taken, and before its answer came.
fn half_sent(place: &Place) {
    place.of_slices(KEPT);
    let records = |name: &str| {
        (0..30).fold(String::new(), |text, id| {
            text + &format!("{{\"id\":{id},\"kind\":\"k\",\"name\":\"{name}\"}}\n")
        })
    };
    place.site.write("in.jsonl", records("old"));
    place.job("table: t", "source: {jsonl: {path: in.jsonl}}\nbatch_size: 10");
    place.clickhouse.faults(&[None, Some("after"), Some("after")]);
    place.load(&[]).run().exits(7);
    assert_eq!(place.rows(false).len(), 20);
    place.site.write("in.jsonl", records("new"));
}

#[test]
fn a_source_that_has_changed_meanwhile_changes_no_batch() {
    let Some(place) = Place::new() else { return };
    half_sent(&place);
    place.resume().run().exits(0).says("30 records loaded");
    let rows = place.rows(false);
    assert_eq!(rows.len(), 30);
    assert!(rows.iter().all(|row| row.ends_with("|old")), "{rows:?}");
}

#[test]
fn what_another_run_has_begun_is_not_added_a_second_time() {
    let Some(place) = Place::new() else { return };
    half_sent(&place);
    let other = ["--runs-dir", "other"];
    place.load(&other).run().exits(3).says("has begun to load it").says("resume");
    assert_eq!(place.rows(false).len(), 20);
    place.program(&["load", "ledger", "list", "job.yaml"]).run().exits(0).says("only begun");
    place.resume().run().exits(0);
    place.load(&other).run().exits(0).says("nothing to change");
    assert_eq!(place.rows(false).len(), 30);
    // Taken out by hand, and begun anew.
    place.clickhouse.run(&["TRUNCATE TABLE _devrev_batch_loads"]);
    half_sent(&place);
    place.clickhouse.run(&["TRUNCATE TABLE t"]);
    place.program(&["load", "ledger", "forget", "job.yaml", "--all", "--yes"]).run().exits(0);
    place.load(&other).run().exits(0).says("30 records loaded");
    place.resume().run().exits(0);
    assert_eq!(place.rows(false).len(), 30);
}

#[test]
fn batches_that_were_damaged_are_not_sent_and_not_made_anew() {
    let Some(place) = Place::new() else { return };
    half_sent(&place);
    let mut stages =
        place.site.newest_run().file("slices").read_dir().unwrap().map(|entry| entry.unwrap().path());
    let stage = stages.find(|path| !path.display().to_string().contains("sent")).unwrap();
    let text = std::fs::read_to_string(&stage).unwrap();
    std::fs::write(&stage, text.replace("old", "odd")).unwrap();
    place.resume().run().exits(3).says("not as it was when it was sent").says("load ledger forget");
    assert_eq!(place.rows(false).len(), 20);
}

#[test]
fn what_does_not_fit_is_rejected_and_nothing_is_changed_in_silence() {
    let Some(place) = Place::new() else { return };
    place.clickhouse.run(&["CREATE TABLE v (n Int32, v Int32) ENGINE = MergeTree ORDER BY n SETTINGS non_replicated_deduplication_window = 1000"]);
    for (kind, good, bad) in [
        ("Int32", "-7", "99999999999"),
        ("UInt8", "255", "256"),
        ("UInt64", "\"18446744073709551615\"", "null"),
        (
            "Int128",
            "\"170141183460469231731687303715884105727\"",
            "\"170141183460469231731687303715884105728\"",
        ),
        ("Decimal(9, 2)", "\"1.23\"", "\"1.239\""),
        ("Float32", "0.5", "16777217"),
        ("Float64", "\"nan\"", "\"x\""),
        ("Bool", "true", "2"),
        ("String", "\"é\\u0000\\\"\\n\\\\\"", "null"),
        ("Nullable(String)", "null", ""),
        ("LowCardinality(Nullable(String))", "\"a\"", ""),
        ("FixedString(3)", "\"abc\"", "\"ab\""),
        ("Date", "\"2024-02-29\"", "\"2024-02-31\""),
        ("Date32", "\"1900-01-01\"", "\"2300-01-01\""),
        ("DateTime", "\"2024-05-01T10:00:00Z\"", "\"2300-01-01T00:00:00Z\""),
        ("DateTime('Europe/Berlin')", "\"2024-10-27T00:30:00Z\"", "\"1900-01-01T00:00:00Z\""),
        ("DateTime64(3)", "\"2024-05-01T10:00:00.123Z\"", "\"2024-05-01T10:00:00.1239Z\""),
        ("UUID", "\"6ecd8c99-4036-403d-bf84-cf8400f67836\"", "\"6ecd\""),
        ("IPv4", "\"1.2.3.4\"", "\"1.2.3\""),
        ("IPv6", "\"::1\"", "\"x\""),
        ("Enum8('a' = 1, 'it\\'s' = 2)", "\"it's\"", "\"c\""),
        ("Array(Nullable(Int8))", "[1,null]", "[1000]"),
        ("Map(String, Int8)", "{\"a\":1}", "{\"a\":1000}"),
        ("Tuple(a Int8, b String)", "{\"a\":1,\"b\":\"x\"}", "{\"a\":1}"),
    ] {
        place.clickhouse.run(&["DROP TABLE IF EXISTS v SYNC", "DROP TABLE IF EXISTS _devrev_batch_loads SYNC", &format!(
            "CREATE TABLE v (n Int32, v {kind}) ENGINE = MergeTree ORDER BY n SETTINGS non_replicated_deduplication_window = 1000"
        )]);
        let bad_line = if bad.is_empty() { String::new() } else { format!("{{\"n\":2,\"v\":{bad}}}\n") };
        place
            .site
            .write("v.jsonl", format!("{{\"n\":1,\"v\":{good}}}\n{bad_line}{{\"n\":3,\"v\":{good}}}\n"));
        place.job("table: v", "source: {jsonl: {path: v.jsonl}}");
        let ended = place.load(&[]).run().exits(if bad.is_empty() { 0 } else { 3 });
        ended.says("2 records loaded");
        // As the source reads it, the value is what it was.
        place.site.write("back.yaml", format!(
            "version: 1\njob_name: back\nsource: {{clickhouse: {{query: 'SELECT v FROM v ORDER BY n'}}}}\n\
             target: {{jsonl: {{path: '{}.jsonl'}}}}\n", "back"
        ));
        let _ = std::fs::remove_dir_all(place.site.path("back.jsonl.slices"));
        let _ = std::fs::remove_file(place.site.path("back.jsonl"));
        place.program(&["load", "back.yaml", "--yes"]).run().exits(0);
        let back = std::fs::read_to_string(place.site.path("back.jsonl")).unwrap();
        for line in back.lines() {
            let line: std::collections::BTreeMap<String, Box<serde_json::value::RawValue>> =
                serde_json::from_str(line).unwrap();
            let (one, other) = (line["v"].get(), good);
            assert_eq!(one.trim_matches('"'), other.trim_matches('"'), "{kind}");
        }
        assert_eq!(back.lines().count(), 2, "{kind}");
        if bad.is_empty() {
            continue;
        }
        let runs = place.site.runs();
        let rejected = runs
            .iter()
            .find_map(|run| run.file("rejected.jsonl").exists().then(|| run.lines("rejected.jsonl")));
        let rejected = rejected.unwrap();
        assert_eq!(rejected.len(), 1, "{kind}");
        let problem = rejected[0]["problem"].to_string();
        assert!(rejected[0]["field"] == "v" && problem.contains("column `v`"), "{kind}: {problem}");
        std::fs::remove_dir_all(place.site.path("runs")).unwrap();
    }
    place.clickhouse.run(&["DROP TABLE _devrev_batch_loads SYNC", "TRUNCATE TABLE v"]);
    place.load(&["--strict"]).run().exits(3).says("--strict");
    assert!(place.clickhouse.ask("SELECT n FROM v").is_empty(), "a slice that failed has sent nothing");
}

#[test]
fn a_record_that_the_table_refuses_is_found_and_the_others_are_loaded() {
    let Some(place) = Place::new() else { return };
    for (engine, key) in [(KEPT, ""), (REPLACING, ", key: [id, kind]")] {
        place.table("id Int32, kind String, name String, CONSTRAINT c CHECK id % 10 != 3", engine);
        place.sliced(&format!("table: t{key}"));
        let ended = place.load(&[]).run().exits(3);
        ended.says("108 records loaded, 12 rejected");
        let ids = place.clickhouse.ask(
            "SELECT count(), countIf(id % 10 = 3) FROM t FINAL".trim_end_matches(if key.is_empty() {
                " FINAL"
            } else {
                ""
            }),
        );
        assert_eq!(ids, ["108|0"]);
        assert_eq!(place.ledger(), ["6|108|12"]);
        let rejected = place.site.newest_run().lines("rejected.jsonl");
        assert!(
            rejected.iter().all(|line| line["problem"].to_string().contains("(code 469)")),
            "{rejected:?}"
        );
        place.clean();
    }
}

#[test]
fn tables_and_jobs_that_could_double_or_lose_are_refused() {
    let Some(place) = Place::new() else { return };
    let source = "source: {jsonl: {path: in.jsonl}}";
    place.site.write("in.jsonl", "{\"id\":1,\"kind\":\"k\",\"name\":\"n\"}\n");
    let columns = "id Int32, kind String, name String";
    for (columns, engine, target, exit, says) in [
        (
            columns,
            "ENGINE = MergeTree ORDER BY id",
            "table: t, key: [id]",
            2,
            "ReplacingMergeTree, and `t` is MergeTree",
        ),
        (columns, REPLACING, "table: t, key: [id]", 2, "ORDER BY (id, kind), and the key is (id)"),
        (
            columns,
            "ENGINE = ReplacingMergeTree ORDER BY lower(kind)",
            "table: t, key: [kind]",
            2,
            "ORDER BY (lower(kind))",
        ),
        (columns, "ENGINE = MergeTree ORDER BY id", "table: t", 2, "at_least_once: true"),
        (columns, "ENGINE = Memory", "table: t", 2, "at_least_once: true"),
        (columns, KEPT, "table: tt", 2, "did you mean `t`?"),
        ("id Int32, kind String, names String", KEPT, "table: t", 2, "did you mean `names`?"),
        ("id Int32, kind String, name String, more String", KEPT, "table: t", 2, "needs a `more`"),
        (
            "id Int32, kind String, name JSON",
            KEPT,
            "table: t",
            2,
            "is a JSON, for which values cannot be checked",
        ),
        (
            "id Int32, kind String, name String MATERIALIZED kind",
            KEPT,
            "table: t",
            2,
            "computes column `name` itself",
        ),
        (columns, KEPT, "table: t, key: [id], mode: insert", 5, "job.yaml:5:"),
        (columns, KEPT, "table: t, key: [id], mode: replace", 5, "modes upsert and append"),
        (columns, KEPT, "table: t, mode: upsert", 5, "needs a key"),
        (columns, KEPT, "table: t, password: abc", 5, "a password is a secret"),
    ] {
        place.table(columns, engine);
        place.job(target, source);
        place.load(&["--dry-run"]).run().exits(exit).says(says);
        place.load(&[]).run().exits(exit);
        assert!(place.clickhouse.ask("SELECT 1 FROM t").is_empty(), "{engine} {target}");
    }
    place.job("table: t", &format!("undo: true\n{source}"));
    place.load(&[]).run().exits(5).says("undo: true needs a target of PostgreSQL or SQLite");
    // What may happen is said where the job allows it.
    place.table(columns, "ENGINE = MergeTree ORDER BY id");
    place.job("table: t, at_least_once: true", source);
    place.load(&["--dry-run"]).run().exits(0).says("a crash can add a batch twice");
    place.load(&[]).run().exits(0).says("1 record loaded");
    place.load(&[]).env("CLICKHOUSE_PASSWORD", "wr0ng-secret").run().exits(4);
    place.load(&[]).env("CLICKHOUSE_URL", "http://127.0.0.1:9").run().exits(7);
    place.load(&[]).without("CLICKHOUSE_URL").run().exits(2).says("target.clickhouse.url");
    assert_nowhere(place.site.folder(), "wr0ng-secret");
    assert_nowhere(place.site.folder(), DATABASE_PASSWORD);
}

#[test]
fn tables_go_from_one_database_to_another_and_back() {
    let Some(place) = Place::new() else { return };
    let checks = "checks: [{count: source}]";
    if let Some(database) = Database::new() {
        database.run(
            "CREATE TABLE p (id bigint, ok boolean, price numeric(20,6), at timestamptz, day date, doc jsonb, name text, ratio float8)",
        );
        database.run(
            "INSERT INTO p SELECT i, i % 2 = 0, i / 7.0, timestamptz '2026-01-01 00:00:00.000001+01' + i * interval '1 hour', date \
             '2026-01-01' + i, jsonb_build_object('a', i), 'n' || i, i / 3.0::float8 FROM generate_series(1, 500) AS i",
        );
        place.job(
            "table: p, key: [id], create: true",
            &format!("source: {{postgres: {{table: p}}}}\n{checks}"),
        );
        let program = database.prepare(place.load(&[]));
        program.run().exits(0).says("500 records loaded").says("1 check passed");
        let sums = place.clickhouse.ask(
            "SELECT count(), sum(id), countIf(ok), min(at), max(day), any(length(doc) > 5) FROM p FINAL",
        );
        assert_eq!(sums, ["500|125250|250|2026-01-01 00:00:00.000001|2027-05-16|1"]);
    }
    place.site.write("in.jsonl", (0..50).fold(String::new(), |text, id| {
        text + &format!("{{\"id\":{id},\"at\":\"2026-01-01T00:00:{id:02}Z\",\"day\":\"2026-01-02\",\"x\":{id}.5,\"big\":\"1234567890123456789{id:02}\",\"none\":null}}\n")
    }));
    place.job("table: c, create: true", &format!("source: {{jsonl: {{path: in.jsonl}}}}\n{checks}"));
    place.load(&["--dry-run"]).run().exits(0).says("would make CREATE TABLE IF NOT EXISTS \"c\" (");
    place.load(&[]).run().exits(0).says("50 records loaded").says("1 check passed");
    place.site.write(
        "job.yaml",
        "version: 1\njob_name: back\nsource: {clickhouse: {table: c}}\ntarget: {sqlite: {path: c.db, table: c, key: [id], create: true}}\n",
    );
    place.load(&[]).run().exits(0).says("50 records loaded");
    let back = query(&place.site, "c.db", "SELECT id, at, day, x, big, none FROM c WHERE id = 7");
    assert_eq!(back, ["7|2026-01-01T00:00:07.000000Z|2026-01-02|7.5|123456789012345678907|NULL"]);
}
