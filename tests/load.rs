//! `load`: from an HTTP API and files into SQLite, each slice exactly once.

mod clickhouse;
mod clickhouse_target;
mod copy;
mod crash;
mod devrev;
mod disk_full;
mod files;
#[cfg(feature = "kafka")]
mod kafka;
mod keys;
mod ledger;
mod metabase;
mod newest;
mod place;
mod postgres;
mod sei;
mod show;
mod snowflake;
mod sqlite;
mod timezone;
mod undo;

use crate::support::program::Program;
use crate::support::site::{Site, Trouble};
use devrev_batch::sandbox::Data;
use sqlx::sqlite::{SqliteConnectOptions, SqliteRow};
use sqlx::{AssertSqlSafe, ConnectOptions, Row};
use std::fmt::Write as _;
use std::path::Path;

/// What the API's key is in all tests: it must be in no output and no file.
const KEY: &str = "key-Zq7secret9xWv";

/// The demo's job, at the site's sandbox.
fn job(site: &Site, change: impl Fn(String) -> String) -> String {
    let text =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("test_data/jobs/prices.yaml"))
            .unwrap();
    let text = text
        .replace("https://api.example.com/data/v2", &site.base_url())
        .replace("rate_limit: 100/1s", "rate_limit: 1000/1s");
    change(text)
}

fn site(trouble: &Trouble) -> Site {
    let mut site = Site::new();
    site.start(Data::demo, trouble);
    site
}

fn with(trouble: &Trouble, change: impl Fn(String) -> String) -> Site {
    let site = site(trouble);
    site.write("job.yaml", job(&site, change));
    site
}

fn load(site: &Site, more: &[&str]) -> Program {
    site.program(["load", "job.yaml", "--yes"]).args(more).env("PRICES_API_KEY", KEY)
}

/// What a query of an SQLite file finds: a line a row.
fn query(site: &Site, file: &str, sql: &str) -> Vec<String> {
    let path = site.path(file);
    let sql = sql.to_owned();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async move {
        let mut connection = SqliteConnectOptions::new().filename(path).connect().await.unwrap();
        let rows = sqlx::query(AssertSqlSafe(sql)).fetch_all(&mut connection).await.unwrap();
        let line = |row: &SqliteRow| {
            let cells = (0..row.len()).map(|place| {
                row.get_unchecked::<Option<String>, _>(place).unwrap_or_else(|| "NULL".to_owned())
            });
            cells.collect::<Vec<_>>().join("|")
        };
        let lines = rows.iter().map(line).collect();
        // Else its files would go at a moment of their own.
        sqlx::Connection::close(connection).await.unwrap();
        lines
    })
}

/// All prices, as text.
fn prices(site: &Site) -> Vec<String> {
    query(
        site,
        "prices.db",
        "SELECT symbol, day, printf('%.4f', open), printf('%.4f', high), printf('%.4f', low), printf('%.4f', close), \
         printf('%.1f', volume) FROM prices ORDER BY symbol, day",
    )
}

fn ledger(site: &Site) -> String {
    query(site, "prices.db", "SELECT count(*), sum(rows), sum(rejected) FROM _devrev_batch_loads").join("")
}

#[test]
fn a_history_is_fetched_once_and_the_second_run_has_nothing_to_do() {
    let site = with(&Trouble::none(), |text| text);
    let planned = load(&site, &["--dry-run"]).run().exits(0).says("39 slices would be loaded");
    assert!(planned.out.contains(r#"{"symbol":"BTC","day":"2023-01-01","#), "{}", planned.out);
    assert!(!site.path("prices.db").exists(), "a dry run makes no file");
    load(&site, &[]).run().exits(0).says("1,095 records loaded").says("3 checks passed");
    assert_eq!(prices(&site).len(), 3 * 365);
    assert_eq!(ledger(&site), "39|1095|0");
    let calls = site.calls("histoday");
    load(&site, &[]).run().exits(0).says("39  nothing to change");
    assert_eq!(site.calls("histoday"), calls, "what is loaded is not asked for");
    for name in ["job.yaml", "prices.db"] {
        std::fs::remove_file(site.path(name)).unwrap();
    }
    site.assert_no_token();
    assert_nowhere(site.folder(), KEY);
}

fn assert_nowhere(folder: &Path, secret: &str) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            assert_nowhere(&path, secret);
        } else {
            let bytes = std::fs::read(&path).unwrap();
            assert!(
                !bytes.windows(secret.len()).any(|bytes| bytes == secret.as_bytes()),
                "{}",
                path.display()
            );
        }
    }
}

