//! What is refused, and why.

use super::*;
use std::time::{SystemTime, UNIX_EPOCH};

#[tokio::test]
async fn a_token_is_wanted() {
    let rig = plain().await;
    for token in [None, Some("Bearer "), Some("Basic abc"), Some("Bearer a b")] {
        let request = rig.post("works.get", json!({"id": "ISS-1"}));
        let request = match token {
            Some(token) => request.header("authorization", token),
            None => request,
        };
        let got = rig.raw(request).await;
        assert_eq!((got.status, got.kind()), (401, "unauthenticated"), "{token:?}");
    }
    // Official clients send the token alone.
    for token in ["secret", "bearer secret"] {
        let request = rig.post("works.get", json!({"id": "ISS-1"})).header("authorization", token);
        assert_eq!(rig.raw(request).await.status, 200, "{token}");
    }
}

#[tokio::test]
async fn a_read_has_a_get_twin_and_a_write_has_none() {
    let rig = plain().await;
    let get = async |query: &str| {
        let url = format!("{}/{query}", rig.sandbox.base_url());
        rig.raw(rig.client.get(url).header("authorization", "secret")).await
    };
    for (query, path, body) in [
        ("works.get?id=ISS-1", "works.get", json!({"id": "ISS-1"})),
        (
            "works.list?type=%22issue%22&created_by=DEVU-1,DEVU-2&limit=3",
            "works.list",
            json!({"type": ["issue"], "created_by": ["DEVU-1", "DEVU-2"], "limit": 3}),
        ),
        ("works.list?stage.name=triage", "works.list", json!({"stage": {"name": ["triage"]}})),
        ("groups.list?is_default=true", "groups.list", json!({"is_default": true})),
        ("dev-users.self", "dev-users.self", json!({})),
        ("schemas.aggregated.get?leaf_type=issue", "schemas.aggregated.get", json!({"leaf_type": "issue"})),
    ] {
        let (twin, post) = (get(query).await, rig.call(path, &body).await);
        assert_eq!((twin.status, &twin.body), (200, &post.body), "{query}");
    }
    for (query, kind) in [
        ("works.get", "missing_required_field"),
        ("works.get?id=ISS-1&x=1", "invalid_field"),
        ("works.list?limit=ten", "unexpected_json_type"),
    ] {
        let got = get(query).await;
        assert_eq!((got.status, got.kind()), (400, kind), "{query}");
    }
    assert_eq!(get("works.update?id=ISS-1&type=issue").await.status, 405);
    assert_eq!(rig.stats().await["writes"], 0);
}

#[tokio::test]
async fn filters_on_what_nothing_has_let_nothing_pass() {
    let rig = plain().await;
    let count = async |path: &str, body: Value, list: &str| {
        rig.good(path, &body).await[list].as_array().map(Vec::len).unwrap_or_default()
    };
    for (body, found) in [
        (json!({"tags": ["TAG-1"]}), 0),
        (json!({"tags": []}), 12),
        (json!({"stage": {"name": ["triage"]}}), 2),
        (json!({"stage": {}}), 12),
        (json!({"applies_to_part": ["FEAT-1"]}), 3),
        (json!({"applies_to_part": ["PROD-1"]}), 0),
        (json!({"sort_by": ["created_date:asc"], "limit": 5000}), 12),
        (json!({"staged_info": {"is_staged": false}}), 12),
    ] {
        assert_eq!(count("works.list", body.clone(), "works").await, found, "{body}");
    }
    assert_eq!(count("groups.list", json!({"ingestion_source": ["scim"]}), "groups").await, 0);
    assert_eq!(count("rev-users.list", json!({"is_verified": true}), "rev_users").await, 1);
    assert_eq!(count("rev-users.list", json!({"tags": ["TAG-1"]}), "rev_users").await, 0);
    assert_eq!(count("conversations.list", json!({"is_spam": false}), "conversations").await, 0);
    // What nothing has cannot be written either; to say that it is not there is fine.
    let update = |name: &str, value: Value| json!({"id": "ISS-1", "type": "issue", name: value});
    let refused = rig.call("works.update", update("tags", json!({"set": [{"id": "TAG-1"}]}))).await;
    assert_eq!((refused.status, &refused.body["field_name"]), (400, &json!("tags")));
    rig.good("works.update", update("tags", json!({"set": []}))).await;
    rig.good("works.update", update("sprint", Value::Null)).await;
}

