//! `--source jsonl`.

use super::{assert_untouched, kept, validate_in_little_memory};
use crate::support::fixture::Trouble;
use crate::support::merging::Merging;
use crate::support::site::Site;
use crate::support::{Fixture, Org, People, eventually, files_below};
use devrev_batch::sandbox::Data;
use serde_json::json;
use std::fmt::Write as _;

/// The rows of [`Org::of`] as many, as lines of JSON: without the name that is always empty.
fn lines(issues: usize) -> String {
    let mut lines = String::new();
    for number in 1..=issues {
        let user = (number - 1) % 4 + 1;
        writeln!(
            lines,
            r#"{{"issue_id":"ISS-{number}","creator_user_id":"DEVU-{user}","assigned_group":"GROUP-{user}","more":[1,{number}]}}"#
        )
        .unwrap();
    }
    lines
}

#[test]
fn a_backfill_from_a_file_and_from_standard_input() {
    let fixture = Fixture::new(&Org::of(40));
    fixture.write("issues.jsonl", lines(40));
    let backfill = |more: &[&str]| fixture.program(["backfill-groups", "--yes", "--json"]).args(more);
    let dry = backfill(&["--source", "jsonl", "--jsonl", "-", "--dry-run"]).stdin(lines(40)).run().exits(0);
    assert_eq!(dry.json()["states"], json!({"planned": 40}));
    let ended = backfill(&["--jsonl", "issues.jsonl"]).run().exits(0);
    assert_eq!(ended.json()["states"], json!({"done": 40}));
    fixture.assert_right();
    let run = fixture.newest_run();
    run.assert_complete(40);
    let kept = std::fs::read_to_string(run.file("input.csv")).unwrap();
    assert!(
        kept.starts_with("issue_id,creator_user_id,assigned_group,more\nISS-1,DEVU-1,GROUP-1,1;1\n"),
        "{kept}"
    );
    let input = &run.manifest()["input"];
    assert_eq!(
        (&input["spooled"], &input["source"], &input["rows"], input.get("query")),
        (&json!(true), &json!("issues.jsonl"), &json!(40), None)
    );
    // The plan of the dry run has its own copy of what came on standard input.
    fixture.program(["apply", fixture.runs()[0].id(), "--yes"]).run().exits(0).says("already");
}

#[test]
fn resume_works_on_the_rows_that_the_run_began_with() {
    let mut fixture = Fixture::with(&Org::of(300), &Trouble::delay(4));
    let path = fixture.write("issues.jsonl", lines(300));
    let running = fixture.program(["backfill-groups", "--yes", "--jsonl", "issues.jsonl"]).spawn();
    eventually("the first writes", || fixture.writes() > 20);
    running.kill();
    std::fs::remove_file(path).unwrap();
    fixture.restart(&Trouble::none());
    fixture.resume(&[]).run().exits(0);
    fixture.assert_right();
    fixture.the_run().assert_complete(300);
}

#[test]
fn merges_and_limits() {
    let people = People::of(3);
    let fixture = Merging::new(&people);
    let mut text = String::new();
    for row in &people.rows {
        let object = json!({
            "REV_USER_ID": row.id, "DISPLAY_NAME": row.name, "EMAIL": row.email, "EXTERNAL_REF": row.external_ref,
            "FULL_NAME": null, "CREATED_AT": "2024-05-01T12:34:56Z", "UPDATED_AT": "2024-06-01", "TICKET_COUNT": row.tickets,
        });
        writeln!(text, "{object}").unwrap();
    }
    fixture.write("contacts.jsonl", text);
    let args = ["merge-contacts", "--jsonl", "contacts.jsonl", "--yes", "--json", "--limit", "2"];
    let summary = fixture.quick(args).run().exits(0).json();
    assert_eq!(summary["states"]["done"], 4, "{summary}");
    assert_eq!(fixture.merges(), 2);
    fixture
        .program(["validate", "--jsonl", "contacts.jsonl", "--limit", "2"])
        .run()
        .exits(0)
        .says("contacts.jsonl: the first 2 rows of kind `contacts` read");
    let args = ["sample", "--jsonl", "contacts.jsonl", "--size", "4", "-o", "few.csv"];
    fixture.program(args).run().exits(0).says("contacts.jsonl");
    let few = std::fs::read_to_string(fixture.path("few.csv")).unwrap();
    // In the order of the objects' names.
    let header = "CREATED_AT,DISPLAY_NAME,EMAIL,EXTERNAL_REF,FULL_NAME,REV_USER_ID,TICKET_COUNT,UPDATED_AT\n";
    assert!(few.starts_with(header) && few.lines().count() == 5, "{few}");
    fixture.program(["validate", "--csv", "few.csv"]).run().exits(0).says("4 rows of kind `contacts`");
    assert!(files_below(&fixture.path("tmp")).is_empty(), "temporary files are left");
}

