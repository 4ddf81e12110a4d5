//! `update`: any field of any object, from rows; and its undo.

use crate::support::eventually;
use crate::support::program::Program;
use crate::support::site::{Site, Trouble};
use devrev_batch::sandbox::Data;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::time::Duration;

/// The demonstration, and calls to it.
pub(crate) struct Demo(pub(crate) Site);

impl Demo {
    pub(crate) fn new() -> Self {
        Self::with(&Trouble::none())
    }

    pub(crate) fn with(trouble: &Trouble) -> Self {
        Self::of(Data::demo, trouble)
    }

    /// Other data than the demonstration.
    pub(crate) fn of(data: impl Fn() -> Data, trouble: &Trouble) -> Self {
        let mut site = Site::new();
        site.start(data, trouble);
        Self(site)
    }

    /// `update --object OBJECT --csv rows.csv --yes` and more, with these rows.
    pub(crate) fn update(&self, object: &str, rows: &str, more: &[&str]) -> Program {
        self.0.write("rows.csv", rows);
        self.0.program(["update", "--object", object, "--csv", "rows.csv", "--yes"]).args(more)
    }

    /// What DevRev answers.
    pub(crate) fn call(&self, endpoint: &str, body: &Value) -> Value {
        self.0.call(endpoint, body)
    }

    /// An object as DevRev shows it.
    pub(crate) fn get(&self, object: &str, id: &str) -> Value {
        let (endpoint, member) = match object {
            "account" => ("accounts.get", "account"),
            "workspace" => ("rev-orgs.get", "rev_org"),
            "contact" => ("rev-users.get", "rev_user"),
            _ => ("works.get", "work"),
        };
        let mut object = self.call(endpoint, &json!({ "id": id }))[member].take();
        object.as_object_mut().unwrap().remove("modified_date");
        object
    }

    /// Waits until the sandbox has carried out what a killed process had sent.
    pub(crate) fn until_quiet(&self) {
        let mut before = None;
        eventually("the sandbox to be quiet", || {
            std::thread::sleep(Duration::from_millis(4));
            let now = Some((self.0.stats()["total"].clone(), self.0.writes()));
            std::mem::replace(&mut before, now.clone()) == now
        });
    }
}

/// Every object with a row that changes every field that the sandbox has.
const EVERY_FIELD: [(&str, &str, &str); 7] = [
    (
        "issue",
        "ISS-1",
        "title,body,stage,owned_by,reported_by,applies_to_part,tags,target_close_date,artifacts,priority,priority_v2,\
         developed_with,target_start_date,tnt__root_cause,tnt__creator_group\n\
         New title,New body,completed,DEVU-4;ana.sousa@example.com,DEVU-5,Billing,vip;TAG-1=high,2026-12-24,ARTIFACT-1,\
         p0,P1,FEAT-1;Mobile app,2026-12-01T08:00:00Z,A cause,GROUP-2",
    ),
    (
        "ticket",
        "TKT-2",
        "severity,account,group,channels,needs_response,is_spam,is_frozen,is_archived,sentiment,sentiment_summary,\
         sentiment_modified_date,tnt__region,tnt__impact,tnt__affected_users,tnt__credit,tnt__escalated,tnt__promised_on,\
         tnt__last_call,tnt__summary,tnt__reference,tnt__handled_by,tnt__languages,rev_org\n\
         low,Globex Corporation,GROUP-3,email;slack,yes,true,1,true,happy,So so,2026-11-01,emea,High,12,-4.25,false,\
         2026-12-31,2026-11-02 10:00:00,**Bold**,R-1,Hiroshi Tanaka,fr,Initech",
    ),
    ("task", "TASK-2", "priority,embedded,start_date,tnt__reference\np0,true,2026-11-03,T-9"),
    (
        "opportunity",
        "OPP-3",
        "account,contacts,value,annual_contract_value,amount,customer_budget,probability,forecast_category_v2\n\
         ACC-9,amelie.laurent@nowhere.example.com,99.50 USD,12 EUR,7,8.5,0.75,Strong upside",
    ),
    (
        "account",
        "ACC-2",
        "display_name,description,owned_by,tier,tags,domains,external_refs,websites,artifacts,tnt__segment,tnt__seats\n\
         Northwind,Sold,DEVU-8;DEVU-9,silver,billing,a.example.com;b.example.com,CRM-900;CRM-901,w.example.com,ARTIFACT-2,\
         smb,3",
    ),
    (
        "workspace",
        "WS-1",
        "display_name,description,account,domain,environment,external_ref,tags,tier,artifacts\n\
         Acme East,East,ACC-5,east.example.com,staging,WS-77,vip,one,ARTIFACT-3",
    ),
    (
        "contact",
        "REVU-12",
        "display_name,description,email,external_ref,external_refs,phone_numbers,display_picture,tags,artifacts,tnt__tier\n\
         Zoe,Calls late,zoe@customer.example.com,user_777777,user_777777,+4930123456;+4930654321,ARTIFACT-1,TAG-3,\
         ARTIFACT-4,silver",
    ),
];

