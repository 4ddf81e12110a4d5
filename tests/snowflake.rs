//! `--source snowflake`: rows of a query become rows of a run, against fakesnow.

mod errors;
mod values;

use crate::support::fakesnow::Warehouse;
use crate::support::fixture::Trouble;
use crate::support::merging::Merging;
use crate::support::program::Program;
use crate::support::site::Site;
use crate::support::{Fixture, Org, People, eventually, files_below};
use serde_json::json;
use std::fmt::Write as _;

/// A program in a site, with the settings of a warehouse.
fn program(site: &Site, warehouse: &Warehouse, args: &[&str]) -> Program {
    warehouse.prepare(site.program(args))
}

fn backfill(fixture: &Fixture, warehouse: &Warehouse, more: &[&str]) -> Program {
    program(fixture, warehouse, &["backfill-groups", "--source", "snowflake", "--yes"]).args(more)
}

/// The table of contacts and the table of their tickets, as the rows of an input say.
fn contacts(people: &People) -> Option<Warehouse> {
    let warehouse = Warehouse::new()?;
    let (mut users, mut tickets) = (String::new(), String::new());
    for row in &people.rows {
        write!(
            users,
            ",('{}','{}','{}','{}',NULL,'2024-05-01 12:34:56.789','2024-06-01')",
            row.id, row.name, row.email, row.external_ref
        )
        .unwrap();
        for ticket in 0..row.tickets {
            write!(tickets, ",('TKT-{ticket}','{}')", row.id).unwrap();
        }
    }
    warehouse.run(&[
        "CREATE TABLE REV_USERS (REV_USER_ID VARCHAR, DISPLAY_NAME VARCHAR, EMAIL VARCHAR, EXTERNAL_REF VARCHAR, \
         FULL_NAME VARCHAR, CREATED_AT TIMESTAMP_NTZ, UPDATED_AT DATE)",
        "CREATE TABLE TICKETS (ID VARCHAR, REV_USER_ID VARCHAR)",
        &format!("INSERT INTO REV_USERS VALUES {}", &users[1..]),
        &format!("INSERT INTO TICKETS VALUES {}", &tickets[1..]),
    ]);
    Some(warehouse)
}

#[test]
fn a_backfill_by_the_default_query() {
    let Some(warehouse) = Warehouse::with_issues(60) else { return };
    warehouse.run(&["UPDATE ISSUES SET CREATOR_GROUP = 'GROUP-4' WHERE ISSUE_ID = 'ISS-7'"]);
    let mut org = Org::of(60);
    org.issues[6].group = Some(4);
    let fixture = Fixture::new(&org);
    let ended = backfill(&fixture, &warehouse, &["--json"]).run().exits(0);
    assert_eq!(ended.json()["states"], json!({"done": 59}));
    fixture.assert_right();
    let run = fixture.the_run();
    let results = run.assert_complete(59);
    assert_eq!(results[&1].fields[..2], [b"ISS-1".to_vec(), b"DEVU-1".to_vec()]);
    let kept = std::fs::read_to_string(run.file("input.csv")).unwrap();
    assert!(kept.starts_with(
        "issue_id,creator_user_id,assigned_group,creator_group\nISS-1,DEVU-1,GROUP-1,\nISS-10,"
    ));
    let manifest = run.manifest();
    let input = &manifest["input"];
    assert_eq!(
        (&input["spooled"], &input["source"], &input["rows"]),
        (&json!(true), &json!("Snowflake"), &json!(59))
    );
    assert!(input["query"].as_str().unwrap().contains("FROM ISSUES"));
    assert_eq!(manifest["settings"]["resolved"]["SNOWFLAKE_USER"]["value"], "loader");
    assert!(warehouse.log().contains(&"part".to_owned()), "the result came in parts");
}

