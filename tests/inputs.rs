//! Inputs of all kinds: what is refused at once, what fails a row, and what is got over in silence.

use crate::support::fixture::Trouble;
use crate::support::org::HEADER;
use crate::support::{Fixture, Org, eventually, files_below};
use serde_json::json;
use std::io::Write;

/// Wants that nothing was sent and no run's folder was left.
#[track_caller]
fn assert_untouched(fixture: &Fixture) {
    assert_eq!(fixture.stats()["total"], 0);
    assert!(fixture.runs().is_empty(), "{:?}", fixture.runs());
}

#[test]
fn an_input_that_cannot_be_read_is_refused_before_anything_is_sent() {
    let unclosed = format!("{HEADER}ISS-1,DEVU-1,GROUP-1,\nISS-2,\"DEVU-2,GROUP-2,\nISS-3,DEVU-3,GROUP-3,\n");
    let utf16: Vec<u8> = HEADER.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let long = format!("{HEADER}ISS-1,{},GROUP-1,\n", "x".repeat(2 << 20));
    let cases: [(&str, Vec<u8>, &str); 6] = [
        ("empty", Vec::new(), "is empty"),
        ("columns", b"issue,creator_user_id\nISS-1,DEVU-1\n".to_vec(), "`issue_id` (nearest: `issue`)"),
        ("twice", format!("issue_id,{HEADER}").into_bytes(), "more than one column `issue_id`"),
        ("unclosed", unclosed.into_bytes(), "the quote opened on line 3"),
        ("UTF-16", utf16, "is UTF-16 without a byte order mark: save it as CSV UTF-8"),
        ("long", long.into_bytes(), "longer than 1 MiB"),
    ];
    let fixture = Fixture::new(&Org::of(3));
    for (name, bytes, words) in cases {
        fixture.write("issues.csv", &bytes);
        fixture.backfill(&[]).run().exits(5).says(words);
        let stdin = fixture.program(["backfill-groups", "--yes", "--csv", "-"]);
        stdin.stdin(bytes).run().exits(5).says(words);
        assert_untouched(&fixture);
        assert!(files_below(&fixture.path("tmp")).is_empty(), "{name}: temporary files are left");
    }
}

#[test]
fn a_file_that_is_not_there_is_a_usage_error() {
    let fixture = Fixture::new(&Org::of(1));
    for path in ["none.csv", "tmp"] {
        let ended = fixture.program(["backfill-groups", "--yes", "--csv", path]).run().exits(2);
        ended.says("check the path given with --csv");
    }
    assert_untouched(&fixture);
}

#[test]
fn a_header_alone_is_a_run_of_no_rows() {
    let fixture = Fixture::new(&Org::of(1));
    for header in [HEADER, HEADER.trim_end()] {
        fixture.write("issues.csv", header);
        let ended = fixture.backfill(&["--json"]).run().exits(0);
        assert_eq!(ended.json()["rows"], 0);
    }
    for run in fixture.runs() {
        assert!(run.assert_complete(0).is_empty());
    }
}

#[test]
fn bad_rows_fail_while_the_rest_is_done() {
    let fixture = Fixture::new(&Org::of(8));
    let mut csv = HEADER.as_bytes().to_vec();
    for row in [
        &b"ISS-1,DEVU-1,GROUP-1,\n"[..],
        b"ISS-2,DEVU-2\n",
        b"ISS-3,DEVU-3,GROUP-3,,,surplus\n",
        b"ISS-4,DEVU-4,GROUP-4,\xff\xfe\n",
        b"\n",
        b"ISS-5,\"DEVU-1\"x,GROUP-1,\n",
        b"TKT-6,DEVU-2,GROUP-2,\n",
        b"ISS-7,,GROUP-3,\n",
        b"ISS-8,DEVU-4,4,\n",
        b"ISS-2,DEVU-2,GROUP-2,ISS-1\n",
        b"ISS-6,DEVU-2,GROUP-2,\n",
    ] {
        csv.extend(row);
    }
    fixture.write("issues.csv", csv);
    let ended = fixture.backfill(&["--json"]).run().exits(3);
    assert_eq!(ended.json()["states"], json!({"done": 2, "failed": 8}));
    let results = fixture.the_run().assert_complete(10);
    let reasons: Vec<_> = results.values().map(|row| row.reason.split(':').next().unwrap()).collect();
    let expected = [
        "",
        "ragged-record",
        "ragged-record",
        "not-utf8",
        "stray-quote",
        "id-type",
        "empty-value",
        "id-shape",
        "id-type",
        "",
    ];
    assert_eq!(reasons, expected);
    let lines: Vec<_> = results.values().filter_map(|row| row.reason.split("line ").nth(1)).collect();
    assert!(lines[0].starts_with("3:") && lines[3].starts_with("7:"), "{lines:?}");
    assert_eq!(fixture.writes(), 2);
}

