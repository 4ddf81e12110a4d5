//! Works that are created by their key, and deleted by `undo --delete-created`.

use crate::support::program::Program;
use crate::support::site::Trouble;
use crate::update::{Demo, holders};
use devrev_batch::sandbox::Data;
use serde_json::{Value, json};
use std::fmt::Write as _;

/// The flags that create what is not there.
const CREATE: [&str; 4] = ["--match", "external_ref", "--on-missing", "create"];

/// The demonstration of a tenant that makes this of the `external_ref` of works.
fn tenant(external_ref: &str) -> Data {
    let mut data: Value = serde_json::from_str(include_str!("../test_data/sandbox.json")).unwrap();
    data["works_external_ref"] = external_ref.into();
    Data::from_json(data.to_string().as_bytes()).unwrap()
}

/// `create --object OBJECT --csv rows.csv --yes` and more, with these rows.
fn create(demo: &Demo, object: &str, rows: &str, more: &[&str]) -> Program {
    demo.0.write("rows.csv", rows);
    demo.0.program(["create", "--object", object, "--csv", "rows.csv", "--yes"]).args(more)
}

/// `NEW-1` and so on.
fn keys(count: u32) -> Vec<String> {
    (1..=count).map(|number| format!("NEW-{number}")).collect()
}

/// Rows that create a work each.
fn rows(keys: &[String]) -> String {
    let mut rows = "external_ref,title,applies_to_part,owned_by,account\n".to_owned();
    for key in keys {
        let _ = writeln!(rows, "{key},Title of {key},Billing,ana.sousa@example.com,ACC-1");
    }
    rows
}

/// How many tickets there are with each of these keys.
fn tickets(demo: &Demo, keys: &[String]) -> Vec<usize> {
    holders(demo, "works.list", "external_ref", "works", keys)
}

/// The ticket with this key.
fn ticket(demo: &Demo, key: &str) -> Value {
    demo.call("works.list", &json!({"external_ref": [key], "type": ["ticket"]}))["works"][0].take()
}

fn journal(demo: &Demo) -> String {
    std::fs::read_to_string(demo.0.newest_run().file("journal.jsonl")).unwrap()
}

#[test]
fn a_work_of_every_type_is_created_with_its_fields_and_found_again_and_deleted() {
    for (object, kind, header, cells) in [
        ("issue", "issue", "priority,stage,tags,tnt__root_cause", "p0,prioritized,vip;billing=1,A cause"),
        (
            "ticket",
            "ticket",
            "severity,group,channels,tnt__region,account",
            "low,GROUP-3,email;slack,emea,ACC-2",
        ),
        ("task", "task", "embedded,start_date,tnt__reference", "true,2026-11-03,T-9"),
        ("opportunity", "opportunity", "account,value,probability", "ACC-9,99.50 USD,0.75"),
    ] {
        let demo = Demo::new();
        let rows = format!(
            "external_ref,title,body,applies_to_part,owned_by,{header}\nKEY-1,One,**Body**,Billing,DEVU-4;DEVU-5,{cells}\n"
        );
        let dry = demo.update(object, &rows, &[&CREATE[..], &["--dry-run"]].concat()).run().exits(0);
        assert!(dry.out.contains("external_ref: empty -> `KEY-1`"), "{}", dry.all());
        assert!(dry.out.contains("Objects that would be created: 1"), "{}", dry.all());
        assert_eq!(demo.0.writes(), 0);
        demo.update(object, &rows, &CREATE).run().exits(0).says("done             1");
        let run = demo.0.newest_run().id().to_owned();
        let found = demo.call("works.list", &json!({"external_ref": ["KEY-1"], "type": [kind]}));
        let work = &found["works"][0];
        assert_eq!((&work["title"], &work["external_ref"]), (&json!("One"), &json!("KEY-1")), "{found}");
        assert_eq!(work["owned_by"].as_array().unwrap().len(), 2);
        demo.update(object, &rows, &CREATE).run().exits(0).says("already          1");
        // A run of undo without the flag lists it, one with it deletes it, and the next finds it gone.
        demo.0.program(["undo", &run, "--yes"]).run().exits(0).says("created");
        let writes = demo.0.writes();
        let dry = demo.0.program(["undo", &run, "--delete-created", "--dry-run"]).run().exits(0);
        assert!(
            dry.out.contains("deleted") && dry.out.contains("Objects that would be deleted: 1"),
            "{}",
            dry.all()
        );
        assert_eq!((demo.0.writes(), demo.0.calls("works.delete")), (writes, 0), "a dry run deletes nothing");
        let table = std::fs::read_to_string(demo.0.newest_run().file("plan.csv")).unwrap();
        assert!(table.contains(",KEY-1,title,One,,\n"), "{table}");
        let dry = demo.0.newest_run().id().to_owned();
        demo.0.program(["apply", &dry, "--yes"]).run().exits(0).says("done             1");
        let found = demo.call("works.list", &json!({"external_ref": ["KEY-1"], "type": [kind]}));
        assert_eq!(found["works"], json!([]), "{object}");
        demo.0.program(["undo", &run, "--delete-created", "--yes"]).run().exits(0).says("already          1");
        assert_eq!(demo.0.calls("works.delete"), 1);
        demo.0.assert_no_token();
    }
}