#[test]
fn a_query_of_the_operators_own() {
    let Some(warehouse) = Warehouse::with_issues(30) else { return };
    let fixture = Fixture::new(&Org::of(30));
    let sql = "-- only some\nWITH SOME_OF AS (SELECT * FROM ISSUES WHERE CREATOR_USER_ID <> 'DEVU-1')\n\
               SELECT ISSUE_ID AS \"issue_id\", ASSIGNED_GROUP, CREATOR_USER_ID, 'x;' AS MORE FROM SOME_OF; -- all\n";
    fixture.write("own.sql", sql);
    let ended = backfill(&fixture, &warehouse, &["--query-file", "own.sql", "--limit", "5"]).run().exits(0);
    let ended = ended.says("no ORDER BY: its rows are ordered by issue_id");
    let run = fixture.the_run();
    run.assert_complete(5);
    let kept = std::fs::read_to_string(run.file("input.csv")).unwrap();
    assert!(kept.starts_with("issue_id,creator_user_id,assigned_group\nISS-10,DEVU-2,GROUP-2\n"), "{kept}");
    assert!(ended.out.contains("done"));
    assert_eq!(fixture.writes(), 5);
    let none = "SELECT * FROM ISSUES WHERE ISSUE_ID IS NULL ORDER BY ISSUE_ID";
    let ended = backfill(&fixture, &warehouse, &["--json", "--query", none]).run().exits(0);
    assert_eq!(ended.json()["rows"], 0);
    let ordered = "SELECT * FROM ISSUES ORDER BY CREATOR_USER_ID DESC, 1 LIMIT 2";
    let ended = backfill(&fixture, &warehouse, &["--dry-run", "--json", "--query", ordered]).run().exits(0);
    assert!(!ended.err.contains("ORDER BY"), "{}", ended.err);
    let folder = fixture.path(ended.json()["folder"].as_str().unwrap());
    let kept = std::fs::read_to_string(folder.join("input.csv")).unwrap();
    assert!(kept.contains("\nISS-12,DEVU-4,GROUP-4,\nISS-16,DEVU-4,GROUP-4,\n"), "{kept}");
}

#[test]
fn merges_by_the_default_query() {
    let people = People::of(4);
    let Some(warehouse) = contacts(&people) else { return };
    let fixture = Merging::new(&people);
    let args = ["merge-contacts", "--source", "snowflake", "--yes", "--json"];
    let merge = || warehouse.prepare(fixture.quick(args));
    let plan = merge().arg("--dry-run").run().exits(0).json();
    assert_eq!(plan["states"]["planned"], 8, "{plan}");
    let summary = merge().run().exits(0).json();
    assert_eq!(summary["states"]["done"], 8, "{summary}");
    assert_eq!(fixture.merges(), 4);
}

#[test]
fn validate_is_quick_and_leaves_nothing_behind() {
    let people = People::of(2);
    let Some(warehouse) = contacts(&people) else { return };
    let fixture = Fixture::down(&Org::of(1));
    warehouse.run(&[
        "CREATE TABLE ISSUES (ISSUE_ID VARCHAR, CREATOR_USER_ID VARCHAR, ASSIGNED_GROUP VARCHAR, CREATOR_GROUP VARCHAR)",
        "INSERT INTO ISSUES VALUES ('ISS-1','DEVU-1','GROUP-1',NULL), ('x','DEVU-1','GROUP-1',NULL)",
    ]);
    let validate =
        |more: &[&str]| program(&fixture, &warehouse, &["validate", "--source", "snowflake"]).args(more);
    let ended = validate(&["--limit", "1"]).without("DEVREV_API_TOKEN").run().exits(0);
    ended
        .says("Snowflake: the first 1 row of kind `groups` read, nothing wrong")
        .says("Next: devrev-batch backfill-groups --source snowflake --dry-run");
    let ended = validate(&[]).run().exits(5).says("id-shape: 1");
    ended.says("devrev-batch validate --source snowflake --kind groups");
    let found = validate(&["--kind", "contacts", "--json"]).run().exits(0).json();
    assert_eq!(
        (&found["summary"]["kind"], &found["summary"]["rows"]),
        (&json!("contacts"), &json!(people.rows.len()))
    );
    // The columns of an own query tell the kind.
    let own = "SELECT *, 1 AS TICKET_COUNT FROM REV_USERS";
    validate(&["--query", own]).run().exits(0).says("of kind `contacts` read");
    assert!(files_below(&fixture.path("tmp")).is_empty());
    assert!(fixture.runs().is_empty());
}

