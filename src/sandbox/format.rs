//! The sandbox's data file: JSON, in the shape of [`File`].
//!
//! ```json
//! {
//!   "organisation": {"id": "DEMO", "name": "Demo Inc."},
//!   "self": "DEVU-1",
//!   "users": [{"number": 1, "name": "Ana Sousa", "email": "ana@example.com", "kind": "dev_user", "state": "active"}],
//!   "groups": [{"number": 1, "name": "Billing", "member_type": "dev_user", "members": ["DEVU-1"]}],
//!   "custom_fields": {"tnt__creator_group": {"type": "id", "allowed": ["group"]}},
//!   "issues": [{"number": 1, "title": "Invoice shows the wrong total", "created_by": "DEVU-1"}]
//! }
//! ```
//!
//! An unknown member is an error, and so is a reference to what the file does not hold.

use crate::devrev::ids::{ObjectType, Ref, USER_TYPES};
use serde::de::{Deserialize, Deserializer, Error as _};
use std::collections::BTreeMap;
use std::fmt;

/// The whole file.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    /// The organisation that all of it belongs to.
    pub(super) organisation: Organisation,
    /// The user whose token is used: any token will do. A dev user.
    #[serde(rename = "self")]
    pub(super) own: UserRef,
    pub(super) users: Vec<User>,
    #[serde(default)]
    pub(super) groups: Vec<Group>,
    /// The custom fields that the tenant's schema declares for issues, by their full names (`tnt__...`).
    #[serde(default)]
    pub(super) custom_fields: BTreeMap<String, CustomField>,
    /// The custom field that shows an issue's `creator_group`: `tnt__creator_group` unless said.
    #[serde(default = "creator_group_field")]
    pub(super) creator_group_field: String,
    /// Native fields that this tenant's gateway knows.
    #[serde(default)]
    pub(super) native_fields: Vec<NativeField>,
    #[serde(default)]
    pub(super) issues: Vec<Issue>,
}

fn creator_group_field() -> String {
    "tnt__creator_group".to_owned()
}

/// The organisation (`devo`).
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Organisation {
    /// The code that stands in DONs: letters, digits, `-`, `_` and `.`.
    pub(super) id: String,
    pub(super) name: String,
}

/// A user of any kind.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct User {
    pub(super) number: u32,
    pub(super) name: String,
    /// Service accounts have none.
    pub(super) email: Option<String>,
    #[serde(default)]
    pub(super) kind: UserKind,
    #[serde(default)]
    pub(super) state: UserState,
}

/// `user-type` of the API file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum UserKind {
    #[default]
    DevUser,
    RevUser,
    ServiceAccount,
    SysUser,
}

impl UserKind {
    /// The kind as a type of object, which IDs are made with.
    pub(super) fn object(self) -> ObjectType {
        match self {
            Self::DevUser => ObjectType::DevUser,
            Self::RevUser => ObjectType::RevUser,
            Self::ServiceAccount => ObjectType::ServiceAccount,
            Self::SysUser => ObjectType::SysUser,
        }
    }
}

/// `user-state` of the API file.
#[derive(Debug, Clone, Copy, Default, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum UserState {
    #[default]
    Active,
    Deactivated,
    Deleted,
    Locked,
    Shadow,
    Unassigned,
}

/// A group of users.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Group {
    pub(super) number: u32,
    pub(super) name: String,
    pub(super) description: Option<String>,
    pub(super) member_type: MemberType,
    /// Users, or other groups (`GROUP-2`).
    #[serde(default)]
    pub(super) members: Vec<Member>,
}

/// `group-member-type` of the API file.
#[derive(Debug, Clone, Copy, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum MemberType {
    DevUser,
    RevUser,
}

/// The type of a custom field.
#[derive(Debug, serde::Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum CustomField {
    /// The ID of another object.
    Id {
        /// The types of object that it may name.
        allowed: Vec<IdTarget>,
    },
    /// A text.
    Text {},
}

/// What a custom field of type `id` may name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum IdTarget {
    Group,
}

/// A field that some tenants' gateway has beside those of the public API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum NativeField {
    /// `creator_group: {"id": <group>}` of an issue.
    CreatorGroup,
}

/// An issue. Its stage, priority and dates follow from its number.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Issue {
    pub(super) number: u32,
    pub(super) title: Box<str>,
    pub(super) created_by: UserRef,
    #[serde(default)]
    pub(super) owned_by: Box<[UserRef]>,
    #[serde(default)]
    pub(super) creator_group: Option<GroupRef>,
}

/// A user, named by kind and number: small, because a million issues hold them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct UserRef {
    pub(super) kind: UserKind,
    pub(super) number: u32,
}

/// A group, named by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct GroupRef(pub(super) u32);

/// A member of a group.
#[derive(Debug, Clone, Copy)]
pub(super) enum Member {
    User(UserRef),
    Group(GroupRef),
}

impl UserRef {
    /// The user that an ID names; `None` for an ID of another type of object.
    pub(super) fn of(id: Ref<'_>) -> Option<Self> {
        let kind = match id.object {
            ObjectType::DevUser => UserKind::DevUser,
            ObjectType::RevUser => UserKind::RevUser,
            ObjectType::ServiceAccount => UserKind::ServiceAccount,
            ObjectType::SysUser => UserKind::SysUser,
            _ => return None,
        };
        Some(Self { kind, number: small_number(id)? })
    }
}

impl GroupRef {
    /// The group that an ID names; `None` for an ID of another type of object.
    pub(super) fn of(id: Ref<'_>) -> Option<Self> {
        (id.object == ObjectType::Group).then(|| small_number(id).map(Self))?
    }
}

/// The number at the end of an ID. `07` is not 7: DevRev's own IDs have no leading zeros.
fn small_number(id: Ref<'_>) -> Option<u32> {
    if id.tail.starts_with('0') { None } else { id.tail.parse().ok() }
}

impl fmt::Display for UserRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.kind.object().display_prefix(), self.number)
    }
}

impl fmt::Display for GroupRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GROUP-{}", self.0)
    }
}

/// Reads a display ID or a DON of one of these types.
fn reference<'de, D: Deserializer<'de>, T>(
    deserializer: D,
    wanted: &[ObjectType],
    make: impl FnOnce(Ref<'_>) -> Option<T>,
) -> Result<T, D::Error> {
    let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
    let id = Ref::parse(&text, wanted).map_err(D::Error::custom)?;
    make(id).ok_or_else(|| D::Error::custom(format!("`{text}` does not end in a number of this data")))
}

impl<'de> Deserialize<'de> for UserRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        reference(deserializer, USER_TYPES, Self::of)
    }
}

impl<'de> Deserialize<'de> for GroupRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        reference(deserializer, &[ObjectType::Group], Self::of)
    }
}

impl<'de> Deserialize<'de> for Member {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut wanted = USER_TYPES.to_vec();
        wanted.push(ObjectType::Group);
        reference(deserializer, &wanted, |id| {
            UserRef::of(id).map(Self::User).or_else(|| GroupRef::of(id).map(Self::Group))
        })
    }
}