/// The ID of an object of the list above, and its row.
fn row(demo: &Demo, object: &str, id: &str, rows: &str) -> (String, String) {
    let id = match object {
        "workspace" => {
            let found = demo.call("rev-orgs.list", &json!({"external_ref": [id]}));
            found["rev_orgs"][0]["id"].as_str().unwrap().to_owned()
        }
        _ => id.to_owned(),
    };
    let (header, cells) = rows.split_once('\n').unwrap();
    // There is one contact that the opportunity can name.
    let cells = cells.replace("amelie.laurent@nowhere.example.com", "REVU-10");
    (id.clone(), format!("id,{header}\n{id},{cells}\n"))
}

#[test]
fn every_field_of_every_object_is_set_proven_found_again_and_undone() {
    let demo = Demo::new();
    for (object, id, rows) in EVERY_FIELD {
        let (id, rows) = row(&demo, object, id, rows);
        let before = demo.get(object, &id);
        demo.update(object, &rows, &["--dry-run"]).run().exits(0).says("1  would be changed");
        assert_eq!(demo.get(object, &id), before, "a dry run changes nothing");
        demo.update(object, &rows, &[]).run().exits(0).says("done             1");
        let after = demo.get(object, &id);
        assert_ne!(after, before);
        let again = demo.update(object, &rows, &[]).run().exits(0);
        assert!(again.out.contains("unchanged") || again.out.contains("already"), "{}", again.all());
        demo.0.program(["undo", demo.0.runs()[demo.0.runs().len() - 2].id(), "--yes"]).run().exits(0);
        let undone = demo.get(object, &id);
        for (name, value) in before.as_object().unwrap() {
            assert_eq!(undone[name], *value, "{object}: {name}");
        }
        for (name, value) in
            undone.as_object().unwrap().iter().filter(|(name, _)| before.get(*name).is_none())
        {
            let is_nothing = value == &json!(false) || value == &json!([]) || value == &json!("");
            // A field that was never set and that the API cannot empty stays, and the undo says so.
            let stays =
                ["channels", "sentiment", "sentiment_modified_date", "start_date", "annual_contract_value"];
            let stays =
                stays.contains(&name.as_str()) || ["priority_v2", "environment"].contains(&name.as_str());
            assert!(is_nothing || stays, "{object}: {name} is {value}");
        }
    }
    demo.0.assert_no_token();
}

