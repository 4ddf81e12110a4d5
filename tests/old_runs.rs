//! Run folders that an earlier version left, kept as they were in `test_data/runs`: they continue with this one.

use crate::support::site::{Site, Trouble};
use crate::support::{Run, past, test_data};
use devrev_batch::sandbox::Data;
use serde_json::{Value, json};
use std::fs;

/// A sandbox that is as it was before the run, and the run's folder beside it. Only where the sandbox listens, and where
/// the operator worked, are put in the place of what they were.
fn taken_along(id: &str) -> (Site, Run) {
    let mut site = Site::new();
    site.start(Data::demo, &Trouble::none());
    let run = Run(site.path("runs").join(id));
    fs::create_dir_all(&run.0).unwrap();
    for entry in fs::read_dir(test_data("runs").join(id)).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, run.0.join(path.file_name().unwrap())).unwrap();
    }
    past::edit(&run, "run.json", |manifest| {
        assert_eq!(manifest["base_url"], "http://127.0.0.1:4455/");
        manifest["base_url"] = format!("{}/", site.base_url()).into();
        if let Some(dir) = manifest["settings"]["job"].get_mut("backup_dir") {
            *dir = site.path("backups").to_str().into();
        }
    });
    (site, run)
}

fn resumed(site: &Site, run: &Run) -> Value {
    site.program(["resume", run.id(), "--yes", "--json"]).env("SETTLE_TIMEOUT", "5").run().json()
}

#[test]
fn a_backfill_that_was_killed_goes_on() {
    let (site, run) = taken_along("20261126-232339-backfill-groups-6eb7");
    let before = site.program(["runs", "show", run.id(), "--json"]).run().exits(0).json();
    assert_eq!((&before["state"], &before["counts"]["unknown"]), (&json!("crashed"), &json!(13)), "{before}");
    let summary = resumed(&site, &run);
    assert_eq!(summary["states"], json!({"already": 4, "done": 29, "skipped": 6}), "{summary}");
    // Each change that the journal has no outcome of, once; the two rows that were open need none.
    assert_eq!(site.calls("works.update"), 13);
    run.assert_complete(39);
}

#[test]
fn merges_that_ended_after_a_portion_go_on() {
    let (site, run) = taken_along("20261126-232340-merge-contacts-07ae");
    let summary = resumed(&site, &run);
    assert_eq!(summary["states"], json!({"done": 4, "skipped": 4}), "{summary}");
    // Only the pair that was left: the other one had been merged.
    assert_eq!(site.calls("rev-users.merge"), 1);
}
