//! `export`, and the way from it through a spreadsheet and `update` and back.

use crate::support::program::{BINARY, Program};
use crate::support::site::{Site, Trouble};
use crate::support::tell;
use devrev_batch::sandbox::Data;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;

const OBJECTS: [(&str, usize); 7] = [
    ("issue", 300),
    ("ticket", 232),
    ("task", 6),
    ("opportunity", 6),
    ("account", 12),
    ("workspace", 10),
    ("contact", 53),
];

fn demo(trouble: &Trouble) -> Site {
    let mut site = Site::new();
    site.start(Data::demo, trouble);
    site
}

fn export(site: &Site, object: &str, file: &str, more: &[&str]) -> Program {
    site.program(["export", "--object", object, "-o", file]).args(more)
}

fn update(site: &Site, object: &str, file: &str, more: &[&str]) -> Program {
    site.program(["update", "--object", object, "--csv", file, "--yes"]).args(more)
}

fn read(site: &Site, file: &str) -> String {
    std::fs::read_to_string(site.path(file)).unwrap()
}

/// A table: its header, and the cells of each object by column.
type Table = (Vec<String>, Vec<BTreeMap<String, String>>);

fn table(text: &str) -> Table {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let header: Vec<String> = reader.headers().unwrap().iter().map(str::to_owned).collect();
    let rows = reader
        .records()
        .map(|record| header.iter().cloned().zip(record.unwrap().iter().map(str::to_owned)).collect());
    let rows = rows.collect();
    (header, rows)
}

fn text((header, rows): &Table) -> String {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(header).unwrap();
    for row in rows {
        writer.write_record(header.iter().map(|name| &row[name])).unwrap();
    }
    String::from_utf8(writer.into_inner().unwrap()).unwrap()
}

/// The same without when objects were changed.
fn timeless(text: &str) -> Table {
    let (header, mut rows) = table(text);
    for row in &mut rows {
        row.insert("modified_date".to_owned(), String::new());
    }
    (header, rows)
}

#[test]
fn what_is_exported_changes_nothing_when_it_comes_back() {
    let site = demo(&Trouble::none());
    for (object, count) in OBJECTS {
        let file = format!("{object}.csv");
        export(&site, object, &file, &[]).run().exits(0).says(&format!("exported {count} "));
        assert_eq!(table(&read(&site, &file)).1.len(), count);
        let calls = site.stats()["calls"].clone();
        update(&site, object, &file, &["--base", &file]).run().exits(0).says(&format!("already{count:>11}"));
        for endpoint in ["works.list", "works.get", "accounts.list", "rev-orgs.list", "rev-users.list"] {
            assert_eq!(site.stats()["calls"][endpoint], calls[endpoint], "{object}: {endpoint}");
        }
        // Without a base every object is looked at, and is as the file has it.
        update(&site, object, &file, &[]).run().exits(0).says(&format!("already{count:>11}"));
    }
    assert_eq!(site.writes(), 0);
    site.assert_no_token();
}

