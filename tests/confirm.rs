//! Writing to a real DevRev asks first: off a terminal, `--yes` is the answer.

use crate::support::{Fixture, Org};

#[test]
fn off_a_terminal_and_without_yes_nothing_is_sent() {
    let fixture = Fixture::new(&Org::of(3));
    let run = fixture.program(["backfill-groups", "--csv", "issues.csv"]);
    run.stdin("y\n").run().exits(14).says("--yes");
    assert_eq!(fixture.stats()["total"], 0);
    assert!(fixture.runs().is_empty());
}

#[test]
fn resume_asks_as_well() {
    let fixture = Fixture::broken(&Org::of(30), ["path=works.update,status=401,count=1"]);
    fixture.backfill(&[]).run().exits(4);
    let calls = fixture.stats()["total"].clone();
    fixture.program(["resume"]).run().exits(14).says("--yes");
    assert_eq!(fixture.stats()["total"], calls);
    fixture.resume(&[]).run().exits(0);
    fixture.assert_right();
}

#[test]
fn a_dry_run_and_the_sandbox_need_no_answer() {
    let fixture = Fixture::new(&Org::of(3));
    for flag in ["--dry-run", "--sandbox"] {
        // The rows are not those of the built-in sandbox: they fail there, but not for want of an answer.
        let code = if flag == "--dry-run" { 0 } else { 3 };
        let input = format!("{}ISS-999999,DEVU-1,GROUP-1,\n", crate::support::org::HEADER);
        let input = if flag == "--dry-run" { fixture.org.csv() } else { input };
        fixture.write("issues.csv", input);
        fixture.program(["backfill-groups", "--csv", "issues.csv", flag]).run().exits(code);
    }
    assert_eq!(fixture.writes(), 0);
}
