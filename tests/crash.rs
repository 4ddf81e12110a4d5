//! SIGKILL at random moments, again and again: at the end every issue is right and was written once.

use crate::support::fixture::{Seen, Trouble};
use crate::support::program::Program;
use crate::support::{Fixture, Org, Run, eventually};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::time::Duration;

/// The series of random moments; any other number makes another.
const SEED: u64 = 7;

/// Most calls that a process gets to make before it is killed.
const CALLS: u64 = 36;
/// Milliseconds that the sandbox takes for an answer: what it has carried out by then, the process does not know.
const DELAY: u64 = 12;

/// Kills a run and its resumptions after a random number of calls, until it ends by itself or was killed so
/// often. `between` is called after each kill. Says how often it was killed.
fn kill_often(fixture: &Fixture, times: usize, mut between: impl FnMut(&mut StdRng)) -> usize {
    let mut random = StdRng::seed_from_u64(SEED);
    for killed in 0..times {
        let total = || fixture.stats()["total"].as_u64().unwrap();
        let last = total() + random.random_range(0..CALLS);
        let mut running = go_on(fixture).run_until(|| total() >= last);
        std::thread::sleep(Duration::from_millis(random.random_range(0..DELAY)));
        if running.has_ended() {
            running.wait().exits(0);
            return killed;
        }
        running.kill();
        until_quiet(fixture);
        between(&mut random);
        if let Some(run) = fixture.runs().first() {
            fixture.assert_intents(run);
        }
    }
    times
}

/// Begins the run, or resumes it.
fn go_on(fixture: &Fixture) -> Program {
    const SMALL: [&str; 2] = ["--batch-size", "20"];
    match fixture.runs().first() {
        Some(run) if run.file("journal.jsonl").exists() => {
            fixture.resume(&[&[run.id()], &SMALL[..]].concat())
        }
        // Killed before it could begin: nothing was sent, and there is nothing to resume.
        Some(run) => {
            std::fs::remove_dir_all(&run.0).unwrap();
            fixture.backfill(&SMALL)
        }
        None => fixture.backfill(&SMALL),
    }
}

/// Waits until the sandbox has carried out what a killed process had sent.
fn until_quiet(fixture: &Fixture) {
    let mut before = None;
    eventually("the sandbox to be quiet", || {
        std::thread::sleep(Duration::from_millis(2 * DELAY));
        let now = Some((fixture.stats()["total"].clone(), fixture.writes()));
        std::mem::replace(&mut before, now.clone()) == now
    });
}

/// The one run, taken to its end.
fn finish(fixture: &Fixture) -> Run {
    let run = fixture.the_run();
    let ended = fixture.resume(&[run.id()]).run();
    assert_eq!(ended.code, Some(0), "{}", ended.all());
    run
}

#[test]
fn killed_fifty_times_everything_is_done_once() {
    let rows = 1000;
    let fixture = Fixture::with(&Org::of(rows), &Trouble::delay(DELAY));
    let killed = kill_often(&fixture, 50, |_| ());
    // How often it is killed before it ends depends on the machine.
    assert!(killed >= 5, "it ended after {killed} kills: there is too little to do");
    let run = finish(&fixture);
    fixture.assert_right();
    assert!(fixture.issues().values().all(|issue| issue.writes == 1));
    fixture.assert_intents(&run);
    let results = run.assert_complete(u64::from(rows));
    for row in results.values() {
        assert_eq!(row.status, "done", "{row:?}");
    }
    // Kills did hit between a write and its outcome.
    let in_doubt = results.values().filter(|row| row.reason.starts_with("confirmed-by-reading")).count();
    assert!(in_doubt > 0);
}

#[test]
fn what_somebody_else_sets_between_two_kills_stays() {
    let rows = 300;
    let fixture = Fixture::with(&Org::of(rows), &Trouble::delay(DELAY));
    let mut theirs = Vec::new();
    kill_often(&fixture, 12, |random| {
        let number = random.random_range(1..=rows as usize);
        let id = format!("ISS-{number}");
        // One that was not written yet, and to a group that it would not get.
        if fixture.issues()[&id].writes == 0 {
            let group = fixture.org.right(number).unwrap() % 4 + 1;
            fixture.set_group(number, Some(group));
            theirs.push((id, Seen { group: Some(group), writes: 0 }));
        }
    });
    let run = finish(&fixture);
    assert!(!theirs.is_empty());
    let issues = fixture.issues();
    for (id, seen) in &theirs {
        assert_eq!(issues[id], *seen, "{id}");
    }
    run.assert_complete(u64::from(rows));
    let others = issues.iter().filter(|(id, _)| theirs.iter().all(|(theirs, _)| theirs != *id));
    for (id, seen) in others {
        assert_eq!(seen.writes, 1, "{id}");
    }
}

#[test]
fn an_api_that_dies_in_the_middle_of_writes() {
    let mut fixture = Fixture::with(&Org::of(200), &Trouble::delay(10));
    let running = fixture.backfill(&["--batch-size", "20", "--max-retries", "1"]);
    let running = running.env("BREAKER_PROBES", "2").run_until(|| fixture.writes() > 40);
    fixture.take_down();
    running.wait().exits(7);
    fixture.restart(&Trouble::none());
    fixture.resume(&["--retry-failed"]).run().exits(0);
    fixture.assert_right();
    fixture.the_run().assert_complete(200);
}

#[test]
fn a_run_whose_folder_is_taken_away_stops_before_its_next_write() {
    type Case = (&'static str, fn(&Run));
    let cases: [Case; 4] = [
        ("journal.jsonl", |run| std::fs::remove_file(run.file("journal.jsonl")).unwrap()),
        ("journal.jsonl", |run| {
            std::fs::remove_file(run.file("journal.jsonl")).unwrap();
            std::fs::write(run.file("journal.jsonl"), "").unwrap();
        }),
        ("journal.jsonl", |run| std::fs::rename(&run.0, run.0.with_file_name("moved")).unwrap()),
        ("lock", |run| std::fs::remove_file(run.file("lock")).unwrap()),
    ];
    for (file, take_away) in cases {
        let rows = 300;
        let fixture = Fixture::with(&Org::of(rows), &Trouble::delay(DELAY));
        let running = fixture.backfill(&["--batch-size", "20"]).run_until(|| fixture.writes() > 20);
        let run = fixture.the_run();
        let kept = Run(fixture.path("kept"));
        std::fs::create_dir(&kept.0).unwrap();
        std::fs::hard_link(run.file("journal.jsonl"), kept.file("journal.jsonl")).unwrap();
        take_away(&run);
        running.wait().exits(6).says(&format!("{file} was removed or replaced while run {}", run.id()));
        assert!(fixture.writes() < u64::from(rows));
        fixture.assert_intents(&kept);
    }
}
