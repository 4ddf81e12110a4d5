//! Exactly once: whatever kills a load, and whoever loads beside it.

use super::{Broker, IDS, ids, job, offsets};
use crate::load::crash::{killed, scattered};
use crate::load::place::Place;
use crate::support::program::Program;
use serde_json::Value;
use std::collections::BTreeSet;
use std::time::Instant;

const PARTITIONS: i32 = 3;
const MESSAGES: u64 = 600;

fn prepare(place: &Place) -> Broker {
    let broker = Broker::new(&[("t", PARTITIONS)]);
    broker.send_ids("t", PARTITIONS, 0..MESSAGES);
    place.run("CREATE TABLE t (id bigint)");
    // Mode append would show a message that came twice.
    job(place, &broker, "topics: [t], group: g", "table: t, mode: append", "");
    broker
}

/// Other boundaries of batches each time.
fn batches(program: Program, number: u64) -> Program {
    program.env("BATCH_SIZE", (5 + number % 5).to_string())
}

fn again(place: &Place) {
    place.run("DELETE FROM t; DELETE FROM _devrev_batch_offsets");
    std::fs::remove_dir_all(place.site.path("runs")).unwrap();
}

/// A hundred kills, over as many loads as that takes: what was killed is resumed, or left and begun anew.
fn a_hundred_kills(place: &Place) {
    let broker = prepare(place);
    let begun = Instant::now();
    batches(place.load(&["--concurrency", "3"]), 2).run().exits(0);
    let longest = u64::try_from(begun.elapsed().as_millis()).unwrap();
    assert_eq!(place.rows(IDS), ids(0..MESSAGES));
    let ends = offsets(place);
    let (mut kills, mut rounds, mut at_work) = (0, 0, 0);
    // As many as that takes on this machine: half of a hundred have to meet a program at work.
    while kills < 100 || at_work < 50 {
        assert!(kills < 1000, "{at_work} of {kills} kills met a program at work");
        again(place);
        let load = || place.load(&["--concurrency", "3"]);
        let mut next = load();
        loop {
            kills += 1;
            let is_at_work = killed(batches(next, kills).spawn(), 5 + scattered(kills, longest));
            at_work += u32::from(is_at_work);
            if !is_at_work || kills % 7 == 0 {
                break;
            }
            let has_begun = place.site.runs().iter().any(|run| run.file("run.json").exists());
            next = if has_begun && kills % 3 != 0 { place.resume() } else { load() };
        }
        place.resume().run().exits(0);
        place.load(&[]).run().exits(0);
        assert_eq!(place.rows(IDS), ids(0..MESSAGES), "after {kills} kills");
        assert_eq!(offsets(place), ends, "after {kills} kills");
        rounds += 1;
    }
    assert!(rounds >= 5, "{rounds} rounds");
    drop(broker);
}

#[test]
fn a_hundred_kills_leave_each_message_once_in_sqlite() {
    a_hundred_kills(&Place::sqlite());
}

#[test]
fn a_hundred_kills_leave_each_message_once_in_postgres() {
    let Some(place) = Place::postgres() else { return };
    a_hundred_kills(&place);
}

#[test]
fn two_processes_of_one_load_take_each_message_once() {
    for place in Place::each() {
        let _broker = prepare(&place);
        for round in 0..5_u64 {
            let runs = |part: u64| format!("runs-{round}-{part}");
            let load = |part: u64| place.load(&["--runs-dir", &runs(part), "--concurrency", "3"]);
            let [first, second] = [load(1).spawn(), load(2).spawn()];
            if round % 2 == 1 {
                killed(first, 20 + scattered(round, 150));
                second.wait().exits(0);
            } else {
                first.wait().exits(0);
                second.wait().exits(0);
            }
            assert_eq!(place.rows(IDS), ids(0..MESSAGES), "{} {round}", place.kind());
            place.run("DELETE FROM t; DELETE FROM _devrev_batch_offsets");
        }
        // Shards share the partitions.
        for shard in ["1/2", "2/2"] {
            place.load(&["--shard", shard]).run().exits(0);
        }
        assert_eq!(place.rows(IDS), ids(0..MESSAGES));
    }
}

#[test]
fn what_is_rejected_is_there_once_after_any_kill() {
    for place in Place::each() {
        let broker = Broker::new(&[("t", PARTITIONS)]);
        // Every third is no JSON, every fifth of the others is refused by the table.
        for id in 0..MESSAGES {
            let value = match id {
                id if id % 3 == 0 => format!("bad {id}"),
                id if id % 5 == 0 => format!("{{\"id\":{id},\"n\":\"x\"}}"),
                id => format!("{{\"id\":{id},\"n\":1}}"),
            };
            broker.send("t", i32::try_from(id / 200).unwrap(), [value]);
        }
        place.run("CREATE TABLE t (id bigint, n integer CHECK (CAST(n AS text) <> 'x'))");
        job(&place, &broker, "topics: [t]", "table: t, mode: append", "batch_size: 7");
        let bad: BTreeSet<u64> = (0..MESSAGES).filter(|id| id % 3 == 0 || id % 5 == 0).collect();
        let begun = Instant::now();
        place.load(&[]).run().exits(3);
        let longest = u64::try_from(begun.elapsed().as_millis()).unwrap();
        for round in 0..8_u64 {
            again(&place);
            let mut next = place.load(&["--concurrency", "3"]);
            for kill in 0..4 {
                killed(next.spawn(), 50 + scattered(round * 4 + kill, longest));
                let has_begun = place.site.runs().iter().any(|run| run.file("run.json").exists());
                next = if has_begun { place.resume() } else { place.load(&["--concurrency", "3"]) };
            }
            let ended = next.run();
            assert!(matches!(ended.code, Some(0 | 3)), "{}", ended.all());
            let lines = place.site.newest_run().lines("rejected.jsonl");
            let id =
                |line: &Value| 200 * line["partition"].as_u64().unwrap() + line["offset"].as_u64().unwrap();
            let found: Vec<u64> = lines.iter().map(id).collect();
            assert_eq!(found.len(), bad.len(), "{} round {round}", place.kind());
            assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), bad);
            assert_eq!(place.rows(IDS).len() as u64, MESSAGES - bad.len() as u64);
        }
    }
}
