//! `load` into PostgreSQL: the same promises as for SQLite, kept by a server.

use super::{KEY, assert_nowhere, job, load, prices as sqlite_prices, site, with};
use crate::support::postgres::{Database, PASSWORD};
use crate::support::program::Program;
use crate::support::site::{Site, Trouble};
use serde_json::json;
use std::fmt::Write as _;

const SQLITE: &str = "sqlite: { path: prices.db, table: prices, key: [symbol, day], create: true }";
const POSTGRES: &str = "postgres: { table: prices, key: [symbol, day], create: true }";

/// The demo's job, with this target.
fn into(target: &str) -> impl Fn(String) -> String {
    let target = target.to_owned();
    move |text: String| {
        assert!(text.contains(SQLITE));
        text.replace(SQLITE, &target)
    }
}

fn into_postgres(trouble: &Trouble) -> Site {
    with(trouble, into(POSTGRES))
}

fn run(database: &Database, site: &Site, more: &[&str]) -> Program {
    database.prepare(load(site, more))
}

fn resume(database: &Database, site: &Site) -> Program {
    let program = site.program(["resume", "--if-any", "--latest", "--yes"]).env("PRICES_API_KEY", KEY);
    database.prepare(program)
}

/// What a query finds, a line a row.
fn lines(database: &Database, select: &str) -> Vec<String> {
    let text = database.ask(&format!("SELECT string_agg(line, E'\\n') FROM ({select}) AS q(line)"));
    text.iter().flat_map(|text| text.lines()).map(str::to_owned).collect()
}

/// All prices, as the tests of SQLite have them.
fn prices(database: &Database) -> Vec<String> {
    let cell = |name: &str, digits: u8| format!("round({name}::numeric, {digits})::text");
    let cells: Vec<String> = ["open", "high", "low", "close"].iter().map(|name| cell(name, 4)).collect();
    let cells = format!("{}, {}", cells.join(", "), cell("volume", 1));
    lines(
        database,
        &format!("SELECT concat_ws('|', symbol, day::text, {cells}) FROM prices ORDER BY symbol, day"),
    )
}

fn ledger(database: &Database) -> String {
    let ledger = "SELECT concat_ws('|', count(*), sum(rows), sum(rejected)) FROM _devrev_batch_loads";
    database.ask(ledger).unwrap()
}

/// A job that loads a file of JSON Lines into the table `t`.
fn lines_job(site: &Site, target: &str, records: &str) {
    site.write("in.jsonl", records);
    let source = "source: {jsonl: {path: in.jsonl}}";
    site.write(
        "job.yaml",
        format!("version: 1\njob_name: lines\n{source}\ntarget: {{postgres: {target}}}\n"),
    );
}

#[test]
fn the_demo_fills_a_table_as_it_does_in_sqlite() {
    let Some(database) = Database::new() else { return };
    let clean = with(&Trouble::none(), |text| text);
    load(&clean, &[]).run().exits(0);
    let site = into_postgres(&Trouble::none());
    run(&database, &site, &["--dry-run"]).run().exits(0).says("39 slices would be loaded");
    assert_eq!(
        database.ask("SELECT count(*)::text FROM pg_tables WHERE schemaname = 'public'").unwrap(),
        "0"
    );
    let ended =
        run(&database, &site, &[]).run().exits(0).says("1,095 records loaded").says("3 checks passed");
    assert!(ended.all().contains("postgres://postgres@127.0.0.1"), "{}", ended.all());
    assert_eq!(prices(&database), sqlite_prices(&clean));
    assert_eq!(ledger(&database), "39|1095|0");
    let types = "SELECT attname || ' ' || format_type(atttypid, NULL) || CASE WHEN attnotnull THEN ' !' ELSE '' END \
                 FROM pg_attribute WHERE attrelid = 'prices'::regclass AND attnum IN (1, 2, 3) ORDER BY attnum";
    assert_eq!(lines(&database, types), ["symbol text !", "day date !", "open double precision"]);
    let calls = site.calls("histoday");
    run(&database, &site, &[]).run().exits(0).says("39  nothing to change");
    assert_eq!(site.calls("histoday"), calls, "what is loaded is not asked for");
    database.run("DELETE FROM prices WHERE day = '2023-03-05' AND symbol = 'BTC'");
    let program = site.program(["validate", "--job", "job.yaml", "--online"]).env("PRICES_API_KEY", KEY);
    database.prepare(program).run().exits(5).says("BTC lacks 2023-03-05").says("has 29 of 30 records");
    std::fs::remove_file(site.path("job.yaml")).unwrap();
    site.assert_no_token();
    assert_nowhere(site.folder(), KEY);
    assert_nowhere(site.folder(), PASSWORD);
}