#[test]
fn edits_and_nothing_else_arrive_and_an_undo_brings_the_first_export_back() {
    let site = demo(&Trouble::none());
    export(&site, "ticket", "first.csv", &[]).run().exits(0);
    let (header, mut rows) = table(&read(&site, "first.csv"));
    let choices: [(&str, [&str; 3]); 8] = [
        ("severity", ["blocker", "high", "low"]),
        ("stage", ["triage", "backlog", "completed"]),
        ("title", ["=1+1", "'quoted", "a;b\\c \u{e9}\n\"x\""]),
        ("tags", ["TAG-1;TAG-2=high", "TAG-3", "TAG-4;TAG-5"]),
        ("tnt__region", ["emea", "amer", "apac"]),
        ("tnt__affected_users", ["0", "-7", "12345678901"]),
        ("tnt__reference", ["007", "+49 30", "\\\\C"]),
        ("owned_by", ["ana.sousa@example.com", "DEVU-2;DEVU-3", "DEVU-4"]),
    ];
    // The same edits each time: a simple generator.
    let mut state = 7_u64;
    let mut next = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % below
    };
    let mut edited = Vec::new();
    for _ in 0..60 {
        let (row, (field, values)) = (next(rows.len()), choices[next(choices.len())]);
        let cell = rows[row].get_mut(field).unwrap();
        // The API cannot empty these again.
        if cell.is_empty() && field == "owned_by" {
            continue;
        }
        *cell = values[next(3)].to_owned();
        edited.push((row, field));
    }
    site.write("edited.csv", text(&(header, rows)));
    update(&site, "ticket", "edited.csv", &["--base", "first.csv"]).run().exits(0);
    let run = site.newest_run().id().to_owned();
    export(&site, "ticket", "second.csv", &[]).run().exits(0);
    let (first, second) = (timeless(&read(&site, "first.csv")), timeless(&read(&site, "second.csv")));
    let mut differences = Vec::new();
    for (at, (before, after)) in first.1.iter().zip(&second.1).enumerate() {
        for (name, cell) in before.iter().filter(|(name, cell)| after[*name] != **cell) {
            assert!(edited.contains(&(at, name.as_str())), "row {at}, {name}: {cell} -> {}", after[name]);
            differences.push((at, name.clone()));
        }
    }
    assert!(differences.len() > 20, "{differences:?}");
    // The edits have arrived: with the file that has them nothing is left to do.
    update(&site, "ticket", "edited.csv", &["--base", "first.csv"]).run().exits(0).says("already        232");
    site.program(["undo", &run, "--yes"]).run().exits(0);
    export(&site, "ticket", "third.csv", &[]).run().exits(0);
    assert_eq!(timeless(&read(&site, "third.csv")), first);
}

#[test]
fn what_a_spreadsheet_has_done_is_found() {
    let site = demo(&Trouble::none());
    let set = json!({
        "id": "TKT-1", "type": "ticket", "custom_schema_spec": {"tenant_fragment": true},
        "custom_fields": {"tnt__reference": "007"}, "body": "x".repeat(40_000),
    });
    site.call("works.update", &set);
    export(&site, "ticket", "base.csv", &["--fields", "title,body,tnt__reference"]).run().exits(0);
    let (header, mut rows) = table(&read(&site, "base.csv"));
    rows[0].insert("tnt__reference".into(), "7".into());
    // A field of the tenant's own: known as text only once the schema is there.
    site.write("edited.csv", text(&(header.clone(), rows.clone())));
    let ended = update(&site, "ticket", "edited.csv", &["--base", "base.csv"]).run().exits(5);
    let wanted = "tnt__reference `7`: lost its leading zeros in a spreadsheet";
    assert!(ended.err.contains(wanted), "{}", ended.all());
    rows[0].insert("body".into(), "x".repeat(32_767));
    rows[1].insert("title".into(), String::new());
    site.write("edited.csv", text(&(header, rows)));
    let ended = update(&site, "ticket", "edited.csv", &["--base", "base.csv"]).run().exits(5);
    for wanted in [
        "was cut to 32,767 characters",
        "title ``: was emptied: write \\C to empty the field, or give --empty clear",
    ] {
        assert!(ended.err.contains(wanted), "{wanted}\n{}", ended.all());
    }
    site.write("other.csv", "id,title\nTKT-1,New\nTKT-999,New\n");
    let ended = update(&site, "ticket", "other.csv", &["--base", "base.csv"]).run().exits(5);
    assert!(ended.err.contains("id `TKT-999`: the base has no such object"), "{}", ended.all());
    let foreign = read(&site, "base.csv").replace("devo/DEMO", "devo/OTHER");
    site.write("foreign.csv", &foreign);
    let changed = foreign.replacen("Invoice of March is missing", "New", 1);
    site.write("changed.csv", changed);
    update(&site, "ticket", "changed.csv", &["--base", "foreign.csv"])
        .run()
        .exits(6)
        .says("--base: its objects are those of devo/OTHER");
    assert_eq!(site.writes(), 1);
}

