//! `merge-contacts`: which pairs are merged, which are not, and what is said of each.

use crate::support::{Merging, People};
use serde_json::json;

#[test]
fn every_pair_is_backed_up_and_merged_once() {
    let fixture = Merging::new(&People::of(13));
    let ended = fixture.merge(&["--json"]).run().exits(0);
    assert_eq!(ended.json()["states"], json!({"done": 26, "skipped": 2}));
    fixture.assert_all_done();
}
