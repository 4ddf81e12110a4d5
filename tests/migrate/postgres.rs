//! PostgreSQL.

use super::{TWO, status, write};
use crate::support::eventually;
use crate::support::postgres::{Database, PASSWORD};
use crate::support::program::Program;
use crate::support::site::Site;
use crate::support::terminal::OnTerminal;
use serde_json::json;
use std::net::{Ipv4Addr, TcpListener};

fn migrate(site: &Site, database: &Database, args: &[&str]) -> Program {
    database.prepare(site.program(["migrate"]).args(args))
}

fn is_there(database: &Database, table: &str) -> bool {
    database.ask(&format!("SELECT to_regclass('{table}')::text")).is_some()
}

/// Waits until a statement with this text is executed, or until none is any more.
fn until_executed(database: &Database, text: &str, is_executed: bool) {
    let sql = format!(
        "SELECT count(*)::text FROM pg_stat_activity WHERE datname = current_database() AND state = 'active' AND query LIKE \
         '{text}%'"
    );
    eventually(text, || (database.ask(&sql).as_deref() != Some("0")) == is_executed);
}

#[test]
fn up_and_down_and_up_again() {
    let (site, Some(database)) = (Site::new(), Database::new()) else { return };
    write(&site, &TWO);
    let function = "CREATE FUNCTION three() RETURNS int LANGUAGE plpgsql AS $f$ BEGIN RETURN 3; END; $f$;\n\
                    SELECT pg_catalog.set_config('search_path', '', false);\n\
                    CREATE TABLE public.more (id int DEFAULT public.three());";
    write(&site, &[("0003_function.up.sql", function)]);
    write(&site, &[("0003_function.down.sql", "DROP TABLE more; DROP FUNCTION three();")]);
    assert_eq!(status(migrate(&site, &database, &["status"])), "pending pending pending");
    assert!(!is_there(&database, "_devrev_batch_migrations"), "a look writes nothing");
    migrate(&site, &database, &["up", "--yes"])
        .run()
        .exits(0)
        .says("applied 3 migrations at postgres://postgres@127.0.0.1");
    assert!(is_there(&database, "commits") && is_there(&database, "more"));
    assert_eq!(status(migrate(&site, &database, &["status"])), "applied applied applied");
    migrate(&site, &database, &["up", "--yes"]).run().exits(0).says("nothing to apply");
    assert_eq!(database.ask("SELECT count(*)::text FROM commits").as_deref(), Some("1"));
    let json = migrate(&site, &database, &["down", "2", "--yes", "--json"]).run().exits(0).json();
    assert_eq!(json["done"], json!(["0003_function.down.sql", "0002_authors.down.sql"]));
    assert!(is_there(&database, "commits") && !is_there(&database, "more"));
    assert_eq!(status(migrate(&site, &database, &["status"])), "applied pending pending");
    migrate(&site, &database, &["up", "--yes"]).run().exits(0).says("applied 2 migrations");
    site.write("migrations/0002_authors.up.sql", "CREATE TABLE authors (id bigint);");
    migrate(&site, &database, &["up", "--yes"])
        .run()
        .exits(6)
        .says("0002_authors.up.sql has changed since it was applied");
    let left = "SELECT count(*)::text FROM pg_stat_activity WHERE application_name = 'devrev-batch' AND datname = current_database()";
    eventually("connections to be gone", || database.ask(left).as_deref() == Some("0"));
}

#[test]
fn a_target_on_the_command_line_has_its_password_from_the_environment() {
    let (site, Some(database)) = (Site::new(), Database::new()) else { return };
    write(&site, &TWO);
    let target = database.url("postgres");
    let up = || site.program(["migrate", "up", "--yes", "--target", &target]);
    up().run().exits(4).says("refused the login").says("--target");
    up().env("PGPASSWORD", PASSWORD).run().exits(0).says("applied 2 migrations");
    let other = target.replace(&target[target.rfind('/').unwrap()..], "/postgres");
    let same_server = other.replace("postgres@", &format!("postgres:{PASSWORD}@"));
    up().env("DATABASE_URL", same_server).run().exits(0).says("nothing to apply");
    let wrong =
        site.program(["migrate", "status"]).env("DATABASE_URL", database.url("postgres:nobody")).run();
    wrong.exits(4).says("check the user and the password in DATABASE_URL");
    let nowhere = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
    let url = format!("postgres://postgres:{PASSWORD}@{nowhere}/crm");
    let status = site.program(["migrate", "status"]).env("DATABASE_URL", url).env("MAX_RETRIES", "1");
    status.run().exits(7).says("cannot reach PostgreSQL");
    let absent = target.replace(&target[target.rfind('/').unwrap()..], "/absent");
    let status = site.program(["migrate", "status", "--target", &absent]).env("PGPASSWORD", PASSWORD);
    status.run().exits(2).says("check the database's name in --target");
}

