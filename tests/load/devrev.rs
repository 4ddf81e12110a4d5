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
