//! `runs serve`: a page about all runs for a browser, and for nobody else.

use crate::support::browser::Browser;
use crate::support::fixture::Trouble;
use crate::support::past::{copy, edit};
use crate::support::program::{Program, Running};
use crate::support::site::TOKEN;
use crate::support::{Fixture, Merging, Org, People, Run, eventually};
use serde_json::{Value, json};
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::symlink;

/// A server, and where it is.
struct Served {
    running: Running,
    addr: String,
    token: String,
}

impl Served {
    fn start(program: Program) -> Self {
        let running = program.args(["--listen", "0", "--json"]).without("DEVREV_API_TOKEN").spawn();
        eventually("the server to listen", || running.out().ends_with('\n'));
        let line: Value = serde_json::from_str(&running.out()).unwrap();
        let url = line["url"].as_str().unwrap();
        let (addr, token) = url.trim_start_matches("http://").split_once('/').unwrap();
        let (addr, token) = (addr.to_owned(), token.trim_end_matches('/').to_owned());
        Self { running, addr, token }
    }

    fn of(fixture: &Fixture) -> Self {
        Self::start(fixture.program(["runs", "serve"]))
    }

    /// What is answered to these lines: the head and the body.
    fn send(&self, request: &str) -> (String, String) {
        let mut stream = TcpStream::connect(&self.addr).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        // To its end: no connection is kept.
        stream.read_to_end(&mut answer).unwrap();
        let answer = String::from_utf8(answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        (head.to_owned(), body.to_owned())
    }

    fn ask(&self, method: &str, path: &str) -> (String, String) {
        self.send(&format!("{method} {path} HTTP/1.1\r\nHost: {}\r\n\r\n", self.addr))
    }

    /// A page behind the token.
    #[track_caller]
    fn page(&self, path: &str) -> String {
        let (head, body) = self.ask("GET", &format!("/{}/{path}", self.token));
        assert!(head.starts_with("HTTP/1.1 200 OK"), "{path}: {head}\n{body}");
        for line in [
            "content-type: text/html; charset=utf-8",
            "cache-control: no-store",
            "referrer-policy: no-referrer",
            "x-content-type-options: nosniff",
            "x-frame-options: DENY",
            "connection: close",
        ] {
            assert!(head.contains(line), "{line}: {head}");
        }
        assert!(
            head.contains("content-security-policy: ") && head.contains("frame-ancestors 'none'"),
            "{head}"
        );
        assert!(body.starts_with("<!DOCTYPE html>") && body.trim_end().ends_with("</html>"), "{body}");
        for absent in ["<script", "<img", " style=", "src=\"", "javascript:", TOKEN, &self.token] {
            assert!(!body.contains(absent), "{absent}: {body}");
        }
        body
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}/{}/{path}", self.addr, self.token)
    }

    /// Ends it as an operator does.
    #[track_caller]
    fn stop(self, signal: &str) {
        self.running.signal(signal);
        let ended = self.running.wait().exits(0);
        assert_eq!(ended.err, "", "{}", ended.all());
    }
}

/// An organisation of three issues, and a finished run of it in which one has failed.
fn fixture() -> (Fixture, Run) {
    let fixture = Fixture::broken(&Org::of(3), ["path=works.update,status=409,count=1"]);
    fixture.backfill(&["--concurrency", "1"]).run().exits(3);
    let run = fixture.the_run();
    (fixture, run)
}

fn id(number: u32) -> String {
    format!("20260102-{number:06}-backfill-groups-0001")
}

