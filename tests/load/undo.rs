//! `undo` of a load: the table is as it was before, but for rows that somebody has changed since.

use super::place::Place;
use crate::support::run::Run;
use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

const RECORDS: &str = r#"{"id":1,"kind":"a","name":"one"}
{"id":2,"kind":"a","name":"TWO"}
{"id":4,"kind":"a","name":"four"}
{"id":7,"kind":"a","name":"twice"}
{"id":3,"kind":"b","name":"THREE"}
{"id":5,"kind":"b","name":"five"}
{"id":5,"kind":"b","name":"five again"}
"#;

const ROWS: &str = "SELECT coalesce(CAST(id AS text), '-') || ' ' || kind || ' ' || coalesce(name, '-') || ' ' || coalesce(note, '-') \
                    FROM t ORDER BY 1";

/// A table with some rows, and a job of two slices that keeps what it changes.
fn prepare(place: &Place, mode: &str, key: &str) {
    let key_of = if key.is_empty() { "" } else { ", PRIMARY KEY (id)" };
    place.run(&format!(
        "CREATE TABLE t (id int, kind text, name text, note text DEFAULT 'new'{key_of}); \
         INSERT INTO t VALUES (1, 'a', 'one', 'x'), (2, 'a', 'two', NULL), (3, 'b', 'three', 'y'), (9, 'c', 'nine', NULL)"
    ));
    if key.is_empty() {
        place.run("INSERT INTO t VALUES (7, 'a', 'twice', 'new'), (7, 'a', 'twice', 'new'), (7, 'a', 'Twice', 'new')");
    }
    job(place, mode, key, "undo: true\n");
    place.site.write("in.jsonl", RECORDS);
}

fn job(place: &Place, mode: &str, key: &str, undo: &str) {
    let target = place.target(&format!("table: t, mode: {mode}{key}"));
    place.site.write(
        "job.yaml",
        format!(
            "version: 1\njob_name: lines\n{undo}source: {{jsonl: {{path: in.jsonl}}}}\nslices: {{each: {{kind: [a, b]}}}}\n\
             transform: 'select(.kind == $kind)'\nbatch_size: 2\n{target}"
        ),
    );
}

/// The name of the first slice.
fn a(place: &Place) -> String {
    format!("a {}", place.site.path("in.jsonl").display())
}

/// The run of the newest load.
fn loaded(place: &Place) -> Run {
    place
        .site
        .runs()
        .into_iter()
        .rfind(|run| run.id().contains("-load-") && !run.id().contains("undo"))
        .unwrap()
}

#[test]
fn a_load_of_each_mode_is_taken_back() {
    for (mode, key, changes) in [
        ("upsert", ", key: [id]", "3 rows to delete, 2 rows to put back as they were"),
        ("insert", ", key: [id]", "3 rows to delete"),
        ("append", "", "7 rows to delete"),
        ("replace", "", "7 rows to delete, 6 rows to bring back"),
    ] {
        for place in Place::each() {
            let what = format!("{mode} in {}", place.kind());
            prepare(&place, mode, key);
            let before = place.rows(ROWS);
            place.load(&[]).run().exits(0);
            let after = place.rows(ROWS);
            assert_ne!(before, after, "{what}");
            let run = loaded(&place);
            place.undo(&run, &["--dry-run"]).run().exits(0).says("2 slices would be undone").says(changes);
            assert_eq!(place.rows(ROWS), after, "{what}: a dry run changes nothing");
            let ended = place.undo(&run, &[]).run().exits(0);
            assert!(!ended.all().contains("changed since"), "{}", ended.all());
            assert_eq!(place.rows(ROWS), before, "{what}");
            assert!(place.ledger().is_empty(), "{what}");
            let undone = place.site.newest_run();
            undone.assert_complete(2);
            assert_eq!(undone.manifest()["command"], "undo-load");
            assert_eq!(undone.manifest()["parent"], run.id());
            // Once more, and there is nothing left of it.
            place.undo(&run, &[]).run().exits(0).says("not-in-ledger");
            assert_eq!(place.rows(ROWS), before, "{what}");
            // What was undone can be loaded again, and a slice of it be undone.
            place.load(&[]).run().exits(0);
            assert_eq!(place.rows(ROWS), after, "{what}");
            let again = loaded(&place);
            place.undo(&again, &["--limit", "1"]).run().exits(0);
            assert_eq!(place.ledger(), [a(&place).replacen('a', "b", 1)], "{what}");
            place.undo(&again, &[]).run().exits(0);
            assert_eq!(place.rows(ROWS), before, "{what}");
        }
    }
}