#[test]
fn rows_about_the_same_issue() {
    let fixture = Fixture::new(&Org::of(4));
    let don = "don:core:dvrv-us-1:devo/TEST:issue/1";
    fixture.write(
        "issues.csv",
        format!(
            "{HEADER}ISS-1,DEVU-1,GROUP-1,\nISS-2,DEVU-2,GROUP-2,\n{don},DEVU-1,GROUP-1,null\n\
             ISS-2,DEVU-3,GROUP-2,\nISS-3,DEVU-3,GROUP-3,\n"
        ),
    );
    fixture.backfill(&["--batch-size", "1"]).run().exits(3);
    let results = fixture.the_run().assert_complete(5);
    let ends: Vec<_> = results.values().map(|row| (row.status.as_str(), row.reason.as_str())).collect();
    let same = "duplicate-same: the same issue and values as row 1";
    let other = |row| format!("duplicate-conflict: row {row} names the same issue with other values");
    assert_eq!(
        ends,
        [("done", ""), ("failed", &other(4)), ("skipped", same), ("failed", &other(2)), ("done", "")]
    );
    let issues = fixture.issues();
    assert_eq!((issues["ISS-1"].writes, issues["ISS-2"].writes), (1, 0));
}

#[test]
fn what_spreadsheets_add_is_got_over() {
    let org = Org::of(20);
    let rows = org.csv();
    let cases = [
        format!("\u{feff}{rows}"),
        rows.replace('\n', "\r\n"),
        format!("\u{feff}{}", rows.replace('\n', "\r\n").replace("issue_id", " Issue_ID ")),
        rows.trim_end().to_owned(),
        rows.replace(",\n", ",NULL\n"),
        rows.replace("ISS-", "don:core:dvrv-us-1:devo/TEST:issue/"),
        format!("{rows}\n\n"),
    ];
    for csv in cases {
        let fixture = Fixture::new(&org);
        fixture.write("issues.csv", csv);
        fixture.backfill(&[]).run().exits(0);
        fixture.assert_right();
        assert_eq!(fixture.writes(), 20);
        fixture.the_run().assert_complete(20);
    }
}

#[test]
fn standard_input_is_kept_for_resume() {
    let fixture = Fixture::broken(&Org::of(60), ["path=works.update,status=401,after=20,count=1"]);
    let program = fixture.program(["backfill-groups", "--yes", "--csv", "-"]);
    program.stdin(fixture.org.csv()).run().exits(4);
    let run = fixture.the_run();
    assert_eq!(std::fs::read_to_string(run.file("input.csv")).unwrap(), fixture.org.csv());
    fixture.resume(&[]).run().exits(0);
    fixture.assert_right();
    run.assert_complete(60);
}

#[test]
fn an_input_that_changes_under_the_run_stops_it() {
    let fixture = Fixture::with(&Org::of(1500), &Trouble::delay(3));
    fixture.write(".env", "KEEP_INPUT_MAX=0\n");
    let running = fixture.backfill(&[]).spawn();
    eventually("the first writes", || fixture.writes() > 20);
    let mut file = std::fs::OpenOptions::new().append(true).open(fixture.path("issues.csv")).unwrap();
    file.write_all(b"ISS-1,DEVU-2,GROUP-1,\n").unwrap();
    running.wait().exits(6).says("was changed while the run read it");
    assert!(fixture.writes() < 1500);
    let run = fixture.the_run();
    fixture.assert_intents(&run);
    fixture.resume(&[run.id()]).run().exits(6);
    fixture.write("issues.csv", fixture.org.csv());
    fixture.resume(&[run.id()]).run().exits(0);
    fixture.assert_right();
    run.assert_complete(1500);
}

#[test]
fn a_small_input_that_changes_under_the_run_is_noticed_too() {
    let fixture = Fixture::with(&Org::of(120), &Trouble::delay(10));
    fixture.write(".env", "KEEP_INPUT_MAX=0\n");
    let running = fixture.backfill(&["--batch-size", "20"]).spawn();
    eventually("the first writes", || fixture.writes() > 0);
    fixture.write("issues.csv", fixture.org.csv().replace("ISS-", "ISS-9"));
    running.wait().exits(6).says("was changed while the run read it");
    // No result file may hold rows of the other content.
    let run = fixture.the_run();
    for name in ["success.csv", "skipped.csv", "failed.csv"] {
        let text = std::fs::read_to_string(run.file(name)).unwrap_or_default();
        assert!(!text.contains("ISS-9"), "{name}: {text}");
    }
    fixture.write("issues.csv", fixture.org.csv());
    fixture.resume(&[]).run().exits(0);
    fixture.assert_right();
    run.assert_complete(120);
}

#[test]
fn a_ragged_row_given_back_fails_again() {
    let fixture = Fixture::new(&Org::of(3));
    let header = "issue_id,creator_user_id,assigned_group,creator_group";
    fixture.write("ragged.csv", format!("{header}\nISS-1,DEVU-1,GROUP-1\nISS-2,DEVU-1,GROUP-1,,x\n"));
    let mut input = std::path::PathBuf::from("ragged.csv");
    for _ in 0..2 {
        let program = fixture.program(["backfill-groups", "--yes", "--json", "--csv"]).arg(&input);
        let summary = program.run().exits(3).json();
        assert_eq!(summary["reasons"]["failed"], serde_json::json!({"ragged-record": 2}), "{summary}");
        input = fixture.path(summary["folder"].as_str().unwrap()).join("failed.csv");
    }
    assert_eq!(fixture.calls("works.update"), 0);
}

