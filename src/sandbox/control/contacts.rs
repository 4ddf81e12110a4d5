//! Contacts as tests look at them and change them.

use super::works::known;
use super::{CHUNK, parse};
use crate::sandbox::clock::epoch_millis;
use crate::sandbox::error::ApiError;
use crate::sandbox::format::UserState;
use crate::sandbox::schema::CONTACTS;
use crate::sandbox::server::Server;
use serde_json::{Value, json};
use std::fmt::Write as _;

pub(super) fn lines(server: &Server, begin: usize) -> (String, usize) {
    let state = server.world.read();
    let (mut lines, slice) = (String::new(), state.contacts.slice(begin, CHUNK));
    for contact in slice {
        let into = contact.merged.and_then(|merged| state.contacts.get(merged.into));
        let line = json!({
            "id": contact.id().to_string(),
            "external_ref": contact.external_ref(),
            "email": contact.email(),
            "display_name": contact.display_name,
            "state": contact.state,
            "merged_into": into.map(|into| into.id().to_string()),
            "merges": contact.merges,
            "writes": contact.writes,
        });
        // Writing to a String does not fail.
        let _ = writeln!(lines, "{line}");
    }
    (lines, slice.len())
}

pub(super) fn set(server: &Server, id: &str, body: &[u8]) -> Result<Value, ApiError> {
    let (world, value) = (&server.world, parse(body)?);
    known(&value, &["email", "external_ref", "display_name", "state"])?;
    let none = || ApiError::not_found(format!("there is no contact `{id}`"));
    let named = world.object(id, CONTACTS).ok_or_else(none)?;
    let mut state = world.write();
    let at = state.contacts.position(named.number).ok_or_else(none)?;
    let wish = |name: &str| match value.get(name) {
        None => Ok(None),
        Some(Value::Null) => Ok(Some(None)),
        Some(Value::String(text)) => Ok(Some(Some(text.as_str()))),
        Some(_) => Err(ApiError::bad_request(format!("`{name}`: a text or null is wanted"))),
    };
    let (email, external_ref, name) = (wish("email")?, wish("external_ref")?, wish("display_name")?);
    let user_state: Option<UserState> = match value.get("state") {
        None => None,
        Some(user_state) => Some(
            serde_json::from_value(user_state.clone())
                .map_err(|error| ApiError::bad_request(error.to_string()))?,
        ),
    };
    if let Some(wanted) = external_ref.map(Option::unwrap_or_default) {
        let taken = || ApiError::conflict(format!("another contact has the external_ref `{wanted}`"));
        state.contacts.set_ref(at, wanted).map_err(|_| taken())?;
    }
    if let Some(email) = email {
        state.contacts.set_email(at, email.map(str::to_owned));
    }
    if user_state == Some(UserState::Deleted) {
        state.contacts.free_ref(at);
    }
    let contact = state.contacts.get_mut(at).ok_or_else(none)?;
    if let Some(name) = name {
        contact.display_name = name.map(str::to_owned);
    }
    contact.state = user_state.unwrap_or(contact.state);
    contact.modified = epoch_millis();
    Ok(json!({}))
}
