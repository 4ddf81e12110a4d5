//! `update` and `create` with `--create-tags`: tags that rows name and that do not exist.

use crate::support::site::Trouble;
use crate::update::Demo;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;

const CREATE_TAGS: &str = "--create-tags";

/// How many tags there are, by their names in lower case.
fn tags(demo: &Demo) -> BTreeMap<String, usize> {
    let all = demo.call("tags.list", &json!({}));
    let mut tags = BTreeMap::new();
    for tag in all["tags"].as_array().unwrap() {
        *tags.entry(tag["name"].as_str().unwrap().to_lowercase()).or_default() += 1;
    }
    tags
}

/// The tags of an object by name.
fn tags_of(demo: &Demo, object: &str, id: &str) -> Vec<String> {
    let object = demo.get(object, id);
    let tags = object["tags"].as_array().into_iter().flatten();
    let mut names: Vec<String> = tags.map(|tag| tag["tag"]["name"].as_str().unwrap().to_owned()).collect();
    names.sort();
    names
}

fn journal(demo: &Demo) -> String {
    std::fs::read_to_string(demo.0.newest_run().file("journal.jsonl")).unwrap()
}

/// Removes all tags of these tickets, so that tests know what they have.
fn bare(demo: &Demo, ids: &[&str]) {
    for id in ids {
        demo.call("works.update", &json!({"id": id, "type": "ticket", "tags": {"set": []}}));
    }
}

#[test]
fn a_dry_run_creates_nothing_and_what_is_applied_and_undone_is_what_was_planned() {
    for column in ["tags", "tags:add"] {
        let demo = Demo::new();
        let (first, second) = (tags_of(&demo, "ticket", "TKT-1"), tags_of(&demo, "ticket", "TKT-2"));
        let all = tags(&demo);
        // One name in two rows, spelled in two ways.
        let rows = format!("id,{column}\nTKT-1,vip;Night shift\nTKT-2,night SHIFT;Late\n");
        let dry = demo.update("ticket", &rows, &[CREATE_TAGS, "--dry-run"]).run().exits(0);
        for text in ["Night shift (new tag)", "Tags that would be created: 2 (`Late`, `Night shift`)"] {
            assert!(dry.out.contains(text), "{text}\n{}", dry.all());
        }
        let table = std::fs::read_to_string(demo.0.newest_run().file("plan.csv")).unwrap();
        assert!(table.contains("; Night shift (new tag),"), "{table}");
        assert_eq!((demo.0.writes(), demo.0.calls("tags.create")), (0, 0));
        let plan = demo.0.newest_run().id().to_owned();
        demo.0.program(["apply", &plan, "--yes"]).run().exits(0).says("done             2");
        let run = demo.0.newest_run().id().to_owned();
        assert_eq!(demo.0.calls("tags.create"), 2);
        let now = tags(&demo);
        assert_eq!((now["night shift"], now["late"], now.len()), (1, 1, all.len() + 2));
        assert!(tags_of(&demo, "ticket", "TKT-1").contains(&"vip".to_owned()));
        assert!(tags_of(&demo, "ticket", "TKT-2").contains(&"Late".to_owned()));
        // The plan once more: what it made is no drift.
        let again = demo.0.program(["apply", &plan, "--yes", "--on-drift", "abort"]).run().exits(0);
        assert!(again.out.contains("already          2"), "{}", again.all());
        // The undo takes the tags off, keeps what others have added since, and says that the tags themselves stay.
        let others = json!({"id": "TKT-2", "type": "ticket", "tags": {"add": [{"id": "TAG-4"}]}});
        demo.call("works.update", &others);
        let undone = demo.0.program(["undo", &run, "--yes"]).run().exits(0).says("done             2");
        let said =
            format!("Tags that run {run} created stay, the API cannot delete them: `Late`, `Night shift`.");
        assert!(undone.out.contains(&said), "{said}\n{}", undone.all());
        assert_eq!(tags_of(&demo, "ticket", "TKT-1"), first);
        let mut wanted = [second, vec!["regression".to_owned()]].concat();
        wanted.sort();
        wanted.dedup();
        assert_eq!((tags_of(&demo, "ticket", "TKT-2"), tags(&demo)), (wanted, now));
        demo.0.assert_no_token();
    }
}

