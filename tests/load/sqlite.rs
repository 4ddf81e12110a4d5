//! What only SQLite's way of writing could get wrong.

use super::place::Place;
use crate::support::terminal::OnTerminal;
use sqlx::ConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;
use std::fmt::Write as _;

#[test]
fn a_key_that_comes_several_times_is_one_row() {
    let place = Place::sqlite();
    place.run("CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT)");
    let records = "{\"id\":1,\"name\":\"a\"}\n{\"id\":2,\"name\":\"b\"}\n{\"id\":\"1\",\"name\":\"c\"}\n{\"id\":1,\"name\":\"d\"}\n";
    for (mode, says, left) in
        [("upsert", "2 records loaded", ["1 d", "2 b"]), ("insert", "2 records loaded", ["1 a", "2 b"])]
    {
        for batch in [1, 2, 10] {
            place.run("DELETE FROM t; DROP TABLE IF EXISTS _devrev_batch_loads");
            place.site.write("in.jsonl", records);
            let target = place.target(&format!("table: t, mode: {mode}, key: [id]"));
            place.site.write(
                "job.yaml",
                format!(
                    "version: 1\njob_name: repeats\nsource: {{jsonl: {{path: in.jsonl}}}}\nbatch_size: {batch}\n{target}"
                ),
            );
            place.load(&[]).run().exits(0).says(says);
            assert_eq!(place.rows("SELECT id || ' ' || name FROM t ORDER BY id"), left, "{mode}, {batch}");
            assert_eq!(place.rows("SELECT CAST(rows AS text) FROM _devrev_batch_loads"), ["2"]);
        }
    }
}

/// A job of one slice that takes long to write.
fn large(place: &Place) {
    place.run("CREATE TABLE t (id INTEGER, name TEXT)");
    let name = "x".repeat(400);
    let records = (0..60_000).fold(String::new(), |mut records, id| {
        let _ = writeln!(records, "{{\"id\":{id},\"name\":\"{name}\"}}");
        records
    });
    place.site.write("in.jsonl", records);
    let target = place.target("table: t");
    place.site.write(
        "job.yaml",
        format!(
            "version: 1\njob_name: large\nsource: {{jsonl: {{path: in.jsonl}}}}\nbatch_size: 20\n{target}"
        ),
    );
}

#[test]
fn a_long_slice_is_interrupted_between_its_batches() {
    let place = Place::sqlite();
    large(&place);
    place.run("PRAGMA journal_mode = WAL");
    let log = place.site.path("t.db-wal");
    let written = || std::fs::metadata(&log).is_ok_and(|data| data.len() > 3 << 20);
    let running = place.load(&[]).run_until(written);
    running.signal("INT");
    running.wait().exits(130);
    let count = "SELECT CAST(count(*) AS text) FROM t";
    assert_eq!(place.rows(count), ["0"], "nothing of the slice is there");
    place.resume().run().exits(0).says("60,000 records loaded");
    assert_eq!(place.rows(count), ["60000"]);
}

#[test]
fn a_large_table_is_not_counted_to_its_end() {
    let place = Place::sqlite();
    large(&place);
    let many = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100001) INSERT INTO t SELECT i, 'x' FROM n";
    place.run(many);
    let mut program = OnTerminal::start(&place.site, &["load", "job.yaml"], &[]);
    program.until_it_shows("more than 100,000 rows now");
    program.until_it_shows("[y/N]");
    program.types("n\n");
    program.exits(14);
}

#[test]
fn what_a_killed_process_has_left_uncommitted_is_taken_back_first() {
    let place = Place::sqlite();
    place.run("CREATE TABLE t (id int, name text); INSERT INTO t VALUES (1, 'a')");
    place.site.write("in.jsonl", "{\"id\":2,\"name\":\"b\"}\n");
    let target = place.target("table: t, mode: append");
    place.site.write(
        "job.yaml",
        format!("version: 1\njob_name: late\nsource: {{jsonl: {{path: in.jsonl}}}}\n{target}"),
    );
    // The file and its journal in the middle of a transaction, as a kill leaves them.
    let path = place.site.path("t.db");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (file, journal) = runtime.block_on(async {
        let mut connection = SqliteConnectOptions::new().filename(&path).connect().await.unwrap();
        let sql = "PRAGMA cache_size = 1; PRAGMA cache_spill = 1; BEGIN IMMEDIATE; WITH RECURSIVE n(id) AS (SELECT 10 UNION ALL \
                   SELECT id + 1 FROM n WHERE id < 20000) INSERT INTO t SELECT id, 'half' FROM n";
        sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
        let half = (std::fs::read(&path).unwrap(), std::fs::read(place.site.path("t.db-journal")).unwrap());
        sqlx::raw_sql("ROLLBACK").execute(&mut connection).await.unwrap();
        sqlx::Connection::close(connection).await.unwrap();
        half
    });
    assert!(!journal.is_empty());
    std::fs::write(&path, file).unwrap();
    std::fs::write(place.site.path("t.db-journal"), journal).unwrap();
    place.load(&[]).run().exits(0).says("1 record loaded");
    assert_eq!(place.rows("SELECT id || ' ' || name FROM t ORDER BY id"), ["1 a", "2 b"]);
}