#[test]
fn resume_works_on_the_rows_that_the_run_began_with() {
    let Some(warehouse) = Warehouse::with_issues(400) else { return };
    let mut fixture = Fixture::with(&Org::of(400), &Trouble::delay(4));
    let running = backfill(&fixture, &warehouse, &[]).spawn();
    eventually("the first writes", || fixture.writes() > 20);
    running.kill();
    let (asked, run) = (warehouse.log().len(), fixture.the_run());
    assert_eq!(run.manifest()["state"], "running");
    let kept = std::fs::read_to_string(run.file("input.csv")).unwrap();
    assert!(kept.lines().skip(1).is_sorted(), "the parts of the result are not in order");
    warehouse.run(&[
        "DELETE FROM ISSUES WHERE ISSUE_ID < 'ISS-3'",
        "UPDATE ISSUES SET CREATOR_USER_ID = 'DEVU-6'",
    ]);
    fixture.restart(&Trouble::none());
    // It needs no setting of Snowflake's.
    fixture.resume(&[]).run().exits(0);
    assert_eq!(warehouse.log().len(), asked, "Snowflake was asked again");
    fixture.assert_right();
    run.assert_complete(400);
    // A copy that is not what it was is refused, and called what it is.
    let mut kept = std::fs::read_to_string(run.file("input.csv")).unwrap();
    kept.push_str("ISS-1,DEVU-2,GROUP-1,\n");
    std::fs::write(run.file("input.csv"), kept).unwrap();
    fixture.resume(&[run.id()]).run().exits(6).says("input.csv, the copy of Snowflake that run ");
}

#[test]
fn two_hundred_thousand_rows() {
    let Some(warehouse) = Warehouse::with_issues(200_000) else { return };
    let fixture = Fixture::down(&Org::of(1));
    let args = ["validate", "--source", "snowflake", "--json"];
    let (mut running, mut peak) = (program(&fixture, &warehouse, &args).spawn(), 0);
    eventually("the end", || {
        peak = peak.max(running.peak_memory());
        running.has_ended()
    });
    assert!(peak < 64 << 10, "{peak} KiB");
    let found = running.wait().exits(0).json();
    assert_eq!((&found["summary"]["rows"], &found["summary"]["complete"]), (&json!(200_000), &json!(true)));
    assert!(warehouse.log().iter().filter(|asked| *asked == "part").count() > 10);
}

#[test]
fn a_key_pair_logs_in() {
    let Some(warehouse) = Warehouse::with_issues(3) else { return };
    let fixture = Fixture::down(&Org::of(1));
    let validate = |key: std::path::PathBuf| {
        let program = program(&fixture, &warehouse, &["validate", "--source", "snowflake"]);
        program.without("SNOWFLAKE_PASSWORD").env("SNOWFLAKE_PRIVATE_KEY_PATH", key)
    };
    let ended = validate(warehouse.key("key.p8")).run().exits(0);
    assert!(!ended.err.contains("others can read"), "{}", ended.err);
    // The account's region is no part of what the key signs.
    validate(warehouse.key("key.p8")).env("SNOWFLAKE_ACCOUNT", "acme.eu-central-1").run().exits(0);
    let asked = warehouse.log().len();
    validate(warehouse.key("key.encrypted.p8")).run().exits(2).says("encrypted").says("openssl pkcs8 -in");
    validate(warehouse.key("key.rsa")).run().exits(2).says("openssl pkcs8 -topk8 -nocrypt");
    validate(fixture.path("none.p8")).run().exits(2).says("none.p8");
    let text = std::fs::read_to_string(warehouse.key("key.p8")).unwrap();
    let torn = fixture.write("torn.p8", text.replace("END PRIVATE", "END"));
    validate(torn).run().exits(2).says("the private key cannot be used");
    assert_eq!(warehouse.log().len(), asked, "nothing is sent without a key");
    let open = fixture.write("open.p8", &text);
    std::process::Command::new("chmod").arg("644").arg(&open).status().unwrap();
    let ended = validate(open).run().exits(0).says("others can read the private key");
    let secret = text.lines().nth(1).unwrap();
    assert!(!ended.out.contains(secret) && !ended.err.contains(secret), "the key is shown");
}