#[test]
fn a_plan_is_applied() {
    let site = with(&Trouble::none(), |text| text);
    load(&site, &["--dry-run", "--param", "symbols=ETH"]).run().exits(0).says("13 slices would be loaded");
    let plan = site.the_run().id().to_owned();
    site.program(["apply", &plan, "--yes"])
        .env("PRICES_API_KEY", KEY)
        .run()
        .exits(0)
        .says("365 records loaded");
    assert_eq!(prices(&site).len(), 365);
}

#[test]
fn parameters_dates_shards_and_chosen_slices_say_what_is_loaded() {
    let site = with(&Trouble::none(), |text| text);
    load(&site, &["--only-slice", "BTC 2023-01-01..2023-01-31"]).run().exits(0).says("30 records loaded");
    load(&site, &["--only-slice", "BTC 2023-01-01"]).run().exits(2).says("there is no such slice");
    load(&site, &["--shard", "1/2"]).run().exits(0);
    load(&site, &["--shard", "2/2"]).run().exits(0);
    assert_eq!(prices(&site).len(), 3 * 365, "two shards are all of it");
    load(&site, &["--shard", "3/2"]).run().exits(2).says("--shard 3/2");
    load(&site, &["--param", "coins=BTC"]).run().exits(2).says("no such parameter");
    load(&site, &["--start-date", "soon"]).run().exits(2).says("not a date");
    let other = with(&Trouble::none(), |text| text);
    load(&other, &["--param", "symbols=SOL", "--start-date", "2024-02-01", "--end-date", "2024-02-29"])
        .run()
        .exits(0);
    assert_eq!(
        query(&other, "prices.db", "SELECT symbol, min(day), max(day), count(*) FROM prices"),
        ["SOL|2024-02-01|2024-02-29|29"]
    );
}

#[test]
fn other_boundaries_or_another_job_are_refused_until_that_is_meant() {
    let site = with(&Trouble::none(), |text| text);
    load(&site, &["--param", "symbols=BTC"]).run().exits(0);
    let clean = prices(&site);
    site.write("job.yaml", job(&site, |text| text.replace("step: 30d", "step: 20d")));
    load(&site, &["--param", "symbols=BTC"]).run().exits(6).says("overlaps").says("--reload");
    site.write("job.yaml", job(&site, |text| text.replace("close, volume", "close: (.close * 2), volume")));
    load(&site, &["--param", "symbols=BTC"]).run().exits(6).says("said something else");
    assert_eq!(prices(&site), clean, "nothing was written");
    load(&site, &["--param", "symbols=BTC", "--reload"]).run().exits(0).says("365 records loaded");
    let doubled = query(
        &site,
        "prices.db",
        "SELECT count(*), count(DISTINCT run) FROM prices, (SELECT DISTINCT run FROM _devrev_batch_loads)",
    );
    assert_eq!(doubled, ["365|1"]);
    assert_ne!(prices(&site), clean);
    // A comment, or another order, is no other job.
    site.write(
        "job.yaml",
        job(&site, |text| format!("# new\n{}", text.replace("close, volume", "close: (.close * 2), volume"))),
    );
    load(&site, &["--param", "symbols=BTC"]).run().exits(0).says("nothing to change");
}

#[test]
fn records_that_break_a_rule_or_a_constraint_are_kept_and_the_others_loaded() {
    let site = with(&Trouble::none(), |text| {
        text.replace("type: number, min: 0 }", "type: number, min: 0, max: 30000 }")
            .replace("create: true", "create: false")
    });
    load(&site, &[]).run().exits(2).says("there is no table `prices`");
    site.write("make.db", "");
    let make = "CREATE TABLE prices (symbol TEXT, day TEXT, open REAL CHECK (open < 29000), high REAL, low REAL, close REAL, volume REAL, PRIMARY KEY (symbol, day)) STRICT";
    execute(&site, make);
    let ended = load(&site, &["--param", "symbols=BTC"]).run().exits(3).says("rejected");
    let run = site.newest_run();
    let rejected = run.lines("rejected.jsonl");
    let by = |rule: &str| rejected.iter().filter(|line| line["rule"] == rule).count();
    assert!(by("max") > 0 && by("target") > 0, "{}", ended.out);
    assert_eq!(by("max") + by("target"), rejected.len());
    assert_eq!(prices(&site).len() + rejected.len(), 365);
    assert!(rejected.iter().all(|line| line["record"]["symbol"] == "BTC" && line["problem"].is_string()));
    // The same, and no record of a slice if one is rejected.
    let strict = with(&Trouble::none(), |text| {
        text.replace("type: number, min: 0 }", "type: number, min: 0, max: 30000 }")
    });
    load(&strict, &["--param", "symbols=BTC", "--strict"]).run().exits(3).says("--strict");
    let left = query(&strict, "prices.db", "SELECT count(*) FROM prices WHERE close > 30000").join("");
    let whole =
        query(&strict, "prices.db", "SELECT count(*) FROM _devrev_batch_loads WHERE rejected > 0").join("");
    assert_eq!((left.as_str(), whole.as_str()), ("0", "0"));
}

