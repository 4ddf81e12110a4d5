//! `doctor`: what works and what does not, and what that makes of the exit code.

mod machine;

use crate::support::fixture::{TOKEN, Trouble};
use crate::support::program::{Ended, Program};
use crate::support::{Fixture, Org};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpListener;

fn doctor(fixture: &Fixture, more: &[&str]) -> Program {
    fixture.program(["doctor"]).args(more)
}

/// The check with this name in what `--json` printed.
#[track_caller]
fn check(ended: &Ended, name: &str) -> Value {
    let report = ended.json();
    let checks = report["checks"].as_array().unwrap();
    let found: Vec<&Value> = checks.iter().filter(|check| check["check"] == name).collect();
    assert_eq!(found.len(), 1, "{name}: {}", ended.all());
    found[0].clone()
}

/// Wants a check to have come out like this, and to say this in what was found or what is to be done.
#[track_caller]
fn assert_check(ended: &Ended, name: &str, state: &str, says: &str) {
    let check = check(ended, name);
    assert_eq!(check["state"], state, "{check}\n{}", ended.all());
    let text = format!("{} {}", check["found"].as_str().unwrap(), check["todo"].as_str().unwrap_or(""));
    assert!(text.contains(says), "{check}");
    // Anyone who is told about trouble is told what to do.
    assert!(check["todo"].is_string() || !matches!(state, "warning" | "problem"), "{check}");
}

/// A token as DevRev makes them, which expires at this time. It verifies nowhere.
fn jwt(expires: i64) -> String {
    let claims = json!({
        "exp": expires, "iat": 1, "iss": "https://auth-token.devrev.ai/",
        "sub": "don:identity:dvrv-us-1:devo/TEST:devu/7",
        "http://devrev.ai/devo_don": "don:identity:dvrv-us-1:devo/TEST",
    });
    let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
    format!("{}.{}.{}", part("{\"alg\":\"RS256\"}"), part(&claims.to_string()), part(TOKEN))
}

#[cfg(feature = "snowflake")]
/// What was printed, with what differs from run to run taken out.
fn redacted(text: &str) -> String {
    let words = |line: &str| {
        let mut words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        for at in 1..words.len() {
            let unit = words[at].trim_end_matches(',').to_owned();
            if ["ms", "GiB", "MiB"].contains(&unit.as_str()) && words[at - 1].parse::<f64>().is_ok() {
                "N".clone_into(&mut words[at - 1]);
            }
        }
        words.join(" ")
    };
    text.lines().map(words).collect::<Vec<_>>().join("\n").replace("MiB", "GiB")
}

