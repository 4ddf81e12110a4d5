//! `update` and `export`: calls, speed and memory.

use super::Measure;
use super::program::{Server, run as run_program};
use std::fmt::Write as _;
use std::path::Path;

/// Writes a world of so many tickets and accounts.
fn write_world(path: &Path, tickets: u64, accounts: u64) {
    let mut json = String::from(
        r#"{"organisation": {"id": "BENCH", "name": "Bench"}, "self": "DEVU-1",
        "users": [{"number": 1, "name": "User 1", "email": "u1@example.com"}], "tickets": ["#,
    );
    for number in 1..=tickets {
        let comma = if number < tickets { ",\n" } else { "" };
        let _ = write!(
            json,
            r#"{{"number": {number}, "title": "Ticket {number}", "created_by": "DEVU-1"}}{comma}"#
        );
    }
    json.push_str(r#"], "accounts": ["#);
    for number in 1..=accounts {
        let comma = if number < accounts { ",\n" } else { "" };
        let _ = write!(
            json,
            r#"{{"display_name": "Account {number}", "set": {{"external_refs": ["CRM-{number}"]}}}}{comma}"#
        );
    }
    json.push_str("]}");
    std::fs::write(path, json).unwrap();
}

/// Calls a row and the most memory of an update of every `step`th of so many tickets.
fn tickets(all: u64, step: u64, in_order: bool, more: &[&str]) -> (f64, f64) {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data.json");
    write_world(&data, all, 0);
    let rows = all / step;
    let mut csv = String::from("id,title\n");
    for row in 0..rows {
        // A multiplier without common factors visits every row once, in no order.
        let place = if in_order { row } else { (row * 7_368_787 + 13) % rows };
        let _ = writeln!(csv, "TKT-{},New title {row}", place * step + 1);
    }
    std::fs::write(folder.path().join("rows.csv"), csv).unwrap();
    let server = Server::with(&data);
    let mut args = vec!["update", "--object", "ticket", "--csv", "rows.csv", "--rate-limit-calls", "0"];
    args.extend(more);
    let ran = run_program(folder.path(), Some(&server), &args);
    let state = if more.contains(&"--dry-run") { "planned" } else { "done" };
    assert_eq!(ran.summary["states"][state], rows, "{}", ran.summary);
    (server.stats()["total"].as_f64().unwrap() / rows as f64, ran.peak_mib)
}

fn accounts(rows: u64) -> f64 {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data.json");
    write_world(&data, 0, rows);
    let mut csv = String::from("external_ref,tier\n");
    for row in 1..=rows {
        let _ = writeln!(csv, "CRM-{row},gold");
    }
    std::fs::write(folder.path().join("rows.csv"), csv).unwrap();
    let server = Server::with(&data);
    let args = [
        "update",
        "--object",
        "account",
        "--csv",
        "rows.csv",
        "--match",
        "external_ref",
        "--rate-limit-calls",
        "0",
        "--yes",
    ];
    let ran = run_program(folder.path(), Some(&server), &args);
    assert_eq!(ran.summary["states"]["done"], rows, "{}", ran.summary);
    server.stats()["total"].as_f64().unwrap() / rows as f64
}

/// Works a second, and calls, of an export of so many tickets.
fn export(all: u64) -> (f64, f64) {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data.json");
    write_world(&data, all, 0);
    let server = Server::with(&data);
    let args = ["export", "--object", "ticket", "-o", "tickets.csv", "--rate-limit-calls", "0"];
    let ran = run_program(folder.path(), Some(&server), &args);
    assert_eq!(ran.summary["rows"], all, "{}", ran.summary);
    (all as f64 / ran.took.as_secs_f64(), server.stats()["total"].as_f64().unwrap())
}

pub(crate) fn run() -> Vec<Measure> {
    let mut measures = Vec::new();
    for (in_order, order) in [(true, "in order"), (false, "shuffled")] {
        // Two of five, as near as may be.
        let (calls, _) = tickets(25_000, 2, in_order, &["--yes"]);
        let what = format!("calls a changed ticket: 12,500 of 25,000, {order}");
        measures.push(Measure::at_most(what, calls, "", 1.1, "at most 1.1"));
    }
    let (calls, _) = tickets(25_000, 2, true, &["--dry-run"]);
    measures.push(Measure::at_most("calls a row of a dry run of these", calls, "", 0.1, "at most 0.1"));
    let (calls, _) = tickets(200_000, 100, true, &["--yes"]);
    measures.push(Measure::at_most(
        "calls a changed ticket: 2,000 of 200,000",
        calls,
        "",
        2.05,
        "at most 2.05",
    ));
    let calls = accounts(10_000);
    measures.push(Measure::at_most(
        "calls a changed account by external_ref, 10,000",
        calls,
        "",
        1.15,
        "at most 1.15",
    ));
    let (_, small) = tickets(10_000, 1, true, &["--dry-run"]);
    let (_, large) = tickets(1_000_000, 1, true, &["--dry-run"]);
    measures.push(Measure::at_most(
        format!("memory of a dry run of 1,000,000 rows (10,000: {small:.1} MiB)"),
        large,
        " MiB",
        small + 60.0,
        "at most 60 MiB more",
    ));
    let (speed, calls) = export(100_000);
    measures.push(Measure::at_least(
        "exported works a second, 100,000",
        speed,
        "",
        20_000.0,
        "at least 20,000",
    ));
    measures.push(Measure::at_most("calls of that export", calls, "", 1_010.0, "at most 1,010"));
    measures
}
