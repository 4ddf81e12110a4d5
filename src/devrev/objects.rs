//! The objects whose fields can be changed, and the fields that DevRev gives each of them: from the request and
//! response schemas of its API file (beta, July 2025). A tenant's own fields come from its schema
//! ([`super::schemas`]).

use super::ids::{ObjectType, USER_TYPES};
use std::borrow::Cow;
use std::sync::{Arc, LazyLock};

/// A type of object, and the endpoints that read and change it.
#[derive(Debug)]
pub(crate) struct Object {
    /// What it is called on the command line.
    pub name: &'static str,
    /// Several of them, in a sentence.
    pub plural: &'static str,
    /// What its schema is called.
    pub leaf_type: &'static str,
    /// What its IDs name.
    pub types: &'static [ObjectType],
    /// The variant of a work; `None` for what is no work.
    pub work_type: Option<&'static str>,
    /// Its endpoints, such as `works.get`.
    pub endpoints: Endpoints,
    /// What an answer calls it: `work`.
    pub member: &'static str,
    /// What a list calls several: `works`.
    pub members: &'static str,
    /// Whether it takes custom fields.
    pub has_custom_fields: bool,
    /// Its stock fields that can be written.
    pub fields: Vec<Field>,
    /// What rows may find it by, beside its ID.
    pub keys: &'static [Key],
    /// How one is created.
    pub creation: Creation,
    /// The endpoint that deletes one; `None` for what the API file has no way to delete.
    pub deletion: Option<&'static str>,
}

/// How an object is created. Its key is always `external_ref`.
#[derive(Debug)]
pub(crate) struct Creation {
    /// The endpoint.
    pub endpoint: &'static str,
    /// The fields that it has to have.
    pub needed: &'static [&'static str],
    /// Fields of an update that it does not take.
    pub not_taken: &'static [&'static str],
    /// Whether DevRev refuses a second object with the same key: only then may one be sent again that is not found.
    pub refuses_second: bool,
    /// Whether the API file knows its key. If not, the first one of a process is created alone, and has to show the key.
    pub knows_key: bool,
}

/// The endpoints of a type of object.
#[derive(Debug)]
pub(crate) struct Endpoints {
    pub get: &'static str,
    pub list: &'static str,
    pub update: &'static str,
}

/// What rows may find an object by.
#[derive(Debug)]
pub(crate) struct Key {
    /// What it is called on the command line and in the header of a file.
    pub name: &'static str,
    /// The member that holds it, and the filter of the list that finds it.
    pub field: &'static str,
    /// Whether upper case is the same as lower case in it.
    pub is_caseless: bool,
}

impl Key {
    const fn new(name: &'static str, field: &'static str) -> Self {
        let is_caseless = matches!(name.as_bytes(), b"email" | b"domain");
        Self { name, field, is_caseless }
    }

    /// A value as it is compared.
    pub(crate) fn folded(&self, value: &str) -> String {
        if self.is_caseless { value.to_lowercase() } else { value.to_owned() }
    }
}

/// A field that can be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Field {
    /// Its name in requests and answers; of a custom field with its prefix (`tnt__...`).
    pub name: Cow<'static, str>,
    /// What it holds.
    pub kind: Kind,
    /// How it is emptied.
    pub clear: Clear,
}

/// The prefixes of custom fields: of the tenant, of a subtype, of an app.
pub(crate) const CUSTOM_PREFIXES: [&str; 3] = ["tnt__", "ctype__", "app_"];

impl Field {
    /// Whether it is one of the tenant's own, which stand in `custom_fields`.
    pub(crate) fn is_custom(&self) -> bool {
        is_custom(&self.name)
    }
}

