//! Answers as live tenants and what stands before them give them, and the sandbox does not.

use crate::support::front;
use crate::support::{Fixture, Merging, Org, People};
use serde_json::{Value, json};

/// A run of backfill-groups against these answers.
fn backfill(
    fixture: &Fixture,
    change: impl front::Change,
    more: &[&str],
) -> crate::support::program::Program {
    let url = front::before(&fixture.base_url(), change);
    fixture.backfill(more).env("DEVREV_BASE_URL", url)
}

/// The answer with its members changed.
fn edited(body: &str, edit: impl Fn(&mut serde_json::Map<String, Value>)) -> String {
    let mut value: Value = serde_json::from_str(body).unwrap();
    edit(value.as_object_mut().unwrap());
    value.to_string()
}

#[test]
fn lists_that_are_null_or_left_out_are_empty() {
    // One more page than there are groups, works or members, without its list.
    for null in [true, false] {
        let fixture = Fixture::new(&Org::of(12));
        let change = move |endpoint: &str, _: usize, (status, body): front::Said| {
            let list = match endpoint {
                "groups.list" => "groups",
                "groups.members.list" => "members",
                "works.list" => "works",
                _ => return (status, body),
            };
            let body = edited(&body, |members| {
                if members[list].as_array().unwrap().is_empty() {
                    members.remove(list);
                    if null {
                        members.insert(list.to_owned(), Value::Null);
                    }
                } else if !members.contains_key("next_cursor") {
                    members.insert("next_cursor".to_owned(), "the-end".into());
                }
            });
            (status, body)
        };
        // A cursor that the sandbox does not know: its refusal becomes the empty page.
        let last = move |endpoint: &str, number: usize, (status, body): front::Said| {
            if status == 400 && body.contains("cursor") {
                return (
                    200,
                    if null { format!("{{\"{}\":null}}", list_of(endpoint)) } else { "{}".to_owned() },
                );
            }
            change(endpoint, number, (status, body))
        };
        let ended = backfill(&fixture, last, &["--json"]).run().exits(0);
        assert_eq!(ended.json()["states"], json!({"done": 12}), "{}", ended.all());
        fixture.assert_right();
    }
}

fn list_of(endpoint: &str) -> &'static str {
    match endpoint {
        "groups.list" => "groups",
        "groups.members.list" => "members",
        _ => "works",
    }
}

#[test]
fn half_a_character_in_an_answer_loses_nothing() {
    let fixture = Fixture::new(&Org::of(12));
    let change = |endpoint: &str, _: usize, (status, body): front::Said| {
        let broken = match endpoint {
            "works.list" | "works.get" | "works.update" => {
                body.replace("\"title\":\"", "\"title\":\"\\ud83d ")
            }
            "groups.list" => body.replace("\"name\":\"", "\"name\":\"\\udc00 "),
            _ => return (status, body),
        };
        assert_ne!(broken, body, "{endpoint}");
        (status, broken)
    };
    let ended = backfill(&fixture, change, &["--json"]).run().exits(0);
    assert_eq!(ended.json()["states"], json!({"done": 12}), "{}", ended.all());
    fixture.assert_right();
}

#[test]
fn half_a_character_in_a_contact_loses_nothing() {
    let fixture = Merging::new(&People::of(2));
    let url = front::before(&fixture.base_url(), |_: &str, _: usize, (status, body): front::Said| {
        (
            status,
            body.replace("\"title\":\"", "\"title\":\"\\ud83d ")
                .replace("\"body\":\"", "\"body\":\"\\ud83d "),
        )
    });
    fixture.merge(&[]).env("DEVREV_BASE_URL", url).run().exits(0);
    fixture.assert_all_done();
    fixture.program(["backups", "verify"]).run().exits(0).says("nothing wrong");
}

#[test]
fn a_gateways_page_is_an_outage_and_says_nothing_of_an_issue() {
    // As much is tried, and as little is lost, as where the API itself is down.
    let down = |answer: &str| {
        let fixture = Fixture::broken(&Org::of(12), [format!("path=works.update,after=4,{answer}")]);
        let ended = fixture.backfill(&["--max-retries", "1", "--concurrency", "1", "--json"]).run().exits(3);
        for wrong in ["not-found", "forbidden"] {
            assert!(!ended.all().contains(wrong), "{}", ended.all());
        }
        (ended.json()["states"].clone(), fixture.stats()["calls"].clone())
    };
    for page in ["status=404,page", "status=403,page"] {
        assert_eq!(down(page), down("status=503"), "{page}");
        // It passes: nothing is lost.
        let passing = Fixture::broken(&Org::of(12), [format!("path=works.update,after=4,count=2,{page}")]);
        passing.backfill(&[]).run().exits(0);
        passing.assert_right();
    }
    // Above all it proves no merge.
    let fixture = Merging::broken(
        &People::of(1),
        ["path=rev-users.get,status=404,page", "path=rev-users.merge,status=503"],
    );
    fixture.merge(&["--max-retries", "0"]).run();
    let manifest = fixture.the_run().manifest();
    assert!(manifest["counts"]["done"].is_null() || manifest["counts"]["done"] == 0, "{manifest}");
}

/// An error with all that DevRev may say of it, an odd `detail` too.
fn refusal() -> front::Said {
    let body = json!({
        "type": "bad_request", "message": "Bad Request", "subtype": "stage_transition",
        "debug_message": "cannot move from X to Y (Ref: abc123)", "reference_id": "ref-789", "detail": {"odd": [1]},
    });
    (400, body.to_string())
}

#[test]
fn all_that_devrev_says_of_an_error_reaches_whoever_must_act() {
    let fixture = Fixture::new(&Org::of(25));
    let change = |endpoint: &str, _: usize, said: front::Said| {
        if endpoint == "works.update" { refusal() } else { said }
    };
    let flags = ["--concurrency", "1", "--max-same-failures", "3", "--log-level", "warn"];
    let ended = backfill(&fixture, change, &flags).run().exits(7);
    let run = fixture.the_run();
    let failed = std::fs::read_to_string(run.file("failed.csv")).unwrap();
    let log = std::fs::read_to_string(run.file("log.jsonl")).unwrap();
    for part in ["stage_transition", "cannot move from X to Y", "abc123", "ref-789"] {
        for (place, text) in [("the summary", &ended.out), ("failed.csv", &failed), ("log.jsonl", &log)] {
            assert!(text.contains(part), "{part} is not in {place}: {text}");
        }
    }
    let url =
        front::before(
            &fixture.base_url(),
            |endpoint: &str, _: usize, said: front::Said| {
                if endpoint == "groups.list" { (403, refusal().1) } else { said }
            },
        );
    let doctor = fixture.program(["doctor", "--json"]).env("DEVREV_BASE_URL", url).run().exits(0);
    for part in ["stage_transition", "cannot move from X to Y", "abc123", "ref-789"] {
        assert!(doctor.out.contains(part), "{part} is not in what doctor says: {}", doctor.out);
    }
}
