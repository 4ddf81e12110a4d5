//! The reader against a server on this machine that answers what the test says.

use super::*;
use crate::net::rate::Rate;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const KEY: &str = "k3y-that-nobody-may-see";
const CURSOR: &str = "curs0r/with+a/secret";

/// What a server was asked: when, and the head and the body as they came.
type Asked = Arc<Mutex<Vec<(Instant, String)>>>;

/// A whole request; `None` where the other end has left.
async fn request(stream: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
                return Some(text);
            }
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
}

/// Answers the nth request with these bytes, and closes its connection.
async fn serve(answers: impl Fn(usize) -> Vec<u8> + Send + Sync + 'static) -> (Url, Asked) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    let (asked, answers) = (Asked::default(), Arc::new(answers));
    let seen = asked.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let (seen, answers) = (seen.clone(), answers.clone());
            tokio::spawn(async move {
                let Some(text) = request(&mut stream).await else { return };
                let n = {
                    let mut seen = seen.lock().unwrap();
                    seen.push((Instant::now(), text));
                    seen.len() - 1
                };
                let _ = stream.write_all(&answers(n)).await;
                let _ = stream.shutdown().await;
            });
        }
    });
    (base, asked)
}

fn answer(status: &str, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n{body}")
        .into()
}

fn settings(base: &Url) -> ReaderSettings {
    ReaderSettings {
        name: "http",
        base: base.clone(),
        pace: PaceSettings::default(),
        retry: RetryPolicy { max_retries: 2, base: Duration::from_millis(2) },
        breaker: BreakerSettings { threshold: 100, cooldown: Duration::from_millis(1), probes: 2 },
        max_body: 1 << 20,
    }
}

fn reader(base: &Url) -> HttpReader {
    HttpReader::new(settings(base), Stop::default()).unwrap()
}

/// A read with a secret in each place where one may be.
fn get(base: &Url) -> HttpRequest {
    let mut url = base.join("/v1/things").unwrap();
    url.query_pairs_mut().append_pair("cursor", CURSOR);
    url.set_username("somebody").unwrap();
    url.set_password(Some("a-long-passw0rd")).unwrap();
    let key = (HeaderName::from_static("x-api-key"), SecretString::from(format!("Key token=\"{KEY}\"")));
    HttpRequest { method: Method::Get, url, headers: vec![key] }
}

async fn failure(base: &Url) -> ApiError {
    let error = reader(base).read(&get(base)).await.unwrap_err();
    let place = format!("http: GET {base}v1/things: ");
    assert!(error.to_string().starts_with(&place), "{error}");
    error
}

fn assert_hidden(text: &str) {
    for secret in ["k3y-", "curs0r", "somebody", "passw0rd"] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
}