#[test]
fn only_what_is_asked_for_is_exported() {
    let site = demo(&Trouble::none());
    let ids = |more: &[&str]| -> Vec<String> {
        let ended = export(&site, "ticket", "-", more).run().exits(0);
        table(&ended.out).1.iter().map(|row| row["display_id"].clone()).collect()
    };
    assert_eq!(
        ids(&["--where", "tnt__region=amer", "--where", "stage=triage"]),
        ["TKT-10", "TKT-25", "TKT-40"]
    );
    assert_eq!(ids(&["--where", "tags=vip"]).len(), 7);
    // What is asked of a list has a value.
    for empty in ["stage=", "created_by="] {
        assert_eq!(ids(&["--where", empty]), Vec::<String>::new(), "{empty}");
    }
    assert!(!ids(&["--where", "tags="]).is_empty());
    assert_eq!(ids(&["--where", "account=Acme GmbH"]), ["TKT-12", "TKT-24", "TKT-36"]);
    assert_eq!(ids(&["--where", "tnt__region=", "--where", "severity=blocker"])[0], "TKT-43");
    site.call("works.update", &json!({"id": "TKT-9", "type": "ticket", "severity": "low"}));
    assert_eq!(ids(&["--changed-since", "2026-01-01"]), ["TKT-9"]);
    let names = export(&site, "account", "-", &["--fields", "owned_by,tier", "--names"]).run().exits(0);
    assert!(names.out.starts_with("id,display_id,owned_by,#owned_by,tier\n"), "{}", names.all());
    assert!(names.out.contains("DEMO:devu/1,Ana Sousa,gold"), "{}", names.all());
    let lines = export(&site, "task", "-", &["--format", "jsonl", "--fields", "title,tags"]).run().exits(0);
    let first: Value = serde_json::from_str(lines.out.lines().next().unwrap()).unwrap();
    assert_eq!(first["title"], "Renew the certificate");
    assert_eq!(first["tags"], json!([{"id": "don:core:dvrv-us-1:devo/DEMO:tag/1"}]));
    for (more, wanted) in [
        (vec!["--fields", "titles"], "tickets have no field `titles`; did you mean `title`?"),
        (vec!["--where", "stage"], "--where stage: a name, `=` and a value are needed"),
        (vec!["--where", "severity=urgent"], "--where severity=urgent: none of the allowed values"),
        (vec!["--changed-since", "yesterday"], "--changed-since yesterday: not a date"),
    ] {
        export(&site, "ticket", "none.csv", &more).run().exits(2).says(wanted);
    }
    assert!(!site.path("none.csv").exists());
    export(&site, "task", "task.csv", &[]).run().exits(0);
    export(&site, "task", "task.csv", &[]).run().exits(2).says("task.csv exists");
    export(&site, "task", "task.csv", &["--force", "--json"]).run().exits(0);
}

#[test]
fn a_file_that_cannot_be_written_is_known_before_anything_is_read() {
    let site = demo(&Trouble::none());
    std::fs::create_dir(site.path("folder")).unwrap();
    for (file, more, says) in [
        ("folder", &["--force"][..], "folder: it is a folder"),
        ("none/x.csv", &[], "there is no such folder"),
        ("-", &["--json"], "--json and `-o -` both need standard output"),
    ] {
        export(&site, "task", file, more).run().exits(2).says(says);
    }
    if cfg!(target_os = "linux") {
        export(&site, "task", "/proc/x.csv", &[]).run().exits(2).says("cannot write in /proc");
    }
    let shell = |script: &str| site.prepare(Program::new("sh")).args(["-c", script, BINARY]);
    let args = ["export", "--object", "issue", "-o", "-"];
    shell("exec \"$0\" \"$@\" >&-").args(args).run().exits(2).says("-o -: standard output is closed");
    assert_eq!((site.calls("works.list"), site.runs().len()), (0, 0));
    shell("exec \"$0\" \"$@\" >/dev/null").args(args).run().exits(0).says("exported 300 issues");
    // A reader that goes away wants no more, and there is nothing to resume.
    let ended = shell("(\"$0\" \"$@\"; echo \"exit $?\" >&2) | true").args(args).run().exits(0);
    ended.says("standard output was closed before all of it was written").says("exit 1");
    assert_eq!(site.runs().len(), 1);
}

