//! `works.*`: issues, and the field that holds an issue's creator group.

use super::artifacts::ArtifactSummary;
use super::ids::{Issue, Names, Ref};
use super::objects::is_custom;
use super::operation::{Operation, Safety};
use super::pages::{PAGE_LIMIT, list_endpoint};
use super::users::UserSummary;
use super::whole::Whole;
use crate::net::lenient;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use std::collections::HashMap;

/// A work as DevRev answers it (schema `work`): the members that every reader needs, and the rest as text. What nobody
/// asks for, a title among it, is never read.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "Box<RawValue>")]
pub(crate) struct Work {
    /// The work's DON.
    pub id: String,
    /// Its display ID.
    pub display_id: Option<String>,
    /// Who created it.
    pub created_by: Option<UserSummary>,
    whole: Box<RawValue>,
}

impl TryFrom<Box<RawValue>> for Work {
    type Error = serde_json::Error;

    fn try_from(whole: Box<RawValue>) -> Result<Self, Self::Error> {
        #[derive(Deserialize)]
        struct Named {
            id: String,
            #[serde(default, deserialize_with = "lenient::word")]
            display_id: Option<String>,
            #[serde(default)]
            created_by: Option<UserSummary>,
        }
        let Named { id, display_id, created_by } = serde_json::from_str(whole.get())?;
        Ok(Self { id, display_id, created_by, whole })
    }
}

/// The members of an object, not read yet; none of what is no object.
type Members<'a> = HashMap<String, &'a RawValue>;

fn members(object: &RawValue) -> Members<'_> {
    serde_json::from_str(object.get()).unwrap_or_default()
}

impl Work {
    /// Its customized fields, as far as they are shown.
    fn custom(&self) -> Members<'_> {
        members(&self.whole).get("custom_fields").map_or_else(Members::new, |fields| members(fields))
    }

    /// The names of its customized fields, as far as they are shown.
    pub(crate) fn custom_fields(&self) -> Vec<String> {
        self.custom().into_keys().collect()
    }

    /// The number of an issue; `None` if this is no issue.
    pub(crate) fn issue_number(&self) -> Option<u64> {
        let number = |text: &str| Ref::parse(text, Issue::TYPES).ok().and_then(Ref::number);
        number(&self.id).or_else(|| number(self.display_id.as_deref()?))
    }
}

/// The field that holds an issue's creator group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum GroupField {
    /// A field of the customized object: `custom_fields: {"tnt__creator_group": <group>}`.
    Custom(String),
    /// A field of the object itself, as some gateways have it: `creator_group: {"id": <group>}`.
    Native(String),
}

impl GroupField {
    /// The field with this name; its prefix says where it stands.
    pub(crate) fn named(name: &str) -> Self {
        if is_custom(name) { Self::Custom(name.to_owned()) } else { Self::Native(name.to_owned()) }
    }

    /// The field's value in a work, if it is shown at all.
    fn value<'a>(&self, work: &'a Work) -> Option<&'a RawValue> {
        match self {
            Self::Custom(name) => work.custom().remove(name),
            Self::Native(name) => members(&work.whole).remove(name),
        }
    }

    /// Whether a work shows the field at all, be it empty.
    pub(crate) fn is_shown(&self, work: &Work) -> bool {
        self.value(work).is_some()
    }

    /// The group's ID that a work holds; `None` if it holds none. A group may be shown as its ID or as an
    /// object with one; a value of any other shape is given as its JSON: it is there, and must not be
    /// overwritten unseen.
    pub(crate) fn read(&self, work: &Work) -> Option<String> {
        let shown = self.value(work)?;
        let Ok(value) = serde_json::from_str::<Value>(shown.get()) else {
            return Some(shown.get().to_owned());
        };
        let id = value.get("id").unwrap_or(&value);
        match id {
            Value::Null => None,
            Value::String(id) => Some(id.trim().to_owned()).filter(|id| !id.is_empty()),
            Value::Array(items) if items.is_empty() => None,
            Value::Object(members) if members.is_empty() => None,
            other => Some(other.to_string()),
        }
    }
}