#[test]
fn a_plan_is_applied_though_its_tag_was_created_meanwhile() {
    let demo = Demo::new();
    bare(&demo, &["TKT-1", "TKT-2", "TKT-3"]);
    let rows = "id,tags:add\nTKT-1,Night shift\nTKT-2,Night shift\nTKT-3,Night shift\n";
    demo.update("ticket", rows, &[CREATE_TAGS, "--dry-run"]).run().exits(0);
    let plan = demo.0.newest_run().id().to_owned();
    // In portions, each a process that finds the tag of the one before it; and once by someone else.
    demo.0.program(["apply", &plan, "--yes", "--limit", "1", "--on-drift", "abort"]).run();
    assert_eq!(demo.0.calls("tags.create"), 1);
    demo.0.program(["resume", "--latest", "--yes"]).run().exits(0);
    assert_eq!((demo.0.calls("tags.create"), tags(&demo)["night shift"]), (1, 1));
    for id in ["TKT-1", "TKT-2", "TKT-3"] {
        assert_eq!(tags_of(&demo, "ticket", id), ["Night shift"]);
    }
    let run = demo.0.newest_run().id().to_owned();
    demo.0.program(["undo", &run, "--yes"]).run().exits(0).says("done             3");
    assert_eq!(tags_of(&demo, "ticket", "TKT-2"), Vec::<String>::new());
    demo.update("ticket", "id,tags:add\nTKT-1,Early\n", &[CREATE_TAGS, "--dry-run"]).run().exits(0);
    let plan = demo.0.newest_run().id().to_owned();
    demo.call("tags.create", &json!({"name": "Early"}));
    let created = demo.0.calls("tags.create");
    let applied = demo.0.program(["apply", &plan, "--yes", "--on-drift", "abort"]).run().exits(0);
    assert!(applied.out.contains("done             1"), "{}", applied.all());
    assert_eq!(
        (demo.0.calls("tags.create"), tags_of(&demo, "ticket", "TKT-1")),
        (created, vec!["Early".to_owned()])
    );
    // A change of the object is drift all the same.
    demo.update("ticket", "id,tags\nTKT-1,Another\n", &[CREATE_TAGS, "--dry-run"]).run().exits(0);
    let plan = demo.0.newest_run().id().to_owned();
    bare(&demo, &["TKT-1"]);
    demo.0.program(["apply", &plan, "--yes"]).run().exits(0).says("drifted");
    assert!(!tags(&demo).contains_key("another"));
}

#[test]
fn many_rows_with_one_new_name_create_one_tag() {
    let demo = Demo::new();
    let mut rows = "id,tags:add\n".to_owned();
    for number in 1..=40 {
        let name = if number % 2 == 0 { "Night shift" } else { "NIGHT SHIFT" };
        let _ = writeln!(rows, "TKT-{number},{name};VIP");
    }
    let vip = tags(&demo)["vip"];
    let more = [CREATE_TAGS, "--batch-size", "7", "--concurrency", "8"];
    demo.update("ticket", &rows, &more).run().exits(0).says("done            40");
    let now = tags(&demo);
    assert_eq!((demo.0.calls("tags.create"), now["night shift"], now["vip"], vip), (1, 1, 1, 1));
    let on = (1..=40).filter(|number| {
        let tags = tags_of(&demo, "ticket", &format!("TKT-{number}"));
        tags.iter().any(|tag| tag.eq_ignore_ascii_case("night shift")) && tags.contains(&"vip".to_owned())
    });
    assert_eq!(on.count(), 40);
    demo.update("ticket", &rows, &more).run().exits(0).says("already         40");
    assert_eq!(demo.0.calls("tags.create"), 1);
}