#[test]
fn sql_that_is_refused_changes_nothing_and_shows_no_secret() {
    let (site, Some(database)) = (Site::new(), Database::new()) else { return };
    write(&site, &TWO);
    let broken = "CREATE TABLE a (b int);\n\nINSERT INTO a\nVALUES (1),\n  (nothing);\n";
    write(&site, &[("0003_broken.up.sql", broken)]);
    let ended = migrate(&site, &database, &["up", "--yes"]).run().exits(2);
    ended
        .says("0003_broken.up.sql, line 5: PostgreSQL refused `INSERT INTO a VALUES (1), (nothing)`: column \"nothing\" does not exist (code 42703)")
        .says("all of 0003_broken.up.sql was rolled back")
        .says("applied before that: 0001_commits.up.sql, 0002_authors.up.sql");
    assert!(is_there(&database, "authors") && !is_there(&database, "a"));
    assert_eq!(status(migrate(&site, &database, &["status"])), "applied applied pending");
    // A password in a file is in no output; `exits` sees to that.
    for sql in [
        format!("CREATE ROLE a\n  PASSWORD '{PASSWORD}' '{PASSWORD}'"),
        format!("CREATE ROLE postgres PASSWORD '{PASSWORD}'"),
        format!("DO $$ BEGIN EXECUTE 'ALTER ROLE nobody PASSWORD ''{PASSWORD}'''; END $$"),
    ] {
        write(&site, &[("0003_broken.up.sql", &sql)]);
        migrate(&site, &database, &["up", "--yes"]).run().exits(2).says("0003_broken.up.sql, line ");
        migrate(&site, &database, &["up", "--yes"]).args(["--log-level", "trace"]).run().exits(2);
        migrate(&site, &database, &["up", "--dry-run"]).run().exits(0).says("'...'");
    }
    // What is only seen at the end.
    let late = "CREATE TABLE p (id int PRIMARY KEY);\nCREATE TABLE c (p int REFERENCES p DEFERRABLE INITIALLY DEFERRED);\nINSERT INTO c VALUES (1);";
    write(&site, &[("0003_broken.up.sql", late)]);
    let ended = migrate(&site, &database, &["up", "--yes"]).run().exits(2);
    ended.says("refused `COMMIT`").says("(code 23503); all of 0003_broken.up.sql was rolled back");
    assert!(!is_there(&database, "c"));
}

#[test]
fn a_dry_run_writes_nothing() {
    let (site, Some(database)) = (Site::new(), Database::new()) else { return };
    write(&site, &TWO);
    let dry_run = migrate(&site, &database, &["up", "--dry-run"]).run().exits(0);
    dry_run.says("would apply 2 migrations").says("INSERT INTO commits VALUES ('a;b');");
    assert!(!is_there(&database, "_devrev_batch_migrations") && !is_there(&database, "commits"));
    // Not by a user who may write nothing either.
    database.run(
        "DROP ROLE IF EXISTS looker_of_migrations; CREATE ROLE looker_of_migrations LOGIN PASSWORD 'looks'",
    );
    let url = database.url("looker_of_migrations:looks");
    let looker = |args: &[&str]| site.program(["migrate"]).args(args).env("DATABASE_URL", &url);
    looker(&["up", "--dry-run"]).run().exits(0);
    looker(&["status"]).run().exits(0);
    let up = looker(&["up", "--yes"]).run().exits(2);
    up.says("making the table of migrations: PostgreSQL refused").says("(code 42501)");
    database.run("DROP ROLE looker_of_migrations");
}

