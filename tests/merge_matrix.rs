//! Every fault at every endpoint that a merge uses, at its first call, in the middle and at the last: nothing is
//! merged twice or without its backups, and a pair whose merge was lost waits for people.

use crate::support::{Merging, People};
use std::collections::BTreeSet;

/// Pairs of each run.
const PAIRS: u32 = 5;

/// Faults that pass.
const FAULTS: [&str; 9] = [
    "status=429,retry_after=0",
    "status=500",
    "status=503",
    "status=503,applied",
    "status=504,applied",
    "reset=before",
    "reset=after",
    "truncate",
    "html",
];

/// Whether a merge that meets this is not carried out, and its sender cannot know that.
fn loses_a_merge(fault: &str) -> bool {
    matches!(fault, "status=500" | "status=503" | "reset=before" | "html" | "hang=before")
}

/// Calls of an endpoint, or downloads.
fn calls(fixture: &Merging, endpoint: &str) -> u64 {
    match endpoint {
        "storage" => fixture.stats()["storage"].as_u64().unwrap(),
        endpoint => fixture.calls(endpoint),
    }
}

/// The calls that are broken, of so many.
fn places(endpoint: &str) -> BTreeSet<u64> {
    let whole = Merging::new(&People::of(PAIRS));
    whole.merge(&[]).run().exits(0);
    let calls = calls(&whole, endpoint);
    assert!(calls > 0, "{endpoint} is never called");
    [0, calls / 2, calls - 1].into()
}

/// Follows a run whose one merge was lost to the end: `resume` alone does not send it again.
fn resend(fixture: &Merging, what: &str) {
    let doubtful = |fixture: &Merging| {
        let states = fixture.assert_ended();
        let unknown: Vec<_> = states.values().filter(|(state, _)| state != "done").collect();
        assert_eq!(unknown, [&("unknown".to_owned(), Some("not-proven".to_owned()))], "{what}");
        assert_eq!(fixture.merges(), u64::from(PAIRS) - 1, "{what}");
    };
    doubtful(fixture);
    let sent = fixture.calls("rev-users.merge");
    fixture.resume(&[]).env("MERGE_SETTLE_TIMEOUT", "0.1").run().exits(3);
    doubtful(fixture);
    assert_eq!(fixture.calls("rev-users.merge"), sent, "{what}");
    fixture.resume(&["--resend-unproven"]).env("MERGE_SETTLE_TIMEOUT", "0.1").run().exits(0);
    assert_eq!(fixture.calls("rev-users.merge"), sent + 1, "{what}");
}

/// Breaks one call of an endpoint in every way, each time at three places.
fn matrix(endpoint: &str) {
    // A read that was carried out is no other than one that was not.
    let writes = matches!(endpoint, "rev-users.merge" | "rev-users.update");
    for place in places(endpoint) {
        for fault in FAULTS.iter().filter(|fault| writes || !fault.ends_with(",applied")) {
            let what = format!("{endpoint}, {fault} at {place}");
            let rule = format!("path={endpoint},after={place},count=1,{fault}");
            let fixture = Merging::broken(&People::of(PAIRS), [rule]);
            let ended = fixture.merge(&[]).env("MERGE_SETTLE_TIMEOUT", "0.2").run();
            let lost = endpoint == "rev-users.merge" && loses_a_merge(fault);
            assert_eq!(ended.code, Some(if lost { 3 } else { 0 }), "{what}: {}", ended.all());
            if lost {
                resend(&fixture, &what);
            }
            fixture.assert_all_done();
        }
    }
}

/// Lets a call of an endpoint hang, kills the program then, and continues.
fn hangs(endpoint: &str) {
    for place in places(endpoint) {
        for (hang, signal) in [("hang=before", "KILL"), ("hang=after", "KILL"), ("hang=before", "INT")] {
            let what = format!("{endpoint}, {hang} at {place}, {signal}");
            let fixture = Merging::broken(
                &People::of(PAIRS),
                [format!("path={endpoint},after={place},count=1,{hang}")],
            );
            let program = fixture.merge(&[]).env("MERGE_SETTLE_TIMEOUT", "0.2");
            let mut running = program.run_until(|| calls(&fixture, endpoint) > place);
            if running.has_ended() {
                // It had less to ask this time.
                running.wait().exits(0);
                fixture.assert_all_done();
                continue;
            }
            if signal == "KILL" {
                running.kill();
            } else {
                running.signal("INT");
                running.until_it_says("Press Ctrl-C again to quit now");
                running.signal("INT");
                running.wait().exits(130);
            }
            fixture.assert_merged();
            let lost = endpoint == "rev-users.merge" && loses_a_merge(hang);
            match fixture.runs().first() {
                Some(run) if run.file("run.json").exists() => {
                    let more: &[&str] = if lost { &["--resend-unproven"] } else { &[] };
                    let ended = fixture.resume(more).env("MERGE_SETTLE_TIMEOUT", "0.2").run();
                    // Killed between a step and its sending: as good as lost, too.
                    if ended.code == Some(3) {
                        fixture.assert_ended();
                        fixture.resume(&["--resend-unproven"]).run().exits(0);
                    } else {
                        assert_eq!(ended.code, Some(0), "{what}: {}", ended.all());
                    }
                }
                _ => drop(fixture.merge(&[]).run().exits(0)),
            }
            fixture.assert_all_done();
        }
    }
}

/// Breaks many calls in a row of an endpoint, and resumes until all is done.
fn for_a_while(endpoint: &str) {
    for fault in ["status=500", "reset=after", "truncate", "html", "status=401", "status=403"] {
        let what = format!("{endpoint}, {fault}");
        let spared = u8::from(endpoint != "dev-users.self");
        let rule = format!("path={endpoint},after={spared},count=9,{fault}");
        let fixture = Merging::broken(&People::of(PAIRS), [rule]);
        let quick = |program: crate::support::program::Program| {
            program.env("MERGE_SETTLE_TIMEOUT", "0.1").env("BREAKER_PROBES", "2").env("MAX_RETRIES", "1")
        };
        let mut ended = quick(fixture.merge(&["--concurrency", "2"])).run();
        let mut resumed = 0;
        while ended.code != Some(0) {
            assert!(matches!(ended.code, Some(3 | 4 | 7 | 12)), "{what}: {}", ended.all());
            assert!(resumed < 12, "{what}: {}", ended.all());
            fixture.assert_merged();
            resumed += 1;
            ended = quick(fixture.resume(&["--retry-failed", "--resend-unproven"])).run();
        }
        fixture.assert_all_done();
    }
}

macro_rules! endpoints {
    ($($name:ident => $endpoint:literal,)+) => {
        mod one_call {
            $(#[test] fn $name() { super::matrix($endpoint); })+
        }
        mod a_call_that_hangs {
            $(#[test] fn $name() { super::hangs($endpoint); })+
        }
        mod many_calls {
            $(#[test] fn $name() { super::for_a_while($endpoint); })+
        }
    };
}

endpoints! {
    dev_users_self => "dev-users.self",
    rev_users_list => "rev-users.list",
    rev_users_get => "rev-users.get",
    works_list => "works.list",
    conversations_list => "conversations.list",
    timeline_entries_list => "timeline-entries.list",
    artifacts_locate => "artifacts.locate",
    storage => "storage",
    rev_users_merge => "rev-users.merge",
    rev_users_update => "rev-users.update",
}