#[test]
fn an_export_that_is_replaced_does_not_block_the_run() {
    let fixture = Fixture::broken(&Org::of(60), ["path=works.update,status=401,after=20,count=1"]);
    fixture.backfill(&["--batch-size", "10"]).run().exits(4);
    let run = fixture.the_run();
    assert_eq!(run.manifest()["input"]["path"], fixture.path("issues.csv").to_str().unwrap());
    fixture.write("issues.csv", "something else\n");
    fixture.resume(&[]).run().exits(0);
    run.assert_complete(60);
    std::fs::remove_file(fixture.path("issues.csv")).unwrap();
    fixture.resume(&[run.id(), "--retry-failed"]).run().exits(0);
    // The copy itself may not be another one.
    std::fs::write(run.file("input.csv"), "something else\n").unwrap();
    fixture.resume(&[run.id()]).run().exits(6).says("input.csv has changed");
}

#[test]
fn files_as_people_have_them() {
    let csv = Org::of(4).csv();
    let utf16: Vec<u8> =
        format!("\u{feff}{}", csv.replace(',', ";")).encode_utf16().flat_map(u16::to_le_bytes).collect();
    let cases: [(&str, Vec<u8>, &str); 8] = [
        ("blank rows", format!("{csv},,,\n,,,\n").into_bytes(), "2 blank rows were left out"),
        ("sep", format!("sep=,\n{csv}").into_bytes(), "names its separator in its first line"),
        ("pipes", csv.replace(',', "|").into_bytes(), "separates its fields with `|`"),
        ("tabs", csv.replace(',', "\t").into_bytes(), "separates its fields with tabs"),
        ("UTF-16", utf16, "is UTF-16 and separates its fields with `;`"),
        ("missing", csv.replace(",\n", ",\\N\n").into_bytes(), ""),
        ("links", csv.replace("ISS-", "https://app.devrev.ai/acme/works/ISS-").into_bytes(), ""),
        ("zeros", csv.replace("ISS-", "ISS-00").into_bytes(), ""),
    ];
    for (name, bytes, note) in cases {
        let fixture = Fixture::new(&Org::of(4));
        fixture.write("issues.csv", &bytes);
        let ended = fixture.backfill(&["--json"]).run();
        assert_eq!(ended.code, Some(0), "{name}: {}", ended.all());
        fixture.assert_right();
        let notes = ended.json()["notes"].to_string();
        assert!(notes.contains(note), "{name}: {notes}");
        fixture.program(["validate", "--csv", "issues.csv"]).run().exits(0).says(note).says("4 rows");
    }
}

#[test]
fn the_delimiter_may_be_said_and_stays_with_the_run() {
    let fixture = Fixture::broken(&Org::of(30), ["path=works.update,status=401,after=10,count=1"]);
    fixture.write("issues.csv", fixture.org.csv().replace(',', ":"));
    let validate = fixture.program(["validate", "--csv", "issues.csv", "--delimiter", ":"]);
    validate.run().exits(0).says("--csv issues.csv --delimiter : --dry-run");
    fixture.backfill(&["--delimiter", ":", "--batch-size", "5"]).run().exits(4);
    fixture.resume(&[]).run().exits(0);
    fixture.assert_right();
    fixture.backfill(&["--delimiter", "::"]).run().exits(2).says("--delimiter: `::` is not one character");
}

#[test]
fn words_for_nothing_are_refused_with_what_to_do() {
    let fixture = Fixture::new(&Org::of(1));
    for word in ["NaN", "nan", "#N/A", "N/A", "-", "<null>", "undefined"] {
        fixture.write("issues.csv", format!("{HEADER}ISS-1,DEVU-1,GROUP-1,{word}\n"));
        fixture.program(["validate", "--csv", "issues.csv"]).run().exits(5).says("leave the field empty");
        fixture.backfill(&[]).run().exits(3);
    }
    assert_eq!(fixture.writes(), 0);
}

#[test]
fn a_group_map_that_is_wrong_is_called_what_the_operator_calls_it() {
    let fixture = Fixture::new(&Org::of(2));
    fixture.write("map.csv", "creator_user_id,creator_group\nDEVU-1,GROUP-4\n");
    let ended = fixture.backfill(&["--group-map", "map.csv"]).run().exits(2);
    ended.says("--group-map map.csv: each line").says("`creator_user_id` is neither a DON").says("DEVU-123");
    fixture.write("map.csv", "user;group\nDEVU-1;GROUP-4\n;\n");
    fixture.backfill(&["--group-map", "map.csv"]).run().exits(0);
    assert_eq!(fixture.issues()["ISS-1"].group, Some(if fixture.org.issues[0].creator == 1 { 4 } else { 2 }));
}