#[test]
fn lists_are_added_to_and_removed_from_and_only_that_is_undone() {
    let demo = Demo::new();
    let tags = |demo: &Demo, object: &str, id: &str| -> Vec<String> {
        let mut names: Vec<String> = demo.get(object, id)["tags"]
            .as_array()
            .unwrap()
            .iter()
            .map(|tag| tag["tag"]["name"].as_str().unwrap().to_owned())
            .collect();
        names.sort();
        names
    };
    demo.update("ticket", "id,tags:add,tags:remove\nTKT-1,vip;needs info,churn risk\n", &[]).run().exits(0);
    assert_eq!(tags(&demo, "ticket", "TKT-1"), ["needs info", "vip"]);
    let run = demo.0.newest_run().id().to_owned();
    demo.update("ticket", "id,tags:add\nTKT-1,billing\n", &[]).run().exits(0);
    demo.0.program(["undo", &run, "--yes"]).run().exits(0);
    assert_eq!(tags(&demo, "ticket", "TKT-1"), ["billing", "churn risk"]);
    // Of accounts a list is written whole: it is read again just before.
    demo.update("account", "id,tags:add\nACC-1,vip\n", &[]).run().exits(0);
    let gets = demo.0.calls("accounts.get");
    demo.update("account", "id,tags:add,owned_by:add\nACC-1,billing,DEVU-20\n", &[]).run().exits(0);
    assert_eq!(
        (tags(&demo, "account", "ACC-1"), demo.0.calls("accounts.get") - gets),
        (vec!["billing".into(), "vip".into()], 2)
    );
    assert_eq!(demo.get("account", "ACC-1")["owned_by"].as_array().unwrap().len(), 2);
}

#[test]
fn fields_are_emptied_where_the_api_can() {
    let demo = Demo::new();
    let rows = "id,account,target_close_date,tags,tnt__region\nTKT-4,\\C,\\C,\\C,\\C\n";
    demo.update("ticket", rows, &[]).run().exits(0);
    let ticket = demo.get("ticket", "TKT-4");
    assert!(ticket.get("account").is_none() && ticket.get("target_close_date").is_none(), "{ticket}");
    assert_eq!((&ticket["tags"], ticket["custom_fields"].get("tnt__region")), (&json!([]), None));
    demo.update("ticket", "id,account\nTKT-5,\n", &[]).run().exits(0);
    assert!(demo.get("ticket", "TKT-5").get("account").is_some(), "an empty cell leaves a field alone");
    demo.update("ticket", "id,account\nTKT-5,\n", &["--empty", "clear"]).run().exits(0);
    assert!(demo.get("ticket", "TKT-5").get("account").is_none());
    let refused = demo.update("ticket", "id,owned_by\nTKT-5,\\C\n", &[]).run().exits(5);
    refused.says("row 1, line 2, owned_by `\\C`: cannot be emptied");
}

#[test]
fn a_wrong_file_is_refused_with_every_place_and_nothing_is_sent() {
    let demo = Demo::new();
    let rows = "id,severity,tnt__affected_users,tnt__region\nTKT-1,urgent,many,emea\nISS-1,low,3,emea\nTKT-2,low,3,mars\n,low,3,emea\n";
    let ended = demo.update("ticket", rows, &[]).run().exits(5);
    for text in [
        "row 1, line 2, severity `urgent`: none of the allowed values: blocker, high, low, medium",
        "row 2, line 3, id `ISS-1`: the ID of an issue, where a ticket is needed",
        "row 4, line 5, id ``: an ID is needed here",
        "--skip-invalid",
    ] {
        assert!(ended.err.contains(text), "{text}\n{}", ended.all());
    }
    // What only the tenant's schema knows is found before anything is written, too.
    let rows = "id,severity,tnt__affected_users,tnt__region\nTKT-1,low,many,emea\nTKT-2,low,3,mars\nTKT-3,low,3,emea\n";
    let ended = demo.update("ticket", rows, &[]).run().exits(5);
    assert!(ended.err.contains("tnt__affected_users `many`: not a whole number"), "{}", ended.all());
    assert!(
        ended.err.contains("tnt__region `mars`: none of the allowed values: emea, amer, apac"),
        "{}",
        ended.all()
    );
    assert_eq!(demo.0.writes(), 0);
    demo.update("ticket", rows, &["--skip-invalid"]).run().exits(3).says("done             1");
    assert_eq!(demo.0.writes(), 1);
    for (header, wanted) in [
        ("id,severty", "column `severty`: tickets have no field `severty`; did you mean `severity`?"),
        ("id,priority", "tickets have no field `priority`"),
        ("id,tnt__regions", "tickets have no field `tnt__regions`; did you mean `tnt__region`"),
        ("id,severity,severity", "both say what `severity` gets"),
        ("id,severity:add", "`severity` is not a list"),
        ("id,severity:was", "nothing says what `severity` gets"),
        ("id,display_id,created_date", "no column says what to change"),
        ("severity", "no column `id` with the IDs of tickets"),
    ] {
        let cells = vec!["TKT-1"; header.split(',').count()].join(",");
        let ended = demo.update("ticket", &format!("{header}\n{cells}\n"), &[]).run();
        assert!(matches!(ended.code, Some(2 | 5)) && ended.err.contains(wanted), "{header}: {}", ended.all());
    }
    assert_eq!(demo.0.writes(), 1);
}

