//! What of the world is made of a data file and stays as it is: users and groups; and the schema of contacts.

use super::{Group, User};
use crate::devrev::ids::ObjectType;
use crate::sandbox::contacts::{Contact, Contacts};
use crate::sandbox::documents::{Document, Documents};
use crate::sandbox::dons::display_id;
use crate::sandbox::dons::identity_don;
use crate::sandbox::error;
use crate::sandbox::format::{self, CustomField, FieldType, GroupRef, Member, UserRef};
use crate::sandbox::summary::rev_org;
use rustc_hash::FxHashMap;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};
use std::collections::BTreeMap;

pub(super) fn position(length: usize) -> Result<u32, String> {
    u32::try_from(length).map_err(|_| "more objects than the sandbox can number".to_owned())
}

fn raw(value: &Value) -> Result<Box<RawValue>, String> {
    to_raw_value(value).map_err(|error| error.to_string())
}

type Users = (Vec<User>, FxHashMap<UserRef, u32>);

pub(super) fn users(given: Vec<format::User>, org: &str) -> Result<Users, String> {
    let (mut users, mut index) = (Vec::with_capacity(given.len()), FxHashMap::default());
    for user in given {
        let id = UserRef { kind: user.kind, number: user.number };
        if index.insert(id, position(users.len())?).is_some() {
            return Err(format!("users: {id} appears twice"));
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

/// A contact that stands among the users.
pub(super) fn contact_of(user: format::User) -> Contact {
    Contact::of(format::Contact {
        number: user.number,
        display_name: Some(display_name(&user.name)),
        full_name: Some(user.name),
        email: user.email,
        external_ref: None,
        external_refs: Vec::new(),
        state: user.state,
        is_verified: true,
        description: None,
        custom_fields: serde_json::Map::new(),
        phone_numbers: Vec::new(),
        rev_org: None,
        workspace: None,
        artifacts: Box::default(),
        created: None,
        modified: None,
    })
}

/// The schema of contacts: the tenant's custom texts, and every field that some contact has.
pub(super) fn contact_fields(
    contacts: &Contacts,
    custom_fields: &BTreeMap<String, CustomField>,
) -> BTreeMap<String, &'static str> {
    let texts = custom_fields.iter().filter(|(_, field)| field.kind == FieldType::Text && !field.list);
    let mut schema: BTreeMap<String, &str> = texts.map(|(name, _)| (name.clone(), "string")).collect();
    for contact in contacts.slice(0, contacts.len()) {
        for (name, value) in contact.custom_fields.iter().filter(|(_, value)| !value.is_null()) {
            schema.entry(name.clone()).or_insert_with(|| error::json_type(value));
        }
    }
    schema
}

/// A handle made of a name: `Ana Sousa` -> `ana-sousa`.
pub(in crate::sandbox) fn display_name(name: &str) -> String {
    name.to_lowercase().split_whitespace().collect::<Vec<_>>().join("-")
}

type Groups = (Vec<Group>, FxHashMap<u32, u32>);

pub(super) fn groups(
    given: Vec<format::Group>,
    org: &str,
    find_user: &dyn Fn(UserRef) -> Option<u32>,
) -> Result<Groups, String> {
    let mut index = FxHashMap::default();
    for (at, group) in given.iter().enumerate() {
        if index.insert(group.number, position(at)?).is_some() {
            return Err(format!("groups: GROUP-{} appears twice", group.number));
        }
    }
    let mut groups = Vec::with_capacity(given.len());
    for group in given {
        let id = GroupRef(group.number);
        for member in &group.members {
            match member {
                Member::User(user) if find_user(*user).is_none() => {
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
            is_default: group.is_default,
            kind: group.kind,
            members: group.members,
            don,
            native,
        });
    }
    Ok((groups, index))
}

/// Accounts, numbered from 1 in the order of the file.
pub(super) fn accounts(given: Vec<format::Document>, org: &str) -> Documents {
    let mut documents = Documents::default();
    for (number, account) in (1..).zip(given) {
        let don = identity_don(org, ObjectType::Account, number);
        documents.push(document(don, display_id(ObjectType::Account, number), account, number));
    }
    documents
}

/// Workspaces: those of the file, and those that contacts are in. Their IDs are made of their names.
pub(super) fn workspaces(given: Vec<format::Document>, contacts: &Contacts, org: &str) -> Documents {
    let mut names: Vec<String> = given.iter().map(|workspace| workspace.display_name.clone()).collect();
    let mut all = given;
    for name in contacts.slice(0, contacts.len()).iter().filter_map(|contact| contact.rev_org.as_ref()) {
        if !names.contains(name) {
            names.push(name.clone());
            let (set, custom_fields) = (serde_json::Map::new(), serde_json::Map::new());
            all.push(format::Document { display_name: name.clone(), set, custom_fields });
        }
    }
    let mut documents = Documents::default();
    for (number, workspace) in (1..).zip(all) {
        let (don, display_id) = rev_org(org, &workspace.display_name).ids();
        documents.push(document(don, display_id, workspace, number));
    }
    documents
}

fn document(don: String, display_id: String, of: format::Document, number: u32) -> Document {
    let created = 1_704_067_200_000 + u64::from(number) * 3_600_000;
    let mut stock = of.set;
    stock.insert("display_name".to_owned(), of.display_name.into());
    Document { don, display_id, stock, custom: of.custom_fields, created, modified: created, writes: 0 }
}
