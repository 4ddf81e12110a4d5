//! The client against the sandbox: what each way of breaking leads to.

use super::*;
use crate::devrev::any_object::Patch;
use crate::devrev::works::{GroupField, WorkAnswer, WorksGet, WorksUpdate};
use crate::net::caller::STOP_GRACE;
use crate::net::rate::Rate;
use crate::sandbox::{Data, Options, Sandbox};
use std::num::NonZeroU32;
use std::sync::atomic::AtomicU32;
use std::time::{Duration, Instant};

const FIELD: &str = "tnt__creator_group";

async fn sandbox(faults: &[&str]) -> Sandbox {
    let options = Options {
        faults: faults.iter().map(|rule| rule.parse().unwrap()).collect(),
        ..Options::new(Data::demo())
    };
    Sandbox::start(options).await.unwrap()
}

fn client_at(base_url: &str, stop: Stop) -> Client {
    let settings = ClientSettings {
        base_url: Url::parse(base_url).unwrap(),
        token: SecretString::from("t0ken"),
        pace: PaceSettings {
            rate: Some(Rate { calls: NonZeroU32::new(10_000).unwrap(), period: Duration::from_secs(1) }),
            ..PaceSettings::default()
        },
        retry: RetryPolicy { max_retries: 2, base: Duration::from_millis(1) },
        breaker: BreakerSettings { threshold: 100, cooldown: Duration::from_millis(1), probes: 2 },
    };
    Client::new(&settings, stop).unwrap()
}

fn client(sandbox: &Sandbox) -> Client {
    client_at(&sandbox.base_url(), Stop::default())
}

async fn get(client: &Client) -> Result<WorkAnswer, ApiError> {
    client.call(&WorksGet { id: "ISS-1".to_owned() }).await
}

/// Writes, and looks by reading the issue.
async fn write(client: &Client) -> Result<Written<WorkAnswer>, ApiError> {
    let field = GroupField::named(FIELD);
    let update = WorksUpdate::group_of_issue("ISS-1", &field, Some("GROUP-1"));
    let look = || async {
        let found = get(client).await?;
        Ok(if field.read(&found.work).is_some() { Found::Settled(found) } else { Found::NotDone })
    };
    client.write(&update, || true, look).await
}

fn calls(client: &Client, endpoint: &str) -> u64 {
    client.totals().endpoints.get(endpoint).map_or(0, |endpoint| endpoint.calls)
}

#[tokio::test]
async fn each_answer_has_its_class() {
    let cases = [
        ("status=401", ErrorKind::Unauthorized, 1),
        ("status=403", ErrorKind::Forbidden, 1),
        ("status=404", ErrorKind::NotFound, 1),
        ("status=409", ErrorKind::Conflict, 1),
        ("status=400", ErrorKind::Refused, 1),
        ("status=301,location=ISS-2", ErrorKind::Moved { to: Some("ISS-2".to_owned()) }, 1),
        ("status=408", ErrorKind::Broken, 3),
        ("status=500", ErrorKind::Server, 3),
        ("status=503", ErrorKind::Server, 3),
        ("reset=before", ErrorKind::Broken, 3),
        ("truncate", ErrorKind::Broken, 3),
        ("html", ErrorKind::Unreadable, 3),
    ];
    for (fault, kind, attempts) in cases {
        let sandbox = sandbox(&[&format!("path=works.get,{fault}")]).await;
        let error = get(&client(&sandbox)).await.unwrap_err();
        assert_eq!((error.kind.clone(), error.attempts), (kind, attempts), "{fault}: {error}");
    }
}

#[tokio::test]
async fn a_read_gets_over_what_passes() {
    for fault in ["status=500", "status=503", "reset=before", "reset=after", "truncate", "html"] {
        let sandbox = sandbox(&[&format!("path=works.get,count=2,{fault}")]).await;
        let client = client(&sandbox);
        assert!(get(&client).await.is_ok(), "{fault}");
        assert_eq!((calls(&client, "works.get"), client.totals().retries), (3, 2), "{fault}");
    }
}

