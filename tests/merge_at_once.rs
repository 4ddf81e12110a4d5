//! Merges and other processes: another run at the same time, and signals while a merge settles.

use crate::support::fixture::Trouble;
use crate::support::program::Running;
use crate::support::{Merging, People};

#[test]
fn two_runs_at_once_do_not_send_a_merge_twice() {
    for delay in [2, 20] {
        let fixture = Merging::with(&People::of(8), &Trouble::delay(delay).merge("delay=300"));
        let program = || fixture.merge(&[]).env("MERGE_SETTLE_TIMEOUT", "5");
        let ended = [program().spawn(), program().spawn()].map(Running::wait);
        fixture.assert_merged();
        // One of them has to give way; where each sees the other, both do.
        assert!(ended.iter().any(|ended| ended.code == Some(11)), "{}{}", ended[0].all(), ended[1].all());
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
    // Now it may go on, with all but what the other one left in doubt.
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