#[test]
fn two_processes_apply_each_migration_once() {
    let (site, Some(database)) = (Site::new(), Database::new()) else { return };
    write(&site, &[("1_a.up.sql", "CREATE TABLE a (b int);")]);
    let slow = "INSERT INTO a VALUES (1);\nSELECT pg_sleep(0.3);";
    write(&site, &[("2_b.up.sql", slow), ("3_c.up.sql", slow), ("4_d.up.sql", slow)]);
    let running: Vec<_> =
        (0..3).map(|_| migrate(&site, &database, &["up", "--yes", "--json"]).spawn()).collect();
    let mut done = 0;
    for running in running {
        done += running.wait().exits(0).json()["done"].as_array().unwrap().len();
    }
    assert_eq!((done, database.ask("SELECT count(*)::text FROM a").as_deref()), (4, Some("3")));

    // One that is not waited for.
    write(&site, &[("5_e.up.sql", "SELECT pg_sleep(600);")]);
    let running = migrate(&site, &database, &["up", "--yes"]).spawn();
    until_executed(&database, "SELECT pg_sleep(600)", true);
    let other = migrate(&site, &database, &["up", "--yes", "--lock-timeout", "300ms"]).run().exits(11);
    other.says("another process migrates postgres://postgres@").says("waiting for it");
    let mut waiting = migrate(&site, &database, &["up", "--yes"]).spawn();
    waiting.until_it_says("waiting for it");
    assert!(!waiting.has_ended());
    waiting.signal("INT");
    waiting.wait().exits(130).says("interrupted while taking the lock");
    running.kill();
}

#[test]
fn a_process_that_is_killed_leaves_nothing_half_done() {
    let (site, Some(database)) = (Site::new(), Database::new()) else { return };
    write(
        &site,
        &[("1_a.up.sql", "CREATE TABLE a (b int);\nINSERT INTO a VALUES (1);\nSELECT pg_sleep(600);")],
    );
    let running = migrate(&site, &database, &["up", "--yes"]).spawn();
    until_executed(&database, "SELECT pg_sleep(600)", true);
    running.kill();
    until_executed(&database, "SELECT pg_sleep(600)", false);
    assert_eq!(status(migrate(&site, &database, &["status"])), "pending");
    assert!(!is_there(&database, "a"));
    write(&site, &[("1_a.up.sql", "CREATE TABLE a (b int);")]);
    migrate(&site, &database, &["up", "--yes"]).run().exits(0);
    assert_eq!(status(migrate(&site, &database, &["status"])), "applied");
}

#[test]
fn a_signal_or_a_limit_ends_a_statement() {
    let (site, Some(database)) = (Site::new(), Database::new()) else { return };
    write(&site, &[("1_a.up.sql", "CREATE TABLE a (b int);\nSELECT pg_sleep(600);")]);
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        let running = migrate(&site, &database, &["up", "--yes"]).spawn();
        until_executed(&database, "SELECT pg_sleep(600)", true);
        running.signal(signal);
        let ended = running.wait().exits(code);
        ended.says("interrupted in 1_a.up.sql, line 2, at `SELECT pg_sleep(600)`").says("was rolled back");
        // It was cancelled, not only left.
        until_executed(&database, "SELECT pg_sleep(600)", false);
        assert!(!is_there(&database, "a"));
    }
    let ended = migrate(&site, &database, &["up", "--yes", "--timeout", "300ms"]).run().exits(7);
    ended
        .says("`SELECT pg_sleep(600)` took longer than 300ms (--timeout); all of 1_a.up.sql was rolled back");
    // A table that another session has locked.
    database.run("CREATE TABLE held (a int)");
    write(&site, &[("1_a.up.sql", "ALTER TABLE held ADD b int;")]);
    std::thread::scope(|scope| {
        scope.spawn(|| database.run("BEGIN; LOCK TABLE held; SELECT pg_sleep(3); COMMIT"));
        until_executed(&database, "BEGIN; LOCK TABLE held", true);
        let ended = migrate(&site, &database, &["up", "--yes", "--lock-timeout", "300ms"]).run().exits(7);
        ended
            .says("1_a.up.sql, line 1: PostgreSQL refused `ALTER TABLE held ADD b int`")
            .says("(code 55P03)");
        migrate(&site, &database, &["up", "--yes", "--lock-timeout", "1m"]).run().exits(0);
    });
}

