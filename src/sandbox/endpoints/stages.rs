//! `stage-diagrams.get`: the stages that works go through, the same for every type.

use super::{Answer, Endpoint, json};
use crate::sandbox::check::{Body, text};
use crate::sandbox::dons::core_don_of;
use crate::sandbox::error::ApiError;
use crate::sandbox::schema::STAGE_DIAGRAMS_GET;
use crate::sandbox::stages::NAMES;
use crate::sandbox::world::World;
use serde_json::{Value, json};

pub(super) const ENDPOINTS: &[Endpoint] = &[Endpoint::read("stage-diagrams.get", STAGE_DIAGRAMS_GET, get)];

/// What has stages.
const LEAF_TYPES: [&str; 4] = ["issue", "ticket", "task", "opportunity"];

fn get(world: &World, body: &Body) -> Answer {
    let leaf = text(body, "leaf_type");
    if !LEAF_TYPES.contains(&leaf) {
        return Err(ApiError::not_found(format!("there is no stage diagram of the leaf type `{leaf}`")));
    }
    let stages: Vec<Value> = (1..)
        .zip(NAMES)
        .map(|(number, name)| {
            json!({
                "stage": {"id": core_don_of(&world.org, "custom_stage", number), "name": name},
                "is_start": number == 1,
                "transitions": [],
            })
        })
        .collect();
    json(&json!({"stage_diagram": {
        "id": core_don_of(&world.org, "stage_diagram", 1),
        "display_id": "stage-diagram-1",
        "name": "Default",
        "leaf_type": leaf,
        "is_default": true,
        "stages": stages,
    }}))
}
