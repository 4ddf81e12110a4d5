//! From the backups and what DevRev shows now to what is put back, or to the reason for nothing.

use super::Item;
use super::before::Before;
use super::steps::{Left, Member, NewContact, Put};
use crate::devrev::ids::Key;
use crate::devrev::rev_users::{RevUser, contact_key};
use crate::jobs::failing;
use crate::jobs::merge_contacts::look::Seen;
use crate::jobs::merge_contacts::pair::folded;
use crate::jobs::merge_contacts::proof::is_ended;
use crate::journal::record::{Outcome, State};
use chrono::{DateTime, TimeDelta, Utc};

/// By how much DevRev's clock may be behind this one.
const SKEW: TimeDelta = TimeDelta::minutes(10);

fn skipped(reason: &'static str, detail: impl Into<String>) -> Outcome {
    Outcome::of(State::Skipped, reason, detail)
}

/// The primary, if it is still there as a contact of its own.
pub(crate) fn primary<'s>(item: &Item, seen: Option<&'s Seen>) -> Result<&'s RevUser, Outcome> {
    let id = &item.primary;
    let contact = match seen {
        Some(Seen::Present(contact)) => &contact.read,
        Some(Seen::Unread(error)) => return Err(failing::unread(error)),
        Some(Seen::Gone(words)) => return Err(skipped("primary-gone", format!("{id}: {words}"))),
        Some(Seen::Moved { to }) => {
            let to = to.as_deref().map(|to| format!(" to {to}")).unwrap_or_default();
            return Err(skipped("primary-gone", format!("{id} has moved{to}")));
        }
        None => return Err(skipped("primary-gone", format!("DevRev shows no {id}"))),
    };
    if let Some(identity) = &contact.primary_identity
        && identity.key() != contact_key(id)
    {
        return Err(skipped("merged-elsewhere", format!("{id} is part of {}", identity.id)));
    }
    match contact.state.as_deref().unwrap_or("active") {
        "active" => Ok(contact),
        state => Err(skipped("not-active", format!("{id}: its state is {state}"))),
    }
}

/// What the primary gets back: whatever is as the merge left it, and was otherwise before. What somebody changed
/// since is left.
pub(crate) fn put_back(item: &Item, before: &RevUser, now: &RevUser) -> (Vec<Put>, Vec<Left>) {
    let (mut put_back, mut left) = (Vec::new(), Vec::new());
    for (member, merged) in
        [(Member::ExternalRef, &item.merged_ref), (Member::DisplayName, &item.merged_name)]
    {
        let (was, is, merged) = (member.of(before), member.of(now), merged.as_deref());
        if is == was {
            continue;
        }
        let shown = |value: Option<&str>| value.map_or("none".to_owned(), |value| format!("`{value}`"));
        let leave = |why: String| Left { what: member.name().to_owned(), why };
        match was {
            _ if is != merged => {
                let text = format!("the merge left {}, and it is {} now", shown(merged), shown(is));
                left.push(leave(text));
            }
            Some(was) if !was.is_empty() => {
                put_back.push(Put { member, from: is.map(str::to_owned), to: was.to_owned() });
            }
            _ => left
                .push(leave(format!("it was empty before, and DevRev takes no empty one ({})", shown(is)))),
        }
    }
    (put_back, left)
}

/// The contact that is in the place of the secondary already, among those that have its reference now: by an
/// earlier undo, or since the operator's own system has made it again.
pub(crate) fn already(
    item: &Item,
    before: &Before,
    holders: &[RevUser],
) -> Result<Option<NewContact>, Outcome> {
    let primary = contact_key(&item.primary);
    for holder in holders.iter().filter(|holder| holder.key() != primary) {
        let merged_away = holder.primary_identity.as_ref().is_some_and(|into| into.key() == primary)
            || holder.state.as_deref() == Some("deleted")
            // As some tenants leave it; a merge that is undone was proven.
            || is_ended(holder);
        if holder.key() == contact_key(&item.secondary) {
            if merged_away {
                continue;
            }
            let text = format!("{} exists, and is not part of {}", holder.shown(), item.primary);
            return Err(skipped("secondary-there", text));
        }
        let reference = before.secondary.external_ref.as_deref().unwrap_or_default();
        if !is_it(holder, &item.email, before.at) {
            let text = format!("{} has the secondary's reference `{reference}` now", holder.shown());
            return Err(skipped("ref-taken", text));
        }
        return Ok(Some(holder.into()));
    }
    Ok(None)
}

/// Whether a contact with the secondary's reference is the secondary made again after this time.
pub(crate) fn is_it(contact: &RevUser, email: &str, after: DateTime<Utc>) -> bool {
    let created = contact.created_date.as_deref().and_then(|date| DateTime::parse_from_rfc3339(date).ok());
    folded(contact.email.as_deref().unwrap_or_default()) == email
        && contact.state.as_deref().unwrap_or("active") == "active"
        && contact.primary_identity.is_none()
        && created.is_none_or(|created| created >= after - SKEW)
}

