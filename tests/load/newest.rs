//! `newest`: of the records of one key the newest stays, in whatever order they come.

use super::place::Place;
use super::site;
use crate::support::site::Trouble;

/// A job of one file of JSON Lines into the table `t`.
fn job(place: &Place, target: &str, more: &str) {
    let target = place.target(target);
    let text =
        format!("version: 1\njob_name: events\nsource: {{jsonl: {{path: \"*.jsonl\"}}}}\n{more}\n{target}");
    place.site.write("job.yaml", text);
}

const ALL: &str = "SELECT CAST(t.id AS text) || ' ' || t.name FROM t ORDER BY t.id";

#[test]
fn an_older_record_takes_no_newer_ones_place() {
    for place in Place::each() {
        for batch in [1, 2, 10] {
            place.run(
                "DROP TABLE IF EXISTS t; DROP TABLE IF EXISTS _devrev_batch_loads; CREATE TABLE t (id bigint PRIMARY KEY, name text, \
                 changed_at timestamp); INSERT INTO t VALUES (4, 'there', NULL), (5, 'there', '2026-01-09 00:00:00')",
            );
            // Within a file: older after newer, newer after older, two of one time, one without a time, and two against the table.
            let records = "{\"id\":1,\"name\":\"new\",\"changed_at\":\"2026-01-02 00:00:00\"}\n\
                           {\"id\":1,\"name\":\"old\",\"changed_at\":\"2026-01-01 00:00:00\"}\n\
                           {\"id\":2,\"name\":\"old\",\"changed_at\":\"2026-01-01 00:00:00\"}\n\
                           {\"id\":2,\"name\":\"new\",\"changed_at\":\"2026-01-02 00:00:00\"}\n\
                           {\"id\":3,\"name\":\"first\",\"changed_at\":\"2026-01-01 00:00:00\"}\n\
                           {\"id\":3,\"name\":\"last\",\"changed_at\":\"2026-01-01 00:00:00\"}\n\
                           {\"id\":3,\"name\":\"timeless\",\"changed_at\":null}\n\
                           {\"id\":4,\"name\":\"dated\",\"changed_at\":\"2026-01-01 00:00:00\"}\n\
                           {\"id\":5,\"name\":\"old\",\"changed_at\":\"2026-01-08 00:00:00\"}\n";
            place.site.write("1.jsonl", records);
            job(
                &place,
                "table: t, key: [id], newest: changed_at",
                &format!("batch_size: {batch}\nundo: {}", batch == 2),
            );
            place.load(&["--concurrency", "1"]).run().exits(0);
            let left = ["1 new", "2 new", "3 last", "4 dated", "5 there"];
            assert_eq!(place.rows(ALL), left, "{} {batch}", place.kind());
            // What comes later is held against the table.
            let later = "{\"id\":1,\"name\":\"older\",\"changed_at\":\"2026-01-01 12:00:00\"}\n\
                         {\"id\":2,\"name\":\"newer\",\"changed_at\":\"2026-01-03 00:00:00\"}\n";
            place.site.write("2.jsonl", later);
            place.load(&[]).run().exits(0);
            assert_eq!(place.rows(ALL)[..2], ["1 new", "2 newer"], "{} {batch}", place.kind());
            if batch == 2 {
                let run = place.site.newest_run();
                place.undo(&run, &[]).run().exits(0);
                assert_eq!(place.rows(ALL), left, "{}", place.kind());
            }
            std::fs::remove_file(place.site.path("2.jsonl")).unwrap();
        }
    }
}

#[test]
fn a_record_that_is_refused_leaves_the_others_their_order() {
    for place in Place::each() {
        place.run("CREATE TABLE t (id bigint PRIMARY KEY, name text NOT NULL, changed_at timestamp)");
        let records = "{\"id\":1,\"name\":\"new\",\"changed_at\":\"2026-01-02 00:00:00\"}\n\
                       {\"id\":2,\"name\":null,\"changed_at\":\"2026-01-02 00:00:00\"}\n\
                       {\"id\":1,\"name\":\"old\",\"changed_at\":\"2026-01-01 00:00:00\"}\n";
        place.site.write("1.jsonl", records);
        job(&place, "table: t, key: [id], newest: changed_at", "");
        place.load(&[]).run().exits(3).says("1 rejected");
        assert_eq!(place.rows(ALL), ["1 new"], "{}", place.kind());
    }
}

#[test]
fn what_newest_needs_is_said() {
    let site = site(&Trouble::none());
    site.write("1.jsonl", "{\"id\":1}\n");
    let write = |target: &str| {
        let head = "version: 1\njob_name: e\nsource:\n  jsonl: { path: 1.jsonl }\ntarget:\n";
        site.write("job.yaml", format!("{head}  {target}\n"));
    };
    for (target, says) in [
        ("sqlite: { path: t.db, table: t, key: [id], mode: insert, newest: at }", "6:68: newest goes with"),
        ("sqlite: { path: t.db, table: t, newest: at }", "newest goes with mode upsert"),
        ("sqlite: { path: t.db, table: t, key: [id], newest: id }", "newest: `id` is in the key"),
        ("clickhouse: { table: t, key: [id], newest: at }", "newest"),
    ] {
        write(target);
        site.program(["validate", "--job", "job.yaml"]).run().exits(5).says(says);
    }
    for place in Place::each() {
        place.run("CREATE TABLE t (id bigint PRIMARY KEY, at text)");
        place.site.write("1.jsonl", "{\"id\":1}\n");
        job(&place, "table: t, key: [id], newest: at", "");
        place.load(&[]).run().says("table `t` needs a `at`, and the records have none");
        assert_eq!(place.rows(ALL.replace("t.name", "t.at").as_str()), [""; 0], "{}", place.kind());
    }
}
