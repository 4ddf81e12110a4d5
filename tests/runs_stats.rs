//! `runs stats`: what the runs of a folder come to, by job.

use crate::support::browser::Browser;
use crate::support::fixture::Trouble;
use crate::support::past::{copy, edit};
use crate::support::{Fixture, Org, Run};
use serde_json::{Value, json};
use std::fs;

/// An organisation of three issues, and a finished run of it in which one has failed.
fn fixture() -> (Fixture, Run) {
    let faults = ["path=works.update,status=409,count=1", "path=works.get,status=503,count=1"];
    let fixture = Fixture::broken(&Org::of(3), faults);
    fixture.backfill(&["--concurrency", "1"]).run().exits(3);
    let run = fixture.the_run();
    (fixture, run)
}

fn stats(fixture: &Fixture, flags: &[&str]) -> Value {
    let stats = fixture.program(["runs", "stats", "--json"]).args(flags).without("DEVREV_API_TOKEN");
    stats.run().exits(0).json()
}

/// A run of long ago that took so many seconds.
fn took(fixture: &Fixture, run: &Run, number: u32, seconds: f64, change: impl FnOnce(&mut Value)) -> Run {
    let id = format!("20260102-{number:06}-backfill-groups-0001");
    let copy = copy(fixture, run, &id, |manifest| {
        manifest["created_at"] = "2026-01-02T03:04:05Z".into();
        manifest["ended_at"] = "2026-01-02T03:07:15Z".into();
        change(manifest);
    });
    edit(&copy, "report.json", |report| {
        (report["seconds"], report["seconds_waiting"]) = (json!(seconds), json!(seconds / 2.0));
    });
    copy
}

#[test]
fn runs_are_summed_up_by_job() {
    let (fixture, run) = fixture();
    for number in 1..=10 {
        took(&fixture, &run, number, f64::from(number), |_| ());
    }
    took(&fixture, &run, 11, 100.0, |manifest| manifest["state"] = "stopped".into());
    fixture.backfill(&["--dry-run"]).run().exits(0);
    fs::remove_dir_all(&run.0).unwrap();

    let all = stats(&fixture, &[]);
    assert_eq!((&all["runs"], &all["damaged_runs"]), (&json!(12), &json!(0)), "{all}");
    let job = &all["jobs"][0];
    assert_eq!(
        (&job["job"], &job["dry_run"], &job["runs"]),
        (&json!("backfill-groups"), &json!(false), &json!(11))
    );
    assert_eq!(job["states"], json!({"finished": 10, "stopped": 1}));
    assert_eq!(job["finished_with_failures"], 10);
    assert_eq!(job["rows"], json!({"done": 22, "failed": 11}));
    // `report.json` of the one that stopped says that it finished: that is not its end, and its own dates count.
    assert_eq!(job["duration_seconds"], json!({"runs": 10, "p50": 5.0, "p90": 9.0, "p99": 10.0}));
    let rate = job["rows_a_second"].as_f64().unwrap();
    assert!((rate - 33.0 / (55.0 + 190.0)).abs() < 0.001, "{rate}");
    assert_eq!(job["failures"], json!({"conflict": 10}));
    let processes = &job["last_processes"];
    assert_eq!((&processes["seconds"], &processes["seconds_waiting"]), (&json!(55.0), &json!(27.5)));
    assert!(processes["calls"].as_u64() > Some(30) && processes["calls_throttled"] == 0, "{processes}");
    let dry = &all["jobs"][1];
    assert_eq!(
        (&dry["dry_run"], &dry["runs"], &dry["rows"]),
        (&json!(true), &json!(1), &json!({"planned": 1, "already": 2}))
    );

    // What is asked for, and nothing else.
    for (flags, runs) in [
        (&["--job", "backfill-groups"][..], 12),
        (&["--job", "merge-contacts"], 0),
        (&["--days", "1"], 1),
        (&["--target", "devo/test"], 12),
        (&["--target", "elsewhere"], 0),
    ] {
        assert_eq!(stats(&fixture, flags)["runs"], runs, "{flags:?}");
    }
    let text = fixture.program(["runs", "stats", "--job", "backfill-groups"]).run().exits(0);
    let text =
        text.says("12 runs of backfill-groups in runs").says("duration     p50 5.0 s, p90 9.0 s, p99 10 s");
    text.says("backfill-groups, dry runs: 1 run: 1 finished").says("failures     conflict 10");
    fixture.program(["runs", "stats", "--days", "0"]).run().exits(2).says("0 is not in 1..=36500");
}

#[test]
fn of_a_run_that_was_resumed_the_pauses_are_no_work() {
    let mut fixture = Fixture::with(&Org::of(60), &Trouble::delay(20));
    let running = fixture.backfill(&["--batch-size", "10"]).run_until(|| fixture.writes() >= 5);
    running.signal("TERM");
    running.wait().exits(143);
    let first = stats(&fixture, &[]);
    assert_eq!(
        (&first["jobs"][0]["resumed"], &first["jobs"][0]["states"]),
        (&json!(0), &json!({"interrupted": 1}))
    );
    assert!(first["jobs"][0]["rows_a_second"].is_number() && first["jobs"][0]["duration_seconds"].is_null());
    fixture.restart(&Trouble::faults(["path=works.update,status=503,count=2"]));
    fixture.resume(&[]).run().exits(0);
    let job = &stats(&fixture, &[])["jobs"][0];
    assert_eq!((&job["resumed"], &job["rows"]["done"]), (&json!(1), &json!(60)), "{job}");
    assert!(job["rows_a_second"].is_null() && job["duration_seconds"].is_null(), "{job}");
    assert_eq!(job["last_processes"]["calls_retried"], 2, "{job}");
    fixture
        .program(["runs", "stats"])
        .run()
        .exits(0)
        .says("resumed      1 run, left out of speed and duration");
}

