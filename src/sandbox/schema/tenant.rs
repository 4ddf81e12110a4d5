//! The tables of what a tenant is: its schemas, and whose token this is.

use super::{ANY_TEXT, FLAG, Field, Kind, LIMIT, LIST_MODE, OBJECT, SORT_BY, TEXTS, field, not_simulated};

/// `aggregated-schema-get-request`
pub(in crate::sandbox) const SCHEMAS_AGGREGATED_GET: &[Field] = &[
    not_simulated("custom_schema_fragments"),
    // `custom-schema-spec-for-read`: unlike that of an update it has no `tenant_fragment`.
    field("custom_schema_spec", Kind::Record(&[field("apps", TEXTS), field("subtype", ANY_TEXT)])),
    field("is_custom_leaf_type", Kind::Bool),
    field("leaf_type", ANY_TEXT),
    not_simulated("stock_schema_fragment"),
];

/// `custom-schema-fragments-list-request`
pub(in crate::sandbox) const SCHEMAS_CUSTOM_LIST: &[Field] = &[
    field("app", TEXTS),
    field("cursor", ANY_TEXT),
    field("deprecated", Kind::Bool),
    field("include_sync_metadata", Kind::Ignored(&FLAG)),
    field("is_custom_leaf_type", Kind::Bool),
    field("is_deprecated", Kind::Bool),
    field("leaf_type", TEXTS),
    field("limit", LIMIT),
    field("mode", LIST_MODE),
    field("prune", Kind::List(&Kind::Enum(&["fields"]))),
    field("sort_by", Kind::Ignored(&SORT_BY)),
    field("space", Kind::Ignored(&OBJECT)),
    field("subtype", TEXTS),
    field("types", Kind::List(&FRAGMENT_TYPE)),
];

const FRAGMENT_TYPE: Kind = Kind::Enum(&["app_fragment", "custom_type_fragment", "tenant_fragment"]);

/// `subtypes-list-request`
pub(in crate::sandbox) const SCHEMAS_SUBTYPES_LIST: &[Field] =
    &[field("leaf_type", ANY_TEXT), field("leaf_types", TEXTS)];

/// `auth-tokens-info-request`
pub(in crate::sandbox) const AUTH_TOKENS_INFO: &[Field] = &[];
