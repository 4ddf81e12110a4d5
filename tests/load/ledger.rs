//! `load ledger`, and what two processes find in the ledger that load the same at one moment.

use super::place::Place;
use super::{KEY, job, site};
use crate::support::program::Ended;
use crate::support::site::Trouble;
use std::fmt::Write as _;

/// A job of three files.
fn files(place: &Place, mode: &str) {
    place.run("CREATE TABLE t (id int PRIMARY KEY, name text)");
    for part in 1..=3 {
        place.site.write(
            &format!("part-{part}.jsonl"),
            format!("{{\"id\":{part},\"name\":\"a\"}}\n{{\"id\":{},\"name\":\"b\"}}\n", part + 10),
        );
    }
    let target = place.target(&format!("table: t, {mode}"));
    place.site.write(
        "job.yaml",
        format!("version: 1\njob_name: parts\nsource: {{jsonl: {{path: 'part-*.jsonl'}}}}\n{target}"),
    );
}

#[test]
fn slices_are_listed_and_forgotten() {
    for place in Place::each() {
        files(&place, "key: [id]");
        let part = |part: u8| place.site.path(format!("part-{part}.jsonl")).display().to_string();
        let list =
            |more: &[&str]| place.program(&["load", "ledger", "list", "job.yaml"]).args(more).run().exits(0);
        let forget =
            |more: &[&str]| place.program(&["load", "ledger", "forget", "job.yaml"]).args(more).run();
        list(&[]).says("nothing of load parts is in the ledger");
        forget(&["--all", "--yes"]).exits(0).says("nothing of load parts");
        place.load(&[]).run().exits(0);
        let run = place.site.newest_run().id().to_owned();
        list(&[]).says("part-2.jsonl").says(&run).says("3 slices, 6 records of load parts");
        let listed = list(&["--json"]).json();
        let slices = listed["slices"].as_array().unwrap();
        assert_eq!((slices.len(), &listed["load"]), (3, &"parts".into()));
        assert_eq!((&slices[0]["records"], &slices[0]["run"]), (&2.into(), &run.as_str().into()));
        assert!(
            slices[0]["time"].as_str().unwrap().starts_with("20") && slices[0]["open"] == false,
            "{listed}"
        );
        forget(&["--slice", &part(2)]).exits(14);
        forget(&["--slice", &part(9), "--yes"]).exits(2).says("no such slice").says("did you mean");
        forget(&["--yes"]).exits(2).says("--slice");
        forget(&["--slice", &part(2), "--slice", &part(1), "--all", "--yes"]).exits(2);
        assert_eq!(place.ledger().len(), 3);
        forget(&["--slice", &part(2), "--yes"])
            .exits(0)
            .says("1 slice removed from the ledger")
            .says("The records stay");
        assert_eq!(place.ledger(), [part(1), part(3)]);
        assert_eq!(place.rows("SELECT CAST(count(*) AS text) FROM t"), ["6"]);
        place.load(&[]).run().exits(0).says("2 records loaded");
        forget(&["--all", "--yes", "--json"]).exits(0).says("\"removed\":3");
        assert!(place.ledger().is_empty());
        place.site.program(["load", "ledger", "list", "nosuch.yaml"]).run().exits(2).says("nosuch.yaml");
    }
    let place = Place::sqlite();
    files(&place, "mode: append");
    place.load(&[]).run().exits(0);
    place
        .program(&["load", "ledger", "forget", "job.yaml", "--all", "--yes"])
        .run()
        .exits(0)
        .says("SECOND TIME");
}

/// Two jobs that are not the same, at one moment: whatever either has loaded, the other has not.
fn at_once(place: &Place, name: &str, one: &str, other: &str) {
    let write = |file: &str, change: &str| {
        let (from, to) = change.split_once("=>").unwrap();
        let target = place.target("table: prices, key: [symbol, day], create: true");
        let text = job(&place.site, |text| {
            assert!(text.contains(from));
            let (start, rest) = text.split_once("target:\n").unwrap();
            let (_, checks) = rest.split_once("checks:\n").unwrap();
            let checks =
                checks.split('\n').filter(|line| !line.starts_with(' ')).collect::<Vec<_>>().join("\n");
            format!("{}{target}{checks}", start.replace(from, to))
        });
        place.site.write(file, text);
    };
    write("one.yaml", one);
    write("other.yaml", other);
    let run = |file: &str, runs: &str| {
        place
            .program(&["load", file, "--yes", "--runs-dir", runs, "--concurrency", "4"])
            .env("PRICES_API_KEY", KEY)
            .spawn()
    };
    let (one, other) = (run("one.yaml", "a"), run("other.yaml", "b"));
    // Whoever has waited too long for the other's transaction tries again.
    let settled = |mut ended: Ended, runs: &str| {
        for _ in 0..50 {
            if ended.code != Some(7) {
                break;
            }
            ended = place.program(&["resume", "--latest", "--yes", "--runs-dir", runs]).run();
        }
        ended
    };
    let (one, other) = (one.wait(), other.wait());
    let (one, other) = (settled(one, "a"), settled(other, "b"));
    let codes = [one.code, other.code];
    assert!(codes.contains(&Some(6)), "{name}: {}\n{}", one.all(), other.all());
    assert!(codes.iter().all(|code| matches!(code, Some(0 | 6))), "{name}: {}\n{}", one.all(), other.all());
    // No slice lies over another, and the records of each are those of its own job.
    let mut ends = String::new();
    let mut names = place.ledger();
    names.sort();
    for name in &names {
        let (symbol, range) = name.split_once(' ').unwrap();
        let (start, end) = range.split_once("..").unwrap();
        let before = ends.lines().last().unwrap_or_default().to_owned();
        assert!(
            before.is_empty() || before <= format!("{symbol} {start}"),
            "{name} lies over {before}: {names:?}"
        );
        let _ = writeln!(ends, "{symbol} {end}");
    }
    let counted = place.rows("SELECT CAST(count(*) AS text) FROM prices");
    let known = place.rows("SELECT CAST(sum(rows) AS text) FROM _devrev_batch_loads");
    assert_eq!(counted, known, "{name}");
}

#[test]
fn two_processes_with_other_boundaries_do_not_load_over_each_other() {
    for round in 0..3 {
        for mut place in Place::each() {
            place.site = site(&Trouble::delay(5 + round));
            at_once(&place, "boundaries", "step: 30d=>step: 30d", "step: 30d=>step: 20d");
        }
    }
}

#[test]
fn two_processes_with_other_jobs_notice_each_other() {
    for mut place in Place::each() {
        place.site = site(&Trouble::delay(5));
        at_once(
            &place,
            "transform",
            "close, volume=>close, volume",
            "close, volume=>close: (.close * 2), volume",
        );
    }
}

#[test]
fn records_that_are_a_key_alone_count_when_they_come_again() {
    for place in Place::each() {
        place.run("CREATE TABLE t (id bigint PRIMARY KEY)");
        place.site.write("in.jsonl", "{\"id\":1}\n{\"id\":2}\n");
        let target = place.target("table: t, key: [id]");
        place.site.write(
            "job.yaml",
            format!("version: 1\njob_name: j\nundo: true\nsource: {{jsonl: {{path: in.jsonl}}}}\n{target}"),
        );
        place.load(&[]).run().exits(0).says("2 records loaded");
        place.load(&["--reload"]).run().exits(0).says("2 records loaded");
        place.undo(&place.site.newest_run(), &[]).run().exits(0);
        assert_eq!(place.rows("SELECT CAST(id AS text) FROM t ORDER BY id"), ["1", "2"], "{}", place.kind());
    }
}
