//! The tables of contacts, and of what hangs on them.

use super::{
    ANY_TEXT, CUSTOM_SCHEMA_SPEC, FLAG, Field, Kind, LIMIT, LIST_MODE, OBJECT, OBJECTS, SORT_BY,
    STAGE_FILTER, TEXTS, USERS, field, not_simulated, required, unheld,
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

/// The filters that both lists of contacts take, and what one has besides.
macro_rules! filters {
    ($($more:expr),*) => {
        &[
            unheld("associations", &TEXTS),
            unheld("created_by", &USERS),
            field("created_date", super::DATE_RANGE),
            field("cursor", ANY_TEXT),
            not_simulated("custom_fields"),
            field("email", TEXTS),
            field("external_ref", TEXTS),
            not_simulated("external_refs"),
            field("is_verified", FLAG),
            field("modified_date", super::DATE_RANGE),
            not_simulated("phone_numbers"),
            not_simulated("rev_org"),
            unheld("tags", &TEXTS),
            $($more),*
        ]
    };
}

/// `rev-users-list-request`
pub(in crate::sandbox) const REV_USERS_LIST: &[Field] =
    filters!(field("limit", LIMIT), field("mode", LIST_MODE), field("sort_by", Kind::Ignored(&SORT_BY)));

/// `rev-users-scan-request`
pub(in crate::sandbox) const REV_USERS_SCAN: &[Field] = filters!();

/// `rev-users-create-request`
pub(in crate::sandbox) const REV_USERS_CREATE: &[Field] = &[
    unheld("account", &ANY_TEXT),
    field("artifacts", ARTIFACT_IDS),
    field("custom_fields", Kind::Free),
    unheld("custom_schema_fragments", &TEXTS),
    field("custom_schema_spec", Kind::Record(CUSTOM_SCHEMA_SPEC)),
    field("description", ANY_TEXT),
    field("display_name", ANY_TEXT),
    field("display_picture", Kind::Id(ARTIFACTS)),
    field("email", ANY_TEXT),
    field("external_ref", ANY_TEXT),
    field("external_refs", TEXTS),
    field("phone_numbers", TEXTS),
    field("rev_org", ANY_TEXT),
    field("tags", super::TAG_LIST),
];

/// `rev-users-update-request`
pub(in crate::sandbox) const REV_USERS_UPDATE: &[Field] = &[
    field("artifacts", Kind::Record(&[field("set", ARTIFACT_IDS)])),
    field("custom_fields", Kind::Free),
    unheld("custom_schema_fragments", &OBJECT),
    field("custom_schema_spec", Kind::Record(CUSTOM_SCHEMA_SPEC)),
    field("description", ANY_TEXT),
    field("display_name", ANY_TEXT),
    field("display_picture", Kind::Nullable(&Kind::Id(ARTIFACTS))),
    field("email", ANY_TEXT),
    field("external_ref", ANY_TEXT),
    field("external_refs", TEXTS),
    required("id", Kind::Id(CONTACTS)),
    field("phone_numbers", TEXTS),
    field("tags", super::TAG_LIST),
];

/// `rev-users-merge-request`
pub(in crate::sandbox) const REV_USERS_MERGE: &[Field] =
    &[required("primary_user", Kind::Id(CONTACTS)), required("secondary_user", Kind::Id(CONTACTS))];

/// `conversations-get-request`
pub(in crate::sandbox) const CONVERSATIONS_GET: &[Field] = &[required("id", Kind::Id(CONVERSATIONS))];

/// `conversations-list-request`
pub(in crate::sandbox) const CONVERSATIONS_LIST: &[Field] = &[
    unheld("account", &TEXTS),
    unheld("actual_close_date", &OBJECT),
    unheld("applies_to_parts", &TEXTS),
    unheld("brand", &TEXTS),
    unheld("channels", &TEXTS),
    field("cursor", ANY_TEXT),
    unheld("custom_fields", &OBJECT),
    unheld("group", &TEXTS),
    unheld("is_creator_verified", &FLAG),
    unheld("is_frozen", &FLAG),
    unheld("is_spam", &FLAG),
    field("limit", LIMIT),
    field("members", USERS),
    field("mode", LIST_MODE),
    not_simulated("modified_date"),
    unheld("owned_by", &USERS),
    unheld("owned_by_agent", &TEXTS),
    unheld("rev_org", &TEXTS),
    unheld("rev_orgs", &TEXTS),
    unheld("sla_summary", &OBJECT),
    unheld("source_channel", &TEXTS),
    unheld("source_channel_v2", &TEXTS),
    unheld("source_channels", &TEXTS),
    unheld("stage", &STAGE_FILTER),
    unheld("state", &TEXTS),
    unheld("subtype", &TEXTS),
    unheld("tags", &TEXTS),
    unheld("tags_v2", &OBJECTS),
];

/// Of the SDK: the tab of an object's page that shows an entry.
const PANEL: Kind = Kind::Enum(&["alerts", "broadcasts", "customer_chat", "discussions", "events"]);
/// `timeline-entry-visibility`
const VISIBILITY: Kind = Kind::Enum(&["external", "internal", "private", "public"]);

/// `timeline-entries-list-request`
pub(in crate::sandbox) const TIMELINE_ENTRIES_LIST: &[Field] = &[
    field("collections", Kind::List(&Kind::Enum(&["discussions", "events"]))),
    not_simulated("created_date"),
    field("cursor", ANY_TEXT),
    unheld("labels", &TEXTS),
    field("limit", LIMIT),
    field("mode", LIST_MODE),
    field("panels", Kind::List(&PANEL)),
    required("object", Kind::Id(TIMELINES)),
    field("visibility", Kind::List(&VISIBILITY)),
];

/// `artifacts-get-request`
pub(in crate::sandbox) const ARTIFACTS_GET: &[Field] =
    &[required("id", Kind::Id(ARTIFACTS)), field("version", Kind::Ignored(&ANY_TEXT))];

/// `artifacts-locate-request`
pub(in crate::sandbox) const ARTIFACTS_LOCATE: &[Field] =
    &[required("id", Kind::Id(ARTIFACTS)), field("version", Kind::Ignored(&ANY_TEXT))];
