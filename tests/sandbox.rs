//! `sandbox`: the in-memory DevRev as a process of its own.

use crate::support::program::Running;
use crate::support::{Fixture, Org, eventually};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpStream;

/// Starts it on any free port; its base URL.
fn start(fixture: &Fixture, flags: &[&str]) -> (Running, String) {
    let running = fixture.program(["sandbox", "--listen", "127.0.0.1:0", "--json"]).args(flags).spawn();
    eventually("the sandbox to listen", || running.out().ends_with('\n'));
    let line: Value = serde_json::from_str(&running.out()).unwrap();
    let url = line["base_url"].as_str().unwrap().to_owned();
    (running, url)
}

#[test]
fn it_serves_its_own_data_or_that_of_a_file() {
    let fixture = Fixture::down(&Org::of(12));
    fixture.write("data.json", fixture.org.json().to_string());
    let (_running, url) = start(&fixture, &["--data", "data.json"]);
    fixture.backfill(&[]).env("DEVREV_BASE_URL", &url).run().exits(0);
    // It has kept what was written.
    let ended = fixture.backfill(&["--json"]).env("DEVREV_BASE_URL", &url).run().exits(0);
    assert_eq!(ended.json()["states"]["already"], 12);
    // A base URL may have a path.
    let path = format!("{url}/api/gateway/internal/");
    fixture.backfill(&["--overwrite"]).env("DEVREV_BASE_URL", path).run().exits(0);
}

#[test]
fn it_breaks_to_order() {
    let fixture = Fixture::down(&Org::of(12));
    fixture.write("data.json", fixture.org.json().to_string());
    let flags = [
        "--data",
        "data.json",
        "--rate-limit",
        "1000/1",
        "--delay",
        "1",
        "--fault",
        "path=works.update,status=403,count=2",
    ];
    let (running, url) = start(&fixture, &flags);
    let ended = fixture.backfill(&["--json"]).env("DEVREV_BASE_URL", &url).run().exits(3);
    assert_eq!(ended.json()["states"]["failed"], 2);
    running.signal("INT");
    // It has nothing to save: the signal ends it as it ends any process.
    assert_eq!(running.wait().code, None);
}

#[test]
fn merges_go_as_its_flags_say() {
    let fixture = Fixture::down(&Org::of(1));
    let mut data = fixture.org.json();
    data["contacts"] =
        json!([{"number": 1, "external_ref": "REVU-1"}, {"number": 2, "external_ref": "user_2"}]);
    fixture.write("data.json", data.to_string());
    let flags = ["--data", "data.json", "--merge-delay", "0", "--merge-ends", "moved"];
    let (_running, url) = start(&fixture, &flags);
    let call = |path: &str, body: &Value| {
        let mut stream = TcpStream::connect(url.trim_start_matches("http://")).unwrap();
        let (body, token) = (body.to_string(), "Authorization: Bearer t");
        write!(stream, "POST /{path} HTTP/1.0\r\n{token}\r\nContent-Length: {}\r\n\r\n{body}", body.len())
            .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    let merge = json!({"primary_user": "REVU-1", "secondary_user": "REVU-2"});
    assert!(call("rev-users.merge", &merge).contains(" 200 OK"));
    let moved = call("rev-users.get", &json!({"id": "REVU-2"}));
    assert!(moved.contains(" 301 ") && moved.contains("devo/TEST:revu/1"), "{moved}");
}

#[test]
fn it_says_for_people_how_to_use_it() {
    let fixture = Fixture::down(&Org::of(1));
    let running = fixture.program(["sandbox", "--listen", "127.0.0.1:0"]).spawn();
    eventually("the hint", || running.out().contains("DEVREV_API_TOKEN=anything devrev-batch"));
    running.kill();
}

#[test]
fn bad_flags_are_usage_errors_that_say_what_is_wrong() {
    let fixture = Fixture::new(&Org::of(1));
    fixture.write("bad.json", "{\"organisation\": 3}");
    let taken = fixture.base_url().replace("http://", "");
    let cases: [(&[&str], &str); 8] = [
        (&["--fault", "path=works.update"], "for '--fault <RULE>': bad fault rule"),
        (&["--fault", "path=works.rename,status=500"], "no endpoint `works.rename`"),
        (&["--merge-ends", "lost"], "invalid value 'lost' for '--merge-ends <CHOICE>'"),
        (&["--rate-limit", "50"], "for '--rate-limit <CALLS/SECONDS>': `50` is not a rate limit"),
        (&["--data", "none.json"], "none.json"),
        (&["--data", "bad.json"], "bad.json"),
        (&["--listen", "nowhere"], "nowhere"),
        (&["--listen", &taken], "cannot listen on"),
    ];
    for (flags, words) in cases {
        fixture.program(["sandbox", "--json"]).args(flags).run().exits(2).says(words);
    }
}
