//! Control endpoints for tests. They want no token, and no limit, fault or count touches them.
//!
//! - `GET /_sandbox/stats`: what was received and answered, one JSON object.
//! - `GET /_sandbox/issues`: all issues, a line of JSON each: `{"id", "creator_group", "writes"}`, where
//!   `creator_group` is a DON or null and `writes` counts the updates that were applied.
//! - `POST /_sandbox/issues/ISS-1` with `{"creator_group": "GROUP-3"}` or null: sets it as somebody else
//!   would, which is no write.

use super::clock::epoch_millis;
use super::error::ApiError;
use super::server::Server;
use axum::body::Body;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use futures_util::stream;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::io;
use std::sync::Arc;

/// Issues that are written out under one lock.
const CHUNK: usize = 2_000;

/// Answers a path below `/_sandbox/`.
pub(super) fn answer(server: &Arc<Server>, method: &Method, path: &str, body: &[u8]) -> Response {
    let answer = match (method, path) {
        (&Method::GET, "stats") => Ok(server.stats.show(server.world.issues().writes)),
        (&Method::GET, "issues") => return issues(Arc::clone(server)),
        (&Method::POST, path) => match path.strip_prefix("issues/") {
            Some(id) => set(server, id, body),
            None => Err(unknown(path)),
        },
        _ => Err(unknown(path)),
    };
    match answer {
        Ok(value) => response(200, "application/json", value.to_string().into()),
        Err(error) => response(error.status, "application/json", error.body().into()),
    }
}

fn unknown(path: &str) -> ApiError {
    ApiError::not_found(format!("the sandbox has no control `{path}` for this method"))
}

fn set(server: &Server, id: &str, body: &[u8]) -> Result<Value, ApiError> {
    let value: Value =
        serde_json::from_slice(body).map_err(|error| ApiError::new(400, "parse_error", error.to_string()))?;
    let no_group = |id: &str| ApiError::not_found(format!("there is no group `{id}`"));
    let group = match value.get("creator_group") {
        Some(Value::Null) => None,
        Some(Value::String(id)) => Some(server.world.group(id).ok_or_else(|| no_group(id))?),
        _ => return Err(ApiError::bad_request("`creator_group` is wanted: a group's ID, or null")),
    };
    let mut issues = server.world.issues_mut();
    let issue = server.world.issue_number(id).and_then(|number| issues.get_mut(number));
    let issue = issue.ok_or_else(|| ApiError::not_found(format!("there is no issue `{id}`")))?;
    issue.group = group;
    issue.modified = epoch_millis();
    Ok(json!({}))
}

fn issues(server: Arc<Server>) -> Response {
    let lines = stream::unfold((server, 0), |(server, begin)| async move {
        let lines = lines(&server, begin);
        (!lines.is_empty()).then(|| (Ok::<_, io::Error>(lines), (server, begin + CHUNK)))
    });
    response(200, "application/x-ndjson", Body::from_stream(lines))
}

fn lines(server: &Server, begin: usize) -> String {
    let mut lines = String::new();
    for issue in server.world.issues().slice(begin, CHUNK) {
        let group = issue.group.and_then(|group| server.world.groups.get(group as usize));
        let group = json!(group.map(|group| &group.don));
        // Writing to a String does not fail.
        let _ = writeln!(
            lines,
            r#"{{"id":"ISS-{}","creator_group":{group},"writes":{}}}"#,
            issue.number, issue.writes
        );
    }
    lines
}

fn response(status: u16, content_type: &'static str, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
