//! Exactly once: whatever kills a load, however often, and whatever breaks, the table ends as after a load that nothing
//! disturbed, row for row. Mode append would show a record that came twice, and a count one that did not come.

use super::place::Place;
use super::{KEY, ledger as sqlite_ledger, load, prices, with};
use crate::support::program::Running;
use crate::support::run::Run;
use crate::support::site::Trouble;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::time::{Duration, Instant};

/// Slices of a load.
const SLICES: u64 = 24;
/// Records of each.
const RECORDS: u64 = 30;
const ROWS: &str = "SELECT CAST(id AS text) || ' ' || kind || ' ' || name FROM t ORDER BY id, kind, name";

/// A number that says nothing of the one before.
pub(crate) fn scattered(number: u64, below: u64) -> u64 {
    (number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 33) % below
}

fn prepare(place: &Place) {
    place.run("CREATE TABLE t (id int, kind text, name text)");
    let kinds: Vec<String> = (0..SLICES).map(|slice| format!("k{slice}")).collect();
    let records = (0..SLICES * RECORDS).fold(String::new(), |mut records, id| {
        let _ = writeln!(records, "{{\"id\":{id},\"kind\":\"k{}\",\"name\":\"n{id}\"}}", id % SLICES);
        records
    });
    place.site.write("in.jsonl", records);
    let target = place.target("table: t, mode: append");
    place.site.write(
        "job.yaml",
        format!(
            "version: 1\njob_name: crash\nsource: {{jsonl: {{path: in.jsonl}}}}\nslices: {{each: {{kind: [{}]}}}}\n\
             transform: 'select(.kind == $kind)'\nbatch_size: 7\n{target}",
            kinds.join(", ")
        ),
    );
}

/// Kills a program after so many milliseconds; says whether it was still at work.
pub(crate) fn killed(mut running: Running, millis: u64) -> bool {
    let until = Instant::now() + Duration::from_millis(millis);
    while Instant::now() < until && !running.has_ended() {
        std::thread::sleep(Duration::from_millis(1));
    }
    let is_at_work = !running.has_ended();
    running.kill();
    is_at_work
}

/// A hundred kills between 5 and 200 ms, over as many loads as that takes.
fn a_hundred_kills(place: &Place) {
    prepare(place);
    place.load(&[]).run().exits(0);
    let clean = place.rows(ROWS);
    assert_eq!(clean.len() as u64, SLICES * RECORDS);
    let (mut kills, mut rounds) = (0, 0);
    while kills < 100 {
        place.run("DELETE FROM t; DELETE FROM _devrev_batch_loads");
        std::fs::remove_dir_all(place.site.path("runs")).unwrap();
        let mut next = place.load(&["--concurrency", "3"]);
        loop {
            kills += 1;
            if !killed(next.spawn(), 5 + scattered(kills, 196)) || kills % 7 == 0 {
                break;
            }
            // What was killed before its run began has left nothing to resume.
            next = if place.site.runs().iter().any(|run| run.file("run.json").exists()) {
                place.resume()
            } else {
                place.load(&["--concurrency", "3"])
            };
        }
        place.resume().run().exits(0);
        place.load(&[]).run().exits(0);
        assert_eq!(place.rows(ROWS), clean, "after {kills} kills");
        let known = place
            .rows("SELECT CAST(sum(rows) AS text) || ' ' || CAST(count(*) AS text) FROM _devrev_batch_loads");
        assert_eq!(known, [format!("{} {SLICES}", SLICES * RECORDS)], "after {kills} kills");
        rounds += 1;
    }
    assert!(rounds >= 10, "{rounds} rounds");
}

#[test]
fn a_hundred_kills_leave_what_a_clean_load_leaves_in_sqlite() {
    a_hundred_kills(&Place::sqlite());
}

#[test]
fn a_hundred_kills_leave_what_a_clean_load_leaves_in_postgres() {
    let Some(place) = Place::postgres() else { return };
    a_hundred_kills(&place);
}

#[test]
fn two_shards_that_are_killed_load_each_slice_once() {
    for place in Place::each() {
        prepare(&place);
        for round in 0..4_u64 {
            place.run("DROP TABLE IF EXISTS _devrev_batch_loads; DELETE FROM t");
            let shard = |part: u64| {
                let (shard, runs) = (format!("{part}/2"), format!("runs-{round}-{part}"));
                place.load(&["--shard", &shard, "--runs-dir", &runs])
            };
            let running = [1, 2].map(|part| shard(part).spawn());
            for (part, running) in (1..).zip(running) {
                killed(running, 10 + scattered(round * 2 + part, 120));
            }
            // The other shard is begun anew beside the one that goes on.
            let runs = format!("runs-{round}-1");
            let resumed = place.resume().args(["--runs-dir", &runs]).spawn();
            let again = shard(2).spawn();
            resumed.wait().exits(0);
            again.wait().exits(0);
            shard(1).run().exits(0);
            let once =
                place.rows("SELECT CAST(count(*) AS text) || ' ' || CAST(count(DISTINCT id) AS text) FROM t");
            let records = SLICES * RECORDS;
            assert_eq!(once, [format!("{records} {records}")], "{} {round}", place.kind());
        }
    }
}