#[test]
fn a_kill_at_any_moment_leaves_what_a_clean_load_leaves() {
    let clean = with(&Trouble::none(), |text| text);
    load(&clean, &[]).run().exits(0);
    let clean = sqlite_prices(&clean);
    for kill in 0..20_u64 {
        let Some(database) = Database::new() else { return };
        let site = into_postgres(&Trouble::delay(kill % 4));
        let running = run(&database, &site, &["--concurrency", "3", "--batch-size", "4"]);
        running.run_until(|| site.calls("histoday") > kill * 2).kill();
        if kill % 3 == 0 && !site.runs().is_empty() {
            // Killed a second time, while it resumes.
            let before = site.calls("histoday");
            let mut again = resume(&database, &site).spawn();
            while !again.has_ended() && site.calls("histoday") < before + 2 {
                std::thread::yield_now();
            }
            again.kill();
        }
        resume(&database, &site).run().exits(0);
        assert_eq!(prices(&database), clean, "kill {kill}");
        assert_eq!(ledger(&database), "39|1095|0", "kill {kill}");
        site.newest_run().assert_complete(39);
    }
}

#[test]
fn a_kill_while_the_server_writes_leaves_all_of_a_slice_or_nothing() {
    let Some(database) = Database::new() else { return };
    // Each record takes the server a moment; mode append would show a record that came twice.
    database.run(
        "CREATE TABLE t (id bigint, at timestamptz DEFAULT now());
         CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.002); RETURN NEW; END';
         CREATE TRIGGER slow BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION slow()",
    );
    let site = site(&Trouble::none());
    for part in 0..6 {
        let rows: String = (0..50).fold(String::new(), |mut rows, row| {
            let _ = writeln!(rows, "{{\"id\":{}}}", part * 50 + row);
            rows
        });
        site.write(&format!("part-{part}.jsonl"), rows);
    }
    let source = "source: {jsonl: {path: 'part-*.jsonl'}}";
    site.write(
        "job.yaml",
        format!("version: 1\njob_name: slow\n{source}\ntarget: {{postgres: {{table: t}}}}\n"),
    );
    let writing = "SELECT count(*)::text FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'INSERT INTO \"t\"%'";
    for kill in 0..6 {
        let first =
            if kill == 0 { run(&database, &site, &["--concurrency", "2"]) } else { resume(&database, &site) };
        let mut running = first.spawn();
        while !running.has_ended() && database.ask(writing).unwrap() == "0" {
            std::thread::yield_now();
        }
        std::thread::sleep(std::time::Duration::from_millis(kill * 25));
        running.kill();
    }
    resume(&database, &site).run().exits(0);
    assert_eq!(
        database.ask("SELECT concat_ws('|', count(*), count(DISTINCT id)) FROM t").unwrap(),
        "300|300"
    );
    assert_eq!(ledger(&database), "6|300|0");
}

#[test]
fn two_processes_load_each_slice_once() {
    let Some(database) = Database::new() else { return };
    database.run("CREATE TABLE prices (symbol text, day date, open numeric, high numeric, low numeric, close numeric, volume numeric)");
    let site = with(&Trouble::delay(2), into("postgres: { table: prices, mode: append }"));
    let one = run(&database, &site, &["--runs-dir", "a"]).spawn();
    let two = run(&database, &site, &["--runs-dir", "b"]).spawn();
    one.wait().exits(0);
    two.wait().exits(0);
    assert_eq!(ledger(&database), "39|1095|0");
    assert_eq!(prices(&database).len(), 1095, "mode append would show a record that came twice");
    run(&database, &site, &["--reload"]).run().exits(2).says("append");
}