#[test]
fn names_that_stand_for_nothing_or_for_several_fail_their_rows() {
    let demo = Demo::new();
    demo.call("works.update", &json!({"id": "TKT-1", "type": "ticket", "title": "x"}));
    let rows =
        "id,owned_by,tags:add,account\nTKT-1,nobody@example.com,,\nTKT-2,,no such tag,\nTKT-3,,,Acme GmbH\n";
    let ended = demo.update("ticket", rows, &[]).run().exits(3).says("done             1");
    let failed = std::fs::read_to_string(demo.0.newest_run().file("failed.csv")).unwrap();
    assert!(failed.contains("value") && ended.out.contains("failed           2"), "{failed}");
    let journal = std::fs::read_to_string(demo.0.newest_run().file("journal.jsonl")).unwrap();
    for text in ["not the ID or the name of a user in DevRev", "not the ID or the name of a tag in DevRev"] {
        assert!(journal.contains(text), "{text}\n{journal}");
    }
}

#[test]
fn rows_about_one_object_collapse_or_fail() {
    let demo = Demo::new();
    let don = "don:core:dvrv-us-1:devo/DEMO:ticket/1";
    let rows = format!("id,severity\nTKT-1,blocker\n{don},blocker\nTKT-2,low\nTKT-2,high\n");
    let refused = demo.update("ticket", &rows, &[]).run().exits(5);
    refused.says("row 3, line 4: row 4 names the same object with other values");
    demo.update("ticket", &rows, &["--skip-invalid"]).run().exits(3).says("done             1");
    let results = demo.0.newest_run().assert_complete(4);
    let reason = |row: u64| results[&row].reason.split(':').next().unwrap().to_owned();
    assert_eq!(
        (1..=4).map(reason).collect::<Vec<_>>(),
        ["", "duplicate-same", "duplicate-conflict", "duplicate-conflict"]
    );
}

#[test]
fn objects_are_found_by_what_they_hold() {
    let demo = Demo::new();
    let rows = "external_ref,tier\nCRM-100,one\nCRM-101,two\ncrm-102,three\n";
    demo.update("account", rows, &["--match", "external_ref"]).run().exits(3);
    assert_eq!(
        (demo.get("account", "ACC-1")["tier"].clone(), demo.get("account", "ACC-2")["tier"].clone()),
        (json!("one"), json!("two"))
    );
    let rows = "Mail,Comment\nAMELIE.LAURENT@customer.example.com,twice\n";
    let args = ["--match", "email", "--map", "Mail=email", "--map", "Comment=description"];
    let ended = demo.update("contact", rows, &args).run();
    let journal = std::fs::read_to_string(demo.0.newest_run().file("journal.jsonl")).unwrap();
    assert!(journal.contains("is held by 2 contacts: REVU-10, REVU-11"), "{}\n{journal}", ended.all());
    demo.update("ticket", "external_ref,title\nx,y\n", &["--match", "external_ref"])
        .run()
        .exits(3)
        .says("not-found");
    demo.update("ticket", "email,title\nx,y\n", &["--match", "email"])
        .run()
        .exits(2)
        .says("tickets are found by external_ref");
}

