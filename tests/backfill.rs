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