#[test]
fn two_processes_make_one_table() {
    let Some(database) = Database::new() else { return };
    let site = into_postgres(&Trouble::delay(1));
    let one = run(&database, &site, &["--runs-dir", "a", "--shard", "1/2"]).spawn();
    let two = run(&database, &site, &["--runs-dir", "b", "--shard", "2/2"]).spawn();
    one.wait().exits(0);
    two.wait().exits(0);
    assert_eq!(ledger(&database), "39|1095|0");
    assert_eq!(prices(&database).len(), 1095);
}

#[test]
fn a_connection_that_breaks_is_made_anew() {
    let Some(database) = Database::new() else { return };
    let site = with(&Trouble::delay(5), |text| {
        into(POSTGRES)(text)
            .replace("slices:", "retry_policy: { max_retries: 8, backoff_factor: 0.01 }\nslices:")
    });
    let mut running = run(&database, &site, &["--concurrency", "2"]).spawn();
    while !running.has_ended() {
        database.run(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
             WHERE datname = current_database() AND pid <> pg_backend_pid()",
        );
        std::thread::sleep(std::time::Duration::from_millis(60));
    }
    let ended = running.wait();
    // Only the first questions of a run are asked once.
    if ended.code != Some(0) {
        assert_eq!(ended.code, Some(7), "{}", ended.all());
        run(&database, &site, &[]).run().exits(0);
    }
    assert_eq!(ledger(&database), "39|1095|0");
    assert_eq!(prices(&database).len(), 1095);
}

#[test]
fn each_mode_does_what_it_says() {
    let Some(database) = Database::new() else { return };
    let site = site(&Trouble::none());
    let old = r#"{"id":1,"name":"new"}
{"id":3,"name":"first"}
{"id":3,"name":"last"}
"#;
    for (mode, left, says) in
        [("upsert", "1 new|2 b|3 last", "2 records loaded"), ("insert", "1 a|2 b|3 first", "1 record loaded")]
    {
        database.run("DROP TABLE IF EXISTS t, _devrev_batch_loads; CREATE TABLE t (id int PRIMARY KEY, name text); INSERT INTO t VALUES (1, 'a'), (2, 'b')");
        lines_job(&site, &format!("{{table: t, key: [id], mode: {mode}}}"), old);
        run(&database, &site, &[]).run().exits(0).says(says);
        assert_eq!(
            database.ask("SELECT string_agg(id || ' ' || name, '|' ORDER BY id) FROM t").unwrap(),
            left,
            "{mode}"
        );
    }
    database.run("DROP TABLE t, _devrev_batch_loads; CREATE TABLE t (id int, name text)");
    lines_job(&site, "{table: t}", old);
    run(&database, &site, &[]).run().exits(0).says("3 records loaded");
    assert_eq!(database.ask("SELECT count(*)::text FROM t").unwrap(), "3");
}

#[test]
fn replace_deletes_the_range_of_its_slices_and_nothing_else() {
    let Some(database) = Database::new() else { return };
    let change = into("postgres: { table: prices, key: [symbol, day], mode: replace, create: true }");
    let site = with(&Trouble::none(), &change);
    run(&database, &site, &["--param", "symbols=BTC"]).run().exits(0);
    let clean = prices(&database);
    database.run(
        "UPDATE prices SET close = 1; INSERT INTO prices VALUES ('BTC', '2022-12-31', 1, 1, 1, 1, 1), ('ETH', '2023-01-05', 1, 1, 1, 1, 1)",
    );
    run(&database, &site, &["--param", "symbols=BTC", "--reload"]).run().exits(0);
    let others = lines(&database, "SELECT symbol || ' ' || day FROM prices WHERE close = 1 ORDER BY 1");
    assert_eq!(others, ["BTC 2022-12-31", "ETH 2023-01-05"], "what is outside stays, what is inside goes");
    database.run("DELETE FROM prices WHERE close = 1");
    assert_eq!(prices(&database), clean);
    // A source that has nothing must not empty the table.
    site.write("job.yaml", job(&site, |text| change(text).replace("records: .Data.Data", "records: empty")));
    run(&database, &site, &["--param", "symbols=BTC", "--reload"]).run().exits(3).says("--allow-empty");
    assert_eq!(prices(&database), clean);
    run(&database, &site, &["--param", "symbols=BTC", "--reload", "--allow-empty"]).run();
    assert!(prices(&database).is_empty());
}

