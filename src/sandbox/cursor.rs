//! Paging: what a `next_cursor` is made of.
//!
//! A cursor says where the page ended and which query it belongs to. It is opaque to a client, and used
//! with other filters it is refused.

use super::check::{Body, text};
use super::error::ApiError;
use rustc_hash::FxHasher;
use serde_json::Value;
use std::hash::Hasher;

/// Elements a page where the request does not say (`works-list-request`: "The default is '50'").
const DEFAULT_LIMIT: usize = 50;
/// The most elements that a page holds, whatever is asked for.
const MOST: usize = 1_000;

/// One request's place in a list.
pub(super) struct Page {
    /// The number of the last element of the page before; 0 for the first page.
    pub(super) after: u64,
    /// The most elements that this page may hold.
    pub(super) limit: usize,
    query: u64,
}

impl Page {
    /// Reads `cursor`, `limit` and `mode` of a checked body. `endpoint` is the endpoint's name: a cursor
    /// of another endpoint is refused too.
    pub(super) fn of(endpoint: &str, body: &Body) -> Result<Self, ApiError> {
        if text(body, "mode") == "before" {
            return Err(ApiError::bad_request("the sandbox does not simulate `mode` before, only after"));
        }
        let limit = body.get("limit").and_then(Value::as_u64).and_then(|limit| usize::try_from(limit).ok());
        let query = fingerprint(endpoint, body);
        let after = match body.get("cursor").and_then(Value::as_str) {
            None => 0,
            Some(cursor) => decode(cursor, query)?,
        };
        Ok(Self { after, limit: limit.unwrap_or(DEFAULT_LIMIT).min(MOST), query })
    }

    /// The cursor of the page that follows an element.
    pub(super) fn next_cursor(&self, last: u64) -> String {
        format!("c1{:016x}{last:016x}{:016x}", self.query, seal(self.query, last))
    }
}

fn decode(cursor: &str, query: u64) -> Result<u64, ApiError> {
    let refuse = |reason: &str| ApiError::not_permitted("cursor", reason);
    let part = |at: usize| {
        let part = cursor.get(at..at + 16)?;
        u64::from_str_radix(part, 16).ok()
    };
    let parts = if cursor.len() == 50 && cursor.starts_with("c1") {
        part(2).zip(part(18)).zip(part(34))
    } else {
        None
    };
    let Some(((own_query, last), own_seal)) = parts else { return Err(refuse("not a cursor of this API")) };
    if own_seal != seal(own_query, last) {
        Err(refuse("not a cursor of this API"))
    } else if own_query != query {
        Err(refuse("the cursor belongs to another query"))
    } else {
        Ok(last)
    }
}

/// What a query asks for, without where it stands.
fn fingerprint(endpoint: &str, body: &Body) -> u64 {
    let mut hasher = FxHasher::default();
    hasher.write(endpoint.as_bytes());
    let filters = body.iter().filter(|(name, _)| !matches!(name.as_str(), "cursor" | "limit" | "mode"));
    for (name, value) in filters {
        hasher.write(name.as_bytes());
        hash(value, &mut hasher);
    }
    hasher.finish()
}

fn hash(value: &Value, hasher: &mut FxHasher) {
    match value {
        Value::String(text) => hasher.write(text.as_bytes()),
        Value::Array(items) => items.iter().for_each(|item| {
            hasher.write_u8(b',');
            hash(item, hasher);
        }),
        other => hasher.write(other.to_string().as_bytes()),
    }
}

/// A number that a hand-made cursor does not get right.
fn seal(query: u64, last: u64) -> u64 {
    let mut hasher = FxHasher::default();
    hasher.write_u64(query.rotate_left(17) ^ 0x5a4d_b0c5);
    hasher.write_u64(last);
    hasher.finish()
}