#[test]
fn only_objects_that_are_as_asked_are_changed() {
    let demo = Demo::new();
    let rows = "id\nTKT-1\nTKT-2\nTKT-3\nTKT-4\nTKT-5\n";
    let args = ["--set", "severity=blocker", "--where", "tnt__region=amer", "--where", "tags=churn risk"];
    demo.update("ticket", rows, &args).run().exits(0);
    let results = demo.0.newest_run().assert_complete(5);
    let done: Vec<u64> = results.values().filter(|row| row.status == "done").map(|row| row.row).collect();
    assert_eq!(done, [1], "{results:?}");
    // A planned object that is not so any more has drifted.
    let dry = demo.update(
        "ticket",
        "id\nTKT-7\n",
        &["--set", "severity=low", "--where", "tnt__region=amer", "--dry-run"],
    );
    dry.run().exits(0).says("1  would be changed");
    let run = demo.0.newest_run().id().to_owned();
    demo.call(
        "works.update",
        &json!({"id": "TKT-7", "type": "ticket", "custom_fields": {"tnt__region": "emea"}, "custom_schema_spec": {"tenant_fragment": true}}),
    );
    demo.0.program(["apply", &run, "--yes"]).run().exits(0).says("skipped          1");
}

#[test]
fn a_field_has_to_be_what_its_row_says_it_was() {
    let demo = Demo::new();
    let rows = "id,severity:was,severity,title\nTKT-1,low,blocker,One\nTKT-2,low,blocker,Two\n";
    demo.update("ticket", rows, &[]).run().exits(0).says("done             2");
    assert_eq!(demo.get("ticket", "TKT-1")["severity"], "blocker");
    let second = demo.get("ticket", "TKT-2");
    assert_eq!(
        (&second["severity"], &second["title"]),
        (&json!("high"), &json!("Two")),
        "a field that has drifted is left alone"
    );
    let journal = std::fs::read_to_string(demo.0.newest_run().file("journal.jsonl")).unwrap();
    assert!(
        journal.contains("left alone: severity is `high` now, neither `low` as before nor `blocker`"),
        "{journal}"
    );
}

#[test]
fn a_plan_is_applied_and_what_has_drifted_is_left_alone() {
    let demo = Demo::new();
    let rows = "id,severity,title\nTKT-1,blocker,One\nTKT-2,blocker,Two\n";
    demo.update("ticket", rows, &["--dry-run"]).run().exits(0).says("severity: `high` -> `blocker`");
    let run = demo.0.newest_run().id().to_owned();
    demo.call("works.update", &json!({"id": "TKT-2", "type": "ticket", "severity": "medium"}));
    let writes = demo.0.writes();
    demo.0.program(["apply", &run, "--yes"]).run().exits(0).says("done             1");
    assert_eq!(
        (demo.0.writes() - writes, demo.get("ticket", "TKT-2")["title"].as_str()),
        (1, Some("Export to CSV stops at 10,000 rows"))
    );
}

#[test]
fn reads_are_few_where_the_file_names_many_of_the_objects() {
    let demo = Demo::new();
    let mut rows = "id,tnt__reference\n".to_owned();
    for number in 1..=232 {
        let _ = writeln!(rows, "TKT-{number},R{number}");
    }
    demo.update("ticket", &rows, &["--dry-run"]).run().exits(0).says("232  would be changed");
    assert_eq!((demo.0.calls("works.list"), demo.0.calls("works.get")), (3, 0));
    demo.update("ticket", &rows, &[]).run().exits(0).says("done           232");
    assert_eq!((demo.0.calls("works.update"), demo.0.calls("works.get")), (232, 0));
    let run = demo.0.newest_run().id().to_owned();
    demo.0.program(["undo", &run, "--dry-run"]).run().exits(0).says("in plan.csv");
    let table = std::fs::read_to_string(demo.0.newest_run().file("plan.csv")).unwrap();
    assert_eq!(table.lines().nth(1), Some("1,TKT-1,tnt__reference,R1,,"));
    demo.0.program(["undo", &run, "--yes"]).run().exits(0).says("done           232");
    assert!(demo.get("ticket", "TKT-100")["custom_fields"].get("tnt__reference").is_none());
}