#[test]
fn slices_go_by_dates_of_any_type() {
    for kind in ["timestamptz", "timestamp", "text", "varchar(30)", "bigint"] {
        let Some(database) = Database::new() else { return };
        let columns = "open float8, high float8, low float8, close float8, volume numeric(20, 3)";
        database.run(&format!(
            "CREATE TABLE prices (symbol text, day {kind}, {columns}, PRIMARY KEY (symbol, day))"
        ));
        let change = |text: String| {
            let text = into("postgres: { table: public.prices, key: [symbol, day], mode: replace }")(text);
            if kind == "bigint" { text.replace("(.time | todate[:10])", ".time") } else { text }
        };
        let site = with(&Trouble::none(), change);
        run(&database, &site, &["--param", "symbols=ETH"]).run().exits(0).says("3 checks passed");
        run(&database, &site, &["--param", "symbols=ETH", "--reload"]).run().exits(0).says("3 checks passed");
        assert_eq!(database.ask("SELECT count(*)::text FROM prices").unwrap(), "365", "{kind}");
    }
}

#[test]
fn a_record_that_the_table_refuses_is_rejected_with_code_and_column() {
    let Some(database) = Database::new() else { return };
    database.run(
        "CREATE TABLE t (id int PRIMARY KEY, name varchar(5) NOT NULL, size numeric CONSTRAINT small CHECK (size < 100), \
         mail text UNIQUE DEFERRABLE INITIALLY DEFERRED, made date)",
    );
    let site = site(&Trouble::none());
    let mut records = String::new();
    for id in 0..200 {
        let _ = writeln!(
            records,
            r#"{{"id":{id},"name":"n{id}","size":{},"mail":"{id}@x","made":"2026-01-01"}}"#,
            id % 50
        );
    }
    records.push_str(
        r#"{"id":"x","name":"a","size":1,"mail":"a","made":null}
{"id":1001,"name":null,"size":1,"mail":"b","made":null}
{"id":1002,"name":"abcdef","size":1,"mail":"c","made":null}
{"id":1003,"name":"d","size":100,"mail":"d","made":null}
{"id":1004,"name":"e","size":1,"mail":"7@x","made":null}
{"id":1005,"name":"f","size":1,"mail":"f","made":"2026-02-30"}
{"id":1006,"name":"g\u0000","size":1,"mail":"g","made":null}
{"id":1007,"name":"h","size":1,"mail":"h","made":null}
"#,
    );
    lines_job(&site, "{table: t, key: [id]}", &records);
    run(&database, &site, &["--strict"]).run().exits(3).says("--strict");
    assert_eq!(database.ask("SELECT count(*)::text FROM t").unwrap(), "0");
    run(&database, &site, &[]).run().exits(3).says("201 records loaded, 7 rejected");
    assert_eq!(database.ask("SELECT count(*)::text FROM t").unwrap(), "201");
    let rejected = site.newest_run().lines("rejected.jsonl");
    for (id, says, field) in [
        (json!("x"), "22P02", ""),
        (json!(1001), "23502", "name"),
        (json!(1002), "22001", ""),
        (json!(1003), "constraint `small`", ""),
        (json!(1004), "23505", ""),
        (json!(1005), "22008", ""),
        (json!(1006), "NUL", ""),
    ] {
        let line = rejected.iter().find(|line| line["record"]["id"] == id);
        let line = line.unwrap_or_else(|| panic!("{id}: {rejected:?}"));
        assert_eq!(line["rule"], "target");
        assert!(line["problem"].as_str().unwrap().contains(says), "{line}");
        assert_eq!(line["field"].as_str().unwrap_or_default(), field, "{line}");
    }
    assert_eq!(rejected.len(), 7);
    assert_eq!(ledger(&database), "1|201|7");
}

