//! What every answer has: a policy, and nothing that is kept.

use super::gate::Refused;
use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

const OF_TEXTS: &str = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
const TEXT: &str = "text/plain; charset=utf-8";
pub(super) const HTML: &str = "text/html; charset=utf-8";

/// The answer to whoever may have none. It says the same whatever there is.
pub(super) fn refused(refused: Refused) -> Response {
    match refused {
        Refused::Token => nothing(),
        Refused::Host => text(
            StatusCode::FORBIDDEN,
            "This name is not answered: use 127.0.0.1 or localhost, or start with --allow-host NAME.\n"
                .to_owned(),
        ),
        Refused::Method => {
            let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "GET and HEAD only\n".to_owned());
            response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
            response
        }
    }
}

/// The answer where a defect came between.
pub(super) fn defect() -> Response {
    text(StatusCode::INTERNAL_SERVER_ERROR, "a defect\n".to_owned())
}

pub(super) fn nothing() -> Response {
    text(StatusCode::NOT_FOUND, "not found\n".to_owned())
}

pub(super) fn text(status: StatusCode, text: String) -> Response {
    answer(status, TEXT, OF_TEXTS, text.into())
}

pub(super) fn answer(status: StatusCode, content_type: &'static str, policy: &str, body: Body) -> Response {
    let policy = HeaderValue::try_from(policy).unwrap_or(HeaderValue::from_static(OF_TEXTS));
    let headers: [(HeaderName, HeaderValue); 8] = [
        (header::CONTENT_TYPE, HeaderValue::from_static(content_type)),
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
        (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin")),
        // The next request takes another connection, and its place among the few.
        (header::CONNECTION, HeaderValue::from_static("close")),
    ];
    (status, headers, body).into_response()
}
