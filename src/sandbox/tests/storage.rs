//! Artifacts, and the host that serves their bytes.

use super::contacts::{contacts, with_contacts};
use super::*;

async fn url(rig: &Rig, artifact: &str) -> String {
    let located = rig.good("artifacts.locate", json!({"id": artifact})).await;
    assert!(chrono::DateTime::parse_from_rfc3339(located["expires_at"].as_str().unwrap()).is_ok());
    located["url"].as_str().unwrap().to_owned()
}

async fn faulty(rule: &str) -> Rig {
    rig(Options { faults: vec![rule.parse().unwrap()], ..options(&contacts()) }).await
}

/// The status, the content type and the body.
async fn fetch(request: reqwest::RequestBuilder) -> (u16, String, Vec<u8>) {
    let response = request.send().await.unwrap();
    let kind = response.headers()["content-type"].to_str().unwrap().to_owned();
    (response.status().as_u16(), kind, response.bytes().await.unwrap().to_vec())
}

#[tokio::test]
async fn artifacts_are_described_and_served_from_another_port() {
    let limited = Options { rate_limit: Some("5/600".parse().unwrap()), ..options(&contacts()) };
    let rig = rig(limited).await;
    let got = rig.good("artifacts.get", json!({"id": "ARTIFACT-2"})).await;
    assert_eq!(got["artifact"]["file"], json!({"name": "note.txt", "size": 99, "type": "text/plain"}));
    assert_eq!(got["version"]["version"], "1");
    let (first, second, third) =
        (url(&rig, "ARTIFACT-1").await, url(&rig, "ARTIFACT-2").await, url(&rig, "ARTIFACT-3").await);
    assert!(first.starts_with("http://127.0.0.1:") && !first.starts_with(&rig.sandbox.base_url()), "{first}");
    let response = rig.client.get(&first).send().await.unwrap();
    assert_eq!(
        (response.content_length(), &response.headers()["content-type"]),
        (Some(200_000), &"image/png".parse().unwrap())
    );
    let bytes = response.bytes().await.unwrap().to_vec();
    assert_eq!(bytes, artifact_content(1, 200_000).collect::<Vec<_>>().concat());
    assert_eq!(
        fetch(rig.client.get(second)).await,
        (200, "text/plain".to_owned(), "naïve".as_bytes().to_vec())
    );
    assert_eq!(fetch(rig.client.get(&third)).await, (200, "application/octet-stream".to_owned(), Vec::new()));
    for _ in 0..4 {
        assert_eq!(fetch(rig.client.get(&third)).await.0, 200);
    }
    let stats = rig.stats().await;
    assert_eq!([&stats["storage"], &stats["storage_with_token"], &stats["total"]], [7, 0, 4]);
    assert_eq!(rig.call("artifacts.locate", json!({"id": "ARTIFACT-9"})).await.status, 404);
}

#[tokio::test]
async fn a_url_that_is_wrong_or_old_is_forbidden() {
    let rig = with_contacts().await;
    let good = url(&rig, "ARTIFACT-1").await;
    let xml = "application/xml".to_owned();
    for bad in [good.replace("artifact/1", "artifact/2"), format!("{good}0"), good.replace('?', "?x")] {
        let (status, kind, body) = fetch(rig.client.get(&bad)).await;
        assert_eq!((status, &kind), (403, &xml), "{bad}");
        assert!(String::from_utf8(body).unwrap().contains("<Code>SignatureDoesNotMatch</Code>"));
    }
    let mut data = contacts();
    data["url_ttl_ms"] = json!(1);
    let rig = super::rig(options(&data)).await;
    let old = url(&rig, "ARTIFACT-1").await;
    tokio::time::sleep(Duration::from_millis(5)).await;
    let (status, kind, body) = fetch(rig.client.get(old)).await;
    assert_eq!((status, kind), (403, xml));
    assert!(String::from_utf8(body).unwrap().contains("Request has expired"));
}

#[tokio::test]
async fn a_token_does_not_belong_there() {
    let rig = with_contacts().await;
    let url = url(&rig, "ARTIFACT-1").await;
    assert_eq!(fetch(rig.client.get(&url).bearer_auth("secret")).await.0, 400);
    assert_eq!(fetch(rig.client.post(&url)).await.0, 405);
    let stats = rig.stats().await;
    assert_eq!([&stats["storage"], &stats["storage_with_token"]], [2, 1]);
}

#[tokio::test]
async fn faults_reach_it() {
    let rig = faulty("path=storage,status=503,retry_after=2,count=1").await;
    let first = url(&rig, "ARTIFACT-1").await;
    let response = rig.client.get(&first).send().await.unwrap();
    assert_eq!(
        (response.status().as_u16(), &response.headers()["retry-after"]),
        (503, &"2".parse().unwrap())
    );
    assert_eq!(fetch(rig.client.get(&first)).await.0, 200);

    let rig = faulty("path=storage,truncate").await;
    let response = rig.client.get(url(&rig, "ARTIFACT-1").await).send().await.unwrap();
    assert_eq!((response.status().as_u16(), response.content_length()), (200, Some(200_000)));
    let mut received = 0;
    let mut response = response;
    let ended = loop {
        match response.chunk().await {
            Ok(Some(chunk)) => received += chunk.len(),
            Ok(None) => break true,
            Err(_) => break false,
        }
    };
    assert!(!ended && received <= 100_000, "{received}");

    let rig = faulty("path=storage,reset=before").await;
    assert!(rig.client.get(url(&rig, "ARTIFACT-1").await).send().await.unwrap_err().is_request());

    let rig = faulty("path=storage,hang").await;
    let request = rig.client.get(url(&rig, "ARTIFACT-1").await).timeout(Duration::from_millis(50));
    assert!(request.send().await.unwrap_err().is_timeout());

    let rig = faulty("path=storage,html,delay=20").await;
    let begin = std::time::Instant::now();
    let (status, kind, _) = fetch(rig.client.get(url(&rig, "ARTIFACT-1").await)).await;
    assert_eq!((status, kind.as_str()), (200, "text/html; charset=utf-8"));
    assert!(begin.elapsed() >= Duration::from_millis(20));
}
