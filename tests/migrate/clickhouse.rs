//! ClickHouse: its engine where that is asked for, and an address where answers are made up.

use super::{status, write};
use crate::support::clickhouse::Clickhouse;
use crate::support::eventually;
use crate::support::program::Program;
use crate::support::service::{Answer, Service};
use crate::support::site::{DATABASE_PASSWORD, Site};
use serde_json::json;

const TWO: [(&str, &str); 4] = [
    (
        "0001_commits.up.sql",
        "CREATE TABLE commits (sha String) ENGINE = MergeTree ORDER BY sha;\nINSERT INTO commits VALUES ('a;\\'b');\n",
    ),
    ("0001_commits.down.sql", "DROP TABLE commits;\n"),
    ("0002_authors.up.sql", "CREATE TABLE authors (id Int32) ENGINE = MergeTree ORDER BY id;\n"),
    ("0002_authors.down.sql", "DROP TABLE authors;\n"),
];

fn migrate(site: &Site, clickhouse: &Clickhouse, args: &[&str]) -> Program {
    let program = clickhouse.prepare(site.program(["migrate"]).args(args));
    program.args(["--target", &clickhouse.target()])
}

#[test]
fn up_and_down_and_up_again() {
    let (site, Some(clickhouse)) = (Site::new(), Clickhouse::new()) else { return };
    write(&site, &TWO);
    assert_eq!(status(migrate(&site, &clickhouse, &["status"])), "pending pending");
    let dry_run = migrate(&site, &clickhouse, &["up", "--dry-run"]).run().exits(0);
    dry_run.says("would apply 2 migrations").says("(no transaction: a crash can leave it half done)");
    assert!(clickhouse.log().iter().all(|sql| sql.starts_with("SELECT")), "{:?}", clickhouse.log());
    migrate(&site, &clickhouse, &["up", "--yes"])
        .run()
        .exits(0)
        .says("applied 2 migrations at clickhouse+http://127.0.0.1:");
    assert_eq!(status(migrate(&site, &clickhouse, &["status"])), "applied applied");
    migrate(&site, &clickhouse, &["up", "--yes"]).run().exits(0).says("nothing to apply");
    let json = migrate(&site, &clickhouse, &["down", "2", "--yes", "--json"]).run().exits(0).json();
    assert_eq!(json["done"], json!(["0002_authors.down.sql", "0001_commits.down.sql"]));
    assert_eq!(status(migrate(&site, &clickhouse, &["status"])), "pending pending");
    migrate(&site, &clickhouse, &["up", "--yes"]).run().exits(0).says("applied 2 migrations");
    site.write("migrations/0002_authors.up.sql", "SELECT 1");
    migrate(&site, &clickhouse, &["up", "--yes"]).run().exits(6).says("0002_authors.up.sql has changed");
    assert_eq!(status(migrate(&site, &clickhouse, &["status"])), "applied changed");
}

#[test]
fn what_is_refused_leaves_a_migration_half_done() {
    let (site, Some(clickhouse)) = (Site::new(), Clickhouse::new()) else { return };
    write(&site, &TWO);
    let broken = |last: &str| {
        format!("CREATE TABLE IF NOT EXISTS a (b Int32)\nENGINE = MergeTree ORDER BY b;\n\n{last};\n")
    };
    write(&site, &[("0003_a.up.sql", &broken("INSERT INTO nowhere VALUES (1)"))]);
    let ended = migrate(&site, &clickhouse, &["up", "--yes"]).run().exits(2);
    ended
        .says("0003_a.up.sql, line 4: ClickHouse refused `INSERT INTO nowhere VALUES (1)`")
        .says("(code 60)")
        .says("1 of its 2 statements were executed before, and it is half done")
        .says("applied before that: 0001_commits.up.sql, 0002_authors.up.sql");
    assert_eq!(status(migrate(&site, &clickhouse, &["status"])), "applied applied half-done");
    migrate(&site, &clickhouse, &["up", "--yes"]).run().exits(6).says("0003_a.up.sql is half done");
    write(&site, &[("0003_a.up.sql", &broken("INSERT INTO a VALUES (1)"))]);
    migrate(&site, &clickhouse, &["up", "--yes", "--half-done", "retry"])
        .run()
        .exits(0)
        .says("0003_a.up.sql");
    assert_eq!(status(migrate(&site, &clickhouse, &["status"])), "applied applied applied");
    clickhouse.run(&["SELECT throwIf(count() != 1) FROM a"]);
}

