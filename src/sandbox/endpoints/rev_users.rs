//! `rev-users.get`, `rev-users.list` and `rev-users.scan`.

use super::rev_user::{RevUser, RevUserAnswer, find};
use super::{Answer, Endpoint, json, rev_users_merge, rev_users_write};
use crate::sandbox::check::{Body, in_range, nothing, text, texts};
use crate::sandbox::contacts::Contact;
use crate::sandbox::cursor::Page;
use crate::sandbox::schema::{
    REV_USERS_CREATE, REV_USERS_GET, REV_USERS_LIST, REV_USERS_MERGE, REV_USERS_SCAN, REV_USERS_UPDATE,
};
use crate::sandbox::state::State;
use crate::sandbox::world::World;
use serde::Serialize;
use serde_json::Value;

pub(super) const ENDPOINTS: &[Endpoint] = &[
    Endpoint::read("rev-users.get", REV_USERS_GET, get),
    Endpoint::read("rev-users.list", REV_USERS_LIST, list),
    Endpoint::read("rev-users.scan", REV_USERS_SCAN, scan),
    Endpoint::write("rev-users.create", REV_USERS_CREATE, 201, rev_users_write::create),
    Endpoint::write("rev-users.update", REV_USERS_UPDATE, 200, rev_users_write::update),
    Endpoint::write("rev-users.merge", REV_USERS_MERGE, 200, rev_users_merge::run),
];

/// `rev-users-list-response`
#[derive(Serialize)]
struct RevUsersAnswer<'a> {
    rev_users: Vec<RevUser<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

fn get(world: &World, body: &Body) -> Answer {
    let state = world.read();
    let at = find(world, &state, text(body, "id"))?;
    json(&RevUserAnswer {
        rev_user: state.contacts.get(at).map(|contact| RevUser::of(world, &state, contact)),
    })
}

fn list(world: &World, body: &Body) -> Answer {
    paged(world, body, &Page::of("rev-users.list", body)?)
}

fn scan(world: &World, body: &Body) -> Answer {
    paged(world, body, &Page::of("rev-users.scan", body)?)
}

fn paged(world: &World, body: &Body, page: &Page) -> Answer {
    let state = world.read();
    let mut found = select(&state, body, page.after, page.limit + 1);
    let more = found.len() > page.limit;
    found.truncate(page.limit);
    let next_cursor = found.last().filter(|_| more).map(|last| page.next_cursor(last.number.into()));
    let rev_users = found.into_iter().map(|contact| RevUser::of(world, &state, contact)).collect();
    json(&RevUsersAnswer { rev_users, next_cursor })
}

/// The first contacts after a number that pass the filters. With filters it costs no more than what the
/// first of them finds.
fn select<'a>(state: &'a State, body: &Body, after: u64, most: usize) -> Vec<&'a Contact> {
    // A list without elements is no filter, as a Go service reads it.
    let given = |field: &str| texts(body, field).next().is_some();
    // Scanning knows no filter that listing does not know.
    let none = nothing(body, REV_USERS_LIST);
    let verified = body.get("is_verified").and_then(Value::as_bool);
    let passes = |contact: &&Contact| {
        let holds = |field: &str, value: Option<&str>| {
            !given(field) || texts(body, field).any(|wanted| Some(wanted) == value)
        };
        !none
            && contact.exists()
            && verified.is_none_or(|wanted| contact.is_verified == wanted)
            && u64::from(contact.number) > after
            && in_range(body, "created_date", contact.created)
            && in_range(body, "modified_date", contact.modified)
            && holds("email", contact.email())
            && holds("external_ref", contact.external_ref())
    };
    let contacts = &state.contacts;
    let indexed = if given("email") {
        Some(contacts.with_email(texts(body, "email")))
    } else {
        given("external_ref").then(|| contacts.with_ref(texts(body, "external_ref")))
    };
    match indexed {
        Some(found) => {
            found.into_iter().filter_map(|at| contacts.get(at)).filter(passes).take(most).collect()
        }
        None => contacts.after(after).iter().filter(passes).take(most).collect(),
    }
}
