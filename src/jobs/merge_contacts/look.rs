//! The present state of contacts, in few calls: many are listed by their addresses at once, and only those
//! that are not found so are asked about one by one.

use super::pair::{Contact, folded};
use crate::devrev::ids::Key;
use crate::devrev::pages::Pages;
use crate::devrev::read_only::ReadOnly;
use crate::devrev::rev_users::{RevUser, RevUsersGet, RevUsersList, contact_key};
use crate::devrev::whole::Whole;
use crate::jobs::failing;
use crate::net::error::{ApiError, ErrorKind};
use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap};

/// Addresses in one list: each has two contacts as a rule, and a page holds a hundred.
const ADDRESSES: usize = 50;

/// References in one list.
const REFS: usize = 50;

/// What DevRev says of a contact.
#[derive(Debug, Clone)]
pub(crate) enum Seen {
    /// It is there.
    Present(Box<Whole<RevUser>>),
    /// 404; DevRev's own words.
    Gone(String),
    /// 301: it became part of another contact.
    Moved {
        /// Where to, as the answer says.
        to: Option<String>,
    },
    /// It could not be read.
    Unread(ApiError),
}

/// Reads contacts. Fails only when the run has to end: with the error that says why.
pub(crate) async fn contacts(client: &ReadOnly, wanted: &[&Contact]) -> Result<HashMap<Key, Seen>, ApiError> {
    // As they are written, and in lower case: whether DevRev's filter heeds the case is not documented.
    let addresses: BTreeSet<String> =
        wanted.iter().flat_map(|contact| [contact.email.clone(), folded(&contact.email)]).collect();
    let addresses: Vec<String> = addresses.into_iter().collect();
    let mut seen = HashMap::new();
    for some in addresses.chunks(ADDRESSES) {
        let mut pages = Pages::new(RevUsersList::by_email(some.to_vec()));
        loop {
            match pages.next(client).await {
                Ok(Some(page)) => {
                    for contact in page {
                        if let Some(key) = contact.read.key() {
                            seen.insert(key, Seen::Present(Box::new(contact)));
                        }
                    }
                }
                Ok(None) => break,
                // Those that are missing are asked about one by one.
                Err(error) if failing::ends_run(&error).is_some() => return Err(error),
                Err(error) => break tracing::debug!("contacts are read one by one: {error}"),
            }
        }
    }
    for contact in wanted {
        if let Entry::Vacant(unseen) = seen.entry(contact.id.key()) {
            let one = contact_of(client, contact.id.as_str()).await;
            match one {
                Seen::Unread(error) if failing::ends_run(&error).is_some() => return Err(error),
                one => drop(unseen.insert(one)),
            }
        }
    }
    Ok(seen)
}

/// Reads one contact.
pub(crate) async fn contact_of(client: &ReadOnly, id: &str) -> Seen {
    match client.call(&RevUsersGet { id: id.to_owned() }).await {
        // Asked for one and answered with another: a redirection that somebody followed on the way.
        Ok(answer) if contact_key(id).is_some_and(|key| answer.rev_user.read.key() != Some(key)) => {
            Seen::Moved { to: Some(answer.rev_user.read.id) }
        }
        Ok(answer) => Seen::Present(Box::new(answer.rev_user)),
        Err(ApiError { kind: ErrorKind::NotFound, text, .. }) => Seen::Gone(text),
        Err(ApiError { kind: ErrorKind::Moved { to }, .. }) => Seen::Moved { to },
        Err(error) => Seen::Unread(error),
    }
}

/// The contacts that have any of these references.
pub(crate) async fn holders(
    client: &ReadOnly,
    refs: &[String],
) -> Result<HashMap<String, Vec<RevUser>>, ApiError> {
    let mut holders: HashMap<String, Vec<RevUser>> = HashMap::new();
    for some in refs.chunks(REFS) {
        let mut pages = Pages::new(RevUsersList::by_external_ref(some.to_vec()));
        while let Some(page) = pages.next(client).await? {
            for contact in page {
                let reference = contact.read.external_ref.clone().unwrap_or_default();
                holders.entry(reference).or_default().push(contact.read);
            }
        }
    }
    Ok(holders)
}

/// Whether a `Location` names this contact. A location that names none says nothing against it.
pub(crate) fn leads_to(location: Option<&str>, contact: &Key) -> Option<bool> {
    let location = location?;
    // A DON, perhaps within a URL, perhaps escaped there.
    let plain = location.replace("%3A", ":").replace("%3a", ":").replace("%2F", "/").replace("%2f", "/");
    let begin = plain.find("don:identity:").or_else(|| plain.find("REVU-"))?;
    let rest = plain.get(begin..)?;
    let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || ":/-_.".contains(c))).unwrap_or(rest.len());
    contact_key(rest.get(..end)?).map(|found| found == *contact)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_location_names_a_contact_in_any_form() {
        let key = contact_key("REVU-7").unwrap();
        for (location, leads) in [
            ("don:identity:dvrv-us-1:devo/X:revu/7", Some(true)),
            ("/rev-users.get?id=don%3Aidentity%3Advrv-us-1%3Adevo%2FX%3Arevu%2F7&x=1", Some(true)),
            ("https://api.devrev.ai/rev-users.get?id=REVU-7", Some(true)),
            ("don:identity:dvrv-us-1:devo/X:revu/8", Some(false)),
            ("/elsewhere", None),
        ] {
            assert_eq!(leads_to(Some(location), &key), leads, "{location}");
        }
        assert_eq!(leads_to(None, &key), None);
    }
}
