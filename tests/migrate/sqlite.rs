//! SQLite.

use super::{TWO, states, status, write};
use crate::support::eventually;
use crate::support::program::Program;
use crate::support::site::Site;
use crate::support::terminal::OnTerminal;
use serde_json::json;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Row};
use std::fs;

/// A statement that takes seconds, or for ever.
fn count(to: u64) -> String {
    format!(
        "INSERT INTO counted WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < {to}) SELECT max(n) FROM n"
    )
}

const FOR_EVER: u64 = 1 << 60;

fn migrate(site: &Site, args: &[&str]) -> Program {
    site.program(["migrate"]).args(args).args(["--target", "sqlite:a.db"])
}

/// The first column of a query's rows.
fn ask(site: &Site, sql: &str) -> Vec<String> {
    let options = SqliteConnectOptions::new().filename(site.path("a.db"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut connection = options.connect().await.unwrap();
        let rows = sqlx::query(AssertSqlSafe(sql)).fetch_all(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        rows.iter().map(|row| row.get(0)).collect()
    })
}

fn tables(site: &Site) -> Vec<String> {
    ask(
        site,
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE '\\_%' ESCAPE '\\' ORDER BY 1",
    )
}

#[test]
fn up_and_down_and_up_again() {
    let site = Site::new();
    write(&site, &TWO);
    let ended = migrate(&site, &["status"]).run().exits(0).says("does not exist yet").says("2 pending");
    assert!(!site.path("a.db").exists(), "{}", ended.all());
    let ended = migrate(&site, &["up", "--yes"]).run().exits(0);
    let ended = ended.says("applied 2 migrations at sqlite:a.db").says("applied 0001_commits.up.sql in ");
    assert!(ended.err.contains("applied 0002_authors.up.sql in "), "{}", ended.all());
    assert_eq!(tables(&site), ["authors", "commits"]);
    assert_eq!(ask(&site, "SELECT sha FROM commits"), ["a;b"]);
    let ended = migrate(&site, &["status", "--json"]).run().exits(0);
    assert_eq!(states(&ended), [(1, "applied".to_owned()), (2, "applied".to_owned())]);
    let first = &ended.json()["migrations"][0];
    assert_eq!(
        (&first["name"], &first["tool_version"]),
        (&json!("commits"), &json!(env!("CARGO_PKG_VERSION")))
    );
    assert!(first["since"].as_str().unwrap().ends_with('Z') && first["problem"].is_null(), "{first}");
    let row =
        ask(&site, "SELECT name || ' ' || state || ' ' || length(checksum) FROM _devrev_batch_migrations");
    assert_eq!(row, ["commits applied 64", "authors applied 64"]);

    let ended = migrate(&site, &["up", "--yes", "--json"]).run().exits(0);
    assert_eq!(
        ended.json(),
        json!({"target": "sqlite:a.db", "done": [], "skipped": [], "by_another": [], "accepted": []})
    );
    assert_eq!(ask(&site, "SELECT sha FROM commits").len(), 1);

    migrate(&site, &["down", "--yes"])
        .run()
        .exits(0)
        .says("took back 1 migration at")
        .says("0002_authors.down.sql");
    assert_eq!(
        (tables(&site), status(migrate(&site, &["status"]))),
        (vec!["commits".to_owned()], "applied pending".into())
    );
    migrate(&site, &["up", "--yes"]).run().exits(0);
    let ended = migrate(&site, &["down", "5", "--yes", "--json"]).run().exits(0);
    assert_eq!(ended.json()["done"], json!(["0002_authors.down.sql", "0001_commits.down.sql"]));
    assert_eq!((tables(&site).len(), status(migrate(&site, &["status"]))), (0, "pending pending".into()));
    migrate(&site, &["down", "--yes"]).run().exits(0).says("nothing to take back");
}

#[test]
fn the_target_may_be_a_path_or_in_the_environment() {
    let site = Site::new();
    write(&site, &TWO);
    site.program(["migrate", "up", "--target", "a.db", "--yes"]).run().exits(0);
    let other =
        site.program(["migrate", "status", "--json"]).env("DATABASE_URL", "sqlite:a.db").run().exits(0);
    assert_eq!(other.json()["target"], "sqlite:a.db");
    let up = ["migrate", "up", "--yes", "--target", "sqlite:no/such/a.db"];
    site.program(up).run().exits(2).says("there is no folder no/such: make it");
    site.write("not.db", "x".repeat(5000));
    site.program(["migrate", "up", "--yes", "--target", "not.db"])
        .run()
        .exits(2)
        .says("is not an SQLite database");
}

#[test]
fn what_has_changed_is_refused_and_said() {
    let site = Site::new();
    write(&site, &TWO);
    migrate(&site, &["up", "--yes"]).run().exits(0);
    let path = "migrations/0001_commits.up.sql";
    let before = fs::read_to_string(site.path(path)).unwrap();
    site.write(path, before.replace('\n', "\r\n"));
    assert_eq!(status(migrate(&site, &["status"])), "applied applied", "line ends are no change");
    site.write(path, format!("{before}-- more\n"));
    let says = "0001_commits.up.sql has changed since it was applied";
    for command in [&["up", "--yes"][..], &["up", "--dry-run"], &["down", "--yes"], &["status"]] {
        migrate(&site, command)
            .run()
            .exits(6)
            .says(says)
            .says("restore it, and put the change into a new migration");
    }
    assert_eq!(status(migrate(&site, &["status"])), "changed applied");
    fs::remove_file(site.path(path)).unwrap();
    fs::remove_file(site.path("migrations/0001_commits.down.sql")).unwrap();
    migrate(&site, &["up", "--yes"]).run().exits(6).says("its file is not there: restore 1_commits.up.sql");
    assert_eq!(status(migrate(&site, &["status"])), "missing applied");
    write(&site, &TWO);
    write(&site, &[("0000_late.up.sql", "CREATE TABLE late (a)")]);
    migrate(&site, &["up", "--yes"]).run().exits(2).says("0000_late.up.sql has a lower number than 2");
    assert_eq!(status(migrate(&site, &["status"])), "out-of-order applied applied");
    fs::rename(site.path("migrations/0000_late.up.sql"), site.path("migrations/0003_late.up.sql")).unwrap();
    migrate(&site, &["up", "--yes"]).run().exits(0);
    migrate(&site, &["down", "2", "--yes"]).run().exits(2).says("0003_late.up.sql cannot be taken back");
    assert_eq!(tables(&site), ["authors", "commits", "late"], "nothing was taken back");
}

#[test]
fn sql_that_is_refused_changes_nothing() {
    let site = Site::new();
    write(&site, &TWO);
    let broken = "CREATE TABLE a (b);\n\n-- a comment\nINSERT INTO a\n  VALUES ('x');\nINSERT INTO nowhere VALUES (1);\n";
    write(&site, &[("0003_broken.up.sql", broken), ("0004_next.up.sql", "CREATE TABLE next (a)")]);
    let ended = migrate(&site, &["up", "--yes"]).run().exits(2);
    ended
        .says("0003_broken.up.sql, line 6: SQLite refused `INSERT INTO nowhere VALUES (1)`: no such table: nowhere (code 1)")
        .says("all of 0003_broken.up.sql was rolled back")
        .says("applied before that: 0001_commits.up.sql, 0002_authors.up.sql");
    assert_eq!(tables(&site), ["authors", "commits"]);
    assert_eq!(status(migrate(&site, &["status"])), "applied applied pending pending");
    write(&site, &[("0003_broken.up.sql", "CREATE TABLE a (b);\nSELECT 'x")]);
    let ended = migrate(&site, &["up", "--yes"]).run().exits(2);
    ended.says("0003_broken.up.sql, line 2: it ends within a string; nothing was done");
    write(&site, &[("0003_broken.up.sql", "CREATE TABLE a (b);\nCOMMIT;")]);
    migrate(&site, &["up", "--yes"]).run().exits(2).says("line 2: COMMIT is not for a migration");
    let trigger = "CREATE TABLE a (b);\nCREATE TRIGGER t AFTER INSERT ON a BEGIN\n  DELETE FROM a WHERE b = 1;\nEND;\nINSERT INTO a VALUES (1), (2);";
    write(&site, &[("0003_broken.up.sql", trigger)]);
    migrate(&site, &["up", "--yes"]).run().exits(0);
    assert_eq!(ask(&site, "SELECT CAST(b AS TEXT) FROM a"), ["2"]);
}

#[test]
fn a_table_with_references_to_it_can_be_rebuilt() {
    let site = Site::new();
    let tables = "CREATE TABLE p (id INTEGER PRIMARY KEY);\nCREATE TABLE c (p REFERENCES p ON DELETE CASCADE);\n\
                  INSERT INTO p VALUES (1);\nINSERT INTO c VALUES (1);";
    let rebuild = "CREATE TABLE p2 (id INTEGER PRIMARY KEY, more);\nINSERT INTO p2 SELECT id, 0 FROM p;\nDROP TABLE p;\n\
                   ALTER TABLE p2 RENAME TO p;";
    write(&site, &[("1_a.up.sql", tables), ("2_b.up.sql", rebuild)]);
    migrate(&site, &["up", "--yes"]).run().exits(0);
    assert_eq!(ask(&site, "SELECT CAST(p AS TEXT) FROM c"), ["1"]);
    write(&site, &[("3_c.up.sql", "DELETE FROM p;")]);
    let ended = migrate(&site, &["up", "--yes"]).run().exits(2);
    ended.says("3_c.up.sql: SQLite refused `COMMIT`: rows of c refer to rows that are not there");
    assert_eq!(ask(&site, "SELECT CAST(count(*) AS TEXT) FROM p"), ["1"]);
}

#[test]
fn a_dry_run_shows_the_statements_and_writes_nothing() {
    let site = Site::new();
    write(&site, &TWO);
    let dry_run = || migrate(&site, &["up", "--dry-run"]).run().exits(0);
    dry_run()
        .says("would apply 2 migrations at sqlite:a.db")
        .says("-- 0001_commits.up.sql (one transaction)");
    assert!(!site.path("a.db").exists());
    write(
        &site,
        &[(
            "0003_c.up.sql",
            "-- devrev-batch: no transaction\nCREATE TABLE c (a);\n-- x\nCREATE INDEX i ON c (a)",
        )],
    );
    let json = migrate(&site, &["up", "--dry-run", "--json"]).run().exits(0).json();
    let third = &json["migrations"][2];
    assert_eq!((&third["transaction"], &third["skipped"]), (&json!(false), &json!(false)));
    assert_eq!(third["statements"][1], json!({"line": 4, "sql": "CREATE INDEX i ON c (a)"}));
    migrate(&site, &["up", "--yes"]).run().exits(0);
    let before = fs::read(site.path("a.db")).unwrap();
    let ended = migrate(&site, &["down", "2", "--dry-run"]).run().exits(2);
    ended.says("0003_c.up.sql cannot be taken back");
    write(&site, &[("0003_c.down.sql", "DROP TABLE c"), ("0004_d.up.sql", "CREATE TABLE d (a)")]);
    migrate(&site, &["down", "2", "--dry-run"])
        .run()
        .exits(0)
        .says("would take back 2 migrations")
        .says("DROP TABLE c;");
    dry_run().says("CREATE TABLE d (a);");
    migrate(&site, &["status"]).run().exits(0);
    assert_eq!(fs::read(site.path("a.db")).unwrap(), before);
    let readonly = fs::metadata(site.path("a.db")).unwrap().len();
    assert_eq!(readonly, before.len() as u64);
}

#[test]
fn two_processes_apply_each_migration_once() {
    let site = Site::new();
    let counts = count(300_000);
    let files: Vec<(String, String)> =
        (2..=6).map(|number| (format!("000{number}_n.up.sql"), counts.clone())).collect();
    write(&site, &[("0001_counted.up.sql", "CREATE TABLE counted (n)")]);
    write(&site, &files.iter().map(|(name, text)| (&**name, &**text)).collect::<Vec<_>>());
    let running: Vec<_> = (0..3).map(|_| migrate(&site, &["up", "--yes", "--json"]).spawn()).collect();
    let mut done = 0;
    for running in running {
        let json = running.wait().exits(0).json();
        done += json["done"].as_array().unwrap().len();
    }
    assert_eq!(done, 6);
    assert_eq!(ask(&site, "SELECT CAST(count(*) AS TEXT) FROM counted"), ["5"]);
    assert_eq!(status(migrate(&site, &["status"])), ["applied"; 6].join(" "));
}

#[test]
fn a_process_that_is_killed_leaves_nothing_half_done() {
    let site = Site::new();
    let file = |to| format!("CREATE TABLE counted (n);\n{};\n", count(to));
    write(&site, &[("1_a.up.sql", "CREATE TABLE a (b)"), ("2_b.up.sql", &file(FOR_EVER))]);
    // The first is committed, the second begun: its process keeps others from writing.
    let running = migrate(&site, &["up", "--yes"]).spawn();
    running.until_it_says("applied 1_a.up.sql");
    migrate(&site, &["up", "--yes", "--lock-timeout", "300ms"])
        .run()
        .exits(11)
        .says("another process writes to sqlite:a.db");
    assert_eq!(running.kill().code, None);
    assert_eq!(
        (tables(&site), status(migrate(&site, &["status"]))),
        (vec!["a".to_owned()], "applied pending".into())
    );
    write(&site, &[("2_b.up.sql", &file(10))]);
    migrate(&site, &["up", "--yes"]).run().exits(0);
    assert_eq!(tables(&site), ["a", "counted"]);
}

#[test]
fn a_signal_or_the_limit_ends_a_statement() {
    let site = Site::new();
    let file = format!("CREATE TABLE counted (n);\n{};\n", count(FOR_EVER));
    write(&site, &[("1_a.up.sql", "CREATE TABLE a (b)"), ("2_b.up.sql", &file)]);
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        let running = migrate(&site, &["up", "--yes"]).spawn();
        eventually("the second migration", || site.path("a.db-journal").exists());
        std::thread::sleep(std::time::Duration::from_millis(300));
        running.signal(signal);
        let ended = running.wait().exits(code);
        ended.says("interrupted in 2_b.up.sql, line 2").says("all of 2_b.up.sql was rolled back");
        assert_eq!(tables(&site), ["a"]);
    }
    let ended = migrate(&site, &["up", "--yes", "--timeout", "300ms"]).run().exits(7);
    ended.says("took longer than 300ms (--timeout); all of 2_b.up.sql was rolled back");
    assert_eq!(tables(&site), ["a"]);
}

