//! The organisation that the sandbox plays: its users, groups and fields, which stay as they are, and its
//! issues, which change.

use super::error::ApiError;
use super::format::{CustomField, File, GroupRef, Member, MemberType, NativeField, UserRef, UserState};
use super::issues::Issues;
use crate::devrev::ids::{ObjectType, Ref, USER_TYPES};
use rustc_hash::FxHashMap;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Everything that requests read and change.
pub(super) struct World {
    /// The organisation's code, as it stands in DONs.
    pub(super) org: Box<str>,
    /// The organisation's name.
    pub(super) org_name: String,
    /// The user behind every token.
    pub(super) own: u32,
    pub(super) users: Vec<User>,
    pub(super) groups: Vec<Group>,
    /// The custom fields that issues have.
    pub(super) custom_fields: BTreeMap<String, CustomField>,
    /// The custom field that shows an issue's creator group.
    pub(super) creator_group_field: String,
    /// The native fields that the gateway knows.
    pub(super) native: &'static [&'static str],
    user_index: FxHashMap<UserRef, u32>,
    group_index: FxHashMap<u32, u32>,
    issues: RwLock<Issues>,
}

/// A user, with the summary that stands in every object that names them.
pub(super) struct User {
    pub(super) id: UserRef,
    pub(super) name: String,
    pub(super) email: Option<String>,
    pub(super) state: UserState,
    /// `user-summary`, ready to be put into an answer.
    pub(super) summary: Box<RawValue>,
}

/// A group and its members.
pub(super) struct Group {
    pub(super) id: GroupRef,
    pub(super) name: String,
    pub(super) description: Option<String>,
    pub(super) member_type: MemberType,
    pub(super) members: Vec<Member>,
    /// The group's DON.
    pub(super) don: String,
    /// What the native field `creator_group` shows.
    pub(super) native: Box<RawValue>,
}

impl World {
    /// Resolves every reference of a data file; an error says which one leads nowhere.
    pub(super) fn build(file: File) -> Result<Self, String> {
        let org = file.organisation.id.into_boxed_str();
        let sound = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        if org.is_empty() || !org.bytes().all(sound) {
            return Err(format!("the organisation's id `{org}` is not made of letters and digits"));
        }
        let (users, user_index) = users(file.users, &org)?;
        let (groups, group_index) = groups(file.groups, &org, &user_index)?;
        let own = *user_index.get(&file.own).ok_or_else(|| format!("self: there is no user {}", file.own))?;
        let native: &[&str] =
            if file.native_fields.contains(&NativeField::CreatorGroup) { &["creator_group"] } else { &[] };
        let shown = match file.custom_fields.get(&file.creator_group_field) {
            Some(CustomField::Id { .. }) => true,
            Some(CustomField::Text {}) => {
                return Err(format!("creator_group_field: `{}` is not of type id", file.creator_group_field));
            }
            None => !native.is_empty(),
        };
        if !shown && file.issues.iter().any(|issue| issue.creator_group.is_some()) {
            let field = &file.creator_group_field;
            return Err(format!("issues have a creator_group, but custom_fields does not declare `{field}`"));
        }
        let issues = Issues::build(file.issues, users.len(), &user_index, &group_index)?;
        Ok(Self {
            org,
            org_name: file.organisation.name,
            own,
            users,
            groups,
            custom_fields: file.custom_fields,
            creator_group_field: file.creator_group_field,
            native,
            user_index,
            group_index,
            issues: RwLock::new(issues),
        })
    }

    /// The issues, to be read.
    pub(super) fn issues(&self) -> RwLockReadGuard<'_, Issues> {
        self.issues.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The issues, to be changed.
    pub(super) fn issues_mut(&self) -> RwLockWriteGuard<'_, Issues> {
        self.issues.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The user that a checked ID names, if there is one.
    pub(super) fn user(&self, id: &str) -> Option<u32> {
        self.user_index.get(&UserRef::of(self.own_ref(id, USER_TYPES)?)?).copied()
    }

    /// The group that a checked ID names, if there is one.
    pub(super) fn group(&self, id: &str) -> Option<u32> {
        self.group_index.get(&GroupRef::of(self.own_ref(id, &[ObjectType::Group])?)?.0).copied()
    }

    /// The number of the issue that a checked ID names, whether or not there is such an issue.
    pub(super) fn issue_number(&self, id: &str) -> Option<u32> {
        self.own_ref(id, &[ObjectType::Issue])?.tail.parse().ok()
    }

