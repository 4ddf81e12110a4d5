//! `load` into CSV and JSON Lines files: each slice's file whole or not at all.

use super::{KEY, job, load, prices as sqlite_prices, site, with};
use crate::support::program::{BINARY, Program};
use crate::support::site::{Site, Trouble};
use std::collections::BTreeMap;
use std::path::Path;

const SQLITE: &str = "sqlite: { path: prices.db, table: prices, key: [symbol, day], create: true }";
const SQL_CHECK: &str = "  - { sql: \"SELECT symbol, day FROM prices WHERE high < low\", expect: none }\n";

/// The demo's job, with this target.
fn into(target: &str) -> impl Fn(String) -> String {
    let target = target.to_owned();
    move |text: String| {
        assert!(text.contains(SQLITE) && text.contains(SQL_CHECK));
        let text = text.replace(SQLITE, &target).replace(SQL_CHECK, "");
        text.split_inclusive('\n').filter(|line| !line.starts_with("undo:")).collect()
    }
}

fn resume(site: &Site) -> Program {
    site.program(["resume", "--if-any", "--latest", "--yes"]).env("PRICES_API_KEY", KEY)
}

/// The data files of a folder and their content: no ledger.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if path.is_file() && name != "_devrev_batch_loads.jsonl" {
            found.insert(name, std::fs::read(path).unwrap());
        }
    }
    found
}

fn text(site: &Site, path: &str) -> String {
    std::fs::read_to_string(site.path(path)).unwrap()
}

#[test]
fn all_slices_make_one_csv_file_that_has_what_the_table_has() {
    let clean = with(&Trouble::none(), |text| text);
    load(&clean, &[]).run().exits(0);
    let site = with(&Trouble::none(), into("csv: { path: prices.csv }"));
    load(&site, &["--dry-run"]).run().exits(0).says("39 slices would be loaded");
    assert!(!site.path("prices.csv").exists() && !site.path("prices.csv.slices").exists());
    load(&site, &[])
        .run()
        .exits(0)
        .says("1,095 records loaded")
        .says("2 checks passed")
        .says("prices.csv has 1,095 records");
    let mut rows = csv::Reader::from_path(site.path("prices.csv")).unwrap();
    assert_eq!(
        rows.headers().unwrap().iter().collect::<Vec<_>>(),
        ["symbol", "day", "open", "high", "low", "close", "volume"]
    );
    let number = |text: &str, digits: usize| format!("{:.digits$}", text.parse::<f64>().unwrap());
    let mut lines: Vec<String> = rows
        .records()
        .map(|row| {
            let row = row.unwrap();
            let cells: Vec<String> = (2..6).map(|at| number(&row[at], 4)).collect();
            format!("{}|{}|{}|{}", &row[0], &row[1], cells.join("|"), number(&row[6], 1))
        })
        .collect();
    assert!(lines[0].starts_with("BTC|2023-01-01"), "in the order of slices: {}", lines[0]);
    lines.sort();
    assert_eq!(lines, sqlite_prices(&clean));
    let (whole, calls) = (text(&site, "prices.csv"), site.calls("histoday"));
    load(&site, &[]).run().exits(0).says("39  nothing to change");
    assert_eq!(site.calls("histoday"), calls, "what is loaded is not asked for");
    assert_eq!(text(&site, "prices.csv"), whole);
    // A symbol more is in the file besides what was there.
    load(&site, &["--param", "symbols=SOL", "--end-date", "2023-01-30"])
        .run()
        .exits(0)
        .says("has 1,125 records of 40 slices");
    load(&site, &["--reload", "--only-slice", "BTC 2023-01-01..2023-01-31"]).run().exits(0);
    assert_eq!(text(&site, "prices.csv").lines().count(), 1126);
    // A line that is gone is noticed, in the file and in a part.
    let short: Vec<&str> = whole.lines().take(1000).collect();
    site.write("prices.csv", short.join("\n"));
    let program = site.program(["validate", "--job", "job.yaml", "--online"]).env("PRICES_API_KEY", KEY);
    program.run().exits(5).says("prices.csv has 999 of 1,125 records");
}

#[test]
fn a_path_with_places_makes_a_file_of_each_slice() {
    let site = with(&Trouble::none(), into("jsonl: { path: \"out/${symbol}-${slice.start:%Y%m%d}.jsonl\" }"));
    load(&site, &["--dry-run"]).run().exits(2).says("there is no folder").says("out");
    assert_eq!(site.calls("histoday"), 0, "nothing was fetched");
    std::fs::create_dir(site.path("out")).unwrap();
    load(&site, &[]).run().exits(0).says("1,095 records loaded").says("2 checks passed");
    let written = files(&site.path("out"));
    assert_eq!(written.len(), 39);
    let first = String::from_utf8(written["BTC-20230101.jsonl"].clone()).unwrap();
    assert_eq!(first.lines().count(), 30);
    let record: serde_json::Value = serde_json::from_str(first.lines().next().unwrap()).unwrap();
    assert!(
        record["symbol"] == "BTC" && record["day"] == "2023-01-01" && record["close"].is_number(),
        "{record}"
    );
    load(&site, &[]).run().exits(0).says("39  nothing to change");
    std::fs::remove_file(site.path("out/BTC-20230131.jsonl")).unwrap();
    let program = site.program(["validate", "--job", "job.yaml", "--online"]).env("PRICES_API_KEY", KEY);
    program.run().exits(5).says("BTC lacks 2023-01-31").says("has 0 of 30 records");
    // Other dates, with the same names: they would take the place of what is there.
    site.write("job.yaml", job(&site, into("jsonl: { path: \"out/${symbol}.jsonl\" }")));
    load(&site, &["--param", "symbols=ADA"]).run().exits(2).says("would be the same file");
}

