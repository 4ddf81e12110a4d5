//! A run's metrics: over HTTP while it continues, in a file while and after.

use crate::support::fixture::Trouble;
use crate::support::program::Running;
use crate::support::site::TOKEN;
use crate::support::{Fixture, Merging, Org, People, eventually};
use serde_json::Value;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};

/// The value of a sample.
pub(crate) fn sample(text: &str, name: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.map(|value| value.parse().unwrap())
}

/// Waits until the program says where it serves its metrics.
pub(crate) fn address(running: &Running) -> String {
    running.until_it_says("/metrics\n");
    let err = running.err();
    let line = err.lines().find_map(|line| line.strip_prefix("metrics: http://")).unwrap();
    line.trim_end_matches("/metrics").to_owned()
}

/// What is answered, head and body.
pub(crate) fn ask(addr: &str, method: &str, path: &str) -> (String, String) {
    let mut stream = TcpStream::connect(addr).unwrap();
    stream.write_all(format!("{method} {path} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.to_owned(), body.to_owned())
}

/// Lets Prometheus' own tool check a text, where it is installed (Debian: `prometheus`).
#[track_caller]
pub(crate) fn check(text: &str) {
    let started = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut promtool) = started else {
        // Not with a macro: that would be shown only where a test fails.
        let _ = writeln!(std::io::stderr(), "left out, as promtool is not installed: the check of metrics");
        return;
    };
    promtool.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success() && said.is_empty(), "{}\n{text}", String::from_utf8_lossy(&said));
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn a_run_can_be_watched_and_the_file_says_how_it_ended() {
    let faults = ["path=works.update,status=409,count=4", "path=works.update,status=500,after=10,count=2"];
    let trouble = Trouble::delay(15);
    let mut fixture = Fixture::down(&Org::of(120));
    fixture.restart(&trouble);
    let file = fixture.path("run.prom");
    // One issue after another: it takes longer than what is asked meanwhile.
    let flags =
        ["--metrics-listen", "0", "--metrics-file", "run.prom", "--batch-size", "10", "--concurrency", "1"];
    let running = fixture.backfill(&flags).args(["--monitor", "--json"]).spawn();
    let addr = address(&running);
    let mut scraped = String::new();
    eventually("rows that are done", || {
        scraped = ask(&addr, "GET", "/metrics").1;
        sample(&scraped, "devrev_batch_rows_total{state=\"done\"}").unwrap() > 0.0
    });
    let run = fixture.the_run();
    let info = format!(
        "devrev_batch_run_info{{run=\"{}\",command=\"backfill-groups\",dry_run=\"false\",version=",
        run.id()
    );
    assert!(scraped.contains(&info), "{scraped}");
    assert_eq!(sample(&scraped, "devrev_batch_run_state{state=\"running\"}"), Some(1.0));
    assert!(sample(&scraped, "devrev_batch_process_resident_memory_bytes").unwrap() > 1e6);

    let (head, body) = ask(&addr, "GET", "/healthz");
    assert!(head.starts_with("HTTP/1.1 200 OK") && head.contains("application/json"), "{head}");
    let health: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(health["run"], run.id());
    assert_eq!((&health["state"], &health["total"]), (&Value::from("running"), &Value::from(120)));
    assert_eq!((&health["breaker"], &health["dry_run"]), (&Value::from("closed"), &Value::from(false)));
    assert!(health["rows"]["done"].as_u64().unwrap() > 0 && health["seconds"].as_f64().unwrap() > 0.0);
    let (head, body) = ask(&addr, "HEAD", "/metrics");
    assert!(
        head.contains("content-type: text/plain; version=0.0.4; charset=utf-8") && body.is_empty(),
        "{head}"
    );
    for (method, path) in [("GET", "/"), ("GET", "/metrics/x"), ("POST", "/metrics"), ("DELETE", "/healthz")]
    {
        assert!(ask(&addr, method, path).0.starts_with("HTTP/1.1 404"), "{method} {path}");
    }
    let during = read(&file);
    assert_eq!(sample(&during, "devrev_batch_run_state{state=\"running\"}"), Some(1.0), "{during}");

    let ended = running.wait().exits(0);
    assert!(TcpStream::connect(&addr).is_err(), "the server ends with the run");
    check(&scraped);
    let (summary, text) = (ended.json(), read(&file));
    agrees(&text, &summary);
    assert_eq!(sample(&text, "devrev_batch_rows_total{state=\"done\"}"), Some(120.0));
    assert!(
        sample(&text, "devrev_batch_last_success_timestamp_seconds{command=\"backfill-groups\"}").unwrap()
            > 1.7e9
    );
    assert!(summary["memory_peak_bytes"].as_u64().unwrap() > 1_000_000, "{summary}");
    assert!(summary["cpu_seconds"].as_f64().unwrap() >= 0.0, "{summary}");
    for text in [&scraped, &text] {
        assert!(!text.contains(TOKEN) && !text.contains('@'), "{text}");
    }

    // One that fails says so, and does not forget the success before it.
    let success = sample(&text, "devrev_batch_last_success_timestamp_seconds{command=\"backfill-groups\"}");
    let broken = Fixture::broken(&Org::of(60), faults);
    std::fs::copy(&file, broken.path("run.prom")).unwrap();
    let ended = broken.backfill(&["--metrics-file", "run.prom", "--json"]).run().exits(3);
    let text = read(&broken.path("run.prom"));
    agrees(&text, &ended.json());
    assert_eq!(sample(&text, "devrev_batch_run_exit_code"), Some(3.0));
    assert_eq!(
        sample(&text, "devrev_batch_last_success_timestamp_seconds{command=\"backfill-groups\"}"),
        success
    );
    assert_eq!(sample(&text, "devrev_batch_api_retries_total"), Some(2.0));

    // Of a resumed run the counters are this process's, and the rows are all.
    let resume = ["resume", "--yes", "--retry-failed", "--metrics-file", "run.prom"];
    broken.program(resume).run().exits(0);
    let text = read(&broken.path("run.prom"));
    assert_eq!(sample(&text, "devrev_batch_rows_total{state=\"done\"}"), Some(4.0), "{text}");
    assert_eq!(sample(&text, "devrev_batch_run_rows{state=\"done\"}"), Some(60.0), "{text}");
}

/// Wants the same rows and calls in the text as in the summary, and nothing for promtool to find.
#[track_caller]
fn agrees(text: &str, summary: &Value) {
    check(text);
    for (state, rows) in summary["states"].as_object().unwrap() {
        let found = sample(text, &format!("devrev_batch_run_rows{{state=\"{state}\"}}"));
        assert_eq!(found, rows.as_f64(), "{state}: {text}");
    }
    assert_eq!(sample(text, "devrev_batch_expected_rows"), summary["rows"].as_f64());
    assert_eq!(sample(text, "devrev_batch_run_rows{state=\"open\"}"), summary["open"].as_f64());
    for (endpoint, calls) in summary["calls"].as_object().unwrap() {
        for (status, count) in calls["statuses"].as_object().unwrap() {
            let name = format!("devrev_batch_api_calls_total{{endpoint=\"{endpoint}\",status=\"{status}\"}}");
            assert_eq!(sample(text, &name), count.as_f64(), "{name}: {text}");
        }
        let name = format!("devrev_batch_api_call_duration_seconds_count{{endpoint=\"{endpoint}\"}}");
        assert_eq!(sample(text, &name), calls["calls"].as_f64(), "{name}: {text}");
    }
}

#[test]
fn nothing_personal_is_shown_of_merges() {
    // The first answer takes longer than what is asked meanwhile.
    let faults = ["path=dev-users.self,delay=1000", "path=rev-users.merge,status=400,count=1"];
    let fixture = Merging::broken(&People::of(5), faults);
    let running = fixture.merge(&["--metrics-listen", "0", "--metrics-file", "run.prom"]).spawn();
    let addr = address(&running);
    let shown = [ask(&addr, "GET", "/metrics").1, ask(&addr, "GET", "/healthz").1];
    running.wait().exits(3);
    let text = read(&fixture.path("run.prom"));
    check(&text);
    for text in shown.iter().chain([&text]) {
        assert!(!text.contains('@') && !text.contains("Person") && !text.contains(TOKEN), "{text}");
    }
}

#[test]
fn what_cannot_be_had_is_told_before_anything_is_sent() {
    let fixture = Fixture::new(&Org::of(5));
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let cases: [(&[&str], &str); 4] = [
        (&["--metrics-listen", &port], "--metrics-listen: cannot listen at 127.0.0.1:"),
        (&["--metrics-file", "none/run.prom"], "--metrics-file: none/run.prom cannot be written: "),
        (&["--metrics-file", "tmp"], "--metrics-file: tmp is no file"),
        (&["--metrics-file", "issues.csv"], "--metrics-file: issues.csv holds something else than metrics"),
    ];
    for (flags, text) in cases {
        let ended = fixture.backfill(flags).run().exits(2);
        assert!(ended.err.contains(text), "{}", ended.all());
    }
    let ended = fixture.backfill(&[]).env("METRICS_LISTEN", &port).run().exits(2);
    assert!(ended.err.contains("METRICS_LISTEN in the environment: cannot listen"), "{}", ended.all());
    assert_eq!(fixture.stats()["total"], 0);
    assert!(fixture.runs().is_empty(), "such a run leaves nothing behind");
    assert_eq!(read(&fixture.path("issues.csv")), fixture.org.csv());
}

#[test]
fn a_file_that_cannot_be_written_any_more_is_one_warning() {
    let fixture = Fixture::with(&Org::of(60), &Trouble::delay(10));
    std::fs::create_dir(fixture.path("there")).unwrap();
    let program = fixture.backfill(&["--metrics-file", "there/run.prom", "--batch-size", "5"]);
    let running = program.run_until(|| fixture.path("there/run.prom").exists());
    std::fs::remove_dir_all(fixture.path("there")).unwrap();
    let ended = running.wait().exits(0);
    let warnings =
        ended.err.matches("warning: the metrics are out of date: cannot write there/run.prom").count();
    assert_eq!(warnings, 1, "{}", ended.all());
}

#[test]
fn a_run_that_never_began_leaves_the_file_as_it_was() {
    let fixture = Fixture::new(&Org::of(5));
    let before = "# HELP devrev_batch_run_info Which run this is of.\n";
    let file = fixture.write("run.prom", before);
    // Found out when the groups are known.
    fixture.write("map.csv", "DEVU-1,GROUP-999\n");
    fixture.backfill(&["--metrics-file", "run.prom", "--group-map", "map.csv"]).run().exits(2);
    assert!(fixture.calls("groups.list") > 0);
    assert_eq!(read(&file), before);
}
