//! `--source`: rows that come from elsewhere than CSV. Snowflake has a module of its own.

#[cfg(feature = "clickhouse")]
mod clickhouse;
mod jsonl;
#[cfg(feature = "sql")]
mod metabase;
#[cfg(feature = "sql")]
mod postgres;
#[cfg(feature = "sql")]
mod sqlite;

use crate::support::program::Program;
use crate::support::site::Site;
use crate::support::{Fixture, eventually, files_below};
use serde_json::Value;

/// Wants that DevRev was not asked and nothing was left behind.
#[track_caller]
fn assert_untouched(fixture: &Fixture) {
    assert_eq!(fixture.stats()["total"], 0);
    assert!(fixture.runs().is_empty(), "{:?}", fixture.runs());
    assert!(files_below(&fixture.path("tmp")).is_empty(), "temporary files are left");
}

/// The rows that a dry run has kept, without the header; and the header.
#[track_caller]
fn kept(site: &Site, program: Program) -> (Vec<csv::StringRecord>, csv::StringRecord) {
    let ended = program.args(["--dry-run", "--json"]).run();
    assert!(matches!(ended.code, Some(0 | 3)), "{}", ended.all());
    let folder = site.path(ended.json()["folder"].as_str().unwrap());
    let mut kept = csv::Reader::from_path(folder.join("input.csv")).unwrap();
    let header = kept.headers().unwrap().clone();
    (kept.records().map(Result::unwrap).collect(), header)
}

/// Runs `validate --json`, and wants it to stay small: at most 64 MiB.
#[track_caller]
fn validate_in_little_memory(program: Program) -> Value {
    let (mut running, mut peak) = (program.arg("--json").spawn(), 0);
    eventually("the end", || {
        peak = peak.max(running.peak_memory());
        running.has_ended()
    });
    assert!(peak < 64 << 10, "{peak} KiB");
    running.wait().exits(0).json()["summary"].clone()
}