fn execute(site: &Site, sql: &str) {
    let path = site.path("prices.db");
    let sql = sql.to_owned();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async move {
        let mut connection =
            SqliteConnectOptions::new().filename(path).create_if_missing(true).connect().await.unwrap();
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
    });
}

#[test]
fn replace_deletes_the_range_of_its_slices_and_nothing_else() {
    let change = |text: String| {
        text.replace("key: [symbol, day], create: true", "key: [symbol, day], mode: replace, create: true")
    };
    let site = with(&Trouble::none(), change);
    load(&site, &["--param", "symbols=BTC"]).run().exits(0);
    let clean = prices(&site);
    execute(
        &site,
        "UPDATE prices SET close = 1, day = day; INSERT INTO prices VALUES ('BTC', '2022-12-31', 1, 1, 1, 1, 1), ('ETH', '2023-01-05', 1, 1, 1, 1, 1), ('BTC', '2023-01-05T12', 1, 1, 1, 1, 1)",
    );
    load(&site, &["--param", "symbols=BTC", "--reload"]).run().exits(0);
    let others = query(&site, "prices.db", "SELECT symbol, day FROM prices WHERE close = 1 ORDER BY 1, 2");
    assert_eq!(others, ["BTC|2022-12-31", "ETH|2023-01-05"], "what is outside stays, what is inside goes");
    execute(&site, "DELETE FROM prices WHERE close = 1");
    assert_eq!(prices(&site), clean);
    // A source that has nothing must not empty the table.
    site.write("job.yaml", job(&site, |text| change(text).replace("records: .Data.Data", "records: empty")));
    load(&site, &["--param", "symbols=BTC", "--reload"]).run().exits(3).says("--allow-empty");
    assert_eq!(prices(&site), clean);
    load(&site, &["--param", "symbols=BTC", "--reload", "--allow-empty"]).run();
    assert!(prices(&site).is_empty());
}

#[test]
fn faults_of_the_api_lose_nothing_and_repeat_nothing() {
    let clean = with(&Trouble::none(), |text| text);
    load(&clean, &[]).run().exits(0);
    let clean = prices(&clean);
    for fault in [
        "status=429,retry_after=1,count=2",
        "status=503,count=3",
        "status=500,after=7,count=2",
        "reset=before,after=3,count=2",
        "reset=after,count=3",
        "truncate,after=1,count=2",
        "html,after=2,count=2",
    ] {
        let site = with(&Trouble::faults([format!("path=histoday,{fault}")]), |text| {
            text.replace("slices:", "retry_policy: { max_retries: 5, backoff_factor: 0.01 }\nslices:")
        });
        load(&site, &[]).run().exits(0);
        assert_eq!(prices(&site), clean, "{fault}");
        assert_eq!(ledger(&site), "39|1095|0", "{fault}");
    }
}

#[test]
fn an_api_that_refuses_ends_the_run_as_it_should() {
    for (fault, exit, says) in [
        ("status=401", 4, "401"),
        ("status=403", 4, "403"),
        ("status=404", 3, "404"),
        ("status=503", 7, "503"),
    ] {
        let site = with(&Trouble::faults([format!("path=histoday,{fault}")]), |text| {
            text.replace("slices:", "retry_policy: { max_retries: 1, backoff_factor: 0.01 }\nslices:")
        });
        let ended =
            load(&site, &["--param", "symbols=BTC", "--concurrency", "1"]).run().exits(exit).says(says);
        assert!(!ended.all().contains("panicked"), "{}", ended.all());
    }
    let site = site(&Trouble::none());
    site.write(
        "job.yaml",
        job(&site, |text| {
            text.replace(&site.base_url(), "http://127.0.0.1:9")
                .replace("slices:", "retry_policy: { max_retries: 0 }\nslices:")
        }),
    );
    load(&site, &["--concurrency", "1"]).run().exits(7);
}

