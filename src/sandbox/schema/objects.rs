//! The tables of accounts, workspaces, and what people name: tags, parts, users.

use super::{
    ANY_TEXT, CUSTOM_SCHEMA_SPEC, FLAG, Field, Kind, LIMIT, LIST_MODE, OBJECT, SORT_BY, TEXTS, USERS, field,
    not_simulated, required, unheld,
};
use crate::devrev::ids::ObjectType;
use crate::devrev::objects::PART_TYPES;

/// Accounts.
const ACCOUNTS: &[ObjectType] = &[ObjectType::Account];
const WORKSPACES: &[ObjectType] = &[ObjectType::Workspace];
const TAGS: &[ObjectType] = &[ObjectType::Tag];

/// One account.
pub(super) const ACCOUNT: Kind = Kind::Id(ACCOUNTS);
/// One workspace.
pub(super) const WORKSPACE: Kind = Kind::Id(WORKSPACES);
/// One part.
pub(super) const PART: Kind = Kind::Id(PART_TYPES);
/// Several.
pub(super) const PARTS: Kind = Kind::List(&PART);
/// `set-tag-with-value`
const TAG: Kind = Kind::Record(&[required("id", Kind::Id(TAGS)), field("value", ANY_TEXT)]);
/// Several.
pub(super) const TAG_LIST: Kind = Kind::List(&TAG);
/// `works-update-request-tags`
pub(super) const TAG_CHANGE: Kind =
    Kind::Record(&[field("add", TAG_LIST), field("remove", TAGS_TO_REMOVE), field("set", TAG_LIST)]);
/// `remove-tag-with-value`
const TAGS_TO_REMOVE: Kind = Kind::List(&Kind::Record(&[required("id", Kind::Id(TAGS))]));
/// Files.
pub(super) const ARTIFACT_IDS: Kind = Kind::List(&Kind::Id(super::ARTIFACTS));
/// `works-update-request-artifacts`
pub(super) const ARTIFACT_CHANGE: Kind =
    Kind::Record(&[field("add", ARTIFACT_IDS), field("remove", ARTIFACT_IDS), field("set", ARTIFACT_IDS)]);
const ARTIFACT_SET: Kind = Kind::Record(&[field("set", ARTIFACT_IDS)]);
/// `set-money`
pub(super) const MONEY: Kind = Kind::Record(&[required("amount", ANY_TEXT), required("currency", ANY_TEXT)]);

/// `accounts-get-request`
pub(in crate::sandbox) const ACCOUNTS_GET: &[Field] = &[required("id", ACCOUNT)];

/// `accounts-list-request`
pub(in crate::sandbox) const ACCOUNTS_LIST: &[Field] = &[
    not_simulated("created_by"),
    field("created_date", super::DATE_RANGE),
    field("cursor", ANY_TEXT),
    not_simulated("custom_fields"),
    field("display_name", TEXTS),
    field("domains", TEXTS),
    field("external_refs", TEXTS),
    field("limit", LIMIT),
    field("mode", LIST_MODE),
    field("modified_date", super::DATE_RANGE),
    not_simulated("owned_by"),
    field("sort_by", Kind::Ignored(&SORT_BY)),
    unheld("stage", &TEXTS),
    unheld("subtype", &TEXTS),
    not_simulated("tags"),
    field("tier", TEXTS),
    field("websites", TEXTS),
];

/// `accounts-update-request`
pub(in crate::sandbox) const ACCOUNTS_UPDATE: &[Field] = &[
    field("artifacts", ARTIFACT_SET),
    field("custom_fields", Kind::Free),
    field("custom_schema_spec", Kind::Record(CUSTOM_SCHEMA_SPEC)),
    field("description", ANY_TEXT),
    field("display_name", ANY_TEXT),
    field("domains", TEXTS),
    field("external_refs", TEXTS),
    required("id", ACCOUNT),
    field("owned_by", USERS),
    unheld("schema_fragment_ids", &TEXTS),
    field("tags", TAG_LIST),
    field("tier", Kind::Nullable(&ANY_TEXT)),
    field("websites", Kind::Record(&[field("set", TEXTS)])),
];

/// `accounts-create-request`
pub(in crate::sandbox) const ACCOUNTS_CREATE: &[Field] = &[
    field("artifacts", ARTIFACT_IDS),
    field("custom_fields", Kind::Free),
    field("custom_schema_spec", Kind::Record(CUSTOM_SCHEMA_SPEC)),
    field("description", ANY_TEXT),
    required("display_name", Kind::Text { min: 1, max: usize::MAX }),
    field("domains", TEXTS),
    field("external_refs", TEXTS),
    field("owned_by", USERS),
    unheld("schema_fragment_ids", &TEXTS),
    field("tags", TAG_LIST),
    field("tier", ANY_TEXT),
    field("websites", TEXTS),
];