#[test]
fn without_a_transaction_a_migration_can_be_half_done() {
    let site = Site::new();
    let file =
        |last: &str| format!("-- devrev-batch: no transaction\nCREATE TABLE IF NOT EXISTS a (b);\n{last};\n");
    write(&site, &[("1_a.up.sql", &file("CREATE TABLE nowhere.b (c)")), ("1_a.down.sql", "DROP TABLE a")]);
    write(&site, &[("2_b.up.sql", "CREATE TABLE b (c)")]);
    let ended = migrate(&site, &["up", "--yes"]).run().exits(2);
    ended
        .says("1_a.up.sql, line 3: SQLite refused")
        .says("1 of its 2 statements were executed before, and it is half done");
    assert_eq!(
        (tables(&site), status(migrate(&site, &["status"]))),
        (vec!["a".to_owned()], "half-done pending".into())
    );
    migrate(&site, &["status"]).run().exits(6).says("1 pending, 1 half done").says("--half-done retry");
    migrate(&site, &["up", "--yes"]).run().exits(6).says("1_a.up.sql is half done");
    migrate(&site, &["up", "--yes", "--half-done", "retry"]).run().exits(2);
    assert_eq!(status(migrate(&site, &["status"])), "half-done pending");
    write(&site, &[("1_a.up.sql", &file("CREATE INDEX i ON a (b)"))]);
    migrate(&site, &["up", "--yes", "--half-done", "retry"]).run().exits(0).says("applied 2 migrations");
    assert_eq!(status(migrate(&site, &["status"])), "applied applied");

    // A process that is killed meanwhile.
    write(
        &site,
        &[(
            "3_c.up.sql",
            &format!("-- devrev-batch: no transaction\nCREATE TABLE counted (n);\n{};", count(FOR_EVER)),
        )],
    );
    let running = migrate(&site, &["up", "--yes"]).spawn();
    eventually("the table", || tables(&site).contains(&"counted".to_owned()));
    running.kill();
    assert_eq!(status(migrate(&site, &["status"])), "applied applied half-done");
    let ended = migrate(&site, &["up", "--yes", "--half-done", "accept"]).run().exits(0);
    ended.says("3_c.up.sql: taken as done, nothing of it executed");
    assert_eq!(status(migrate(&site, &["status"])), "applied applied applied");

    // The way back.
    write(
        &site,
        &[("3_c.down.sql", "-- devrev-batch: no transaction\nDROP TABLE counted;\nDROP TABLE nowhere;")],
    );
    migrate(&site, &["down", "--yes"]).run().exits(2).says("3_c.down.sql, line 3").says("half done");
    assert_eq!(status(migrate(&site, &["status"])), "applied applied half-done");
    migrate(&site, &["down", "--yes", "--half-done", "accept"]).run().exits(0);
    assert_eq!(
        (tables(&site).len(), status(migrate(&site, &["status"]))),
        (2, "applied applied pending".into())
    );
}