#[test]
fn a_row_that_was_changed_since_is_left() {
    for place in Place::each() {
        prepare(&place, "upsert", ", key: [id]");
        place.load(&[]).run().exits(0);
        // A row that the load changed, one that it added, one that it added and that is gone, and one that is as before again.
        place.run("UPDATE t SET note = 'mine' WHERE id = 2; UPDATE t SET name = 'FOUR' WHERE id = 4; DELETE FROM t WHERE id = 7; \
                   UPDATE t SET name = 'three' WHERE id = 3");
        let ended = place.undo(&loaded(&place), &[]).run().exits(0);
        let says = "1 row deleted, 0 rows put back as they were, 0 rows brought back";
        assert!(ended.all().contains(says) && ended.all().contains("4 rows left alone"), "{}", ended.all());
        assert!(ended.all().contains("changed-since"), "{}", ended.all());
        assert_eq!(
            place.rows(ROWS),
            ["1 a one x", "2 a TWO mine", "3 b three y", "4 a FOUR new", "9 c nine -"]
        );
        assert!(place.ledger().is_empty());
    }
    // What was deleted comes back where nothing has taken its place.
    for place in Place::each() {
        prepare(&place, "replace", ", key: [id]");
        place
            .site
            .write("in.jsonl", RECORDS.replace("five again", "six").replacen("\"id\":5", "\"id\":6", 1));
        place.load(&[]).run().exits(0);
        place.run("UPDATE t SET note = 'mine' WHERE id = 2; DELETE FROM t WHERE id = 1");
        place.undo(&loaded(&place), &[]).run().exits(0).says("3 rows left alone");
        assert_eq!(place.rows(ROWS), ["1 a one x", "2 a TWO mine", "3 b three y", "9 c nine -"]);
    }
}

#[test]
fn what_a_later_run_has_loaded_stands_in_the_way() {
    for place in Place::each() {
        prepare(&place, "upsert", ", key: [id]");
        let before = place.rows(ROWS);
        place.load(&[]).run().exits(0);
        let (first, after) = (loaded(&place), place.rows(ROWS));
        place.site.write("in.jsonl", RECORDS.replace("four", "FOUR").replace("one", "ONE"));
        place.load(&["--reload", "--only-slice", &a(&place)]).run().exits(0);
        let second = loaded(&place);
        let refused = place.undo(&first, &[]).run().exits(6).says(second.id());
        assert!(refused.all().contains(&format!("slice {}", a(&place))), "{}", refused.all());
        place.undo(&second, &[]).run().exits(0);
        assert_eq!(place.rows(ROWS), after);
        assert_eq!(place.ledger().len(), 2, "the ledger has of the slice what it had before");
        place.load(&[]).run().exits(0).says("2  nothing to change");
        place.undo(&first, &[]).run().exits(0);
        assert_eq!(place.rows(ROWS), before);
        assert!(place.ledger().is_empty());
    }
}