#[test]
fn without_the_flag_and_for_what_cannot_be_a_new_tag_rows_fail() {
    let demo = Demo::new();
    for column in ["tags", "tags:add"] {
        demo.update("ticket", &format!("id,{column}\nTKT-1,Night shift\n"), &[]).run().exits(3);
        assert!(journal(&demo).contains("not the ID or the name of a tag in DevRev"), "{}", journal(&demo));
    }
    // What is removed has to exist; what looks like an ID or has a value is no name.
    let rows = "id,tags:add,tags:remove\nTKT-1,,Night shift\nTKT-2,night=high,\nTKT-3,ISS-3,\nTKT-4,Fine,\n";
    demo.update("ticket", rows, &[CREATE_TAGS]).run().exits(3).says("done             1");
    let journal = journal(&demo);
    for text in [
        "not the ID or the name of a tag in DevRev",
        "--create-tags creates none with `=`",
        "too much like an ID to be the name of a new one",
    ] {
        assert!(journal.contains(text), "{text}\n{journal}");
    }
    assert_eq!(demo.0.calls("tags.create"), 1);
    // Checking a file says the same.
    demo.0.write("rows.csv", "id,tags\nTKT-1,Brand new\n");
    let check = ["validate", "--kind", "update", "--object", "ticket", "--csv", "rows.csv", "--online"];
    demo.0.program(check).run().exits(5);
    demo.0.program(check).args([CREATE_TAGS]).run().exits(0);
    assert_eq!(demo.0.calls("tags.create"), 1);
}

#[test]
fn objects_are_created_with_new_tags_and_whole_lists_are_written_with_them() {
    let demo = Demo::new();
    let rows = "external_ref,title,applies_to_part,owned_by,tags\nN-1,One,Billing,DEVU-1,vip;Night shift\nN-2,Two,Billing,DEVU-1,Night shift\n";
    demo.0.write("rows.csv", rows);
    let create = ["create", "--object", "ticket", "--csv", "rows.csv", CREATE_TAGS, "--yes"];
    demo.0.program(create).args(["--dry-run"]).run().exits(0).says("Night shift (new tag)");
    assert_eq!(demo.0.writes(), 0);
    demo.0.program(create).run().exits(0).says("done             2");
    let run = demo.0.newest_run().id().to_owned();
    assert_eq!((demo.0.calls("tags.create"), tags(&demo)["night shift"]), (1, 1));
    demo.0.program(create).run().exits(0).says("already          2");
    demo.0.program(["undo", &run, "--delete-created", "--yes"]).run().exits(0).says("done             2");
    // Of accounts the list is read again just before it is written whole.
    let before = tags_of(&demo, "account", "ACC-1");
    demo.update("account", "id,tags:add\nACC-1,Early;vip\n", &[CREATE_TAGS]).run().exits(0);
    let mut wanted = [before.clone(), vec!["Early".to_owned(), "vip".to_owned()]].concat();
    wanted.sort();
    wanted.dedup();
    assert_eq!(tags_of(&demo, "account", "ACC-1"), wanted);
    let run = demo.0.newest_run().id().to_owned();
    demo.0.program(["undo", &run, "--yes"]).run().exits(0);
    assert_eq!(tags_of(&demo, "account", "ACC-1"), before);
}