#[tokio::test]
async fn each_answer_has_its_class_and_its_words() {
    let html = "<html>\n no </html>";
    let cases = [
        (answer("401 Unauthorized", "", r#"{"message":"bad key"}"#), ErrorKind::Unauthorized, 1, "bad key"),
        (answer("403 Forbidden", "", r#"{"error":"no"}"#), ErrorKind::Forbidden, 1, r#": {"error":"no"}"#),
        (answer("404 Not Found", "", html), ErrorKind::NotFound, 1, "404 Not Found: <html> no </html>"),
        (answer("409 Conflict", "", ""), ErrorKind::Conflict, 1, "409"),
        (answer("422 Unprocessable Entity", "", ""), ErrorKind::Refused, 1, "422"),
        (
            answer("200 OK", "content-type: text/html\r\n", html),
            ErrorKind::Unreadable,
            3,
            "not JSON (text/html",
        ),
        (answer("200 OK", "", ""), ErrorKind::Unreadable, 3, "not JSON"),
        (
            answer("503 Service Unavailable", "", html),
            ErrorKind::Server,
            3,
            "503 Service Unavailable: <html>",
        ),
        (answer("408 Request Timeout", "", ""), ErrorKind::Broken, 3, "408"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{\"a\":".to_vec(), ErrorKind::Broken, 3, "no answer"),
        (Vec::new(), ErrorKind::Broken, 3, "no answer"),
    ];
    for (answer, kind, attempts, words) in cases {
        let text = String::from_utf8_lossy(&answer).into_owned();
        let (base, asked) = serve(move |_| answer.clone()).await;
        let error = failure(&base).await;
        assert_eq!((&error.kind, error.attempts), (&kind, attempts), "{text}: {error}");
        assert!(error.text.contains(words), "{error}");
        assert_eq!(asked.lock().unwrap().len(), attempts as usize, "{text}");
    }
}

#[tokio::test]
async fn nobody_there_is_no_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    drop(listener);
    assert_eq!(failure(&base).await.kind, ErrorKind::Connect);
}

#[tokio::test]
async fn what_passes_is_waited_for_and_counted() {
    let passes = |n: usize| match n {
        0 => answer("429 Too Many Requests", "retry-after: 0.002\r\n", ""),
        // Some APIs say so with a 403.
        1 => answer("403 Forbidden", "x-ratelimit-remaining: 0\r\nx-ratelimit-reset: 0.002\r\n", ""),
        2 => answer("403 Forbidden", "retry-after: 0.002\r\n", ""),
        3 => Vec::new(),
        4 => answer("500 Internal Server Error", "", ""),
        _ => answer("200 OK", "link: next\r\n", r#"{"things":[]}"#),
    };
    let (base, _) = serve(passes).await;
    let reader = reader(&base);
    let HttpAnswer { status, headers, body } = reader.read(&get(&base)).await.unwrap();
    assert_eq!((status, body.as_slice()), (StatusCode::OK, br#"{"things":[]}"#.as_slice()));
    assert_eq!(headers["link"], "next");
    let figures = reader.figures();
    assert_eq!((figures.calls.calls, figures.calls.retries, figures.calls.throttled), (6, 2, 1));
    assert_eq!(figures.calls.endpoints["http"].latencies.count(), 6);
}

#[tokio::test]
async fn a_request_is_sent_as_it_was_given() {
    let (base, asked) = serve(|_| answer("200 OK", "", "[]")).await;
    let reader = reader(&base);
    reader.read(&get(&base)).await.unwrap();
    let search = HttpRequest { method: Method::Post(r#"{"limit":7}"#.into()), ..get(&base) };
    reader.read(&search).await.unwrap();
    let mut other = search.clone();
    other.headers.push((CONTENT_TYPE, SecretString::from("application/graphql")));
    reader.read(&other).await.unwrap();
    let asked = asked.lock().unwrap();
    let sent: Vec<&str> = asked.iter().map(|(_, text)| text.as_str()).collect();
    assert!(
        sent[0].starts_with("GET /v1/things?cursor=curs0r%2Fwith%2Ba%2Fsecret HTTP/1.1\r\n"),
        "{}",
        sent[0]
    );
    assert!(!sent[0].contains("content-type"), "{}", sent[0]);
    for text in &sent {
        assert!(text.contains(&format!("x-api-key: Key token=\"{KEY}\"\r\n")), "{text}");
        assert!(
            text.contains("authorization: Basic ") && text.contains("accept: application/json\r\n"),
            "{text}"
        );
    }
    assert!(sent[1].starts_with("POST /v1/things?cursor=") && sent[1].ends_with("\r\n\r\n{\"limit\":7}"));
    assert!(sent[1].contains("content-type: application/json\r\n"), "{}", sent[1]);
    assert!(
        sent[2].contains("content-type: application/graphql\r\n")
            && !sent[2].contains("application/json\r\ncontent")
    );
}

#[tokio::test]
async fn a_redirect_is_an_error_that_says_where_to() {
    let (elsewhere, not_asked) = serve(|_| answer("200 OK", "", "[]")).await;
    let to = |url: &str| format!("location: {url}\r\n");
    let cases = [
        (to(&format!("{elsewhere}login?token={KEY}")), format!("{elsewhere}login")),
        (
            to(&format!("https://somebody:passw0rd@example.com/a?b={CURSOR}#c")),
            "https://example.com/a".to_owned(),
        ),
        (to("mailto:somebody@example.com"), "mailto:...".to_owned()),
    ];
    for status in ["301 Moved Permanently", "302 Found", "307 Temporary Redirect", "308 Permanent Redirect"] {
        for (header, shown) in &cases {
            let found = answer(status, header, "<html>moved</html>");
            let (base, asked) = serve(move |_| found.clone()).await;
            let error = failure(&base).await;
            assert!(error.text.ends_with(&format!("redirects are not followed (now at {shown})")), "{error}");
            assert_eq!(error.kind, ErrorKind::Moved { to: Some(shown.clone()) });
            assert_eq!(asked.lock().unwrap().len(), 1);
            assert_hidden(&error.to_string());
        }
    }
    let (base, _) = serve(|_| answer("302 Found", "location: ../v2/x?y\r\n", "")).await;
    assert_eq!(failure(&base).await.kind, ErrorKind::Moved { to: Some(format!("{base}v2/x")) });
    assert!(not_asked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn nothing_is_sent_to_another_origin() {
    let (base, asked) = serve(|_| answer("200 OK", "", "[]")).await;
    let (other, not_asked) = serve(|_| answer("200 OK", "", "[]")).await;
    let reader = reader(&base);
    let mut tls = base.clone();
    tls.set_scheme("https").unwrap();
    let mut name = base.clone();
    name.set_host(Some("localhost")).unwrap();
    let file = Url::parse("file:///etc/passwd").unwrap();
    for url in [other, tls, name, file] {
        let request = HttpRequest { url, ..get(&base) };
        let error = reader.read(&request).await.unwrap_err();
        assert_eq!((&error.kind, error.attempts), (&ErrorKind::Refused, 0));
        let own = base.origin().ascii_serialization();
        assert!(
            error.text.ends_with(&format!("not sent: requests and credentials go to {own} only")),
            "{error}"
        );
    }
    assert!(asked.lock().unwrap().is_empty() && not_asked.lock().unwrap().is_empty());
    assert_eq!(reader.figures().calls.calls, 0);
}

#[test]
fn only_https_or_this_machine_is_read_from() {
    for (base, is_safe) in [
        ("https://api.example.com/v1", true),
        ("http://127.0.0.1:1", true),
        ("http://somebody:passw0rd@api.example.com/v1?k3y-", false),
        ("ftp://127.0.0.1", false),
    ] {
        let made = HttpReader::new(settings(&Url::parse(base).unwrap()), Stop::default());
        assert_eq!(made.is_ok(), is_safe, "{base}");
        if let Err(error) = made {
            assert!(error.to_string().contains("neither https nor http to this machine"), "{error}");
            assert_hidden(&error.to_string());
        }
    }
}

#[tokio::test]
async fn no_error_quotes_a_secret() {
    let quoted = [
        KEY.to_owned(),
        format!("Key token=\"{KEY}\""),
        CURSOR.to_owned(),
        "cursor=curs0r%2Fwith%2Ba%2Fsecret".to_owned(),
        "a-long-passw0rd".to_owned(),
    ];
    for secret in quoted {
        let body = serde_json::json!({"message": format!("what is {secret}?")}).to_string();
        let location = format!("location: /{secret}\r\n");
        for (status, headers) in [
            ("400 Bad Request", ""),
            ("401 Unauthorized", ""),
            ("302 Found", location.as_str()),
            ("200 OK", "content-type: text/plain\r\n"),
        ] {
            let body = if status == "200 OK" { format!("no: {body}") } else { body.clone() };
            let said = answer(status, headers, &body);
            let (base, _) = serve(move |_| said.clone()).await;
            let error = failure(&base).await;
            assert_hidden(&format!("{error} {error:?}"));
        }
    }
    let base = Url::parse("https://api.example.com").unwrap();
    let unsendable = SecretString::from(format!("{KEY}\n"));
    let request = HttpRequest { headers: vec![(HeaderName::from_static("x-key"), unsendable)], ..get(&base) };
    let error = reader(&base).read(&request).await.unwrap_err();
    assert!(error.text.contains("the header `x-key` has characters that cannot be sent"), "{error}");
    assert_hidden(&format!("{error} {request:?} {:?}", reader(&base)));
}

#[tokio::test]
async fn an_answer_that_is_too_long_is_refused_and_not_asked_for_again() {
    let long = format!("[\"{}\"]", "x".repeat(2000));
    let (base, asked) = serve(move |_| answer("200 OK", "", &long)).await;
    for (max_body, reads) in [(2004, true), (2003, false)] {
        let reader =
            HttpReader::new(ReaderSettings { max_body, ..settings(&base) }, Stop::default()).unwrap();
        let read = reader.read(&get(&base)).await;
        assert_eq!(read.is_ok(), reads, "{max_body}");
        assert!(reads || read.is_err_and(|error| error.kind == ErrorKind::Unexpected));
    }
    assert_eq!(asked.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn a_body_is_json_that_a_strict_parser_accepts() {
    let bodies = ["\u{feff}{\"a\":1}", r#"["\ud83d"]"#, "7 "];
    let (base, _) = serve(move |n| match bodies.get(n) {
        Some(body) => answer("200 OK", "", body),
        None => answer("204 No Content", "", ""),
    })
    .await;
    let reader = reader(&base);
    for body in ["{\"a\":1}", r#"["\ufffd"]"#, "7 ", ""] {
        let read = reader.read(&get(&base)).await.unwrap();
        assert_eq!(String::from_utf8(read.body).unwrap(), body);
    }
}

#[tokio::test]
async fn no_window_sees_more_than_the_rate_with_eight_side_by_side() {
    const PERIOD: Duration = Duration::from_millis(150);
    const CALLS: u32 = 19;
    let (base, asked) = serve(|n| if n % 17 == 3 { Vec::new() } else { answer("200 OK", "", "[]") }).await;
    let rate = Rate { calls: NonZeroU32::new(CALLS).unwrap(), period: PERIOD };
    let pace = PaceSettings { rate: Some(rate), ..PaceSettings::default() };
    let reader = HttpReader::new(ReaderSettings { pace, ..settings(&base) }, Stop::default()).unwrap();
    let request = get(&base);
    let workers = (0..8).map(|_| async {
        for _ in 0..12 {
            reader.read(&request).await.unwrap();
        }
    });
    futures_util::future::join_all(workers).await;
    let times: Vec<Instant> = asked.lock().unwrap().iter().map(|(at, _)| *at).collect();
    assert!(times.len() > 96, "some were tried again");
    // A call arrives after it was let out, and before it is answered.
    let most =
        (0..times.len()).map(|i| times[i..].iter().take_while(|at| **at < times[i] + PERIOD).count()).max();
    assert!(most.is_some_and(|most| most <= CALLS as usize), "{most:?}");
    assert!(reader.figures().time.waiting > Duration::ZERO);
}
