//! The host of the artifacts, on a port of its own: an object store that knows signed URLs and nothing else.
//!
//! A token does not belong here: a request with an `Authorization` header is refused with 400, and counted.
//! Neither the rate limit nor the counts of calls know these requests; fault rules with `path=storage` do.

use super::artifacts::{Artifact, BadUrl};
use super::clock::epoch_millis;
use super::connection::Connection;
use super::fault::{Action, STORAGE};
use super::server::{HTML, PAGE, Server};
use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use futures_util::{StreamExt, stream};
use std::io;
use std::sync::Arc;
use std::time::Duration;

pub(super) async fn serve(
    State(server): State<Arc<Server>>,
    ConnectInfo(connection): ConnectInfo<Connection>,
    request: Request,
) -> Response {
    let with_token = request.headers().contains_key(header::AUTHORIZATION);
    server.stats.stored(with_token);
    if with_token {
        return refusal(400, "InvalidArgument", "Only one auth mechanism allowed");
    }
    let fault = server.faults.pick(STORAGE);
    let delay = server.delay + fault.map_or(Duration::ZERO, |fault| fault.delay);
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
    match fault.map(|fault| &fault.action) {
        None | Some(Action::Delay) => answer(&server, &request, false),
        Some(Action::Truncate) => answer(&server, &request, true),
        Some(Action::Html) => with_type(Response::new(PAGE.into()), HTML),
        Some(Action::Reset(_)) => {
            connection.reset();
            // Cannot be written any more.
            Response::new(Body::empty())
        }
        Some(Action::Hang(_)) => std::future::pending().await,
        Some(Action::Status { status, retry_after, location, .. }) => {
            let mut response = refusal(*status, "Fault", "to order");
            if let Some(seconds) = retry_after {
                response.headers_mut().insert(header::RETRY_AFTER, (*seconds).into());
            }
            if let Some(location) = location {
                set(&mut response, header::LOCATION, location);
            }
            response
        }
    }
}

fn answer(server: &Server, request: &Request, broken_off: bool) -> Response {
    if request.method() != Method::GET {
        return refusal(405, "MethodNotAllowed", "The specified method is not allowed against this resource");
    }
    let uri = request.uri();
    let found = server.world.artifacts.at_url(uri.path(), uri.query().unwrap_or_default(), epoch_millis());
    match found {
        Ok(artifact) => content(artifact, broken_off),
        Err(BadUrl::Expired) => refusal(403, "AccessDenied", "Request has expired"),
        Err(BadUrl::Signature) => {
            refusal(403, "SignatureDoesNotMatch", "The request signature we calculated does not match")
        }
    }
}

fn content(artifact: &Artifact, broken_off: bool) -> Response {
    let body = if broken_off {
        let half = stream::iter(first_half(artifact).map(Ok));
        let end = stream::once(async {
            // Hyper sends what it has while the body waits; without the wait it would send nothing.
            tokio::time::sleep(Duration::from_millis(2)).await;
            Err(io::Error::other("broken off to order"))
        });
        Body::from_stream(half.chain(end))
    } else {
        Body::from_stream(stream::iter(artifact.chunks().map(Ok::<Bytes, io::Error>)))
    };
    let mut response = Response::new(body);
    response.headers_mut().insert(header::CONTENT_LENGTH, artifact.size.into());
    set(&mut response, header::CONTENT_TYPE, &artifact.r#type);
    response
}

/// Half of an artifact's bytes, rounded down.
fn first_half(artifact: &Artifact) -> impl Iterator<Item = Bytes> + Send + use<> {
    let mut left = artifact.size / 2;
    artifact.chunks().map_while(move |chunk| {
        let length = usize::try_from(left).unwrap_or(usize::MAX).min(chunk.len());
        left -= length as u64;
        (length > 0).then(|| chunk.slice(..length))
    })
}

/// An error as object stores tell it.
fn refusal(status: u16, code: &str, message: &str) -> Response {
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <Error><Code>{code}</Code><Message>{message}</Message></Error>"
    );
    let mut response = Response::new(body.into());
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
    with_type(response, HeaderValue::from_static("application/xml"))
}

fn with_type(mut response: Response, content_type: HeaderValue) -> Response {
    response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    response
}

/// Sets a header, unless its value cannot stand in one.
fn set(response: &mut Response, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::try_from(value) {
        response.headers_mut().insert(name, value);
    }
}