#[test]
fn a_fault_at_any_call_loses_nothing_and_repeats_nothing() {
    let rows = "id,severity,tags:add,owned_by\nTKT-1,blocker,vip,ana.sousa@example.com\nTKT-2,blocker,vip,DEVU-2\nTKT-3,low,vip,DEVU-3\n";
    for endpoint in
        ["works.list", "works.get", "works.update", "tags.list", "dev-users.list", "schemas.aggregated.get"]
    {
        for fault in [
            "status=503",
            "status=500",
            "status=429,retry_after=0",
            "html",
            "truncate",
            "reset=before",
            "reset=after",
        ] {
            let trouble = Trouble::faults([format!("path={endpoint},{fault},count=2")]);
            let demo = Demo::with(&trouble);
            let ended = demo.update("ticket", rows, &[]).run();
            assert!(matches!(ended.code, Some(0 | 1 | 3 | 7)), "{endpoint} {fault}: {}", ended.all());
            if ended.code != Some(0) {
                demo.0.program(["resume", "--retry-failed", "--if-any", "--latest", "--yes"]).run();
            }
            if demo.0.runs().is_empty() || demo.0.newest_run().manifest()["exit_code"] != 0 {
                demo.update("ticket", rows, &[]).run().exits(0);
            }
            for (id, severity) in [("TKT-1", "blocker"), ("TKT-2", "blocker"), ("TKT-3", "low")] {
                let ticket = demo.get("ticket", id);
                assert_eq!(ticket["severity"], severity, "{endpoint} {fault}");
                let vip = |tag: &&Value| tag["tag"]["name"] == "vip";
                assert_eq!(
                    ticket["tags"].as_array().unwrap().iter().filter(vip).count(),
                    1,
                    "{endpoint} {fault}"
                );
            }
        }
    }
}

/// How often each ticket was written.
fn writes(demo: &Demo) -> Vec<(String, u64)> {
    let lines = demo.0.get("works");
    let works = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    works
        .filter(|work| work["type"] == "ticket")
        .map(|work| (work["id"].as_str().unwrap().to_owned(), work["writes"].as_u64().unwrap()))
        .collect()
}

#[test]
fn a_kill_at_any_moment_loses_nothing_and_writes_nothing_twice() {
    let mut rows = "id,severity,tags:add,tnt__reference\n".to_owned();
    for number in 1..=60 {
        let _ = writeln!(rows, "TKT-{number},blocker,vip,R{number}");
    }
    for kill in 0..50_u64 {
        // By turns after so many writes, and while so many reads are under way.
        let demo = Demo::with(&Trouble::delay(1));
        let running = demo.update("ticket", &rows, &["--batch-size", "7", "--concurrency", "3"]);
        let running = match kill % 5 {
            0 => running.run_until(|| demo.0.stats()["total"].as_u64().unwrap() > kill / 5),
            _ => running.run_until(|| demo.0.calls("works.update") > kill),
        };
        running.kill();
        demo.until_quiet();
        for _ in 0..5 {
            if !demo.0.runs().is_empty() && demo.0.newest_run().file("run.json").exists() {
                break;
            }
            // It had not begun: nothing is to be resumed.
            demo.update("ticket", &rows, &[]).run().exits(0);
        }
        demo.0.program(["resume", "--if-any", "--latest", "--yes"]).run().exits(0);
        demo.0.newest_run().assert_complete(60);
        for (id, writes) in writes(&demo).into_iter().take(60) {
            assert_eq!(writes, 1, "kill {kill}: {id}");
        }
        let last = demo.get("ticket", "TKT-60");
        assert_eq!(
            (&last["severity"], &last["custom_fields"]["tnt__reference"]),
            (&json!("blocker"), &json!("R60"))
        );
    }
}