/// Whether another run may have sent a merge of the primary.
pub(crate) fn in_doubt_elsewhere(
    item: &Item,
    elsewhere: &crate::jobs::merge_contacts::elsewhere::Elsewhere,
) -> Result<(), Outcome> {
    let run = contact_key(&item.primary).and_then(|key: Key| elsewhere.get(&key));
    let Some(run) = run else { return Ok(()) };
    let text = format!(
        "run {run} may have sent a merge of {}, and does not know its outcome: resume that run",
        item.primary
    );
    Err(Outcome::of(State::Failed, "in-doubt-elsewhere", text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn contact(value: Value) -> RevUser {
        serde_json::from_value(value).unwrap()
    }

    fn item() -> Item {
        Item {
            email: "eva@x.io".to_owned(),
            primary: "REVU-1".to_owned(),
            secondary: "REVU-2".to_owned(),
            primary_backup: "p".into(),
            secondary_backup: "s".into(),
            merged_ref: Some("user_2".to_owned()),
            merged_name: Some("Eva".to_owned()),
        }
    }

    fn before() -> Before {
        let secondary = json!({"id": "REVU-2", "email": "eva@x.io", "external_ref": "user_2"});
        Before {
            primary: contact(json!({"id": "REVU-1", "external_ref": "REVU-a", "display_name": "Eva"})),
            secondary: contact(secondary.clone()),
            whole_secondary: secondary,
            works: Vec::new(),
            conversations: 0,
            at: DateTime::from_timestamp(1_795_319_100, 0).unwrap(),
        }
    }

    #[test]
    fn only_what_the_merge_left_is_put_back() {
        let cases = [
            (json!({"external_ref": "user_2", "display_name": "Eva"}), "REVU-a|"),
            (json!({"external_ref": "REVU-a", "display_name": "Eva"}), "|"),
            (json!({"external_ref": "mine", "display_name": "Eva"}), "|external_ref"),
            (json!({"display_name": "Eva L."}), "|external_ref,display_name"),
        ];
        for (mut now, expected) in cases {
            now["id"] = json!("REVU-1");
            let (put_back, left) = put_back(&item(), &before().primary, &contact(now));
            let put_back: Vec<_> = put_back.iter().map(|put| put.to.as_str()).collect();
            let left: Vec<_> = left.iter().map(|left| left.what.as_str()).collect();
            assert_eq!(format!("{}|{}", put_back.join(","), left.join(",")), expected);
        }
        let renamed = Item { merged_name: Some("Eva M.".to_owned()), merged_ref: None, ..item() };
        let now = contact(json!({"id": "REVU-1", "external_ref": "REVU-a", "display_name": "Eva M."}));
        let (put_back, _) = put_back(&renamed, &before().primary, &now);
        assert_eq!(put_back[0].to, "Eva");
    }

    #[test]
    fn the_primary_must_be_a_contact_of_its_own() {
        let seen =
            |value: Value| Some(Seen::Present(Box::new(serde_json::from_str(&value.to_string()).unwrap())));
        for (seen, expected) in [
            (seen(json!({"id": "REVU-1"})), None),
            (seen(json!({"id": "REVU-1", "state": "deleted"})), Some("not-active")),
            (seen(json!({"id": "REVU-1", "primary_identity": {"id": "REVU-9"}})), Some("merged-elsewhere")),
            (Some(Seen::Gone("404".to_owned())), Some("primary-gone")),
            (Some(Seen::Moved { to: None }), Some("primary-gone")),
            (None, Some("primary-gone")),
        ] {
            let reason = primary(&item(), seen.as_ref()).err().and_then(|outcome| outcome.reason);
            assert_eq!(reason.as_deref(), expected);
        }
    }

    #[test]
    fn a_contact_is_the_secondary_anew_only_if_all_says_so() {
        let new = |more: Value| {
            let mut value =
                json!({"id": "REVU-9", "email": "Eva@X.io", "created_date": "2026-12-01T00:00:00.000Z"});
            value.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            contact(value)
        };
        let reason = |holder: RevUser| match already(&item(), &before(), &[holder]) {
            Ok(Some(new)) => new.id,
            Ok(None) => "none".to_owned(),
            Err(outcome) => outcome.reason.unwrap_or_default().into_owned(),
        };
        assert_eq!(reason(new(json!({}))), "REVU-9");
        assert_eq!(reason(new(json!({"id": "REVU-1"}))), "none");
        assert_eq!(reason(new(json!({"created_date": "2024-01-01T00:00:00.000Z"}))), "ref-taken");
        assert_eq!(reason(new(json!({"email": "other@x.io"}))), "ref-taken");
        assert_eq!(reason(new(json!({"id": "REVU-2"}))), "secondary-there");
        assert_eq!(reason(new(json!({"id": "REVU-2", "primary_identity": {"id": "REVU-1"}}))), "none");
        for state in ["locked", "shadow", "archived", "deactivated"] {
            assert_eq!(reason(new(json!({"id": "REVU-2", "state": state}))), "none", "{state}");
        }
    }
}