#[test]
fn without_a_transaction_a_migration_can_be_half_done() {
    let (site, Some(database)) = (Site::new(), Database::new()) else { return };
    let index = "-- devrev-batch: no transaction\nCREATE INDEX CONCURRENTLY i ON a (b);\nVACUUM a;";
    write(&site, &[("1_a.up.sql", "CREATE TABLE a (b int);"), ("2_i.up.sql", index)]);
    migrate(&site, &database, &["up", "--yes"]).run().exits(0).says("applied 2 migrations");
    assert_eq!(
        database.ask("SELECT indisvalid::text FROM pg_index WHERE indexrelid = 'i'::regclass").as_deref(),
        Some("true")
    );
    let slow = "-- devrev-batch: no transaction\nINSERT INTO a VALUES (1);\nSELECT pg_sleep(600);";
    write(&site, &[("3_s.up.sql", slow), ("3_s.down.sql", "DELETE FROM a;")]);
    let running = migrate(&site, &database, &["up", "--yes"]).spawn();
    until_executed(&database, "SELECT pg_sleep(600)", true);
    running.kill();
    // The server has noticed.
    until_executed(&database, "SELECT pg_sleep(600)", false);
    assert_eq!(status(migrate(&site, &database, &["status"])), "applied applied half-done");
    migrate(&site, &database, &["up", "--yes"])
        .run()
        .exits(6)
        .says("3_s.up.sql is half done")
        .says("--half-done accept");
    migrate(&site, &database, &["down", "--yes"]).run().exits(6).says("half done");
    migrate(&site, &database, &["down", "--yes", "--half-done", "retry"]).run().exits(0).says("3_s.down.sql");
    assert_eq!(database.ask("SELECT count(*)::text FROM a").as_deref(), Some("0"));
    assert_eq!(status(migrate(&site, &database, &["status"])), "applied applied pending");
    // A signal, and the way on.
    let running = migrate(&site, &database, &["up", "--yes"]).spawn();
    until_executed(&database, "SELECT pg_sleep(600)", true);
    running.signal("INT");
    running.wait().exits(130).says("1 of its 2 statements were executed before, and it is half done");
    migrate(&site, &database, &["up", "--yes", "--half-done", "accept"]).run().exits(0).says("taken as done");
    assert_eq!(status(migrate(&site, &database, &["status"])), "applied applied applied");
}

#[test]
fn what_needs_timescaledb_waits_for_it() {
    let (site, Some(database)) = (Site::new(), Database::new()) else { return };
    let hyper = "-- devrev-batch: needs timescaledb\nSELECT create_hypertable('a', 'b');";
    write(
        &site,
        &[
            ("1_a.up.sql", "CREATE TABLE a (b int);"),
            ("2_h.up.sql", hyper),
            ("3_c.up.sql", "CREATE TABLE c (d int);"),
        ],
    );
    let ended = migrate(&site, &database, &["up", "--yes"]).run().exits(0);
    ended
        .says("2_h.up.sql was skipped: it needs TimescaleDB")
        .says("2_h.up.sql: skipped: TimescaleDB is not there");
    assert_eq!(status(migrate(&site, &database, &["status"])), "applied skipped applied");
    migrate(&site, &database, &["up", "--dry-run"])
        .run()
        .exits(0)
        .says("-- 2_h.up.sql (skipped: TimescaleDB is not there)");
    // As much of the extension as is looked at.
    database.run(
        "SET allow_system_table_mods = on; INSERT INTO pg_extension VALUES (99999, 'timescaledb', 10, 2200, false, '2', NULL, NULL);
         CREATE FUNCTION create_hypertable(text, text) RETURNS int LANGUAGE sql AS 'SELECT 1'",
    );
    assert_eq!(status(migrate(&site, &database, &["status"])), "applied pending applied");
    let json = migrate(&site, &database, &["up", "--yes", "--json"]).run().exits(0).json();
    assert_eq!((&json["done"], &json["skipped"]), (&json!(["2_h.up.sql"]), &json!([])));
    assert_eq!(status(migrate(&site, &database, &["status"])), "applied applied applied");
}

#[test]
fn it_asks_with_the_host_the_database_and_the_files() {
    let (site, Some(database)) = (Site::new(), Database::new()) else { return };
    write(&site, &TWO);
    let url = database.url(&format!("postgres:{PASSWORD}"));
    let mut terminal = OnTerminal::start(
        &site,
        &["migrate", "up"],
        &[("DATABASE_URL", &url), ("ENVIRONMENT", "production")],
    );
    terminal.until_it_shows("This is production.");
    terminal.until_it_shows("Type the database's name, test");
    terminal.types("y\n");
    let shown = terminal.exits(14);
    assert!(
        shown.contains("migrate up at postgres://postgres@127.0.0.1:") && !shown.contains(PASSWORD),
        "{shown}"
    );
    assert!(shown.contains("0001_commits.up.sql") && !is_there(&database, "commits"), "{shown}");
}