/// Whether this is the name of a custom field.
pub(crate) fn is_custom(name: &str) -> bool {
    CUSTOM_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// What a field holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Text of at least `min` and at most `max` characters.
    Text { min: usize, max: usize },
    /// Text with markup, of at most so many characters.
    RichText { max: usize },
    /// A whole number.
    Int,
    /// A decimal number.
    Number,
    /// An amount and its currency, such as `1200.50 EUR`.
    Money,
    /// `true` or `false`.
    Flag,
    /// A point in time.
    Time,
    /// A day.
    Date,
    /// One of these words.
    Word(Words),
    /// One of these choices, which the API names by number.
    Choice(Arc<[Choice]>),
    /// A stage of the object's stage diagram, by its name.
    Stage,
    /// Another object.
    One(Target),
    /// The same where requests name it as `{"id": ...}`, as the fields do that some gateways add.
    Embedded(Target),
    /// Several values of one kind, in no order.
    List(Box<Kind>, Shape),
    /// Tags, each perhaps with a value: `TAG-5` or `TAG-5=high`.
    Tags(Shape),
    /// What the API file does not say, or no cell can hold.
    Other,
}

/// The words that a field takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Words {
    /// Those of the API file.
    Stock(&'static [&'static str]),
    /// Those of the tenant's schema.
    Tenant(Arc<[String]>),
}

impl Words {
    /// Each of them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> + Clone {
        let (stock, tenant): (&[&'static str], &[String]) = match self {
            Self::Stock(words) => (words, &[]),
            Self::Tenant(words) => (&[], words),
        };
        stock.iter().copied().chain(tenant.iter().map(String::as_str))
    }
}

/// A choice: its number, and its name for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Choice {
    pub id: i64,
    pub label: String,
}

/// How a request changes a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// The whole list, as an array.
    Array,
    /// The whole list, as `{"set": [...]}`.
    Set,
    /// The same, or only some elements, as `{"add": [...], "remove": [...]}`.
    AddRemove,
}

/// How a field is emptied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Clear {
    /// It cannot be.
    Never,
    /// With `null`.
    Null,
    /// With an empty text or list.
    Empty,
}

/// The type of object that a field names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Target {
    User,
    DevUser,
    Contact,
    Part,
    Tag,
    Group,
    Account,
    Workspace,
    Artifact,
    /// One of several types, or of a type that is only known by its DON: sprints, channels.
    Any,
}

/// The types that are parts.
pub(crate) const PART_TYPES: &[ObjectType] = &[
    ObjectType::Feature,
    ObjectType::Product,
    ObjectType::Capability,
    ObjectType::Enhancement,
    ObjectType::Runnable,
    ObjectType::Linkable,
];

impl Target {
    /// What its IDs name; empty for any object.
    pub(crate) fn types(self) -> &'static [ObjectType] {
        match self {
            Self::User => USER_TYPES,
            Self::DevUser => &[ObjectType::DevUser],
            Self::Contact => &[ObjectType::RevUser],
            Self::Part => PART_TYPES,
            Self::Tag => &[ObjectType::Tag],
            Self::Group => &[ObjectType::Group],
            Self::Account => &[ObjectType::Account],
            Self::Workspace => &[ObjectType::Workspace],
            Self::Artifact => &[ObjectType::Artifact],
            Self::Any => &[],
        }
    }

    /// The target of a custom field whose IDs have these types in the schema, such as `group`.
    pub(crate) fn of_schema<'a>(types: impl Iterator<Item = &'a str>) -> Self {
        let target = |name: &str| match name {
            "devu" | "dev_user" => Self::DevUser,
            "revu" | "rev_user" => Self::Contact,
            "svcacc" | "sysu" | "service_account" | "sys_user" | "user" => Self::User,
            "group" => Self::Group,
            "tag" => Self::Tag,
            "account" => Self::Account,
            "revo" | "rev_org" => Self::Workspace,
            "artifact" => Self::Artifact,
            "product" | "capability" | "feature" | "enhancement" | "runnable" | "linkable" | "part" => {
                Self::Part
            }
            _ => Self::Any,
        };
        let is_user = |target: Self| matches!(target, Self::User | Self::DevUser | Self::Contact);
        types
            .map(target)
            .reduce(|one, other| match (one, other) {
                (one, other) if one == other => one,
                (one, other) if is_user(one) && is_user(other) => Self::User,
                _ => Self::Any,
            })
            .unwrap_or(Self::Any)
    }
}