#[test]
fn a_kill_at_any_moment_leaves_what_a_clean_load_leaves() {
    let clean = with(&Trouble::none(), |text| text);
    load(&clean, &[]).run().exits(0);
    let clean = prices(&clean);
    for kill in 0..30_u64 {
        let site = with(&Trouble::delay(kill % 4), |text| text);
        let running = load(&site, &["--concurrency", "3", "--batch-size", "4"]);
        let running = running.run_until(|| site.calls("histoday") > kill);
        running.kill();
        if kill % 3 == 0 && !site.runs().is_empty() {
            // Killed a second time, while it resumes.
            let again = site.program(["resume", "--if-any", "--latest", "--yes"]).env("PRICES_API_KEY", KEY);
            let before = site.calls("histoday");
            let mut again = again.spawn();
            while !again.has_ended() && site.calls("histoday") < before + 2 {
                std::thread::yield_now();
            }
            again.kill();
        }
        site.program(["resume", "--if-any", "--latest", "--yes"]).env("PRICES_API_KEY", KEY).run().exits(0);
        assert_eq!(prices(&site), clean, "kill {kill}");
        assert_eq!(ledger(&site), "39|1095|0", "kill {kill}");
        site.newest_run().assert_complete(39);
    }
}

#[test]
fn two_processes_load_each_slice_once() {
    let site = with(&Trouble::delay(2), |text| {
        text.replace("key: [symbol, day], create: true", "mode: append, create: false")
    });
    execute(
        &site,
        "CREATE TABLE prices (symbol TEXT, day TEXT, open REAL, high REAL, low REAL, close REAL, volume REAL)",
    );
    let (one, two) = (load(&site, &["--runs-dir", "a"]).spawn(), load(&site, &["--runs-dir", "b"]).spawn());
    one.wait();
    two.wait();
    assert_eq!(ledger(&site), "39|1095|0");
    assert_eq!(prices(&site).len(), 1095, "mode append would show a record that came twice");
    load(&site, &["--reload"]).run().exits(2).says("append");
    load(&site, &["--end-date", "2999-01-01", "--only-slice", "BTC 2023-01-01..2023-01-31"]).run().exits(0);
    load(&site, &["--end-date", "2999-01-01"]).run().exits(2).says("ends in the future");
}

#[test]
fn checks_name_what_is_missing() {
    let site = with(&Trouble::none(), |text| text);
    load(&site, &["--param", "symbols=BTC"]).run().exits(0);
    execute(
        &site,
        "DELETE FROM prices WHERE day = '2023-03-05'; UPDATE prices SET high = 0 WHERE day = '2023-07-01'",
    );
    let ended = load(&site, &["--param", "symbols=BTC"]).run();
    let validated = site
        .program(["validate", "--job", "job.yaml", "--online", "--param", "symbols=BTC"])
        .env("PRICES_API_KEY", KEY);
    let validated = validated.run().exits(5);
    assert!(validated.out.contains("BTC lacks 2023-03-05"), "{}", validated.all());
    assert!(validated.out.contains("has 29 of 30 records"), "{}", validated.all());
    assert!(validated.out.contains("finds 1 row"), "{}", validated.all());
    drop(ended);
}