#[test]
fn a_fault_at_any_call_makes_no_second_tag_and_loses_no_row() {
    let rows = "id,tags:add\nTKT-1,Night shift\nTKT-2,night shift\nTKT-3,Late\n";
    for endpoint in ["tags.create", "tags.list", "works.update"] {
        for fault in [
            "status=503",
            "status=500",
            "status=403",
            "status=409",
            "status=429,retry_after=0",
            "html",
            "truncate",
            "reset=before",
            "reset=after",
        ] {
            for (retries, after) in [("0", 0), ("0", 1), ("3", 0), ("3", 2)] {
                let trouble = Trouble::faults([format!("path={endpoint},after={after},{fault},count=2")]);
                let demo = Demo::with(&trouble);
                let context = format!("{endpoint} {fault}, {after} later, {retries} retries");
                let ended = demo.update("ticket", rows, &[CREATE_TAGS, "--max-retries", retries]).run();
                assert!(matches!(ended.code, Some(0 | 1 | 3 | 4 | 7)), "{context}: {}", ended.all());
                for _ in 0..4 {
                    demo.0.program(["resume", "--retry-failed", "--if-any", "--latest", "--yes"]).run();
                }
                let results = demo.0.the_run().assert_complete(3);
                assert!(
                    results.values().all(|row| row.status == "done"),
                    "{context}: {results:?}\n{}",
                    ended.all()
                );
                let now = tags(&demo);
                assert_eq!((now["night shift"], now["late"]), (1, 1), "{context}");
                // What was really set is written down: all of it is taken back.
                let run = demo.0.the_run().id().to_owned();
                demo.0.program(["undo", &run, "--yes"]).run();
                demo.0.program(["resume", "--retry-failed", "--if-any", "--latest", "--yes"]).run();
                for id in ["TKT-1", "TKT-2", "TKT-3"] {
                    let left = tags_of(&demo, "ticket", id);
                    let is_new = |tag: &String| ["night shift", "late"].contains(&&*tag.to_lowercase());
                    assert!(!left.iter().any(is_new), "{context}: {id} {left:?}");
                }
            }
        }
    }
}

#[test]
fn a_kill_while_tags_are_created_makes_none_twice_and_all_are_undone() {
    let mut rows = "id,tags:add\n".to_owned();
    for number in 1..=24 {
        let _ = writeln!(rows, "TKT-{number},New {};new {}", number % 6, number % 4);
    }
    let ids: Vec<String> = (1..=24).map(|number| format!("TKT-{number}")).collect();
    for kill in 0..24_u64 {
        let demo = Demo::with(&Trouble::delay(1));
        let before: Vec<_> = ids.iter().map(|id| tags_of(&demo, "ticket", id)).collect();
        let running = demo.update("ticket", &rows, &[CREATE_TAGS, "--batch-size", "5", "--concurrency", "3"]);
        let running = match kill % 2 {
            0 => running.run_until(|| demo.0.calls("tags.create") > kill / 4),
            _ => running.run_until(|| demo.0.calls("works.update") > kill),
        };
        running.kill();
        demo.until_quiet();
        demo.0.program(["resume", "--if-any", "--latest", "--yes"]).run().exits(0);
        let run = demo.0.newest_run();
        run.assert_complete(24);
        let now = tags(&demo);
        for number in 0..6 {
            assert_eq!(now[&format!("new {number}")], 1, "kill {kill}: {now:?}");
        }
        for (number, id) in (1..).zip(&ids) {
            let own = tags_of(&demo, "ticket", id);
            for new in [number % 6, number % 4] {
                let name = format!("new {new}");
                assert!(own.iter().any(|tag| tag.to_lowercase() == name), "kill {kill}: {id} {own:?}");
            }
        }
        let undone = demo.0.program(["undo", run.id(), "--yes"]).run().exits(0);
        assert!(undone.out.contains("created stay"), "kill {kill}: {}", undone.all());
        let after: Vec<_> = ids.iter().map(|id| tags_of(&demo, "ticket", id)).collect();
        assert_eq!(after, before, "kill {kill}");
        let demo_tags: Vec<Value> = demo.call("tags.list", &json!({}))["tags"].as_array().unwrap().clone();
        assert_eq!(demo_tags.len(), 12, "kill {kill}: the tags stay");
    }
}
