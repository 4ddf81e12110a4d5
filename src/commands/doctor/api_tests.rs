//! What the answers' headers come to.

// Optional as the client tells them.
#![allow(clippy::unnecessary_wraps)]

use super::*;
use crate::report::doctor::State;
use std::num::NonZeroU32;

const NOW: SystemTime = SystemTime::UNIX_EPOCH;

fn heard(limit: u64, remaining: u64, seconds: u64) -> Option<Heard> {
    Some(Heard {
        limit: Some(limit),
        remaining: Some(remaining),
        resets_in: Some(Duration::from_secs(seconds)),
        server_time: None,
        at: NOW,
    })
}

fn rate(calls: u32, seconds: u64) -> Option<Rate> {
    Some(Rate { calls: NonZeroU32::new(calls).unwrap(), period: Duration::from_secs(seconds) })
}

#[test]
fn the_configured_rate_is_held_against_devrevs_limit() {
    // 1500 calls in 5 minutes: 50 in 10 s just keep it.
    let fits = rate_limit(heard(1500, 1490, 300), heard(1500, 1480, 298), rate(50, 10), false);
    assert_eq!(fits.state, State::Ok, "{fits:?}");
    assert_eq!(
        fits.found,
        "1480 of 1500 calls are left in DevRev's window, which ends in 298 s; configured: 50 calls in 10 s"
    );
    let over = rate_limit(heard(1000, 990, 302), heard(1000, 980, 290), rate(50, 10), false);
    assert_eq!(over.state, State::Warning);
    assert!(over.todo.unwrap().starts_with("set RATE_LIMIT_CALLS to 33 at most (in 10 s)"));
    // A window may have begun long ago: what is left of it says too little.
    for late in [heard(1000, 900, 20), heard(1000, 900, 1), heard(1000, 900, 0)] {
        assert_eq!(rate_limit(late, late, rate(50, 10), false).state, State::Ok);
    }
    // 1000 in 20 s, if the window is no longer than that.
    let slow = rate_limit(heard(1000, 900, 22), heard(1000, 899, 22), rate(50, 10), false);
    assert_eq!(slow.state, State::Ok);
    assert!(slow.todo.unwrap().starts_with("a run could be 10 times as fast: RATE_LIMIT_CALLS=auto"));
    let auto = rate_limit(heard(1000, 900, 22), heard(1000, 899, 22), rate(50, 10), true);
    assert_eq!((auto.state, auto.todo), (State::Ok, None));
    // One call in a window is the least that can be said.
    let least = rate_limit(heard(1, 1, 300), heard(1, 1, 300), rate(50, 10), false);
    assert!(least.todo.unwrap().contains("to 1 at most"));
}

#[test]
fn a_limit_that_is_nearly_used_up_or_not_told() {
    let low = rate_limit(heard(1000, 100, 100), heard(1000, 99, 100), rate(1, 10), false);
    assert!(low.state == State::Warning && low.todo.unwrap().starts_with("wait"));
    let none = rate_limit(None, None, None, false);
    assert_eq!(none.state, State::NotChecked);
    assert_eq!(none.found, "DevRev's answers name no limit; configured: no limit but DevRev's");
    let most =
        rate_limit(heard(u64::MAX, u64::MAX, 330), heard(u64::MAX, u64::MAX, 330), rate(50, 10), false);
    assert_eq!(most.state, State::Ok);
    assert_eq!(rate_limit(heard(0, 0, 5), heard(0, 0, 5), None, false).state, State::Warning);
}

#[test]
fn clocks_are_compared() {
    let apart = |local: u64, server: u64| {
        let time = |seconds| NOW + Duration::from_secs(seconds);
        let told = Heard { server_time: Some(time(server)), at: time(local), ..heard(1, 1, 1).unwrap() };
        let check = clock(Some(told));
        (check.state, check.found)
    };
    assert_eq!(apart(101, 100), (State::Ok, "agrees with DevRev's".to_owned()));
    assert_eq!(apart(100, 130), (State::Ok, "30 s behind DevRev's".to_owned()));
    assert_eq!(apart(131, 100), (State::Warning, "31 s ahead of DevRev's".to_owned()));
    assert_eq!(apart(0, 99_999_999), (State::Warning, "99999999 s behind DevRev's".to_owned()));
    assert_eq!(clock(heard(1, 1, 1)).state, State::NotChecked);
    assert_eq!(clock(None).state, State::NotChecked);
}