#[test]
fn what_cannot_be_created_fails_its_row_and_says_why() {
    let demo = Demo::new();
    let rows = "external_ref,title,applies_to_part,owned_by,is_frozen\nN-1,One,Billing,DEVU-1,true\nN-2,Two,Billing,,\n";
    demo.update("ticket", rows, &CREATE).run().exits(3);
    let journal = journal(&demo);
    for text in [
        "line 2: it does not exist, and `is_frozen` can only be set once it does",
        "line 3: it does not exist, and to create it `owned_by` is needed",
    ] {
        assert!(journal.contains(text), "{text}\n{journal}");
    }
    assert_eq!(demo.0.calls("works.create"), 0);
}

#[test]
fn a_tenant_that_drops_the_key_gets_one_work_and_no_second() {
    let demo = Demo::of(|| tenant("dropped"), &Trouble::none());
    let keys = keys(30);
    let ended =
        demo.update("ticket", &rows(&keys), &[&CREATE[..], &["--concurrency", "8"]].concat()).run().exits(1);
    assert!(ended.out.contains("DevRev created TKT-233 without its `external_ref` (NEW-"), "{}", ended.all());
    assert_eq!(demo.0.calls("works.create"), 1);
    assert!(demo.0.newest_run().manifest()["counts"]["unknown"] == 1, "{}", demo.0.newest_run().manifest());
    // Neither does a resume create another one.
    for _ in 0..2 {
        let again = demo.0.program(["resume", "--latest", "--retry-failed", "--yes"]).run().exits(1);
        assert!(again.all().contains("Delete TKT-233 in DevRev"), "{}", again.all());
    }
    assert_eq!(demo.0.calls("works.create"), 1);
}

#[test]
fn a_tenant_that_does_not_find_works_by_key_gets_none() {
    let demo = Demo::of(|| tenant("unknown"), &Trouble::none());
    let ended = demo.update("ticket", &rows(&keys(3)), &CREATE).run().exits(1);
    assert!(ended.out.contains("does not find tickets by `external_ref`"), "{}", ended.all());
    assert_eq!((demo.0.calls("works.create"), demo.0.calls("works.list")), (0, 1));
}

#[test]
fn the_first_creation_goes_alone_and_the_run_stops_where_it_is_lost() {
    let keys = keys(12);
    for fault in ["reset=before", "status=503", "html"] {
        let trouble = Trouble::faults([format!("path=works.create,count=1,{fault}")]);
        let demo = Demo::with(&trouble);
        let more = ["--concurrency", "8", "--max-retries", "0"];
        let ended = demo.update("ticket", &rows(&keys), &[&CREATE[..], &more].concat()).run().exits(7);
        assert!(ended.out.contains("not found by its key"), "{fault}: {}", ended.all());
        assert_eq!(demo.0.calls("works.create"), 1, "{fault}");
        // The other rows are created; what was in doubt stays so, because nothing proves that it was not.
        demo.0.program(["resume", "--latest", "--yes"]).run().exits(3);
        let found = tickets(&demo, &keys);
        assert_eq!(found.iter().sum::<usize>(), 11, "{fault}: {found:?}");
        assert_eq!(demo.0.calls("works.create"), 12, "{fault}");
    }
    // An answer that was lost, of a work that is there.
    let demo = Demo::with(&Trouble::faults(["path=works.create,count=1,reset=after"]));
    demo.update("ticket", &rows(&keys), &CREATE).run().exits(0).says("done            12");
    assert_eq!(tickets(&demo, &keys), vec![1; 12]);
}

