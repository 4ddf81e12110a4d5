//! Standard output holds the result and nothing else, whoever reads it, and however the command ends.

use crate::support::{Fixture, Org};
use serde_json::json;
use std::process::Stdio;

#[test]
fn with_json_every_command_prints_one_object_however_it_ends() {
    let fixture = Fixture::broken(
        &Org::of(20),
        ["path=works.update,status=401,after=5,count=1", "path=works.update,status=403,count=1"],
    );
    fixture.write("empty.csv", "");
    fixture.write("bad.csv", "issue_id,creator_user_id,assigned_group\nx\n");
    let cases: [(&[&str], i32); 12] = [
        (&["validate", "--csv", "issues.csv"], 0),
        (&["validate", "--csv", "bad.csv"], 5),
        (&["validate", "--csv", "empty.csv"], 5),
        (&["validate", "--csv", "none.csv"], 2),
        (&["backfill-groups", "--csv", "issues.csv"], 14),
        (&["backfill-groups", "--csv", "empty.csv", "--yes"], 5),
        (&["backfill-groups", "--csv", "issues.csv", "--yes", "--batch-size", "x"], 2),
        (&["backfill-groups", "--csv", "issues.csv", "--dry-run"], 0),
        (&["backfill-groups", "--csv", "issues.csv", "--yes", "--batch-size", "2"], 4),
        (&["resume", "20260101-000000-x-0000"], 2),
        (&["resume", "--yes"], 3),
        (&["sandbox", "--fault", "x"], 2),
    ];
    for (args, code) in cases {
        let object = fixture.program(args).args(["--json", "--log-level", "trace"]).run().exits(code).json();
        let exit = object["error"]["exit"].as_i64().or(object["exit"].as_i64());
        // Only a report of `validate` has no exit code of its own.
        assert!(exit == Some(i64::from(code)) || object.get("findings").is_some(), "{args:?}: {object}");
    }
}

#[test]
fn the_report_on_disk_is_what_json_prints() {
    let fixture = Fixture::new(&Org::of(20));
    let printed = fixture.backfill(&["--json"]).run().exits(0).json();
    let report = std::fs::read(fixture.the_run().file("report.json")).unwrap();
    assert_eq!(printed, serde_json::from_slice::<serde_json::Value>(&report).unwrap());
    assert_eq!((&printed["rows"], &printed["open"], &printed["exit"]), (&json!(20), &json!(0), &json!(0)));
    assert_eq!(printed["calls"]["works.update"]["calls"], 20);
}

#[test]
fn a_command_line_that_is_wrong_is_json_too() {
    let fixture = Fixture::new(&Org::of(1));
    let ended = fixture.program(["backfill-groups", "--json"]).run().exits(2);
    assert!(ended.json()["error"]["message"].as_str().unwrap().contains("--csv"), "{}", ended.all());
    let help = fixture.program(["--json", "--help"]).run().exits(0);
    assert!(help.out.contains("Usage: devrev-batch") && help.err.is_empty(), "{}", help.all());
}

#[test]
fn quiet_says_nothing_but_the_result() {
    let fixture = Fixture::broken(&Org::of(20), ["path=works.update,status=500,count=2"]);
    let ended = fixture.backfill(&["--quiet"]).run().exits(0);
    assert_eq!(ended.err, "", "{}", ended.all());
    assert!(ended.out.contains("run folder: "), "{}", ended.all());
    let failing = fixture.program(["backfill-groups", "-q", "--csv", "none.csv", "--yes"]).run().exits(2);
    assert!(failing.out.is_empty() && failing.err.contains("none.csv"), "{}", failing.all());
}

#[test]
fn logs_go_to_standard_error_in_the_form_asked_for() {
    let fixture = Fixture::broken(&Org::of(10), ["path=works.update,status=500,count=1"]);
    let ended = fixture.backfill(&["--json", "--log-level", "debug", "--log-format", "json"]).run().exits(0);
    ended.json();
    assert!(ended.err.lines().count() > 10, "{}", ended.all());
    for line in ended.err.lines() {
        serde_json::from_str::<serde_json::Value>(line).unwrap_or_else(|_| panic!("{}", ended.all()));
    }
    for (flags, colored) in
        [(["--color", "always"], true), (["--color", "never"], false), (["--color", "auto"], false)]
    {
        let ended = fixture.backfill(&["--log-level", "debug"]).args(flags).run().exits(0);
        assert_eq!(ended.err.contains('\x1b'), colored, "{}", ended.all());
    }
}

#[test]
fn what_files_and_servers_say_cannot_steer_a_terminal() {
    let fixture = Fixture::broken(&Org::of(2), ["path=works.update,status=409"]);
    let csv = "issue_id,creator_user_id,assigned_group\n\x1b]0;owned\x07ISS-1,DEVU-1,GROUP-1\n";
    fixture.write("steering.csv", csv);
    for args in [["validate", "--csv", "steering.csv"], ["backfill-groups", "--yes", "--csv=steering.csv"]] {
        let ended = fixture.program(args).args(["--color", "never", "--log-level", "trace"]).run();
        assert!(!ended.all().contains('\x1b'), "{}", ended.all());
    }
}

#[test]
fn a_reader_that_goes_away_is_no_panic() {
    let fixture = Fixture::new(&Org::of(20));
    fixture.write("bad.csv", format!("issue_id,creator_user_id,assigned_group\n{}", "x\n".repeat(5000)));
    let cases: [(&[&str], i32); 4] = [
        (&["validate", "--csv", "bad.csv", "--json"], 5),
        (&["validate", "--csv", "bad.csv"], 5),
        (&["backfill-groups", "--csv", "issues.csv", "--yes"], 0),
        (&["resume", "20260101-000000-x-0000", "--json"], 2),
    ];
    for (args, code) in cases {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        fixture.program(args).stdout(Stdio::from(writer)).run().exits(code);
    }
    fixture.assert_right();
}
