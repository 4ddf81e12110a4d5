//! `load`: beside what databases bring to fill a table, with a transform, under a rate limit, and the memory of it.
//!
//! `psql` and `sqlite3` have to be installed. PostgreSQL is a database for the purpose, named by `DATABASE_URL`, and ClickHouse one of
//! `CLICKHOUSE_URL`, with the password of `default` in `CLICKHOUSE_PASSWORD`; their parts are left out where these are not set.

use super::Measure;
use super::program::{Ran, Server, run_with};
use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufWriter, Read as _, Write as _};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

const DATABASE_URL: &str = "DATABASE_URL";
const CLICKHOUSE_URL: &str = "CLICKHOUSE_URL";
const CLICKHOUSE_PASSWORD: &str = "CLICKHOUSE_PASSWORD";

/// A column, with its type in each database.
struct Column {
    name: &'static str,
    postgres: &'static str,
    sqlite: &'static str,
    clickhouse: &'static str,
}

const fn column(
    name: &'static str,
    postgres: &'static str,
    sqlite: &'static str,
    clickhouse: &'static str,
) -> Column {
    Column { name, postgres, sqlite, clickhouse }
}

const COLUMNS: [Column; 8] = [
    column("id", "bigint PRIMARY KEY", "INTEGER PRIMARY KEY", "Int64"),
    column("symbol", "text", "TEXT", "String"),
    column("day", "date", "TEXT", "Date"),
    column("open", "double precision", "REAL", "Float64"),
    column("high", "double precision", "REAL", "Float64"),
    column("low", "double precision", "REAL", "Float64"),
    column("close", "double precision", "REAL", "Float64"),
    column("volume", "bigint", "INTEGER", "Int64"),
];
const TRANSFORM: &str = "transform: '{id: (.id | tonumber), symbol: (.symbol | ascii_downcase), day: (.day + \"T00:00:00Z\" | fromdate | \
                         todate[:10]), open: (.open | tonumber), high: (.high | tonumber), low: (.low | tonumber), close: (.close | \
                         tonumber), volume: (.volume | tonumber)}'\n";

/// Writes so many records of prices.
fn write_records(path: &Path, records: u64) {
    let mut file = BufWriter::new(File::create(path).unwrap());
    let names: Vec<&str> = COLUMNS.iter().map(|column| column.name).collect();
    writeln!(file, "{}", names.join(",")).unwrap();
    for id in 1..=records {
        let open = (id * 7_368_787 % 1_000_003) as f64 / 10_000.0;
        writeln!(
            file,
            "{id},SYM{},2024-{:02}-{:02},{open:.4},{:.4},{:.4},{:.4},{}",
            id % 100,
            id % 12 + 1,
            id % 28 + 1,
            open * 1.1,
            open * 0.9,
            open * 1.01,
            id * 31 % 1_000_000
        )
        .unwrap();
    }
}

fn write_job(folder: &Path, source: &str, more: &str, target: &str) {
    let job = format!("version: 1\njob_name: bench\nsource: {source}\n{more}target: {target}\n");
    std::fs::write(folder.join("job.yaml"), job).unwrap();
}

fn load(folder: &Path, env: &[(&str, &str)], records: u64) -> Ran {
    let ran = run_with(folder, env, &["load", "job.yaml", "--yes"]);
    let note = format!("{} records loaded", grouped(records));
    assert!(ran.summary.to_string().contains(&note), "{}", ran.summary);
    ran
}

/// A number with commas.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().map(|group| std::str::from_utf8(group).unwrap()).collect();
    groups.join(",")
}

fn tool(program: &str, args: &[&str], folder: &Path) -> Duration {
    let start = Instant::now();
    let output = Command::new(program).args(args).current_dir(folder).output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}"));
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    start.elapsed()
}