#[test]
fn whatever_is_lost_there_are_never_two_works_for_one_key() {
    let keys = keys(6);
    for fault in [
        "reset=before",
        "reset=after",
        "status=500",
        "status=503",
        "truncate",
        "html",
        "status=409",
        "status=403",
    ] {
        for after in [0, 2] {
            let trouble = Trouble::faults([format!("path=works.create,after={after},count=2,{fault}")]);
            let demo = Demo::with(&trouble);
            let more = ["--batch-size", "2", "--max-retries", "0"];
            let ended = demo.update("ticket", &rows(&keys), &[&CREATE[..], &more].concat()).run();
            assert!(matches!(ended.code, Some(0 | 3 | 7)), "{fault}: {}", ended.all());
            for _ in 0..3 {
                demo.0.program(["resume", "--retry-failed", "--if-any", "--latest", "--yes"]).run();
            }
            let found = tickets(&demo, &keys);
            assert!(found.iter().all(|count| *count <= 1), "{fault}: {found:?}");
            let run = demo.0.newest_run().manifest();
            let unknown = run["counts"]["unknown"].as_u64().unwrap_or(0);
            assert_eq!(found.iter().sum::<usize>() as u64 + unknown, 6, "{fault}: {found:?} {run}");
        }
    }
}

#[test]
fn a_kill_while_works_are_created_makes_none_twice_and_all_are_undone() {
    let keys = keys(16);
    for kill in 0..14 {
        let demo = Demo::with(&Trouble::delay(1));
        let more = ["--batch-size", "4", "--concurrency", "3"];
        let running = demo.update("ticket", &rows(&keys), &[&CREATE[..], &more].concat());
        running.run_until(|| demo.0.calls("works.create") > kill).kill();
        demo.until_quiet();
        let ended = demo.0.program(["resume", "--if-any", "--latest", "--yes"]).run();
        assert!(matches!(ended.code, Some(0 | 3)), "kill {kill}: {}", ended.all());
        let found = tickets(&demo, &keys);
        let run = demo.0.newest_run();
        let unknown = run.manifest()["counts"]["unknown"].as_u64().unwrap_or(0);
        assert!(found.iter().all(|count| *count <= 1), "kill {kill}: {found:?}");
        assert_eq!(found.iter().sum::<usize>() as u64 + unknown, 16, "kill {kill}: {found:?}");
        // What an earlier process had created, and this one found, is known as created too.
        demo.0.program(["undo", run.id(), "--delete-created", "--yes"]).run().exits(0);
        assert_eq!(tickets(&demo, &keys).iter().sum::<usize>(), 0, "kill {kill}");
        demo.0.newest_run().assert_complete(16 - unknown);
    }
}

/// Six tickets that a run has created, and the run's ID.
fn six(trouble: &Trouble) -> (Demo, Vec<String>, String) {
    let (demo, keys) = (Demo::with(trouble), keys(6));
    demo.update("ticket", &rows(&keys), &CREATE).run().exits(0).says("done             6");
    let run = demo.0.newest_run().id().to_owned();
    (demo, keys, run)
}

#[test]
fn a_created_work_that_someone_changed_since_is_left_alone() {
    let (demo, keys, run) = six(&Trouble::none());
    let id = |key: &str| ticket(&demo, key)["id"].clone();
    let update = |key: &str, member: &str, value: Value| {
        demo.call("works.update", &json!({"id": id(key), "type": "ticket", member: value}));
    };
    // A field of the run; one that it did not set; a custom one.
    update("NEW-1", "title", json!("Other"));
    update("NEW-2", "group", json!("GROUP-2"));
    demo.call(
        "works.update",
        &json!({"id": id("NEW-3"), "type": "ticket", "custom_fields": {"tnt__region": "emea"},
                "custom_schema_spec": {"tenant_fragment": true}}),
    );
    demo.call("works.delete", &json!({"id": id("NEW-4")}));
    let ended = demo.0.program(["undo", &run, "--delete-created", "--yes"]).run().exits(0);
    assert!(
        ended.out.contains("done             2") && ended.out.contains("already          1"),
        "{}",
        ended.all()
    );
    assert_eq!(tickets(&demo, &keys), [1, 1, 1, 0, 0, 0]);
    let journal = journal(&demo);
    for text in [
        "not deleted: title was `Title of NEW-1` when the run created it, and since then it became `Other`",
        "group was empty when the run created it",
        "tnt__region was empty when the run created it",
    ] {
        assert!(journal.contains(text), "{text}\n{journal}");
    }
}