#[test]
fn a_path_steers_no_terminal() {
    let site = demo(&Trouble::none());
    let ended = export(&site, "task", "a\u{1b}[2J.csv", &[]).run().exits(0).says("a\\u001b[2J.csv");
    assert!(!ended.all().contains('\u{1b}'), "{}", ended.all());
}

#[test]
fn an_export_that_was_stopped_goes_on_where_it_was() {
    let site = demo(&Trouble::faults(["path=works.list,after=2,count=1,status=401"]));
    export(&site, "ticket", "tickets.csv", &[]).run().exits(4).says("200 tickets read so far");
    assert!(!site.path("tickets.csv").exists(), "half a file never has the name");
    let elsewhere = demo(&Trouble::faults(["path=works.list,after=2,count=1,status=401"]));
    let ended = export(&elsewhere, "ticket", "tickets.csv", &["--runs-dir", "r9"]).run().exits(4);
    assert!(ended.err.trim_end().ends_with(" --runs-dir r9"), "{}", ended.err);
    site.program(["resume", "--yes"]).run().exits(0).says("exported 232 tickets");
    let (_, rows) = table(&read(&site, "tickets.csv"));
    let ids: std::collections::BTreeSet<_> = rows.iter().map(|row| row["id"].clone()).collect();
    assert_eq!((rows.len(), ids.len()), (232, 232));
    site.program(["runs", "show", site.the_run().id()]).run().exits(0).says("export");
    let id = site.the_run().id().to_owned();
    for command in ["undo", "apply"] {
        site.program([command, &id, "--yes"]).run().exits(2);
    }
    site.program(["runs", "list"]).run().exits(0).says("finished");
}

#[test]
fn a_kill_at_any_page_loses_nothing() {
    for pages in 0..3 {
        let mut site = demo(&Trouble::faults([format!("path=works.list,after={pages},count=1,hang")]));
        let running =
            export(&site, "issue", "issues.csv", &[]).run_until(|| site.calls("works.list") > pages);
        running.kill();
        assert!(!site.path("issues.csv").exists());
        site.stop();
        site.start(Data::demo, &Trouble::none());
        site.program(["resume", "--yes"]).run().exits(0).says("exported 300 issues");
        assert_eq!(table(&read(&site, "issues.csv")).1.len(), 300);
    }
}

#[test]
fn a_kill_once_the_file_is_in_its_place_is_resumed_too() {
    let mut site = demo(&Trouble::faults(["path=works.list,after=1,count=1,hang".to_owned()]));
    export(&site, "issue", "issues.csv", &[]).run_until(|| site.calls("works.list") > 1).kill();
    site.stop();
    site.start(Data::demo, &Trouble::none());
    // A file takes the name while the export reads: it stays, and nothing is read again before it is out of the way.
    site.stop();
    site.start(Data::demo, &Trouble::delay(300));
    let resumed = site.program(["resume", "--yes"]).run_until(|| site.calls("works.list") > 0);
    site.write("issues.csv", "mine");
    let says = "was not there when the export began, and is now";
    resumed.wait().exits(1).says(says);
    let calls = site.calls("works.list");
    site.program(["resume", "--yes"]).run().exits(1).says(says).says("300 issues read so far; next: ");
    assert_eq!((read(&site, "issues.csv").as_str(), site.calls("works.list")), ("mine", calls));
    // As a process leaves it that was killed after it had named the file.
    std::fs::copy(site.the_run().file("export.part"), site.path("issues.csv")).unwrap();
    site.program(["resume", "--yes"]).run().exits(0).says("exported 300 issues");
    assert_eq!((table(&read(&site, "issues.csv")).1.len(), site.calls("works.list")), (300, calls));
}