/// An object by its name on the command line.
pub(crate) fn named(name: &str) -> Option<&'static Object> {
    OBJECTS.iter().find(|object| object.name == name)
}

impl Object {
    /// A stock field by its name.
    pub(crate) fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.name == name)
    }

    /// Whether a creation takes a field. Those of a subtype it would have to name.
    pub(crate) fn takes_when_created(&self, name: &str) -> bool {
        !self.creation.not_taken.contains(&name) && !name.starts_with("ctype__")
    }

    /// The field that holds a key. That of works is written by their creation only: no update takes it.
    pub(crate) fn key_field(&self, key: &Key) -> Field {
        let written_once = || field(key.field, Kind::Text { min: 1, max: 512 }, Clear::Never);
        self.field(key.field).cloned().unwrap_or_else(written_once)
    }
}

/// Members of answers that no request can change, by any object: a column of that name is left alone.
pub(crate) const READ_ONLY: &[&str] = &[
    "id",
    "display_id",
    "type",
    "created_by",
    "created_date",
    "modified_by",
    "modified_date",
    "actual_close_date",
    "actual_start_date",
    "estimated_effort",
    "full_name",
    "is_verified",
    "primary_account",
    "primary_identity",
    "primary_rev_org",
    "sla_summary",
    "sla_tracker",
    "source_channel",
    "state",
    "stock_schema_fragment",
    "custom_schema_fragments",
    "subtype",
    "sync_metadata",
    "visibility",
];

/// A member that no request changes, as a field that can be shown and looked at.
pub(crate) fn read_only_field(name: &str) -> Option<Field> {
    let name = READ_ONLY.iter().find(|known| **known == name)?;
    let kind = match *name {
        "created_by" | "modified_by" => Kind::One(Target::User),
        "created_date" | "modified_date" | "actual_close_date" | "actual_start_date" => Kind::Time,
        "is_verified" => Kind::Flag,
        _ => Kind::Other,
    };
    Some(field(name, kind, Clear::Never))
}

fn field(name: &'static str, kind: Kind, clear: Clear) -> Field {
    Field { name: name.into(), kind, clear }
}

fn text(name: &'static str, clear: Clear) -> Field {
    field(name, Kind::Text { min: 0, max: usize::MAX }, clear)
}

fn texts(name: &'static str, shape: Shape) -> Field {
    let text = Kind::Text { min: 1, max: usize::MAX };
    field(name, Kind::List(Box::new(text), shape), Clear::Empty)
}