#[tokio::test]
async fn a_429_is_a_wait_and_no_failed_try() {
    let sandbox = sandbox(&["path=works.get,count=5,status=429,retry_after=0"]).await;
    let client = client(&sandbox);
    assert!(get(&client).await.is_ok());
    assert_eq!((client.totals().throttled, client.totals().retries), (5, 0));
}

#[tokio::test]
async fn a_write_in_doubt_is_looked_at_and_not_sent_twice() {
    for fault in ["reset=after", "truncate", "applied,status=500", "applied,status=503"] {
        let sandbox = sandbox(&[&format!("path=works.update,count=1,{fault}")]).await;
        let client = client(&sandbox);
        assert_eq!(write(&client).await.unwrap().attempts, 1, "{fault}");
        assert_eq!((calls(&client, "works.update"), calls(&client, "works.get")), (1, 1), "{fault}");
    }
}

#[tokio::test]
async fn a_write_that_did_not_take_is_sent_again() {
    for fault in ["reset=before", "html", "status=500"] {
        let sandbox = sandbox(&[&format!("path=works.update,count=1,{fault}")]).await;
        let client = client(&sandbox);
        assert_eq!(write(&client).await.unwrap().attempts, 2, "{fault}");
        assert_eq!((calls(&client, "works.update"), calls(&client, "works.get")), (2, 1), "{fault}");
    }
}

#[tokio::test]
async fn a_write_without_a_look_is_sent_once() {
    let sandbox = sandbox(&["path=works.update,reset=after"]).await;
    let client = client(&sandbox);
    let update = WorksUpdate::group_of_issue("ISS-1", &GroupField::named(FIELD), Some("GROUP-1"));
    let error = client.call(&update).await.unwrap_err();
    assert_eq!((error.effect, error.attempts), (Effect::Unknown, 1));
    assert_eq!(calls(&client, "works.update"), 1);
}

#[tokio::test]
async fn a_write_whose_look_fails_stays_unknown() {
    let sandbox = sandbox(&["path=works.update,reset=before", "path=works.get,status=500"]).await;
    let client = client(&sandbox);
    let error = write(&client).await.unwrap_err();
    assert_eq!(error.effect, Effect::Unknown, "{error}");
    assert_eq!(calls(&client, "works.update"), 1);
}

#[tokio::test]
async fn a_write_that_certainly_failed_has_no_effect() {
    let sandbox = sandbox(&["path=works.update,reset=before"]).await;
    let error = write(&client(&sandbox)).await.unwrap_err();
    assert_eq!((error.effect, error.attempts), (Effect::None, 3), "{error}");
}

#[tokio::test]
async fn nobody_there_is_no_connection() {
    let sandbox = sandbox(&[]).await;
    let url = sandbox.base_url();
    sandbox.stop().await;
    let error = write(&client_at(&url, Stop::default())).await.unwrap_err();
    assert_eq!((error.kind, error.effect), (ErrorKind::Connect, Effect::None));
}

#[tokio::test]
async fn the_breaker_gives_up_when_nobody_comes_back() {
    let sandbox = sandbox(&["path=*,status=503"]).await;
    let settings = ClientSettings {
        base_url: Url::parse(&sandbox.base_url()).unwrap(),
        token: SecretString::from("t"),
        pace: PaceSettings::default(),
        retry: RetryPolicy { max_retries: 20, base: Duration::ZERO },
        breaker: BreakerSettings { threshold: 3, cooldown: Duration::from_millis(1), probes: 2 },
    };
    let client = Client::new(&settings, Stop::default()).unwrap();
    assert_eq!(get(&client).await.unwrap_err().kind, ErrorKind::BreakerOpen);
    assert_eq!((calls(&client, "works.get"), calls(&client, "dev-users.self")), (3, 2));
}

