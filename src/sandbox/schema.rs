//! What each endpoint's request may hold: tables transcribed from DevRev's API file (beta, October 2025).
//!
//! A field that the API knows and the sandbox does not imitate stands in its table as
//! [`Kind::NotSimulated`]: a request with it is refused, and never half understood.

mod contacts;
mod tenant;

pub(super) use contacts::*;
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
    /// `true` or `false`.
    Bool,
    /// Values of one kind.
    List(&'static Kind),
    /// An object with its own table.
    Record(&'static [Field]),
    /// An object whose members the endpoint checks itself, against the tenant's schema.
    Free,
    /// An object that only some tenants' gateway knows; `null` takes the value away.
    Native(&'static [Field]),
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

/// Works that have an ID the sandbox can read.
pub(super) const WORK_TYPES: &[ObjectType] = &[ObjectType::Issue, ObjectType::Ticket];
const GROUPS: &[ObjectType] = &[ObjectType::Group];
const DEV_USERS: &[ObjectType] = &[ObjectType::DevUser];

const ANY_TEXT: Kind = Kind::Text { min: 0, max: usize::MAX };
const TEXTS: Kind = Kind::List(&ANY_TEXT);
const USERS: Kind = Kind::List(&Kind::Id(USER_TYPES));
const WORK_TYPE: Kind = Kind::Enum(&["issue", "opportunity", "task", "ticket"]);
const LIST_MODE: Kind = Kind::Enum(&["after", "before"]);
const GROUP_TYPE: Kind = Kind::Enum(&["dynamic", "static"]);
const MEMBER_TYPE: Kind = Kind::Enum(&["dev_user", "rev_user"]);
/// More than 100 a page is for organisations with a higher limit.
const LIMIT: Kind = Kind::Int { min: 1, max: 100 };
const USER_SET: Kind = Kind::Record(&[field("set", USERS)]);

/// `works-get-request`
pub(super) const WORKS_GET: &[Field] = &[required("id", Kind::Id(WORK_TYPES))];

/// `works-list-request`
pub(super) const WORKS_LIST: &[Field] = &[
    not_simulated("actual_close_date"),
    not_simulated("applies_to_part"),
    field("created_by", USERS),
    not_simulated("created_date"),
    field("cursor", ANY_TEXT),
    not_simulated("custom_fields"),
    not_simulated("issue"),
    field("limit", LIMIT),
    field("mode", LIST_MODE),
    not_simulated("modified_by"),
    not_simulated("modified_date"),
    not_simulated("opportunity"),
    field("owned_by", USERS),
    field("reported_by", USERS),
    not_simulated("sort_by"),
    not_simulated("stage"),
    not_simulated("staged_info"),
    not_simulated("state"),
    not_simulated("sync_metadata"),
    not_simulated("tags"),
    not_simulated("target_close_date"),
    not_simulated("ticket"),
    field("type", Kind::List(&WORK_TYPE)),
];

/// `works-update-request` with the members of `works-update-request-issue` and `works-update-request-ticket`,
/// and the native field that some tenants' gateway has instead of a custom one.
pub(super) const WORKS_UPDATE: &[Field] = &[
    not_simulated("account"),
    not_simulated("applies_to_part"),
    not_simulated("artifacts"),
    field("body", Kind::Text { min: 0, max: 65_536 }),
    not_simulated("channels"),
    not_simulated("channels_v2"),
    field("creator_group", Kind::Native(&[required("id", Kind::Id(GROUPS))])),
    field("custom_fields", Kind::Free),
    not_simulated("custom_schema_fragments"),
    field("custom_schema_spec", Kind::Record(CUSTOM_SCHEMA_SPEC)),
    not_simulated("developed_with"),
    not_simulated("group"),
    required("id", Kind::Id(WORK_TYPES)),
    not_simulated("is_archived"),
    not_simulated("is_frozen"),
    not_simulated("is_spam"),
    not_simulated("needs_response"),
    field("owned_by", USER_SET),
    not_simulated("priority"),
    not_simulated("priority_v2"),
    field("reported_by", USER_SET),
    not_simulated("rev_org"),
    not_simulated("sentiment"),
    not_simulated("sentiment_modified_date"),
    not_simulated("sentiment_summary"),
    not_simulated("severity"),
    not_simulated("source_channel_v2"),
    not_simulated("sprint"),
    not_simulated("stage"),
    not_simulated("stage_validation_options"),
    not_simulated("staged_info"),
    not_simulated("tags"),
    not_simulated("target_close_date"),
    not_simulated("target_start_date"),
    field("title", Kind::Text { min: 1, max: 256 }),
    // Optional by the letter; but it tells which variant of the request this is.
    required("type", WORK_TYPE),
];

/// `custom-schema-spec`
const CUSTOM_SCHEMA_SPEC: &[Field] = &[
    not_simulated("apps"),
    not_simulated("drop"),
    not_simulated("subtype"),
    field("tenant_fragment", Kind::Bool),
    field("validate_required_fields", Kind::Bool),
];

/// `groups-list-request`
pub(super) const GROUPS_LIST: &[Field] = &[
    not_simulated("created_by"),
    field("cursor", ANY_TEXT),
    field("group_type", Kind::List(&GROUP_TYPE)),
    not_simulated("ingestion_source"),
    field("is_default", Kind::Bool),
    field("limit", LIMIT),
    field("member_type", Kind::List(&MEMBER_TYPE)),
    field("mode", LIST_MODE),
    field("name", TEXTS),
    not_simulated("sort_by"),
    not_simulated("sync_metadata"),
];

/// `groups-get-request`
pub(super) const GROUPS_GET: &[Field] = &[required("id", Kind::Id(GROUPS))];

/// `group-members-list-request`
pub(super) const GROUP_MEMBERS_LIST: &[Field] = &[
    field("cursor", ANY_TEXT),
    required("group", Kind::Id(GROUPS)),
    field("limit", LIMIT),
    field("mode", LIST_MODE),
];

/// `dev-users-self-request`
pub(super) const DEV_USERS_SELF: &[Field] = &[];

/// `dev-users-get-request`
pub(super) const DEV_USERS_GET: &[Field] = &[required("id", Kind::Id(DEV_USERS))];
