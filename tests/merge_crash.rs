//! SIGKILL at random moments, again and again: at the end every pair is merged, and was merged once.

use crate::support::fixture::Trouble;
use crate::support::program::Program;
use crate::support::{Merging, People, Run, eventually};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::time::Duration;

/// After which call a process is killed: one of so many to an endpoint.
const MOMENTS: [(&str, u64); 7] = [
    ("*", 80),
    ("artifacts.locate", 10),
    ("rev-users.merge", 8),
    ("rev-users.merge", 2),
    ("rev-users.get", 12),
    ("rev-users.update", 8),
    ("works.list", 5),
];
/// Milliseconds that the sandbox takes for an answer: what it has carried out by then, the process does not know.
const DELAY: u64 = 4;
/// Pairs of each world.
const PAIRS: u32 = 40;

/// Begins the run, or resumes it.
fn go_on(fixture: &Merging, more: &[&str]) -> Program {
    match fixture.runs().first() {
        Some(run) if run.file("run.json").exists() => fixture.resume(&[&[run.id()], more].concat()),
        // Killed before it could begin: nothing was sent, and there is nothing to resume.
        Some(run) => {
            std::fs::remove_dir_all(&run.0).unwrap();
            fixture.merge(&[])
        }
        None => fixture.merge(&[]),
    }
}

/// Waits until the sandbox has carried out what a killed process had sent.
fn until_quiet(fixture: &Merging) {
    let mut before = None;
    eventually("the sandbox to be quiet", || {
        std::thread::sleep(Duration::from_millis(2 * DELAY));
        let now = Some(fixture.stats());
        std::mem::replace(&mut before, now.clone()) == now
    });
}

/// Calls of an endpoint; of all with the downloads for `*`.
fn calls(fixture: &Merging, endpoint: &str) -> u64 {
    let stats = fixture.stats();
    match endpoint {
        "*" => stats["total"].as_u64().unwrap() + stats["storage"].as_u64().unwrap(),
        endpoint => stats["calls"][endpoint].as_u64().unwrap_or(0),
    }
}

/// Kills a run and its resumptions until it ends. Returns how often it was killed.
fn kill_until_it_ends(fixture: &Merging, random: &mut StdRng) -> u32 {
    let mut killed = 0;
    loop {
        // Most calls are those of backups; the moments that matter are the others.
        let (endpoint, most) = MOMENTS[random.random_range(0..MOMENTS.len())];
        let last = calls(fixture, endpoint) + random.random_range(1..=most);
        // What was perhaps never sent is sent by another process, once all that can be seen says so.
        let more: &[&str] = if killed % 2 == 0 { &[] } else { &["--resend-unproven"] };
        let mut running = go_on(fixture, more).run_until(|| calls(fixture, endpoint) >= last);
        std::thread::sleep(Duration::from_millis(random.random_range(0..3 * DELAY)));
        if running.has_ended() {
            running.wait();
            return killed;
        }
        running.kill();
        killed += 1;
        until_quiet(fixture);
        if killed % 4 == 0 {
            fixture.assert_merged();
        }
    }
}

/// Kills runs of worlds whose merges go so, until so many were killed; each run is taken to its end.
fn kill_often(seed: u64, times: u32, merge: &str) {
    let mut random = StdRng::seed_from_u64(seed);
    let (mut killed, mut unanswered, mut backed_up_again) = (0, 0, 0);
    while killed < times {
        let fixture = Merging::with(&People::of(PAIRS), &Trouble::delay(DELAY).merge(merge));
        killed += kill_until_it_ends(&fixture, &mut random);
        let run = fixture.the_run();
        let ended = fixture.resume(&[run.id(), "--resend-unproven"]).run();
        assert_eq!(ended.code, Some(0), "{}", ended.all());
        fixture.assert_all_done();
        for entry in std::fs::read_dir(fixture.path("backups")).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            assert!(!name.starts_with(".partial-"), "{name} was left");
        }
        let pairs = run.pairs();
        unanswered += pairs.values().filter(|pair| pair.count("acknowledged") == 0).count();
        backed_up_again += pairs.values().filter(|pair| pair.count("backed-up") > 1).count();
    }
    // Kills did hit between a merge and its answer, and between its steps.
    assert!(unanswered > 0 && backed_up_again > 0, "{unanswered}, {backed_up_again}");
}

#[test]
fn secondaries_are_gone() {
    kill_often(1, 25, "delay=30,ends=gone");
}

#[test]
fn secondaries_have_moved() {
    kill_often(2, 25, "delay=30,ends=moved,ref_delay=20");
}

#[test]
fn secondaries_are_deleted() {
    kill_often(3, 25, "delay=30,ends=deleted,ref_delay=20");
}

#[test]
fn secondaries_show_their_identity() {
    kill_often(4, 25, "delay=30,ends=identity,ref_delay=20");
}

#[test]
fn merges_stop_when_the_folder_of_their_run_is_gone() {
    let fixture = Merging::with(&People::of(PAIRS), &Trouble::delay(DELAY));
    let running = fixture.merge(&[]).run_until(|| fixture.calls("rev-users.merge") > 0);
    let run = fixture.the_run();
    let moved = Run(fixture.path("moved"));
    std::fs::rename(&run.0, &moved.0).unwrap();
    running.wait().exits(6).says("was removed or replaced while run");
    let recorded: usize = moved.pairs().values().map(|pair| pair.count("merging")).sum();
    let sent = fixture.calls("rev-users.merge");
    assert!(sent <= recorded as u64 && sent < u64::from(PAIRS), "{sent} sent, {recorded} recorded");
    // Put back, it is taken up.
    std::fs::rename(&moved.0, &run.0).unwrap();
    let ended = fixture.resume(&[run.id(), "--resend-unproven"]).run();
    assert!(matches!(ended.code, Some(0 | 3)), "{}", ended.all());
    fixture.assert_merged();
}
