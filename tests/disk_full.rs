//! A disk that fills up under the journal: no write after that, and a run that continues once there is room.

use crate::support::fixture::Trouble;
use crate::support::program::{BINARY, Program};
use crate::support::{Fixture, Org};

/// The program, with files limited to so many blocks of 512 bytes (of 1024 in some shells).
fn limited(fixture: &Fixture, blocks: u32) -> Program {
    let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"");
    fixture.prepare(Program::new("sh")).args(["-c", &script, BINARY])
}

#[test]
fn nothing_is_sent_that_the_journal_does_not_hold() {
    // Room for run.json, and for more and more of the journal.
    for blocks in [14, 20, 33, 60] {
        let fixture = Fixture::new(&Org::of(400));
        fixture.write(".env", "KEEP_INPUT_MAX=0\n");
        let program = limited(&fixture, blocks);
        let flags = ["backfill-groups", "--csv", "issues.csv", "--yes", "--batch-size", "10"];
        let ended = program.args(flags).run().exits(1);
        let run = fixture.the_run();
        let text = format!("cannot write the journal runs/{}/journal.jsonl", run.id());
        let ended = ended.says(&text).says("once there is room");
        assert!(fixture.writes() < 400, "{}", ended.all());
        fixture.assert_intents(&run);
        assert_eq!(run.manifest()["state"], "stopped");

        fixture.resume(&[]).run().exits(0);
        fixture.assert_right();
        run.assert_complete(400);
    }
}

#[test]
fn a_journal_that_cannot_take_its_first_records_is_taken_up_once_there_is_room() {
    let fixture = Fixture::new(&Org::of(400));
    fixture.write(".env", "KEEP_INPUT_MAX=0\n");
    let flags = ["backfill-groups", "--csv", "issues.csv", "--yes", "--batch-size", "400"];
    limited(&fixture, 14)
        .args(flags)
        .run()
        .exits(1)
        .says("cannot write the journal")
        .says("once there is room");
    let run = fixture.the_run();
    assert_eq!((fixture.writes(), run.lines("journal.jsonl").len()), (0, 0));
    fixture.resume(&[]).run().exits(0);
    fixture.assert_right();
    run.assert_complete(400);
}

#[test]
fn a_run_that_cannot_even_begin_sends_nothing() {
    let fixture = Fixture::new(&Org::of(10));
    let flags = ["backfill-groups", "--csv", "issues.csv", "--yes"];
    limited(&fixture, 0).args(flags).run().exits(1).says("cannot ");
    assert_eq!(fixture.stats()["total"], 0);
    std::fs::write(fixture.path("file"), "").unwrap();
    fixture.backfill(&["--runs-dir", "file/runs"]).run().exits(1).says("cannot make the folder");
    assert_eq!(fixture.stats()["total"], 0);
}

#[test]
fn what_could_not_be_written_is_not_pointed_at() {
    let hang = "path=works.update,hang=before,after=1,count=1";
    let mut fixture = Fixture::broken(&Org::of(3), [hang]);
    let running = fixture.backfill(&["--concurrency", "1"]).run_until(|| fixture.calls("works.update") >= 2);
    let run = fixture.the_run();
    let in_the_way = run.file("failed.csv");
    std::fs::create_dir(&in_the_way).unwrap();
    fixture.restart(&Trouble::faults(["path=works.update,status=409,count=1"]));
    let ended = running.wait().exits(3).says("warning: cannot write the result files in ");
    let ended = ended
        .says(&format!("next: to retry the failed rows as they are, run devrev-batch resume {}", run.id()));
    assert!(!ended.all().contains("failed.csv"), "{}", ended.all());
    std::fs::remove_dir(in_the_way).unwrap();
    fixture.resume(&["--retry-failed"]).run().exits(0);
    fixture.assert_right();
    run.assert_complete(3);
}