#[test]
fn what_needs_timescaledb_is_skipped_and_said() {
    let site = Site::new();
    let file = "-- devrev-batch: needs timescaledb\nSELECT create_hypertable('a', 'b');";
    write(
        &site,
        &[("1_a.up.sql", "CREATE TABLE a (b)"), ("2_b.up.sql", file), ("3_c.up.sql", "CREATE TABLE c (d)")],
    );
    let ended = migrate(&site, &["up", "--yes"]).run().exits(0);
    ended
        .says("applied 2 migrations")
        .says("2_b.up.sql: skipped: TimescaleDB is not there")
        .says("2_b.up.sql was skipped");
    assert_eq!(status(migrate(&site, &["status"])), "applied skipped applied");
    migrate(&site, &["up", "--yes"]).run().exits(0).says("nothing to apply").says("2_b.up.sql: skipped");
    write(&site, &[("3_c.down.sql", "DROP TABLE c"), ("1_a.down.sql", "DROP TABLE a")]);
    let ended = migrate(&site, &["down", "2", "--yes", "--json"]).run().exits(0);
    assert_eq!(ended.json()["done"], json!(["3_c.down.sql", "1_a.down.sql"]));
    migrate(&site, &["up", "--yes"]).run().exits(0).says("applied 2 migrations");
}