/// `works.get`.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct WorksGet {
    /// The work's ID, in either form.
    pub id: String,
}

/// The answer of `works.get` and `works.update`.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct WorkAnswer {
    /// The work as it is now.
    pub work: Work,
}

impl Operation for WorksGet {
    const ENDPOINT: &'static str = "works.get";
    const SAFETY: Safety = Safety::Read;
    type Answer = WorkAnswer;
}

/// `works.list`: issues, mostly by their creators.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct WorksList {
    #[serde(rename = "type")]
    kind: [&'static str; 1],
    #[serde(skip_serializing_if = "Vec::is_empty")]
    created_by: Vec<String>,
    limit: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<String>,
}

impl WorksList {
    /// The issues that any of these users created.
    pub(crate) fn issues_created_by(users: Vec<String>) -> Self {
        Self { kind: ["issue"], created_by: users, limit: PAGE_LIMIT, cursor: None }
    }

    /// A page of issues, whichever come first.
    pub(crate) fn some_issues() -> Self {
        Self::issues_created_by(Vec::new())
    }
}

list_endpoint! {
    /// A page of works.
    WorksList = "works.list" -> WorksListAnswer { works: Work }
}

/// How a user may stand to a work. Each is a filter of `works.list`, and a work must pass all filters that are
/// given: so each takes a call of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Role {
    /// Created it.
    Creator,
    /// Is among its owners.
    Owner,
    /// Is among those who reported it.
    Reporter,
}

impl Role {
    /// All of them.
    pub(crate) const ALL: [Self; 3] = [Self::Creator, Self::Owner, Self::Reporter];
}

/// A work of any type, in the members that say to whom it belongs.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct OwnedWork {
    /// The work's DON.
    pub id: String,
    /// Its display ID.
    #[serde(default, deserialize_with = "lenient::word")]
    pub display_id: Option<String>,
    /// `issue`, `ticket`, `task` or `opportunity`.
    #[serde(default, rename = "type", deserialize_with = "lenient::word")]
    pub kind: Option<String>,
    #[serde(default)]
    created_by: Option<UserSummary>,
    #[serde(default, deserialize_with = "lenient::list")]
    owned_by: Vec<UserSummary>,
    #[serde(default, deserialize_with = "lenient::list")]
    reported_by: Vec<UserSummary>,
    /// Its own files.
    #[serde(default, deserialize_with = "lenient::list")]
    pub artifacts: Vec<ArtifactSummary>,
}

impl OwnedWork {
    /// Whether it is a ticket.
    pub(crate) fn is_ticket(&self) -> bool {
        self.kind.as_deref() == Some("ticket")
    }

    /// The users in this role.
    pub(crate) fn users_as(&self, role: Role) -> &[UserSummary] {
        match role {
            Role::Creator => self.created_by.as_slice(),
            Role::Owner => &self.owned_by,
            Role::Reporter => &self.reported_by,
        }
    }
}

/// `works.list`: works of every type by users in one role.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct WorksOf {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    created_by: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    owned_by: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    reported_by: Vec<String>,
    limit: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<String>,
}

impl WorksOf {
    /// The works of any of these users in this role.
    pub(crate) fn users(role: Role, users: Vec<String>) -> Self {
        let mut list = Self { limit: PAGE_LIMIT, ..Self::default() };
        match role {
            Role::Creator => list.created_by = users,
            Role::Owner => list.owned_by = users,
            Role::Reporter => list.reported_by = users,
        }
        list
    }
}

list_endpoint! {
    /// A page of works of any type.
    WorksOf = "works.list" -> WorksOfAnswer { works: Whole<OwnedWork> }
}

/// `works.update` of one issue's creator group.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct WorksUpdate {
    id: String,
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(flatten)]
    fields: Map<String, Value>,
}

