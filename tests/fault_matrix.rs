//! Every fault at every endpoint, at its first call, in the middle and at the last: the end is right, no
//! issue is written twice, and no row is called done that is not.

use crate::support::fixture::Trouble;
use crate::support::{Fixture, Org};
use std::collections::BTreeSet;

/// Rows of each run.
const ROWS: u32 = 12;

/// Faults that pass.
const FAULTS: [&str; 8] = [
    "status=429,retry_after=0",
    "status=500",
    "status=503,applied",
    "reset=before",
    "reset=after",
    "truncate",
    "html",
    "status=504,applied",
];

/// Breaks one call of an endpoint in every way, each time at three places.
fn matrix(endpoint: &str) {
    // Where lists are refused, issues are read one by one.
    let always: Vec<String> = match endpoint {
        "works.get" => vec!["path=works.list,status=403".to_owned()],
        _ => Vec::new(),
    };
    let whole = Fixture::broken(&Org::of(ROWS), always.clone());
    whole.backfill(&["--batch-size", "4"]).run().exits(0);
    let calls = whole.calls(endpoint);
    assert!(calls > 0, "{endpoint} is never called");
    let places: BTreeSet<u64> = [0, calls / 2, calls - 1].into();
    for fault in FAULTS {
        for place in &places {
            let mut faults = always.clone();
            faults.push(format!("path={endpoint},after={place},count=1,{fault}"));
            let fixture = Fixture::broken(&Org::of(ROWS), faults);
            let ended = fixture.backfill(&["--batch-size", "4"]).run();
            assert_eq!(ended.code, Some(0), "{endpoint}, {fault} at {place}: {}", ended.all());
            fixture.assert_right();
            let run = fixture.the_run();
            fixture.assert_intents(&run);
            for row in run.assert_complete(u64::from(ROWS)).values() {
                assert_eq!(row.status, "done", "{endpoint}, {fault} at {place}: {row:?}");
            }
        }
    }
}

#[test]
fn dev_users_self() {
    matrix("dev-users.self");
}

#[test]
fn groups_list() {
    matrix("groups.list");
}

#[test]
fn groups_members_list() {
    matrix("groups.members.list");
}

#[test]
fn works_list() {
    matrix("works.list");
}

#[test]
fn works_get() {
    matrix("works.get");
}

#[test]
fn works_update() {
    matrix("works.update");
}

#[test]
fn a_fault_that_stays_leaves_a_run_that_resume_finishes() {
    for endpoint in ["dev-users.self", "groups.list", "groups.members.list", "works.list", "works.update"] {
        for fault in ["status=500", "reset=after", "truncate", "html", "status=401", "status=403"] {
            let mut fixture = Fixture::broken(&Org::of(ROWS), [format!("path={endpoint},{fault}")]);
            let ended = fixture.backfill(&["--batch-size", "4", "--max-retries", "1"]).run();
            fixture.restart(&Trouble::none());
            let run = fixture.the_run();
            // Whatever was called done is.
            for row in run.all_results().values().filter(|row| row.status == "done") {
                let issue = fixture.issues()[std::str::from_utf8(&row.fields[0]).unwrap()];
                assert_eq!(issue.writes, 1, "{endpoint}, {fault}: {row:?}, {}", ended.all());
            }
            fixture.resume(&[run.id(), "--retry-failed"]).run().exits(0);
            fixture.assert_right();
            run.assert_complete(u64::from(ROWS));
        }
    }
}
