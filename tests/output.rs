//! Standard output holds the result and nothing else, whoever reads it, and however the command ends.

use crate::support::site::{Site, Trouble};
use crate::support::{Fixture, Org, test_data};
use devrev_batch::sandbox::Data;
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
    let cases: [(&[&str], i32); 27] = [
        (&["validate", "--csv", "issues.csv"], 0),
        (&["validate", "--csv", "bad.csv"], 5),
        (&["validate", "--csv", "empty.csv"], 5),
        (&["validate", "--csv", "none.csv"], 2),
        (&["backfill-groups", "--csv", "issues.csv"], 14),
        (&["backfill-groups", "--csv", "empty.csv", "--yes"], 5),
        (&["backfill-groups", "--csv", "issues.csv", "--yes", "--batch-size", "x"], 2),
        (&["backfill-groups", "--csv", "issues.csv", "--dry-run"], 0),
        (&["backfill-groups", "--csv", "issues.csv", "--yes", "--batch-size", "2"], 4),
        (&["merge-contacts", "--csv", "issues.csv", "--yes"], 5),
        (&["resume", "20260101-000000-x-0000"], 2),
        (&["resume", "--yes"], 3),
        (&["resume", "--if-any"], 0),
        (&["apply", "20260101-000000-x-0000", "--yes"], 2),
        (&["undo", "20260101-000000-x-0000", "--yes"], 2),
        (&["runs"], 0),
        (&["runs", "show", "20260101-000000-x-0000"], 2),
        (&["runs", "prune", "--older-than", "soon"], 2),
        (&["runs", "prune", "--older-than", "90d"], 0),
        (&["backups", "verify", "none"], 2),
        (&["doctor"], 0),
        (&["doctor", "--max-retries", "x"], 2),
        (&["sample", "--csv", "issues.csv", "--size", "2", "-o", "some.csv"], 0),
        (&["sample", "--csv", "none.csv", "--size", "2", "-o", "none.out"], 2),
        (&["completions", "bash"], 2),
        (&["man"], 2),
        (&["sandbox", "--fault", "x"], 2),
    ];
    for (args, code) in cases {
        let object = fixture.program(args).args(["--json", "--log-level", "trace"]).run().exits(code).json();
        let exit = object["error"]["exit"].as_i64().or(object["exit"].as_i64());
        // Only what has found nothing wrong may be without an exit code of its own, and the report of `validate`.
        let has_none = exit.is_none() && (code == 0 || object.get("findings").is_some());
        assert!(exit == Some(i64::from(code)) || has_none, "{args:?}: {object}");
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

/// Every name and title that DevRev shows tries to begin a line of its own, with a colour.
fn with_line_breaks(data: &mut serde_json::Value) {
    match data {
        serde_json::Value::Object(members) => {
            for (name, member) in members {
                match member {
                    serde_json::Value::String(text)
                        if ["name", "title", "display_name", "full_name"].contains(&name.as_str()) =>
                    {
                        text.push_str("\nEVIL\r\n\u{1b}[31mEVIL");
                    }
                    other => with_line_breaks(other),
                }
            }
        }
        serde_json::Value::Array(members) => members.iter_mut().for_each(with_line_breaks),
        _ => {}
    }
}

#[test]
fn names_from_devrev_begin_no_line_of_their_own() {
    let mut data: serde_json::Value =
        serde_json::from_slice(&std::fs::read(test_data("sandbox.json")).unwrap()).unwrap();
    with_line_breaks(&mut data);
    let mut site = Site::new();
    site.start(|| Data::from_json(data.to_string().as_bytes()).unwrap(), &Trouble::none());
    let contacts = std::fs::read_to_string(test_data("contacts.csv")).unwrap();
    let contacts: Vec<_> = contacts.lines().take(9).collect();
    site.write("contacts.csv", contacts.join("\n"));
    std::fs::copy(test_data("issues.csv"), site.path("issues.csv")).unwrap();
    let mut commands: Vec<Vec<String>> = [
        "doctor",
        "backfill-groups --csv issues.csv --dry-run --log-level debug",
        "merge-contacts --csv contacts.csv --dry-run --log-level debug",
        "merge-contacts --csv contacts.csv --yes --log-level debug",
        "runs",
        "backups verify",
    ]
    .map(|line| line.split(' ').map(str::to_owned).collect())
    .into();
    let mut shown = String::new();
    let mut run = |command: &[String]| {
        let program = site.program(command).env("MERGE_POLL_DELAY", "0.005").env("MERGE_SETTLE_TIMEOUT", "1");
        let text = program.run().all();
        for line in text.lines() {
            let begins =
                line.trim_start_matches(|c: char| !c.is_ascii_alphabetic()).trim_start_matches("31m");
            assert!(!begins.starts_with("EVIL"), "{command:?}: {line}\n{text}");
        }
        shown.push_str(&text);
    };
    for command in &commands {
        run(command);
    }
    let ids: Vec<_> = site.runs().iter().map(|run| run.id().to_owned()).collect();
    commands = ids.iter().map(|id| ["runs", "show", id].map(str::to_owned).into()).collect();
    commands.push(["undo", ids.last().unwrap(), "--dry-run"].map(str::to_owned).into());
    for command in &commands {
        run(command);
    }
    assert!(shown.contains("EVIL"), "no name is shown at all");
}
