use super::*;
use crate::engine::event::Tally;
use crate::figures::{Breaker, EndpointCalls, ProcessFigures};
use chrono::DateTime;
use std::time::Instant;

pub(super) fn about() -> About {
    About {
        run: "20261122-061617-backfill-groups-85f4".to_owned(),
        command: "backfill-groups".to_owned(),
        dry_run: false,
        began: DateTime::from_timestamp(1_795_000_000, 250_000_000).unwrap(),
        since: Instant::now(),
        rows: 300,
        before: BTreeMap::from([("done".to_owned(), 20)]),
    }
}

fn figures() -> Figures {
    let mut figures = Figures {
        elapsed: Duration::from_millis(12_500),
        breaker: Breaker::HalfOpen,
        breaker_openings: 2,
        syncs: (7, Duration::from_millis(35)),
        process: Some(ProcessFigures { resident: 1 << 24, peak: 1 << 25, cpu: Duration::from_millis(1500) }),
        ..Figures::default()
    };
    figures.time.waiting = Duration::from_secs(3);
    figures.time.held = Duration::from_secs(2);
    let mut calls = EndpointCalls { calls: 3, seconds: 70.26, ..EndpointCalls::default() };
    for millis in [4, 256, 70_000] {
        calls.latencies.add(Duration::from_millis(millis));
    }
    calls.statuses.extend([("200".to_owned(), 2), ("none".to_owned(), 1)]);
    figures.calls.endpoints.insert("works.update", calls);
    (figures.calls.calls, figures.calls.retries, figures.calls.throttled) = (3, 1, 0);
    figures
}

pub(in crate::report) fn summary() -> Summary {
    let mut tally = Tally::default();
    tally.add("done", None, 290);
    tally.add("failed", Some("not-found"), 10);
    Summary {
        carries_out: None,
        profile: None,
        run: about().run,
        folder: String::new(),
        command: about().command,
        dry_run: false,
        target: String::new(),
        environment: String::new(),
        state: "finished".to_owned(),
        why: None,
        notes: Vec::new(),
        exit: 3,
        rows: 300,
        open: 0,
        tally,
        plan: None,
        plan_text: String::new(),
        calls: serde_json::Value::Null,
        calls_total: 3,
        calls_retried: 1,
        resumed: false,
        seconds: 12.5,
        seconds_waiting: 3.0,
        memory_peak_bytes: None,
        cpu_seconds: None,
        next: Vec::new(),
    }
}

/// After a batch, and at the end.
fn snapshots() -> (Snapshot, Snapshot) {
    let successes = BTreeMap::from([("merge-contacts".to_owned(), 1_794_000_000.0)]);
    let mut now = Snapshot::new(about(), successes);
    now.count("done", 70);
    now.count("done", 2);
    now.count("failed", 10);
    now.batch(Duration::from_secs(2));
    now.look(&figures());
    let running = now.clone();
    now.end(&summary(), &figures());
    (running, now)
}

#[test]
fn the_text_of_a_run() {
    let (_, ended) = snapshots();
    let text = exposition::text(&Arc::new(ended)).unwrap();
    assert!(text.starts_with(exposition::BEGINS));
    insta::assert_snapshot!(text);
}

#[test]
fn label_values_are_escaped() {
    let mut about = about();
    about.run = "a\"b\\c\nd".to_owned();
    let text = exposition::text(&Arc::new(Snapshot::new(about, BTreeMap::new()))).unwrap();
    assert!(text.contains(r#"devrev_batch_run_info{run="a\"b\\c\nd",command"#), "{text}");
}

#[test]
fn what_is_shown_of_the_state() {
    let (running, ended) = snapshots();
    let mut running = running.health();
    assert!(running["seconds"].take().as_f64().unwrap() < 60.0);
    insta::assert_snapshot!(running, @r#"
    {"breaker":"half-open","command":"backfill-groups","dry_run":false,"exit":null,"rows":{"done":92,"failed":10,"open":198},"run":"20261122-061617-backfill-groups-85f4","seconds":null,"state":"running","total":300,"waiting":{"for":"breaker","seconds":0.0}}
    "#);
    insta::assert_snapshot!(ended.health(), @r#"
    {"breaker":"half-open","command":"backfill-groups","dry_run":false,"exit":3,"rows":{"done":290,"failed":10},"run":"20261122-061617-backfill-groups-85f4","seconds":12.5,"state":"finished","total":300,"waiting":null}
    "#);
}

#[test]
fn a_success_is_remembered_and_a_dry_run_is_none() {
    let mut summary = Summary { exit: 0, ..summary() };
    for (dry_run, is_success) in [(true, false), (false, true)] {
        let mut now = Snapshot::new(about(), BTreeMap::new());
        summary.dry_run = dry_run;
        now.end(&summary, &figures());
        assert_eq!(now.successes["backfill-groups"] > 1.7e9, is_success);
    }
}
