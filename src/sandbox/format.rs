//! The sandbox's data file: JSON, in the shape of [`File`].
//!
//! ```json
//! {
//!   "organisation": {"id": "DEMO", "name": "Demo Inc."},
//!   "self": "DEVU-1",
//!   "users": [{"number": 1, "name": "Ana Sousa", "email": "ana@example.com", "kind": "dev_user", "state": "active"}],
//!   "groups": [{"number": 1, "name": "Billing", "member_type": "dev_user", "members": ["DEVU-1"]}],
//!   "custom_fields": {"tnt__creator_group": {"type": "id", "allowed": ["group"]}},
//!   "issues": [{"number": 1, "title": "Invoice shows the wrong total", "created_by": "DEVU-1"}],
//!   "contacts": [{"number": 7, "display_name": "Eva", "email": "eva@example.com", "external_ref": "user_7"}],
//!   "tickets": [{"number": 9, "title": "Cannot log in", "created_by": "REVU-7", "artifacts": [1]}],
//!   "conversations": [{"number": 5, "title": "Hello", "members": ["REVU-7", "DEVU-1"]}],
//!   "artifacts": [{"number": 1, "name": "screen.png", "size": 2048, "type": "image/png"}],
//!   "timelines": {
//!     "TKT-9": [{"type": "timeline_comment", "created_by": "REVU-7", "body": "Still", "artifacts": [1]}],
//!     "CONV-5": {"generated": 250}
//!   },
//!   "merge": {"delay_ms": 300, "ends": "gone", "ref_delay_ms": 0},
//!   "url_ttl_ms": 600000,
//!   "token_expires_in_s": 31536000
//! }
//! ```
//!
//! An unknown member is an error, and so is a reference to what the file does not hold.

mod contacts;
mod refs;
mod timelines;

pub(super) use contacts::{Artifact, Contact, Conversation, Merge, Ticket};
pub(super) use refs::{ArtifactRef, GroupRef, Member, ObjectRef, UserRef};
pub(super) use timelines::{Entry, EntryType, Timeline};

use crate::devrev::ids::ObjectType;
use serde_json::Value;
use std::collections::BTreeMap;

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
    /// What becomes of the `external_ref` of works: the API file does not know it, newer descriptions do.
    #[serde(default)]
    pub(super) works_external_ref: WorksExternalRef,
    /// The same for other types of object, by leaf type: `{"ticket": {"tnt__region": {"type": "text"}}}`.
    #[serde(default)]
    pub(super) fields: BTreeMap<String, BTreeMap<String, CustomField>>,
    /// What works are about; four features unless said.
    #[serde(default = "parts")]
    pub(super) parts: Vec<Part>,
    #[serde(default)]
    pub(super) tags: Vec<Tag>,
    #[serde(default)]
    pub(super) accounts: Vec<Document>,
    /// Beside the workspaces that contacts are in.
    #[serde(default)]
    pub(super) workspaces: Vec<Document>,
    #[serde(default)]
    pub(super) issues: Vec<Issue>,
    #[serde(default)]
    pub(super) tasks: Vec<Issue>,
    #[serde(default)]
    pub(super) opportunities: Vec<Issue>,
    /// Contacts, beside the users of kind `rev_user`; a number stands in one of the two lists only.
    #[serde(default)]
    pub(super) contacts: Vec<Contact>,
    #[serde(default)]
    pub(super) tickets: Vec<Ticket>,
    #[serde(default)]
    pub(super) conversations: Vec<Conversation>,
    #[serde(default)]
    pub(super) artifacts: Vec<Artifact>,
    /// By the object (`TKT-9`, `CONV-5`, `ISS-1`, `REVU-7`); an object without one has an empty timeline.
    #[serde(default)]
    pub(super) timelines: BTreeMap<ObjectRef, Timeline>,
    /// How every merge goes.
    #[serde(default)]
    pub(super) merge: Merge,
    /// How long the URL of an artifact is good, in milliseconds: ten minutes unless said.
    #[serde(default = "url_ttl_ms")]
    pub(super) url_ttl_ms: u64,
    /// How long the token is still good, in seconds: a year unless said.
    #[serde(default = "token_expires_in_s")]
    pub(super) token_expires_in_s: u64,
}