#[test]
fn two_processes_apply_each_migration_once() {
    let (site, Some(clickhouse)) = (Site::new(), Clickhouse::new()) else { return };
    write(&site, &[("1_a.up.sql", "CREATE TABLE a (b Int32) ENGINE = MergeTree ORDER BY b")]);
    let slow = "SELECT sleepEachRow(0.3) FROM numbers(2) FORMAT Null;\nINSERT INTO a VALUES (1);";
    write(&site, &[("2_b.up.sql", slow), ("3_c.up.sql", slow)]);
    let running: Vec<_> =
        (0..3).map(|_| migrate(&site, &clickhouse, &["up", "--yes", "--json"]).spawn()).collect();
    let mut done = 0;
    for running in running {
        done += running.wait().exits(0).json()["done"].as_array().unwrap().len();
    }
    assert_eq!(done, 3);
    clickhouse.run(&["SELECT throwIf(count() != 2) FROM a"]);
}

#[test]
fn a_process_that_is_killed_leaves_its_lock_which_is_taken_over() {
    let (site, Some(clickhouse)) = (Site::new(), Clickhouse::new()) else { return };
    let slow = "CREATE TABLE a (b Int32) ENGINE = MergeTree ORDER BY b;\nSELECT sleepEachRow(1) FROM numbers(3) SETTINGS max_block_size = 1 FORMAT Null;";
    write(&site, &[("1_a.up.sql", slow)]);
    let running = migrate(&site, &clickhouse, &["up", "--yes"]).spawn();
    eventually("the statement", || clickhouse.log().iter().any(|sql| sql.contains("sleepEachRow")));
    running.kill();
    migrate(&site, &clickhouse, &["up", "--yes"]).run().exits(6).says("half done");
    migrate(&site, &clickhouse, &["up", "--yes", "--half-done", "accept"])
        .run()
        .exits(0)
        .says("taken as done");
    assert_eq!(status(migrate(&site, &clickhouse, &["status"])), "applied");
    // One that nothing else tells of.
    clickhouse.run(&["CREATE TABLE _devrev_batch_migrating (nothing UInt8) ENGINE = Memory COMMENT 'process 7 of elsewhere'"]);
    write(&site, &[("2_b.up.sql", "SELECT 1")]);
    let up = |more: &[&str]| {
        migrate(&site, &clickhouse, &["up", "--yes", "--lock-timeout", "300ms"]).args(more).run()
    };
    up(&[]).exits(11).says("process 7 of elsewhere").says("--half-done retry, which takes over");
    up(&["--half-done", "retry"]).exits(0).says("applied 1 migration");
    write(&site, &[("3_c.up.sql", "SELECT 1")]);
    up(&[]).exits(0);
}

#[test]
fn an_answer_that_may_be_cut_off_is_refused_and_no_password_is_quoted() {
    let site = Site::new();
    write(&site, &TWO);
    let exception = |code: u32| Answer {
        head: format!("X-ClickHouse-Exception-Code: {code}\r\n").leak(),
        ..Answer::new(403, &format!("Code: {code}. DB::Exception: ana: no {DATABASE_PASSWORD}. (NAME)\n"))
    };
    let table = || Answer::new(200, "[\"\"]\n");
    let endless = || Answer { is_endless: true, ..Answer::new(200, "") };
    let none = || Answer::new(200, "");
    let cases: [(&str, Vec<Answer>, i32, &str); 6] = [
        // Without the rows of the table, all migrations would seem to be pending.
        ("status", vec![endless()], 1, "it does not say where it ends"),
        ("status", vec![table(), endless()], 1, "it does not say where it ends"),
        ("status", vec![Answer::new(200, "1\n")], 1, "it is not a list of migrations"),
        ("status", vec![exception(516)], 4, "ana: no [secret]. (NAME) (code 516)"),
        ("status", vec![Answer::new(401, DATABASE_PASSWORD)], 4, "refused the login: [secret] (HTTP 401)"),
        (
            "up",
            vec![none(), exception(497)],
            2,
            "taking the lock: ClickHouse refused the query: ana: no [secret]",
        ),
    ];
    for (command, answers, code, says) in cases {
        let (count, scripted) = (answers.len(), Service::new(answers));
        let yes: &[&str] = if command == "up" { &["--yes"] } else { &[] };
        let target = format!("clickhouse+{}", scripted.url());
        let program = site.program(["migrate", command, "--target", &target]).args(yes);
        let ended = program.env("CLICKHOUSE_PASSWORD", DATABASE_PASSWORD).run().exits(code).says(says);
        assert!(!format!("{}{}", ended.out, ended.err).contains(DATABASE_PASSWORD), "{}", ended.all());
        assert_eq!(scripted.asked().len(), count, "{says}");
    }
}