#[test]
fn a_planned_deletion_drifts_with_any_field() {
    let (demo, keys, run) = six(&Trouble::none());
    demo.0.program(["undo", &run, "--delete-created", "--dry-run"]).run().exits(0).says("deleted");
    let plan = demo.0.newest_run().id().to_owned();
    let id = ticket(&demo, "NEW-2")["id"].clone();
    demo.call("works.update", &json!({"id": id, "type": "ticket", "tags": {"add": [{"id": "TAG-4"}]}}));
    demo.0.program(["apply", &plan, "--yes"]).run().exits(0).says("done             5");
    assert_eq!(tickets(&demo, &keys), [0, 1, 0, 0, 0, 0]);
    demo.0.program(["apply", &plan, "--yes", "--on-drift", "abort"]).run().exits(6);
}

#[test]
fn a_fault_at_any_call_of_a_deletion_loses_nothing_and_deletes_nothing_else() {
    for endpoint in ["works.get", "works.delete"] {
        for fault in [
            "reset=before",
            "reset=after",
            "status=500",
            "status=503",
            "truncate",
            "html",
            "status=429,retry_after=0",
        ] {
            for retries in ["0", "3"] {
                let trouble = Trouble::faults([format!("path={endpoint},count=3,{fault}")]);
                let (demo, keys, run) = six(&trouble);
                let others = demo.0.get("works").lines().count();
                let undo = ["undo", &run, "--delete-created", "--yes", "--max-retries", retries];
                let ended = demo.0.program(undo).run();
                assert!(matches!(ended.code, Some(0 | 3 | 7)), "{endpoint} {fault}: {}", ended.all());
                for _ in 0..3 {
                    demo.0.program(["resume", "--retry-failed", "--if-any", "--latest", "--yes"]).run();
                }
                let results = demo.0.newest_run().assert_complete(6);
                assert!(results.values().all(|row| row.status == "done"), "{endpoint} {fault}: {results:?}");
                assert_eq!(tickets(&demo, &keys), [0; 6], "{endpoint} {fault}");
                assert_eq!(demo.0.get("works").lines().count(), others - 6);
            }
        }
    }
}

#[test]
fn a_kill_while_works_are_deleted_ends_with_all_of_them_gone() {
    for kill in 0..10 {
        let (demo, keys, run) = six(&Trouble::delay(1));
        let undo = ["undo", &run, "--delete-created", "--yes", "--batch-size", "2", "--concurrency", "2"];
        let running = demo.0.program(undo);
        let running = match kill % 2 {
            0 => running.run_until(|| demo.0.calls("works.delete") > kill / 2),
            _ => running.run_until(|| demo.0.calls("works.get") > kill),
        };
        running.kill();
        demo.until_quiet();
        demo.0.program(["resume", "--if-any", "--latest", "--yes"]).run().exits(0);
        assert_eq!(tickets(&demo, &keys), [0; 6], "kill {kill}");
        demo.0.newest_run().assert_complete(6);
    }
}

#[test]
fn only_what_creates_works_can_be_asked_to_delete() {
    let demo = Demo::new();
    let rows = "external_ref,display_name\nNEW-1,Fresh Ltd\n";
    demo.update("account", rows, &CREATE).run().exits(0);
    let run = demo.0.newest_run().id().to_owned();
    let ended = demo.0.program(["undo", &run, "--delete-created", "--yes"]).run().exits(0);
    assert!(ended.out.contains("created"), "{}", ended.all());
    assert!(journal(&demo).contains("the API cannot delete it"), "{}", journal(&demo));
    demo.0.write("issues.csv", "issue_id,creator_user_id,assigned_group\nISS-1,DEVU-1,GROUP-1\n");
    demo.0.program(["backfill-groups", "--csv", "issues.csv", "--yes"]).run();
    let run = demo.0.newest_run().id().to_owned();
    demo.0.program(["undo", &run, "--delete-created", "--yes"]).run().exits(2).says("creates nothing");
}

