//! `works.create` and `works.delete`.

use super::works::{WorkAnswer, not_found, show};
use super::works_update::{change, required_fields};
use super::{Answer, Endpoint, json};
use crate::sandbox::check::{Body, text};
use crate::sandbox::clock::epoch_millis;
use crate::sandbox::dons::display_id;
use crate::sandbox::error::ApiError;
use crate::sandbox::format::WorksExternalRef;
use crate::sandbox::schema::{WORK_TYPES, WORKS_CREATE, WORKS_DELETE};
use crate::sandbox::works::EXTERNAL_REF;
use crate::sandbox::world::World;

pub(super) const ENDPOINTS: &[Endpoint] = &[
    Endpoint::write("works.create", WORKS_CREATE, 201, create),
    Endpoint::write("works.delete", WORKS_DELETE, 200, delete),
];

fn create(world: &World, body: &Body) -> Answer {
    let kind = text(body, "type");
    let object = WORK_TYPES.iter().copied().find(|object| object.don_name() == kind);
    let object = object.ok_or_else(|| ApiError::new(500, "internal_error", "no such type of work"))?;
    if kind == "opportunity" && !body.contains_key("account") {
        return Err(ApiError::missing_field("account"));
    }
    let wanted = Some(text(body, EXTERNAL_REF))
        .filter(|wanted| !wanted.is_empty() && world.works_external_ref == WorksExternalRef::Kept);
    let mut state = world.write();
    // No work has the number 0: what is required has to be in the request.
    let fields = change(world, &state, (object, 0), body)?;
    required_fields(world, &state, (object, 0), body)?;
    if let Some(taken) = wanted.filter(|wanted| !state.works_of(object).ref_is_free(wanted)) {
        return Err(ApiError::conflict(format!("another {kind} has the {EXTERNAL_REF} `{taken}`")));
    }
    state.writes += 1;
    let failed = |error: String| ApiError::new(500, "internal_error", error);
    let works = state.works_mut(object);
    let number = works.create(text(body, "title"), world.own, epoch_millis()).map_err(failed)?;
    fields.apply(works, number);
    if let Some(wanted) = wanted {
        works.set_ref(number, wanted);
    }
    // Still under the lock: the answer shows the work as it was created.
    let id = display_id(object, number);
    let (works, work) = world.work(&state, &id).ok_or_else(|| not_found(&id))?;
    json(&WorkAnswer { work: show(world, &state, works, work) })
}

fn delete(world: &World, body: &Body) -> Answer {
    let id = text(body, "id");
    let mut state = world.write();
    let (object, number) = {
        let (works, work) = world.work(&state, id).ok_or_else(|| not_found(id))?;
        (works.object, work.number)
    };
    state.writes += 1;
    state.works_mut(object).delete(number);
    json(&serde_json::json!({}))
}
