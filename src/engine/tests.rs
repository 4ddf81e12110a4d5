//! The engine with jobs made for the purpose: what it promises whatever a job does.

use super::config::{Config, How, Mode};
use super::event::{Event, Tally};
use super::job::{Applied, Applier, Asked, NoApplier, Planner, Steps, Task, Verdict};
use super::limits::{Limits, MaxErrors};
use super::run::run;
use crate::exit::{Exit, Failure};
use crate::journal::record::{Outcome, State};
use crate::journal::replay::Replay;
use crate::journal::run_dir::RunDir;
use crate::journal::writer::Journal;
use crate::stop::{Cause, Stop};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::mpsc;

/// Changes odd items, finds even ones right.
struct OddOnes;

impl Planner for OddOnes {
    type Item = u64;
    type Change = u64;

    async fn prepare(&mut self, batch: Vec<Asked<u64>>) -> Result<Vec<Verdict<u64>>, Failure> {
        let verdict = |asked: Asked<u64>| match asked.item {
            13 => Err(Failure::new(Exit::Credentials, "unlucky")),
            item if item % 2 == 1 => Ok(Verdict::Change(item)),
            _ => Ok(Verdict::Settled(Outcome::of(State::Already, "even", ""))),
        };
        batch.into_iter().map(verdict).collect()
    }
}

/// What the applier does with an item.
type Act = fn(u64) -> Applied;

struct Acts {
    act: Act,
    journal: std::path::PathBuf,
    at_once: AtomicUsize,
    most_at_once: AtomicUsize,
    applied: AtomicUsize,
}

impl Applier<u64> for Acts {
    async fn apply(&self, change: u64, steps: Steps) -> Applied {
        let at_once = self.at_once.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_at_once.fetch_max(at_once, Ordering::SeqCst);
        self.applied.fetch_add(1, Ordering::SeqCst);
        let written = std::fs::read_to_string(&self.journal).unwrap();
        let intent = format!("\"type\":\"intent\",\"row\":{change},");
        assert!(written.contains(&intent), "{intent} is not in {written}");
        tokio::task::yield_now().await;
        steps.record(&change).await.unwrap();
        let applied = (self.act)(change);
        self.at_once.fetch_sub(1, Ordering::SeqCst);
        if change == 999 { std::future::pending().await } else { applied }
    }
}

struct Ran {
    how: How,
    tally: Tally,
    replay: Replay,
    events: BTreeMap<u64, &'static str>,
    acts: Arc<Acts>,
}

const LIMITS: Limits = Limits { max_errors: None, max_batch_failures: 100, max_same_failures: 0 };

fn config(limits: Limits, max_changes: Option<u64>) -> Config {
    let grace = Duration::from_millis(50);
    Config {
        batch_size: 10,
        first_batch: 10,
        concurrency: 3,
        limits,
        max_changes,
        open_batches: 4,
        record_each: false,
        grace,
    }
}

async fn ran(limits: Limits, rows: impl Iterator<Item = u64> + Send + 'static, act: Act, stop: Stop) -> Ran {
    ran_with(config(limits, None), rows, act, stop).await
}

async fn ran_with(
    config: Config,
    rows: impl Iterator<Item = u64> + Send + 'static,
    act: Act,
    stop: Stop,
) -> Ran {
    let folder = tempfile::tempdir().unwrap();
    let run_dir = RunDir::create(folder.path(), "backfill-groups", chrono::Utc::now()).unwrap();
    let journal = Journal::create(&run_dir).unwrap();
    let acts = Arc::new(Acts {
        act,
        journal: run_dir.journal(),
        at_once: AtomicUsize::new(0),
        most_at_once: AtomicUsize::new(0),
        applied: AtomicUsize::new(0),
    });
    let feed = rows
        .map(|row| Ok(Task { rows: row.into(), key: format!("ISS-{row}"), item: Ok(row), in_doubt: None }));
    let (sender, mut events) = mpsc::channel(16);
    let mode = Mode::Apply(Arc::clone(&acts));
    let running = tokio::spawn(run(config, OddOnes, mode, feed, journal.clone(), sender, stop));
    let mut seen = BTreeMap::new();
    while let Some(event) = events.recv().await {
        if let Event::Row { rows, settled } = event {
            let row = rows.row;
            assert!(seen.insert(row, settled.state()).is_none(), "row {row} ended twice");
        }
    }
    let (how, tally) = running.await.unwrap();
    journal.close().await.unwrap();
    let replay = Replay::read(&run_dir).unwrap();
    assert_eq!(replay.counts, tally.states, "the journal and the tally agree");
    Ran { how, tally, replay, events: seen, acts }
}

fn done(_: u64) -> Applied {
    Outcome::done(1).into()
}