#[test]
fn files_of_somebody_else_stay() {
    let site = with(&Trouble::none(), into("csv: { path: prices.csv }"));
    site.write("prices.csv", "mine\n1\n");
    load(&site, &[]).run().exits(2).says("this load has not written it");
    assert_eq!((site.calls("histoday"), text(&site, "prices.csv")), (0, "mine\n1\n".to_owned()));
    std::fs::remove_file(site.path("prices.csv")).unwrap();
    load(&site, &["--param", "symbols=BTC"]).run().exits(0);
    site.write(
        "other.yaml",
        job(&site, into("csv: { path: prices.csv }")).replace("job_name: prices", "job_name: other"),
    );
    let other = site.program(["load", "other.yaml", "--yes"]).env("PRICES_API_KEY", KEY);
    other.run().exits(2).says("written by the load prices");
}

#[test]
fn mistakes_are_named_by_line_and_column() {
    let site = site(&Trouble::none());
    for (target, says) in [
        ("csv: { path: prices.csv, mode: append }", "csv has no mode"),
        ("csv: { path: \"${env.HOME}/prices.csv\" }", "takes no ${env.NAME}"),
        ("csv: { path: out/ }", "names no file"),
        ("jsonl: { path: \"${slice.start:%Y/%m}.jsonl\" }", "makes no folders"),
        ("csv: { path: \"${coin}.csv\" }", "no parameter `coin`"),
        ("devrev: { object: issue, mode: upsert }", "devrev has no mode"),
        ("devrev: { object: thing }", "`thing` is none of issue"),
        ("devrev: { object: issue, create: true }", "needs key: external_ref"),
        ("devrev: { object: account, key: title }", "accounts are found by"),
        ("devrev: { object: issue }", "devrev has no checks"),
    ] {
        site.write("job.yaml", job(&site, into(target)));
        let said = site.program(["validate", "--job", "job.yaml"]).run().exits(5).says(says);
        assert!(said.all().contains("job.yaml:"), "{}", said.all());
    }
    let with_sql = |text: String| text.replace(SQLITE, "csv: { path: prices.csv }");
    site.write("job.yaml", job(&site, with_sql));
    let said = site.program(["validate", "--job", "job.yaml"]).run().exits(5);
    said.says("sql needs a database").says("undo: true needs a target of PostgreSQL or SQLite");
}

#[test]
fn a_kill_at_any_moment_leaves_the_files_of_a_clean_load() {
    let small = |target: &'static str| {
        let change = into(target);
        move |text: String| {
            change(text)
                .replace("step: 30d", "step: 10d")
                .replace("end_date: 2023-12-31", "end_date: 2023-03-31")
                .replace("[BTC, ETH, ADA]", "[BTC, ETH]")
        }
    };
    for (target, kills) in [
        ("csv: { path: out/all.csv }", 50_u64),
        ("jsonl: { path: \"out/${symbol}-${slice.start}.jsonl\" }", 50),
    ] {
        let make = || {
            let site = with(&Trouble::none(), small(target));
            std::fs::create_dir(site.path("out")).unwrap();
            site
        };
        let clean = make();
        let since = std::time::Instant::now();
        load(&clean, &[]).run().exits(0);
        let whole = since.elapsed();
        let (clean_files, clean_parts) =
            (files(&clean.path("out")), files(&clean.path("out/all.csv.slices")));
        for kill in 0..kills {
            let site = make();
            let running = load(&site, &["--concurrency", "3", "--batch-size", "2"]).spawn();
            std::thread::sleep(whole * u32::try_from(kill).unwrap() / u32::try_from(kills).unwrap());
            running.kill();
            resume(&site).run().exits(0);
            if !site.runs().iter().any(|run| run.0.join("run.json").exists()) {
                // Killed before there was a run to resume.
                load(&site, &[]).run().exits(0);
            }
            assert!(files(&site.path("out")) == clean_files, "kill {kill} of {target}");
            assert!(files(&site.path("out/all.csv.slices")) == clean_parts, "kill {kill} of {target}");
        }
    }
}

#[test]
fn two_shards_at_once_make_one_file() {
    let clean = with(&Trouble::none(), into("csv: { path: prices.csv }"));
    load(&clean, &[]).run().exits(0);
    let site = with(&Trouble::none(), into("csv: { path: prices.csv }"));
    let shard = |part: &str| load(&site, &["--shard", part, "--runs-dir", &part.replace('/', "-")]).spawn();
    let (one, two) = (shard("1/2"), shard("2/2"));
    one.wait();
    two.wait();
    assert_eq!(text(&site, "prices.csv"), text(&clean, "prices.csv"));
    let both = (
        load(&site, &["--reload", "--runs-dir", "a"]).spawn(),
        load(&site, &["--reload", "--runs-dir", "b"]).spawn(),
    );
    both.0.wait();
    both.1.wait();
    assert_eq!(text(&site, "prices.csv"), text(&clean, "prices.csv"));
}

