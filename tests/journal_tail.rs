//! A journal that was cut anywhere: `resume` ends it right, and sends nothing that was sent before.

use crate::support::fixture::Trouble;
use crate::support::past::edit;
use crate::support::{Fixture, Org, Run};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::json;

/// Rows of the run.
const ROWS: u32 = 40;
/// Places at which its journal is cut.
const CUTS: usize = 60;

#[test]
fn a_journal_cut_at_any_byte_is_taken_up() {
    let fixture = Fixture::new(&Org::of(ROWS));
    fixture.write(".env", "KEEP_INPUT_MAX=0\n");
    fixture.backfill(&["--batch-size", "8"]).run().exits(0);
    let run = fixture.the_run();
    // What a crash leaves was not counted yet.
    edit(&run, "run.json", |manifest| {
        manifest["state"] = "running".into();
        (manifest["counts"], manifest["journal_bytes"]) = (json!({}), json!(0));
    });
    let (journal, manifest) = (std::fs::read(run.file("journal.jsonl")).unwrap(), run.file("run.json"));
    let mut random = StdRng::seed_from_u64(20_261_122);
    let mut cuts = vec![0, 1, journal.len() - 1];
    cuts.extend((3..CUTS).map(|_| random.random_range(0..journal.len())));
    for cut in cuts {
        let copy = Run(fixture.path("cut").join(run.id()));
        std::fs::create_dir_all(&copy.0).unwrap();
        std::fs::copy(&manifest, copy.file("run.json")).unwrap();
        let mut bytes = journal[..cut].to_vec();
        if random.random_bool(0.5) {
            // A file system may have kept the place of what it lost.
            bytes.extend(vec![0; random.random_range(1..200)]);
        }
        std::fs::write(copy.file("journal.jsonl"), bytes).unwrap();
        let ended = fixture.resume(&[run.id(), "--runs-dir", "cut"]).run();
        assert_eq!(ended.code, Some(0), "cut at {cut}: {}", ended.all());
        assert_eq!(fixture.writes(), u64::from(ROWS), "cut at {cut}: {}", ended.all());
        for row in copy.assert_complete(u64::from(ROWS)).values() {
            assert!(["done", "already"].contains(&row.status.as_str()), "cut at {cut}: {row:?}");
        }
        std::fs::remove_dir_all(&copy.0).unwrap();
    }
    fixture.assert_right();
}

#[test]
fn what_a_crash_tore_is_set_aside_and_told() {
    let mut fixture = Fixture::broken(&Org::of(ROWS), ["path=works.update,status=401,after=10,count=1"]);
    fixture.backfill(&["--batch-size", "8"]).run().exits(4);
    let run = fixture.the_run();
    let torn = "{\"seq\":99,\"at\":\"2026";
    let mut journal = std::fs::read(run.file("journal.jsonl")).unwrap();
    journal.extend(torn.as_bytes());
    std::fs::write(run.file("journal.jsonl"), journal).unwrap();
    fixture.restart(&Trouble::none());
    fixture.resume(&[]).run().exits(0).says("20 bytes at the end of the journal were torn by a crash");
    assert_eq!(std::fs::read_to_string(run.file("journal.torn")).unwrap(), torn);
    fixture.assert_right();
    run.assert_complete(u64::from(ROWS));
}

#[test]
fn a_journal_that_lost_what_it_had_is_not_taken_up() {
    let fixture = Fixture::broken(&Org::of(ROWS), ["path=works.update,status=401,after=10,count=1"]);
    fixture.backfill(&["--batch-size", "8"]).run().exits(4);
    let run = fixture.the_run();
    let (path, good) = (run.file("journal.jsonl"), std::fs::read(run.file("journal.jsonl")).unwrap());
    let calls = fixture.stats()["total"].clone();
    let half = good.iter().take(good.len() / 2).rposition(|byte| *byte == b'\n').unwrap() + 1;
    for (left, says) in [(0, "it had "), (half, "it had ")] {
        std::fs::write(&path, &good[..left]).unwrap();
        fixture.resume(&[run.id()]).run().exits(6).says("journal.jsonl has lost records").says(says);
    }
    // Killed before it could say how much there is.
    edit(&run, "run.json", |manifest| manifest["journal_bytes"] = json!(0));
    std::fs::write(&path, "").unwrap();
    fixture.resume(&[run.id()]).run().exits(6).says("it is empty, and records had been written to it");
    assert_eq!(fixture.stats()["total"], calls, "something was sent");
    std::fs::write(&path, good).unwrap();
    fixture.resume(&[]).run().exits(0);
    fixture.assert_right();
}