impl WorksUpdate {
    /// Sets the group of the issue with this ID; `None` takes it away.
    pub(crate) fn group_of_issue(id: impl Into<String>, field: &GroupField, group: Option<&str>) -> Self {
        let fields = match field {
            // Without the schema's name the API refuses a customized field.
            GroupField::Custom(name) => [
                ("custom_fields".to_owned(), json!({ name.as_str(): group })),
                ("custom_schema_spec".to_owned(), json!({ "tenant_fragment": true })),
            ]
            .into_iter()
            .collect(),
            GroupField::Native(name) => {
                let group = group.map(|group| json!({ "id": group }));
                [(name.clone(), group.into())].into_iter().collect()
            }
        };
        Self { id: id.into(), kind: "issue", fields }
    }
}

impl Operation for WorksUpdate {
    const ENDPOINT: &'static str = "works.update";
    const SAFETY: Safety = Safety::Write;
    type Answer = WorkAnswer;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn work(json: &str) -> Work {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn the_group_is_read_as_an_id_or_as_an_object() {
        let field = GroupField::named("tnt__creator_group");
        let id = r#"{"id":"don:core:x:devo/1:issue/5","custom_fields":{"tnt__creator_group":"GROUP-1"}}"#;
        let object = r#"{"id":"x","custom_fields":{"tnt__creator_group":{"id":"GROUP-1","name":"A"}}}"#;
        let nulls = r#"{"id":"x","custom_fields":{"tnt__creator_group":null}}"#;
        assert_eq!(field.read(&work(id)).as_deref(), Some("GROUP-1"));
        assert_eq!(work(id).issue_number(), Some(5));
        assert_eq!(field.read(&work(object)).as_deref(), Some("GROUP-1"));
        assert_eq!(field.read(&work(nulls)), None);
        assert_eq!(field.read(&work(r#"{"id":"x"}"#)), None);
        assert!(field.is_shown(&work(nulls)) && !field.is_shown(&work(r#"{"id":"x","custom_fields":7}"#)));
        let native = GroupField::named("creator_group");
        let object = work(r#"{"id":"x","creator_group":{"id":"GROUP-2"}}"#);
        assert_eq!(native.read(&object).as_deref(), Some("GROUP-2"));
        assert!(native.is_shown(&object) && !native.is_shown(&work(nulls)));
        let strange = work(r#"{"id":"x","creator_group":["GROUP-2"]}"#);
        assert!(native.read(&strange).is_some(), "a value that is not understood is still a value");
    }

    #[test]
    fn an_update_of_a_customized_field_names_its_schema() {
        let custom =
            WorksUpdate::group_of_issue("ISS-1", &GroupField::named("tnt__creator_group"), Some("GROUP-1"));
        assert_eq!(
            serde_json::to_value(custom).unwrap(),
            json!({"id": "ISS-1", "type": "issue", "custom_fields": {"tnt__creator_group": "GROUP-1"},
                   "custom_schema_spec": {"tenant_fragment": true}})
        );
        let native =
            WorksUpdate::group_of_issue("ISS-1", &GroupField::named("creator_group"), Some("GROUP-1"));
        assert_eq!(
            serde_json::to_value(native).unwrap(),
            json!({"id": "ISS-1", "type": "issue", "creator_group": {"id": "GROUP-1"}})
        );
        for (field, expected) in [
            (
                "tnt__creator_group",
                json!({"id": "ISS-1", "type": "issue", "custom_fields": {"tnt__creator_group": null},
                   "custom_schema_spec": {"tenant_fragment": true}}),
            ),
            ("creator_group", json!({"id": "ISS-1", "type": "issue", "creator_group": null})),
        ] {
            let away = WorksUpdate::group_of_issue("ISS-1", &GroupField::named(field), None);
            assert_eq!(serde_json::to_value(away).unwrap(), expected);
        }
    }
}
