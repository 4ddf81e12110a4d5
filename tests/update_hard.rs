//! `update` where files, flags and other people are not as one hopes.

use crate::support::program::{Ended, Program};
use crate::support::site::{Site, Trouble};
use devrev_batch::sandbox::Data;
use serde_json::{Value, json};
use std::path::Path;

fn demo(trouble: &Trouble) -> Site {
    let mut site = Site::new();
    site.start(Data::demo, trouble);
    site
}

fn export(site: &Site, object: &str, fields: &str, file: &str, more: &[&str]) {
    let args = ["export", "--object", object, "--fields", fields, "-o", file];
    site.program(args).args(more).run().exits(0);
}

fn update(site: &Site, object: &str, more: &[&str]) -> Program {
    site.program(["update", "--object", object]).args(more)
}

fn ticket(site: &Site, id: &str) -> Value {
    site.call("works.get", &json!({ "id": id }))["work"].take()
}

fn set(site: &Site, id: &str, field: &str, value: &Value) {
    site.call("works.update", &json!({"id": id, "type": "ticket", field: value}));
}

fn read(path: impl AsRef<Path>) -> String {
    std::fs::read_to_string(path).unwrap()
}

/// Runs what a summary proposes next, after these words.
fn run_next(site: &Site, ended: &Ended, before: &str, more: &[&str]) -> Ended {
    let all = format!("{}\n{}", ended.out, ended.err);
    let command = all.lines().find_map(|line| line.split_once(before)).unwrap_or_else(|| panic!("{all}")).1;
    let words = command.trim().strip_prefix("devrev-batch ").unwrap().split(' ');
    site.program(words).args(more).run()
}

#[test]
fn a_renamed_column_is_held_against_the_base_too() {
    let site = demo(&Trouble::none());
    export(&site, "ticket", "title,severity", "base.csv", &[]);
    let base = read(site.path("base.csv"));
    site.write("renamed.csv", base.replacen("severity", "Sev", 1));
    set(&site, "TKT-1", "severity", &json!("blocker"));
    let args = ["--csv", "renamed.csv", "--base", "base.csv", "--map", "Sev=severity", "--dry-run"];
    update(&site, "ticket", &args).run().exits(0).says("already        232");
    // What the base does not have cannot be told from what was edited.
    export(&site, "ticket", "title", "titles.csv", &[]);
    update(&site, "ticket", &["--csv", "base.csv", "--base", "titles.csv", "--dry-run"])
        .run()
        .exits(5)
        .says("column `severity`: the base has no column `severity`");
    update(
        &site,
        "ticket",
        &["--csv", "titles.csv", "--base", "titles.csv", "--set", "severity=low", "--dry-run"],
    )
    .run()
    .exits(0);
}

#[test]
fn rows_that_failed_keep_what_guards_them_against_formulas() {
    let site = demo(&Trouble::faults(["path=works.update,after=4,count=2,status=400"]));
    let titles = ["=orig", "'quoted", "''double", "+1"];
    for (number, title) in (1..).zip(titles) {
        set(&site, &format!("TKT-{number}"), "title", &json!(title));
    }
    export(&site, "ticket", "title", "titles.csv", &[]);
    let ended = update(
        &site,
        "ticket",
        &["--csv", "titles.csv", "--set", "severity=blocker", "--limit", "2", "--yes"],
    );
    let ended = ended.run().exits(3);
    let again = run_next(&site, &ended, "edit that file, then run ", &[]).exits(0).says("done             2");
    assert!(!again.all().contains("title"), "{}", again.all());
    assert_eq!(
        (&ticket(&site, "TKT-1")["title"], &ticket(&site, "TKT-2")["title"]),
        (&json!("=orig"), &json!("'quoted"))
    );
    // What `validate` proposes has the base, too.
    let edited = read(site.path("titles.csv")).replacen("'=orig", "'=new", 1);
    site.write("edited.csv", edited);
    let args = ["validate", "--object", "ticket", "--csv", "edited.csv", "--base", "titles.csv"];
    let validated = site.program(args).run().exits(0);
    run_next(&site, &validated, "Next: ", &[])
        .exits(0)
        .says("title: `=orig` -> `=new`")
        .says("already        231");
    let args = ["validate", "--object", "ticket", "--csv", "edited.csv"];
    site.program(args).run().exits(0).says("--base FILE changes only what was edited");
}