#[test]
fn it_asks_first() {
    let site = Site::new();
    write(&site, &TWO);
    for command in ["up", "down"] {
        migrate(&site, &[command]).run().exits(14).says("use --yes");
    }
    assert!(!site.path("a.db").exists());
    let up = ["migrate", "up", "--target", "sqlite:a.db"];
    let mut terminal = OnTerminal::start(&site, &up, &[]);
    terminal.until_it_shows("Continue? [y/N]");
    terminal.types("n\n");
    let shown = terminal.exits(14);
    for text in [
        "migrate up at sqlite:a.db (a new file)",
        "apply 2 migrations:",
        "0002_authors.up.sql",
        "nothing was written",
    ] {
        assert!(shown.contains(text), "{shown}");
    }
    assert!(!site.path("a.db").exists());
    let mut terminal = OnTerminal::start(&site, &up, &[("ENVIRONMENT", "production")]);
    terminal.until_it_shows("Type the database's name, a.db, to continue:");
    terminal.types("y\n");
    assert!(terminal.exits(14).contains("the database's name is a.db"));
    let mut terminal = OnTerminal::start(&site, &up, &[("ENVIRONMENT", "production")]);
    terminal.until_it_shows("Type the database's name, a.db, to continue:");
    terminal.types("a.db\n");
    terminal.exits(0);
    assert_eq!(tables(&site), ["authors", "commits"]);
}
