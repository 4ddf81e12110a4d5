//! `backfill-groups` when all goes well: what it changes, and what it leaves in the run's folder.

use crate::support::run::read_results;
use crate::support::{Fixture, Org, test_data};
use serde_json::json;

/// The demonstration input's rows.
const DEMO_ROWS: u64 = 300;

#[test]
fn the_demonstration_ends_as_the_readme_says() {
    let fixture = Fixture::down(&Org::of(1));
    let csv = test_data("issues.csv");
    let ended = fixture
        .program(["backfill-groups", "--sandbox", "--json", "--csv"])
        .arg(&csv)
        .without("DEVREV_API_TOKEN")
        .run()
        .exits(3);
    let summary = ended.json();
    assert_eq!(summary["states"], json!({"already": 37, "done": 203, "failed": 3, "skipped": 57}));
    let run = fixture.the_run();
    assert_eq!(run.manifest()["state"], "finished");
    assert_eq!(run.manifest()["exit_code"], 3);
    assert_eq!(run.manifest()["base_url"], "sandbox");
    run.assert_complete(DEMO_ROWS);
    let failed = run.results("failed.csv");
    assert!(failed.iter().all(|row| row.reason.starts_with("not-found: ")), "{failed:?}");

    // What failed is fit to be given back, and its added columns are not added again.
    let again = fixture
        .program(["backfill-groups", "--sandbox", "--json", "--csv"])
        .arg(run.file("failed.csv"))
        .run()
        .exits(3);
    assert_eq!(again.json()["states"], json!({"failed": 3}));
    let second = fixture.runs().pop().unwrap();
    let header = |path| std::fs::read_to_string(path).unwrap().lines().next().unwrap().to_owned();
    assert_eq!(header(second.file("failed.csv")), header(run.file("failed.csv")));
}

#[test]
fn every_issue_gets_its_creators_group_and_is_written_once() {
    let fixture = Fixture::new(&Org::of(250));
    let ended = fixture.backfill(&["--json"]).run().exits(0);
    assert_eq!(ended.json()["states"], json!({"done": 250}));
    fixture.assert_right();
    assert_eq!(fixture.writes(), 250);
    let run = fixture.the_run();
    for (number, row) in run.assert_complete(250) {
        assert_eq!((row.status.as_str(), row.attempts), ("done", 1), "row {number}");
    }
    fixture.assert_intents(&run);
    let manifest = run.manifest();
    assert_eq!(manifest["org"]["id"], "devo/TEST");
    assert_eq!(manifest["user"]["display_id"], "DEVU-1");
    assert_eq!(manifest["input"]["rows"], 250);
    assert_eq!(manifest["counts"], json!({"done": 250, "open": 0}));

    // Once more: there is nothing to do, and nothing is written.
    let again = fixture.backfill(&["--json"]).run().exits(0);
    assert_eq!(again.json()["states"], json!({"already": 250}));
    assert_eq!(fixture.writes(), 250);
}

#[test]
fn reads_cost_a_small_part_of_a_call_a_row() {
    let fixture = Fixture::new(&Org::of(500));
    fixture.backfill(&[]).run().exits(0);
    let stats = fixture.stats();
    let reads = stats["total"].as_u64().unwrap() - stats["writes"].as_u64().unwrap();
    assert!(reads <= 30, "{stats}");
}

#[test]
fn a_rows_own_columns_come_back_as_they_were() {
    let fixture = Fixture::new(&Org::of(4));
    let input = "title,issue_id,creator_user_id,assigned_group,creator_group, note \n\
                 \"say \"\"hi\"\", they said\",ISS-1,DEVU-1,GROUP-1,,\"line one\nline two\"\n\
                 日本語 🎉,ISS-2,DEVU-2,GROUP-2,null,\"\"\n\
                 plain,ISS-99,DEVU-3,GROUP-3,,  spaces  \n\
                 \"\"\"\",don:core:dvrv-us-1:devo/TEST:issue/4,DEVU-4,GROUP-4,,\"a\r\nb\"\n";
    fixture.write("issues.csv", input);
    fixture.backfill(&[]).run().exits(3);
    let results = fixture.the_run().assert_complete(4);
    let mut reader = csv::ReaderBuilder::new().from_reader(input.as_bytes());
    for (record, (number, row)) in reader.byte_records().zip(&results) {
        let record = record.unwrap();
        assert!(record.iter().eq(row.fields.iter().map(Vec::as_slice)), "row {number}: {record:?} {row:?}");
    }
    let states: Vec<_> = results.values().map(|row| row.status.as_str()).collect();
    assert_eq!(states, ["done", "done", "failed", "done"]);
    let header = std::fs::read_to_string(fixture.the_run().file("success.csv")).unwrap();
    assert!(header.starts_with("title,issue_id,creator_user_id,assigned_group,creator_group, note ,_row,"));
}

#[test]
fn failed_rows_given_back_as_input_are_done() {
    let fixture = Fixture::broken(&Org::of(40), ["path=works.update,status=409,count=7"]);
    fixture.backfill(&[]).run().exits(3);
    let failed = fixture.the_run().file("failed.csv");
    assert_eq!(read_results(&failed).len(), 7);
    let again = fixture.program(["backfill-groups", "--yes", "--json", "--csv"]).arg(failed).run().exits(0);
    assert_eq!(again.json()["states"], json!({"done": 7}));
    fixture.assert_right();
}

#[test]
fn what_a_run_leaves_is_for_its_owners_eyes() {
    use std::os::unix::fs::PermissionsExt;
    let fixture = Fixture::new(&Org::of(2));
    fixture.program(["backfill-groups", "--yes", "--csv", "-"]).stdin(fixture.org.csv()).run().exits(0);
    let run = fixture.the_run();
    assert_eq!(std::fs::metadata(&run.0).unwrap().permissions().mode() & 0o777, 0o700);
    for file in crate::support::files_below(&run.0) {
        let mode = std::fs::metadata(&file).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{}", file.display());
    }
}

#[test]
fn the_end_names_the_folder_and_what_comes_next() {
    let fixture = Fixture::broken(&Org::of(20), ["path=works.update,status=403,count=1"]);
    let ended = fixture.backfill(&["--runs-dir", "my runs"]).run().exits(3);
    let runs: Vec<_> = std::fs::read_dir(fixture.path("my runs")).unwrap().map(Result::unwrap).collect();
    let id = runs.iter().map(|run| run.file_name().into_string().unwrap()).find(|id| !id.starts_with('.'));
    let id = id.unwrap();
    let ended = ended.says(&format!("run folder: my runs/{id}"));
    ended.says(&format!("devrev-batch resume {id} --retry-failed --runs-dir 'my runs' --yes"));
}
