//! Every kind of fault, as a client sees it.

use super::*;
use std::error::Error as _;

async fn send(rig: &Rig, path: &str, body: Value) -> Result<reqwest::Response, reqwest::Error> {
    rig.post(path, body).bearer_auth("secret").send().await
}

async fn writes(rig: &Rig) -> u64 {
    rig.stats().await["writes"].as_u64().unwrap()
}

#[tokio::test]
async fn a_status_is_answered_as_devrev_does() {
    for (status, kind) in [
        (400, "bad_request"),
        (401, "unauthenticated"),
        (403, "forbidden"),
        (404, "not_found"),
        (409, "conflict"),
        (429, "too_many_requests"),
        (500, "internal_error"),
        (503, "service_unavailable"),
    ] {
        let rig = with_fault(&format!("path=works.update,status={status}")).await;
        let got = rig.call("works.update", set_group("ISS-1", "GROUP-1")).await;
        assert_eq!((got.status, got.kind(), got.header("retry-after")), (status, kind, ""));
        assert_eq!(writes(&rig).await, 0);
        rig.good("works.get", json!({"id": "ISS-1"})).await;
    }
}

#[tokio::test]
async fn a_status_may_come_with_headers_or_after_the_change() {
    let rig = with_fault("status=429,retry_after=7,count=1").await;
    let got = rig.call("works.get", json!({"id": "ISS-1"})).await;
    assert_eq!((got.header("retry-after"), &got.body["retry_after"]), ("7", &json!(7)));
    rig.good("works.get", json!({"id": "ISS-1"})).await;

    let rig = with_fault("status=301,location=don:core:dvrv-us-1:devo/TEST:issue/2").await;
    let got = rig.call("works.get", json!({"id": "ISS-1"})).await;
    assert_eq!((got.status, got.header("location")), (301, "don:core:dvrv-us-1:devo/TEST:issue/2"));

    let rig = with_fault("path=works.update,status=503,applied").await;
    assert_eq!(rig.call("works.update", set_group("ISS-1", "GROUP-1")).await.status, 503);
    assert_eq!(writes(&rig).await, 1);
}

#[tokio::test]
async fn a_gateways_page_is_no_json() {
    let rig = with_fault("html").await;
    let got = rig.call("works.update", set_group("ISS-1", "GROUP-1")).await;
    assert_eq!((got.status, got.header("content-type")), (200, "text/html; charset=utf-8"));
    assert_eq!((got.body, writes(&rig).await), (Value::Null, 0));
}

#[tokio::test]
async fn a_reset_connection_gives_no_status() {
    for (rule, applied) in [("reset=before,after=1,count=1", 0), ("reset=after,after=1,count=1", 1)] {
        let rig = with_fault(rule).await;
        // The second call comes on a connection that has served the first.
        rig.good("dev-users.self", "{}").await;
        let error = send(&rig, "works.update", set_group("ISS-1", "GROUP-1")).await.unwrap_err();
        assert!(error.status().is_none() && error.is_request() && !error.is_timeout(), "{error:?}");
        assert!(format!("{error:?}").contains("ConnectionReset"), "{error:?}");
        assert_eq!(writes(&rig).await, applied, "{rule}");
        let stats = rig.stats().await;
        // Received once: nothing sent it again unseen.
        assert_eq!(stats["calls"]["works.update"], 1);
        assert_eq!(stats["statuses"], json!({"200": 1}));
        rig.good("works.get", json!({"id": "ISS-1"})).await;
    }
}

#[tokio::test]
async fn a_call_may_hang() {
    for (rule, applied) in [("hang,count=1", 0), ("hang=before,count=1", 0), ("hang=after,count=1", 1)] {
        let rig = with_fault(rule).await;
        let request = rig.post("works.update", set_group("ISS-1", "GROUP-1")).bearer_auth("secret");
        let mut call = tokio::spawn(request.send());
        // However long it takes to arrive: from there on it hangs for good.
        while rig.stats().await["calls"]["works.update"] != 1 || writes(&rig).await != applied {
            tokio::task::yield_now().await;
        }
        assert!(tokio::time::timeout(Duration::from_millis(50), &mut call).await.is_err(), "{rule}");
        call.abort();
        assert_eq!(writes(&rig).await, applied, "{rule}");
        rig.good("works.get", json!({"id": "ISS-1"})).await;
    }
}

#[tokio::test]
async fn an_answer_may_break_off() {
    let rig = with_fault("truncate,count=1").await;
    let response = send(&rig, "works.update", set_group("ISS-1", "GROUP-1")).await.unwrap();
    assert_eq!(response.status(), 200);
    let length = response.content_length().unwrap();
    let error = response.bytes().await.unwrap_err();
    assert!(error.is_body() || error.is_decode(), "{error:?}");
    assert!(error.source().is_some());
    assert_eq!(writes(&rig).await, 1);
    let whole = rig.good("works.get", json!({"id": "ISS-1"})).await;
    assert_eq!(length, whole.to_string().len() as u64);
}

#[tokio::test]
async fn an_answer_may_be_late() {
    let late = Options { delay: Some(Duration::from_millis(20)), ..options(&data()) };
    for rig in [rig(late).await, with_fault("delay=20").await] {
        let before = std::time::Instant::now();
        rig.good("works.update", set_group("ISS-1", "GROUP-1")).await;
        assert!(before.elapsed() >= Duration::from_millis(20));
    }
}

#[tokio::test]
async fn a_call_that_is_turned_away_is_not_broken() {
    let rig = with_fault("status=503,count=1").await;
    assert_eq!(rig.raw(rig.post("works.get", json!({"id": "ISS-1"}))).await.status, 401);
    assert_eq!(rig.call("works.get", json!({"id": "ISS-1"})).await.status, 503);
    assert_eq!(rig.call("works.get", json!({"id": "ISS-1"})).await.status, 200);
}