#[test]
fn only_a_csv_file_is_guarded_against_formulas() {
    let site = demo(&Trouble::none());
    for (number, title) in (1..).zip(["'-quoted", "''double", "\\C", " \\\\C"]) {
        set(&site, &format!("TKT-{number}"), "title", &json!(title));
    }
    export(&site, "ticket", "title,tags", "lines.jsonl", &["--format", "jsonl"]);
    export(&site, "ticket", "title,tags", "base.csv", &[]);
    for args in [
        &["--csv", "base.csv"][..],
        &["--csv", "base.csv", "--base", "base.csv"],
        &["--jsonl", "lines.jsonl"],
        &["--source", "jsonl", "--csv", "lines.jsonl"],
        &["--jsonl", "lines.jsonl", "--base", "base.csv"],
    ] {
        let ended = update(&site, "ticket", args).arg("--dry-run").run().exits(0);
        assert!(ended.out.contains("already        232"), "{args:?}: {}", ended.all());
    }
}

#[test]
fn a_key_is_read_without_what_guards_it() {
    let site = demo(&Trouble::none());
    site.call("rev-users.update", &json!({"id": "REVU-12", "external_ref": "+4912345"}));
    let found = ["--where", "external_ref=+4912345"];
    export(&site, "contact", "external_ref,display_name", "contact.csv", &found);
    let args = [
        "--csv",
        "contact.csv",
        "--match",
        "external_ref",
        "--on-missing",
        "create",
        "--ignore",
        "id",
        "--dry-run",
    ];
    let ended = update(&site, "contact", &args).run().exits(0).says("already          1");
    assert!(ended.out.contains("No contact would be changed"), "{}", ended.all());
}

#[test]
fn a_wrong_row_of_any_kind_refuses_the_file() {
    let site = demo(&Trouble::none());
    let good = "TKT-9,low,triage\n";
    for (rows, why) in [
        (&b"TKT-1,l\xf6w,triage\n"[..], "row 1, line 2, severity ``: not UTF-8 text"),
        (b"TKT-1,low\n", "row 1, line 2: the record has 2 fields where the header has 3"),
        (b"TKT-1,low,nonsense\n", "stage `nonsense`: none of the allowed values"),
        (
            b"TKT-1,low,triage\nTKT-1,high,triage\n",
            "row 2, line 3: row 1 names the same object with other values",
        ),
    ] {
        let file = [&b"id,severity,stage\n"[..], rows, good.as_bytes()].concat();
        site.write("rows.csv", file);
        let args = ["--csv", "rows.csv", "--yes"];
        let ended = update(&site, "ticket", &args).run().exits(5).says("nothing was sent");
        assert!(ended.err.contains(why), "{why}: {}", ended.all());
        assert_eq!(site.writes(), 0);
    }
    // What cannot succeed as it is, is not to be retried as it is.
    let ended = update(&site, "ticket", &["--csv", "rows.csv", "--yes", "--skip-invalid"]).run().exits(3);
    assert!(
        !ended.out.contains("--retry-failed") && ended.out.contains("next: correct the rows in"),
        "{}",
        ended.all()
    );
    assert_eq!(ticket(&site, "TKT-9")["severity"], "low");
}

