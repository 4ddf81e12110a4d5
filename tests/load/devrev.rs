//! `load` into DevRev: the records of all slices are the rows of an update.

use super::site;
use crate::support::program::Program;
use crate::support::site::{Site, Trouble};

/// A job that changes priorities of issues of the demo from files.
fn changes(site: &Site, more: &str, lines: &[&str]) {
    for (part, line) in lines.iter().enumerate() {
        site.write(&format!("part-{part}.jsonl"), format!("{line}\n"));
    }
    site.write(
        "job.yaml",
        format!(
            "version: 1\njob_name: priorities\nsource: {{jsonl: {{path: 'part-*.jsonl'}}}}\n\
             transform: '{{id, title: .name}}'\nrules:\n  - {{field: title, required: true, type: text}}\n\
             target: {{devrev: {{object: issue{more}}}}}\n"
        ),
    );
}

fn load(site: &Site, more: &[&str]) -> Program {
    site.program(["load", "job.yaml", "--yes"]).args(more)
}

#[test]
fn records_change_objects_and_a_second_run_changes_nothing() {
    let site = site(&Trouble::none());
    let lines = [
        r#"{"id":"ISS-1","name":"One, new"}"#,
        r#"{"id":"ISS-2","name":"Two"}"#,
        r#"{"id":"ISS-3","name":7}"#,
    ];
    changes(&site, "", &lines);
    site.program(["validate", "--job", "job.yaml"]).run().exits(0).says("3 slices");
    load(&site, &["--dry-run"]).run().exits(3).says("1 record was rejected");
    load(&site, &[]).run().exits(3).says("1 record was rejected (in rejected.jsonl)");
    let run = site.newest_run();
    let rejected = run.lines("rejected.jsonl");
    assert_eq!((rejected.len(), &rejected[0]["rule"]), (1, &serde_json::json!("type")));
    assert!(!run.0.join("records.jsonl").exists() && !run.0.join("slices").exists());
    let id = run.id().to_owned();
    assert!(id.contains("update"), "it is a run of update: {id}");
    load(&site, &["--param", "x=1"]).run().exits(2).says("no such parameter");
    load(&site, &["--reload"]).run().exits(2).says("--reload");
    load(&site, &["--strict"]).run().exits(3).says("--strict").says("nothing was sent");
    let calls = site.calls("works.update");
    load(&site, &[]).run().exits(3).says("2  nothing to change");
    assert_eq!(site.calls("works.update"), calls);
    site.program(["undo", &id, "--yes"]).run().exits(0);
    load(&site, &["--dry-run"]).run().exits(3).says("2");
}

#[test]
fn what_update_refuses_is_refused() {
    let site = site(&Trouble::none());
    changes(&site, "", &[r#"{"id":"ISS-1","name":"One"}"#]);
    let text = std::fs::read_to_string(site.path("job.yaml")).unwrap();
    site.write("job.yaml", text.replace("title: .name", "title: .name, colour: 1"));
    load(&site, &[]).run().exits(5).says("colour");
    assert_eq!(site.calls("works.update"), 0);
    site.write(
        "job.yaml",
        text.replace("object: issue", "object: issue, ignore: [colour]")
            .replace("title: .name", "title: .name, colour: 1"),
    );
    load(&site, &[]).run().exits(0);
    // No records are no error.
    site.write("job.yaml", text.replace("{id, title: .name}", "empty"));
    load(&site, &[]).run().exits(0).says("no rows came from load priorities");
    // All rejected: nothing to do, and not well.
    site.write("job.yaml", text.replace("title: .name}", "title: null}"));
    load(&site, &[]).run().exits(3).says("1 record was rejected");
}

#[test]
fn a_load_in_the_sandbox_needs_no_token() {
    let site = site(&Trouble::none());
    changes(&site, "", &[r#"{"id":"ISS-1","name":"One"}"#]);
    load(&site, &["--sandbox"]).run().exits(0);
    assert_eq!(site.calls("works"), 0, "the site is not asked");
}

/// A job that copies issues of the demo into a file.
fn copies(site: &Site, source: &str, slices: &str) {
    site.write(
        "copy.yaml",
        format!(
            "version: 1\njob_name: copy\nparams: {{start_date: 2020-01-01, end_date: 2027-12-31}}\n\
             source: {{devrev: {{object: issue{source}}}}}\n{slices}target: {{jsonl: {{path: issues.jsonl}}}}\nchecks:\n  - count: source\n"
        ),
    );
}

fn copied(site: &Site) -> Vec<serde_json::Value> {
    let text = std::fs::read_to_string(site.path("issues.jsonl")).unwrap_or_default();
    let mut objects: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    objects.sort_by_key(|object| object["id"].as_str().unwrap().to_owned());
    objects
}

#[test]
fn objects_are_copied_as_devrev_gives_them_and_by_the_dates_of_their_change() {
    let site = site(&Trouble::none());
    copies(&site, "", "");
    site.program(["load", "copy.yaml", "--yes"]).run().exits(0);
    let all = copied(&site);
    assert!(
        all.len() > 1 && all.iter().all(|object| object["type"] == "issue" && object["owned_by"].is_array())
    );
    std::fs::remove_dir_all(site.path("issues.jsonl.slices")).unwrap();
    std::fs::remove_file(site.path("issues.jsonl")).unwrap();
    // The same objects, each in one slice.
    copies(&site, "", "slices: {dates: {field: modified_date, step: 1month}}\n");
    site.program(["load", "copy.yaml", "--yes"]).run().exits(0);
    assert_eq!(copied(&site), all);
    let since = all.iter().map(|object| object["modified_date"].as_str().unwrap().to_owned()).max().unwrap();
    std::fs::remove_dir_all(site.path("issues.jsonl.slices")).unwrap();
    std::fs::remove_file(site.path("issues.jsonl")).unwrap();
    copies(&site, &format!(", changed_since: \"{since}\""), "");
    site.program(["load", "copy.yaml", "--yes"]).run().exits(0);
    let last: Vec<_> =
        all.iter().filter(|object| object["modified_date"] == since.as_str()).cloned().collect();
    assert_eq!(copied(&site), last);
    assert!(!last.is_empty());
    site.program(["load", "copy.yaml", "--yes", "--dry-run"])
        .env("DEVREV_API_TOKEN", "")
        .run()
        .exits(2)
        .says("DEVREV_API_TOKEN");
    for (source, slices, says) in [
        (", changed_since: soon", "", "not a date"),
        (", filter: {limit: 5}", "", "`limit` is no filter"),
        ("", "slices: {dates: {field: day, step: 1d}}\n", "modified_date or created_date"),
    ] {
        copies(&site, source, slices);
        site.program(["validate", "--job", "copy.yaml"]).run().exits(5).says(says).says("copy.yaml:");
    }
}