#[tokio::test]
async fn after_the_stop_nothing_is_sent() {
    let sandbox = sandbox(&[]).await;
    let stop = Stop::default();
    let client = client_at(&sandbox.base_url(), stop.clone());
    stop.set(crate::stop::Cause::Interrupt);
    let error = get(&client).await.unwrap_err();
    assert_eq!((error.kind, error.attempts), (ErrorKind::Stopped, 0));
    assert_eq!(client.totals().calls, 0);
}

#[tokio::test]
async fn the_base_url_keeps_its_path_and_the_token_stays_out_of_sight() {
    let sandbox = sandbox(&[]).await;
    for path in ["api/gateway/internal", "api/gateway/internal/"] {
        let url = format!("{}/{path}", sandbox.base_url().trim_end_matches('/'));
        let client = client_at(&url, Stop::default());
        assert!(get(&client).await.is_ok());
        assert!(!format!("{client:?}").contains("t0ken"));
    }
}

#[test]
fn a_token_that_cannot_be_sent_is_refused_unseen() {
    let settings = ClientSettings {
        base_url: Url::parse("https://localhost").unwrap(),
        token: SecretString::from("s3cr3t\n"),
        pace: PaceSettings::default(),
        retry: RetryPolicy { max_retries: 0, base: Duration::ZERO },
        breaker: BreakerSettings { threshold: 1, cooldown: Duration::ZERO, probes: 1 },
    };
    let error = Client::new(&settings, Stop::default()).unwrap_err().to_string();
    assert!(error.contains("DEVREV_API_TOKEN") && !error.contains("s3cr3t"), "{error}");
}

#[tokio::test]
async fn a_stop_does_not_wait_for_a_read_that_hangs() {
    let sandbox = sandbox(&["path=works.get,hang"]).await;
    let stop = Stop::default();
    let client = client_at(&sandbox.base_url(), stop.clone());
    let reader = client.clone();
    let reading = tokio::spawn(async move { get(&reader).await.unwrap_err().kind });
    let stats = format!("{}/_sandbox/stats", sandbox.base_url());
    // Once it is there it hangs for good.
    while !reqwest::get(&stats).await.unwrap().text().await.unwrap().contains("works.get") {
        tokio::task::yield_now().await;
    }
    stop.set(crate::stop::Cause::Interrupt);
    let waited = Instant::now();
    assert_eq!(reading.await.unwrap(), ErrorKind::Stopped);
    let totals = client.totals();
    assert_eq!((totals.calls, totals.most_errors_in_a_row), (1, 0), "nobody is told of errors of the API");
    assert!(waited.elapsed() < STOP_GRACE + Duration::from_secs(5));
}

#[tokio::test]
async fn a_write_that_waited_too_long_is_not_sent() {
    let sandbox = sandbox(&["path=works.update,status=429"]).await;
    let client = client(&sandbox);
    let update = WorksUpdate::group_of_issue("ISS-1", &GroupField::named(FIELD), Some("GROUP-1"));
    let asked = AtomicU32::new(0);
    let look = || async { Ok(Found::<WorkAnswer>::NotDone) };
    let error = client.write(&update, || asked.fetch_add(1, Ordering::SeqCst) == 0, look).await.unwrap_err();
    assert_eq!((error.kind, error.effect, error.attempts), (ErrorKind::Stale, Effect::None, 1));
}

#[tokio::test]
async fn a_patch_names_its_endpoint_and_carries_what_was_made_at_run_time() {
    let sandbox = sandbox(&["path=works.update,status=503,count=1"]).await;
    let client = client(&sandbox);
    let body = serde_json::json!({"id": "ISS-1", "type": "issue", "title": "Patched"});
    let patch = Patch::new("works.update", body.as_object().unwrap().clone());
    let look = || async { Ok(Found::NotDone) };
    let written = client.write(&patch, || true, look).await.unwrap();
    assert_eq!(written.attempts, 2);
    assert_eq!(written.answer.0["title"], "Patched");
    let wrong = Patch::new("works.update", serde_json::Map::new());
    let error = client.write(&wrong, || true, look).await.unwrap_err();
    assert_eq!(
        (error.endpoint, error.kind, error.effect),
        ("works.update", ErrorKind::Refused, Effect::None)
    );
}