fn create(kind: impl Fn(&Column) -> &'static str, table: &str) -> String {
    let columns: Vec<String> =
        COLUMNS.iter().map(|column| format!("{} {}", column.name, kind(column))).collect();
    format!("CREATE TABLE {table} ({})", columns.join(", "))
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn sqlite_table(folder: &Path, file: &str) {
    let _ = std::fs::remove_file(folder.join(file));
    tool("sqlite3", &[file, &create(|column| column.sqlite, "prices")], folder);
}

fn sqlite(measures: &mut Vec<Measure>) {
    const RECORDS: u64 = 1_000_000;
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    write_records(&folder.join("prices.csv"), RECORDS);
    let target = "{ sqlite: { path: ours.db, table: prices, mode: append } }";
    write_job(folder, "{ csv: { path: prices.csv } }", "", target);
    let ratios = (0..3).map(|_| {
        sqlite_table(folder, "theirs.db");
        let theirs = tool(
            "sqlite3",
            &["theirs.db", "-cmd", ".mode csv", ".import --skip 1 prices.csv prices"],
            folder,
        );
        sqlite_table(folder, "ours.db");
        theirs.as_secs_f64() / load(folder, &[], RECORDS).took.as_secs_f64()
    });
    let what = "load, 1,000,000 records from CSV into SQLite: speed beside .import";
    measures.push(Measure::at_least(what, median(ratios.collect()), "", 0.5, "at least 0.5"));

    let target = "{ sqlite: { path: ours.db, table: prices, key: [id] } }";
    write_job(folder, "{ csv: { path: prices.csv } }", TRANSFORM, target);
    sqlite_table(folder, "ours.db");
    let ran = load(folder, &[], RECORDS);
    let speed = RECORDS as f64 / ran.took.as_secs_f64();
    let what = "load: records a second with a transform, CSV into SQLite";
    measures.push(Measure::at_least(what, speed, "", 40_000.0, "at least 40,000"));

    let mut peaks = Vec::new();
    write_job(
        folder,
        "{ csv: { path: prices.csv } }",
        "",
        "{ sqlite: { path: ours.db, table: prices, mode: append } }",
    );
    for records in [100_000, 10_000_000] {
        write_records(&folder.join("prices.csv"), records);
        sqlite_table(folder, "ours.db");
        peaks.push(load(folder, &[], records).peak_mib);
    }
    let what = format!("load: memory at 10,000,000 records over that at 100,000 ({:.1} MiB)", peaks[0]);
    measures.push(Measure::at_most(what, peaks[1] / peaks[0], "", 1.5, "flat"));
}

fn postgres(url: &str, measures: &mut Vec<Measure>) {
    const RECORDS: u64 = 1_000_000;
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let env = [(DATABASE_URL, url)];
    let psql = |sql: &str| tool("psql", &["-q", "-v", "ON_ERROR_STOP=1", "-d", url, "-c", sql], folder);
    let begin = |table: &str| {
        psql("DROP TABLE IF EXISTS _devrev_batch_loads");
        psql(&format!("DROP TABLE IF EXISTS {table}; {}", create(|column| column.postgres, table)));
    };
    write_records(&folder.join("prices.csv"), RECORDS);
    write_job(folder, "{ csv: { path: prices.csv } }", "", "{ postgres: { table: ours, mode: append } }");
    let ratios = (0..3).map(|_| {
        begin("theirs");
        let theirs = psql("\\copy theirs from 'prices.csv' csv header");
        begin("ours");
        theirs.as_secs_f64() / load(folder, &env, RECORDS).took.as_secs_f64()
    });
    let what = "load, 1,000,000 records from CSV into PostgreSQL: speed beside \\copy";
    measures.push(Measure::at_least(what, median(ratios.collect()), "", 0.5, "at least 0.5"));

    write_job(
        folder,
        "{ postgres: { table: theirs } }",
        "",
        "{ postgres: { table: ours, key: [id], mode: append } }",
    );
    begin("ours");
    let ran = load(folder, &env, RECORDS);
    let what = format!(
        "load, 1,000,000 records from PostgreSQL into PostgreSQL in {:.1} s: peak memory",
        ran.took.as_secs_f64()
    );
    measures.push(Measure::at_most(what, ran.peak_mib, " MiB", 64.0, "at most 64 MiB"));
    psql("DROP TABLE ours, theirs, _devrev_batch_loads");
}

fn clickhouse(url: &str, measures: &mut Vec<Measure>) {
    const RECORDS: u64 = 1_000_000;
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let password = std::env::var(CLICKHOUSE_PASSWORD).unwrap_or_default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let ask = |body: Vec<u8>| {
        let request = client.post(url).header("X-ClickHouse-User", "default");
        let request = request.header("X-ClickHouse-Key", &password).body(body);
        runtime.block_on(async {
            let answer = request.send().await.unwrap();
            assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
        });
    };
    let begin = |table: &str| {
        ask("DROP TABLE IF EXISTS _devrev_batch_loads SYNC".into());
        ask(format!("DROP TABLE IF EXISTS {table} SYNC").into());
        let create = create(|column| column.clickhouse, table);
        // As exactly once needs it.
        let settings = "SETTINGS non_replicated_deduplication_window = 1000";
        ask(format!("{create} ENGINE = MergeTree ORDER BY id {settings}").into());
    };
    let path = folder.join("prices.csv");
    write_records(&path, RECORDS);
    write_job(folder, "{ csv: { path: prices.csv } }", "", "{ clickhouse: { table: ours, mode: append } }");
    let env = [(CLICKHOUSE_URL, url), (CLICKHOUSE_PASSWORD, &password)];
    let ratios = (0..3).map(|_| {
        begin("theirs");
        let start = Instant::now();
        let mut body = b"INSERT INTO theirs FORMAT CSVWithNames\n".to_vec();
        File::open(&path).unwrap().read_to_end(&mut body).unwrap();
        ask(body);
        let theirs = start.elapsed();
        begin("ours");
        theirs.as_secs_f64() / load(folder, &env, RECORDS).took.as_secs_f64()
    });
    let what = "load, 1,000,000 records from CSV into ClickHouse: speed beside INSERT FORMAT CSV";
    measures.push(Measure::at_least(what, median(ratios.collect()), "", 0.5, "at least 0.5"));
    for table in ["ours", "theirs", "_devrev_batch_loads"] {
        ask(format!("DROP TABLE {table} SYNC").into());
    }
}

/// Slices of an HTTP API under a limit.
fn http(measures: &mut Vec<Measure>) {
    const CALLS: u32 = 1500;
    const A_SECOND: u32 = 100;
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let data = folder.join("data.json");
    std::fs::write(
        &data,
        r#"{"organisation": {"id": "BENCH", "name": "Bench"}, "self": "DEVU-1",
        "users": [{"number": 1, "name": "User 1", "email": "u1@example.com"}]}"#,
    )
    .unwrap();
    let server = Server::with(&data);
    let mut more = String::from("params: { start_date: 2020-01-01, end_date: ");
    let last =
        chrono::NaiveDate::from_ymd_opt(2020, 1, 1).unwrap() + chrono::TimeDelta::days(i64::from(CALLS) - 1);
    let _ = writeln!(more, "{last} }}\nslices: {{ dates: {{ field: day, step: 1d }} }}");
    more.push_str("transform: '{day: (.time | todate[:10]), close}'\n");
    let source = format!(
        "{{ http: {{ url: \"{}/data/v2/histoday\", query: {{ fsym: BTC, toTs: \"${{slice.end.unix}}\", limit: \"${{slice.days}}\" }}, \
         records: .Data.Data, rate_limit: {A_SECOND}/1s }} }}",
        server.url.trim_end_matches('/')
    );
    write_job(
        folder,
        &source,
        &more,
        "{ sqlite: { path: ours.db, table: prices, key: [day], create: true } }",
    );
    let ran = run_with(folder, &[], &["load", "job.yaml", "--yes"]);
    let calls = server.stats()["total"].as_f64().unwrap();
    let share = calls / (ran.took.as_secs_f64() * f64::from(A_SECOND));
    let what = format!("load, {calls} calls at 100 a second: share of the allowed rate");
    measures.push(Measure::at_least(what, share, "", 0.97, "at least 0.97"));
}

pub(crate) fn run() -> Vec<Measure> {
    let mut measures = Vec::new();
    http(&mut measures);
    sqlite(&mut measures);
    match std::env::var(DATABASE_URL) {
        Ok(url) => postgres(&url, &mut measures),
        Err(_) => eprintln!("left out: load into PostgreSQL ({DATABASE_URL} is not set)"),
    }
    match std::env::var(CLICKHOUSE_URL) {
        Ok(url) => clickhouse(&url, &mut measures),
        Err(_) => eprintln!("left out: load into ClickHouse ({CLICKHOUSE_URL} is not set)"),
    }
    measures
}