#[test]
fn json_keeps_its_types_and_digits_and_missing_fields_are_empty_cells() {
    let site = site(&Trouble::none());
    site.write(
        "a.jsonl",
        "{\"id\":1,\"n\":12345678901234567890.50,\"list\":[1,{\"a\":null}],\"t\":\"=1+1\"}\n",
    );
    site.write("b.jsonl", "{\"id\":2,\"late\":true,\"t\":null}\n{}\n");
    for (target, whole) in [
        (
            "jsonl: {path: all.jsonl}",
            "{\"id\":1,\"n\":12345678901234567890.50,\"list\":[1,{\"a\":null}],\"t\":\"=1+1\"}\n{\"id\":2,\"late\":true,\"t\":null}\n{}\n",
        ),
        (
            "csv: {path: all.csv}",
            "id,n,list,t,late\n1,12345678901234567890.50,\"[1,{\"\"a\"\":null}]\",=1+1,\n2,,,,true\n",
        ),
    ] {
        let job = format!(
            "version: 1\njob_name: lines\nsource: {{jsonl: {{path: '[ab].jsonl'}}}}\ntarget: {{{target}}}\n"
        );
        site.write("job.yaml", job);
        let is_csv = target.starts_with("csv");
        // CSV has no row for a record without fields.
        load(&site, &[]).run().exits(if is_csv { 3 } else { 0 });
        assert_eq!(text(&site, if is_csv { "all.csv" } else { "all.jsonl" }), whole);
    }
}

#[test]
fn a_disk_that_is_full_ends_the_run_and_resume_joins_what_is_loaded() {
    let site = with(&Trouble::none(), into("csv: { path: prices.csv }"));
    // Room for each part, and not for all of them in one file: blocks of 512 bytes, as Debian's sh has them.
    let script = "trap '' XFSZ; ulimit -f 120; exec \"$0\" \"$@\"";
    let limited = site.prepare(Program::new("sh")).args(["-c", script, BINARY, "load", "job.yaml", "--yes"]);
    let ended = limited.env("PRICES_API_KEY", KEY).run();
    ended.exits(1).says("cannot write").says("prices.csv").says("devrev-batch resume");
    assert!(!site.path("prices.csv").exists(), "no half of a file");
    let calls = site.calls("histoday");
    resume(&site).run().exits(0).says("prices.csv has 1,095 records of 39 slices").says("2 checks passed");
    assert_eq!(site.calls("histoday"), calls, "all slices were loaded");
    assert_eq!(text(&site, "prices.csv").lines().count(), 1096);
    let left = std::fs::read_dir(site.folder()).unwrap().map(|entry| entry.unwrap().file_name());
    assert!(left.into_iter().all(|name| !name.to_string_lossy().starts_with(".devrev-batch-")));
}

#[test]
fn other_boundaries_are_refused_since_the_parts_of_both_would_stay() {
    let site = with(&Trouble::none(), into("jsonl: { path: out.jsonl }"));
    load(&site, &[]).run().exits(0);
    let all = text(&site, "out.jsonl");
    site.write("job.yaml", text(&site, "job.yaml").replace("step: 30d", "step: 20d"));
    for more in [&[][..], &["--reload"]] {
        load(&site, more).run().exits(6).says("load ledger forget job.yaml --all");
    }
    assert_eq!(text(&site, "out.jsonl"), all);
    site.program(["load", "ledger", "forget", "job.yaml", "--all", "--yes"]).run().exits(0);
    std::fs::remove_file(site.path("out.jsonl")).unwrap();
    load(&site, &[]).run().exits(0).says("1,095 records loaded");
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<std::collections::BTreeSet<_>>();
    assert_eq!(text(&site, "out.jsonl").lines().count(), 1095);
    assert_eq!(lines(&text(&site, "out.jsonl")), lines(&all));
}

#[test]
fn two_processes_with_other_boundaries_do_not_both_write() {
    for round in 0..4 {
        let site = with(&Trouble::delay(2 + round), into("jsonl: { path: out.jsonl }"));
        let to = |end: &str, runs: &str| load(&site, &["--end-date", end, "--runs-dir", runs]).spawn();
        let (one, two) = (to("2023-07-27", "a"), to("2023-07-29", "b"));
        let codes = [one.wait().code, two.wait().code];
        assert!(codes.contains(&Some(6)), "{codes:?}");
        let slices = text(&site, "out.jsonl.slices/_devrev_batch_loads.jsonl");
        let ends = ["2023-07-28T00:00:00Z", "2023-07-30T00:00:00Z"];
        let both = ends.iter().all(|end| slices.contains(&format!("end\\\":\\\"{end}")));
        assert!(!both, "{slices}");
    }
}
