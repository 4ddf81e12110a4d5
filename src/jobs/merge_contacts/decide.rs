//! From a pair and what DevRev shows of it to a merge, or to the reason for none.

use super::look::{Seen, leads_to};
use super::pair::{Contact, Pair, folded};
use super::proof::is_ended;
use super::restored::Made;
use crate::devrev::ids::Place;
use crate::devrev::rev_users::RevUser;
use crate::devrev::whole::Whole;
use crate::jobs::failing;
use crate::journal::record::{Outcome, State};

/// The reason of a pair that was merged already.
pub(crate) const MERGED_BEFORE: &str = "merged-before";

fn skipped(reason: &'static str, detail: impl Into<String>) -> Outcome {
    Outcome::of(State::Skipped, reason, detail)
}

/// Both contacts, if they may be merged as they are now; else why not. `made` are contacts that are verified,
/// whatever DevRev shows.
pub(crate) fn both<'s>(
    pair: &Pair,
    primary: Option<&'s Seen>,
    secondary: Option<&'s Seen>,
    made: &Made,
) -> Result<(&'s Whole<RevUser>, &'s Whole<RevUser>), Outcome> {
    let primary = match primary {
        Some(Seen::Present(contact)) => contact,
        Some(Seen::Unread(error)) => return Err(failing::unread(error)),
        Some(Seen::Gone(words)) => {
            return Err(skipped("primary-gone", format!("{}: {words}", pair.primary.id)));
        }
        Some(Seen::Moved { to }) => return Err(skipped("primary-gone", moved(&pair.primary, to.as_deref()))),
        None => return Err(skipped("primary-gone", format!("DevRev shows no {}", pair.primary.id))),
    };
    let secondary = match secondary {
        Some(Seen::Present(contact)) => contact,
        Some(Seen::Unread(error)) => return Err(failing::unread(error)),
        Some(Seen::Moved { to }) if leads_to(to.as_deref(), &pair.primary.id.key()) == Some(true) => {
            return Err(already(pair, &primary.read));
        }
        Some(Seen::Moved { to }) => {
            return Err(skipped("secondary-gone", moved(&pair.secondary, to.as_deref())));
        }
        Some(Seen::Gone(words)) => return Err(gone(pair, &primary.read, words)),
        None => return Err(gone(pair, &primary.read, "DevRev shows no such contact")),
    };
    let primary_key = pair.primary.id.key();
    let own = secondary.read.key();
    if let Some(identity) = &secondary.read.primary_identity
        && identity.key() != own
        && !identity.is_nobody()
    {
        return Err(if identity.key().as_ref() == Some(&primary_key) {
            already(pair, &primary.read)
        } else {
            skipped("merged-elsewhere", format!("{} is part of {}", pair.secondary.id, identity.id))
        });
    }
    if let Some(identity) = &primary.read.primary_identity
        && identity.key().as_ref() != Some(&primary_key)
    {
        return Err(skipped("merged-elsewhere", format!("{} is part of {}", pair.primary.id, identity.id)));
    }
    if secondary.read.state.as_deref() == Some("deleted") {
        return Err(gone(pair, &primary.read, "its state is deleted"));
    }
    // As some tenants leave it; what a person has deactivated still has its reference.
    let has_ref = secondary.read.external_ref.as_deref() == Some(&*pair.secondary.external_ref);
    if is_ended(&secondary.read) && !has_ref && has_secondarys_ref(pair, &primary.read) {
        return Err(already(pair, &primary.read));
    }
    for (row, contact) in [(&pair.primary, &primary.read), (&pair.secondary, &secondary.read)] {
        fits(pair, row, contact)?;
    }
    let is_made = secondary.read.key().is_some_and(|key| made.contains(&key));
    if primary.read.is_verified == Some(true) && secondary.read.is_verified != Some(true) && !is_made {
        // Anyone who made it never showed that the address is theirs: its works would become a verified one's.
        let text = format!("{} is not verified, {} is", pair.secondary.id, pair.primary.id);
        return Err(skipped("unverified-into-verified", text));
    }
    Ok((primary, secondary))
}

/// Whether a contact is what its row says.
fn fits(pair: &Pair, row: &Contact, contact: &RevUser) -> Result<(), Outcome> {
    // A row may name the contact without its workspace, and DevRev with it, or the other way round.
    if let (Some(said), Some(is)) = (Place::of(row.id.as_str()), Place::of(&contact.id))
        && !said.agrees(&is)
    {
        let text = format!("the row says {}, DevRev knows it as {}", row.id, contact.id);
        return Err(Outcome::of(State::Failed, "contact-differs", text));
    }
    let state = contact.state.as_deref().unwrap_or("active");
    if state != "active" {
        return Err(skipped("not-active", format!("{}: its state is {state}", row.id)));
    }
    let email = contact.email.as_deref().unwrap_or_default().trim();
    if folded(email) != pair.email {
        let text = format!("{}: the row says `{}`, DevRev says `{email}`", row.id, row.email);
        return Err(skipped("email-drifted", text));
    }
    let reference = contact.external_ref.as_deref().unwrap_or_default();
    if reference != row.external_ref {
        let text = format!("{}: the row says `{}`, DevRev says `{reference}`", row.id, row.external_ref);
        return Err(skipped("ref-drifted", text));
    }
    Ok(())
}

/// The secondary was merged into the primary before.
fn already(pair: &Pair, primary: &RevUser) -> Outcome {
    let reference = primary.external_ref.as_deref().unwrap_or_default();
    let text =
        format!("{} is part of {}, whose reference is `{reference}`", pair.secondary.id, pair.primary.id);
    Outcome::of(State::Already, MERGED_BEFORE, text)
}