#[test]
fn values_arrive_as_they_are() {
    let fixture = Fixture::new(&Org::of(9));
    fixture.write(
        "in.jsonl",
        concat!(
            "\u{feff}{\"issue_id\":\"ISS-1\",\"creator_user_id\":\"ünï 東京 \\ud83c\\udf89 \\\"quoted\\\", and\\nlines\",\"assigned_group\":null}\n\n",
            "{\"creator_user_id\":12345678901234567890.50,\"issue_id\":\"ISS-2\",\"assigned_group\":true,\"creator_group\":{\"a\": 1}}\r\n",
        ),
    );
    let (rows, header) = kept(&fixture, fixture.program(["backfill-groups", "--jsonl", "in.jsonl"]));
    assert_eq!(header, ["issue_id", "creator_user_id", "assigned_group", "creator_group"][..]);
    assert_eq!(rows[0], ["ISS-1", "ünï 東京 🎉 \"quoted\", and\nlines", "", ""][..]);
    assert_eq!(rows[1], ["ISS-2", "12345678901234567890.50", "true", "{\"a\": 1}"][..]);
}

#[test]
fn what_is_wrong_is_said_and_nothing_is_sent() {
    let fixture = Fixture::new(&Org::of(3));
    let run = |args: &[&str]| fixture.program(["backfill-groups", "--yes"]).args(args);
    fixture.write("bad.jsonl", format!("{}{{\"issue_id\":\n", lines(2)));
    for (args, code, says) in [
        (&["--jsonl", "none.jsonl"][..], 2, "check the path given with --jsonl"),
        (&["--jsonl", "tmp"], 2, "is not a regular file"),
        (&["--jsonl", "bad.jsonl"], 5, "bad.jsonl: line 3 is not a whole JSON object"),
        (&["--source", "jsonl"], 2, "give --jsonl PATH (`-` for standard input)"),
        (&["--source", "jsonl", "--csv", "none.jsonl"], 2, "check the path given with --jsonl"),
        (&["--source", "csv", "--jsonl", "bad.jsonl"], 2, "--jsonl and --source csv exclude each other"),
        (&["--jsonl", "bad.jsonl", "--query", "SELECT 1"], 2, "--query and --query-file are for --source"),
        (&["--jsonl", "bad.jsonl", "--delimiter", ";"], 2, "--delimiter is for --csv"),
    ] {
        run(args).run().exits(code).says(says);
        assert_untouched(&fixture);
    }
    fixture.write("other.jsonl", "{\"issue\":\"ISS-1\"}\n");
    run(&["--jsonl", "other.jsonl"]).run().exits(5).says("columns missing from other.jsonl: `issue_id`");
    let args = ["sample", "--jsonl", "other.jsonl", "-o", "other.jsonl", "--force"];
    fixture.program(args).run().exits(2).says("is the input itself");
    assert_untouched(&fixture);
}

#[test]
fn two_hundred_thousand_rows() {
    let fixture = Fixture::down(&Org::of(1));
    fixture.write("issues.jsonl", lines(200_000));
    let summary = validate_in_little_memory(fixture.program(["validate", "--jsonl", "issues.jsonl"]));
    assert_eq!((&summary["rows"], &summary["complete"]), (&json!(200_000), &json!(true)));
}

#[test]
fn no_rows_are_nothing_to_do() {
    let fixture = Fixture::new(&Org::of(1));
    let update = ["update", "--object", "ticket", "--yes", "--jsonl", "-"];
    fixture.program(update).run().exits(0).says("no rows came from standard input");
    let ended = fixture.program(["backfill-groups", "--yes", "--jsonl", "-"]).run().exits(0);
    ended.says("no rows came from standard input");
    assert_eq!(fixture.writes(), 0);
}

#[test]
fn an_export_as_json_lines_changes_nothing_when_it_comes_back() {
    let mut site = Site::new();
    site.start(Data::demo, &Trouble::none());
    for object in ["ticket", "account", "contact", "opportunity"] {
        let file = format!("{object}.jsonl");
        site.program(["export", "--object", object, "--format", "jsonl", "-o", &file]).run().exits(0);
        // Either flag names the file.
        for flags in [["--source", "jsonl", "--csv"].as_slice(), &["--jsonl"]] {
            let update = site.program(["update", "--object", object, "--yes"]).args(flags).arg(&file);
            let ended = update.run();
            assert!(ended.code == Some(0) && !ended.out.contains("done"), "{}", ended.all());
        }
    }
    assert_eq!(site.writes(), 0);
}