#[test]
fn mistakes_in_a_job_file_are_named_with_line_and_column() {
    let site = site(&Trouble::none());
    for (from, to, says) in [
        ("version: 1", "version: 2", "job.yaml:5:10"),
        ("job_name: prices", "job_name: 'a b'", "a name has letters"),
        ("job_name: prices", "job_title: prices", "job_title"),
        ("records: .Data.Data", "records: '.Data |'", "not a jq filter"),
        ("records: .Data.Data", "records: '$coin'", "$symbol"),
        ("${symbol}\", tsym", "${coin}\", tsym", "there is no parameter `coin`"),
        ("rate_limit: 1000/1s", "rate_limit: fast", "not a rate"),
        ("step: 30d", "step: often", "not a step"),
        ("\"${symbols}\" }", "\"${coins}\" }", "no parameter `coins`"),
        ("type: number, min: 0", "type: float, min: 0", "float"),
        ("key: [symbol, day], create", "mode: upsert, create", "needs a key"),
        ("Apikey ${env.PRICES_API_KEY}", "Apikey abc", "is a secret"),
        ("${env.PRICES_API_KEY}", "${env.DEVREV_API_TOKEN}", "goes to DevRev alone"),
        ("target:\n  sqlite:", "target:\n  oracle:", "oracle"),
        ("start_date: 2023-01-01", "start_date: 2023-13-01", "not a date"),
        ("expect: none", "expect: nothing", "nothing"),
        ("version: 1", "version: [", "job.yaml"),
        ("cursor: .next, param: cursor", "cursor: .next", "cursor and param go together"),
        ("\ntarget:", "\nbatch_size: -5\ntarget:", "expected a whole number that is not negative at line"),
        ("undo: true", "undo: maybe", "expected true or false at line"),
    ] {
        let text = job(&site, |text| text.replace(from, to));
        assert_ne!(text, job(&site, |text| text), "{from}");
        site.write("job.yaml", text);
        for command in [vec!["load", "job.yaml", "--yes"], vec!["validate", "--job", "job.yaml"]] {
            let ended = site.program(command).env("PRICES_API_KEY", KEY).run().exits(5);
            assert!(ended.all().contains(says) && ended.all().contains("job.yaml"), "{to}: {}", ended.all());
        }
    }
    assert!(site.runs().is_empty(), "a wrong file leaves no run");
    site.write("job.yaml", job(&site, |text| text));
    site.program(["load", "job.yaml", "--yes"])
        .without("PRICES_API_KEY")
        .run()
        .exits(2)
        .says("PRICES_API_KEY");
    site.program(["load", "nosuch.yaml", "--yes"]).run().exits(2).says("nosuch.yaml");
    site.program(["load", "--schema"]).run().exits(0).says("job_name");
    site.program(["validate", "--job", "job.yaml"]).run().exits(0);
}

#[test]
fn files_are_slices() {
    let site = site(&Trouble::none());
    for month in 1..=3 {
        let mut text = "day;city;temp\n".to_owned();
        for day in 1..=28 {
            let _ = writeln!(
                text,
                "2026-{month:02}-{day:02};Köln;{}",
                if day == 5 { String::new() } else { format!("{day}.5") }
            );
        }
        site.write(&format!("temp-{month}.csv"), text);
    }
    let target = "target: {sqlite: {path: t.db, table: temps, key: [day, city], create: true}}\n";
    site.write(
        "job.yaml",
        format!("version: 1\njob_name: temps\nsource: {{csv: {{path: 'temp-*.csv'}}}}\n{target}"),
    );
    load(&site, &[]).run().exits(0).says("84 records loaded");
    let found =
        query(&site, "t.db", "SELECT count(*), count(temp), sum(temp) FROM temps WHERE city = 'Köln'");
    assert_eq!(found, ["84|81|1243.5"]);
    load(&site, &[]).run().exits(0).says("3  nothing to change");
    // A run goes by the files that it began with.
    let checked = format!(
        "version: 1\njob_name: checked\nsource: {{csv: {{path: 'temp-*.csv'}}}}\n{target}checks: [{{count: source}}]\n"
    );
    site.write("job.yaml", checked);
    load(&site, &["--dry-run"]).run().exits(0).says("3 slices would be loaded");
    site.write("temp-4.csv", "day;city;temp\n2026-03-31;Bern;1\n");
    let plan = site.newest_run().id().to_owned();
    site.program(["apply", &plan, "--yes"]).run().exits(0).says("84 records loaded").says("1 check passed");
    site.write("more.jsonl", "{\"day\": \"2026-04-01\", \"city\": \"Oslo\", \"temp\": 12345678901234567890}\n\n{\"day\":\"2026-04-02\",\"city\":\"O\\u0000\",\"temp\":null}\n");
    site.write(
        "job.yaml",
        format!("version: 1\njob_name: more\nsource: {{jsonl: {{path: more.jsonl}}}}\n{target}"),
    );
    load(&site, &[]).run().exits(0).says("2 records loaded");
    site.write("bad.jsonl", "{\"day\": \"2026-04-03\"}\n{\"day\": }\n");
    site.write(
        "job.yaml",
        format!("version: 1\njob_name: bad\nsource: {{jsonl: {{path: bad.jsonl}}}}\n{target}"),
    );
    for _ in 0..10 {
        // The source may fail just when the last of what it sent is kept.
        load(&site, &[]).run().exits(3).says("bad.jsonl, line 2");
    }
    assert_eq!(query(&site, "t.db", "SELECT count(*) FROM temps"), ["86"], "nothing of a bad file is loaded");
    site.write(
        "job.yaml",
        format!("version: 1\njob_name: none\nsource: {{csv: {{path: 'none-*.csv'}}}}\n{target}"),
    );
    load(&site, &[]).run().exits(2).says("there is no such file");
}