#[test]
fn every_row_is_created_once_and_what_exists_is_left_alone() {
    let (demo, keys) = (Demo::new(), keys(5));
    let rows = rows(&keys);
    let dry = create(&demo, "ticket", &rows, &["--dry-run"]).run().exits(0);
    assert!(dry.out.contains("Objects that would be created: 5"), "{}", dry.all());
    let plan = demo.0.newest_run().id().to_owned();
    assert!(plan.contains("-create-"), "{plan}");
    assert_eq!(demo.0.writes(), 0);
    demo.0.program(["apply", &plan, "--yes"]).run().exits(0).says("done             5");
    let run = demo.0.newest_run().id().to_owned();
    create(&demo, "ticket", &rows, &[]).run().exits(0).says("already          5");
    let other = rows.replace("Title of NEW-2", "Another title");
    let ended = create(&demo, "ticket", &other, &[]).run().exits(0);
    assert!(
        ended.out.contains("already          4") && ended.out.contains("skipped          1"),
        "{}",
        ended.all()
    );
    let text = "and its title is `Title of NEW-2`, not `Another title`: `update` changes it";
    assert!(journal(&demo).contains(text), "{}", journal(&demo));
    assert_eq!((tickets(&demo, &keys), demo.0.calls("works.update")), (vec![1; 5], 0));
    demo.0.program(["undo", &run, "--delete-created", "--yes"]).run().exits(0).says("done             5");
    assert_eq!(tickets(&demo, &keys), [0; 5]);
    // Others than works, with mapped columns and a value for all.
    let accounts = "CRM,Name\nCRM-100,Acme Corporation\nCRM-950,Fresh Ltd\n";
    let map = ["--map", "CRM=external_ref", "--map", "Name=display_name", "--set", "tier=gold"];
    let ended = create(&demo, "account", accounts, &map).run().exits(0);
    assert!(
        ended.out.contains("done             1") && ended.out.contains("skipped          1"),
        "{}",
        ended.all()
    );
    let found = demo.call("accounts.list", &json!({"external_refs": ["CRM-950"]}));
    assert_eq!(found["accounts"][0]["tier"], "gold");
    let retry = demo.0.program(["resume", "--latest", "--retry", "exists", "--yes"]).run().exits(0);
    assert!(retry.out.contains("skipped          1"), "{}", retry.all());
}

#[test]
fn what_cannot_be_created_is_refused_before_the_run() {
    let demo = Demo::new();
    for (object, rows, wanted) in [
        (
            "ticket",
            "external_ref,title\nN-1,One\n",
            "tickets cannot be created without `applies_to_part`, `owned_by`",
        ),
        (
            "opportunity",
            "external_ref,title,applies_to_part,owned_by\nN-1,One,Billing,DEVU-1\n",
            "opportunities cannot be created without `account`",
        ),
        (
            "ticket",
            "external_ref,title,applies_to_part,owned_by,is_frozen\nN-1,One,Billing,DEVU-1,true\n",
            "column `is_frozen`: it can only be set once the ticket exists",
        ),
        (
            "ticket",
            "external_ref,title,applies_to_part,owned_by,tags:remove\nN-1,One,Billing,DEVU-1,vip\n",
            "column `tags:remove`: what is created had nothing before",
        ),
        ("ticket", "id,title\nTKT-1,One\n", "there is no column `external_ref`"),
        (
            "ticket",
            "external_ref,title,applies_to_part,owned_by\nN-1,One,Billing,DEVU-1\n,Two,Billing,DEVU-1\nN-3,,Billing,DEVU-1\n",
            "row 2, line 3, external_ref ``: a value is needed here",
        ),
        (
            "ticket",
            "external_ref,title,applies_to_part,owned_by\nN-1,One,Billing,DEVU-1\nN-3,Two,Billing,\\C\n",
            "row 2, line 3, owned_by `\\C`: a value is needed here",
        ),
    ] {
        let ended = create(&demo, object, rows, &[]).run().exits(5);
        assert!(ended.err.contains(wanted), "{wanted}\n{}", ended.all());
    }
    assert_eq!(demo.0.writes(), 0);
    let rows = "external_ref,title,applies_to_part,owned_by\nN-1,One,Billing,DEVU-1\nN-3,,Billing,DEVU-1\n";
    create(&demo, "ticket", rows, &["--skip-invalid"]).run().exits(3).says("done             1");
}

#[test]
fn a_kill_while_create_runs_makes_none_twice() {
    let keys = keys(12);
    for kill in 0..10 {
        let demo = Demo::with(&Trouble::delay(1));
        let running = create(&demo, "ticket", &rows(&keys), &["--batch-size", "4", "--concurrency", "3"]);
        running.run_until(|| demo.0.calls("works.create") > kill).kill();
        demo.until_quiet();
        demo.0.program(["resume", "--if-any", "--latest", "--yes"]).run();
        let found = tickets(&demo, &keys);
        let unknown = demo.0.newest_run().manifest()["counts"]["unknown"].as_u64().unwrap_or(0);
        assert!(found.iter().all(|count| *count <= 1), "kill {kill}: {found:?}");
        assert_eq!(found.iter().sum::<usize>() as u64 + unknown, 12, "kill {kill}: {found:?}");
    }
}
