//! Objects whose type is known only at run time: one of them, pages of many, and a change of its fields.

use super::objects::{Key, Object};
use super::operation::{Operation, Safety};
use super::pages::{List, PAGE_LIMIT, page_of_any};
use super::rev_users::Acknowledged;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

/// An object as DevRev shows it: every member by its name.
pub(crate) type Members = Map<String, Value>;

/// `works.get` and its siblings.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct ObjectGet {
    #[serde(skip)]
    endpoint: &'static str,
    id: String,
}

impl ObjectGet {
    /// Asks for the object with this ID.
    pub(crate) fn new(object: &Object, id: impl Into<String>) -> Self {
        Self { endpoint: object.endpoints.get, id: id.into() }
    }
}

impl Operation for ObjectGet {
    const ENDPOINT: &'static str = "get";
    const SAFETY: Safety = Safety::Read;
    type Answer = ObjectAnswer;

    fn endpoint(&self) -> &'static str {
        self.endpoint
    }
}

/// What objects are called in the answers of their endpoints.
const NAMES: [&str; 5] = ["work", "account", "rev_org", "rev_user", "tag"];

/// The answer of a get or an update of one object.
#[derive(Debug, Clone)]
pub(crate) struct ObjectAnswer(pub Members);

impl<'de> Deserialize<'de> for ObjectAnswer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut answer = Members::deserialize(deserializer)?;
        let object = NAMES.iter().find_map(|name| answer.remove(*name));
        match object {
            Some(Value::Object(object)) if object.get("id").is_some_and(Value::is_string) => Ok(Self(object)),
            Some(_) => Err(D::Error::custom("the object has no `id`")),
            None => Err(D::Error::custom("no object is in it")),
        }
    }
}

/// A write whose endpoint and body are made at run time: a patch of fields that no type here knows.
#[derive(Debug, Clone, Serialize)]
#[serde(transparent)]
pub(crate) struct Patch {
    #[serde(skip)]
    endpoint: &'static str,
    body: Map<String, Value>,
}

impl Patch {
    /// A patch with this body, for an endpoint such as `works.update`.
    pub(crate) fn new(endpoint: &'static str, body: Map<String, Value>) -> Self {
        Self { endpoint, body }
    }
}

impl Operation for Patch {
    const ENDPOINT: &'static str = "patch";
    const SAFETY: Safety = Safety::Write;
    type Answer = ObjectAnswer;

    fn endpoint(&self) -> &'static str {
        self.endpoint
    }
}

/// A creation whose endpoint and body are made at run time.
#[derive(Debug, Clone, Serialize)]
#[serde(transparent)]
pub(crate) struct Create {
    #[serde(skip)]
    endpoint: &'static str,
    body: Members,
}

impl Create {
    /// A creation with this body, at an endpoint such as `accounts.create`.
    pub(crate) fn new(endpoint: &'static str, body: Members) -> Self {
        Self { endpoint, body }
    }
}

impl Operation for Create {
    const ENDPOINT: &'static str = "create";
    const SAFETY: Safety = Safety::Once;
    type Answer = ObjectAnswer;

    fn endpoint(&self) -> &'static str {
        self.endpoint
    }
}

/// A deletion, at an endpoint such as `works.delete`. To repeat it changes nothing.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Delete {
    #[serde(skip)]
    endpoint: &'static str,
    id: String,
}

impl Delete {
    /// Deletes the object with this ID.
    pub(crate) fn new(endpoint: &'static str, id: impl Into<String>) -> Self {
        Self { endpoint, id: id.into() }
    }
}

impl Operation for Delete {
    const ENDPOINT: &'static str = "delete";
    const SAFETY: Safety = Safety::Write;
    type Answer = Acknowledged;

    fn endpoint(&self) -> &'static str {
        self.endpoint
    }
}

/// A list of objects, with filters that are known only at run time.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct ObjectList {
    #[serde(skip)]
    endpoint: &'static str,
    #[serde(flatten)]
    filters: Members,
    limit: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<String>,
}

impl ObjectList {
    /// The list at an endpoint with these filters.
    pub(crate) fn at(endpoint: &'static str, filters: Members) -> Self {
        Self { endpoint, filters, limit: PAGE_LIMIT, cursor: None }
    }

    /// The objects of a type that pass these filters, in the order of their creation.
    pub(crate) fn of(object: &Object, mut filters: Members) -> Self {
        if let Some(kind) = object.work_type {
            filters.insert("type".to_owned(), Value::from(vec![kind]));
        }
        filters.insert("sort_by".to_owned(), Value::from(vec!["created_date:asc"]));
        Self::at(object.endpoints.list, filters)
    }

    /// The objects of a type that any of these users created, in whatever order.
    pub(crate) fn created_by(object: &Object, users: &[String]) -> Self {
        let mut list = Self::holding(object.endpoints.list, "created_by", users);
        list.filters.extend(object.work_type.map(|kind| ("type".to_owned(), Value::from(vec![kind]))));
        list
    }

    /// Those that hold any of these values in a field.
    pub(crate) fn holding(endpoint: &'static str, filter: &str, values: &[String]) -> Self {
        Self::at(endpoint, [(filter.to_owned(), Value::from(values.to_vec()))].into_iter().collect())
    }

    /// The objects of a type that have any of these values as their key.
    pub(crate) fn with_key(object: &Object, key: &Key, values: &[String]) -> Self {
        let mut list = Self::holding(object.endpoints.list, key.field, values);
        if let Some(kind) = object.work_type {
            list.filters.insert("type".to_owned(), Value::from(vec![kind]));
        }
        list
    }
}

/// A page of objects.
#[derive(Debug)]
pub(crate) struct ObjectsAnswer {
    items: Vec<Members>,
    next_cursor: Option<String>,
}

impl<'de> Deserialize<'de> for ObjectsAnswer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        const LISTS: [&str; 8] =
            ["works", "accounts", "rev_orgs", "rev_users", "dev_users", "tags", "parts", "groups"];
        let (items, next_cursor) = page_of_any(deserializer, &LISTS)?;
        Ok(Self { items, next_cursor })
    }
}

impl Operation for ObjectList {
    const ENDPOINT: &'static str = "list";
    const SAFETY: Safety = Safety::Read;
    type Answer = ObjectsAnswer;

    fn endpoint(&self) -> &'static str {
        self.endpoint
    }
}

impl List for ObjectList {
    type Item = Members;

    fn after(&mut self, cursor: String) {
        self.cursor = Some(cursor);
    }

    fn of_at_most(mut self, items: u32) -> Self {
        self.limit = items;
        self
    }

    fn split(answer: ObjectsAnswer) -> (Vec<Members>, Option<String>) {
        (answer.items, answer.next_cursor)
    }
}