#[tokio::test]
async fn errors_carry_words_and_a_reference_for_support() {
    let rig = plain().await;
    let got = rig.call("works.get", json!({"id": "ISS-99"})).await;
    let debug = got.body["debug_message"].as_str().unwrap();
    assert!(debug.starts_with("work `ISS-99` not found (Ref: ") && debug.ends_with(')'), "{debug}");
    let unknown = rig.call("works.merge", "{}").await;
    assert_eq!((unknown.status, unknown.body.as_object().unwrap().len()), (404, 1));
    assert!(unknown.body["message"].is_string());
    let broken = with_fault("status=500").await.call("works.get", json!({"id": "ISS-1"})).await;
    let reference = broken.body["reference_id"].as_str().unwrap();
    assert!(broken.body["debug_message"].as_str().unwrap().contains(reference));
}

#[tokio::test]
async fn a_body_must_fit_the_table() {
    let rig = plain().await;
    let cases = [
        ("works.get", "{", "parse_error", Value::Null),
        ("works.get", "", "parse_error", Value::Null),
        ("works.get", "[]", "unexpected_json_type", "body".into()),
        ("works.get", "{}", "missing_required_field", "id".into()),
        ("works.get", r#"{"id": 1}"#, "unexpected_json_type", "id".into()),
        ("works.get", r#"{"id": null}"#, "unexpected_json_type", "id".into()),
        ("works.get", r#"{"id": "ISS"}"#, "invalid_id", "id".into()),
        ("works.get", r#"{"id": "DEVU-1"}"#, "unexpected_id_type", "id".into()),
        ("works.get", r#"{"id": "ISS-1", "ID": 1}"#, "invalid_field", "ID".into()),
        ("works.list", r#"{"created_by": "DEVU-1"}"#, "unexpected_json_type", "created_by".into()),
        ("works.list", r#"{"created_by": ["DEVU-1", "x"]}"#, "invalid_id", "created_by".into()),
        ("works.list", r#"{"type": ["bug"]}"#, "invalid_enum_value", "type".into()),
        ("works.list", r#"{"mode": "behind"}"#, "invalid_enum_value", "mode".into()),
        ("works.list", r#"{"mode": "before"}"#, "bad_request", Value::Null),
        ("works.list", r#"{"limit": 0}"#, "value_not_permitted", "limit".into()),
        ("works.list", r#"{"limit": 1.5}"#, "value_not_permitted", "limit".into()),
        ("works.list", r#"{"tags": 1}"#, "unexpected_json_type", "tags".into()),
        ("works.list", r#"{"creator": []}"#, "invalid_field", "creator".into()),
        ("groups.members.list", "{}", "missing_required_field", "group".into()),
        ("groups.list", r#"{"member_type": ["dev"]}"#, "invalid_enum_value", "member_type".into()),
        ("dev-users.self", r#"{"id": "DEVU-1"}"#, "invalid_field", "id".into()),
        ("dev-users.get", r#"{"id": "REVU-3"}"#, "unexpected_id_type", "id".into()),
    ];
    for (path, body, kind, field) in cases {
        let got = rig.call(path, body).await;
        assert_eq!((got.status, got.kind(), &got.body["field_name"]), (400, kind, &field), "{path} {body}");
        assert!(got.body["message"].is_string());
    }
    let got = rig.call("works.get", r#"{"id": [1]}"#).await.body;
    assert_eq!((&got["expected"], &got["actual"]), (&json!("string"), &json!("array")));
    let got = rig.call("works.list", r#"{"type": ["bug"]}"#).await.body;
    assert_eq!(got["allowed_values"], json!(["issue", "opportunity", "task", "ticket"]));
    assert_eq!(got["value"], "bug");
    let got = rig.call("works.list", r#"{"vista": "x"}"#).await.body;
    assert_eq!(got["message"], "the sandbox does not simulate the field `vista`");
}

#[tokio::test]
async fn what_does_not_exist_is_not_found() {
    let rig = plain().await;
    for (path, body) in [
        ("works.get", json!({"id": "ISS-99"})),
        ("works.get", json!({"id": "TKT-1"})),
        ("works.get", json!({"id": "ISS-99999999999"})),
        ("works.get", json!({"id": "don:core:dvrv-us-1:devo/OTHER:issue/1"})),
        ("works.update", set_group("ISS-99", "GROUP-1")),
        ("groups.get", json!({"id": "GROUP-01"})),
        ("groups.members.list", json!({"group": "GROUP-9"})),
        ("dev-users.get", json!({"id": "DEVU-9"})),
    ] {
        let got = rig.call(path, &body).await;
        assert_eq!((got.status, got.kind()), (404, "not_found"), "{path} {body}");
    }
}

#[tokio::test]
async fn either_form_of_an_id_and_any_path_before_the_name_will_do() {
    let rig = plain().await;
    let (issue, user) = ("don:core:dvrv-us-1:devo/TEST:issue/4", "don:identity:dvrv-us-1:devo/TEST:devu/2");
    for id in [issue, "ISS-4", "iss-4"] {
        let work = rig.good("api/gateway/internal/works.get", json!({"id": id})).await;
        assert_eq!(work["work"]["id"], issue);
    }
    for id in [user, "DEVU-2"] {
        let got = rig.good("dev-users.get", json!({"id": id})).await;
        assert_eq!(
            (&got["dev_user"]["id"], &got["dev_user"]["state"]),
            (&json!(user), &json!("deactivated"))
        );
    }
    let works = rig.good("works.list", json!({"created_by": [user, "DEVU-2"]})).await;
    assert_eq!(ids(&works), ["ISS-2", "ISS-5", "ISS-8", "ISS-11"]);
}

#[tokio::test]
async fn an_issue_looks_as_in_the_api_file() {
    let rig = plain().await;
    let work = &rig.good("works.get", json!({"id": "ISS-2"})).await["work"];
    let user = json!({
        "type": "dev_user",
        "id": "don:identity:dvrv-us-1:devo/TEST:devu/2",
        "display_id": "DEVU-2",
        "display_name": "bo-åkesson",
        "full_name": "Bo Åkesson",
        "email": "bo@example.com",
        "state": "deactivated",
    });
    assert_eq!((&work["type"], &work["title"]), (&json!("issue"), &json!("Issue \"2\", naïve")));
    assert_eq!(
        (&work["created_by"], &work["owned_by"], &work["reported_by"]),
        (&user, &json!([user]), &json!([user]))
    );
    assert_eq!(work["custom_fields"], json!({}));
    assert!(work.get("creator_group").is_none() && work.get("body").is_none());
    for date in ["created_date", "modified_date"] {
        assert!(chrono::DateTime::parse_from_rfc3339(work[date].as_str().unwrap()).is_ok());
    }
}

#[tokio::test]
async fn the_limit_counts_every_call_and_says_when_it_ends() {
    let limited = Options { rate_limit: Some("3/600".parse().unwrap()), ..options(&data()) };
    let rig = rig(limited).await;
    let before = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let first = rig.call("works.get", json!({"id": "ISS-1"})).await;
    assert_eq!((first.header("x-ratelimit-limit"), first.header("x-ratelimit-remaining")), ("3", "2"));
    let reset: u64 = first.header("x-ratelimit-reset").parse().unwrap();
    assert!((before + 600..before + 610).contains(&reset), "{before} {reset}");
    let date = httpdate::parse_http_date(first.header("date")).unwrap();
    assert!(date.duration_since(UNIX_EPOCH).unwrap().as_secs() >= before);
    assert_eq!(rig.raw(rig.post("works.get", "{}")).await.status, 401);
    let last = rig.call("nothing", "{}").await;
    assert_eq!((last.status, last.header("x-ratelimit-remaining")), (404, "0"));
    for _ in 0..2 {
        let over = rig.call("works.update", set_group("ISS-1", "GROUP-1")).await;
        assert_eq!((over.status, over.kind()), (429, "too_many_requests"));
        let seconds: u64 = over.header("retry-after").parse().unwrap();
        assert!((590..=600).contains(&seconds));
        assert_eq!(over.body["retry_after"], seconds);
        assert_eq!(
            (over.header("x-ratelimit-remaining"), over.header("x-ratelimit-reset")),
            ("0", reset.to_string().as_str())
        );
    }
    let stats = rig.stats().await;
    assert_eq!(stats["calls"], json!({"works.get": 2, "works.update": 2, "unknown": 1}));
    assert_eq!(stats["statuses"], json!({"200": 1, "401": 1, "404": 1, "429": 2}));
    assert_eq!([&stats["total"], &stats["throttled"], &stats["peak"], &stats["writes"]], [5, 2, 5, 0]);
    let (first, last) = (stats["first_call"].as_f64().unwrap(), stats["last_call"].as_f64().unwrap());
    assert!(first >= 1_000.0 * Duration::from_secs(before).as_secs_f64() && last >= first);
}

#[tokio::test]
async fn a_new_window_brings_new_calls() {
    let limited = Options { rate_limit: Some("1/0.02".parse().unwrap()), ..options(&data()) };
    let rig = rig(limited).await;
    rig.good("dev-users.self", "{}").await;
    loop {
        let got = rig.call("dev-users.self", "{}").await;
        if got.status == 200 {
            assert_eq!(got.header("x-ratelimit-remaining"), "0");
            break;
        }
        assert_eq!(got.header("retry-after"), "1");
    }
}

#[tokio::test]
async fn without_a_limit_no_header_speaks_of_one() {
    let got = plain().await.call("dev-users.self", "{}").await;
    assert!(!got.headers.keys().any(|name| name.as_str().starts_with("x-ratelimit")));
    assert!(!got.header("date").is_empty());
    assert_eq!(got.header("content-type"), "application/json");
}