#[test]
fn runs_are_shown_and_their_reports() {
    let (fixture, run) = fixture();
    fixture.backfill(&["--dry-run"]).run().exits(0);
    let served = Served::of(&fixture);
    let list = served.page("");
    for text in [
        run.id(),
        "backfill-groups",
        "dry run",
        "<code>conflict</code> 1",
        "3 rows",
        "2 done",
        &format!("href=\"runs/{}/\"", run.id()),
        &format!("href=\"runs/{}/report.html\"", run.id()),
        "<meta http-equiv=\"refresh\" content=\"30\">",
        "default-src 'none'; style-src 'sha256-",
    ] {
        assert!(list.contains(text), "{text}: {list}");
    }
    let one = served.page(&format!("runs/{}/", run.id()));
    for text in
        ["What to do next", "--retry-failed", "3: finished, but some rows failed", "<code>conflict</code>"]
    {
        assert!(one.contains(text), "{text}: {one}");
    }
    let report = served.page(&format!("runs/{}/report.html", run.id()));
    assert_eq!(report, fs::read_to_string(run.file("report.html")).unwrap());
    let (head, _) = served.ask("GET", &format!("/{}/runs/{}/report.html", served.token, run.id()));
    assert!(head.contains("content-security-policy: sandbox ") && !head.contains("allow-scripts"), "{head}");
    let stats = served.page("stats");
    assert!(stats.contains("Rows a second") && stats.contains("aria-current=\"page\">Statistics"), "{stats}");

    // Which runs, and for ever.
    for (query, shown) in [
        ("?job=backfill-groups", 2),
        ("?job=undo", 0),
        ("?state=failures", 1),
        ("?state=finished", 2),
        ("?state=running", 0),
        ("?days=1", 2),
        ("?days=1&job=backfill&state=finished&pause=1", 2),
        ("?page=7", 2),
        ("?page=x&days=-1&state=&%00", 2),
    ] {
        let page = served.page(query);
        assert_eq!(page.matches("class=\"who\"").count(), shown, "{query}: {page}");
        assert_eq!(page.contains("http-equiv=\"refresh\""), !query.contains("pause"), "{query}");
    }
    served.stop("TERM");
}