/// Opens a CSV file in LibreOffice, saves it as a workbook, and that as CSV again, as a person would; `false` where there is none.
fn through_libreoffice(site: &Site, file: &str, back: &str) -> bool {
    let profile = format!("-env:UserInstallation=file://{}", site.path("office").display());
    let convert = |from: &str, to: &str, more: &[&str]| {
        let mut office = std::process::Command::new("soffice");
        office.args(["--headless", &profile, "--convert-to", to, "--outdir"]).arg(site.path("office-out"));
        // Commas and quotes, UTF-8, from the first line on, numbers recognised: what its dialogue offers.
        office.args(more).arg(site.path(from)).output()
    };
    if convert(file, "xlsx", &["--infilter=CSV:44,34,76,1,,0,false,true"]).is_err() {
        tell("LibreOffice is not installed: an export is not taken through it\n");
        return false;
    }
    let stem = file.trim_end_matches(".csv");
    let text = "csv:Text - txt - csv (StarCalc):44,34,76,1,,0,false,true,false";
    convert(&format!("office-out/{stem}.xlsx"), text, &[]).unwrap();
    std::fs::rename(site.path(format!("office-out/{file}")), site.path(back)).unwrap();
    true
}

#[test]
fn what_libreoffice_saves_says_the_same_or_the_damage_is_named() {
    let site = demo(&Trouble::none());
    let tricky = [
        "=1+1",
        "'quoted",
        "a;b\\c \u{e9}\n\"x\"",
        "+49 30 1",
        "-",
        " two  spaces ",
        "@x",
        "\\\\C",
        "#N/A",
        "\u{1f600}\tx",
    ];
    let mut rows = String::from("id,title\n");
    for (number, title) in (1..).zip(tricky) {
        let title = title.replace('"', "\"\"");
        let _ = writeln!(rows, "TKT-{number},\"{title}\"");
    }
    site.write("tricky.csv", rows);
    update(&site, "ticket", "tricky.csv", &[]).run().exits(0);
    let mut is_there = true;
    for (object, count) in OBJECTS {
        let (file, back) = (format!("{object}.csv"), format!("{object}-back.csv"));
        export(&site, object, &file, &[]).run().exits(0);
        is_there = is_there && through_libreoffice(&site, &file, &back);
        if !is_there {
            return;
        }
        update(&site, object, &back, &["--base", &file]).run().exits(0).says(&format!("already{count:>11}"));
    }
    let looks =
        "007;12345678901234567;1-2;1/2;3E5;1.50;true;10%;1,000;2026-12-01;$5;12:30;March 5;5 May 2026;plain";
    let mut rows = String::from("id,tnt__reference\n");
    for (number, value) in (1..).zip(looks.split(';')) {
        let _ = writeln!(rows, "TKT-{number},\"{value}\"");
    }
    site.write("looks.csv", rows);
    update(&site, "ticket", "looks.csv", &[]).run().exits(0);
    export(&site, "ticket", "looks.csv", &["--fields", "tnt__reference", "--force"]).run().exits(0);
    through_libreoffice(&site, "looks.csv", "looks-back.csv");
    let writes = site.writes();
    let ended = update(&site, "ticket", "looks-back.csv", &["--base", "looks.csv"]).run().exits(5);
    let (before, after) = (table(&read(&site, "looks.csv")).1, table(&read(&site, "looks-back.csv")).1);
    let changed = before.iter().zip(&after).filter(|(before, after)| before != after);
    let changed: Vec<&str> = changed.map(|(_, after)| after["tnt__reference"].as_str()).collect();
    assert!(changed.len() > 6, "{changed:?}");
    for value in &changed {
        assert!(ended.err.contains(&format!("tnt__reference `{value}`: ")), "{value}\n{}", ended.all());
    }
    assert!(
        ended.err.contains(&format!("{} rows are wrong, and nothing was sent", changed.len())),
        "{}",
        ended.err
    );
    assert_eq!(site.writes(), writes);
}