#[test]
fn each_field_drifts_by_itself_between_plan_and_apply() {
    let header = "id,title,severity,stage,owned_by,tags,target_close_date,tnt__region,tnt__affected_users,tnt__languages";
    let rows = format!("{header}\nTKT-8,New,blocker,completed,DEVU-4,vip,2026-12-24,emea,99,fr\n");
    let custom =
        |fields: Value| json!({"custom_fields": fields, "custom_schema_spec": {"tenant_fragment": true}});
    for change in [
        json!({"title": "Other"}),
        json!({"severity": "low"}),
        json!({"stage": {"name": "prioritized"}}),
        json!({"owned_by": {"set": ["DEVU-9"]}}),
        json!({"tags": {"add": [{"id": "TAG-4"}]}}),
        json!({"target_close_date": null}),
        custom(json!({"tnt__region": "amer"})),
        custom(json!({"tnt__affected_users": 1})),
        custom(json!({"tnt__languages": null})),
    ] {
        let demo = Demo::new();
        demo.update("ticket", &rows, &["--dry-run"]).run().exits(0);
        let run = demo.0.newest_run().id().to_owned();
        let mut body = change.clone();
        (body["id"], body["type"]) = (json!("TKT-8"), json!("ticket"));
        demo.call("works.update", &body);
        let before = demo.get("ticket", "TKT-8");
        demo.0.program(["apply", &run, "--yes"]).run().exits(0).says("drifted");
        assert_eq!(demo.get("ticket", "TKT-8"), before, "{change}");
        demo.0.program(["apply", &run, "--yes", "--on-drift", "abort"]).run().exits(6);
    }
}

#[test]
fn off_a_terminal_nothing_is_written_without_a_yes() {
    let demo = Demo::new();
    demo.0.write("rows.csv", "id,stage,severity\nTKT-1,completed,blocker\n");
    let refused = demo.0.program(["update", "--object", "ticket", "--csv", "rows.csv"]).run();
    refused.exits(14).says("--yes");
    assert_eq!(demo.0.writes(), 0);
}

#[test]
fn a_write_whose_answer_was_lost_is_confirmed_though_it_changed_what_where_looks_at() {
    let demo = Demo::with(&Trouble::faults(["path=works.update,count=9,reset=after"]));
    let rows = "id,severity\nTKT-1,blocker\n";
    let args = ["--where", "severity=low", "--max-retries", "0"];
    demo.update("ticket", rows, &args).run();
    demo.0.program(["resume", "--if-any", "--latest", "--yes"]).run().exits(0);
    let results = demo.0.the_run().assert_complete(1);
    assert_eq!(results[&1].status, "done", "{results:?}");
    assert_eq!(writes(&demo)[0], ("TKT-1".to_owned(), 1));
}

/// How many objects there are with each of these keys.
pub(crate) fn holders(demo: &Demo, endpoint: &str, filter: &str, list: &str, keys: &[String]) -> Vec<usize> {
    keys.iter()
        .map(|key| demo.call(endpoint, &json!({filter: [key]}))[list].as_array().map_or(0, Vec::len))
        .collect()
}

#[test]
fn objects_that_are_not_there_are_created_with_all_their_fields() {
    let demo = Demo::new();
    let create = ["--match", "external_ref", "--on-missing", "create"];
    let rows = "external_ref,display_name,tier,owned_by,tags,websites,tnt__segment\n\
                CRM-100,Acme,silver,,,,\nNEW-1,Fresh Ltd,gold,ana.sousa@example.com,vip;billing=1,a.example.com,smb\n\
                NEW-2,,gold,,,,\n";
    demo.update("account", rows, &[&create[..], &["--dry-run"]].concat())
        .run()
        .exits(3)
        .says("2  would be changed");
    assert_eq!(demo.0.writes(), 0);
    let ended = demo.update("account", rows, &create).run().exits(3).says("done             2");
    assert!(ended.out.contains("failed           1"), "{}", ended.all());
    let journal = std::fs::read_to_string(demo.0.newest_run().file("journal.jsonl")).unwrap();
    assert!(journal.contains("to create it `display_name` is needed"), "{journal}");
    let created = demo.call("accounts.list", &json!({"external_refs": ["NEW-1"]}))["accounts"][0].clone();
    assert_eq!((&created["display_name"], &created["tier"]), (&json!("Fresh Ltd"), &json!("gold")));
    assert_eq!(
        (&created["tags"][1]["value"], &created["websites"]),
        (&json!("1"), &json!(["a.example.com"]))
    );
    assert_eq!(created["custom_fields"]["tnt__segment"], "smb");
    // The same file again finds what was created.
    demo.update("account", rows, &create).run().exits(3).says("already          2");
    // An undo cannot delete, and says so.
    let first = &demo.0.runs()[1];
    demo.0.program(["undo", first.id(), "--yes"]).run().exits(0).says("created");
    let rows = "external_ref,display_name,email\nuser_new,Nora,nora@example.com\n";
    demo.update("contact", rows, &create).run().exits(0).says("done             1");
    let rows = "external_ref,display_name,account\nWS-900,Fresh East,ACC-1\n";
    demo.update("workspace", rows, &create).run().exits(0).says("done             1");
    let rows = "id,domain,display_name\nACC-1,x,z\n";
    demo.update("account", rows, &["--on-missing", "create", "--match", "domain", "--ignore", "id"])
        .run()
        .exits(2)
        .says("--on-missing create needs --match external_ref");
}

