//! What each endpoint's request may hold: tables transcribed from DevRev's API file (beta, October 2025).
//!
//! A field that the API knows and the sandbox does not imitate stands in its table as
//! [`Kind::NotSimulated`]: a request with it is refused, and never half understood.

mod contacts;
mod objects;
mod tenant;

pub(super) use contacts::*;
pub(super) use objects::*;
pub(super) use tenant::*;

use crate::devrev::ids::{ObjectType, USER_TYPES};

/// A field of a request.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) required: bool,
}

/// What a field's value may be.
#[derive(Debug)]
pub(super) enum Kind {
    /// A text of so many characters.
    Text { min: usize, max: usize },
    /// The ID of one of these types of object, as a DON or a display ID.
    Id(&'static [ObjectType]),
    /// One of these texts.
    Enum(&'static [&'static str]),
    /// A whole number in this range, ends included.
    Int { min: i64, max: i64 },
    /// A number.
    Number,
    /// `true` or `false`.
    Bool,
    /// A value, or `null`, which takes it away.
    Nullable(&'static Kind),
    /// Values of one kind.
    List(&'static Kind),
    /// An object with its own table.
    Record(&'static [Field]),
    /// An object whose members the endpoint checks itself, against the tenant's schema.
    Free,
    /// An object that only some tenants' gateway knows; `null` takes the value away.
    Native(&'static [Field]),
    /// Something that no object here has: as a filter, a value lets nothing pass; to be written, it is refused.
    Unheld(&'static Kind),
    /// Known to DevRev, and without a difference here.
    Ignored(&'static Kind),
    /// Known to DevRev, and refused here.
    NotSimulated,
}

const fn field(name: &'static str, kind: Kind) -> Field {
    Field { name, kind, required: false }
}

const fn required(name: &'static str, kind: Kind) -> Field {
    Field { name, kind, required: true }
}

const fn not_simulated(name: &'static str) -> Field {
    field(name, Kind::NotSimulated)
}

/// A filter that nothing here passes, or a value that nothing here has.
const fn unheld(name: &'static str, kind: &'static Kind) -> Field {
    field(name, Kind::Unheld(kind))
}

/// Works that have an ID the sandbox can read.
pub(super) const WORK_TYPES: &[ObjectType] =
    &[ObjectType::Issue, ObjectType::Ticket, ObjectType::Task, ObjectType::Opportunity];
const GROUPS: &[ObjectType] = &[ObjectType::Group];
const DEV_USERS: &[ObjectType] = &[ObjectType::DevUser];

const ANY_TEXT: Kind = Kind::Text { min: 0, max: usize::MAX };
const TEXTS: Kind = Kind::List(&ANY_TEXT);
const USERS: Kind = Kind::List(&Kind::Id(USER_TYPES));
const WORK_TYPE: Kind = Kind::Enum(&["issue", "opportunity", "task", "ticket"]);
const LIST_MODE: Kind = Kind::Enum(&["after", "before"]);
const GROUP_TYPE: Kind = Kind::Enum(&["dynamic", "static"]);
const MEMBER_TYPE: Kind = Kind::Enum(&["dev_user", "rev_user"]);
/// No upper bound is documented; a page holds at most a thousand elements here, as production has shown.
const LIMIT: Kind = Kind::Int { min: 1, max: i32::MAX as i64 };
/// Lists are in the order of creation, and in no other.
const SORT_BY: Kind = Kind::List(&Kind::Enum(&["created_date", "created_date:asc"]));
const OBJECT: Kind = Kind::Free;
const OBJECTS: Kind = Kind::List(&Kind::Free);
const FLAG: Kind = Kind::Bool;
/// `date-time-filter`
const DATE_RANGE: Kind = Kind::Record(&[field("after", ANY_TEXT), field("before", ANY_TEXT)]);
/// `date-filter`
const DATE_FILTER: Kind = Kind::Record(&[
    field("after", ANY_TEXT),
    field("before", ANY_TEXT),
    required("type", Kind::Enum(&["range"])),
]);
/// `stage-filter`
const STAGE_FILTER: Kind = Kind::Record(&[field("name", TEXTS), not_simulated("stages")]);
const USER_SET: Kind = Kind::Record(&[field("set", USERS)]);

/// `works-get-request`
pub(super) const WORKS_GET: &[Field] = &[required("id", Kind::Id(WORK_TYPES))];

/// `works-list-request`
pub(super) const WORKS_LIST: &[Field] = &[
    unheld("actual_close_date", &OBJECT),
    field("applies_to_part", TEXTS),
    field("created_by", USERS),
    field("created_date", DATE_FILTER),
    field("cursor", ANY_TEXT),
    not_simulated("custom_fields"),
    // Of the SDK, as is that of `works-create-request`.
    field("external_ref", TEXTS),
    not_simulated("issue"),
    field("limit", LIMIT),
    field("mode", LIST_MODE),
    unheld("modified_by", &USERS),
    field("modified_date", DATE_FILTER),
    unheld("opportunity", &OBJECT),
    field("owned_by", USERS),
    field("reported_by", USERS),
    field("sort_by", Kind::Ignored(&SORT_BY)),
    field("stage", STAGE_FILTER),
    unheld("staged_info", &OBJECT),
    not_simulated("state"),
    unheld("sync_metadata", &OBJECT),
    unheld("tags", &TEXTS),
    unheld("target_close_date", &OBJECT),
    not_simulated("ticket"),
    field("type", Kind::List(&WORK_TYPE)),
    not_simulated("vista"),
];

/// `works-update-request` with the members of its four variants, and the native field that some tenants' gateway has instead of a custom one.
pub(super) const WORKS_UPDATE: &[Field] = &[
    field("account", Kind::Nullable(&ACCOUNT)),
    field("amount", Kind::Nullable(&Kind::Number)),
    field("annual_contract_value", MONEY),
    field("applies_to_part", PART),
    field("artifacts", ARTIFACT_CHANGE),
    field("body", Kind::Text { min: 0, max: 65_536 }),
    field("channels", Kind::Record(&[field("set", Kind::List(&CHANNEL))])),
    unheld("channels_v2", &TEXTS),
    field("contacts", Kind::Record(&[required("set", Kind::List(&Kind::Id(CONTACTS)))])),
    field("creator_group", Kind::Native(&[required("id", Kind::Id(GROUPS))])),
    field("custom_fields", Kind::Free),
    unheld("custom_schema_fragments", &TEXTS),
    field("custom_schema_spec", Kind::Record(CUSTOM_SCHEMA_SPEC)),
    field("customer_budget", Kind::Nullable(&Kind::Number)),
    field("developed_with", Kind::Record(&[field("set", PARTS)])),
    field("embedded", FLAG),
    field("forecast_category_v2", ENUM_ID),
    field("group", Kind::Nullable(&Kind::Id(GROUPS))),
    required("id", Kind::Id(WORK_TYPES)),
    field("is_archived", FLAG),
    field("is_frozen", FLAG),
    field("is_spam", FLAG),
    field("needs_response", FLAG),
    field("owned_by", USER_SET),
    field("priority", Kind::Enum(&["p0", "p1", "p2", "p3"])),
    field("priority_v2", ENUM_ID),
    field("probability", Kind::Nullable(&Kind::Number)),
    field("reported_by", USER_SET),
    field("rev_org", Kind::Nullable(&WORKSPACE)),
    field("sentiment", ENUM_ID),
    field("sentiment_modified_date", ANY_TEXT),
    field("sentiment_summary", ANY_TEXT),
    field("severity", Kind::Enum(&["blocker", "high", "low", "medium"])),
    unheld("source_channel_v2", &ANY_TEXT),
    unheld("sprint", &ANY_TEXT),
    field("stage", Kind::Record(&[field("name", ANY_TEXT), not_simulated("stage")])),
    field("stage_validation_options", Kind::Ignored(&TEXTS)),
    unheld("staged_info", &OBJECT),
    field("start_date", ANY_TEXT),
    field("tags", TAG_CHANGE),
    field("target_close_date", Kind::Nullable(&ANY_TEXT)),
    field("target_start_date", Kind::Nullable(&ANY_TEXT)),
    field("title", Kind::Text { min: 1, max: 256 }),
    // Optional by the letter; but it tells which variant of the request this is.
    required("type", WORK_TYPE),
    field("value", MONEY),
];

/// `works-create-request` with the members of its four variants, and `external_ref`, which the SDK knows.
pub(super) const WORKS_CREATE: &[Field] = &[
    field("account", ACCOUNT),
    field("amount", Kind::Number),
    field("annual_contract_value", MONEY),
    required("applies_to_part", PART),
    field("artifacts", ARTIFACT_IDS),
    field("body", Kind::Text { min: 0, max: 65_536 }),
    field("channels", Kind::List(&CHANNEL)),
    unheld("channels_v2", &TEXTS),
    field("contacts", Kind::List(&Kind::Id(CONTACTS))),
    field("custom_fields", Kind::Free),
    unheld("custom_schema_fragments", &TEXTS),
    field("custom_schema_spec", Kind::Record(CUSTOM_SCHEMA_SPEC)),
    field("customer_budget", Kind::Number),
    field("developed_with", PARTS),
    field("embedded", FLAG),
    field("external_ref", Kind::Text { min: 1, max: 512 }),
    not_simulated("forecast_category"),
    field("forecast_category_v2", ENUM_ID),
    field("group", Kind::Id(GROUPS)),
    field("is_spam", FLAG),
    field("needs_response", FLAG),
    required("owned_by", USERS),
    field("priority", Kind::Enum(&["p0", "p1", "p2", "p3"])),
    field("priority_v2", ENUM_ID),
    field("probability", Kind::Number),
    field("reported_by", USERS),
    field("rev_org", WORKSPACE),
    field("severity", Kind::Enum(&["blocker", "high", "low", "medium"])),
    unheld("source_channel", &ANY_TEXT),
    unheld("source_channel_v2", &ANY_TEXT),
    unheld("sprint", &ANY_TEXT),
    field("stage", Kind::Record(&[not_simulated("id"), field("name", ANY_TEXT)])),
    field("stage_validation_options", Kind::Ignored(&TEXTS)),
    field("start_date", ANY_TEXT),
    field("tags", TAG_LIST),
    field("target_close_date", ANY_TEXT),
    field("target_start_date", ANY_TEXT),
    required("title", Kind::Text { min: 1, max: 256 }),
    required("type", WORK_TYPE),
    field("value", MONEY),
];

/// `works-delete-request`
pub(super) const WORKS_DELETE: &[Field] = &[required("id", Kind::Id(WORK_TYPES))];

/// `ticket-channels`
const CHANNEL: Kind = Kind::Enum(&["email", "plug", "slack", "twilio", "twilio_sms"]);
/// The number of a choice.
const ENUM_ID: Kind = Kind::Int { min: 0, max: i64::MAX };

/// There are no fragments of apps and subtypes.
const NO_FRAGMENT: Kind = Kind::Text { min: 0, max: 0 };

/// `custom-schema-spec`
const CUSTOM_SCHEMA_SPEC: &[Field] = &[
    field("apps", Kind::List(&NO_FRAGMENT)),
    field("drop", Kind::Ignored(&OBJECT)),
    field("subtype", NO_FRAGMENT),
    field("tenant_fragment", Kind::Bool),
    field("validate_required_fields", Kind::Bool),
];

/// `groups-list-request`
pub(super) const GROUPS_LIST: &[Field] = &[
    unheld("created_by", &USERS),
    field("cursor", ANY_TEXT),
    field("group_type", Kind::List(&GROUP_TYPE)),
    unheld("ingestion_source", &TEXTS),
    field("is_default", Kind::Bool),
    field("limit", LIMIT),
    field("member_type", Kind::List(&MEMBER_TYPE)),
    field("mode", LIST_MODE),
    field("name", TEXTS),
    unheld("parents", &TEXTS),
    field("sort_by", Kind::Ignored(&SORT_BY)),
    field("space", Kind::Ignored(&OBJECT)),
    unheld("sync_metadata", &OBJECT),
];

/// `groups-get-request`
pub(super) const GROUPS_GET: &[Field] = &[required("id", Kind::Id(GROUPS))];

/// `group-members-list-request`
pub(super) const GROUP_MEMBERS_LIST: &[Field] = &[
    field("cursor", ANY_TEXT),
    required("group", Kind::Id(GROUPS)),
    field("limit", LIMIT),
    field("mode", LIST_MODE),
    field("sort_by", Kind::Ignored(&SORT_BY)),
];

/// `dev-users-self-request`
pub(super) const DEV_USERS_SELF: &[Field] = &[];

/// `dev-users-get-request`
pub(super) const DEV_USERS_GET: &[Field] = &[required("id", Kind::Id(DEV_USERS))];
