//! Result files are opened in spreadsheets: what came from DevRev must not be a formula there, and what the operator
//! brought stays byte for byte.

use crate::support::{Fixture, Merging, Org, People};
use serde_json::json;

#[test]
fn the_operators_own_columns_stay_as_they_are() {
    let fixture = Fixture::new(&Org::of(2));
    let csv = "issue_id,creator_user_id,assigned_group,=note\nISS-1,DEVU-1,GROUP-1,=1+1\nISS-99,DEVU-1,GROUP-1,@x\n";
    fixture.write("issues.csv", csv);
    fixture.backfill(&[]).run().exits(3);
    let run = fixture.the_run();
    for (file, row, note) in [("success.csv", 1, "=1+1"), ("failed.csv", 2, "@x")] {
        let text = std::fs::read_to_string(run.file(file)).unwrap();
        assert!(text.starts_with("issue_id,creator_user_id,assigned_group,=note,_row,"), "{text}");
        let found = &run.results(file)[0];
        assert_eq!((found.row, &found.fields[3][..]), (row, note.as_bytes()));
    }
}

#[test]
fn what_came_from_devrev_is_no_formula() {
    let fixture = Merging::new(&People::of(1));
    let couple = &fixture.people.couples[0];
    let name = "=HYPERLINK(\"https://evil.example\",\"x\")";
    fixture.touch(&couple.revu, &json!({"display_name": name}));
    fixture.merge(&[]).run().exits(0);
    let merged = fixture.the_run();
    fixture.quick(["undo", merged.id(), "--yes"]).run().exits(0);
    let undone = fixture.runs().into_iter().find(|run| run.id().contains("-undo-merge-")).unwrap();
    // What undo reads is what DevRev said; what people read is not a formula.
    let read = std::fs::read_to_string(undone.file("input.csv")).unwrap();
    assert!(read.contains(",\"=HYPERLINK("), "{read}");
    let shown = undone.results("success.csv");
    assert!(shown[0].fields.iter().any(|field| field.starts_with(b"'=HYPERLINK(")), "{shown:?}");
    assert!(shown[0].fields.iter().all(|field| !field.starts_with(b"=")), "{shown:?}");
    assert_eq!(fixture.contacts()[&couple.revu].display_name.as_deref(), Some(name));
}