#[test]
fn values_and_columns_arrive_as_they_were() {
    let Some(database) = Database::new() else { return };
    let site = site(&Trouble::none());
    let records = r#"{"id":1,"text":"a\tb\\n\n\r\\N\u2028é","big":123456789012345678901234567890,"real":0.1,"yes":true,"at":"2026-01-31T08:00:00+02:00","tree":{"a":[1,{"b":"\"x\""}]},"none":null}
{"id":2,"big":1,"text":""}
{"id":3,"text":null,"more":"only here"}
{"id":2,"text":"later"}
"#;
    lines_job(&site, "{table: sub.t, key: [id], create: true}", records);
    database.run("CREATE SCHEMA sub");
    run(&database, &site, &[]).run().exits(0).says("3 records loaded");
    let rows = lines(&database, "SELECT to_jsonb(t)::text FROM sub.t ORDER BY id");
    let rows: Vec<serde_json::Value> = rows.iter().map(|row| serde_json::from_str(row).unwrap()).collect();
    assert_eq!(rows[0]["text"], "a\tb\\n\n\r\\N\u{2028}é");
    assert_eq!(
        database.ask("SELECT big::text FROM sub.t WHERE id = 1").unwrap(),
        "123456789012345678901234567890"
    );
    assert_eq!(
        database
            .ask(
                "SELECT (tree->'a'->1->>'b') || yes || extract(epoch FROM at)::bigint FROM sub.t WHERE id = 1"
            )
            .unwrap(),
        "\"x\"true1769839200"
    );
    assert_eq!(
        (&rows[1]["text"], &rows[1]["big"]),
        (&"later".into(), &1.into()),
        "what a record lacks stays"
    );
    assert_eq!((&rows[2]["text"], &rows[2]["more"]), (&serde_json::Value::Null, &"only here".into()));
}