#[test]
fn whatever_is_lost_there_are_never_two_objects_for_one_key() {
    let keys: Vec<String> = (1..=6).map(|number| format!("NEW-{number}")).collect();
    let create =
        ["--match", "external_ref", "--on-missing", "create", "--batch-size", "2", "--max-retries", "0"];
    for (object, create_endpoint, list_endpoint, filter, list) in [
        ("account", "accounts.create", "accounts.list", "external_refs", "accounts"),
        ("contact", "rev-users.create", "rev-users.list", "external_ref", "rev_users"),
        ("workspace", "rev-orgs.create", "rev-orgs.list", "external_ref", "rev_orgs"),
    ] {
        let mut rows = "external_ref,display_name,account\n".to_owned();
        for key in &keys {
            let _ = writeln!(rows, "{key},Name of {key},ACC-1");
        }
        let ignored: &[&str] = if object == "workspace" { &[] } else { &["--ignore", "account"] };
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
                let trouble =
                    Trouble::faults([format!("path={create_endpoint},after={after},count=2,{fault}")]);
                let demo = Demo::with(&trouble);
                let ended = demo.update(object, &rows, &[&create[..], ignored].concat()).run();
                for _ in 0..3 {
                    demo.0.program(["resume", "--retry-failed", "--if-any", "--latest", "--yes"]).run();
                }
                let found = holders(&demo, list_endpoint, filter, list, &keys);
                assert!(
                    found.iter().all(|count| *count <= 1),
                    "{object} {fault}: {found:?}\n{}",
                    ended.all()
                );
                // Only where DevRev refuses a second one may what was not found be sent again.
                let run = demo.0.newest_run().manifest();
                let unknown = run["counts"]["unknown"].as_u64().unwrap_or(0);
                let made = found.iter().sum::<usize>() as u64;
                assert!(made + unknown >= 6, "{object} {fault}: {found:?} {run}");
                assert!(object == "workspace" || made == 6, "{object} {fault}: {found:?} {run}");
            }
        }
    }
}

#[test]
fn a_kill_while_objects_are_created_makes_none_twice() {
    let keys: Vec<String> = (1..=20).map(|number| format!("NEW-{number}")).collect();
    let mut rows = "external_ref,display_name\n".to_owned();
    for key in &keys {
        let _ = writeln!(rows, "{key},Name of {key}");
    }
    let create =
        ["--match", "external_ref", "--on-missing", "create", "--batch-size", "4", "--concurrency", "3"];
    for kill in 0..18 {
        let demo = Demo::with(&Trouble::delay(1));
        demo.update("account", &rows, &create).run_until(|| demo.0.calls("accounts.create") > kill).kill();
        demo.until_quiet();
        demo.0.program(["resume", "--if-any", "--latest", "--yes"]).run().exits(0);
        let found = holders(&demo, "accounts.list", "external_refs", "accounts", &keys);
        assert!(found.iter().all(|count| *count == 1), "kill {kill}: {found:?}");
    }
}
