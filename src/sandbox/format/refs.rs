//! References between a data file's objects, read from display IDs or DONs.

use super::UserKind;
use crate::devrev::ids::{ObjectType, Ref, USER_TYPES};
use crate::sandbox::schema::TIMELINES;
use serde::de::{Deserialize, Deserializer, Error as _};
use std::fmt;

/// A user, named by kind and number: small, because a million issues hold them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::sandbox) struct UserRef {
    pub(in crate::sandbox) kind: UserKind,
    pub(in crate::sandbox) number: u32,
}

/// A group, named by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::sandbox) struct GroupRef(pub(in crate::sandbox) u32);

/// An artifact, named by its number: `6`, not `ARTIFACT-6`, because lists of them stand in many objects.
pub(in crate::sandbox) type ArtifactRef = u32;

/// Any object, named by type and number. Read from a data file: one that has a timeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(in crate::sandbox) struct ObjectRef {
    pub(in crate::sandbox) object: ObjectType,
    pub(in crate::sandbox) number: u32,
}

/// A member of a group.
#[derive(Debug, Clone, Copy)]
pub(in crate::sandbox) enum Member {
    User(UserRef),
    Group(GroupRef),
}

impl UserRef {
    /// The user that an ID names; `None` for an ID of another type of object.
    pub(in crate::sandbox) fn of(id: Ref<'_>) -> Option<Self> {
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
    pub(in crate::sandbox) fn of(id: Ref<'_>) -> Option<Self> {
        (id.object == ObjectType::Group).then(|| small_number(id).map(Self))?
    }
}

impl ObjectRef {
    /// The object that an ID names.
    pub(in crate::sandbox) fn of(id: Ref<'_>) -> Option<Self> {
        Some(Self { object: id.object, number: small_number(id)? })
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

impl fmt::Display for ObjectRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.object.display_prefix(), self.number)
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

impl<'de> Deserialize<'de> for ObjectRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        reference(deserializer, TIMELINES, Self::of)
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
