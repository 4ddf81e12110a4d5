//! `validate`: what is wrong with an input, without touching anything.

use crate::support::org::HEADER;
use crate::support::{Fixture, Org, files_below, test_data};
use serde_json::{Value, json};

/// Contacts, one of them wrong in two ways.
const CONTACTS: &str = "REV_USER_ID,DISPLAY_NAME,EMAIL,EXTERNAL_REF,FULL_NAME,CREATED_AT,UPDATED_AT,TICKET_COUNT\n\
    REVU-1,Ann,ann@example.com,REVU-9,,2024-05-01,2024-05-02,3\n\
    REVU-2,Bo,bo(at)example.com,user_9,,2024-05-01,2024-05-02,x\n";

/// Rule and row of each finding.
fn findings(object: &Value) -> Vec<(&str, u64)> {
    let findings = object["findings"].as_array().unwrap();
    findings.iter().map(|found| (found["rule"].as_str().unwrap(), found["row"].as_u64().unwrap())).collect()
}

#[test]
fn what_is_right_is_said_to_be() {
    let fixture = Fixture::new(&Org::of(5));
    let ended = fixture.program(["validate", "--csv", "issues.csv"]).run().exits(0);
    ended
        .says("5 rows of kind `groups` read, nothing wrong")
        .says("devrev-batch backfill-groups --csv issues.csv --dry-run");
    let demo = fixture.program(["validate", "--json", "--csv"]).arg(test_data("issues.csv")).run().exits(0);
    assert_eq!(demo.json()["summary"]["rows"], 300);
    assert_eq!(fixture.stats()["total"], 0);
    assert!(fixture.runs().is_empty());
}

#[test]
fn it_needs_neither_token_nor_settings() {
    let fixture = Fixture::down(&Org::of(2));
    let program = fixture.program(["validate", "--csv", "issues.csv"]).without("DEVREV_API_TOKEN");
    program.env("DEVREV_BASE_URL", "nonsense").run().exits(0);
}

#[test]
fn all_that_is_wrong_is_in_one_object() {
    let fixture = Fixture::new(&Org::of(1));
    let csv = format!("{HEADER}ISS-1,DEVU-1,GROUP-1,\n,DEVU-1,GROUP-1,\nISS-2\nISS-1,DEVU-1,GROUP-1,\n");
    let program = || fixture.program(["validate", "--csv", "-"]).stdin(csv.clone());
    let object = program().arg("--json").run().exits(5).json();
    assert_eq!(findings(&object), [("empty-value", 2), ("ragged-record", 3), ("duplicate-same", 4)]);
    let summary = &object["summary"];
    assert_eq!(
        (&summary["valid"], &summary["errors"], &summary["notes"]),
        (&json!(false), &json!(2), &json!(1))
    );
    assert_eq!((&summary["kind"], &summary["input"]), (&json!("groups"), &json!("standard input")));
    program().run().exits(5).says("row 3, line 4: ").says("2 errors, 1 note");
    let limited = program().args(["--limit", "1", "--json"]).run().exits(0).json();
    assert_eq!((&limited["summary"]["rows"], &limited["summary"]["complete"]), (&json!(1), &json!(false)));
    assert!(files_below(&fixture.path("tmp")).is_empty());
}

#[test]
fn contacts_are_known_by_their_columns_or_by_the_flag() {
    let fixture = Fixture::new(&Org::of(1));
    fixture.write("contacts.csv", CONTACTS);
    for flags in [&[][..], &["--kind", "contacts"]] {
        let program = fixture.program(["validate", "--csv", "contacts.csv", "--json"]).args(flags);
        let object = program.run().exits(5).json();
        assert_eq!(findings(&object), [("email-shape", 2), ("ticket-count", 2)]);
        assert_eq!(object["summary"]["kind"], "contacts");
    }
    let wrong = fixture.program(["validate", "--csv", "contacts.csv", "--kind", "groups"]).run().exits(5);
    wrong.says("issue_id");
    fixture.program(["validate", "--csv", "contacts.csv", "--kind", "cats"]).run().exits(2);
}

#[test]
fn each_way_to_be_refused_has_its_exit_code() {
    let fixture = Fixture::new(&Org::of(1));
    let unclosed = format!("{HEADER}ISS-1,\"DEVU-1,GROUP-1,\n");
    let cases = [
        ("", 5, "is empty"),
        ("a,b\n1,2\n", 5, "issue_id"),
        (HEADER, 0, "no rows"),
        (&unclosed, 5, "unclosed-quote"),
    ];
    for (csv, code, words) in cases {
        fixture.write("in.csv", csv);
        fixture.program(["validate", "--csv", "in.csv"]).run().exits(code).says(words);
        fixture.program(["validate", "--csv", "-"]).stdin(csv).run().exits(code).says(words);
    }
    fixture.program(["validate", "--csv", "none.csv"]).run().exits(2).says("none.csv");
    fixture.program(["validate", "--csv", "tmp"]).run().exits(2).says("not a regular file");
}

#[test]
fn online_asks_whether_groups_and_creators_exist() {
    let fixture = Fixture::new(&Org::of(3));
    let csv = format!("{HEADER}ISS-1,DEVU-1,GROUP-1,\nISS-2,DEVU-77,GROUP-2,\nISS-3,DEVU-6,GROUP-99,\n");
    fixture.write("issues.csv", &csv);
    let program = |flags: &[&str]| fixture.program(["validate", "--csv", "issues.csv", "--json"]).args(flags);
    assert_eq!(program(&[]).run().exits(0).json()["findings"], json!([]));
    let object = program(&["--online"]).run().exits(5).json();
    assert_eq!(findings(&object), [("not-in-devrev", 2), ("not-in-devrev", 3)]);
    assert_eq!(fixture.writes(), 0);
    program(&["--online"]).without("DEVREV_API_TOKEN").run().exits(2).says("DEVREV_API_TOKEN");
    program(&["--sandbox"]).run().exits(2);
    program(&["--online", "--sandbox"]).without("DEVREV_API_TOKEN").run().exits(5);
    let refused = Fixture::broken(&Org::of(1), ["status=401"]);
    let ended = refused.program(["validate", "--csv", "issues.csv", "--online", "--json"]).run().exits(4);
    assert_eq!(ended.json()["error"]["exit"], 4);
    let down = Fixture::down(&Org::of(1));
    let program = down.program(["validate", "--csv", "issues.csv", "--online"]);
    program.env("BREAKER_PROBES", "1").run().exits(7);
}
