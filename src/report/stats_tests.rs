use super::*;
use crate::journal::manifest::RunState;
use crate::report::run_figures::{ProcessFigures, RunFigures};
use chrono::TimeDelta;

fn run(command: &str, counts: &[(&str, u64)], seconds: f64) -> RunFigures {
    let created_at = DateTime::from_timestamp(1_795_319_100, 0).unwrap();
    RunFigures {
        run: "20261122-034500-update-7f3a".to_owned(),
        command: command.to_owned(),
        dry_run: false,
        target: "https://api.example.com/".to_owned(),
        org: None,
        environment: "production".to_owned(),
        created_at,
        ended_at: Some(created_at + TimeDelta::seconds(3600)),
        state: RunState::Finished,
        is_closed: false,
        rows: None,
        counts: counts.iter().map(|(state, rows)| ((*state).to_owned(), *rows)).collect(),
        process: Some(ProcessFigures {
            is_resumed: false,
            seconds,
            seconds_waiting: seconds / 4.0,
            calls: 10,
            retries: 2,
            throttled: 1,
            failures: BTreeMap::new(),
        }),
    }
}

fn stats(runs: &[(RunFigures, &'static str)]) -> Stats {
    let mut stats = Stats::new(Scope { runs_dir: "runs".to_owned(), ..Scope::default() });
    for (run, state) in runs {
        stats.take(run, state);
    }
    stats.summed_up()
}

#[test]
fn percentiles_are_those_of_the_nearest_rank() {
    let values: Vec<f64> = (1..=200).map(f64::from).collect();
    let of = |count: usize, percent| percentile(&values[..count], percent);
    assert_eq!(of(0, 50), None);
    for percent in [0, 1, 50, 100] {
        assert_eq!(of(1, percent), Some(1.0));
    }
    // The middle one of three, the lower one of two.
    assert_eq!((of(3, 50), of(2, 50)), (Some(2.0), Some(1.0)));
    assert_eq!((of(10, 90), of(10, 91), of(10, 99)), (Some(9.0), Some(10.0), Some(10.0)));
    assert_eq!((of(100, 50), of(100, 90), of(100, 99)), (Some(50.0), Some(90.0), Some(99.0)));
    assert_eq!((of(200, 50), of(200, 99), of(200, 100)), (Some(100.0), Some(198.0), Some(200.0)));
    assert_eq!(of(200, 500), None);
}

#[test]
fn jobs_are_summed_up_apart_and_dry_runs_too() {
    let mut failing = run("update", &[("done", 30), ("failed", 8), ("unknown", 2)], 20.0);
    if let Some(process) = &mut failing.process {
        process.failures = [("conflict".to_owned(), 8), ("timeout".to_owned(), 2)].into();
    }
    let mut dry = run("update", &[("planned", 7)], 1.0);
    dry.dry_run = true;
    let mut resumed = run("update", &[("done", 1_000_000)], 1.0);
    if let Some(process) = &mut resumed.process {
        process.is_resumed = true;
    }
    let stopped = run("update", &[("done", 10), ("open", 90)], 10.0);
    let merge = run("merge", &[("done", 5)], 2.0);
    let text = stats(&[
        (run("update", &[("done", 10)], 10.0), "finished"),
        (failing, "finished"),
        (resumed, "finished"),
        (stopped, "stopped"),
        // What `run.json` says of these is old.
        (run("update", &[("done", 77)], 77.0), "running"),
        (run("update", &[("done", 77)], 77.0), "crashed"),
        (dry, "finished"),
        (merge, "finished"),
    ])
    .text();
    insta::assert_snapshot!(text, @r"
    8 runs in runs

    merge: 1 run: 1 finished
      rows         5 done
      speed        2.5 rows/s
      duration     p50 2.0 s, p90 2.0 s, p99 2.0 s
      calls        10 calls, 2 of them retries, 1 answered with 429
      waiting      0.5 s of 2.0 s (25 %) for the rate limit

    update: 6 runs: 1 running, 3 finished (1 with failures), 1 stopped, 1 crashed
      rows         1,000,050 done, 8 failed, 2 unknown, 90 open
      speed        1.5 rows/s
      duration     p50 10 s, p90 20 s, p99 20 s
      failures     conflict 8, timeout 2
      calls        40 calls, 8 of them retries, 4 answered with 429
      waiting      10 s of 41 s (25 %) for the rate limit
      not counted  rows of 2 runs, running or crashed
      resumed      1 run, left out of speed and duration

    update, dry runs: 1 run: 1 finished
      rows         7 planned
      speed        7 rows/s
      duration     p50 1.0 s, p90 1.0 s, p99 1.0 s
      calls        10 calls, 2 of them retries, 1 answered with 429
      waiting      0.2 s of 1.0 s (25 %) for the rate limit
    ");
}

#[test]
#[allow(clippy::float_cmp, reason = "exact")]
fn a_run_without_a_report_lasted_from_its_beginning_to_its_end() {
    let mut export = run("export", &[("done", 7200)], 0.0);
    export.process = None;
    let stats = stats(&[(export, "finished")]);
    assert_eq!(stats.jobs[0].rows_a_second, Some(2.0));
    assert_eq!(stats.jobs[0].duration_seconds.unwrap().p99, 3600.0);
    assert_eq!(stats.jobs[0].last_processes, Processes::default());
}

#[test]
fn numbers_that_make_no_sense_do_no_harm() {
    let mut strange = run("update", &[("done", u64::MAX), ("failed", u64::MAX), ("unknown", 1)], 0.0);
    (strange.created_at, strange.ended_at) = (DateTime::<Utc>::MAX_UTC, Some(DateTime::<Utc>::MIN_UTC));
    let mut other = strange.clone();
    other.process = None;
    let stats = stats(&[(strange.clone(), "finished"), (strange, "finished"), (other, "finished")]);
    assert!(stats.text().contains("18,446,744,073,709,551,615 done"), "{}", stats.text());
    assert_eq!(stats.jobs[0].rows_a_second, None);
}

#[test]
fn any_number_of_jobs_reasons_and_damaged_folders_is_bounded() {
    let mut stats = Stats::new(Scope::default());
    for n in 0..1000 {
        let mut one = run(&format!("job-{n}"), &[("failed", 1)], 1.0);
        if let Some(process) = &mut one.process {
            process.failures = (0..1000).map(|reason| (format!("{n}-{reason}"), 1)).collect();
        }
        stats.take(&one, "finished");
        let (run, problem) = (n.to_string(), String::new());
        stats.damaged(Damaged { run, problem, counted: false });
    }
    let stats = stats.summed_up();
    assert_eq!((stats.jobs.len(), stats.damaged.len(), stats.damaged_runs), (JOBS + 1, NAMED, 1000));
    let reasons = stats.jobs.iter().map(|job| job.failures.len()).max();
    assert!(reasons <= Some(REASONS + 1), "{reasons:?}");
    let rows: u64 = stats.jobs.iter().flat_map(|job| job.failures.values()).sum();
    assert_eq!(rows, 1_000_000);
    assert!(stats.text().contains("and 980 more damaged folders"));
}