#[test]
fn a_fault_at_any_call_of_the_source_loses_nothing() {
    let one = ["--param", "symbols=BTC", "--concurrency", "1"];
    let clean = with(&Trouble::none(), |text| text);
    load(&clean, &one).run().exits(0);
    let (calls, rows) = (clean.calls("histoday"), prices(&clean));
    assert_eq!((calls, rows.len()), (13, 365));
    for call in 0..calls {
        for fault in ["status=503", "status=429", "reset=before", "reset=after", "truncate", "html"] {
            let trouble = Trouble::faults([format!("path=histoday,{fault},after={call},count=1")]);
            let site =
                with(&trouble, |text| text.replace("slices:", "retry_policy: { max_retries: 0 }\nslices:"));
            let ended = load(&site, &one).run();
            // Too many requests are no failure: they are waited for.
            let wanted: &[i32] = if fault == "status=429" { &[0] } else { &[3, 7] };
            assert!(wanted.contains(&ended.code.unwrap()), "call {call}, {fault}: {}", ended.all());
            let resumed = site.program(["resume", "--latest", "--if-any", "--retry-failed", "--yes"]);
            resumed.env("PRICES_API_KEY", KEY).run().exits(0);
            assert_eq!(prices(&site), rows, "call {call}, {fault}");
            assert_eq!(sqlite_ledger(&site), "13|365|0", "call {call}, {fault}");
        }
    }
}

/// A record, or a row.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Cell {
    kind: u8,
    day: u8,
    id: u8,
    /// Below 0 a rule rejects it.
    value: i8,
}

impl Cell {
    fn key(&self) -> (u8, u8, u8) {
        (self.kind, self.day, self.id)
    }

    fn row(&self) -> String {
        format!("k{} 2026-01-0{} {} {}", self.kind, self.day, self.id, self.value)
    }
}

/// A job, what is there, what comes, and when it is killed.
#[derive(Debug, Clone)]
struct Case {
    mode: &'static str,
    /// Days of a slice; the load has 6.
    step: u8,
    kinds: u8,
    batch: u8,
    before: Vec<Cell>,
    records: Vec<Cell>,
    kills: Vec<u64>,
}

const LAST_DAY: u8 = 6;
const STORED: &str =
    "SELECT kind || ' ' || day || ' ' || CAST(id AS text) || ' ' || CAST(value AS text) FROM t ORDER BY 1";

fn cells(least: i8, most: usize) -> impl Strategy<Value = Vec<Cell>> {
    // Some are of kinds and days that no slice has.
    let cell = (0..4_u8, 1..9_u8, 0..3_u8, least..4_i8);
    let cell = cell.prop_map(|(kind, day, id, value)| Cell { kind, day, id, value });
    proptest::collection::vec(cell, 0..most)
}

fn case() -> impl Strategy<Value = Case> {
    let mode = prop_oneof![Just("upsert"), Just("insert"), Just("append"), Just("replace")];
    let kills = proptest::collection::vec(5..150_u64, 1..4);
    let job = (mode, 1..7_u8, 1..4_u8, 1..9_u8);
    // Rejects are rare: mode replace loads nothing of a slice that has one.
    let records = prop_oneof![cells(0, 60), cells(-1, 60)];
    (job, cells(0, 12), records, kills).prop_map(|((mode, step, kinds, batch), before, records, kills)| {
        let mut seen = BTreeSet::new();
        let is_keyed = matches!(mode, "upsert" | "insert");
        let before = before.into_iter().filter(|row| !is_keyed || seen.insert(row.key())).collect();
        Case { mode, step, kinds, batch, before, records, kills }
    })
}

impl Case {
    fn slice(&self, cell: &Cell) -> Option<(u8, u8)> {
        let has = cell.kind < self.kinds && cell.day <= LAST_DAY;
        has.then(|| (cell.kind, (cell.day - 1) / self.step))
    }

