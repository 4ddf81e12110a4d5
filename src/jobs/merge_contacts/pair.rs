//! Two contacts of one person.

use crate::cli::choices::Keep;
use crate::devrev::ids::{Place, RevUserId};
use serde::{Deserialize, Serialize};

/// What a row says of a contact.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Contact {
    /// The row in the input, counted from 1.
    pub row: u64,
    /// The contact.
    pub id: RevUserId,
    /// Its e-mail address as it is written, without surrounding white space.
    pub email: String,
    /// Its external reference; may be empty.
    pub external_ref: String,
    /// Its display name; may be empty.
    pub display_name: String,
    /// Its tickets, as the input counts them.
    pub tickets: u64,
}

/// Two contacts that are to be one.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Pair {
    /// The e-mail address that they share, as it is compared: see [`folded`].
    pub email: String,
    /// The contact that is kept.
    pub primary: Contact,
    /// The contact that goes into it.
    pub secondary: Contact,
}

impl Pair {
    /// Makes a pair of two contacts if they are one by all that can be told from their rows: one address, one
    /// reference of each [`Source`], no two organisations. Texts are compared here, not hashes of them.
    pub(crate) fn of(primary: Contact, secondary: Contact) -> Option<Self> {
        let email = folded(&primary.email);
        let orgs = (organisation(primary.id.as_str()), organisation(secondary.id.as_str()));
        let sources = (Source::of(&primary.external_ref)?, Source::of(&secondary.external_ref)?);
        let fits = email == folded(&secondary.email)
            && sources.0 != sources.1
            && !matches!(orgs, (Some(one), Some(other)) if one != other)
            && primary.id != secondary.id;
        fits.then_some(Self { email, primary, secondary })
    }
}

impl Keep {
    /// Whether this is the contact to keep.
    pub fn keeps(self, source: Source) -> bool {
        matches!((self, source), (Self::Revu, Source::Revu) | (Self::User, Source::User))
    }
}

/// Where a contact came from, as its external reference begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// `REVU-`
    Revu,
    /// `user_`
    User,
}

impl Source {
    /// The source of this external reference, if it is one of the two. The case of letters counts.
    pub fn of(external_ref: &str) -> Option<Self> {
        if external_ref.starts_with("REVU-") {
            Some(Self::Revu)
        } else if external_ref.starts_with("user_") {
            Some(Self::User)
        } else {
            None
        }
    }
}

/// An e-mail address as addresses are compared: without surrounding white space and without the case of ASCII
/// letters. Other letters are not folded: some that Unicode takes for one belong to two addresses.
pub(crate) fn folded(email: &str) -> String {
    email.trim().to_ascii_lowercase()
}

/// The partition and organisation that a DON names, such as `dvrv-us-1:devo/X`; a display ID names none.
pub(crate) fn organisation(id: &str) -> Option<&str> {
    Place::of(id).map(|place| place.organisation)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contact(id: &str, email: &str, external_ref: &str) -> Contact {
        Contact {
            row: 1,
            id: RevUserId::parse(id).unwrap(),
            email: email.to_owned(),
            external_ref: external_ref.to_owned(),
            display_name: String::new(),
            tickets: 0,
        }
    }

    #[test]
    fn a_pair_is_checked_again() {
        let don = "don:identity:dvrv-us-1:devo/A:revu/1";
        for (id, email, external_ref, fits) in [
            ("REVU-2", " ANN@x.io", "user_1", true),
            ("don:identity:dvrv-us-1:devo/A:revu/2", "ann@x.io", "user_1", true),
            ("don:identity:dvrv-us-1:devo/A:revo/6:revu/2", "ann@x.io", "user_1", true),
            ("don:identity:dvrv-us-1:devo/A:revo/6:revu/1", "ann@x.io", "user_1", false),
            ("don:identity:dvrv-us-1:devo/B:revu/2", "ann@x.io", "user_1", false),
            ("don:identity:dvrv-us-1:devo/B:revo/6:revu/2", "ann@x.io", "user_1", false),
            ("REVU-1", "ann@x.io", "user_1", false),
            ("REVU-2", "anne@x.io", "user_1", false),
            ("REVU-2", "ann@x.i\u{ba}", "user_1", false),
            ("REVU-2", "ann@x.io", "REVU-9", false),
            ("REVU-2", "ann@x.io", "USER_1", false),
        ] {
            let other = contact(id, email, external_ref);
            let pair = Pair::of(contact(don, "Ann@x.io", "REVU-1"), other);
            assert_eq!(pair.is_some(), fits, "{id} {email} {external_ref}");
            assert!(pair.is_none_or(|pair| pair.email == "ann@x.io"));
        }
    }

    #[test]
    fn which_to_keep_is_written_as_on_the_command_line() {
        for (keep, text) in [(Keep::Revu, "revu"), (Keep::User, "user")] {
            assert_eq!(crate::cli::choices::word(&keep), text);
            assert_eq!(serde_json::to_value(keep).unwrap(), text);
        }
    }

    #[test]
    fn only_a_don_names_an_organisation() {
        assert_eq!(organisation("don:identity:dvrv-us-1:devo/A:revu/1"), Some("dvrv-us-1:devo/A"));
        assert_eq!(organisation("don:identity:dvrv-us-1:devo/A:revo/6:revu/1"), Some("dvrv-us-1:devo/A"));
        assert_eq!(organisation("REVU-1"), None);
    }
}