#[test]
fn what_does_not_fit_is_named() {
    let Some(database) = Database::new() else { return };
    let site = site(&Trouble::none());
    database.run("CREATE TABLE things (id int, name text, must text NOT NULL)");
    for (target, record, says) in [
        ("{table: thing}", r#"{"id":1}"#, "did you mean `things`?"),
        ("{table: Things}", r#"{"id":1}"#, "did you mean `things`?"),
        ("{table: no.things}", r#"{"id":1}"#, "there is no table `no.things`"),
        ("{table: things}", r#"{"id":1,"must":"a","nme":"x"}"#, "has no column `nme`; did you mean `name`?"),
        (
            "{table: things}",
            r#"{"id":1,"must":"a","Name":"x"}"#,
            "has no column `Name`; did you mean `name`?",
        ),
        ("{table: things}", r#"{"id":1}"#, "needs a `must`"),
        ("{table: things, key: [id]}", r#"{"id":1,"must":"a"}"#, "the key needs a unique constraint"),
        ("{table: things, key: [di]}", r#"{"id":1,"must":"a"}"#, "needs a `di`"),
    ] {
        lines_job(&site, target, &format!("{record}\n"));
        run(&database, &site, &[]).run().exits(2).says(says);
    }
    assert_eq!(database.ask("SELECT count(*)::text FROM things").unwrap(), "0");
    lines_job(&site, "{table: things}", "{\"id\":1,\"must\":\"a\"}\n");
    let retry = std::fs::read_to_string(site.path("job.yaml"))
        .unwrap()
        .replace("source:", "retry_policy: {max_retries: 0}\nsource:");
    site.write("job.yaml", &retry);
    let wrong = load(&site, &[]).env("DATABASE_URL", database.url("postgres:wr0ng-secret")).run().exits(4);
    assert!(!wrong.out.contains("wr0ng-secret") && !wrong.err.contains("wr0ng-secret"));
    let nowhere = format!("postgres://postgres:{PASSWORD}@127.0.0.1:9/x");
    load(&site, &[]).env("DATABASE_URL", &nowhere).run().exits(7).says("127.0.0.1:9");
    let validate = || site.program(["validate", "--job", "job.yaml", "--online"]);
    validate().env("DATABASE_URL", &nowhere).run().exits(7).says("127.0.0.1:9");
    let right = database.url(&format!("postgres:{PASSWORD}"));
    validate().env("DATABASE_URL", right).run().exits(0).says("1 slice, and its target answers");
    let other = database.url(&format!("postgres:{PASSWORD}")) + "nosuch";
    load(&site, &[]).env("DATABASE_URL", other).run().exits(2).says("does not exist");
    load(&site, &[]).without("DATABASE_URL").run().exits(2).says("DATABASE_URL");
    load(&site, &[]).env("DATABASE_URL", "postgres://a:s3cr3t@h:port/x").run().exits(2).says("DATABASE_URL");
    site.write(
        "job.yaml",
        retry
            .replace("{postgres: {table: things}}", "{postgres: {table: things, url: 'postgres://a:b@h/x'}}"),
    );
    run(&database, &site, &[]).run().exits(5).says("a password");
    std::fs::remove_file(site.path("job.yaml")).unwrap();
    assert_nowhere(site.folder(), PASSWORD);
    assert_nowhere(site.folder(), "wr0ng-secret");
    assert_nowhere(site.folder(), "s3cr3t");
}

#[test]
fn the_short_form_names_the_database() {
    let Some(database) = Database::new() else { return };
    let site = site(&Trouble::none());
    database.run("CREATE TABLE things (id int)");
    let url = database.url("x");
    let name = url.rsplit('/').next().unwrap();
    site.write("in.jsonl", "{\"id\":1}\n");
    let write = |database: &str| {
        let target = format!("target: {{database: {database}, table: things}}");
        site.write(
            "job.yaml",
            format!("version: 1\njob_name: short\nsource: {{jsonl: {{path: in.jsonl}}}}\n{target}\n"),
        );
    };
    write("analytics");
    run(&database, &site, &[]).run().exits(2).says("target.database is `analytics`");
    write(name);
    run(&database, &site, &[]).run().exits(0).says("1 record loaded");
    assert_eq!(database.ask("SELECT count(*)::text FROM things").unwrap(), "1");
}

#[test]
fn a_run_goes_on_in_its_own_database_alone() {
    let (Some(database), Some(other), Some(third)) = (Database::new(), Database::new(), Database::new())
    else {
        return;
    };
    let site = into_postgres(&Trouble::delay(3));
    run(&database, &site, &["--concurrency", "1"]).run_until(|| site.calls("histoday") > 5).kill();
    let id = site.the_run().id().to_owned();
    let resume = |database: &Database| {
        database.prepare(site.program(["resume", &id, "--yes"]).env("PRICES_API_KEY", KEY))
    };
    // Another address.
    resume(&other).run().exits(6);
    // The same address, and another database behind it.
    let name = |database: &Database| database.url("x").rsplit('/').next().unwrap().to_owned();
    let (mine, others) = (name(&database), name(&other));
    let rename = |from: &str, to: &str| third.run(&format!("ALTER DATABASE {from} RENAME TO {to}"));
    crate::support::eventually("the end of the connections", || {
        third.ask(&format!("SELECT count(*)::text FROM pg_stat_activity WHERE datname = '{mine}'")).unwrap()
            == "0"
    });
    rename(&mine, "away");
    rename(&others, &mine);
    resume(&database).run().exits(6);
    assert_eq!(
        database.ask("SELECT count(*)::text FROM pg_tables WHERE schemaname = 'public'").unwrap(),
        "0"
    );
    rename(&mine, &others);
    rename("away", &mine);
    resume(&database).run().exits(0);
    assert_eq!(ledger(&database), "39|1095|0");
}

/// Writes a job from one database to another.
fn copy_job(site: &Site, name: &str, rest: &str) {
    site.write("job.yaml", format!("version: 1\njob_name: {name}\n{rest}\n"));
}

#[test]
fn a_table_goes_to_sqlite_and_back_as_it_was() {
    let Some(database) = Database::new() else { return };
    let columns = "id int PRIMARY KEY, big numeric, real float8, small real, yes boolean, at timestamptz, day date, moment timestamp, \
                   tree jsonb, bytes bytea, words text[], text text, kind text";
    database.run(&format!(
        "CREATE TABLE one ({columns}); CREATE TABLE two ({columns});
         INSERT INTO one SELECT n, n * 12345678901234567890.123456789, sqrt(n), n / 3.0, n % 2 = 0,
         '2026-01-01T23:30:00+05:30'::timestamptz + n * interval '7 hours 1.5 second', date '2026-01-01' + n, now()::timestamp + n * interval '1 day',
         jsonb_build_object('a', ARRAY[n, NULL], 'b', E'x\\n\"'), decode(lpad(to_hex(n), 8, '0'), 'hex'), ARRAY['a b', NULL, '\"' || n],
         E'tab\\tnew\\nback\\\\é\\u2028' || n, CASE WHEN n % 3 = 0 THEN 'O''Hara' ELSE 'other' END FROM generate_series(1, 700) AS n;
         INSERT INTO one (id) VALUES (1000)"
    ));
    let site = site(&Trouble::none());
    copy_job(
        &site,
        "out",
        "source: {postgres: {table: public.one}}\ntarget: {sqlite: {path: t.db, table: one, key: [id], create: true}}",
    );
    run(&database, &site, &[]).run().exits(0).says("701 records loaded");
    let found = super::query(&site, "t.db", "SELECT big, typeof(id), yes, at FROM one WHERE id = 2");
    assert_eq!(found, ["24691357802469135780.246913578|integer|1|2026-01-02T08:00:03+00:00"]);
    copy_job(
        &site,
        "back",
        "source: {sqlite: {path: t.db, table: one}}\ntransform: 'if .words then .words |= (fromjson | map(if . == null then \"NULL\" else tojson end) | \"{\" + join(\",\") + \"}\") else . end'\ntarget: {postgres: {table: two, key: [id]}}",
    );
    run(&database, &site, &[]).run().exits(0).says("701 records loaded");
    let differ =
        "SELECT count(*)::text FROM (TABLE one EXCEPT TABLE two UNION ALL (TABLE two EXCEPT TABLE one)) AS q";
    assert_eq!(database.ask(differ).unwrap(), "0");
    assert_eq!(database.ask("SELECT count(*)::text FROM two").unwrap(), "701");
}

#[test]
fn places_of_a_query_are_bound_by_the_type_that_is_expected() {
    let Some(database) = Database::new() else { return };
    database.run(
        "CREATE TYPE mood AS ENUM ('it''s; DROP TABLE t', 'sad');
         CREATE TABLE t (id int PRIMARY KEY, at timestamptz, day date, mood mood, unix bigint);
         INSERT INTO t SELECT n, '2026-01-01T00:00:00Z'::timestamptz + n * interval '6 hours', date '2026-01-01' + n / 4,
         CASE WHEN n % 2 = 0 THEN 'sad' ELSE 'it''s; DROP TABLE t' END::mood, 1767225600 + n * 21600 FROM generate_series(0, 39) AS n;
         CREATE TABLE copy (id int, mood text, most int)",
    );
    let site = site(&Trouble::none());
    let slices = "params: {moods: [\"it's; DROP TABLE t\", sad], most: 7, start_date: 2026-01-01, end_date: 2026-01-10}
slices: {dates: {field: at, step: 3d}, each: {mood: '${moods}'}}";
    let query = "SELECT id, at, ${mood} AS mood, ${most} + 0 AS most FROM t WHERE at >= ${slice.start} AND at < ${slice.end} \
                 AND mood = ${mood} AND day >= ${slice.start} AND unix >= ${slice.start.unix} LIMIT ${most} -- all";
    let target = "transform: '{id, mood, most}'\ntarget: {postgres: {table: copy}}";
    copy_job(
        &site,
        "bound",
        &format!("{slices}\nsource:\n  postgres:\n    query: |\n      {query}\n{target}"),
    );
    // The date is left out by the transform, and the slice goes by it.
    run(&database, &site, &[]).run().exits(3).says("40 rejected");
    database.run("TRUNCATE copy, _devrev_batch_loads; ALTER TABLE copy ADD COLUMN at timestamptz");
    let target = "target: {postgres: {table: copy}}";
    copy_job(
        &site,
        "bound",
        &format!("{slices}\nsource:\n  postgres:\n    query: |\n      {query}\n{target}"),
    );
    run(&database, &site, &[]).run().exits(0).says("40 records loaded");
    assert_eq!(
        database.ask("SELECT concat_ws('|', count(*), count(DISTINCT id), max(most)) FROM copy").unwrap(),
        "40|40|7"
    );
    // The same from SQLite, which compares a text with a number by their types.
    copy_job(
        &site,
        "file",
        "source: {postgres: {query: 'SELECT id, at, mood, unix FROM t'}}\ntarget: {sqlite: {path: t.db, table: t, create: true}}",
    );
    run(&database, &site, &[]).run().exits(0);
    let query = "SELECT id, at, mood FROM t WHERE at >= ${slice.start} AND at < ${slice.end} AND mood = ${mood} \
                 AND unix + 0 >= ${slice.start.unix} LIMIT ${most}";
    let target = "target: {sqlite: {path: t.db, table: copy, create: true}}";
    copy_job(
        &site,
        "again",
        &format!("{slices}\nsource:\n  sqlite:\n    path: t.db\n    query: |\n      {query}\n{target}"),
    );
    run(&database, &site, &[]).run().exits(0).says("40 records loaded");
    assert_eq!(super::query(&site, "t.db", "SELECT count(DISTINCT id) FROM copy"), ["40"]);
}

#[test]
fn what_is_no_query_is_refused() {
    let Some(database) = Database::new() else { return };
    let site = site(&Trouble::none());
    database.run("CREATE TABLE t (id int); CREATE FUNCTION write() RETURNS int LANGUAGE sql AS 'INSERT INTO t VALUES (1) RETURNING id'");
    site.write("t.db", "");
    let target = "target: {sqlite: {path: out.db, table: t, create: true}}";
    for (source, exit, says) in [
        ("postgres: {query: 'DELETE FROM t'}", 5, "only one SELECT"),
        ("postgres: {query: 'SELECT 1; DELETE FROM t'}", 5, "several statements"),
        ("sqlite: {path: t.db, query: 'ATTACH ''x'' AS y'}", 5, "only one SELECT"),
        ("postgres: {query: \"SELECT '${name}'\"}", 5, "without quotes"),
        ("postgres: {query: 'SELECT ${env.DATABASE_URL}'}", 5, "takes no ${env.NAME}"),
        ("postgres: {query: 'SELECT write()'}", 2, "read"),
        ("postgres: {query: 'SELECT nosuch FROM t'}", 2, "nosuch"),
        ("postgres: {table: nosuch}", 2, "nosuch"),
        ("postgres: {query: 'SELECT 1 AS a, 2 AS a'}", 2, "two columns `a`"),
        (
            "postgres: {query: 'SELECT 1 / (id - 1) AS a FROM generate_series(1, 3) AS t(id)'}",
            3,
            "division by zero",
        ),
        ("sqlite: {path: t.db, table: nosuch}", 2, "nosuch"),
        ("sqlite: {path: nosuch.db, table: t}", 2, "nosuch.db"),
        ("sqlite: {path: t.db, query: 'SELECT 1 AS a, 2 AS a'}", 2, "two columns `a`"),
    ] {
        copy_job(&site, "refused", &format!("params: {{name: x}}\nsource: {{{source}}}\n{target}"));
        run(&database, &site, &[]).run().exits(exit).says(says);
    }
    assert_eq!(database.ask("SELECT count(*)::text FROM t").unwrap(), "0");
    copy_job(
        &site,
        "refused",
        &format!("retry_policy: {{max_retries: 0}}\nsource: {{postgres: {{table: t}}}}\n{target}"),
    );
    load(&site, &[]).env("DATABASE_URL", database.url("postgres:wr0ng-secret")).run().exits(4);
    load(&site, &[]).env("DATABASE_URL", "postgres://postgres@127.0.0.1:9/x").run().exits(7);
    assert_nowhere(site.folder(), "wr0ng-secret");
}

#[test]
fn a_large_table_is_read_in_little_memory() {
    let Some(database) = Database::new() else { return };
    let site = site(&Trouble::none());
    database.run("CREATE TABLE big (n int PRIMARY KEY, text text)");
    let query = "SELECT n, repeat(chr(97 + n % 26), 1500) AS text FROM generate_series(1, 60000) AS n";
    copy_job(
        &site,
        "big",
        &format!(
            "source: {{postgres: {{query: \"{query}\"}}}}\ntarget: {{postgres: {{table: big, key: [n]}}}}"
        ),
    );
    let (mut running, mut peak) = (run(&database, &site, &[]).spawn(), 0);
    crate::support::eventually("the end", || {
        peak = peak.max(running.peak_memory());
        running.has_ended()
    });
    running.wait().exits(0).says("60,000 records loaded");
    assert!(peak < 64 << 10, "{peak} KiB");
}