#[test]
fn nobody_else_is_answered() {
    let (fixture, run) = fixture();
    let served = Served::of(&fixture);
    let (token, addr) = (&served.token, &served.addr);
    // Whatever there is, and whatever is not there, nobody can tell without the token.
    let paths = [
        "/".to_owned(),
        "/stats".to_owned(),
        format!("/{}/", "0".repeat(32)),
        format!("/{token}x/"),
        format!("/{}/", &token[..31]),
        format!("/x/{token}/"),
        format!("/?{token}"),
        format!("/runs/{}/report.html", run.id()),
        "/metrics".to_owned(),
    ];
    let none = served.ask("GET", "/");
    assert!(none.0.starts_with("HTTP/1.1 404") && none.1 == "not found\n", "{none:?}");
    let without_date = |head: &str| head.lines().filter(|line| !line.starts_with("date")).collect::<String>();
    for path in paths {
        for method in ["GET", "POST", "DELETE"] {
            let (head, body) = served.ask(method, &path);
            assert_eq!(
                (without_date(&head), body),
                (without_date(&none.0), none.1.clone()),
                "{method} {path}"
            );
        }
    }
    // A name that some page from elsewhere made stand for this machine.
    for host in ["evil.example.com", &format!("evil.example.com:{}", addr.split(':').nth(1).unwrap()), ""] {
        let (head, body) = served.send(&format!("GET /{token}/ HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        assert!(head.starts_with("HTTP/1.1 403") && !body.contains(run.id()), "{host}: {head}");
    }
    let no_host = served.send(&format!("GET /{token}/ HTTP/1.0\r\n\r\n"));
    assert!(no_host.0.contains(" 403 "), "{no_host:?}");
    for host in ["localhost", "127.0.0.1:1", "[::1]:80", "10.0.0.1"] {
        let (head, _) = served.send(&format!("GET /{token}/ HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        assert!(head.starts_with("HTTP/1.1 200"), "{host}: {head}");
    }
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"] {
        let (head, _) = served.ask(method, &format!("/{token}/"));
        assert!(head.starts_with("HTTP/1.1 405") && head.contains("allow: GET, HEAD"), "{method}: {head}");
    }
    for path in ["", "stats", &format!("runs/{}/", run.id()), &format!("runs/{}/report.html", run.id())] {
        let path = format!("/{token}/{path}");
        let ((head, body), (with_body, whole)) = (served.ask("HEAD", &path), served.ask("GET", &path));
        assert!(head.starts_with("HTTP/1.1 200") && body.is_empty(), "{path}: {head}");
        assert!(with_body.contains(&format!("content-length: {}", whole.len())), "{with_body}");
    }
    let garbage = served.send("\0\0\0 nonsense\r\n\r\n");
    assert!(garbage.0.contains(" 400 "), "{garbage:?}");
    let long = served.ask("GET", &format!("/{token}/?{}", "x".repeat(5000)));
    assert!(long.0.contains(" 404 "), "{}", long.0);
    // The address without its last slash leads to the one with it.
    let (head, _) = served.ask("GET", &format!("/{token}"));
    assert!(head.contains(" 307 ") || head.contains(" 308 "), "{head}");
    assert!(head.contains(&format!("location: /{token}/")), "{head}");
    served.stop("INT");
}

#[test]
fn no_other_file_is_reached() {
    let (fixture, run) = fixture();
    let secret = fixture.write("secret.html", "<!DOCTYPE html>top secret</html>");
    let link = copy(&fixture, &run, &id(1), |_| ());
    fs::remove_file(link.file("report.html")).unwrap();
    symlink(&secret, link.file("report.html")).unwrap();
    let none = copy(&fixture, &run, &id(2), |_| ());
    fs::remove_file(none.file("report.html")).unwrap();
    let folder = copy(&fixture, &run, &id(3), |_| ());
    fs::remove_file(folder.file("report.html")).unwrap();
    fs::create_dir(folder.file("report.html")).unwrap();
    let served = Served::of(&fixture);
    let run = run.id();
    for path in [
        "runs/../secret.html".to_owned(),
        format!("runs/{run}/../../../secret.html"),
        format!("runs/{run}/..%2f..%2f..%2fsecret.html"),
        format!("runs/{run}/journal.jsonl"),
        format!("runs/{run}/run.json"),
        format!("runs/{run}/input.csv"),
        format!("runs/{run}/report.html/"),
        format!("runs/{run}/report.html%00"),
        format!("runs/{run}//report.html"),
        format!("runs//{run}/report.html"),
        format!("runs/./{run}/report.html"),
        format!("runs/{run}%2freport.html"),
        "runs/../report.html".to_owned(),
        "runs/./report.html".to_owned(),
        "runs/..%2f/report.html".to_owned(),
        "runs/".to_owned(),
        format!("runs/{run}"),
        "runs/20990101-000000-undo-0000/".to_owned(),
        "runs/20990101-000000-undo-0000/report.html".to_owned(),
        format!("runs/{}/report.html", link.id()),
        format!("runs/{}/report.html", none.id()),
        format!("runs/{}/report.html", folder.id()),
        "../../etc/passwd".to_owned(),
        "%2e%2e/secret.html".to_owned(),
        "//".to_owned(),
        "statsx".to_owned(),
    ] {
        let (head, body) = served.ask("GET", &format!("/{}/{path}", served.token));
        assert!(head.starts_with("HTTP/1.1 404") && !body.contains("top secret"), "{path}: {head}\n{body}");
    }
    // No link leads there.
    let list = served.page("");
    for id in [link.id(), none.id(), folder.id()] {
        assert!(list.contains(id) && !list.contains(&format!("{id}/report.html")), "{list}");
    }
    served.stop("TERM");
}

#[test]
fn a_run_is_seen_as_it_gets_on() {
    let mut fixture = Fixture::broken(&Org::of(40), ["path=works.update,hang=before,after=10,count=1"]);
    let served = Served::of(&fixture);
    assert!(served.page("").contains("There are no such runs."));
    let running = fixture.backfill(&["--concurrency", "1"]).run_until(|| fixture.calls("works.update") >= 11);
    let run = fixture.the_run();
    eventually("ten rows on the page", || served.page("").contains("10 of 40 rows (25 %)"));
    let list = served.page("");
    for text in
        ["Running now", "under way", "rows/s", "<meta http-equiv=\"refresh\" content=\"4\">", "10 done"]
    {
        assert!(list.contains(text), "{text}: {list}");
    }
    let one = format!("runs/{}/", run.id());
    let page = served.page(&one);
    assert!(
        page.contains("10 of 40 rows (25 %)")
            && page.contains("running")
            && !page.contains("What to do next"),
        "{page}"
    );

    fixture.restart(&Trouble::faults(["path=works.update,status=409,count=7"]));
    running.wait().exits(3);
    eventually("its end on the page", || served.page(&one).contains("finished, but some rows failed"));
    let page = served.page(&one);
    assert!(page.contains("40 rows") && page.contains("<code>conflict</code>"), "{page}");
    assert!(page.contains("href=\"report.html\"") && page.contains("--retry-failed"), "{page}");
    eventually("no run at work", || !served.page("").contains("Running now"));
    served.stop("TERM");
}

#[test]
fn pairs_under_way_and_a_crash_are_seen() {
    let fixture = Merging::broken(&People::of(1), ["path=rev-users.merge,hang=before,count=1"]);
    let running = fixture.merge(&[]).run_until(|| fixture.calls("rev-users.merge") >= 1);
    let served = Served::start(fixture.quick(["runs", "serve"]));
    eventually("the pair", || served.page("").contains("pairs: 1 sent"));
    running.kill();
    eventually("the crash", || served.page("").contains("crashed</span>"));
    let list = served.page("?state=crashed");
    assert!(list.contains("2 unknown") && !list.contains("Running now"), "{list}");
    let run = fixture.runs().pop().unwrap();
    let page = served.page(&format!("runs/{}/", run.id()));
    assert!(page.contains("devrev-batch resume ") && page.contains("2 unknown"), "{page}");
    served.stop("TERM");
    fixture.assert_no_token();
}

#[test]
fn damaged_folders_and_hostile_texts_do_no_harm() {
    const HOSTILE: &str = "<script>alert(1)</script>\"'><img src=x>\u{202e}";
    let (fixture, run) = fixture();
    let torn = copy(&fixture, &run, &id(1), |_| ());
    fs::write(torn.file("run.json"), "{\"format\": 2, \"id").unwrap();
    let report = copy(&fixture, &run, &id(2), |_| ());
    fs::write(report.file("report.json"), "[1").unwrap();
    let journal = copy(&fixture, &run, &id(3), |manifest| manifest["state"] = "running".into());
    fs::write(journal.file("journal.jsonl"), "\0\0garbage\n{}\n").unwrap();
    let gone = copy(&fixture, &run, &id(4), |manifest| manifest["state"] = "running".into());
    fs::remove_file(gone.file("journal.jsonl")).unwrap();
    fs::create_dir(gone.file("journal.jsonl")).unwrap();
    fs::create_dir(fixture.path("runs").join(id(5))).unwrap();
    symlink("/not-mounted", fixture.path("runs").join(id(6))).unwrap();
    let hostile = copy(&fixture, &run, &id(7), |manifest| {
        for member in ["command", "base_url", "environment", "why"] {
            manifest[member] = HOSTILE.into();
        }
        manifest["org"]["name"] = HOSTILE.into();
        manifest["state"] = "stopped".into();
        manifest["counts"] = json!({"done": u64::MAX, "failed": u64::MAX, HOSTILE: 1});
        manifest["created_at"] = "+262142-12-31T23:59:59Z".into();
    });
    edit(&hostile, "report.json", |report| {
        report["state"] = "stopped".into();
        report["reasons"] = json!({"failed": {HOSTILE: 1}});
    });
    fs::write(hostile.file("report.html"), format!("<!DOCTYPE html><title>t</title>{HOSTILE}</html>"))
        .unwrap();
    let served = Served::of(&fixture);
    let list = served.page("");
    for number in 1..=7 {
        assert!(list.contains(&id(number)), "{number}: {list}");
    }
    assert!(list.contains("&#60;script&#62;alert(1)") && list.contains("cannot read"), "{list}");
    for number in 1..=7 {
        let page = served.page(&format!("runs/{}/", id(number)));
        assert!(page.contains(&id(number)), "{page}");
    }
    let stats = served.page("stats");
    assert!(stats.contains("Damaged folders") && stats.contains(torn.id()), "{stats}");
    served.page("?job=%3Cscript%3Ealert(1)%3C%2Fscript%3E");
    // A page that someone has changed is given as it is: what keeps it quiet is in the head.
    let (head, body) = served.ask("GET", &format!("/{}/runs/{}/report.html", served.token, hostile.id()));
    assert!(head.contains("content-security-policy: sandbox ") && body.contains("<script>"), "{head}");
    // What becomes well again is shown so.
    fs::copy(run.file("report.json"), report.file("report.json")).unwrap();
    eventually("a report that can be read", || {
        !served.page(&format!("runs/{}/", id(2))).contains("report.json")
    });

    if let Some(browser) = Browser::find() {
        for path in ["", "stats", &format!("runs/{}/", hostile.id())] {
            let looked = browser.visit(&served.url(path));
            assert_eq!(looked.console, [""; 0], "{path}");
            assert!(
                looked.dom.contains("alert(1)") && !looked.dom.contains("<script>alert"),
                "{}",
                looked.dom
            );
        }
        let looked = browser.visit(&served.url(&format!("runs/{}/report.html", hostile.id())));
        assert!(looked.dom.contains("<title>t</title>"), "{}", looked.dom);
        let is_refused = |line: &String| {
            line.contains("script") && (line.contains("sandboxed") || line.contains("Content Security"))
        };
        assert!(looked.console.iter().any(is_refused), "{:?}", looked.console);
    }
    served.stop("TERM");
}

#[test]
fn other_addresses_are_warned_of_and_wrong_ones_refused() {
    let (fixture, _) = fixture();
    let serve = |flags: &[&str]| fixture.program(["runs", "serve"]).args(flags);
    let open = serve(&["--listen", "0.0.0.0:0", "--allow-host", "batch.example.com"]).spawn();
    eventually("the address", || open.out().contains("until Ctrl-C"));
    assert!(open.err().contains("is not this machine's loopback"), "{}", open.err());
    let out = open.out();
    let url = out.split(' ').find(|word| word.starts_with("http://127.0.0.1:")).unwrap();
    let (addr, token) = url.trim_start_matches("http://").split_once('/').unwrap();
    let mut stream = TcpStream::connect(addr).unwrap();
    write!(stream, "GET /{token} HTTP/1.1\r\nHost: batch.example.com\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    serve(&["--listen", addr]).run().exits(2).says("cannot listen at").says("name another port");
    // One that only holds a connection keeps nothing from ending.
    let _idle = TcpStream::connect(addr).unwrap();
    open.signal("TERM");
    open.wait().exits(0);

    for (flags, code, says) in [
        (&["--listen", "nowhere"][..], 2, "--listen: `nowhere` is neither a port nor an address"),
        (&["--listen", "0", "--allow-host", "http://x"], 2, "--allow-host: `http://x` is not a host name"),
        (&["--listen", "0", "--runs-dir", "issues.csv"], 1, "issues.csv"),
    ] {
        serve(flags).run().exits(code).says(says);
    }
}