#[cfg(feature = "snowflake")] // its table has a line for it
#[test]
fn a_table_for_people() {
    let fixture = Fixture::new(&Org::of(60));
    let ended = doctor(&fixture, &["--sandbox"]).without("RATE_LIMIT_CALLS").run().exits(0);
    insta::assert_snapshot!(redacted(&ended.out), @"
    check        state        found, and -> what to do
    settings     ok           none is wrong; ENVIRONMENT is `development`
    env-file     ok           no .env: flags and the environment are all there is
    base-url     ok           the built-in sandbox
    connection   ok           plain http to this machine; first answer in N ms
    token        ok           the sandbox takes any
    identity     ok           ana-sousa (DEVU-1) of devo/DEMO
    latency      ok           median N ms, worst N ms of 5 calls
    group-field  ok           `tnt__creator_group` exists: set on 5 of 100 issues
    backfill     ok           may read works, groups, their members; only a write
                              shows whether it may update issues
    merge        ok           may read contacts, works, conversations, timelines,
                              files; only a write shows whether it may merge
                              contacts (scope rev_user:all)
    update       ok           may read works, contacts, accounts, workspaces,
                              users, tags, parts; only a write shows whether it
                              may update each of them
    rate-limit   not checked  DevRev's answers name no limit; configured: no limit
                              but DevRev's
    clock        ok           agrees with DevRev's
    snowflake    ok           not set up; only --source snowflake needs it
    runs-dir     ok           runs is not there yet and can be made
    backup-dir   ok           backups is not there yet and can be made
    disk-space   ok           runs: N GiB free, backups: N GiB free
    alerts       ok           no channel: neither SLACK_WEBHOOK nor SMTP_HOST

    ready: nothing is wrong
    ");
    assert_eq!(ended.err, "");
    assert!(!fixture.path("runs").exists() && !fixture.path("backups").exists());
}

#[test]
fn a_healthy_devrev() {
    let fixture = Fixture::new(&Org::of(60));
    fixture.set_group(3, Some(1));
    std::fs::create_dir(fixture.path("runs")).unwrap();
    let ended = doctor(&fixture, &["--json", "--backup-dir", "runs"]).run().exits(0);
    let report = ended.json();
    assert_eq!((&report["exit"], &report["worst"]), (&json!(0), &json!("not-checked")), "{report}");
    assert_check(&ended, "base-url", "ok", "DEVREV_BASE_URL in the environment");
    assert_check(&ended, "connection", "ok", "plain http to this machine");
    assert_check(&ended, "token", "ok", "set, expires at 2");
    assert_check(&ended, "backfill", "ok", "may read works, groups, their members; only a write shows");
    assert_check(&ended, "merge", "not-checked", "not known: files (none was seen)");
    assert_check(&ended, "identity", "ok", "DEVU-");
    assert_check(&ended, "latency", "ok", "of 5 calls");
    assert_check(&ended, "group-field", "ok", "set on 1 of 60 issues");
    assert_check(&ended, "rate-limit", "not-checked", "name no limit");
    assert_check(&ended, "clock", "ok", "agrees");
    let found = if cfg!(feature = "snowflake") { "not set up" } else { "not in this build" };
    assert_check(&ended, "snowflake", "ok", found);
    assert_check(&ended, "runs-dir", "ok", "runs can be written to");
    assert_check(&ended, "env-file", "ok", "no .env");
    // It looked, and touched nothing.
    assert_eq!((fixture.writes(), fixture.calls("dev-users.self"), fixture.calls("works.list")), (0, 6, 1));
    assert_eq!(std::fs::read_dir(fixture.path("runs")).unwrap().count(), 0);
    fixture.assert_no_token();
}

#[test]
fn whether_the_field_exists_cannot_always_be_told() {
    let fixture = Fixture::broken(&Org::of(5), ["path=schemas.aggregated.get,status=403"]);
    let ended = doctor(&fixture, &["--json"]).run().exits(0);
    assert_check(&ended, "group-field", "not-checked", "is on none of 5 issues");
    assert_check(&ended, "group-field", "not-checked", "--limit 1");
    fixture.set_group(1, Some(1));
    let ended = doctor(&fixture, &["--json"]).env("CREATOR_GROUP_FIELD", "tnt__group").run().exits(0);
    assert_check(&ended, "group-field", "not-checked", "is it one of these? tnt__creator_group:");
    let refused = Fixture::broken(&Org::of(5), ["path=works.list,status=403"]);
    let ended = doctor(&refused, &["--json"]).run().exits(4);
    assert_check(&ended, "group-field", "problem", "may not do this");
}

#[test]
fn the_schema_says_whether_the_field_exists() {
    let fixture = Fixture::new(&Org::of(5));
    let ended = doctor(&fixture, &["--json"]).run().exits(0);
    assert_check(&ended, "group-field", "ok", "`tnt__creator_group` exists: set on 0 of 5 issues");
    let ended = doctor(&fixture, &["--json"]).env("CREATOR_GROUP_FIELD", "tnt__group").run().exits(2);
    assert_check(
        &ended,
        "group-field",
        "problem",
        "issues have no field `tnt__group`; did you mean tnt__creator_group?",
    );
}

#[test]
fn a_token_that_is_refused() {
    for (status, says) in [("401", "DevRev refuses it (dev-users.self: 401"), ("403", "may not do this")] {
        let fixture = Fixture::broken(&Org::of(1), [format!("status={status}")]);
        let ended = doctor(&fixture, &["--json"]).run().exits(4);
        assert_check(&ended, "token", "problem", says);
        assert_check(&ended, "connection", "ok", "");
        assert_check(&ended, "identity", "not-checked", "see token");
        doctor(&fixture, &[]).run().exits(4).says("not ready: 1 problem (exit code 4)");
    }
}

#[test]
fn a_token_that_expires() {
    let fixture = Fixture::new(&Org::of(60));
    let now = chrono::Utc::now().timestamp();
    for (expires, code, state, says) in [
        (now - 86_400, 0, "warning", "belongs to devu/7 of devo/TEST, expired at 2"),
        (now + 3 * 86_400 + 60, 0, "warning", "(in 3 days)"),
        (now + 90 * 86_400, 0, "ok", "expires at 2"),
        // Then DevRev says it.
        (i64::MAX, 0, "ok", "expires at 2"),
    ] {
        let token = jwt(expires);
        for flags in [&["--json", "--log-level", "trace"][..], &[]] {
            let ended = doctor(&fixture, flags).env("DEVREV_API_TOKEN", &token).run().exits(code);
            for part in token.split('.') {
                assert!(!ended.out.contains(part) && !ended.err.contains(part), "{}", ended.all());
            }
            if !flags.is_empty() {
                assert_check(&ended, "token", state, says);
            }
        }
    }
}

#[test]
fn a_token_of_which_nobody_knows_when_it_expires() {
    let fixture = Fixture::broken(&Org::of(1), ["path=auth-tokens.info,status=403"]);
    let ended = doctor(&fixture, &["--json"]).run().exits(0);
    assert_check(&ended, "token", "ok", "it is not a JWT, so whose it is and when it expires is unknown");
    let ended = doctor(&fixture, &["--json"]).env("DEVREV_API_TOKEN", jwt(i64::MAX)).run().exits(0);
    assert_check(&ended, "token", "ok", "does not say when it expires");
}

/// Each right that is missing is told with the job that needs it, and no other job suffers.
#[test]
fn what_the_token_may_not_read_is_told_for_each_job() {
    for (path, jobs, what) in [
        ("groups.list", &["backfill"][..], "groups"),
        ("groups.members.list", &["backfill"], "their members"),
        ("rev-users.list", &["merge", "update"], "contacts"),
        ("conversations.list", &["merge"], "conversations"),
        ("timeline-entries.list", &["merge"], "timelines"),
        ("works.list", &["backfill", "merge", "update"], "works"),
        ("accounts.list", &["update"], "accounts"),
        ("rev-orgs.list", &["update"], "workspaces"),
        ("tags.list", &["update"], "tags"),
    ] {
        let fixture = Fixture::broken(&Org::of(5), [format!("path={path},status=403")]);
        let ended = doctor(&fixture, &["--json"]).run();
        for job in ["backfill", "merge", "update"] {
            if jobs.contains(&job) {
                assert_check(&ended, job, "warning", &format!("may not read {what}: "));
                assert_check(&ended, job, "warning", &format!("{path}: 403"));
                assert_check(&ended, job, "warning", "needs that: take a token of a user who may");
            } else {
                assert_ne!(check(&ended, job)["state"], "warning", "{path} {job}");
            }
        }
        assert_eq!(fixture.writes(), 0);
    }
    let fixture = Fixture::broken(&Org::of(5), ["path=groups.list,status=503"]);
    let ended = doctor(&fixture, &["--json"]).run().exits(0);
    assert_check(&ended, "backfill", "not-checked", "not known: groups (groups.list: 503");
}

#[test]
fn a_token_that_devrev_refuses_is_said_to_have_expired() {
    let fixture = Fixture::broken(&Org::of(1), ["path=dev-users.self,status=401"]);
    let token = jwt(chrono::Utc::now().timestamp() - 60);
    let ended = doctor(&fixture, &["--json"]).env("DEVREV_API_TOKEN", token).run().exits(4);
    assert_check(&ended, "token", "problem", "belongs to devu/7 of devo/TEST, expired at 2");
    assert_check(&ended, "token", "problem", "; DevRev refuses it (");
}

#[test]
fn no_token_or_none_that_can_be_sent() {
    let fixture = Fixture::new(&Org::of(1));
    let ended = doctor(&fixture, &["--json"]).without("DEVREV_API_TOKEN").run().exits(2);
    assert_check(&ended, "token", "problem", "no token: put one into DEVREV_API_TOKEN");
    assert_check(&ended, "clock", "not-checked", "see token");
    let ended = doctor(&fixture, &["--json"]).env("DEVREV_API_TOKEN", format!("{TOKEN}\nx")).run().exits(2);
    assert_check(
        &ended,
        "settings",
        "problem",
        "DEVREV_API_TOKEN in the environment: has a line break in it",
    );
    assert_eq!(fixture.stats()["total"], 0);
}

#[test]
fn a_devrev_that_is_not_there() {
    let down = Fixture::down(&Org::of(1));
    let ended = doctor(&down, &["--json"]).run().exits(7);
    assert_check(&ended, "connection", "problem", "nothing listens there");
    assert_check(&ended, "latency", "not-checked", "see connection");
    assert_check(&ended, "disk-space", "ok", " free");
    doctor(&down, &[]).run().exits(7).says("Connection refused");

    let plain = Fixture::new(&Org::of(1));
    let tls = plain.base_url().replace("http://", "https://");
    let ended = doctor(&plain, &["--json"]).env("DEVREV_BASE_URL", tls).run().exits(7);
    assert_check(&ended, "connection", "problem", "speaks no TLS");

    for (fault, says) in [("status=503", "503 Service Unavailable"), ("reset=before", "try again")] {
        let fixture = Fixture::broken(&Org::of(1), [fault]);
        let ended = doctor(&fixture, &["--json"]).run().exits(7);
        assert_check(&ended, "connection", "problem", says);
        // Tries are as many as asked for.
        assert_eq!(fixture.calls("dev-users.self"), 1);
        doctor(&fixture, &["--max-retries", "2"]).run().exits(7);
        assert_eq!(fixture.calls("dev-users.self"), 4);
    }
}

#[test]
fn a_base_url_that_is_not_the_apis() {
    let page = Fixture::broken(&Org::of(1), ["html"]);
    let ended = doctor(&page, &["--json"]).run().exits(2);
    assert_check(&ended, "base-url", "problem", "(DEVREV_BASE_URL in the environment) points at a web page");
    assert_check(&ended, "connection", "ok", "");
    let no_path = Fixture::broken(&Org::of(1), ["status=404"]);
    let ended = doctor(&no_path, &["--json"]).run().exits(2);
    assert_check(&ended, "base-url", "problem", "correct DEVREV_BASE_URL");
    let other = doctor(&no_path, &["--json"]).env("DEVREV_BASE_URL", serve("", "{}")).run().exits(2);
    assert_check(&other, "base-url", "problem", "is not DevRev's API");
}

#[test]
fn calls_that_fail_now_and_then() {
    let fixture = Fixture::broken(&Org::of(1), ["path=dev-users.self,status=502,after=2,count=2"]);
    let ended = doctor(&fixture, &["--json"]).run().exits(0);
    assert_check(&ended, "latency", "warning", "3 of 5 calls succeeded: dev-users.self: 502");
    assert_eq!(ended.json()["worst"], "warning");
    doctor(&fixture, &[]).run().exits(0).says("ready: nothing is wrong");
}

#[test]
fn the_rate_limit_and_what_is_left_of_it() {
    let fixture = Fixture::with(&Org::of(1), &Trouble::rate_limit("100/300"));
    let ended = doctor(&fixture, &["--json"]).run().exits(0);
    assert_check(&ended, "rate-limit", "ok", "81 of 100 calls are left in DevRev's window, which ends in ");
    assert_check(&ended, "rate-limit", "ok", "configured: no limit but DevRev's");
    let flags = ["--json", "--rate-limit-calls", "1000", "--rate-limit-period", "10"];
    let ended = doctor(&fixture, &flags).run().exits(0);
    assert_check(&ended, "rate-limit", "warning", "62 of 100 calls are left");
    assert_check(&ended, "rate-limit", "warning", "set RATE_LIMIT_CALLS to 3 at most (in 10 s)");
    let low = Fixture::with(&Org::of(1), &Trouble::rate_limit("19/300"));
    let ended = doctor(&low, &["--json"]).run().exits(0);
    assert_check(&ended, "rate-limit", "warning", "0 of 19 calls are left");
    // Nobody waits for five minutes to be told.
    let closed = Fixture::broken(&Org::of(1), ["status=429,retry_after=300"]);
    let ended = doctor(&closed, &["--json"]).run().exits(7);
    assert_check(&ended, "rate-limit", "problem", "used up: DevRev accepts no calls for another ");
    assert_check(&ended, "connection", "ok", "plain http to this machine");
}

/// Answers one request after another with these headers; the address that it listens at.
fn serve(headers: &'static str, body: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = [0; 8192];
            let _ = stream.read(&mut request);
            let length = body.len();
            let head =
                format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n");
            let _ = stream.write_all(format!("{head}{body}").as_bytes());
        }
    });
    url
}

