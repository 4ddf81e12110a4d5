//! Control endpoints for tests. They want no token, and no limit, fault or count touches them.
//!
//! - `GET /_sandbox/stats`: what was received and answered, one JSON object. `writes` counts updates and
//!   creations of every object, `merges` the accepted merge calls, `double_merges` those of them whose
//!   secondary was being merged already, or had been, `storage` the requests for artifacts' bytes,
//!   `storage_with_token` those of them that carried a token.
//! - `GET /_sandbox/issues`: all issues, a line of JSON each: `{"id", "creator_group", "writes"}`, where
//!   `creator_group` is a DON or null and `writes` counts the updates that were applied.
//! - `POST /_sandbox/close`: from its answer on, no call is carried out any more: connections are reset.
//! - `POST /_sandbox/issues/ISS-1` with `{"creator_group": "GROUP-3"}` or null: sets it as somebody else
//!   would, which is no write.
//! - `GET /_sandbox/works`: all issues, then all tickets and so on, deleted ones left out, a line each: `{"id", "type", "created_by",
//!   "owned_by", "reported_by", "writes"}`, with display IDs.
//! - `POST /_sandbox/works/TKT-1` with `owned_by`, `reported_by` (lists of IDs) or both: no write.
//! - `POST /_sandbox/tickets` with `created_by` and, if wanted, `title`, `owned_by`, `reported_by`: a new
//!   ticket, no write. The answer is `{"id": "TKT-231"}`.
//! - `GET /_sandbox/contacts`: all contacts, gone ones too, a line each: `{"id", "external_ref", "email",
//!   "display_name", "state", "merged_into", "merges", "writes"}`, where `merged_into` is a display ID or null
//!   and `merges` counts the accepted merge calls with this one as the secondary.
//! - `POST /_sandbox/contacts/REVU-1` with any of `email`, `external_ref`, `display_name` (null takes away) and
//!   `state`: no write. An `external_ref` that another contact has is refused with 409.

mod contacts;
mod works;

use super::clock::epoch_millis;
use super::error::ApiError;
use super::server::Server;
use crate::devrev::ids::ObjectType;
use axum::body::Body;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use futures_util::stream;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::io;
use std::sync::{Arc, PoisonError};

/// Objects that are written out under one lock.
const CHUNK: usize = 2_000;

/// Answers a path below `/_sandbox/`.
pub(super) fn answer(server: &Arc<Server>, method: &Method, path: &str, body: &[u8]) -> Response {
    let answer = match (method, path.split_once('/').unwrap_or((path, ""))) {
        (&Method::GET, ("stats", "")) => Ok(server.stats.show(&server.world.read())),
        (&Method::GET, ("issues", "")) => return lines(Arc::clone(server), issues),
        (&Method::GET, ("works", "")) => return lines(Arc::clone(server), works::lines),
        (&Method::GET, ("contacts", "")) => return lines(Arc::clone(server), contacts::lines),
        (&Method::POST, ("close", "")) => {
            *server.closed.write().unwrap_or_else(PoisonError::into_inner) = true;
            Ok(json!({}))
        }
        (&Method::POST, ("issues", id)) => set(server, id, body),
        (&Method::POST, ("works", id)) => works::set(server, id, body),
        (&Method::POST, ("tickets", "")) => works::create(server, body),
        (&Method::POST, ("contacts", id)) => contacts::set(server, id, body),
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
    let value = parse(body)?;
    let no_group = |id: &str| ApiError::not_found(format!("there is no group `{id}`"));
    let group = match value.get("creator_group") {
        Some(Value::Null) => None,
        Some(Value::String(id)) => Some(server.world.group(id).ok_or_else(|| no_group(id))?),
        _ => return Err(ApiError::bad_request("`creator_group` is wanted: a group's ID, or null")),
    };
    let no_issue = || ApiError::not_found(format!("there is no issue `{id}`"));
    let named = server.world.object(id, &[ObjectType::Issue]).ok_or_else(no_issue)?;
    let mut state = server.world.write();
    let issue = state.works_mut(ObjectType::Issue).get_mut(named.number).ok_or_else(no_issue)?;
    issue.group = group;
    issue.modified = epoch_millis();
    Ok(json!({}))
}

fn parse(body: &[u8]) -> Result<Value, ApiError> {
    serde_json::from_slice(body).map_err(|error| ApiError::new(400, "parse_error", error.to_string()))
}

/// Writes objects from a place on: the lines, and how many there are.
type Lines = fn(&Server, usize) -> (String, usize);

fn lines(server: Arc<Server>, write: Lines) -> Response {
    let lines = stream::unfold((server, 0), move |(server, begin)| async move {
        let (lines, count) = write(&server, begin);
        (count > 0).then(|| (Ok::<_, io::Error>(lines), (server, begin + count)))
    });
    response(200, "application/x-ndjson", Body::from_stream(lines))
}

fn issues(server: &Server, begin: usize) -> (String, usize) {
    let state = server.world.read();
    let (mut lines, issues) = (String::new(), state.works_of(ObjectType::Issue).slice(begin, CHUNK));
    for issue in issues.iter().filter(|issue| !issue.is_deleted()) {
        let group = issue.group.and_then(|group| server.world.groups.get(group as usize));
        let group = json!(group.map(|group| &group.don));
        // Writing to a String does not fail.
        let _ = writeln!(
            lines,
            r#"{{"id":"ISS-{}","creator_group":{group},"writes":{}}}"#,
            issue.number, issue.writes
        );
    }
    (lines, issues.len())
}

fn response(status: u16, content_type: &'static str, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
