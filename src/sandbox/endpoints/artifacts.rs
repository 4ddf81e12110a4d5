//! `artifacts.get` and `artifacts.locate`. The bytes come from another port: see `storage.rs`.

use super::{Answer, Endpoint, json};
use crate::sandbox::artifacts::Artifact;
use crate::sandbox::check::{Body, text};
use crate::sandbox::clock::epoch_millis;
use crate::sandbox::error::ApiError;
use crate::sandbox::schema::{ARTIFACTS, ARTIFACTS_GET, ARTIFACTS_LOCATE};
use crate::sandbox::summary::date;
use crate::sandbox::world::World;
use serde_json::json;

pub(super) const ENDPOINTS: &[Endpoint] = &[
    Endpoint::read("artifacts.get", ARTIFACTS_GET, get),
    Endpoint::read("artifacts.locate", ARTIFACTS_LOCATE, locate),
];

fn get(world: &World, body: &Body) -> Answer {
    let artifact = find(world, body)?;
    let created = date(1_706_745_600_000 + u64::from(artifact.number) * 600_000);
    let mut shown = json!(world.file(artifact.number));
    shown["created_date"] = json!(created);
    json(&json!({"artifact": shown, "version": {"timestamp": created, "version": "1"}}))
}

fn locate(world: &World, body: &Body) -> Answer {
    let (url, expires) = world.artifacts.url(find(world, body)?.number, epoch_millis());
    json(&json!({"url": url, "expires_at": date(expires)}))
}

fn find<'a>(world: &'a World, body: &Body) -> Result<&'a Artifact, ApiError> {
    let id = text(body, "id");
    let named = world.object(id, ARTIFACTS);
    let artifact = named.and_then(|named| world.artifacts.get(named.number));
    artifact.ok_or_else(|| ApiError::not_found(format!("artifact `{id}` not found")))
}
