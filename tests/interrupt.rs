//! Ctrl-C and SIGTERM: what was begun is ended or in doubt, all is saved, and `resume` continues.

use crate::support::fixture::Trouble;
use crate::support::program::{BINARY, Program};
use crate::support::{Fixture, Org};
use serde_json::json;

#[test]
fn a_signal_saves_the_run_and_resume_goes_on() {
    for (signal, code) in [("INT", 130), ("TERM", 143), ("HUP", 143)] {
        let mut fixture = Fixture::with(&Org::of(150), &Trouble::delay(20));
        let running = fixture.backfill(&["--batch-size", "10"]).run_until(|| fixture.writes() >= 15);
        running.signal(signal);
        let ended = running.wait().exits(code).says("not done yet");
        let run = fixture.the_run();
        let ended = ended.says(&format!("next: devrev-batch resume {}", run.id()));
        let manifest = run.manifest();
        assert_eq!((&manifest["state"], &manifest["exit_code"]), (&json!("interrupted"), &json!(code)));
        // What was in flight was awaited: nothing is in doubt, and nothing was lost.
        let done = run.results("success.csv").len() as u64;
        assert_eq!(manifest["counts"], json!({"done": done, "open": 150 - done}), "{}", ended.all());
        assert_eq!(fixture.writes(), done);
        fixture.assert_intents(&run);

        fixture.restart(&Trouble::none());
        fixture.resume(&[]).run().exits(0);
        fixture.assert_right();
        run.assert_complete(150);
    }
}

#[test]
fn a_second_signal_leaves_at_once_and_resume_settles_what_hangs() {
    for (first, second, when, code) in [
        ("INT", "INT", "after", 130),
        ("INT", "INT", "before", 130),
        ("TERM", "INT", "after", 130),
        ("INT", "TERM", "before", 143),
    ] {
        let hang = format!("path=works.update,hang={when},after=10,count=3");
        let mut fixture = Fixture::broken(&Org::of(40), [hang]);
        let reached = || fixture.calls("works.update") >= 40;
        let running = fixture.backfill(&[]).run_until(reached);
        running.signal(first);
        running.until_it_says("Press Ctrl-C again to quit now");
        running.signal(second);
        running.wait().exits(code);
        let run = fixture.the_run();
        fixture.assert_intents(&run);
        fixture.restart(&Trouble::none());
        fixture.resume(&[]).run().exits(0);
        fixture.assert_right();
        run.assert_complete(40);
    }
}

#[test]
fn a_signal_before_the_first_write() {
    let mut fixture = Fixture::broken(&Org::of(20), ["path=groups.list,hang"]);
    let running = fixture.backfill(&[]).run_until(|| fixture.calls("groups.list") > 0);
    running.signal("INT");
    running.until_it_says("Press Ctrl-C again to quit now");
    running.signal("INT");
    running.wait().exits(130);
    fixture.restart(&Trouble::none());
    fixture.resume(&[]).run().exits(0);
    fixture.assert_right();
}

#[test]
fn a_signal_while_everything_waits_for_the_rate_limit() {
    let fixture = Fixture::new(&Org::of(50));
    // The groups are known: the three calls that go out ask for the user, the schema and the issues.
    fixture.backfill(&["--limit", "1"]).run().exits(0);
    let before = fixture.stats()["total"].as_u64().unwrap();
    let flags = ["--rate-limit-calls", "3", "--rate-limit-period", "600"];
    let has_intents = || fixture.runs().iter().any(|run| run.intents().len() >= 49);
    let running = fixture.backfill(&flags).run_until(has_intents);
    assert_eq!(fixture.stats()["total"], before + 3);
    running.signal("INT");
    running.wait().exits(130);
    let run = fixture.runs().into_iter().find(|run| run.manifest()["state"] == "interrupted").unwrap();
    assert_eq!(run.manifest()["counts"], json!({"already": 1, "open": 49}));
    fixture.resume(&[]).run().exits(0);
    fixture.assert_right();
    run.assert_complete(50);
}

#[cfg(target_os = "linux")]
#[test]
fn a_terminal_that_is_closed_does_not_end_a_run_under_nohup() {
    let fixture = Fixture::with(&Org::of(60), &Trouble::delay(10));
    let script = "trap '' HUP; exec \"$0\" \"$@\"";
    let program = fixture.prepare(Program::new("sh")).args(["-c", script, BINARY]);
    let flags = ["backfill-groups", "--csv", "issues.csv", "--yes", "--batch-size", "5"];
    let running = program.args(flags).run_until(|| fixture.writes() >= 5);
    running.signal("HUP");
    running.wait().exits(0);
    fixture.assert_right();
}
