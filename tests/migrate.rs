//! `migrate`: real files, real databases.

#[cfg(feature = "clickhouse")]
mod clickhouse;
#[cfg(all(feature = "sql", feature = "clickhouse"))]
mod files;
#[cfg(feature = "sql")]
mod postgres;
#[cfg(feature = "sql")]
mod sqlite;

use crate::support::program::{Ended, Program};
use crate::support::site::Site;
use serde_json::Value;
use std::fs;

/// Writes files of migrations.
fn write(site: &Site, files: &[(&str, &str)]) {
    fs::create_dir_all(site.path("migrations")).unwrap();
    for (name, text) in files {
        site.write(&format!("migrations/{name}"), text);
    }
}

/// Two migrations that every database takes.
const TWO: [(&str, &str); 4] = [
    ("0001_commits.up.sql", "CREATE TABLE commits (sha text);\nINSERT INTO commits VALUES ('a;b');\n"),
    ("0001_commits.down.sql", "DROP TABLE commits;\n"),
    ("0002_authors.up.sql", "CREATE TABLE authors (id int);\n"),
    ("0002_authors.down.sql", "DROP TABLE authors;\n"),
];

/// Each migration's number and state, as `status --json` has them.
#[track_caller]
fn states(status: &Ended) -> Vec<(i64, String)> {
    let json = status.json();
    let entry =
        |entry: &Value| (entry["version"].as_i64().unwrap(), entry["state"].as_str().unwrap().to_owned());
    json["migrations"].as_array().unwrap().iter().map(entry).collect()
}

/// The states alone, in the order of the numbers.
#[track_caller]
fn status(program: Program) -> String {
    let ended = program.arg("--json").run();
    assert!(matches!(ended.code, Some(0 | 6)), "{}", ended.all());
    let is_wrong =
        states(&ended).iter().any(|(_, state)| !["applied", "pending", "skipped"].contains(&&**state));
    assert_eq!(ended.code, Some(if is_wrong { 6 } else { 0 }), "{}", ended.all());
    states(&ended).into_iter().map(|(_, state)| state).collect::<Vec<_>>().join(" ")
}