    /// The table after the load, as texts.
    fn after(&self) -> Vec<String> {
        let rejecting: BTreeSet<_> =
            self.records.iter().filter(|cell| cell.value < 0).filter_map(|cell| self.slice(cell)).collect();
        let good = self.records.iter().filter(|cell| cell.value >= 0 && self.slice(cell).is_some());
        let mut rows: Vec<String> = match self.mode {
            "append" => self.before.iter().chain(good).map(Cell::row).collect(),
            "replace" => {
                let is_replaced =
                    |cell: &&Cell| self.slice(cell).is_some_and(|slice| !rejecting.contains(&slice));
                let stays = self.before.iter().filter(|cell| !is_replaced(cell));
                stays.chain(good.filter(is_replaced)).map(Cell::row).collect()
            }
            mode => {
                let mut by_key: BTreeMap<_, _> = self.before.iter().map(|cell| (cell.key(), cell)).collect();
                for cell in good {
                    if mode == "upsert" {
                        by_key.insert(cell.key(), cell);
                    } else {
                        by_key.entry(cell.key()).or_insert(cell);
                    }
                }
                by_key.into_values().map(Cell::row).collect()
            }
        };
        rows.sort();
        rows
    }

    fn prepare(&self, place: &Place) {
        let is_keyed = matches!(self.mode, "upsert" | "insert");
        let primary = if is_keyed { ", PRIMARY KEY (kind, day, id)" } else { "" };
        place.run(&format!(
            "DROP TABLE IF EXISTS t; DROP TABLE IF EXISTS _devrev_batch_loads; \
             CREATE TABLE t (kind text, day text, id int, value int{primary})"
        ));
        for Cell { kind, day, id, value } in &self.before {
            place.run(&format!("INSERT INTO t VALUES ('k{kind}', '2026-01-0{day}', {id}, {value})"));
        }
        let records = self.records.iter().fold(String::new(), |mut text, Cell { kind, day, id, value }| {
            let _ = writeln!(
                text,
                "{{\"kind\":\"k{kind}\",\"day\":\"2026-01-0{day}\",\"id\":{id},\"value\":{value}}}"
            );
            text
        });
        place.site.write("in.jsonl", records);
        let kinds: Vec<String> = (0..self.kinds).map(|kind| format!("k{kind}")).collect();
        let key = if is_keyed { ", key: [kind, day, id]" } else { "" };
        let target = place.target(&format!("table: t, mode: {}{key}", self.mode));
        place.site.write(
            "job.yaml",
            format!(
                "version: 1\njob_name: any\nundo: true\nparams: {{start_date: 2026-01-01, end_date: 2026-01-0{LAST_DAY}}}\n\
                 source: {{jsonl: {{path: in.jsonl}}}}\nslices: {{dates: {{field: day, step: {}d}}, each: {{kind: [{}]}}}}\n\
                 transform: 'select(.kind == $kind)'\nrules: [{{field: value, min: 0}}]\nbatch_size: {}\n{target}",
                self.step,
                kinds.join(", "),
                self.batch
            ),
        );
    }

    /// Loads, killed and resumed, and takes all of it back, killed and resumed.
    fn check(&self, place: &Place) {
        self.prepare(place);
        let _ = std::fs::remove_dir_all(place.site.path("runs"));
        let before = place.rows(STORED);
        let ends = |ended: crate::support::program::Ended| {
            assert!(matches!(ended.code, Some(0 | 3)), "{}", ended.all());
        };
        for (number, kill) in self.kills.iter().enumerate() {
            let program = if number == 0 { place.load(&["--allow-empty"]) } else { place.resume() };
            killed(program.spawn(), *kill);
        }
        ends(place.resume().run());
        ends(place.load(&["--allow-empty"]).run());
        assert_eq!(place.rows(STORED), self.after());
        let mut loads: Vec<Run> =
            place.site.runs().into_iter().filter(|run| run.file("undo").exists()).collect();
        loads.reverse();
        for (run, kill) in loads.iter().zip(self.kills.iter().cycle()) {
            killed(place.undo(run, &[]).spawn(), *kill);
            ends(place.resume().run());
            let ended = place.undo(run, &[]).run();
            // 2: nothing of it is done.
            assert!(matches!(ended.code, Some(0 | 2)), "{}", ended.all());
        }
        assert_eq!(place.rows(STORED), before, "after the undo");
        // Where no slice could be loaded there is no ledger.
        place.run("CREATE TABLE IF NOT EXISTS _devrev_batch_loads (name text)");
        assert_eq!(place.ledger(), [""; 0], "after the undo");
    }
}

fn any(place: &Place, cases: u32) {
    let config =
        ProptestConfig { cases, max_shrink_iters: 30, failure_persistence: None, ..Default::default() };
    let mut runner = proptest::test_runner::TestRunner::new(config);
    runner
        .run(&case(), |case| {
            case.check(place);
            Ok(())
        })
        .unwrap();
}

#[test]
fn any_job_any_kill_and_any_retry_give_each_record_once_in_sqlite() {
    any(&Place::sqlite(), 20);
}

#[test]
fn any_job_any_kill_and_any_retry_give_each_record_once_in_postgres() {
    let Some(place) = Place::postgres() else { return };
    any(&place, 20);
}