#[test]
fn tags_get_their_values_back() {
    let site = demo(&Trouble::none());
    let tags = json!({"set": [{"id": "TAG-5", "value": "high"}, {"id": "TAG-2"}]});
    let values = |site: &Site| -> Vec<(String, Value)> {
        let ticket = ticket(site, "TKT-40");
        let tag = |tag: &Value| (tag["tag"]["id"].as_str().unwrap().to_owned(), tag["value"].clone());
        let mut all: Vec<_> = ticket["tags"].as_array().unwrap().iter().map(tag).collect();
        all.sort_by(|one, other| one.0.cmp(&other.0));
        all
    };
    for rows in ["id,tags\nTKT-40,TAG-5=low;TAG-2=new\n", "id,tags:add\nTKT-40,TAG-5=mid;TAG-5 =mid\n"] {
        set(&site, "TKT-40", "tags", &tags);
        let before = values(&site);
        site.write("rows.csv", rows);
        update(&site, "ticket", &["--csv", "rows.csv", "--yes"]).run().exits(0).says("done             1");
        assert_ne!(values(&site), before);
        let run = site.newest_run().id().to_owned();
        site.program(["undo", &run, "--yes"]).run().exits(0).says("done             1");
        assert_eq!(values(&site), before);
    }
    let writes = site.writes();
    site.write("rows.csv", "id,tags:add,tags:remove\nTKT-40,TAG-5;TAG-3,TAG-5=x\n");
    let ended = update(&site, "ticket", &["--csv", "rows.csv", "--yes"]).run().exits(5);
    assert!(ended.err.contains("`TAG-5` is both added and removed"), "{}", ended.all());
    // By another name of it that only DevRev knows.
    site.write(
        "rows.csv",
        "id,tags:add,tags:remove\nTKT-40,TAG-5,billing;TAG-1;TAG-2;TAG-3;TAG-4;vip;churn risk;needs info\n",
    );
    update(&site, "ticket", &["--csv", "rows.csv", "--yes"]).run().exits(3).says("value");
    assert_eq!(site.writes(), writes);
}

#[test]
fn what_someone_else_has_changed_is_named_before_and_after() {
    let site = demo(&Trouble::none());
    export(&site, "ticket", "title,severity", "base.csv", &[]);
    let base = read(site.path("base.csv"));
    let row = base.lines().find(|line| line.contains(",TKT-1,")).unwrap();
    let mut cells: Vec<&str> = row.split(',').collect();
    (cells[2], cells[3]) = ("New", "high");
    // By its display ID, as a database may have it.
    site.write("edited.csv", format!("display_id,title,severity\n{},{},{}\n", cells[1], cells[2], cells[3]));
    set(&site, "TKT-1", "severity", &json!("blocker"));
    let args = ["--csv", "edited.csv", "--base", "base.csv"];
    let left = "left alone: severity is `blocker` now, neither `low` as before nor `high`";
    update(&site, "ticket", &args).arg("--dry-run").run().exits(0).says(left).says("Left alone: 1 field");
    assert!(read(site.newest_run().file("plan.csv")).contains(left));
    update(&site, "ticket", &args).arg("--yes").run().exits(0).says("1  fields-left-alone");
    assert!(read(site.newest_run().file("success.csv")).contains(left));
}

#[test]
fn a_plan_that_no_longer_fits_says_how_and_what_to_do() {
    let site = demo(&Trouble::none());
    site.write("rows.csv", "id,severity,severity:was,title\nTKT-1,high,low,New\n");
    let dry = update(&site, "ticket", &["--csv", "rows.csv", "--dry-run"])
        .run()
        .exits(0)
        .says("plan.csv, then run");
    let run = site.newest_run().id().to_owned();
    set(&site, "TKT-1", "severity", &json!("blocker"));
    let ended = site.program(["apply", &run, "--yes", "--on-drift", "abort"]).run().exits(6);
    let why = "severity is `blocker` now, neither `low` as before nor `high`";
    assert!(ended.all().contains(why) && !ended.all().contains("{\""), "{}", ended.all());
    run_next(&site, &ended, "next: ", &[]).exits(0).says("1  drifted");
    assert!(dry.out.contains("low"));
}

