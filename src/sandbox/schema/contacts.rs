//! The tables of contacts, and of what hangs on them.

use super::{
    ANY_TEXT, CUSTOM_SCHEMA_SPEC, Field, Kind, LIMIT, LIST_MODE, TEXTS, USERS, field, not_simulated, required,
};
use crate::devrev::ids::ObjectType;

/// Rev users.
pub(in crate::sandbox) const CONTACTS: &[ObjectType] = &[ObjectType::RevUser];
/// Conversations.
pub(in crate::sandbox) const CONVERSATIONS: &[ObjectType] = &[ObjectType::Conversation];
/// Files.
pub(in crate::sandbox) const ARTIFACTS: &[ObjectType] = &[ObjectType::Artifact];
/// What has a timeline here.
pub(in crate::sandbox) const TIMELINES: &[ObjectType] =
    &[ObjectType::Ticket, ObjectType::Conversation, ObjectType::Issue, ObjectType::RevUser];

const ARTIFACT_IDS: Kind = Kind::List(&Kind::Id(ARTIFACTS));

/// `rev-users-get-request`
pub(in crate::sandbox) const REV_USERS_GET: &[Field] = &[required("id", Kind::Id(CONTACTS))];

/// `rev-users-list-request`
pub(in crate::sandbox) const REV_USERS_LIST: &[Field] = &[
    not_simulated("associations"),
    not_simulated("created_by"),
    not_simulated("created_date"),
    field("cursor", ANY_TEXT),
    not_simulated("custom_fields"),
    field("email", TEXTS),
    field("external_ref", TEXTS),
    not_simulated("external_refs"),
    not_simulated("is_verified"),
    field("limit", LIMIT),
    field("mode", LIST_MODE),
    not_simulated("modified_date"),
    not_simulated("phone_numbers"),
    not_simulated("rev_org"),
    not_simulated("sort_by"),
    not_simulated("tags"),
];

/// `rev-users-scan-request`
pub(in crate::sandbox) const REV_USERS_SCAN: &[Field] = &[
    not_simulated("associations"),
    not_simulated("created_by"),
    not_simulated("created_date"),
    field("cursor", ANY_TEXT),
    not_simulated("custom_fields"),
    field("email", TEXTS),
    field("external_ref", TEXTS),
    not_simulated("external_refs"),
    not_simulated("is_verified"),
    not_simulated("modified_date"),
    not_simulated("phone_numbers"),
    not_simulated("rev_org"),
    not_simulated("tags"),
];

/// `rev-users-create-request`
pub(in crate::sandbox) const REV_USERS_CREATE: &[Field] = &[
    not_simulated("account"),
    field("artifacts", ARTIFACT_IDS),
    field("custom_fields", Kind::Free),
    not_simulated("custom_schema_fragments"),
    field("custom_schema_spec", Kind::Record(CUSTOM_SCHEMA_SPEC)),
    field("description", ANY_TEXT),
    field("display_name", ANY_TEXT),
    not_simulated("display_picture"),
    field("email", ANY_TEXT),
    field("external_ref", ANY_TEXT),
    field("external_refs", TEXTS),
    field("phone_numbers", TEXTS),
    field("rev_org", ANY_TEXT),
    not_simulated("tags"),
];

/// `rev-users-update-request`
pub(in crate::sandbox) const REV_USERS_UPDATE: &[Field] = &[
    field("artifacts", Kind::Record(&[field("set", ARTIFACT_IDS)])),
    field("custom_fields", Kind::Free),
    not_simulated("custom_schema_fragments"),
    field("custom_schema_spec", Kind::Record(CUSTOM_SCHEMA_SPEC)),
    field("description", ANY_TEXT),
    field("display_name", ANY_TEXT),
    not_simulated("display_picture"),
    field("email", ANY_TEXT),
    field("external_ref", ANY_TEXT),
    field("external_refs", TEXTS),
    required("id", Kind::Id(CONTACTS)),
    field("phone_numbers", TEXTS),
    not_simulated("tags"),
];

/// `rev-users-merge-request`
pub(in crate::sandbox) const REV_USERS_MERGE: &[Field] =
    &[required("primary_user", Kind::Id(CONTACTS)), required("secondary_user", Kind::Id(CONTACTS))];

/// `conversations-get-request`
pub(in crate::sandbox) const CONVERSATIONS_GET: &[Field] = &[required("id", Kind::Id(CONVERSATIONS))];

/// `conversations-list-request`
pub(in crate::sandbox) const CONVERSATIONS_LIST: &[Field] = &[
    not_simulated("actual_close_date"),
    not_simulated("applies_to_parts"),
    not_simulated("brand"),
    not_simulated("channels"),
    field("cursor", ANY_TEXT),
    not_simulated("custom_fields"),
    not_simulated("group"),
    not_simulated("is_creator_verified"),
    not_simulated("is_frozen"),
    not_simulated("is_spam"),
    field("limit", LIMIT),
    field("members", USERS),
    field("mode", LIST_MODE),
    not_simulated("modified_date"),
    not_simulated("owned_by"),
    not_simulated("rev_org"),
    not_simulated("rev_orgs"),
    not_simulated("sla_summary"),
    not_simulated("source_channel"),
    not_simulated("source_channel_v2"),
    not_simulated("source_channels"),
    not_simulated("stage"),
    not_simulated("state"),
    not_simulated("subtype"),
    not_simulated("tags"),
    not_simulated("tags_v2"),
];

/// `timeline-entries-list-request`
pub(in crate::sandbox) const TIMELINE_ENTRIES_LIST: &[Field] = &[
    not_simulated("collections"),
    field("cursor", ANY_TEXT),
    not_simulated("labels"),
    field("limit", LIMIT),
    field("mode", LIST_MODE),
    required("object", Kind::Id(TIMELINES)),
    not_simulated("visibility"),
];

/// `artifacts-get-request`
pub(in crate::sandbox) const ARTIFACTS_GET: &[Field] =
    &[required("id", Kind::Id(ARTIFACTS)), not_simulated("version")];

/// `artifacts-locate-request`
pub(in crate::sandbox) const ARTIFACTS_LOCATE: &[Field] =
    &[required("id", Kind::Id(ARTIFACTS)), not_simulated("version")];