fn parts() -> Vec<Part> {
    let feature =
        |(number, name): (u32, &str)| Part { number, kind: PartType::Feature, name: name.to_owned() };
    (1..).zip(["Web app", "Mobile app", "Billing", "Public API"]).map(feature).collect()
}

/// What works are about.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Part {
    pub(super) number: u32,
    #[serde(rename = "type")]
    pub(super) kind: PartType,
    pub(super) name: String,
}

/// `part-type` of the API file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum PartType {
    Product,
    Capability,
    Feature,
    Enhancement,
}

impl PartType {
    /// The type of object.
    pub(super) fn object(self) -> ObjectType {
        match self {
            Self::Product => ObjectType::Product,
            Self::Capability => ObjectType::Capability,
            Self::Feature => ObjectType::Feature,
            Self::Enhancement => ObjectType::Enhancement,
        }
    }
}

/// A tag.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Tag {
    pub(super) number: u32,
    pub(super) name: String,
}

/// An account or a workspace: its fields as an update would set them.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Document {
    pub(super) display_name: String,
    #[serde(default)]
    pub(super) set: serde_json::Map<String, Value>,
    #[serde(default)]
    pub(super) custom_fields: serde_json::Map<String, Value>,
}

fn token_expires_in_s() -> u64 {
    365 * 86_400
}

fn url_ttl_ms() -> u64 {
    600_000
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

/// `user-state` of the API file, and `archived`, which live tenants show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum UserState {
    #[default]
    Active,
    Archived,
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
    /// Whether the workspace came with it, such as `All Users`.
    #[serde(default)]
    pub(super) is_default: bool,
    #[serde(default, rename = "group_type")]
    pub(super) kind: GroupType,
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

/// `group-type` of the API file.
#[derive(Debug, Clone, Copy, Default, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum GroupType {
    /// Its members follow from a rule.
    Dynamic,
    /// Its members are added one by one.
    #[default]
    Static,
}

/// A custom field.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CustomField {
    #[serde(rename = "type")]
    pub(super) kind: FieldType,
    /// Of an ID the types of object that it may name, of an enum its words, of a uenum `{"id": 1, "label": "Low"}`.
    #[serde(default)]
    pub(super) allowed: Vec<Value>,
    /// Whether it holds a list of such values.
    #[serde(default)]
    pub(super) list: bool,
    /// Whether an object has to have a value.
    #[serde(default)]
    pub(super) required: bool,
}

/// What a custom field holds: `schema-field-descriptor-field-type`, as far as the sandbox knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum FieldType {
    Bool,
    Date,
    Double,
    Enum,
    Id,
    Int,
    RichText,
    Text,
    Timestamp,
    Uenum,
}

impl CustomField {
    /// Whether it holds the ID of a group.
    pub(super) fn is_group(&self) -> bool {
        self.kind == FieldType::Id && !self.list && self.allowed.iter().any(|allowed| allowed == "group")
    }
}

/// A field that some tenants' gateway has beside those of the public API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum NativeField {
    /// `creator_group: {"id": <group>}` of an issue.
    CreatorGroup,
}

/// What a tenant's API makes of the `external_ref` of works.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum WorksExternalRef {
    /// It is kept, shown, found and unique within a type of work.
    #[default]
    Kept,
    /// `works.create` takes it and keeps nothing of it.
    Dropped,
    /// The same, and `works.list` does not filter by it: it answers all works.
    Unknown,
}

/// An issue, a task or an opportunity. Its stage, priority and dates follow from its number.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Issue {
    pub(super) number: u32,
    pub(super) title: Box<str>,
    pub(super) created_by: UserRef,
    #[serde(default)]
    pub(super) owned_by: Box<[UserRef]>,
    /// Its creator, unless said.
    #[serde(default)]
    pub(super) reported_by: Option<Box<[UserRef]>>,
    #[serde(default)]
    pub(super) creator_group: Option<GroupRef>,
    /// Stock fields, as an update would set them.
    #[serde(default)]
    pub(super) set: serde_json::Map<String, Value>,
    #[serde(default)]
    pub(super) custom_fields: serde_json::Map<String, Value>,
}
