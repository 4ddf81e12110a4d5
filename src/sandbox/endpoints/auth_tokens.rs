//! `auth-tokens.info`: whose token this is, and how long it is good.

use super::{Answer, Endpoint, json};
use crate::sandbox::check::Body;
use crate::sandbox::clock::epoch;
use crate::sandbox::dons::identity_don;
use crate::sandbox::error::ApiError;
use crate::sandbox::schema::AUTH_TOKENS_INFO;
use crate::sandbox::world::{World, display_name};
use serde_json::json;

pub(super) const ENDPOINTS: &[Endpoint] = &[Endpoint::read("auth-tokens.info", AUTH_TOKENS_INFO, info)];

fn info(world: &World, _: &Body) -> Answer {
    let own = world.users.get(world.own as usize);
    let user = own.ok_or_else(|| ApiError::not_found("the token's user is gone"))?;
    let id = identity_don(&world.org, user.id.kind.object(), user.id.number);
    let mut shown = json!({
        "type": user.id.kind,
        "id": id,
        "display_id": user.id.to_string(),
        "display_name": display_name(&user.name),
        "full_name": user.name,
    });
    if let Some(email) = &user.email {
        shown["email"] = json!(email);
    }
    let now = epoch().as_secs();
    json(&json!({
        "organization": {
            "id": format!("don:identity:dvrv-us-1:devo/{}", world.org),
            "display_id": format!("DEV-{}", world.org),
            "slug": display_name(&world.org_name),
        },
        "token": {
            "issuer": "https://auth-token.devrev.ai/",
            "subject": id,
            "issued_at": now.saturating_sub(86_400),
            "expiry": now.saturating_add(world.token_expires_in_s),
        },
        "user": shown,
    }))
}