#[test]
fn what_was_not_kept_cannot_be_undone() {
    for place in Place::each() {
        prepare(&place, "upsert", ", key: [id]");
        job(&place, "upsert", ", key: [id]", "");
        place.load(&[]).run().exits(0);
        let (run, after) = (loaded(&place), place.rows(ROWS));
        assert!(!run.file("undo").exists());
        place.undo(&run, &[]).run().exits(2).says("no `undo: true`").says("--reload");
        job(&place, "upsert", ", key: [id]", "undo: true\n");
        place.load(&["--reload"]).run().exits(0);
        let run = loaded(&place);
        let file = run.file("undo").join("2.jsonl");
        let bytes = std::fs::read(&file).unwrap();
        std::fs::write(&file, &bytes[..bytes.len() - 5]).unwrap();
        place.undo(&run, &[]).run().exits(3).says("is not whole");
        assert_eq!(place.rows(ROWS), after);
        // A record without a key could not be found again.
        place.site.write(
            "in.jsonl",
            "{\"id\":null,\"kind\":\"a\",\"name\":\"none\"}\n{\"id\":8,\"kind\":\"a\",\"name\":\"eight\"}\n",
        );
        place.run("DROP TABLE t; DROP TABLE _devrev_batch_loads; CREATE TABLE t (id int UNIQUE, kind text, name text, note text)");
        place.load(&["--only-slice", &a(&place)]).run().exits(3).says("1 record loaded, 1 rejected");
        let rejected = place.site.newest_run().lines("rejected.jsonl");
        assert!(rejected[0]["problem"].as_str().unwrap().contains("has no `id`"), "{rejected:?}");
        place.undo(&loaded(&place), &[]).run().exits(0);
        assert!(place.rows(ROWS).is_empty());
    }
}