fn word(name: &'static str, words: &'static [&'static str]) -> Field {
    field(name, Kind::Word(Words::Stock(words)), Clear::Never)
}

/// A choice whose numbers and names a tenant may extend: these are DevRev's own, numbered from 1.
fn choice(name: &'static str, labels: &[&str]) -> Field {
    let choices = (1..).zip(labels).map(|(id, label)| Choice { id, label: (*label).to_owned() });
    field(name, Kind::Choice(choices.collect()), Clear::Never)
}

fn one(name: &'static str, target: Target, clear: Clear) -> Field {
    field(name, Kind::One(target), clear)
}

fn many(name: &'static str, target: Target, shape: Shape, clear: Clear) -> Field {
    field(name, Kind::List(Box::new(Kind::One(target)), shape), clear)
}

/// `works-update-request`: the fields of every work.
fn work_fields() -> Vec<Field> {
    vec![
        field("title", Kind::Text { min: 1, max: 256 }, Clear::Never),
        field("body", Kind::RichText { max: 65_536 }, Clear::Empty),
        field("stage", Kind::Stage, Clear::Never),
        many("owned_by", Target::User, Shape::Set, Clear::Never),
        many("reported_by", Target::User, Shape::Set, Clear::Empty),
        one("applies_to_part", Target::Part, Clear::Never),
        field("tags", Kind::Tags(Shape::AddRemove), Clear::Empty),
        field("target_close_date", Kind::Time, Clear::Null),
        many("artifacts", Target::Artifact, Shape::AddRemove, Clear::Empty),
    ]
}

fn work(
    name: &'static str,
    plural: &'static str,
    types: &'static [ObjectType],
    own: impl IntoIterator<Item = Field>,
) -> Object {
    let (needed, not_taken): (&[_], &[_]) = match name {
        "opportunity" => (&["title", "applies_to_part", "owned_by", "account"], &[]),
        "ticket" => (
            &["title", "applies_to_part", "owned_by"],
            &["is_archived", "is_frozen", "sentiment", "sentiment_modified_date", "sentiment_summary"],
        ),
        _ => (&["title", "applies_to_part", "owned_by"], &[]),
    };
    Object {
        name,
        plural,
        leaf_type: name,
        types,
        work_type: Some(name),
        endpoints: Endpoints { get: "works.get", list: "works.list", update: "works.update" },
        member: "work",
        members: "works",
        has_custom_fields: true,
        fields: work_fields().into_iter().chain(own).collect(),
        // Not in the API file, but in newer descriptions of the API: unique within a type of work, they say.
        keys: const { &[Key::new("external_ref", "external_ref")] },
        creation: Creation {
            endpoint: "works.create",
            needed,
            not_taken,
            refuses_second: false,
            knows_key: false,
        },
        deletion: Some("works.delete"),
    }
}

const PRIORITIES: &[&str] = &["p0", "p1", "p2", "p3"];

/// Every object whose fields can be changed.
pub(crate) static OBJECTS: LazyLock<[Object; 7]> = LazyLock::new(|| {
    [
        work(
            "issue",
            "issues",
            &[ObjectType::Issue],
            [
                word("priority", PRIORITIES),
                choice("priority_v2", &["P0", "P1", "P2", "P3"]),
                many("developed_with", Target::Part, Shape::Set, Clear::Empty),
                one("sprint", Target::Any, Clear::Null),
                field("target_start_date", Kind::Time, Clear::Null),
            ],
        ),
        work(
            "ticket",
            "tickets",
            &[ObjectType::Ticket],
            [
                word("severity", &["blocker", "high", "low", "medium"]),
                one("account", Target::Account, Clear::Null),
                one("rev_org", Target::Workspace, Clear::Null),
                one("group", Target::Group, Clear::Null),
                field(
                    "channels",
                    Kind::List(
                        Box::new(Kind::Word(Words::Stock(&[
                            "email",
                            "plug",
                            "slack",
                            "twilio",
                            "twilio_sms",
                        ]))),
                        Shape::Set,
                    ),
                    Clear::Empty,
                ),
                many("channels_v2", Target::Any, Shape::Array, Clear::Empty),
                one("source_channel_v2", Target::Any, Clear::Null),
                field("needs_response", Kind::Flag, Clear::Never),
                field("is_spam", Kind::Flag, Clear::Never),
                field("is_frozen", Kind::Flag, Clear::Never),
                field("is_archived", Kind::Flag, Clear::Never),
                choice("sentiment", &["Delighted", "Happy", "Neutral", "Unhappy", "Frustrated"]),
                text("sentiment_summary", Clear::Empty),
                field("sentiment_modified_date", Kind::Time, Clear::Never),
            ],
        ),
        work(
            "task",
            "tasks",
            &[ObjectType::Task],
            [
                word("priority", PRIORITIES),
                field("embedded", Kind::Flag, Clear::Never),
                field("start_date", Kind::Time, Clear::Never),
            ],
        ),
        work(
            "opportunity",
            "opportunities",
            &[ObjectType::Opportunity],
            [
                one("account", Target::Account, Clear::Never),
                many("contacts", Target::Contact, Shape::Set, Clear::Empty),
                field("value", Kind::Money, Clear::Never),
                field("annual_contract_value", Kind::Money, Clear::Never),
                field("amount", Kind::Number, Clear::Null),
                field("customer_budget", Kind::Number, Clear::Null),
                field("probability", Kind::Number, Clear::Null),
                choice(
                    "forecast_category_v2",
                    &["Omitted", "Pipeline", "Upside", "Strong Upside", "Commit", "Won"],
                ),
            ],
        ),
        Object {
            creation: Creation {
                endpoint: "accounts.create",
                needed: &["display_name"],
                not_taken: &[],
                refuses_second: true,
                knows_key: true,
            },
            deletion: None,
            name: "account",
            plural: "accounts",
            leaf_type: "account",
            types: &[ObjectType::Account],
            work_type: None,
            endpoints: Endpoints { get: "accounts.get", list: "accounts.list", update: "accounts.update" },
            member: "account",
            members: "accounts",
            has_custom_fields: true,
            fields: vec![
                text("display_name", Clear::Never),
                text("description", Clear::Empty),
                many("owned_by", Target::DevUser, Shape::Array, Clear::Empty),
                text("tier", Clear::Null),
                field("tags", Kind::Tags(Shape::Array), Clear::Empty),
                texts("domains", Shape::Array),
                texts("external_refs", Shape::Array),
                texts("websites", Shape::Set),
                many("artifacts", Target::Artifact, Shape::Set, Clear::Empty),
            ],
            keys: const {
                &[
                    Key::new("external_ref", "external_refs"),
                    Key::new("display_name", "display_name"),
                    Key::new("domain", "domains"),
                ]
            },
        },
        Object {
            creation: Creation {
                endpoint: "rev-orgs.create",
                needed: &["account", "display_name"],
                not_taken: &[],
                refuses_second: false,
                knows_key: true,
            },
            deletion: None,
            name: "workspace",
            plural: "workspaces",
            leaf_type: "rev_org",
            types: &[ObjectType::Workspace],
            work_type: None,
            endpoints: Endpoints { get: "rev-orgs.get", list: "rev-orgs.list", update: "rev-orgs.update" },
            member: "rev_org",
            members: "rev_orgs",
            // `rev-orgs-update-request` has no `custom_fields`.
            has_custom_fields: false,
            fields: vec![
                text("display_name", Clear::Never),
                text("description", Clear::Empty),
                one("account", Target::Account, Clear::Never),
                text("domain", Clear::Empty),
                word("environment", &["production", "staging", "test"]),
                text("external_ref", Clear::Empty),
                field("tags", Kind::Tags(Shape::Array), Clear::Empty),
                text("tier", Clear::Empty),
                many("artifacts", Target::Artifact, Shape::Set, Clear::Empty),
            ],
            keys: const { &[Key::new("external_ref", "external_ref"), Key::new("display_name", "display_name")] },
        },
        Object {
            creation: Creation {
                endpoint: "rev-users.create",
                needed: &[],
                not_taken: &[],
                refuses_second: true,
                knows_key: true,
            },
            deletion: None,
            name: "contact",
            plural: "contacts",
            leaf_type: "rev_user",
            types: &[ObjectType::RevUser],
            work_type: None,
            endpoints: Endpoints { get: "rev-users.get", list: "rev-users.list", update: "rev-users.update" },
            member: "rev_user",
            members: "rev_users",
            has_custom_fields: true,
            fields: vec![
                text("display_name", Clear::Empty),
                text("description", Clear::Empty),
                text("email", Clear::Empty),
                text("external_ref", Clear::Empty),
                texts("external_refs", Shape::Array),
                texts("phone_numbers", Shape::Array),
                one("display_picture", Target::Artifact, Clear::Null),
                field("tags", Kind::Tags(Shape::Array), Clear::Empty),
                many("artifacts", Target::Artifact, Shape::Set, Clear::Empty),
            ],
            keys: const { &[Key::new("email", "email"), Key::new("external_ref", "external_ref")] },
        },
    ]
});

#[cfg(test)]
#[path = "objects_tests.rs"]
mod tests;