#[test]
fn what_cannot_be_read_is_named_and_left_out() {
    let (fixture, run) = fixture();
    let torn = took(&fixture, &run, 1, 1.0, |_| ());
    fs::write(torn.file("run.json"), "{\"format\": 2, \"id").unwrap();
    let no_report = took(&fixture, &run, 2, 1.0, |_| ());
    fs::write(no_report.file("report.json"), "[1, 2").unwrap();
    let folder = took(&fixture, &run, 3, 1.0, |_| ());
    fs::remove_file(folder.file("run.json")).unwrap();
    fs::create_dir(folder.file("run.json")).unwrap();
    let newer = took(&fixture, &run, 4, 1.0, |manifest| manifest["format"] = 99.into());
    let empty = fixture.path("runs/20260102-000005-backfill-groups-0001");
    fs::create_dir(&empty).unwrap();
    std::os::unix::fs::symlink("/not-mounted", fixture.path("runs/20260102-000006-undo-backfill-0001"))
        .unwrap();
    // It has sent nothing.
    fs::create_dir(fixture.path("runs/20260102-000007-backfill-groups-0001")).unwrap();
    fs::write(fixture.path("runs/20260102-000007-backfill-groups-0001/lock"), "").unwrap();
    took(&fixture, &run, 8, 1.0, |manifest| {
        manifest["counts"] = json!({"done": u64::MAX, "failed": u64::MAX, "<b>": 1});
        manifest["command"] = "<script>".into();
    });

    let all = stats(&fixture, &[]);
    assert_eq!((&all["runs"], &all["damaged_runs"]), (&json!(3), &json!(6)), "{all}");
    let of = |id: &str| {
        let damaged = all["damaged"].as_array().unwrap();
        damaged.iter().find(|damaged| damaged["run"] == id).unwrap_or_else(|| panic!("{id}: {all}")).clone()
    };
    for run in [&torn, &folder, &newer] {
        assert_eq!(of(run.id())["counted"], false);
    }
    assert!(of(newer.id())["problem"].as_str().unwrap().contains("a newer devrev-batch"));
    assert_eq!(of(no_report.id())["counted"], true);
    // By its ID: of the last days, and of this job.
    assert_eq!(stats(&fixture, &["--days", "3"])["damaged_runs"], 0);
    assert_eq!(stats(&fixture, &["--job", "undo"])["damaged_runs"], 1);
    let text = fixture.program(["runs", "stats"]).run().exits(0);
    let text = text.says(&format!("left out: {}: ", torn.id()));
    text.says(&format!("counted in part: {}: runs/{}/report.json: ", no_report.id(), no_report.id()));
    fixture.program(["runs", "stats", "--html", "stats.html"]).run().exits(0).says("page: stats.html");
    let page = fs::read_to_string(fixture.path("stats.html")).unwrap();
    assert!(
        page.contains(torn.id()) && page.contains("&#60;script&#62;") && !page.contains("<script"),
        "{page}"
    );

    fixture.program(["runs", "stats", "--runs-dir", "none"]).run().exits(0).says("0 runs in none");
    fixture.program(["runs", "stats", "--runs-dir", "issues.csv"]).run().exits(1).says("issues.csv");
}

#[test]
fn the_page_is_whole_and_takes_the_place_of_pages_only() {
    use std::os::unix::fs::PermissionsExt;
    let (fixture, run) = fixture();
    for number in 1..=3 {
        took(&fixture, &run, number, f64::from(number), |_| ());
    }
    let path = fixture.path("stats.html");
    let write = |file: &str| fixture.program(["runs", "stats", "--html", file, "--json"]).run();
    for _ in 0..2 {
        assert_eq!(write("stats.html").exits(0).json()["page"], "stats.html");
    }
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let page = fs::read_to_string(&path).unwrap();
    assert!(page.starts_with("<!DOCTYPE html>") && page.trim_end().ends_with("</html>"), "{page}");
    for absent in ["<script", "<img", "http://", "https://", " style=", "src=\"", "<nav"] {
        assert!(!page.contains(absent), "{absent}");
    }
    for text in
        ["4 runs", "default-src 'none'; style-src 'sha256-", "conflict", "p90", "<rect class=\"failed\""]
    {
        assert!(page.contains(text), "{text}: {page}");
    }
    let before = fs::read(fixture.path("issues.csv")).unwrap();
    write("issues.csv").exits(2).says("--html: cannot write issues.csv: it is there and is no page");
    assert_eq!(fs::read(fixture.path("issues.csv")).unwrap(), before);
    write("none/stats.html").exits(1).says("--html: cannot write none/stats.html");
    write("runs").exits(2).says("--html: cannot write runs");
    fixture.assert_no_token();

    let Some(browser) = Browser::find() else { return };
    let looked = browser.look(&path);
    assert_eq!(looked.console, [""; 0]);
    assert!(looked.dom.contains("<title>Statistics of runs</title>"));
    assert_ne!(browser.picture(&path, false), browser.picture(&path, true));
}
