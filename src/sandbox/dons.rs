//! The IDs of objects.

use crate::devrev::ids::ObjectType;

/// The DON of an object of the identity service: a user, a group.
pub(super) fn identity_don(org: &str, object: ObjectType, number: u32) -> String {
    format!("don:identity:dvrv-us-1:devo/{org}:{}/{number}", object.don_name())
}

/// The DON of an object of the core service: a work, a conversation, an artifact.
pub(super) fn core_don(org: &str, object: ObjectType, number: u32) -> String {
    core_don_of(org, object.don_name(), number)
}

/// The same, for a type of object that has no display ID.
pub(super) fn core_don_of(org: &str, object: &str, number: u32) -> String {
    format!("don:core:dvrv-us-1:devo/{org}:{object}/{number}")
}

/// An object's short ID.
pub(super) fn display_id(object: ObjectType, number: u32) -> String {
    format!("{}-{number}", object.display_prefix())
}