#[test]
fn flags_that_are_wrong_or_say_nothing_are_refused() {
    let site = demo(&Trouble::none());
    site.write("rows.csv", "id,Sev,x\nTKT-1,low,1\n");
    let rows = ["--csv", "rows.csv", "--dry-run"];
    let map = ["--map", "Sev=severity", "--ignore", "x"];
    for (more, why) in [
        (&["--where", "stage=nonsense"][..], "--where stage=nonsense: none of the allowed values"),
        (&["--where", "owned_by=nobody@example.com"], "`nobody@example.com` is not the ID or the name"),
        (&["--map", "sev=title"], "--map sev: a column is read as one field only"),
        (&["--ignore", "sev"], "exclude each other"),
        (&["--ignore", "nosuch"], "--ignore nosuch: there is no such column"),
        (&["--set", "title="], "--set title=: nothing to set"),
    ] {
        let ended = update(&site, "ticket", &rows).args(map).args(more).run();
        assert!(matches!(ended.code, Some(2 | 5)) && ended.err.contains(why), "{more:?}: {}", ended.all());
    }
    // The same flags as `validate` takes them.
    let args = ["validate", "--object", "ticket", "--csv", "rows.csv"];
    site.program(args).args(map).run().exits(0).says("--map Sev=severity --ignore x --csv");
    site.program(args).run().exits(5).says("tickets have no field `Sev`");
    site.write("unnamed.csv", "id,severity,,\nTKT-1,low,,\nTKT-2,low,lost,\n");
    update(&site, "ticket", &["--csv", "unnamed.csv", "--dry-run"])
        .run()
        .exits(5)
        .says("row 2, line 3, column 3 `lost`: in a column without a name");
    site.write("unnamed.csv", "id,severity,,\nTKT-1,low,,\n");
    update(&site, "ticket", &["--csv", "unnamed.csv", "--dry-run"]).run().exits(0);
}

#[test]
fn a_file_without_rows_is_nothing_to_do_and_a_base_that_is_gone_or_of_others_is_refused() {
    let site = demo(&Trouble::none());
    site.write("empty.jsonl", "");
    site.write("header.csv", "id\n");
    for rows in [["--jsonl", "empty.jsonl"], ["--csv", "header.csv"]] {
        update(&site, "ticket", &rows).arg("--yes").run().exits(0).says("no rows");
        site.program(["validate", "--object", "ticket"]).args(rows).run().exits(0).says("no rows");
    }
    export(&site, "ticket", "severity", "base.csv", &[]);
    site.write("edited.csv", read(site.path("base.csv")).replacen(",low", ",high", 1));
    let foreign = read(site.path("base.csv")).replace("devo/DEMO", "devo/DEM");
    site.write("foreign.csv", foreign);
    let args = ["--csv", "edited.csv", "--base", "foreign.csv", "--dry-run"];
    update(&site, "ticket", &args).run().exits(6).says("--base: its objects are those of devo/DEM,");
    update(&site, "ticket", &["--csv", "edited.csv", "--base", "base.csv", "--dry-run"]).run().exits(0);
    let run = site.newest_run().id().to_owned();
    std::fs::rename(site.path("base.csv"), site.path("moved.csv")).unwrap();
    site.program(["apply", &run, "--yes"]).run().exits(6).says("base.csv");
}

#[test]
fn an_undo_of_a_run_that_has_nothing_but_doubt_says_to_resume_it() {
    let site = demo(&Trouble::faults(["path=works.update,count=1,hang"]));
    site.write("rows.csv", "id,severity\nTKT-1,blocker\n");
    update(&site, "ticket", &["--csv", "rows.csv", "--yes"])
        .run_until(|| site.calls("works.update") > 0)
        .kill();
    let run = site.the_run().id().to_owned();
    let ended = site.program(["undo", &run, "--yes"]).run().exits(2);
    assert!(
        ended.err.contains("1 row has an unknown outcome") && ended.err.contains(&format!("resume {run}")),
        "{}",
        ended.all()
    );
}