/// The path of a job that the project ships.
fn shipped(name: &str) -> String {
    format!("{}/test_data/jobs/{name}", env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn a_legacy_table_is_moved_into_a_new_one() {
    let site = site(&Trouble::none());
    execute(
        &site,
        "ATTACH 'legacy.db' AS old; CREATE TABLE old.users (user_id INTEGER PRIMARY KEY, full_name TEXT, email TEXT, created TEXT, \
         active INTEGER); INSERT INTO old.users VALUES (1, 'Ana Sousa', 'Ana@Acme.com', '2020-01-01', 1), (2, 'Bo', 'bo@acme.com', \
         NULL, 0), (3, 'Cy van der Berg', 'CY@acme.com', '2021-05-05', 1), (4, NULL, NULL, NULL, 1), (5, 'A', 'ANA@acme.com', NULL, 1)"
            .replace("legacy.db", &site.path("legacy.db").display().to_string())
            .as_str(),
    );
    let job = shipped("migrate_users.yaml");
    site.program(["load", &job, "--dry-run"]).run().exits(0).says(r#""last_name":"van der Berg""#);
    site.program(["load", &job, "--yes"]).run().exits(3).says("3 records loaded, 2 rejected");
    let users = query(
        &site,
        "app.db",
        "SELECT id, first_name, last_name, email, created_at, status FROM users ORDER BY id",
    );
    assert_eq!(
        users,
        [
            "1|Ana|Sousa|ana@acme.com|2020-01-01|active",
            "2|Bo||bo@acme.com|NULL|inactive",
            "3|Cy|van der Berg|cy@acme.com|2021-05-05|active"
        ]
    );
    let rules: Vec<_> =
        site.newest_run().lines("rejected.jsonl").iter().map(|line| line["rule"].clone()).collect();
    assert_eq!(rules, ["required", "unique"]);
}

#[test]
fn prices_are_corrected_where_they_stand() {
    let site = with(&Trouble::none(), |text| text);
    load(&site, &[]).run().exits(0);
    let clean = prices(&site);
    execute(&site, "UPDATE prices SET high = low, low = high WHERE day IN ('2023-03-05', '2023-07-01')");
    let job = shipped("price_anomaly_fix.yaml");
    let one = ["load", &job, "--yes", "--start-date", "2023-07-01", "--end-date", "2023-07-31"];
    site.program(one).run().exits(3).says("3 records loaded").says("it finds 3 rows");
    site.program(["load", &job, "--yes"]).run().exits(0).says("3 records loaded").says("1 check passed");
    assert_eq!(prices(&site), clean);
    // What was corrected once is not looked at again until that is meant.
    execute(&site, "UPDATE prices SET high = low, low = high WHERE day = '2023-03-05'");
    site.program(["load", &job, "--yes"]).run().exits(3).says("it finds 3 rows");
    site.program(["load", &job, "--yes", "--reload"]).run().exits(0).says("3 records loaded");
    assert_eq!(prices(&site), clean);
}

#[cfg(not(feature = "kafka"))]
#[test]
fn a_build_without_kafka_says_how_to_have_it() {
    let site = site(&Trouble::none());
    let job = "version: 1\njob_name: j\nsource: {kafka: {brokers: \"b:9092\", topics: [t]}}\ntarget: {sqlite: {path: t.db, table: t}}\n";
    site.write("job.yaml", job);
    site.program(["validate", "--job", "job.yaml"]).run().exits(0);
    load(&site, &[]).run().exits(2).says("build it with --features kafka");
    site.program(["load", "ledger", "list", "job.yaml"])
        .run()
        .exits(2)
        .says("build it with --features kafka");
}
