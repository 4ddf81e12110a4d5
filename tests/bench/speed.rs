//! Without a limit: rows a second, memory, how the time grows; and how soon a long run continues.

use super::Measure;
use super::program::{Ran, Server, run as run_program};
use super::world::World;
use std::path::Path;
use std::time::{Duration, SystemTime};

const MANY: u64 = 1_000_000;

fn backfill(folder: &Path, rows: u64, listen: &str) -> (Ran, Server) {
    let (data, csv) = (folder.join("data.json"), folder.join("issues.csv"));
    World { rows, creators: 1000, others: 0, in_order: true }.write(&data, &csv);
    let server = Server::start(&data, &["--listen", listen]);
    let args = ["backfill-groups", "--csv", "issues.csv", "--yes", "--rate-limit-calls", "0"];
    let ran = run_program(folder, Some(&server), &args);
    assert_eq!(ran.summary["states"]["done"], rows, "{}", ran.summary);
    (ran, server)
}

pub(crate) fn run() -> Vec<Measure> {
    let mut a_row = Vec::new();
    for rows in [10_000, 100_000] {
        let folder = tempfile::tempdir().unwrap();
        let (ran, _server) = backfill(folder.path(), rows, "127.0.0.1:0");
        a_row.push(ran.took.as_secs_f64() / rows as f64);
    }
    let folder = tempfile::tempdir().unwrap();
    let (ran, server) = backfill(folder.path(), MANY, "127.0.0.1:0");
    a_row.push(ran.took.as_secs_f64() / MANY as f64);
    let listen = server.url.trim_start_matches("http://").trim_end_matches('/').to_owned();
    drop(server);
    let mut measures: Vec<_> = [10_000, 100_000, MANY]
        .iter()
        .zip(&a_row)
        .map(|(rows, time)| {
            let what = format!("changed issues a second, {rows} rows, sandbox in another process");
            Measure::at_least(what, 1.0 / time, "", 3000.0, "at least 3,000")
        })
        .collect();
    let growth = a_row[2] / a_row[0];
    measures.push(Measure::at_most(
        "time a row at 1,000,000 rows over that at 10,000",
        growth,
        "",
        1.2,
        "flat",
    ));
    measures.push(Measure::at_most(
        "peak memory, 1,000,000 rows",
        ran.peak_mib,
        " MiB",
        64.0,
        "at most 64 MiB",
    ));
    measures.push(resume(folder.path(), &listen));
    measures.extend(apply());
    measures
}

/// A dry run, and the run that carries out its plan.
fn apply() -> [Measure; 2] {
    let folder = tempfile::tempdir().unwrap();
    let (data, csv) = (folder.path().join("data.json"), folder.path().join("issues.csv"));
    World { rows: MANY, creators: 1000, others: 0, in_order: true }.write(&data, &csv);
    let server = Server::with(&data);
    let run = |args: &[&str]| {
        let ran = run_program(folder.path(), Some(&server), &[args, &["--rate-limit-calls", "0"]].concat());
        assert_eq!(ran.summary["rows"], MANY, "{}", ran.summary);
        ran
    };
    let dry = run(&["backfill-groups", "--csv", "issues.csv", "--dry-run"]);
    let ran = run(&["apply", dry.summary["run"].as_str().unwrap(), "--yes"]);
    assert_eq!(ran.summary["states"]["done"], MANY, "{}", ran.summary);
    let speed = MANY as f64 / ran.took.as_secs_f64();
    [
        Measure::at_least(
            "apply of a plan of 1,000,000 changes: changes a second",
            speed,
            "",
            3000.0,
            "at least 3,000",
        ),
        Measure::at_most(
            "apply of a plan of 1,000,000 changes: peak memory",
            ran.peak_mib,
            " MiB",
            64.0,
            "at most 64 MiB",
        ),
    ]
}

/// Takes the last outcome off the journal, so that one row is in doubt, and continues.
fn resume(folder: &Path, listen: &str) -> Measure {
    let run = std::fs::read_dir(folder.join("runs")).unwrap().map(|entry| entry.unwrap().path());
    let run = run.into_iter().find(|path| path.join("journal.jsonl").exists()).unwrap();
    let journal = run.join("journal.jsonl");
    let length = std::fs::metadata(&journal).unwrap().len();
    let tail = {
        use std::io::{Read, Seek, SeekFrom};
        let mut file = std::fs::File::open(&journal).unwrap();
        file.seek(SeekFrom::Start(length - 4096)).unwrap();
        let mut tail = Vec::new();
        file.read_to_end(&mut tail).unwrap();
        tail
    };
    let last = tail[..tail.len() - 1].iter().rposition(|byte| *byte == b'\n').unwrap();
    let cut = length - (tail.len() - last - 1) as u64;
    std::fs::OpenOptions::new().write(true).open(&journal).unwrap().set_len(cut).unwrap();
    // As a kill leaves it: a `run.json` that knows of more records would say that the journal has lost some.
    let manifest = run.join("run.json");
    let text = std::fs::read(&manifest).unwrap();
    let mut value: serde_json::Value = serde_json::from_slice(&text).unwrap();
    value["journal_bytes"] = cut.into();
    std::fs::write(&manifest, value.to_string()).unwrap();

    let server = Server::start(&folder.join("data.json"), &["--listen", listen]);
    let id = run.file_name().unwrap().to_str().unwrap();
    let ran = run_program(folder, Some(&server), &["resume", id, "--yes", "--rate-limit-calls", "0"]);
    assert_eq!(ran.summary["states"]["done"], MANY, "{}", ran.summary);
    let first = server.stats()["first_call"].as_f64().unwrap();
    let first = SystemTime::UNIX_EPOCH + Duration::from_secs_f64(first / 1000.0);
    let before = first.duration_since(ran.began).unwrap().as_secs_f64();
    Measure::at_most(
        "resume of a run with 1,000,000 outcomes: time to the first call",
        before,
        " s",
        3.0,
        "under 3 s",
    )
}