#[tokio::test]
async fn every_row_ends_once_and_changes_are_bounded() {
    let ran = ran(LIMITS, 100..305, done, Stop::default()).await;
    assert!(matches!(ran.how, How::Finished));
    assert_eq!((ran.tally.of("done"), ran.tally.of("already")), (102, 103));
    assert_eq!(ran.events.len(), 205);
    assert_eq!(ran.replay.settled.len(), 205);
    assert_eq!(ran.acts.most_at_once.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn a_dry_run_records_the_plan() {
    let folder = tempfile::tempdir().unwrap();
    let run_dir = RunDir::create(folder.path(), "backfill-groups", chrono::Utc::now()).unwrap();
    let journal = Journal::create(&run_dir).unwrap();
    let feed = (100..105)
        .map(|row| Ok(Task { rows: row.into(), key: row.to_string(), item: Ok(row), in_doubt: None }));
    let config = Config { batch_size: 2, ..config(LIMITS, None) };
    let (sender, _events) = mpsc::channel(64);
    let mode = Mode::<NoApplier>::Plan;
    let (_, tally) = run(config, OddOnes, mode, feed, journal.clone(), sender, Stop::default()).await;
    journal.close().await.unwrap();
    assert_eq!((tally.of("planned"), tally.of("already")), (2, 3));
    let text = std::fs::read_to_string(run_dir.journal()).unwrap();
    assert!(!text.contains("intent"), "{text}");
}

#[tokio::test]
async fn a_planner_that_ends_the_run_leaves_its_batch_open() {
    let ran = ran(LIMITS, 1..100, done, Stop::default()).await;
    assert!(matches!(&ran.how, How::Stopped(failure) if failure.exit == Exit::Credentials));
    assert!((11..=20).all(|row| ran.replay.is_open(row)));
    assert!(ran.replay.unknown.is_empty(), "what was not sent is in no doubt");
}

#[tokio::test]
async fn an_applier_that_ends_the_run_stops_the_others_unsent() {
    let act = |change| match change {
        105 => Applied { outcome: None, halt: Some(Failure::new(Exit::Credentials, "refused")) },
        change => done(change),
    };
    let ran = ran(LIMITS, 100..1000, act, Stop::default()).await;
    assert!(matches!(&ran.how, How::Stopped(failure) if failure.exit == Exit::Credentials));
    assert!(ran.replay.is_open(105) && ran.replay.unknown.is_empty());
    assert_eq!(ran.acts.applied.load(Ordering::SeqCst) as u64, ran.tally.of("done") + 1);
}

#[tokio::test]
async fn one_error_too_many_stops() {
    let act = |_| Outcome::of(State::Failed, "not-found", "").into();
    let limits = Limits { max_errors: Some(MaxErrors::Rows(4)), ..LIMITS };
    let ran = ran(limits, 100..1000, act, Stop::default()).await;
    assert!(matches!(&ran.how, How::Stopped(failure) if failure.exit == Exit::Stopped));
    assert!((5..=7).contains(&ran.tally.of("failed")), "{:?}", ran.tally);
}

#[tokio::test]
async fn after_a_signal_nothing_begins_and_the_grace_ends_what_hangs() {
    static STOP: OnceLock<Stop> = OnceLock::new();
    let stop = STOP.get_or_init(Stop::default).clone();
    // The signal comes once the change that hangs is under way.
    let act = |change| {
        if change == 999 {
            STOP.wait().set(Cause::Interrupt);
        }
        done(change)
    };
    let rows = (0..).map(|n| if n == 5 { 999 } else { 1000 + n });
    let ran = ran(LIMITS, rows, act, stop).await;
    assert!(matches!(ran.how, How::Interrupted(Cause::Interrupt)));
    assert_eq!(ran.replay.unknown.keys().copied().collect::<Vec<_>>(), [999]);
}

#[tokio::test]
async fn a_panic_is_a_defect_that_stops_the_run_and_leaves_the_row_in_doubt() {
    let act = |change| if change == 105 { panic!("a bug in the job") } else { done(change) };
    let ran = ran(LIMITS, 100..1000, act, Stop::default()).await;
    assert!(matches!(&ran.how, How::Stopped(failure) if failure.exit == Exit::Unexpected));
    assert!(ran.replay.unknown.contains_key(&105));
}

#[tokio::test]
async fn a_portion_counts_changes_and_leaves_the_rest_open() {
    let limited = |most| config(LIMITS, Some(most));
    let rows = || (20..=100).filter(|row| *row != 13);
    let ran = ran_with(limited(12), rows(), done, Stop::default()).await;
    assert!(matches!(ran.how, How::Portion), "{:?}", ran.how);
    assert_eq!(ran.tally.of("done"), 12);
    assert_eq!(ran.acts.applied.load(Ordering::SeqCst), 12);
    // Rows of the last batch that needed no change are settled; no batch after it is begun.
    assert_eq!(ran.tally.of("already"), 15);
    assert!(ran.replay.is_open(45) && ran.replay.is_open(100) && ran.replay.unknown.is_empty());

    let enough = ran_with(limited(99), rows(), done, Stop::default()).await;
    assert!(matches!(enough.how, How::Finished));
    assert_eq!(enough.tally.total(), 81);
}

#[tokio::test]
async fn changes_that_all_fail_alike_stop_the_run() {
    let limits = Limits { max_same_failures: 4, ..LIMITS };
    let refused = |_| Outcome::of(State::Failed, "forbidden", "quota").into();
    let ran = super::tests::ran(limits, 20..=200, refused, Stop::default()).await;
    assert!(matches!(&ran.how, How::Stopped(failure)
        if failure.exit == Exit::Stopped && failure.message.contains("quota")));
    let failed = ran.tally.of("failed");
    assert!((4..=7).contains(&failed), "{failed} failed, with 3 at once");
}
