//! What is wrong before a database is asked.

use super::{TWO, write};
use crate::support::site::Site;

#[test]
fn a_folder_that_is_wrong_is_refused_with_the_file() {
    for (files, says) in [
        (&[("0001_a.sql", "")][..], "0001_a.sql: it ends with neither .up.sql nor .down.sql"),
        (&[("0001_a.up.sql", ""), ("1_b.up.sql", "")], "0001_a.up.sql and 1_b.up.sql have one number"),
        (&[("0001_a.down.sql", "")], "0001_a.down.sql takes back what no file does"),
        (
            &[("0001_a.up.sql", "-- devrev-batch: notransaction\n")],
            "0001_a.up.sql, line 1: `notransaction` is not known",
        ),
    ] {
        let site = Site::new();
        write(&site, files);
        for command in [&["up", "--yes"][..], &["up", "--dry-run"], &["down", "--yes"], &["status"]] {
            let program = site.program(["migrate"]).args(command).args(["--target", "sqlite:a.db"]);
            program.run().exits(2).says(says);
        }
        assert!(!site.path("a.db").exists());
    }
    let site = Site::new();
    site.program(["migrate", "status", "--target", "a.db", "--dir", "none"])
        .run()
        .exits(2)
        .says("none: No such file");
}

#[test]
fn a_target_that_is_wrong_is_refused_without_its_password() {
    let site = Site::new();
    write(&site, &TWO);
    let password = crate::support::site::DATABASE_PASSWORD;
    for (target, says) in [
        (format!("postgres://ana:{password}@h/crm"), "--target: there is a password in it"),
        (format!("clickhouse+https://ana:{password}@h/crm"), "set CLICKHOUSE_PASSWORD"),
        (format!("mysql://ana:{password}@h/crm"), "it is none of postgres://"),
        ("https://h:8443".to_owned(), "for ClickHouse write clickhouse+https://"),
    ] {
        site.program(["migrate", "status", "--target", &target]).run().exits(2).says(says);
    }
    site.program(["migrate", "status"]).run().exits(2).says("no target: give --target or set DATABASE_URL");
    let up = site.program(["migrate", "up", "--target", "a.db", "--timeout", "x", "--yes"]);
    up.run().exits(2).says("--timeout: `x` is not a duration");
}