    /// Like [`Self::user`], for requests that are refused when a user does not exist.
    pub(super) fn existing_user(&self, field: &str, id: &str) -> Result<u32, ApiError> {
        self.user(id).ok_or_else(|| ApiError::invalid_id(field, format!("there is no user `{id}`")))
    }

    /// A DON of another organisation names nothing here.
    fn own_ref<'a>(&self, id: &'a str, types: &[ObjectType]) -> Option<Ref<'a>> {
        let found = Ref::parse(id, types).ok()?;
        let own = match id.strip_prefix("don:") {
            Some(rest) => rest.split(':').nth(2)?.strip_prefix("devo/")? == &*self.org,
            None => true,
        };
        own.then_some(found)
    }

    /// The member of a group, as `member-summary`.
    pub(super) fn member(&self, member: Member) -> Value {
        let group = |id: GroupRef| self.groups.get(*self.group_index.get(&id.0)? as usize);
        let user = |id: UserRef| self.users.get(*self.user_index.get(&id)? as usize);
        match member {
            Member::User(id) => user(id).map_or(Value::Null, |user| json!(user.summary)),
            Member::Group(id) => group(id).map_or(Value::Null, |group| {
                json!({
                    "type": "group",
                    "id": group.don,
                    "display_id": id.to_string(),
                    "name": group.name,
                    "member_type": group.member_type,
                })
            }),
        }
    }
}

/// The DON of an object of the identity service: a user, a group.
pub(super) fn identity_don(org: &str, object: ObjectType, number: u32) -> String {
    format!("don:identity:dvrv-us-1:devo/{org}:{}/{number}", object.don_name())
}

/// The DON of an issue.
pub(super) fn issue_don(org: &str, number: u32) -> String {
    format!("don:core:dvrv-us-1:devo/{org}:issue/{number}")
}

fn position(length: usize) -> Result<u32, String> {
    u32::try_from(length).map_err(|_| "more objects than the sandbox can number".to_owned())
}

fn raw(value: &Value) -> Result<Box<RawValue>, String> {
    to_raw_value(value).map_err(|error| error.to_string())
}

type Users = (Vec<User>, FxHashMap<UserRef, u32>);

fn users(given: Vec<super::format::User>, org: &str) -> Result<Users, String> {
    let (mut users, mut index) = (Vec::with_capacity(given.len()), FxHashMap::default());
    for user in given {
        let id = UserRef { kind: user.kind, number: user.number };
        if index.insert(id, position(users.len())?).is_some() {
            return Err(format!("users: {id} stands there twice"));
        }
        let mut summary = json!({
            "type": user.kind,
            "id": identity_don(org, user.kind.object(), user.number),
            "display_id": id.to_string(),
            "display_name": display_name(&user.name),
            "full_name": user.name,
            "state": user.state,
        });
        if let Some(email) = &user.email {
            summary["email"] = json!(email);
        }
        let summary = raw(&summary)?;
        users.push(User { id, name: user.name, email: user.email, state: user.state, summary });
    }
    Ok((users, index))
}

/// A handle made of a name: `Ana Sousa` -> `ana-sousa`.
pub(super) fn display_name(name: &str) -> String {
    name.to_lowercase().split_whitespace().collect::<Vec<_>>().join("-")
}

type Groups = (Vec<Group>, FxHashMap<u32, u32>);

fn groups(
    given: Vec<super::format::Group>,
    org: &str,
    users: &FxHashMap<UserRef, u32>,
) -> Result<Groups, String> {
    let mut index = FxHashMap::default();
    for (at, group) in given.iter().enumerate() {
        if index.insert(group.number, position(at)?).is_some() {
            return Err(format!("groups: GROUP-{} stands there twice", group.number));
        }
    }
    let mut groups = Vec::with_capacity(given.len());
    for group in given {
        let id = GroupRef(group.number);
        for member in &group.members {
            match member {
                Member::User(user) if !users.contains_key(user) => {
                    return Err(format!("{id}: members: there is no user {user}"));
                }
                Member::Group(other) if !index.contains_key(&other.0) => {
                    return Err(format!("{id}: members: there is no group {other}"));
                }
                Member::User(_) | Member::Group(_) => {}
            }
        }
        let don = identity_don(org, ObjectType::Group, group.number);
        let native = raw(&json!({"id": don, "display_id": id.to_string(), "name": group.name}))?;
        groups.push(Group {
            id,
            name: group.name,
            description: group.description,
            member_type: group.member_type,
            members: group.members,
            don,
            native,
        });
    }
    Ok((groups, index))
}