#[test]
fn values_of_every_type_come_back_as_they_were() {
    let sqlite = Place::sqlite();
    sqlite.run(
        "CREATE TABLE t (id TEXT PRIMARY KEY COLLATE NOCASE, kind, name, data BLOB, \"odd \"\"name\" REAL, twice AS (kind || kind)) \
         WITHOUT ROWID; \
         INSERT INTO t VALUES ('A', 'a', 'x' || char(0) || 'y', x'00ff27', 0.1), ('b', 'a', 9007199254740993, NULL, 1e300), \
         ('c', 'a', 1.5, x'', -0.0), ('d', 'a', x'6162', 'text', 4)",
    );
    let all = "SELECT id || '|' || typeof(name) || hex(name) || '|' || typeof(data) || coalesce(hex(data), '-') || '|' || \
               printf('%!.20g', \"odd \"\"name\") || '|' || kind FROM t ORDER BY id";
    let rows = "{\"id\":\"a\",\"kind\":\"a\",\"name\":\"n'ew\",\"odd \\\"name\":7.25}\n{\"id\":\"B\",\"kind\":\"a\",\"name\":null,\"data\":\"d\"}\n\
                {\"id\":\"c\",\"kind\":\"a\",\"name\":2}\n{\"id\":\"d\",\"kind\":\"a\",\"name\":\"ab\"}\n{\"id\":\"e\",\"kind\":\"a\",\"name\":true}\n";
    check_types(&sqlite, all, rows);
    let Some(postgres) = Place::postgres() else { return };
    postgres.run(
        "CREATE TYPE mood AS ENUM ('sad', 'it''s'); CREATE DOMAIN small AS int CHECK (VALUE < 1000);
         CREATE TABLE t (id int PRIMARY KEY, kind text, name varchar(9), number numeric, real float8, bytes bytea, tree jsonb, raw json, \
         words text[], at timestamptz, span interval, day date, mood mood, small small, fixed char(5), bit bit(3), \
         serial bigint GENERATED ALWAYS AS IDENTITY, twice text GENERATED ALWAYS AS (kind || kind) STORED, \"odd \"\"name\" text);
         INSERT INTO t (id, kind, name, number, real, bytes, tree, raw, words, at, span, day, mood, small, fixed, bit, \"odd \"\"name\") \
         SELECT n, 'a', 'n' || n, 'NaN', 0.1 / n, decode('00ff5c27', 'hex'), '{\"a\": [1, null]}', '{ \"b\" :  1 }', \
         ARRAY['a b', NULL, '\"', '{}', E'\\\\'], '2026-01-01T00:00:00.123456+02'::timestamptz * 1, '1 mon 2 days 00:00:01.5', \
         '0044-03-15 BC', 'it''s', 999, 'ab', B'101', E'tab\\t new\\n' FROM generate_series(1, 4) AS n"
            .replace("::timestamptz * 1", "::timestamptz")
            .as_str(),
    );
    let all = "SELECT CAST(row_to_json(t) AS text) || coalesce(encode(textsend(CAST(raw AS text)), 'hex'), '') FROM t ORDER BY id";
    let rows = (2..=6).fold(String::new(), |mut rows, id| {
        let _ = writeln!(
            rows,
            "{{\"id\":{id},\"kind\":\"a\",\"name\":\"new\",\"number\":1.50,\"real\":null,\"bytes\":\"\\\\x01\",\"tree\":{{\"c\":{id}}},\
             \"raw\":null,\"words\":\"{{x}}\",\"at\":null,\"span\":null,\"day\":null,\"mood\":\"sad\",\"small\":1,\"fixed\":\"cde\",\
             \"bit\":\"000\",\"odd \\\"name\":\"x\"}}"
        );
        rows
    });
    check_types(&postgres, all, &rows);
}

fn check_types(place: &Place, all: &str, rows: &str) {
    job(place, "upsert", ", key: [id]", "undo: true\n");
    place.site.write("in.jsonl", rows);
    let before = place.rows(all);
    assert_eq!(before.len(), 4);
    place.load(&["--only-slice", &a(place)]).run().exits(0);
    assert_eq!(place.rows(all).len(), if place.database.is_some() { 6 } else { 5 });
    let ended = place.undo(&loaded(place), &[]).run().exits(0);
    assert!(!ended.all().contains("changed since"), "{}", ended.all());
    assert_eq!(place.rows(all), before);
}

#[test]
fn rows_of_partitions_and_of_triggers_are_taken_back() {
    let Some(place) = Place::postgres() else { return };
    place.run(
        "CREATE TABLE t (id int PRIMARY KEY, kind text, name text, note text DEFAULT 'new') PARTITION BY RANGE (id);
         CREATE TABLE t1 PARTITION OF t FOR VALUES FROM (0) TO (4); CREATE TABLE t2 PARTITION OF t FOR VALUES FROM (4) TO (100);
         INSERT INTO t VALUES (1, 'a', 'one', 'x'), (2, 'a', 'two', NULL), (5, 'b', 'old', 'y')",
    );
    job(&place, "upsert", ", key: [id]", "undo: true\n");
    place.site.write("in.jsonl", RECORDS);
    let before = place.rows(ROWS);
    place.load(&[]).run().exits(0);
    place.undo(&loaded(&place), &[]).run().exits(0);
    assert_eq!(place.rows(ROWS), before);
    for mode in ["upsert", "append"] {
        let place = Place::sqlite();
        let key = if mode == "upsert" { ", key: [id]" } else { "" };
        prepare(&place, mode, key);
        place.run("CREATE TRIGGER touch AFTER INSERT ON t BEGIN UPDATE t SET note = 'touched' WHERE rowid = NEW.rowid; END");
        let before = place.rows(ROWS);
        place.load(&[]).run().exits(0);
        assert!(place.rows(ROWS).iter().any(|row| row.ends_with("touched")));
        place.undo(&loaded(&place), &[]).run().exits(0);
        assert_eq!(place.rows(ROWS), before, "{mode}");
    }
}

#[test]
fn a_row_that_comes_while_its_key_is_loaded_is_put_back() {
    let Some(place) = Place::postgres() else { return };
    prepare(&place, "upsert", ", key: [id]");
    // Between the look at the rows that are there and the insertion.
    place.run(
        "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN IF current_query() LIKE ''WITH made%'' AND NEW.id = 5 \
         THEN PERFORM pg_sleep(0.5); END IF; RETURN NEW; END';
         CREATE TRIGGER slow BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION slow()",
    );
    let running = place.load(&["--concurrency", "1"]).spawn();
    let database = place.database.as_ref().unwrap();
    let writing = "SELECT count(*)::text FROM pg_stat_activity WHERE datname = current_database() AND state = 'active' \
                   AND query LIKE 'WITH made%' AND now() - query_start > interval '0.1 s'";
    crate::support::eventually("the insertion", || database.ask(writing).unwrap() != "0");
    place.run("INSERT INTO t VALUES (5, 'c', 'theirs', NULL)");
    running.wait().exits(0);
    assert!(place.rows(ROWS).contains(&"5 b five again -".to_owned()), "{:?}", place.rows(ROWS));
    place.undo(&loaded(&place), &[]).run().exits(0).says("2 rows deleted, 3 rows put back");
    assert!(place.rows(ROWS).contains(&"5 c theirs -".to_owned()), "{:?}", place.rows(ROWS));
}

/// A load of many slices over rows that are there.
fn many(place: &Place, mode: &str) {
    place.run("CREATE TABLE t (id int PRIMARY KEY, kind text, name text, note text DEFAULT 'new')");
    let old: Vec<String> =
        (0..200).map(|id| format!("({}, 'p{}', 'old', 'o{id}')", id * 2, id * 2 % 10)).collect();
    place.run(&format!("INSERT INTO t VALUES {}", old.join(", ")));
    let records = (0..400).fold(String::new(), |mut records, id| {
        let _ = writeln!(records, "{{\"id\":{id},\"kind\":\"p{}\",\"name\":\"new\"}}", id % 10);
        records
    });
    place.site.write("in.jsonl", records);
    let kinds: Vec<String> = (0..10).map(|part| format!("p{part}")).collect();
    let target = place.target(&format!("table: t, mode: {mode}, key: [id]"));
    place.site.write(
        "job.yaml",
        format!(
            "version: 1\njob_name: many\nundo: true\nsource: {{jsonl: {{path: in.jsonl}}}}\nslices: {{each: {{kind: [{}]}}}}\n\
             transform: 'select(.kind == $kind)'\nbatch_size: 7\n{target}",
            kinds.join(", ")
        ),
    );
}

#[test]
fn a_kill_at_any_moment_of_a_load_and_of_its_undo_ends_as_without() {
    for place in Place::each() {
        for mode in ["upsert", "replace"] {
            place.run("DROP TABLE IF EXISTS t; DROP TABLE IF EXISTS _devrev_batch_loads");
            many(&place, mode);
            let before = place.rows(ROWS);
            place.load(&[]).run().exits(0);
            let after = place.rows(ROWS);
            place.undo(&loaded(&place), &[]).run().exits(0);
            assert_eq!(place.rows(ROWS), before);
            for kill in 0..6_u64 {
                let what = format!("{mode} in {}, kill {kill}", place.kind());
                let running = place.load(&["--concurrency", "3"]).spawn();
                std::thread::sleep(Duration::from_millis(25 + kill * 17));
                running.kill();
                place.resume().run().exits(0);
                place.load(&[]).run().exits(0);
                assert_eq!(place.rows(ROWS), after, "{what}");
                // A kill may have come before the run began: then another has loaded all.
                let runs = place.site.runs();
                let loads = runs.iter().filter(|run| run.file("undo").exists()).rev().take(2);
                for run in loads {
                    let running = place.undo(run, &["--concurrency", "2"]).spawn();
                    std::thread::sleep(Duration::from_millis(25 + kill * 13));
                    running.kill();
                    place.resume().run().exits(0);
                    let ended = place.undo(run, &[]).run();
                    assert!(matches!(ended.code, Some(0 | 2)), "{}", ended.all());
                    assert!(!ended.all().contains("changed since"), "{}", ended.all());
                }
                assert_eq!(place.rows(ROWS), before, "{what}");
                assert!(place.ledger().is_empty(), "{what}");
                clear(&place.site.path("runs"));
            }
        }
    }
}

fn clear(folder: &Path) {
    std::fs::remove_dir_all(folder).unwrap();
}