#[test]
fn a_clock_that_is_wrong_and_a_server_that_says_little() {
    let fixture = Fixture::down(&Org::of(1));
    let body = r#"{"dev_user":{"id":"","display_name":"\u001b[2Jx"},"works":[]}"#;
    let old = serve("Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n", body);
    // By DevRev's clock this token is good for long.
    let expired = jwt(chrono::Utc::now().timestamp() - 60);
    let program = |flags: &[&str]| doctor(&fixture, flags).env("DEVREV_API_TOKEN", &expired);
    let ended = program(&["--json"]).env("DEVREV_BASE_URL", old).run().exits(0);
    assert_check(&ended, "clock", "warning", " s ahead of DevRev's");
    assert_check(&ended, "token", "ok", "expires at 2");
    let silent = serve("X-Ratelimit-Limit: many\r\n", body);
    let ended = program(&["--json"]).env("DEVREV_BASE_URL", &silent).run().exits(0);
    assert_check(&ended, "clock", "not-checked", "have no date");
    // It is this machine's clock that may be wrong.
    assert_check(&ended, "token", "warning", "and DevRev still takes it");
    assert_check(&ended, "rate-limit", "not-checked", "name no limit");
    assert_check(&ended, "group-field", "not-checked", "on none of 0 issues:");
    let ended = program(&["--color", "always"]).env("DEVREV_BASE_URL", silent).run().exits(0);
    assert!(!ended.out.contains("\x1b[2J") && ended.out.contains("\u{fffd}[2Jx"), "{}", ended.out);
    assert!(ended.out.contains("\x1b[33mwarning\x1b[0m"), "{}", ended.out);
}

#[test]
fn a_signal_ends_it_at_once() {
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        let fixture = Fixture::broken(&Org::of(1), ["path=dev-users.self,hang"]);
        let running = doctor(&fixture, &["--json"]).run_until(|| fixture.calls("dev-users.self") > 0);
        running.signal(signal);
        let ended = running.wait().exits(code);
        assert_eq!(ended.json()["error"], json!({"exit": code, "message": "interrupted"}));
        assert_eq!(ended.err, "error: interrupted\n");
    }
}