/// The secondary is not there. If the primary has its reference, that is what a merge leaves behind.
fn gone(pair: &Pair, primary: &RevUser, words: &str) -> Outcome {
    if has_secondarys_ref(pair, primary) {
        return already(pair, primary);
    }
    skipped("secondary-gone", format!("{}: {words}", pair.secondary.id))
}

/// Whether the primary has the reference that the row gives the secondary, and not its own.
fn has_secondarys_ref(pair: &Pair, primary: &RevUser) -> bool {
    let reference = primary.external_ref.as_deref().unwrap_or_default();
    reference == pair.secondary.external_ref && reference != pair.primary.external_ref
}

fn moved(contact: &Contact, to: Option<&str>) -> String {
    format!("{} has moved{}", contact.id, to.map(|to| format!(" to {to}")).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn pair() -> Pair {
        let contact = |row, id: &str, reference: &str| Contact {
            row,
            id: crate::devrev::ids::RevUserId::parse(id).unwrap(),
            email: "Ann@Example.com".to_owned(),
            external_ref: reference.to_owned(),
            display_name: "Ann".to_owned(),
            tickets: 0,
        };
        let (primary, secondary) = (contact(1, "REVU-1", "REVU-x"), contact(2, "REVU-2", "user_y"));
        Pair { email: "ann@example.com".to_owned(), primary, secondary }
    }

    fn seen(number: u32, reference: &str, more: &Value) -> Seen {
        let mut contact = json!({
            "id": format!("don:identity:dvrv-us-1:devo/X:revu/{number}"),
            "email": "ann@example.com", "external_ref": reference, "state": "active", "artifacts": null,
        });
        for (name, value) in more.as_object().unwrap() {
            contact[name] = value.clone();
        }
        Seen::Present(Box::new(serde_json::from_value(contact).unwrap()))
    }

    /// Why the pair is not merged; empty if it is.
    fn reason(primary: &Value, secondary: &Value) -> String {
        let (primary, secondary) = (seen(1, "REVU-x", primary), seen(2, "user_y", secondary));
        let decided = both(&pair(), Some(&primary), Some(&secondary), &Made::default());
        decided.err().and_then(|outcome| outcome.reason).unwrap_or_default().into_owned()
    }

    #[test]
    fn only_what_is_surely_right_is_merged() {
        let own = "don:identity:dvrv-us-1:devo/X:revu/2";
        let primary = "don:identity:dvrv-us-1:devo/X:revu/1";
        let cases = [
            (json!({}), json!({}), ""),
            (json!({"is_verified": true}), json!({"is_verified": true}), ""),
            (json!({"is_verified": true}), json!({"is_verified": false}), "unverified-into-verified"),
            // Some servers leave out what is false.
            (json!({"is_verified": true}), json!({}), "unverified-into-verified"),
            (json!({}), json!({"is_verified": false}), ""),
            (json!({}), json!({"primary_identity": {"id": own}}), ""),
            (json!({}), json!({"primary_identity": {"id": primary}}), "merged-before"),
            (json!({}), json!({"primary_identity": primary}), "merged-before"),
            (
                json!({}),
                json!({"primary_identity": {"id": "don:identity:x:devo/X:revu/9"}}),
                "merged-elsewhere",
            ),
            (json!({}), json!({"primary_identity": {"id": "what is this"}}), "merged-elsewhere"),
            (json!({"state": "locked"}), json!({}), "not-active"),
            (json!({}), json!({"state": "deleted"}), "secondary-gone"),
            (json!({"external_ref": "user_y"}), json!({"state": "deleted"}), "merged-before"),
            (
                json!({"external_ref": "user_y"}),
                json!({"state": "locked", "external_ref": null}),
                "merged-before",
            ),
            (
                json!({"external_ref": "user_y"}),
                json!({"state": "active", "external_ref": null}),
                "ref-drifted",
            ),
            (json!({"external_ref": "user_y"}), json!({"state": "locked"}), "ref-drifted"),
            (json!({}), json!({"state": "locked", "external_ref": null}), "not-active"),
            (json!({"email": "other@example.com"}), json!({}), "email-drifted"),
            (json!({}), json!({"email": null}), "email-drifted"),
            (json!({}), json!({"external_ref": "user_z"}), "ref-drifted"),
            (json!({}), json!({"email": " ANN@example.COM "}), ""),
        ];
        for (primary, secondary, expected) in cases {
            assert_eq!(reason(&primary, &secondary), expected, "{primary} {secondary}");
        }
    }

    #[test]
    fn a_don_of_another_place_is_another_contact() {
        let nested = "don:identity:dvrv-us-1:devo/X:revo/6:revu/2";
        for (row, shown, differs) in [
            ("don:identity:dvrv-us-1:devo/Y:revu/2", "don:identity:dvrv-us-1:devo/X:revu/2", true),
            ("don:identity:dvrv-us-1:devo/X:revu/2", nested, false),
            (nested, "don:identity:dvrv-us-1:devo/X:revu/2", false),
            (nested, nested, false),
            ("REVU-2", nested, false),
            (nested, "don:identity:dvrv-us-1:devo/X:revo/7:revu/2", true),
        ] {
            let mut pair = pair();
            pair.secondary.id = crate::devrev::ids::RevUserId::parse(row).unwrap();
            let (primary, secondary) =
                (seen(1, "REVU-x", &json!({})), seen(2, "user_y", &json!({"id": shown})));
            let decided = both(&pair, Some(&primary), Some(&secondary), &Made::default());
            let reason = decided.err().and_then(|outcome| outcome.reason).unwrap_or_default();
            assert_eq!(reason, if differs { "contact-differs" } else { "" }, "{row} {shown}");
        }
    }
}
