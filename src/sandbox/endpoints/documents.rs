//! `accounts.*` and `rev-orgs.*`.

use super::{Answer, Endpoint, json, paged};
use crate::devrev::ids::ObjectType;
use crate::devrev::objects::{self, Object};
use crate::sandbox::check::{Body, in_range, nothing, text, texts};
use crate::sandbox::clock::epoch_millis;
use crate::sandbox::cursor::Page;
use crate::sandbox::documents::{Document, Documents};
use crate::sandbox::dons::{display_id, identity_don};
use crate::sandbox::error::ApiError;
use crate::sandbox::schema::{
    ACCOUNTS_CREATE, ACCOUNTS_GET, ACCOUNTS_LIST, ACCOUNTS_UPDATE, REV_ORGS_CREATE, REV_ORGS_GET,
    REV_ORGS_LIST, REV_ORGS_UPDATE,
};
use crate::sandbox::state::State;
use crate::sandbox::summary::{date, rev_org};
use crate::sandbox::world::World;
use serde_json::{Map, Value, json};

pub(super) const ENDPOINTS: &[Endpoint] = &[
    Endpoint::read("accounts.get", ACCOUNTS_GET, |world, body| get(world, "account", body)),
    Endpoint::read("accounts.list", ACCOUNTS_LIST, |world, body| list(world, "account", body)),
    Endpoint::write("accounts.update", ACCOUNTS_UPDATE, 200, |world, body| update(world, "account", body)),
    Endpoint::write("accounts.create", ACCOUNTS_CREATE, 201, |world, body| create(world, "account", body)),
    Endpoint::write("rev-orgs.create", REV_ORGS_CREATE, 201, |world, body| create(world, "workspace", body)),
    Endpoint::read("rev-orgs.get", REV_ORGS_GET, |world, body| get(world, "workspace", body)),
    Endpoint::read("rev-orgs.list", REV_ORGS_LIST, |world, body| list(world, "workspace", body)),
    Endpoint::write("rev-orgs.update", REV_ORGS_UPDATE, 200, |world, body| update(world, "workspace", body)),
];

fn object(name: &str) -> Result<&'static Object, ApiError> {
    objects::named(name).ok_or_else(|| ApiError::new(500, "internal_error", format!("no object {name}")))
}

fn all<'a>(state: &'a State, name: &str) -> &'a Documents {
    if name == "account" { &state.accounts } else { &state.workspaces }
}

fn not_found(name: &str, id: &str) -> ApiError {
    ApiError::not_found(format!("{name} `{id}` not found"))
}

fn get(world: &World, name: &'static str, body: &Body) -> Answer {
    let id = text(body, "id");
    let (object, state) = (object(name)?, world.read());
    let document = all(&state, name).named(id).ok_or_else(|| not_found(name, id))?;
    json(&json!({ object.member: show(world, &state, object, document) }))
}

fn list(world: &World, name: &'static str, body: &Body) -> Answer {
    let object = object(name)?;
    let (endpoint, fields) =
        if name == "account" { ("accounts.list", ACCOUNTS_LIST) } else { ("rev-orgs.list", REV_ORGS_LIST) };
    let page = Page::of(endpoint, body)?;
    let none = nothing(body, fields);
    let state = world.read();
    let passes = |document: &&Document| {
        let holds = |filter: &str| {
            let mut wanted = texts(body, filter).peekable();
            let held = document.stock.get(filter).unwrap_or(&Value::Null);
            let held = held.as_array().map_or_else(|| std::slice::from_ref(held), Vec::as_slice);
            wanted.peek().is_none() || wanted.any(|wanted| held.iter().any(|held| held == wanted))
        };
        !none
            && in_range(body, "created_date", document.created)
            && in_range(body, "modified_date", document.modified)
            && ["display_name", "external_refs", "external_ref", "domains", "websites", "tier"]
                .into_iter()
                .all(holds)
    };
    let found = all(&state, name).iter().filter(passes).map(|one| show(world, &state, object, one));
    paged(&page, object.members, found)
}

fn update(world: &World, name: &'static str, body: &Body) -> Answer {
    let id = text(body, "id");
    let object = object(name)?;
    let mut state = world.write();
    let (don, stock, custom) = {
        let document = all(&state, name).named(id).ok_or_else(|| not_found(name, id))?;
        let stock = world.stock_of(&state, object, &[], body, &document.stock)?;
        let custom = world.custom_of(&state, object.leaf_type, body)?;
        world.required(object.leaf_type, body, |field| document.custom.contains_key(field))?;
        if stock.get("display_name").is_some_and(|name| name == "") {
            return Err(ApiError::not_permitted("display_name", "must not be empty"));
        }
        for field in ["external_refs", "external_ref"] {
            if let Some(wanted) = stock.get(field) {
                all(&state, name).ref_is_free(&document.don, field, wanted)?;
            }
        }
        (document.don.clone(), stock, custom)
    };
    state.writes += 1;
    let documents = if name == "account" { &mut state.accounts } else { &mut state.workspaces };
    if let Some(document) = documents.named_mut(&don) {
        document.writes += 1;
        document.modified = epoch_millis();
        document.stock.extend(stock);
        set_custom(&mut document.custom, custom);
    }
    // Still under the lock: the answer shows this update, and no later one.
    let document = all(&state, name).named(&don).ok_or_else(|| not_found(name, id))?;
    json(&json!({ object.member: show(world, &state, object, document) }))
}

fn create(world: &World, name: &'static str, body: &Body) -> Answer {
    let object = object(name)?;
    let mut state = world.write();
    let stock = world.stock_of(&state, object, &[], body, &Map::new())?;
    let custom = world.custom_of(&state, object.leaf_type, body)?;
    world.required(object.leaf_type, body, |_| false)?;
    for field in ["external_refs", "external_ref"] {
        if let Some(wanted) = stock.get(field) {
            all(&state, name).ref_is_free("", field, wanted)?;
        }
    }
    state.writes += 1;
    let number = u32::try_from(all(&state, name).len() + 1).unwrap_or(u32::MAX);
    let (don, display_id) = if name == "account" {
        let account = ObjectType::Account;
        (identity_don(&world.org, account, number), display_id(account, number))
    } else {
        rev_org(&world.org, &format!("{number}")).ids()
    };
    let now = epoch_millis();
    let mut document = Document {
        don: don.clone(),
        display_id,
        stock,
        custom: Map::new(),
        created: now,
        modified: now,
        writes: 1,
    };
    set_custom(&mut document.custom, custom);
    let documents = if name == "account" { &mut state.accounts } else { &mut state.workspaces };
    documents.push(document);
    let document = all(&state, name).named(&don).ok_or_else(|| not_found(name, &don))?;
    json(&json!({ object.member: show(world, &state, object, document) }))
}

/// Sets custom fields; `null` takes a value away.
pub(super) fn set_custom(custom: &mut Map<String, Value>, fields: Map<String, Value>) {
    for (name, value) in fields {
        if value.is_null() {
            custom.remove(&name);
        } else {
            custom.insert(name, value);
        }
    }
}

fn show(world: &World, state: &State, object: &Object, document: &Document) -> Value {
    let mut shown = json!({
        "id": document.don,
        "display_id": document.display_id,
        "created_by": world.summary(state, world.own),
        "created_date": date(document.created),
        "modified_date": date(document.modified),
    });
    if object.has_custom_fields {
        shown["custom_fields"] = json!(document.custom);
    }
    world.show_stock(state, object, &document.stock, &mut shown);
    shown
}
