//! Two contacts of one person, as the input names them.

use crate::devrev::ids::RevUserId;
use serde::{Deserialize, Serialize};
use std::str::FromStr;

/// A contact, as its row describes it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Contact {
    /// The row's number in the input.
    pub row: u64,
    /// The contact's ID.
    pub id: RevUserId,
    /// Its e-mail address as it is written, without surrounding space.
    pub email: String,
    /// Its external reference.
    pub external_ref: String,
    /// Its display name; may be empty.
    pub display_name: String,
    /// Its tickets.
    pub tickets: u64,
}

/// Two contacts with one e-mail address, of which one is to stay.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Pair {
    /// The address in lower case, without surrounding space.
    pub email: String,
    /// The contact that stays.
    pub primary: Contact,
    /// The contact that becomes part of it.
    pub secondary: Contact,
}

/// Which contact of a pair stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Keep {
    /// The one whose external reference begins with `REVU-`.
    Revu,
    /// The one whose external reference begins with `user_`.
    User,
}

impl FromStr for Keep {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "revu" => Ok(Self::Revu),
            "user" => Ok(Self::User),
            _ => Err("is not revu or user"),
        }
    }
}
