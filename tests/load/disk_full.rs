//! A disk that fills up under a load, in the run's folder or in the target: nothing is loaded in part, and the run goes on once
//! there is room.

use super::place::Place;
use crate::support::program::{BINARY, Program};
use std::fmt::Write as _;

const SLICES: u64 = 8;
const RECORDS: u64 = 300;

fn prepare(place: &Place, target: &str) {
    for slice in 0..SLICES {
        let records = (0..RECORDS).fold(String::new(), |mut records, n| {
            let id = slice * RECORDS + n;
            let _ = writeln!(
                records,
                "{{\"id\":{id},\"name\":\"name of {id}\",\"more\":\"{}\"}}",
                "x".repeat(40)
            );
            records
        });
        place.site.write(&format!("in-{slice}.jsonl"), records);
    }
    let text = format!("version: 1\njob_name: full\nsource: {{jsonl: {{path: 'in-*.jsonl'}}}}\n{target}");
    place.site.write("job.yaml", text);
}

/// The load, with files limited to so many blocks of 512 bytes (of 1024 in some shells).
fn limited(place: &Place, blocks: u32) -> Program {
    let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"");
    let program =
        place.site.prepare(Program::new("sh")).args(["-c", &script, BINARY, "load", "job.yaml", "--yes"]);
    match &place.database {
        Some(database) => database.prepare(program),
        None => program,
    }
}

/// Loads with less and more room, and resumes; returns how often the disk was full.
fn full(place: &Place, blocks: &[u32], check: impl Fn()) -> u32 {
    let mut times = 0;
    for blocks in blocks {
        let ended = limited(place, *blocks).run();
        if ended.code == Some(1) {
            times += 1;
            let text = ended.all();
            assert!(text.contains("File too large") || text.contains("disk I/O error"), "{text}");
        } else {
            ended.exits(0);
        }
        place.resume().run().exits(0);
        place.load(&[]).run().exits(0);
        check();
    }
    times
}

#[test]
fn a_table_has_whole_slices_only() {
    for place in Place::each() {
        prepare(&place, &place.target("table: t, mode: append"));
        place.run("CREATE TABLE t (id int, name text, more text)");
        let blocks = [20, 40, 90, 150, 300, 500];
        let times = full(&place, &blocks, || {
            let rows =
                place.rows("SELECT CAST(count(*) AS text) || ' ' || CAST(count(DISTINCT id) AS text) FROM t");
            assert_eq!(rows, ["2400 2400"]);
            place.run(
                "DROP TABLE _devrev_batch_loads; DROP TABLE t; CREATE TABLE t (id int, name text, more text)",
            );
            let _ = std::fs::remove_dir_all(place.site.path("runs"));
        });
        assert!(times >= 1, "{times} times");
    }
}

#[test]
fn a_file_is_whole_or_not_there() {
    let place = Place::sqlite();
    prepare(&place, "target: {csv: {path: out.csv}}\n");
    let times = full(&place, &[20, 60, 120, 300], || {
        let lines = std::fs::read_to_string(place.site.path("out.csv")).unwrap().lines().count();
        assert_eq!(lines as u64, 1 + SLICES * RECORDS);
        std::fs::remove_file(place.site.path("out.csv")).unwrap();
        std::fs::remove_dir_all(place.site.path("out.csv.slices")).unwrap();
        let _ = std::fs::remove_dir_all(place.site.path("runs"));
    });
    assert!(times >= 2, "{times} times");
}