/// `rev-orgs-create-request`
pub(in crate::sandbox) const REV_ORGS_CREATE: &[Field] = &[
    required("account", ACCOUNT),
    field("artifacts", ARTIFACT_IDS),
    not_simulated("custom_fields"),
    unheld("custom_schema_fragments", &TEXTS),
    field("description", ANY_TEXT),
    required("display_name", Kind::Text { min: 1, max: usize::MAX }),
    field("domain", ANY_TEXT),
    field("environment", Kind::Enum(&["production", "staging", "test"])),
    field("external_ref", ANY_TEXT),
    field("tags", TAG_LIST),
    field("tier", ANY_TEXT),
];

/// `rev-orgs-get-request`
pub(in crate::sandbox) const REV_ORGS_GET: &[Field] = &[not_simulated("account"), field("id", WORKSPACE)];

/// `rev-orgs-list-request`
pub(in crate::sandbox) const REV_ORGS_LIST: &[Field] = &[
    not_simulated("account"),
    not_simulated("created_by"),
    field("created_date", super::DATE_RANGE),
    field("cursor", ANY_TEXT),
    not_simulated("custom_field_filter"),
    not_simulated("custom_fields"),
    field("display_name", TEXTS),
    field("external_ref", TEXTS),
    field("limit", LIMIT),
    field("mode", LIST_MODE),
    field("modified_date", super::DATE_RANGE),
    field("sort_by", Kind::Ignored(&SORT_BY)),
    not_simulated("tags"),
];

/// `rev-orgs-update-request`
pub(in crate::sandbox) const REV_ORGS_UPDATE: &[Field] = &[
    field("account", ACCOUNT),
    field("artifacts", ARTIFACT_SET),
    unheld("custom_schema_fragments", &TEXTS),
    field("description", ANY_TEXT),
    field("display_name", ANY_TEXT),
    field("domain", ANY_TEXT),
    field("environment", Kind::Enum(&["production", "staging", "test"])),
    field("external_ref", ANY_TEXT),
    required("id", WORKSPACE),
    field("tags", TAG_LIST),
    field("tier", ANY_TEXT),
];

/// `tags-list-request`
pub(in crate::sandbox) const TAGS_LIST: &[Field] = &[
    field("cursor", ANY_TEXT),
    field("limit", LIMIT),
    field("mode", LIST_MODE),
    field("name", TEXTS),
    field("sort_by", Kind::Ignored(&SORT_BY)),
];

/// `tags-create-request`
pub(in crate::sandbox) const TAGS_CREATE: &[Field] = &[
    not_simulated("allowed_values"),
    field("description", Kind::Ignored(&ANY_TEXT)),
    required("name", ANY_TEXT),
    field("style_new", Kind::Ignored(&OBJECT)),
];

/// `parts-list-request`
pub(in crate::sandbox) const PARTS_LIST: &[Field] = &[
    unheld("created_by", &USERS),
    field("cursor", ANY_TEXT),
    unheld("custom_fields", &OBJECT),
    unheld("enhancement", &OBJECT),
    field("limit", LIMIT),
    field("mode", LIST_MODE),
    unheld("modified_by", &USERS),
    field("name", TEXTS),
    not_simulated("owned_by"),
    unheld("parent_part", &OBJECT),
    field("sort_by", Kind::Ignored(&SORT_BY)),
    unheld("subtype", &TEXTS),
    unheld("tags", &TEXTS),
    field("type", TEXTS),
];

/// `dev-users-list-request`
pub(in crate::sandbox) const DEV_USERS_LIST: &[Field] = &[
    not_simulated("created_date"),
    field("cursor", ANY_TEXT),
    unheld("custom_fields", &OBJECT),
    field("email", TEXTS),
    unheld("external_identity", &OBJECT),
    field("limit", LIMIT),
    field("mode", LIST_MODE),
    not_simulated("modified_date"),
    field("sort_by", Kind::Ignored(&SORT_BY)),
    field("state", TEXTS),
];

/// `stage-diagrams-get-request`
pub(in crate::sandbox) const STAGE_DIAGRAMS_GET: &[Field] = &[
    not_simulated("id"),
    field("is_custom_leaf_type", Kind::Ignored(&FLAG)),
    required("leaf_type", ANY_TEXT),
];
