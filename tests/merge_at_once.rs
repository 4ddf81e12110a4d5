//! Merges and other processes: another run at the same time, and signals while a merge settles.

use crate::support::fixture::Trouble;
use crate::support::program::Running;
use crate::support::{Merging, People};
use std::collections::BTreeSet;

#[test]
fn two_runs_at_once_do_not_send_a_merge_twice() {
    for delay in [2, 20] {
        let fixture = Merging::with(&People::of(8), &Trouble::delay(delay).merge("delay=300"));
        let program = || fixture.merge(&[]).env("MERGE_SETTLE_TIMEOUT", "5");
        let ended = [program().spawn(), program().spawn()].map(Running::wait);
        fixture.assert_merged();
        // One of them has to give way; where each sees the other, both do.
        assert!(ended.iter().any(|ended| ended.code == Some(11)), "{}{}", ended[0].all(), ended[1].all());
        // One that gave way has never begun, and is gone.
        if fixture.runs().is_empty() {
            program().run().exits(0);
        }
        for run in fixture.runs() {
            fixture.resume(&[run.id()]).run().exits(0);
            run.assert_complete(18);
        }
        fixture.assert_merged();
        assert_eq!(fixture.merges(), 8);
    }
}

#[test]
fn a_run_waits_for_another_one_also_when_it_is_resumed() {
    let hang = "path=rev-users.merge,hang=before,count=2";
    let fixture = Merging::broken(&People::of(2), ["path=works.list,status=401,count=1", hang]);
    fixture.merge(&[]).run().exits(4);
    let first = fixture.the_run();
    let reached = || fixture.calls("rev-users.merge") == 2;
    let second = fixture.merge(&[]).run_until(reached);
    let runs = fixture.runs();
    let other = runs.iter().find(|run| run.id() != first.id()).unwrap();
    let sent = fixture.calls("rev-users.merge");
    let says = format!("run {} (runs/{}) is merging contacts in this organisation", other.id(), other.id());
    fixture.resume(&[first.id()]).run().exits(11).says(&says);
    // A preview disturbs nobody.
    fixture.quick(["merge-contacts", "--csv", "contacts.csv", "--preview"]).run().exits(0);
    second.kill();
    assert_eq!(fixture.calls("rev-users.merge"), sent);
    // Now it may continue, with all but what the other one left in doubt.
    fixture.resume(&[first.id()]).run().exits(3).says("in-doubt-elsewhere");
    fixture.assert_merged();
}

#[test]
fn a_signal_while_merges_settle_leaves_them_in_doubt_and_resume_proves_them() {
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        let fixture = Merging::with(&People::of(6), &Trouble::none().merge("delay=900"));
        let program = fixture.merge(&[]).env("MERGE_SETTLE_TIMEOUT", "30");
        let running = program.run_until(|| fixture.merges() >= 6);
        running.signal(signal);
        running.wait().exits(code).says("interrupted");
        fixture.assert_merged();
        fixture.resume(&[]).env("MERGE_SETTLE_TIMEOUT", "30").run().exits(0);
        fixture.assert_all_done();
        assert_eq!(fixture.calls("rev-users.merge"), 6);
    }
}

/// A limit that lets few pairs begin, and the calls of a whole small run through without a wait.
const LOW_LIMIT: [&str; 4] = ["--rate-limit-calls", "2000", "--rate-limit-period", "3600"];

#[test]
fn under_a_limit_the_first_pair_is_done_before_others_begin_and_few_wait_to_be_sent() {
    let fixture = Merging::new(&People::of(40));
    fixture.merge(&LOW_LIMIT).run().exits(0);
    fixture.assert_all_done();
    let (mut unsent, mut most, mut done) = (BTreeSet::new(), 0, 0);
    for line in fixture.the_run().lines("journal.jsonl") {
        let row = line["row"].as_u64().unwrap();
        match line["data"]["step"].as_str() {
            Some("backed-up") => {
                assert!(
                    done > 0 || unsent.is_empty(),
                    "row {row} is backed up before the first pair is done"
                );
                unsent.insert(row);
            }
            Some("merging") => drop(unsent.remove(&row)),
            _ => {}
        }
        most = most.max(unsent.len());
        done += u64::from(line["state"] == "done");
    }
    assert_eq!(done, 40);
    assert!((2..=8).contains(&most), "{most} pairs were backed up and not sent");
}
